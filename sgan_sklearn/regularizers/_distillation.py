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
from sklearn.semi_supervised import LabelSpreading
from sklearn.utils import gen_batches
from sklearn.utils._param_validation import HasMethods

from sgan_sklearn import _losses
from sgan_sklearn.regularizers._base import Regularizer, UnlabeledRows
from sgan_sklearn.regularizers._guesses import guessing, thinned, thinned_labels

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Distillation"]

# Labeled rows that the teacher learns from, its trees, rows that it is asked about at a time, and
# the least probability that it gives to a class.
MAX_TEACHER_LABELS = 2_000
N_TREES = 100
ROWS_AT_A_TIME = 10_000
MIN_PROBABILITY = 1e-4

# The success of label spreading up to which a teacher is heeded in full, and from which not at all.
NEEDED = 0.3
UNNEEDED = 0.6

# Labeled and unlabeled rows that labels are spread over, and parts of the cross-validation.
MAX_SPREAD_ROWS = 2_000
MAX_SPLITS = 5

# Neighbors of a row, and how much it heeds them: enough for a label to get around two moons.
N_NEIGHBORS = 7
ALPHA = 0.8
SPREADING_STEPS = 100


class Distillation(Regularizer):
    """Distillation: heed what a simple classifier, fitted on the labels, says of unlabeled rows.

    With ``t(x)`` the class probabilities of that teacher and ``s`` the balanced accuracy beyond
    chance, from 0 to 1, of spreading labels from neighbor to neighbor among all rows (by
    `LabelSpreading`, in cross-validation on the labeled ones)::

        clip(2 - s / 0.3, 0, 1) * mean_i [no label] * KL(t(x_i) || p(x_i))

    Where labels spread well the classes lie apart, and the unlabeled rows show their borders better
    than any teacher. Where they do not the classes overlap: then a network finds structure in a
    few labels and many rows that is not there, and the teacher keeps it sober. With fewer than two
    classes of two labels or more nothing is known of this, and the teacher is not heeded.

    Parameters
    ----------
    estimator : classifier or None, default=None
        The teacher, with ``predict_proba``; it sees rows of the model space. None is the mean of a
        `RandomForestClassifier` and a `LogisticRegression`.
    weight : float, default=10.0
        Weight of the term. With much of it the network follows the teacher wherever there is no
        label.
    ramp_up : int, default=0
        Training steps over which the weight rises to its full value.
    adaptive : bool, default=True
        Whether the factor before the mean is applied.

    References
    ----------
    Hinton et al., "Distilling the Knowledge in a Neural Network", 2015, arXiv:1503.02531.

    Zhou et al., "Learning with Local and Global Consistency" (label spreading), 2004.

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
        weight: float = 10.0,
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
        spread = _success_of_spreading(X, y) if self.adaptive else 0.0
        need = (UNNEEDED - spread) / (UNNEEDED - NEEDED)
        if need <= 0:
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


def _success_of_spreading(X: np.ndarray, codes: np.ndarray) -> float:
    """Return the balanced accuracy of label spreading beyond chance, from 0 to 1.

    A single row of a class proves nothing. Where no two classes have more it is 1, as if all went
    well: a network that nobody has proved wrong learns more from the unlabeled rows.
    """
    labeled = thinned_labels(codes, MAX_SPREAD_ROWS)
    counts = np.bincount(codes[labeled])[codes[labeled]]
    if len(np.unique(codes[labeled[counts > 1]])) < 2:
        return 1.0
    unlabeled = thinned(np.flatnonzero(codes < 0), MAX_SPREAD_ROWS)
    X = np.concatenate([X[labeled], X[unlabeled]])
    true = np.concatenate([codes[labeled], np.full(len(unlabeled), -1)])
    judged = np.flatnonzero(counts > 1)
    guessed = np.empty(len(judged), dtype=true.dtype)
    n_splits = min(MAX_SPLITS, counts[judged].min())
    splits = StratifiedKFold(n_splits, shuffle=True, random_state=0)
    for _, hidden in splits.split(judged, true[judged]):
        known = true.copy()
        known[judged[hidden]] = -1
        model = LabelSpreading(
            kernel="knn",
            n_neighbors=min(N_NEIGHBORS, len(X)),
            alpha=ALPHA,
            max_iter=SPREADING_STEPS,
        )
        with guessing(), np.errstate(invalid="ignore"):  # there may be rows that no label reaches
            model.fit(X, known)
        guessed[hidden] = model.transduction_[judged[hidden]]
    return max(0.0, float(balanced_accuracy_score(true[judged], guessed, adjusted=True)))
