"""Tables with categories and missing values: frames as input and output."""

import pickle
import re
import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.base import clone

from sgan_sklearn import SamplesDisplay
from sgan_sklearn._data.columns import MAX_LEVELS, TableColumns
from sgan_sklearn._data.scaling import FeatureScaler, TableScaler
from sgan_sklearn._data.table import as_table
from sgan_sklearn.architectures import ConvArchitecture, Heads, MLPArchitecture
from sgan_sklearn.architectures._layers import TableHeads

CITIES = ["Bonn", "Kyiv", "Lima"]


@pytest.fixture
def table(rng):
    """Return 90 rows with columns of every kind and few labels; the city determines the class."""
    codes = rng.integers(0, 3, 90)
    frame = pd.DataFrame(
        {
            "size": rng.normal(size=90) + codes,
            "rooms": rng.integers(1, 9, 90),
            "city": np.array(CITIES)[codes],
            "grade": pd.Categorical(rng.choice(["a", "b"], 90), categories=["c", "b", "a"]),
            "new": rng.random(90) < 0.3,
            "age": np.where(rng.random(90) < 0.2, np.nan, rng.integers(0, 99, 90)),
            "owner": np.where(rng.random(90) < 0.2, None, rng.choice(["x", "y"], 90)),
        }
    )
    y = np.where(np.arange(90) % 3, -1, codes)
    return frame, y, codes


def as_polars(frame):
    return pl.DataFrame(
        {
            name: pl.Series(
                [None if pd.isna(value) else value for value in frame[name].tolist()],
                dtype=pl.Categorical if name == "grade" else None,
            )
            for name in frame.columns
        }
    )


# --- in the classifier ----------------------------------------------------------------------------


@pytest.mark.parametrize("form", [lambda frame: frame, as_polars], ids=["pandas", "polars"])
def test_frame_with_every_kind_of_column(form, table, make_learner):
    frame, y, codes = table
    X = form(frame)
    classifier = make_learner(max_epochs=60).fit(X, y)
    assert classifier.score(X, codes) > 0.9
    assert classifier.n_features_in_ == 7
    assert classifier.feature_names_in_.tolist() == list(frame.columns)
    generated = classifier.sample(200, random_state=0)
    assert type(generated) is type(X)
    assert list(generated.columns) == list(X.columns)
    assert list(generated.dtypes) == list(X.dtypes)
    generated = (
        generated if form(frame) is frame else pd.DataFrame(generated.to_dict(as_series=False))
    )
    assert set(generated["city"]) == set(CITIES)
    assert set(generated["grade"]) <= {"a", "b"}
    assert set(generated["new"]) <= {True, False}
    assert set(generated["owner"].dropna()) <= {"x", "y"}
    for name in ("size", "rooms", "age"):
        assert generated[name].min() >= frame[name].min()
        assert generated[name].max() <= frame[name].max()
    assert (generated["rooms"] % 1 == 0).all()
    assert (generated["age"].dropna() % 1 == 0).all()
    # Values are missing about as often as in the frame, in integers and in text.
    assert 0 < generated["age"].isna().mean() < 0.6
    assert 0 < generated["owner"].isna().mean() < 0.6
    assert not generated[["size", "rooms", "city", "grade", "new"]].isna().any(axis=None)


def test_both_kinds_of_frames_give_the_same_model(table, make_classifier):
    frame, y, _ = table
    other = as_polars(frame)
    one, two = make_classifier().fit(frame, y), make_classifier().fit(other, y)
    np.testing.assert_array_equal(one.predict_proba(frame), two.predict_proba(other))
    np.testing.assert_array_equal(one.predict_proba(frame), one.predict_proba(other))
    again = pickle.loads(pickle.dumps(one))
    np.testing.assert_array_equal(again.predict_proba(frame), one.predict_proba(frame))
    pd.testing.assert_frame_equal(again.sample(5, random_state=1), one.sample(5, random_state=1))


def test_new_and_missing_categories_at_predict(table, make_classifier):
    frame, y, _ = table
    classifier = make_classifier().fit(frame, y)
    changed = frame.copy()
    changed["owner"] = "never seen"
    changed["grade"] = "c"
    missing = frame.copy()
    missing["owner"] = None
    missing["grade"] = None
    expected = classifier.predict_proba(missing)
    with pytest.warns(
        UserWarning, match="that did not occur in the training rows in 90 of 90 rows"
    ):
        found = classifier.predict_proba(changed)
    np.testing.assert_array_equal(found, expected)
    missing[["size", "rooms"]] = np.nan
    assert np.isfinite(classifier.predict_proba(missing)).all()


