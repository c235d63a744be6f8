"""Generated rows of wanted classes, by the discriminator's own judgment."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

__all__ = ["generate", "generate_of_classes"]

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
