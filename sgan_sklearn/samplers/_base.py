"""What a sampler is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import numpy as np
import torch
from sklearn.base import BaseEstimator
from torch import Tensor

from sgan_sklearn.architectures import Heads

__all__ = ["Sampler"]


class Sampler(BaseEstimator, ABC):
    """Learns to make up rows of a table, after the classifier has been trained.

    It is no estimator to be used alone: ``SGANClassifier(sampler=...)`` fits a copy on its
    training rows, and `SGANClassifier.sample` asks that for rows. Both happen while torch's global
    generators are seeded, so that randomness is to be drawn from these.
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {}

    @abstractmethod
    def fit(
        self,
        rows: np.ndarray,
        probabilities: np.ndarray,
        heads: Heads,
        *,
        device: torch.device,
        verbose: int = 0,
    ) -> Sampler:
        """Learn from training rows.

        Parameters
        ----------
        rows : ndarray of shape (n_samples, n_features)
            The rows, in the model space; float32.
        probabilities : ndarray of shape (n_samples, n_classes)
            What the classifier says of them; of a labeled row that label.
        heads : Heads
            Which of the features are levels of categories, all at the end.
        device : torch.device
            Where to train.
        verbose : int, default=0
            As in `SGANClassifier`.
        """

    @abstractmethod
    def sample(self, codes: np.ndarray) -> Tensor:
        """Return a row for each class code.

        Parameters
        ----------
        codes : ndarray of shape (n_samples,)
            Class codes from 0, in the order of ``classes_``.

        Returns
        -------
        rows : Tensor of shape (n_samples, n_features)
            Rows of the model space, on the CPU.
        """
