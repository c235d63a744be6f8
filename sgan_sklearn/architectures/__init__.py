"""Architectures of the discriminator and the generator.

To add an architecture, derive a class from :class:`Architecture`. Then either add it to the dict
:data:`ARCHITECTURES` or pass an instance as ``SGANClassifier(architecture=...)``. Existing networks
do not need a class: use :class:`ModuleArchitecture`.
"""

from sgan_sklearn.architectures._base import Architecture, Discriminator, Generator, Heads
from sgan_sklearn.architectures._conv import ConvArchitecture
from sgan_sklearn.architectures._layers import BatchNorm1d, Noise, TableHeads
from sgan_sklearn.architectures._mlp import MLPArchitecture
from sgan_sklearn.architectures._module import ModuleArchitecture
from sgan_sklearn.architectures._resnet import ResNetArchitecture

__all__ = [
    "ARCHITECTURES",
    "Architecture",
    "BatchNorm1d",
    "ConvArchitecture",
    "Discriminator",
    "Generator",
    "Heads",
    "MLPArchitecture",
    "ModuleArchitecture",
    "Noise",
    "ResNetArchitecture",
    "TableHeads",
]

ARCHITECTURES: dict[str, type[Architecture]] = {
    "conv": ConvArchitecture,
    "mlp": MLPArchitecture,
    "resnet": ResNetArchitecture,
}
