"""Regularizers: terms on unlabeled rows, beside those of the objective.

One class for each, and :data:`REGULARIZERS` at the bottom. To add one, derive from
:class:`Regularizer`, then either add its line to the dict or pass an instance as
``SGANClassifier(regularizer=...)``.
"""

from __future__ import annotations

import math
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from sklearn.base import BaseEstimator, clone
from sklearn.ensemble import RandomForestClassifier, VotingClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score, pairwise_distances
from sklearn.model_selection import StratifiedKFold
from sklearn.utils import gen_batches
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from torch import nn

from sgan_sklearn import _losses

if TYPE_CHECKING:
    from torch import Tensor

__all__ = [
    "REGULARIZERS",
    "ClassPrior",
    "ConditionalEntropy",
    "Consistency",
    "Distillation",
    "PseudoLabel",
    "Regularizer",
    "UnlabeledRows",
    "VirtualAdversarial",
]

# Labeled rows that the model behind ClassPrior(prior="predicted") learns from, and rows that
# it is asked about.
MAX_PRIOR_LABELS = 2_000
MAX_PRIOR_ROWS = 10_000

# Labeled rows that the teacher of a Distillation learns from, its trees, rows that it is asked
# about at a time, parts of its cross-validation, and the least probability that it gives to a
# class.
MAX_TEACHER_LABELS = 2_000
N_TREES = 100
ROWS_AT_A_TIME = 10_000
MAX_SPLITS = 5
MIN_PROBABILITY = 1e-4

# The skill up to which a teacher is heeded in full, and from which not at all: there the network
# knows better.
NEEDED = 0.25
UNNEEDED = 0.75

# The shortest automatic step of virtual adversarial training, and the labeled rows that the margin
# is taken of.
MIN_EPS = 0.1
MAX_MARGIN_LABELS = 1_000

# How far a model's errors may move the shares of the classes, as a part of its mean doubt: not
# all of them go one way. A third is as good a guess, but a wrong prior harms more than the labels'.
EXPLAINED = 1 / 2


class UnlabeledRows:
    """Unlabeled rows of one training step, and what the discriminator says of them.

    Parameters
    ----------
    rows : Tensor of shape (n, ...)
        The rows, in the model space; labeled rows are among them, without their labels.
    discriminator : nn.Module
        The network in training.
    averaged : nn.Module
        The same network with averaged weights, a steadier teacher.
    class_logits : callable
        Turns the outputs of either into class logits.
    augment : callable
        Turns rows into another view of the same rows.
    indices : Tensor of shape (n,), default=None
        Places of the rows among those that `Regularizer.begin` has seen.
    """

    def __init__(
        self,
        rows: Tensor,
        discriminator: nn.Module,
        averaged: nn.Module,
        class_logits: Callable[[Tensor], Tensor],
        augment: Callable[[Tensor], Tensor],
        indices: Tensor | None = None,
    ) -> None:
        self.rows = rows
        self.indices = indices
        self.augment = augment
        self._discriminator = discriminator
        self._averaged = averaged
        self._class_logits = class_logits

    def classify(self, rows: Tensor) -> Tensor:
        """Return the class logits of any rows, without the network's noise."""
        with _without_noise(self._discriminator):
            return self._class_logits(self._discriminator(rows))

    def classify_noisy(self, rows: Tensor) -> Tensor:
        """Return the class logits of any rows, with the network's noise or dropout."""
        return self._class_logits(self._discriminator(rows))

    @cached_property
    def logits(self) -> Tensor:
        """Class logits of the rows, without the network's noise."""
        return self.classify(self.rows)

    @cached_property
    def averaged_logits(self) -> Tensor:
        """Class logits of the rows by the averaged network; no gradient."""
        with torch.no_grad():
            return self._class_logits(self._averaged(self.rows))


