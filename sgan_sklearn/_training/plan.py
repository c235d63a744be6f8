"""The plan of a training: what "auto" and each name among the parameters become."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from sklearn.base import clone

from sgan_sklearn._data.space import ModelSpace
from sgan_sklearn._runtime.loops import automatic_epochs
from sgan_sklearn._runtime.precision import choose_precision
from sgan_sklearn._runtime.processes import n_processes
from sgan_sklearn._runtime.recorded_steps import can_record
from sgan_sklearn._training.options import Training
from sgan_sklearn._training.schedules import SCHEDULES
from sgan_sklearn.architectures import (
    ARCHITECTURES,
    Architecture,
    ConvArchitecture,
    Heads,
    MLPArchitecture,
)
from sgan_sklearn.augmentations import AUGMENTATIONS, AffineAugmentation, Augmentation
from sgan_sklearn.objectives import OBJECTIVES, Objective
from sgan_sklearn.regularizers import (
    REGULARIZERS,
    ClassPrior,
    PseudoLabel,
    Regularizer,
    VirtualAdversarial,
)
from sgan_sklearn.samplers import SAMPLERS, Sampler

__all__ = ["Plan", "choose_architecture", "heads_of", "make_plan", "restore_plan"]

# What regularizer="auto" stands for. In wide tables no column counts alone, so that steps in a
# single direction and noise are larger than in others.
TABLE_REGULARIZERS = ("virtual_adversarial", "class_prior", "distillation")
WIDE_REGULARIZERS = (
    VirtualAdversarial(3.0, ramp_up=300),
    ClassPrior(weight=2.0, ramp_up=300),
    PseudoLabel(0.6, ramp_up=300),
)
IMAGE_REGULARIZERS = ("pseudo_label",)

# Those of them that depend on the class shares in all rows, or on labels of all classes.
SHARES_MATTER = ("class_prior", "distillation")

# What architecture="auto" stands for in wide tables.
WIDE_ARCHITECTURE = MLPArchitecture((256,), (256,), input_noise=1.0)

# What adversarial_every="auto" stands for.
TABLE_INTERVAL = 1
IMAGE_INTERVAL = 4

# What averaging_decay="auto" stands for.
TABLE_DECAY = 0.999
IMAGE_DECAY = 0.99

# The number of epochs of max_epochs="auto": ten, but within these numbers of steps. In tables, the
# lower one is a hundred steps for each class.
MIN_EPOCHS = 10
STEPS_PER_CLASS = 100
MIN_STEPS = 500
MANY_STEPS = 2_000
MAX_STEPS = 10_000

# The same for wide tables.
MIN_WIDE_EPOCHS = 4
MIN_WIDE_STEPS = 900


@dataclass(frozen=True)
class Plan:
    """The parameters of a fit, with a value in place of each "auto" and each name.

    The attribute ``plan_`` of a fitted `SGANClassifier` holds one.

    Parameters
    ----------
    architecture : Architecture
        Recipe for the networks.
    objective : Objective
        Losses of both networks.
    regularizers : tuple of Regularizer
        Further losses of the discriminator.
    augmentation : Augmentation or None
        Random changes of the real rows.
    sampler : Sampler or None
        Source of the rows of `sample`; None for the generator.
    discriminator_lr, generator_lr : float
        Learning rates.
    max_epochs : int
        Number of epochs.
    batch_size : int
        Generated rows in a training step.
    unsupervised_weight : float
        Weight of the losses on unlabeled and generated rows.
    lr_schedule : callable or None
        Factor of the learning rates; None for constant rates.
    adversarial_every : int
        Number of steps from one with generated rows to the next.
    averaging_decay : float
        Decay of the averaged weights.
    precision : {"float32", "bfloat16"}
        Data type of the multiplications during training.
    record_steps : bool or "auto"
        Whether steps are recorded; "auto" records if all parts of a step are known.
    device : str
        Device of the networks.
    """

    architecture: Architecture
    objective: Objective
    regularizers: tuple[Regularizer, ...]
    augmentation: Augmentation | None
    sampler: Sampler | None
    discriminator_lr: float
    generator_lr: float
    max_epochs: int
    batch_size: int
    unsupervised_weight: float
    lr_schedule: Callable[[float], float] | None
    adversarial_every: int
    averaging_decay: float
    precision: str
    record_steps: bool | str
    device: str

    def continued_from(self, before: Plan) -> Plan:
        """Return this plan for networks that exist already, of the plan `before`."""
        return replace(
            self,
            architecture=before.architecture,
            objective=before.objective,
            regularizers=before.regularizers,
            device=before.device,
        )


def make_plan(
    estimator: Any,
    training: Training,
    space: ModelSpace,
    architecture: Architecture,
    *,
    device: torch.device,
    n_rows: int,
    n_classes: int,
    in_parts: bool,
) -> Plan:
    """Resolve the parameters of an estimator for training rows of a model space."""
    # A part of the rows need not have the shares of all classes, so none are aligned.
    aligned = estimator.class_weight is None and not in_parts
    regularizers = _regularizers(estimator.regularizer, space, aligned)
    steps_per_epoch = -(-n_rows // (n_processes() * estimator.batch_size))
    n_epochs = 1
    if not in_parts:
        n_epochs = _n_epochs(estimator.max_epochs, steps_per_epoch, space, n_classes)
    if _is_auto(estimator.architecture) and space.is_wide:
        architecture = clone(WIDE_ARCHITECTURE)
    return Plan(
        architecture=architecture,
        objective=_component(estimator.objective, OBJECTIVES),
        regularizers=regularizers,
        augmentation=_augmentation(estimator.augment, space),
        sampler=_sampler(estimator.sampler, space),
        discriminator_lr=float(estimator.discriminator_lr),
        generator_lr=float(estimator.generator_lr),
        max_epochs=n_epochs,
        batch_size=estimator.batch_size,
        unsupervised_weight=float(estimator.unsupervised_weight),
        lr_schedule=_schedule(training.lr_schedule),
        adversarial_every=_interval(training.adversarial_every, space, regularizers),
        averaging_decay=_decay(training.averaging_decay, space),
        precision=choose_precision(training.precision, device, as_images=space.as_images),
        record_steps=training.record_steps if can_record(device) else False,
        device=str(device),
    )


def restore_plan(estimator: Any, architecture: Architecture) -> Plan:
    """Return the plan of a classifier that a file holds: what its net was trained with."""
    net, training = estimator.net_, estimator.training or Training()
    return Plan(
        architecture=architecture,
        objective=net.objective,
        regularizers=tuple(net.regularizers),
        augmentation=_augmentation(estimator.augment, estimator._space),
        sampler=estimator.sampler_,
        discriminator_lr=net.optimizer__lr,
        generator_lr=net.generator_optimizer__lr,
        max_epochs=net.max_epochs,
        batch_size=net.batch_size,
        unsupervised_weight=net.unsupervised_weight,
        lr_schedule=_schedule(training.lr_schedule),
        adversarial_every=net.adversarial_every,
        averaging_decay=net.averaging_decay,
        precision=net.precision,
        record_steps=training.record_steps if can_record(torch.device(net.device)) else False,
        device=net.device,
    )


def _component(choice: Any, registry: dict[str, type]) -> Any:
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
    architecture = _component(choice, {"auto": automatic, **ARCHITECTURES})
    if shape is not None and image_shape is None and not architecture.for_images:
        raise ValueError(
            f"Found array with dim {1 + len(shape)}: X holds images, but the 'architecture' "
            "parameter of SGANClassifier is a multilayer perceptron, which takes rows of pixels. "
            "Reshape X to 2-D with X.reshape(len(X), -1), or choose architecture='conv'. To have "
            f"the images flattened, set image_shape={shape}."
        )
    return architecture


def _sampler(choice: Any, space: ModelSpace) -> Sampler | None:
    """Return the sampler, not yet fitted, or None for the classifier's own generator."""
    if isinstance(choice, str) and choice == "generator":
        return None
    sampler: Sampler = _component(choice, SAMPLERS)
    if space.image_shape is not None:
        raise ValueError(
            f"The 'sampler' parameter of SGANClassifier must be 'generator' for images. Got "
            f"{choice!r}, which makes rows of tables."
        )
    return sampler


