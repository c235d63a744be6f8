"""User-defined networks."""

from __future__ import annotations

import copy
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from sgan_sklearn.architectures._base import (
    NO_HEADS,
    Architecture,
    Discriminator,
    Generator,
    Heads,
)
from sgan_sklearn.architectures._layers import frozen_statistics

__all__ = ["ModuleArchitecture"]


class _ModuleDiscriminator(Discriminator):
    """Wrapper of a user-defined network that splits it into features and head."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module
        self.has_split = _has_split(module)
        self.uses_batch_statistics = any(isinstance(m, _BatchNorm) for m in module.modules())

    def forward_features(self, x: Tensor) -> Tensor:
        if self.training and self.uses_batch_statistics and len(x) < 2:
            # PyTorch's batch normalization needs two rows.
            rows = x.repeat(2, *[1] * (x.ndim - 1)) if len(x) else x.new_zeros(2, *x.shape[1:])
            with frozen_statistics(self):
                return self._features(rows)[: len(x)]
        return self._features(x)

    def _features(self, x: Tensor) -> Tensor:
        module: Any = self.module
        return module.forward_features(x) if self.has_split else module[:-1](x)

    def forward_head(self, features: Tensor) -> Tensor:
        module: Any = self.module
        return module.forward_head(features) if self.has_split else module[-1](features)

    def matched_features(self, x: Tensor) -> Tensor:
        module: Any = self.module
        matched = getattr(module, "matched_features", self.forward_features)
        features: Tensor = matched(x)
        return features

    def initialize_from_data(self, x: Tensor) -> None:
        module: Any = self.module
        if hasattr(module, "initialize_from_data"):
            module.initialize_from_data(x)


class _ModuleGenerator(Generator):
    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, latent: Tensor) -> Tensor:
        return self.module(latent)


class ModuleArchitecture(Architecture):
    """Architecture of a user-defined discriminator and generator.

    Each fit trains copies of the modules, which are never changed. Layers with a method
    ``reset_parameters``, such as those of PyTorch, are initialized again, so that their weights
    depend on `random_state`. Other weights keep their initial values.

    .. versionadded:: 0.1

    Parameters
    ----------
    discriminator : torch.nn.Module
        Network from scaled rows to class logits, shape (n, n_classes). Rows have the shape
        (n, n_features), or (n, channels, height, width) for images. Feature matching needs its
        last hidden layer: either a ``torch.nn.Sequential`` whose last layer is the head, or any
        module with two methods ``forward_features(x)`` and ``forward_head(features)``. If it has
        batch normalization, labeled, unlabeled and generated rows are passed separately, and only
        real rows change the running statistics. If it has a method ``initialize_from_data(x)``,
        this is called with training rows before the first step, and ``matched_features(x)``
        replaces the last hidden layer in feature matching.
    generator : torch.nn.Module
        Network from latent vectors, shape (n, latent_dim), to scaled rows in the shape that the
        discriminator takes. Scaled pixels are between -1 and 1, like the hyperbolic tangent.

    See Also
    --------
    Architecture : Base class of architectures that adapt to the shape of the rows.

    References
    ----------
    Salimans et al., "Improved Techniques for Training GANs", 2016, arXiv:1606.03498.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from torch import nn
    >>> from sgan_sklearn import SGANClassifier
    >>> from sgan_sklearn.architectures import ModuleArchitecture
    >>> discriminator = nn.Sequential(
    ...     nn.Conv2d(1, 16, 3, stride=2), nn.ReLU(), nn.Flatten(), nn.Linear(16 * 3 * 3, 10)
    ... )
    >>> generator = nn.Sequential(
    ...     nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 64), nn.Tanh(), nn.Unflatten(1, (1, 8, 8))
    ... )
    >>> digits = load_digits()
    >>> architecture = ModuleArchitecture(discriminator, generator)
    >>> clf = SGANClassifier(architecture, unlabeled_value=None, max_epochs=1, random_state=0)
    >>> clf.fit(digits.images, digits.target).predict_proba(digits.images).shape
    (1797, 10)
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "discriminator": [nn.Module],
        "generator": [nn.Module],
    }

    def __init__(self, discriminator: nn.Module, generator: nn.Module) -> None:
        self.discriminator = discriminator
        self.generator = generator

    def build_discriminator(self, input_shape: tuple[int, ...], n_outputs: int) -> Discriminator:
        """Return a newly initialized copy of the discriminator."""
        module = _ModuleDiscriminator(_initialized_copy(self.discriminator))
        _check_output("discriminator", module, torch.zeros(2, *input_shape), (n_outputs,))
        return module

    def build_generator(
        self, latent_dim: int, bounds: np.ndarray, heads: Heads = NO_HEADS
    ) -> Generator:
        """Return a newly initialized copy of the generator."""
        module = _ModuleGenerator(_initialized_copy(self.generator))
        _check_output("generator", module, torch.zeros(2, latent_dim), bounds.shape[1:])
        return module

    def _validate_params(self) -> None:
        super()._validate_params()
        module = self.discriminator
        if not _has_split(module) and not (isinstance(module, nn.Sequential) and len(module) > 1):
            raise ValueError(
                "The 'discriminator' parameter of ModuleArchitecture must be a torch.nn.Sequential "
                "of at least two layers, the last of which is the head, or a module with the "
                "methods forward_features(x) and forward_head(features). Got a "
                f"{type(module).__name__} without them."
            )


def _has_split(module: nn.Module) -> bool:
    return hasattr(module, "forward_features") and hasattr(module, "forward_head")


def _initialized_copy(module: nn.Module) -> nn.Module:
    """Return a newly initialized copy on the CPU."""
    copied = copy.deepcopy(module).cpu()
    for layer in copied.modules():
        reset = getattr(layer, "reset_parameters", None)
        if callable(reset):
            reset()
    return copied


@torch.no_grad()
def _check_output(name: str, module: nn.Module, x: Tensor, shape: tuple[int, ...]) -> None:
    """Apply the network to two rows, and raise ValueError if the output shape is wrong."""
    expected = (2, *shape)
    rule = (
        f"The {name!r} parameter of ModuleArchitecture must map an input of shape "
        f"{tuple(x.shape)} to an output of shape {expected}: "
        + (
            "rows of X to one logit for each class."
            if name == "discriminator"
            else "latent vectors of latent_dim values to rows of X."
        )
    )
    try:
        output = module.eval()(x)
    except Exception as error:  # a user-defined network may raise any error
        raise ValueError(
            f"{rule} It failed with {type(error).__name__}: {error}. Make its first layer fit "
            "that input, and each other layer the one before it."
        ) from error
    if not isinstance(output, Tensor) or tuple(output.shape) != expected:
        got = tuple(output.shape) if isinstance(output, Tensor) else type(output).__name__
        raise ValueError(f"{rule} Got {got} instead. Change its last layer.")
    module.train()
