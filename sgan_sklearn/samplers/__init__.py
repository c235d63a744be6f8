"""Samplers: what makes rows up in place of the classifier's own generator.

One class for each, and :data:`SAMPLERS` at the bottom. To add one, derive from :class:`Sampler`,
then either add its line to the dict or pass an instance as ``SGANClassifier(sampler=...)``.
"""

from sgan_sklearn.samplers._base import Sampler
from sgan_sklearn.samplers._critic import CriticSampler
from sgan_sklearn.samplers._distributions import ColumnMap

__all__ = ["SAMPLERS", "ColumnMap", "CriticSampler", "Sampler"]

SAMPLERS: dict[str, type[Sampler]] = {"critic": CriticSampler}
