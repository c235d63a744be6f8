import threading

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.datasets import load_digits

from sgan_sklearn import SGANClassifier
from sgan_sklearn._data import rows as rows_module
from sgan_sklearn._data import stratification
from sgan_sklearn._data.rows import (
    ByteRows,
    StreamedRows,
    as_array,
    iterate_rows,
    subset,
    training_rows,
)
from sgan_sklearn._data.scaling import FeatureScaler
from sgan_sklearn._data.space import ImageSpace, TableSpace
from sgan_sklearn._data.stratification import sample_indices
from sgan_sklearn.samplers import CriticSampler

CPU = torch.device("cpu")


def fitted_space(space, X):
    return space.fit(X, np.zeros(len(X), dtype=int), np.random.RandomState(0))


def table_rows(n_rows=10):
    X = np.random.RandomState(0).randn(n_rows, 4)
    X[::3, 1] = np.nan
    space = fitted_space(TableSpace("auto", None), X)
    return StreamedRows(X, space, CPU), torch.from_numpy(space.transform(X))


def byte_images():
    X = np.random.RandomState(0).randint(256, size=(10, 12)).astype(np.uint8)
    space = fitted_space(ImageSpace("image", None, (2, 2, 3)), X)
    return X, space, torch.from_numpy(space.transform(X))


def both_kinds():
    X, space, scaled = byte_images()
    return [table_rows(), (training_rows(X, space, CPU), scaled)]


@pytest.mark.parametrize(("rows", "scaled"), both_kinds())
def test_rows_are_indexed_like_a_tensor(rows, scaled):
    assert tuple(rows.shape) == tuple(scaled.shape)
    assert len(rows) == len(scaled)
    for places in (slice(None), slice(2, 5), torch.tensor([7, 0, 7, 3]), torch.tensor([1])):
        assert torch.equal(rows[places], scaled[places])
    chosen = np.array([8, 2, 5])
    assert torch.equal(subset(rows, chosen)[:], scaled[chosen])
    assert torch.equal(subset(subset(rows, chosen), np.array([2, 0]))[:], scaled[[5, 8]])
    np.testing.assert_array_equal(as_array(rows, chosen), scaled[chosen])
    np.testing.assert_array_equal(as_array(rows, np.arange(10)), scaled)


def test_images_of_bytes_are_stored_as_bytes():
    X, space, _ = byte_images()
    rows = training_rows(X, space, CPU)
    assert isinstance(rows, ByteRows)
    assert rows._values.dtype == torch.uint8
    X[:] = 0  # the rows are a copy
    assert rows._values.any()


def test_rows_that_do_not_fit_in_memory_are_scaled_on_access(monkeypatch):
    X, space, _ = byte_images()
    monkeypatch.setattr(rows_module, "MAX_BYTES_ON_CPU", X.size - 1)
    assert isinstance(training_rows(X, space, CPU), StreamedRows)
    floats = X.astype(np.float32)
    monkeypatch.setattr(rows_module, "MAX_BYTES_ON_CPU", 4 * X.size)
    assert isinstance(training_rows(floats, space, CPU), torch.Tensor)
    monkeypatch.setattr(rows_module, "MAX_BYTES_ON_CPU", 4 * X.size - 1)
    assert isinstance(training_rows(floats, space, CPU), StreamedRows)


places = st.lists(st.integers(0, 9), min_size=1, max_size=4)


@given(st.lists(st.tuples(st.just([]) | places, places), max_size=100))
def test_rows_read_ahead_are_those_asked_for(picks):
    rows, scaled = table_rows()
    picks = [tuple(torch.tensor(part, dtype=torch.long) for part in pick) for pick in picks]
    found = list(iterate_rows(rows, iter(picks)))
    assert len(found) == len(picks)
    for pick, (places, values) in zip(picks, found, strict=True):
        assert places is pick
        assert all(torch.equal(part, scaled[p]) for part, p in zip(values, pick, strict=True))


def test_reader_thread_ends_with_the_iteration():
    rows, _ = table_rows()
    reading = iterate_rows(rows, ((torch.tensor([0]),) for _ in range(1_000)))
    next(reading)
    reading.close()
    assert not [t for t in threading.enumerate() if t.name.startswith("sgan_sklearn")]


def test_error_in_the_reader_thread_is_raised():
    rows, _ = table_rows()
    with pytest.raises(IndexError):
        list(iterate_rows(rows, [(torch.tensor([10]),)]))


@pytest.mark.parametrize(("n_bytes", "together"), [(10**9, 32), (16 * 3 * 5, 5), (1, 1)])
def test_number_of_rows_read_ahead_is_bounded(monkeypatch, n_bytes, together):
    monkeypatch.setattr(rows_module, "BYTES_AHEAD", n_bytes)
    X = np.zeros((10, 4))
    rows = StreamedRows(X, fitted_space(TableSpace("auto", None), X), CPU)  # of 16 bytes each
    asked = []

    def read(places):
        asked.append(len(places))
        return torch.zeros(len(places), 4)

    monkeypatch.setattr(rows, "read", read)
    picks = [(torch.tensor([0]), torch.tensor([1, 2]))] * 70
    assert len(list(iterate_rows(rows, iter(picks)))) == 70
    assert max(asked) == 3 * together


def test_sample_of_few_rows_is_all_rows():
    np.testing.assert_array_equal(sample_indices(np.full(5, -1), 3, None), np.arange(5))


