import numpy as np
import pytest
import torch
from sklearn.utils import check_random_state

from sgan_sklearn._runtime.random import draw_seed, seeded

CPU = torch.device("cpu")


def numpy_state():
    """Return the state of NumPy's global generator."""
    _, keys, position, *_ = check_random_state(None).get_state()
    return [*keys, position]


def test_seeded_restores_the_global_state():
    before = torch.get_rng_state()
    with seeded(1, CPU):
        torch.randn(10)
    assert torch.equal(torch.get_rng_state(), before)


def test_seeded_restores_the_global_state_after_an_error():
    before = torch.get_rng_state()
    with pytest.raises(RuntimeError), seeded(1, CPU):
        torch.randn(3) @ torch.randn(4)
    assert torch.equal(torch.get_rng_state(), before)


def test_seeded_depends_on_the_seed_alone():
    def draw(seed):
        with seeded(seed, CPU):
            return torch.randn(5)

    first = draw(1)
    torch.randn(7)
    assert torch.equal(draw(1), first)
    assert not torch.equal(draw(2), first)


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_seeded_on_a_gpu():
    device = torch.device("cuda")
    before = torch.cuda.get_rng_state()
    with seeded(1, device):
        first = torch.randn(5, device=device)
    assert torch.equal(torch.cuda.get_rng_state(), before)
    with seeded(1, device):
        assert torch.equal(torch.randn(5, device=device), first)


def test_draw_seed_from_int_is_constant_and_independent_of_global_state():
    before = numpy_state()
    assert draw_seed(3) == draw_seed(3) != draw_seed(4)
    assert numpy_state() == before


def test_draw_seed_from_random_state_advances_it():
    random_state = np.random.RandomState(3)
    first, second = draw_seed(random_state), draw_seed(random_state)
    assert first == draw_seed(3)
    assert first != second


def test_draw_seed_from_none_differs_each_time():
    assert len({draw_seed(None) for _ in range(5)}) > 1


@pytest.mark.parametrize("random_state", [0, None], ids=["int", "none"])
def test_draw_seed_is_an_int_that_torch_takes(random_state):
    seed = draw_seed(random_state)
    assert type(seed) is int
    assert torch.Generator().manual_seed(seed).initial_seed() == seed
