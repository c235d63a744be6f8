"""Architectures: the two networks, built for the shape of the rows.

One class for each family, and :data:`ARCHITECTURES` at the bottom. To add one, derive from
:class:`Architecture`, then either add its line to the dict or pass an instance as
``SGANClassifier(architecture=...)``. A pair of networks that exists already needs no class:
:class:`ModuleArchitecture` takes it as it is.
"""

from sgan_sklearn.architectures._base import Architecture, Discriminator, Generator, Heads
from sgan_sklearn.architectures._conv import ConvArchitecture
from sgan_sklearn.architectures._mlp import MLPArchitecture
from sgan_sklearn.architectures._module import ModuleArchitecture

__all__ = [
    "ARCHITECTURES",
    "Architecture",
    "ConvArchitecture",
    "Discriminator",
    "Generator",
    "Heads",
    "MLPArchitecture",
    "ModuleArchitecture",
]

ARCHITECTURES: dict[str, type[Architecture]] = {
    "conv": ConvArchitecture,
    "mlp": MLPArchitecture,
}