@pytest.mark.parametrize(
    ("n_labeled", "n_unlabeled", "expected"),
    [
        (10, 90, (10, 40)),
        (60, 40, (25, 25)),
        (95, 5, (45, 5)),
        (100, 0, (50, 0)),
        (0, 100, (0, 50)),
    ],
)
def test_sample_prefers_labeled_rows(monkeypatch, n_labeled, n_unlabeled, expected):
    monkeypatch.setattr(stratification, "MAX_SAMPLE_VALUES", 150)
    rng = np.random.RandomState(0)
    codes = rng.permutation(np.r_[np.arange(n_labeled) % 2, np.full(n_unlabeled, -1)])
    places = sample_indices(codes, 3, rng)
    assert (np.diff(places) > 0).all()
    assert ((codes[places] >= 0).sum(), (codes[places] < 0).sum()) == expected


def test_sample_has_a_row_of_each_class(monkeypatch):
    monkeypatch.setattr(stratification, "MAX_SAMPLE_VALUES", 10)
    codes = np.r_[np.zeros(1_000, dtype=int), [1, 2], np.full(1_000, -1)]
    places = sample_indices(codes, 1, np.random.RandomState(0))
    assert set(codes[places]) == {0, 1, 2, -1}


# --- in the classifier ----------------------------------------------------------------------


def digits(n_rows=300):
    X, y = load_digits(return_X_y=True)
    return X[:n_rows], np.where(np.arange(n_rows) < 100, y[:n_rows], -1)


def fitted(X, y, **params):
    params = {"max_epochs": 2, "device": "cpu", "random_state": 0, **params}
    return SGANClassifier(**params).fit(X, y)


@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("order", ["C", "F"])
def test_rows_in_a_file_give_the_same_model_to_the_bit(
    tmp_path, monkeypatch, order, early_stopping
):
    X, y = digits()
    X[::5, 3] = np.nan
    in_memory = fitted(X, y, early_stopping=early_stopping)
    file = np.memmap(tmp_path / "X", dtype=X.dtype, mode="w+", shape=X.shape, order=order)
    file[:] = X
    file.flush()
    file = np.memmap(tmp_path / "X", dtype=X.dtype, mode="r", shape=X.shape, order=order)
    monkeypatch.setattr(rows_module, "MAX_BYTES_ON_CPU", 1_000)
    streamed = fitted(file, y, early_stopping=early_stopping)
    np.testing.assert_array_equal(streamed.predict_proba(file), in_memory.predict_proba(X))
    np.testing.assert_array_equal(streamed.transduction_, in_memory.transduction_)
    np.testing.assert_array_equal(
        streamed.sample(5, random_state=0), in_memory.sample(5, random_state=0)
    )


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_images_in_a_file(tmp_path, monkeypatch, dtype):
    X, y = digits()
    images = (16 * X).clip(0, 255).astype(dtype).reshape(-1, 8, 8)
    in_memory = fitted(images, y, max_epochs=1)
    np.save(tmp_path / "images.npy", images)
    monkeypatch.setattr(rows_module, "MAX_BYTES_ON_CPU", 1_000)
    file = np.load(tmp_path / "images.npy", mmap_mode="r")
    streamed = fitted(file, y, max_epochs=1)
    np.testing.assert_array_equal(streamed.predict_proba(file), in_memory.predict_proba(images))


def test_scaling_is_fitted_on_a_sample(monkeypatch):
    X, y = digits()
    monkeypatch.setattr(stratification, "MAX_SAMPLE_VALUES", 200 * X.shape[1])
    seen = []

    class Scaler(FeatureScaler):
        def fit(self, X, y=None):
            seen.append(len(X))
            return super().fit(X)

    clf = fitted(X, y, scaling=Scaler("standard"))
    assert seen == [200]
    assert len(clf.transduction_) == len(X)
    assert clf.score(X[:100], y[:100]) > 0.5


def test_range_of_images_is_that_of_all_images(monkeypatch):
    X, y = digits()
    images = (X / 100).reshape(-1, 8, 8)
    images[-1, 0, 0] = 255.0
    monkeypatch.setattr(stratification, "MAX_SAMPLE_VALUES", 20 * 64)
    clf = fitted(images, y, max_epochs=1)
    scaled = clf.scaler_.transform(images.reshape(len(images), -1))
    assert (scaled.min(), scaled.max()) == (-1, 1)


def test_sample_without_the_missing_values_and_levels_of_other_rows(monkeypatch):
    X, y = digits()
    X[250:, 5] = np.nan
    X = np.column_stack([X, np.where(np.arange(300) < 299, 0, 1)])
    monkeypatch.setattr(stratification, "MAX_SAMPLE_VALUES", 40 * 65)
    clf = fitted(X, y, categorical_features=[64], early_stopping=True, sampler=small_sampler())
    assert np.isfinite(clf.predict_proba(X)).all()
    assert clf.sample(20, random_state=0).shape == (20, 65)


def small_sampler():
    return CriticSampler((8,), (8,), max_epochs=1)


def test_rows_fill_a_share_of_a_gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (1_000, 4_000))
    assert rows_module._fit(250, torch.device("cuda"))
    assert not rows_module._fit(251, torch.device("cuda"))


@pytest.mark.parametrize("dtype", ["complex64", "S3", "U2", [("a", "f4"), ("b", "f4")]], ids=str)
def test_files_of_other_dtypes(tmp_path, dtype):
    file = np.memmap(tmp_path / "X", dtype=dtype, mode="w+", shape=(6, 2))
    with pytest.raises(
        ValueError, match=r"Complex data not supp|Got (bytes|the text|a structured)"
    ):
        SGANClassifier(max_epochs=1).fit(file, [0, 1, 0, 1, -1, -1])
