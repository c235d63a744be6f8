"""The table that `verbose` prints while training."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import Any

import numpy as np
from skorch.callbacks import Callback

__all__ = ["EpochTable", "TrainingLog", "print_rows"]

# Lines that verbose=1 prints, however many epochs there are.
N_LINES = 20

# Characters of a column at least: a loss with room for the larger ones.
MIN_WIDTH = 9

# What the record of an epoch holds besides, and the table has in another form or not.
LEFT_OUT = ("dur", "generated_spread", "valid_acc")


def say(text: str) -> None:
    """Print a line, unless standard output is closed: that must not end a training."""
    with suppress(OSError, ValueError):
        print(text)


class EpochTable:
    """Print the losses of each epoch, the time passed and an estimate of the time left.

    Parameters
    ----------
    n_epochs : int
        Epochs that are planned.
    verbose : int
        With 0 nothing is printed, with 1 about 20 lines in all, with 2 one for each epoch.
    """

    def __init__(self, n_epochs: int, verbose: int) -> None:
        self._n_epochs = n_epochs
        self._verbose = verbose
        self._start = time.perf_counter()
        self._epoch = self._n_before = 0
        self._pending: dict[str, Any] | None = None
        self._columns: list[str] | None = None
        self._widths: list[int] | None = None

    def resume(self, n_epochs: int) -> None:
        """Begin after epochs of an earlier run."""
        self._epoch = self._n_before = n_epochs
        if self._verbose and n_epochs:
            say(f"resumed after epoch {n_epochs} of {self._n_epochs}")

    def add(self, record: dict[str, Any]) -> None:
        """Take the record of the next epoch, and print it if it is due."""
        self._epoch += 1
        self._pending = record
        every = 1 if self._verbose > 1 else -(-self._n_epochs // N_LINES)
        if self._verbose and (self._epoch % every == 0 or self._epoch in (1, self._n_epochs)):
            self._print_epoch(record)

    def stop(self) -> None:
        """Print the last epoch of a training that was stopped."""
        if self._verbose:
            if self._pending is not None:
                self._print_epoch(self._pending)
            say(f"stopped after {self._epoch} of {self._n_epochs} epochs")

    def _print_epoch(self, record: dict[str, Any]) -> None:
        self._pending = None
        if self._columns is None:
            self._columns = [
                name
                for name, value in record.items()
                if isinstance(value, float) and name not in LEFT_OUT
            ]
            names = ["epoch", *self._columns, "passed", "left"]
            self._print([name.removesuffix("_loss") for name in names])
        passed = time.perf_counter() - self._start
        n_left = self._n_epochs - self._epoch
        left = passed / (self._epoch - self._n_before) * n_left
        cells = [
            f"{self._epoch}/{self._n_epochs}",
            *(f"{record[name]:.4f}" if name in record else "-" for name in self._columns),
        ]
        self._print([*cells, _clock(passed), _clock(left)])

    def _print(self, cells: list[str]) -> None:
        """Print the header, which sets the widths of the columns, or a line below it."""
        if self._widths is None:
            self._widths = [max(len(cell), MIN_WIDTH) for cell in cells]
        say("  ".join(f"{cell:>{n}}" for cell, n in zip(cells, self._widths, strict=True)))


class TrainingLog(Callback):
    """Print an `EpochTable` of a net's training, by its ``verbose``."""

    def on_train_begin(self, net: Any, **kwargs: Any) -> None:
        """Start the clock."""
        self.table_ = EpochTable(net.max_epochs, net.verbose)
        self.begun_ = False

    def on_epoch_begin(self, net: Any, **kwargs: Any) -> None:
        """Say so, if the first epoch is not the first of the training."""
        if not self.begun_:
            self.table_.resume(net.n_epochs_resumed_)
            self.begun_ = True
            searched = net.checkpoints is not None and net.checkpoints.resume
            if net.verbose and searched and not net.n_epochs_resumed_:
                say(f"no checkpoint of this run in {net.checkpoints.folder}: start from scratch")

    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
        """Print a line if one is due."""
        self.table_.add(net.history[-1])

    def on_train_end(self, net: Any, **kwargs: Any) -> None:
        """Say where a training was stopped."""
        if net.stop_training_ or net.interrupted_:
            self.table_.stop()


def print_rows(codes: np.ndarray, n_classes: int) -> None:
    """Print how many rows a training has, by their class codes, -1 where unlabeled."""
    n_labeled = int((codes >= 0).sum())
    say(
        f"{_count(n_labeled, 'labeled row')}, {_count(len(codes) - n_labeled, 'unlabeled row')}, "
        f"{_count(n_classes, 'class', 'classes')}"
    )


def _count(n: int, one: str, more: str | None = None) -> str:
    return f"{n} {one}" if n == 1 else f"{n} {more or one + 's'}"


def _clock(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
