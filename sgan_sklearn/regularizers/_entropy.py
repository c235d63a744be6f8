"""Conditional entropy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sgan_sklearn import _losses
from sgan_sklearn.regularizers._base import Regularizer, UnlabeledRows

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["ConditionalEntropy"]


class ConditionalEntropy(Regularizer):
    """Conditional entropy: the answer on unlabeled rows should be a sure one.

    ``mean_i H(p(x_i))``, with ``p`` the class probabilities and ``H(p) = -sum_k p_k log p_k``.

    .. versionadded:: 0.1

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
