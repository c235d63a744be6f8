"""Objectives: the losses of the discriminator and the generator.

One class for each published system, and :data:`OBJECTIVES` at the bottom. To add one, derive
from :class:`Objective`, then either add its line to the dict or pass an instance as
``SGANClassifier(objective=...)``.
"""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Real
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from sklearn.base import BaseEstimator
from sklearn.utils._param_validation import Interval, StrOptions

from sgan_sklearn import _losses
from sgan_sklearn._target import ClassTarget
from sgan_sklearn.architectures._layers import frozen_statistics

if TYPE_CHECKING:
    from torch import Tensor

    from sgan_sklearn._data.batches import Batch
    from sgan_sklearn.architectures import Discriminator

__all__ = [
    "OBJECTIVES",
    "Complement",
    "FeatureMatching",
    "Objective",
    "Softmax",
    "Stacked",
    "Supervised",
    "TwoHeaded",
]


class Objective(BaseEstimator):
    """Strategy of a semi-supervised GAN: the losses of its two networks.

    An objective holds no network and no state. It is a scikit-learn estimator only for the
    sake of its parameters: ``clone`` copies it and a grid reaches them as ``objective__name``.

    The losses return a dict of scalar tensors. The entry ``"loss"`` is minimized; every
    other entry is a named term, recorded by epoch in ``SGANClassifier.history_``.

    A subclass overrides what its paper does differently; the rest is the standard objective with K
    class logits, where the generated class has the logit zero. With ``LSE = logsumexp(logits)``
    the discriminator minimizes::

        CE(labeled) + w * 1/2 * [mean softplus(-LSE(unlabeled)) + mean softplus(LSE(generated))]

    and the generator ``mean softplus(-LSE(generated))``.

    .. versionadded:: 0.1

    Notes
    -----
    The ``batch`` of the methods is a named tuple of the rows of one training step:

    - ``labeled``: labeled rows, with their class ``codes`` from 0 and their ``weights`` in the
      loss (None is all one);
    - ``unlabeled``: rows without their labels, for the discriminator, with their places among all
      rows as ``unlabeled_indices``;
    - ``real``: such rows drawn independently, for the generator.

    References
    ----------
    Goodfellow et al., "Generative Adversarial Networks", 2014, arXiv:1406.2661.

    Salimans et al., "Improved Techniques for Training GANs", 2016, arXiv:1606.03498 (the K
    logits).

    Examples
    --------
    The hinge loss in place of the cross-entropy of real and generated rows:

    >>> import torch
    >>> from sklearn.datasets import load_iris
    >>> from sgan_sklearn import SGANClassifier
    >>> from sgan_sklearn.architectures import MLPArchitecture
    >>> from sgan_sklearn.objectives import Objective
    >>> class Hinge(Objective):
    ...     def __init__(self, margin=1.0):
    ...         self.margin = margin
    ...
    ...     def unsupervised_loss(self, unlabeled, generated):
    ...         real_loss = torch.relu(self.margin - self.realness(unlabeled)).mean()
    ...         generated_loss = torch.relu(self.margin + self.realness(generated)).mean()
    ...         return {
    ...             "loss": 0.5 * (real_loss + generated_loss),
    ...             "real": real_loss,
    ...             "generated": generated_loss,
    ...         }
    ...
    ...     def generator_loss(self, discriminator, batch, generated):
    ...         return {"loss": -self.realness(discriminator(generated)).mean()}
    >>> X, y = load_iris(return_X_y=True)
    >>> clf = SGANClassifier(MLPArchitecture((16,), (16,)), Hinge(), regularizer=None, max_epochs=1)
    >>> clf = clf.set_params(objective__margin=0.5, unlabeled_value=None).fit(X, y)
    >>> "real" in clf.history_[0]
    True
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {}

    uses_generator: ClassVar[bool] = True
    """Whether the training has adversarial steps; without them the generator is not trained."""

    # --- what the outputs mean ----------------------------------------------------------------

    def n_outputs(self, n_classes: int) -> int:
        """Return the number of outputs that the discriminator needs.

        Parameters
        ----------
        n_classes : int
            Number of classes.

        Returns
        -------
        n_outputs : int
            Number of outputs: here one for each class.
        """
        return n_classes

    def class_logits(self, outputs: Tensor) -> Tensor:
        """Return the class logits that the discriminator's outputs hold.

        Parameters
        ----------
        outputs : Tensor of shape (n, n_outputs)
            Outputs of the discriminator.

        Returns
        -------
        logits : Tensor of shape (n, n_classes)
            The class logits, of which the softmax makes the class probabilities.
        """
        return outputs

    def realness(self, outputs: Tensor) -> Tensor:
        """Return the log-odds that each row is real.

        Parameters
        ----------
        outputs : Tensor of shape (n, n_outputs)
            Outputs of the discriminator.

        Returns
        -------
        log_odds : Tensor of shape (n,)
            The log-odds: here ``LSE``.
        """
        return _losses.realness(self.class_logits(outputs))

    # --- losses of outputs --------------------------------------------------------------------

    def labeled_loss(self, outputs: Tensor, batch: Batch) -> Tensor:
        """Return the weighted cross-entropy of the labeled rows: ``mean w_i (LSE - l_y)``.

        Parameters
        ----------
        outputs : Tensor of shape (n, n_outputs)
            Outputs of the discriminator for ``batch.labeled``.
        batch : named tuple of Tensor
            Rows of the step, see Notes of the class.

        Returns
        -------
        loss : Tensor of shape ()
            The loss; zero if no row is labeled.
        """
        return ClassTarget.loss(self.class_logits(outputs), batch.codes, batch.weights)

    def unsupervised_loss(self, unlabeled: Tensor, generated: Tensor) -> dict[str, Tensor]:
        """Return the discriminator's loss on unlabeled and generated rows.

        It is all that `unsupervised_weight` multiplies: half of the sum of both terms, so that it
        has the same weight as the labels.

        Parameters
        ----------
        unlabeled : Tensor of shape (n, n_outputs)
            Outputs of the discriminator for unlabeled rows.
        generated : Tensor of shape (m, n_outputs)
            Outputs of the discriminator for generated rows.

        Returns
        -------
        losses : dict of str to Tensor of shape ()
            The "loss" and its terms.
        """
        real_loss = _losses.real_loss(self.realness(unlabeled))
        generated_loss = _losses.generated_loss(self.realness(generated))
        return {
            "loss": 0.5 * (real_loss + generated_loss),
            "real": real_loss,
            "generated": generated_loss,
        }

    # --- losses of the networks ---------------------------------------------------------------

    def supervised_loss(self, discriminator: Discriminator, batch: Batch) -> dict[str, Tensor]:
        """Return the discriminator's loss in steps without the adversarial part.

        These are all steps if ``unsupervised_weight=0`` or if the objective uses no generator, and
        otherwise the steps that `adversarial_every` leaves out. Only the labeled rows are
        augmented.

        Parameters
        ----------
        discriminator : Discriminator
            The network in training.
        batch : named tuple of Tensor
            Rows of the step, see Notes of the class.

        Returns
        -------
        losses : dict of str to Tensor of shape ()
            The "loss", that on the labeled rows alone, and its terms.
        """
        loss = self.labeled_loss(discriminator(batch.labeled), batch)
        return {"loss": loss, "supervised": loss}

    def discriminator_loss(
        self,
        discriminator: Discriminator,
        batch: Batch,
        generated: Tensor,
        unsupervised_weight: float,
    ) -> dict[str, Tensor]:
        """Return the discriminator's loss in steps with the adversarial part.

        Parameters
        ----------
        discriminator : Discriminator
            The network in training.
        batch : named tuple of Tensor
            Rows of the step, see Notes of the class.
        generated : Tensor of shape (n, ...)
            Generated rows, without gradient.
        unsupervised_weight : float
            Weight of the loss on unlabeled and generated rows.

        Returns
        -------
        losses : dict of str to Tensor of shape ()
            The "loss" and its terms, before their weights.
        """
        labeled, unlabeled, of_generated = _outputs(discriminator, batch, generated)
        supervised = self.labeled_loss(labeled, batch)
        unsupervised = self.unsupervised_loss(unlabeled, of_generated)
        loss = supervised + unsupervised_weight * unsupervised["loss"]
        return {"supervised": supervised, **unsupervised, "loss": loss}

    def generator_loss(
        self, discriminator: Discriminator, batch: Batch, generated: Tensor
    ) -> dict[str, Tensor]:
        """Return the generator's loss.

        Parameters
        ----------
        discriminator : Discriminator
            The network in training, its weights frozen.
        batch : named tuple of Tensor
            Rows of the step, see Notes of the class.
        generated : Tensor of shape (n, ...)
            Generated rows, with the gradient of the generator.

        Returns
        -------
        losses : dict of str to Tensor of shape ()
            The "loss" and its terms; these need names that the discriminator's do not have.
        """
        # Non-saturating (Goodfellow et al. 2014): the surer the rejection, the stronger the pull.
        return {"loss": _losses.real_loss(self.realness(discriminator(generated)))}


def _outputs(discriminator: Discriminator, batch: Batch, generated: Tensor) -> Sequence[Tensor]:
    """Return the outputs for labeled, unlabeled and generated rows."""
    rows = [batch.labeled, batch.unlabeled, generated]
    if not discriminator.uses_batch_statistics:
        return discriminator(torch.cat(rows)).split([len(part) for part in rows])
    with frozen_statistics(discriminator):
        of_generated = discriminator(generated)
    return discriminator(batch.labeled), discriminator(batch.unlabeled), of_generated


class FeatureMatching(Objective):
    """Feature matching with K class logits, the generated class having the logit zero.

    The discriminator classifies the labeled rows, calls unlabeled rows real and generated
    rows not: with ``LSE = logsumexp(logits)`` it minimizes::

        CE(labeled) + w * 1/2 * [mean softplus(-LSE(unlabeled)) + mean softplus(LSE(generated))]

    The generator moves the mean of the discriminator's features ``f`` on generated rows to their
    mean on real rows, which keeps it from collapsing and from winning. They are those of
    `Discriminator.matched_features`: the last hidden layer, unless the network has others. The
    generator minimizes, with
    ``m = mean f(real) - mean f(generated)`` and J features::

        1/J * sum_j |m_j|    ("l1")        1/J * sum_j m_j^2    ("l2")

    .. versionadded:: 0.1

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

    def generator_loss(
        self, discriminator: Discriminator, batch: Batch, generated: Tensor
    ) -> dict[str, Tensor]:
        """Return the loss of the features of real and generated rows."""
        with torch.no_grad():
            real_features = discriminator.matched_features(batch.real)
        return self.feature_loss(real_features, discriminator.matched_features(generated))

    def feature_loss(self, real: Tensor, generated: Tensor) -> dict[str, Tensor]:
        """Return the distance of the mean features of real and generated rows.

        Parameters
        ----------
        real : Tensor of shape (n, ...)
            `Discriminator.matched_features` of real rows.
        generated : Tensor of shape (m, ...)
            The same of generated rows.

        Returns
        -------
        losses : dict of str to Tensor of shape ()
            The "loss" of the generator and its terms.
        """
        return {"loss": _losses.feature_distance(real, generated, self.norm)}


