"""scikit-learn estimators that a file may contain, and checks of their fitted attributes.

A file may be untrusted. An estimator read from it has the parameters that its class accepts, and
only the fitted attributes that are listed here, each of the type and shape that `fit` would give.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from types import FunctionType
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator

__all__ = ["UNNEEDED", "check_fitted", "check_params", "sklearn_class", "sklearn_name"]

# Attributes of scikit-learn estimators that are not saved, since they are not needed. Forests set
# the last two when they are created.
UNNEEDED = (
    "_sklearn_version",
    "_stop_words_id",
    "_fit_svd_solver",
    "estimator",
    "estimator_params",
)

# Upper limit on the columns of a table and the rows of an array in a model.
LARGEST_SIZE = 2**22

# Upper limit on the number of times that a ColumnTransformer uses a column, on average.
MAX_REPEATED = 10

# Upper limit on the bytes of one value of a dtype with which an estimator creates arrays.
MAX_BYTES = 256

# A check returns whether a value could have been learned by `fit`. `sizes` holds the known lengths
# of axes by name; a check adds the lengths of new axes.
Sizes = dict[str, int]
Check = Callable[[Any, Sizes], bool]


def array(kinds: str, *axes: str) -> Check:
    """Return a check for arrays, or scalars, with the given kinds of dtypes and named axes."""

    def check(value: Any, sizes: Sizes) -> bool:
        is_plain = isinstance(value, np.ndarray | np.generic | float | int)
        value = np.asarray(value) if is_plain else None
        if value is None or value.dtype.kind not in kinds or value.ndim != len(axes):
            return False
        if value.dtype == object and not all(map(_is_single, value.ravel().tolist())):
            return False
        return all(
            sizes.setdefault(axis, n) == n for axis, n in zip(axes, value.shape, strict=True)
        )

    return check


def either(*checks: Check) -> Check:
    """Return a check for values that pass at least one of the checks."""
    return lambda value, sizes: any(check(value, sizes) for check in checks)


def each(check: Check, axis: str) -> Check:
    """Return a check for lists along an axis whose items pass a check."""
    return lambda value, sizes: (
        isinstance(value, list)
        and sizes.setdefault(axis, len(value)) == len(value)
        and all(check(item, sizes) for item in value)
    )


def _is_single(value: Any) -> bool:
    return value is None or isinstance(value, str | bool | int | float | np.generic)


def none(value: Any, sizes: Sizes) -> bool:
    """Check for None."""
    return value is None


def size(axis: str) -> Check:
    """Return a check for the length of an axis."""
    return lambda value, sizes: (
        isinstance(value, int | np.integer)
        and 0 < int(value) <= LARGEST_SIZE
        and sizes.setdefault(axis, int(value)) == int(value)
    )


def column_indices(value: Any, sizes: Sizes) -> bool:
    """Check for indices of columns."""
    is_array = isinstance(value, np.ndarray) and value.ndim == 1 and value.dtype.kind in "iu"
    return is_array and bool(((value >= 0) & (value < sizes["features"])).all())


def categories(value: Any, sizes: Sizes) -> bool:
    """Check for the categories of one column: a vector of distinct values, numbers sorted.

    scikit-learn finds numbers by bisection, and uses the results as columns of a sparse matrix.
    """
    if not array("biufUSO", "any")(value, {}):
        return False
    if value.dtype.kind in "biuf":
        present = value[:-1] if len(value) and value[-1] != value[-1] else value
        return bool((present[1:] > present[:-1]).all() and (present == present).all())
    return len(set(value.tolist())) == len(value)


def vocabulary(value: Any, sizes: Sizes) -> bool:
    """Check for a dict from words to the indices of their columns, each index once."""
    if not isinstance(value, dict) or not all(isinstance(word, str) for word in value):
        return False
    sizes["words"] = len(value)
    indices = [int(i) for i in value.values() if isinstance(i, int | np.integer)]
    return sorted(indices) == list(range(len(value)))


def estimator(*classes: str, **axes: str) -> Check:
    """Return a check for an estimator of named classes with the same number of features."""

    def check(value: Any, sizes: Sizes) -> bool:
        if sklearn_name(type(value)) not in classes:
            return False
        return getattr(value, "n_features_in_", None) in (None, sizes[axes.get("like", "features")])

    return check


def named_parts(value: Any, sizes: Sizes) -> bool:
    """Check for a list of tuples of a name, an estimator and possibly columns."""
    return isinstance(value, list) and all(
        isinstance(item, tuple)
        and len(item) in (2, 3)
        and isinstance(item[0], str)
        and (isinstance(item[1], BaseEstimator) or item[1] in ("drop", "passthrough"))
        and simple(item[2:], sizes)
        for item in value
    )


def simple(value: Any, sizes: Sizes) -> bool:
    """Check for lists, tuples and dicts of estimators, names, indices and slices."""
    if isinstance(value, dict):
        return all(simple(key, sizes) and simple(item, sizes) for key, item in value.items())
    if isinstance(value, list | tuple):
        return all(simple(item, sizes) for item in value)
    if isinstance(value, np.ndarray):
        return value.ndim == 1 and value.dtype != object
    return _is_single(value) or isinstance(value, slice | BaseEstimator)


def columns(value: Any, sizes: Sizes) -> bool:
    """Check for lists of columns of limited length."""
    return simple(value, sizes) and _longest(value) <= MAX_REPEATED * (1 + sizes[F])


def _longest(value: Any) -> int:
    """Return the length of the longest list, array or dict in a value."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list | tuple):
        return max([len(value), *map(_longest, value)])
    return len(value) if isinstance(value, np.ndarray) else 0


