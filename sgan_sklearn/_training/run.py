"""What lives only while a net is trained, and its state in a checkpoint."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from skorch.dataset import Dataset
from torch import Tensor

from sgan_sklearn._data.batches import SemiSupervisedBatches, SemiSupervisedDataset
from sgan_sklearn._runtime.processes import (
    mean_over_processes,
    n_processes,
    process_index,
    process_part,
)
from sgan_sklearn._runtime.random import RandomStream, next_seed, reseed
from sgan_sklearn._storage.state import (
    RESULTS,
    check_generator_state,
    check_moments,
    check_progress,
    check_weights,
    history_records,
    moments,
    plain_history,
    restore_history,
    restore_moments,
    to_arrays,
    to_tensors,
)
from sgan_sklearn._training.early_stopping import EarlyStopping
from sgan_sklearn._training.skorch_callbacks import is_observer, scores_training_rows
from sgan_sklearn._training.step import TrainingStep

__all__ = ["Run"]


class Run:
    """One training of a net, from its start to its end.

    Parameters
    ----------
    net : SGANNet
        Initialized net.
    dataset : SemiSupervisedDataset or None, default=None
        Rows of the training; None if single steps are made without `fit`.
    n_epochs : int or None, default=None
        Number of planned epochs; None for ``net.max_epochs``.

    Attributes
    ----------
    step : TrainingStep
        The training step.
    early_stopping : EarlyStopping or None
        Set if the data set has validation rows.
    callback_random : RandomStream or None
        Random numbers of the callbacks; None if all of them only observe.
    labeled_rows : skorch.dataset.Dataset or None
        Labeled rows, if a callback scores them.
    batches : SemiSupervisedBatches or None
        Batches of the training rows, once the training loop has started.
    snapshot : dict or None
        Weights after the last complete epoch.
    n_complete : int
        Number of complete epochs in the history.
    is_cut_short : bool
        Whether the last epoch ended with the time of the training.
    """

    def __init__(
        self,
        net: Any,
        dataset: SemiSupervisedDataset | None = None,
        n_epochs: int | None = None,
    ) -> None:
        self._net = net
        self._dataset: Any = dataset
        self._device = torch.device(net.device)
        self._n_epochs = net.max_epochs if n_epochs is None else n_epochs
        self._first_epoch = self.n_complete = len(net.history)
        self.step = TrainingStep(net)
        self.early_stopping: EarlyStopping | None = None
        self.labeled_rows: Dataset | None = None
        if dataset is not None and dataset.validation is not None:
            self.early_stopping = EarlyStopping(net.n_iter_no_change, net.tol)
        if dataset is not None and any(scores_training_rows(c) for _, c in net.callbacks_):
            self.labeled_rows = dataset.labeled_subset()
        self.callback_random: RandomStream | None = None
        if not all(is_observer(callback) for _, callback in net.callbacks_):
            self.callback_random = RandomStream(torch.initial_seed(), self._device)
        self.batches: Any = None
        self._latent_order: Any = None
        self._checkpoint: dict[str, Any] | None = None
        self.snapshot: dict[str, Any] | None = None
        self._states: dict[str, dict[str, Tensor]] | None = None
        self.is_cut_short = False
        self._end = math.inf

    def is_out_of_time(self) -> bool:
        """Return whether the time of the training is over, once an epoch has begun."""
        has_begun = len(self._net.history) > self._first_epoch
        return has_begun and time.perf_counter() >= self._end

    @property
    def resumes(self) -> bool:
        """Whether the training loop will start from a checkpoint."""
        return self._checkpoint is not None

    @property
    def n_epochs_left(self) -> int:
        """Number of epochs still to train when the training loop starts."""
        return self._n_epochs - int(self._net.n_epochs_resumed_)

    def load_checkpoint(self) -> None:
        """Look for a checkpoint of this training."""
        net = self._net
        if net.checkpoints is not None:
            check = self.check_state
            self._checkpoint = net.checkpoints.begin(self._device, self._n_epochs, check)
        history = [] if self._checkpoint is None else history_records(self._checkpoint["history"])
        net.n_epochs_resumed_ = len(history)

    def write_checkpoint(self, *, is_last: bool) -> None:
        """Write the state after the last epoch, if a checkpoint is due."""
        checkpoints, n_epochs = self._net.checkpoints, len(self._net.history)
        if checkpoints is None or n_epochs == self._net.n_epochs_resumed_ or self.is_cut_short:
            return
        # The time may be over before the next epoch ends.
        is_due = n_epochs % checkpoints.every == 0 or self._net.max_time is not None
        if is_last or is_due:
            checkpoints.write(n_epochs, self.state_dict())

    def start(self, batches: SemiSupervisedBatches) -> bool:
        """Start the training loop; return whether it continues from a checkpoint.

        From here on, each process draws its own random numbers.
        """
        self.batches = batches
        if self._net.max_time is not None:
            self._end = time.perf_counter() + self._net.max_time
        self._latent_order = torch.Generator(self._device).manual_seed(next_seed())
        if process_index() > 0:
            reseed(next_seed() + process_index(), self._device)
        if self._checkpoint is None:
            return False
        self._restore(self._checkpoint)
        self._checkpoint = None
        self.complete_epoch()
        return True

    def complete_epoch(self) -> None:
        """Count an epoch of the history as complete, and remember its weights."""
        self.n_complete = len(self._net.history)
        if self._states is None:  # the tensors remain the same during the training
            names = self._net.network_names
            self._states = {name: getattr(self._net, name).state_dict() for name in names}
        copies = {
            name: {key: value.clone() for key, value in state.items()}
            for name, state in self._states.items()
        }
        self.snapshot = {"n_steps_": self._net.n_steps_, **copies}

    def next_latent(self, n_rows: int) -> Tensor:
        """Draw the latent vectors of a step: the part of this process of one draw for all."""
        size = n_processes() * n_rows, self._net.latent_dim
        return process_part(torch.randn(size, generator=self._latent_order, device=self._device))

    def passed(self, share_of_epoch: float) -> float:
        """Return the share of the training that has passed, given that of the current epoch.

        It is the share of its epochs or that of its time, whichever is larger.
        """
        n_passed = len(self._net.history) - 1 - self._first_epoch
        of_epochs = (n_passed + share_of_epoch) / self._n_epochs
        if self._net.max_time is None:
            return of_epochs
        of_time = 1 - (self._end - time.perf_counter()) / self._net.max_time
        if n_processes() > 1:  # their clocks differ, and their learning rates must not
            of_time = float(mean_over_processes(torch.tensor(of_time, device=self._device)))
        return min(1.0, max(of_epochs, of_time))

    # --- checkpoints --------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """Return everything that the rest of the training depends on, between two epochs."""
        net, on_gpu = self._net, self._device.type == "cuda"
        return {
            "history": plain_history(net.history),
            "results": {name: getattr(net, name) for name in RESULTS},
            "networks": {
                name: to_arrays(getattr(net, name).state_dict()) for name in net.network_names
            },
            "optimizers": {name: moments(getattr(net, name)) for name in net.optimizer_names},
            "parts": [_without_params(part) for part in (net.objective, *net.regularizers)],
            "random": to_arrays(torch.random.get_rng_state()),
            "random_of_device": (
                to_arrays(torch.cuda.get_rng_state(self._device)) if on_gpu else None
            ),
            "latent_order": to_arrays(self._latent_order.get_state()),
            "batches": to_arrays(self.batches.state_dict()),
            "watch": None
            if self.early_stopping is None
            else to_arrays(self.early_stopping.state_dict()),
        }

    def _restore(self, state: dict[str, Any]) -> None:
        """Restore the state of an earlier run of the same training, before the first epoch."""
        net = self._net
        restore_history(net, state["history"])
        vars(net).update(state["results"], n_epochs_resumed_=len(net.history))
        for name, arrays in state["networks"].items():
            getattr(net, name).load_state_dict(to_tensors(arrays))
        for name, kept in state["optimizers"].items():
            restore_moments(getattr(net, name), kept)
        parts = (net.objective, *net.regularizers)
        for part, values in zip(parts, state["parts"], strict=True):
            vars(part).update(_on(self._device, values))
        torch.random.set_rng_state(to_tensors(state["random"]))
        if self._device.type == "cuda":
            torch.cuda.set_rng_state(to_tensors(state["random_of_device"]), self._device)
        self._latent_order.set_state(to_tensors(state["latent_order"]))
        self.batches.load_state_dict(to_tensors(state["batches"]))
        if self.early_stopping is not None:
            self.early_stopping.load_state_dict(to_tensors(state["watch"]))

    def check_state(self, state: dict[str, Any], epoch: int) -> None:
        """Check the state after an epoch, before anything in the net changes.

        Raises ValueError, or another error, if it is not a state of this training.
        """
        net = self._net
        n_epochs = len(history_records(state["history"]))
        if n_epochs != epoch:
            raise ValueError(f"It has {n_epochs} epochs in place of {epoch}.")
        _check_names(state["results"], RESULTS)
        check_progress(state["results"])
        if state["results"]["diverged_"] or state["results"]["interrupted_"]:
            raise ValueError("A training that diverged or was interrupted writes no checkpoint.")
        _check_names(state["networks"], net.network_names)
        _check_names(state["optimizers"], net.optimizer_names)
        for name in net.network_names:
            check_weights(getattr(net, name), state["networks"][name])
        for name in net.optimizer_names:
            parameters = [p for group in getattr(net, name).param_groups for p in group["params"]]
            check_moments(parameters, state["optimizers"][name])
        for part, values in zip((net.objective, *net.regularizers), state["parts"], strict=True):
            _check_attributes(part, values)
            if hasattr(part, "_check_training_state"):
                part._check_training_state(values, len(self._dataset), len(net.classes_))
        check_generator_state(torch.default_generator, state["random"])
        if self._device.type == "cuda":
            check_generator_state(torch.Generator(self._device), state["random_of_device"])
        check_generator_state(torch.Generator(self._device), state["latent_order"])
        self._check_batches(state["batches"])
        self._check_early_stopping(state["watch"])

    def _check_batches(self, batches: dict[str, Any]) -> None:
        """Raise ValueError if the next batches contain rows that the data set does not have."""
        check_generator_state(torch.Generator(self._device), batches["order"])
        if ("labels" in batches) != (self._dataset.probabilities is not None):
            raise ValueError("One run had labels and the other one class probabilities.")
        if "labels" in batches:
            check_generator_state(torch.Generator(self._device), batches["labels"])
        every = np.arange(len(self._dataset))
        streams = (self._dataset.labeled_indices.cpu().numpy(), every, every)
        for remaining, known in zip(batches["remaining"], streams, strict=True):
            if (
                remaining.ndim != 1
                or remaining.dtype != np.int64
                or not np.isin(remaining, known).all()
            ):
                raise ValueError(f"The rows of the next batches are not among {len(every)} rows.")

    def _check_early_stopping(self, state: dict[str, Any] | None) -> None:
        """Raise ValueError if the state is not one of early stopping in this training."""
        if (state is None) != (self.early_stopping is None):
            raise ValueError("Early stopping was on in one run and off in the other.")
        if state is None or self.early_stopping is None:
            return
        _check_names(state, self.early_stopping.state_dict())
        if not (isinstance(state["best_score"], float) and type(state["n_without_gain"]) is int):
            raise ValueError("Early stopping has a score and a number of epochs.")
        if state["best"] is not None:
            _check_names(state["best"], ("n_steps_", *self._net.network_names))
            check_progress({"n_steps_": state["best"]["n_steps_"], "loss_names_": []})
            for name in self._net.network_names:
                check_weights(getattr(self._net, name), state["best"][name])


def _check_names(values: dict[str, Any], names: Iterable[str]) -> None:
    if set(values) != set(names):
        raise ValueError(f"A training has {sorted(names)}, not {sorted(values)}.")


def _check_attributes(part: Any, values: dict[str, Any]) -> None:
    """Raise ValueError if a value would replace a parameter or an attribute of the class."""
    cls, params = type(part), part.get_params(deep=False)
    own = cls.__module__.split(".")[0] == __name__.split(".")[0]
    for name in values:
        # A class outside this package may define the initial value of an attribute.
        taken = hasattr(cls, name) and (own or callable(getattr(cls, name)))
        replaces = name in params or (taken and name not in getattr(cls, "transient", ()))
        if not name.isidentifier() or name.startswith("__") or replaces:
            raise ValueError(f"A {cls.__name__} does not keep {name!r} between two steps.")


def _without_params(part: Any) -> dict[str, Any]:
    """Return what an objective or a regularizer keeps between two steps."""
    params = part.get_params(deep=False)
    return {name: value for name, value in vars(part).items() if name not in params}


def _on(device: torch.device, values: dict[str, Any]) -> dict[str, Any]:
    return {
        name: value.to(device) if isinstance(value, Tensor) else value
        for name, value in values.items()
    }
