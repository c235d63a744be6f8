"""Virtual adversarial training."""

from __future__ import annotations

from numbers import Real
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from sklearn.base import clone
from sklearn.metrics import pairwise_distances
from sklearn.utils._param_validation import Interval, StrOptions

from sgan_sklearn import _losses
from sgan_sklearn.regularizers._base import Regularizer, UnlabeledRows
from sgan_sklearn.regularizers._simple_classifiers import random_subset

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["VirtualAdversarial"]

# Minimum automatic step length, and maximum number of labeled rows for the margin.
MIN_EPS = 0.1
MAX_MARGIN_LABELS = 1_000


class VirtualAdversarial(Regularizer):
    """Virtual adversarial training: predictions should not change in the worst direction.

    With the class probabilities ``p(x)`` and the step ``r`` of length `eps` that changes them most
    (approximated by one gradient), the term is::

        mean KL(p(x) || p(x + r))

    .. versionadded:: 0.1

    Parameters
    ----------
    eps : float or "auto", default="auto"
        Length of the step, in units of the scaled features. Decision boundaries keep about this
        distance from the rows. If the step is too long, it reaches other classes, which is most
        harmful for noisy tables. "auto" is 0.5 if each column has unit variance, as with the
        `scaling` "standard" and "asinh", and otherwise 1, as for pixels with a common scale. It is
        limited to at least 0.1 and at most the margin of the labeled rows: half the difference
        between the distances to the nearest row of another class and of the same class, or 0 if
        negative, averaged over the rows. For a custom `scaling`, pass a number.
    weight : float, default=1.0
        Weight of the term.
    ramp_up : int, default=500
        Number of training steps over which the weight increases to its full value.

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

    # Length of the first, random step, which must be short for a local gradient.
    PROBE = 0.1

    def __init__(self, eps: Any = "auto", *, weight: float = 1.0, ramp_up: int = 500) -> None:
        self.eps = eps
        self.weight = weight
        self.ramp_up = ramp_up

    def prepare(self, rows: np.ndarray, codes: np.ndarray, n_classes: int) -> VirtualAdversarial:
        """Return a copy with `eps` as a number."""
        eps = self.eps
        if isinstance(eps, str):
            deviations = rows.std(axis=0, dtype=np.float64)
            # Columns that were scaled individually have unit or, if constant, zero variance, nearly
            # so without the rows that early stopping holds out. Levels of categories, which are
            # zeros and ones, are ignored.
            alone = np.isclose(deviations, 1, atol=0.2) | (deviations == 0)
            alone |= ((rows == 0) | (rows == 1)).all(axis=0)
            eps = 0.5 if alone.all() else 1.0
            eps = max(MIN_EPS, min(eps, _margin(rows, codes)))
        return clone(self).set_params(eps=eps)

    def _check_prepared(self, n_classes: int) -> None:
        """Raise ValueError if `eps` is not a number."""
        if isinstance(self.eps, str):
            raise ValueError("The eps of a fitted model is a number.")

    def loss(self, unlabeled: UnlabeledRows) -> Tensor:
        """Return the mean divergence after the worst step."""
        rows, logits = unlabeled.rows, unlabeled.logits.detach()
        probe = rows + self.PROBE * _unit(torch.randn_like(rows))
        probe.requires_grad_()
        divergence = _losses.divergence(logits, unlabeled.classify(probe))
        (gradient,) = torch.autograd.grad(divergence, probe)
        return _losses.divergence(logits, unlabeled.classify(rows + self.eps * _unit(gradient)))


def _margin(rows: np.ndarray, codes: np.ndarray) -> float:
    """Return the mean distance of labeled rows from the boundary between nearest neighbors."""
    labeled = random_subset(np.flatnonzero(codes >= 0), MAX_MARGIN_LABELS)
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


def _unit(steps: Tensor) -> Tensor:
    """Scale each row to unit norm; zero rows do not change."""
    length = torch.linalg.vector_norm(steps.flatten(1), dim=1)
    return steps / length.clamp_min(1e-12).view(-1, *[1] * (steps.ndim - 1))
