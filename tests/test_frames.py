"""Columns of frames and arrays: every dtype is restored, or refused by name."""

import contextlib
import copy
import json
import pickle
import re
import time

import numpy as np
import pandas as pd
import polars as pl
import pytest
from frame_strategies import STRINGS, as_lists, frames, refused_columns
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris, load_linnerud, load_wine
from sklearn.model_selection import cross_val_score

from sgan_sklearn import export_onnx, load, save
from sgan_sklearn._data.columns import TableColumns
from sgan_sklearn._data.frames import build_frame, described_columns
from sgan_sklearn._data.scaling import FeatureScaler, TableScaler
from sgan_sklearn._data.table import as_table


def of_dtypes(X):
    return TableColumns(as_table(X), "from_dtype")


LABELS = np.array([0, 1, -1] * 10)
RANDOM = np.random.RandomState(0)


def empty_frame(description):
    """Return a frame without rows that has the described columns."""
    known = np.empty(0, dtype=bool)
    is_date = [str(dtype).startswith("datetime") for dtype in described_columns(description)[1]]
    values = [np.empty(0, dtype=np.int64 if date else object) for date in is_date]
    return build_frame(description, [(part, known) for part in values])


def assert_same_form(found, X):
    assert type(found) is type(X)
    assert list(found.columns) == list(X.columns)
    assert list(found.dtypes) == list(X.dtypes)


# --- round trips ----------------------------------------------------------------------------------


@given(frames(12))
@settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
def test_columns_of_every_dtype_come_back(X):
    columns = of_dtypes(X)
    again = pickle.loads(pickle.dumps(columns))
    for known in (columns, again, copy.deepcopy(columns)):
        numbers = known.to_numbers(as_table(X))
        assert numbers.shape == (12, X.shape[1])
        found = known.to_original_form(np.asarray(numbers), RANDOM)
        assert_same_form(found, X)
        assert as_lists(found) == as_lists(X)


@given(frames(5))
@settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
def test_descriptions_are_json_and_make_the_same_frame(X):
    description = as_table(X).describe()
    text = json.dumps(description)
    empty = empty_frame(json.loads(text))
    assert_same_form(empty, X)
    assert len(empty) == 0
    assert json.dumps(as_table(empty).describe()) == text


@pytest.mark.parametrize(
    "names",
    [
        [0, 1, 2],
        [7, 3, 5],
        [1.5, None, 2.5],
        pd.date_range("2026", periods=3),
        pd.date_range("2026", periods=3, tz="Europe/Berlin"),
        pd.MultiIndex.from_tuples([("a", 1), ("a", 2), ("b", 1)], names=["letter", None]),
        pd.Index(["a", "b", "c"], name="names"),
        pd.CategoricalIndex(["a", "b", "c"]),
    ],
    ids=lambda names: str(getattr(names, "dtype", names)),
)
def test_column_names_are_restored(names):
    X = pd.DataFrame(np.arange(6.0).reshape(2, 3), columns=names)
    if isinstance(names, pd.CategoricalIndex):
        with pytest.raises(ValueError, match="names of the columns of X must be strings"):
            as_table(X).describe()
        return
    empty = empty_frame(json.loads(json.dumps(as_table(X).describe())))
    assert empty.columns.equals(X.columns)
    assert empty.columns.names == X.columns.names
    assert empty.columns.dtype == X.columns.dtype


@pytest.mark.parametrize("name", sorted(refused_columns(2)))
def test_unsupported_columns_are_refused_by_name(name, make_classifier):
    column = refused_columns(30)[name]
    X = (
        pl.DataFrame({"x": np.arange(30.0), "odd one": column})
        if isinstance(column, pl.Series)
        else pd.DataFrame({"x": np.arange(30.0), "odd one": column})
    )
    classifier = make_classifier(callbacks=[Untrained()])
    with pytest.raises(ValueError, match="Column 'odd one' h") as caught:
        classifier.fit(X, LABELS)
    assert str(caught.value).count("Column 'odd one'") == 1
    assert re.search(r"[Mm]ake |Decode |Convert ", str(caught.value)), "there is no remedy"
    if not isinstance(column, pl.Series) and column.dtype == object:
        # Listing them as categories does not help.
        with pytest.raises(ValueError, match="Column 1 h"):
            make_classifier(categorical_features=[1]).fit(X.to_numpy(dtype=object), LABELS)


class Untrained:
    """A callback that fails if a training begins."""

    def on_epoch_end(self, *args, **kwargs):
        raise AssertionError

    def __getattr__(self, name):
        if name.startswith("on_"):
            raise AssertionError
        raise AttributeError(name)


