"""Labels that are easily misread, and values for unlabeled rows, in the whole estimator."""

import pickle
import re
import warnings

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sgan_sklearn import SGANClassifier, load, save
from sgan_sklearn._data.labels import check_labels
from sgan_sklearn._data.targets import as_code
from sgan_sklearn.metrics import labeled_scorer
from sgan_sklearn.model_selection import SemiSupervisedSplit, mask_labels

NAN = float("nan")
NAMES = np.array(["ash", "elm", "oak"], dtype=object)


def objects(*labels):
    array = np.empty(len(labels), dtype=object)
    array[:] = labels
    return array


# --- dtypes that change the unlabeled value -------------------------------------------------------

UNSIGNED = {
    "uint8": lambda y: y.astype(np.uint8),
    "uint16": lambda y: y.astype(np.uint16),
    "uint32": lambda y: y.astype(np.uint32),
    "uint64": lambda y: y.astype(np.uint64),
    "UInt8": lambda y: pd.Series(y.astype(np.uint8), dtype="UInt8"),
    "UInt8 array": lambda y: pd.array(y.astype(np.uint8), dtype="UInt8"),
    "UInt8 frame": lambda y: pd.DataFrame({"y": y.astype(np.uint8)}).astype("UInt8"),
    "uint8 category": lambda y: pd.Series(y.astype(np.uint8)).astype("category"),
    "uint8[pyarrow]": lambda y: pd.Series(y.astype(np.uint8), dtype="uint8[pyarrow]"),
    "polars UInt8": lambda y: pl.Series(y.astype(np.uint8)),
    "polars UInt16": lambda y: pl.Series(y.astype(np.uint16)),
    "pyarrow uint8": lambda y: pa.array(y.astype(np.uint8)),
    "pyarrow chunks": lambda y: pa.chunked_array([y.astype(np.uint8)]),
    "masked uint8": lambda y: np.ma.masked_array(y.astype(np.uint8)),
}
each_unsigned = pytest.mark.parametrize("convert", UNSIGNED.values(), ids=UNSIGNED)


@each_unsigned
@pytest.mark.filterwarnings("ignore:A column-vector y was passed")
def test_unlabeled_value_converted_to_unsigned_is_refused(make_classifier, data, fitted, convert):
    X, y = data
    wrapped = convert(y)  # -1 becomes 255, or the maximum of more bits
    message = r"y has the dtype uint\d+, .* unlabeled_value=-1: .* to \d+, the value of 20 rows"
    split = SemiSupervisedSplit(2)
    for use in (
        lambda: make_classifier().fit(X, wrapped),
        lambda: make_classifier().partial_fit(X, wrapped, classes=[0, 1, 2]),
        lambda: fitted.score(X, wrapped),
        lambda: list(split.split(X, wrapped)),
        lambda: split.get_n_splits(X, wrapped),
        lambda: mask_labels(wrapped, per_class=1),
        lambda: labeled_scorer("accuracy")(fitted, X, wrapped),
    ):
        with pytest.raises(ValueError, match=message) as refused:
            use()
        for remedy in ("y.astype(int) before y[unlabeled] = -1", "unlabeled_value=None"):
            assert remedy in str(refused.value)


@pytest.mark.parametrize("convert", [lambda y: y.astype("u1"), lambda y: pl.Series(y.astype("u1"))])
def test_unlabeled_value_converted_to_unsigned_is_refused_among_classes(
    make_classifier, data, convert
):
    X, y = data
    message = "(?s)'classes' parameter .* classes has the dtype uint8, .* to 255"
    with pytest.raises(ValueError, match=message):
        make_classifier().partial_fit(X, y, classes=convert(np.unique(y)))


def test_255_can_be_a_class(make_classifier, data, labels):
    X, _ = data
    y = np.array([3, 7, 255], dtype=np.uint8)[labels]
    full = make_classifier(unlabeled_value=None).fit(X, y)
    assert full.classes_.tolist() == [3, 7, 255]
    assert full.classes_.dtype == np.uint8
    for remedy in (y.astype(int), y.astype(object)):
        remedy[:20] = -1
        assert make_classifier().fit(X, remedy).classes_.tolist() == [3, 7, 255]
    largest = np.array([3, 7, 2**64 - 1], dtype=np.uint64)[labels].astype(object)
    largest[:20] = -1
    assert make_classifier().fit(X, largest).classes_.tolist() == [3, 7, 2**64 - 1]


