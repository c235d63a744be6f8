"""From `X`, `y` and the parameters to what a training starts from: all of it checked."""

from __future__ import annotations

import os
import re
import sys
from numbers import Integral
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import sklearn
import torch
from sklearn.utils.validation import check_array, validate_data

from sgan_sklearn._checkpoints import Checkpoints
from sgan_sklearn._choices import (
    check_schedule,
    choose_architecture,
    choose_columns,
    choose_sampler,
    component,
)
from sgan_sklearn._columns import TableColumns
from sgan_sklearn._compilation import check_compiles
from sgan_sklearn._cuda_graphs import uses_compiler
from sgan_sklearn._device import resolve_device
from sgan_sklearn._distributed import agree, n_processes
from sgan_sklearn._early_stopping import draw_validation_rows
from sgan_sklearn._fingerprint import fingerprint
from sgan_sklearn._frames import column_name, frame_kind
from sgan_sklearn._images import check_image_shape, flatten_images
from sgan_sklearn._labels import (
    Labels,
    check_class_weight,
    check_classes,
    check_labels,
    check_same_classes,
    warn_of_marks,
)
from sgan_sklearn._random import draw_seed
from sgan_sklearn._reading import as_numbers, as_table, frame_to_numbers, read_column, with_nan
from sgan_sklearn._validation import check_callbacks, check_dense, check_range, check_same_length
from sgan_sklearn.architectures import Architecture
from sgan_sklearn.objectives import OBJECTIVES, Objective
from sgan_sklearn.samplers import Sampler

__all__ = ["Inputs", "as_rows", "check_inputs"]


class Inputs(NamedTuple):
    """What a training starts from, all of it checked and nothing of it learned yet."""

    rows: np.ndarray
    """Flat rows in the units of `X`, codes in place of categories, NaN where missing."""

    columns: TableColumns | None
    """What the columns of a table are; None for an array of numbers and for images."""

    image_shape: tuple[int, ...] | None
    """Shape of the images, if `X` was an array of some."""

    labels: Labels
    weights: np.ndarray | None
    """Weights of the labeled rows in their loss."""

    held_back: np.ndarray | None
    """Mask of the labeled rows that early stopping is judged by."""

    validation_seed: int | None
    """Seed by which they were drawn."""

    architecture: Architecture
    objective: Objective
    sampler: Sampler | None
    device: torch.device
    callbacks: list[Any]
    checkpoints: Checkpoints | None


# What scikit-learn says about arrays and lists that hold text.
NO_NUMBER = "could not convert string to float|not compatible with arrays of bytes/strings"

# Parameters that do not change what a training comes to.
NO_MATTER = ("device", "verbose", "callbacks", "checkpoint_dir", "checkpoint_every", "resume")


def check_inputs(
    estimator: Any, X: Any, y: Any, *, continued: bool, in_parts: bool, classes: Any
) -> Inputs:
    """Check the parameters of a classifier, and what it is to be fitted on.

    `continued` says that it goes on from an earlier fit, `in_parts` that this is `partial_fit`,
    which gets `classes`.
    """
    estimator._validate_params()
    _check_one_seed(estimator.random_state)
    _check_checkpoints(estimator, continued)
    check_dense(X)
    check_image_shape(estimator.image_shape)
    if in_parts:
        _check_can_learn_in_parts(estimator)
        before = estimator.classes_ if continued else None
        classes = check_classes(classes, before, estimator.unlabeled_value)
    X, image_shape = flatten_images(X)
    labels = check_labels(y, estimator.unlabeled_value, classes)
    if not (continued or in_parts):
        warn_of_marks(labels, estimator.unlabeled_value)
    if continued:
        estimator._layout.check_images(image_shape)
    expected = estimator._layout.image_shape if continued else estimator.image_shape
    architecture = choose_architecture(estimator.architecture, image_shape, expected)
    objective = component(estimator.objective, OBJECTIVES)
    check_schedule(estimator.lr_schedule)
    device = resolve_device(estimator.device)
    columns = None
    if continued:
        columns = estimator._columns
    elif image_shape is None:
        is_table = estimator.image_shape is None
        columns = choose_columns(estimator.categorical_features, X, is_table=is_table)
    is_table = image_shape is None and expected is None
    sampler = choose_sampler(estimator.sampler, is_table=is_table)
    rows = as_rows(estimator, X, columns, is_table, reset=not continued)
    check_same_length("y", labels.codes, rows)
    if continued:
        check_same_classes(estimator.classes_, labels.classes)
    if in_parts and estimator.unsupervised_weight == 0 and not (labels.codes >= 0).any():
        raise ValueError(
            "With unsupervised_weight=0 each part must hold a labeled row, but all "
            f"{len(rows)} rows are unlabeled: there is nothing to learn from them."
        )
    held_back, seed = None, None
    if estimator.early_stopping:
        # The same rows where a training goes on: others would have been learned from before.
        seed = estimator._validation_seed if continued else None
        seed = draw_seed(estimator.random_state) if seed is None else seed
        held_back = draw_validation_rows(labels, estimator.validation_fraction, seed)
    taught = labels
    if held_back is not None:
        taught = labels._replace(codes=np.where(held_back, -1, labels.codes))
    if uses_compiler(estimator.compile, device):
        check_compiles(device)
    _check_processes(estimator, rows, taught.codes, device)
    return Inputs(
        rows=rows,
        columns=columns,
        image_shape=image_shape,
        labels=labels,
        weights=check_class_weight(estimator.class_weight, taught, scaled=not in_parts),
        held_back=held_back,
        validation_seed=seed,
        architecture=architecture,
        objective=objective,
        sampler=sampler,
        device=device,
        callbacks=check_callbacks(estimator.callbacks),
        checkpoints=_checkpoints(estimator, rows, labels.codes, device, (columns, image_shape)),
    )


