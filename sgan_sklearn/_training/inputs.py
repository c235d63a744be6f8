"""Checked inputs of a training: the parameters, `X` and `y`."""

from __future__ import annotations

import os
import sys
from numbers import Integral
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import sklearn
import torch
from sklearn.base import clone

from sgan_sklearn._data.images import check_image_shape
from sgan_sklearn._data.labels import (
    Labels,
    check_class_weight,
    check_classes,
    check_same_classes,
    warn_about_marks,
    with_sample_weight,
)
from sgan_sklearn._data.space import ModelSpace, SparseSpace, find_space
from sgan_sklearn._data.table import Table, as_table
from sgan_sklearn._data.validation import check_callbacks, check_same_length, check_sample_weight
from sgan_sklearn._runtime.device import resolve_device
from sgan_sklearn._runtime.processes import agree, n_processes
from sgan_sklearn._runtime.random import draw_seed
from sgan_sklearn._storage.checkpoints import Checkpoints
from sgan_sklearn._storage.fingerprint import fingerprint
from sgan_sklearn._target import ClassTarget
from sgan_sklearn._training.early_stopping import draw_validation_rows
from sgan_sklearn._training.ensemble import MEMBERS, check_members
from sgan_sklearn._training.options import OF_ONE_RUN, Training
from sgan_sklearn._training.plan import Plan, choose_architecture, make_plan
from sgan_sklearn.architectures import Architecture

__all__ = ["Inputs", "check_inputs"]


class Inputs(NamedTuple):
    """Checked inputs of a training, not yet fitted."""

    rows: np.ndarray
    """Flat rows in the units of `X`, with codes for categories and NaN for missing values."""

    space: ModelSpace
    """Conversion of rows to inputs of the networks; fitted if a training is continued."""

    labels: Labels
    weights: np.ndarray | None
    """Weights of the labeled rows in their loss."""

    frequencies: np.ndarray | None
    """How often each row is drawn without its label, compared with others; None for equally."""

    used: np.ndarray | None
    """Mask of the rows whose weight is not zero; None for all rows."""

    held_out_mask: np.ndarray | None
    """Mask of the labeled rows that early stopping holds out."""

    validation_seed: int | None
    """Seed of the draw of these rows."""

    plan: Plan
    ensemble: tuple[Any, ...]
    """Classifiers whose predictions the discriminator learns; empty in `partial_fit`."""

    max_time: float | None
    tol: float
    callbacks: list[Any]
    checkpoints: Checkpoints | None

    @property
    def trained(self) -> np.ndarray:
        """Mask of the rows that the networks learn from."""
        mask = np.ones(len(self.rows), dtype=bool) if self.used is None else self.used
        return mask if self.held_out_mask is None else mask & ~self.held_out_mask

    @property
    def row_weights(self) -> np.ndarray | None:
        """How much each row counts among those that the networks learn from; None for equally."""
        trained = self.trained
        if self.frequencies is None and trained.all():
            return None
        return np.where(trained, 1.0 if self.frequencies is None else self.frequencies, 0.0)


# Parameters that do not change the result of a training.
IRRELEVANT_PARAMS = ("device", "verbose", "callbacks")


