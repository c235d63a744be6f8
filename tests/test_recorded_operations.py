"""Repeated operations of PyTorch give what the function gives."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from sgan_sklearn._runtime.recorded_operations import record_operations

STATE = torch.zeros(4)


def noisy(x):
    return (x + torch.randn_like(x)).mean(dim=0)


def accumulated(x):
    STATE.add_(x.sum(dim=0))
    return STATE * 2


def written_views(x):
    y = torch.zeros_like(x)
    y[:, 1:] = x[:, 1:]
    y[0].mul_(3)
    return y.t().contiguous()


def repeated(x):
    first, second = x.exp(), x.exp()
    first = first + 1  # as an operation of its own
    return first * second, x.exp().sum()


def equal_until_one_is_written(x):
    first, second = x * 2, x * 2
    first.add_(1)
    return first - second, x * 2


def changed_input(x):
    y = x * 2
    x.add_(1)
    return y, x * 2


def gradients(x):
    weight = torch.full((4, 3), 0.5, requires_grad=True)
    with torch.enable_grad():
        loss = F.cross_entropy(F.dropout(x, 0.5) @ weight, x.argmax(dim=1) % 3)
        loss.backward()
    return loss.detach(), weight.grad


def several_results(x):
    values, indices = x.sort(dim=1)
    low, high = values.split(2, dim=1)
    return low, high, indices, torch._foreach_mul([low, high], 2.0)[1]


def normalized(x):
    mean, variance = torch.zeros(4), torch.ones(4)
    before = mean * 2
    y = F.batch_norm(x, mean, variance, training=True)
    return y, before, mean * 2


def equal_outputs(x):
    return x.exp(), x.exp()


def signed_zeros(x):
    return 1 / (0.0 * x.abs() + 0.0), torch.full((2,), -0.0), torch.full((2,), 0.0)


def chained(x):
    first = x * 2
    for _ in range(20):
        x = (x + x.sum(dim=0)) / 5
    filled = torch.empty_like(x)
    filled[:2] = first[:2]
    filled[2:] = x[2:]
    return filled.clone(), first.sum()


FUNCTIONS = [
    chained,
    normalized,
    equal_outputs,
    signed_zeros,
    noisy,
    accumulated,
    written_views,
    repeated,
    equal_until_one_is_written,
    changed_input,
    gradients,
    several_results,
]


def flat(outputs):
    return [outputs] if isinstance(outputs, torch.Tensor) else list(outputs)


@pytest.mark.parametrize("function", FUNCTIONS)
@given(rows=st.lists(st.integers(-9, 9), min_size=4, max_size=4), seed=st.integers(0, 99))
@settings(max_examples=20)
def test_replays_equal_calls(function, rows, seed):
    def fresh():
        STATE.zero_()
        torch.manual_seed(seed)

    def inputs():
        for scale in (1.0, -0.5, 2.0):
            yield torch.tensor(rows) * scale + torch.arange(20.0).view(5, 4)

    with torch.random.fork_rng(devices=[]):
        fresh()
        expected = [[part.clone() for part in flat(function(x.clone()))] for x in inputs()]
        fresh()
        place = torch.zeros(5, 4)
        replay = None
        for x, parts in zip(inputs(), expected, strict=True):
            place.copy_(x)
            if replay is None:
                replay = record_operations(lambda: function(place))
            for found, part in zip(flat(replay()), parts, strict=True):
                assert torch.equal(found, part)


def test_results_share_memory():
    def storages(operation):
        given = [*operation.args, *operation.keywords.values()]
        return [part.untyped_storage() for part in given if isinstance(part, torch.Tensor)]

    def products(x):
        for _ in range(20):
            x = (x @ x + x) / 2
        return x

    rows = torch.zeros(100, 100)
    replay = record_operations(lambda: products(rows))
    used = [storage for operation in replay.operations for storage in storages(operation)]
    assert len(replay.operations) == 60
    n_bytes = {storage.data_ptr(): storage.nbytes() for storage in used}
    # The rows, the output, and what an operation reads and writes.
    assert sum(n_bytes.values()) <= 5 * rows.nbytes