@pytest.mark.parametrize("dtype", ["u1", "u2", "u4", "u8", "?"])
@pytest.mark.parametrize("mark", [-1, -1.0, NAN, 300, "?"])
def test_masking_does_not_change_the_unlabeled_value(dtype, mark):
    y = np.array([0, 1] * 6, dtype=dtype)
    masked = mask_labels(y, per_class=2, unlabeled_value=mark, random_state=0)
    found = check_labels(masked, mark)
    assert found.classes.tolist() == [0, 1]
    assert (found.codes < 0).sum() == 8
    assert found.codes[found.codes >= 0].tolist() == y[found.codes >= 0].tolist()


def test_array_of_strings_that_truncated_the_unlabeled_value_is_refused():
    y = np.array(["cat", "dog", "cat"])
    y[2] = "unknown"
    with pytest.raises(ValueError, match=r"cannot hold unlabeled_value='unknown'.* to 'unk'"):
        check_labels(y, "unknown")
    assert check_labels(np.array(["cat", "dog"]), "unknown").codes.tolist() == [0, 1]


# --- unlabeled values of another type -------------------------------------------------------------


@pytest.mark.parametrize("text", ["-1", "-1.0", "-1.00", " -1 ", "-1e0", "-1_0e-1", "\t-1\n"])
@pytest.mark.parametrize(
    "convert",
    [list, np.array, lambda y: objects(*y), pd.Series, pl.Series, pd.Categorical, pa.array],
    ids=["list", "array", "objects", "pandas", "polars", "category", "pyarrow"],
)
def test_unlabeled_value_as_text_is_refused(text, convert):
    message = f"y holds the string {text!r}, but unlabeled_value is the number -1"
    with pytest.raises(ValueError, match=re.escape(message)):
        check_labels(convert(["a", text, "b"]), -1)
    labels = check_labels(convert(["a", text, "b"]), text)
    assert labels.classes.tolist() == ["a", "b"]


def test_unlabeled_value_as_text_is_refused_by_all_methods(make_classifier, data, labels):
    X, _ = data
    y = NAMES[labels]
    classifier = make_classifier(unlabeled_value=None).fit(X, y).set_params(unlabeled_value=-1)
    y[::3] = "-1.0"
    for use in (
        lambda: make_classifier().fit(X, y),
        lambda: classifier.score(X, y),
        lambda: next(SemiSupervisedSplit(2).split(X, y)),
        lambda: mask_labels(y, per_class=1),
        lambda: labeled_scorer("accuracy")(classifier, X, y),
    ):
        with pytest.raises(ValueError, match=r"y holds the string '-1\.0'"):
            use()


@pytest.mark.parametrize("y", [[0, 1, -1], [0.0, 1.0, -1.0], objects(0, 1, -1)])
def test_unlabeled_value_as_number_is_refused(y):
    with pytest.raises(ValueError, match=r"y holds the number -1(\.0)?, but .* the string '-1'"):
        check_labels(y, "-1")


def test_nan_as_text_is_refused():
    with pytest.raises(ValueError, match="y holds the string 'nan'"):
        check_labels(np.array(["a", NAN]), NAN)
    with pytest.raises(ValueError, match=r"y contains NaN.*unlabeled_value=np.nan"):
        check_labels(["a", NAN], -1)  # NumPy would convert this list to text


