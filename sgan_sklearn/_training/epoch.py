"""One epoch of a training, and what it records in the history."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable
from itertools import islice
from typing import Any

import torch
from skorch.dataset import Dataset
from torch import Tensor

from sgan_sklearn._data.batches import EvaluationBatches, SemiSupervisedBatches
from sgan_sklearn._runtime.processes import all_rows, any_process, mean_over_processes
from sgan_sklearn._runtime.random import yield_lock
from sgan_sklearn._target import ClassTarget
from sgan_sklearn._training.diagnostics import relative_spread
from sgan_sklearn._training.run import Run
from sgan_sklearn._training.schedules import scheduled_factor
from sgan_sklearn._training.skorch_callbacks import reads_batches, scores_training_rows

__all__ = ["DivergedError", "StoppedError", "score_labeled_rows", "train_epoch", "validate"]

# Largest mean loss of a training that has not diverged: class logits start near one, and the loss
# of guessing among a million classes is 14.
DIVERGED_LOSS = 1e4


class DivergedError(Exception):
    """The losses or the weights have diverged."""


class StoppedError(Exception):
    """A callback has stopped the training."""


def train_epoch(
    net: Any,
    run: Run,
    batches: SemiSupervisedBatches,
    step_fn: Callable[..., dict[str, Any]],
    **fit_params: Any,
) -> None:
    """Train for one epoch and record the mean of every loss term.

    In contrast to skorch, the terms stay on the device until the epoch ends, and batches are
    recorded only if a callback reads them. Raises DivergedError if a loss or a weight is too large.
    """
    loss_means = _LossMeans(net.device)
    records_batches = reads_batches(net.callbacks_)
    for i, batch in enumerate(batches):
        yield_lock(torch.device(net.device))
        net.notify("on_batch_begin", batch=batch, training=True)
        if net.lr_schedule is not None:
            _set_learning_rates(net, run.passed(i / len(batches)))
        # The first step of each epoch is adversarial, so that each epoch records the generator.
        adversarial = i % net.adversarial_every == 0
        step = step_fn(batch, adversarial=adversarial, **fit_params)
        loss_means.add(step["terms"])
        if records_batches:
            for name, value in {"train_loss": step["loss"], **step["terms"]}.items():
                net.history.record_batch(name, float(value))
            net.history.record_batch("train_batch_size", len(batch.unlabeled))
        net.notify("on_batch_end", batch=batch, training=True, **step)
        if net.max_time is not None and any_process(run.is_out_of_time(), net.device):
            run.is_cut_short = i + 1 < len(batches)
            break  # the next epoch does not begin
    means = loss_means.compute()
    for name, mean in means.items():
        net.history.record(name, mean)
    if run.step.last_rows is not None:
        spread = relative_spread(*map(all_rows, run.step.last_rows))
        net.history.record("generated_spread", float(spread))
    net.loss_names_ = list(dict.fromkeys([*net.loss_names_, *means]))
    is_bounded = all(abs(mean) < DIVERGED_LOSS for mean in means.values())
    if not (is_bounded and net.is_finite()):
        raise DivergedError


def _set_learning_rates(net: Any, passed: float) -> None:
    """Set both learning rates for a step, given the share of the training that has passed."""
    factor = scheduled_factor(net.lr_schedule, passed)
    for optimizer, lr in (
        (net.optimizer_, net.optimizer__lr),
        (net.generator_optimizer_, net.generator_optimizer__lr),
    ):
        for group in optimizer.param_groups:
            group["lr"] = factor * lr


class _LossMeans:
    """Means of the loss terms over the steps of an epoch."""

    def __init__(self, device: str) -> None:
        self._device = device
        # Steps with and without the adversarial part have different terms.
        self._sums: dict[tuple[str, ...], list[Tensor]] = {}
        self._n_steps: Counter[tuple[str, ...]] = Counter()

    def add(self, terms: dict[str, Tensor]) -> None:
        """Add the terms of a step."""
        names, values = tuple(terms), list(terms.values())
        if names not in self._sums:
            self._sums[names] = [torch.zeros((), device=self._device) for _ in values]
        torch._foreach_add_(self._sums[names], values)
        self._n_steps[names] += 1

    def compute(self) -> dict[str, float]:
        """Return the mean of each term over the steps, of all processes, that have it."""
        totals: defaultdict[str, float] = defaultdict(float)
        n_steps: Counter[str] = Counter()
        for names, values in self._sums.items():
            sums = mean_over_processes(torch.stack(values)).tolist()
            for name, total in zip(names, sums, strict=True):
                totals[name] += total
                n_steps[name] += self._n_steps[names]
        return {name: total / n_steps[name] for name, total in totals.items()}


def score_labeled_rows(net: Any, labeled: Dataset) -> None:
    """Pass the labeled training rows to the callbacks that score them."""
    for batch in net.get_iterator(labeled, training=False):
        net.history.new_batch()
        step = net.validation_step(batch)
        net.history.record_batch("train_batch_size", len(batch[1]))
        for _, callback in net.callbacks_:
            if scores_training_rows(callback):
                net.call(callback, "on_batch_end", batch=batch, training=True, **step)


def validate(net: Any, batches: EvaluationBatches) -> float:
    """Record loss and accuracy on the validation rows; return the accuracy."""
    n_rows, n_correct, total = 0, 0, 0.0
    for batch in batches:
        net.notify("on_batch_begin", batch=batch, training=False)
        step = net.validation_step(batch)
        size, loss = len(batch[1]), float(step["loss"])
        correct = ClassTarget.n_correct(step["y_pred"], batch[1])
        n_rows, n_correct, total = n_rows + size, n_correct + correct, total + size * loss
        net.history.record_batch("valid_batch_size", size)
        net.history.record_batch("valid_loss", loss)
        net.history.record_batch("valid_acc", correct / size)
        net.notify("on_batch_end", batch=batch, training=False, **step)
    for name, value, sign in (
        ("valid_loss", total / n_rows, -1),
        ("valid_acc", n_correct / n_rows, 1),
    ):
        before = islice(reversed(net.history), 1, None)
        best = next((r[name] for r in before if r.get(f"{name}_best")), -sign * math.inf)
        net.history.record(name, value)
        net.history.record(f"{name}_best", sign * value > sign * best)
    return n_correct / n_rows
