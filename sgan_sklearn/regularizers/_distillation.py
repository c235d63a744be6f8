"""Distillation of a simple classifier."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from sklearn.base import clone
from sklearn.utils import gen_batches
from sklearn.utils._param_validation import HasMethods

from sgan_sklearn import _losses
from sgan_sklearn._runtime.random import next_seed, released_lock
from sgan_sklearn._storage.state import is_tensor_of
from sgan_sklearn.regularizers._base import Regularizer, UnlabeledRows
from sgan_sklearn.regularizers._simple_classifiers import (
    balanced_subset,
    flat_rows,
    ignore_fit_warnings,
    label_spreading_accuracy,
    seeded_clone,
)

if TYPE_CHECKING:
    from sklearn.ensemble import VotingClassifier
    from torch import Tensor

    from sgan_sklearn._data.rows import Rows

__all__ = ["Distillation"]

# Maximum number of labeled rows for the teacher, number of its trees, number of rows that it
# predicts at a time, and minimum probability of a class.
MAX_TEACHER_LABELS = 2_000
N_TREES = 100
ROWS_AT_A_TIME = 10_000
MIN_PROBABILITY = 1e-4

# Scores of label spreading up to which the teacher has full weight, and from which it has none.
NEEDED = 0.3
UNNEEDED = 0.6


class Distillation(Regularizer):
    """Distillation: match the predictions of a simple classifier for unlabeled rows.

    The teacher is fitted on the labeled rows. With its class probabilities ``t(x)`` and the
    chance-adjusted balanced accuracy ``s`` of ``LabelSpreading``, from 0 to 1, in cross-validation
    on the labeled rows, the term is::

        clip(2 - s / 0.3, 0, 1) * mean_i [no label] * KL(t(x_i) || p(x_i))

    If label spreading works well, the classes are separated, and the unlabeled rows show the
    decision boundaries better than a teacher. Otherwise the classes overlap, and the teacher keeps
    the network from overfitting a few labels. If fewer than two classes have at least two labels,
    ``s`` is set to 1 and the teacher is not used.

    .. versionadded:: 0.1

    Parameters
    ----------
    estimator : classifier or None, default=None
        The teacher, with ``predict_proba``, for rows in the model space. None uses the mean of a
        ``RandomForestClassifier`` and a ``LogisticRegression``.
    weight : float, default=10.0
        Weight of the term. With a large weight, the network follows the teacher for all unlabeled
        rows.
    ramp_up : int, default=0
        Number of training steps over which the weight increases to its full value.
    adaptive : bool, default=True
        Whether the factor of the mean depends on ``s``. If False, it is 1.

    Attributes
    ----------
    factor_ : float
        Factor of the mean, set by training in the copy of the regularizer in
        ``SGANClassifier.net_.regularizers``. If it is 0, no teacher was fitted.
    n_classes_ : int
        Number of classes, set in the same copy.

    Notes
    -----
    Label spreading uses the distinct rows among up to 2,000 labeled and 2,000 unlabeled rows, with
    ``alpha=0.8`` and a graph of the 7 nearest neighbors including the row itself (fewer for small
    data sets). With fewer than five labels per class, ``s`` is a rough estimate.

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
    transient = ("targets_", "weights_")

    factor_: float
    n_classes_: int
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
        """Return a copy with the number of classes."""
        if isinstance(self.estimator, type):
            raise ValueError(
                "The 'estimator' parameter of Distillation must be an instance of a classifier. "
                f"Got the class {self.estimator.__name__}: write {self.estimator.__name__}()."
            )
        prepared = clone(self)
        prepared.n_classes_ = n_classes
        return prepared

    def _check_prepared(self, n_classes: int) -> None:
        """Raise ValueError if the number of classes differs."""
        known = type(self.n_classes_) is int and self.n_classes_ == n_classes
        if not known or not isinstance(getattr(self, "factor_", 0.0), float):
            raise ValueError(f"A teacher of {n_classes} classes knows their number.")

    def _check_training_state(self, values: dict[str, Any], n_rows: int, n_classes: int) -> None:
        """Raise ValueError if the targets do not match the rows."""
        targets, weights = values.get("targets_"), values.get("weights_")
        if targets is not None and not (
            is_tensor_of(targets, n_rows, n_classes) and is_tensor_of(weights, n_rows)
        ):
            raise ValueError(f"There are no targets for {n_rows} rows.")

    def start_training(self, rows: Rows, codes: Tensor) -> None:
        """Fit the teacher and store its predictions for all rows."""
        self.targets_, self.factor_ = None, 0.0
        y = codes.cpu().numpy()
        if self.weight == 0 or (y >= 0).all() or len(np.unique(y[y >= 0])) < 2:
            return
        with released_lock(rows.device):
            spread = label_spreading_accuracy(rows, y) if self.adaptive else 0.0
        self.factor_ = float(np.clip((UNNEEDED - spread) / (UNNEEDED - NEEDED), 0, 1))
        if self.factor_ == 0:
            return
        labeled = balanced_subset(y, MAX_TEACHER_LABELS)
        try:
            log_targets = self._fit_teacher(rows, labeled, y[labeled])
        except ValueError as error:
            raise ValueError(
                "The 'estimator' parameter of Distillation must be a classifier that can learn "
                f"from {len(labeled)} labeled rows of the model space, with negative values. Got "
                f"{self.estimator!r}, which raised: {error}"
            ) from error
        self.targets_ = torch.from_numpy(log_targets).to(rows.device)
        self.weights_ = self.factor_ * (codes < 0)

    def _fit_teacher(self, rows: Rows, labeled: np.ndarray, codes: np.ndarray) -> np.ndarray:
        """Fit a teacher on the labeled rows and return its log-probabilities for all rows."""
        teacher = _simple_classifier() if self.estimator is None else self.estimator
        teacher = seeded_clone(teacher, next_seed)
        probabilities = np.full((len(rows), self.n_classes_), MIN_PROBABILITY, dtype=np.float32)
        with released_lock(rows.device), ignore_fit_warnings():
            teacher.fit(flat_rows(rows, labeled), codes)
            known = teacher.classes_
            for part in gen_batches(len(rows), ROWS_AT_A_TIME):
                probabilities[part, known] += teacher.predict_proba(flat_rows(rows, part))
        if not (np.isfinite(probabilities).all() and (probabilities > 0).all()):
            raise ValueError("its class probabilities are negative or not finite.")
        return np.log(probabilities, out=probabilities)

    def loss(self, unlabeled: UnlabeledRows) -> Tensor:
        """Return the mean divergence of the predictions from those of the teacher."""
        if self.targets_ is None:
            return 0.0 * unlabeled.logits.sum()
        targets, weights = self.targets_[unlabeled.indices], self.weights_[unlabeled.indices]
        return _losses.divergence(targets, unlabeled.logits, weights)


def _simple_classifier() -> VotingClassifier:
    """Return the mean of a flexible model, a random forest, and a linear one."""
    # Imported here, so that programs that only predict do not load it.
    from sklearn.ensemble import RandomForestClassifier, VotingClassifier
    from sklearn.linear_model import LogisticRegression

    linear, forest = LogisticRegression(max_iter=1000), RandomForestClassifier(N_TREES)
    return VotingClassifier([("forest", forest), ("linear", linear)], voting="soft")
