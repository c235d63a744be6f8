"""What a regularizer is, and what it gets to see of a training step."""

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
    """Unlabeled rows of one training step, and what the discriminator says of them.

    .. versionadded:: 0.1

    Parameters
    ----------
    rows : Tensor of shape (n, ...)
        The rows, in the model space, before any augmentation; labeled rows are among them, without
        their labels.
    discriminator : nn.Module
        The network in training.
    averaged : nn.Module
        The same network with averaged weights, a steadier teacher.
    class_logits : callable
        Turns the outputs of either into class logits.
    augment : callable
        Turns rows into another view of the same rows.
    indices : Tensor of shape (n,)
        Places of the rows among those that `Regularizer.begin` has seen.

    Attributes
    ----------
    logits : Tensor of shape (n, n_classes)
        Class logits of the rows, without the network's noise.
    averaged_logits : Tensor of shape (n, n_classes)
        Class logits of the rows by the averaged network; no gradient.

    See Also
    --------
    Regularizer : Gets them in each training step.

    Examples
    --------
    Made by hand, to try a regularizer out:

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
    ) -> None:
        self.rows = rows
        self.indices = indices
        self.augment = augment
        self._discriminator = discriminator
        self._averaged = averaged
        self._class_logits = class_logits

    def classify(self, rows: Tensor) -> Tensor:
        """Return the class logits of any rows, without the network's noise.

        Parameters
        ----------
        rows : Tensor of shape (m, ...)
            Rows of the model space.

        Returns
        -------
        logits : Tensor of shape (m, n_classes)
            Class logits by the network in training, with a gradient.
        """
        with _without_noise(self._discriminator):
            return self._class_logits(self._discriminator(rows))

    def classify_noisy(self, rows: Tensor) -> Tensor:
        """Return the class logits of any rows, with the network's noise or dropout.

        Parameters
        ----------
        rows : Tensor of shape (m, ...)
            Rows of the model space.

        Returns
        -------
        logits : Tensor of shape (m, n_classes)
            Class logits by the network in training, with a gradient.
        """
        return self._class_logits(self._discriminator(rows))

    @cached_property
    def logits(self) -> Tensor:
        """Class logits of the rows, without the network's noise."""
        return self.classify(self.rows)

    @cached_property
    def averaged_logits(self) -> Tensor:
        """Class logits of the rows by the averaged network; no gradient."""
        with torch.no_grad():
            return self._class_logits(self._averaged(self.rows))


class Regularizer(BaseEstimator, ABC):
    """Term on unlabeled rows, added to the discriminator's loss.

    It is added with the factor ``unsupervised_weight * weight * ramp(step)``. A regularizer
    holds no network, and what it keeps from step to step belongs to the copy that `prepare` made
    for a training. It is a scikit-learn estimator only for the sake of its
    parameters: ``clone`` copies it and a grid reaches them as ``regularizer__name``.

    A subclass defines `loss` and gives its term a ``name``. It may take ``weight`` and ``ramp_up``
    as parameters, or leave them at 1 and 0.

    .. versionadded:: 0.1

    See Also
    --------
    UnlabeledRows : What the term is computed from.

    References
    ----------
    Laine and Aila, "Temporal Ensembling for Semi-Supervised Learning" (the form of the ramp),
    2017, arXiv:1610.02242.

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
        "ramp_up": [Interval(Integral, 0, None, closed="left")],
    }

    name: ClassVar[str] = "regularizer"
    """Name of the term in ``SGANClassifier.history_``, its weight left out; no two the same."""

    transient: ClassVar[tuple[str, ...]] = ()
    """Attributes that belong to one training, and that pickles and copies leave out."""

    weight: float = 1.0
    ramp_up: int = 0

    def ramp(self, step: int) -> float:
        """Return the share of the weight at a training step: ``exp(-5 (1 - step/ramp_up)^2)``.

        Parameters
        ----------
        step : int
            Number of steps before this one.

        Returns
        -------
        share : float
            From 0 to 1; from step ``ramp_up`` on it is 1.
        """
        if step >= self.ramp_up:
            return 1.0
        return math.exp(-5 * (1 - step / self.ramp_up) ** 2)

    def prepare(self, rows: np.ndarray, codes: np.ndarray, n_classes: int) -> Regularizer:
        """Return a regularizer that knows of the training rows what it has to (default: itself).

        Parameters
        ----------
        rows : ndarray of shape (n_samples, ...)
            Training rows, in the model space: all, or a sample of eight million numbers.
        codes : ndarray of shape (n_samples,)
            Class codes from 0; -1 where there is no label.
        n_classes : int
            Number of classes. A part of the rows, in ``partial_fit``, may hold fewer.

        Returns
        -------
        prepared : Regularizer
            Itself, or a copy that knows more; the given one must not change.
        """
        return self

    def begin(self, rows: Rows, codes: Tensor) -> None:
        """Look at the rows of a training that begins, or goes on (default: do nothing).

        Parameters
        ----------
        rows : Tensor of shape (n_samples, ...), or what is indexed like one
            All training rows, in the model space. Where they would fill the memory they are no
            tensor: a slice of them, or those at a tensor of places, always are.
        codes : Tensor of shape (n_samples,)
            Class codes from 0; -1 where there is no label.
        """

    def _check_prepared(self, n_classes: int) -> None:
        """Raise ValueError if a regularizer read from a file is not one that `prepare` returns.

        Parameters
        ----------
        n_classes : int
            Number of classes.
        """

    def _check_kept(self, values: dict[str, Any], n_rows: int) -> None:
        """Raise ValueError if values from a checkpoint are none that it keeps between two steps.

        Parameters
        ----------
        values : dict of str to object
            Attributes, with arrays and tensors.
        n_rows : int
            Number of training rows.
        """

    @abstractmethod
    def loss(self, unlabeled: UnlabeledRows) -> Tensor:
        """Return the term, of one training step.

        Parameters
        ----------
        unlabeled : UnlabeledRows
            Rows of the step, and what the discriminator says of them.

        Returns
        -------
        loss : Tensor of shape ()
            The term, before its weight.
        """

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what belongs to one training: tensors of its device."""
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
