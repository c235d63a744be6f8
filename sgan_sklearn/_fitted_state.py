"""The state of a fitted classifier that `save` keeps, and its checks in `load`.

A classifier is restored from parameters, arrays of numbers and the description of its columns.
Whatever follows from these, such as the networks and their places for categories, is built as in
`fit`. Then the classifier must predict, or the file is refused.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.utils._param_validation import validate_parameter_constraints

from sgan_sklearn._data.space import ModelSpace, restore_space
from sgan_sklearn._target import ClassTarget
from sgan_sklearn._training.net import SGANNet
from sgan_sklearn._training.options import Training
from sgan_sklearn._training.plan import heads_of, restore_plan
from sgan_sklearn._training.saved_net import net_from_state, net_state
from sgan_sklearn.architectures import ARCHITECTURES, Architecture
from sgan_sklearn.architectures._base import network_builders
from sgan_sklearn.augmentations import AUGMENTATIONS
from sgan_sklearn.objectives import OBJECTIVES, Objective
from sgan_sklearn.regularizers import REGULARIZERS, Regularizer
from sgan_sklearn.samplers import SAMPLERS, ColumnMap, CriticSampler, Sampler

__all__ = [
    "PARTS",
    "fitted_state",
    "restore_fitted_state",
    "set_history",
    "unchanged_on_error",
]

# The classes of this package that a file may name, besides the classifier.
PARTS = (
    *ARCHITECTURES.values(),
    *OBJECTIVES.values(),
    *REGULARIZERS.values(),
    *AUGMENTATIONS.values(),
    *SAMPLERS.values(),
    Training,
)

# Bytes of a class label, at most: predictions repeat it.
MAX_LABEL_BYTES = 2**12


def fitted_state(classifier: Any) -> dict[str, Any]:
    """Return what a fitted classifier has learned."""
    sampler, column_map = classifier.sampler_, classifier._column_map
    is_critic = hasattr(sampler, "_fitted_state")
    return {
        "classes": classifier.classes_,
        "n_features": classifier.n_features_in_,
        "feature_names": getattr(classifier, "feature_names_in_", None),
        "space": classifier._space.plain_state(),
        "architecture": classifier.plan_.architecture,
        "net": net_state(classifier.net_),
        "sampler": clone(sampler) if is_critic else sampler,
        "sampler_state": sampler._fitted_state() if is_critic else None,
        "column_map": None if column_map is None else column_map._plain_state(),
        "validation_seed": classifier._validation_seed,
        "validation_scores": classifier.validation_scores_,
        "label_distributions": classifier.label_distributions_,
        "labeled_mask": classifier.labeled_mask_,
        "row_weights": classifier._row_weights,
    }


def restore_fitted_state(classifier: Any, state: dict[str, Any]) -> None:
    """Give a new classifier what `fitted_state` has returned.

    Raises ValueError, or another error, where no fitted classifier has such a state.
    """
    classifier.classes_ = classes = _checked_classes(state["classes"])
    classifier.n_features_in_ = state["n_features"]
    names = state["feature_names"]
    if names is not None:
        known = isinstance(names, np.ndarray) and names.shape == (state["n_features"],)
        if not known or not all(isinstance(name, str) for name in names):
            raise ValueError("The names of the columns are not as many strings as columns.")
        classifier.feature_names_in_ = names
    classifier._space = space = restore_space(state["space"], state["n_features"])
    classifier.net_ = _restored_net(classifier, state, space)
    heads, n_units = heads_of(space), space.scaler_.bounds_.shape[1]
    sampler: Any = state["sampler"]
    kind = Sampler if state["sampler_state"] is None else CriticSampler
    if sampler is not None and not isinstance(sampler, kind):
        raise ValueError(f"A {type(sampler).__name__} is no Sampler.")
    if isinstance(sampler, CriticSampler) and state["sampler_state"] is not None:
        sampler._restore_fitted_state(state["sampler_state"], heads, n_units, len(classes))
    classifier.sampler_ = sampler
    column_map = state["column_map"]
    if column_map is not None:
        column_map = ColumnMap._from_plain_state(column_map, heads, n_units)
    classifier._column_map = column_map
    classifier.plan_ = restore_plan(classifier, state["architecture"])
    _restore_results(classifier, state)
    _check_can_predict(classifier)


def _checked_classes(classes: Any) -> np.ndarray:
    sorted_labels = (
        isinstance(classes, np.ndarray)
        and classes.ndim == 1
        and len(classes) > 0
        and (classes.dtype != object or all(isinstance(label, str) for label in classes))
        and classes.dtype.kind in "biufUO"
        and np.array_equal(np.unique(classes), classes)
    )
    longest = max(len(label) for label in classes) if classes.dtype == object else 0
    if not sorted_labels or max(classes.dtype.itemsize, longest) > MAX_LABEL_BYTES:
        raise ValueError("The classes are not sorted class labels.")
    return classes


def _restored_net(classifier: Any, state: dict[str, Any], space: ModelSpace) -> SGANNet:
    params = state["net"]["params"]
    of_loop = ("adversarial_every", "averaging_decay", "precision")
    named = (*of_loop, "latent_dim", "unsupervised_weight", "batch_size", "max_epochs", "device")
    validate_parameter_constraints(
        {**classifier._parameter_constraints, **Training._parameter_constraints},
        {name: params[name] for name in named},
        caller_name="SGANClassifier",
    )
    if "auto" in [params[name] for name in named if name != "device"]:
        raise ValueError("A fitted model has numbers in place of 'auto'.")
    architecture, objective = state["architecture"], params["objective"]
    regularizers = params["regularizers"]
    parts = [(architecture, Architecture), (objective, Objective)]
    parts += [(regularizer, Regularizer) for regularizer in regularizers]
    for part, kind in parts:
        if not isinstance(part, kind):
            raise ValueError(f"A {type(part).__name__} is no {kind.__name__}.")
    n_classes = len(classifier.classes_)
    for regularizer in regularizers:
        regularizer._check_prepared(n_classes)
    builders = network_builders(
        architecture,
        objective.n_outputs(n_classes),
        params["latent_dim"],
        space.bounds,
        heads_of(space),
    )
    return net_from_state(state["net"], *builders, space.input_shape)


def _restore_results(classifier: Any, state: dict[str, Any]) -> None:
    seed, scores = state["validation_seed"], state["validation_scores"]
    if not (seed is None or (type(seed) is int and 0 <= seed < 2**32)):
        raise ValueError(f"The seed of the validation rows is an integer, not {seed!r}.")
    is_list = isinstance(scores, list) and all(isinstance(score, float) for score in scores)
    if not (scores is None or is_list):
        raise ValueError("The validation scores are numbers.")
    shares = state["label_distributions"]
    known = isinstance(shares, np.ndarray) and shares.dtype == np.float32 and shares.ndim == 2
    if not known or shares.shape[1] != len(classifier.classes_):
        raise ValueError("The label distributions have a column for each class.")
    if not ((shares >= 0).all() and np.allclose(shares.sum(axis=1), 1, atol=1e-3)):
        raise ValueError("The label distributions are not probabilities.")
    # Format 3 has neither of these.
    labeled = state.get("labeled_mask", shares.max(axis=1) == 1)
    weights = state.get("row_weights")
    _check_row_values(labeled, "bool", len(shares))
    if weights is not None:
        _check_row_values(weights, "float64", len(shares))
        if not (np.isfinite(weights).all() and (weights >= 0).all() and weights.any()):
            raise ValueError("The weights of the rows are not weights.")
    classifier._validation_seed = seed
    classifier.label_distributions_ = shares
    classifier.labeled_mask_ = labeled
    classifier._row_weights = weights
    classifier.class_prior_ = ClassTarget.proportions(shares, weights)
    classifier.validation_scores_ = scores
    classifier.best_validation_score_ = None if scores is None else max(scores, default=np.nan)
    set_history(classifier)


def _check_row_values(values: Any, dtype: str, n_rows: int) -> None:
    known = isinstance(values, np.ndarray) and values.dtype == dtype
    if not known or values.shape != (n_rows,):
        raise ValueError(f"There is no array of the dtype {dtype} with a value for each row.")


def set_history(classifier: Any) -> None:
    """Set the attributes of a classifier that tell the course of its training."""
    net = classifier.net_
    classifier.history_ = [
        {name: value for name, value in epoch.items() if name != "batches"} for epoch in net.history
    ]
    classifier.n_iter_ = len(classifier.history_)
    classifier.n_steps_ = net.n_steps_


def _check_can_predict(classifier: Any) -> None:
    """Raise an error where a restored classifier cannot predict a row, or sample one."""
    with np.errstate(all="ignore"):
        probabilities = classifier.predict_proba(classifier._space.lowest_row())
        if classifier.net_.trains_generator or classifier.sampler_ is not None:
            classifier.predict(classifier.sample(2, random_state=0))
    if probabilities.shape != (1, len(classifier.classes_)) or not np.isfinite(probabilities).all():
        raise ValueError("The classifier gives no probabilities.")


@contextmanager
def unchanged_on_error(estimator: Any) -> Iterator[None]:
    """Restore an estimator's attributes if the block fails, so that a fitted model is kept."""
    before = vars(estimator).copy()
    try:
        yield
    except BaseException:
        vars(estimator).clear()
        vars(estimator).update(before)
        raise