def check_inputs(
    estimator: Any,
    X: Any,
    y: Any,
    *,
    continued: bool,
    in_parts: bool,
    classes: Any = None,
    sample_weight: Any = None,
) -> Inputs:
    """Check the parameters of a classifier and its training data.

    `continued` is True if an earlier fit is continued. `in_parts` is True for `partial_fit`, which
    also takes `classes`.
    """
    estimator._validate_params()
    _check_one_seed(estimator.random_state)
    training = clone(estimator.training) if estimator.training is not None else Training()
    training._check()
    _check_checkpoints(estimator, training, continued)
    check_image_shape(estimator.image_shape)
    table = as_table(X)
    if in_parts:
        _check_partial_fit(estimator, training)
        before = estimator.classes_ if continued else None
        classes = check_classes(classes, before, estimator.unlabeled_value)
    labels = ClassTarget.encode(y, estimator.unlabeled_value, classes)
    if not (continued or in_parts):
        warn_about_marks(labels, estimator.unlabeled_value)
    device = resolve_device(estimator.device)
    architecture, space = _architecture_and_space(estimator, table, continued)
    if in_parts and not continued and isinstance(space, SparseSpace):
        raise TypeError(
            "partial_fit needs dense rows, or sparse rows of at most n_components columns, because "
            f"the components of a part are not those of all rows. Got {table.n_columns} columns. "
            "Reduce all parts in the same way, as with sklearn.decomposition.TruncatedSVD."
        )
    rows = space.read(estimator, table, reset=not continued)
    check_same_length("y", labels.codes, rows)
    sample_weight, frequencies, used = _row_weights(sample_weight, rows, in_parts)
    if continued:
        check_same_classes(estimator.classes_, labels.classes)
    taught = _of_rows(labels, used)
    _check_has_labels(labels, taught, in_parts)
    # A class whose labels all have the weight 0 has no share.
    has_shares = frequencies is None and (used.all() or _n_classes(taught) == _n_classes(labels))
    held_out_mask, seed = _held_out_mask(estimator, taught, continued)
    trained = used if held_out_mask is None else used & ~held_out_mask
    taught = _of_rows(labels, trained)
    arrays = taught.codes, used, sample_weight, *_probabilities(labels)
    _check_processes(estimator, training, rows, arrays, device)
    plan = make_plan(
        estimator,
        training,
        space,
        estimator.plan_.architecture if continued else architecture,
        device=device,
        n_rows=int(trained.sum()),
        n_labeled=int(ClassTarget.is_labeled(taught.codes).sum()),
        n_classes=len(labels.classes),
        in_parts=in_parts,
        has_shares=has_shares and labels.probabilities is None,
        before=estimator.plan_ if continued else None,
    )
    _check_has_loss(plan, taught if held_out_mask is None else labels)
    weights = check_class_weight(estimator.class_weight, taught, scaled=not in_parts)
    weights = with_sample_weight(weights, sample_weight, taught, scaled=not in_parts)
    ensemble = _ensemble(estimator.ensemble, plan, space)
    return Inputs(
        rows=rows,
        space=space,
        labels=labels,
        weights=weights,
        frequencies=frequencies,
        used=None if used.all() else used,
        held_out_mask=held_out_mask,
        validation_seed=seed,
        plan=plan,
        ensemble=() if in_parts else ensemble,
        max_time=training.max_time,
        tol=training.tol,
        callbacks=check_callbacks(estimator.callbacks),
        checkpoints=_checkpoints(
            estimator,
            training,
            rows,
            (labels.codes, used, frequencies, *_probabilities(labels)),
            plan,
            space,
        ),
    )


def _architecture_and_space(
    estimator: Any, table: Table, continued: bool
) -> tuple[Architecture, ModelSpace]:
    """Return the recipe of the networks, and the model space for which they are built."""
    if continued:
        space = estimator._space
        space.check_images(table.image_shape)
        shape = table.image_shape
        return choose_architecture(estimator.architecture, shape, space.image_shape), space
    architecture = choose_architecture(
        estimator.architecture, table.image_shape, estimator.image_shape
    )
    return architecture, find_space(
        table,
        image_shape=estimator.image_shape,
        categorical_features=estimator.categorical_features,
        scaling=estimator.scaling,
        n_components=estimator.n_components,
        for_images=architecture.for_images,
    )


def _row_weights(
    sample_weight: Any, rows: np.ndarray, in_parts: bool
) -> tuple[np.ndarray | None, np.ndarray | None, np.ndarray]:
    """Return the weights in the loss, those in the draws, and the mask of weights above 0.

    None stands for equal weights, of which only those in the loss of a part matter.
    """
    weights = check_sample_weight(sample_weight, rows)
    if weights is None:
        return None, None, np.ones(len(rows), dtype=bool)
    used = weights > 0
    if (weights[used] == weights[used][0]).all():
        return weights if in_parts else None, None, used
    return weights, weights, used


