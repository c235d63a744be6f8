"""`SGANNet`: a skorch net of two networks with averaged weights."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
import torch
from sklearn.base import ClassifierMixin
from skorch import NeuralNet
from skorch.callbacks import EpochTimer
from skorch.utils import to_tensor
from torch import Tensor, nn
from torch.optim.swa_utils import update_bn

from sgan_sklearn._data.batches import Batch, EvaluationBatches, SemiSupervisedBatches
from sgan_sklearn._data.rows import Rows
from sgan_sklearn._runtime.device import device_or_cpu
from sgan_sklearn._runtime.interrupts import raised_by_statement
from sgan_sklearn._runtime.loops import apply_in_chunks, chunk_size
from sgan_sklearn._runtime.processes import any_process, broadcast_state
from sgan_sklearn._runtime.progress import TrainingLog
from sgan_sklearn._runtime.random import seeded
from sgan_sklearn._runtime.settings import with_plain_settings
from sgan_sklearn._runtime.threads import limit_threads_after_fork, threads_for
from sgan_sklearn._storage.checkpoints import Checkpoints
from sgan_sklearn._storage.state import RESULTS, to_arrays, to_tensors
from sgan_sklearn._target import ClassTarget
from sgan_sklearn._training.epoch import (
    DivergedError,
    StoppedError,
    score_labeled_rows,
    train_epoch,
    validate,
)
from sgan_sklearn._training.run import Run
from sgan_sklearn._training.skorch_callbacks import (
    check_fit_for_training,
    may_draw,
    replay_epochs,
    scores_training_rows,
)
from sgan_sklearn.architectures._base import Builder
from sgan_sklearn.objectives import Objective
from sgan_sklearn.regularizers import Regularizer

__all__ = ["SGANNet"]

# Maximum and minimum number of rows for the data-dependent initialization. Fewer rows are repeated
# with other noise: the deviations of a handful may be near zero, and the weights too large.
N_START_ROWS, MIN_START_ROWS = 500, 100

# Number of batches for the BatchNorm statistics of the averaged generator.
N_STATISTICS_BATCHES = 50


class SGANNet(ClassifierMixin, NeuralNet):
    """Private skorch net of `SGANClassifier`; skorch's ``module_`` is the discriminator.

    For callbacks it is a classifier of rows of the model space whose classes are the codes. The
    averaged discriminator predicts.

    Parameters
    ----------
    module, generator : callable
        Functions that build the discriminator and the generator.
    objective : Objective
        Losses of both networks.
    regularizers : list of Regularizer
        Further loss terms of the discriminator, prepared for the training rows.
    latent_dim, unsupervised_weight, adversarial_every, averaging_decay
        As in `SGANClassifier` and `Training`, but without "auto".
    precision : {"float32", "bfloat16"}
        As in `Training`.
    labeled_batch_size : int, optional
        Number of labeled rows in a step; the default is `batch_size`.
    record_steps : bool or "auto", default=False
        Whether to record steps; "auto" records if all parts of a step are known.
    augment : callable, optional
        Augmentation of the real rows of each batch.
    lr_schedule : callable, optional
        Factor of the learning rates, given the share of the training that has passed.
    max_time : float, optional
        Seconds after which the training ends.
    n_iter_no_change, tol
        Options of early stopping, which is used if the data set has validation rows.
    checkpoints : Checkpoints, optional
        Checkpoints of the training.
    discriminator_lr, generator_lr : float
        Initial learning rates.
    **kwargs
        Parameters of `skorch.NeuralNet`.

    Attributes
    ----------
    module_, generator_ : nn.Module
        Networks in training.
    averaged_module_, averaged_generator_ : nn.Module
        The networks with averaged weights, which predict and sample.
    n_steps_ : int
        Number of training steps.
    stop_training_ : bool
        Callbacks can set it to stop the training after the current epoch.
    loss_names_ : list of str
        Names of the loss terms in the history; callbacks may add other entries.
    diverged_ : bool
        Whether the last training was stopped because it diverged.
    interrupted_ : bool
        Whether Ctrl-C stopped the last training.
    n_epochs_resumed_ : int
        Number of epochs of the last training that come from a checkpoint.
    """

    network_names: ClassVar[tuple[str, ...]] = (
        "module_",
        "generator_",
        "averaged_module_",
        "averaged_generator_",
    )
    optimizer_names: ClassVar[tuple[str, ...]] = ("optimizer_", "generator_optimizer_")

    device: str
    n_steps_: int
    n_epochs_resumed_: int
    loss_names_: list[str]
    stop_training_: bool
    diverged_: bool
    interrupted_: bool
    _run: Run | None = None

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
        labeled_batch_size: int | None = None,
        record_steps: bool | str = False,
        augment: Callable[[Tensor], Tensor] | None = None,
        lr_schedule: Callable[[float], float] | None = None,
        max_time: float | None = None,
        n_iter_no_change: int = 10,
        tol: float = 1e-4,
        checkpoints: Checkpoints | None = None,
        **kwargs: Any,
    ) -> None:
        fused = torch.device(kwargs["device"]).type in ("cpu", "cuda")
        adam = {"betas": (0.5, 0.999), "fused": fused}
        super().__init__(
            module,
            criterion=nn.Identity,  # the objective defines the losses
            optimizer=torch.optim.Adam,
            lr=discriminator_lr,
            optimizer__lr=discriminator_lr,
            **{f"optimizer__{name}": value for name, value in adam.items()},
            generator_optimizer__lr=generator_lr,
            **{f"generator_optimizer__{name}": value for name, value in adam.items()},
            iterator_train=SemiSupervisedBatches,
            train_split=None,  # the default of skorch would hold out labeled rows
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
        self.labeled_batch_size = labeled_batch_size
        self.record_steps = record_steps
        self.augment = augment
        self.lr_schedule = lr_schedule
        self.max_time = max_time
        self.n_iter_no_change = n_iter_no_change
        self.tol = tol
        self.checkpoints = checkpoints

    @property
    def _default_callbacks(self) -> list[tuple[str, Any]]:
        return [("epoch_timer", EpochTimer()), ("print_log", TrainingLog())]

    # --- initialization -----------------------------------------------------------------------

    def initialize_module(self) -> SGANNet:
        """Build the networks and reset the results of the training."""
        self._build_networks()
        self.__dict__.update(copy.deepcopy(RESULTS))
        return self

    def _build_networks(self) -> None:
        super().initialize_module()
        self.generator_ = self.initialized_instance(self.generator, {})
        self.averaged_module_ = copy.deepcopy(self.module_).eval()
        self.averaged_generator_ = copy.deepcopy(self.generator_).eval()

    def initialize_optimizer(self, triggered_directly: bool | None = None) -> SGANNet:
        """Create an optimizer for each network."""
        modules = (self.module_, self.generator_)
        for name, module in zip(self.optimizer_names, modules, strict=True):
            args, kwargs = self.get_params_for_optimizer(name[:-1], module.named_parameters())
            optimizer_class: Any = getattr(module, "optimizer", self.optimizer)
            optimizer = optimizer_class(*args, **kwargs)
            for group in optimizer.param_groups:
                group["initial_lr"] = group["lr"]  # schedules of torch need it to continue
            setattr(self, name, optimizer)
        if self._run is not None:
            self._run.step.reset()
        return self

    @property
    def trains_generator(self) -> bool:
        """Whether the training has adversarial steps."""
        return self.objective.uses_generator and self.unsupervised_weight > 0

    @property
    def no_generator_reason(self) -> str:
        """Part of a message: why no generator is trained, and the remedy."""
        if self.unsupervised_weight == 0:
            return "unsupervised_weight=0 trains none. Fit with unsupervised_weight > 0"
        name = type(self.objective).__name__
        return f"the objective {name} trains none. Fit with another objective"

    # --- training -----------------------------------------------------------------------------

    def partial_fit(self, X: Any, y: Any = None, classes: Any = None, **fit_params: Any) -> SGANNet:
        """Train; in contrast to skorch, an interrupt is recorded."""
        if not self.initialized_:
            self.initialize()
        check_fit_for_training(self.callbacks_, held_out=X.validation is not None)
        self._run = Run(self, X, fit_params.get("epochs"))
        try:
            with threads_for(self.module_, self.generator_):
                self.notify("on_train_begin", X=X, y=y)
                self.fit_loop(X, y, **fit_params)
                self.notify("on_train_end", X=X, y=y)
        finally:
            self._run = None
        return self

    def fit_loop(self, X: Any, y: Any = None, epochs: int | None = None, **kwargs: Any) -> SGANNet:
        """Train, and return to the last complete epoch if the training diverges.

        With validation rows in the data set, the best epoch is restored at the end.
        """
        run = self._current_run()
        self.diverged_ = self.interrupted_ = self.stop_training_ = False
        run.complete_epoch()
        try:
            super().fit_loop(X, y, run.n_epochs_left, **kwargs)
            run.write_checkpoint(is_last=True)
        except StoppedError:
            pass
        except DivergedError:
            self.diverged_ = True
            self.restore(run.snapshot)
        except KeyboardInterrupt as error:
            self._keep_interrupted(by_callback=raised_by_statement(error))
        finally:
            if run.early_stopping is not None:
                run.early_stopping.restore_best(self)
            run.step.reset()
            # Gradients are in the memory of a recording, which they would keep alive.
            self.optimizer_.zero_grad(set_to_none=True)
            self.generator_optimizer_.zero_grad(set_to_none=True)
        return self

    def _current_run(self) -> Run:
        """Return the current run; single steps outside `fit` start one."""
        if self._run is None:
            self._run = Run(self)
        return self._run

    def _keep_interrupted(self, *, by_callback: bool) -> None:
        """Keep the model so far; `by_callback` says if a callback stopped the training.

        The history keeps complete epochs only.
        """
        run = self._current_run()
        self.interrupted_ = not by_callback
        if len(self.history) > run.n_complete:
            self.history.pop()
        elif self.history and "dur" not in self.history[-1]:
            timer = dict(self.callbacks_)["epoch_timer"]
            self.history.record("dur", time.time() - timer.epoch_start_time_)
        if not self.is_finite():
            self.restore(run.snapshot)

    def get_split_datasets(self, X: Any, y: Any = None, **fit_params: Any) -> tuple[Any, Any]:
        """Return the training rows and the validation rows."""
        return X, X.held_out()

    def get_iterator(self, dataset: Any, training: bool = False) -> Any:
        """Return batches; those of the training start its loop."""
        if not training:
            return EvaluationBatches(dataset, chunk_size(self.row_shape_))
        batches = SemiSupervisedBatches(dataset, self.batch_size, self.labeled_batch_size)
        if self._current_run().start(batches):
            replay_epochs(self.callbacks_, self.history)
        return batches

    def notify(self, method_name: str, **kwargs: Any) -> None:
        """Call a method of the net and of all callbacks, which have their own random numbers."""
        if self._run is None or self._run.callback_random is None:  # all callbacks only observe
            super().notify(method_name, **kwargs)
            return
        getattr(self, method_name)(self, **kwargs)
        if method_name == "on_epoch_begin":
            self._run.callback_random.start_epoch(len(self.history))
        for _, callback in self.callbacks_:
            if not scores_training_rows(callback):
                self.call(callback, method_name, **kwargs)
            elif method_name in ("on_epoch_begin", "on_epoch_end"):
                rows = {**kwargs, "dataset_train": self._run.labeled_rows}
                self.call(callback, method_name, **rows)
            # It gets batches of the labeled rows instead of the training steps.
            elif not kwargs.get("training"):
                self.call(callback, method_name, **kwargs)

    def call(self, callback: Any, method_name: str, **kwargs: Any) -> None:
        """Call a method of a callback with its own random numbers."""
        method = getattr(callback, method_name)
        random = None if self._run is None else self._run.callback_random
        if random is None or not may_draw(callback, method_name):
            method(self, **kwargs)
            return
        with random.active():
            method(self, **kwargs)

    def on_train_begin(self, net: Any, X: Any = None, y: Any = None, **kwargs: Any) -> None:
        """Initialize the discriminator from the data before its first step."""
        super().on_train_begin(net, X=X, y=y, **kwargs)
        self.row_shape_ = tuple(X.rows.shape[1:])
        if self.n_steps_ == 0:
            chosen = torch.randperm(len(X), device=X.rows.device)[:N_START_ROWS]
            chosen = chosen.repeat(-(-MIN_START_ROWS // len(chosen)))
            self.module_.train().initialize_from_data(X.rows[chosen])
            self.averaged_module_.load_state_dict(self.module_.state_dict())
        broadcast_state(getattr(self, name) for name in self.network_names)
        run = self._current_run()
        run.load_checkpoint()
        # A checkpoint holds what a regularizer has learned from the rows.
        if self.unsupervised_weight > 0 and not run.resumes:
            for regularizer in self.regularizers:
                if not regularizer.has_ended(self.n_steps_):
                    regularizer.start_training(X.rows, X.codes)

    def on_train_end(self, net: Any, X: Any = None, y: Any = None, **kwargs: Any) -> None:
        """Compute the batch statistics of the averaged generator, which averaging does not give."""
        if self.trains_generator:
            run, n_rows = self._current_run(), max(self.batch_size, 2)
            latents = (run.next_latent(n_rows) for _ in range(N_STATISTICS_BATCHES))
            update_bn(latents, self.averaged_generator_)
        super().on_train_end(net, X=X, y=y, **kwargs)

    def on_epoch_begin(self, net: Any, **kwargs: Any) -> None:
        """Stop if a callback has asked for it, before the history gets a new record."""
        run = self._current_run()
        is_last = any_process(self.stop_training_ or run.is_out_of_time(), self.device)
        # At the end of an epoch, callbacks would still add to its record.
        run.write_checkpoint(is_last=is_last)
        if is_last:
            raise StoppedError
        super().on_epoch_begin(net, **kwargs)

    def run_single_epoch(
        self,
        iterator: Any,
        training: bool,
        prefix: str,
        step_fn: Callable[..., dict[str, Any]],
        **fit_params: Any,
    ) -> None:
        """Train for one epoch, or evaluate the validation rows after it."""
        run = self._current_run()
        if training:
            train_epoch(self, run, iterator, step_fn, **fit_params)
            if run.labeled_rows is not None:
                score_labeled_rows(self, run.labeled_rows)
            return
        if iterator is not None:
            accuracy = validate(self, iterator)
            if run.early_stopping is not None:
                run.early_stopping.update(self, accuracy)
        run.complete_epoch()  # skorch validates last

    def train_step(
        self, batch: Batch, adversarial: bool = True, **fit_params: Any
    ) -> dict[str, Any]:
        """Step the discriminator with the generator frozen, then the reverse.

        A step that is not adversarial trains the discriminator alone, on the labels and the
        regularizers.
        """
        run, latent = self._current_run(), None
        if self.trains_generator and adversarial:
            # One pass of the generator for both networks; BatchNorm needs two rows or more.
            latent = run.next_latent(max(self.batch_size, 2))
        terms = run.step(batch, latent)
        self.n_steps_ += 1
        # Callbacks of skorch expect a y_pred.
        return {"loss": terms["discriminator_loss"], "terms": terms, "y_pred": None}

    # --- evaluation ---------------------------------------------------------------------------

    def validation_step(self, batch: Any, **fit_params: Any) -> dict[str, Tensor]:
        """Return the loss and the class logits of labeled rows."""
        rows, codes = batch
        logits = self.infer(rows)
        return {"loss": ClassTarget.loss(logits, codes.to(logits.device)), "y_pred": logits}

    def evaluation_step(self, batch: Any, training: bool = False) -> Tensor:
        """Return the class logits of rows; the networks stay in their mode."""
        return self.infer(batch[0])

    @property
    def classes_(self) -> np.ndarray:
        """Codes of the classes."""
        logits = self.infer(torch.zeros(1, *self.row_shape_))
        return np.arange(logits.shape[1])

    def infer(self, x: Any, **fit_params: Any) -> Tensor:
        """Return the class logits of rows of the model space, by the averaged discriminator."""
        limit_threads_after_fork()
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

    def draw_latent(self, n_rows: int) -> Tensor:
        """Draw latent vectors from the standard normal distribution."""
        return torch.randn(n_rows, self.latent_dim, device=self.device)

    def outputs(self, rows: Rows) -> Tensor:
        """Return the averaged discriminator's outputs for any number of rows, on the CPU."""
        size = chunk_size(self.row_shape_)
        return apply_in_chunks(self.averaged_module_, rows, size, self.device)

    def features(self, rows: Rows) -> Tensor:
        """Return the values of the averaged discriminator's last hidden layer, on the CPU."""
        size = chunk_size(self.row_shape_)
        return apply_in_chunks(self.averaged_module_.forward_features, rows, size, self.device)

    def generated(self, latent: Tensor) -> Tensor:
        """Return the averaged generator's rows for latent vectors, on the CPU."""
        size = chunk_size(self.row_shape_)
        return apply_in_chunks(self.averaged_generator_, latent, size, self.device)

    # --- weights ------------------------------------------------------------------------------

    def snapshot(self) -> dict[str, Any]:
        """Return a copy of all weights and the number of steps."""
        weights = {
            name: {key: value.clone() for key, value in getattr(self, name).state_dict().items()}
            for name in self.network_names
        }
        return {"n_steps_": self.n_steps_, **weights}

    def restore(self, snapshot: Any) -> None:
        """Restore the weights of a snapshot, with new optimizers: their moments are not in it."""
        for name in self.network_names:
            getattr(self, name).load_state_dict(snapshot[name])
        self.n_steps_ = snapshot["n_steps_"]
        self.initialize_optimizer()

    def is_finite(self) -> bool:
        """Return whether all averaged weights and batch statistics are finite."""
        # Batch statistics may overflow before the weights do.
        modules = (self.averaged_module_, self.averaged_generator_)
        values = [v for m in modules for v in (*m.parameters(), *m.buffers())]
        # A norm is not finite if a value is not, and takes one operation for all tensors.
        norms = torch._foreach_norm([v.detach() for v in values if v.is_floating_point()], 1)
        return bool(torch.stack(norms).isfinite().all())

    def copied(self) -> SGANNet:
        """Return a copy of the net during a training, without callbacks."""
        bare: SGANNet = object.__new__(type(self))
        bare.__dict__.update({**self.__dict__, "callbacks": [], "callbacks_": []})
        return copy.deepcopy(bare)

    def __getstate__(self) -> dict[str, Any]:
        """Replace modules and optimizers by their states as NumPy arrays; leave out the run."""
        state = {name: value for name, value in self.__dict__.items() if name != "_run"}
        state["tensors"] = {
            name: to_arrays(state.pop(name).state_dict())
            for name in (*self.network_names, *self.optimizer_names)
            if name in state
        }
        return state

    @with_plain_settings
    def __setstate__(self, state: dict[str, Any]) -> None:
        """Rebuild the modules, on the CPU if the fitted device does not exist."""
        state = dict(state)
        tensors = state.pop("tensors")
        self.__dict__.update(state)
        self.device = str(device_or_cpu(self.device))
        if not tensors:
            return
        with seeded(0, torch.device(self.device)):
            self._build_networks()
        for name in self.network_names:
            getattr(self, name).to(self.device)
        self.initialize_optimizer()
        for name, values in tensors.items():
            getattr(self, name).load_state_dict(to_tensors(values))
