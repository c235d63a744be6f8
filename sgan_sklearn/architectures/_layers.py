"""Layers shared by the architectures."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm

from sgan_sklearn._runtime.processes import mean_over_processes, n_processes
from sgan_sklearn.architectures._base import Heads

__all__ = [
    "BatchNorm1d",
    "BatchNorm2d",
    "Noise",
    "TableHeads",
    "WeightNormConv2d",
    "WeightNormLinear",
    "frozen_statistics",
    "normalized_once",
]


class Noise(nn.Module):
    """Layer that adds Gaussian noise in training mode.

    .. versionadded:: 0.1

    Parameters
    ----------
    std : float
        Standard deviation of the noise. 0 adds none.

    Examples
    --------
    >>> import torch
    >>> from sgan_sklearn.architectures import Noise
    >>> Noise(0.5).eval()(torch.ones(2))
    tensor([1., 1.])
    """

    def __init__(self, std: float) -> None:
        super().__init__()
        self.std = std

    def forward(self, x: Tensor) -> Tensor:
        """Return `x` with noise.

        Parameters
        ----------
        x : Tensor
            Values of any shape.

        Returns
        -------
        noisy : Tensor
            `x` itself except in training mode.
        """
        if not self.training or self.std == 0:
            return x
        return torch.add(x, torch.randn_like(x), alpha=self.std)

    def extra_repr(self) -> str:
        """Return the standard deviation.

        Returns
        -------
        text : str
            Part of the ``repr`` of the layer.
        """
        return f"std={self.std}"


@contextmanager
def normalized_once(module: nn.Module) -> Iterator[None]:
    """Normalize the weights of a network once for all of its passes within the block."""
    layers = [layer for layer in module.modules() if isinstance(layer, _WeightNorm)]
    try:
        for layer in layers:
            layer.normalized = layer.weight()
        yield
    finally:
        for layer in layers:
            layer.normalized = None


@contextmanager
def frozen_statistics(module: nn.Module) -> Iterator[None]:
    """Keep the running statistics of batch normalization as they are within the block."""
    layers = [layer for layer in module.modules() if isinstance(layer, _BatchNorm)]
    layers = [layer for layer in layers if layer.track_running_stats]
    try:
        for layer in layers:
            layer.track_running_stats = False
        yield
    finally:
        for layer in layers:
            layer.track_running_stats = True


class _WeightNorm(nn.Module):
    """Linear map ``y = w x + b``, ``w = g * v / |v|``, with a trainable or fixed gain `g`.

    Salimans and Kingma 2016, arXiv:1602.07868. The data-dependent initialization gives each unit
    zero mean and unit variance on the first batch. If the gains of the hidden layers are fixed
    afterwards, the discriminator cannot saturate and feature matching remains stable.
    """

    gain: Tensor

    # The weights within a block of `normalized_once`.
    normalized: Tensor | None = None

    def __init__(self, shape: tuple[int, ...], *, train_gain: bool, length: float = 1.0) -> None:
        super().__init__()
        # Adam's steps rotate a longer direction less: the length divides the learning rate.
        expected = math.sqrt(math.prod(shape[1:]))
        self.direction = nn.Parameter(torch.randn(shape) / (expected / length))
        self.bias = nn.Parameter(torch.zeros(shape[0]))
        if train_gain:
            self.gain = nn.Parameter(torch.ones(shape[0]))
        else:
            self.register_buffer("gain", torch.ones(shape[0]))

    def weight(self) -> Tensor:
        """Return ``g * v / |v|`` for each unit."""
        if self.normalized is not None:
            return self.normalized
        gain = self.gain.view(-1, *[1] * (self.direction.ndim - 1))
        weight: Tensor = torch._weight_norm(self.direction, gain)
        return weight

    @torch.no_grad()
    def initialize_from_data(self, x: Tensor) -> Tensor:
        """Standardize each unit over the rows `x` and all pixels, and return its values."""
        y = self(x).movedim(1, -1)
        values = y.flatten(0, -2)
        mean = values.mean(dim=0)
        # A unit with constant values (one row, constant columns) keeps its gain.
        std = values.std(dim=0, correction=0)
        std = torch.where(std > 1e-6, std, torch.ones_like(std))
        self.gain.div_(std)
        self.bias.copy_((self.bias - mean) / std)
        return ((y - mean) / std).movedim(-1, 1)


class WeightNormLinear(_WeightNorm):
    """Weight-normalized linear layer."""

    def __init__(self, n_in: int, n_out: int, *, train_gain: bool, length: float = 1.0) -> None:
        super().__init__((n_out, n_in), train_gain=train_gain, length=length)

    def forward(self, x: Tensor) -> Tensor:
        """Return the values of the units, shape (n, n_out)."""
        return F.linear(x, self.weight(), self.bias)


class WeightNormConv2d(_WeightNorm):
    """Weight-normalized 3 x 3 convolution with padding."""

    def __init__(
        self, n_in: int, n_out: int, *, stride: int, train_gain: bool, length: float = 1.0
    ) -> None:
        super().__init__((n_out, n_in, 3, 3), train_gain=train_gain, length=length)
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        """Return the values of the units, shape (n, n_out, height, width)."""
        # Channels last is the faster layout. A single channel has both, so the result has neither.
        x = x.contiguous(memory_format=torch.channels_last)
        y = F.conv2d(x, self.weight(), self.bias, self.stride, padding=1)
        return y.contiguous(memory_format=torch.channels_last)

    def extra_repr(self) -> str:
        """Return the numbers of channels and the stride."""
        n_out, n_in = self.direction.shape[:2]
        return f"{n_in}, {n_out}, stride={self.stride}"


class _DistributedBatchNorm(_BatchNorm):
    """Batch normalization over the batches of all processes in distributed training.

    `torch.nn.SyncBatchNorm` does the same, but only on GPUs.
    """

    running_mean: Tensor
    running_var: Tensor
    num_batches_tracked: Tensor

    def forward(self, x: Tensor) -> Tensor:
        """Return the standardized values, scaled and shifted.

        Parameters
        ----------
        x : Tensor of shape (n, n_columns, ...)
            Values of the rows.

        Returns
        -------
        y : Tensor
            Values of the same shape and dtype.
        """
        if self.training and len(x) == 0:  # no statistics can be computed
            return x
        if not self.training or n_processes() == 1:
            y: Tensor = super().forward(x)
            return y
        dtype, x = x.dtype, x.float()
        others = [0, *range(2, x.ndim)]
        shape = [1, -1, *[1] * (x.ndim - 2)]
        mean = mean_over_processes(x.mean(dim=others))
        centered = x - mean.view(shape)
        variance = mean_over_processes(centered.square().mean(dim=others))
        if self.track_running_stats:
            self._update_statistics(x, mean.detach(), variance.detach())
        scale = self.weight * torch.rsqrt(variance + self.eps)
        return (centered * scale.view(shape) + self.bias.view(shape)).to(dtype)

    @torch.no_grad()
    def _update_statistics(self, x: Tensor, mean: Tensor, variance: Tensor) -> None:
        n_values = n_processes() * x.numel() / x.shape[1]
        self.num_batches_tracked += 1
        # Without a momentum, use the mean of all batches.
        momentum = self.momentum
        momentum = 1 / float(self.num_batches_tracked) if momentum is None else momentum
        self.running_mean.lerp_(mean, momentum)
        self.running_var.lerp_(variance * n_values / (n_values - 1), momentum)


class BatchNorm1d(_DistributedBatchNorm, nn.BatchNorm1d):
    """Batch normalization of rows, over the batches of all processes in distributed training.

    With one process, it is ``torch.nn.BatchNorm1d``. ``torch.nn.SyncBatchNorm`` does the same, only
    on GPUs.

    .. versionadded:: 0.1

    Parameters
    ----------
    num_features : int
        Number of columns.
    eps : float, default=1e-5
        Number added to the variance.
    momentum : float or None, default=0.1
        Weight of a batch in the running mean and variance; None takes the mean of all batches.

    Examples
    --------
    >>> import torch
    >>> from sgan_sklearn.architectures import BatchNorm1d
    >>> BatchNorm1d(1)(torch.tensor([[0.0], [2.0]])).detach().round(decimals=2).flatten()
    tensor([-1.,  1.])
    """

    def __init__(self, num_features: int, eps: float = 1e-5, momentum: float | None = 0.1) -> None:
        super().__init__(num_features, eps, momentum)


class BatchNorm2d(_DistributedBatchNorm, nn.BatchNorm2d):
    """Batch normalization of the channels of images."""


class TableHeads(nn.Module):
    """Layer that generates categories and missing values in the form of the training rows.

    A level of each category is sampled with the straight-through Gumbel-softmax estimator: for
    logits ``l`` and Gumbel noise ``g`` it is ``argmax(l + g)``, a sample from ``softmax(l)``, with
    the gradient of ``softmax((l + g) / TEMPERATURE)``. Missing numbers are set to the value that
    replaces missing values in the training rows.

    .. versionadded:: 0.1

    Parameters
    ----------
    heads : Heads
        Features that are levels of categories, with at least one block.

    References
    ----------
    Jang et al., "Categorical Reparameterization with Gumbel-Softmax", 2017, arXiv:1611.01144.

    Examples
    --------
    A number and a category with three levels:

    >>> import torch
    >>> from sgan_sklearn.architectures import Heads, TableHeads
    >>> heads = TableHeads(Heads(blocks=(slice(1, 4),), missing=()))
    >>> rows = heads(torch.zeros(2, 4), torch.full((2, 4), 0.5))
    >>> rows[:, 0], rows[:, 1:].sum(dim=1)
    (tensor([0.5000, 0.5000]), tensor([1., 1.]))
    """

    TEMPERATURE = 0.5

    block_columns: Tensor
    is_level: Tensor
    level_columns: Tensor
    level_cells: Tensor
    columns: Tensor
    indicators: Tensor
    fill: Tensor

    def __init__(self, heads: Heads) -> None:
        super().__init__()
        sizes = [block.stop - block.start for block in heads.blocks]
        # Process all categories at once: one row of columns for each, padded to the longest.
        block_columns = torch.zeros(len(sizes), max(sizes), dtype=torch.long)
        is_level = torch.zeros(block_columns.shape, dtype=torch.bool)
        for i, block in enumerate(heads.blocks):
            block_columns[i, : sizes[i]] = torch.arange(block.start, block.stop)
            is_level[i, : sizes[i]] = True
        self.register_buffer("block_columns", block_columns, persistent=False)
        self.register_buffer("is_level", is_level, persistent=False)
        # Indices instead of a mask, which would require a synchronization of the GPU.
        level_columns = [i for block in heads.blocks for i in range(block.start, block.stop)]
        level_cells = [max(sizes) * i + j for i, size in enumerate(sizes) for j in range(size)]
        for name, numbers in {"level_columns": level_columns, "level_cells": level_cells}.items():
            self.register_buffer(name, torch.tensor(numbers), persistent=False)
        columns, indicators, fill = (
            zip(*heads.missing, strict=True) if heads.missing else ((), (), ())
        )
        # Not saved, since they follow from the columns.
        self.register_buffer("columns", torch.tensor(columns, dtype=torch.long), persistent=False)
        indices = torch.tensor(indicators, dtype=torch.long)
        self.register_buffer("indicators", indices, persistent=False)
        self.register_buffer("fill", torch.tensor(fill, dtype=torch.float32), persistent=False)

    def forward(self, logits: Tensor, rows: Tensor) -> Tensor:
        """Return rows with sampled levels and replaced missing values.

        Parameters
        ----------
        logits : Tensor of shape (n, n_features)
            Output of the last linear layer.
        rows : Tensor of shape (n, n_features)
            The same within the bounds of the model space.

        Returns
        -------
        rows : Tensor of shape (n, n_features)
            Rows with one level of each category.
        """
        noise = -torch.empty_like(logits).exponential_().log()
        noisy = (logits + noise)[:, self.block_columns].masked_fill(~self.is_level, -torch.inf)
        soft = (noisy / self.TEMPERATURE).softmax(dim=2)
        chosen = torch.zeros_like(soft).scatter(2, noisy.argmax(dim=2, keepdim=True), 1.0)
        levels = chosen + (soft - soft.detach())  # this order gives exactly zero or one
        rows = rows.index_copy(1, self.level_columns, levels.flatten(1)[:, self.level_cells])
        numbers = torch.lerp(rows[:, self.columns], self.fill, rows[:, self.indicators])
        return rows.index_copy(1, self.columns, numbers)
