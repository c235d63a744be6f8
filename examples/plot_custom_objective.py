"""
==========================
An objective of your own
==========================

What the two networks play for is one class. Here the least-squares GAN (Mao et al. 2017,
`arXiv:1611.04076 <https://arxiv.org/abs/1611.04076>`_) becomes a semi-supervised one in a dozen
lines, and meets two objectives that come with the package.
"""

# %%
# The class
# ---------
# An ``Objective`` says what the outputs of the discriminator mean and what the two networks
# minimize. What a subclass leaves alone stays: K class logits, their log-sum-exp as the log-odds
# that a row is real (``realness``), and the cross-entropy of the labeled rows.
#
# In the least-squares GAN the discriminator pulls its answer for real rows to one number, here
# ``target``, and that for generated rows to another, here ``-target``, by squared differences. The
# generator pulls the answer for its rows to ``target``. The logarithm of a GAN saturates where the
# discriminator is sure; a square does not.
#
# Each method returns a dict of scalar tensors. Its entry "loss" is minimized, the others are
# recorded by name. ``__init__`` only assigns, as in every estimator of scikit-learn, so that
# ``clone`` copies the objective and a grid reaches ``objective__target``.
import matplotlib.pyplot as plt
from sklearn.datasets import load_digits

from sgan_sklearn import HistoryDisplay, SGANClassifier
from sgan_sklearn.model_selection import mask_labels
from sgan_sklearn.objectives import Objective


class LeastSquares(Objective):
    def __init__(self, target=1.0):
        self.target = target

    def unsupervised_loss(self, unlabeled, generated):
        real = (self.realness(unlabeled) - self.target).square().mean()
        made_up = (self.realness(generated) + self.target).square().mean()
        return {"loss": 0.5 * (real + made_up), "real": real, "generated": made_up}

    def generator_loss(self, discriminator, batch, generated):
        realness = self.realness(discriminator(generated))
        return {"loss": (realness - self.target).square().mean()}


# %%
# Against the others
# ------------------
# An instance goes in where the names of the built-in ones go. "stacked" is the nearest relative:
# the same outputs, and a generator that wants its rows called real, but with logarithms. In
# "feature_matching" the generator matches the mean of a hidden layer instead. Five labels of each
# class, two draws of them; ``regularizer=None`` leaves the objective alone on the field.
X, y = load_digits(return_X_y=True)
objectives = {
    "LeastSquares()": LeastSquares(),
    '"stacked"': "stacked",
    '"feature_matching"': "feature_matching",
    "the labels alone": None,
}
fitted = {}
print(f"{'':22}accuracy on the hidden labels")
for name, objective in objectives.items():
    accuracies = []
    for draw in range(2):
        few_labels = mask_labels(y, per_class=5, random_state=draw)
        hidden = few_labels == -1
        clf = SGANClassifier(
            objective=objective or "stacked",
            unsupervised_weight=0.0 if objective is None else 1.0,
            regularizer=None,
            max_epochs=12,
            random_state=draw,
        )
        clf.fit(X, few_labels)
        accuracies.append(clf.score(X[hidden], y[hidden]))
    fitted[name] = clf
    print(f"{name:22}" + "".join(f"{value:8.3f}" for value in accuracies))

# %%
# All three objectives gain from the unlabeled rows. The least squares gain less than the two
# that come with the package. That is two draws of the labels on one data set, and a ``target`` that
# nobody tuned.
#
# The losses
# ----------
# ``HistoryDisplay`` draws any of the recorded terms, those of one's own objective as well. The
# numbers of the two panels are not to be compared: the one counts squares, the other logarithms.
fig, axes = plt.subplots(1, 2, figsize=(9, 3.5), layout="constrained")
terms = ["supervised", "real", "generated", "generator_loss"]
for ax, name in zip(axes, list(fitted)[:2], strict=True):
    HistoryDisplay.from_estimator(fitted[name], terms=terms, ax=ax)
    ax.set_title(name)
plt.show()
