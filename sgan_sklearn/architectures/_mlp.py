"""Multilayer perceptrons, for tables."""

from __future__ import annotations

import math
from itertools import pairwise
from numbers import Real
from typing import Any, ClassVar

import numpy as np
import torch
from sklearn.utils._param_validation import Interval
from torch import Tensor, nn
from torch.nn import functional as F

from sgan_sklearn._data.validation import check_layer_sizes
from sgan_sklearn.architectures._base import (
    NO_HEADS,
    Architecture,
    Discriminator,
    Generator,
    Heads,
)
from sgan_sklearn.architectures._layers import BatchNorm1d, Noise, TableHeads, WeightNormLinear

__all__ = ["MLPArchitecture"]


class _MLPDiscriminator(Discriminator):
    hidden: Any  # a ModuleList, whose items mypy would treat as Module

    def __init__(
        self,
        n_features: int,
        hidden_layer_sizes: tuple[int, ...],
        n_outputs: int,
        input_noise: float,
        hidden_noise: float,
    ) -> None:
        super().__init__()
        sizes = (n_features, *hidden_layer_sizes)
        self.input_noise = Noise(input_noise)
        self.hidden_noise = Noise(hidden_noise)
        self.hidden = nn.ModuleList(
            WeightNormLinear(n_in, n_out, train_gain=False) for n_in, n_out in pairwise(sizes)
        )
        self.output = WeightNormLinear(sizes[-1], n_outputs, train_gain=True)

    def forward_features(self, x: Tensor) -> Tensor:
        x = self.input_noise(x.flatten(1))
        for i, layer in enumerate(self.hidden):
            x = F.relu(layer(x if i == 0 else self.hidden_noise(x)))
        return x

    def forward_head(self, features: Tensor) -> Tensor:
        return self.output(self.hidden_noise(features))

    def initialize_from_data(self, x: Tensor) -> None:
        x = x.flatten(1)
        # The hidden noise is included, so that its units have about unit variance in training. The
        # input noise is not: with it, the units of the first layer vary more.
        for layer in self.hidden:
            x = self.hidden_noise(F.relu(layer.initialize_from_data(x)))
        self.output.initialize_from_data(x)


class _MLPGenerator(Generator):
    bounds: Tensor

    def __init__(
        self,
        latent_dim: int,
        hidden_layer_sizes: tuple[int, ...],
        bounds: np.ndarray,
        heads: Heads,
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for n_in, n_out in pairwise((latent_dim, *hidden_layer_sizes)):
            layers += [nn.Linear(n_in, n_out, bias=False), BatchNorm1d(n_out), nn.ReLU()]
        self.hidden = nn.Sequential(*layers)
        self.output = nn.Linear((latent_dim, *hidden_layer_sizes)[-1], bounds[0].size)
        self.register_buffer("bounds", torch.tensor(bounds))
        self.heads = TableHeads(heads) if heads.blocks else None

    def forward(self, latent: Tensor) -> Tensor:
        low, high = self.bounds
        logits = self.output(self.hidden(latent)).to(low).view(-1, *low.shape)
        rows = torch.lerp(low, high, torch.sigmoid(logits))
        return rows if self.heads is None else self.heads(logits, rows)


class MLPArchitecture(Architecture):
    """Multilayer perceptrons, for tables.

    The discriminator has weight normalization with data-dependent initialization and fixed gains of
    the hidden layers, ReLU activations, and Gaussian noise on its input and hidden layers. The
    generator has batch normalization, ReLU activations, and outputs limited to the range of each
    feature in the training rows. Both networks treat images as rows of pixels.

    .. versionadded:: 0.1

    Parameters
    ----------
    hidden_layer_sizes : tuple of int, default=(128, 128, 64)
        Number of units of each hidden layer of the discriminator. Feature matching uses the last
        hidden layer. More units allow more complex decision boundaries and take more time.
    generator_hidden_layer_sizes : tuple of int, default=(128, 128)
        Number of units of each hidden layer of the generator.
    input_noise : float, default=0.3
        Standard deviation of the Gaussian noise on the discriminator's input, in units of the
        scaled features (about one standard deviation of a column). More noise gives smoother
        decision boundaries, but blurs classes that are closer together than the noise.
    noise : float, default=0.5
        Standard deviation of the Gaussian noise on the discriminator's hidden layers, whose
        units initially have unit standard deviation.

    References
    ----------
    Salimans et al., "Improved Techniques for Training GANs", 2016, arXiv:1606.03498.

    Salimans and Kingma, "Weight Normalization", 2016, arXiv:1602.07868.

    Examples
    --------
    >>> from sgan_sklearn import SGANClassifier
    >>> from sgan_sklearn.architectures import MLPArchitecture
    >>> clf = SGANClassifier(architecture=MLPArchitecture(hidden_layer_sizes=(64,)))
    >>> clf.set_params(architecture__noise=0.2)
    SGANClassifier(architecture=MLPArchitecture(hidden_layer_sizes=(64,), noise=0.2))
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "hidden_layer_sizes": ["array-like"],
        "generator_hidden_layer_sizes": ["array-like"],
        "input_noise": [Interval(Real, 0, None, closed="left")],
        "noise": [Interval(Real, 0, None, closed="left")],
    }

    for_images = False

    def __init__(
        self,
        hidden_layer_sizes: tuple[int, ...] = (128, 128, 64),
        generator_hidden_layer_sizes: tuple[int, ...] = (128, 128),
        input_noise: float = 0.3,
        noise: float = 0.5,
    ) -> None:
        self.hidden_layer_sizes = hidden_layer_sizes
        self.generator_hidden_layer_sizes = generator_hidden_layer_sizes
        self.input_noise = input_noise
        self.noise = noise

    def build_discriminator(self, input_shape: tuple[int, ...], n_outputs: int) -> Discriminator:
        """Return a perceptron from flattened rows of `input_shape` to `n_outputs`."""
        return _MLPDiscriminator(
            math.prod(input_shape),
            tuple(self.hidden_layer_sizes),
            n_outputs,
            self.input_noise,
            self.noise,
        )

    def build_generator(
        self, latent_dim: int, bounds: np.ndarray, heads: Heads = NO_HEADS
    ) -> Generator:
        """Return a perceptron from `latent_dim` to rows between ``bounds[0]`` and ``bounds[1]``."""
        return _MLPGenerator(latent_dim, tuple(self.generator_hidden_layer_sizes), bounds, heads)

    def _validate_params(self) -> None:
        super()._validate_params()
        check_layer_sizes(self, "hidden_layer_sizes", "generator_hidden_layer_sizes")
