"""Objectives: what the discriminator and the generator play for.

One class for each published system, and :data:`OBJECTIVES` at the bottom. To add one, derive
from :class:`Objective`, then either add its line to the dict or pass an instance as
``SGANClassifier(objective=...)``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from sklearn.base import BaseEstimator
from sklearn.utils._param_validation import StrOptions

from sgan_sklearn import _losses

if TYPE_CHECKING:
    from torch import Tensor

    from sgan_sklearn._batches import Batch
    from sgan_sklearn.architectures import Discriminator

__all__ = ["OBJECTIVES", "FeatureMatching", "Objective"]


class Objective(BaseEstimator, ABC):
    """Strategy of a semi-supervised GAN: the losses of its two networks.

    An objective holds no network and no state. It is a scikit-learn estimator only for the
    sake of its parameters: `clone` copies it and a grid reaches them as ``objective__name``.

    Both losses return a dict of scalar tensors. The entry ``"loss"`` is minimized; every
    other entry is a named term, recorded by epoch in ``SGANClassifier.history_``.
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {}

    def n_outputs(self, n_classes: int) -> int:
        """Return the number of outputs that the discriminator needs for `n_classes`."""
        return n_classes

    def class_logits(self, outputs: Tensor) -> Tensor:
        """Return the class logits, shape (n, n_classes), in the discriminator's outputs."""
        return outputs

    def realness(self, outputs: Tensor) -> Tensor:
        """Return the log-odds that each row is real, shape (n,)."""
        return _losses.realness(self.class_logits(outputs))

    def supervised_loss(self, discriminator: Discriminator, batch: Batch) -> dict[str, Tensor]:
        """Return the loss on the labeled rows alone (``unsupervised_weight=0``)."""
        logits = self.class_logits(discriminator(batch.labeled))
        loss = _losses.supervised_loss(logits, batch.codes)
        return {"loss": loss, "supervised": loss.detach()}

    @abstractmethod
    def discriminator_loss(
        self,
        discriminator: Discriminator,
        batch: Batch,
        generated: Tensor,
        unsupervised_weight: float,
    ) -> dict[str, Tensor]:
        """Return the discriminator's loss; `generated` carries no gradient."""

    @abstractmethod
    def generator_loss(
        self, discriminator: Discriminator, batch: Batch, generated: Tensor
    ) -> dict[str, Tensor]:
        """Return the generator's loss; the discriminator's weights are frozen."""


class FeatureMatching(Objective):
    """Feature matching with K class logits, the generated class having the logit zero.

    The discriminator classifies the labeled rows, calls unlabeled rows real and generated
    rows not: with ``LSE = logsumexp(logits)`` it minimizes::

        CE(labeled) + w * 1/2 * [mean softplus(-LSE(unlabeled)) + mean softplus(LSE(generated))]

    The generator moves the mean of the discriminator's last hidden layer on generated rows
    to its mean on real rows, which keeps it from collapsing and from winning.

    Parameters
    ----------
    norm : {"l1", "l2"}, default="l2"
        How the generator measures the distance of the mean features: mean absolute ("l1")
        or mean squared ("l2") difference. "l2" slows down as the two come close, "l1" pulls
        with the same force at any distance.

    References
    ----------
    Salimans et al., "Improved Techniques for Training GANs", 2016, arXiv:1606.03498.

    Examples
    --------
    >>> from sgan_sklearn import SGANClassifier
    >>> from sgan_sklearn.objectives import FeatureMatching
    >>> SGANClassifier(objective=FeatureMatching(norm="l1"))
    SGANClassifier(objective=FeatureMatching(norm='l1'))
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {"norm": [StrOptions({"l1", "l2"})]}

    def __init__(self, norm: str = "l2") -> None:
        self.norm = norm

    def discriminator_loss(
        self,
        discriminator: Discriminator,
        batch: Batch,
        generated: Tensor,
        unsupervised_weight: float,
    ) -> dict[str, Tensor]:
        """Return cross-entropy plus the weighted real and generated terms."""
        # One forward pass for the three kinds of rows: no layer mixes rows of a batch.
        rows = [batch.labeled, batch.unlabeled, generated]
        outputs = discriminator(torch.cat(rows)).split([len(part) for part in rows])
        supervised = _losses.supervised_loss(self.class_logits(outputs[0]), batch.codes)
        real = _losses.real_loss(self.realness(outputs[1]))
        made_up = _losses.generated_loss(self.realness(outputs[2]))
        return {
            "loss": supervised + unsupervised_weight * 0.5 * (real + made_up),
            "supervised": supervised.detach(),
            "real": real.detach(),
            "generated": made_up.detach(),
        }

    def generator_loss(
        self, discriminator: Discriminator, batch: Batch, generated: Tensor
    ) -> dict[str, Tensor]:
        """Return the distance of the mean features of real and generated rows."""
        with torch.no_grad():
            real_features = discriminator.forward_features(batch.real)
        features = discriminator.forward_features(generated)
        return {"loss": _losses.feature_distance(real_features, features, self.norm)}


OBJECTIVES: dict[str, type[Objective]] = {
    "feature_matching": FeatureMatching,
}
