"""Distributions of columns, represented by ranks and quantiles."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from scipy.special import ndtri
from torch import Tensor

from sgan_sklearn.architectures import Heads

__all__ = ["ColumnMap", "known_numbers", "normal_scores"]

# Maximum number of quantiles per column and, approximately, of all columns.
N_QUANTILES = 2_001
MAX_QUANTILES = 2**19


class ColumnMap:
    """Map each generated numeric column to its distribution in the training rows.

    Each value is replaced by the value of the same rank in the training rows, with interpolation.
    Levels of categories do not change. A sampler can use this map as its last step.

    .. versionadded:: 0.1

    Parameters
    ----------
    real : ndarray of shape (n, n_features)
        Training rows.
    generated : ndarray of shape (m, n_features)
        Generated rows, whose numbers may have any scale.
    heads : Heads
        Features that are levels of categories, which are the last features, and numbers that may
        be missing. The replacements of missing values are not part of a distribution.

    See Also
    --------
    CriticSampler : Maps its rows to the distributions of the training rows.

    Examples
    --------
    >>> import numpy as np
    >>> import torch
    >>> from sgan_sklearn.architectures import Heads
    >>> from sgan_sklearn.samplers import ColumnMap
    >>> real = np.array([[10], [20], [30], [40], [90]], dtype=np.float32)
    >>> generated = np.array([[0], [1], [2], [3], [4]], dtype=np.float32)
    >>> column_map = ColumnMap(real, generated, Heads())
    >>> column_map(torch.tensor([[0.0], [2.0], [4.0]]))
    tensor([[10.],
            [30.],
            [90.]])
    """

    def __init__(self, real: np.ndarray, generated: np.ndarray, heads: Heads) -> None:
        self.heads = heads
        self.values = _column_quantiles(real, known_numbers(real, heads))
        known = known_numbers(generated, heads)
        self.scores = _column_quantiles(generated, known, like=self.values)

    def __call__(self, rows: Tensor) -> Tensor:
        """Map the numbers of generated rows to the distributions of the training rows.

        Parameters
        ----------
        rows : Tensor of shape (n, n_features)
            Generated rows from the same distribution as `generated`, on the CPU. Not changed.

        Returns
        -------
        mapped : Tensor of shape (n, n_features)
            The mapped rows.
        """
        mapped = rows.clone()
        known = known_numbers(rows.numpy(), self.heads)
        for i, (scores, values) in enumerate(zip(self.scores, self.values, strict=True)):
            column = torch.from_numpy(known[:, i])
            numbers = _match_ranks(rows[column, i].numpy(), scores, values)
            mapped[column, i] = torch.from_numpy(numbers)
        return mapped

    def _plain_state(self) -> dict[str, Any]:
        """Return the state for `_from_plain_state`, without the heads."""
        return {"values": self.values, "scores": self.scores}

    @classmethod
    def _from_plain_state(cls, state: Any, heads: Heads, n_features: int) -> ColumnMap:
        """Restore the map from a plain state, or raise an error if it is not valid."""
        n_numbers = heads.blocks[0].start if heads.blocks else n_features
        values, scores = state["values"], state["scores"]
        if not len(values) == len(scores) == n_numbers:
            raise ValueError(f"A map of {n_numbers} columns must have quantiles of each column.")
        for quantiles in (*values, *scores):
            is_vector = isinstance(quantiles, np.ndarray) and quantiles.ndim == 1
            if not is_vector or quantiles.dtype != np.float32 or not len(quantiles):
                raise ValueError("The quantiles of a column must be a vector of float32.")
            if not np.isfinite(quantiles).all() or (np.diff(quantiles) < 0).any():
                raise ValueError("The quantiles of a column must be finite and sorted.")
        if any(len(a) != len(b) for a, b in zip(values, scores, strict=True)):
            raise ValueError(
                "A column must have the same number of quantiles for generated and real rows."
            )
        column_map: ColumnMap = object.__new__(cls)
        column_map.heads, column_map.values, column_map.scores = heads, values, scores
        return column_map


def known_numbers(rows: np.ndarray, heads: Heads) -> np.ndarray:
    """Return the mask of the numbers that are not missing, shape (n, n_numbers)."""
    n_numbers = heads.blocks[0].start if heads.blocks else rows.shape[1]
    known = np.ones((len(rows), n_numbers), dtype=bool)
    for column, indicator, _ in heads.missing:
        known[:, column] = rows[:, indicator] == 0
    return known


def normal_scores(columns: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Return normal scores of the ranks of each column, with equal values in random order.

    Missing values get the score of a random rank.
    """
    scores = np.empty(known.shape, dtype=np.float32)
    for i in range(known.shape[1]):
        values, n_known = columns[known[:, i], i], known[:, i].sum()
        by_rank = ndtri((np.arange(n_known) + 0.5) / n_known)
        order = np.lexsort((torch.randperm(n_known).numpy(), values))
        scores[np.flatnonzero(known[:, i])[order], i] = by_rank
        scores[~known[:, i], i] = torch.randn(len(columns) - n_known).numpy()
    return scores


def _column_quantiles(columns: np.ndarray, known: np.ndarray, like: Any = None) -> list[np.ndarray]:
    """Return sorted quantiles of the known values of each column, with minimum and maximum.

    Their number is at most half the number of values, or the same as in `like`.
    """
    by_column = []
    max_quantiles = min(N_QUANTILES, max(101, MAX_QUANTILES // max(1, known.shape[1])))
    for i in range(known.shape[1]):
        values = np.sort(columns[known[:, i], i])
        values = values if len(values) else np.zeros(1, dtype=np.float32)
        n = min(1 + len(values) // 2, max_quantiles) if like is None else len(like[i])
        by_column.append(values[np.rint(np.linspace(0, len(values) - 1, n)).astype(int)])
    return by_column


def _match_ranks(scores: np.ndarray, quantiles: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return the values whose ranks are those of scores among quantiles.

    There is no interpolation between a repeated value and the next one. A repeated score is
    assigned a random one of its ranks.
    """
    ranks = np.interp(scores, quantiles, np.arange(len(values)))
    first = np.searchsorted(quantiles, scores, "left")
    last = np.searchsorted(quantiles, scores, "right") - 1
    random_ranks = first + torch.rand(len(scores)).numpy() * (last - first)
    ranks = np.where(last > first, random_ranks, ranks)
    tied = np.concatenate([[False], np.diff(values) == 0, [False]])
    next_to_tie = np.append(tied[:-2] | tied[2:], True)  # for each step, and after the last one
    is_discrete = next_to_tie[ranks.astype(int)]
    ranks = np.where(is_discrete, np.rint(ranks), ranks)
    return np.interp(ranks, np.arange(len(values)), values).astype(np.float32)