def as_rows(
    estimator: Any, X: Any, columns: TableColumns | None, is_table: bool, *, reset: bool
) -> np.ndarray:
    """Return checked flat rows: numbers as they are, codes of categories, NaN for holes.

    With `reset`, the estimator learns the number and the names of the columns.
    """
    try:
        with np.errstate(all="ignore"):  # of infinite values, which are looked for
            rows = _as_rows(estimator, X, columns, is_table, reset)
    except OverflowError as error:
        raise ValueError(f"X must hold numbers of 64 bits. {error}") from error
    except (TypeError, ValueError) as error:
        if not str(error).startswith(("Complex data", "float() argument")):
            raise
        raise type(error)(f"X must hold real numbers. {error}") from error
    if reset:  # later ones are pulled into the range of the first
        check_range(rows)
    return rows


def _as_rows(
    estimator: Any, X: Any, columns: TableColumns | None, is_table: bool, reset: bool
) -> np.ndarray:
    finite = "allow-nan" if is_table else True
    reads_columns = frame_kind(X) is not None or columns is not None
    try:
        if reads_columns:
            X = as_table(X)
            # Names and number of columns.
            validate_data(estimator, X, reset=reset, skip_check_array=True)
            rows = frame_to_numbers(X) if columns is None else columns.to_numbers(X)
            return check_array(rows, ensure_all_finite=finite, input_name="X")
        X = with_nan(X) if is_table else X
        rows = validate_data(estimator, X, reset=reset, ensure_all_finite=finite)
        if rows.dtype == object:  # lists with None in them
            rows = check_array(with_nan(rows), ensure_all_finite=finite, input_name="X")
        return rows
    except ValueError as error:
        if not is_table and re.search("contains (NaN|infinity)", str(error)):
            first = str(error).split(". ")[0].splitlines()[0].rstrip(".")
            raise ValueError(
                f"{first}. Images must hold a finite number in each pixel: fill missing ones "
                "first, with the mean of their neighbors for example."
            ) from error
        if is_table and "contains infinity" in str(error):
            raise ValueError(
                f"Input X contains infinity in column {_infinite_column(as_table(X), columns)}. "
                "Replace it, for example with np.nan, which counts as a missing value."
            ) from error
        if not reads_columns and np.size(X) and re.search(NO_NUMBER, str(error)):
            raise ValueError(_about_text(X, is_table=is_table, reset=reset)) from error
        raise


def _infinite_column(X: Any, columns: TableColumns | None) -> str:
    """Return the name of the first column that holds infinity."""
    for i in range(X.shape[1]):
        if columns is None or columns.kinds[i] != "category":
            values = as_numbers(read_column(X, i), column_name(X, i)).values
            if values.dtype.kind == "f" and np.isinf(values).any():
                return column_name(X, i)
    raise AssertionError("No column holds infinity.")


def _about_text(X: Any, *, is_table: bool, reset: bool) -> str:
    """Return what to do about an array or a list that holds text."""
    array = np.asarray(X)
    what = "X must hold numbers"
    match array.dtype.kind:
        case "V":
            return f"{what}. Got a structured array: make a DataFrame of it, pd.DataFrame(X)."
        case "S":
            return f"{what}. Got bytes: decode them first, as in np.char.decode(X)."
    items = array.ravel()[:10_000].tolist()  # of a file that may be large
    text = next(filter(_is_text, items), items[0])
    got = f"{what}. Got the text {text!r}"
    if not reset:
        return f"{got}: convert X to numbers in the same way as the training rows."
    if not is_table:
        return f"{got}: convert the pixels to numbers, as in np.asarray(X, dtype=float)."
    return (
        f"{got}. If columns hold categories, name them in categorical_features, or pass a "
        "DataFrame. If all of them hold numbers, convert them, as in np.asarray(X, dtype=float)."
    )


def _is_text(item: Any) -> bool:
    """Say whether an item of an array is text that is no number."""
    try:
        float(item)
    except (TypeError, ValueError):
        return isinstance(item, str | bytes)
    return False