class Complement(FeatureMatching):
    """Feature matching whose generator spreads out and whose discriminator must decide.

    With ``H = mean(-sum_k p_k log p_k)`` over the K class probabilities, the discriminator
    minimizes::

        CE(labeled) + w * {1/2 * [mean softplus(-LSE(unlabeled)) + mean softplus(LSE(generated))]
                           + entropy_weight * H(unlabeled)}

    which keeps the decision boundaries away from the unlabeled rows. The generator minimizes, with
    the features ``f`` of `FeatureMatching`::

        distance(mean f(real), mean f(generated))
        + pull_away_weight * 1 / (n (n - 1)) * sum_{i != j} cos(f(generated_i), f(generated_j))^2

    The second term increases the distances of the generated rows, so that they also fill the space
    between the classes. The paper's third term, which keeps the generator out of dense regions with
    a density model, is omitted.

    .. versionadded:: 0.1

    Parameters
    ----------
    entropy_weight : float, default=0.1
        Weight of the conditional entropy of the unlabeled rows. A larger one makes
        predictions more confident, right or wrong: with few labels, it can lead to a bad decision
        boundary.
    pull_away_weight : float, default=0.8
        Weight of the pull-away term. A larger one makes generated rows more varied and
        matches the features less.
    norm : {"l1", "l2"}, default="l2"
        Distance of the mean features, as in `FeatureMatching`.

    References
    ----------
    Dai et al., "Good Semi-supervised Learning That Requires a Bad GAN", 2017,
    arXiv:1705.09783.

    Zhao et al., "Energy-based Generative Adversarial Network" (the pull-away term), 2016,
    arXiv:1609.03126.

    Examples
    --------
    >>> from sgan_sklearn import SGANClassifier
    >>> from sgan_sklearn.objectives import Complement
    >>> SGANClassifier(objective=Complement(entropy_weight=0.3))
    SGANClassifier(objective=Complement(entropy_weight=0.3))
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "entropy_weight": [Interval(Real, 0, None, closed="left")],
        "pull_away_weight": [Interval(Real, 0, None, closed="left")],
        **FeatureMatching._parameter_constraints,
    }

    def __init__(
        self, entropy_weight: float = 0.1, pull_away_weight: float = 0.8, norm: str = "l2"
    ) -> None:
        self.entropy_weight = entropy_weight
        self.pull_away_weight = pull_away_weight
        self.norm = norm

    def unsupervised_loss(self, unlabeled: Tensor, generated: Tensor) -> dict[str, Tensor]:
        """Return the loss of feature matching plus the entropy of the unlabeled rows."""
        losses = super().unsupervised_loss(unlabeled, generated)
        entropy = _losses.conditional_entropy(self.class_logits(unlabeled))
        loss = losses["loss"] + self.entropy_weight * entropy
        return {**losses, "entropy": entropy, "loss": loss}

    def feature_loss(self, real: Tensor, generated: Tensor) -> dict[str, Tensor]:
        """Return the distance of the mean features plus the pull-away term."""
        distance = super().feature_loss(real, generated)["loss"]
        pull_away = _losses.pull_away(generated)
        loss = distance + self.pull_away_weight * pull_away
        return {"loss": loss, "feature_distance": distance, "pull_away": pull_away}


class Stacked(Objective):
    """Two heads stacked on the same K logits: softmax over classes, sigmoid of realness.

    The unsupervised head is ``D(x) = Z / (Z + 1)`` with ``Z = sum_k exp(l_k)``, so that its
    log-odds are ``LSE = log Z``. The discriminator minimizes cross-entropies, with ``t = 1 -
    label_smoothing`` as the target of unlabeled rows and 0 as that of generated ones::

        CE(labeled) + w * 1/2 * [mean(-t log D(unlabeled) - (1 - t) log(1 - D(unlabeled)))
                                 + mean(-log(1 - D(generated)))]

    The generator has its rows called real: it minimizes ``mean(-log D(generated))``.

    .. versionadded:: 0.1

    Parameters
    ----------
    label_smoothing : float, default=0.0
        How far below one the target of unlabeled rows lies, less than 0.5. A little (0.1)
        keeps the discriminator from growing ever surer, and the generator's gradient alive.

    References
    ----------
    Salimans et al., "Improved Techniques for Training GANs", 2016, arXiv:1606.03498.

    Examples
    --------
    >>> from sgan_sklearn import SGANClassifier
    >>> from sgan_sklearn.objectives import Stacked
    >>> SGANClassifier(objective=Stacked(label_smoothing=0.1))
    SGANClassifier(objective=Stacked(label_smoothing=0.1))
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "label_smoothing": [Interval(Real, 0, 0.5, closed="left")]
    }

    def __init__(self, label_smoothing: float = 0.0) -> None:
        self.label_smoothing = label_smoothing

    def unsupervised_loss(self, unlabeled: Tensor, generated: Tensor) -> dict[str, Tensor]:
        """Return the binary cross-entropies of unlabeled and generated rows."""
        real_loss = _losses.real_loss(self.realness(unlabeled), self.label_smoothing)
        generated_loss = _losses.generated_loss(self.realness(generated))
        return {
            "loss": 0.5 * (real_loss + generated_loss),
            "real": real_loss,
            "generated": generated_loss,
        }


