"""Labels of unusual types and sizes, and the classes to sample: exact, or refused."""

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from sklearn.metrics import get_scorer

from sgan_sklearn import SGANClassifier
from sgan_sklearn._data.labels import check_labels, codes_to_sample
from sgan_sklearn.metrics import labeled_scorer
from sgan_sklearn.model_selection import mask_labels

NAN = float("nan")
NAMES = np.array(["ash", "elm", "oak"], dtype=object)


def objects(*labels):
    array = np.empty(len(labels), dtype=object)
    array[:] = labels
    return array


def with_gaps(y, names=(0, 1, 2)):
    """Return labels as a list with None for missing ones."""
    return [None if code < 0 else names[code] for code in y]


# --- other types of labels ------------------------------------------------------------------------


def test_numpy_booleans_in_objects_are_booleans(make_classifier, data):
    X, y = data
    labels = objects(*[-1 if code < 0 else np.bool_(code > 0) for code in y])
    classifier = make_classifier().fit(X, labels)
    assert classifier.classes_.dtype == bool
    assert classifier.score(X, labels) == classifier.score(X, np.where(y < 0, -1, y > 0))
    assert check_labels(objects(True, np.bool_(False), -1), -1).classes.tolist() == [False, True]


@pytest.mark.skipif(not hasattr(getattr(np, "dtypes", None), "StringDType"), reason="NumPy 1")
@pytest.mark.parametrize("na_object", [None, NAN, "absent"])
def test_numpy_strings_of_variable_length(make_classifier, data, na_object):
    X, y = data
    options = {} if na_object == "absent" else {"na_object": na_object}
    dtype = np.dtypes.StringDType(**options)
    names = np.array(NAMES[y].tolist(), dtype=dtype)
    classifier = make_classifier(unlabeled_value=None).fit(X, names)
    assert classifier.predict(X).tolist() == [
        NAMES[i] for i in classifier.predict_proba(X).argmax(1)
    ]
    assert classifier.classes_.tolist() == NAMES.tolist()
    if na_object != "absent":
        gaps = np.array(with_gaps(y, NAMES), dtype=object)
        gaps[y < 0] = na_object
        given = gaps.astype(dtype)
        expected = make_classifier().fit(X, y).predict_proba(X)
        found = make_classifier(unlabeled_value=NAN).fit(X, given).predict_proba(X)
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(
    ("y", "name"),
    [
        (np.array(["2020", "2021"], dtype="M8[D]"), r"datetime64\[D\]"),
        (np.array([1, 2], dtype="m8[s]"), r"timedelta64\[s\]"),
        (pd.Series(pd.date_range("2020", periods=2)), "datetime64"),
        (pd.Series(pd.date_range("2020", periods=2, tz="UTC")), "Timestamp"),
        (objects(np.datetime64("2020"), np.datetime64("2021")), "datetime64"),
        (objects(np.timedelta64(1, "s"), np.timedelta64(2, "s")), "timedelta64"),
        (pl.Series([1, 2]).cast(pl.Date), "datetime64"),
        (pa.array([1, 2], type=pa.date32()), "datetime64"),
        (objects(1j, 2j), "complex"),
        (np.array([(1, 2), (3, 4)], dtype="i4,i4"), "i4"),
    ],
)
def test_types_that_cannot_be_classes_are_refused(y, name, fitted, data):
    message = rf"y must hold class labels that are numbers or strings. Got the type .*{name}"
    with pytest.raises(ValueError, match=message):
        check_labels(y, -1)
    with pytest.raises(ValueError, match=message):
        fitted.score(data[0][:2], y)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([2**64, 1], "integers from 1 to 18446744073709551616, which no 64-bit integer dtype"),
        ([2**63, -2], "integers from -2 to 9223372036854775808, which no 64-bit integer dtype"),
        ([10**400, 10**400 + 1], "which no 64-bit integer dtype"),
        ([True, 1], "mixes labels of the types bool and number, where True equals 1"),
        ([True, 2], "mixes labels of the types bool and number"),
        ([np.bool_(False), 0.0], "mixes labels of the types bool and number"),
        ([True, "a"], "mixes labels of the types bool and string, which have no common order"),
        ([1, 1.0], r"the integer 1 and the equal number 1\.0"),
        ([np.int8(3), np.float32(3)], r"the integer 3 and the equal number 3\.0"),
        ([2**53, 2.0**53 - 1], "holds the label 9007199254740992, but the dtype float64"),
        ([2.0**53, 1.0], "holds the label 9007199254740992, but the dtype float64"),
    ],
)
@pytest.mark.parametrize(
    "convert", [list, tuple, lambda y: objects(*y)], ids=["list", "tuple", "o"]
)
def test_labels_that_would_be_merged_are_refused(labels, message, convert):
    with pytest.raises(ValueError, match=f"y .*{message}"):
        check_labels(convert([*labels, *labels]), None)
    with pytest.raises(ValueError, match=f"y .*{message}"):
        check_labels(convert([*labels, -1]), -1)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_floats_that_merge_integers_are_refused(dtype):
    first = 2 ** (np.finfo(dtype).nmant + 1)
    assert check_labels(np.array([0, first - 1], dtype=dtype), None).classes[1] == first - 1
    with pytest.raises(
        ValueError, match=rf"holds the label {first}, .*dtype {np.dtype(dtype)} cannot"
    ):
        check_labels(np.array([0, first], dtype=dtype), None)


