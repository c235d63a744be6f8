"""The training loop: a skorch net with two modules, two optimizers and one step for both."""

from __future__ import annotations

import copy
import inspect
import math
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from functools import partial
from itertools import islice
from typing import Any, ClassVar

import numpy as np
import torch
from sklearn.base import ClassifierMixin
from sklearn.utils import gen_batches
from skorch import NeuralNet
from skorch.callbacks import EpochTimer
from skorch.dataset import Dataset
from skorch.utils import TeeGenerator, to_tensor
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.optim.swa_utils import update_bn

from sgan_sklearn._data.batches import Batch, EvaluationBatches, SemiSupervisedBatches
from sgan_sklearn._data.rows import Rows
from sgan_sklearn._runtime.device import device_or_cpu
from sgan_sklearn._runtime.interrupts import raised_by_statement
from sgan_sklearn._runtime.precision import in_precision
from sgan_sklearn._runtime.processes import (
    any_process,
    average_gradients,
    mean_over_processes,
    n_processes,
    own_part,
    process_index,
    rows_of_processes,
    same_everywhere,
)
from sgan_sklearn._runtime.progress import TrainingLog
from sgan_sklearn._runtime.random import OwnNumbers, give_way, next_seed, reseed, seeded
from sgan_sklearn._runtime.recorded_steps import GraphedStep, is_recordable
from sgan_sklearn._runtime.settings import with_plain_settings
from sgan_sklearn._runtime.threads import mind_fork
from sgan_sklearn._storage.checkpoints import (
    Checkpoints,
    check_training,
    restore_training,
    training_state,
)
from sgan_sklearn._storage.state import (
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
from sgan_sklearn._training.diagnostics import relative_spread
from sgan_sklearn._training.early_stopping import EarlyStopping
from sgan_sklearn._training.skorch_callbacks import (
    VALIDATION_NAMES,
    catch_up,
    check_fit_for_training,
    may_draw,
    reads_batches,
    scores_training_rows,
)
from sgan_sklearn.architectures import Architecture, Heads
from sgan_sklearn.objectives import Objective
from sgan_sklearn.regularizers import Regularizer, UnlabeledRows

__all__ = ["SGANNet", "network_builders"]

# Rows that the data-dependent start looks at, at most and at least. Fewer count several times, with
# other noise: the deviations of a handful may be next to nothing, and the weights too large by far.
N_START_ROWS, MIN_START_ROWS = 500, 100

# Batches over which the averaged generator's BatchNorm statistics are taken.
N_STATISTICS_BATCHES = 50

# Rows that predict and sample hold in the networks at a time.
CHUNK = 4096

# Pixels of images, whose many channels need more room, at a time: 512 images of 28 x 28.
CHUNK_PIXELS = 2**19

# A mean loss this high says nothing any more: class logits start near one, and the loss of
# guessing among a million classes is 14.
DIVERGED_LOSS = 1e4

# What a record of the history has besides the terms of the losses.
_OF_HISTORY = ("dur", "epoch", "generated_spread", *VALIDATION_NAMES)

# Everything of a net that holds tensors: skorch's name for each is this one and "_".
_MODULES = ("module_", "generator_", "averaged_module_", "averaged_generator_")
_OPTIMIZERS = ("optimizer_", "generator_optimizer_")

# What a training leaves behind besides tensors and the history.
_RESULTS = ("n_steps_", "stop_training_", "loss_names_", "diverged_", "interrupted_")

# What belongs to a training that is going on, and to no copy of the net.
_PASSING = (
    "_batches",
    "_compared",
    "_early_stopping",
    "_latent_order",
    "_making",
    "_numbers_of_callbacks",
    "_remembered",
    "_resumed",
    "_taught",
)

# Parameters that a fitted net needs to predict, to sample and to go on, besides the networks; the
# estimator sets the others whenever it goes on.
_KEPT = (
    "objective",
    "regularizers",
    "latent_dim",
    "unsupervised_weight",
    "adversarial_every",
    "averaging_decay",
    "precision",
    "batch_size",
    "max_epochs",
    "device",
)


Builder = Callable[[], nn.Module]


def network_builders(
    architecture: Architecture, n_outputs: int, latent_dim: int, bounds: np.ndarray, heads: Heads
) -> tuple[Builder, Builder]:
    """Return functions that build the discriminator and the generator of an architecture."""
    # An architecture of the user's own need not know of heads.
    takes_heads = "heads" in inspect.signature(architecture.build_generator).parameters
    own = {"heads": heads} if heads.blocks and takes_heads else {}
    return (
        partial(architecture.build_discriminator, bounds.shape[1:], n_outputs),
        partial(architecture.build_generator, latent_dim, bounds, **own),
    )


class _DivergedError(Exception):
    """The loss or the weights are no longer sensible numbers."""


class _StoppedError(Exception):
    """Something asked for the end of the training."""


class SGANNet(ClassifierMixin, NeuralNet):
    """Private skorch net of `SGANClassifier`; skorch's ``module_`` is the discriminator.

    To callbacks it is a classifier of rows of the model space, whose classes are the codes: what
    predicts is the averaged discriminator.

    Parameters
    ----------
    module, generator : callable
        Build the discriminator and the generator.
    objective : Objective
        The losses of both.
    regularizers : list of Regularizer
        Further terms of the discriminator, prepared for the training rows.
    latent_dim, unsupervised_weight, adversarial_every, averaging_decay
        As in `SGANClassifier`, but all of them numbers.
    precision : {"float32", "bfloat16"}
        As in `SGANClassifier`.
    use_graphs : bool or "auto", default=False
        Whether steps are recorded as CUDA graphs; "auto" is if all parts of a step are known.
    augment : callable, optional
        Changes real rows, whose class it keeps, whenever a batch takes them.
    lr_schedule : callable, optional
        Factor of the learning rates, given the share of the training that has passed.
    n_iter_no_change, tol
        As in `SGANClassifier`; used if the data set has validation rows.
    checkpoints : Checkpoints, optional
        Where the state of a training is kept, and may be taken from.
    discriminator_lr, generator_lr : float
        Initial learning rates.
    **kwargs
        Parameters of `skorch.NeuralNet`.

    Attributes
    ----------
    module_, generator_ : nn.Module
        The networks in training.
    averaged_module_, averaged_generator_ : nn.Module
        The same with averaged weights: what predicts and samples.
    n_steps_ : int
        Number of training steps so far.
    stop_training_ : bool
        Callbacks may set it to end the training after the current epoch.
    loss_names_ : list of str
        Names of the loss terms in the history, which callbacks may add to.
    diverged_ : bool
        Whether the last training was cut short by a senseless loss.
    interrupted_ : bool
        Whether Ctrl-C ended the last training.
    n_epochs_resumed_ : int
        Epochs of the last training that come from a checkpoint.
    """

    network_names: ClassVar[tuple[str, ...]] = _MODULES
    optimizer_names: ClassVar[tuple[str, ...]] = _OPTIMIZERS

    device: str
    _latent_order: torch.Generator | None = None
    _resumed: dict[str, Any] | None = None
    _batches: SemiSupervisedBatches | None = None
    _compared: tuple[Tensor, Tensor] | None = None
    _making: Callable[..., dict[str, Tensor]] | None = None
    _numbers_of_callbacks: OwnNumbers | None = None
    _taught: Dataset | None = None

    def __init__(
        self,
        module: Builder,
        generator: Builder,
        objective: Objective,
        *,
        regularizers: list[Regularizer],
        latent_dim: int,
        unsupervised_weight: float,
        adversarial_every: int,
        averaging_decay: float,
        precision: str,
        discriminator_lr: float,
        generator_lr: float,
        use_graphs: bool | str = False,
        augment: Callable[[Tensor], Tensor] | None = None,
        lr_schedule: Callable[[float], float] | None = None,
        n_iter_no_change: int = 10,
        tol: float = 1e-4,
        checkpoints: Checkpoints | None = None,
        **kwargs: Any,
    ) -> None:
        fused = torch.device(kwargs["device"]).type in ("cpu", "cuda")
        adam = {"betas": (0.5, 0.999), "fused": fused}
        super().__init__(
            module,
            criterion=nn.Identity,  # the objective holds the losses
            optimizer=torch.optim.Adam,
            lr=discriminator_lr,
            optimizer__lr=discriminator_lr,
            **{f"optimizer__{name}": value for name, value in adam.items()},
            generator_optimizer__lr=generator_lr,
            **{f"generator_optimizer__{name}": value for name, value in adam.items()},
            iterator_train=SemiSupervisedBatches,
            train_split=None,  # skorch's default would take labels away
            **kwargs,
        )
        self.generator = generator
        self.objective = objective
        self.regularizers = regularizers
        self.latent_dim = latent_dim
        self.unsupervised_weight = unsupervised_weight
        self.adversarial_every = adversarial_every
        self.averaging_decay = averaging_decay
        self.precision = precision
        self.use_graphs = use_graphs
        self.augment = augment
        self.lr_schedule = lr_schedule
        self.n_iter_no_change = n_iter_no_change
        self.tol = tol
        self.checkpoints = checkpoints

    @property
    def _default_callbacks(self) -> list[tuple[str, Any]]:
        return [("epoch_timer", EpochTimer()), ("print_log", TrainingLog())]

    # --- building -------------------------------------------------------------------------

    def initialize_module(self) -> SGANNet:
        """Build both networks and room for their averages."""
        super().initialize_module()
        self.generator_ = self.initialized_instance(self.generator, {})
        self.averaged_module_ = copy.deepcopy(self.module_).eval()
        self.averaged_generator_ = copy.deepcopy(self.generator_).eval()
        self.n_steps_ = 0
        self.stop_training_ = False
        self.loss_names_: list[str] = []
        self.diverged_ = self.interrupted_ = False
        self.n_epochs_resumed_ = 0
        return self

    def initialize_optimizer(self, triggered_directly: bool | None = None) -> SGANNet:
        """Give each network an optimizer of its own."""
        for name, module in zip(_OPTIMIZERS, (self.module_, self.generator_), strict=True):
            args, kwargs = self.get_params_for_optimizer(name[:-1], module.named_parameters())
            optimizer = self.optimizer(*args, **kwargs)
            for group in optimizer.param_groups:
                group["initial_lr"] = group["lr"]  # which torch's schedules need to go on
            setattr(self, name, optimizer)
        self._making = None  # which knows the old ones
        return self

    def on_train_begin(self, net: Any, X: Any = None, y: Any = None, **kwargs: Any) -> None:
        """Start the discriminator on the data before its first step."""
        super().on_train_begin(net, X=X, y=y, **kwargs)
        self.row_shape_ = tuple(X.rows.shape[1:])
        if self.n_steps_ == 0:
            chosen = torch.randperm(len(X), device=X.rows.device)[:N_START_ROWS]
            chosen = chosen.repeat(-(-MIN_START_ROWS // len(chosen)))
            self.module_.train().initialize_from_data(X.rows[chosen])
            self.averaged_module_.load_state_dict(self.module_.state_dict())
        same_everywhere(getattr(self, name) for name in _MODULES)
        if self.unsupervised_weight > 0:
            for regularizer in self.regularizers:
                regularizer.begin(X.rows, X.codes)

    def on_train_end(self, net: Any, X: Any = None, y: Any = None, **kwargs: Any) -> None:
        """Take the averaged generator's batch statistics, which no average of weights gives."""
        if self.unsupervised_weight > 0:
            n_rows = max(self.batch_size, 2)
            latents = (self._next_latent(n_rows) for _ in range(N_STATISTICS_BATCHES))
            update_bn(latents, self.averaged_generator_)
        self._latent_order = None
        super().on_train_end(net, X=X, y=y, **kwargs)

    # --- training -------------------------------------------------------------------------

    def get_iterator(self, dataset: Any, training: bool = False) -> Any:
        """Return the batches; from those of the training on, each process has its own numbers."""
        if not training:
            return EvaluationBatches(dataset, self._chunk_size())
        iterator = super().get_iterator(dataset, training=training)
        self._latent_order = torch.Generator(self.device).manual_seed(next_seed())
        if process_index() > 0:
            reseed(next_seed() + process_index(), torch.device(self.device))
        self._batches = iterator
        if self._resumed is not None:
            restore_training(self, self._resumed)
            catch_up(self.callbacks_, self.history)
            self._resumed, self._remembered = None, self.snapshot()
            self._n_complete = len(self.history)
        return iterator

    def get_split_datasets(self, X: Any, y: Any = None, **fit_params: Any) -> tuple[Any, Any]:
        """Return the rows of the training, and those that are held back from it."""
        if any(scores_training_rows(callback) for _, callback in self.callbacks_):
            self._taught = X.labeled_subset()
        return X, X.held_out()

    def fit_loop(self, X: Any, y: Any = None, epochs: int | None = None, **kwargs: Any) -> SGANNet:
        """Train, and fall back on the last sensible epoch if the numbers run away.

        With validation rows in the data set, the best epoch is kept in the end.
        """
        self.diverged_ = self.interrupted_ = self.stop_training_ = False
        self._first_epoch = self._n_complete = len(self.history)
        self._n_epochs = self.max_epochs if epochs is None else epochs
        self._early_stopping = None
        if X.validation is not None:
            self._early_stopping = EarlyStopping(self.n_iter_no_change, self.tol)
        self._remembered = self.snapshot()
        if self.checkpoints is not None:
            check = partial(check_training, self, X)
            self._resumed = self.checkpoints.begin(torch.device(self.device), self._n_epochs, check)
        self.n_epochs_resumed_ = 0 if self._resumed is None else len(self._resumed["history"])
        try:
            super().fit_loop(X, y, self._n_epochs - self.n_epochs_resumed_, **kwargs)
            self._write_checkpoint(is_last=True)
        except _StoppedError:
            pass
        except _DivergedError:
            self.diverged_ = True
            self.restore(self._remembered)
        except KeyboardInterrupt as error:
            self._break_off(asked=raised_by_statement(error))
        finally:
            if self._early_stopping is not None:
                self._early_stopping.restore_best(self)
            del self._remembered, self._early_stopping
            self._resumed = self._batches = self._compared = self._taught = None
            self._making = None
            # Gradients lie in the memory of a recording, and hold it.
            self.optimizer_.zero_grad(set_to_none=True)
            self.generator_optimizer_.zero_grad(set_to_none=True)
        return self

    def _break_off(self, *, asked: bool) -> None:
        """Keep what was learned so far; `asked` says that a callback wants the end of the training.

        An epoch that is not complete is left out of the history.
        """
        self.interrupted_ = not asked
        if len(self.history) > self._n_complete:
            self.history.pop()
        elif self.history and "dur" not in self.history[-1]:
            timer = dict(self.callbacks_)["epoch_timer"]
            self.history.record("dur", time.time() - timer.epoch_start_time_)
        if not self._is_finite():
            self.restore(self._remembered)

    def partial_fit(self, X: Any, y: Any = None, classes: Any = None, **fit_params: Any) -> SGANNet:
        """Train; unlike skorch's, no interrupt is lost."""
        if not self.initialized_:
            self.initialize()
        check_fit_for_training(self.callbacks_, held_out=X.validation is not None)
        self._numbers_of_callbacks = OwnNumbers(torch.initial_seed(), torch.device(self.device))
        self.notify("on_train_begin", X=X, y=y)
        self.fit_loop(X, y, **fit_params)
        self.notify("on_train_end", X=X, y=y)
        self._numbers_of_callbacks = None
        return self

    def notify(self, method_name: str, **kwargs: Any) -> None:
        """Call a method of the net and of all callbacks, which draw from a stream of their own."""
        getattr(self, method_name)(self, **kwargs)
        if method_name == "on_epoch_begin" and self._numbers_of_callbacks is not None:
            self._numbers_of_callbacks.begin(len(self.history))
        for _, callback in self.callbacks_:
            if not scores_training_rows(callback):
                self._call(callback, method_name, **kwargs)
            elif method_name in ("on_epoch_begin", "on_epoch_end"):
                self._call(callback, method_name, **{**kwargs, "dataset_train": self._taught})
            # Not the steps of the training: it gets batches of the labeled rows.
            elif not kwargs.get("training"):
                self._call(callback, method_name, **kwargs)

    def _call(self, callback: Any, method_name: str, **kwargs: Any) -> None:
        numbers = self._numbers_of_callbacks if may_draw(callback, method_name) else None
        with nullcontext() if numbers is None else numbers.drawn():
            getattr(callback, method_name)(self, **kwargs)

    def on_epoch_begin(self, net: Any, **kwargs: Any) -> None:
        """Stop, if that was asked for, before a new record of the history is begun."""
        is_last = any_process(self.stop_training_, self.device)
        # Not at the end of an epoch, where callbacks still add to its record.
        self._write_checkpoint(is_last)
        if is_last:
            raise _StoppedError
        super().on_epoch_begin(net, **kwargs)

    def _write_checkpoint(self, is_last: bool) -> None:
        """Keep the state after the epoch before, if that is due."""
        n_epochs = len(self.history)
        if self.checkpoints is None or n_epochs == self.n_epochs_resumed_:
            return
        if is_last or n_epochs % self.checkpoints.every == 0:
            self.checkpoints.write(n_epochs, training_state(self))

    def run_single_epoch(
        self,
        iterator: Any,
        training: bool,
        prefix: str,
        step_fn: Callable[..., dict[str, Any]],
        **fit_params: Any,
    ) -> None:
        """Train for one epoch, or look at the rows that are held back after it."""
        if training:
            self._train_epoch(iterator, step_fn, **fit_params)
            self._score_taught_rows()
            return
        if iterator is not None:
            self._validate(iterator)
        self._n_complete = len(self.history)  # skorch validates last

    def _train_epoch(
        self,
        batches: SemiSupervisedBatches,
        step_fn: Callable[..., dict[str, Any]],
        **fit_params: Any,
    ) -> None:
        """Train for one epoch and record the mean of every loss term.

        Unlike skorch's, it keeps the terms on the device until the epoch ends, and a record of
        each batch only where a callback reads them.
        """
        # Steps with and without the adversarial part have other terms.
        sums: dict[tuple[str, ...], list[Tensor]] = {}
        n_summed: Counter[tuple[str, ...]] = Counter()
        records_batches = reads_batches(self.callbacks_)
        for i, batch in enumerate(batches):
            give_way(torch.device(self.device))
            self.notify("on_batch_begin", batch=batch, training=True)
            self._follow_schedule(i / len(batches))
            # From the start of each epoch, so that none is without a record of the generator.
            adversarial = i % self.adversarial_every == 0
            step = step_fn(batch, adversarial=adversarial, **fit_params)
            names, values = tuple(step["terms"]), list(step["terms"].values())
            if names not in sums:
                sums[names] = [torch.zeros((), device=self.device) for _ in values]
            torch._foreach_add_(sums[names], values)
            n_summed[names] += 1
            if records_batches:
                for name, value in {"train_loss": step["loss"], **step["terms"]}.items():
                    self.history.record_batch(name, float(value))
                self.history.record_batch("train_batch_size", len(batch.unlabeled))
            self.notify("on_batch_end", batch=batch, training=True, **step)
        means = self._means(sums, n_summed)
        for name, mean in means.items():
            self.history.record(name, mean)
        if self._compared is not None:
            spread = relative_spread(*map(rows_of_processes, self._compared))
            self.history.record("generated_spread", float(spread))
        self.loss_names_ = list(dict.fromkeys([*self.loss_names_, *means]))
        losses = np.array(list(means.values()))
        if not (np.abs(losses) < DIVERGED_LOSS).all() or not self._is_finite():
            raise _DivergedError
        self._remembered = self.snapshot()

    # --- what skorch's scoring callbacks see -------------------------------------------------

    def _validate(self, batches: EvaluationBatches) -> None:
        """Record loss and accuracy on the rows that are held back, and whether they are best."""
        results = []
        for batch in batches:
            self.notify("on_batch_begin", batch=batch, training=False)
            step = self.validation_step(batch)
            n_right = int((step["y_pred"].argmax(dim=1) == batch[1].to(self.device)).sum())
            results.append((len(batch[1]), float(step["loss"]), n_right))
            self.history.record_batch("valid_batch_size", len(batch[1]))
            self.history.record_batch("valid_loss", float(step["loss"]))
            self.history.record_batch("valid_acc", n_right / len(batch[1]))
            self.notify("on_batch_end", batch=batch, training=False, **step)
        n_rows = sum(size for size, _, _ in results)
        loss = sum(size * loss for size, loss, _ in results) / n_rows
        accuracy = sum(n_right for _, _, n_right in results) / n_rows
        for name, value, sign in (("valid_loss", loss, -1), ("valid_acc", accuracy, 1)):
            before = islice(reversed(self.history), 1, None)
            best = next((r[name] for r in before if r.get(f"{name}_best")), -sign * math.inf)
            self.history.record(name, value)
            self.history.record(f"{name}_best", sign * value > sign * best)
        if self._early_stopping is not None:
            self._early_stopping.look(self, accuracy)

    def _score_taught_rows(self) -> None:
        """Show the labeled rows of the training to the callbacks that score them."""
        if self._taught is None:
            return
        for batch in self.get_iterator(self._taught, training=False):
            self.history.new_batch()
            step = self.validation_step(batch)
            self.history.record_batch("train_batch_size", len(batch[1]))
            for _, callback in self.callbacks_:
                if scores_training_rows(callback):
                    self._call(callback, "on_batch_end", batch=batch, training=True, **step)

    def validation_step(self, batch: Any, **fit_params: Any) -> dict[str, Tensor]:
        """Return the loss and the class logits of labeled rows."""
        rows, codes = batch
        logits = self.infer(rows)
        return {"loss": cross_entropy(logits, codes.to(logits.device)), "y_pred": logits}

    def evaluation_step(self, batch: Any, training: bool = False) -> Tensor:
        """Return the class logits of rows, whose networks stay in their mode."""
        return self.infer(batch[0])

    @property
    def classes_(self) -> np.ndarray:
        """Codes of the classes."""
        logits = self.infer(torch.zeros(1, *self.row_shape_))
        return np.arange(logits.shape[1])

    def infer(self, x: Any, **fit_params: Any) -> Tensor:
        """Return the class logits of rows of the model space, by the averaged discriminator."""
        mind_fork()
        with torch.no_grad():
            outputs = self.averaged_module_(to_tensor(x, device=self.device))
            logits: Tensor = self.objective.class_logits(outputs)
            return logits

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return class probabilities of rows of the model space, or of a data set of them."""
        probabilities: np.ndarray = self.forward(X).softmax(dim=1).numpy()
        return probabilities

    def predict(self, X: Any) -> np.ndarray:
        """Return class codes of rows of the model space, or of a data set of them."""
        return self.predict_proba(X).argmax(axis=1)

    # --- one step ------------------------------------------------------------------------------

    @staticmethod
    def _means(
        sums: dict[tuple[str, ...], list[Tensor]], n_summed: Counter[tuple[str, ...]]
    ) -> dict[str, float]:
        """Return the mean of each term over the steps, of all processes, that have it."""
        totals: defaultdict[str, float] = defaultdict(float)
        n_steps: Counter[str] = Counter()
        for names, values in sums.items():
            for name, total in zip(
                names, mean_over_processes(torch.stack(values)).tolist(), strict=True
            ):
                totals[name] += total
                n_steps[name] += n_summed[names]
        return {name: total / n_steps[name] for name, total in totals.items()}

    def _follow_schedule(self, share_of_epoch: float) -> None:
        """Set both learning rates for a step of the epoch."""
        if self.lr_schedule is None:
            return
        n_passed = len(self.history) - 1 - self._first_epoch
        passed = (n_passed + share_of_epoch) / self._n_epochs
        factor = self.lr_schedule(passed)
        if not 0 <= factor < math.inf:
            raise ValueError(
                "The 'lr_schedule' parameter of Training must return a factor of at least 0. "
                f"Got {factor!r} after {passed:.3f} of the training."
            )
        for optimizer, lr in (
            (self.optimizer_, self.optimizer__lr),
            (self.generator_optimizer_, self.generator_optimizer__lr),
        ):
            for group in optimizer.param_groups:
                group["lr"] = factor * lr

    def train_step(
        self, batch: Batch, adversarial: bool = True, **fit_params: Any
    ) -> dict[str, Any]:
        """Step the discriminator with the generator frozen, then the reverse.

        Without its adversarial part, only the discriminator steps, and learns from the labels
        and the regularizers alone.
        """
        latent = None
        if self.unsupervised_weight > 0 and adversarial:
            # One pass of the generator serves both steps; at least two rows, for BatchNorm.
            latent = self._next_latent(max(self.batch_size, 2))
        if self._making is None:
            self._making = self._graphed() if self._records_steps() else self._step
        terms = self._making(batch, latent, self._numbers())
        self.n_steps_ += 1
        # skorch's callbacks expect a y_pred.
        return {"loss": terms["discriminator_loss"], "terms": terms, "y_pred": None}

    def _records_steps(self) -> bool:
        if self.use_graphs != "auto":
            return bool(self.use_graphs)
        networks = [*self.module_.modules(), *self.generator_.modules()]
        others = [self.objective, *self.regularizers, self.augment or nn.Identity()]
        return is_recordable([*networks, *others], [callback for _, callback in self.callbacks_])

    def _graphed(self) -> GraphedStep:
        return GraphedStep(
            self._step,
            [self.optimizer_, self.generator_optimizer_],
            torch.device(self.device),
            needed=self.use_graphs != "auto",
        )

    def _numbers(self) -> list[float]:
        """Return what changes from step to step besides the rows.

        The share of the trained weights in their averages is ``1 - min(decay, 1 - 1/t)``: the
        first steps form a plain mean, without memory of the random start. After it come the
        factors of the regularizers.
        """
        share = 1 - min(self.averaging_decay, 1 - 1 / (self.n_steps_ + 1))
        factors = (
            self.unsupervised_weight * regularizer.weight * regularizer.ramp(self.n_steps_)
            for regularizer in self.regularizers
        )
        return [share, *factors]

    def _step(
        self, batch: Batch, latent: Tensor | None, numbers: Sequence[float | Tensor]
    ) -> dict[str, Tensor]:
        """Make the step of latent vectors, if there are any, and numbers; return its terms.

        A GPU may repeat it without Python: all that goes from one step to the next are tensors,
        which keep their places.
        """
        self.module_.train()
        self.generator_.train()
        share, *factors = numbers
        given, batch = batch, self._augmented(batch)
        generated = None if latent is None else self._at_work(self.generator_)(latent)
        terms = self._discriminator_step(batch, generated, given, factors)
        if generated is not None:
            of_generator = self._generator_step(batch, generated)
            self._refuse_clashes(terms, of_generator)
            terms |= of_generator
            self._compared = generated.detach(), batch.real
        self._average(share)
        return terms

    def _at_work(self, module: Any) -> Any:
        """Return a network as the steps of a training call it, with the same weights."""
        return in_precision(module, self.precision)

    def _augmented(self, batch: Batch) -> Batch:
        """Return the batch with all its real rows changed at random."""
        if self.augment is None:
            return batch
        names = ("labeled", "unlabeled", "real")
        rows = [getattr(batch, name) for name in names]
        changed = self.augment(torch.cat(rows)).split([len(part) for part in rows])
        return batch._replace(**dict(zip(names, changed, strict=True)))

    def _discriminator_step(
        self,
        batch: Batch,
        generated: Tensor | None,
        given: Batch,
        factors: Sequence[float | Tensor],
    ) -> dict[str, Tensor]:
        discriminator = self._at_work(self.module_)
        if generated is None:
            losses = self.objective.supervised_loss(discriminator, batch)
        else:
            losses = self.objective.discriminator_loss(
                discriminator, batch, generated.detach(), self.unsupervised_weight
            )
        if self.regularizers and self.unsupervised_weight > 0:
            self._regularize(losses, given, factors)
        return self._minimize(losses, "discriminator_loss", batch)

    def _regularize(
        self, losses: dict[str, Tensor], given: Batch, factors: Sequence[float | Tensor]
    ) -> None:
        """Add the terms of the regularizers to ``losses["loss"]``, and record each by its name.

        `given` is the batch as it was before any augmentation.
        """
        unlabeled = UnlabeledRows(
            given.unlabeled,
            self._at_work(self.module_),
            self._at_work(self.averaged_module_),
            self.objective.class_logits,
            self.augment or nn.Identity(),
            given.unlabeled_indices,
        )
        for regularizer, factor in zip(self.regularizers, factors, strict=True):
            term = regularizer.loss(unlabeled)
            losses["loss"] = losses["loss"] + factor * term
            if regularizer.name in losses:
                raise ValueError(
                    f"The name of {type(regularizer).__name__} must differ from the terms of the "
                    f"objective, {sorted(losses)}. Got {regularizer.name!r}: the objective has "
                    "such a term already."
                )
            losses[regularizer.name] = term

    def _refuse_clashes(self, terms: dict[str, Tensor], of_generator: dict[str, Tensor]) -> None:
        """Refuse names that both networks give to a term: one would hide the other in history."""
        clashes = sorted({*terms, *_OF_HISTORY} & set(of_generator))
        if clashes:
            raise ValueError(
                f"The terms of {type(self.objective).__name__}.generator_loss must have other "
                f"names than those of the discriminator, {sorted(terms)}, and of other entries of "
                f"the history, {sorted(_OF_HISTORY)}. Got {clashes}: rename them."
            )

    def _generator_step(self, batch: Batch, generated: Tensor) -> dict[str, Tensor]:
        with _frozen(self.module_):
            discriminator = self._at_work(self.module_)
            losses = self.objective.generator_loss(discriminator, batch, generated)
            return self._minimize(losses, "generator_loss", batch)

    def _minimize(
        self, losses: dict[str, Tensor], loss_name: str, batch: Batch
    ) -> dict[str, Tensor]:
        """Step down ``losses["loss"]`` and return all terms without gradients."""
        of_generator = loss_name == "generator_loss"
        module = self.generator_ if of_generator else self.module_
        optimizer = self.generator_optimizer_ if of_generator else self.optimizer_
        optimizer.zero_grad(set_to_none=True)
        losses["loss"].backward()
        average_gradients(module)
        weights = TeeGenerator(module.named_parameters())
        self.notify("on_grad_computed", named_parameters=weights, batch=batch, training=True)
        optimizer.step()
        return {
            loss_name if name == "loss" else name: value.detach() for name, value in losses.items()
        }

    def draw_latent(self, n_rows: int) -> Tensor:
        """Draw latent vectors from the standard normal distribution."""
        return torch.randn(n_rows, self.latent_dim, device=self.device)

    def _next_latent(self, n_rows: int) -> Tensor:
        """Draw those of a training step: parts of one draw, where processes train together."""
        size = n_processes() * n_rows, self.latent_dim
        return own_part(torch.randn(size, generator=self._latent_order, device=self.device))

    @torch.no_grad()
    def _average(self, share: float | Tensor) -> None:
        """Move the averages: ``a += share (w - a)``."""
        for averaged, trained in (
            (self.averaged_module_, self.module_),
            (self.averaged_generator_, self.generator_),
        ):
            means, weights = list(averaged.parameters()), list(trained.parameters())
            if isinstance(share, Tensor):  # for which there is no lerp of many tensors
                gaps = torch._foreach_sub(weights, means)
                torch._foreach_mul_(gaps, share)
                torch._foreach_add_(means, gaps)
            else:
                torch._foreach_lerp_(means, weights, share)
            if buffers := list(averaged.buffers()):
                torch._foreach_copy_(buffers, list(trained.buffers()))

    # --- what it has learned -----------------------------------------------------------------

    def outputs(self, rows: Rows) -> Tensor:
        """Return the averaged discriminator's outputs for any number of rows, on the CPU."""
        return self._in_chunks(self.averaged_module_, rows)

    def generated(self, latent: Tensor) -> Tensor:
        """Return the rows that the averaged generator makes of latent vectors, on the CPU."""
        return self._in_chunks(self.averaged_generator_, latent)

    def copied(self) -> SGANNet:
        """Return the net as it is in the midst of a training, without callbacks."""
        passing = ("callbacks", "callbacks_", *_PASSING)
        bare: SGANNet = object.__new__(type(self))
        bare.__dict__.update({k: v for k, v in self.__dict__.items() if k not in passing})
        bare.__dict__.update(callbacks=[], callbacks_=[])
        return copy.deepcopy(bare)

    def snapshot(self) -> dict[str, Any]:
        """Return a copy of all weights, with the number of steps behind them."""
        weights = {
            name: {key: value.clone() for key, value in getattr(self, name).state_dict().items()}
            for name in _MODULES
        }
        return {"n_steps_": self.n_steps_, **weights}

    def restore(self, snapshot: dict[str, Any]) -> None:
        """Go back to the weights of a snapshot, with new optimizers: the moments are others'."""
        for name in _MODULES:
            getattr(self, name).load_state_dict(snapshot[name])
        self.n_steps_ = snapshot["n_steps_"]
        self.initialize_optimizer()

    def _in_chunks(self, module: nn.Module, x: Rows) -> Tensor:
        """Apply a network to many rows or latent vectors in bounded memory."""
        mind_fork()
        with torch.inference_mode():
            parts = (x[rows].to(self.device) for rows in gen_batches(len(x), self._chunk_size()))
            return torch.cat([module(part).cpu() for part in parts])

    def _chunk_size(self) -> int:
        is_image = len(self.row_shape_) == 3
        n_pixels = math.prod(self.row_shape_[1:]) if is_image else CHUNK_PIXELS // CHUNK
        return min(CHUNK, max(1, CHUNK_PIXELS // n_pixels))

    def _is_finite(self) -> bool:
        # Not the weights alone: statistics of batches may overflow before them.
        modules = (self.averaged_module_, self.averaged_generator_)
        return all(bool(v.isfinite().all()) for m in modules for v in m.state_dict().values())

    # --- pickling -------------------------------------------------------------------------

    def __getstate__(self) -> dict[str, Any]:
        """Replace modules and optimizers by their states as numpy arrays."""
        # A callback may pickle the net in the midst of a training.
        state = {name: value for name, value in self.__dict__.items() if name not in _PASSING}
        state["tensors"] = {
            name: to_arrays(state.pop(name).state_dict())
            for name in (*_MODULES, *_OPTIMIZERS)
            if name in state
        }
        return state

    @with_plain_settings
    def __setstate__(self, state: dict[str, Any]) -> None:
        """Build the modules anew, on the CPU where the fitted device is missing."""
        state = dict(state)
        tensors = state.pop("tensors")
        self.__dict__.update(state)
        self.device = str(device_or_cpu(self.device))
        if not tensors:
            return
        self._rebuild(tensors, {name: state[name] for name in _RESULTS})

    def _rebuild(self, tensors: dict[str, Any], results: dict[str, Any]) -> None:
        """Build modules and optimizers anew and give them their old states."""
        with seeded(0, torch.device(self.device)):
            self.initialize_module()
        for name in _MODULES:
            getattr(self, name).to(self.device)
        self.initialize_optimizer()
        self.__dict__.update(results)
        for name, values in tensors.items():
            getattr(self, name).load_state_dict(to_tensors(values))

    def plain_state(self) -> dict[str, Any]:
        """Return what `from_plain_state` needs to rebuild the net."""
        return {
            "params": {name: getattr(self, name) for name in _KEPT},
            "results": {name: getattr(self, name) for name in _RESULTS},
            "history": [
                {name: value for name, value in record.items() if name != "batches"}
                for record in self.history
            ],
            "networks": {name: to_arrays(getattr(self, name).state_dict()) for name in _MODULES},
            "optimizers": {name: moments(getattr(self, name)) for name in _OPTIMIZERS},
        }

    @classmethod
    def from_plain_state(
        cls,
        state: dict[str, Any],
        module: Builder,
        generator: Builder,
        row_shape: tuple[int, ...],
    ) -> SGANNet:
        """Return the net of a plain state, on the CPU where the fitted device is missing.

        Raises ValueError where it holds what no net of these networks has.
        """
        params, results = state["params"], state["results"]
        if set(params) != set(_KEPT) or set(results) != set(_RESULTS):
            raise ValueError(f"The parameters {sorted(params)} are not those of a network.")
        device = str(device_or_cpu(params["device"]))
        rates = {
            "discriminator_lr": state["optimizers"]["optimizer_"]["lr"],
            "generator_lr": state["optimizers"]["generator_optimizer_"]["lr"],
        }
        net = cls(
            module, generator, **{**params, "device": device}, **rates, verbose=0, warm_start=True
        )
        net._check_state(state)
        with seeded(0, torch.device(device)):
            net.initialize()
        net.__dict__.update(results)
        net.row_shape_ = row_shape
        for name, arrays in state["networks"].items():
            getattr(net, name).load_state_dict(to_tensors(arrays))
        for name, kept in state["optimizers"].items():
            restore_moments(getattr(net, name), kept)
        restore_history(net, state["history"])
        return net

    def _check_state(self, state: dict[str, Any]) -> None:
        """Raise ValueError where a state is not like that of the networks to be built.

        These are built without memory first: a file may name sizes that fit in no machine.
        """
        with torch.device("meta"):
            discriminator, generator = self.module(), self.generator()
        networks, optimizers = state["networks"], state["optimizers"]
        if set(networks) != set(_MODULES) or set(optimizers) != set(_OPTIMIZERS):
            raise ValueError("A model has two networks, their averages and two optimizers.")
        for name, arrays in networks.items():
            check_weights(generator if "generator" in name else discriminator, arrays)
        for name, kept in optimizers.items():
            network = generator if "generator" in name else discriminator
            check_moments(list(network.parameters()), kept)
        check_progress(state["results"])
        check_history(state["history"])


@contextmanager
def _frozen(module: nn.Module) -> Iterator[None]:
    """Let no gradient reach the weights of `module`."""
    trained = [weight for weight in module.parameters() if weight.requires_grad]
    for weight in trained:
        weight.requires_grad_(False)
    try:
        yield
    finally:
        for weight in trained:
            weight.requires_grad_(True)