class Softmax(Objective):
    """One softmax over K+1 classes, the last of which is that of generated rows.

    The discriminator minimizes, with ``p`` the K+1 probabilities::

        mean(-log p_y(labeled)) + w * 1/2 * [mean(-log(1 - p_{K+1}(unlabeled)))
                                             + mean(-log p_{K+1}(generated))]

    and the generator ``mean(-log(1 - p_{K+1}(generated)))``. Unlike with K logits, labeled
    rows too are distinguished from generated ones: their cross-entropy runs over all K+1 classes.

    .. versionadded:: 0.1

    References
    ----------
    Odena, "Semi-Supervised Learning with Generative Adversarial Networks", 2016,
    arXiv:1606.01583.

    Examples
    --------
    >>> from sgan_sklearn import SGANClassifier
    >>> from sgan_sklearn.objectives import Softmax
    >>> SGANClassifier(objective=Softmax())
    SGANClassifier(objective=Softmax())
    """

    def n_outputs(self, n_classes: int) -> int:
        """Return one output more than there are classes."""
        return n_classes + 1

    def class_logits(self, outputs: Tensor) -> Tensor:
        """Return the logits of the classes against that of the generated class."""
        return _losses.relative_logits(outputs)

    def labeled_loss(self, outputs: Tensor, batch: Batch) -> Tensor:
        """Return the weighted cross-entropy of the labeled rows over all K+1 classes."""
        return _losses.supervised_loss(outputs, batch.codes, batch.weights)


