"""Convolutional networks, for images."""

from __future__ import annotations

import math
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

__all__ = ["ConvArchitecture"]

# Channels of the discriminator's layers; "large" is near Salimans' network for 32 x 32 pixels.
WIDTHS: dict[str, tuple[int, ...]] = {
    "small": (24, 24, 48, 48, 48, 48),
    "medium": (48, 48, 96, 96, 96, 96),
    "large": (96, 96, 96, 192, 192, 192, 192),
}

# Pixels a side that the layers are laid out for.
MIN_SIDE, MAX_SIDE = 8, 64

# From this many on, the first layer halves the image, unless the stack is deep: a quarter of the
# work for the same accuracy on handwritten digits. Larger images are halved three times.
EARLY_SIDE, LARGE_SIDE = 24, 48
DEEP = 7

# Length of the directions of weights: at length one, the learning rates that suit perceptrons
# diverge, and a third of them learns well.
LENGTH = 4.0

# Images for the data-dependent start, where each gives many values.
N_START_IMAGES = 100


class _ConvDiscriminator(Discriminator):
    hidden: Any  # a ModuleList whose items mypy takes for any module

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
        # Whole channels: neighboring pixels make up for a single missing one.
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
        return x.mean(dim=(2, 3))

    def forward_head(self, features: Tensor) -> Tensor:
        return self.output(self.feature_dropout(features))

    def initialize_from_data(self, x: Tensor) -> None:
        # With noise and dropout, so that the units have unit deviation in training too.
        x = self.input_noise(x[:N_START_IMAGES])
        for layer in self.hidden:
            x = self._activated(layer, layer.initialize_from_data(x))
        self.output.initialize_from_data(self.feature_dropout(x.mean(dim=(2, 3))))

    def _activated(self, layer: WeightNormConv2d, y: Tensor) -> Tensor:
        y = F.leaky_relu(y, 0.2)
        return self.dropout(y) if layer.stride > 1 else y


class _ConvGenerator(Generator):
    bounds: Tensor

    def __init__(self, latent_dim: int, width: int, bounds: np.ndarray) -> None:
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
            layers += [BatchNorm2d(n_in), nn.ReLU(), _doubling(n_in, n_out, bias=False)]
        layers += [BatchNorm2d(width), nn.ReLU(), _doubling(width, n_channels)]
        self.layers = nn.Sequential(*layers)
        self.register_buffer("bounds", torch.tensor(bounds))

    def forward(self, latent: Tensor) -> Tensor:
        low, high = self.bounds
        images = self.layers(latent)
        # Cut the middle out, where the doublings went beyond the size.
        height, width = low.shape[1:]
        top, left = (images.shape[2] - height) // 2, (images.shape[3] - width) // 2
        images = images[:, :, top : top + height, left : left + width].to(low)
        return torch.lerp(low, high, (torch.tanh(images) + 1) / 2)


def _doubling(n_in: int, n_out: int, bias: bool = True) -> nn.Module:
    """Return a convolution to twice the size, its kernel a multiple of the stride: no grid."""
    return nn.ConvTranspose2d(n_in, n_out, 4, stride=2, padding=1, bias=bias)


