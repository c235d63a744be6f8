import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from scipy.special import log_softmax
from scipy.stats import entropy as scipy_entropy
from torch.nn import functional as F

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


@given(logits, st.data())
def test_weighted_supervised_loss_is_the_mean_of_weighted_cross_entropies(logits, data):
    n, k = logits.shape
    codes = data.draw(arrays(np.int64, n, elements=st.integers(0, k - 1)))
    weights = data.draw(arrays(np.float64, n, elements=st.floats(0, 10)))
    costs = -log_softmax(logits, axis=1)[np.arange(n), codes]
    loss = _losses.supervised_loss(*map(torch.from_numpy, (logits, codes, weights)))
    np.testing.assert_allclose(loss, (weights * costs).sum() / n, rtol=1e-10, atol=1e-10)


def test_supervised_loss_with_weights_of_one_is_that_without(rng):
    logits, codes = torch.from_numpy(rng.normal(size=(5, 3))), torch.tensor([0, 2, 1, 1, 0])
    ones = torch.ones(5, dtype=torch.float64)
    weighted = _losses.supervised_loss(logits, codes, ones)
    torch.testing.assert_close(weighted, _losses.supervised_loss(logits, codes))


@given(logits.filter(lambda logits: logits.shape[1] > 1))
def test_relative_logits_leave_the_softmax_with_the_generated_class_as_it_is(logits):
    relative = _losses.relative_logits(torch.from_numpy(logits)).numpy()
    assert relative.shape == (len(logits), logits.shape[1] - 1)
    expected = log_softmax(logits, axis=1)
    np.testing.assert_allclose(log_probabilities_with_generated(relative), expected, atol=1e-10)


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.4])
@given(log_odds=arrays(np.float64, st.integers(1, 6), elements=finite))
def test_smoothed_real_loss_is_binary_cross_entropy(smoothing, log_odds):
    log_odds = torch.from_numpy(log_odds)
    target = torch.full_like(log_odds, 1 - smoothing)
    expected = F.binary_cross_entropy_with_logits(log_odds, target)
    loss = _losses.real_loss(log_odds, smoothing)
    torch.testing.assert_close(loss, expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("loss", [_losses.real_loss, _losses.generated_loss])
def test_losses_of_undecided_rows_are_log_2(loss):
    np.testing.assert_allclose(loss(torch.zeros(3, dtype=torch.float64)), np.log(2), rtol=1e-14)


@pytest.mark.parametrize("value", [-1e4, 1e4])
def test_losses_and_gradients_stay_finite_at_extreme_logits(value):
    logits = torch.full((2, 3), value, requires_grad=True)
    log_odds = _losses.realness(logits)
    total = _losses.real_loss(log_odds) + _losses.generated_loss(log_odds)
    total += _losses.supervised_loss(logits, torch.tensor([0, 1]))
    total += _losses.conditional_entropy(logits) - np.log(3)
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


@given(logits)
def test_conditional_entropy(logits):
    expected = np.mean([scipy_entropy(np.exp(row)) for row in log_softmax(logits, axis=1)])
    entropy = _losses.conditional_entropy(torch.from_numpy(logits))
    np.testing.assert_allclose(entropy, expected, rtol=1e-10, atol=1e-10)


def test_conditional_entropy_of_sure_rows_is_zero_with_a_finite_gradient():
    logits = torch.tensor([[1e4, 0.0, -1e4]], requires_grad=True)
    entropy = _losses.conditional_entropy(logits)
    entropy.backward()
    assert entropy == 0
    assert logits.grad.isfinite().all()


def pull_away_by_loops(features):
    """Mean squared cosine similarity of all ordered pairs of different rows."""
    n = len(features)
    total = 0.0
    for i in range(n):
        for j in range(n):
            if i != j:
                lengths = np.linalg.norm(features[i]) * np.linalg.norm(features[j])
                total += (features[i].ravel() @ features[j].ravel() / lengths) ** 2
    return total / (n * (n - 1))


@pytest.mark.parametrize("shape", [(2, 3), (7, 4), (5, 2, 3)], ids=str)
def test_pull_away(shape, rng):
    features = rng.normal(size=shape)
    result = _losses.pull_away(torch.from_numpy(features))
    np.testing.assert_allclose(result, pull_away_by_loops(features), rtol=1e-12)


@pytest.mark.parametrize(
    ("features", "expected"),
    [
        ([[1.0, 0.0], [0.0, 3.0]], 0.0),
        ([[1.0, 2.0], [-2.0, -4.0]], 1.0),
        ([[1.0, 2.0]], 0.0),
        ([[0.0, 0.0], [1.0, 2.0]], 0.0),
    ],
    ids=["right angle", "one line", "one row", "dead row"],
)
def test_pull_away_closed_form(features, expected):
    features = torch.tensor(features, dtype=torch.float64, requires_grad=True)
    loss = _losses.pull_away(features)
    loss.backward()
    np.testing.assert_allclose(loss.detach(), expected, atol=1e-14)
    assert features.grad.isfinite().all()