# --- forged descriptions --------------------------------------------------------------------------

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
    | st.sampled_from(["pandas", "polars", "numpy", "category", "Enum", "arrow", "interval"]),
    lambda inner: st.lists(inner, max_size=4),
    max_leaves=8,
)  # fmt: skip


@given(frames(2), st.data())
@settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
def test_descriptions_that_were_changed_are_used_or_refused(X, data):
    description = json.loads(json.dumps(as_table(X).describe()))
    part = description
    while True:
        place = data.draw(st.integers(0, len(part) - 1))
        if not isinstance(part[place], list) or not part[place] or data.draw(st.booleans()):
            break
        part = part[place]
    part[place] = data.draw(json_values)
    start = time.monotonic()
    with contextlib.suppress(TypeError, ValueError):
        assert len(empty_frame(description)) == 0
    assert time.monotonic() - start < 2


@pytest.mark.parametrize(
    "dtype",
    [
        ["numpy", "object,object"],
        ["numpy", "<U1000000000"],
        ["numpy", "__import__('os')"],
        ["nullable", "DataFrame"],
        ["nullable", "__class__"],
        ["datetime", "ns", "dateutil//dev/zero"],
        ["datetime", "ns", "../../../dev/zero"],
        ["datetime", "ns", "/dev/zero"],
        ["datetime", "ns", "tzlocal()"],
        ["category", [["category", None, False], []], False],
        ["category", [["interval", "right"], [["interval", "right"], []], []], False],
        ["sparse", "|O", 0],
        ["arrow", "decimal128", 10**9, 2],
        ["arrow", "list_", 2],
        ["arrow", "dictionary", ["int8"], ["dictionary", ["int8"], ["string"], True], True],
        "period[D]",
        ["interval", "right"],
        [],
        None,
    ],
    ids=str,
)
def test_unlisted_dtypes_are_refused(dtype):
    with pytest.raises(ValueError, match="does not describe a frame"):
        empty_frame(["pandas", [["numpy", "|O"], ["a"]], [None], [dtype]])


@pytest.mark.parametrize(
    "dtype",
    [
        ["DataFrame"],
        ["__builtins__"],
        ["List"],
        ["Decimal", 10**9, 2],
        ["Decimal", 2, 10],
        ["Datetime", "us", "No/Where"],
        ["Datetime", "us", "../../dev/zero"],
        ["Enum", [1, 2]],
        ["Enum", 10**12],
        ["Categorical", "a", "b", "UInt64"],
        ["Int64", 1],
        "Int64",
    ],
    ids=str,
)
def test_unlisted_polars_dtypes_are_refused(dtype):
    with pytest.raises(ValueError, match="does not describe a frame"):
        empty_frame(["polars", ["a"], [None], [dtype]])


@pytest.mark.parametrize(
    "description",
    [
        None,
        [],
        ["pandas"],
        ["pandas", [["numpy", "|O"], ["a", "b"]], [None], [["numpy", "<f8"]]],
        ["polars", ["a", 1], [None], [["Int64"], ["Int64"]]],
        ["polars", ["a"], [None], []],
        ["dask", ["a"], [None], [["Int64"]]],
        {"polars": 1},
    ],
    ids=str,
)
def test_invalid_descriptions_are_refused(description):
    with pytest.raises(ValueError, match="does not describe a frame"):
        empty_frame(description)


def plain_states():
    X = pd.DataFrame(
        {
            "number": [1.5, 2.5, 3.5],
            "whole": [1, 2, 3],
            "level": ["a", "b", None],
            "when": pd.date_range("2020", periods=3),
        }
    )
    return TableColumns(as_table(X), "from_dtype").plain_state()


def test_columns_are_restored_from_a_plain_state():
    state = plain_states()
    columns = TableColumns.from_plain_state(copy.deepcopy(state))
    assert columns.plain_state() == state
    assert columns.n_levels == [0, 0, 2, 0]
    assert columns.names == ["'number'", "'whole'", "'level'", "'when'"]


