"""Generated rows, of any class or of given classes, from the generator or from a sampler."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from sgan_sklearn._data.batches import SemiSupervisedDataset
from sgan_sklearn._runtime.loops import CHUNK
from sgan_sklearn._runtime.random import draw_seed, seeded
from sgan_sklearn._runtime.user_warnings import warn_user
from sgan_sklearn._training.plan import heads_of
from sgan_sklearn.samplers import ColumnMap, Sampler

__all__ = [
    "check_generator_trained",
    "fit_column_map",
    "fit_sampler",
    "sampled_rows",
    "within_memory",
]

# Maximum number of generated rows, and of values in them, from which the distributions of the
# generator's columns are learned.
MAX_MAPPED_ROWS = 20_000
MAX_MAPPED_VALUES = 2**20

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


def rows_of_sampler(sampler: Sampler, codes: np.ndarray, n_features: int) -> Tensor:
    """Return the row of a sampler for each class code; the sampler may be user-defined."""
    rows = torch.as_tensor(sampler.sample(codes), dtype=torch.float32)
    if rows.shape != (len(codes), n_features):
        raise ValueError(
            f"The sample method of {type(sampler).__name__} must return a row of {n_features} "
            f"features for each class code. Got the shape {tuple(rows.shape)} for {len(codes)} "
            "codes."
        )
    return rows


def check_generator_trained(estimator: Any, method: str) -> None:
    """Raise an error if the estimator is not fitted, or was trained without a generator."""
    check_is_fitted(estimator)
    if not estimator.net_.trains_generator:
        raise ValueError(
            f"{method} needs a trained generator, but {estimator.net_.no_generator_reason}."
        )


def fit_column_map(estimator: Any, dataset: SemiSupervisedDataset) -> ColumnMap | None:
    """Learn to map the generator's columns to the distributions of the training rows.

    Images, a sampler, and a training without a generator need no map.
    """
    net, space, random_state = estimator.net_, estimator._space, estimator.random_state
    is_table = space.image_shape is None
    if not is_table or not net.trains_generator or estimator.sampler_ is not None:
        return None
    real, _ = dataset.weighted_sample(check_random_state(random_state))
    with seeded(draw_seed(random_state), torch.device(net.device)):
        n_rows = min(MAX_MAPPED_ROWS, MAX_MAPPED_VALUES // real.shape[1] + 1)
        generated = generate(net, n_rows)
    return ColumnMap(real, generated.numpy(), heads_of(space))


def fit_sampler(
    estimator: Any, sampler: Sampler, dataset: SemiSupervisedDataset, distributions: np.ndarray
) -> bool:
    """Fit a sampler to rows and their class distributions; return False if Ctrl-C stopped it."""
    rows, places = dataset.weighted_sample(check_random_state(estimator.random_state))
    device = torch.device(estimator.net_.device)
    heads, verbose = heads_of(estimator._space), int(estimator.verbose)
    try:
        with seeded(draw_seed(estimator.random_state), device):
            sampler.fit(rows, distributions[places], heads, device=device, verbose=verbose)
    except KeyboardInterrupt:
        warn_user(
            "The training of the sampler was interrupted. The estimator keeps the classifier, and "
            "sample uses its generator. In a search, such as GridSearchCV, this estimator is a "
            "clone and is lost."
        )
        return False
    return True


def sampled_rows(estimator: Any, n_samples: int, codes: np.ndarray | None, seed: int) -> Any:
    """Return generated rows in the form of `X`, of given class codes or of any class."""
    net, column_map = estimator.net_, estimator._column_map
    with seeded(seed, torch.device(net.device)):
        if estimator.sampler_ is not None:
            if codes is None:
                codes = draw_codes(estimator.class_prior_.astype(np.float32), n_samples)
            rows = rows_of_sampler(estimator.sampler_, codes, net.row_shape_[0])
        elif codes is None:
            rows = generate(net, n_samples, column_map)
        else:
            rows = generate_of_classes(net, codes, column_map)
    return estimator._space.to_original_form([part.numpy() for part in rows.split(CHUNK)], seed)