def test_missing_values_in_an_array(make_learner, data, labels):
    X, y = data
    X = np.where(np.random.RandomState(0).rand(*X.shape) < 0.1, np.nan, X)
    classifier = make_learner().fit(X, y)
    assert classifier.score(X, labels) > 0.85
    generated = classifier.sample(300, random_state=0)
    assert generated.shape == (300, 4)
    assert 0 < np.isnan(generated).mean() < 0.4


def test_missing_values_in_new_rows_only_count_as_the_median(make_classifier, data):
    X, y = data
    X = X * [1, 5, 1, 1] + [0, 1000, 0, 0]
    classifier = make_classifier().fit(X, y)
    with_nan, medians = X.copy(), X.copy()
    with_nan[:, 1], medians[:, 1] = np.nan, np.median(X[:, 1])
    np.testing.assert_array_equal(
        classifier.predict_proba(with_nan), classifier.predict_proba(medians)
    )


@pytest.mark.parametrize("chosen", [[1], [False, True], np.array([1])])
def test_categories_of_an_array_by_index_or_mask(chosen, make_classifier, rng):
    X = np.column_stack([rng.normal(size=40), rng.integers(0, 3, 40) * 10.0])
    classifier = make_classifier(categorical_features=chosen, unlabeled_value=None).fit(
        X, np.arange(40) % 2
    )
    assert classifier.scaler_.blocks_ == [slice(1, 4)]
    generated = classifier.sample(50, random_state=0)
    assert set(generated[:, 1]) == {0.0, 10.0, 20.0}
    # Numbers between the levels do not occur.
    between = X.copy()
    between[:, 1] = 5.0
    missing = X.copy()
    missing[:, 1] = np.nan
    with pytest.warns(UserWarning, match=r"40 of 40 rows, such as 5\.0; .* values such as 0\.0"):
        found = classifier.predict_proba(between)
    np.testing.assert_array_equal(found, classifier.predict_proba(missing))


@pytest.mark.parametrize("dtype", [np.int32, np.float32, np.float64])
def test_arrays_keep_their_dtype(dtype, make_classifier, rng):
    X = np.column_stack([rng.integers(0, 3, 40), rng.integers(0, 50, 40)]).astype(dtype)
    classifier = make_classifier(categorical_features=[0], unlabeled_value=None).fit(
        X, np.arange(40) % 2
    )
    generated = classifier.sample(10)
    assert generated.dtype == dtype
    assert set(generated[:, 0]) <= {0, 1, 2}
    # The same levels in another dtype, or in a list.
    expected = classifier.predict_proba(X)
    for other in (X.astype(np.float64), X.astype(np.float32), X.tolist()):
        np.testing.assert_array_equal(classifier.predict_proba(other), expected)


def test_levels_of_another_precision_are_the_same(make_classifier):
    X = np.array([[0.1], [0.2], [0.3]] * 10, dtype=np.float32)
    classifier = make_classifier(categorical_features=[0], unlabeled_value=None).fit(
        X, np.arange(30) % 3
    )
    exact = np.array([[0.1], [0.2], [0.3]])
    np.testing.assert_array_equal(classifier.predict_proba(exact), classifier.predict_proba(X[:3]))


def test_missing_values_keep_the_dtype(make_classifier, rng):
    X = rng.normal(size=(30, 2)).astype(np.float32)
    X[::5, 0] = np.nan
    assert (
        make_classifier(unlabeled_value=None).fit(X, np.arange(30) % 2).sample(3).dtype
        == np.float32
    )


def test_lists_of_numbers_and_text(make_classifier):
    X = [[1.5, "a"], [2.5, "b"]] * 10
    classifier = make_classifier(categorical_features=[1], unlabeled_value=None).fit(X, [0, 1] * 10)
    assert classifier.predict(X[:3]).shape == (3,)
    with pytest.raises(ValueError, match="Expected 2D array"):
        classifier.predict(X[0])