def _regularizers(choice: Any, space: ModelSpace, aligned: bool) -> tuple[Regularizer, ...]:
    """Return the regularizers, not yet prepared; "auto" aligns the shares of classes or not."""
    if _is_auto(choice):
        choice = _automatic_regularizers(space)
        if not aligned:
            choice = [item for item in choice if getattr(item, "name", item) not in SHARES_MATTER]
    choices = choice if isinstance(choice, list | tuple) else [] if choice is None else [choice]
    for item in choices:
        known = item in REGULARIZERS if isinstance(item, str) else isinstance(item, Regularizer)
        if not known:
            raise ValueError(
                "The 'regularizer' parameter of SGANClassifier must be a list of instances of "
                f"Regularizer or of names among {sorted(REGULARIZERS)}. Got {item!r} in it."
            )
    regularizers = [_component(item, REGULARIZERS) for item in choices]
    names = [regularizer.name for regularizer in regularizers]
    if len(set(names)) < len(names):
        raise ValueError(
            "The 'regularizer' parameter of SGANClassifier must not hold two terms of one "
            f"name. Got {names}. Raise the weight of one, or give your own class a `name`."
        )
    return tuple(regularizers)


def _automatic_regularizers(space: ModelSpace) -> tuple[Any, ...]:
    if space.is_wide:
        return WIDE_REGULARIZERS
    return IMAGE_REGULARIZERS if space.as_images else TABLE_REGULARIZERS


