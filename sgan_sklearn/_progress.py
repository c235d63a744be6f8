"""The table that `verbose` prints while training."""

from __future__ import annotations

import math
import time
from typing import Any

from skorch.callbacks import Callback

__all__ = ["TrainingLog"]

# Lines that verbose=1 prints, however many epochs there are.
N_LINES = 20


class TrainingLog(Callback):
    """Print the losses of an epoch, the time passed and an estimate of the time left.

    With ``net.verbose=1`` about 20 lines are printed in all, with 2 one for each epoch.
    """

    def on_train_begin(self, net: Any, **kwargs: Any) -> None:
        """Start the clock."""
        self.start_ = time.perf_counter()
        self.first_epoch_ = len(net.history)
        self.columns_: list[str] | None = None

    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
        """Print a line if one is due."""
        epoch = len(net.history) - self.first_epoch_
        every = 1 if net.verbose > 1 else -(-net.max_epochs // N_LINES)
        if not net.verbose or (epoch % every and epoch not in (1, net.max_epochs)):
            return
        row = net.history[-1]
        if self.columns_ is None:
            self.columns_ = [
                name for name, value in row.items() if isinstance(value, float) and name != "dur"
            ]
            names = ["epoch", *self.columns_, "passed", "left"]
            print("  ".join(f"{name.removesuffix('_loss'):>13}" for name in names))
        passed = time.perf_counter() - self.start_
        left = passed / epoch * (net.max_epochs - epoch)
        cells = [
            f"{epoch}/{net.max_epochs}",
            *(f"{row.get(name, math.nan):.4f}" for name in self.columns_),
        ]
        print("  ".join(f"{cell:>13}" for cell in [*cells, _clock(passed), _clock(left)]))


def _clock(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
