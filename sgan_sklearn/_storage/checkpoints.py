"""The state of a training in a folder, so that a run that was killed goes on where it was."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from sgan_sklearn._runtime.processes import least, n_processes, process_index
from sgan_sklearn._runtime.user_warnings import warn_user
from sgan_sklearn._storage.encoding import decode, encode
from sgan_sklearn._storage.files import read_file, write_file
from sgan_sklearn._storage.state import (
    check_generator_state,
    check_history,
    check_moments,
    check_progress,
    check_weights,
    moments,
    restore_history,
    restore_moments,
    to_arrays,
    to_tensors,
)

__all__ = ["Checkpoints", "check_training", "restore_training", "training_state"]

# Files that are kept: should the last one be damaged, there is the one before.
N_KEPT = 2

# Plain attributes of a net, and those of an early stopping, that a training changes.
OF_NET = ("n_steps_", "stop_training_", "loss_names_")
OF_WATCH = ("best_score", "best", "n_without_gain")


class Checkpoints:
    """Files of one run in a folder that several runs may share.

    Parameters
    ----------
    folder : Path
        Where the files are; it is made if it is missing.
    run : str
        What tells a run from others: a digest of its parameters and rows.
    every : int
        Epochs from one file to the next; the last epoch of a run has one in any case.
    resume : bool
        Whether to go on from the files of this run. Otherwise they are removed.
    """

    def __init__(self, folder: Path, run: str, every: int, *, resume: bool) -> None:
        self.folder = folder
        self.run = run
        self.every = every
        self.resume = resume
        self._warned = False

    def begin(
        self, device: torch.device, n_epochs: int, check: Callable[[dict[str, Any], int], None]
    ) -> dict[str, Any] | None:
        """Return the state to go on from, of at most so many epochs, or make room for a new run.

        It is the newest that can be read and that `check` accepts; of several processes, that of
        all of them.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        if not self.resume:
            self._remove(n_epochs)
            return None
        states: dict[int, dict[str, Any]] = {}
        for epoch in sorted((e for e in self._files() if e <= n_epochs), reverse=True):
            path = self._path(epoch)
            try:
                state = decode(*read_file(path))
                check(state, epoch)
                states[epoch] = state
            except Exception as error:  # a forged file may lead to any
                named = str(path) in str(error)
                reason = f"{error}" if named else f"{path} holds no state of this run: {error}"
                warn_user(f"A checkpoint cannot be used and is skipped. {reason}")
            if states and n_processes() == 1:
                break
        epoch = least(max(states, default=0), device)
        if n_processes() > 1 and least(epoch in states, device) == 0:
            return None
        return states.get(epoch)

    def _remove(self, n_epochs: int) -> None:
        """Remove the files of this run, but for those of more epochs than it has."""
        for epoch, path in self._files().items():
            try:
                if epoch <= n_epochs:
                    path.unlink(missing_ok=True)
            except OSError as error:
                warn_user(f"A checkpoint cannot be used, nor removed. {error}")

    def write(self, epoch: int, state: dict[str, Any]) -> None:
        """Keep the state after an epoch; if that fails, the training goes on with one warning."""
        try:
            arrays, tree, _ = encode(state, "checkpoint")
            write_file(self._path(epoch), arrays, tree)
            # A longer run of the same beginning may have left files of later epochs.
            for old in sorted(e for e in self._files() if e <= epoch)[:-N_KEPT]:
                self._path(old).unlink(missing_ok=True)
        except (OSError, TypeError) as error:
            if not self._warned:
                warn_user(
                    f"The checkpoint of epoch {epoch} could not be written to {self.folder}, and "
                    f"the training goes on without it: {error}"
                )
            self._warned = True

    def _path(self, epoch: int) -> Path:
        part = f"-{process_index()}of{n_processes()}" if n_processes() > 1 else ""
        return self.folder / f"{self.run}{part}-epoch{epoch:06}.safetensors"

    def _files(self) -> dict[int, Path]:
        """Return the files of this run, and of this process, by epoch."""
        name = re.compile(re.escape(self._path(0).name).replace("000000", "([0-9]{6,})"))
        found = {path: name.fullmatch(path.name) for path in self.folder.iterdir()}
        return {int(match[1]): path for path, match in found.items() if match}


def training_state(net: Any) -> dict[str, Any]:
    """Return all that decides how the training of a net goes on after an epoch."""
    device = torch.device(net.device)
    watch = net._early_stopping
    return {
        "history": [
            {name: value for name, value in record.items() if name != "batches"}
            for record in net.history
        ],
        **{name: getattr(net, name) for name in OF_NET},
        "networks": {
            name: to_arrays(getattr(net, name).state_dict()) for name in net.network_names
        },
        "optimizers": {name: moments(getattr(net, name)) for name in net.optimizer_names},
        "parts": [_without_params(part) for part in (net.objective, *net.regularizers)],
        "random": to_arrays(torch.random.get_rng_state()),
        "random_of_device": (
            to_arrays(torch.cuda.get_rng_state(device)) if device.type == "cuda" else None
        ),
        "latent_order": to_arrays(net._latent_order.get_state()),
        "batches": to_arrays(net._batches.state_dict()),
        "watch": (
            None if watch is None else {name: to_arrays(getattr(watch, name)) for name in OF_WATCH}
        ),
    }