@pytest.mark.parametrize(
    "change",
    [
        {"kinds": ["number", "integer", "category"]},
        {"kinds": ["number", "integer", "category", "money"]},
        {"kinds": ["number", "number", "category", "date"]},
        {"form": ["array", "<f8", 10**12]},
        {"form": ["array", "<U9", 4]},
        {"form": ["polars", ["a", "b", "c", "d"], [None], [["List"]] * 4]},
        {"levels": {}},
        {"levels": {2: []}},
        {"levels": {2: ["b", "a"]}},
        {"levels": {2: ["a", "a"]}},
        {"levels": {2: ["a", 1]}},
        {"levels": {2: [["a"]]}},
        {"levels": {2: [f"{i:03}" for i in range(101)]}},
        {"rare": {2: ["x"]}},
        {"rare": {2: ["x"]}, "rare_counts": {2: [0]}},
        {"rare": {2: ["x"]}, "rare_counts": {2: [1, 2]}},
        {"rare": {0: ["x"]}, "rare_counts": {0: [1]}},
        {"integers": {1: [0, 1, 3, 1, 1]}},
        {"integers": {1: [0, 1, 3, 1, 1], 3: [0, 1, 3, 1]}},
        {"integers": {1: [0, 1, 3, 0, 1], 3: [1, 1, 3, 1, 1]}},
        {"integers": {1: [0, 3, 1, 1, 1], 3: [1, 1, 3, 1, 1]}},
        {"integers": {1: [0, 1, 2**64, 1, 1], 3: [1, 1, 3, 1, 1]}},
        {"integers": {1: [0, -1, 2**63, 1, 1], 3: [1, 1, 3, 1, 1]}},
        {"integers": {1: [0, 1.0, 3, 1, 1], 3: [1, 1, 3, 1, 1]}},
        {"integers": {1: [0, 1, 3, 1, 10**100], 3: [1, 1, 3, 1, 1]}},
        {"whole": [1]},
        {"whole": None},
        {"more": 1},
    ],
    ids=str,
)
def test_invalid_plain_states_are_refused(change):
    with pytest.raises(
        ValueError, match=r"columns of the table are not valid|does not describe a frame"
    ):
        TableColumns.from_plain_state({**plain_states(), **change})


# --- in the classifier ----------------------------------------------------------------------------


def everything(n):
    """Return a frame of many dtypes at once."""
    rng = np.random.RandomState(0)
    numbers, text = rng.randint(0, 9, n), rng.choice(["a", "b"], n)
    day = pd.Timestamp("2024-03-01", tz="Europe/Berlin")
    return pd.DataFrame(
        {
            "number": rng.randn(n),
            "arrow": pd.array(text.tolist(), dtype="string[pyarrow]"),
            "strings": pd.array(text.tolist(), dtype="string[python]"),
            "sparse": pd.arrays.SparseArray(numbers, fill_value=3),
            "interval": pd.cut(rng.randn(n), 3),
            "zoned": [day + pd.Timedelta(int(i), "h") for i in numbers],
            "decimal": pd.Series(numbers).astype("Int64"),
            "duration": pd.to_timedelta(numbers, unit="min"),
        }
    )


@pytest.mark.xdist_group("joblib")  # one pool of processes for all of these
def test_classifier_of_any_frame_can_be_sent_to_processes(make_classifier):
    X = everything(30)
    y = np.arange(30) % 2
    classifier = make_classifier(max_epochs=1, unlabeled_value=None)
    scores = cross_val_score(classifier, X, y, cv=2, n_jobs=2)
    assert np.isfinite(scores).all()


def test_fit_on_a_frame_of_many_dtypes(make_classifier, tmp_path):
    X = everything(30)
    classifier = make_classifier().fit(X, LABELS)
    probabilities = classifier.predict_proba(X)
    save(classifier, tmp_path / "classifier")
    for again in (
        load(tmp_path / "classifier"),
        pickle.loads(pickle.dumps(classifier)),
        copy.deepcopy(classifier),
    ):
        np.testing.assert_array_equal(again.predict_proba(X), probabilities)
        made = again.sample(40, random_state=0)
        assert_same_form(made, X)
        pd.testing.assert_frame_equal(made, classifier.sample(40, random_state=0))
    for name in ("sparse", "zoned", "decimal", "duration"):
        assert made[name].min() >= X[name].min()
        assert made[name].max() <= X[name].max()


def test_index_of_a_frame_is_ignored(make_classifier):
    X = everything(30)
    classifier, other = make_classifier().fit(X, LABELS), make_classifier()
    other.fit(X.set_axis(pd.date_range("2020", periods=30)), LABELS)
    np.testing.assert_array_equal(classifier.predict_proba(X), other.predict_proba(X))
    assert other.sample(3).index.tolist() == [0, 1, 2]


def test_duplicate_column_names_are_refused(make_classifier):
    # scikit-learn 1.9 cannot read their names.
    X = pd.DataFrame([["a", 1.0, 2.0], ["b", 2.0, 3.0]] * 15, columns=["once", "twice", "twice"])
    classifier = make_classifier().fit(X.set_axis(["a", "b", "c"], axis=1), LABELS)
    for call in (lambda: make_classifier().fit(X, LABELS), lambda: classifier.predict(X)):
        with pytest.raises(ValueError, match="X has several columns named 'twice'"):
            call()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: pl.LazyFrame({"a": [1.0, 2.0]}), r"Got a polars.LazyFrame: pass X.collect\(\)"),
        (
            lambda: pytest.importorskip("pyarrow").table({"a": [1.0, 2.0]}),
            r"Got a pyarrow.Table: pass X.to_pandas\(\)",
        ),
    ],
)
def test_frames_that_must_be_collected_first(make, message, make_classifier, fitted):
    X = make()
    for call in (
        lambda: make_classifier().fit(X, [0, 1]),
        lambda: fitted.predict(X),
        lambda: fitted.score(X, [0, 1]),
    ):
        with pytest.raises(TypeError, match=f"X must be an array or a pandas.*{message}"):
            call()


