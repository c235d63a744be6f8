"""
===========================
Photographs from few labels
===========================

Color images of at least 24 pixels per side are classified with residual networks by default. This
example labels five image patches of each of five kinds of regions in two photographs, trains on
these and on thousands of unlabeled patches, and assigns each part of the photographs to a region.
"""

# %%
# Patches of two photographs
# --------------------------
# The labeled patches have 24 x 24 pixels and come from rectangles that contain a single kind of
# region. The unlabeled ones come from anywhere in the photographs.
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_sample_images

from sgan_sklearn import HistoryDisplay, SGANClassifier, Training
from sgan_sklearn.architectures import ResNetArchitecture
from sgan_sklearn.callbacks import FrechetDistanceCallback
from sgan_sklearn.regularizers import PseudoLabel

SIDE = 24
REGIONS = {  # photograph, and the first and last row and column of a rectangle
    "sky": (0, 0, 150, 0, 180),
    "building": (0, 120, 420, 220, 330),
    "trees": (0, 320, 427, 400, 640),
    "petals": (1, 110, 280, 200, 400),
    "leaves": (1, 0, 300, 0, 170),
}
photographs = load_sample_images().images
rng = np.random.default_rng(0)


def patches(photograph, top, bottom, left, right, n):
    """Return random patches of a rectangle of a photograph."""
    rows = rng.integers(top, bottom - SIDE + 1, n)
    columns = rng.integers(left, right - SIDE + 1, n)
    image = photographs[photograph]
    return [image[i : i + SIDE, j : j + SIDE] for i, j in zip(rows, columns, strict=True)]


labeled = np.concatenate([patches(*region, n=5) for region in REGIONS.values()])
unlabeled = np.concatenate([patches(i, 0, 427, 0, 640, n=1_500) for i in (0, 1)])
X = np.concatenate([labeled, unlabeled])
y = np.concatenate([np.repeat(list(REGIONS), 5), np.full(len(unlabeled), "unlabeled")])

# %%
# Training
# --------
# The default takes 10,000 steps, hours without a GPU. Here, a smaller network is trained for
# less than a minute. The callback records how far generated patches are from real ones.
sgan = SGANClassifier(
    ResNetArchitecture(width=(32, 64, 64)),
    regularizer=PseudoLabel(start=100, ramp_up=100),
    unlabeled_value="unlabeled",
    max_epochs=9,
    training=Training(adversarial_every=2),
    callbacks=[FrechetDistanceCallback(n_samples=500)],
    random_state=0,
).fit(X, y)

# %%
# Labels of the photographs
# -------------------------
# Every eighth pixel in each direction is the center of a patch, whose most probable class is
# plotted.
fig, axes = plt.subplots(2, 2, figsize=(10, 7), layout="constrained")
colors = plt.get_cmap("tab10")(np.arange(len(REGIONS)))
for image, row in zip(photographs, axes, strict=True):
    windows = np.lib.stride_tricks.sliding_window_view(image, (SIDE, SIDE), axis=(0, 1))[::8, ::8]
    grid = windows.shape[:2]
    codes = sgan.predict_proba(np.moveaxis(windows, 2, -1).reshape(-1, SIDE, SIDE, 3)).argmax(
        axis=1
    )
    row[0].imshow(image)
    row[1].imshow(colors[codes.reshape(grid)])
    for ax in row:
        ax.set_axis_off()
handles = [plt.Rectangle((0, 0), 1, 1, color=color) for color in colors]
fig.legend(handles, sgan.classes_, loc="outside lower center", ncols=len(REGIONS))

# %%
# Generated patches of each class
# -------------------------------
# ``sample(label=...)`` generates images until enough of them are classified as the class. Real
# patches that are classified as the class are on the left.
wanted = np.repeat(sgan.classes_, 8)
generated = sgan.sample(label=wanted, random_state=0).reshape(-1, 8, SIDE, SIDE, 3)
predicted = sgan.predict(unlabeled)
real = np.stack([unlabeled[predicted == name][:8] for name in sgan.classes_])
fig, axes = plt.subplots(1, 2, figsize=(10, 3.5), layout="constrained")
for ax, images, title in zip(axes, (real, generated), ("real", "generated"), strict=True):
    tiles = np.pad(images, [(0, 0), (0, 0), (1, 1), (1, 1), (0, 0)], constant_values=255)
    tiles = tiles.swapaxes(1, 2).reshape(len(images) * (SIDE + 2), 8 * (SIDE + 2), 3)
    ax.imshow(tiles)
    ax.set(title=title, xticks=[], yticks=(np.arange(len(images)) + 0.5) * (SIDE + 2))
    ax.set_yticklabels(sgan.classes_)
    ax.tick_params(length=0)

# %%
# The distance during training
# ----------------------------
# The loss of the generator does not tell how good its images are, since it is measured by a
# discriminator that changes. The Fréchet distance of the features is zero if the generated patches
# have the same means and covariances of features as the real ones.
fig, ax = plt.subplots(figsize=(6, 3), layout="constrained")
HistoryDisplay.from_estimator(sgan, terms=["generator_loss", "frechet_distance"], ax=ax)
ax.set(yscale="log", ylabel="loss, distance")
plt.show()
