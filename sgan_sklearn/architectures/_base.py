"""What every architecture and its two networks have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar, NamedTuple

import numpy as np
from sklearn.base import BaseEstimator
from torch import Tensor, nn

__all__ = ["Architecture", "Discriminator", "Generator", "Heads"]


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


class Heads(NamedTuple):
    """Columns of a table that a generator has to treat in their own way.

    Parameters
    ----------
    blocks : tuple of slice, default=()
        Columns of which exactly one is one and the others are zero: the levels of a category.
    holes : tuple of (int, int, float), default=()
        Columns of numbers that may be missing: the column, the level that says so, and the value
        that the column then has.

    Examples
    --------
    >>> import numpy as np
    >>> from sgan_sklearn.architectures import Heads, MLPArchitecture
    >>> bounds = np.array([[-3, 0, 0], [3, 1, 1]], dtype=np.float32)
    >>> generator = MLPArchitecture().build_generator(8, bounds, Heads((slice(1, 3),)))
    """

    blocks: tuple[slice, ...] = ()
    holes: tuple[tuple[int, int, float], ...] = ()


NO_HEADS = Heads()


class Architecture(BaseEstimator, ABC):
    """Recipe for the pair of networks.

    An architecture holds no network and no state. It is a scikit-learn estimator only for the
    sake of its parameters: `clone` copies it and a grid reaches them as ``architecture__name``.

    The shape of one row says what the networks are built for: ``(n_features,)`` for a table,
    ``(n_channels, height, width)`` for images. The discriminator takes batches ``(n, *shape)``
    and the generator makes them. A builder raises ValueError, with the remedy, for a shape that
    it cannot serve.
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {}

    for_images: ClassVar[bool] = True
    """Whether the networks make use of the plane when rows are images: only then do the "auto"
    of `scaling` and `augment` treat them as images."""

    @abstractmethod
    def build_discriminator(self, input_shape: tuple[int, ...], n_outputs: int) -> Discriminator:
        """Return a new discriminator, its weights drawn from torch's global generator."""

    @abstractmethod
    def build_generator(
        self, latent_dim: int, bounds: np.ndarray, heads: Heads = NO_HEADS
    ) -> Generator:
        """Return a new generator of rows between ``bounds[0]`` and ``bounds[1]``.

        `bounds` has the shape ``(2, *input_shape)``. The `heads` are those of a table with
        categories or holes; a generator without them makes levels by halves, which the
        discriminator learns to tell from whole ones.
        """
