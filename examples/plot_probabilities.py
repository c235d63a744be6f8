"""
==============================
Can I trust the probabilities?
==============================

If a classifier is 90 percent sure of some rows, is it right for 90 percent of them? And what if one
class is much more frequent where the classifier is used?
"""

# %%
# How often is it right, and how often does it think so?
# ------------------------------------------------------
# Four classifiers learn digits from three labels of each. For each test row, the largest class
# probability is the confidence of a classifier, and the prediction is right or wrong.
# scikit-learn's ``CalibrationDisplay`` groups the rows by their confidence. On the diagonal, a
# classifier is as often right as it thinks; below, it is too confident, and above, too careful.
import matplotlib.pyplot as plt
import numpy as np
from sklearn.calibration import CalibrationDisplay
from sklearn.datasets import load_digits
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split
from sklearn.semi_supervised import LabelSpreading

from sgan_sklearn import SGANClassifier
from sgan_sklearn.calibration import adjust_to_prior
from sgan_sklearn.model_selection import mask_labels

X, y = load_digits(return_X_y=True)
X, X_test, y, y_test = train_test_split(X / 16, y, test_size=0.5, stratify=y, random_state=0)
few_labels = mask_labels(y, per_class=3, random_state=0)
labeled = few_labels != -1

sgan = SGANClassifier(random_state=0).fit(X, few_labels)
classifiers = {
    "SGANClassifier": sgan,
    "LabelSpreading": LabelSpreading(kernel="knn").fit(X, few_labels),
    "LogisticRegression": LogisticRegression().fit(X[labeled], y[labeled]),
    "RandomForest": RandomForestClassifier(random_state=0).fit(X[labeled], y[labeled]),
}
fig, ax = plt.subplots(layout="constrained")
print(f"{'':>20}{'accuracy':>10}{'confidence':>12}{'log loss':>10}")
for name, classifier in classifiers.items():
    probabilities = classifier.predict_proba(X_test)
    confidence = probabilities.max(axis=1)
    is_right = probabilities.argmax(axis=1) == y_test
    CalibrationDisplay.from_predictions(
        is_right, confidence, n_bins=6, strategy="quantile", name=name, ax=ax
    )
    loss = log_loss(y_test, probabilities)
    print(f"{name:>20}{is_right.mean():>10.3f}{confidence.mean():>12.3f}{loss:>10.3f}")
ax.set(xlabel="confidence", ylabel="accuracy")

# %%
# ``SGANClassifier`` is somewhat too careful, and the classifiers on the labeled rows alone are much
# more so. ``LabelSpreading`` has a confidence near one for most rows, also for some of its errors.
# The log loss punishes both errors and wrong confidence.
#
# New rows with other class proportions
# -----------------------------------------
# Each digit was about as frequent as the others in training. In these new rows, small digits are
# frequent and large ones are rare. ``adjust_to_prior`` estimates the proportions from the new rows
# alone, without their labels, and returns a classifier with adjusted probabilities.
weights = 0.7 ** np.arange(10)
rng = np.random.default_rng(0)
new = rng.choice(len(y_test), 600, p=weights[y_test] / weights[y_test].sum())
adjusted = adjust_to_prior(sgan, X_test[new])
print(f"Do the proportions differ from those of the training? p = {adjusted.p_value_:.2g}")

proportions = {"true": np.bincount(y_test[new], minlength=10) / len(new)}
for name, classifier in {"unchanged": sgan, "adjusted": adjusted}.items():
    probabilities = classifier.predict_proba(X_test[new])
    proportions[name] = probabilities.mean(axis=0)
    loss = log_loss(y_test[new], probabilities)
    accuracy = classifier.score(X_test[new], y_test[new])
    print(f"{name:>20}: accuracy {accuracy:.3f}, log loss {loss:.3f}")

fig, ax = plt.subplots(layout="constrained")
for i, (name, values) in enumerate(proportions.items()):
    ax.bar(np.arange(10) + 0.27 * (i - 1), values, 0.27, label=name)
ax.set(xticks=range(10), xlabel="digit", ylabel="proportion of the new rows")
ax.legend(title="class proportions")
plt.show()
