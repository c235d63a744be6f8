"""Generated rows, of any class or of given classes, from the generator or from a sampler."""

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

# Maximum number of rounds in which rows of a class are searched, and minimum rows of each round.
MAX_ROUNDS = 20
MIN_ROWS = 256


@contextmanager
def within_memory(n_rows: int, n_values: int) -> Iterator[None]:
    """Raise a MemoryError that names `n_samples` if the generated rows do not fit in memory.

    `n_values` is the minimum number of float32 values for each row.
    """
    try:
        if 4 * n_values * n_rows > _physical_memory():
            raise MemoryError("They need more than the memory of this machine.")
        yield
    except (MemoryError, RuntimeError) as error:
        is_known = isinstance(error, MemoryError | torch.cuda.OutOfMemoryError)
        if not is_known and "CPUAllocator" not in str(error):
            raise
        raise MemoryError(
            f"The 'n_samples' parameter of SGANClassifier.sample asks for {n_rows} rows, which do "
            f"not fit in memory: they need {4 * n_values * n_rows / 2**30:.1f} GiB or more. Sample "
            "fewer at a time."
        ) from error


def _physical_memory() -> float:
    """Return the memory of this machine in bytes, or a large value if it is unknown."""
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

    Rows are generated until enough of them are classified as each class. If the generator rarely
    generates a class, the rows with its highest probability are used, repeatedly if needed.
    """
    wanted = np.bincount(codes)
    found = np.zeros(len(wanted), dtype=int)
    # For each class: the best rows so far, and their distances, zero for rows of the class.
    kept = {code: (torch.empty(0), np.empty(0)) for code in np.flatnonzero(wanted).tolist()}
    for _ in range(MAX_ROUNDS):
        rows = generate(net, max(MIN_ROWS, 2 * len(codes)), column_map)
        logits = net.objective.class_logits(net.outputs(rows))
        likelihood = torch.log_softmax(logits, dim=1).numpy()
        best = likelihood.argmax(axis=1)
        found += np.bincount(best, minlength=likelihood.shape[1])[: len(wanted)]
        for code, (rows_before, distance_before) in kept.items():
            # Rows of the class in the order of generation, which is random, then the most probable.
            distance = np.where(best == code, 0.0, -likelihood[:, code])
            distance = np.concatenate([distance_before, distance])
            chosen = np.argsort(distance, kind="stable")[: wanted[code]]
            candidates = torch.cat([rows_before.reshape(-1, *rows.shape[1:]), rows])
            kept[code] = candidates[torch.from_numpy(chosen)], distance[chosen]
        if (found >= wanted).all():
            break
    generated = torch.empty(len(codes), *rows.shape[1:])
    for code, (best_rows, _) in kept.items():
        repeated = np.resize(np.arange(len(best_rows)), wanted[code])
        generated[torch.from_numpy(codes == code)] = best_rows[torch.from_numpy(repeated)]
    return generated


def draw_codes(shares: np.ndarray, n_rows: int) -> np.ndarray:
    """Return random class codes, drawn with the given shares."""
    return torch.multinomial(torch.from_numpy(shares), n_rows, replacement=True).numpy()


def ask_sampler(sampler: Sampler, codes: np.ndarray, n_features: int) -> Tensor:
    """Return the row of a sampler for each class code; the sampler may be user-defined."""
    rows = torch.as_tensor(sampler.sample(codes), dtype=torch.float32)
    if rows.shape != (len(codes), n_features):
        raise ValueError(
            f"The sample method of {type(sampler).__name__} must return a row of {n_features} "
            f"features for each class code. Got the shape {tuple(rows.shape)} for {len(codes)} "
            "codes."
        )
    return rows