@pytest.mark.parametrize("frame", [pd.DataFrame(index=range(30)), pl.DataFrame()])
def test_a_frame_without_columns(frame, make_classifier):
    with pytest.raises(ValueError, match="X must have at least one column"):
        make_classifier().fit(frame, LABELS)


@pytest.mark.parametrize("columns", [[0, 1, 2], [10, 20, 30]])
@pytest.mark.parametrize(
    "change", [lambda f: f[f.columns[::-1]], lambda f: f.set_axis(range(5, 8), axis=1)]
)
def test_integer_column_names_must_match(columns, change, make_classifier, rng):
    X = pd.DataFrame(rng.normal(size=(30, 3)), columns=columns)
    classifier = make_classifier().fit(X, LABELS)
    with pytest.raises(ValueError, match="feature names should match those that were passed"):
        classifier.predict(change(X))
    classifier.predict(X.to_numpy())


# --- arrays ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("chosen", [None, [1]])
def test_masked_values_are_missing(chosen, make_classifier, rng):
    X = np.column_stack([rng.normal(size=30), rng.integers(0, 3, 30)])
    mask = rng.random(X.shape) < 0.2
    masked, plain = np.ma.masked_array(X, mask), np.where(mask, np.nan, X)
    one = make_classifier(categorical_features=chosen).fit(masked, LABELS)
    two = make_classifier(categorical_features=chosen).fit(plain, LABELS)
    np.testing.assert_array_equal(one.predict_proba(plain), two.predict_proba(plain))
    np.testing.assert_array_equal(one.predict_proba(masked), two.predict_proba(plain))
    made, expected = one.sample(50, random_state=0), two.sample(50, random_state=0)
    assert type(made) is np.ndarray
    np.testing.assert_array_equal(made, expected)
    assert pd.isna(made).any()


def test_masked_integers_are_missing(make_classifier, rng):
    X = np.ma.masked_array(2**60 + rng.integers(0, 3, (30, 2)), rng.random((30, 2)) < 0.2)
    classifier = make_classifier(categorical_features=[0]).fit(X, LABELS)
    assert set(classifier.sample(50)[:, 0]) <= {2**60, 2**60 + 1, 2**60 + 2, None}


def test_masked_pixels_are_refused(make_classifier, rng):
    X = np.ma.masked_array(rng.normal(size=(6, 8, 8)), rng.random((6, 8, 8)) < 0.1)
    with pytest.raises(ValueError, match=r"X is a masked array in which .* pixels are masked"):
        make_classifier(architecture="auto").fit(X, [0, 1, -1] * 2)
    flat = X.reshape(6, -1)
    with pytest.raises(ValueError, match="Images must hold a finite number in each pixel"):
        make_classifier(architecture="auto", image_shape=(8, 8)).fit(flat, [0, 1, -1] * 2)


@pytest.mark.skipif(np.__version__ < "2", reason="of NumPy 2.0 and later")
def test_arrays_of_strings_of_any_length(make_classifier):
    X = np.array([["a", "1.5"], ["b", "2.5"]] * 15, dtype=np.dtypes.StringDType())
    classifier = make_classifier(categorical_features=[0]).fit(X, LABELS)
    made = classifier.sample(20)
    assert set(made[:, 0]) == {"a", "b"}
    assert 1.5 <= min(made[:, 1]) <= max(made[:, 1]) <= 2.5
    with pytest.raises(ValueError, match="categorical_features"):
        make_classifier().fit(X, LABELS)


# --- images ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "form", [pd.DataFrame, lambda X: pl.DataFrame(X, schema=[f"p{i}" for i in range(64)])]
)
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_images_in_a_frame_come_back_in_a_frame(form, dtype, make_classifier, rng):
    pixels = rng.integers(0, 256, (12, 64)).astype(dtype)
    X, y = form(pixels), [0, 1, -1] * 4
    params = {"architecture": "auto", "image_shape": (8, 8), "max_epochs": 1}
    classifier = make_classifier(**params).fit(X, y)
    flat = make_classifier(**params).fit(pixels, y)
    made = classifier.sample(5, random_state=0)
    assert_same_form(made, X)
    np.testing.assert_array_equal(made.to_numpy(), flat.sample(5, random_state=0))
    np.testing.assert_array_equal(classifier.predict_proba(X), flat.predict_proba(pixels))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: f.assign(p=pd.Timestamp("2020")), "Column 'p' holds values of the kind 'date'"),
        (lambda f: f.assign(p="dark"), "Column 'p' must hold numbers"),
        (lambda f: f.assign(p=np.nan), "Images must hold a finite number in each pixel"),
    ],
)
def test_frames_without_images_are_refused(change, message, make_classifier, rng):
    X = pd.DataFrame(rng.normal(size=(12, 63))).add_prefix("c")
    classifier = make_classifier(architecture="auto", image_shape=(8, 8))
    with pytest.raises(ValueError, match=message):
        classifier.fit(change(X), [0, 1, -1] * 4)


