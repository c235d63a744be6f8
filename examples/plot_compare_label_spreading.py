"""
===============================================
Comparison of SGANClassifier and LabelSpreading
===============================================

This example compares two methods that learn from unlabeled rows: a generative adversarial network,
and scikit-learn's ``LabelSpreading``, which propagates labels between neighbors. It shows how their
accuracy depends on the number of labels, and their decision boundaries between two classes.

All parameters are the defaults, or were chosen without the hidden labels.
"""

# %%
# Accuracy for different numbers of labels
# ----------------------------------------
# Each classifier is trained on handwritten digits with a few labels of each class, where -1 marks
# the unlabeled rows, and is scored on the rows whose labels are hidden. The two semi-supervised
# classifiers use these rows for training, but not their labels. Logistic regression uses the
# labeled rows only.
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits, make_circles, make_moons
from sklearn.inspection import DecisionBoundaryDisplay
from sklearn.linear_model import LogisticRegression
from sklearn.semi_supervised import LabelSpreading

from sgan_sklearn import SGANClassifier
from sgan_sklearn.model_selection import mask_labels

X, y = load_digits(return_X_y=True)
X = X / 16  # for the other two methods; SGANClassifier scales the rows itself
labels_per_class = [2, 5, 20, 100]
n_draws = 2  # of the labels


def classifiers(random_state):
    return {
        "SGANClassifier": SGANClassifier(random_state=random_state),
        "LabelSpreading": LabelSpreading(kernel="knn", n_neighbors=7),
        "LogisticRegression": LogisticRegression(max_iter=1000),
    }


def labels_found(classifier, few_labels):
    if isinstance(classifier, LogisticRegression):
        labeled = few_labels != -1
        return classifier.fit(X[labeled], few_labels[labeled]).predict(X)
    # The predicted class of each training row. For a row that no label reaches, LabelSpreading
    # gives the first class; `predict` would divide by zero.
    return classifier.fit(X, few_labels).transduction_


accuracy = {name: np.empty((len(labels_per_class), n_draws)) for name in classifiers(0)}
for i, per_class in enumerate(labels_per_class):
    for draw in range(n_draws):
        few_labels = mask_labels(y, per_class=per_class, random_state=draw)
        for name, classifier in classifiers(draw).items():
            found = labels_found(classifier, few_labels)
            accuracy[name][i, draw] = (found == y)[few_labels == -1].mean()

print(f"Accuracy on the unlabeled rows of {len(y):,} digits, {n_draws} draws of the labels")
print("labels per class  " + "".join(f"{name:>20}" for name in accuracy))
for i, per_class in enumerate(labels_per_class):
    cells = [f"{of[i].mean():.3f} ± {of[i].std():.3f}" for of in accuracy.values()]
    print(f"{per_class:16}  " + "".join(f"{cell:>20}" for cell in cells))

# %%
# The unlabeled rows help most with the fewest labels, and both methods are better than logistic
# regression. ``SGANClassifier`` is the best: by five points with two or five labels of each class,
# and by less with more. ``LabelSpreading`` takes a fraction of the time. On test digits, the
# difference with five labels of each class is two points over ten draws (see the README).
fig, ax = plt.subplots(figsize=(7, 4), layout="constrained")
for (name, of), marker in zip(accuracy.items(), "os^", strict=True):
    mean, std = of.mean(axis=1), of.std(axis=1)
    ax.plot(labels_per_class, mean, marker=marker, label=name)
    ax.fill_between(labels_per_class, mean - std, mean + std, alpha=0.2)
ax.set_xscale("log")
ax.set_xticks(labels_per_class, labels_per_class)
ax.minorticks_off()
ax.set(
    title=f"Mean ± standard deviation of {n_draws} draws",
    xlabel="labels per class",
    ylabel="accuracy on the unlabeled digits",
)
ax.grid(alpha=0.3)
ax.legend(loc="lower right")
plt.show()

# %%
# Decision boundaries between two classes
# ---------------------------------------
# Three labels of each class, and default parameters except for the number of epochs. The kernel of
# ``LabelSpreading`` is "rbf", its default, so that every point has neighbors. The figure shows the
# class probabilities and the accuracy on the unlabeled points.
tables = {
    "moons": make_moons(300, noise=0.1, random_state=0),
    "circles": make_circles(300, noise=0.1, factor=0.4, random_state=0),
}
print("\nAccuracy on the unlabeled points, 3 labels per class")
fig, axes = plt.subplots(2, 2, figsize=(7, 6.5), layout="constrained")
for row, (table, (points, classes)) in zip(axes, tables.items(), strict=True):
    few_labels = mask_labels(classes, per_class=3, random_state=0)
    hidden = few_labels == -1
    rivals = {
        "SGANClassifier": SGANClassifier(random_state=0),
        "LabelSpreading": LabelSpreading(kernel="rbf"),
    }
    for ax, (name, classifier) in zip(row, rivals.items(), strict=True):
        classifier.fit(points, few_labels)
        score = classifier.score(points[hidden], classes[hidden])
        print(f"  {table:10}{name:16}{score:.3f}")
        DecisionBoundaryDisplay.from_estimator(
            classifier,
            points,
            response_method="predict_proba",
            plot_method="contourf",
            levels=np.linspace(0, 1, 11),
            cmap="RdBu",
            alpha=0.6,
            eps=0.3,
            ax=ax,
        )
        ax.scatter(*points[hidden].T, s=8, color="0.35")
        colors = np.array(["tab:red", "tab:blue"])[few_labels[~hidden]]
        ax.scatter(*points[~hidden].T, s=120, c=colors, marker="*", edgecolors="black")
        ax.set(title=f"{name}, {table}: {score:.2f}", xticks=[], yticks=[], xlabel="", ylabel="")
fig.supxlabel("stars: labeled points, dots: unlabeled, shades: class probability", fontsize=11)
plt.show()

# %%
# ``LabelSpreading`` is better on the moons, and both make errors on the circles: far from all
# labels, they are confident of the wrong class. ``plot_two_moons_over_time.py`` also uses the
# moons, with other settings of both methods.
