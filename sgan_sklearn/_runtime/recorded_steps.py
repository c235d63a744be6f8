"""Training steps that are recorded and replayed without the Python code that makes them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from sgan_sklearn._runtime.processes import n_processes
from sgan_sklearn._runtime.recorded_operations import n_new_bytes, record_operations
from sgan_sklearn._runtime.user_warnings import warn_user

__all__ = ["RecordedStep", "can_record", "is_recordable"]

# Which step of each kind is checked: libraries and optimizers initialize in those before it.
CHECKED_STEP = 3
# Number of steps of each kind before one is recorded. On a CPU, a recording takes as long as five
# to eight steps, so shorter trainings would lose time.
N_UNRECORDED = 9

# While a step is recorded on a CPU, all of its tensors are in memory. Larger steps gain nothing.
MAX_BYTES = 2**28

# Packages whose parts of a step have no state in Python, and those of their base classes.
KNOWN = ("sgan_sklearn", "torch")
BASES = (*KNOWN, "skorch", "sklearn", "abc", "builtins")

# Modules of skorch whose callbacks do not change the training.
OBSERVERS = ("skorch.callbacks.logging", "skorch.callbacks.scoring")

# Attributes in which PyTorch keeps the hooks of a network and of a weight.
HOOKS = (
    "_forward_hooks",
    "_forward_pre_hooks",
    "_backward_hooks",
    "_backward_pre_hooks",
    "_post_accumulate_grad_hooks",
)

aten = torch.ops.aten
# The most common operations that pass values between Python, or the CPU, and the tensors of a step,
# or whose shapes depend on values. The last one is that of torch.tensor(number, device=...).
SYNCHRONIZING = (
    aten._local_scalar_dense,
    aten.bincount,
    aten.equal,
    aten.masked_select,
    aten.nonzero,
    aten._unique2,
    aten.lift_fresh,
)

# A batch is a NamedTuple of tensors, each of which may be None.
Terms = dict[str, Tensor]
_Kind = tuple[bool, ...]
Step = Callable[[Any, Tensor | None, Sequence[float | Tensor]], Terms]


def can_record(device: torch.device) -> bool:
    """Return whether steps on a device are recorded; with several processes they are not."""
    return device.type in ("cpu", "cuda") and n_processes() == 1


def is_recordable(parts: Iterable[object], callbacks: Iterable[object]) -> bool:
    """Return whether all parts of a step are of known classes, of this package or PyTorch."""
    return all(_is_known(part) for part in parts) and all(
        _is_known(callback) or type(callback).__module__ in OBSERVERS for callback in callbacks
    )


def _is_known(part: object) -> bool:
    roots = [cls.__module__.split(".")[0] for cls in type(part).__mro__]
    is_known = roots[0] in KNOWN and all(root in BASES for root in roots)
    return is_known and not (isinstance(part, nn.Module) and _is_changed(part))


def _is_changed(module: nn.Module) -> bool:
    """Return whether a network or one of its weights has hooks or another forward method."""
    hooked = any(getattr(module, name, None) for name in HOOKS)
    weights = module.parameters(recurse=False)
    watched = any(getattr(weight, name, None) for weight in weights for name in HOOKS)
    return hooked or watched or "forward" in vars(module)


class RecordedStep:
    """Training step that is recorded once and replayed afterwards.

    With small networks, calling an operation from Python takes longer than the operation itself. A
    recording is a CUDA graph on a GPU, and a list of operations on a CPU. It reads its inputs from
    static tensors, to which those of each step are copied. Numbers become tensors too, including
    the learning rates.

    Parameters
    ----------
    step : callable
        Takes a batch, latent vectors or None, and numbers; returns the loss terms. If other numbers
        are zero, the step is recorded separately, since it may leave out their terms. Its state
        between two steps consists of tensors that it changes in place. Other tensors, such as the
        gradients, are valid only within a step.
    optimizers : sequence of Optimizer
        Optimizers that the step uses; they must support recording.
    device : device
        The GPU or the CPU.
    needed : bool
        Whether to raise an error if a step cannot be recorded. Otherwise there is a warning, and
        steps are not recorded.
    """

    def __init__(
        self,
        step: Step,
        optimizers: Sequence[torch.optim.Optimizer],
        device: torch.device,
        *,
        needed: bool,
    ) -> None:
        self._step = step
        self._optimizers = optimizers
        self._needed = needed
        self._is_off = False
        # The default stream of a GPU does not support recording.
        self._stream = torch.cuda.Stream(device) if device.type == "cuda" else None
        # The keys say whether a step is adversarial, and which terms it leaves out.
        self._n_steps: Counter[_Kind] = Counter()
        self._recordings: dict[_Kind, _Recording] = {}

    def __call__(self, batch: Any, latent: Tensor | None, numbers: Sequence[float]) -> Terms:
        """Make a step and return its loss terms."""
        if self._is_off:
            return self._step(batch, latent, numbers)
        kind = latent is not None, *(number == 0 for number in numbers)
        self._n_steps[kind] += 1
        if self._n_steps[kind] <= N_UNRECORDED:
            is_checked = self._n_steps[kind] == CHECKED_STEP
            return self._unrecorded(batch, latent, numbers, is_checked=is_checked)
        groups = [group for optimizer in self._optimizers for group in optimizer.param_groups]
        if kind not in self._recordings:
            try:
                recording = _Recording(self._step, groups, self._stream, batch, latent, numbers)
            except torch.cuda.OutOfMemoryError:
                if self._needed:
                    raise
                self._warn_and_run_unrecorded("there is not enough memory for it")
                return self._step(batch, latent, numbers)
            except RuntimeError as error:
                if self._stream is None:
                    raise  # it comes from the step, which a CPU makes while it is recorded
                # The end of the recording fails as well; the context has the cause.
                self._handle_failure(error.__context__ or error)
                return self._step(batch, latent, numbers)
            self._recordings[kind] = recording
        recording = self._recordings[kind]
        rates = [group["lr"] for group in groups]
        terms = recording.replay(batch, latent, [*numbers, *rates])
        if recording.failure is not None:
            self._handle_failure(recording.failure)
        return terms

    def _unrecorded(
        self, batch: Any, latent: Tensor | None, numbers: Sequence[float], *, is_checked: bool
    ) -> Terms:
        watch = _Watch(batch.real.device)
        with _on_stream(self._stream), watch if is_checked else nullcontext():
            terms = self._step(batch, latent, numbers)
        # Before the recording: a synchronization within it breaks more than the recording.
        if watch.operation:
            self._handle_failure(RuntimeError(f"{watch.operation} depends on values"))
        elif self._stream is None and watch.n_bytes > MAX_BYTES:
            self._is_off = True
            self._recordings.clear()
        return terms

    def _handle_failure(self, error: BaseException) -> None:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        if self._needed:
            raise RuntimeError(
                f"The steps of this training cannot be recorded: {reason}. They must not read "
                "values of tensors (.item(), an `if` on a tensor, a boolean mask as an index), "
                "create tensors of numbers (torch.tensor), or use tensors of the CPU on a GPU. "
                "Change that, or set record_steps=False in Training."
            ) from error
        self._warn_and_run_unrecorded(reason)

    def _warn_and_run_unrecorded(self, reason: str) -> None:
        warn_user(
            "The steps of this training could not be recorded and run without "
            f"recording, which takes longer ({reason}). Set record_steps=False in Training to skip "
            "the attempt."
        )
        self._is_off = True
        self._recordings.clear()


class _Watch(TorchDispatchMode):
    """Detect operations of a step that cannot be recorded, and count the bytes of its tensors."""

    def __init__(self, device: torch.device) -> None:
        super().__init__()
        self._device = device
        self.operation = ""
        self.n_bytes = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        operation = getattr(func, "overloadpacket", func)
        if (
            (operation in SYNCHRONIZING and args[0].device == self._device)
            or (operation is aten.index and any(_is_mask(index) for index in args[1]))
            or (operation is aten._to_copy and args[0].device != result.device)
            or (operation is aten.copy_ and args[0].device != args[1].device)
        ):
            self.operation = self.operation or str(operation)
        self.n_bytes += n_new_bytes(args, result)
        return result


def _is_mask(index: Tensor | None) -> bool:
    return index is not None and index.dtype in (torch.bool, torch.uint8)


class _Recording:
    """Recording of one kind of step."""

    def __init__(
        self,
        step: Step,
        groups: list[dict[str, Any]],
        stream: torch.cuda.Stream | None,
        batch: Any,
        latent: Tensor | None,
        numbers: Sequence[float],
    ) -> None:
        device = _tensors(batch, latent)[0].device
        given = {name: part for name, part in batch._asdict().items() if part is not None}
        own_batch = batch._replace(**{name: part.clone() for name, part in given.items()})
        own_latent = None if latent is None else latent.clone()
        # Without float, an integer would become an integer tensor.
        own_numbers = [torch.tensor(float(value), device=device) for value in numbers]
        # On a CPU, optimizers read the learning rate as a number of Python.
        dtype = torch.float32 if device.type == "cuda" else torch.float64
        rates = [torch.tensor(float(group["lr"]), dtype=dtype, device=device) for group in groups]
        self._tensors = _tensors(own_batch, own_latent)
        self._numbers = [*own_numbers, *rates]
        self._values = [*numbers, *(group["lr"] for group in groups)]

        def run() -> tuple[list[str], Tensor]:
            with _capturable(groups, rates):
                terms = step(own_batch, own_latent, own_numbers)
            return list(terms), torch.stack(list(terms.values()))

        self._replay = _recorded(run, stream)
        # Why the operations cannot be repeated; on a GPU, the recording raises an error then.
        self.failure: Exception | None = getattr(self._replay, "failure", None)

    def replay(self, batch: Any, latent: Tensor | None, numbers: list[float]) -> Terms:
        """Replay the step; `numbers` end with the learning rate of each group."""
        torch._foreach_copy_(self._tensors, _tensors(batch, latent))
        for place, old, new in zip(self._numbers, self._values, numbers, strict=True):
            if new != old:
                place.fill_(new)
        self._values = numbers
        names, terms = self._replay()
        # The next step overwrites the terms.
        return dict(zip(names, terms.clone().unbind(), strict=True))


def _tensors(batch: Any, latent: Tensor | None) -> list[Tensor]:
    return [part for part in (*batch, latent) if part is not None]


def _recorded(function: Callable[[], Any], stream: torch.cuda.Stream | None) -> Callable[[], Any]:
    """Return a function that replays the operations of another one and returns its outputs."""
    if stream is None:
        return record_operations(function)
    graph = torch.cuda.CUDAGraph()
    # Other threads may continue, unless they synchronize with the whole GPU.
    recording = torch.cuda.graph(graph, stream=stream, capture_error_mode="thread_local")
    try:
        # The stream is set here as well, because a failed recording does not reset it.
        with torch.cuda.device(stream.device), torch.cuda.stream(stream), recording:
            outputs = function()
    except BaseException:
        # A failed recording leaves the generator in its recording state. Recordings of other
        # threads keep the old state and continue from it.
        generator = torch.cuda.default_generators[stream.device.index]
        generator.graphsafe_set_state(generator.clone_state())
        raise

    def replay() -> Any:
        graph.replay()
        return outputs

    return replay


@contextmanager
def _capturable(groups: list[dict[str, Any]], rates: list[Tensor]) -> Iterator[None]:
    """Let optimizers read their learning rates from tensors, as a recording requires."""
    before = [group["lr"] for group in groups]
    for group, rate in zip(groups, rates, strict=True):
        group.update(lr=rate, capturable=rate.is_cuda)
    try:
        yield
    finally:
        for group, lr in zip(groups, before, strict=True):
            group.update(lr=lr, capturable=False)


@contextmanager
def _on_stream(stream: torch.cuda.Stream | None) -> Iterator[None]:
    """Run a block on a stream, in order with the operations before and after it."""
    if stream is None:
        yield
        return
    current = torch.cuda.current_stream(stream.device)
    stream.wait_stream(current)
    try:
        with torch.cuda.stream(stream):
            yield
    finally:
        current.wait_stream(stream)
