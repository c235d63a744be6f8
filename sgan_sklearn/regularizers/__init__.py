"""Regularizers: loss terms of unlabeled rows, in addition to those of the objective.

To add a regularizer, derive a class from :class:`Regularizer`. Then either add it to the dict
:data:`REGULARIZERS` or pass an instance as ``SGANClassifier(regularizer=...)``.
"""

from sgan_sklearn.regularizers._base import Regularizer, UnlabeledRows
from sgan_sklearn.regularizers._class_prior import ClassPrior
from sgan_sklearn.regularizers._consistency import Consistency, PseudoLabel
from sgan_sklearn.regularizers._distillation import Distillation
from sgan_sklearn.regularizers._entropy import ConditionalEntropy
from sgan_sklearn.regularizers._spread_labels import SpreadLabels
from sgan_sklearn.regularizers._virtual_adversarial import VirtualAdversarial

__all__ = [
    "REGULARIZERS",
    "ClassPrior",
    "ConditionalEntropy",
    "Consistency",
    "Distillation",
    "PseudoLabel",
    "Regularizer",
    "SpreadLabels",
    "UnlabeledRows",
    "VirtualAdversarial",
]

REGULARIZERS: dict[str, type[Regularizer]] = {
    regularizer.name: regularizer
    for regularizer in (
        ClassPrior,
        ConditionalEntropy,
        Consistency,
        Distillation,
        PseudoLabel,
        SpreadLabels,
        VirtualAdversarial,
    )
}
