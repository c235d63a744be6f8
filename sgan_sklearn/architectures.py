"""Architectures: the two networks, built for the shape of the rows.

One class for each family, and :data:`ARCHITECTURES` at the bottom. To add one, derive from
:class:`Architecture`, then either add its line to the dict or pass an instance as
``SGANClassifier(architecture=...)``.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from itertools import pairwise
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
import torch
from sklearn.base import BaseEstimator
from sklearn.utils._param_validation import Interval
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["ARCHITECTURES", "Architecture", "Discriminator", "Generator", "MLPArchitecture"]


class Discriminator(nn.Module, ABC):
    """Network from rows to outputs, split in two because feature matching needs the middle.

    No layer may mix the rows of a batch (no BatchNorm): labeled, unlabeled and generated rows
    pass through in one batch, and a row's output must not depend on its neighbors.
    """

    @abstractmethod
    def forward_features(self, x: Tensor) -> Tensor:
        """Return the last hidden layer, before any noise is added to it."""

    @abstractmethod
    def forward_head(self, features: Tensor) -> Tensor:
        """Return the outputs, shape (n, n_outputs), from the last hidden layer."""

    def forward(self, x: Tensor) -> Tensor:
        """Return the outputs, shape (n, n_outputs)."""
        return self.forward_head(self.forward_features(x))

    def initialize_from_data(self, x: Tensor) -> None:
        """Set the starting weights with the help of some training rows (default: do nothing)."""


class Generator(nn.Module):
    """Network from latent vectors, shape (n, latent_dim), to rows of the model space."""


class Architecture(BaseEstimator, ABC):
    """Recipe for the pair of networks.

    An architecture holds no network and no state. It is a scikit-learn estimator only for the
    sake of its parameters: `clone` copies it and a grid reaches them as ``architecture__name``.
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {}

    @abstractmethod
    def build_discriminator(self, n_features: int, n_outputs: int) -> Discriminator:
        """Return a new discriminator, its weights drawn from torch's global generator."""

    @abstractmethod
    def build_generator(self, latent_dim: int, bounds: np.ndarray) -> Generator:
        """Return a new generator of rows between ``bounds[0]`` and ``bounds[1]``."""


class _Noise(nn.Module):
    """Add Gaussian noise of a standard deviation to each value, in training mode only."""

    def __init__(self, std: float) -> None:
        super().__init__()
        self.std = std

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.std == 0:
            return x
        return torch.add(x, torch.randn_like(x), alpha=self.std)

    def extra_repr(self) -> str:
        return f"std={self.std}"


class _WeightNormLinear(nn.Module):
    """Linear layer ``y = g * (v / |v|) x + b`` whose gain `g` may stay as the data set it.

    Salimans and Kingma 2016, arXiv:1602.07868. The data-dependent start gives every unit
    zero mean and unit deviation on a first batch; with the hidden gains frozen there, the
    discriminator cannot saturate and feature matching stays stable.
    """

    gain: Tensor

    def __init__(self, n_in: int, n_out: int, *, train_gain: bool) -> None:
        super().__init__()
        # Of length one: Adam's steps turn a longer direction less.
        self.direction = nn.Parameter(torch.randn(n_out, n_in) / math.sqrt(n_in))
        self.bias = nn.Parameter(torch.zeros(n_out))
        if train_gain:
            self.gain = nn.Parameter(torch.ones(n_out))
        else:
            self.register_buffer("gain", torch.ones(n_out))

    def forward(self, x: Tensor) -> Tensor:
        # Scaling the few rows of a batch costs less than scaling all weights.
        scale = self.gain / torch.linalg.vector_norm(self.direction, dim=1)
        return torch.addcmul(self.bias, F.linear(x, self.direction), scale)

    @torch.no_grad()
    def initialize_from_data(self, x: Tensor) -> Tensor:
        """Standardize each unit on the rows `x` and return its values there."""
        y = self(x)
        mean = y.mean(dim=0)
        # A unit that never moves (one row, constant columns) keeps its gain.
        std = y.std(dim=0, correction=0)
        std = torch.where(std > 1e-6, std, torch.ones_like(std))
        self.gain.div_(std)
        self.bias.copy_((self.bias - mean) / std)
        return (y - mean) / std


