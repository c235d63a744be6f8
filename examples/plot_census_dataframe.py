"""
=====================================================
A census table with mixed columns, and generated rows
=====================================================

This example uses a DataFrame with numbers, categories and missing values, and 50 labels for 3,000
rows. ``SGANClassifier`` needs no preprocessing, and generated rows have the same columns, dtypes
and levels.
"""

# %%
# The data
# --------
# Persons of the 1994 census, and whether they earn more than 50,000 dollars a year
# (`OpenML <https://www.openml.org/d/1590>`_). Without an internet connection, the example uses a
# synthetic census of the same kind.
import warnings

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.base import clone
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.datasets import fetch_openml
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.semi_supervised import LabelSpreading
from sklearn.utils import resample

from sgan_sklearn import SamplesDisplay, SGANClassifier
from sgan_sklearn.model_selection import mask_labels
from sgan_sklearn.samplers import CriticSampler

COLUMNS = ["age", "education", "marital-status", "occupation", "hours-per-week", "capital-gain"]


def load_census(n_rows):
    try:
        with warnings.catch_warnings(action="ignore"):  # warnings about retries
            X, y = fetch_openml("adult", version=2, as_frame=True, return_X_y=True, n_retries=1)
    except OSError:
        return make_census(n_rows)
    chosen = X.sample(n_rows, random_state=0).index
    return X.loc[chosen, COLUMNS].reset_index(drop=True), (y[chosen] == ">50K").to_numpy()


def make_census(n_rows):
    """Generate persons whose occupation depends on education, and whose income on both."""
    rng = np.random.default_rng(0)
    years = rng.choice([9, 10, 13, 16], n_rows, p=[0.4, 0.25, 0.25, 0.1])
    schools = {9: "HS-grad", 10: "Some-college", 13: "Bachelors", 16: "Doctorate"}
    work = ["Craft-repair", "Sales", "Exec-managerial", "Prof-specialty"]
    place = np.clip((years - 9 + rng.normal(1.5, 2, n_rows)) / 2, 0, 3.9).astype(int)
    age = np.clip(17 + rng.gamma(3, 8, n_rows), 17, 90).astype(int)
    married = rng.random(n_rows) < 1 / (1 + np.exp(-(age - 32) / 5))
    hours = np.where(rng.random(n_rows) < 0.5, 40, rng.normal(38 + place, 10, n_rows).astype(int))
    wealth = (
        0.5 * (years - 11) + 1.5 * married + 0.05 * (hours - 40) + 0.02 * (age - 38) + place / 2
    )
    rich = wealth + rng.logistic(size=n_rows) > 3
    gains = rng.random(n_rows) < np.where(rich, 0.2, 0.04)
    census = pd.DataFrame(
        {
            "age": age,
            "education": [schools[n] for n in years],
            "marital-status": np.where(married, "Married-civ-spouse", "Never-married"),
            "occupation": np.where(rng.random(n_rows) < 0.06, None, np.array(work)[place]),
            "hours-per-week": np.clip(hours, 1, 99),
            "capital-gain": np.where(gains, rng.lognormal(8.5, 0.7, n_rows).astype(int), 0),
        }
    )
    texts = ["education", "marital-status", "occupation"]
    return census.astype(dict.fromkeys(texts, "category")), rich


X, y = load_census(5_000)
X, X_test, y, y_test = train_test_split(X, y, test_size=2_000, random_state=0)
few_labels = mask_labels(y.astype(int), per_class=25, random_state=0)
print(X.head(), end="\n\n")
print(f"{len(X)} rows, {(few_labels != -1).sum()} labels, {X.isna().sum().sum()} missing values")

# %%
# Training
# --------
# The other methods need an encoder. ``SGANClassifier`` detects categories by their dtype and
# handles missing values itself. With ``sampler``, it trains a second generator, for realistic rows;
# here for a short time only.
numbers = make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
categories = make_pipeline(
    SimpleImputer(strategy="constant", fill_value="missing"),
    OneHotEncoder(handle_unknown="ignore", sparse_output=False),
)
encoder = make_column_transformer(
    (numbers, make_column_selector(dtype_include="number")),
    (categories, make_column_selector(dtype_exclude="number")),
)
sgan = SGANClassifier(sampler=CriticSampler(max_epochs=100), max_epochs=15, random_state=0)
sgan.fit(X, few_labels)
labeled = few_labels != -1
alone = make_pipeline(clone(encoder), LogisticRegression(max_iter=1000))
alone.fit(X[labeled], few_labels[labeled])
spreading = make_pipeline(clone(encoder), LabelSpreading(kernel="rbf", gamma=0.5)).fit(
    X, few_labels
)

# %%
# Scores on the test rows, with 95 % bootstrap confidence intervals.
for name, method in {
    "SGANClassifier": sgan,
    "LogisticRegression on the labels": alone,
    "LabelSpreading": spreading,
}.items():
    hits = np.column_stack([y_test, method.predict(X_test)])
    scores = [balanced_accuracy_score(*resample(hits, random_state=i).T) for i in range(200)]
    low, high = np.quantile(scores, [0.025, 0.975])
    score = balanced_accuracy_score(*hits.T)
    print(f"{name:33s} balanced accuracy {score:.3f}  ({low:.3f} to {high:.3f})")

# %%
# Generated rows
# --------------
# Five persons who earn more than 50,000 dollars. Ages are whole numbers, and all values are within
# the range of the training rows.
print(sgan.sample(5, label=1, random_state=0).to_string())

# %%
# Real and generated rows. The peak at 40 hours and the zeros of the gains are reproduced.
shown = ["age", "education", "hours-per-week", "capital-gain"]
SamplesDisplay.from_estimator(sgan, X, n_samples=500, features=shown, random_state=0)
plt.show()