def _probabilities(labels: Labels) -> list[np.ndarray]:
    """Return the class probabilities of the labels, if any."""
    return [] if labels.probabilities is None else [labels.probabilities]


def _n_classes(labels: Labels) -> int:
    """Return the number of classes with a label."""
    return len(np.unique(labels.codes[labels.codes >= 0]))


def _of_rows(labels: Labels, mask: np.ndarray) -> Labels:
    """Return the labels of some rows; the other rows are unlabeled."""
    return labels if mask.all() else labels._replace(codes=np.where(mask, labels.codes, -1))


def _check_has_labels(labels: Labels, used: Labels, in_parts: bool) -> None:
    """Raise ValueError if all labeled rows have the weight 0, except in a part."""
    n_labeled = int(ClassTarget.is_labeled(labels.codes).sum())
    if n_labeled and not in_parts and not ClassTarget.is_labeled(used.codes).any():
        raise ValueError(
            "The sample_weight of at least one labeled row must be above 0. Got 0 for all "
            f"{n_labeled} labeled rows."
        )


def _held_out_mask(
    estimator: Any, labels: Labels, continued: bool
) -> tuple[np.ndarray | None, int | None]:
    """Return the mask of the rows that early stopping holds out, and the seed of their draw."""
    if not estimator.early_stopping:
        return None, None
    # A continued training holds out the same rows: the networks have learned from all others.
    seed = estimator._validation_seed if continued else None
    seed = draw_seed(estimator.random_state) if seed is None else seed
    return draw_validation_rows(labels, estimator.validation_fraction, seed), seed


def _ensemble(choice: Any, plan: Plan, space: ModelSpace) -> tuple[Any, ...]:
    """Return the checked members; none if the training has no loss on unlabeled rows."""
    if isinstance(choice, str) and choice == "auto":
        choice = () if space.as_images or space.is_wide else tuple(MEMBERS)
    members = check_members(() if choice is None else choice)
    has_unlabeled_loss = plan.objective.uses_generator or len(plan.regularizers) > 0
    return members if plan.unsupervised_weight > 0 and has_unlabeled_loss else ()


def _check_has_loss(plan: Plan, labels: Labels) -> None:
    """Raise ValueError for unlabeled rows, as a part may have, if only labels have a loss."""
    if ClassTarget.is_labeled(labels.codes).any():
        return
    reason = None
    if plan.unsupervised_weight == 0:
        reason = "unsupervised_weight=0"
    elif not (plan.objective.uses_generator or plan.regularizers):
        reason = f"the objective {type(plan.objective).__name__} and no regularizer"
    if reason is not None:
        raise ValueError(
            f"With {reason} each part must hold a labeled row, but all {len(labels.codes)} rows "
            "are unlabeled. Pass labeled rows together with each part."
        )


def _check_partial_fit(estimator: Any, training: Training) -> None:
    """Raise ValueError for parameters that need all rows or the length of the training."""
    for name, refused, why in (
        (
            "early_stopping",
            estimator.early_stopping,
            "needs a whole fit: set it to False, and stop calling when your own score falls",
        ),
        (
            "lr_schedule",
            training.lr_schedule not in ("auto", "constant"),
            "needs the length of the training: set it to 'constant', and change "
            "discriminator_lr and generator_lr between calls",
        ),
        (
            "sampler",
            estimator.sampler != "generator",
            "needs a whole fit: set it to 'generator', which drops a fitted sampler",
        ),
        (
            "checkpoint_dir",
            training.checkpoint_dir is not None,
            "needs a whole fit: set it to None, and save the model between calls",
        ),
        (
            "class_weight",
            isinstance(estimator.class_weight, str),
            "needs all labels at once: pass a dict",
        ),
    ):
        if refused:
            value = getattr(training if hasattr(training, name) else estimator, name)
            raise ValueError(f"partial_fit does not support {name}={value!r}, which {why}.")


