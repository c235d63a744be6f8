"""Loss terms: pure functions of tensors, one formula each.

Notation: ``l`` are the K class logits of a row and ``LSE = logsumexp(l)``. The logit of the
generated class is fixed at zero, so ``p(real | x) = sigmoid(LSE)``, and LSE itself is the
log-odds that the row is real.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = [
    "feature_distance",
    "generated_loss",
    "real_loss",
    "realness",
    "supervised_loss",
]


def realness(logits: Tensor) -> Tensor:
    """Log-odds that each row is real: ``LSE = log sum_k exp(l_k)``."""
    return torch.logsumexp(logits, dim=1)


def supervised_loss(logits: Tensor, codes: Tensor) -> Tensor:
    """Cross-entropy of the labeled rows: ``mean(LSE - l_y)``."""
    return F.cross_entropy(logits, codes)


def real_loss(log_odds: Tensor) -> Tensor:
    """Cost of doubting real rows: ``mean(-log sigmoid(LSE)) = mean(softplus(-LSE))``."""
    return F.softplus(-log_odds).mean()


def generated_loss(log_odds: Tensor) -> Tensor:
    """Cost of believing generated rows: ``mean(-log(1 - sigmoid(LSE))) = mean(softplus(LSE))``."""
    return F.softplus(log_odds).mean()


def feature_distance(real: Tensor, generated: Tensor, norm: str) -> Tensor:
    """Distance of the mean features: ``mean_j |m_j|`` ("l1") or ``mean_j m_j^2`` ("l2").

    ``m = mean_i f(real_i) - mean_i f(generated_i)``, averaged over the batch; a feature may
    have any shape behind the batch dimension.
    """
    gap = real.mean(dim=0) - generated.mean(dim=0)
    return gap.abs().mean() if norm == "l1" else gap.square().mean()