# --- dates ----------------------------------------------------------------------------------------


def test_dates_are_numbers(make_learner, rng):
    days = rng.integers(0, 365, 90)
    X = pd.DataFrame({"when": pd.Timestamp("2020-01-01") + pd.to_timedelta(days, unit="D")})
    truth = (days > 180).astype(int)
    y = np.where(np.arange(90) % 3, -1, truth)
    classifier = make_learner().fit(X, y)
    assert classifier.score(X, truth) > 0.9
    made = classifier.sample(200, random_state=0)["when"]
    assert made.dtype == X["when"].dtype
    assert (made.dt.normalize() == made).all()  # days stay days
    assert made.between(X["when"].min(), X["when"].max()).all()
    assert made.nunique() > 50


@pytest.mark.parametrize("unit", ["D", "h", "s", "ms", "ns"])
def test_arrays_of_dates(unit, make_classifier, rng):
    X = np.datetime64("2020-01-01", unit) + rng.integers(0, 99, (30, 2)).astype(f"m8[{unit}]")
    X[3, 0] = "NaT"
    classifier = make_classifier().fit(X, LABELS)
    made = classifier.sample(40, random_state=0)
    assert made.dtype == X.dtype
    known = made[~np.isnat(made)]
    assert known.min() >= np.nanmin(X)
    assert known.max() <= np.nanmax(X)
    # The same dates in another unit.
    probabilities = classifier.predict_proba(X)
    if unit == "s":
        finer = X.astype("M8[ns]")
        np.testing.assert_array_equal(classifier.predict_proba(finer), probabilities)


@pytest.mark.parametrize("unit", ["M", "Y"])
def test_arrays_of_months(unit, make_classifier, rng):
    X = np.datetime64("2000", unit) + rng.integers(0, 20, (30, 1)).astype(f"m8[{unit}]")
    made = make_classifier().fit(X, LABELS).sample(20)
    assert made.dtype == X.dtype
    assert X.min() <= made.min() <= made.max() <= X.max()


def test_arrays_of_durations_without_a_fixed_length_are_refused(make_classifier, rng):
    X = rng.integers(0, 20, (30, 1)).astype("m8[M]")
    with pytest.raises(ValueError, match=r"Column 0 has the dtype timedelta64\[M\]"):
        make_classifier().fit(X, LABELS)


@given(
    unit=st.sampled_from(["s", "ms", "us", "ns"]),
    other=st.sampled_from(["s", "ms", "us", "ns"]),
    seconds=st.lists(st.integers(-(2**33), 2**33), min_size=3, max_size=9),
)
def test_dates_of_another_unit_are_the_same_numbers(unit, other, seconds):
    frames_ = [
        pd.DataFrame({"when": np.array(seconds).astype("M8[s]").astype(f"M8[{one}]")})
        for one in (unit, other)
    ]
    columns = of_dtypes(frames_[0])
    one, two = (columns.to_numbers(as_table(frame)) for frame in frames_)
    np.testing.assert_allclose(one, two, rtol=1e-15)
    pd.testing.assert_frame_equal(columns.to_original_form(two, RANDOM), frames_[0])


