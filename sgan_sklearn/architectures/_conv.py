"""Convolutional networks, for images."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
import torch
from sklearn.utils._param_validation import Interval, StrOptions
from torch import Tensor, nn
from torch.nn import functional as F

from sgan_sklearn._data.validation import MAX_LAYERS
from sgan_sklearn.architectures._base import (
    NO_HEADS,
    Architecture,
    Discriminator,
    Generator,
    Heads,
)
from sgan_sklearn.architectures._layers import (
    BatchNorm2d,
    Noise,
    WeightNormConv2d,
    WeightNormLinear,
)

__all__ = ["ConvArchitecture", "ConvGenerator", "check_images", "check_widths", "transposed"]

# Channels of the discriminator's layers; "large" is similar to the network of Salimans et al. for
# 32 x 32 pixels.
WIDTHS: dict[str, tuple[int, ...]] = {
    "small": (24, 24, 48, 48, 48, 48),
    "medium": (48, 48, 96, 96, 96, 96),
    "large": (96, 96, 96, 192, 192, 192, 192),
}

# Supported side lengths of images in pixels.
MIN_SIDE, MAX_SIDE = 8, 64

# If the shorter side has at least EARLY_SIDE pixels and there are fewer than DEEP layers, the first
# layer halves the image: a quarter of the computation for the same accuracy on handwritten digits.
# Images with at least LARGE_SIDE pixels are halved three times.
EARLY_SIDE, LARGE_SIDE = 24, 48
DEEP = 7

# Initial norm of the weight directions. With a norm of one, training diverges at the learning rates
# that suit perceptrons, and works well at a third of these.
LENGTH = 4.0

# Number of images for the data-dependent initialization, since each image gives many values.
N_INIT_IMAGES = 100


class _ConvDiscriminator(Discriminator):
    hidden: Any  # a ModuleList, whose items mypy would treat as Module

    def __init__(
        self,
        n_channels: int,
        channels: tuple[int, ...],
        strides: list[int],
        n_outputs: int,
        input_noise: float,
        dropout: float,
    ) -> None:
        super().__init__()
        self.input_noise = Noise(input_noise)
        # Drop entire channels, since neighboring pixels would compensate for single dropped ones.
        self.dropout = nn.Dropout2d(dropout)
        self.feature_dropout = nn.Dropout(dropout)
        self.hidden = nn.ModuleList(
            WeightNormConv2d(n_in, n_out, stride=stride, train_gain=False, length=LENGTH)
            for (n_in, n_out), stride in zip(
                pairwise((n_channels, *channels)), strides, strict=True
            )
        )
        self.output = WeightNormLinear(channels[-1], n_outputs, train_gain=True, length=LENGTH)

    def forward_features(self, x: Tensor) -> Tensor:
        x = self.input_noise(x)
        for layer in self.hidden:
            x = self._activated(layer, layer(x))
        return _pooled(x)

    def forward_head(self, features: Tensor) -> Tensor:
        return self.output(self.feature_dropout(features))

    def initialize_from_data(self, x: Tensor) -> None:
        # Include noise and dropout, so that the units also have unit variance in training.
        x = self.input_noise(x[:N_INIT_IMAGES])
        for layer in self.hidden:
            x = self._activated(layer, layer.initialize_from_data(x))
        self.output.initialize_from_data(self.feature_dropout(_pooled(x)))

    def _activated(self, layer: WeightNormConv2d, y: Tensor) -> Tensor:
        y = F.leaky_relu(y, 0.2)
        return self.dropout(y) if layer.stride > 1 else y


def _pooled(x: Tensor) -> Tensor:
    """Return the mean of each channel; the gradients of `Tensor.mean` have a slow layout."""
    return F.avg_pool2d(x, list(x.shape[2:])).flatten(1)


class ConvGenerator(Generator):
    """Convolutions from a small image to one of the size of `bounds`.

    Parameters
    ----------
    latent_dim : int
        Length of the latent vectors.
    width : int
        Number of channels before the last layer.
    bounds : ndarray of shape (2, n_channels, height, width)
        Smallest and largest pixels.
    doubling : callable
        Returns a layer that doubles the size, given its channels before and after, and ``bias``.
    """

    bounds: Tensor

    def __init__(
        self, latent_dim: int, width: int, bounds: np.ndarray, doubling: Callable[..., nn.Module]
    ) -> None:
        super().__init__()
        n_channels, *size = bounds.shape[1:]
        n_doublings = _n_halvings(size)
        start = [math.ceil(side / 2**n_doublings) for side in size]
        channels = [width << i for i in reversed(range(n_doublings))]
        layers: list[nn.Module] = [
            nn.Linear(latent_dim, channels[0] * math.prod(start), bias=False),
            nn.Unflatten(1, (channels[0], *start)),
        ]
        for n_in, n_out in pairwise(channels):
            layers += [BatchNorm2d(n_in), nn.ReLU(), doubling(n_in, n_out, bias=False)]
        layers += [BatchNorm2d(width), nn.ReLU(), doubling(width, n_channels, bias=True)]
        self.layers = nn.Sequential(*layers)
        # In one memory order: a file does not keep another.
        self.register_buffer("bounds", torch.tensor(np.ascontiguousarray(bounds)))

    def forward(self, latent: Tensor) -> Tensor:
        """Return images for latent vectors."""
        low, high = self.bounds
        images = self.layers(latent)
        # Crop the center, since doubling may exceed the size.
        height, width = low.shape[1:]
        top, left = (images.shape[2] - height) // 2, (images.shape[3] - width) // 2
        images = images[:, :, top : top + height, left : left + width].to(low)
        return torch.lerp(low, high, (torch.tanh(images) + 1) / 2)


def transposed(n_in: int, n_out: int, *, bias: bool) -> nn.Module:
    """Return a transposed convolution that doubles the size.

    The kernel size is a multiple of the stride, which avoids checkerboard artifacts.
    """
    return nn.ConvTranspose2d(n_in, n_out, 4, stride=2, padding=1, bias=bias)


def _n_halvings(size: list[int] | tuple[int, ...]) -> int:
    """Return how often an image can be halved while each side keeps at least 4 pixels."""
    return (min(size) // 4).bit_length() - 1


def _strides(size: tuple[int, ...], n_layers: int) -> list[int]:
    """Return the strides: layers 3 and 5 halve the image, and layer 1 if the image is large."""
    side = min(size)
    early = side >= LARGE_SIDE or (side >= EARLY_SIDE and n_layers < DEEP)
    n_halvings = min(_n_halvings(size), 3 if side >= LARGE_SIDE else 2)
    halving = [layer for layer in ([0, 2, 4] if early else [2, 4]) if layer < n_layers]
    return [2 if layer in halving[:n_halvings] else 1 for layer in range(n_layers)]


class ConvArchitecture(Architecture):
    """Convolutional networks for images of 8 to 64 pixels per side.

    The discriminator is a stack of 3 x 3 convolutions with weight normalization, data-dependent
    initialization, fixed gains of the hidden layers, and leaky ReLU activations. Some layers halve
    the image, as long as each side keeps at least 4 pixels: the third and the fifth layer; from 24
    pixels per side, the first and the third layer, unless there are seven layers or more; from 48
    pixels per side, all three. The features are means over the remaining pixels, and a linear layer
    maps them to the outputs. Training uses Gaussian noise on the pixels and dropout. The generator
    doubles the size of a small image by transposed convolutions with batch normalization and ReLU
    activations, followed by a hyperbolic tangent.

    .. versionadded:: 0.1

    Parameters
    ----------
    width : {"small", "medium", "large"}, int or tuple of int, default="small"
        Number of channels of each layer of the discriminator: "small" is (24, 24, 48, 48, 48, 48),
        "medium" has twice as many channels, and "large" four times as many and one more layer. An
        integer replaces 24 in "small". The time grows with the square of the width.
    generator_width : int, default=32
        Number of channels before the last layer of the generator. Each preceding layer has twice
        as many.
    input_noise : float, default=0.15
        Standard deviation of the Gaussian noise on the pixels, whose range is 2.
    dropout : float, default=0.2
        Fraction of the channels that are dropped in training, after each halving and before the
        last layer.

    References
    ----------
    Salimans et al., "Improved Techniques for Training GANs", 2016, arXiv:1606.03498.

    Radford, Metz and Chintala, "Unsupervised Representation Learning with Deep Convolutional
    Generative Adversarial Networks", 2015, arXiv:1511.06434.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sgan_sklearn import SGANClassifier
    >>> from sgan_sklearn.architectures import ConvArchitecture
    >>> digits = load_digits()
    >>> clf = SGANClassifier(ConvArchitecture(width=8), unlabeled_value=None, max_epochs=1)
    >>> clf.fit(digits.images, digits.target).sample(2).shape
    (2, 8, 8)
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "width": [StrOptions(set(WIDTHS)), Interval(Integral, 1, None, closed="left"), tuple, list],
        "generator_width": [Interval(Integral, 1, None, closed="left")],
        "input_noise": [Interval(Real, 0, None, closed="left")],
        "dropout": [Interval(Real, 0, 1, closed="left")],
    }

    def __init__(
        self,
        width: str | int | tuple[int, ...] = "small",
        generator_width: int = 32,
        input_noise: float = 0.15,
        dropout: float = 0.2,
    ) -> None:
        self.width = width
        self.generator_width = generator_width
        self.input_noise = input_noise
        self.dropout = dropout

    def build_discriminator(self, input_shape: tuple[int, ...], n_outputs: int) -> Discriminator:
        """Return a convolutional network from images to `n_outputs`."""
        n_channels, *size = check_images(self, input_shape)
        channels = self._channels()
        strides = _strides(tuple(size), len(channels))
        return _ConvDiscriminator(
            n_channels, channels, strides, n_outputs, self.input_noise, self.dropout
        )

    def build_generator(
        self, latent_dim: int, bounds: np.ndarray, heads: Heads = NO_HEADS
    ) -> Generator:
        """Return a network from `latent_dim` to images between ``bounds[0]`` and ``bounds[1]``."""
        check_images(self, bounds.shape[1:])
        return ConvGenerator(latent_dim, int(self.generator_width), bounds, transposed)

    def _channels(self) -> tuple[int, ...]:
        if isinstance(self.width, str):
            return WIDTHS[self.width]
        if isinstance(self.width, tuple | list):
            return tuple(int(n_channels) for n_channels in self.width)
        width = int(self.width)
        return (width, width, *4 * [2 * width])

    def _validate_params(self) -> None:
        super()._validate_params()
        if isinstance(self.width, tuple | list):
            check_widths(self, "layer")