def _n_halvings(size: list[int] | tuple[int, ...]) -> int:
    """Return how often an image can be halved with 4 pixels left on either side."""
    return (min(size) // 4).bit_length() - 1


def _strides(size: tuple[int, ...], n_layers: int) -> list[int]:
    """Halve at layers 3 and 5, and where the first layers would cost most at layer 1 already."""
    side = min(size)
    early = side >= LARGE_SIDE or (side >= EARLY_SIDE and n_layers < DEEP)
    n_halvings = min(_n_halvings(size), 3 if side >= LARGE_SIDE else 2)
    places = [place for place in ([0, 2, 4] if early else [2, 4]) if place < n_layers]
    return [2 if layer in places[:n_halvings] else 1 for layer in range(n_layers)]


class ConvArchitecture(Architecture):
    """Convolutional networks for images of 8 to 64 pixels a side.

    The discriminator is a stack of 3 x 3 convolutions with weight normalization, a data-dependent
    start, hidden gains frozen there, and leaky ReLU. Two of them halve the image as long as that
    leaves 4 pixels a side: the first and the third from 24 pixels on, else, and in stacks of
    seven layers or more, the third and the fifth; from 48 pixels on all three. Means over
    the places that remain are the features, which a linear layer turns into outputs. It
    trains with Gaussian noise on the pixels and dropout. The generator starts from a small
    plane and doubles it by transposed convolutions, with batch normalization and ReLU, up to
    a hyperbolic tangent.

    .. versionadded:: 0.1

    Parameters
    ----------
    width : {"small", "medium", "large"}, int or tuple of int, default="small"
        Channels of each layer of the discriminator: "small" is (24, 24, 48, 48, 48, 48), "medium"
        has twice and "large" four times as many, and a layer more; an integer takes the place
        of 24. Time grows with the square.
    generator_width : int, default=32
        Channels before the generator's last layer; each layer before that one has twice as many.
    input_noise : float, default=0.15
        Standard deviation of the Gaussian noise on the pixels, which span 2.
    dropout : float, default=0.2
        Share of the channels that are left out in training, after each halving and before the
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
        n_channels, *size = _checked(input_shape)
        channels = self._channels()
        strides = _strides(tuple(size), len(channels))
        return _ConvDiscriminator(
            n_channels, channels, strides, n_outputs, self.input_noise, self.dropout
        )

    def build_generator(
        self, latent_dim: int, bounds: np.ndarray, heads: Heads = NO_HEADS
    ) -> Generator:
        """Return a network from `latent_dim` to images between ``bounds[0]`` and ``bounds[1]``."""
        _checked(bounds.shape[1:])
        return _ConvGenerator(latent_dim, int(self.generator_width), bounds)

    def _channels(self) -> tuple[int, ...]:
        if isinstance(self.width, str):
            return WIDTHS[self.width]
        if isinstance(self.width, tuple | list):
            return tuple(int(n_channels) for n_channels in self.width)
        width = int(self.width)
        return (width, width, *4 * [2 * width])

    def _validate_params(self) -> None:
        super()._validate_params()
        layers: Any = self.width if isinstance(self.width, tuple | list) else [1]
        if len(layers) > MAX_LAYERS:
            raise ValueError(
                f"The 'width' parameter of ConvArchitecture must hold at most {MAX_LAYERS} "
                f"integers, one for each layer. Got {len(layers)}."
            )
        if not layers or not all(isinstance(n, Integral) and int(n) >= 1 for n in layers):
            raise ValueError(
                "The 'width' parameter of ConvArchitecture must hold integers of at least 1, one "
                f"for each layer. Got {self.width!r} instead."
            )


def _checked(input_shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the shape of the images, or raise ValueError where these networks do not fit."""
    if len(input_shape) != 3:
        (n_features,) = input_shape
        side = math.isqrt(n_features)
        example = (side, side) if side**2 == n_features else ("height", "width")
        raise ValueError(
            "The 'architecture' parameter of SGANClassifier is convolutional and needs images, but "
            f"X holds flat rows of {n_features} features. Pass X of shape (n_samples, height, "
            f"width) or (n_samples, height, width, channels), or say how a row is laid out: "
            f"image_shape=({', '.join(map(str, example))})."
        )
    _, height, width = input_shape
    if not (min(height, width) >= MIN_SIDE and max(height, width) <= MAX_SIDE):
        raise ValueError(
            f"X must hold images of {MIN_SIDE} to {MAX_SIDE} pixels a side for a ConvArchitecture. "
            f"Got images of {height} x {width} pixels. Resize them, or flatten them with "
            "X.reshape(len(X), -1) and use architecture='mlp'."
        )
    return input_shape
