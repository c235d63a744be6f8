import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from scipy.special import log_softmax

from sgan_sklearn import _losses

finite = st.floats(-50, 50)
logits = arrays(np.float64, array_shapes(min_dims=2, max_dims=2, max_side=6), elements=finite)


def log_probabilities_with_generated(logits):
    """Log-softmax over K+1 classes, the last of which is the generated one, with logit zero."""
    return log_softmax(np.column_stack([logits, np.zeros(len(logits))]), axis=1)


@given(logits)
def test_realness_is_log_odds_against_the_generated_class(logits):
    log_p = log_probabilities_with_generated(logits)
    log_real = np.logaddexp.reduce(log_p[:, :-1], axis=1)
    realness = _losses.realness(torch.from_numpy(logits))
    np.testing.assert_allclose(realness, log_real - log_p[:, -1], rtol=1e-10, atol=1e-10)


@given(logits)
def test_real_loss_is_cross_entropy_of_not_being_generated(logits):
    log_real = np.logaddexp.reduce(log_probabilities_with_generated(logits)[:, :-1], axis=1)
    loss = _losses.real_loss(_losses.realness(torch.from_numpy(logits)))
    np.testing.assert_allclose(loss, -log_real.mean(), rtol=1e-10, atol=1e-10)


@given(logits)
def test_generated_loss_is_cross_entropy_of_the_generated_class(logits):
    log_p = log_probabilities_with_generated(logits)
    loss = _losses.generated_loss(_losses.realness(torch.from_numpy(logits)))
    np.testing.assert_allclose(loss, -log_p[:, -1].mean(), rtol=1e-10, atol=1e-10)


@given(logits, st.data())
def test_supervised_plus_real_loss_is_cross_entropy_over_all_classes(logits, data):
    n, k = logits.shape
    codes = data.draw(arrays(np.int64, n, elements=st.integers(0, k - 1)))
    expected = -log_probabilities_with_generated(logits)[np.arange(n), codes].mean()
    tensor = torch.from_numpy(logits)
    loss = _losses.supervised_loss(tensor, torch.from_numpy(codes))
    loss = loss + _losses.real_loss(_losses.realness(tensor))
    np.testing.assert_allclose(loss, expected, rtol=1e-10, atol=1e-10)


def test_supervised_loss_closed_form():
    logits = torch.tensor([[0.0, 0.0], [0.0, np.log(3)]], dtype=torch.float64)
    loss = _losses.supervised_loss(logits, torch.tensor([0, 1]))
    np.testing.assert_allclose(loss, (np.log(2) + np.log(4 / 3)) / 2, rtol=1e-14)


@pytest.mark.parametrize("loss", [_losses.real_loss, _losses.generated_loss])
def test_losses_of_undecided_rows_are_log_two(loss):
    np.testing.assert_allclose(loss(torch.zeros(3, dtype=torch.float64)), np.log(2), rtol=1e-14)


@pytest.mark.parametrize("value", [-1e4, 1e4])
def test_losses_and_gradients_stay_finite_at_extreme_logits(value):
    logits = torch.full((2, 3), value, requires_grad=True)
    log_odds = _losses.realness(logits)
    total = _losses.real_loss(log_odds) + _losses.generated_loss(log_odds)
    total += _losses.supervised_loss(logits, torch.tensor([0, 1]))
    total.backward()
    # log 3 is the cross-entropy of three equal logits; real and generated loss add up to |LSE|.
    np.testing.assert_allclose(total.detach(), abs(value), rtol=1e-3)
    assert logits.grad.isfinite().all()


@pytest.mark.parametrize("shape", [(3,), (2, 3)], ids=str)
@pytest.mark.parametrize(
    ("norm", "distance"),
    [("l1", lambda gap: np.abs(gap).mean()), ("l2", lambda gap: (gap**2).mean())],
    ids=["l1", "l2"],
)
def test_feature_distance(norm, distance, shape, rng):
    real, generated = rng.normal(size=(5, *shape)), rng.normal(size=(4, *shape))
    expected = distance(real.mean(axis=0) - generated.mean(axis=0))
    result = _losses.feature_distance(torch.from_numpy(real), torch.from_numpy(generated), norm)
    np.testing.assert_allclose(result, expected, rtol=1e-12)


@pytest.mark.parametrize("norm", ["l1", "l2"])
def test_feature_distance_sees_only_means(norm):
    real = torch.tensor([[0.0, 2.0], [2.0, 0.0]])
    assert _losses.feature_distance(real, torch.ones(5, 2), norm) == 0