class Regularizer(BaseEstimator, ABC):
    """Term on unlabeled rows, added to the discriminator's loss.

    It is added with the factor ``unsupervised_weight * weight * ramp(step)``. A regularizer
    holds no network, and what it keeps from step to step belongs to the copy that `prepare` made
    for a training. It is a scikit-learn estimator only for the sake of its
    parameters: `clone` copies it and a grid reaches them as ``regularizer__name``.
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "weight": [Interval(Real, 0, None, closed="left")],
        "ramp_up": [Interval(Integral, 0, None, closed="left")],
    }

    name: ClassVar[str] = "regularizer"
    """Name of the term in ``SGANClassifier.history_``, its weight left out; no two the same."""

    passing: ClassVar[tuple[str, ...]] = ()
    """Attributes that belong to one training, and that pickles and copies leave out."""

    weight: float = 1.0
    ramp_up: int = 0

    def ramp(self, step: int) -> float:
        """Return the share of the weight at a training step: ``exp(-5 (1 - step/ramp_up)^2)``."""
        if step >= self.ramp_up:
            return 1.0
        return math.exp(-5 * (1 - step / self.ramp_up) ** 2)

    def prepare(self, rows: np.ndarray, codes: np.ndarray, n_classes: int) -> Regularizer:
        """Return a regularizer that knows of the training rows what it has to (default: itself).

        Parameters
        ----------
        rows : ndarray of shape (n_samples, ...)
            All training rows, in the model space.
        codes : ndarray of shape (n_samples,)
            Class codes from 0; -1 where there is no label.
        n_classes : int
            Number of classes. A part of the rows, in ``partial_fit``, may hold fewer.
        """
        return self

    def begin(self, rows: Tensor, codes: Tensor) -> None:
        """Look at the rows of a training that begins, or goes on (default: do nothing).

        Parameters
        ----------
        rows : Tensor of shape (n_samples, ...)
            All training rows, in the model space.
        codes : Tensor of shape (n_samples,)
            Class codes from 0; -1 where there is no label.
        """

    @abstractmethod
    def loss(self, unlabeled: UnlabeledRows) -> Tensor:
        """Return the term, a scalar."""

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what belongs to one training: tensors of its device."""
        state = super().__getstate__()
        return {name: value for name, value in state.items() if name not in self.passing}


class VirtualAdversarial(Regularizer):
    """Virtual adversarial training: the answer must not change in the worst direction.

    With ``p(x)`` the class probabilities and ``r`` the step of length `eps` that changes them
    most (found by one gradient)::

        mean KL(p(x) || p(x + r))

    Parameters
    ----------
    eps : float or "auto", default="auto"
        Length of the step, in units of the scaled features. Class borders keep about this
        distance from the rows. Too long a step reaches across classes, which ruins noisy
        tables first. "auto" is 0.5 if each column has unit deviation, as "standard" and "asinh"
        of `scaling` make it, and 1 if not, as where pixels share one scale; but at most the
        margin of the labeled rows: the mean of half of what the nearest row of another class is
        farther away than the nearest of the same (0 where it is nearer), and 0.1 at least. With a
        `scaling` of your own give a number.
    weight : float, default=1.0
        Weight of the term.
    ramp_up : int, default=1000
        Training steps over which the weight rises to its full value.

    References
    ----------
    Miyato et al., "Virtual Adversarial Training", 2017, arXiv:1704.03976.

    Examples
    --------
    >>> from sgan_sklearn import SGANClassifier
    >>> from sgan_sklearn.regularizers import VirtualAdversarial
    >>> SGANClassifier(regularizer=VirtualAdversarial(eps=1.0))
    SGANClassifier(regularizer=VirtualAdversarial(eps=1.0))
    """

    name = "virtual_adversarial"

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **Regularizer._parameter_constraints,
        "eps": [StrOptions({"auto"}), Interval(Real, 0, None, closed="neither")],
    }

    # Length of the first, random step; short, so that the gradient behind it is the local one.
    PROBE = 0.1

    def __init__(self, eps: Any = "auto", *, weight: float = 1.0, ramp_up: int = 1000) -> None:
        self.eps = eps
        self.weight = weight
        self.ramp_up = ramp_up

    def prepare(self, rows: np.ndarray, codes: np.ndarray, n_classes: int) -> VirtualAdversarial:
        """Return the same with `eps` as a number."""
        eps = self.eps
        if isinstance(eps, str):
            deviations = rows.std(axis=0)
            # Columns that were scaled on their own have unit deviation, constant ones none. The
            # levels of a category, zeros and ones, say nothing of the scale.
            alone = np.isclose(deviations, 1, atol=0.01) | (deviations == 0)
            alone |= ((rows == 0) | (rows == 1)).all(axis=0)
            eps = 0.5 if alone.all() else 1.0
            eps = max(MIN_EPS, min(eps, _margin(rows, codes)))
        return clone(self).set_params(eps=eps)

    def loss(self, unlabeled: UnlabeledRows) -> Tensor:
        """Return the mean divergence that the worst step causes."""
        rows, logits = unlabeled.rows, unlabeled.logits.detach()
        probe = rows + self.PROBE * _unit(torch.randn_like(rows))
        probe.requires_grad_()
        divergence = _losses.divergence(logits, unlabeled.classify(probe))
        (gradient,) = torch.autograd.grad(divergence, probe)
        return _losses.divergence(logits, unlabeled.classify(rows + self.eps * _unit(gradient)))