F = "features"
floats, integer, flag = array("f", F), array("iu"), array("b")
per_component = array("f", "components")


def dtype(value: Any, sizes: Sizes) -> bool:
    """Check for dtypes of numbers, text and objects of limited size."""
    return isinstance(value, np.dtype) and value.kind in "biufOUS" and value.itemsize <= MAX_BYTES


# Fitted attributes by class, besides `n_features_in_` and `feature_names_in_`.
FITTED: dict[str, dict[str, Check]] = {
    "compose.ColumnTransformer": {
        "transformers_": lambda value, sizes: (
            named_parts(value, sizes)
            and all(len(item) == 3 and columns(item[2], sizes) for item in value)
        ),
        "output_indices_": simple,
        "sparse_output_": flag,
        "_columns": columns,
        "_transformer_to_input_indices": columns,
        "_remainder": columns,
        "_name_to_fitted_passthrough": simple,
        "_n_features": size(F),
    },
    "decomposition.PCA": {
        "mean_": floats,
        "components_": array("f", "components", F),
        "n_components_": size("components"),
        "n_samples_": integer,
        "noise_variance_": array("f"),
        "explained_variance_": per_component,
        "explained_variance_ratio_": per_component,
        "singular_values_": per_component,
    },
    "decomposition.TruncatedSVD": {
        "components_": array("f", "components", F),
        "explained_variance_": per_component,
        "explained_variance_ratio_": per_component,
        "singular_values_": per_component,
    },
    "feature_extraction.text.CountVectorizer": {
        "vocabulary_": vocabulary,
        "fixed_vocabulary_": flag,
    },
    "feature_extraction.text.HashingVectorizer": {},
    "feature_extraction.text.TfidfTransformer": {"idf_": floats},
    "feature_extraction.text.TfidfVectorizer": {
        "vocabulary_": vocabulary,
        "fixed_vocabulary_": flag,
        "_tfidf": estimator("feature_extraction.text.TfidfTransformer", like="words"),
    },
    "feature_selection.SelectKBest": {"scores_": floats, "pvalues_": either(none, floats)},
    "feature_selection.SelectPercentile": {"scores_": floats, "pvalues_": either(none, floats)},
    "feature_selection.VarianceThreshold": {"variances_": floats},
    "impute.MissingIndicator": {
        "features_": column_indices,
        "_n_features": size(F),
        "_precomputed": flag,
    },
    "impute.SimpleImputer": {
        "statistics_": array("fO", F),
        "indicator_": either(none, estimator("impute.MissingIndicator")),
        "_fit_dtype": dtype,
        "_fill_dtype": dtype,
    },
    "kernel_approximation.Nystroem": {
        "components_": array("f", "components", F),
        "normalization_": array("f", "components", "components"),
        "component_indices_": array("iu", "components"),
        "_n_features_out": size("components"),
    },
    "kernel_approximation.RBFSampler": {
        "random_weights_": array("f", F, "components"),
        "random_offset_": per_component,
        "_gamma": array("f"),
        "_n_features_out": size("components"),
    },
    "multioutput.MultiOutputClassifier": {
        "estimators_": each(simple, "outputs"),
        "classes_": each(array("biufUO", "any class"), "outputs"),
    },
    "pipeline.FeatureUnion": {},
    "pipeline.Pipeline": {},
    "preprocessing.Binarizer": {},
    "preprocessing.FunctionTransformer": {},
    "preprocessing.MaxAbsScaler": {
        "max_abs_": floats,
        "scale_": floats,
        "n_samples_seen_": either(integer, array("iu", F)),
    },
    "preprocessing.MinMaxScaler": {
        "min_": floats,
        "scale_": floats,
        "data_min_": floats,
        "data_max_": floats,
        "data_range_": floats,
        "n_samples_seen_": either(integer, array("iu", F)),
    },
    "preprocessing.Normalizer": {},
    "preprocessing.OneHotEncoder": {
        "categories_": each(categories, F),
        "drop_idx_": either(none, array("O", F)),
        "_drop_idx_after_grouping": either(none, array("O", F)),
        "_infrequent_enabled": lambda value, sizes: value is False,
        "_n_features_outs": each(array("iu"), F),
    },
    "preprocessing.OrdinalEncoder": {
        "categories_": each(categories, F),
        "_infrequent_enabled": lambda value, sizes: value is False,
        "_missing_indices": simple,
    },
    "preprocessing.PowerTransformer": {
        "lambdas_": floats,
        "_scaler": estimator("preprocessing.StandardScaler"),
    },
    "preprocessing.QuantileTransformer": {
        "n_quantiles_": size("quantiles"),
        "quantiles_": array("f", "quantiles", F),
        "references_": array("f", "quantiles"),
    },
    "preprocessing.RobustScaler": {
        "center_": either(none, floats),
        "scale_": either(none, floats),
    },
    "preprocessing.StandardScaler": {
        "mean_": either(none, floats),
        "var_": either(none, floats),
        "scale_": either(none, floats),
        "n_samples_seen_": either(array("iuf"), array("iuf", F)),
    },
    "random_projection.GaussianRandomProjection": {
        "components_": array("f", "components", F),
        "n_components_": size("components"),
        "_n_features_out": size("components"),
    },
}

