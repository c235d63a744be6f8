"""The distributions of columns, by ranks and quantiles."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from scipy.special import ndtri
from torch import Tensor

from sgan_sklearn.architectures import Heads

__all__ = ["ColumnMap", "known_numbers", "normal_scores"]

# Quantiles that tell the distribution of a column: so many, but not more of all columns than
# these numbers.
N_QUANTILES = 2_001
MAX_QUANTILES = 2**19


class ColumnMap:
    """Map from each generated column of numbers to its distribution in the training rows.

    Values are replaced by those that have the same rank in the training rows, or lie between them;
    levels of categories stay as they are. A sampler may use it as its last step.

    .. versionadded:: 0.1

    Parameters
    ----------
    real : ndarray of shape (n, n_features)
        Training rows.
    made : ndarray of shape (m, n_features)
        Generated rows; their numbers may have any scale.
    heads : Heads
        Which of the features are levels of categories, all at the end, and which numbers may be
        missing: what fills them is no part of a distribution.

    See Also
    --------
    CriticSampler : Brings the columns of its rows to those of the training rows.

    Examples
    --------
    >>> import numpy as np
    >>> import torch
    >>> from sgan_sklearn.architectures import Heads
    >>> from sgan_sklearn.samplers import ColumnMap
    >>> real = np.array([[10], [20], [30], [40], [90]], dtype=np.float32)
    >>> made = np.array([[0], [1], [2], [3], [4]], dtype=np.float32)
    >>> column_map = ColumnMap(real, made, Heads())
    >>> column_map(torch.tensor([[0.0], [2.0], [4.0]]))
    tensor([[10.],
            [30.],
            [90.]])
    """

    def __init__(self, real: np.ndarray, made: np.ndarray, heads: Heads) -> None:
        self.heads = heads
        self.values = _column_quantiles(real, known_numbers(real, heads))
        self.scores = _column_quantiles(made, known_numbers(made, heads), like=self.values)

    def __call__(self, rows: Tensor) -> Tensor:
        """Return generated rows with their numbers on the scale of the training rows.

        Parameters
        ----------
        rows : Tensor of shape (n, n_features)
            Generated rows like those that the map was made with, on the CPU. It is not changed.

        Returns
        -------
        mapped : Tensor of shape (n, n_features)
            The rows, their numbers on the scale of the training rows.
        """
        mapped = rows.clone()
        known = known_numbers(rows.numpy(), self.heads)
        for i, (scores, values) in enumerate(zip(self.scores, self.values, strict=True)):
            column = torch.from_numpy(known[:, i])
            mapped[column, i] = torch.from_numpy(_on_scale(rows[column, i].numpy(), scores, values))
        return mapped

    def _plain_state(self) -> dict[str, Any]:
        """Return what `_from_plain_state` needs besides the heads."""
        return {"values": self.values, "scores": self.scores}

    @classmethod
    def _from_plain_state(cls, state: Any, heads: Heads, n_features: int) -> ColumnMap:
        """Return the map of a plain state, or raise ValueError if there can be none."""
        n_numbers = heads.blocks[0].start if heads.blocks else n_features
        values, scores = state["values"], state["scores"]
        if not len(values) == len(scores) == n_numbers:
            raise ValueError(f"A map of {n_numbers} columns has quantiles of each.")
        for quantiles in (*values, *scores):
            is_vector = isinstance(quantiles, np.ndarray) and quantiles.ndim == 1
            if not is_vector or quantiles.dtype != np.float32 or not len(quantiles):
                raise ValueError("The quantiles of a column are a vector of float32.")
            if not np.isfinite(quantiles).all() or (np.diff(quantiles) < 0).any():
                raise ValueError("The quantiles of a column are finite and in order.")
        if any(len(a) != len(b) for a, b in zip(values, scores, strict=True)):
            raise ValueError("A column has as many quantiles of generated rows as of real ones.")
        column_map: ColumnMap = object.__new__(cls)
        column_map.heads, column_map.values, column_map.scores = heads, values, scores
        return column_map


def known_numbers(rows: np.ndarray, heads: Heads) -> np.ndarray:
    """Return the mask of the numbers that are not missing, shape (n, n_numbers)."""
    n_numbers = heads.blocks[0].start if heads.blocks else rows.shape[1]
    known = np.ones((len(rows), n_numbers), dtype=bool)
    for column, mark, _ in heads.holes:
        known[:, column] = rows[:, mark] == 0
    return known


def normal_scores(columns: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Return each column by its ranks, with a normal distribution; equal values in random order.

    What is not known gets the score of a random rank.
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
    """Return quantiles of the known values of each column, from the smallest to the largest.

    They are half as many as there are values, or fewer, or as many as in `like`.
    """
    by_column = []
    n_most = min(N_QUANTILES, max(101, MAX_QUANTILES // max(1, known.shape[1])))
    for i in range(known.shape[1]):
        values = np.sort(columns[known[:, i], i])
        values = values if len(values) else np.zeros(1, dtype=np.float32)
        n = min(1 + len(values) // 2, n_most) if like is None else len(like[i])
        by_column.append(values[np.rint(np.linspace(0, len(values) - 1, n)).astype(int)])
    return by_column


def _on_scale(scores: np.ndarray, quantiles: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return the values at the places that scores have among quantiles.

    There is nothing between a value that comes again and again and the next one. A score that
    comes again and again stands for all of its places, each by chance.
    """
    places = np.interp(scores, quantiles, np.arange(len(values)))
    first = np.searchsorted(quantiles, scores, "left")
    last = np.searchsorted(quantiles, scores, "right") - 1
    drawn = first + torch.rand(len(scores)).numpy() * (last - first)
    places = np.where(last > first, drawn, places)
    tied = np.concatenate([[False], np.diff(values) == 0, [False]])
    beside_ties = np.append(tied[:-2] | tied[2:], True)  # of each step, and beyond the last
    apart = beside_ties[places.astype(int)]
    places = np.where(apart, np.rint(places), places)
    return np.interp(places, np.arange(len(values)), values).astype(np.float32)