@pytest.mark.parametrize(
    ("y", "classes", "codes"),
    [
        (objects(2**63, 2**63 + 1, -1), [2**63, 2**63 + 1], [0, 1, -1]),
        ([2**63, 2**63 + 1, -1], [2**63, 2**63 + 1], [0, 1, -1]),
        (objects(np.uint64(7), np.int64(5), -1), [5, 7], [1, 0, -1]),
        (objects(2**53 + 1, 2**53, -1), [2**53, 2**53 + 1], [1, 0, -1]),
        (objects(0, 1.5 * 2, -1), [0.0, 3.0], [0, 1, -1]),
        (objects(-(2**63), 2**63 - 1, -1), [-(2**63), 2**63 - 1], [0, 1, -1]),
        (pd.Series([2**53 + 1, 2**53, -1], dtype="Int64"), [2**53, 2**53 + 1], [1, 0, -1]),
        (pd.Series(["a\0", "a"], dtype=object), ["a", "a\0"], [1, 0]),
        (["a\0", "a"], ["a", "a\0"], [1, 0]),
        (pl.Series(["a\0", "a"]), ["a", "a\0"], [1, 0]),
    ],
)
def test_labels_near_limits_are_exact(y, classes, codes):
    labels = check_labels(y, -1)
    assert labels.classes.tolist() == classes
    assert labels.codes.tolist() == codes


def test_float_as_unlabeled_value_is_compared_exactly():
    y = np.array([2**53, 2**53 + 1, 3])
    assert check_labels(y, 2.0**53).codes.tolist() == [-1, 1, 0]
    assert check_labels(y, 2**53 + 1).codes.tolist() == [1, -1, 0]


def test_masking_is_exact_near_limits():
    y = np.array([2**53, 2**53 + 1, 2**53, 2**53 + 1])
    for mark in (0.5, NAN, 2**63):
        masked = mask_labels(y, per_class=1, unlabeled_value=mark, random_state=0)
        kept = [label for label in masked.tolist() if label == label and label != mark]
        assert sorted(kept) == [2**53, 2**53 + 1]
        assert (check_labels(masked, mark).codes < 0).sum() == 2


def test_scorer_receives_unchanged_labels(data, fitted):
    X, y = data
    gaps = pd.Series(with_gaps(y), dtype="Int64")
    labeled = y >= 0
    expected = get_scorer("f1_macro")(fitted, X[labeled], y[labeled])
    assert labeled_scorer("f1_macro", NAN)(fitted, X, gaps) == expected


# --- classes to sample ----------------------------------------------------------------------------

INTEGERS, TREES = np.array([0, 1, 2]), np.array(["ash", "elm"], dtype=object)


