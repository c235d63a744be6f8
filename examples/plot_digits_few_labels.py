"""
==============================
Handwritten digits, few labels
==============================

Of about 1,250 images of handwritten digits, only 50 are labeled, five of each class. A
semi-supervised GAN also learns from the others. It is compared with two semi-supervised classifiers
of scikit-learn, and with the GAN's discriminator trained on the 50 labels only.
"""

# %%
# The data
# --------
# As in scikit-learn, ``-1`` marks unlabeled rows.
from functools import partial
from pathlib import Path
from time import perf_counter

import matplotlib.pyplot as plt
import numpy as np
import torch
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.semi_supervised import LabelSpreading, SelfTrainingClassifier
from skorch.callbacks import Callback

from sgan_sklearn import SGANClassifier

X, y = load_digits(return_X_y=True)
X, X_test, y, y_test = train_test_split(X, y, test_size=0.3, stratify=y, random_state=0)

rng = np.random.RandomState(0)
few_labels = np.full(len(y), -1)
for digit in range(10):
    kept = rng.choice(np.flatnonzero(y == digit), 5, replace=False)
    few_labels[kept] = digit
print(f"{len(X)} training rows, {(few_labels != -1).sum()} of them labeled")


# %%
# Training
# --------
# The images are passed without scaling: the estimator scales them itself. The callback computes the
# learning curve below, using the hidden labels, which the classifier does not use.
class HiddenAccuracy(Callback):
    def __init__(self):
        self.curve = []

    def on_epoch_end(self, net, dataset_train=None, **kwargs):
        with torch.no_grad():
            predicted = net.averaged_module_(dataset_train.rows).argmax(dim=1).cpu().numpy()
        hidden = few_labels == -1
        self.curve.append((predicted == y)[hidden].mean())


class Run:
    """A fitted classifier with its learning curve, test accuracy and seconds."""

    def __init__(self, estimator):
        self.callback = HiddenAccuracy()
        if isinstance(estimator, SGANClassifier):
            estimator.set_params(callbacks=[self.callback])
        start = perf_counter()
        self.estimator = estimator.fit(X, few_labels)
        self.seconds = perf_counter() - start
        with np.errstate(invalid="ignore"):  # LabelSpreading divides 0 by 0 far from all labels
            self.accuracy = estimator.score(X_test, y_test)


pixels_to_unit = FunctionTransformer(partial(np.multiply, 1 / 16))
runs = {
    "SGANClassifier": Run(SGANClassifier(random_state=0, verbose=1)),
    "the same network, labels alone": Run(SGANClassifier(unsupervised_weight=0, random_state=0)),
    "LabelSpreading (knn)": Run(
        make_pipeline(pixels_to_unit, LabelSpreading(kernel="knn", n_neighbors=7))
    ),
    "SelfTraining (logistic regression)": Run(
        make_pipeline(pixels_to_unit, SelfTrainingClassifier(LogisticRegression(max_iter=1000)))
    ),
}

# %%
# Accuracy on the test images
# ---------------------------
print(f"\n{'':36}{'test accuracy':>14}{'seconds':>10}")
for name, run in runs.items():
    print(f"{name:36}{run.accuracy:14.3f}{run.seconds:10.1f}")

# %%
# Learning curve
# --------------
# With the unlabeled rows, the accuracy of the discriminator continues to increase long after it has
# memorized the 50 labels.
folder = Path(__file__).parent if "__file__" in globals() else Path()  # no file in a notebook
output = folder / "output"
output.mkdir(exist_ok=True)

fig, ax = plt.subplots(figsize=(7, 4), layout="constrained")
for name in list(runs)[:2]:
    ax.plot(np.arange(1, len(runs[name].callback.curve) + 1), runs[name].callback.curve, label=name)
for name, style in zip(list(runs)[2:], ["--", ":"], strict=True):
    hidden = few_labels == -1
    with np.errstate(invalid="ignore"):
        accuracy = runs[name].estimator.score(X[hidden], y[hidden])
    ax.axhline(accuracy, color="gray", linestyle=style, label=name)
ax.set(xlabel="epoch", ylabel="accuracy on the unlabeled images", ylim=(0.7, 1))
ax.legend(loc="lower right")
fig.savefig(output / "digits_learning_curve.png", dpi=120)
plt.show()

# %%
# Generated digits
# ----------------
# The generator is trained to improve the classifier, but its rows still look like digits.
fig, axes = plt.subplots(2, 1, figsize=(7, 2.7), layout="constrained")
real = X[rng.choice(len(X), 30, replace=False)]
generated = runs["SGANClassifier"].estimator.sample(30, random_state=0)
for ax, images, title in zip(axes, (real, generated), ("real", "generated"), strict=True):
    # 30 images of 8 x 8 pixels in two rows, with a white border of one pixel.
    tiles = np.pad(images.reshape(2, 15, 8, 8), [(0, 0), (0, 0), (1, 1), (1, 1)])
    ax.imshow(tiles.swapaxes(1, 2).reshape(20, 150), cmap="gray_r")
    ax.set(title=title, xticks=[], yticks=[])
fig.savefig(output / "digits_generated.png", dpi=120)
print(f"\nFigures: {output}/digits_learning_curve.png and digits_generated.png")
plt.show()
