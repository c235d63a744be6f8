"""Semi-supervised GANs as scikit-learn estimators."""

from sgan_sklearn._classifier import SGANClassifier

__all__ = ["SGANClassifier", "__version__"]

__version__ = "0.1.0.dev0"
