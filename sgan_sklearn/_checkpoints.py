"""The state of a training in a folder, so that a run that was killed goes on where it was."""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from typing import Any

import torch

from sgan_sklearn._distributed import least, n_processes, process_index
from sgan_sklearn._encoding import decode, encode
from sgan_sklearn._files import read_file, write_file
from sgan_sklearn._state import to_arrays, to_tensors

__all__ = ["Checkpoints", "restore_training", "training_state"]

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

    def begin(self, device: torch.device, n_epochs: int) -> dict[str, Any] | None:
        """Return the state to go on from, of at most so many epochs, or make room for a new run.

        It is the newest that can be read; of several processes, that of all of them.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        if not self.resume:
            for path in self._files().values():
                path.unlink(missing_ok=True)
        for path in self.folder.glob(f".{self.run}*.tmp"):  # of a run killed while it wrote
            path.unlink(missing_ok=True)
        states: dict[int, dict[str, Any]] = {}
        for epoch in sorted((e for e in self._files() if e <= n_epochs), reverse=True):
            try:
                states[epoch] = decode(*read_file(self._path(epoch)))
            except (OSError, ValueError) as error:
                warnings.warn(
                    f"A checkpoint cannot be used, the one before it is taken. {error}",
                    stacklevel=2,
                )
            if states and n_processes() == 1:
                break
        epoch = least(max(states, default=0), device)
        if n_processes() > 1 and least(epoch in states, device) == 0:
            return None
        return states.get(epoch)

    def write(self, epoch: int, state: dict[str, Any]) -> None:
        """Keep the state after an epoch; if that fails, the training goes on with one warning."""
        try:
            arrays, tree, _ = encode(state, "checkpoint")
            write_file(self._path(epoch), arrays, tree)
            for old in sorted(self._files())[:-N_KEPT]:
                self._path(old).unlink(missing_ok=True)
        except (OSError, TypeError) as error:
            if not self._warned:
                warnings.warn(
                    f"The checkpoint of epoch {epoch} could not be written to {self.folder}, and "
                    f"the training goes on without it: {error}",
                    stacklevel=2,
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
        "history": [dict(record) for record in net.history],
        **{name: getattr(net, name) for name in OF_NET},
        "arrays": to_arrays({name: getattr(net, name).state_dict() for name in net.stateful}),
        "parts": [_without_params(part) for part in (net.objective, *net.regularizers)],
        "random": torch.random.get_rng_state(),
        "random_of_device": torch.cuda.get_rng_state(device) if device.type == "cuda" else None,
        "latent_order": net._latent_order.get_state(),
        "batches": net._batches.state_dict(),
        "watch": None if watch is None else {name: getattr(watch, name) for name in OF_WATCH},
    }


def restore_training(net: Any, state: dict[str, Any]) -> None:
    """Bring a net, which is about to begin its first epoch, to the state after another one."""
    device = torch.device(net.device)
    for record in state["history"]:
        net.history.new_epoch()
        for name, value in record.items():
            net.history.record(name, value)
    for name in OF_NET:
        setattr(net, name, state[name])
    for name, values in to_tensors(state["arrays"]).items():
        getattr(net, name).load_state_dict(values)
    parts = (net.objective, *net.regularizers)
    for part, values in zip(parts, state["parts"], strict=True):
        vars(part).update(_on(device, values))
    torch.random.set_rng_state(state["random"])
    if device.type == "cuda":
        torch.cuda.set_rng_state(state["random_of_device"], device)
    net._latent_order.set_state(state["latent_order"])
    net._batches.load_state_dict(state["batches"])
    if state["watch"] is not None:
        vars(net._early_stopping).update(state["watch"])


def _without_params(part: Any) -> dict[str, Any]:
    """Return what an objective or a regularizer keeps from step to step."""
    params = part.get_params(deep=False)
    return {name: value for name, value in vars(part).items() if name not in params}


def _on(device: torch.device, values: dict[str, Any]) -> dict[str, Any]:
    return {
        name: value.to(device) if isinstance(value, torch.Tensor) else value
        for name, value in values.items()
    }
