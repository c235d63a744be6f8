"""
=========================================
Is a low realness the mark of a novelty?
=========================================

``score_samples`` says how real a row looks to the discriminator, which has learned to tell real
rows from generated ones. Does it find rows of a kind that was never there? Not as well as a
detector made for that, but better than the class probabilities do, by the figures of ten unseen
digits and six ways to spoil pictures.
"""

# %%
# Unseen digits
# -------------
# Each digit in turn is left out of the training, which has ten labels of each of the other nine,
# and no label for the rest of them. Do the test pictures of the unseen digit get lower scores than
# the others? The area under the ROC curve (AUC) is the share of pairs in the right order: one is
# perfect, a half is chance.
#
# Beside it: the highest class probability, the other thing that a classifier has to offer, and two
# detectors of scikit-learn with default settings. They need no labels. All train within seconds;
# ``SGANClassifier`` gets only four epochs.
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.ensemble import IsolationForest
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import train_test_split
from sklearn.neighbors import LocalOutlierFactor

from sgan_sklearn import SGANClassifier
from sgan_sklearn.model_selection import mask_labels

X, y = load_digits(return_X_y=True)
X, X_test, y, y_test = train_test_split(X, y, test_size=0.3, stratify=y, random_state=0)


def fit_all(X, y):
    few_labels = mask_labels(y, per_class=10, random_state=0)
    sgan = SGANClassifier(max_epochs=4, random_state=0).fit(X, few_labels)
    forest = IsolationForest(random_state=0).fit(X)
    factor = LocalOutlierFactor(novelty=True).fit(X)
    return {
        "realness": sgan.score_samples,
        "highest probability": lambda rows: sgan.predict_proba(rows).max(axis=1),
        "IsolationForest": forest.score_samples,
        "LocalOutlierFactor": factor.score_samples,
    }


def print_line(name, values):
    print(f"{name:>18}" + "".join(f"{value:>22}" for value in values))


auc, realness = {}, {}
for digit in range(10):
    scores = fit_all(X[y != digit], y[y != digit])
    if digit == 0:
        print_line("unseen digit", scores)
    realness[digit] = scores["realness"](X_test)
    auc[digit] = [roc_auc_score(y_test != digit, score(X_test)) for score in scores.values()]
    print_line(digit, np.round(auc[digit], 3))
print_line("mean", np.mean(list(auc.values()), axis=0).round(3))

# %%
# ``LocalOutlierFactor`` is the best in the mean, 0.956 to 0.905, and for seven of the ten digits;
# realness for three of them, 1, 8 and 9. ``IsolationForest`` takes an eight, which lies in the
# middle of all digits, for the most normal of all. Where there is a classifier anyway, realness
# says more than its probabilities do: 0.905 to 0.880, and higher for eight of the ten digits.
#
# Spoiled pictures
# ----------------
# Now all ten digits are known, and the novelties are test pictures that something has happened to.
rng = np.random.default_rng(0)
pictures = X_test.reshape(-1, 8, 8)
spoiled = {
    "turned": np.rot90(pictures, axes=(1, 2)).reshape(-1, 64),
    "noisy": np.clip(X_test + rng.normal(0, 4, X_test.shape), 0, 16),
    "two in one": np.maximum(X_test, rng.permutation(X_test)),
    "lower half": np.where(np.arange(64) < 32, 0, X_test),
    "black on white": 16 - X_test,
    "pixels mixed up": rng.permuted(X_test, axis=1),
}
scores = fit_all(X, y)
print()
print_line("spoiled", scores)
known = np.repeat([True, False], len(X_test))
for name, rows in spoiled.items():
    both = np.concatenate([X_test, rows])
    auc[name] = [roc_auc_score(known, score(both)) for score in scores.values()]
    print_line(name, np.round(auc[name], 3))

fig, ax = plt.subplots(figsize=(8, 5), layout="constrained")
for i, (name, marker) in enumerate(zip(scores, "os^v", strict=True)):
    ax.plot([of[i] for of in auc.values()], range(len(auc)), marker, label=name, alpha=0.8)
ax.axvline(0.5, color="gray", linestyle=":")
ax.set_yticks(range(len(auc)), [f"unseen {k}" if k in range(10) else k for k in auc])
ax.invert_yaxis()
ax.set_xlabel("AUC (a half is chance)")
ax.grid(alpha=0.3)
ax.legend(loc="center left", bbox_to_anchor=(1, 0.5))
plt.show()

# %%
# Here ``LocalOutlierFactor`` is ahead throughout, and ``IsolationForest`` but for two digits in one
# picture. The discriminator has learned to tell real digits from the generator's, which are digits
# of a kind: what is turned on its side or noisy lies where nothing was learned. So this is no
# detector for faulty data. Realness is better than the highest probability for each of the six, and
# that is its use: to pass on a row that the classifier should not judge.
#
# The least and the most real
# ---------------------------
# For the unseen digit whose AUC is the upper median of the ten, so neither a very good nor a bad
# one. Its pictures are red.
ranked = sorted(range(10), key=lambda k: auc[k][0])
digit = ranked[5]
fig, axes = plt.subplot_mosaic(
    [["scores", "least"], ["scores", "most"]], figsize=(10, 4), layout="constrained"
)
unseen = y_test == digit
bins = np.histogram_bin_edges(realness[digit], 40)
axes["scores"].hist(realness[digit][~unseen], bins, density=True, alpha=0.6, label="known digits")
axes["scores"].hist(
    realness[digit][unseen], bins, density=True, alpha=0.6, color="tab:red", label=f"unseen {digit}"
)
axes["scores"].set(xlabel="realness (log-odds)", ylabel="density")
axes["scores"].legend()
order = np.argsort(realness[digit])
for name, chosen in {"least": order[:30], "most": order[:-31:-1]}.items():
    # White to black for known digits, white to red for the unseen one.
    color = np.where(unseen[chosen, np.newaxis], [0.85, 0.1, 0.1], [0.0, 0.0, 0.0])
    ink = pictures[chosen][..., np.newaxis] / 16
    images = 1 - ink * (1 - color[:, np.newaxis, np.newaxis])
    tiles = np.pad(images, [(0, 0), (1, 1), (1, 1), (0, 0)], constant_values=1)
    tiles = tiles.reshape(3, 10, 10, 10, 3).swapaxes(1, 2).reshape(30, 100, 3)
    axes[name].imshow(tiles)
    axes[name].set(title=f"{name} real", xticks=[], yticks=[])
plt.show()