class ConditionalEntropy(Regularizer):
    """Conditional entropy: the answer on unlabeled rows should be a sure one.

    ``mean_i H(p(x_i))``, with ``p`` the class probabilities.

    Parameters
    ----------
    weight : float, default=0.1
        Weight of the term. Too much of it makes the network sure of its first mistakes.
    ramp_up : int, default=1000
        Training steps over which the weight rises to its full value.

    References
    ----------
    Grandvalet and Bengio, "Semi-supervised Learning by Entropy Minimization", 2004.

    Examples
    --------
    >>> from sgan_sklearn import SGANClassifier
    >>> from sgan_sklearn.regularizers import ConditionalEntropy
    >>> SGANClassifier(regularizer=ConditionalEntropy(weight=0.3))
    SGANClassifier(regularizer=ConditionalEntropy(weight=0.3))
    """

    name = "entropy"

    def __init__(self, *, weight: float = 0.1, ramp_up: int = 1000) -> None:
        self.weight = weight
        self.ramp_up = ramp_up

    def loss(self, unlabeled: UnlabeledRows) -> Tensor:
        """Return the mean entropy of the class probabilities."""
        return _losses.conditional_entropy(unlabeled.logits)


class ClassPrior(Regularizer):
    """Class-prior alignment: over many rows, each class should come as often as expected.

    With ``prior`` the expected shares, ``p`` the class probabilities and ``m`` their moving mean
    over the batches, ``m = decay * m_before + (1 - decay) * mean_i p(x_i)``::

        KL(prior || m)

    with the gradient divided by ``1 - decay``, which gives it the same strength whatever the
    decay. It keeps the other terms from giving a whole cloud of overlapping rows to one class.
    A batch alone is no measure of that: the shares of 50 rows differ by chance, and to make
    each batch even calls some of its rows by a wrong name.

    Parameters
    ----------
    prior : {"auto", "labels", "predicted", "uniform"} or array-like of shape (n_classes,), \
default="auto"
        Expected shares of the classes among all rows, in the order of ``classes_``.

        - "auto": "predicted" if those shares speak against those of the labels, otherwise
          "labels". They do if the two lie farther apart, in total variation, than half of
          ``1 - max p``, with ``p`` the class probabilities of the logistic regression, in the
          mean over the rows.
        - "labels": the shares among the labeled rows, right where these are a random sample.
        - "predicted": the shares that a logistic regression on the labeled rows predicts for
          all rows (the labels' own if every row is labeled). A rough guess, of use where rare
          classes got as many labels as common ones; where classes overlap much it can be far
          off.
        - "uniform": the same for each class.
    weight : float, default=1.0
        Weight of the term.
    ramp_up : int, default=1000
        Training steps over which the weight rises to its full value.
    decay : float, default=0.99
        Decay of the moving mean: about the last ``1 / (1 - decay)`` batches count. 0 takes each
        batch alone.

    References
    ----------
    Berthelot et al., "ReMixMatch", 2020, arXiv:1911.09785 (distribution alignment).

    Examples
    --------
    >>> from sgan_sklearn import SGANClassifier
    >>> from sgan_sklearn.regularizers import ClassPrior
    >>> SGANClassifier(regularizer=ClassPrior(prior="labels"))
    SGANClassifier(regularizer=ClassPrior(prior='labels'))
    """

    name = "class_prior"
    passing = ("mean_", "prior_")

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **Regularizer._parameter_constraints,
        "prior": [StrOptions({"auto", "labels", "predicted", "uniform"}), "array-like"],
        "decay": [Interval(Real, 0, 1, closed="left")],
    }

    def __init__(
        self,
        prior: Any = "auto",
        *,
        weight: float = 1.0,
        ramp_up: int = 1000,
        decay: float = 0.99,
    ) -> None:
        self.prior = prior
        self.weight = weight
        self.ramp_up = ramp_up
        self.decay = decay

    def prepare(self, rows: np.ndarray, codes: np.ndarray, n_classes: int) -> ClassPrior:
        """Return the same with the prior as an array, which must suit the classes."""
        labeled = codes >= 0
        if not isinstance(self.prior, str):
            try:
                prior = np.asarray(self.prior, dtype=np.float64)
            except (TypeError, ValueError):
                prior = np.empty(0)
            if prior.shape != (n_classes,) or not (np.isfinite(prior) & (prior > 0)).all():
                raise ValueError(
                    "The 'prior' parameter of ClassPrior must hold one positive share for each "
                    f"class. Got {self.prior!r} for {n_classes} classes. Give the shares in the "
                    "order of classes_, or 'auto'."
                )
        elif self.prior == "uniform":
            prior = np.ones(n_classes)
        else:
            counts = np.bincount(codes[labeled], minlength=n_classes)
            if not counts.all():
                raise ValueError(
                    f"ClassPrior(prior={self.prior!r}) needs a labeled row of each class, but "
                    f"{(counts == 0).sum()} of {n_classes} classes have none in the first part. "
                    "Give the prior as a list of shares, or 'uniform'."
                )
            prior = counts / labeled.sum()
            if self.prior != "labels" and n_classes > 1 and not labeled.all():
                predicted, doubt = _predicted_shares(rows, codes)
                refuted = np.abs(predicted - prior).sum() / 2 > EXPLAINED * doubt
                if refuted or self.prior == "predicted":
                    prior = predicted + 1 / len(rows)  # of each class a row at least
        return clone(self).set_params(prior=prior / prior.sum())

    def loss(self, unlabeled: UnlabeledRows) -> Tensor:
        """Return the divergence of the moving mean of the class probabilities from the prior."""
        probabilities = unlabeled.logits.softmax(dim=1).mean(dim=0)
        if not hasattr(self, "mean_"):
            self.prior_ = torch.as_tensor(self.prior).to(probabilities)
            self.mean_ = self.prior_
        mean = torch.lerp(self.mean_, probabilities, 1 - self.decay)
        self.mean_ = mean.detach()
        divergence = _losses.prior_divergence(mean, self.prior_)
        # The same value with another gradient.
        value = divergence.detach()
        return value + (divergence - value) / (1 - self.decay)


