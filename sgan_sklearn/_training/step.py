"""The training step: the discriminator, the generator and their averages."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from skorch.utils import TeeGenerator
from torch import Tensor, nn

from sgan_sklearn._data.batches import Batch
from sgan_sklearn._runtime.loops import averaging_share, update_average
from sgan_sklearn._runtime.precision import in_precision
from sgan_sklearn._runtime.processes import average_gradients
from sgan_sklearn._runtime.recorded_steps import RecordedStep, is_recordable
from sgan_sklearn._training.skorch_callbacks import VALIDATION_NAMES
from sgan_sklearn.architectures._layers import frozen_statistics, normalized_once
from sgan_sklearn.regularizers import UnlabeledRows

__all__ = ["TrainingStep"]

# Entries of the history besides the loss terms.
HISTORY_NAMES = ("dur", "epoch", "generated_spread", *VALIDATION_NAMES)


class TrainingStep:
    """One step of both networks of a net, recorded if the net says so.

    Parameters
    ----------
    net : SGANNet
        Initialized net whose networks and optimizers the step changes.

    Attributes
    ----------
    last_rows : tuple of two Tensor or None
        Generated and real rows of the last adversarial step.
    """

    def __init__(self, net: Any) -> None:
        self._net = net
        self._step_fn: Callable[..., dict[str, Tensor]] | None = None
        self.last_rows: tuple[Tensor, Tensor] | None = None

    def __call__(self, batch: Batch, latent: Tensor | None) -> dict[str, Tensor]:
        """Make a step and return the loss terms; without latent vectors it is not adversarial."""
        if self._step_fn is None:
            self._step_fn = self._recorded() if self._is_recorded() else self._step
        return self._step_fn(batch, latent, self.numbers())

    def reset(self) -> None:
        """Forget recordings, which hold the optimizers that the net had before."""
        self._step_fn = None

    def _is_recorded(self) -> bool:
        net = self._net
        if torch.is_anomaly_enabled():  # it looks at each gradient
            return False
        if net.record_steps != "auto":
            return bool(net.record_steps)
        if not getattr(net.augment, "is_recordable", True):
            return False
        networks = [*net.module_.modules(), *net.generator_.modules()]
        others = [net.objective, *net.regularizers, net.augment or nn.Identity()]
        return is_recordable([*networks, *others], [callback for _, callback in net.callbacks_])

    def _recorded(self) -> RecordedStep:
        net = self._net
        return RecordedStep(
            self._step,
            [net.optimizer_, net.generator_optimizer_],
            torch.device(net.device),
            needed=net.record_steps != "auto",
        )

    def numbers(self) -> list[float]:
        """Return the numbers that change between steps.

        The first one is the share of the trained weights in their averages. The others are the
        factors of the regularizers.
        """
        net = self._net
        factors = (
            net.unsupervised_weight * regularizer.weight * regularizer.ramp(net.n_steps_)
            for regularizer in net.regularizers
        )
        return [averaging_share(net.averaging_decay, net.n_steps_ + 1), *factors]

    def _step(
        self, batch: Batch, latent: Tensor | None, numbers: Sequence[float | Tensor]
    ) -> dict[str, Tensor]:
        """Make a step and return its loss terms.

        It may be replayed without Python: what one step passes on to the next are tensors that are
        changed in place.
        """
        net = self._net
        net.module_.train()
        net.generator_.train()
        share, *factors = numbers
        given, batch = batch, self._augmented(batch, adversarial=latent is not None)
        generated = None if latent is None else self._wrapped(net.generator_)(latent)
        terms = self.discriminator_step(batch, generated, given, factors)
        if generated is not None:
            generator_terms = self.generator_step(batch, generated)
            self._check_names(terms, generator_terms)
            terms |= generator_terms
            self._remember(generated.detach(), batch.real)
        update_average(net.averaged_module_, net.module_, share)
        update_average(net.averaged_generator_, net.generator_, share)
        return terms

    def _remember(self, generated: Tensor, real: Tensor) -> None:
        """Copy the rows, to the same tensors each time: a recording reuses the memory of others."""
        rows = generated, real
        if self.last_rows is None or any(
            old.shape != new.shape for old, new in zip(self.last_rows, rows, strict=True)
        ):
            self.last_rows = generated.clone(), real.clone()
        for old, new in zip(self.last_rows, rows, strict=True):
            old.copy_(new)

    def _wrapped(self, module: Any) -> Any:
        """Return a network that runs in the precision of the training, with the same weights."""
        return in_precision(module, self._net.precision)

    def _augmented(self, batch: Batch, adversarial: bool) -> Batch:
        """Return the batch with augmented real rows, of which only adversarial steps use all."""
        augment = self._net.augment
        if augment is None:
            return batch
        if len(batch.labeled):
            batch = batch._replace(labeled=augment(batch.labeled))
        if not adversarial:
            return batch
        rows = torch.cat([batch.unlabeled, batch.real])
        unlabeled, real = getattr(augment, "realistic", augment)(rows).split(
            [len(batch.unlabeled), len(batch.real)]
        )
        return batch._replace(unlabeled=unlabeled, real=real)

    # --- discriminator ------------------------------------------------------------------------

    def discriminator_step(
        self,
        batch: Batch,
        generated: Tensor | None,
        given: Batch,
        factors: Sequence[float | Tensor],
    ) -> dict[str, Tensor]:
        """Step the discriminator; `given` is the batch before augmentation."""
        net = self._net
        discriminator = self._wrapped(net.module_)
        with normalized_once(net.module_):
            if generated is None:
                losses = net.objective.supervised_loss(discriminator, batch)
                _check_terms(losses, net.objective, "supervised_loss")
            else:
                losses = net.objective.discriminator_loss(
                    discriminator, batch, generated.detach(), net.unsupervised_weight
                )
                _check_terms(losses, net.objective, "discriminator_loss")
            if net.regularizers and net.unsupervised_weight > 0:
                self._regularize(losses, given, factors)
        return self._minimize(losses, "discriminator_loss", batch)

    def _regularize(
        self, losses: dict[str, Tensor], given: Batch, factors: Sequence[float | Tensor]
    ) -> None:
        """Add the terms of the regularizers to ``losses["loss"]``, and each under its name."""
        net = self._net
        unlabeled = UnlabeledRows(
            given.unlabeled,
            self._wrapped(net.module_),
            self._wrapped(net.averaged_module_),
            net.objective.class_logits,
            net.augment or nn.Identity(),
            given.unlabeled_indices,
            getattr(net.augment, "strong", None),
        )
        for regularizer, factor in zip(net.regularizers, factors, strict=True):
            if regularizer.ramp(net.n_steps_) == 0:
                continue
            term = regularizer.loss(unlabeled)
            _check_is_number(term, f"{type(regularizer).__name__}.loss")
            losses["loss"] = losses["loss"] + factor * term
            if regularizer.name in losses:
                raise ValueError(
                    f"The name of {type(regularizer).__name__} must differ from the terms of the "
                    f"objective, {sorted(losses)}. Got {regularizer.name!r}: leave it out if it "
                    "is the same term, or give your own class another `name`."
                )
            losses[regularizer.name] = term

    # --- generator ----------------------------------------------------------------------------

    def generator_step(self, batch: Batch, generated: Tensor) -> dict[str, Tensor]:
        """Step the generator, with the weights of the discriminator frozen."""
        net = self._net
        with _frozen(net.module_), frozen_statistics(net.module_):
            with normalized_once(net.module_):
                losses = net.objective.generator_loss(self._wrapped(net.module_), batch, generated)
            _check_terms(losses, net.objective, "generator_loss")
            return self._minimize(losses, "generator_loss", batch)

    def _check_names(self, terms: dict[str, Tensor], generator_terms: dict[str, Tensor]) -> None:
        """Raise ValueError if a name occurs twice: one entry of the history would hide another."""
        clashes = sorted({*terms, *HISTORY_NAMES} & set(generator_terms))
        if clashes:
            raise ValueError(
                f"The terms of {type(self._net.objective).__name__}.generator_loss must have other "
                f"names than those of the discriminator, {sorted(terms)}, and of other entries of "
                f"the history, {sorted(HISTORY_NAMES)}. Got {clashes}: rename them."
            )

    def _minimize(
        self, losses: dict[str, Tensor], loss_name: str, batch: Batch
    ) -> dict[str, Tensor]:
        """Step down ``losses["loss"]`` and return all terms without gradients."""
        net = self._net
        is_generator = loss_name == "generator_loss"
        module = net.generator_ if is_generator else net.module_
        optimizer = net.generator_optimizer_ if is_generator else net.optimizer_
        optimizer.zero_grad(set_to_none=True)
        losses["loss"].backward()
        average_gradients(module)
        weights = TeeGenerator(module.named_parameters())
        net.notify("on_grad_computed", named_parameters=weights, batch=batch, training=True)
        optimizer.step()
        return {
            loss_name if name == "loss" else name: value.detach() for name, value in losses.items()
        }


def _check_terms(losses: Any, objective: Any, method: str) -> None:
    """Raise TypeError unless a method of an objective has returned a dict of losses."""
    method = f"{type(objective).__name__}.{method}"
    if not isinstance(losses, dict) or "loss" not in losses:
        got = sorted(losses) if isinstance(losses, dict) else type(losses).__name__
        raise TypeError(
            f"{method} must return a dict of losses, of which 'loss' is minimized. Got {got}. "
            'Return {"loss": ...}, with further terms for the history.'
        )
    for name, value in losses.items():
        _check_is_number(value, f"The term {name!r} of {method}")


def _check_is_number(value: Any, name: str) -> None:
    """Raise TypeError unless a loss is a tensor of one number."""
    if not isinstance(value, Tensor) or value.ndim:
        got = f"shape {tuple(value.shape)}" if isinstance(value, Tensor) else type(value).__name__
        raise TypeError(
            f"{name} must be a tensor of shape (), a single number. Got {got}. Take the mean over "
            "the rows."
        )


@contextmanager
def _frozen(module: nn.Module) -> Iterator[None]:
    """Stop gradients at the weights of `module`."""
    trained = [weight for weight in module.parameters() if weight.requires_grad]
    for weight in trained:
        weight.requires_grad_(False)
    try:
        yield
    finally:
        for weight in trained:
            weight.requires_grad_(True)
