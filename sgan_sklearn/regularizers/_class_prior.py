"""Class-prior alignment."""

from __future__ import annotations

from numbers import Real
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.utils._param_validation import Interval, StrOptions

from sgan_sklearn import _losses
from sgan_sklearn._storage.state import is_tensor_of
from sgan_sklearn.regularizers._base import Regularizer, UnlabeledRows
from sgan_sklearn.regularizers._guesses import guessing, thinned, thinned_labels

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["ClassPrior"]

# Labeled rows that the model behind prior="predicted" learns from, and rows that it is asked about.
MAX_PRIOR_LABELS = 2_000
MAX_PRIOR_ROWS = 10_000

# How far a model's errors may move the shares of the classes, as a part of its mean doubt: not
# all of them go one way. A third is as good a guess, but a wrong prior harms more than the labels'.
EXPLAINED = 1 / 2


class ClassPrior(Regularizer):
    """Class-prior alignment: over many rows, each class should come as often as expected.

    With ``prior`` the expected shares, ``p`` the class probabilities and ``m`` their moving mean
    over the batches, ``m = decay * m_before + (1 - decay) * mean_i p(x_i)``::

        KL(prior || m)

    with the gradient divided by ``1 - decay``, which gives it the same strength whatever the
    decay. It keeps the other terms from giving a whole cloud of overlapping rows to one class.
    A batch alone is no measure of that: the shares of 50 rows differ by chance, and to make
    each batch even calls some of its rows by a wrong name.

    .. versionadded:: 0.1

    Parameters
    ----------
    prior : {"auto", "labels", "predicted", "uniform"} or array-like of shape (n_classes,), \
default="auto"
        Expected shares of the classes among all rows, in the order of ``classes_``.

        - "auto": "predicted" if those shares speak against those of the labels, otherwise
          "labels". They do if the two lie farther apart, in total variation, than half of
          ``1 - max p``, with ``p`` the class probabilities of the logistic regression, in the
          mean over the rows.
        - "labels": the shares among the labeled rows, right where these are a random sample.
        - "predicted": the shares that a logistic regression on the labeled rows predicts for
          all rows (the labels' own if every row is labeled). A rough guess, of use where rare
          classes got as many labels as common ones; where classes overlap much it can be far
          off.
        - "uniform": the same for each class.
    weight : float, default=1.0
        Weight of the term.
    ramp_up : int, default=1000
        Training steps over which the weight rises to its full value.
    decay : float, default=0.99
        Decay of the moving mean: about the last ``1 / (1 - decay)`` batches count. 0 takes each
        batch alone.

    References
    ----------
    Berthelot et al., "ReMixMatch", 2020, arXiv:1911.09785 (distribution alignment).

    Examples
    --------
    >>> from sgan_sklearn import SGANClassifier
    >>> from sgan_sklearn.regularizers import ClassPrior
    >>> SGANClassifier(regularizer=ClassPrior(prior="labels"))
    SGANClassifier(regularizer=ClassPrior(prior='labels'))
    """

    name = "class_prior"
    transient = ("mean_", "prior_")

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **Regularizer._parameter_constraints,
        "prior": [StrOptions({"auto", "labels", "predicted", "uniform"}), "array-like"],
        "decay": [Interval(Real, 0, 1, closed="left")],
    }

    def __init__(
        self,
        prior: Any = "auto",
        *,
        weight: float = 1.0,
        ramp_up: int = 1000,
        decay: float = 0.99,
    ) -> None:
        self.prior = prior
        self.weight = weight
        self.ramp_up = ramp_up
        self.decay = decay

    def prepare(self, rows: np.ndarray, codes: np.ndarray, n_classes: int) -> ClassPrior:
        """Return the same with the prior as an array, which must suit the classes."""
        labeled = codes >= 0
        if not isinstance(self.prior, str):
            try:
                prior = np.asarray(self.prior, dtype=np.float64)
            except (TypeError, ValueError):
                prior = np.empty(0)
            if prior.shape != (n_classes,) or not (np.isfinite(prior) & (prior > 0)).all():
                raise ValueError(
                    "The 'prior' parameter of ClassPrior must hold one positive share for each "
                    f"class. Got {self.prior!r} for {n_classes} classes. Give the shares in the "
                    "order of classes_, or 'auto'."
                )
        elif self.prior == "uniform":
            prior = np.ones(n_classes)
        else:
            counts = np.bincount(codes[labeled], minlength=n_classes)
            if not counts.all():
                raise ValueError(
                    f"ClassPrior(prior={self.prior!r}) needs a labeled row of each class, but "
                    f"{(counts == 0).sum()} of {n_classes} classes have none in the first part. "
                    "Give the prior as a list of shares, or 'uniform'."
                )
            prior = counts / labeled.sum()
            if self.prior != "labels" and n_classes > 1 and not labeled.all():
                predicted, doubt = _predicted_shares(rows, codes)
                refuted = np.abs(predicted - prior).sum() / 2 > EXPLAINED * doubt
                if refuted or self.prior == "predicted":
                    prior = predicted + 1 / len(rows)  # of each class a row at least
        return clone(self).set_params(prior=prior / prior.sum())

    def _check_prepared(self, n_classes: int) -> None:
        """Raise ValueError where the prior is not one positive share for each class."""
        prior = self.prior
        if not (
            isinstance(prior, np.ndarray)
            and prior.shape == (n_classes,)
            and prior.dtype == np.float64
            and (np.isfinite(prior) & (prior > 0)).all()
        ):
            raise ValueError(f"A prior of {n_classes} classes has a positive share of each.")

    def _check_kept(self, values: dict[str, Any], n_rows: int) -> None:
        """Raise ValueError where the shares are not those of the classes."""
        shares = [values[name] for name in self.transient if name in values]
        if not all(is_tensor_of(share, len(self.prior)) for share in shares):
            raise ValueError(f"There are not {len(self.prior)} classes.")

    def loss(self, unlabeled: UnlabeledRows) -> Tensor:
        """Return the divergence of the moving mean of the class probabilities from the prior."""
        probabilities = _losses.mean_over_rows(unlabeled.logits.softmax(dim=1))
        if not hasattr(self, "mean_"):
            self.prior_ = torch.as_tensor(self.prior).to(probabilities)
            self.mean_ = self.prior_.clone()
        mean = torch.lerp(self.mean_, probabilities, 1 - self.decay)
        self.mean_.copy_(mean.detach())
        divergence = _losses.prior_divergence(mean, self.prior_)
        # The same value with another gradient.
        value = divergence.detach()
        return value + (divergence - value) / (1 - self.decay)


def _predicted_shares(rows: np.ndarray, codes: np.ndarray) -> tuple[np.ndarray, float]:
    """Return the shares of the classes that a logistic regression predicts, and its mean doubt."""
    n_classes = codes.max() + 1
    labeled = thinned_labels(codes, MAX_PRIOR_LABELS)
    asked = thinned(np.arange(len(rows)), MAX_PRIOR_ROWS)
    model = LogisticRegression(max_iter=1000)
    with guessing():
        model.fit(rows[labeled].reshape(len(labeled), -1), codes[labeled])
    probabilities = model.predict_proba(rows[asked].reshape(len(asked), -1))
    shares = np.bincount(probabilities.argmax(axis=1), minlength=n_classes) / len(probabilities)
    return shares, float(1.0 - probabilities.max(axis=1).mean())
