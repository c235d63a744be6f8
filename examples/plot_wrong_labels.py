"""
====================
Are my labels right?
====================

With few labels, each wrong one affects many rows. ``label_doubts`` ranks the labels by how much a
classifier that has not seen them disagrees.
"""

# %%
# Digits with some wrong labels
# -----------------------------
# Each digit has twenty labels. A tenth of them are replaced by other digits, chosen at random.
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import PrecisionRecallDisplay

from sgan_sklearn import SGANClassifier
from sgan_sklearn.inspection import label_doubts
from sgan_sklearn.model_selection import mask_labels

X, y = load_digits(return_X_y=True)
X /= 16
labels = mask_labels(y, per_class=20, random_state=0)
labeled = np.flatnonzero(labels != -1)
rng = np.random.default_rng(0)
wrong = rng.choice(labeled, len(labeled) // 10, replace=False)
labels[wrong] = (labels[wrong] + rng.integers(1, 10, len(wrong))) % 10
is_wrong = labels[labeled] != y[labeled]

# %%
# Three classifiers
# -----------------
# Each label is compared with the probabilities of a classifier that was fitted without it, by
# cross-validation.
classifiers = {
    "SGANClassifier": SGANClassifier(max_epochs=5),
    "LogisticRegression": LogisticRegression(),
    "RandomForest": RandomForestClassifier(),
}
fig, ax = plt.subplots(layout="constrained")
doubts = {}
for name, classifier in classifiers.items():
    doubts[name] = label_doubts(classifier, X, labels, cv=4, random_state=0, verbose=0)
    PrecisionRecallDisplay.from_predictions(is_wrong, doubts[name][labeled], name=name, ax=ax)
ax.set(xlabel="share of the wrong labels that are found", ylabel="share of them in the list")

# %%
# With twenty labels of each digit, all three rank most of the wrong labels first. The forest is
# slightly better than the others, and logistic regression is the fastest.
#
# The labels to check
# -------------------
# A person would check the labels with the largest doubts first. Each title is the label, and those
# in red are wrong.
order = np.argsort(-np.nan_to_num(doubts["SGANClassifier"]))[:30]
fig, axes = plt.subplots(3, 10, figsize=(8, 3.2), layout="constrained")
for ax, i in zip(axes.flat, order, strict=True):
    ax.imshow(X[i].reshape(8, 8), cmap="gray_r")
    ax.set_title(labels[i], color="black" if labels[i] == y[i] else "red")
    ax.axis("off")
print(
    f"{np.sum(labels[order] != y[order])} of the {is_wrong.sum()} wrong labels are among these 30"
)

# %%
# Is it worth it?
# ---------------
# The same classifier is fitted on all labels, and again after the check has corrected those 30.
hidden = np.delete(np.arange(len(y)), labeled)
checked = labels.copy()
checked[order] = y[order]
for name, given in {"as they were": labels, "after the check": checked}.items():
    sgan = SGANClassifier(max_epochs=5, random_state=0).fit(X, given)
    print(f"accuracy with the labels {name}: {sgan.score(X[hidden], y[hidden]):.3f}")
plt.show()
