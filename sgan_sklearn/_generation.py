"""Generated rows, also of wanted classes: by the discriminator's own judgment, or by a sampler."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from sgan_sklearn.samplers import Sampler

__all__ = ["ask_sampler", "draw_codes", "generate", "generate_of_classes"]

# How often new rows are generated in search of a class, at most, and how many at least.
MAX_ROUNDS = 20
MIN_ROWS = 256


def generate(net: Any, n_rows: int) -> Tensor:
    """Return generated rows of the model space, on the CPU."""
    return net.generated(net.draw_latent(n_rows))


def generate_of_classes(net: Any, codes: np.ndarray) -> Tensor:
    """Return a generated row for each class code.

    Rows are generated until enough of them are most likely of each class. For a class that the
    generator hardly ever makes, the likeliest rows stand in; they repeat if all are used up.
    """
    wanted = np.bincount(codes)
    parts: list[Tensor] = []
    likely: list[np.ndarray] = []
    for _ in range(MAX_ROUNDS):
        parts.append(generate(net, max(MIN_ROWS, 2 * len(codes))))
        logits = net.objective.class_logits(net.outputs(parts[-1]))
        likely.append(torch.log_softmax(logits, dim=1).numpy())
        found = np.bincount(np.concatenate(likely).argmax(axis=1), minlength=len(wanted))
        if (found[: len(wanted)] >= wanted).all():
            break
    rows, likelihood = torch.cat(parts), np.concatenate(likely)
    best = likelihood.argmax(axis=1)
    chosen = np.empty(len(codes), dtype=int)
    for code in np.flatnonzero(wanted):
        # Those of the class in the order of their making, which is random; then the likeliest.
        order = np.argsort(np.where(best == code, 0.0, -likelihood[:, code]), kind="stable")
        chosen[codes == code] = np.resize(order, wanted[code])
    return rows[torch.from_numpy(chosen)]


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