# --- no row is unlabeled --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("classes", "unlabeled_value", "mark"),
    [
        (["", "a", "b"], -1, "''"),
        (["unknown", "a", "b"], -1, "'unknown'"),
        ([0, 1, 2], -1, "0"),
        ([0, 1, 2], 9, "0"),
        ([0.0, 1.0, 2.0], NAN, r"0\.0"),
        ([0, 1, 2], "?", "0"),
    ],
)
def test_possible_unlabeled_value_is_named_if_no_row_is_unlabeled(
    make_classifier, data, classes, unlabeled_value, mark
):
    X, y = data
    y = np.array(classes)[np.where(y < 0, 0, y)]
    y[:20] = classes[0]
    classifier = make_classifier(unlabeled_value=unlabeled_value)
    with pytest.warns(UserWarning, match="y holds no unlabeled row") as caught:
        classifier.fit(X, y)
    (warning,) = caught
    assert warning.filename == __file__
    message = str(warning.message)
    assert re.search(f"no label is {as_code(unlabeled_value)}.*unlabeled_value=None", message)
    assert re.search(f"More than half .* hold {mark}: .*set unlabeled_value={mark}", message)


def test_no_unlabeled_value_is_named_without_a_majority(make_classifier, data, labels):
    X, _ = data
    with pytest.warns(UserWarning, match="y holds no unlabeled row") as caught:
        make_classifier().fit(X, labels)
    assert "half" not in str(caught[0].message)
    half = np.where(np.arange(60) < 30, 0, 1)
    with pytest.warns(UserWarning, match="y holds no unlabeled row") as caught:
        make_classifier().fit(X, half)
    assert "half" not in str(caught[0].message)


def test_training_warns_once(make_classifier, data, labels):
    X, y = data
    classifier = make_classifier(warm_start=True, early_stopping=True)
    with pytest.warns(UserWarning, match="y holds no unlabeled row") as caught:
        classifier.fit(X, labels)
    assert len(caught) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        classifier.fit(X, labels)
        make_classifier().partial_fit(X, labels, classes=[0, 1, 2]).partial_fit(X, labels)
        make_classifier(unlabeled_value=None).fit(X, labels)
        make_classifier().fit(X, y)


def test_only_one_of_two_warnings_is_given(make_classifier, data):
    X, _ = data
    with pytest.warns(UserWarning, match="The only class in y is 1") as caught:
        make_classifier().fit(X, np.where(np.arange(60) < 40, 1, -1))
    assert len(caught) == 1
    with pytest.warns(UserWarning, match="y holds no unlabeled row") as caught:
        make_classifier().fit(X, np.ones(60, dtype=int))
    assert len(caught) == 1


def test_warning_as_an_error_keeps_the_fitted_model(fitted, data, labels):
    before = fitted.predict_proba(data[0])
    with pytest.raises(UserWarning, match="no unlabeled row"):
        fitted.fit(data[0], labels)
    np.testing.assert_array_equal(fitted.predict_proba(data[0]), before)


# --- unlabeled values among the classes -----------------------------------------------------------


