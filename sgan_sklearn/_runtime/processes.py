"""Training of one model by several processes, each on its part of every batch.

The processes are those of torch's default process group, if the program has initialized one (as
under ``torchrun``). Without a process group these functions treat the process as the only one.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, distributed, nn

__all__ = [
    "agree",
    "all_rows",
    "any_process",
    "average_gradients",
    "broadcast_state",
    "mean_over_processes",
    "mean_over_rows",
    "min_over_processes",
    "n_processes",
    "process_index",
    "process_part",
]


def n_processes() -> int:
    """Return the number of processes that train together."""
    together = distributed.is_available() and distributed.is_initialized()
    return distributed.get_world_size() if together else 1


def process_index() -> int:
    """Return the rank of this process, from 0."""
    return distributed.get_rank() if n_processes() > 1 else 0


def process_part(values: Tensor) -> Tensor:
    """Return the part of this process of values that are the same in all processes."""
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

    The gradient is that of the sum of the losses of all processes, so that the mean of their
    gradients equals the gradient of a single process with all rows.
    """
    if n_processes() == 1:
        return x
    mean: Tensor = _Mean.apply(x)
    return mean


def all_rows(x: Tensor) -> Tensor:
    """Return the rows of all processes, with a gradient like that of `mean_over_processes`.

    With a single process these are the given rows.
    """
    if n_processes() == 1:
        return x
    zeros = torch.zeros_like(x)
    parts = [x if i == process_index() else zeros for i in range(n_processes())]
    return n_processes() * mean_over_processes(torch.cat(parts))


def mean_over_rows(x: Tensor) -> Tensor:
    """Return the mean over the first dimension, of the rows of all processes."""
    return mean_over_processes(x.mean(dim=0))


@torch.no_grad()
def average_gradients(module: nn.Module) -> None:
    """Replace the gradients of a module by their mean over the processes."""
    gradients = [p.grad for p in module.parameters() if p.grad is not None]
    if n_processes() == 1 or not gradients:
        return
    # One message for all gradients is faster than one for each.
    mean = _mean(torch.cat([gradient.flatten() for gradient in gradients]))
    sizes = [gradient.numel() for gradient in gradients]
    for gradient, part in zip(gradients, mean.split(sizes), strict=True):
        gradient.copy_(part.view_as(gradient))


@torch.no_grad()
def broadcast_state(modules: Iterable[nn.Module]) -> None:
    """Copy the weights and buffers of the first process to all others."""
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
    """Return whether the flag is set in any process."""
    if n_processes() == 1:
        return flag
    votes = torch.tensor(float(flag), device=device)
    distributed.all_reduce(votes)
    return bool(votes > 0)


def min_over_processes(number: int, device: torch.device) -> int:
    """Return the minimum of a number over the processes."""
    if n_processes() == 1:
        return number
    numbers = torch.tensor(number, device=device)
    distributed.all_reduce(numbers, distributed.ReduceOp.MIN)
    return int(numbers)