def test_frames_of_a_subclass_and_objects_of_every_kind(make_classifier):
    class Own(pd.DataFrame):
        pass

    frame = Own(
        {
            "flag": np.array([True, False, None, True] * 5, dtype=object),
            "number": np.array([1, 2.5, pd.NA, None] * 5, dtype=object),
        }
    )
    classifier = make_classifier(unlabeled_value=None).fit(frame, np.arange(20) % 2)
    assert classifier.scaler_.blocks_ == [slice(1, 4), slice(4, 6)]
    assert set(classifier.sample(50)["flag"].dropna()) <= {True, False}


def test_objects_that_are_numbers_or_missing(make_classifier):
    numbers = np.array([[1, 2.5], [pd.NA, None]] * 10, dtype=object)
    for X in (numbers, pd.DataFrame(numbers)):
        classifier = make_classifier(unlabeled_value=None).fit(X, np.arange(20) % 2)
        assert np.isfinite(classifier.predict_proba(X)).all()


def test_missing_values_of_polars_are_null(make_classifier, data):
    X, y = data
    frame = pl.DataFrame({"a": [None if i % 3 else v for i, v in enumerate(X[:, 0])], "b": X[:, 1]})
    generated = make_classifier().fit(frame, y).sample(100, random_state=0)
    assert 0 < generated["a"].null_count() < 100
    assert not generated["a"].is_nan().any()


def test_a_model_does_not_keep_the_training_frame(make_classifier, data):
    X, y = data
    frame = pd.DataFrame(X, index=[f"row {i} of a long index" * 50 for i in range(len(X))])
    classifier = make_classifier().fit(frame, y)
    assert b"a long index" not in pickle.dumps(classifier)


def test_architecture_without_heads(table, make_classifier):
    class Old(MLPArchitecture):
        def build_generator(self, latent_dim, bounds):
            return super().build_generator(latent_dim, bounds)

    frame, y, _ = table
    classifier = make_classifier(architecture=Old((8,), (8,))).fit(frame, y)
    assert set(classifier.sample(20)["city"]) <= set(CITIES)


def test_categories_of_an_array_of_text(make_classifier, rng):
    X = np.array([[1.5, "a"], [2.5, "b"], [3.5, None]] * 10, dtype=object)
    classifier = make_classifier(categorical_features=[1], unlabeled_value=None).fit(
        X, np.arange(30) % 3
    )
    generated = classifier.sample(40, random_state=0)
    assert generated.dtype == object
    assert set(generated[:, 1]) <= {"a", "b", None}
    assert classifier.predict(X.tolist()).shape == (30,)


def test_categories_by_name_override_the_dtypes(table, make_classifier):
    frame, y, _ = table
    numbers = frame[["size", "rooms"]]
    classifier = make_classifier(categorical_features=["rooms"]).fit(numbers, y)
    assert classifier.scaler_.blocks_ == [slice(1, 9)]
    assert set(classifier.sample(50)["rooms"]) <= set(range(1, 9))
    plain = make_classifier(categorical_features=None).fit(numbers, y)
    assert plain.scaler_.blocks_ == []


def test_partial_fit_on_frames(table, make_classifier):
    frame, y, _ = table
    classifier = make_classifier()
    for part in (slice(0, 45), slice(45, 90)):
        classifier.partial_fit(frame[part], y[part], classes=[0, 1, 2])
    assert classifier.sample(3).shape == (3, 7)


def test_rare_levels_share_one_code(make_classifier, rng):
    codes = np.r_[np.zeros(2000, dtype=int), np.arange(1, 10_001)]
    X = pd.DataFrame({"id": [f"level {code}" for code in codes], "x": rng.normal(size=12_000)})
    y = np.where(np.arange(12_000) < 100, codes % 2, -1)
    y[:2] = [0, 1]
    with pytest.warns(UserWarning, match="'id' \\(a different value in most rows\\)"):
        classifier = make_classifier(max_epochs=1, batch_size=500).fit(X, y)
    assert classifier.scaler_.bounds_.shape[1] == 1 + MAX_LEVELS
    generated = classifier.sample(200, random_state=0)
    assert set(generated["id"]) <= set(X["id"])
    columns = classifier._space.columns
    assert len(columns.levels[0]) + len(columns.rare[0]) == 10_001
    assert generated["id"].nunique() > 30  # those that share a level are drawn too