# Estimators that do not store the number of columns themselves.
WITHOUT_COLUMNS = (
    "feature_extraction.text.CountVectorizer",
    "feature_extraction.text.HashingVectorizer",
    "feature_extraction.text.TfidfVectorizer",
    "multioutput.MultiOutputClassifier",
    "pipeline.FeatureUnion",
    "pipeline.Pipeline",
)

# Estimators that may occur unfitted, such as the teacher of a distillation.
UNFITTED = ("linear_model.LogisticRegression",)


def _is_short(value: Any) -> bool:
    return all(isinstance(n, int) and 1 <= n <= 10 for n in value)


def _is_function(value: Any) -> bool:
    """Check for functions of one array; user-defined ones come from the caller of `load`."""
    is_unary = isinstance(value, np.ufunc) and (value.nin, value.nout) == (1, 1)
    return value is None or is_unary or isinstance(value, FunctionType)


def _is_dtype(value: Any) -> bool:
    try:
        return np.dtype(value).kind in "biufO"
    except TypeError:
        return False


# Restrictions of parameters besides those of scikit-learn: they must not start processes, open
# files, use regular expressions from the file, or set sizes without an array in the file.
PARAMS: dict[str, Callable[[Any], bool]] = {
    "analyzer": lambda value: value in ("char", "char_wb", "word"),
    "dtype": _is_dtype,
    "encoding": lambda value: value == "utf-8",
    "func": _is_function,
    "input": lambda value: value == "content",
    "inv_kw_args": lambda value: value is None,
    "inverse_func": _is_function,
    "kw_args": lambda value: value is None,
    "max_iter": lambda value: value <= 10_000,
    "n_features": lambda value: value <= LARGEST_SIZE,
    "n_jobs": lambda value: value is None,
    "ngram_range": _is_short,
    "preprocessor": lambda value: value is None,
    "token_pattern": lambda value: value == r"(?u)\b\w\w+\b",
    "tokenizer": lambda value: value is None,
    "verbose_feature_names_out": lambda value: isinstance(value, bool),
}