def check_training(net: Any, dataset: Any, state: dict[str, Any], epoch: int) -> None:
    """Check the state after an epoch, before anything of a net is changed.

    Raises ValueError, or another error, where it is none of the net's training on these rows.
    """
    device = torch.device(net.device)
    check_history(state["history"])
    if len(state["history"]) != epoch:
        raise ValueError(f"It has {len(state['history'])} epochs in place of {epoch}.")
    check_progress({name: state[name] for name in OF_NET})
    _check_names(state["networks"], net.network_names)
    _check_names(state["optimizers"], net.optimizer_names)
    for name in net.network_names:
        check_weights(getattr(net, name), state["networks"][name])
    for name in net.optimizer_names:
        parameters = [p for group in getattr(net, name).param_groups for p in group["params"]]
        check_moments(parameters, state["optimizers"][name])
    for part, values in zip((net.objective, *net.regularizers), state["parts"], strict=True):
        _check_attributes(part, values)
        if hasattr(part, "_check_kept"):
            part._check_kept(values, len(dataset))
    check_generator_state(torch.default_generator, state["random"])
    if device.type == "cuda":
        check_generator_state(torch.Generator(device), state["random_of_device"])
    check_generator_state(torch.Generator(device), state["latent_order"])
    _check_batches(dataset, state["batches"], device)
    _check_watch(net, state["watch"])


def _check_names(values: dict[str, Any], names: Iterable[str]) -> None:
    if set(values) != set(names):
        raise ValueError(f"A training has {sorted(names)}, not {sorted(values)}.")


def _check_batches(dataset: Any, batches: dict[str, Any], device: torch.device) -> None:
    """Raise ValueError where the rows of the next batches are not among those of the training."""
    check_generator_state(torch.Generator(device), batches["order"])
    every = np.arange(len(dataset))
    streams = (dataset.labeled_indices.cpu().numpy(), every, every)
    for rest, known in zip(batches["remaining"], streams, strict=True):
        if rest.ndim != 1 or rest.dtype != np.int64 or not np.isin(rest, known).all():
            raise ValueError(f"The rows of the next batches are not among {len(dataset)} rows.")


def _check_watch(net: Any, watch: dict[str, Any] | None) -> None:
    """Raise ValueError where early stopping cannot remember that."""
    if (watch is None) != (net._early_stopping is None):
        raise ValueError("Early stopping was on in one run and off in the other.")
    if watch is None:
        return
    _check_names(watch, OF_WATCH)
    if not (isinstance(watch["best_score"], float) and type(watch["n_without_gain"]) is int):
        raise ValueError("What early stopping remembers are a score and a number of epochs.")
    if watch["best"] is not None:
        _check_names(watch["best"], ("n_steps_", *net.network_names))
        check_progress({"n_steps_": watch["best"]["n_steps_"], "loss_names_": []})
        for name in net.network_names:
            check_weights(getattr(net, name), watch["best"][name])


def _check_attributes(part: Any, values: dict[str, Any]) -> None:
    """Raise ValueError where values would replace a parameter or an attribute of the class."""
    cls, params = type(part), part.get_params(deep=False)
    own = cls.__module__.split(".")[0] == __name__.split(".")[0]
    for name in values:
        # A class of the user's own may give an attribute its first value.
        taken = hasattr(cls, name) and (own or callable(getattr(cls, name)))
        replaces = name in params or (taken and name not in getattr(cls, "passing", ()))
        if not name.isidentifier() or name.startswith("__") or replaces:
            raise ValueError(f"A {type(part).__name__} does not keep {name!r} between two steps.")


def restore_training(net: Any, state: dict[str, Any]) -> None:
    """Bring a net, which is about to begin its first epoch, to the state after another one."""
    device = torch.device(net.device)
    restore_history(net, state["history"])
    for name in OF_NET:
        setattr(net, name, state[name])
    for name, arrays in state["networks"].items():
        getattr(net, name).load_state_dict(to_tensors(arrays))
    for name, kept in state["optimizers"].items():
        restore_moments(getattr(net, name), kept)
    parts = (net.objective, *net.regularizers)
    for part, values in zip(parts, state["parts"], strict=True):
        vars(part).update(_on(device, values))
    torch.random.set_rng_state(to_tensors(state["random"]))
    if device.type == "cuda":
        torch.cuda.set_rng_state(to_tensors(state["random_of_device"]), device)
    net._latent_order.set_state(to_tensors(state["latent_order"]))
    net._batches.load_state_dict(to_tensors(state["batches"]))
    if state["watch"] is not None:
        vars(net._early_stopping).update(to_tensors(state["watch"]))


def _without_params(part: Any) -> dict[str, Any]:
    """Return what an objective or a regularizer keeps from step to step."""
    params = part.get_params(deep=False)
    return {name: value for name, value in vars(part).items() if name not in params}


def _on(device: torch.device, values: dict[str, Any]) -> dict[str, Any]:
    return {
        name: value.to(device) if isinstance(value, torch.Tensor) else value
        for name, value in values.items()
    }
