"""Distillation of a simple classifier."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from sklearn.base import clone
from sklearn.ensemble import RandomForestClassifier, VotingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import StratifiedKFold
from sklearn.utils import gen_batches
from sklearn.utils._param_validation import HasMethods

from sgan_sklearn import _losses
from sgan_sklearn.regularizers._base import Regularizer, UnlabeledRows
from sgan_sklearn.regularizers._guesses import guessing, thinned_labels

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Distillation"]

# Labeled rows that the teacher learns from, its trees, rows that it is asked about at a time,
# parts of its cross-validation, and the least probability that it gives to a class.
MAX_TEACHER_LABELS = 2_000
N_TREES = 100
ROWS_AT_A_TIME = 10_000
MAX_SPLITS = 5
MIN_PROBABILITY = 1e-4

# The skill up to which a teacher is heeded in full, and from which not at all: there the network
# knows better.
NEEDED = 0.25
UNNEEDED = 0.75


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
        labeled = thinned_labels(y, MAX_TEACHER_LABELS)
        teacher = _simple_classifier() if self.estimator is None else clone(self.estimator)
        # A teacher without a seed would make each training another one.
        unseeded = {
            name: int(torch.randint(2**31 - 1, ()))
            for name, value in sorted(teacher.get_params().items())
            if name.split("__")[-1] == "random_state" and value is None
        }
        teacher.set_params(**unseeded)
        with guessing():
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
