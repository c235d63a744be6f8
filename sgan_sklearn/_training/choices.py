"""What the names among the estimator's parameters stand for, and what "auto" is for which rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sklearn.base import clone

from sgan_sklearn._data.columns import TableColumns
from sgan_sklearn._data.frames import frame_kind
from sgan_sklearn._data.images import Layout, refuse_augmentation, refuse_images
from sgan_sklearn._data.reading import as_table
from sgan_sklearn._data.scaling import FeatureScaler, TableScaler
from sgan_sklearn._training.schedules import SCHEDULES
from sgan_sklearn.architectures import (
    ARCHITECTURES,
    Architecture,
    ConvArchitecture,
    Heads,
    MLPArchitecture,
)
from sgan_sklearn.augmentations import AUGMENTATIONS, AffineAugmentation, Augmentation
from sgan_sklearn.regularizers import REGULARIZERS, Regularizer
from sgan_sklearn.samplers import SAMPLERS, Sampler

__all__ = [
    "choose_architecture",
    "choose_augmentation",
    "choose_columns",
    "choose_decay",
    "choose_heads",
    "choose_interval",
    "choose_regularizers",
    "choose_sampler",
    "choose_scaler",
    "choose_schedule",
    "component",
]

# What regularizer="auto" stands for.
TABLE_REGULARIZERS = ("virtual_adversarial", "class_prior", "distillation")
IMAGE_REGULARIZERS = ("pseudo_label",)

# Those among them that go by the shares of the classes in all rows, or by labels of all classes.
SHARES_MATTER = ("class_prior", "distillation")

# What adversarial_every="auto" stands for.
TABLE_INTERVAL = 1
IMAGE_INTERVAL = 4

# What averaging_decay="auto" stands for.
TABLE_DECAY = 0.999
IMAGE_DECAY = 0.99


def component(choice: Any, registry: dict[str, type]) -> Any:
    """Return a checked copy of an objective, architecture and so on, given by name or instance."""
    part = registry[choice]() if isinstance(choice, str) else clone(choice)
    part._validate_params()
    return part


def choose_architecture(
    choice: Any, shape: tuple[int, ...] | None, image_shape: tuple[int, ...] | None
) -> Architecture:
    """Return the architecture for images in an array, of a shape, or by `image_shape`."""
    is_image = shape is not None or image_shape is not None
    automatic = ConvArchitecture if is_image else MLPArchitecture
    architecture = component(choice, {"auto": automatic, **ARCHITECTURES})
    if shape is not None and image_shape is None and not architecture.for_images:
        refuse_images(shape)
    return architecture


def choose_columns(choice: Any, X: Any, *, is_table: bool) -> TableColumns | None:
    """Return what the columns of X are, or None for an array of nothing but numbers."""
    choice = choice if is_table else None
    is_dates = is_table and getattr(getattr(X, "dtype", None), "kind", "") in ("M", "m")
    if frame_kind(X) is None and not is_dates and (choice is None or isinstance(choice, str)):
        return None
    columns = TableColumns(as_table(X), choice)
    if is_table:
        columns.warn_of_useless()
    else:
        columns.take_as_pixels()
    return columns


def choose_scaler(
    choice: Any, layout: Layout, columns: TableColumns | None
) -> FeatureScaler | TableScaler:
    """Return what brings rows to the model space, not yet fitted."""
    if layout.image_shape is None:
        return TableScaler(choice, None if columns is None else columns.n_levels)
    return FeatureScaler("image" if _is_auto(choice) and layout.as_images else choice)


def choose_augmentation(choice: Any, layout: Layout) -> Augmentation | None:
    """Return the augmentation, or None."""
    if choice is None:
        return None
    if _is_auto(choice):
        return AffineAugmentation() if layout.as_images else None
    if layout.image_shape is None:
        refuse_augmentation(choice, layout)
    return component(choice, AUGMENTATIONS)


def choose_interval(choice: Any, layout: Layout, regularizers: list[Regularizer]) -> int:
    """Return the training steps from one with the adversarial part to the next."""
    if _is_auto(choice):
        # Without a regularizer the steps between would learn from nothing but the labels.
        return IMAGE_INTERVAL if layout.as_images and regularizers else TABLE_INTERVAL
    return int(choice)


def choose_heads(scaler: FeatureScaler | TableScaler) -> Heads:
    """Return the columns that the generator must treat in their own way."""
    if isinstance(scaler, FeatureScaler):
        return Heads()
    return Heads(tuple(scaler.blocks_), tuple(scaler.holes_))


def choose_decay(choice: Any, layout: Layout) -> float:
    """Return the decay of the averaged weights."""
    if _is_auto(choice):
        return IMAGE_DECAY if layout.as_images else TABLE_DECAY
    return float(choice)


def choose_schedule(choice: Any) -> Callable[[float], float] | None:
    """Return the factor of the learning rates by the share of the training, or None."""
    return SCHEDULES[choice] if isinstance(choice, str) else choice


def choose_regularizers(choice: Any, layout: Layout, aligned: bool) -> list[Regularizer]:
    """Return the regularizers, not yet prepared; "auto" aligns the shares of classes or not."""
    if _is_auto(choice):
        choice = IMAGE_REGULARIZERS if layout.as_images else TABLE_REGULARIZERS
        if not aligned:
            choice = [name for name in choice if name not in SHARES_MATTER]
    choices = choice if isinstance(choice, list | tuple) else [] if choice is None else [choice]
    for item in choices:
        known = item in REGULARIZERS if isinstance(item, str) else isinstance(item, Regularizer)
        if not known:
            raise ValueError(
                "The 'regularizer' parameter of SGANClassifier must be a list of instances of "
                f"Regularizer or of names among {sorted(REGULARIZERS)}. Got {item!r} in it."
            )
    regularizers = [component(item, REGULARIZERS) for item in choices]
    names = [regularizer.name for regularizer in regularizers]
    if len(set(names)) < len(names):
        raise ValueError(
            "The 'regularizer' parameter of SGANClassifier must not hold two terms of one "
            f"name. Got {names}. Raise the weight of one, or give your own class a `name`."
        )
    return regularizers


def choose_sampler(choice: Any, *, is_table: bool) -> Sampler | None:
    """Return the sampler, not yet fitted, or None for the classifier's own generator."""
    if isinstance(choice, str) and choice == "generator":
        return None
    sampler: Sampler = component(choice, SAMPLERS)
    if not is_table:
        raise ValueError(
            f"The 'sampler' parameter of SGANClassifier must be 'generator' for images. Got "
            f"{choice!r}, which makes rows of tables."
        )
    return sampler


def _is_auto(choice: Any) -> bool:
    return isinstance(choice, str) and choice == "auto"
