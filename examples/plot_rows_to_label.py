"""
===============================
Which rows should I label next?
===============================

When labels are expensive, choose the rows to label: first a typical row of each cluster, then rows
of which the classifier is uncertain.
"""

# %%
# The first labels
# ----------------
# There is no classifier yet, so ``suggest_labels`` groups the rows in clusters, and returns a
# typical row of each.
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from sgan_sklearn import SGANClassifier
from sgan_sklearn.inspection import suggest_labels

X, y = load_digits(return_X_y=True)
X, X_test, y, y_test = train_test_split(X, y, test_size=500, random_state=0)


def plot_images(images, title):
    _, axes = plt.subplots(2, 10, figsize=(8, 2))
    for ax, image in zip(axes.flat, images, strict=True):
        ax.imshow(image.reshape(8, 8), cmap="gray_r")
        ax.axis("off")
    plt.suptitle(title)


first = suggest_labels(None, X, 20, random_state=0)
plot_images(X[first], "typical rows")
print(f"{len(np.unique(y[first]))} of 10 digits are among them")

# %%
# The next labels
# ---------------
# With a classifier, the suggested rows are those of which it is uncertain. They are also different
# from each other.
labels = np.full(len(y), -1)
labels[first] = y[first]
clf = SGANClassifier(max_epochs=5, random_state=0).fit(X, labels)
plot_images(X[suggest_labels(clf, X, 20, y=labels, random_state=0)], "uncertain rows")

# %%
# Compared with random rows
# -------------------------
# In a loop, a person would now label these rows, and the classifier would be fitted again.
budgets = [20, 30, 50, 80]


def scores(suggest, seed):
    """Return the test accuracy for each number of labels."""
    rng = np.random.RandomState(seed)
    classifier, labels, accuracy = None, np.full(len(y), -1), []
    for n_labels in budgets:
        n_new = n_labels - np.sum(labels != -1)
        if suggest:
            chosen = suggest_labels(classifier, X, n_new, y=labels, random_state=rng)
        else:
            chosen = rng.choice(np.flatnonzero(labels == -1), n_new, replace=False)
        labels[chosen] = y[chosen]
        classifier = SGANClassifier(max_epochs=5, random_state=seed).fit(X, labels)
        accuracy.append(classifier.score(X_test, y_test))
    return accuracy


_, ax = plt.subplots()
for suggest, name in ((True, "suggested rows"), (False, "random rows")):
    draws = np.array([scores(suggest, seed) for seed in range(2)])
    print(f"{name}: {draws.mean(axis=0).round(3)}")
    (line,) = ax.plot(budgets, draws.mean(axis=0), "o-", label=name)
    ax.fill_between(
        budgets, draws.min(axis=0), draws.max(axis=0), color=line.get_color(), alpha=0.2
    )
ax.set(xlabel="number of labels", ylabel="test accuracy", title="lines: mean of two repetitions")
ax.legend()
plt.show()
