"""Base class of regularizers, and the rows of a training step that they use."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from sklearn.base import BaseEstimator
from sklearn.utils._param_validation import Interval
from torch import nn

if TYPE_CHECKING:
    from torch import Tensor

    from sgan_sklearn._data.rows import Rows

__all__ = ["Regularizer", "UnlabeledRows"]


class UnlabeledRows:
    """Unlabeled rows of one training step with the discriminator's predictions.

    .. versionadded:: 0.1

    Parameters
    ----------
    rows : Tensor of shape (n, ...)
        The rows in the model space, before any augmentation. They include labeled rows, without
        their labels.
    discriminator : nn.Module
        The network in training.
    averaged : nn.Module
        The same network with averaged weights, for more stable targets.
    class_logits : callable
        Converts the outputs of either network to class logits.
    augment : callable
        Returns an augmented view of rows.
    indices : Tensor of shape (n,)
        Indices of the rows in those passed to `Regularizer.start_training`.
    augment_strongly : callable, default=None
        Returns a more strongly augmented view of rows; None stands for `augment`.

    Attributes
    ----------
    logits : Tensor of shape (n, n_classes)
        Class logits of the rows, without noise in the network.
    averaged_logits : Tensor of shape (n, n_classes)
        Class logits of the rows by the averaged network, without gradient.

    See Also
    --------
    Regularizer : Computes its term from these rows.

    Examples
    --------
    Construct the rows manually to test a regularizer:

    >>> import copy
    >>> import torch
    >>> from torch import nn
    >>> from sgan_sklearn.objectives import FeatureMatching
    >>> from sgan_sklearn.regularizers import ConditionalEntropy, UnlabeledRows
    >>> network = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Dropout(0.5), nn.Linear(8, 3))
    >>> unlabeled = UnlabeledRows(
    ...     torch.zeros(10, 4),
    ...     network,
    ...     averaged=copy.deepcopy(network).eval(),
    ...     class_logits=FeatureMatching().class_logits,
    ...     augment=nn.Identity(),
    ...     indices=torch.arange(10),
    ... )
    >>> unlabeled.classify_noisy(unlabeled.augment(unlabeled.rows)).shape
    torch.Size([10, 3])
    >>> torch.equal(unlabeled.logits, unlabeled.averaged_logits)
    True
    >>> ConditionalEntropy().loss(unlabeled).shape
    torch.Size([])
    """

    def __init__(
        self,
        rows: Tensor,
        discriminator: nn.Module,
        averaged: nn.Module,
        class_logits: Callable[[Tensor], Tensor],
        augment: Callable[[Tensor], Tensor],
        indices: Tensor,
        augment_strongly: Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        self.rows = rows
        self.indices = indices
        self.augment = augment
        self.augment_strongly = augment if augment_strongly is None else augment_strongly
        self._discriminator = discriminator
        self._averaged = averaged
        self._class_logits = class_logits

    def classify(self, rows: Tensor) -> Tensor:
        """Return the class logits of any rows, without noise in the network.

        Parameters
        ----------
        rows : Tensor of shape (m, ...)
            Rows in the model space.

        Returns
        -------
        logits : Tensor of shape (m, n_classes)
            Class logits by the network in training, with a gradient.
        """
        with _without_noise(self._discriminator):
            return self._class_logits(self._discriminator(rows))

    def classify_noisy(self, rows: Tensor) -> Tensor:
        """Return the class logits of any rows, with noise and dropout in the network.

        Parameters
        ----------
        rows : Tensor of shape (m, ...)
            Rows in the model space.

        Returns
        -------
        logits : Tensor of shape (m, n_classes)
            Class logits by the network in training, with a gradient.
        """
        return self._class_logits(self._discriminator(rows))

    @cached_property
    def logits(self) -> Tensor:
        """Class logits of the rows, without noise in the network."""
        return self.classify(self.rows)

    @cached_property
    def averaged_logits(self) -> Tensor:
        """Class logits of the rows by the averaged network, without gradient."""
        with torch.no_grad():
            return self._class_logits(self._averaged(self.rows))


class Regularizer(BaseEstimator, ABC):
    """Base class of loss terms of unlabeled rows, which are added to the discriminator's loss.

    The factor of the term is ``unsupervised_weight * weight * ramp(step)``. A regularizer has no
    network, and its state during training belongs to the copy that `prepare` returns. It is a
    scikit-learn estimator so that ``clone`` copies it and its parameters can be set as
    ``regularizer__name``, as in a grid search.

    A subclass defines `loss` and sets the ``name`` of its term. It may have the parameters
    ``weight``, ``start``, ``ramp_up`` and ``end``, which are otherwise 1, 0, 0 and None.

    .. versionadded:: 0.1

    See Also
    --------
    UnlabeledRows : The rows from which the term is computed.

    References
    ----------
    Laine and Aila, "Temporal Ensembling for Semi-Supervised Learning" (for the ramp), 2017,
    arXiv:1610.02242.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sgan_sklearn import SGANClassifier
    >>> from sgan_sklearn.architectures import MLPArchitecture
    >>> from sgan_sklearn.regularizers import Regularizer
    >>> class SmallLogits(Regularizer):
    ...     name = "small_logits"
    ...
    ...     def __init__(self, *, weight=0.01, ramp_up=0):
    ...         self.weight = weight
    ...         self.ramp_up = ramp_up
    ...
    ...     def loss(self, unlabeled):
    ...         return unlabeled.logits.square().mean()
    >>> X, y = load_iris(return_X_y=True)
    >>> clf = SGANClassifier(MLPArchitecture((16,), (16,)), regularizer=SmallLogits(), max_epochs=1)
    >>> clf = clf.set_params(regularizer__weight=0.1, unlabeled_value=None).fit(X, y)
    >>> "small_logits" in clf.history_[0]
    True
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "weight": [Interval(Real, 0, None, closed="left")],
        "start": [Interval(Integral, 0, None, closed="left")],
        "ramp_up": [Interval(Integral, 0, None, closed="left")],
        "end": [Interval(Integral, 0, None, closed="left"), None],
    }

    name: ClassVar[str] = "regularizer"
    """Unique name of the term in ``SGANClassifier.history_``, recorded without its weight."""

    transient: ClassVar[tuple[str, ...]] = ()
    """Attributes that are only used during training, and excluded from pickles and copies."""

    weight: float = 1.0
    start: int = 0
    ramp_up: int = 0
    end: int | None = None

    def ramp(self, step: int) -> float:
        """Return the factor of the weight at a training step.

        It is zero before the step ``start`` and from the step ``end`` on, so that the term is not
        computed. Between them it is ``exp(-5 (1 - s / ramp_up)^2)``, with the number of steps ``s``
        since ``start``.

        Parameters
        ----------
        step : int
            Number of steps before this one.

        Returns
        -------
        factor : float
            Factor from 0 to 1; 1 from step ``start + ramp_up`` until before ``end``.
        """
        if step < self.start or self.has_ended(step):
            return 0.0
        step -= self.start
        if step >= self.ramp_up:
            return 1.0
        return math.exp(-5 * (1 - step / self.ramp_up) ** 2)

    def has_ended(self, step: int) -> bool:
        """Return whether the term is no longer computed from a training step on.

        Parameters
        ----------
        step : int
            Number of steps before this one.

        Returns
        -------
        ended : bool
            True from step ``end`` on; False if ``end`` is None.
        """
        return self.end is not None and step >= self.end

    def prepare(self, rows: np.ndarray, codes: np.ndarray, n_classes: int) -> Regularizer:
        """Return a regularizer adapted to the training rows (default: the regularizer itself).

        Parameters
        ----------
        rows : ndarray of shape (n_samples, ...)
            Training rows in the model space, or a sample of about eight million numbers.
        codes : ndarray of shape (n_samples,)
            Class codes from 0; -1 for unlabeled rows.
        n_classes : int
            Number of classes. The rows of ``partial_fit`` may contain fewer.

        Returns
        -------
        prepared : Regularizer
            The regularizer itself, or an adapted copy. The original must not change.
        """
        return self

    def start_training(self, rows: Rows, codes: Tensor) -> None:
        """Prepare for training, or for its continuation (default: do nothing).

        It is not called if the training resumes from a checkpoint, which restores the attributes,
        except for the parameters.

        Parameters
        ----------
        rows : Tensor of shape (n_samples, ...) or similar
            All training rows in the model space. Large data sets are not tensors, but are indexed
            like tensors: indexing with a slice or a tensor of indices returns a tensor.
        codes : Tensor of shape (n_samples,)
            Class codes from 0; -1 for unlabeled rows.
        """

    def _check_prepared(self, n_classes: int) -> None:
        """Raise ValueError if a regularizer read from a file is not a valid result of `prepare`.

        Parameters
        ----------
        n_classes : int
            Number of classes.
        """

    def _check_training_state(self, values: dict[str, Any], n_rows: int, n_classes: int) -> None:
        """Raise ValueError if the training state from a checkpoint is not valid.

        Parameters
        ----------
        values : dict of str to object
            Attributes by name.
        n_rows : int
            Number of training rows.
        n_classes : int
            Number of classes.
        """

    @abstractmethod
    def loss(self, unlabeled: UnlabeledRows) -> Tensor:
        """Return the term for one training step.

        Parameters
        ----------
        unlabeled : UnlabeledRows
            Rows of the step with the discriminator's predictions.

        Returns
        -------
        loss : Tensor of shape ()
            The term, without its weight.
        """

    def __getstate__(self) -> dict[str, Any]:
        """Exclude the attributes that are only used during training."""
        state = super().__getstate__()
        return {name: value for name, value in state.items() if name not in self.transient}


@contextmanager
def _without_noise(module: nn.Module) -> Iterator[None]:
    was_training = module.training
    module.eval()
    try:
        yield
    finally:
        module.train(was_training)