def check_widths(architecture: Any, part: str) -> None:
    """Raise ValueError if `width` is not a list of positive integers, one for each part."""
    name, widths = type(architecture).__name__, architecture.width
    if len(widths) > MAX_LAYERS:
        raise ValueError(
            f"The 'width' parameter of {name} must hold at most {MAX_LAYERS} integers, one for "
            f"each {part}. Got {len(widths)}."
        )
    if not widths or not all(isinstance(n, Integral) and int(n) >= 1 for n in widths):
        raise ValueError(
            f"The 'width' parameter of {name} must hold integers of at least 1, one for each "
            f"{part}. Got {widths!r} instead."
        )


def check_images(architecture: Architecture, input_shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the shape of the images, or raise ValueError if it is not supported."""
    if len(input_shape) != 3:
        (n_features,) = input_shape
        side = math.isqrt(n_features)
        example = (side, side) if side**2 == n_features else ("height", "width")
        raise ValueError(
            "The 'architecture' parameter of SGANClassifier is convolutional and needs images, but "
            f"X holds flat rows of {n_features} features. Pass X of shape (n_samples, height, "
            f"width) or (n_samples, height, width, channels), or set the layout of a row: "
            f"image_shape=({', '.join(map(str, example))})."
        )
    _, height, width = input_shape
    if not (min(height, width) >= MIN_SIDE and max(height, width) <= MAX_SIDE):
        raise ValueError(
            f"X must hold images of {MIN_SIDE} to {MAX_SIDE} pixels per side for "
            f"{type(architecture).__name__}. Got images of {height} x {width} pixels. Resize them, "
            "or flatten them with X.reshape(len(X), -1) and use architecture='mlp'."
        )
    return input_shape
