"""The net of a training, from its inputs."""

from __future__ import annotations

import copy
from typing import Any

import torch
from sklearn.utils import check_random_state

from sgan_sklearn._data.batches import SemiSupervisedDataset
from sgan_sklearn._runtime.processes import process_index
from sgan_sklearn._runtime.threads import threads_for
from sgan_sklearn._training.inputs import Inputs
from sgan_sklearn._training.net import SGANNet
from sgan_sklearn._training.plan import heads_of
from sgan_sklearn.architectures._base import network_builders

__all__ = ["build_net"]


def build_net(
    estimator: Any,
    given: Inputs,
    dataset: SemiSupervisedDataset,
    callbacks: list[Any],
    fitted_net: SGANNet | None,
) -> SGANNet:
    """Return a new net, or a copy of the fitted one with the parameters that may change."""
    plan = given.plan
    options: dict[str, Any] = {
        "unsupervised_weight": plan.unsupervised_weight,
        "adversarial_every": plan.adversarial_every,
        "averaging_decay": plan.averaging_decay,
        "precision": plan.precision,
        "record_steps": plan.record_steps,
        "augment": plan.augmentation,
        "lr_schedule": plan.lr_schedule,
        "max_time": given.max_time,
        "n_iter_no_change": estimator.n_iter_no_change,
        "tol": given.tol,
        "batch_size": plan.batch_size,
        "labeled_batch_size": plan.labeled_batch_size,
        "max_epochs": plan.max_epochs,
        "verbose": int(estimator.verbose) if process_index() == 0 else 0,
        "warm_start": True,  # the estimator decides whether to continue
        "callbacks": callbacks,
        "checkpoints": given.checkpoints,
    }
    if fitted_net is not None:
        net = copy.deepcopy(fitted_net)
        rates = {
            "optimizer__lr": plan.discriminator_lr,
            "generator_optimizer__lr": plan.generator_lr,
        }
        net.set_params(**rates, **options)
        net.__dict__.update(rates)  # skorch changes them in the optimizers only
        net.initialize_callbacks()  # set_params of skorch has initialized the former ones
        return net
    known, codes, _ = dataset.sample(check_random_state(estimator.random_state))
    n_classes, space = len(given.labels.classes), given.space
    n_outputs = plan.objective.n_outputs(n_classes)
    _check_outputs(plan.objective, n_outputs, n_classes)
    with threads_for():  # simple classifiers of few rows
        regularizers = [item.prepare(known, codes, n_classes) for item in plan.regularizers]
    return SGANNet(
        *network_builders(
            plan.architecture, n_outputs, estimator.latent_dim, space.bounds, heads_of(space)
        ),
        plan.objective,
        regularizers=regularizers,
        latent_dim=estimator.latent_dim,
        discriminator_lr=plan.discriminator_lr,
        generator_lr=plan.generator_lr,
        device=plan.device,
        **options,
    )


def _check_outputs(objective: Any, n_outputs: int, n_classes: int) -> None:
    """Raise ValueError unless an objective finds a logit of each class among the outputs."""
    shape = tuple(objective.class_logits(torch.zeros(2, n_outputs)).shape)
    if shape != (2, n_classes):
        name = type(objective).__name__
        raise ValueError(
            f"{name}.class_logits must return one column for each of the {n_classes} classes. Got "
            f"the shape {shape} for 2 rows of {n_outputs} outputs, the number that "
            f"{name}.n_outputs returns. Override both methods, or neither."
        )
