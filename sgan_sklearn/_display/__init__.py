"""Plots of a fitted classifier, following scikit-learn's Display API."""

from sgan_sklearn._display._history import HistoryDisplay
from sgan_sklearn._display._samples import SamplesDisplay

__all__ = ["HistoryDisplay", "SamplesDisplay"]
