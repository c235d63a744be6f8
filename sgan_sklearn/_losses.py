"""Loss terms as pure functions of tensors.

Notation: ``l`` are the K class logits of a row and ``LSE = logsumexp(l)``. The logit of the
generated class is fixed at zero, so ``p(real | x) = sigmoid(LSE)``, and LSE is the log-odds that
the row is real. If the generated class has a separate logit, `relative_logits` subtracts it.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from sgan_sklearn._runtime.processes import all_rows, mean_over_rows

__all__ = [
    "conditional_entropy",
    "divergence",
    "feature_distance",
    "generated_loss",
    "mean_over_rows",
    "prior_divergence",
    "pseudo_label_loss",
    "pull_away",
    "real_loss",
    "realness",
    "relative_logits",
    "soft_cross_entropy",
    "squared_difference",
    "supervised_loss",
]


def relative_logits(logits: Tensor) -> Tensor:
    """Logits of K classes relative to the generated class, the last of K+1: ``l_k - l_{K+1}``.

    The softmax of these logits and a zero equals the softmax over K+1 classes.
    """
    return logits[:, :-1] - logits[:, -1:]


def realness(logits: Tensor) -> Tensor:
    """Log-odds that each row is real: ``LSE = log sum_k exp(l_k)``."""
    return torch.logsumexp(logits, dim=1)


def supervised_loss(logits: Tensor, codes: Tensor, weights: Tensor | None = None) -> Tensor:
    """Cross-entropy of the labeled rows: ``mean_i w_i (LSE - l_y)``.

    The weights are one by default. The loss is zero if there are no labeled rows.
    """
    if len(codes) == 0:
        return logits.sum()
    if weights is None:
        return F.cross_entropy(logits, codes)
    # Not divided by the sum of weights, so that a batch with larger weights counts more.
    return (weights * F.cross_entropy(logits, codes, reduction="none")).mean()


def real_loss(log_odds: Tensor, label_smoothing: float = 0.0) -> Tensor:
    """Cross-entropy of real rows: ``mean(-log sigmoid(LSE)) = mean(softplus(-LSE))``.

    With label smoothing ``s`` the target is ``1 - s``:
    ``mean((1 - s) softplus(-LSE) + s softplus(LSE)) = mean(softplus(-LSE)) + s mean(LSE)``.
    """
    loss = F.softplus(-log_odds).mean()
    return loss + label_smoothing * log_odds.mean() if label_smoothing else loss


def generated_loss(log_odds: Tensor) -> Tensor:
    """Cross-entropy of generated rows: ``mean(-log(1 - sigmoid(LSE))) = mean(softplus(LSE))``."""
    return F.softplus(log_odds).mean()


def feature_distance(real: Tensor, generated: Tensor, norm: str) -> Tensor:
    """Distance between mean features: ``mean_j |m_j|`` ("l1") or ``mean_j m_j^2`` ("l2").

    ``m = mean_i f(real_i) - mean_i f(generated_i)``, averaged over all rows of the step. Features
    may have any shape after the batch dimension.
    """
    difference = mean_over_rows(real) - mean_over_rows(generated)
    return difference.abs().mean() if norm == "l1" else difference.square().mean()


def conditional_entropy(logits: Tensor) -> Tensor:
    """Mean entropy of the class probabilities: ``mean(-sum_k p_k log p_k)``."""
    log_p = F.log_softmax(logits, dim=1)
    return -(log_p.exp() * log_p).sum(dim=1).mean()


def pull_away(features: Tensor) -> Tensor:
    """Similarity of the rows of a step: ``1 / (n (n - 1)) sum_{i != j} cos(f_i, f_j)^2``.

    Zero for a single row.
    """
    features = all_rows(features)
    directions = F.normalize(features.flatten(start_dim=1), dim=1)
    cosines = (directions @ directions.T).triu(diagonal=1)  # each pair once
    n_pairs = len(features) * (len(features) - 1) // 2
    return cosines.square().sum() / max(n_pairs, 1)


def divergence(logits: Tensor, other_logits: Tensor, weights: Tensor | None = None) -> Tensor:
    """Kullback-Leibler divergence of predictions: ``mean_i w_i sum_k p_k (log p_k - log q_k)``.

    The weights are one by default.
    """
    log_p, log_q = F.log_softmax(logits, dim=1), F.log_softmax(other_logits, dim=1)
    by_row = (log_p.exp() * (log_p - log_q)).sum(dim=1)
    return (by_row if weights is None else weights * by_row).mean()


def prior_divergence(mean: Tensor, prior: Tensor) -> Tensor:
    """Divergence of the mean prediction: ``sum_k prior_k (log prior_k - log mean_k)``.

    A small constant is added to the mean, so that a class with probability zero has a gradient.
    """
    return (prior * (prior.log() - (mean + 1e-8).log())).sum()


def squared_difference(logits: Tensor, other_logits: Tensor) -> Tensor:
    """Squared distance between predictions: ``mean(sum_k (p_k - q_k)^2)``."""
    return (logits.softmax(dim=1) - other_logits.softmax(dim=1)).square().sum(dim=1).mean()


def soft_cross_entropy(logits: Tensor, teacher_logits: Tensor) -> Tensor:
    """Cross-entropy with the probabilities of a teacher: ``mean(sum_k -q_k log p_k)``."""
    return F.cross_entropy(logits, teacher_logits.softmax(dim=1))


def pseudo_label_loss(logits: Tensor, teacher_logits: Tensor, threshold: float | Tensor) -> Tensor:
    """Cross-entropy with a confident teacher: ``mean([max q >= threshold] (LSE - l_argmax q))``.

    The threshold is a number, or a tensor with one for each class.
    """
    confidence, codes = teacher_logits.softmax(dim=1).max(dim=1)
    if isinstance(threshold, Tensor):
        threshold = threshold[codes]
    losses = F.cross_entropy(logits, codes, reduction="none")
    return (losses * (confidence >= threshold)).mean()
