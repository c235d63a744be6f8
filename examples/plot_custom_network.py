"""
===============
Custom networks
===============

This example uses two custom networks, which are plain PyTorch modules: one-dimensional convolutions
for time series, which the package does not provide. ``ModuleArchitecture`` replaces the built-in
networks with them.
"""

# %%
# The data
# --------
# Cylinder, bell and funnel (Saito 1994) is a synthetic problem: a plateau, a slow rise or a slow
# fall, of random length and at a random time, with noise. The class depends on the shape, wherever
# it is. Five of the 1,000 series of each class are labeled.
import matplotlib.pyplot as plt
import numpy as np
from sklearn.semi_supervised import LabelSpreading
from torch import nn

from sgan_sklearn import SGANClassifier
from sgan_sklearn.architectures import ModuleArchitecture
from sgan_sklearn.model_selection import mask_labels

LENGTH, SHAPES = 64, ["cylinder", "bell", "funnel"]


def make_series(n_series, rng):
    classes = rng.integers(3, size=n_series)
    starts = rng.integers(4, 24, size=n_series)[:, np.newaxis]
    ends = starts + rng.integers(16, 36, size=n_series)[:, np.newaxis]
    times = np.arange(LENGTH)
    inside = (times >= starts) & (times <= ends)
    rise = (times - starts) / (ends - starts)
    shape = np.choose(classes[:, np.newaxis], [np.ones_like(rise), rise, 1 - rise])
    height = 6 + rng.normal(size=(n_series, 1))
    return height * shape * inside + rng.normal(scale=0.5, size=(n_series, LENGTH)), classes


X, y = make_series(1_000, np.random.default_rng(0))
few_labels = mask_labels(y, per_class=5, random_state=0)
labeled = few_labels != -1

# %%
# The networks
# ------------
# The discriminator takes rows of 64 columns and returns one logit for each class. As an
# ``nn.Sequential``, it needs nothing more: its last layer is the head, and the inputs of this layer
# are the features for feature matching. It averages over time, so its output does not depend on the
# position of a shape. The generator takes latent vectors, which have 64 numbers by default. The
# generator may use batch normalization, but the discriminator may not, because real and generated
# rows are in the same batch.
discriminator = nn.Sequential(
    nn.Unflatten(1, (1, LENGTH)),
    nn.Conv1d(1, 32, 7, stride=2, padding=3),
    nn.LeakyReLU(0.2),
    nn.Dropout(0.2),
    nn.Conv1d(32, 64, 7, stride=2, padding=3),
    nn.LeakyReLU(0.2),
    nn.Dropout(0.2),
    nn.Conv1d(64, 64, 7, stride=2, padding=3),
    nn.LeakyReLU(0.2),
    nn.AdaptiveAvgPool1d(1),
    nn.Flatten(),
    nn.Linear(64, 3),
)
generator = nn.Sequential(
    nn.Linear(64, 64 * 8),
    nn.Unflatten(1, (64, 8)),
    nn.BatchNorm1d(64),
    nn.ReLU(),
    nn.ConvTranspose1d(64, 32, 8, stride=4, padding=2),
    nn.BatchNorm1d(32),
    nn.ReLU(),
    nn.ConvTranspose1d(32, 1, 4, stride=2, padding=1),
    nn.Flatten(),
)

# %%
# Training
# --------
# Each fit trains copies of the two networks, with weights that are initialized with
# ``random_state``.
architecture = ModuleArchitecture(discriminator, generator)
own = SGANClassifier(architecture, max_epochs=20, random_state=0)
methods = {
    "the networks above": own,
    "the same, labels alone": SGANClassifier(
        architecture, unsupervised_weight=0, regularizer=None, max_epochs=20, random_state=0
    ),
    "SGANClassifier, built-in networks": SGANClassifier(max_epochs=20, random_state=0),
    "LabelSpreading": LabelSpreading(kernel="knn", n_neighbors=7),
}
print(f"{'':34}accuracy on the hidden labels")
for name, method in methods.items():
    found = method.fit(X, few_labels).transduction_
    print(f"{name:34}{(found == y)[~labeled].mean():8.3f}")

# %%
# With the labels only, the networks classify about three of four series correctly; with the
# unlabeled series, almost all. Multilayer perceptrons, for which a shape at another time is a
# different input, and methods based on distances, which compare the same times, are much worse.
#
# Generated series
# ----------------
# Four of each class, according to the discriminator. The generator is trained to improve the
# classifier: its cylinders have the right height and edges, its bells and funnels are rough, and
# some of them hardly exceed the noise.
fig, axes = plt.subplots(2, 3, figsize=(9, 4), layout="constrained", sharex=True, sharey=True)
for k, (above, below) in enumerate(axes.T):
    above.plot(X[y == k][:4].T, linewidth=1)
    above.set_title(SHAPES[k])
    below.plot(own.sample(4, label=k, random_state=0).T, linewidth=1)
axes[0, 0].set_ylabel("real")
axes[1, 0].set_ylabel("generated")
fig.supxlabel("time", fontsize=11)
plt.show()
