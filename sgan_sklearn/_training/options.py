"""`Training`: the parameters of the training loop."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from numbers import Integral, Real
from typing import Any, ClassVar

from sklearn.base import BaseEstimator
from sklearn.utils._param_validation import Interval, StrOptions

from sgan_sklearn._runtime.precision import PRECISIONS
from sgan_sklearn._training.schedules import SCHEDULES

__all__ = ["OF_ONE_RUN", "Training"]

# Parameters that say where a run keeps its state, and do not change its result.
OF_ONE_RUN = {"checkpoint_dir": None, "checkpoint_every": 1, "resume": False}

# Upper bound of a time budget: thirty years.
MAX_SECONDS = 1e9


class Training(BaseEstimator):
    """Options of the training loop of `SGANClassifier`.

    Pass an instance as ``SGANClassifier(training=...)``; a grid then reaches its parameters as
    ``training__averaging_decay``.

    .. versionadded:: 0.1

    Parameters
    ----------
    lr_schedule : {"auto", "constant", "linear", "cosine", "one_cycle"} or callable, default="auto"
        How both learning rates change during `fit`. "linear" and "cosine" decrease them to zero;
        "one_cycle" increases them in the first tenth of the training and then decreases them
        linearly. A callable takes the share of the training that has passed, from 0 to 1, and
        returns a factor for both rates. "auto" is "one_cycle" for residual networks and "constant"
        otherwise, where with averaged weights a schedule seldom improves the accuracy.
    averaging_decay : float or "auto", default="auto"
        Decay of the moving average of the weights, in [0, 1). The averaged networks predict and
        sample; about the last ``1 / (1 - averaging_decay)`` steps count, but at most the last fifth
        of the training. 0 disables averaging. "auto" is 0.99 for images in convolutional and
        residual networks, and 0.999 otherwise.
    adversarial_every : int or "auto", default="auto"
        Every how many steps the generator is trained and the losses on generated rows are used;
        the other steps use the labels and the regularizers only. A larger value saves time.
        "auto" is, with a regularizer, 4 in convolutional networks and 8 in residual ones, and
        otherwise 1.
    precision : {"auto", "float32", "bfloat16"}, default="auto"
        Data type of the multiplications during training; weights, losses and averages stay in
        float32. "auto" is "bfloat16" for images in convolutional and residual networks on GPUs that
        support it, in residual networks also on processors that do, and "float32" otherwise.
    record_steps : bool or "auto", default="auto"
        Whether to record the operations of a training step and replay them without Python, which
        gives the same model in less time. "auto" records if all parts of a step come from this
        package or PyTorch, and falls back to unrecorded steps where recording fails; True raises an
        error there. The first nine steps of each kind, with and without the adversarial part, are
        never recorded, since a recording would cost more time than it saves. Nor are those of
        several processes that train together.
    max_time : float or None, default=None
        Seconds after which the training ends, even within an epoch, and keeps the averaged
        networks. Only the training loop counts, and at least one step is made. The model then
        depends on the speed of the machine. A `lr_schedule` follows the share of the time if it is
        larger than that of the epochs. With checkpoints, each epoch has one, and a resumed run
        repeats the epoch that was not complete; its time and its schedule begin again. None trains
        for all epochs.
    tol : float, default=1e-4
        Smallest increase of the validation accuracy that early stopping counts as an improvement.
    checkpoint_dir : str, path-like or None, default=None
        Folder for checkpoints, from which an interrupted run can be resumed. It needs an integer
        `random_state`. Several runs may share a folder. None writes no checkpoints.
    checkpoint_every : int, default=1
        Number of epochs between two checkpoints; the last epoch always has one.
    resume : bool, default=False
        Whether to continue from the newest checkpoint of the same run in `checkpoint_dir`, if
        there is one. On a CPU the model is the same, to the bit, as without the interruption.
        False deletes the checkpoints of the same run.

    See Also
    --------
    SGANClassifier : The estimator that takes these options.

    Examples
    --------
    >>> from sgan_sklearn import SGANClassifier, Training
    >>> clf = SGANClassifier(training=Training(lr_schedule="cosine"))
    >>> clf.set_params(training__averaging_decay=0.99).training
    Training(averaging_decay=0.99, lr_schedule='cosine')
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "lr_schedule": [StrOptions({"auto", *SCHEDULES}), callable],
        "averaging_decay": [StrOptions({"auto"}), Interval(Real, 0, 1, closed="left")],
        "adversarial_every": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
        "precision": [StrOptions(set(PRECISIONS))],
        "record_steps": [StrOptions({"auto"}), "boolean"],
        "max_time": [Interval(Real, 0, MAX_SECONDS, closed="right"), None],
        "tol": [Interval(Real, 0, None, closed="left")],
        "checkpoint_dir": [str, os.PathLike, None],
        "checkpoint_every": [Interval(Integral, 1, None, closed="left")],
        "resume": ["boolean"],
    }

    def __init__(
        self,
        *,
        lr_schedule: str | Callable[[float], float] = "auto",
        averaging_decay: float | str = "auto",
        adversarial_every: int | str = "auto",
        precision: str = "auto",
        record_steps: bool | str = "auto",
        max_time: float | None = None,
        tol: float = 1e-4,
        checkpoint_dir: str | os.PathLike[str] | None = None,
        checkpoint_every: int = 1,
        resume: bool = False,
    ) -> None:
        self.lr_schedule = lr_schedule
        self.averaging_decay = averaging_decay
        self.adversarial_every = adversarial_every
        self.precision = precision
        self.record_steps = record_steps
        self.max_time = max_time
        self.tol = tol
        self.checkpoint_dir = checkpoint_dir
        self.checkpoint_every = checkpoint_every
        self.resume = resume

    def _check(self) -> None:
        """Check the parameters, before any training starts."""
        self._validate_params()
        if isinstance(self.lr_schedule, str):
            return
        factor: Any
        try:
            factor = self.lr_schedule(0.0)
        except Exception as error:  # the function is the user's: it may raise anything
            factor = f"{type(error).__name__}: {error}"
        if not isinstance(factor, Real) or not 0 <= float(factor) < math.inf:
            raise ValueError(
                "The 'lr_schedule' parameter of Training must be a function that takes the share "
                "of the training that has passed, from 0 to 1, and returns a factor of at least 0. "
                f"For 0.0 {self.lr_schedule!r} gave {factor!r}."
            )