class Consistency(Regularizer):
    """Consistency: two noisy views of a row must get the same answer.

    ``mean_i |p(view_1(x_i)) - p(view_2(x_i))|^2``, the views differing by the augmentation, if
    there is one, and by the network's noise. The second view is a target without gradient.

    Parameters
    ----------
    weight : float, default=10.0
        Weight of the term, whose values are small beside those of a cross-entropy.
    ramp_up : int, default=1000
        Training steps over which the weight rises to its full value.

    References
    ----------
    Laine and Aila, "Temporal Ensembling for Semi-Supervised Learning" (its Pi-model), 2017,
    arXiv:1610.02242.

    Examples
    --------
    >>> from sgan_sklearn import SGANClassifier
    >>> from sgan_sklearn.regularizers import Consistency
    >>> SGANClassifier(regularizer=Consistency(weight=3.0))
    SGANClassifier(regularizer=Consistency(weight=3.0))
    """

    name = "consistency"

    def __init__(self, *, weight: float = 10.0, ramp_up: int = 1000) -> None:
        self.weight = weight
        self.ramp_up = ramp_up

    def loss(self, unlabeled: UnlabeledRows) -> Tensor:
        """Return the mean squared difference of the class probabilities of two views."""
        view = unlabeled.classify_noisy(unlabeled.augment(unlabeled.rows))
        with torch.no_grad():
            target = unlabeled.classify_noisy(unlabeled.augment(unlabeled.rows))
        return _losses.squared_difference(view, target)