@pytest.mark.parametrize(
    ("label", "classes", "codes"),
    [
        pytest.param(pd.Series([2, 0], index=[5, 5]), INTEGERS, [2, 0], id="series"),
        pytest.param(pd.Series([2, 0], dtype="Int64"), INTEGERS, [2, 0], id="Int64"),
        pytest.param(pd.DataFrame({"y": [2, 0]}), INTEGERS, [2, 0], id="frame"),
        pytest.param(pl.DataFrame({"y": [2, 0]}), INTEGERS, [2, 0], id="polars frame"),
        pytest.param(pl.Series([2, 0]), INTEGERS, [2, 0], id="polars"),
        pytest.param(pa.array([2, 0]), INTEGERS, [2, 0], id="pyarrow"),
        pytest.param(np.array([[2], [0]]), INTEGERS, [2, 0], id="column"),
        pytest.param([[2], [0]], INTEGERS, [2, 0], id="column of lists"),
        pytest.param((2, 0), INTEGERS, [2, 0], id="tuple"),
        pytest.param(range(2), INTEGERS, [0, 1], id="range"),
        pytest.param(np.ma.masked_array([2, 0]), INTEGERS, [2, 0], id="masked, nothing hidden"),
        pytest.param(np.array([2.0, 0.0]), INTEGERS, [2, 0], id="floats"),
        pytest.param(np.array([2, 0], dtype=np.uint8), INTEGERS, [2, 0], id="bytes"),
        pytest.param(2.0, INTEGERS, [2] * 3, id="one float"),
        pytest.param(np.int8(2), INTEGERS, [2] * 3, id="one of NumPy's integers"),
        pytest.param(np.array(2), INTEGERS, [2] * 3, id="array without dimensions"),
        pytest.param(np.str_("elm"), TREES, [1] * 3, id="one of NumPy's strings"),
        pytest.param(np.array(["elm", "ash"]), TREES, [1, 0], id="NumPy's strings"),
        pytest.param(pd.Categorical(["elm", "ash"]), TREES, [1, 0], id="category"),
        pytest.param([0, 1], np.array([False, True]), [0, 1], id="numbers of booleans"),
        pytest.param(np.bool_(True), np.array([False, True]), [1] * 3, id="NumPy's boolean"),
    ],
)
def test_classes_to_sample_in_any_form(label, classes, codes):
    n_rows = 3 if len(codes) == 3 else 1
    assert codes_to_sample(label, n_rows, classes).tolist() == codes


@pytest.mark.parametrize(
    "label",
    [
        {0, 1},
        frozenset({0}),
        {0: 1},
        (code for code in [0, 1]),
        [[0, 1]],
        [[0, 1], [2]],
        [[[0]]],
        np.zeros((2, 2), dtype=int),
        pd.DataFrame({"a": [0], "b": [1]}),
        np.ma.masked_array([0, 1], [False, True]),
        np.ma.masked,
        NAN,
        [0, NAN],
        pd.NA,
        pd.Series([0, None], dtype="Int64"),
        pl.Series([0, None]),
        [None],
        0.5,
        [0.5],
        "0",
        np.array(["0"]),
        b"0",
        1j,
        object(),
        [],
        np.array([]),
        3,
        np.array(3),
        SGANClassifier,
    ],
    ids=lambda label: type(label).__name__,
)
def test_invalid_classes_to_sample_are_refused(fitted, label):
    with pytest.raises(ValueError, match="'label' parameter"):
        fitted.sample(label=label)


def test_sampled_rows_of_classes_in_a_series(fitted):
    expected = fitted.sample(label=[2, 0, 1], random_state=0)
    for label in (pd.Series([2, 0, 1]), np.array([[2.0], [0.0], [1.0]]), pl.Series([2, 0, 1])):
        np.testing.assert_array_equal(fitted.sample(label=label, random_state=0), expected)


@pytest.mark.parametrize("n_samples", [10**12, 10**15, 10**30])
@pytest.mark.parametrize("label", [None, 1])
def test_more_rows_than_fit_in_memory_are_refused(fitted, n_samples, label):
    with pytest.raises(MemoryError, match=rf"'n_samples' parameter .* {n_samples} rows, .* GiB"):
        fitted.sample(n_samples, label=label)
    assert fitted.sample(2).shape == (2, 4)


@pytest.mark.parametrize(
    "error", [MemoryError(), RuntimeError("[enforce fail] DefaultCPUAllocator: not enough memory")]
)
def test_insufficient_memory_is_reported(fitted, monkeypatch, error):
    def fail(*args):
        raise error

    monkeypatch.setattr("sgan_sklearn._training.generation.generate", fail)
    with pytest.raises(MemoryError, match=r"'n_samples' parameter .* 5 rows"):
        fitted.sample(5)
    monkeypatch.setattr("sgan_sklearn._training.generation._physical_memory", lambda: 1e3)
    with pytest.raises(MemoryError, match=r"'n_samples' parameter .* 50 rows"):
        fitted.sample(50)


def test_other_errors_of_sampling_are_not_changed(fitted, monkeypatch):
    def fail(*args):
        raise RuntimeError("of the network")

    monkeypatch.setattr("sgan_sklearn._training.generation.generate", fail)
    with pytest.raises(RuntimeError, match="of the network"):
        fitted.sample(5)
