"""Alignment of the predicted class proportions with a prior."""

from __future__ import annotations

from numbers import Real
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from sklearn.base import clone
from sklearn.utils._param_validation import Interval, StrOptions

from sgan_sklearn import _losses
from sgan_sklearn._storage.state import is_tensor_of
from sgan_sklearn.regularizers._base import Regularizer, UnlabeledRows
from sgan_sklearn.regularizers._simple_classifiers import (
    balanced_subset,
    ignore_fit_warnings,
    random_subset,
)

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["ClassPrior"]

# Maximum numbers of labeled rows to fit, and of rows to predict, with the model of "predicted".
MAX_PRIOR_LABELS = 2_000
MAX_PRIOR_ROWS = 10_000

# Assumed error of the predicted class proportions, as a fraction of the mean uncertainty: not all
# errors go in the same direction. A third works as well, but a wrong prior is more harmful than
# that of the labels.
EXPLAINED = 1 / 2


class ClassPrior(Regularizer):
    """Class-prior alignment: predicted class proportions should match a prior.

    With the expected proportions ``prior``, the class probabilities ``p`` and their moving average
    over the batches, ``m = decay * m_before + (1 - decay) * mean_i p(x_i)``, the term is::

        KL(prior || m)

    The gradient is divided by ``1 - decay``, so that its strength does not depend on the decay.
    The term keeps other terms from assigning a cluster of overlapping rows to a single class. The
    moving average is used because the proportions in a batch of 50 rows are random, and matching
    the prior in each batch would misclassify some rows.

    .. versionadded:: 0.1

    Parameters
    ----------
    prior : {"auto", "labels", "predicted", "uniform"} or array-like of shape (n_classes,), \
default="auto"
        Expected proportions of the classes among all rows, in the order of ``classes_``.

        - "auto": "predicted" if these proportions contradict those of the labels, otherwise
          "labels". They do if their total variation distance is larger than half the mean of
          ``1 - max p`` over the rows, with the class probabilities ``p`` of the logistic
          regression.
        - "labels": the proportions among the labeled rows, which are correct if these are a random
          sample.
        - "predicted": the proportions that a logistic regression on the labeled rows predicts for
          all rows (those of the labels if all rows are labeled). This rough estimate is useful if
          rare classes have as many labels as common ones, but can be inaccurate if classes
          overlap.
        - "uniform": the same proportion for each class.
    weight : float, default=1.0
        Weight of the term.
    ramp_up : int, default=500
        Number of training steps over which the weight increases to its full value.
    decay : float, default=0.99
        Decay of the moving average, over about ``1 / (1 - decay)`` batches. 0 uses each batch
        separately. The average begins at the prior in each `fit` and each `partial_fit`, so that
        the term is weak in the first batches.

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
    transient = ("mean_", "prior_")

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
        ramp_up: int = 500,
        decay: float = 0.99,
    ) -> None:
        self.prior = prior
        self.weight = weight
        self.ramp_up = ramp_up
        self.decay = decay

    def prepare(self, rows: np.ndarray, codes: np.ndarray, n_classes: int) -> ClassPrior:
        """Return a copy with the prior as an array, or raise ValueError if it is not valid."""
        labeled = codes >= 0
        if not isinstance(self.prior, str):
            try:
                prior = np.asarray(self.prior, dtype=np.float64)
            except (TypeError, ValueError):
                prior = np.empty(0)
            if prior.shape != (n_classes,) or not (np.isfinite(prior) & (prior > 0)).all():
                raise ValueError(
                    "The 'prior' parameter of ClassPrior must hold one positive number for each "
                    f"class. Got {self.prior!r} for {n_classes} classes. Give the proportions "
                    "in the order of classes_, or 'auto'."
                )
        elif self.prior == "uniform":
            prior = np.ones(n_classes)
        else:
            counts = np.bincount(codes[labeled], minlength=n_classes)
            if not counts.all():
                raise ValueError(
                    f"ClassPrior(prior={self.prior!r}) needs a labeled row of each class, but "
                    f"{(counts == 0).sum()} of {n_classes} classes have none (labels of weight 0 "
                    "do not count). Give the prior as a list of proportions, or 'uniform'."
                )
            prior = counts / labeled.sum()
            if self.prior != "labels" and n_classes > 1 and not labeled.all():
                predicted, doubt = _predicted_shares(rows, codes)
                refuted = np.abs(predicted - prior).sum() / 2 > EXPLAINED * doubt
                if refuted or self.prior == "predicted":
                    prior = predicted + 1 / len(rows)  # at least one row per class
        return clone(self).set_params(prior=prior / prior.sum())

    def _check_prepared(self, n_classes: int) -> None:
        """Raise ValueError if the prior does not have a positive proportion of each class."""
        prior = self.prior
        if not (
            isinstance(prior, np.ndarray)
            and prior.shape == (n_classes,)
            and prior.dtype == np.float64
            and (np.isfinite(prior) & (prior > 0)).all()
        ):
            raise ValueError(f"A prior of {n_classes} classes has a positive share of each.")

    def _check_training_state(self, values: dict[str, Any], n_rows: int, n_classes: int) -> None:
        """Raise ValueError if the proportions do not match the classes."""
        shares = [values[name] for name in self.transient if name in values]
        if not all(is_tensor_of(share, n_classes) for share in shares):
            raise ValueError(f"There are not {n_classes} classes.")

    def loss(self, unlabeled: UnlabeledRows) -> Tensor:
        """Return the divergence of the moving average of the class probabilities from the prior."""
        probabilities = _losses.mean_over_rows(unlabeled.logits.softmax(dim=1))
        if not hasattr(self, "mean_"):
            self.prior_ = torch.as_tensor(self.prior).to(probabilities)
            self.mean_ = self.prior_.clone()
        mean = torch.lerp(self.mean_, probabilities, 1 - self.decay)
        self.mean_.copy_(mean.detach())
        divergence = _losses.prior_divergence(mean, self.prior_)
        # Keep the value and scale the gradient.
        value = divergence.detach()
        return value + (divergence - value) / (1 - self.decay)


def _predicted_shares(rows: np.ndarray, codes: np.ndarray) -> tuple[np.ndarray, float]:
    """Return the class proportions predicted by a logistic regression, and its mean uncertainty."""
    # Imported here, so that programs that only predict do not load it.
    from sklearn.linear_model import LogisticRegression

    n_classes = codes.max() + 1
    labeled = balanced_subset(codes, MAX_PRIOR_LABELS)
    asked = random_subset(np.arange(len(rows)), MAX_PRIOR_ROWS)
    model = LogisticRegression(max_iter=1000)
    with ignore_fit_warnings():
        model.fit(rows[labeled].reshape(len(labeled), -1), codes[labeled])
        probabilities = model.predict_proba(rows[asked].reshape(len(asked), -1))
    shares = np.bincount(probabilities.argmax(axis=1), minlength=n_classes) / len(probabilities)
    return shares, float(1.0 - probabilities.max(axis=1).mean())