@given(
    arrays(np.int64, st.integers(1, 8), elements=st.integers(-(2**63) + 1, 2**63 - 1)),
    st.sampled_from(["M8[ns]", "m8[ns]", "M8[s]", "m8[us]"]),
)
def test_dates_of_any_range_come_back_as_nearly_as_floats_can(ticks, dtype):
    X = ticks.view(dtype)[:, np.newaxis]
    columns = of_dtypes(X)
    back = columns.to_original_form(columns.to_numbers(as_table(X)), RANDOM)
    assert back.dtype == X.dtype
    spread = int(ticks.max()) - int(ticks.min())
    for found, value in zip(back[:, 0].view(np.int64).tolist(), ticks.tolist(), strict=True):
        assert int(ticks.min()) <= found <= int(ticks.max())
        assert abs(found - value) <= spread * 2**-52
        if spread < 2**53:
            assert found == value


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (pd.Series([5] * 30), "has the dtype int64"),
        (pd.Series(["2020-01-01"] * 30), "has the dtype"),
        (pd.Series(pd.to_timedelta(range(30))), "has the dtype timedelta64"),
        (pd.Series(pd.date_range("2020", periods=30, tz="UTC")), "has the dtype datetime64"),
    ],
)
def test_date_columns_must_remain_dates(given, message, make_classifier):
    X = pd.DataFrame({"x": RANDOM.randn(30), "when": pd.date_range("2020", periods=30)})
    classifier = make_classifier().fit(X, LABELS)
    with pytest.raises(ValueError, match=f"Column 'when' {message}.*of the kind 'date'"):
        classifier.predict(X.assign(when=given))
    # Missing values match any kind.
    missing = classifier.predict_proba(X.assign(when=pd.NaT))
    np.testing.assert_array_equal(classifier.predict_proba(X.assign(when=None)), missing)


@pytest.mark.parametrize("value", [1.5, "big"])
@pytest.mark.filterwarnings("ignore:X has feature names:UserWarning")
def test_dates_are_refused_in_columns_of_other_kinds(value, make_classifier):
    X = pd.DataFrame({"x": [value] * 30, "y": RANDOM.randn(30)})
    classifier = make_classifier().fit(X, LABELS)
    for when in (pd.Timestamp("2020"), pd.Timedelta("1h")):
        with pytest.raises(ValueError, match="Column 'x' has the dtype"):
            classifier.predict(X.assign(x=when))
    of_arrays = make_classifier().fit(X[["y", "y"]].to_numpy(), LABELS)
    with pytest.raises(ValueError, match=r"Column 'y' has the dtype datetime64.*held numbers"):
        of_arrays.predict(pd.DataFrame({"x": X["y"], "y": pd.Timestamp("2020")}))


def test_dates_as_categories_are_refused(make_classifier):
    X = pd.DataFrame({"x": RANDOM.randn(30), "when": pd.date_range("2020", periods=30)})
    message = "'categorical_features' parameter .* must not name columns of dates.*Got 'when'"
    with pytest.raises(ValueError, match=message):
        make_classifier(categorical_features=["when"]).fit(X, LABELS)


def test_frames_of_polars_and_pandas_agree_on_dates(make_classifier, rng):
    days = rng.integers(0, 365, 30)
    X = pd.DataFrame({"when": (18_000 + days).astype("M8[D]").astype("M8[us]")})
    other = pl.DataFrame({"when": pl.Series(18_000 + days).cast(pl.Int32).cast(pl.Date)})
    one, two = make_classifier().fit(X, LABELS), make_classifier().fit(other, LABELS)
    np.testing.assert_array_equal(one.predict_proba(other), two.predict_proba(X))
    np.testing.assert_array_equal(one.predict_proba(other), one.predict_proba(X))


# --- integers that floats cannot hold -------------------------------------------------------------

LARGE = [2**53 + 1, 2**60 + 1, 2**60 + 3, 2**63 - 1, -(2**63), -(2**60) - 1]


@pytest.mark.parametrize("dtype", [np.int64, object])
def test_levels_of_large_integers_are_exact(dtype, make_classifier):
    X = np.array([[value, i % 7] for i, value in enumerate(LARGE * 5)], dtype=dtype)
    classifier = make_classifier(categorical_features=[0]).fit(X, LABELS)
    made = classifier.sample(100, random_state=0)
    assert made.dtype == dtype
    assert set(made[:, 0].tolist()) == set(LARGE)
    frame = pd.DataFrame({"a": X[:, 0], "b": X[:, 1]})
    from_frame = make_classifier(categorical_features=["a"]).fit(frame, LABELS).sample(100)
    assert set(from_frame["a"].tolist()) <= set(LARGE)


@st.composite
def integer_columns(draw):
    dtype = draw(st.sampled_from([np.int64, np.uint64]))
    limits = np.iinfo(dtype)
    start = draw(st.integers(int(limits.min), int(limits.max)))
    width = draw(st.sampled_from([0, 5, 1000, 2**40, 2**64]))
    low, high = max(start - width, int(limits.min)), min(start + width, int(limits.max))
    n = draw(st.integers(2, 6))
    return draw(arrays(dtype, (n, 2), elements=st.integers(low, high)))


