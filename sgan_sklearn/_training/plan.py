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
    ResNetArchitecture,
)
from sgan_sklearn.augmentations import (
    AUGMENTATIONS,
    AffineAugmentation,
    Augmentation,
    PhotoAugmentation,
)
from sgan_sklearn.objectives import OBJECTIVES, Objective
from sgan_sklearn.regularizers import (
    REGULARIZERS,
    ClassPrior,
    PseudoLabel,
    Regularizer,
    SpreadLabels,
    VirtualAdversarial,
)
from sgan_sklearn.samplers import SAMPLERS, Sampler

__all__ = ["Plan", "choose_architecture", "heads_of", "make_plan", "restore_plan"]

# The number of steps for each class of tables, within the numbers of steps of their defaults.
STEPS_PER_CLASS = 100

# Upper limit on the number of steps of max_epochs="auto".
MAX_STEPS = 10_000

# Images of at least this many pixels per side are trained with residual networks.
MIN_RESNET_SIDE = 24


@dataclass(frozen=True)
class Defaults:
    """What each "auto" stands for in one kind of rows.

    Parameters
    ----------
    architecture : Architecture
        Recipe for the networks.
    regularizers : tuple of str or Regularizer
        Further losses of the discriminator.
    aligned : tuple of str or Regularizer
        Regularizers in place of `regularizers` and `few_labels` if the labels tell the shares of
        the classes in all rows; empty to use those.
    augmentation : Augmentation or None
        Random changes of the real rows.
    batch_size, labeled_batch_size : int
        Unlabeled and labeled rows in a training step.
    lr_schedule : str
        Name of a learning-rate schedule.
    adversarial_every : int
        Number of steps from one with generated rows to the next; without a regularizer it is 1,
        since the steps between would learn from nothing but the labels.
    averaging_decay : float
        Decay of the averaged weights.
    min_epochs : int
        Number of epochs, as long as the number of steps is within its limits.
    min_steps, many_steps : int
        Lower limit on the number of steps: `many_steps`, or fewer for few classes.
    few_labels : tuple of str or Regularizer
        Regularizers in place of `regularizers` with fewer than `FEW_LABELS` labels per class; empty
        to use those.
    """

    architecture: Architecture
    regularizers: tuple[str | Regularizer, ...]
    augmentation: Augmentation | None = None
    batch_size: int = 50
    labeled_batch_size: int = 50
    lr_schedule: str = "constant"
    adversarial_every: int = 1
    averaging_decay: float = 0.999
    min_epochs: int = 10
    min_steps: int = 2_000
    many_steps: int = 2_000
    aligned: tuple[str | Regularizer, ...] = ()
    few_labels: tuple[str | Regularizer, ...] = ()


# Labels per class below which "auto" may choose other regularizers.
FEW_LABELS = 10

# What the defaults of gray images and photographs have in common. With few labels, the first
# predictions of the network are so often wrong that only confident ones are of use, unless it
# learns from label spreading. Later, the network is better than label spreading.
RESIDUAL = Defaults(
    ResNetArchitecture(),
    (PseudoLabel("adaptive", start=300, ramp_up=300),),
    aligned=(SpreadLabels(end=900), PseudoLabel("adaptive", start=600, ramp_up=300)),
    few_labels=(PseudoLabel(start=300, ramp_up=300),),
    batch_size=100,
    lr_schedule="one_cycle",
    adversarial_every=8,
    averaging_decay=0.99,
)

# In wide tables no column counts alone, so that steps in a single direction and noise are larger
# than in others.
DEFAULTS = {
    "table": Defaults(
        MLPArchitecture(),
        ("virtual_adversarial",),
        aligned=("virtual_adversarial", "class_prior", "distillation"),
        min_steps=500,
    ),
    "wide table": Defaults(
        MLPArchitecture((256,), (256,), input_noise=1.0),
        (VirtualAdversarial(3.0, ramp_up=300), PseudoLabel(0.6, ramp_up=300)),
        aligned=(
            VirtualAdversarial(3.0, ramp_up=300),
            ClassPrior(weight=2.0, ramp_up=300),
            PseudoLabel(0.6, ramp_up=300),
        ),
        min_epochs=4,
        min_steps=900,
        many_steps=900,
    ),
    "images": Defaults(
        ConvArchitecture(),
        ("pseudo_label",),
        AffineAugmentation(),
        adversarial_every=4,
        averaging_decay=0.99,
    ),
    "gray images": replace(
        RESIDUAL,
        augmentation=AffineAugmentation(cutout=0.3, interpolated=0.5),
        min_epochs=4,
        min_steps=4_000,
        many_steps=4_000,
    ),
    "photographs": replace(
        RESIDUAL, augmentation=PhotoAugmentation(), min_steps=10_000, many_steps=10_000
    ),
}


