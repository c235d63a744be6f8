"""Consistency of predictions for augmented views of a row."""

from __future__ import annotations

from numbers import Real
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from sklearn.utils._param_validation import Interval, StrOptions

from sgan_sklearn import _losses
from sgan_sklearn._storage.state import is_tensor_of
from sgan_sklearn.regularizers._base import Regularizer, UnlabeledRows

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Consistency", "PseudoLabel"]


class Consistency(Regularizer):
    """Consistency: two noisy views of a row should have the same prediction.

    With the class probabilities ``p``, the term is::

        mean_i |p(view_1(x_i)) - p(view_2(x_i))|^2

    The views differ by the augmentation, if any, and by the noise in the network. The second view
    is a target without gradient.

    .. versionadded:: 0.1

    Parameters
    ----------
    weight : float, default=10.0
        Weight of the term, whose values are small compared to those of a cross-entropy.
    ramp_up : int, default=1000
        Number of training steps over which the weight increases to its full value.

    References
    ----------
    Laine and Aila, "Temporal Ensembling for Semi-Supervised Learning" (its Pi-model), 2017,
    arXiv:1610.02242.

    Examples
    --------
    >>> from sgan_sklearn import SGANClassifier
    >>> from sgan_sklearn.regularizers import Consistency
    >>> SGANClassifier(regularizer=Consistency(weight=3.0))
    SGANClassifier(regularizer=Consistency(weight=3.0))
    """

    name = "consistency"

    def __init__(self, *, weight: float = 10.0, ramp_up: int = 1000) -> None:
        self.weight = weight
        self.ramp_up = ramp_up

    def loss(self, unlabeled: UnlabeledRows) -> Tensor:
        """Return the mean squared difference of the class probabilities of two views."""
        view = unlabeled.classify_noisy(unlabeled.augment(unlabeled.rows))
        with torch.no_grad():
            target = unlabeled.classify_noisy(unlabeled.augment(unlabeled.rows))
        return _losses.squared_difference(view, target)


class PseudoLabel(Regularizer):
    """Pseudo-labels: learn confident predictions of the averaged network on noisy views.

    With the class probabilities ``p`` of the network, the class probabilities ``q`` of the averaged
    network, and its predicted class ``k_i = argmax q(x_i)``, the term is::

        mean_i [max q(x_i) >= threshold] * -log p_{k_i}(view(x_i))

    Adaptive thresholds depend on moving averages over the batches, beginning with the first one:
    those of the confidence, ``c = mean_i max q(x_i)``, and of the class probabilities,
    ``m_k = mean_i q_k(x_i)``. The threshold of class k is::

        c * m_k / max_j m_j

    .. versionadded:: 0.1

    Parameters
    ----------
    threshold : float or "adaptive", default=0.95
        Minimum probability of a pseudo-label. A higher threshold uses fewer, more confident
        predictions. "adaptive" uses those that are more confident than the mean, and more of the
        classes that are predicted rarely.
    weight : float, default=1.0
        Weight of the term.
    start : int, default=0
        Number of training steps before the term is computed for the first time. Until the network
        is confident of some rows, it only takes time.
    ramp_up : int, default=1000
        Number of training steps after ``start`` in which the weight increases to its full value.
    decay : float, default=0.99
        Decay of the moving averages of adaptive thresholds, over about ``1 / (1 - decay)`` batches.

    References
    ----------
    Sohn et al., "FixMatch", 2020, arXiv:2001.07685.

    Wang et al., "FreeMatch", 2022, arXiv:2205.07246 (adaptive thresholds).

    Tarvainen and Valpola, "Mean teachers are better role models", 2017, arXiv:1703.01780.

    Examples
    --------
    >>> from sgan_sklearn import SGANClassifier
    >>> from sgan_sklearn.regularizers import PseudoLabel
    >>> SGANClassifier(regularizer=PseudoLabel(threshold=0.9))
    SGANClassifier(regularizer=PseudoLabel(threshold=0.9))
    """

    name = "pseudo_label"
    transient = ("mean_", "confidence_")

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **Regularizer._parameter_constraints,
        "threshold": [Interval(Real, 0, 1, closed="both"), StrOptions({"adaptive"})],
        "decay": [Interval(Real, 0, 1, closed="left")],
    }

    def __init__(
        self,
        threshold: float | str = 0.95,
        *,
        weight: float = 1.0,
        start: int = 0,
        ramp_up: int = 1000,
        decay: float = 0.99,
    ) -> None:
        self.threshold = threshold
        self.weight = weight
        self.start = start
        self.ramp_up = ramp_up
        self.decay = decay

    def _check_training_state(self, values: dict[str, Any], n_rows: int, n_classes: int) -> None:
        """Raise ValueError if the averages do not match the classes."""
        if not set(self.transient) & set(values):
            return
        mean, confidence = (values.get(name) for name in self.transient)
        if not (is_tensor_of(mean, n_classes) and is_tensor_of(confidence)):
            raise ValueError(f"The averages are not those of {n_classes} classes.")

    def loss(self, unlabeled: UnlabeledRows) -> Tensor:
        """Return the cross-entropy with the confident predictions of the averaged network."""
        teacher = unlabeled.averaged_logits
        threshold: Any = self.threshold
        if threshold == "adaptive":
            threshold = self._adapted(teacher)
        view = unlabeled.classify_noisy(unlabeled.augment_strongly(unlabeled.rows))
        return _losses.pseudo_label_loss(view, teacher, threshold)

    def _adapted(self, teacher_logits: Tensor) -> Tensor:
        """Update the moving averages and return the threshold of each class."""
        probabilities = teacher_logits.softmax(dim=1)
        mean = _losses.mean_over_rows(probabilities)
        confidence = _losses.mean_over_rows(probabilities.max(dim=1, keepdim=True).values)[0]
        if not hasattr(self, "mean_"):
            self.mean_, self.confidence_ = mean.clone(), confidence.clone()
        self.mean_.lerp_(mean, 1 - self.decay)
        self.confidence_.lerp_(confidence, 1 - self.decay)
        return self.confidence_ * self.mean_ / self.mean_.max()