def test_column_of_missing_values(make_classifier, data):
    X, y = data
    numbers = X.copy()
    numbers[:, 1] = np.nan
    classifier = make_classifier().fit(numbers, y)
    assert np.isfinite(classifier.predict_proba(numbers)).all()
    assert np.isnan(classifier.sample(20)[:, 1]).all()
    frame = pd.DataFrame({"x": X[:, 0], "empty": pd.Series([None] * len(X), dtype="string")})
    assert make_classifier().fit(frame, y).sample(4)["empty"].isna().all()


def test_table_of_categories_only(make_classifier):
    frame = pd.DataFrame({"a": ["x", "y"] * 10, "b": [True, False, False, True] * 5})
    classifier = make_classifier(unlabeled_value=None).fit(frame, np.arange(20) % 2)
    assert classifier.scaler_.scaler_ is None
    assert list(classifier.sample(5).dtypes) == list(frame.dtypes)


def test_pair_plots_of_a_frame_with_categories_and_missing_values(table, make_classifier):
    plt = pytest.importorskip("matplotlib.pyplot")
    frame, y, _ = table
    classifier = make_classifier().fit(frame, y)
    display = SamplesDisplay.from_estimator(classifier, frame, features=["size", "city", "age"])
    assert display.axes_.shape == (3, 3)
    plt.close("all")


# --- bad input ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        (["town"], "name columns of X. Got 'town'"),
        ([7], "positions from 0 to 6, names that are strings, or a mask. Got 7"),
        ([0, "town"], "Got 'town', but the columns are"),
        ([-1], "Got -1"),
        ([1.5], "Got 1.5"),
        ([True, False], "one value for each column if it is a mask. Got 2 for 7"),
    ],
)
def test_bad_categorical_features(chosen, message, table, make_classifier):
    frame, y, _ = table
    with pytest.raises(ValueError, match=re.escape(message)):
        make_classifier(categorical_features=chosen).fit(frame, y)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: f.assign(size=np.inf), "infinity in column 'size'. Replace it"),
        (lambda f: f.assign(size=pd.interval_range(0, 90)), "'size' has the dtype interval"),
        (lambda f: f.assign(city=[1, "a"] * 45), "column 'city' have no common order"),
    ],
)
def test_unsupported_frames_are_refused(change, message, table, make_classifier):
    frame, y, _ = table
    with pytest.raises(ValueError, match=message):
        make_classifier().fit(change(frame), y)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: f.drop(columns="city"), "feature names"),
        (lambda f: f[f.columns[::-1]], "feature names"),
        (lambda f: f.assign(size="big"), "Column 'size' must hold numbers"),
        (lambda f: f.assign(size=pd.Timestamp("2026-01-01")), "'size' has the dtype datetime64"),
        (lambda f: f.assign(size=np.inf), "infinity in column 'size'. Replace it"),
    ],
)
def test_frames_that_differ_from_the_training_frame_are_refused(
    change, message, table, make_classifier
):
    frame, y, _ = table
    classifier = make_classifier().fit(frame, y)
    with pytest.raises(ValueError, match=message):
        classifier.predict(change(frame))


TEXTS = {
    "objects": lambda rows: np.array(rows, dtype=object),
    "strings": np.array,
    "lists": lambda rows: rows,
    "tuples": lambda rows: tuple(map(tuple, rows)),
    "masked": lambda rows: np.ma.masked_array(np.array(rows)),
    "lists with None": lambda rows: [*rows[:-1], ["a", None]],
}


@pytest.mark.parametrize("form", TEXTS.values(), ids=TEXTS)
def test_text_without_a_frame_is_refused_with_the_remedy(make_classifier, form):
    X, y = form([["a", 1.0], ["b", 2.0]] * 10), np.arange(20) % 2
    classifier = make_classifier(unlabeled_value=None)
    message = "Got the text 'a'. .*list them in categorical_features, or pass a DataFrame"
    with pytest.raises(ValueError, match=message):
        classifier.fit(X, y)
    clone(classifier).set_params(categorical_features=[0]).fit(X, y)  # the remedy of the message
    classifier.fit(pd.DataFrame(np.asarray(X, dtype=object)).infer_objects(), y)
    numbers = classifier.fit(np.arange(40.0).reshape(20, 2), y)
    with pytest.raises(ValueError, match="Got the text 'a': convert X to numbers in the same way"):
        numbers.predict(X)


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (np.array([["1", "2"]] * 20), r"Got the text '1'. .*np.asarray\(X, dtype=float\)"),
        (np.array([[b"a", b"b"]] * 20), r"Got bytes: decode .* np.char.decode\(X\)"),
        (np.zeros((20, 2), dtype=[("a", "f4")]), r"structured array: .* pd.DataFrame\(X\)"),
    ],
)
def test_arrays_without_numbers_are_refused_with_the_remedy(make_classifier, X, message):
    with pytest.raises(ValueError, match=message):
        make_classifier(unlabeled_value=None).fit(X, np.arange(20) % 2)


