"""Semi-supervised GANs as scikit-learn estimators."""

import importlib
import sys

if sys.flags.optimize > 1:
    try:
        importlib.import_module("skorch")
    except (AttributeError, TypeError) as error:
        raise ImportError(
            "sgan_sklearn needs skorch, which reads its own docstrings, and Python with -OO (or "
            "PYTHONOPTIMIZE=2) has none. Use -O (or PYTHONOPTIMIZE=1) instead."
        ) from error

from sgan_sklearn._classifier import SGANClassifier
from sgan_sklearn._display import HistoryDisplay, SamplesDisplay
from sgan_sklearn._saving import export_onnx, load, save
from sgan_sklearn._training.options import Training

__all__ = [
    "HistoryDisplay",
    "SGANClassifier",
    "SamplesDisplay",
    "Training",
    "__version__",
    "export_onnx",
    "load",
    "save",
]

__version__ = "0.1.0.dev0"
