"""Table of epochs that `verbose` prints during the training."""

from __future__ import annotations

import math
import time
from contextlib import suppress
from typing import Any

import numpy as np
from skorch.callbacks import Callback

__all__ = ["EpochTable", "TrainingLog", "clock", "print_line", "print_rows"]

# Number of lines that verbose=1 prints, for any number of epochs.
N_LINES = 20

# Minimum width of a column, so that larger losses fit as well.
MIN_WIDTH = 9

# Steps after which the duration of the training is estimated, and those before that are left out:
# they are slower than the others.
N_TIMED, N_UNTIMED = 20, 8

# No estimate is printed for a training that takes less time.
MIN_SECONDS = 5

# Entries of a record that are not columns of the table.
LEFT_OUT = ("dur", "generated_spread", "valid_acc")


def print_line(text: str) -> None:
    """Print a line; a closed standard output does not stop the training."""
    with suppress(OSError, ValueError):
        print(text)


class EpochTable:
    """Print the losses of the epochs, the elapsed time and an estimate of the remaining time.

    Parameters
    ----------
    n_epochs : int
        Number of planned epochs.
    verbose : int
        0 prints nothing, 1 about 20 lines, and 2 one line for each epoch.
    max_time : float or None, default=None
        Seconds after which the training ends.
    """

    def __init__(self, n_epochs: int, verbose: int, max_time: float | None = None) -> None:
        self._n_epochs = n_epochs
        self._verbose = verbose
        self._max_time = math.inf if max_time is None else max_time
        self._start = time.perf_counter()
        self._epoch = self._n_before = 0
        self._pending: dict[str, Any] | None = None
        self._columns: list[str] = []
        self._widths: list[int] | None = None

    def resume(self, n_epochs: int) -> None:
        """Start after epochs of an earlier run."""
        self._epoch = self._n_before = n_epochs
        if self._verbose and n_epochs:
            print_line(f"resumed after epoch {n_epochs} of {self._n_epochs}")

    def estimate(self, n_steps: int, seconds_per_step: float) -> None:
        """Print how long the training will take, given the number of steps in an epoch.

        Nothing is printed if the training is short, or if the table has begun, which shows the
        remaining time.
        """
        n_left = (self._n_epochs - self._n_before) * n_steps
        seconds = min(n_left * seconds_per_step, self._max_time)
        if self._epoch == self._n_before and seconds >= MIN_SECONDS:
            print_line(
                f"up to {n_left:,} steps of about {1000 * seconds_per_step:.3g} ms: "
                f"{clock(seconds)}"
            )

    def add(self, record: dict[str, Any]) -> None:
        """Add the record of the next epoch, and print it if it is due."""
        self._epoch += 1
        self._pending = record
        every = 1 if self._verbose > 1 else -(-self._n_epochs // N_LINES)
        if self._verbose and (self._epoch % every == 0 or self._epoch in (1, self._n_epochs)):
            self._print_epoch(record)

    def stop(self) -> None:
        """Print the last epoch of a training that was stopped early."""
        if self._verbose:
            if self._pending is not None:
                self._print_epoch(self._pending)
            print_line(f"stopped after {self._epoch} of {self._n_epochs} epochs")

    def _print_epoch(self, record: dict[str, Any]) -> None:
        self._pending = None
        names = [k for k, v in record.items() if isinstance(v, float) and k not in LEFT_OUT]
        if not set(names) <= set(self._columns):  # the first epoch, or a term that starts late
            self._columns = list(dict.fromkeys([*self._columns, *names]))
            self._widths = None
            header = ["epoch", *self._columns, "passed", "left"]
            self._print([name.removesuffix("_loss") for name in header])
        passed = time.perf_counter() - self._start
        n_left = self._n_epochs - self._epoch
        left = passed / (self._epoch - self._n_before) * n_left
        left = min(left, max(0.0, self._max_time - passed))
        cells = [
            f"{self._epoch}/{self._n_epochs}",
            *(f"{record[name]:.4f}" if name in record else "-" for name in self._columns),
        ]
        self._print([*cells, clock(passed), clock(left)])

    def _print(self, cells: list[str]) -> None:
        """Print a line; the first one is the header and sets the widths of the columns."""
        if self._widths is None:
            self._widths = [max(len(cell), MIN_WIDTH) for cell in cells]
        print_line("  ".join(f"{cell:>{n}}" for cell, n in zip(cells, self._widths, strict=True)))


class TrainingLog(Callback):
    """Print an `EpochTable` of the training of a net, according to its ``verbose``."""

    def on_train_begin(self, net: Any, **kwargs: Any) -> None:
        """Create the table and start its clock."""
        self.table_ = EpochTable(net.max_epochs, net.verbose, net.max_time)
        self.has_started_ = False
        self.n_batches_ = 0

    def on_epoch_begin(self, net: Any, **kwargs: Any) -> None:
        """Print whether the training was resumed, before its first epoch."""
        if not self.has_started_:
            self.table_.resume(net.n_epochs_resumed_)
            self.has_started_ = True
            resumes = net.checkpoints is not None and net.checkpoints.resume
            if net.verbose and resumes and not net.n_epochs_resumed_:
                print_line(
                    f"no checkpoint of this run in {net.checkpoints.folder}: start from scratch"
                )

    def on_batch_end(self, net: Any, batch: Any = None, training: bool = False, **_: Any) -> None:
        """Print how long the training will take, after its first steps."""
        if not (net.verbose and training):
            return
        self.n_batches_ += 1
        if self.n_batches_ == N_UNTIMED:
            self.timed_since_ = time.perf_counter()
        if self.n_batches_ == N_TIMED:
            seconds = (time.perf_counter() - self.timed_since_) / (N_TIMED - N_UNTIMED)
            self.table_.estimate(len(net._run.batches), seconds)

    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
        """Print a line if one is due."""
        self.table_.add(net.history[-1])

    def on_train_end(self, net: Any, **kwargs: Any) -> None:
        """Print the epoch after which the training was stopped."""
        if net.stop_training_ or net.interrupted_:
            self.table_.stop()


def print_rows(codes: np.ndarray, n_classes: int) -> None:
    """Print the numbers of rows and classes, given class codes that are -1 if unlabeled."""
    n_labeled = int((codes >= 0).sum())
    print_line(
        f"{_count(n_labeled, 'labeled row')}, {_count(len(codes) - n_labeled, 'unlabeled row')}, "
        f"{_count(n_classes, 'class', 'classes')}"
    )


def _count(n: int, one: str, more: str | None = None) -> str:
    return f"{n} {one}" if n == 1 else f"{n} {more or one + 's'}"


def clock(seconds: float) -> str:
    """Return a duration as minutes and seconds, with hours if there are any."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