class TwoHeaded(Objective):
    """A softmax head over K+1 classes and a sigmoid validity head on one trunk.

    The label head, with probabilities ``p``, learns the labeled rows and the generated class;
    the validity head, with ``D = sigmoid``, tells unlabeled rows from generated ones. The
    discriminator minimizes::

        mean(-log p_y(labeled))
        + w * {generated_class_weight / K * mean(-log p_{K+1}(generated))
               + validity_weight * 1/2 * [mean(-log D(unlabeled)) + mean(-log(1 - D(generated)))]}

    The generator fools the validity head alone: it minimizes ``mean(-log D(generated))``.

    .. versionadded:: 0.1

    Parameters
    ----------
    validity_weight : float, default=1.0
        Weight of the validity head against the label head; the original has 0.5 for both. A
        larger one turns the trunk more to realness and less to the classes.
    generated_class_weight : float, default=1.0
        Weight of the generated class in the label head against each one of the K classes. 1
        weighs by inverse frequency as the original does: all K+1 classes count the same,
        though every generated row falls into one of them. K weighs all generated rows as
        much as all labeled ones, 0 leaves the generated class to the validity head.

    References
    ----------
    Odena, "Semi-Supervised Learning with Generative Adversarial Networks", 2016,
    arXiv:1606.01583; the two heads are those of the SGAN in Linder-Norén's Keras-GAN.

    Examples
    --------
    >>> from sgan_sklearn import SGANClassifier
    >>> from sgan_sklearn.objectives import TwoHeaded
    >>> SGANClassifier(objective=TwoHeaded(validity_weight=0.5))
    SGANClassifier(objective=TwoHeaded(validity_weight=0.5))
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "validity_weight": [Interval(Real, 0, None, closed="neither")],
        "generated_class_weight": [Interval(Real, 0, None, closed="left")],
    }

    def __init__(self, validity_weight: float = 1.0, generated_class_weight: float = 1.0) -> None:
        self.validity_weight = validity_weight
        self.generated_class_weight = generated_class_weight

    def n_outputs(self, n_classes: int) -> int:
        """Return K+1 outputs of the label head and then one of the validity head."""
        return n_classes + 2

    def class_logits(self, outputs: Tensor) -> Tensor:
        """Return the label head's logits of the classes against that of the generated class."""
        return _losses.relative_logits(outputs[:, :-1])

    def realness(self, outputs: Tensor) -> Tensor:
        """Return the logit of the validity head."""
        return outputs[:, -1]

    def labeled_loss(self, outputs: Tensor, batch: Batch) -> Tensor:
        """Return the label head's weighted cross-entropy over all K+1 classes."""
        return _losses.supervised_loss(outputs[:, :-1], batch.codes, batch.weights)

    def unsupervised_loss(self, unlabeled: Tensor, generated: Tensor) -> dict[str, Tensor]:
        """Return the label head's loss on generated rows plus that of the validity head."""
        validity = super().unsupervised_loss(unlabeled, generated)
        class_logits = self.class_logits(generated)
        label = _losses.generated_loss(_losses.realness(class_logits))
        loss = self.generated_class_weight / class_logits.shape[1] * label
        loss = loss + self.validity_weight * validity["loss"]
        return {**validity, "generated_class": label, "loss": loss}