class Distillation(Regularizer):
    """Distillation: heed what a simple classifier, fitted on the labels, says of unlabeled rows.

    With ``t(x)`` the class probabilities of that teacher and ``skill`` its balanced accuracy beyond
    chance in cross-validation on the labeled rows, from 0 to 1::

        clip(1.5 - 2 skill, 0, 1) * mean_i [no label] * KL(t(x_i) || p(x_i))

    Where a simple classifier does well the classes lie apart, and the unlabeled rows show their
    borders better than any teacher. Where it does badly the classes overlap: then a network finds
    structure in a few labels and many rows that is not there, and the teacher keeps it sober. With
    fewer than two classes of two labels or more its skill cannot be known, and it is not heeded.

    Parameters
    ----------
    estimator : classifier or None, default=None
        The teacher, with ``predict_proba``; it sees rows of the model space. None is the mean of a
        `RandomForestClassifier` and a `LogisticRegression`.
    weight : float, default=1.0
        Weight of the term.
    ramp_up : int, default=0
        Training steps over which the weight rises to its full value.
    adaptive : bool, default=True
        Whether the factor that goes by the teacher's skill is applied.

    References
    ----------
    Hinton et al., "Distilling the Knowledge in a Neural Network", 2015, arXiv:1503.02531.

    Xie et al., "Self-training with Noisy Student", 2020, arXiv:1911.04252.

    Examples
    --------
    >>> from sklearn.neighbors import KNeighborsClassifier
    >>> from sgan_sklearn import SGANClassifier
    >>> from sgan_sklearn.regularizers import Distillation
    >>> SGANClassifier(regularizer=Distillation(KNeighborsClassifier()))
    SGANClassifier(regularizer=Distillation(estimator=KNeighborsClassifier()))
    """

    name = "distillation"
    passing = ("targets_", "weights_")

    targets_: Tensor | None = None
    weights_: Tensor

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **Regularizer._parameter_constraints,
        "estimator": [HasMethods(["fit", "predict_proba"]), None],
        "adaptive": ["boolean"],
    }

    def __init__(
        self,
        estimator: Any = None,
        *,
        weight: float = 1.0,
        ramp_up: int = 0,
        adaptive: bool = True,
    ) -> None:
        self.estimator = estimator
        self.weight = weight
        self.ramp_up = ramp_up
        self.adaptive = adaptive

    def prepare(self, rows: np.ndarray, codes: np.ndarray, n_classes: int) -> Distillation:
        """Return the same, knowing the number of classes."""
        prepared = clone(self)
        prepared._n_classes = n_classes
        return prepared

    def begin(self, rows: Tensor, codes: Tensor) -> None:
        """Fit the teacher and ask it about all rows."""
        self.targets_ = None
        X, y = rows.flatten(1).cpu().numpy(), codes.cpu().numpy()
        if (y >= 0).all() or len(np.unique(y[y >= 0])) < 2:
            return
        labeled = _thinned_labels(y, MAX_TEACHER_LABELS)
        teacher = _simple_classifier() if self.estimator is None else clone(self.estimator)
        # A teacher without a seed would make each training another one.
        unseeded = {
            name: int(torch.randint(2**31 - 1, ()))
            for name, value in sorted(teacher.get_params().items())
            if name.split("__")[-1] == "random_state" and value is None
        }
        teacher.set_params(**unseeded)
        with _guessing():
            skill = _skill(teacher, X[labeled], y[labeled]) if self.adaptive else 0.0
            need = (UNNEEDED - skill) / (UNNEEDED - NEEDED)
            if need <= 0:
                return
            teacher.fit(X[labeled], y[labeled])
        probabilities = np.full((len(X), self._n_classes), MIN_PROBABILITY)
        known = teacher.classes_
        for part in gen_batches(len(X), ROWS_AT_A_TIME):
            probabilities[part, known] += teacher.predict_proba(X[part])
        self.targets_ = torch.from_numpy(np.log(probabilities).astype(np.float32)).to(rows.device)
        self.weights_ = min(need, 1.0) * (codes < 0)

    def loss(self, unlabeled: UnlabeledRows) -> Tensor:
        """Return the mean divergence of the answers from the teacher's."""
        if self.targets_ is None:
            return 0.0 * unlabeled.logits.sum()
        targets, weights = self.targets_[unlabeled.indices], self.weights_[unlabeled.indices]
        return _losses.divergence(targets, unlabeled.logits, weights)


