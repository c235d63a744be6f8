"""What the training loops of the classifier and of samplers share."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

import torch
from torch import Tensor, nn

from sgan_sklearn._runtime.threads import limit_threads_after_fork

__all__ = [
    "CHUNK",
    "apply_in_chunks",
    "automatic_epochs",
    "averaging_share",
    "chunk_size",
    "chunks",
    "update_average",
]

# Maximum number of rows of a table that a network processes at a time outside the training.
CHUNK = 4096

# The same for the pixels of images: 512 images of 28 x 28.
CHUNK_PIXELS = 2**19


def automatic_epochs(steps_per_epoch: int, min_epochs: int, min_steps: int, max_steps: int) -> int:
    """Return the number of epochs: `min_epochs`, within bounds on the number of steps.

    If these are few steps, more epochs are used. The result is at least 1.
    """
    n_epochs = max(min_epochs, -(-min_steps // steps_per_epoch))
    return max(1, min(n_epochs, max_steps // steps_per_epoch))


def averaging_share(decay: float, n_steps: int) -> float:
    """Return the share of the current weights in their average after `n_steps` steps.

    It is ``max(1 - decay, 5 / n_steps)``, at most one: early in the training, about the last fifth
    of the steps counts (Shamir and Zhang 2013, arXiv:1212.1824).
    """
    return max(1 - decay, min(1.0, 5 / n_steps))


@torch.no_grad()
def update_average(averaged: nn.Module, trained: nn.Module, share: float | Tensor) -> None:
    """Move averaged weights and statistics toward the trained ones, ``a += share (w - a)``."""
    means, others = _averaged_and_copied(averaged)
    weights, trained_others = _averaged_and_copied(trained)
    # torch has no lerp of many tensors with a tensor as the share.
    gaps = torch._foreach_sub(weights, means)
    torch._foreach_mul_(gaps, share)
    torch._foreach_add_(means, gaps)
    if others:
        torch._foreach_copy_(others, trained_others)


def _averaged_and_copied(module: nn.Module) -> tuple[list[Tensor], list[Tensor]]:
    """Return the weights and batch statistics of a network, and its other buffers."""
    statistics: list[Tensor] = []
    others: list[Tensor] = []
    for name, buffer in module.named_buffers():
        is_statistic = name.endswith(("running_mean", "running_var"))
        (statistics if is_statistic else others).append(buffer)
    return [*module.parameters(), *statistics], others


def chunk_size(row_shape: tuple[int, ...]) -> int:
    """Return the number of rows of a shape that a network processes at a time."""
    is_image = len(row_shape) == 3
    n_pixels = math.prod(row_shape[1:]) if is_image else CHUNK_PIXELS // CHUNK
    return min(CHUNK, max(1, CHUNK_PIXELS // n_pixels))


def chunks(n_rows: int, size: int) -> Iterator[slice]:
    """Yield slices of at most `size` rows, like scikit-learn's `gen_batches` without its checks."""
    return (slice(start, start + size) for start in range(0, n_rows, size))


def apply_in_chunks(
    module: Callable[[Tensor], Tensor], x: Any, size: int, device: torch.device | str
) -> Tensor:
    """Return the outputs of a network for any number of rows, on the CPU, in bounded memory."""
    limit_threads_after_fork()
    with torch.inference_mode():
        first = module(x[:size].to(device)).cpu()
        if len(x) <= size:
            return first
        # Small results between the large tensors of the network would fragment the memory.
        outputs = first.new_empty(len(x), *first.shape[1:])
        outputs[:size] = first
        for rows in islice(chunks(len(x), size), 1, None):
            outputs[rows] = module(x[rows].to(device)).cpu()
        return outputs
