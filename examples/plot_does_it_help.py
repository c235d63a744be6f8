"""
==============================
Do the unlabeled rows help me?
==============================

With few labels, it is hard to say whether the unlabeled rows improve a classifier. This example
measures it by cross-validation over the labels, and shows how many labels each of several
classifiers needs.
"""

# %%
# Digits with ten labels of each class
# ------------------------------------
# The other labels are hidden, and are only used at the end, to check the verdict.
import matplotlib.pyplot as plt
from sklearn.datasets import load_digits
from sklearn.ensemble import RandomForestClassifier
from sklearn.semi_supervised import LabelSpreading

from sgan_sklearn import SGANClassifier
from sgan_sklearn.inspection import (
    ComparisonDisplay,
    LabelCostDisplay,
    compare_with_labels_alone,
)
from sgan_sklearn.model_selection import mask_labels

X, y = load_digits(return_X_y=True)
few_labels = mask_labels(y, per_class=10, random_state=0)
hidden = few_labels == -1

# %%
# The comparison
# --------------
# The classifier, the same one on the labels alone, and three baselines are scored on the same five
# folds of the labels. With ``verbose=1``, the default, the expected duration is printed first.
sgan = SGANClassifier(max_epochs=10)
comparison = compare_with_labels_alone(sgan, X, few_labels, cv=5, random_state=0, verbose=0)
print(comparison)

# %%
# The interval of a gray line contains zero: these labels cannot tell which of the two is better.
ComparisonDisplay(comparison).plot()

# %%
# Here, the hidden labels tell how large the difference really is.
alone = SGANClassifier(max_epochs=10, unsupervised_weight=0)
for name, classifier in (("all rows", sgan), ("labels alone", alone)):
    classifier.set_params(random_state=0).fit(X, few_labels)
    print(f"{name}: {classifier.score(X[hidden], y[hidden]):.3f}")

# %%
# Scores by number of labels
# --------------------------
# How much would more labels improve each classifier? Some labels of each training are hidden, and
# all other rows are unlabeled.
LabelCostDisplay.from_estimators(
    {
        "random forest": RandomForestClassifier(),
        "label spreading": LabelSpreading(gamma=0.01),
        "SGANClassifier": SGANClassifier(max_epochs=5),
    },
    X,
    few_labels,
    n_labels=[20, 40, 66],
    cv=3,
    random_state=0,
    verbose=0,
)
plt.show()
