import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sgan_sklearn._data import stratification
from sgan_sklearn._data.batches import (
    EvaluationBatches,
    SemiSupervisedBatches,
    SemiSupervisedDataset,
)


def make_batches(n, n_labeled, batch_size, weights=None):
    """Return batches of rows that hold their own index; the label of row i is i modulo 3."""
    codes = torch.arange(n) % 3
    codes[n_labeled:] = -1
    rows = torch.arange(n, dtype=torch.float32).unsqueeze(1)
    return SemiSupervisedBatches(SemiSupervisedDataset(rows, codes, weights), batch_size)


def indices(rows):
    return rows.squeeze(1).long().tolist()


sizes = st.integers(1, 30).flatmap(
    lambda n: st.tuples(st.just(n), st.integers(1, n), st.integers(1, 40))
)


@given(sizes)
def test_number_and_sizes_of_batches(sizes):
    n, n_labeled, batch_size = sizes
    batches = make_batches(n, n_labeled, batch_size)
    epoch = list(batches)
    assert len(epoch) == len(batches) == -(-n // min(batch_size, n))
    for batch in epoch:
        assert len(batch.unlabeled) == len(batch.real) == min(batch_size, n)
        assert len(batch.labeled) == len(batch.codes) == min(batch_size, n_labeled)


@given(sizes)
def test_every_row_comes_once_before_any_comes_again(sizes):
    n, n_labeled, batch_size = sizes
    batches = make_batches(n, n_labeled, batch_size)
    seen = [batch for _ in range(3) for batch in batches]
    for name, population in (("unlabeled", n), ("real", n), ("labeled", n_labeled)):
        stream = [i for batch in seen for i in indices(getattr(batch, name))]
        for start in range(0, len(stream) - population + 1, population):
            assert sorted(stream[start : start + population]) == list(range(population))


@given(sizes)
def test_labeled_rows_come_with_their_labels(sizes):
    n, n_labeled, batch_size = sizes
    for batch in make_batches(n, n_labeled, batch_size):
        labeled = indices(batch.labeled)
        assert max(labeled) < n_labeled
        assert batch.codes.tolist() == [i % 3 for i in labeled]


@given(sizes)
def test_labeled_rows_come_with_their_weights(sizes):
    n, n_labeled, batch_size = sizes
    for batch in make_batches(n, n_labeled, batch_size, torch.arange(n) * 0.5):
        assert batch.weights.tolist() == [0.5 * i for i in indices(batch.labeled)]


def test_without_weights_a_batch_has_none():
    assert next(iter(make_batches(5, 5, 3))).weights is None


@pytest.mark.parametrize(
    ("n", "batch_size", "n_batches"),
    [(10, 5, 2), (11, 5, 3), (5, 100, 1), (1, 1, 1), (1, 100, 1)],
    ids=["even", "one row left over", "larger than the data", "one row", "one row, large batch"],
)
def test_epoch_lengths(n, batch_size, n_batches):
    assert len(list(make_batches(n, n, batch_size))) == n_batches


def test_real_rows_are_in_another_order_than_unlabeled_ones():
    (batch,) = make_batches(50, 50, 50)
    assert indices(batch.real) != indices(batch.unlabeled)
    assert sorted(indices(batch.real)) == sorted(indices(batch.unlabeled))


def test_order_changes_between_epochs():
    batches = make_batches(50, 50, 50)
    (first,), (second,) = batches, batches
    assert indices(first.unlabeled) != indices(second.unlabeled)
    assert indices(first.labeled) != indices(second.labeled)


def test_order_follows_the_global_generator():
    def draw(seed):
        torch.manual_seed(seed)
        return [indices(batch.unlabeled) for batch in make_batches(20, 3, 6)]

    assert draw(1) == draw(1)
    assert draw(1) != draw(2)


def test_batches_continue_from_a_restored_state():
    batches, others = make_batches(11, 7, 3), make_batches(11, 7, 3)
    list(batches)
    others.load_state_dict(batches.state_dict())
    for one, other in zip(batches, others, strict=True):
        assert all(torch.equal(*parts) for parts in zip(one[:-1], other[:-1], strict=True))
    state = batches.state_dict()
    with pytest.raises(ValueError, match="shorter"):
        others.load_state_dict({**state, "remaining": state["remaining"][:2]})


def test_rows_of_any_shape():
    rows = torch.arange(7 * 2 * 3).reshape(7, 2, 3)
    batches = SemiSupervisedBatches(SemiSupervisedDataset(rows, torch.zeros(7).long()), 4)
    assert next(iter(batches)).unlabeled.shape == (4, 2, 3)


def test_dataset():
    dataset = SemiSupervisedDataset(torch.zeros(4, 2), torch.tensor([-1, 0, -1, 2]))
    assert len(dataset) == 4
    assert dataset.labeled_indices.tolist() == [1, 3]


def test_number_of_sampled_rows_depends_on_their_size(monkeypatch, rng):
    monkeypatch.setattr(stratification, "MAX_SAMPLE_VALUES", 60)
    rows, codes = torch.arange(20 * 2 * 3).reshape(20, 2, 3), torch.arange(20) % 3 - 1
    sample, own_codes, places = SemiSupervisedDataset(rows, codes).sample(rng)
    assert len(set(places)) == 60 // (2 * 3)
    np.testing.assert_array_equal(sample, rows[places])
    np.testing.assert_array_equal(own_codes, codes[places])


@given(n_rows=st.integers(1, 30), batch_size=st.integers(1, 40))
def test_batches_for_evaluation_have_all_rows_in_order(n_rows, batch_size):
    rows, codes = torch.randn(n_rows, 2), torch.arange(n_rows) % 3 - 1
    batches = EvaluationBatches(SemiSupervisedDataset(rows, codes), batch_size)
    found = list(batches)
    assert len(batches) == len(found) == int(np.ceil(n_rows / batch_size))
    assert all(len(part) <= batch_size for part, _ in found)
    assert torch.equal(torch.cat([part for part, _ in found]), rows)
    assert torch.equal(torch.cat([part for _, part in found]), codes)


def test_labeled_subset_has_the_labeled_rows():
    rows = torch.arange(8.0).reshape(4, 2)
    dataset = SemiSupervisedDataset(rows, torch.tensor([-1, 0, -1, 1]))
    labeled = dataset.labeled_subset()
    assert len(labeled) == 2
    assert torch.equal(labeled.X, rows[[1, 3]])
    assert labeled.y.tolist() == [0, 1]
    assert SemiSupervisedDataset(rows, torch.full((4,), -1)).labeled_subset() is None
