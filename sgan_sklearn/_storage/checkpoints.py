"""Files of checkpoints in a folder, from which an interrupted training is resumed."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from sgan_sklearn._runtime.processes import min_over_processes, n_processes, process_index
from sgan_sklearn._runtime.user_warnings import warn_user
from sgan_sklearn._storage.encoding import decode, encode
from sgan_sklearn._storage.files import read_file, write_file

__all__ = ["Checkpoints"]

# Number of files that are kept: if the last one is damaged, the one before is used.
N_KEPT = 2


class Checkpoints:
    """Checkpoints of one run, in a folder that several runs may share.

    Parameters
    ----------
    folder : Path
        Folder of the files; it is created if it does not exist.
    run : str
        Identifier of the run: a digest of its parameters and rows.
    every : int
        Number of epochs between two files; the last epoch of a run always has one.
    resume : bool
        Whether to resume from the files of this run. Otherwise they are removed.
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
        """Return the state to resume from, of at most `n_epochs` epochs, or None for a new run.

        It is the newest state that can be read and that `check` accepts; several processes resume
        from an epoch that all of them have.
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
            except Exception as error:  # a forged file can cause any error
                named = str(path) in str(error)
                reason = f"{error}" if named else f"{path} contains no state of this run: {error}"
                warn_user(f"A checkpoint cannot be used and is skipped. {reason}")
            if states and n_processes() == 1:
                break
        epoch = min_over_processes(max(states, default=0), device)
        if n_processes() > 1 and min_over_processes(epoch in states, device) == 0:
            return None
        return states.get(epoch)

    def _remove(self, n_epochs: int) -> None:
        """Remove the files of this run, except those of more epochs than it has."""
        for epoch, path in self._files().items():
            try:
                if epoch <= n_epochs:
                    path.unlink(missing_ok=True)
            except OSError as error:
                warn_user(f"A checkpoint cannot be used or removed. {error}")

    def write(self, epoch: int, state: dict[str, Any]) -> None:
        """Write the state after an epoch; if that fails, warn once and continue the training."""
        try:
            arrays, tree, _ = encode(state, "checkpoint")
            write_file(self._path(epoch), arrays, tree)
            # A longer run with the same first epochs may have left files of later epochs.
            for old in sorted(e for e in self._files() if e <= epoch)[:-N_KEPT]:
                self._path(old).unlink(missing_ok=True)
        except (OSError, TypeError, ValueError) as error:
            if not self._warned:
                warn_user(
                    f"The checkpoint of epoch {epoch} could not be written to {self.folder}; "
                    f"the training continues without it: {error}"
                )
            self._warned = True

    def _path(self, epoch: int) -> Path:
        part = f"-{process_index()}of{n_processes()}" if n_processes() > 1 else ""
        return self.folder / f"{self.run}{part}-epoch{epoch:06}.safetensors"

    def _files(self) -> dict[int, Path]:
        """Return the files of this run and process, by epoch."""
        name = re.compile(re.escape(self._path(0).name).replace("000000", "([0-9]{6,})"))
        found = {path: name.fullmatch(path.name) for path in self.folder.iterdir()}
        return {int(match[1]): path for path, match in found.items() if match}