def heads_of(space: ModelSpace) -> Heads:
    """Return the columns that the generator must treat in their own way."""
    return Heads(space.blocks, space.missing)


def _augmentation(choice: Any, space: ModelSpace) -> Augmentation | None:
    if choice is None:
        return None
    if _is_auto(choice):
        return AffineAugmentation() if space.as_images else None
    if space.image_shape is None:
        raise ValueError(
            "The 'augment' parameter of SGANClassifier must be None or 'auto' for rows that are "
            f"not images. Got {choice!r} for rows of {space.row_shape[0]} features. If they are "
            "flattened images, set their layout: image_shape=(height, width)."
        )
    augmentation: Augmentation = _component(choice, AUGMENTATIONS)
    return augmentation


def _n_epochs(choice: Any, steps_per_epoch: int, space: ModelSpace, n_classes: int) -> int:
    if not _is_auto(choice):
        return int(choice)
    if space.is_wide:
        return automatic_epochs(steps_per_epoch, MIN_WIDE_EPOCHS, MIN_WIDE_STEPS, MAX_STEPS)
    min_steps = MANY_STEPS
    if not space.as_images:
        min_steps = max(MIN_STEPS, min(STEPS_PER_CLASS * n_classes, MANY_STEPS))
    return automatic_epochs(steps_per_epoch, MIN_EPOCHS, min_steps, MAX_STEPS)


def _interval(choice: Any, space: ModelSpace, regularizers: tuple[Regularizer, ...]) -> int:
    if _is_auto(choice):
        # Without a regularizer the steps between would learn from nothing but the labels.
        return IMAGE_INTERVAL if space.as_images and regularizers else TABLE_INTERVAL
    return int(choice)


def _decay(choice: Any, space: ModelSpace) -> float:
    if _is_auto(choice):
        return IMAGE_DECAY if space.as_images else TABLE_DECAY
    return float(choice)


def _schedule(choice: Any) -> Callable[[float], float] | None:
    return SCHEDULES[choice] if isinstance(choice, str) else choice


def _is_auto(choice: Any) -> bool:
    return isinstance(choice, str) and choice == "auto"
