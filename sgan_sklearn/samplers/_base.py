"""Base class of samplers."""

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
    """Base class of samplers, which learn to generate rows of a table after classifier training.

    A sampler is not used alone: ``SGANClassifier(sampler=...)`` fits a copy on its training rows,
    and `SGANClassifier.sample` calls the copy. Subclasses must draw random numbers from torch's
    global generators, which are seeded during both calls.

    .. versionadded:: 0.1

    See Also
    --------
    ColumnMap : Maps columns to their distributions in the training rows.

    Examples
    --------
    Training rows of the requested class with added noise:

    >>> import torch
    >>> from sklearn.datasets import load_iris
    >>> from sgan_sklearn import SGANClassifier
    >>> from sgan_sklearn.architectures import MLPArchitecture
    >>> from sgan_sklearn.samplers import Sampler
    >>> class Jitter(Sampler):
    ...     def __init__(self, noise=0.1):
    ...         self.noise = noise
    ...
    ...     def fit(self, rows, probabilities, heads, *, device, verbose=0):
    ...         self.rows_ = torch.from_numpy(rows)
    ...         self.weights_ = torch.from_numpy(probabilities.T)  # weights of the rows by class
    ...         return self
    ...
    ...     def sample(self, codes):
    ...         chosen = torch.multinomial(self.weights_[codes], 1)[:, 0]
    ...         rows = self.rows_[chosen]
    ...         return rows + self.noise * torch.randn_like(rows)
    >>> X, y = load_iris(return_X_y=True)
    >>> clf = SGANClassifier(MLPArchitecture((16,), (16,)), sampler=Jitter(), max_epochs=1)
    >>> clf = clf.set_params(sampler__noise=0.05, unlabeled_value=None).fit(X, y)
    >>> clf.sample(label=[0, 2, 2]).shape
    (3, 4)
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
        """Fit the sampler on training rows.

        Parameters
        ----------
        rows : ndarray of shape (n_samples, n_features)
            Training rows in the model space, float32.
        probabilities : ndarray of shape (n_samples, n_classes)
            Class probabilities predicted by the classifier; one-hot for labeled rows.
        heads : Heads
            Features that are levels of categories, which are the last features.
        device : torch.device
            Device for training.
        verbose : int, default=0
            As in `SGANClassifier`.

        Returns
        -------
        self : Sampler
            The fitted sampler.
        """

    @abstractmethod
    def sample(self, codes: np.ndarray) -> Tensor:
        """Generate a row for each class code.

        Parameters
        ----------
        codes : ndarray of shape (n_samples,)
            Class codes from 0, in the order of ``classes_``.

        Returns
        -------
        rows : Tensor of shape (n_samples, n_features)
            Rows in the model space, on the CPU.
        """
