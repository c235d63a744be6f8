"""What every architecture and its two networks have in common."""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar, NamedTuple

import numpy as np
from sklearn.base import BaseEstimator
from torch import Tensor, nn

__all__ = ["Architecture", "Builder", "Discriminator", "Generator", "Heads", "network_builders"]

Builder = Callable[[], nn.Module]


class Discriminator(nn.Module, ABC):
    """Network from rows to outputs, split in two because feature matching needs the middle.

    No layer may mix the rows of a batch (no BatchNorm): labeled, unlabeled and generated rows
    pass through in one batch, and a row's output must not depend on its neighbors.

    .. versionadded:: 0.1

    See Also
    --------
    Generator : The other network.
    Architecture : Builds both.

    Examples
    --------
    >>> import torch
    >>> from torch import nn
    >>> from sgan_sklearn.architectures import Discriminator
    >>> class SmallDiscriminator(Discriminator):
    ...     def __init__(self, n_features, n_outputs):
    ...         super().__init__()
    ...         self.hidden = nn.Linear(n_features, 16)
    ...         self.output = nn.Linear(16, n_outputs)
    ...
    ...     def forward_features(self, x):
    ...         return torch.relu(self.hidden(x))
    ...
    ...     def forward_head(self, features):
    ...         return self.output(features)
    >>> discriminator = SmallDiscriminator(4, n_outputs=3)
    >>> discriminator(torch.zeros(10, 4)).shape
    torch.Size([10, 3])
    >>> discriminator.forward_features(torch.zeros(10, 4)).shape
    torch.Size([10, 16])
    """

    @abstractmethod
    def forward_features(self, x: Tensor) -> Tensor:
        """Return the last hidden layer, before any noise is added to it.

        Parameters
        ----------
        x : Tensor of shape (n, ...)
            Rows of the model space.

        Returns
        -------
        features : Tensor of shape (n, ...)
            The last hidden layer; behind the first dimension it may have any shape.
        """

    @abstractmethod
    def forward_head(self, features: Tensor) -> Tensor:
        """Return the outputs, given the last hidden layer.

        Parameters
        ----------
        features : Tensor of shape (n, ...)
            What `forward_features` has returned.

        Returns
        -------
        outputs : Tensor of shape (n, n_outputs)
            The outputs, whose meaning is up to the objective.
        """

    def forward(self, x: Tensor) -> Tensor:
        """Return the outputs: the head of the features.

        Parameters
        ----------
        x : Tensor of shape (n, ...)
            Rows of the model space.

        Returns
        -------
        outputs : Tensor of shape (n, n_outputs)
            The outputs, whose meaning is up to the objective.
        """
        return self.forward_head(self.forward_features(x))

    def initialize_from_data(self, x: Tensor) -> None:
        """Set the starting weights with the help of some training rows (default: do nothing).

        It is called once, in training mode, before the first step.

        Parameters
        ----------
        x : Tensor of shape (n, ...)
            Rows of the model space, drawn by chance.
        """


class Generator(nn.Module):
    """Network from latent vectors, shape (n, latent_dim), to rows of the model space.

    A subclass defines ``forward(latent)``. Unlike a discriminator it may mix the rows of a
    batch: batch normalization is welcome.

    .. versionadded:: 0.1

    See Also
    --------
    Discriminator : The other network.
    Architecture : Builds both.

    Examples
    --------
    >>> import numpy as np
    >>> import torch
    >>> from torch import nn
    >>> from sgan_sklearn.architectures import Generator
    >>> class SmallGenerator(Generator):
    ...     def __init__(self, latent_dim, bounds):
    ...         super().__init__()
    ...         self.register_buffer("bounds", torch.tensor(bounds))
    ...         self.output = nn.Linear(latent_dim, bounds.shape[1])
    ...
    ...     def forward(self, latent):
    ...         low, high = self.bounds
    ...         return torch.lerp(low, high, torch.sigmoid(self.output(latent)))
    >>> bounds = np.array([[-2, 0, 0], [2, 1, 5]], dtype=np.float32)
    >>> SmallGenerator(8, bounds)(torch.zeros(10, 8)).shape
    torch.Size([10, 3])
    """


