import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from sgan_sklearn._runtime import loops
from sgan_sklearn._runtime.loops import (
    apply_in_chunks,
    automatic_epochs,
    averaging_share,
    chunk_size,
    update_average,
)


@pytest.mark.parametrize(
    ("steps_per_epoch", "n_epochs"), [(1, 2000), (200, 10), (300, 10), (1001, 9), (20_000, 1)]
)
def test_automatic_epochs(steps_per_epoch, n_epochs):
    assert automatic_epochs(steps_per_epoch, 10, 2000, 10_000) == n_epochs


@given(st.integers(1, 10**6), st.integers(1, 200), st.integers(1, 3000), st.integers(0, 10_000))
def test_bounds_of_automatic_epochs(steps_per_epoch, min_epochs, min_steps, more_steps):
    max_steps = min_steps + more_steps
    n_epochs = automatic_epochs(steps_per_epoch, min_epochs, min_steps, max_steps)
    assert n_epochs >= 1
    assert n_epochs == 1 or n_epochs * steps_per_epoch <= max_steps
    longer = (n_epochs + 1) * steps_per_epoch
    assert n_epochs >= min_epochs or longer > max_steps
    assert n_epochs * steps_per_epoch >= min_steps or longer > max_steps


@pytest.mark.parametrize("decay", [0.0, 0.5, 0.9])
@pytest.mark.parametrize("as_tensor", [False, True])
def test_averages_begin_with_the_last_fifth_of_the_steps(decay, as_tensor):
    averaged, trained = nn.Linear(3, 2), nn.Linear(3, 2)
    expected = np.zeros((2, 3))
    for t in range(1, 80):
        nn.init.normal_(trained.weight)
        share = averaging_share(decay, t)
        assert share == pytest.approx(max(1 - decay, min(1, 5 / t)))
        update_average(averaged, trained, torch.tensor(share) if as_tensor else share)
        expected += share * (trained.weight.detach().numpy() - expected)
        np.testing.assert_allclose(averaged.weight.detach(), expected, atol=1e-6)


def test_statistics_are_averaged_and_counts_are_copied():
    averaged, trained = nn.BatchNorm1d(2), nn.BatchNorm1d(2)
    trained(torch.randn(5, 2))
    update_average(averaged, trained, 0.1)
    torch.testing.assert_close(averaged.running_mean, 0.1 * trained.running_mean)
    assert averaged.num_batches_tracked == 1


def test_other_buffers_are_copied():
    averaged, trained = (nn.utils.parametrizations.spectral_norm(nn.Linear(4, 3)) for _ in "ab")
    for _ in range(30):
        trained(torch.randn(2, 4))
    for t in range(1, 40):
        update_average(averaged, trained, 1 / t)
    averaged.eval()
    assert torch.linalg.matrix_norm(averaged.weight.detach(), 2) == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize("size", [1, 3, 10, 100])
def test_chunks_are_put_together(size):
    network, x = nn.Linear(4, 2), torch.randn(10, 4)
    outputs = apply_in_chunks(network, x, size, "cpu")
    torch.testing.assert_close(outputs, network(x).detach())
    assert not outputs.requires_grad


def test_images_have_smaller_chunks(monkeypatch):
    assert chunk_size((5,)) == loops.CHUNK
    assert chunk_size((3, 28, 28)) == loops.CHUNK_PIXELS // 28**2
    monkeypatch.setattr(loops, "CHUNK_PIXELS", 10)
    assert chunk_size((3, 28, 28)) == 1
