"""Training steps that a GPU repeats from a recording, a CUDA graph, without Python."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from skorch.callbacks import Callback
from torch import Tensor

from sgan_sklearn._batches import Batch
from sgan_sklearn._distributed import n_processes

__all__ = ["GraphedStep", "is_recordable", "uses_graphs"]

# Steps of each kind before one is recorded, in which libraries and optimizers get ready.
N_WARM_UP = 3

Terms = dict[str, Tensor]
Step = Callable[[Batch, Tensor | None, Sequence[float | Tensor]], Terms]


def uses_graphs(device: torch.device) -> bool:
    """Return whether steps on a device are recorded; processes that talk to others do not."""
    return device.type == "cuda" and n_processes() == 1


def is_recordable(parts: Iterable[object], callbacks: Iterable[Callback]) -> bool:
    """Return whether nothing but known parts, of this package or PyTorch, take part in a step."""
    known = all(type(part).__module__.split(".")[0] in ("sgan_sklearn", "torch") for part in parts)
    idle = Callback.on_grad_computed
    return known and all(type(callback).on_grad_computed is idle for callback in callbacks)


class GraphedStep:
    """A training step that is recorded once, and whose operations are started all at once then.

    Small networks let a GPU wait: to start an operation from Python takes longer than the
    operation itself. The recording reads its inputs from places of its own, to which those of
    each step are copied. Numbers among them become tensors, the learning rates too.

    Parameters
    ----------
    step : callable
        Takes a batch, latent vectors or None, and numbers; returns the terms of the losses. What
        it keeps from step to step are tensors that it changes in place.
    optimizers : sequence of Optimizer
        Those that it uses; they can be recorded.
    device : device
        The GPU.
    needed : bool
        Whether a step that cannot be recorded raises an error. Otherwise it gives a warning, and
        all steps are made one operation after the other.
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
        self._has_failed = False
        # Not the default one, on which nothing can be recorded.
        self._stream = torch.cuda.Stream(device)
        # Of each kind of step, with latent vectors and without.
        self._n_steps: Counter[bool] = Counter()
        self._recordings: dict[bool, _Recording] = {}

    def __call__(self, batch: Batch, latent: Tensor | None, numbers: Sequence[float]) -> Terms:
        """Make a step and return its terms."""
        kind = latent is None
        self._n_steps[kind] += 1
        if self._has_failed:
            return self._step(batch, latent, numbers)
        if self._n_steps[kind] <= N_WARM_UP:
            with _at_once(self._stream):
                return self._step(batch, latent, numbers)
        groups = [group for optimizer in self._optimizers for group in optimizer.param_groups]
        if kind not in self._recordings:
            try:
                self._recordings[kind] = _Recording(
                    self._step, groups, self._stream, batch, latent, numbers
                )
            except RuntimeError as error:
                if self._needed:
                    error.add_note(
                        "The steps were recorded as a CUDA graph, in which nothing may wait for "
                        "the GPU: try compile=False."
                    )
                    raise
                self._go_without(error)
                return self._step(batch, latent, numbers)
        rates = (group["lr"] for group in groups)
        return self._recordings[kind].replay(batch, latent, [*numbers, *rates])

    def _go_without(self, error: Exception) -> None:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        warnings.warn(
            "The steps of this training could not be recorded as a CUDA graph, and are made "
            f"without, which takes longer ({reason}). Set compile=False to leave the attempt out.",
            stacklevel=2,
        )
        self._has_failed = True
        self._recordings.clear()


class _Recording:
    """The graph of one kind of step."""

    def __init__(
        self,
        step: Step,
        groups: list[dict[str, Any]],
        stream: torch.cuda.Stream,
        batch: Batch,
        latent: Tensor | None,
        numbers: Sequence[float],
    ) -> None:
        device = batch.real.device
        given = {name: part for name, part in batch._asdict().items() if part is not None}
        own_batch = batch._replace(**{name: part.clone() for name, part in given.items()})
        own_latent = None if latent is None else latent.clone()
        own_numbers = [torch.tensor(value, device=device) for value in numbers]
        rates = [torch.tensor(group["lr"], device=device) for group in groups]
        self._tensors = _tensors(own_batch, own_latent)
        self._numbers = [*own_numbers, *rates]
        self._values = [*numbers, *(group["lr"] for group in groups)]

        def run() -> tuple[list[str], Tensor]:
            with _capturable(groups, rates):
                terms = step(own_batch, own_latent, own_numbers)
            return list(terms), torch.stack(list(terms.values()))

        self._replay = _recorded(run, stream)

    def replay(self, batch: Batch, latent: Tensor | None, numbers: Sequence[float]) -> Terms:
        """Repeat the step; `numbers` end with the learning rate of each group."""
        torch._foreach_copy_(self._tensors, _tensors(batch, latent))
        for i, value in enumerate(numbers):
            if value != self._values[i]:
                self._numbers[i].fill_(value)
                self._values[i] = value
        names, terms = self._replay()
        # Copies: the next step overwrites them.
        return dict(zip(names, terms.clone().unbind(), strict=True))


def _tensors(batch: Batch, latent: Tensor | None) -> list[Tensor]:
    return [part for part in (*batch, latent) if part is not None]


def _recorded(function: Callable[[], Any], stream: torch.cuda.Stream) -> Callable[[], Any]:
    """Return a function that repeats the operations of another one and returns what it returned."""
    graph = torch.cuda.CUDAGraph()
    # Threads may use the GPU for other things meanwhile.
    recording = torch.cuda.graph(graph, stream=stream, capture_error_mode="thread_local")
    try:
        with torch.cuda.device(stream.device), recording:
            outputs = function()
    except BaseException:
        # Random numbers would be drawn for the recording for ever.
        generator = torch.cuda.default_generators[stream.device.index]
        generator.graphsafe_set_state(generator.clone_state())
        raise

    def replay() -> Any:
        graph.replay()
        return outputs

    return replay


@contextmanager
def _capturable(groups: list[dict[str, Any]], rates: list[Tensor]) -> Iterator[None]:
    """Let optimizers read their learning rates from tensors, as a recording has to."""
    before = [group["lr"] for group in groups]
    for group, rate in zip(groups, rates, strict=True):
        group.update(lr=rate, capturable=True)
    try:
        yield
    finally:
        for group, lr in zip(groups, before, strict=True):
            group.update(lr=lr, capturable=False)


@contextmanager
def _at_once(stream: torch.cuda.Stream) -> Iterator[None]:
    """Work on a stream, in its turn after what has been asked for and before what will be."""
    current = torch.cuda.current_stream(stream.device)
    stream.wait_stream(current)
    with torch.cuda.stream(stream):
        yield
    current.wait_stream(stream)