def test_text_in_place_of_pixels_is_refused(make_classifier):
    X = np.array([["0", "1"] * 32] * 20)
    with pytest.raises(ValueError, match="Got the text '0': convert the pixels"):
        make_classifier(image_shape=(8, 8), unlabeled_value=None).fit(X, np.arange(20) % 2)


INFINITE = {
    "pandas": (lambda X: pd.DataFrame(X, columns=["a", "b", "c"]), "'b'"),
    "polars": (lambda X: pl.DataFrame(X, schema=["a", "b", "c"]), "'b'"),
    "array": (lambda X: X, "1"),
    "lists": (lambda X: X.tolist(), "1"),
    "objects": (lambda X: X.astype(object), "1"),
    "frame of text": (lambda X: pd.DataFrame(X, columns=["a", "b", "c"]).astype(str), "'b'"),
}


@pytest.mark.parametrize(("form", "name"), INFINITE.values(), ids=INFINITE)
@pytest.mark.parametrize("value", [np.inf, -np.inf])
@pytest.mark.parametrize("chosen", [None, [0]])
def test_column_with_infinity_is_named(make_classifier, rng, form, name, value, chosen):
    X, y = rng.integers(0, 5, (20, 3)) / 2, np.arange(20) % 2
    classifier = make_classifier(unlabeled_value=None, categorical_features=chosen)
    classifier.fit(form(X), y)
    X[3, 1] = value
    for use in (lambda: clone(classifier).fit(form(X), y), lambda: classifier.predict(form(X))):
        message = f"contains infinity in column {name}. Replace it, for example with np.nan"
        with pytest.raises(ValueError, match=message):
            use()
    X[3, 1] = np.nan
    classifier.predict(form(X))


# --- numbers as text ------------------------------------------------------------------------------


def texts(gap, n_gaps, n=40):
    """Return numbers as text, with another text in some rows."""
    numbers = [str(i % 15) for i in range(n)]
    return [gap] * n_gaps + numbers[n_gaps:]


@pytest.mark.parametrize("form", [pd.DataFrame, pl.DataFrame])
@pytest.mark.parametrize(
    ("values", "gap"),
    [
        (texts("?", 1), "'?' in 1 of 40 rows"),
        (texts("NA", 19), "'NA' in 19 of 40 rows"),
        (texts("nan", 3), "'nan' in 3 of 40 rows"),
        (["a", "b", "c", *texts("?", 0, 37)], "'a' in 3 of 40 rows"),
        ([None, *texts("?", 2, 39)], "'?' in 2 of 39 rows"),
        (["a", "b", "c", "d", *texts("?", 0, 36)], None),  # so many texts are levels
        (texts("?", 20), None),
        (texts("?", 0), None),
        (["a", "b"] * 20, None),
        (texts("?", 1, 19), None),  # too few rows to decide
    ],
)
def test_text_between_numbers_is_reported(make_classifier, form, values, gap):
    X = form({"x": np.random.RandomState(0).randn(len(values)), "age": values})
    y = np.arange(len(values)) % 2
    classifier = make_classifier(unlabeled_value=None)
    if gap is None:
        classifier.fit(X, y)
        return
    message = rf"hold numbers as text .*'age' \({re.escape(gap)}\)"
    with pytest.warns(UserWarning, match=message) as caught:
        classifier.fit(X, y)
    (warning,) = caught
    as_numbers = re.search(r"as in (X.*\))\. If they", str(warning.message)).group(1)
    if form is pd.DataFrame:
        exec(as_numbers, {"X": X, "pd": pd})
        as_category = form({"age": values}).astype("category")
    else:
        X = eval(as_numbers, {"X": X, "pl": pl})
        as_category = X.select(pl.Series("age", values).cast(pl.Categorical))
    classifier.fit(X, y)  # both remedies of the message
    assert classifier._space.columns.kinds == ["number", "number"]
    classifier.fit(as_category, y)


