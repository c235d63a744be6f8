"""Several processes that train one model, each on its part of every batch.

They are those of torch's default process group, if the program has set one up (as under
``torchrun``). Without one, each function here is that of a single process: it does nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, distributed, nn

__all__ = [
    "agree",
    "any_process",
    "average_gradients",
    "least",
    "mean_over_processes",
    "n_processes",
    "own_part",
    "process_index",
    "rows_of_processes",
    "same_everywhere",
]


def n_processes() -> int:
    """Return how many processes train together."""
    together = distributed.is_available() and distributed.is_initialized()
    return distributed.get_world_size() if together else 1


def process_index() -> int:
    """Return the number of this process among them, from 0."""
    return distributed.get_rank() if n_processes() > 1 else 0


def own_part(values: Tensor) -> Tensor:
    """Return what this process takes of a whole that all processes have."""
    return values[process_index() :: n_processes()]


class _Mean(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return _mean(x)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return _mean(gradient)


def _mean(x: Tensor) -> Tensor:
    total = x.detach().clone(memory_format=torch.contiguous_format)
    distributed.all_reduce(total)
    return total / n_processes()


def mean_over_processes(x: Tensor) -> Tensor:
    """Return the mean of a tensor over the processes.

    Its gradient is that of the sum of what the processes make of it, so that the mean of their
    gradients is that of one process with all rows.
    """
    if n_processes() == 1:
        return x
    mean: Tensor = _Mean.apply(x)
    return mean


def rows_of_processes(x: Tensor) -> Tensor:
    """Return the rows of all processes, with a gradient as that of `mean_over_processes`."""
    if n_processes() == 1:
        return x
    nothing = torch.zeros_like(x)
    parts = [x if i == process_index() else nothing for i in range(n_processes())]
    return n_processes() * mean_over_processes(torch.cat(parts))


@torch.no_grad()
def average_gradients(module: nn.Module) -> None:
    """Give all processes the mean of their gradients."""
    gradients = [p.grad for p in module.parameters() if p.grad is not None]
    if n_processes() == 1 or not gradients:
        return
    # One message for all of them.
    mean = _mean(torch.cat([gradient.flatten() for gradient in gradients]))
    sizes = [gradient.numel() for gradient in gradients]
    for gradient, part in zip(gradients, mean.split(sizes), strict=True):
        gradient.copy_(part.view_as(gradient))


@torch.no_grad()
def same_everywhere(modules: Iterable[nn.Module]) -> None:
    """Give all processes the weights and buffers of the first one."""
    if n_processes() > 1:
        for module in modules:
            for value in module.state_dict().values():
                distributed.broadcast(value, 0)


def agree(number: int, device: torch.device) -> bool:
    """Return whether all processes have the same number."""
    numbers = torch.tensor([number, -number], dtype=torch.float64, device=device)
    distributed.all_reduce(numbers, distributed.ReduceOp.MAX)
    return bool(numbers[0] == -numbers[1])


def any_process(flag: bool, device: torch.device | str) -> bool:
    """Return whether the flag is set in any of the processes."""
    if n_processes() == 1:
        return flag
    votes = torch.tensor(float(flag), device=device)
    distributed.all_reduce(votes)
    return bool(votes > 0)


def least(number: int, device: torch.device) -> int:
    """Return the smallest of the processes' numbers."""
    if n_processes() == 1:
        return number
    numbers = torch.tensor(number, device=device)
    distributed.all_reduce(numbers, distributed.ReduceOp.MIN)
    return int(numbers)
