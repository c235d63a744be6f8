"""Base classes of architectures and networks."""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch
from sklearn.base import BaseEstimator
from torch import Tensor, nn

__all__ = [
    "NO_HEADS",
    "Architecture",
    "Builder",
    "Discriminator",
    "Generator",
    "Heads",
    "network_builders",
]

Builder = Callable[[], nn.Module]


class Discriminator(nn.Module, ABC):
    """Network from rows to outputs, split into features and head for feature matching.

    A layer that mixes the rows of a batch, as batch normalization does, requires the class
    attribute `uses_batch_statistics`: otherwise labeled, unlabeled and generated rows share a
    batch, and the output of a row must not depend on the other rows.

    .. versionadded:: 0.1

    See Also
    --------
    Generator : The other network.
    Architecture : Builds both networks.

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

    uses_batch_statistics: bool = False
    """Whether layers mix rows in training, as batch normalization does. Labeled, unlabeled and
    generated rows are then passed separately, and only real rows change running statistics."""

    optimizer: ClassVar[type[torch.optim.Optimizer]] = torch.optim.Adam
    """Class of the optimizer: Adam, or a subclass with the same state."""

    @abstractmethod
    def forward_features(self, x: Tensor) -> Tensor:
        """Return the values of the last hidden layer, before any noise is added.

        Parameters
        ----------
        x : Tensor of shape (n, ...)
            Rows in the model space.

        Returns
        -------
        features : Tensor of shape (n, ...)
            Values of the last hidden layer, of any shape after the first dimension.
        """

    @abstractmethod
    def forward_head(self, features: Tensor) -> Tensor:
        """Return the outputs, given the values of the last hidden layer.

        Parameters
        ----------
        features : Tensor of shape (n, ...)
            Result of `forward_features`.

        Returns
        -------
        outputs : Tensor of shape (n, n_outputs)
            The outputs, whose meaning depends on the objective.
        """

    def forward(self, x: Tensor) -> Tensor:
        """Return the outputs.

        Parameters
        ----------
        x : Tensor of shape (n, ...)
            Rows in the model space.

        Returns
        -------
        outputs : Tensor of shape (n, n_outputs)
            The outputs, whose meaning depends on the objective.
        """
        return self.forward_head(self.forward_features(x))

    def matched_features(self, x: Tensor) -> Tensor:
        """Return the features that feature matching compares (default: `forward_features`).

        Parameters
        ----------
        x : Tensor of shape (n, ...)
            Rows in the model space.

        Returns
        -------
        features : Tensor of shape (n, ...)
            Features, the means of which the generator imitates.
        """
        return self.forward_features(x)

    def initialize_from_data(self, x: Tensor) -> None:
        """Initialize the weights from training rows (default: do nothing).

        This method is called once, in training mode, before the first step.

        Parameters
        ----------
        x : Tensor of shape (n, ...)
            Random training rows in the model space.
        """


class Generator(nn.Module):
    """Network from latent vectors of shape (n, latent_dim) to rows in the model space.

    A subclass defines ``forward(latent)``. Unlike a discriminator, a generator may use batch
    normalization.

    .. versionadded:: 0.1

    See Also
    --------
    Discriminator : The other network.
    Architecture : Builds both networks.

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
    """Columns of a table that require special outputs of a generator.

    .. versionadded:: 0.1

    Parameters
    ----------
    blocks : tuple of slice, default=()
        One-hot blocks of columns: the levels of a category, or the indicators of missing values.
    missing : tuple of (int, int, float), default=()
        Columns of numbers that may be missing: the column, the column that indicates a missing
        value, and the value that replaces it.

    Examples
    --------
    >>> import numpy as np
    >>> from sgan_sklearn.architectures import Heads, MLPArchitecture
    >>> bounds = np.array([[-3, 0, 0], [3, 1, 1]], dtype=np.float32)
    >>> generator = MLPArchitecture().build_generator(8, bounds, Heads((slice(1, 3),)))
    """

    blocks: tuple[slice, ...] = ()
    missing: tuple[tuple[int, int, float], ...] = ()


NO_HEADS = Heads()


class Architecture(BaseEstimator, ABC):
    """Base class of architectures, which build the discriminator and the generator.

    An architecture has no state. It is a scikit-learn estimator so that ``clone`` copies it and
    its parameters can be set as ``architecture__name``, as in a grid search.

    The networks are built for the shape of one row: ``(n_features,)`` for a table,
    ``(n_channels, height, width)`` for images. The discriminator takes batches of shape
    ``(n, *shape)``, and the generator returns them. The methods raise ValueError for shapes that
    the architecture does not support.

    .. versionadded:: 0.1

    See Also
    --------
    ModuleArchitecture : Uses existing networks, for one shape of the rows.

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
    """Whether the networks use the 2-D layout of images. If not, `scaling="auto"` and
    `augment="auto"` treat images as flat rows."""

    @abstractmethod
    def build_discriminator(self, input_shape: tuple[int, ...], n_outputs: int) -> Discriminator:
        """Return a new discriminator with weights drawn from torch's global generator.

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
            If the architecture does not support the shape.
        """

    @abstractmethod
    def build_generator(
        self, latent_dim: int, bounds: np.ndarray, heads: Heads = NO_HEADS
    ) -> Generator:
        """Return a new generator with weights drawn from torch's global generator.

        An architecture may omit the parameter `heads`. Its generator then returns fractional
        levels of categories, which the discriminator learns to recognize as generated.

        Parameters
        ----------
        latent_dim : int
            Length of the latent vectors.
        bounds : ndarray of shape (2, n_features) or (2, n_channels, height, width)
            Smallest and largest value of each feature in the model space, float32. Generated rows
            must be between these.
        heads : Heads, default=Heads()
            Columns of a table that are levels of categories or may have missing values.

        Returns
        -------
        generator : Generator
            The network, on the CPU.

        Raises
        ------
        ValueError
            If the architecture does not support the shape.
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