def test_numbers_with_text_between_them_are_refused_with_the_remedy(make_classifier):
    X = pd.DataFrame({"age": [*range(39), "?"]})
    message = "column 'age' have no common order.*If '[?]' marks missing values, replace it with np"
    with pytest.raises(ValueError, match=message):
        make_classifier(unlabeled_value=None).fit(X, np.arange(40) % 2)
    numbers = make_classifier(unlabeled_value=None).fit(
        X.replace("?", 1).astype(float), [0, 1] * 20
    )
    message = "Column 'age' must hold .*Replace text that marks missing"
    with pytest.raises(ValueError, match=message):
        numbers.predict(X)


# --- categories that the training rows did not have -----------------------------------------------


@pytest.mark.parametrize(("n_unknown", "warns"), [(0, False), (5, False), (6, True), (10, True)])
def test_many_unknown_categories_are_reported(make_classifier, n_unknown, warns):
    cities = pd.DataFrame({"city": ["Bonn", "Lima"] * 20})
    classifier = make_classifier(unlabeled_value=None).fit(cities, np.arange(40) % 2)
    X = pd.DataFrame({"city": ["bonn"] * n_unknown + ["Lima"] * (10 - n_unknown) + [None] * 9})
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = classifier.predict_proba(X)
    np.testing.assert_array_equal(found, classifier.predict_proba(X.replace("bonn", None)))
    assert len(caught) == warns
    if warns:
        message = str(caught[0].message)
        assert f"training rows in {n_unknown} of 10 rows, such as 'bonn'" in message


# --- the parts ------------------------------------------------------------------------------------


@given(
    st.lists(
        st.tuples(
            st.one_of(st.none(), st.floats(-1e6, 1e6)),
            st.sampled_from(["a", "b", "c", None]),
            st.booleans(),
        ),
        min_size=2,
        max_size=30,
    )
)
def test_rows_come_back_as_they_were(rows):
    frame = pd.DataFrame(
        {
            "x": pd.array([row[0] for row in rows], dtype="Float64").astype("float64"),
            "letter": pd.Series([row[1] for row in rows], dtype=object),
            "flag": [row[2] for row in rows],
        }
    )
    columns = TableColumns(as_table(frame), "from_dtype")
    numbers = columns.to_numbers(as_table(frame))
    scaler = TableScaler("standard", columns.n_levels).fit(numbers)
    model_rows = scaler.transform(numbers)
    assert np.isfinite(model_rows).all()
    assert (model_rows >= scaler.bounds_[0]).all()
    assert (model_rows <= scaler.bounds_[1]).all()
    for block in scaler.blocks_:
        np.testing.assert_array_equal(model_rows[:, block].sum(axis=1), 1)
    back = columns.to_original_form(scaler.inverse_transform(model_rows), np.random.RandomState(0))
    spread = frame["x"].max() - frame["x"].min() if frame["x"].notna().any() else 0
    scale = np.nan_to_num(np.abs(frame["x"]).max()) + np.nan_to_num(spread) + 1
    pd.testing.assert_series_equal(back["x"], frame["x"], atol=1e-4 * scale, rtol=1e-4)
    assert back["flag"].tolist() == frame["flag"].tolist()
    assert [v if isinstance(v, str) else None for v in back["letter"]] == [row[1] for row in rows]


def test_a_table_of_numbers_is_scaled_as_before(rng):
    X = rng.normal(size=(50, 3)) * [1, 10, 100]
    one, other = FeatureScaler().fit(X), TableScaler().fit(X)
    np.testing.assert_array_equal(one.transform(X), other.transform(X))
    np.testing.assert_array_equal(one.bounds_, other.bounds_)
    rows = one.transform(X)
    np.testing.assert_array_equal(one.inverse_transform(rows), other.inverse_transform(rows))


