"""The distributions of columns, by ranks and quantiles."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from scipy.special import ndtri

__all__ = ["column_quantiles", "normal_scores", "on_scale"]

# Quantiles that tell the distribution of a column.
N_QUANTILES = 2_001


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


def column_quantiles(columns: np.ndarray, known: np.ndarray, like: Any = None) -> list[np.ndarray]:
    """Return quantiles of the known values of each column, from the smallest to the largest.

    They are as many as there are values, or N_QUANTILES, or as many as in `like`.
    """
    by_column = []
    for i in range(known.shape[1]):
        values = columns[known[:, i], i]
        values = values if len(values) else np.zeros(1, dtype=np.float32)
        n = min(len(values), N_QUANTILES) if like is None else len(like[i])
        by_column.append(np.quantile(values, np.linspace(0, 1, n), method="inverted_cdf"))
    return by_column


def on_scale(scores: np.ndarray, quantiles: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return the values at the places that scores have among quantiles.

    There is nothing between a value that comes again and again and the next one.
    """
    places = np.interp(scores, quantiles, np.arange(len(values)))
    tied = np.concatenate([[False], np.diff(values) == 0, [False]])
    beside_ties = np.append(tied[:-2] | tied[2:], True)  # of each step, and beyond the last
    apart = beside_ties[places.astype(int)]
    places = np.where(apart, np.rint(places), places)
    return np.interp(places, np.arange(len(values)), values).astype(np.float32)