def split_and_score(model, X, y, mark):
    """Use `y` as a search does, with the warnings that come from it."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        list(SemiSupervisedSplit(2, unlabeled_value=mark).split(X, y))
        labeled_scorer("accuracy", mark)(model, X, y)
    assert {warning.filename for warning in caught} <= {__file__}
    return [str(warning.message) for warning in caught]


def fit_messages(classifier, X, y):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        classifier.fit(X, y)
    return [str(warning.message) for warning in caught]


@pytest.mark.parametrize("text", ["", "?", " Unknown", "NaN", "N/A", "missing", "unlabeled"])
@pytest.mark.parametrize("has_unlabeled", [False, True])
def test_text_that_may_stand_for_unlabeled_rows_is_named(
    make_classifier, data, fitted, text, has_unlabeled
):
    X, y = data
    names = np.where(y < 0, text, NAMES[y])
    names[3] = text
    if has_unlabeled:
        names[:3] = -1
    classifier = make_classifier()
    expected = fit_messages(classifier, X, names)
    assert len(expected) == 1
    if has_unlabeled:
        assert f"{text!r} is a class of y" in expected[0]
        remedy = re.search(r"np\.where\(.*\)", expected[0]).group()
        repaired = eval(remedy, {"np": np, "y": names})
        assert check_labels(repaired, -1).classes.tolist() == NAMES.tolist()
    else:
        assert f"rows hold {text!r}: if that marks unlabeled rows" in expected[0]
        assert f"set unlabeled_value={text!r}." in expected[0]
    # All methods give the same message.
    assert split_and_score(classifier, X, names, -1) == expected * 2
    if not has_unlabeled:
        assert split_and_score(classifier, X, names, None) == []


@pytest.mark.parametrize("mark", [NAN, 9, "?"])
def test_minus_one_with_another_unlabeled_value_is_named(make_classifier, data, mark):
    X, y = data
    several = y.astype(object)
    several[:3] = mark
    classifier = make_classifier(unlabeled_value=mark)
    (expected,) = fit_messages(classifier, X, several)
    assert expected.startswith("-1 is a class of y, since unlabeled_value=")
    assert f"np.where(y == -1, {as_code(mark)}, y)" in expected
    assert split_and_score(classifier, X, several, mark) == [expected] * 2


@pytest.mark.parametrize("mark", [0, NAN])
def test_classes_of_minus_one_and_one_give_no_warning(make_classifier, data, mark):
    X, y = data
    signs = np.where(y < 0, mark, np.where(y == 0, 1, -1))
    classifier = make_classifier(unlabeled_value=mark)
    assert fit_messages(classifier, X, signs) == []
    assert split_and_score(classifier, X, signs, mark) == []


def test_fully_labeled_rows_are_split_and_scored_without_warning(fitted, data, labels):
    X, _ = data
    for y in (labels, np.where(labels == 0, 0, 1)):
        assert split_and_score(fitted, X, y, -1) == []
        assert split_and_score(fitted, X, y, None) == []


def test_only_class_is_named_as_in_y(make_classifier, data):
    X, y = data
    (message,) = fit_messages(make_classifier(unlabeled_value=False), X, y < 1)
    assert "The only class in y is True, and rows with y == False are treated as" in message
    (message,) = fit_messages(make_classifier(unlabeled_value=0.0), X, np.where(y < 1, 1.0, 0.0))
    assert "The only class in y is 1.0, and rows with y == 0.0 are" in message


@pytest.mark.parametrize("mark", [pd.NA, pd.NaT, np.datetime64("NaT"), np.ma.masked])
def test_missing_values_other_than_nan_are_refused_as_unlabeled_value(data, mark):
    X, y = data
    for use, caller in (
        (lambda: SGANClassifier(unlabeled_value=mark).fit(X, y), "SGANClassifier"),
        (lambda: SemiSupervisedSplit(2, unlabeled_value=mark).get_n_splits(X, y), "Semi"),
        (lambda: mask_labels(y, per_class=1, unlabeled_value=mark), "mask_labels"),
        (lambda: labeled_scorer("accuracy", mark), "labeled_scorer"),
    ):
        message = f"'unlabeled_value' parameter of {caller}.*pass np.nan, with which NaN, None and"
        with pytest.raises(ValueError, match=message):
            use()


def test_messages_write_nan_as_code():
    for y, message in (
        (["a", "nan"], "use np.nan (no quotes)"),
        ([NAN, None], "(unlabeled_value=np.nan)"),
    ):
        with pytest.raises(ValueError, match=re.escape(message)):
            check_labels(y, np.float64("nan"))


# --- NaN, None and NA as unlabeled values ---------------------------------------------------------


def with_gaps(y, names=None):
    """Return labels as a list with None for missing ones."""
    return [None if code < 0 else (names[code] if names is not None else code) for code in y]


GAPS = {
    "floats": lambda y: np.where(y < 0, np.nan, y),
    "list": lambda y: with_gaps(y),
    "names": lambda y: objects(*with_gaps(y, NAMES)),
    "list of names and nan": lambda y: [NAN if code < 0 else NAMES[code] for code in y],
    "names and NA": lambda y: objects(*[pd.NA if code < 0 else NAMES[code] for code in y]),
    "names and NaT": lambda y: objects(*[pd.NaT if code < 0 else NAMES[code] for code in y]),
    "series": lambda y: pd.Series(with_gaps(y, NAMES), index=range(100, 160)),
    "Int64": lambda y: pd.Series(with_gaps(y), dtype="Int64"),
    "UInt8": lambda y: pd.Series(with_gaps(y), dtype="UInt8"),
    "Float64": lambda y: pd.array(with_gaps(y), dtype="Float64"),
    "boolean": lambda y: pd.Series(with_gaps(y, [False, True, True]), dtype="boolean"),
    "string": lambda y: pd.Series(with_gaps(y, NAMES), dtype="string"),
    "category": lambda y: pd.Series(with_gaps(y, NAMES), dtype="category"),
    "category of integers": lambda y: pd.Categorical(with_gaps(y)),
    "int8[pyarrow]": lambda y: pd.Series(with_gaps(y), dtype="int8[pyarrow]"),
    "polars": lambda y: pl.Series(with_gaps(y)),
    "polars names": lambda y: pl.Series(with_gaps(y, NAMES)),
    "polars category": lambda y: pl.Series(with_gaps(y, NAMES), dtype=pl.Categorical),
    "pyarrow": lambda y: pa.array(with_gaps(y, NAMES)),
    "masked": lambda y: np.ma.masked_array(np.where(y < 0, 0, y), y < 0),
}


@pytest.mark.parametrize("convert", GAPS.values(), ids=GAPS)
def test_missing_labels_are_unlabeled_rows(make_classifier, data, convert):
    X, y = data
    expected = make_classifier().fit(X, y)
    given = convert(y)
    classifier = make_classifier(unlabeled_value=NAN).fit(X, given)
    if classifier.classes_.dtype != bool:
        np.testing.assert_array_equal(classifier.predict_proba(X), expected.predict_proba(X))
        assert classifier.classes_.tolist() in ([0, 1, 2], [0.0, 1.0, 2.0], NAMES.tolist())
        assert classifier.score(X, given) == expected.score(X, y)
    assert set(classifier.transduction_) <= set(classifier.classes_)
    part = make_classifier(unlabeled_value=NAN).partial_fit(X, given, classes=given)
    assert part.classes_.tolist() == classifier.classes_.tolist()
    split = SemiSupervisedSplit(3, unlabeled_value=NAN)
    assert split.get_n_splits(X, given) == 3
    tests = np.concatenate([test for _, test in split.split(X, given)])
    if classifier.classes_.dtype != bool:
        assert sorted(tests) == np.flatnonzero(y >= 0).tolist()
    scorer = labeled_scorer("accuracy", NAN)
    assert scorer(classifier, X, given) == classifier.score(X, given)
    fewer = mask_labels(given, per_class=2, unlabeled_value=np.nan, random_state=0)
    found = check_labels(fewer, NAN)
    assert found.classes.tolist() == classifier.classes_.tolist()
    assert (found.codes >= 0).sum() == 2 * len(found.classes)


def test_dtypes_of_classes_beside_missing_labels():
    for dtype, expected in {
        "Int64": np.int64,
        "Int8": np.int8,
        "UInt8": np.uint8,
        "Float32": np.float32,
        "boolean": np.bool_,
    }.items():
        y = pd.Series([1, 0, None], dtype=dtype)
        assert check_labels(y, NAN).classes.dtype == expected
        assert check_labels(y[:2], -1).classes.dtype == expected


def test_nan_as_unlabeled_value_in_scikit_learn_and_in_files(make_classifier, data, tmp_path):
    X, y = data
    gaps = np.where(y < 0, np.nan, y)
    classifier = make_classifier(unlabeled_value=np.nan, early_stopping=True)
    classifier.set_params(validation_fraction=0.3, warm_start=True)
    fitted = clone(classifier).fit(X, gaps)
    assert np.isnan(clone(fitted).get_params()["unlabeled_value"])
    assert len(fitted.validation_scores_) == fitted.fit(X, gaps).n_iter_ - 3  # goes on
    save(fitted, tmp_path / "model")
    for copied in (load(tmp_path / "model"), pickle.loads(pickle.dumps(fitted))):
        assert np.isnan(copied.unlabeled_value)
        np.testing.assert_array_equal(copied.predict_proba(X), fitted.predict_proba(X))
        assert copied.score(X, gaps) == fitted.score(X, gaps)
    with pytest.raises(ValueError, match="y must hold the same classes as before"):
        fitted.fit(X, np.where(gaps == 2, 3, gaps))


@pytest.mark.parametrize("mark", [np.nan, np.float32("nan"), np.float64("nan")])
def test_search_with_nan_as_unlabeled_value(make_classifier, data, mark):
    X, y = data
    gaps = pd.Series(np.where(y < 0, None, NAMES[y]))
    pipeline = make_pipeline(StandardScaler(), make_classifier(unlabeled_value=mark))
    search = GridSearchCV(
        pipeline,
        {"sganclassifier__latent_dim": [2, 4], "sganclassifier__unlabeled_value": [mark]},
        cv=SemiSupervisedSplit(2, unlabeled_value=mark),
        error_score="raise",
    ).fit(X, gaps)
    assert search.classes_.tolist() == NAMES.tolist()
    scores = cross_val_score(
        search.best_estimator_,
        X,
        gaps,
        cv=SemiSupervisedSplit(2, unlabeled_value=mark),
        scoring=labeled_scorer("accuracy", mark),
    )
    assert np.isfinite(scores).all()


def test_checkpoints_with_nan_as_unlabeled_value(make_classifier, data, tmp_path):
    X, y = data
    params = {"unlabeled_value": np.nan, "training__checkpoint_dir": tmp_path}
    make_classifier(**params, max_epochs=2).fit(X, np.where(y < 0, np.nan, y))
    before = {path.name for path in tmp_path.iterdir()}
    resumed = make_classifier(**params, training__resume=True, max_epochs=3)
    resumed.fit(X, np.where(y < 0, np.float64("nan"), y))
    assert len({name.split("-")[0] for name in before | {p.name for p in tmp_path.iterdir()}}) == 1
    assert resumed.n_iter_ == 3


def test_missing_labels_are_refused_with_both_remedies():
    for y in ([0.0, NAN], ["a", None], pd.Series([1, None], dtype="Int64"), pl.Series(["a", None])):
        for mark in (-1, None, "?", 0):
            with pytest.raises(ValueError, match=r"y contains NaN or None in 1 of 2") as refused:
                check_labels(y, mark)
            assert "unlabeled_value=np.nan" in str(refused.value)
            assert "np.where(pd.isna(y), -1, y)" in str(refused.value)


# --- masked arrays --------------------------------------------------------------------------------


@pytest.mark.parametrize("mark", [-1, NAN, 9, "?"])
def test_masked_entries_are_unlabeled(make_classifier, data, mark):
    X, y = data
    expected = make_classifier().fit(X, y)
    hidden = np.where(y < 0, 1, y)  # masked values must not be learned
    masked = np.ma.masked_array(hidden, y < 0)
    classifier = make_classifier(unlabeled_value=mark).fit(X, masked)
    np.testing.assert_array_equal(classifier.predict_proba(X), expected.predict_proba(X))
    np.testing.assert_array_equal(classifier.transduction_, expected.transduction_)
    assert classifier.score(X, masked) == expected.score(X, y)
    fewer = mask_labels(masked, per_class=2, unlabeled_value=mark, random_state=0)
    assert (check_labels(fewer, mark).codes[y < 0] == -1).all()


@pytest.mark.parametrize("hidden", [NAN, np.inf, -1.0])
def test_masked_values_do_not_matter(hidden):
    y = np.ma.masked_array([0.0, 1.0, hidden], [False, False, True])
    labels = check_labels(y, -1)
    assert labels.classes.tolist() == [0.0, 1.0]
    assert labels.codes.tolist() == [0, 1, -1]


def test_masked_entries_are_refused_with_unlabeled_value_none(make_classifier, data):
    X, y = data
    masked = np.ma.masked_array(np.where(y < 0, 1, y), y < 0)
    with pytest.raises(ValueError, match=r"y is a masked array with 20 masked .*=None means"):
        make_classifier(unlabeled_value=None).fit(X, masked)
    nothing = np.ma.masked_array(np.where(y < 0, 1, y))
    assert make_classifier(unlabeled_value=None).fit(X, nothing).classes_.tolist() == [0, 1, 2]
