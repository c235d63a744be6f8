"""Pictures of a fitted classifier, after scikit-learn's Display conventions."""

from sgan_sklearn._display._history import HistoryDisplay
from sgan_sklearn._display._samples import SamplesDisplay

__all__ = ["HistoryDisplay", "SamplesDisplay"]
