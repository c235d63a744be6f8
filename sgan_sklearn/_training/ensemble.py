"""Classifiers of the labeled rows whose predictions the discriminator learns besides its own."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import StratifiedKFold
from sklearn.utils import gen_batches
from sklearn.utils.validation import has_fit_parameter
from torch import Tensor
from torch.nn import functional as F

from sgan_sklearn._data.batches import SemiSupervisedDataset
from sgan_sklearn._runtime.processes import any_process, broadcast_state, process_index
from sgan_sklearn._runtime.threads import threads_for
from sgan_sklearn._runtime.user_warnings import warn_user
from sgan_sklearn.regularizers._simple_classifiers import (
    ignore_fit_warnings,
    label_spreading_accuracy,
    random_subset,
    seeded_clone,
)

__all__ = ["MEMBERS", "BalancedSelfTraining", "Ensemble", "check_members"]

# Weight of the network in the mean, and mean weight of the classifiers. Those with smaller Brier
# scores in cross-validation count more: a difference of 1 / (SHARPNESS * sqrt(n_labeled)) changes
# their ratio by a factor of e.
NETWORK_WEIGHT = 2.0
MEMBER_WEIGHT = 0.75
SHARPNESS = 2.0

# Limits of the cross-validation: folds, unlabeled rows for self-training, and trees.
MAX_FOLDS = 3
MAX_UNLABELED_IN_FOLDS = 500
MAX_TREES_IN_FOLDS = 30

# Scores of label spreading up to which the classifiers have full weight, and from which they have
# none: where the unlabeled rows form clusters, the network is better alone.
NEEDED, UNNEEDED = 0.7, 0.9

# With more labels, the network needs no help; trees store a number for each class and label.
MAX_LABELED, MAX_LABELS_TIMES_CLASSES = 2_000, 50_000

# Maximum numbers of unlabeled rows, and of their values and class probabilities.
MAX_UNLABELED, MAX_VALUES = 20_000, 8_000_000
ROWS_AT_A_TIME = 5_000

# Training on the means: a number of passes over the rows, within bounds on the number of steps.
N_PASSES, MIN_STEPS, MAX_STEPS = 20, 300, 800
BATCH_SIZE = 100
LEARNING_RATE = 3e-3
REALNESS_WEIGHT = 0.1

N_TREES = 200
N_ROUNDS = 5  # of self-training


class BalancedSelfTraining(ClassifierMixin, BaseEstimator):
    """Self-training with the same share of the unlabeled rows of each predicted class.

    scikit-learn's ``SelfTrainingClassifier`` takes the surest rows of all classes together, which
    often belong to a few of them.

    Parameters
    ----------
    estimator : classifier
        Classifier with ``predict_proba``.
    n_rounds : int, default=5
        Number of times that it is fitted on its own predictions.
    share : float, default=0.8
        Share of the rows of each predicted class, the surest ones, in the last round. It grows in
        equal steps.
    """

    def __init__(self, estimator: Any, n_rounds: int = 5, share: float = 0.8) -> None:
        self.estimator = estimator
        self.n_rounds = n_rounds
        self.share = share

    def fit(self, X: np.ndarray, y: np.ndarray, sample_weight: Any = None) -> BalancedSelfTraining:
        """Fit on labeled rows, and on unlabeled rows whose label is -1."""
        weights = np.ones(len(y)) if sample_weight is None else np.asarray(sample_weight)
        # Rows that are labeled by a prediction have the mean weight of that class.
        class_weights = {code: weights[y == code].mean() for code in np.unique(y[y != -1])}
        unlabeled = np.flatnonzero(y == -1)
        taught = y
        for i in range(self.n_rounds + 1):
            known = taught != -1
            self.estimator_ = clone(self.estimator)
            self.estimator_.fit(X[known], taught[known], sample_weight=weights[known])
            if i == self.n_rounds or len(unlabeled) == 0:
                break
            probabilities = self.estimator_.predict_proba(X[unlabeled])
            taught = y.copy()
            share = self.share * (i + 1) / self.n_rounds
            chosen = _surest_of_each_class(probabilities, share)
            predicted = self.estimator_.classes_[probabilities[chosen].argmax(axis=1)]
            taught[unlabeled[chosen]] = predicted
            weights = weights.copy()
            weights[unlabeled[chosen]] = [class_weights[code] for code in predicted]
        self.classes_ = self.estimator_.classes_
        return self

    def predict_proba(self, X: np.ndarray) -> np.ndarray:
        """Return class probabilities."""
        probabilities: np.ndarray = self.estimator_.predict_proba(X)
        return probabilities

    def predict(self, X: np.ndarray) -> np.ndarray:
        """Return the most likely classes."""
        classes: np.ndarray = self.estimator_.predict(X)
        return classes


def _surest_of_each_class(probabilities: np.ndarray, share: float) -> np.ndarray:
    """Return the indices of a share of the rows of each predicted class, the surest ones."""
    predicted, sureness = probabilities.argmax(axis=1), probabilities.max(axis=1)
    chosen = []
    for code in np.unique(predicted):
        rows = np.flatnonzero(predicted == code)
        rows = rows[np.argsort(-sureness[rows], kind="stable")]
        chosen.append(rows[: int(np.ceil(share * len(rows)))])
    return np.concatenate(chosen)


def _extra_trees() -> Any:
    from sklearn.ensemble import ExtraTreesClassifier

    return ExtraTreesClassifier(N_TREES)


def _random_forest() -> Any:
    from sklearn.ensemble import RandomForestClassifier

    return RandomForestClassifier(N_TREES)


def _logistic_regression() -> Any:
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(max_iter=1000)


def _self_training() -> Any:
    return BalancedSelfTraining(_logistic_regression(), n_rounds=N_ROUNDS)


def _is_forest(classifier: Any) -> bool:
    from sklearn.ensemble import ExtraTreesClassifier, RandomForestClassifier

    return isinstance(classifier, ExtraTreesClassifier | RandomForestClassifier)


# Functions, so that programs that only predict do not load the classifiers.
MEMBERS = {
    "extra_trees": _extra_trees,
    "logistic_regression": _logistic_regression,
    "random_forest": _random_forest,
    "self_training": _self_training,
}


def check_members(choices: Any) -> tuple[Any, ...]:
    """Return the members of an ensemble as a tuple, or raise ValueError if one is not valid."""
    members = tuple(choices) if isinstance(choices, list | tuple) else (choices,)
    for member in members:
        if not (_is_classifier(member) or (isinstance(member, str) and member in MEMBERS)):
            raise ValueError(
                "The 'ensemble' parameter of SGANClassifier must be 'auto', None, or a list of "
                f"names among {sorted(MEMBERS)} or of classifiers with predict_proba. Got "
                f"{member!r} in it."
            )
    return members


def _is_classifier(member: Any) -> bool:
    methods = ("fit", "predict_proba", "get_params")
    return not isinstance(member, type) and all(hasattr(member, name) for name in methods)


class _Rows(NamedTuple):
    """Rows with their class codes, -1 if unlabeled, and weights, None if they are equal."""

    X: np.ndarray
    codes: np.ndarray
    weights: np.ndarray | None

    def take(self, chosen: np.ndarray) -> _Rows:
        """Return the rows of an index or a mask."""
        weights = None if self.weights is None else self.weights[chosen]
        return _Rows(self.X[chosen], self.codes[chosen], weights)


class Ensemble:
    """Fitted classifiers, as the weighted mean of their class probabilities for the training rows.

    Parameters
    ----------
    members : tuple of str or classifier
        Names in `MEMBERS`, or classifiers.
    dataset : SemiSupervisedDataset
        Training rows.
    n_classes : int
        Number of classes.
    seed : int
        Seed of all random numbers.
    """

    def __init__(
        self, members: tuple[Any, ...], dataset: SemiSupervisedDataset, n_classes: int, seed: int
    ) -> None:
        self._rng = np.random.RandomState(seed % 2**32)
        y = dataset.codes.cpu().numpy()
        self._trust = _trust(dataset)
        self._probabilities_given: Tensor | None = None
        labeled, n_columns = np.flatnonzero(y >= 0), math.prod(dataset.rows.shape[1:])
        n_unlabeled = min(MAX_UNLABELED, MAX_VALUES // max(n_classes, n_columns))
        unlabeled = random_subset(np.flatnonzero(y < 0), n_unlabeled)
        self._codes = np.concatenate([y[labeled], np.full(len(unlabeled), -1)])
        self._members_weight = MEMBER_WEIGHT * len(members)
        self._weight = 0.0
        is_small = len(labeled) <= min(MAX_LABELED, MAX_LABELS_TIMES_CLASSES // n_classes)
        # Without two classes there is nothing to learn.
        if not (members and is_small and len(unlabeled) and len(np.unique(y[labeled])) > 1):
            return
        places = torch.from_numpy(np.concatenate([labeled, unlabeled]))
        self._rows: Tensor = dataset.rows[places.to(dataset.rows.device)]
        weights = None
        if dataset.weights is not None:
            weights = np.ones(len(self._codes))
            weights[self._codes >= 0] = dataset.weights.cpu().numpy()[labeled]
        X = self._rows.flatten(1).cpu().numpy()
        rows = _Rows(X, self._codes, weights)
        if dataset.probabilities is not None:
            self._probabilities_given = dataset.probabilities[dataset.labeled_indices].cpu()
        with threads_for():  # one: the threads of BLAS take many times as long for few rows
            spread = label_spreading_accuracy(self._rows, self._codes)
            self._weight = float(np.clip((UNNEEDED - spread) / (UNNEEDED - NEEDED), 0, 1))
            if self._weight > 0:
                self._mean = self._mean_of_probabilities(members, rows, n_classes)

    def _mean_of_probabilities(
        self, members: tuple[Any, ...], rows: _Rows, n_classes: int
    ) -> np.ndarray:
        shares = np.ones(1)
        if len(members) > 1:
            shares = self._shares(members, rows, n_classes)
        mean, taught = np.zeros((len(rows.X), n_classes)), rows
        if self._probabilities_given is not None:
            taught = _repeated_for_classes(rows, self._probabilities_given.numpy())
        for member, share in zip(members, shares / shares.sum(), strict=True):
            mean += share * self._probabilities(member, taught, rows.X, n_classes)
        return mean

    def _shares(self, members: tuple[Any, ...], rows: _Rows, n_classes: int) -> np.ndarray:
        """Return the weights of the members; equal ones if one needs all labels to be fitted."""
        try:
            scores = [self._brier_score(member, rows, n_classes) for member in members]
        except ValueError:
            return np.ones(len(members))
        n_labeled = int((rows.codes >= 0).sum())
        gaps = np.array(scores) - min(scores)
        shares: np.ndarray = np.exp(-SHARPNESS * math.sqrt(n_labeled) * gaps)
        return shares

    def _brier_score(self, member: Any, rows: _Rows, n_classes: int) -> float:
        """Return the mean squared error of the class probabilities in cross-validation."""
        labeled = np.flatnonzero(rows.codes >= 0)
        unlabeled = random_subset(np.flatnonzero(rows.codes < 0), MAX_UNLABELED_IN_FOLDS)
        true = rows.codes[labeled]
        n_folds = min(MAX_FOLDS, int(np.bincount(true).max()))
        folds = StratifiedKFold(n_folds, shuffle=True, random_state=0)
        squares = np.empty(len(labeled))
        with ignore_fit_warnings():
            splits = list(folds.split(true, true))
        for shown, hidden in splits:
            part = rows.take(np.concatenate([labeled[shown], unlabeled]))
            X = rows.X[labeled[hidden]]
            errors = self._probabilities(member, part, X, n_classes, few_trees=True)
            errors[np.arange(len(hidden)), true[hidden]] -= 1
            squares[hidden] = np.square(errors).sum(axis=1)
        weights = None if rows.weights is None else rows.weights[labeled]
        return float(np.average(squares, weights=weights))

    def _probabilities(
        self,
        member: Any,
        rows: _Rows,
        X: np.ndarray,
        n_classes: int,
        *,
        few_trees: bool = False,
    ) -> np.ndarray:
        """Fit a classifier on the labeled rows, and return its class probabilities for `X`."""
        classifier = MEMBERS[member]() if isinstance(member, str) else member
        classifier = seeded_clone(classifier, lambda: int(self._rng.randint(2**31 - 1)))
        if few_trees and _is_forest(classifier):
            n_trees = min(classifier.n_estimators, MAX_TREES_IN_FOLDS)
            classifier.set_params(n_estimators=n_trees)
        if not isinstance(classifier, BalancedSelfTraining):
            rows = rows.take(rows.codes >= 0)
        options = {}
        if rows.weights is not None and has_fit_parameter(classifier, "sample_weight"):
            options["sample_weight"] = rows.weights
        probabilities = np.zeros((len(X), n_classes))
        try:
            with ignore_fit_warnings():
                classifier.fit(rows.X, rows.codes, **options)
                for part in gen_batches(len(X), ROWS_AT_A_TIME):
                    probabilities[part, classifier.classes_] = classifier.predict_proba(X[part])
            if not (np.isfinite(probabilities).all() and (probabilities >= 0).all()):
                raise ValueError("its class probabilities are negative or not finite.")
        except Exception as error:  # a user-defined classifier may raise any error
            raise ValueError(
                f"A classifier in the 'ensemble' parameter of SGANClassifier failed: {member!r}, "
                f"fitted on {int((rows.codes >= 0).sum())} labeled rows as the networks see them, "
                f"with negative values. {error}"
            ) from error
        return probabilities

    def teach(self, net: Any) -> None:
        """Train the averaged discriminator on the mean of its and the members' predictions.

        With the mean ``t`` of the class probabilities, the probabilities ``p`` and the realness
        ``r`` (before: ``r_0``), it minimizes ``mean[-sum_k t_k log p_k + 0.1 (r - r_0)^2]``. An
        interrupt leaves the network as it was, and so does a training that was not completed.
        """
        if self._weight == 0 or any_process(net.interrupted_ or net.diverged_, net.device):
            return
        if process_index() == 0:
            self._teach(net)
        broadcast_state([net.averaged_module_])

    def _teach(self, net: Any) -> None:
        try:
            with threads_for(net.averaged_module_):
                student = self._student(net)
        except KeyboardInterrupt:
            net.interrupted_ = True
            return
        if all(bool(values.isfinite().all()) for values in student.parameters()):
            net.averaged_module_.load_state_dict(student.state_dict())
            return
        warn_user(
            "The discriminator diverged while it learned the predictions of the ensemble, and was "
            "reset to its state before. Set ensemble=None.",
            ConvergenceWarning,
        )

    def _student(self, net: Any) -> Any:
        objective, device = net.objective, self._rows.device
        outputs = net.outputs(self._rows).float()
        realness = objective.realness(outputs).to(device)
        targets = self._targets(objective.class_logits(outputs).softmax(dim=1)).to(device)
        student = copy.deepcopy(net.averaged_module_).eval()
        for weight, trained in zip(student.parameters(), net.module_.parameters(), strict=True):
            weight.requires_grad_(trained.requires_grad)  # some may be frozen
        weights = [weight for weight in student.parameters() if weight.requires_grad]
        if not weights:
            return student
        optimizer = torch.optim.Adam(weights, lr=LEARNING_RATE, betas=(0.5, 0.999))
        # In evaluation mode, without noise: fewer steps are needed to learn the targets.
        n_steps = min(max(MIN_STEPS, N_PASSES * len(targets) // BATCH_SIZE), MAX_STEPS)
        for step, places in enumerate(self._batches(n_steps)):
            for group in optimizer.param_groups:
                group["lr"] = LEARNING_RATE * (1 - step / n_steps)
            chosen = places.to(device)
            outputs = student(self._rows[chosen])
            divergence = F.cross_entropy(objective.class_logits(outputs), targets[chosen])
            gap = objective.realness(outputs) - realness[chosen]
            optimizer.zero_grad()
            (divergence + REALNESS_WEIGHT * gap.square().mean()).backward()
            optimizer.step()
        return student

    def _targets(self, predicted: Tensor) -> Tensor:
        """Return the mean of the predictions; labeled rows have their labels, or parts of them."""
        by_members = torch.from_numpy(self._mean).to(predicted)
        weight = self._weight * self._members_weight
        means = (NETWORK_WEIGHT * predicted + weight * by_members) / (NETWORK_WEIGHT + weight)
        known = torch.from_numpy(self._codes >= 0)
        labels = self._probabilities_given
        if labels is None:
            codes = torch.from_numpy(self._codes[self._codes >= 0])
            labels = F.one_hot(codes, means.shape[1])
        labels = labels.to(means)
        means[known] = torch.lerp(means[known], labels, self._trust.to(means)[:, np.newaxis])
        return means

    def _batches(self, n_steps: int) -> Iterator[Tensor]:
        """Yield the indices of the rows of each step, in passes over all rows."""
        size = min(BATCH_SIZE, len(self._codes))
        order = np.empty(0, dtype=int)
        for _ in range(n_steps):
            if len(order) < size:
                order = self._rng.permutation(len(self._codes))
            chosen, order = order[:size], order[size:]
            yield torch.from_numpy(chosen)


def _repeated_for_classes(rows: _Rows, probabilities: np.ndarray) -> _Rows:
    """Return each labeled row once for each of its classes, weighted by the probability."""
    labeled, unlabeled = np.flatnonzero(rows.codes >= 0), np.flatnonzero(rows.codes < 0)
    places, codes = np.nonzero(probabilities)
    weights = np.ones(len(rows.codes)) if rows.weights is None else rows.weights
    return _Rows(
        rows.X[np.concatenate([labeled[places], unlabeled])],
        np.concatenate([codes, rows.codes[unlabeled]]),
        np.concatenate(
            [weights[labeled[places]] * probabilities[places, codes], weights[unlabeled]]
        ),
    )


def _trust(dataset: SemiSupervisedDataset) -> Tensor:
    """Return the share of the label in the target of each labeled row: less for a small weight."""
    if dataset.frequencies is None:
        return torch.ones(len(dataset.labeled_indices))
    weights = dataset.frequencies[dataset.labeled_indices].cpu()
    return (weights / weights.mean()).clamp(max=1.0) if len(weights) else weights