@pytest.mark.parametrize("form", ["array", "pandas", "nullable", "objects", "polars"])
@given(X=integer_columns(), data=st.data())
def test_integers_stay_in_their_range(form, X, data):
    table = {
        "array": lambda: X,
        "pandas": lambda: pd.DataFrame(X, columns=["a", "b"]),
        "nullable": lambda: pd.DataFrame(X, columns=["a", "b"]).convert_dtypes(),
        "objects": lambda: pd.DataFrame(X, columns=["a", "b"]).astype(object),
        "polars": lambda: pl.DataFrame({"a": X[:, 0], "b": X[:, 1]}),
    }[form]()
    columns = None if form == "array" else of_dtypes(table)
    numbers = X if columns is None else columns.to_numbers(as_table(table))
    scaler = TableScaler("standard").fit(numbers)
    low, high = scaler.bounds_
    # What the training rows were, and what may be generated.
    scaled = scaler.transform(numbers)
    anywhere = low + (high - low) * data.draw(
        arrays(np.float32, (4, 2), elements=st.floats(0, 1, width=32))
    )
    rows = scaler.inverse_transform(np.concatenate([scaled, low[None], high[None], anywhere]))
    if columns is not None:
        rows = columns.to_original_form(rows, RANDOM)
        assert_same_form(rows, table)
        rows = np.array([rows[name].to_list() for name in ("a", "b")], dtype=object).T
    for found, given_ in zip(rows.T.tolist(), X.T.tolist(), strict=True):
        assert all(min(given_) <= value <= max(given_) for value in found)
        if max(given_) - min(given_) < 2**20:
            assert found[: len(X)] == given_


def test_integers_of_more_than_64_bits_are_refused_when_predicting(make_classifier):
    X = pd.DataFrame({"a": list(range(30))}, dtype=object)
    with pytest.warns(UserWarning, match=r"'a' \(a different integer in each row\)"):
        classifier = make_classifier().fit(X, LABELS)
    with pytest.raises(ValueError, match=r"Column 'a' holds .* more than 64 bits"):
        classifier.predict(pd.DataFrame({"a": [2**70] * 3}))


# --- far from zero --------------------------------------------------------------------------------


@pytest.mark.parametrize("scaling", ["auto", "asinh", "shared", "standard", "none"])
@pytest.mark.parametrize("scaler", [FeatureScaler, TableScaler])
@given(
    X=arrays(np.int64, (7, 2), elements=st.integers(-500, 500)),
    shift=st.sampled_from([1e9, -1e9, 2.0**40, 1e12]),
)
def test_a_shift_costs_nothing(scaling, scaler, X, shift):
    X = X / 64  # which a shifted column holds exactly
    shifted = X + shift
    one, two = scaler(scaling).fit(X), scaler(scaling).fit(shifted)
    if scaling != "none":
        np.testing.assert_allclose(two.transform(shifted), one.transform(X), rtol=1e-5, atol=1e-4)
    back = two.inverse_transform(two.transform(shifted))
    tolerance = 1e-5 * (np.ptp(X, axis=0).max() + 1)
    np.testing.assert_allclose(back - shift, X, rtol=0, atol=tolerance)


@pytest.mark.parametrize("dtype", [np.float64, np.int64, np.uint64])
def test_many_rows_far_from_zero_are_not_constant(dtype, rng):
    # With a million rows scikit-learn treats such a column as constant.
    X = (2**52 + rng.integers(0, 9, (1_000_000, 1))).astype(dtype)
    scaled = FeatureScaler("standard").fit_transform(X)
    np.testing.assert_allclose(scaled.std(), 1, rtol=1e-3)


def test_shifted_measurements_are_not_replaced_by_repeated_values(rng):
    X = 1e9 + rng.normal(size=(200, 1)).round(1)
    X[::2] += rng.normal(size=(100, 1)) / 10
    scaler = TableScaler("standard").fit(X)
    low, high = scaler.bounds_
    rows = scaler.inverse_transform(rng.uniform(low, high, (500, 1)).astype(np.float32))
    assert len(np.unique(rows)) > 400


def test_onnx_export_of_columns_far_from_zero(make_classifier, tmp_path, rng):
    for package in ("onnx", "onnxscript"):
        pytest.importorskip(package, exc_type=ImportError)
    onnxruntime = pytest.importorskip("onnxruntime", exc_type=ImportError)
    for X in (
        rng.normal(size=(30, 2)) * [1, 1e-3] + [0, 1e9],
        2**60 + rng.integers(0, 99, (30, 2)),
    ):
        classifier = make_classifier().fit(X, LABELS)
        assert classifier.scaler_.scaler_.offset_.any()
        export_onnx(classifier, tmp_path / "classifier.onnx")
        session = onnxruntime.InferenceSession(tmp_path / "classifier.onnx")
        _, found = session.run(None, {"X": X})
        np.testing.assert_allclose(found, classifier.predict_proba(X), atol=1e-5)


# --- uninformative columns ------------------------------------------------------------------------


def uninformative_columns_of(X):
    """Return the names of the columns that are found uninformative."""
    return re.findall(r"'(\w+)' \(", " ".join(of_dtypes(X).uninformative))