class PseudoLabel(Regularizer):
    """Pseudo-labels: learn what the averaged network is sure of, on a noisy view of the row.

    With ``q`` the class probabilities of the averaged network and ``k`` its likeliest class::

        mean_i [max q(x_i) >= threshold] * CE(view(x_i), k_i)

    Parameters
    ----------
    threshold : float, default=0.95
        Probability from which an answer counts. A higher one takes fewer, surer rows.
    weight : float, default=1.0
        Weight of the term.
    ramp_up : int, default=1000
        Training steps over which the weight rises to its full value.

    References
    ----------
    Sohn et al., "FixMatch", 2020, arXiv:2001.07685.

    Tarvainen and Valpola, "Mean teachers are better role models", 2017, arXiv:1703.01780.

    Examples
    --------
    >>> from sgan_sklearn import SGANClassifier
    >>> from sgan_sklearn.regularizers import PseudoLabel
    >>> SGANClassifier(regularizer=PseudoLabel(threshold=0.9))
    SGANClassifier(regularizer=PseudoLabel(threshold=0.9))
    """

    name = "pseudo_label"

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **Regularizer._parameter_constraints,
        "threshold": [Interval(Real, 0, 1, closed="both")],
    }

    def __init__(self, threshold: float = 0.95, *, weight: float = 1.0, ramp_up: int = 1000):
        self.threshold = threshold
        self.weight = weight
        self.ramp_up = ramp_up

    def loss(self, unlabeled: UnlabeledRows) -> Tensor:
        """Return the cross-entropy with the sure answers of the averaged network."""
        view = unlabeled.classify_noisy(unlabeled.augment(unlabeled.rows))
        return _losses.pseudo_label_loss(view, unlabeled.averaged_logits, self.threshold)


def _margin(rows: np.ndarray, codes: np.ndarray) -> float:
    """Return how far labeled rows lie, in the mean, from the border of their nearest neighbors."""
    labeled = _thinned(np.flatnonzero(codes >= 0), MAX_MARGIN_LABELS)
    if len(labeled) < 2:
        return np.inf
    distances = pairwise_distances(rows[labeled].reshape(len(labeled), -1))
    np.fill_diagonal(distances, np.inf)
    same_class = codes[labeled][:, np.newaxis] == codes[labeled]
    nearest = distances.min(axis=1, where=same_class, initial=np.inf)
    nearest_other = distances.min(axis=1, where=~same_class, initial=np.inf)
    known = np.isfinite(nearest) & np.isfinite(nearest_other)
    if not known.any():  # one label of each class, or a single class
        return np.inf
    return float(np.maximum(nearest_other - nearest, 0)[known].mean() / 2)