class _MLPDiscriminator(Discriminator):
    hidden: Any  # a ModuleList whose items mypy takes for any module

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
        self.input_noise = _Noise(input_noise)
        self.hidden_noise = _Noise(hidden_noise)
        self.hidden = nn.ModuleList(
            _WeightNormLinear(n_in, n_out, train_gain=False) for n_in, n_out in pairwise(sizes)
        )
        self.output = _WeightNormLinear(sizes[-1], n_outputs, train_gain=True)

    def forward_features(self, x: Tensor) -> Tensor:
        x = self.input_noise(x)
        for i, layer in enumerate(self.hidden):
            x = F.relu(layer(x if i == 0 else self.hidden_noise(x)))
        return x

    def forward_head(self, features: Tensor) -> Tensor:
        return self.output(self.hidden_noise(features))

    def initialize_from_data(self, x: Tensor) -> None:
        # With the hidden noise, so that the units have unit deviation in training too.
        for layer in self.hidden:
            x = self.hidden_noise(F.relu(layer.initialize_from_data(x)))
        self.output.initialize_from_data(x)


class _MLPGenerator(Generator):
    bounds: Tensor

    def __init__(
        self, latent_dim: int, hidden_layer_sizes: tuple[int, ...], bounds: np.ndarray
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for n_in, n_out in pairwise((latent_dim, *hidden_layer_sizes)):
            layers += [nn.Linear(n_in, n_out, bias=False), nn.BatchNorm1d(n_out), nn.ReLU()]
        self.hidden = nn.Sequential(*layers)
        self.output = nn.Linear((latent_dim, *hidden_layer_sizes)[-1], bounds.shape[1])
        self.register_buffer("bounds", torch.tensor(bounds))

    def forward(self, latent: Tensor) -> Tensor:
        low, high = self.bounds
        return torch.lerp(low, high, torch.sigmoid(self.output(self.hidden(latent))))


class MLPArchitecture(Architecture):
    """Multilayer perceptrons for flat rows.

    The discriminator has weight normalization with a data-dependent start, hidden gains frozen
    there, ReLU, and Gaussian noise on its input and hidden layers (its only regularizer). The
    generator has batch normalization, ReLU, and an output squashed into the range of each
    feature in the training rows.

    Parameters
    ----------
    hidden_layer_sizes : tuple of int, default=(512, 512, 256)
        Units of each hidden layer of the discriminator; the last one is the layer whose mean
        is matched by feature matching. More units fit finer class borders and cost time.
    generator_hidden_layer_sizes : tuple of int, default=(256, 256)
        Units of each hidden layer of the generator.
    input_noise : float, default=0.3
        Standard deviation of the Gaussian noise on the discriminator's input, in units of the
        scaled features (about one standard deviation of a column). More noise makes smoother
        class borders; where classes lie closer together than the noise it blurs them.
    noise : float, default=0.5
        Standard deviation of the Gaussian noise on the discriminator's hidden layers, whose
        units start with unit standard deviation.

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

    def __init__(
        self,
        hidden_layer_sizes: tuple[int, ...] = (512, 512, 256),
        generator_hidden_layer_sizes: tuple[int, ...] = (256, 256),
        input_noise: float = 0.3,
        noise: float = 0.5,
    ) -> None:
        self.hidden_layer_sizes = hidden_layer_sizes
        self.generator_hidden_layer_sizes = generator_hidden_layer_sizes
        self.input_noise = input_noise
        self.noise = noise

    def build_discriminator(self, n_features: int, n_outputs: int) -> Discriminator:
        """Return a perceptron from `n_features` to `n_outputs`."""
        return _MLPDiscriminator(
            n_features,
            tuple(self.hidden_layer_sizes),
            n_outputs,
            self.input_noise,
            self.noise,
        )

    def build_generator(self, latent_dim: int, bounds: np.ndarray) -> Generator:
        """Return a perceptron from `latent_dim` to rows between ``bounds[0]`` and ``bounds[1]``."""
        return _MLPGenerator(latent_dim, tuple(self.generator_hidden_layer_sizes), bounds)

    def _validate_params(self) -> None:
        super()._validate_params()
        for name in ("hidden_layer_sizes", "generator_hidden_layer_sizes"):
            sizes = getattr(self, name)
            if not all(isinstance(size, Integral) and int(size) >= 1 for size in sizes):
                raise ValueError(
                    f"The {name!r} parameter of {type(self).__name__} must hold integers of at "
                    f"least 1. Got {sizes!r} instead. One layer is written as a tuple: (100,)."
                )


ARCHITECTURES: dict[str, type[Architecture]] = {
    "mlp": MLPArchitecture,
}
