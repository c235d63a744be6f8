"""Replay of PyTorch operations on a CPU without the Python code that calls them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

__all__ = ["n_new_bytes", "record_operations"]

aten = torch.ops.aten

# The most frequent operations, and functions that call them faster than through their schemas.
FASTER: dict[Any, Callable[..., Tensor]] = {
    aten.add: torch.add,
    aten.addmm: torch.addmm,
    aten.div: torch.div,
    aten.mm: torch.mm,
    aten.mul: torch.mul,
    aten.neg: torch.neg,
    aten.relu: partial(torch.clamp_min, min=0),
    aten.sub: torch.sub,
}

# Their results are written by other operations.
EMPTY = (aten.empty, aten.empty_like, aten.empty_strided, aten.new_empty, aten.new_empty_strided)

# They change running statistics, which their schemas do not say.
BATCH_NORMS = (aten.native_batch_norm, aten.cudnn_batch_norm, aten.miopen_batch_norm)


def record_operations(function: Callable[[], Any]) -> Callable[[], Any]:
    """Call a function, and return one that repeats its operations.

    The operations are repeated in the same order, with the same inputs and outputs, and return the
    same values. What does not change between repetitions is left out: views, constants, and results
    that an earlier operation has already computed from the same inputs. Other results share memory,
    as far as they are not needed at the same time.

    Parameters
    ----------
    function : callable
        Function of tensors on the CPU that it finds in the same places each time. Its state between
        two calls consists of tensors that existed before and that it changes in place.

    Returns
    -------
    replay : callable
        Function that returns the same tensors as `function`, with new values after the first time,
        which stands for the recording itself.
    """
    recorder = _Recorder()
    with recorder:
        outputs = function()
    replay = _Replay(outputs)
    try:
        kept = {_storage(tensor) for tensor in _tensors(outputs)}
        calls = list(_simplified(recorder.calls, kept))
        replaced = _intermediate(recorder.calls, calls) - kept
        replay.operations = [_operation(call) for call in _sharing_memory(calls, replaced)]
    except Exception as error:  # the function has ended: its outputs are valid
        replay.failure = error
    return replay


class _Replay:
    """The operations of a function, or why they cannot be repeated."""

    def __init__(self, outputs: Any) -> None:
        self.operations: list[Callable[[], Any]] = []
        self.failure: Exception | None = None
        self._outputs = outputs
        self._is_first = True

    # No input requires a gradient. Some operations return less where gradients are disabled.
    @torch.enable_grad()
    def __call__(self) -> Any:
        if not self._is_first:
            for operation in self.operations:
                operation()
        self._is_first = False
        return self._outputs


class _Call(NamedTuple):
    """An operation with its inputs and its results, all of which remain in memory."""

    func: Any
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    results: list[Tensor]


class _Recorder(TorchDispatchMode):
    """Record the operations of PyTorch, those of the gradients included."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[_Call] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        # As they are now: some operations change the shape of a tensor in place.
        given = _detached(args), {name: _detached(value) for name, value in kwargs.items()}
        result = func(*args, **kwargs)
        if func.namespace != "profiler":
            results = [tensor.detach() for tensor in _tensors(result)]
            self.calls.append(_Call(func, *given, results))
        return result


