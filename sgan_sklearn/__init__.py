"""Semi-supervised GANs as scikit-learn estimators."""

from sgan_sklearn._classifier import SGANClassifier
from sgan_sklearn._display import HistoryDisplay, SamplesDisplay
from sgan_sklearn._saving import load, save

__all__ = ["HistoryDisplay", "SGANClassifier", "SamplesDisplay", "__version__", "load", "save"]

__version__ = "0.1.0.dev0"
