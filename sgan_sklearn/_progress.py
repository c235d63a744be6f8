"""The table that `verbose` prints while training."""

from __future__ import annotations

import time
from typing import Any

from skorch.callbacks import Callback

__all__ = ["TrainingLog"]

# Lines that verbose=1 prints, however many epochs there are.
N_LINES = 20

# Characters of a column at least: a loss with room for the larger ones.
MIN_WIDTH = 9


class TrainingLog(Callback):
    """Print the losses of an epoch, the time passed and an estimate of the time left.

    With ``net.verbose=1`` about 20 lines are printed in all, with 2 one for each epoch.
    """

    def on_train_begin(self, net: Any, **kwargs: Any) -> None:
        """Start the clock."""
        self.start_ = time.perf_counter()
        self.first_epoch_ = len(net.history)
        self.printed_ = 0
        self.columns_: list[str] | None = None
        self.widths_: list[int] | None = None

    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
        """Print a line if one is due."""
        epoch = len(net.history) - self.first_epoch_
        every = 1 if net.verbose > 1 else -(-net.max_epochs // N_LINES)
        if net.verbose and (epoch % every == 0 or epoch in (1, net.max_epochs)):
            self._print_epoch(net, epoch)

    def on_train_end(self, net: Any, **kwargs: Any) -> None:
        """Print the last epoch of a training that was stopped."""
        if net.verbose and net.stop_training_:
            epoch = len(net.history) - self.first_epoch_
            if epoch > self.printed_:
                self._print_epoch(net, epoch)
            print(f"stopped after {epoch} of {net.max_epochs} epochs")

    def _print_epoch(self, net: Any, epoch: int) -> None:
        row = net.history[-1]
        if self.columns_ is None:
            self.columns_ = [
                name for name, value in row.items() if isinstance(value, float) and name != "dur"
            ]
            names = ["epoch", *self.columns_, "passed", "left"]
            self._print([name.removesuffix("_loss") for name in names])
        passed = time.perf_counter() - self.start_
        left = passed / epoch * (net.max_epochs - epoch)
        cells = [
            f"{epoch}/{net.max_epochs}",
            *(f"{row[name]:.4f}" if name in row else "-" for name in self.columns_),
        ]
        self._print([*cells, _clock(passed), _clock(left)])
        self.printed_ = epoch

    def _print(self, cells: list[str]) -> None:
        """Print the header, which sets the widths of the columns, or a line below it."""
        if self.widths_ is None:
            self.widths_ = [max(len(cell), MIN_WIDTH) for cell in cells]
        print("  ".join(f"{cell:>{n}}" for cell, n in zip(cells, self.widths_, strict=True)))


def _clock(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