@dataclass(frozen=True)
class Plan:
    """The parameters of a fit, with a value in place of each "auto" and each name.

    The attribute ``plan_`` of a fitted `SGANClassifier` holds one. What a regularizer chooses by
    the rows, such as ``eps="auto"``, is in ``net_.regularizers``.

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
    batch_size, labeled_batch_size : int
        Rows in a training step: generated and unlabeled ones, and labeled ones.
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
    labeled_batch_size: int
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
    n_labeled: int,
    n_classes: int,
    in_parts: bool,
    has_shares: bool,
    before: Plan | None,
) -> Plan:
    """Resolve the parameters of an estimator for training rows of a model space.

    The networks of the plan `before` continue their training.
    """
    defaults = DEFAULTS[_kind_of_rows(space, architecture)]
    # A part of the rows need not have the shares of all classes, weights change the shares, and
    # class probabilities have others than the most probable classes.
    aligned = estimator.class_weight is None and not in_parts and has_shares
    few = n_labeled < FEW_LABELS * n_classes
    automatic = (aligned and defaults.aligned) or (few and defaults.few_labels)
    regularizers = _regularizers(estimator.regularizer, automatic or defaults.regularizers)
    if before is not None:
        regularizers = before.regularizers
    batch_size = int(_given_or(defaults.batch_size, estimator.batch_size))
    steps_per_epoch = -(-n_rows // (n_processes() * batch_size))
    n_epochs = 1
    if not in_parts:
        epochs = _automatic_epochs(steps_per_epoch, defaults, n_classes)
        n_epochs = int(_given_or(epochs, estimator.max_epochs))
    if _is_auto(estimator.architecture):
        architecture = clone(defaults.architecture)
    interval = defaults.adversarial_every if regularizers else 1
    schedule = "constant" if in_parts else defaults.lr_schedule  # each part is one of many
    plan = Plan(
        architecture=architecture,
        objective=_component(estimator.objective, OBJECTIVES),
        regularizers=regularizers,
        augmentation=_augmentation(estimator, space, defaults),
        sampler=_sampler(estimator.sampler, space),
        discriminator_lr=float(estimator.discriminator_lr),
        generator_lr=float(estimator.generator_lr),
        max_epochs=n_epochs,
        batch_size=batch_size,
        labeled_batch_size=_labeled_batch_size(estimator.batch_size, defaults),
        unsupervised_weight=float(estimator.unsupervised_weight),
        lr_schedule=_schedule(_given_or(schedule, training.lr_schedule)),
        adversarial_every=int(_given_or(interval, training.adversarial_every)),
        averaging_decay=float(_given_or(defaults.averaging_decay, training.averaging_decay)),
        precision=choose_precision(
            training.precision,
            device,
            for_gpus=space.as_images,
            for_cpus=isinstance(architecture, ResNetArchitecture),
        ),
        record_steps=training.record_steps if can_record(device) else False,
        device=str(device),
    )
    return plan if before is None else plan.continued_from(before)


def restore_plan(estimator: Any, architecture: Architecture) -> Plan:
    """Return the plan of a classifier that a file holds: what its net was trained with."""
    net, training, space = estimator.net_, estimator.training or Training(), estimator._space
    defaults = DEFAULTS[_kind_of_rows(space, architecture)]
    return Plan(
        architecture=architecture,
        objective=net.objective,
        regularizers=tuple(net.regularizers),
        augmentation=_augmentation(estimator, space, defaults),
        sampler=estimator.sampler_,
        discriminator_lr=net.optimizer__lr,
        generator_lr=net.generator_optimizer__lr,
        max_epochs=net.max_epochs,
        batch_size=net.batch_size,
        labeled_batch_size=_labeled_batch_size(net.batch_size, defaults),
        unsupervised_weight=net.unsupervised_weight,
        lr_schedule=_schedule(_given_or(defaults.lr_schedule, training.lr_schedule)),
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
    automatic: type[Architecture] = MLPArchitecture
    if (size := image_shape or shape) is not None:
        is_large = min(size[:2]) >= MIN_RESNET_SIDE
        automatic = ResNetArchitecture if is_large else ConvArchitecture
    architecture = _component(choice, {"auto": automatic, **ARCHITECTURES})
    if shape is not None and image_shape is None and not architecture.for_images:
        raise ValueError(
            f"Found array with dim {1 + len(shape)}: X holds images, but the 'architecture' "
            "parameter of SGANClassifier is a multilayer perceptron, which takes rows of pixels. "
            "Reshape X to 2-D with X.reshape(len(X), -1), or choose architecture='conv'. To have "
            f"the images flattened, set image_shape={shape}."
        )
    return architecture


def _kind_of_rows(space: ModelSpace, architecture: Architecture) -> str:
    """Return the key of `DEFAULTS` for rows in networks of an architecture."""
    if space.as_images:
        if not isinstance(architecture, ResNetArchitecture):
            return "images"
        has_color = space.image_shape is not None and space.image_shape[-1] == 3
        return "photographs" if has_color else "gray images"
    return "wide table" if space.is_wide else "table"


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


def _regularizers(choice: Any, automatic: tuple[str | Regularizer, ...]) -> tuple[Regularizer, ...]:
    """Return the regularizers, not yet prepared."""
    if _is_auto(choice):
        choice = automatic
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


def heads_of(space: ModelSpace) -> Heads:
    """Return the columns that the generator must treat in their own way."""
    return Heads(space.blocks, space.missing)


def _augmentation(estimator: Any, space: ModelSpace, defaults: Defaults) -> Augmentation | None:
    choice, scaling = estimator.augment, estimator.scaling
    if choice is None:
        return None
    has_pixels = isinstance(scaling, str) and scaling in ("auto", "image")
    if _is_auto(choice):
        chosen = clone(defaults.augmentation, safe=False)
        if chosen is not None and chosen.needs_pixels and not has_pixels:
            return AffineAugmentation()
        if isinstance(chosen, PhotoAugmentation):
            chosen.set_params(flip=space.has_mirror_images)
        return chosen
    if space.image_shape is None:
        raise ValueError(
            "The 'augment' parameter of SGANClassifier must be None or 'auto' for rows that are "
            f"not images. Got {choice!r} for rows of {space.row_shape[0]} features. If they are "
            "flattened images, set their layout: image_shape=(height, width)."
        )
    augmentation: Augmentation = _component(choice, AUGMENTATIONS)
    if augmentation.needs_pixels and not (has_pixels and space.as_images):
        raise ValueError(
            "The 'augment' parameter of SGANClassifier must be 'affine', 'auto' or None unless "
            "images are scaled to pixels from -1 to 1, as they are with scaling='image' in "
            f"convolutional and residual networks. Got {choice!r} with scaling={scaling!r}"
            f"{'' if space.as_images else ' in a multilayer perceptron'}. Set scaling='image' and "
            "architecture='conv' or 'resnet', or augment='affine'."
        )
    return augmentation


def _automatic_epochs(steps_per_epoch: int, defaults: Defaults, n_classes: int) -> int:
    """Return the number of epochs for a kind of rows."""
    for_classes = min(STEPS_PER_CLASS * n_classes, defaults.many_steps)
    min_steps = max(defaults.min_steps, for_classes)
    return automatic_epochs(steps_per_epoch, defaults.min_epochs, min_steps, MAX_STEPS)


def _labeled_batch_size(choice: Any, defaults: Defaults) -> int:
    """Return the number of labeled rows in a step: all or a share of those that are unlabeled."""
    automatic = defaults.labeled_batch_size
    return automatic if _is_auto(choice) else -(-automatic * int(choice) // defaults.batch_size)


def _schedule(choice: Any) -> Callable[[float], float] | None:
    return SCHEDULES[choice] if isinstance(choice, str) else choice


def _given_or(automatic: Any, choice: Any) -> Any:
    """Return the value of a parameter, or `automatic` for "auto"."""
    return automatic if _is_auto(choice) else choice


def _is_auto(choice: Any) -> bool:
    return isinstance(choice, str) and choice == "auto"
