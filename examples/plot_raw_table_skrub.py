"""
==================================
Raw tables with few labels (skrub)
==================================

``SGANClassifier`` takes numbers, categories, dates and missing values as they are. Columns of free
text need an encoder, such as skrub's ``TableVectorizer``.
"""

# %%
# A table with typing errors
# --------------------------
# The rows are people, and the class is the sector in which they work. Their job titles were typed
# by hand, so that many occur only once. Ten rows of each sector are labeled.
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.ensemble import RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from skrub import TableVectorizer

from sgan_sklearn import SGANClassifier
from sgan_sklearn.model_selection import mask_labels

TITLES = {
    "health": ["nurse", "physician", "physical therapist", "dental assistant", "head nurse"],
    "school": ["teacher", "school counselor", "math teacher", "librarian", "assistant teacher"],
    "software": ["software engineer", "web developer", "data engineer", "system administrator"],
    "trade": ["sales assistant", "store manager", "cashier", "sales representative", "buyer"],
}
LEVELS = ["junior ", "senior ", "", "", "temporary "]
PAY = {"health": 52, "school": 48, "software": 71, "trade": 39}
rng = np.random.default_rng(0)


def typed(title):
    """Return a job title with a level, and sometimes with a letter that is missing or doubled."""
    title = rng.choice(LEVELS) + title
    place = rng.integers(len(title))
    return title[:place] + title[place : place + 1] * rng.choice([0, 1, 1, 2]) + title[place + 1 :]


def make_table(n_rows):
    sectors = rng.choice(list(TITLES), n_rows)
    table = pd.DataFrame(
        {
            "title": [typed(rng.choice(TITLES[sector])) for sector in sectors],
            "pay": [PAY[sector] + 12 * rng.normal() for sector in sectors],
            "city": rng.choice(["Bonn", "Lima", "Oslo", None], n_rows),
            "hired": pd.Timestamp("2015-01-01")
            + pd.to_timedelta(rng.integers(0, 3000, n_rows), unit="D"),
        }
    )
    table.loc[rng.random(n_rows) < 0.1, "pay"] = np.nan
    return table, sectors


X, y = make_table(1500)
X_test, y_test = make_table(1000)
codes = np.unique(y, return_inverse=True)[1]
is_labeled = mask_labels(codes, per_class=10, random_state=0) != -1
few_labels = np.where(is_labeled, y, "unknown")
print(X.assign(sector=few_labels)[is_labeled].head(8))
print(f"{X['title'].nunique()} different titles in {len(X)} rows")

# %%
# The pipeline
# ------------
# ``TableVectorizer`` makes numbers of each column: text becomes a few components of its n-grams of
# letters, so that titles with typing errors are near to each other. ``SGANClassifier`` scales the
# numbers.
sgan = SGANClassifier(unlabeled_value="unknown", random_state=0)
pipeline = make_pipeline(TableVectorizer(), sgan)
pipeline.fit(X, few_labels)

# %%
# What the unlabeled rows give
# ----------------------------
# Other classifiers get the same numbers, of the labeled rows.
numbers, numbers_test = (pipeline[:-1].transform(table) for table in (X, X_test))
others = {
    "labels alone": SGANClassifier(unsupervised_weight=0, unlabeled_value=None, random_state=0),
    "RandomForest": RandomForestClassifier(random_state=0),
    "LogisticRegression": make_pipeline(SimpleImputer(), StandardScaler(), LogisticRegression()),
}
scores = {"SGANClassifier": pipeline.score(X_test, y_test)}
for name, classifier in others.items():
    classifier.fit(numbers[is_labeled], y[is_labeled])
    scores[name] = classifier.score(numbers_test, y_test)

fig, ax = plt.subplots(figsize=(6, 2.4), layout="constrained")
bars = ax.barh(list(scores), list(scores.values()), color=["C0", "C1", "gray", "gray"])
ax.bar_label(bars, fmt="%.2f", padding=3)
ax.set(xlim=(0, 1.1), xlabel="accuracy on new rows")
ax.invert_yaxis()
plt.show()

# %%
# Many titles occur in no labeled row. The unlabeled rows show which of them are alike, so the
# classifier that learns from them is the best. ``skrub.tabular_pipeline(SGANClassifier())`` is
# shorter, and scales the numbers before.