class Supervised(Objective):
    """Cross-entropy of the labeled rows, without a generator.

    The discriminator is a classifier with K logits, and the regularizers add their terms on
    unlabeled rows to its loss. With them it is semi-supervised learning without an adversarial
    part, for ablations, or where no rows are to be generated. The discriminator minimizes::

        CE(labeled) + w * sum_j weight_j * regularizer_j(unlabeled)

    with ``w`` the `unsupervised_weight`. The generator is not trained, so that `sample` needs
    another sampler, and `score_samples` is not available. `adversarial_every` has no effect.

    .. versionadded:: 0.1

    References
    ----------
    Oliver et al., "Realistic Evaluation of Deep Semi-Supervised Learning Algorithms" (regularizers
    on one classifier, compared), 2018, arXiv:1804.09170.

    Examples
    --------
    >>> from sgan_sklearn import SGANClassifier
    >>> from sgan_sklearn.objectives import Supervised
    >>> SGANClassifier(objective=Supervised(), regularizer="pseudo_label")
    SGANClassifier(objective=Supervised(), regularizer='pseudo_label')
    """

    uses_generator = False

    def discriminator_loss(
        self,
        discriminator: Discriminator,
        batch: Batch,
        generated: Tensor,
        unsupervised_weight: float,
    ) -> dict[str, Tensor]:
        """Return the supervised loss: generated rows are not used."""
        return self.supervised_loss(discriminator, batch)


OBJECTIVES: dict[str, type[Objective]] = {
    "feature_matching": FeatureMatching,
    "complement": Complement,
    "stacked": Stacked,
    "softmax": Softmax,
    "two_headed": TwoHeaded,
    "supervised": Supervised,
}
