"""Generated rows, also of wanted classes: by the discriminator's own judgment, or by a sampler."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sgan_sklearn.samplers import ColumnMap, Sampler

__all__ = ["ask_sampler", "draw_codes", "generate", "generate_of_classes", "within_memory"]

# How often new rows are generated in search of a class, at most, and how many at least.
MAX_ROUNDS = 20
MIN_ROWS = 256


@contextmanager
def within_memory(n_rows: int, n_values: int) -> Iterator[None]:
    """Raise a MemoryError that names `n_samples` where the rows to generate do not fit.

    `n_values` is how many numbers of float32 each row takes at once, at least.
    """
    try:
        if 4 * n_values * n_rows > _physical_memory():
            raise MemoryError("They take more than the memory of this machine.")
        yield
    except (MemoryError, RuntimeError) as error:
        is_known = isinstance(error, MemoryError | torch.cuda.OutOfMemoryError)
        if not is_known and "CPUAllocator" not in str(error):
            raise
        raise MemoryError(
            f"The 'n_samples' parameter of SGANClassifier.sample asks for {n_rows} rows, which do "
            f"not fit in memory: they take {4 * n_values * n_rows / 2**30:.1f} GiB or more. Sample "
            "fewer at a time."
        ) from error


def _physical_memory() -> float:
    """Return the bytes of this machine's memory, those of all addresses where it is not known."""
    try:
        return float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    except (AttributeError, OSError, ValueError):  # on Windows
        return 2.0**47


def generate(net: Any, n_rows: int, column_map: ColumnMap | None = None) -> Tensor:
    """Return generated rows of the model space, on the CPU."""
    rows: Tensor = net.generated(net.draw_latent(n_rows))
    return rows if column_map is None else column_map(rows)


def generate_of_classes(net: Any, codes: np.ndarray, column_map: ColumnMap | None = None) -> Tensor:
    """Return a generated row for each class code.

    Rows are generated until enough of them are most likely of each class. For a class that the
    generator hardly ever makes, the likeliest rows stand in; they repeat if all are used up.
    """
    wanted = np.bincount(codes)
    found = np.zeros(len(wanted), dtype=int)
    # Of each class that is wanted: the best rows so far, and how far each is from the best.
    kept = {code: (torch.empty(0), np.empty(0)) for code in np.flatnonzero(wanted).tolist()}
    for _ in range(MAX_ROUNDS):
        rows = generate(net, max(MIN_ROWS, 2 * len(codes)), column_map)
        logits = net.objective.class_logits(net.outputs(rows))
        likelihood = torch.log_softmax(logits, dim=1).numpy()
        best = likelihood.argmax(axis=1)
        found += np.bincount(best, minlength=likelihood.shape[1])[: len(wanted)]
        for code, (rows_before, distance_before) in kept.items():
            # Those of the class in the order of their making, which is random; then the likeliest.
            distance = np.where(best == code, 0.0, -likelihood[:, code])
            distance = np.concatenate([distance_before, distance])
            chosen = np.argsort(distance, kind="stable")[: wanted[code]]
            everything = torch.cat([rows_before.reshape(-1, *rows.shape[1:]), rows])
            kept[code] = everything[torch.from_numpy(chosen)], distance[chosen]
        if (found >= wanted).all():
            break
    made_up = torch.empty(len(codes), *rows.shape[1:])
    for code, (best_rows, _) in kept.items():
        repeated = np.resize(np.arange(len(best_rows)), wanted[code])
        made_up[torch.from_numpy(codes == code)] = best_rows[torch.from_numpy(repeated)]
    return made_up


def draw_codes(shares: np.ndarray, n_rows: int) -> np.ndarray:
    """Return random class codes that come as often as their shares say."""
    return torch.multinomial(torch.from_numpy(shares), n_rows, replacement=True).numpy()


def ask_sampler(sampler: Sampler, codes: np.ndarray, n_features: int) -> Tensor:
    """Return the sampler's row for each class code, after a check: it may be the user's own."""
    rows = torch.as_tensor(sampler.sample(codes), dtype=torch.float32)
    if rows.shape != (len(codes), n_features):
        raise ValueError(
            f"The sample method of {type(sampler).__name__} must return a row of {n_features} "
            f"features for each class code. Got the shape {tuple(rows.shape)} for {len(codes)} "
            "codes."
        )
    return rows