def _predicted_shares(rows: np.ndarray, codes: np.ndarray) -> tuple[np.ndarray, float]:
    """Return the shares of the classes that a logistic regression predicts, and its mean doubt."""
    n_classes = codes.max() + 1
    labeled = _thinned_labels(codes, MAX_PRIOR_LABELS)
    asked = _thinned(np.arange(len(rows)), MAX_PRIOR_ROWS)
    model = LogisticRegression(max_iter=1000)
    with _guessing():
        model.fit(rows[labeled].reshape(len(labeled), -1), codes[labeled])
    probabilities = model.predict_proba(rows[asked].reshape(len(asked), -1))
    shares = np.bincount(probabilities.argmax(axis=1), minlength=n_classes) / len(probabilities)
    return shares, float(1.0 - probabilities.max(axis=1).mean())


@contextmanager
def _guessing() -> Iterator[None]:
    """Fit simple classifiers without their warnings.

    A guess need not have converged, and few labels a class are what this is for.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.filterwarnings("ignore", "The number of unique classes", UserWarning)
        yield


def _simple_classifier() -> VotingClassifier:
    """Return the mean of a forest and a linear model: one bends everywhere, one nowhere."""
    linear, forest = LogisticRegression(max_iter=1000), RandomForestClassifier(N_TREES)
    return VotingClassifier([("forest", forest), ("linear", linear)], voting="soft")


def _skill(classifier: Any, X: np.ndarray, codes: np.ndarray) -> float:
    """Return the balanced accuracy beyond chance in cross-validation, from 0 to 1.

    A single row of a class proves nothing. Where no two classes have more it is 1: nothing is known
    of a teacher that has seen so little, and a network learns more from the unlabeled rows.
    """
    counts = np.bincount(codes)[codes]
    X, codes = X[counts > 1], codes[counts > 1]
    if len(np.unique(codes)) < 2:
        return 1.0
    predicted = np.empty_like(codes)
    n_splits = min(MAX_SPLITS, counts[counts > 1].min())
    splits = StratifiedKFold(n_splits, shuffle=True, random_state=0)
    for train, test in splits.split(X, codes):
        predicted[test] = clone(classifier).fit(X[train], codes[train]).predict(X[test])
    return max(0.0, float(balanced_accuracy_score(codes, predicted, adjusted=True)))


def _thinned_labels(codes: np.ndarray, n_most: int) -> np.ndarray:
    """Return the indices of about `n_most` labeled rows at most, as many of each class."""
    classes = np.unique(codes[codes >= 0])
    return np.concatenate(
        [_thinned(np.flatnonzero(codes == code), n_most // len(classes)) for code in classes]
    )


def _thinned(indices: np.ndarray, n_most: int) -> np.ndarray:
    """Return at most `n_most` of the indices (but one at least), the same ones each time."""
    if len(indices) <= n_most:
        return indices
    # At random, since rows may come in a regular order.
    return np.random.RandomState(0).permutation(indices)[: max(n_most, 1)]


def _unit(steps: Tensor) -> Tensor:
    """Scale each row to length one; a row of zeros stays."""
    length = torch.linalg.vector_norm(steps.flatten(1), dim=1)
    return steps / length.clamp_min(1e-12).view(-1, *[1] * (steps.ndim - 1))


@contextmanager
def _without_noise(module: nn.Module) -> Iterator[None]:
    was_training = module.training
    module.eval()
    try:
        yield
    finally:
        module.train(was_training)


REGULARIZERS: dict[str, type[Regularizer]] = {
    regularizer.name: regularizer
    for regularizer in (
        ClassPrior,
        ConditionalEntropy,
        Consistency,
        Distillation,
        PseudoLabel,
        VirtualAdversarial,
    )
}
