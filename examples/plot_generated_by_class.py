"""
=========================
Generated digits by class
=========================

``sample(label=...)`` generates rows of a class. With the classifier's own generator, it generates
rows until enough of them are assigned to this class by the discriminator. With
``sampler="critic"``, a second generator is trained, which is conditioned on the class. This example
measures how often their rows belong to the requested class.
"""

# %%
# Two generators for one classifier
# ---------------------------------
# The data are 1,797 digits, of which ten of each class are labeled. They are passed as a table with
# 64 columns, since the critic is for tables. By default, it is trained more slowly, with batches of
# 500 rows; smaller batches and a higher learning rate are sufficient here and take only seconds.
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.neighbors import NearestNeighbors
from sklearn.svm import SVC

from sgan_sklearn import SGANClassifier
from sgan_sklearn.model_selection import mask_labels
from sgan_sklearn.samplers import CriticSampler

X, y = load_digits(return_X_y=True)
few_labels = mask_labels(y, per_class=10, random_state=0)
hidden = few_labels == -1

sgan = SGANClassifier(max_epochs=15, random_state=0).fit(X, few_labels)
print(f"Accuracy on the hidden labels: {sgan.score(X[hidden], y[hidden]):.3f}")

# %%
# Rows of each class
# ------------------
# Two hundred rows of each class from both generators, and real rows with their true labels for
# comparison. ``warm_start`` keeps the classifier, trains it for one more epoch, and adds the
# sampler.
wanted = np.repeat(np.arange(10), 200)
rows = {"real": X, "the classifier's generator": sgan.sample(label=wanted, random_state=0)}

critic = CriticSampler(max_epochs=100, batch_size=100, learning_rate=2e-3)
sgan.set_params(sampler=critic, warm_start=True, max_epochs=1).fit(X, few_labels)
rows["the critic's generator"] = sgan.sample(label=wanted, random_state=0)
classes = {name: y if name == "real" else wanted for name in rows}

# %%
# A support vector machine, trained on 900 real digits with all their labels, predicts the class of
# each row, which is compared with the requested class. Of the real rows, it predicts the other 897.
# Generated rows should not be copies either: their distance to the nearest real row should be as
# large as the distance between real rows.
judge = SVC(gamma=0.001, C=10).fit(X[:900], y[:900])
neighbors = NearestNeighbors(n_neighbors=2).fit(X)
print(f"\n{'':28}{'requested class':>20}{'distance to nearest real row':>32}")
for name in rows:
    part = slice(900, None) if name == "real" else slice(None)
    agreed = judge.score(rows[name][part], classes[name][part])
    # The nearest neighbor of a real row is the row itself.
    distances = neighbors.kneighbors(rows[name])[0][:, 1 if name == "real" else 0]
    print(f"{name:28}{agreed:20.3f}{np.median(distances):32.1f}")

# %%
# The rows of the critic's generator, one class per line, belong to the requested class more often.
# Both kinds are slightly farther from the real rows than these are from each other, so neither are
# copies.
fig, axes = plt.subplots(1, 3, figsize=(11, 4.5), layout="constrained")
rng = np.random.default_rng(0)
for ax, name in zip(axes, rows, strict=True):
    chosen = [rng.choice(np.flatnonzero(classes[name] == k), 10, replace=False) for k in range(10)]
    images = rows[name][np.array(chosen)].reshape(10, 10, 8, 8)
    tiles = np.pad(images, [(0, 0), (0, 0), (1, 1), (1, 1)]).swapaxes(1, 2).reshape(100, 100)
    ax.imshow(tiles, cmap="gray_r")
    ax.set(title=name, xticks=[], yticks=np.arange(10) * 10 + 4.5, yticklabels=range(10))
    ax.tick_params(length=0)
plt.show()
