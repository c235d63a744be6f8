"""Layers that several discriminators are made of."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["Noise", "WeightNormConv2d", "WeightNormLinear"]


class Noise(nn.Module):
    """Add Gaussian noise of a standard deviation to each value, in training mode only."""

    def __init__(self, std: float) -> None:
        super().__init__()
        self.std = std

    def forward(self, x: Tensor) -> Tensor:
        """Return `x` with noise."""
        if not self.training or self.std == 0:
            return x
        return torch.add(x, torch.randn_like(x), alpha=self.std)

    def extra_repr(self) -> str:
        """Return the deviation."""
        return f"std={self.std}"


class _WeightNorm(nn.Module):
    """Linear map ``y = g * (v / |v|) x + b`` whose gain `g` may stay as the data set it.

    Salimans and Kingma 2016, arXiv:1602.07868. The data-dependent start gives every unit
    zero mean and unit deviation on a first batch; with the hidden gains frozen there, the
    discriminator cannot saturate and feature matching stays stable.
    """

    gain: Tensor

    def __init__(self, shape: tuple[int, ...], *, train_gain: bool, length: float = 1.0) -> None:
        super().__init__()
        # Adam's steps turn a longer direction less: the length divides the learning rate.
        expected = math.sqrt(math.prod(shape[1:]))
        self.direction = nn.Parameter(torch.randn(shape) / (expected / length))
        self.bias = nn.Parameter(torch.zeros(shape[0]))
        if train_gain:
            self.gain = nn.Parameter(torch.ones(shape[0]))
        else:
            self.register_buffer("gain", torch.ones(shape[0]))

    def scale(self) -> Tensor:
        """Return ``g / |v|`` of each unit."""
        return self.gain / torch.linalg.vector_norm(self.direction.flatten(1), dim=1)

    @torch.no_grad()
    def initialize_from_data(self, x: Tensor) -> Tensor:
        """Standardize each unit on the rows `x`, over all places, and return its values there."""
        y = self(x).movedim(1, -1)
        values = y.flatten(0, -2)
        mean = values.mean(dim=0)
        # A unit that never moves (one row, constant columns) keeps its gain.
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
        # Scaling the few rows of a batch costs less than scaling all weights.
        return torch.addcmul(self.bias, F.linear(x, self.direction), self.scale())


class WeightNormConv2d(_WeightNorm):
    """Weight-normalized 3 x 3 convolution with padding."""

    def __init__(
        self, n_in: int, n_out: int, *, stride: int, train_gain: bool, length: float = 1.0
    ) -> None:
        super().__init__((n_out, n_in, 3, 3), train_gain=train_gain, length=length)
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        """Return the values of the units, shape (n, n_out, height, width)."""
        # Here the weights are fewer than the values. Channels last is the quicker layout.
        weight = self.direction * self.scale()[:, None, None, None]
        x = x.contiguous(memory_format=torch.channels_last)
        return F.conv2d(x, weight, self.bias, self.stride, padding=1)

    def extra_repr(self) -> str:
        """Return the channels and the stride."""
        n_out, n_in = self.direction.shape[:2]
        return f"{n_in}, {n_out}, stride={self.stride}"