def _check_one_seed(random_state: Any) -> None:
    """Raise ValueError unless processes that train together have the same integer seed."""
    if n_processes() > 1 and not isinstance(random_state, Integral):
        raise ValueError(
            "The 'random_state' parameter of SGANClassifier must be the same integer in "
            f"all of the {n_processes()} processes that train together. Got {random_state!r}."
        )


def _check_processes(
    estimator: Any,
    training: Training,
    rows: np.ndarray,
    labels: tuple[np.ndarray | None, ...],
    device: torch.device,
) -> None:
    """Raise ValueError unless processes that train together have enough equal inputs."""
    if n_processes() == 1:
        return
    n_labeled = int(ClassTarget.is_labeled(np.asarray(labels[0])).sum())
    if 0 < n_labeled < n_processes() or len(rows) < n_processes():
        raise ValueError(
            f"Each of the {n_processes()} processes that train together needs at least one labeled "
            f"row. Got {n_labeled} labeled rows of {len(rows)}: start fewer processes, or label "
            "more rows."
        )
    # The rows of other machines are not known here.
    digest = fingerprint(_relevant_params(estimator, training), rows.shape, rows.dtype.str, labels)
    if not agree(int(digest[:12], 16), device):
        raise ValueError(
            f"{n_processes()} processes of a process group train one model together, so they "
            "must have the same rows, labels, weights and parameters, but theirs differ. To train "
            "one model in each process, fit it before torch.distributed.init_process_group or "
            "after destroy_process_group."
        )


def _relevant_params(estimator: Any, training: Training) -> dict[str, Any]:
    """Return the parameters that determine the result of a training."""
    params = estimator.get_params(deep=False)
    params["training"] = clone(training).set_params(**OF_ONE_RUN)
    return {name: value for name, value in params.items() if name not in IRRELEVANT_PARAMS}


def _check_checkpoints(estimator: Any, training: Training, continued: bool) -> None:
    """Raise ValueError for parameters with which a resumed training would not be the same."""
    folder = training.checkpoint_dir
    if folder is None:
        if training.resume:
            raise ValueError(
                "resume=True needs the folder with the checkpoints of the interrupted run. Got "
                "checkpoint_dir=None: pass the same folder to both runs."
            )
        return
    path = None if folder == "" else _expanded(folder)
    if path is None or (path.exists() and not path.is_dir()):
        raise ValueError(
            f"The 'checkpoint_dir' parameter of Training must be a folder, which may be "
            f"missing. Got {folder!r}."
        )
    if not isinstance(estimator.random_state, Integral):
        raise ValueError(
            "checkpoint_dir needs an integer 'random_state', so that a resumed training continues "
            f"the interrupted one. Got random_state={estimator.random_state!r}."
        )
    if continued:
        raise ValueError(
            "checkpoint_dir is not supported when warm_start=True continues a fitted model. Set "
            "checkpoint_dir=None, and save the model between calls."
        )


def _checkpoints(
    estimator: Any,
    training: Training,
    rows: np.ndarray,
    labels: tuple[np.ndarray | None, ...],
    plan: Plan,
    space: ModelSpace,
) -> Checkpoints | None:
    """Return the checkpoints of this run, or None; `labels` are the codes and the weights."""
    if training.checkpoint_dir is None:
        return None
    kind = torch.device(plan.device).type
    versions = sys.modules["sgan_sklearn"].__version__, torch.__version__, sklearn.__version__
    params = _relevant_params(estimator, training)
    if plan.lr_schedule is None:  # a longer training begins like a shorter one
        params.pop("max_epochs")
        params["training"].max_time = None
    run = fingerprint(versions, kind, plan.precision, params, rows, labels, *space.identity())
    folder = _expanded(training.checkpoint_dir)
    return Checkpoints(folder, run, training.checkpoint_every, resume=training.resume)


def _expanded(folder: Any) -> Path:
    """Return a path in which "~" is the home folder, or raise ValueError."""
    try:
        return Path(os.fsdecode(folder)).expanduser()
    except RuntimeError as error:
        raise ValueError(
            "The 'checkpoint_dir' parameter of Training must be a folder, in which '~' is "
            f"the home folder. Got {str(folder)!r}. {error}"
        ) from error