def _tensors(value: Any) -> Iterator[Tensor]:
    """Yield the tensors in nested lists and tuples."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _tensors(item)


def _detached(value: Any) -> Any:
    """Replace the tensors in nested lists and tuples by others with the same memory."""
    if isinstance(value, list | tuple):
        return type(value)(map(_detached, value))
    return value.detach() if isinstance(value, Tensor) else value


def n_new_bytes(inputs: Any, results: Any) -> int:
    """Return the memory of the results of an operation, without views of its inputs."""
    known = {_storage(tensor) for tensor in _tensors(inputs)}
    new = (tensor.untyped_storage() for tensor in _tensors(results))
    return sum(storage.nbytes() for storage in new if storage._cdata not in known)


def _storage(tensor: Tensor) -> int:
    return tensor.untyped_storage()._cdata


def _inputs(call: _Call) -> Iterator[Tensor]:
    yield from _tensors([*call.args, *call.kwargs.values()])


def _is_written(argument: Any) -> bool:
    return argument.alias_info is not None and argument.alias_info.is_write


def _written(call: _Call) -> Iterator[Tensor]:
    """Yield the tensors that an operation changes in place."""
    is_batch_norm = call.func.overloadpacket in BATCH_NORMS
    for i, argument in enumerate(call.func._schema.arguments):
        if _is_written(argument) or (is_batch_norm and argument.name.startswith("running_")):
            value = call.args[i] if i < len(call.args) else call.kwargs.get(argument.name)
            yield from _tensors(value)


# --- operations that need not be repeated -------------------------------------------------------


def _simplified(calls: Sequence[_Call], kept: set[int]) -> Iterator[_Call]:
    """Yield the operations to repeat, given the storages that the function returns."""
    changed = {_storage(tensor) for call in calls for tensor in _written(call)}
    versions: Counter[int] = Counter()  # how many times each storage was changed so far
    computed: dict[Any, _Call] = {}
    equal: dict[int, Any] = {}  # the storage with the same values

    def resolved(value: Any) -> Any:
        """Replace results that were computed before by the earlier ones."""
        if isinstance(value, list | tuple):
            return type(value)(map(resolved, value))
        if not isinstance(value, Tensor):
            return value
        storage = equal.get(_storage(value))
        return value if storage is None else _moved(value, storage)

    def key(value: Any) -> Any:
        if isinstance(value, list | tuple):
            return tuple(map(key, value))
        if not isinstance(value, Tensor):
            return type(value), repr(value) if isinstance(value, float) else value
        storage = _storage(value)
        place = value.storage_offset(), value.size(), value.stride(), value.dtype
        return storage, versions[storage], *place

    for call in calls:
        inputs = {_storage(tensor) for tensor in _inputs(call)}
        outputs = {_storage(tensor) for tensor in call.results}
        args, kwargs = resolved(call.args), {k: resolved(v) for k, v in call.kwargs.items()}
        call = call._replace(args=args, kwargs=kwargs)
        if written := list(_written(call)):
            versions.update(map(_storage, written))
            yield call
            continue
        packet = call.func.overloadpacket
        if (inputs & outputs) or packet in EMPTY:
            continue  # a view
        is_pure = torch.Tag.nondeterministic_seeded not in call.func.tags and not (
            outputs & (changed | kept)
        )
        if not is_pure:
            yield call
            continue
        identity = call.func, key(args), key(list(kwargs.items()))
        if identity in computed:
            for old, new in zip(computed[identity].results, call.results, strict=True):
                equal[_storage(new)] = old.untyped_storage()
            continue
        computed[identity] = call
        if inputs:  # without inputs, the result is constant
            yield call


# --- memory of the results ----------------------------------------------------------------------


def _intermediate(recorded: Sequence[_Call], repeated: Sequence[_Call]) -> set[int]:
    """Return the storages whose values the repeated operations compute before they use them."""
    empty = {
        _storage(result)
        for call in recorded
        if call.func.overloadpacket in EMPTY
        for result in call.results
    }
    is_computed: dict[int, bool] = {}
    for call in repeated:
        for tensor in _inputs(call):
            is_computed.setdefault(_storage(tensor), _storage(tensor) in empty)
        for tensor in call.results:
            is_computed.setdefault(_storage(tensor), True)
    return {storage for storage, computed in is_computed.items() if computed}


def _sharing_memory(calls: Sequence[_Call], replaced: set[int]) -> Iterator[_Call]:
    """Yield the operations with other storages in place of some, used by several of them in turn.

    This takes less memory, and memory used a short time ago is in the caches of the processor.
    """
    used = [[*_inputs(call), *call.results] for call in calls]
    last_use = {_storage(tensor): i for i, tensors in enumerate(used) for tensor in tensors}
    places: dict[int, Any] = {}
    free: list[Any] = []

    def moved(value: Any) -> Any:
        if isinstance(value, list | tuple):
            return type(value)(map(moved, value))
        if not isinstance(value, Tensor) or _storage(value) not in places:
            return value
        return _moved(value, places[_storage(value)])

    for i, (call, tensors) in enumerate(zip(calls, used, strict=True)):
        storages = {_storage(tensor): tensor.untyped_storage() for tensor in tensors}
        for storage, old in storages.items():
            if storage in replaced and storage not in places:
                places[storage] = _taken(free, old.nbytes())
        kwargs = {name: moved(value) for name, value in call.kwargs.items()}
        yield call._replace(args=moved(call.args), kwargs=kwargs, results=moved(call.results))
        free += [
            places[storage] for storage in storages if last_use[storage] == i and storage in places
        ]


def _taken(free: list[Any], n_bytes: int) -> Any:
    """Return the smallest free storage that is large enough, the latest of these, or a new one."""
    large = [i for i in reversed(range(len(free))) if free[i].nbytes() >= n_bytes]
    if not large:
        return torch.UntypedStorage(n_bytes)
    return free.pop(min(large, key=lambda i: free[i].nbytes()))


def _moved(tensor: Tensor, storage: Any) -> Tensor:
    """Return a tensor in another storage, in the same place."""
    place = tensor.storage_offset(), tensor.size(), tensor.stride()
    return torch.empty(0, dtype=tensor.dtype).set_(storage, *place)


# --- operations that are repeated ---------------------------------------------------------------


def _operation(call: _Call) -> Callable[[], Any]:
    """Return a function that computes the results of a call anew, in the same tensors."""
    func, args, kwargs = call.func, call.args, call.kwargs
    results = call.results
    written = {_storage(tensor) for tensor in _written(call)}
    new = [i for i, result in enumerate(results) if _storage(result) not in written]
    if not new:
        return partial(func._op, *args, **kwargs)
    if func is aten.randn_like.default:
        return results[0].normal_
    if func.overloadpacket in FASTER:
        return partial(FASTER[func.overloadpacket], *args, **kwargs, out=results[0])
    variant = _out_variant(func)
    if variant is not None and len(new) == len(results):
        outs = [item for item in variant._schema.arguments if _is_written(item)]
        if [str(item.type) for item in outs] == ["Tensor"] * len(results):
            names = {item.name: result for item, result in zip(outs, results, strict=True)}
            return partial(variant._op, *args, **kwargs, **names)

    def compute() -> None:
        found = list(_tensors(func(*args, **kwargs)))
        for i in new:
            results[i].copy_(found[i])

    return compute


def _out_variant(func: Any) -> Any:
    """Return the variant of an operation that writes to given tensors, if a CPU has its own."""
    wanted = [(argument.name, str(argument.type)) for argument in func._schema.arguments]
    packet = func.overloadpacket
    for name in packet.overloads():
        variant = getattr(packet, name)
        given = [item for item in variant._schema.arguments if not _is_written(item)]
        if len(given) == len(variant._schema.arguments):
            continue
        if [(argument.name, str(argument.type)) for argument in given] == wanted:
            # The others compute new tensors and copy them.
            is_native = torch._C._dispatch_has_kernel_for_dispatch_key(variant.name(), "CPU")
            return variant if is_native else None
    return None