def test_levels_are_drawn_from_the_softmax_with_a_gradient():
    torch.manual_seed(0)
    levels = TableHeads(Heads((slice(1, 3), slice(3, 6))))
    logits = torch.tensor([[7.0, 0.0, 1.0, 2.0, 0.0, -1.0]]).repeat(20_000, 1).requires_grad_()
    rows = levels(logits, logits)
    assert (rows[:, 0] == 7).all()
    for block in (slice(1, 3), slice(3, 6)):
        assert ((rows[:, block] == 0) | (rows[:, block] == 1)).all()
        assert (rows[:, block].sum(dim=1) == 1).all()
        shares = rows[:, block].mean(dim=0)
        torch.testing.assert_close(shares, logits[0, block].softmax(0), atol=0.015, rtol=0)
    rows[:, 1].sum().backward()
    assert (logits.grad[:, 1] >= 0).all()
    assert logits.grad[:, 1].sum() > 0
    assert (logits.grad[:, 3:] == 0).all()


def test_generated_missing_values_are_filled_like_real_ones():
    bounds = np.array([[-1.0, 0.0, 0.0], [1.0, 1.0, 1.0]], dtype=np.float32)
    heads = Heads(blocks=(slice(1, 3),), missing=((0, 2, 0.25),))
    generator = MLPArchitecture().build_generator(4, bounds, heads)
    rows = generator(torch.randn(200, 4))
    is_missing = rows[:, 2] == 1
    assert 0 < is_missing.sum() < 200
    assert (rows[is_missing, 0] == 0.25).all()
    assert (rows[~is_missing, 0] != 0.25).all()


def test_images_have_no_heads():
    bounds = np.zeros((2, 1, 8, 8), dtype=np.float32)
    bounds[1] = 1
    generator = ConvArchitecture().build_generator(4, bounds, Heads())
    images = generator(torch.randn(3, 4))
    assert images.shape == (3, 1, 8, 8)
    assert ((images >= 0) & (images <= 1)).all()


@pytest.mark.parametrize("form", ["array", "pandas", "polars"])
@pytest.mark.parametrize("dtype", ["int64", "uint64", "int32"])
def test_largest_integers_are_restored(make_classifier, form, dtype):
    # As float64, the largest integer of 64 bits is one too large for its dtype.
    largest = np.iinfo(dtype).max
    numbers = np.zeros(40, dtype)
    numbers[::3] = largest
    table = {
        "array": lambda: np.column_stack([numbers, numbers]),
        "pandas": lambda: pd.DataFrame({"a": numbers, "b": ["x", "y"] * 20}),
        "polars": lambda: pl.DataFrame({"a": numbers, "b": ["x", "y"] * 20}),
    }[form]()
    rows = make_classifier().fit(table, [0, 1, -1, -1] * 10).sample(200, random_state=0)
    found = rows[:, 0] if form == "array" else rows["a"].to_numpy()
    assert found.dtype == dtype
    assert found.min() >= 0
    assert found.max() > 0.999 * largest


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_blocks_of_categories_and_missing_values(dtype):
    nan = np.nan
    # A category with missing values, a number with some, a category without, and a number without.
    X = np.array([[0, 1, 0, 5], [1, nan, 1, 6], [nan, 3, 2, 7]], dtype=dtype)
    scaler = TableScaler("none", [2, 0, 3, 0]).fit(X)
    expected = [
        [1, 5, *(1, 0, 0), *(1, 0), *(1, 0, 0)],
        [2, 6, *(0, 1, 0), *(0, 1), *(0, 1, 0)],
        [3, 7, *(0, 0, 1), *(1, 0), *(0, 0, 1)],
    ]
    found = scaler.transform(X)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(scaler.inverse_transform(found)[:, 2:], X[:, 2:])
    # Without a column for missing values, an unknown level has none.
    unknown = scaler.transform(np.array([[nan, nan, nan, nan]], dtype=dtype))
    np.testing.assert_array_equal(unknown, [[2, 6, *(0, 0, 1), *(0, 1), *(0, 0, 0)]])


def test_columns_of_a_frame_are_read_by_position(make_classifier, data):
    X, y = data
    frame = pd.DataFrame(X, columns=[3, 2, 1, 0])  # names that are positions of other columns
    frame[7] = pd.Categorical(np.where(X[:, 0] > 0, "a", "b"))
    named = frame.set_axis(["v3", "v2", "v1", "v0", "v7"], axis=1)
    one, other = make_classifier().fit(frame, y), make_classifier().fit(named, y)
    np.testing.assert_array_equal(one.predict_proba(frame), other.predict_proba(named))
    parts = [one.predict_proba(frame.iloc[[i]]) for i in range(3)]
    np.testing.assert_allclose(np.concatenate(parts), one.predict_proba(frame[:3]), rtol=1e-5)