def _check_can_learn_in_parts(estimator: Any) -> None:
    """Refuse parameters that need to know all rows, or the length of the training."""
    for name, refused, why in (
        (
            "early_stopping",
            estimator.early_stopping,
            "needs a whole fit: set it to False, and stop calling when a score of yours falls",
        ),
        (
            "lr_schedule",
            estimator.lr_schedule != "constant",
            "needs to know how long the training will be: set it to 'constant', and change "
            "discriminator_lr and generator_lr between calls",
        ),
        (
            "sampler",
            estimator.sampler != "generator",
            "needs a whole fit: set it to 'generator', which gives up a fitted sampler",
        ),
        (
            "checkpoint_dir",
            estimator.checkpoint_dir is not None,
            "needs a whole fit: set it to None, and save the model between calls",
        ),
        (
            "class_weight",
            isinstance(estimator.class_weight, str),
            "needs to know how many labels there will be: give a dict",
        ),
    ):
        if refused:
            value = getattr(estimator, name)
            raise ValueError(f"partial_fit does not support {name}={value!r}, which {why}.")


def _check_one_seed(random_state: Any) -> None:
    """Refuse what gives each process random numbers of its own, where they train together."""
    if n_processes() > 1 and not isinstance(random_state, Integral):
        raise ValueError(
            "The 'random_state' parameter of SGANClassifier must be an integer, the same "
            f"everywhere, where {n_processes()} processes train together. Got {random_state!r}."
        )


def _check_processes(
    estimator: Any, rows: np.ndarray, codes: np.ndarray, device: torch.device
) -> None:
    """Refuse what processes that train together cannot share, or do not."""
    if n_processes() == 1:
        return
    n_labeled = int((codes >= 0).sum())
    if 0 < n_labeled < n_processes() or len(rows) < n_processes():
        raise ValueError(
            f"{n_processes()} processes train together, which needs a labeled row for each of them "
            f"at least. Got {n_labeled} labeled rows of {len(rows)}: start fewer processes, or "
            "label more rows."
        )
    # The length of the training decides when processes part, and the rows are on other machines.
    params = {**_params_that_matter(estimator), "max_epochs": estimator.max_epochs}
    digest = fingerprint(params, rows.shape, rows.dtype.str, codes)
    if not agree(int(digest[:12], 16), device):
        raise ValueError(
            f"{n_processes()} processes of a process group train one model together, so that all "
            "must have the same rows, labels and parameters, but theirs differ. To train a model "
            "in each, fit it before torch.distributed.init_process_group or after "
            "destroy_process_group."
        )


def _params_that_matter(estimator: Any) -> dict[str, Any]:
    """Return the parameters that decide what a training comes to."""
    params = estimator.get_params(deep=False)
    if estimator.lr_schedule == "constant":
        params.pop("max_epochs")  # a longer training begins like a shorter one
    return {name: value for name, value in params.items() if name not in NO_MATTER}


def _check_checkpoints(estimator: Any, continued: bool) -> None:
    """Refuse parameters by which a resumed training would not be the one that was begun."""
    folder = estimator.checkpoint_dir
    if folder is None:
        if estimator.resume:
            raise ValueError(
                "resume=True needs the folder with the checkpoints of the run that was "
                "interrupted. Got checkpoint_dir=None: give the same folder to both runs."
            )
        return
    path = None if folder == "" else _expanded(folder)
    if path is None or (path.exists() and not path.is_dir()):
        raise ValueError(
            f"The 'checkpoint_dir' parameter of SGANClassifier must be a folder, which need not "
            f"exist. Got {folder!r}."
        )
    if not isinstance(estimator.random_state, Integral):
        raise ValueError(
            "checkpoint_dir needs a 'random_state' that is an integer, so that a resumed training "
            f"is the one that was begun. Got random_state={estimator.random_state!r}."
        )
    if continued:
        raise ValueError(
            "checkpoint_dir is for trainings from the start, but warm_start=True goes on from a "
            "fitted model. Set checkpoint_dir=None, and save the model between calls."
        )


def _checkpoints(
    estimator: Any,
    rows: np.ndarray,
    codes: np.ndarray,
    device: torch.device,
    form: tuple[TableColumns | None, tuple[int, ...] | None],
) -> Checkpoints | None:
    """Return where checkpoints go; `form` is what the columns are, and the shape of the images."""
    if estimator.checkpoint_dir is None:
        return None
    columns, image_shape = form
    of_columns = None if columns is None else columns.plain_state()
    versions = sys.modules["sgan_sklearn"].__version__, torch.__version__, sklearn.__version__
    params = _params_that_matter(estimator)
    run = fingerprint(versions, device.type, params, rows, codes, of_columns, image_shape)
    folder = _expanded(estimator.checkpoint_dir)
    return Checkpoints(folder, run, estimator.checkpoint_every, resume=estimator.resume)


def _expanded(folder: Any) -> Path:
    """Return a path in which "~" is the home folder, or raise ValueError."""
    try:
        return Path(os.fsdecode(folder)).expanduser()
    except RuntimeError as error:
        raise ValueError(
            "The 'checkpoint_dir' parameter of SGANClassifier must be a folder, in which '~' is "
            f"the home folder. Got {str(folder)!r}. {error}"
        ) from error