class Heads(NamedTuple):
    """Columns of a table that a generator has to treat in their own way.

    .. versionadded:: 0.1

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
    sake of its parameters: ``clone`` copies it and a grid reaches them as ``architecture__name``.

    The shape of one row says what the networks are built for: ``(n_features,)`` for a table,
    ``(n_channels, height, width)`` for images. The discriminator takes batches ``(n, *shape)``
    and the generator makes them. A builder raises ValueError, with the remedy, for a shape that
    it cannot serve.

    .. versionadded:: 0.1

    See Also
    --------
    ModuleArchitecture : Takes a pair of networks as it is, for one shape of the rows.

    Examples
    --------
    >>> import torch
    >>> from sklearn.datasets import load_iris
    >>> from torch import nn
    >>> from sgan_sklearn import SGANClassifier
    >>> from sgan_sklearn.architectures import Architecture, Discriminator, Heads, MLPArchitecture
    >>> class SmallDiscriminator(Discriminator):
    ...     def __init__(self, n_features, n_units, n_outputs):
    ...         super().__init__()
    ...         self.hidden = nn.Linear(n_features, n_units)
    ...         self.output = nn.Linear(n_units, n_outputs)
    ...
    ...     def forward_features(self, x):
    ...         return torch.relu(self.hidden(x))
    ...
    ...     def forward_head(self, features):
    ...         return self.output(features)
    >>> class SmallArchitecture(Architecture):
    ...     for_images = False
    ...
    ...     def __init__(self, n_units=16):
    ...         self.n_units = n_units
    ...
    ...     def build_discriminator(self, input_shape, n_outputs):
    ...         return SmallDiscriminator(input_shape[0], self.n_units, n_outputs)
    ...
    ...     def build_generator(self, latent_dim, bounds, heads=Heads()):
    ...         perceptrons = MLPArchitecture(generator_hidden_layer_sizes=(self.n_units,))
    ...         return perceptrons.build_generator(latent_dim, bounds, heads)
    >>> X, y = load_iris(return_X_y=True)
    >>> clf = SGANClassifier(SmallArchitecture(), unlabeled_value=None, max_epochs=1)
    >>> clf.set_params(architecture__n_units=8).fit(X, y).discriminator_
    SmallDiscriminator(
      (hidden): Linear(in_features=4, out_features=8, bias=True)
      (output): Linear(in_features=8, out_features=3, bias=True)
    )
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {}

    for_images: ClassVar[bool] = True
    """Whether the networks make use of the plane when rows are images: only then do the "auto"
    of `scaling` and `augment` treat them as images."""

    @abstractmethod
    def build_discriminator(self, input_shape: tuple[int, ...], n_outputs: int) -> Discriminator:
        """Return a new discriminator, its weights drawn from torch's global generator.

        Parameters
        ----------
        input_shape : tuple of int
            Shape of a row: ``(n_features,)`` or ``(n_channels, height, width)``.
        n_outputs : int
            Number of outputs that the objective needs.

        Returns
        -------
        discriminator : Discriminator
            The network, on the CPU.

        Raises
        ------
        ValueError
            If the architecture does not suit the shape.
        """

    @abstractmethod
    def build_generator(
        self, latent_dim: int, bounds: np.ndarray, heads: Heads = NO_HEADS
    ) -> Generator:
        """Return a new generator, its weights drawn from torch's global generator.

        An architecture may leave the parameter `heads` out. Its generator then makes levels of
        categories by halves, which the discriminator learns to tell from whole ones.

        Parameters
        ----------
        latent_dim : int
            Length of the latent vectors.
        bounds : ndarray of shape (2, n_features) or (2, n_channels, height, width)
            Smallest and largest value of each feature in the model space, between which the
            generated rows lie; float32.
        heads : Heads, default=Heads()
            The columns of a table that are levels of categories or may have holes.

        Returns
        -------
        generator : Generator
            The network, on the CPU.

        Raises
        ------
        ValueError
            If the architecture does not suit the shape.
        """


def network_builders(
    architecture: Architecture, n_outputs: int, latent_dim: int, bounds: np.ndarray, heads: Heads
) -> tuple[Builder, Builder]:
    """Return functions that build the discriminator and the generator of an architecture."""
    # A user-defined architecture may not have the parameter `heads`.
    takes_heads = "heads" in inspect.signature(architecture.build_generator).parameters
    own = {"heads": heads} if heads.blocks and takes_heads else {}
    return (
        partial(architecture.build_discriminator, bounds.shape[1:], n_outputs),
        partial(architecture.build_generator, latent_dim, bounds, **own),
    )
