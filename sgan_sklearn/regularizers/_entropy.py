"""Conditional entropy of unlabeled rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sgan_sklearn import _losses
from sgan_sklearn.regularizers._base import Regularizer, UnlabeledRows

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["ConditionalEntropy"]


class ConditionalEntropy(Regularizer):
    """Conditional entropy: predictions for unlabeled rows should be confident.

    ``mean_i H(p(x_i))``, with ``p`` the class probabilities and ``H(p) = -sum_k p_k log p_k``.

    .. versionadded:: 0.1

    Parameters
    ----------
    weight : float, default=0.1
        Weight of the term. If it is too large, the network becomes confident in early mistakes.
    ramp_up : int, default=1000
        Number of training steps over which the weight increases to its full value.

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