# Parameters that hold other estimators, by name.
COMPOSED = ("steps", "transformer_list", "transformers")

# Values of `set_output`.
OUTPUTS = ("default", "pandas", "polars")


def sklearn_name(cls: type) -> str | None:
    """Return the public name of a scikit-learn class, such as pipeline.Pipeline."""
    parts = cls.__module__.split(".")
    public = ".".join(part for part in parts[1:] if not part.startswith("_"))
    name = f"{public}.{cls.__qualname__}"
    return name if sklearn_class(name) is cls else None


def sklearn_class(name: str) -> type | None:
    """Return a scikit-learn class by its public name, or None if it is not allowed in a file."""
    if name not in FITTED and name not in UNFITTED:
        return None
    module, _, class_name = name.rpartition(".")
    cls: type = getattr(importlib.import_module(f"sklearn.{module}"), class_name)
    return cls


def check_params(name: str, params: dict[str, Any]) -> None:
    """Raise ValueError if a parameter would do more than transform numbers and text."""
    for parameter, value in params.items():
        if parameter in PARAMS and not PARAMS[parameter](value):
            raise ValueError(
                f"The parameter {parameter} of a {name} has a value that is not allowed in a file."
            )


def check_fitted(estimator: Any, fitted: dict[str, Any]) -> None:
    """Check the fitted attributes of a scikit-learn estimator.

    Raises
    ------
    ValueError
        If an attribute is missing or unknown, or has the wrong type or shape.
    """
    name = str(sklearn_name(type(estimator)))
    for parameter in COMPOSED:
        if not named_parts(getattr(estimator, parameter, []), {}):
            raise ValueError(f"The {parameter} of a {name} must be pairs of name and estimator.")
    known: dict[str, Check] = {
        "n_features_in_": size(F),
        "feature_names_in_": array("O", F),
        "_sklearn_output_config": lambda value, sizes: (
            isinstance(value, dict)
            and list(value) == ["transform"]
            and value["transform"] in (None, *OUTPUTS)
        ),
        **FITTED.get(name, {}),
    }
    needed = {attribute for attribute in known if not attribute.startswith("_")}
    needed -= {"feature_names_in_", *(("n_features_in_",) if name in WITHOUT_COLUMNS else ())}
    if fitted and (set(fitted) - set(known) or needed - set(fitted)):
        raise ValueError(f"A fitted {name} must have the attributes {sorted(known)}.")
    sizes: Sizes = {}
    for attribute in (name for name in known if name in fitted):
        if not known[attribute](fitted[attribute], sizes):
            raise ValueError(f"The file has an invalid {attribute} of a {name}.")
    if name == "preprocessing.OneHotEncoder" and "categories_" in fitted:
        _check_one_hot(estimator, fitted)


def _check_one_hot(estimator: Any, fitted: dict[str, Any]) -> None:
    """Check the sizes that a `OneHotEncoder` uses without checks to build a sparse matrix."""
    dropped = fitted.get("_drop_idx_after_grouping")
    dropped = [None] * len(fitted["categories_"]) if dropped is None else dropped.tolist()
    for levels, drop, n_out in zip(
        fitted["categories_"], dropped, fitted["_n_features_outs"], strict=True
    ):
        valid = drop is None or (isinstance(drop, int | np.integer) and 0 <= drop < len(levels))
        if not valid or n_out != len(levels) - (drop is not None):
            raise ValueError("The sizes of a OneHotEncoder do not match its categories.")