@pytest.mark.parametrize("form", [pd.DataFrame, pl.DataFrame])
@pytest.mark.parametrize(
    ("values", "is_uninformative"),
    [
        (np.arange(40), True),
        (np.random.RandomState(0).permutation(40) + 1000, True),
        (np.arange(40) * 1000, True),  # in order
        (np.arange(40)[::-1] ** 2, True),
        (np.random.RandomState(0).permutation(60)[:40], True),  # of a split
        (np.random.RandomState(0).permutation(10**6)[:40], False),  # may be a measurement
        (np.random.RandomState(0).randint(0, 30, 40), False),
        (np.arange(40) // 2, False),
        (np.arange(40.0), False),
        ([f"name {i}" for i in range(40)], True),
        ([f"word {i % 21}" for i in range(40)], True),
        ([f"word {i % 20}" for i in range(40)], False),
        ([f"word {i}" if i < 15 else None for i in range(40)], False),  # too few values to decide
    ],
)
def test_columns_that_identify_rows(form, values, is_uninformative):
    X = form({"x": np.random.RandomState(0).randn(40), "column": list(values)})
    assert uninformative_columns_of(X) == ["column"] * is_uninformative


def test_no_warning_about_columns_of_few_rows():
    X = pd.DataFrame({"id": range(19), "name": [f"name {i}" for i in range(19)]})
    assert uninformative_columns_of(X) == []


def test_columns_that_identify_rows_are_reported_once(make_classifier):
    X = pd.DataFrame(
        {
            "id": np.arange(30),
            "x": RANDOM.randn(30),
            "name": [f"name {i}" for i in range(30)],
            "when": pd.date_range("2020", periods=30),
        }
    )
    message = r"'id' \(a different integer in each row\), 'name' \(a different value in each row"
    with pytest.warns(UserWarning, match=message) as caught:
        classifier = make_classifier().fit(X, LABELS)
    assert len(caught) == 1
    classifier.predict(X)  # without a warning


@pytest.mark.parametrize(
    "load", [load_iris, load_wine, load_breast_cancer, load_diabetes, load_linnerud]
)
def test_no_warning_about_columns_of_bundled_tables(load):
    X = load(as_frame=True).data
    assert uninformative_columns_of(X) == []
    assert uninformative_columns_of(X.round().astype(int)) == []
    assert uninformative_columns_of(X.sample(20, random_state=0)) == []


# --- values that the training rows did not have ---------------------------------------------------


@pytest.mark.parametrize(
    ("known", "given", "examples"),
    [
        ([1, 2], ["1", "2"], "30 of 30 rows, such as '1'; the training rows held values such as 1"),
        (
            ["Bonn", "Lima"],
            ["bonn", "lima"],
            "30 of 30 rows, such as 'bonn'; the training rows held values such as 'Bonn'",
        ),
        (["a", "b"], [0, 1], "30 of 30 rows, such as 0; the training rows held values such as 'a'"),
    ],
)
def test_column_of_only_unknown_values(known, given, examples, make_classifier):
    X = pd.DataFrame({"x": RANDOM.randn(30), "city": known * 15})
    classifier = make_classifier(categorical_features=["city"]).fit(X, LABELS)
    with pytest.warns(
        UserWarning,
        match=f"Column 'city' of X holds .*did not occur in the training rows in {examples}",
    ):
        classifier.predict(X.assign(city=given * 15))
    classifier.predict(X.assign(city=[*given, *known] * 7 + [*known]))  # some are known
    classifier.predict(X.assign(city=None))


def test_empty_training_column_has_no_known_values(make_classifier):
    X = pd.DataFrame({"x": RANDOM.randn(30), "city": pd.Series([None] * 30, dtype="string")})
    classifier = make_classifier().fit(X, LABELS)
    expected = classifier.predict_proba(X)
    np.testing.assert_array_equal(classifier.predict_proba(X.assign(city="Bonn")), expected)


def test_categories_of_another_kind_of_frame_are_the_same(make_classifier):
    X = pd.DataFrame({"x": RANDOM.randn(30), "city": ["a", "b", None] * 10})
    classifier = make_classifier().fit(X, LABELS)
    expected = classifier.predict_proba(X)
    for dtype in ("category", "string[python]", "string[pyarrow]", object):
        np.testing.assert_array_equal(classifier.predict_proba(X.astype({"city": dtype})), expected)
    other = pl.DataFrame({"x": X["x"].to_numpy(), "city": ["a", "b", None] * 10})
    for dtype in (STRINGS, pl.Categorical, pl.Enum(["b", "a"])):
        found = classifier.predict_proba(other.with_columns(pl.col("city").cast(dtype)))
        np.testing.assert_array_equal(found, expected)
