"""Support for the callbacks of skorch, and checks for those that cannot work."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from types import SimpleNamespace
from typing import Any

from skorch.callbacks import (
    BatchScoring,
    Callback,
    Checkpoint,
    EarlyStopping,
    EpochScoring,
    InputShapeSetter,
    LoadInitState,
    LRScheduler,
    PassthroughScoring,
    ProgressBar,
    WandbLogger,
)
from skorch.history import History
from torch.optim.lr_scheduler import ReduceLROnPlateau

__all__ = [
    "VALIDATION_NAMES",
    "check_fit_for_training",
    "is_observer",
    "may_draw",
    "reads_batches",
    "replay_epochs",
    "scores_training_rows",
]

SCORING = (BatchScoring, EpochScoring, PassthroughScoring)

# Entries of the history if rows are held out.
VALIDATION_NAMES = (
    "valid_loss",
    "valid_loss_best",
    "valid_acc",
    "valid_acc_best",
    "validation_score",
)

# Entries that exist only if rows are held out or a callback records them.
NOT_ALWAYS = (*VALIDATION_NAMES, "train_loss")

# Modules whose callbacks draw no random numbers.
OBSERVERS = ("sgan_sklearn.callbacks", "sgan_sklearn._runtime.progress", "skorch.callbacks.logging")

UNFIT = {
    InputShapeSetter: "the networks take their sizes from X. Leave it out",
    LoadInitState: (
        "it would load the discriminator but not the generator and the averages. Leave it "
        "out, and set checkpoint_dir and resume=True in Training"
    ),
}


def check_fit_for_training(callbacks: Iterable[tuple[str, Any]], *, held_out: bool) -> None:
    """Raise ValueError for callbacks that cannot work; `held_out` says if rows are held out.

    A callback whose class is not from skorch may record any entry, so the entries that later
    callbacks monitor are not checked.
    """
    known = set(VALIDATION_NAMES) if held_out else set()
    knows_all = True
    for _, callback in callbacks:
        name = type(callback).__name__
        for unfit, reason in UNFIT.items():
            if isinstance(callback, unfit):
                raise ValueError(f"{name} cannot work with SGANClassifier: {reason}.")
        if isinstance(callback, SCORING) and not (callback.on_train or held_out):
            raise ValueError(
                f"{name} needs validation rows, but none are held out. Set early_stopping=True, "
                "which holds labeled rows out (in fit, not in partial_fit), or on_train=True in "
                f"{name} to score the training instead."
            )
        monitored = _monitored(callback)
        if knows_all and _is_missing(monitored, known):
            _refuse_monitored(callback, str(monitored), held_out=held_out)
        if isinstance(callback, SCORING):
            scored = _score_name(callback)
            known |= {scored} if callback.lower_is_better is None else {scored, f"{scored}_best"}
        knows_all = knows_all and type(callback).__module__.startswith(("skorch.", "sgan_sklearn."))


def _monitored(callback: Any) -> Any:
    """Return the entry of the history that a callback reads at the end of an epoch, if any."""
    if isinstance(callback, WandbLogger):
        return "valid_loss_best" if callback.save_model else None
    if isinstance(callback, LRScheduler):
        reads = callback.policy_ is ReduceLROnPlateau and callback.step_every == "epoch"
        return callback.monitor if reads else None
    return callback.monitor if isinstance(callback, (Checkpoint, EarlyStopping)) else None


def _is_missing(name: Any, known: set[str]) -> bool:
    # The names of the loss terms are not known yet.
    scored = isinstance(name, str) and (name in NOT_ALWAYS or name.endswith("_best"))
    return scored and name not in known


def _refuse_monitored(callback: Any, monitored: str, *, held_out: bool) -> None:
    name = type(callback).__name__
    remedies = []
    if monitored in VALIDATION_NAMES and not held_out:
        remedies.append("early_stopping=True, which holds labeled rows out (not in partial_fit)")
    if isinstance(callback, WandbLogger):
        remedies.append("save_model=False")
    elif isinstance(callback, Checkpoint):
        scored = "PassthroughScoring('discriminator_loss', on_train=True)"
        remedies.append(f"monitor='discriminator_loss_best' with {scored} before it")
    else:
        remedies.append("monitor='discriminator_loss'")
    raise ValueError(
        f"{name} needs {monitored!r} in the history, which nothing before it records. Set "
        f"{', or '.join(remedies)}."
    )


def _score_name(callback: Any) -> str:
    return str(callback.name if isinstance(callback, PassthroughScoring) else callback.name_)


def scores_training_rows(callback: Any) -> bool:
    """Return whether a callback scores the labeled training rows."""
    return isinstance(callback, (BatchScoring, EpochScoring)) and callback.on_train


def reads_batches(callbacks: Iterable[tuple[str, Any]]) -> bool:
    """Return whether a callback reads the losses of single training steps in the history."""
    return any(
        isinstance(callback, ProgressBar)
        or (isinstance(callback, PassthroughScoring) and callback.on_train)
        or (isinstance(callback, LRScheduler) and callback.step_every == "batch")
        or bool(getattr(callback, "log_on_batch_end", False))
        for _, callback in callbacks
    )


def is_observer(callback: Any) -> bool:
    """Return whether a callback only looks and writes."""
    return type(callback).__module__ in OBSERVERS


def may_draw(callback: Any, method_name: str) -> bool:
    """Return whether a method of a callback may draw random numbers."""
    overridden = getattr(type(callback), method_name, None) is not getattr(Callback, method_name)
    return overridden and not is_observer(callback)


def replay_epochs(callbacks: Iterable[tuple[str, Any]], history: Sequence[dict[str, Any]]) -> None:
    """Update callbacks for the epochs of a resumed training.

    Scoring callbacks get their best score, and skorch's early stopping its epochs without gain.
    """
    for _, callback in callbacks:
        if isinstance(callback, SCORING):
            name = _score_name(callback)
            best = [record[name] for record in history if record.get(f"{name}_best")]
            callback.best_score_ = best[-1] if best else callback.best_score_
        elif type(callback) is EarlyStopping:
            module = SimpleNamespace(state_dict=dict)
            net = SimpleNamespace(history=History(), verbose=0, module_=module)
            with suppress(KeyError, KeyboardInterrupt):
                for record in history:
                    net.history.append(record)
                    callback.on_epoch_end(net)
            callback.best_model_weights_ = None  # the weights of those epochs are not stored
