"""The state of a fitted classifier that `save` keeps, and its checks in `load`.

A classifier is restored from parameters, arrays of numbers and the description of its columns.
Whatever follows from these, such as the networks and their places for categories, is built as in
`fit`. Then the classifier must predict, or the file is refused.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.utils._param_validation import validate_parameter_constraints

from sgan_sklearn._data.columns import TableColumns
from sgan_sklearn._data.images import CHANNELS, Layout
from sgan_sklearn._data.scaling import FeatureScaler, TableScaler
from sgan_sklearn._training.choices import choose_heads
from sgan_sklearn._training.net import SGANNet
from sgan_sklearn._training.options import Training
from sgan_sklearn._training.saved_net import net_from_state, net_state
from sgan_sklearn.architectures import ARCHITECTURES, Architecture
from sgan_sklearn.architectures._base import network_builders
from sgan_sklearn.augmentations import AUGMENTATIONS
from sgan_sklearn.objectives import OBJECTIVES, Objective
from sgan_sklearn.regularizers import REGULARIZERS, Regularizer
from sgan_sklearn.samplers import SAMPLERS, ColumnMap, CriticSampler, Sampler

__all__ = ["PARTS", "fitted_state", "restore_fitted_state"]

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
        "layout": classifier._layout._asdict(),
        "columns": None if classifier._columns is None else classifier._columns.plain_state(),
        "scaler": classifier.scaler_.plain_state(),
        "architecture": classifier.net_.module.func.__self__,
        "net": net_state(classifier.net_),
        "sampler": clone(sampler) if is_critic else sampler,
        "sampler_state": sampler._fitted_state() if is_critic else None,
        "column_map": None if column_map is None else column_map._plain_state(),
        "validation_seed": classifier._validation_seed,
        "validation_scores": classifier.validation_scores_,
        "label_distributions": classifier.label_distributions_,
    }


def restore_fitted_state(classifier: Any, state: dict[str, Any]) -> None:
    """Give a new classifier what `fitted_state` has returned.

    Raises ValueError, or another error, where no fitted classifier has such a state.
    """
    classes, layout = _checked_classes(state["classes"]), _checked_layout(state)
    classifier.classes_, classifier._layout = classes, layout
    classifier.n_features_in_ = state["n_features"]
    names = state["feature_names"]
    if names is not None:
        known = isinstance(names, np.ndarray) and names.shape == (state["n_features"],)
        if not known or not all(isinstance(name, str) for name in names):
            raise ValueError("The names of the columns are not as many strings as columns.")
        classifier.feature_names_in_ = names
    if state["columns"] is not None:
        classifier._columns = TableColumns.from_plain_state(state["columns"])
    else:
        classifier._columns = None
    _check_levels(classifier._columns, state, is_table=layout.image_shape is None)
    scaler_class: Any = TableScaler if layout.image_shape is None else FeatureScaler
    scaler = scaler_class.from_plain_state(state["scaler"], state["n_features"])
    classifier.scaler_ = scaler
    classifier.net_ = net = _restored_net(classifier, state, layout, scaler)
    heads = choose_heads(scaler)
    sampler: Any = state["sampler"]
    kind = Sampler if state["sampler_state"] is None else CriticSampler
    if sampler is not None and not isinstance(sampler, kind):
        raise ValueError(f"A {type(sampler).__name__} is no Sampler.")
    if isinstance(sampler, CriticSampler) and state["sampler_state"] is not None:
        n_units = scaler.bounds_.shape[1]
        sampler._restore_fitted_state(state["sampler_state"], heads, n_units, len(classes))
    classifier.sampler_ = sampler
    column_map = state["column_map"]
    if column_map is not None:
        column_map = ColumnMap._from_plain_state(column_map, heads, scaler.bounds_.shape[1])
    classifier._column_map = column_map
    _restore_results(classifier, state, net)
    _check_works(classifier)


def _check_levels(columns: TableColumns | None, state: dict[str, Any], *, is_table: bool) -> None:
    """Compare the levels of the columns with those of the scaling, before room is made for them."""
    n_levels = [0] * state["n_features"] if columns is None else columns.n_levels
    same = len(n_levels) == state["n_features"]
    if is_table:
        same = same and state["scaler"]["levels"].tolist() == n_levels
    elif columns is not None:
        same = same and not any(n_levels)
    if not same:
        raise ValueError("The levels of the columns are not those of the scaling.")


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


def _checked_layout(state: dict[str, Any]) -> Layout:
    n_features: Any = state["n_features"]
    layout: Any = Layout(**state["layout"])
    shapes = [layout.row_shape, layout.image_shape or layout.row_shape]
    sides = [side for shape in shapes for side in shape]
    fits = (
        type(n_features) is int
        and all(isinstance(shape, tuple) for shape in shapes)
        and all(type(side) is int and side > 0 for side in sides)
        and all(math.prod(shape) == n_features for shape in shapes)
        and type(layout.as_images) is bool
    )
    if layout.image_shape is None:
        fits = fits and len(layout.row_shape) == 1 and not layout.as_images
    else:
        fits = fits and len(layout.image_shape) == 3 and layout.image_shape[2] in CHANNELS
    if not fits:
        raise ValueError(f"No rows of {n_features!r} features have the layout {layout}.")
    checked: Layout = layout
    return checked


def _restored_net(
    classifier: Any, state: dict[str, Any], layout: Layout, scaler: FeatureScaler | TableScaler
) -> SGANNet:
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
    bounds = layout.to_planes(scaler.bounds_)
    builders = network_builders(
        architecture,
        objective.n_outputs(n_classes),
        params["latent_dim"],
        bounds,
        choose_heads(scaler),
    )
    return net_from_state(state["net"], *builders, bounds.shape[1:])


def _restore_results(classifier: Any, state: dict[str, Any], net: SGANNet) -> None:
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
    classifier._validation_seed = seed
    classifier.label_distributions_ = shares
    classifier.validation_scores_ = scores
    classifier.best_validation_score_ = None if scores is None else max(scores, default=np.nan)
    classifier._set_history()


def _check_works(classifier: Any) -> None:
    """Raise an error where a restored classifier cannot predict a row, or sample one."""
    layout, scaler = classifier._layout, classifier.scaler_
    with np.errstate(all="ignore"):
        rows = layout.to_given_form(scaler.lowest_row())
        if classifier._columns is not None:
            rows = classifier._columns.to_given_form(rows, np.random.RandomState(0))
        probabilities = classifier.predict_proba(rows)
        if classifier.net_.trains_generator or classifier.sampler_ is not None:
            classifier.predict(classifier.sample(2, random_state=0))
    if probabilities.shape != (1, len(classifier.classes_)) or not np.isfinite(probabilities).all():
        raise ValueError("The classifier gives no probabilities.")
