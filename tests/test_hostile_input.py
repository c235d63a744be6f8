"""Any input: a fit either works or raises an error that says what is wrong.

`pytest --hypothesis-profile=nightly tests/test_hostile_input.py` tries ten times as much.
"""

import contextlib
import copy
import functools
import math
import pickle
import re
import time
import warnings
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from frame_strategies import as_lists, frames, refused_columns
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy import sparse
from sklearn.exceptions import ConvergenceWarning, DataConversionWarning
from sklearn.utils.fixes import parse_version

from sgan_sklearn import SGANClassifier, load, save
from sgan_sklearn._data.labels import check_labels, codes_to_sample
from sgan_sklearn._training import ensemble, inputs
from sgan_sklearn.architectures import MLPArchitecture
from sgan_sklearn.model_selection import mask_labels
from sgan_sklearn.regularizers import _distillation

pytestmark = pytest.mark.skipif(
    parse_version(np.__version__) < parse_version("1.24"),
    reason="numpy before 1.24 warns of ragged lists in place of refusing them",
)

IS_NIGHTLY = settings.default.max_examples > 100
SECONDS = 60  # no case may take longer

# scikit-learn warns about a y of one column, this package about convergence and labels.
ALLOWED_WARNINGS = (
    (DataConversionWarning, "A column-vector y was passed"),
    (ConvergenceWarning, "collapsed|too strong|diverged"),
    (UserWarning, "only class|no unlabeled row|is a class of y"),
    (UserWarning, "seem to identify the rows|hold numbers as text"),
    (UserWarning, "values that did not occur in the training rows"),
)


@pytest.fixture(scope="module", autouse=True)
def _tiny_ensembles(_small_ensembles):
    """Let distillations and ensembles be tiny: here, they need not predict well."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_distillation, "N_TREES", 2)
        patch.setattr(ensemble, "N_TREES", 2)
        patch.setattr(ensemble, "MIN_STEPS", 5)
        patch.setattr(ensemble, "MAX_STEPS", 5)
        if not IS_NIGHTLY:
            # A random forest takes the same rows, and self-training fits logistic regression.
            patch.setattr(inputs, "MEMBERS", ("extra_trees", "self_training"))
        yield


def cases(n):
    """Return the settings of a test with `n` cases, or as many more or fewer as the profile has."""
    slow = [HealthCheck.too_slow, HealthCheck.data_too_large]
    factor = 10 if IS_NIGHTLY else min(1.0, settings.default.max_examples / 100)
    return settings(max_examples=math.ceil(factor * n), suppress_health_check=slow)


def classifier(**params):
    small = {
        "architecture": MLPArchitecture((8,), (8,)),
        "max_epochs": 2,
        "device": "cpu",
        "random_state": 0,
    }
    return SGANClassifier(**{**small, **params})


def fit_or_refuse(estimator, X, y, names):
    """Fit and predict, or check that the error names an argument; return whether it was fitted."""
    start = time.monotonic()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            estimator.fit(X, y)
            probabilities = estimator.predict_proba(X)
            estimator.sample(2)
            refused = None
        except (TypeError, ValueError) as error:
            refused = str(error)
    assert time.monotonic() - start < SECONDS
    for warning in caught:
        assert any(
            issubclass(warning.category, category) and re.search(text, str(warning.message))
            for category, text in ALLOWED_WARNINGS
        ), f"a warning leaks out: {warning}"
    if refused is not None:
        assert re.search(names, refused), f"no argument is named: {refused}"
        return False
    assert probabilities.shape == (len(estimator.transduction_), len(estimator.classes_))
    assert np.isfinite(probabilities).all()
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)
    return True


OF_X = r"\bX\b|\barray\b|sample|feature|[Cc]olumn|rows|images|dtype"

# --- X --------------------------------------------------------------------------------------------

NUMBERS = ["f8", "f4", "f2", "g", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "?"]
OTHERS = ["O", "U3", "S3", "c16", "M8[D]", "m8[s]", "f8,i4", ">f8", "<i2"]
SCALES = [0.0, 1.0, 1e-320, 1e-30, 1e-3, 1e6, 1e30, 1e300, 1.7e308]
SPECIAL = [math.nan, math.inf, -math.inf, -0.0, 1e308, -1e308, 5e-324]
FORMS = {
    "as it is": lambda X: X,
    "by columns": np.asfortranarray,
    "every other row": lambda X: np.repeat(X, 2, axis=0)[::2],
    "reversed": lambda X: X[::-1, ::-1],
    "transposed": lambda X: np.ascontiguousarray(X.T).T,
    "lists": lambda X: X.tolist(),
    "tuple of rows": tuple,
    "frame": lambda X: pd.DataFrame(X),
    "named frame": lambda X: pd.DataFrame(X).add_prefix("c"),
    "masked": np.ma.masked_array,
    "sparse": lambda X: sparse.csr_array(X.astype(float)),
    "memory view": lambda X: memoryview(np.ascontiguousarray(X)),
}


@st.composite
def tables(draw):
    """Return a two-dimensional X, valid in most respects."""
    n_rows = draw(st.sampled_from([12, 30, 3, 2, 1, 0]))
    n_columns = draw(st.sampled_from([3, 1, 2, 7, 0]))
    rng = np.random.RandomState(draw(st.integers(0, 2**16)))
    X = rng.standard_normal((n_rows, n_columns))
    with np.errstate(all="ignore"):
        X *= draw(st.sampled_from(SCALES) | st.just(1.0))
        X += draw(st.sampled_from([0.0, 0.0, 1.0, 1e9, -1e300]))
        if draw(st.booleans()) and n_rows:
            X[:] = X[rng.randint(max(1, n_rows // 4), size=n_rows)]  # repeated rows
        for value in draw(st.lists(st.sampled_from(SPECIAL), max_size=2)):
            if X.size:
                X[rng.randint(n_rows), rng.randint(n_columns)] = value
        dtype = draw(st.sampled_from(NUMBERS) | st.sampled_from(["f8"]) | st.sampled_from(OTHERS))
        if dtype in ("f8,i4", "M8[D]", "m8[s]"):
            X = np.zeros(X.shape, dtype)
        else:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                X = X.astype(dtype)
    form = draw(st.sampled_from(sorted(FORMS)))
    refusals = TypeError, ValueError, IndexError
    with contextlib.suppress(*refusals), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        X = FORMS[form](X)  # if it is of this dtype, and has columns
    if isinstance(X, np.ndarray) and draw(st.booleans()):
        X.flags.writeable = False
    return X


odd_tables = st.sampled_from(
    [
        None,
        0,
        3.5,
        "rows",
        b"rows",
        [],
        [[]],
        {},
        {"a": [1, 2]},
        object(),
        [1.0, 2.0, 3.0],
        [[1.0], [1.0, 2.0]],
        [[1.0, "a"], [2.0, "b"]],
        [[None, 1.0], [2.0, None]],
        [[Decimal("1.5")], [Decimal("2.5")]],
        [[1j], [2j]],
        [[10**400], [1]],
        np.float64(3),
        np.zeros((2, 2, 2, 2, 2)),
        np.zeros((4, 0, 3)),
        np.zeros((6, 3, 3)),
        np.zeros((6, 8, 8), dtype="M8[D]"),
        np.full((6, 8, 8), np.nan),
        np.zeros((6, 8, 8), dtype=complex),
        np.broadcast_to(1.0, (12, 3)),
        pd.DataFrame({"a": [1.0, 2.0], "a ": ["x", None]}),
        pd.DataFrame({"a": pd.date_range("2020", periods=4)}),
        pd.DataFrame({"a": [[1], [2]]}),
        pd.DataFrame([[1, 2], [3, 4]], columns=["a", "a"]),
        pd.DataFrame([[1, 2], [3, 4]], columns=["a", 1]),
        pd.DataFrame(),
        pd.Series([1.0, 2.0]),
        pl.DataFrame(),
        pl.Series([1.0, 2.0]),
        pl.LazyFrame({"a": [1.0, 2.0]}),
        pd.DataFrame(np.eye(4), columns=[1, 1, 2, 3]),
        pd.DataFrame(np.eye(4), columns=[["a", "a", "b", "b"], [1, 2, 1, 2]]),
        np.ma.masked_array(np.eye(4), np.eye(4) == 0),
        np.ma.masked_array(np.zeros((6, 3, 3)), True),
        np.array([["2020-01-01"], ["NaT"]] * 3, dtype="M8[D]"),
        *(
            pd.DataFrame({"a": column}) if isinstance(column, pd.Series) else column.to_frame("a")
            for column in refused_columns(6).values()
        ),
        (x for x in range(3)),
        iter([[1.0], [2.0]]),
        sparse.eye(4).tocoo(),
    ]
)


def length(X):
    try:
        return len(X) if not hasattr(X, "shape") else X.shape[0]
    except (IndexError, TypeError):
        return 4


@given(tables() | tables() | tables() | odd_tables | frames(12))
@cases(120)
def test_any_rows_are_fitted_or_refused(X):
    y = np.resize([0, 1, -1, 2, -1], length(X))
    fit_or_refuse(
        classifier(), X, y, r"\bX\b|\barray\b|sample|feature|[Cc]olumn|rows|dtype|y holds"
    )


@st.composite
def sparse_tables(draw):
    """Return a sparse X, valid but for its values, and a number of components."""
    n_rows, n_columns = draw(st.sampled_from([12, 5, 40])), draw(st.sampled_from([3, 1, 20, 200]))
    rng = np.random.RandomState(draw(st.integers(0, 2**16)))
    density = draw(st.sampled_from([0.3, 0.02, 0.0, 1.0]))
    X = rng.standard_normal((n_rows, n_columns)) * (
        rng.random_sample((n_rows, n_columns)) < density
    )
    with np.errstate(all="ignore"):
        X *= draw(st.sampled_from(SCALES) | st.just(1.0))
    for value in draw(st.lists(st.sampled_from(SPECIAL), max_size=1)):
        X[rng.randint(n_rows), rng.randint(n_columns)] = value
    convert = draw(st.sampled_from([sparse.csr_array, sparse.csr_matrix, sparse.csc_array]))
    with np.errstate(all="ignore"):
        X = convert(X.astype(draw(st.sampled_from(["f8", "f4"]))))
    return X, draw(st.sampled_from([500, 2, 1, None]))


@given(sparse_tables())
@cases(60)
def test_any_sparse_rows_are_fitted_or_refused(X_and_components):
    X, n_components = X_and_components
    y = np.resize([0, 1, -1, 2, -1], X.shape[0])
    fit_or_refuse(classifier(n_components=n_components), X, y, OF_X)


@given(frames(12), frames(12) | tables())
@cases(60)
def test_a_model_of_any_frame_is_kept_and_predicts_or_refuses_any_rows(tmp_path_factory, X, other):
    # The model keeps nothing of the ensemble, which the test above trains on such frames.
    estimator = classifier(ensemble=None)
    assert fit_or_refuse(estimator, X, [0, 1, -1] * 4, OF_X)
    path = tmp_path_factory.getbasetemp() / "kept"
    save(estimator, path)
    expected, rows = estimator.predict_proba(X), estimator.sample(9, random_state=0)
    for again in (
        pickle.loads(pickle.dumps(estimator)),
        copy.deepcopy(estimator),
        load(path),
    ):
        np.testing.assert_array_equal(again.predict_proba(X), expected)
        made = again.sample(9, random_state=0)
        assert type(made) is type(X)
        assert list(made.columns) == list(X.columns)
        assert list(made.dtypes) == list(X.dtypes)
        assert as_lists(made) == as_lists(rows)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", "X (has|does not have valid) feature names")
        warnings.filterwarnings("ignore", ".*values that did not occur in the training rows")
        try:
            probabilities, refused = estimator.predict_proba(other), None
        except (TypeError, ValueError) as error:
            refused = str(error)
    if refused is not None:
        assert re.search(OF_X, refused)
    else:
        assert np.isfinite(probabilities).all()


# --- y --------------------------------------------------------------------------------------------

LABELS = [0, 1, 2, -1, -2, 0.0, 1.5, -1.0, math.nan, math.inf, None, "", "a", "-1", b"a", True]
LABELS += [10**30, 2**63, np.nan, pd.NA, pd.NaT, 1j, (1,), Decimal(1), np.float32(1), np.str_("b")]
LABELS += [np.bool_(True), np.uint8(255), 255, "-1.0", " -1 ", "nan", "1", b"-1", np.ma.masked]
LABELS += [np.timedelta64(1, "s"), np.datetime64("2020"), pd.Timestamp("2020"), "a\0", 2**53 + 1]

WHOLE = [0, 1, 2, -1, 255, 254, 2**53, 2**53 + 1, 2**63 - 1, 2**63, 2**64 - 1, 2**64, -(2**63)]
LABELS_OF = {
    "integer": WHOLE,
    "float": [0.0, 1.0, -1.0, 3.0, 255.0, 2.0**52, 2.0**53],
    "bool": [True, False],
    "string": ["", "a", "b", "-1", "-1.0", "1", "nan", "None", "unknown", "unk", "a\0", "é"],
    "mixed": [0, 1, 1.0, True, np.bool_(False), "a", "1", -1, np.int8(1), np.float32(1), 2**53 + 1],
}
NULLABLE = {"integer": "Int64", "float": "Float64", "bool": "boolean", "string": "string"}
ARROW = {"integer": pa.int64(), "float": pa.float64(), "bool": pa.bool_(), "string": pa.string()}
STRINGS = getattr(getattr(np, "dtypes", None), "StringDType", None)  # from NumPy 2 on
MARKS = [-1, None, math.nan, np.nan, 0, 255, -1.0, 1, "unknown", "-1", "", 2**53 + 1]


def objects(labels):
    array = np.empty(len(labels), dtype=object)
    array[:] = labels
    return array


def masked(labels):
    known = [label for label in labels if label is not None]
    data = np.array([known[0] if label is None else label for label in labels])
    return np.ma.masked_array(data, [label is None for label in labels])


# Functions that convert a list of labels, which may contain None, to a form of y.
FORMS_OF_Y = {
    "list": lambda labels, kind: list(labels),
    "tuple": lambda labels, kind: tuple(labels),
    "column of lists": lambda labels, kind: [[label] for label in labels],
    "array": lambda labels, kind: np.array(labels),
    "objects": lambda labels, kind: objects(labels),
    "numpy scalars": lambda labels, kind: objects([*np.array(labels)]),
    "strings": lambda labels, kind: np.array(labels, dtype=STRINGS(na_object=None)),
    "masked": lambda labels, kind: masked(labels),
    "series": lambda labels, kind: pd.Series(labels, dtype=object, index=range(5, 17)),
    "plain series": lambda labels, kind: pd.Series(labels),
    "nullable": lambda labels, kind: pd.array(labels, dtype=NULLABLE[kind]),
    "nullable series": lambda labels, kind: pd.Series(labels, dtype=NULLABLE[kind]),
    "unsigned": lambda labels, kind: pd.Series(labels, dtype="UInt64"),
    "frame": lambda labels, kind: pd.DataFrame({"y": pd.array(labels, dtype=NULLABLE[kind])}),
    "category": lambda labels, kind: pd.Categorical(labels),
    "category series": lambda labels, kind: pd.Series(pd.Categorical(labels)),
    "arrow series": lambda labels, kind: pd.Series(labels, dtype=pd.ArrowDtype(ARROW[kind])),
    "arrow": lambda labels, kind: pa.array(labels, type=ARROW[kind]),
    "arrow chunks": lambda labels, kind: pa.chunked_array([labels[:5], labels[5:]], ARROW[kind]),
    "arrow dictionary": lambda labels, kind: pa.array(labels).dictionary_encode(),
    "polars": lambda labels, kind: pl.Series(labels),
    "polars category": lambda labels, kind: pl.Series(labels, dtype=pl.Categorical),
    "polars frame": lambda labels, kind: pl.DataFrame({"y": labels}),
}
FAILURES = (TypeError, ValueError, KeyError, IndexError, OverflowError, pl.exceptions.PolarsError)
FAILURES += (pa.ArrowException,)


def kept_by(y):
    """Return the labels that a form of y holds, None where one is missing."""
    if isinstance(y, pd.DataFrame | pl.DataFrame):
        y = y["y"]
    if isinstance(y, np.ma.MaskedArray):
        return [None if gap else v for v, gap in zip(y.data.tolist(), y.mask, strict=True)]
    if isinstance(y, pa.Array | pa.ChunkedArray):
        return y.to_pylist()
    labels = list(y.astype(object)) if hasattr(y, "astype") else list(y)
    labels = [label[0] if isinstance(label, list) else label for label in labels]
    labels = [label.item() if isinstance(label, np.generic) else label for label in labels]
    return [None if label is pd.NA or label != label else label for label in labels]


@st.composite
def labeled_forms(draw):
    """Return a form of y, the labels in it, and their kind."""
    kind = draw(st.sampled_from([*LABELS_OF, "string", "integer"]))
    some = draw(st.lists(st.sampled_from(LABELS_OF[kind]), min_size=1, max_size=4))
    some += [None] * draw(st.integers(0, 1))
    labels = (some * 12)[:12]
    form = draw(st.sampled_from(sorted(FORMS_OF_Y)))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            y = FORMS_OF_Y[form](labels, kind)
            held = kept_by(y)
    except FAILURES:  # the form is for other labels
        y, held = labels, labels
    # Forms that change the labels are not used.
    is_same = held == labels and list(map(is_number, held)) == list(map(is_number, labels))
    return (y, labels, kind) if is_same else (labels, labels, kind)


def is_number(label):
    return isinstance(label, int | float | np.number) and not isinstance(label, bool | np.bool_)


MISSING_AS_TEXT = ("none", "<na>", "nat")


def reads_as(text, number):
    if number != number and text.strip().lower() in MISSING_AS_TEXT:
        return True
    try:
        return float(text) == number or (number != number and math.isnan(float(text)))
    except ValueError:
        return False


def has_to_work(y, labels, kind, mark):
    """Return whether labels are unambiguous, so that they must be accepted."""
    known = [label for label in labels if label is not None]
    has_gaps = len(known) < len(labels)
    gaps_are_unlabeled = (mark is not None and mark != mark) or (
        isinstance(y, np.ma.MaskedArray) and mark is not None
    )
    given = [label for label in known if label != mark]
    if kind == "mixed" or not given or (has_gaps and not gaps_are_unlabeled):
        return False
    if kind == "integer" and not (min(given) >= -(2**63) and max(given) < 2**63):
        return False
    if kind == "float" and max(map(abs, given)) >= 2**53:
        return False
    if isinstance(mark, str):
        is_cut = any(isinstance(label, str) and mark.startswith(label) for label in given)
        return not is_cut and not any(is_number(label) and reads_as(mark, label) for label in given)
    texts = [label for label in given if isinstance(label, str)]
    return mark is None or not any(reads_as(text, mark) for text in texts)


@given(labeled_forms(), st.sampled_from(MARKS))
@cases(600)
def test_labels_of_any_form_are_exact_or_refused(form, mark):
    y, labels, kind = form
    refused = None
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "A column-vector y was passed")
        try:
            found = check_labels(y, mark)
        except ValueError as error:
            refused = str(error)
    if refused is not None:
        assert re.search(r"\by\b", refused)
        assert not has_to_work(y, labels, kind, mark), refused
        return
    classes = found.classes.tolist()
    for label, code in zip(labels, found.codes.tolist(), strict=True):
        if code < 0:
            assert label is None or label == mark
        else:
            assert classes[code] == label
            assert is_number(classes[code]) == is_number(label)
            assert mark is None or label != mark
    given = {label for label in labels if label is not None and (mark is None or label != mark)}
    assert len(classes) == len(given)


@given(labeled_forms(), st.sampled_from([mark for mark in MARKS if mark is not None]))
@cases(200)
def test_masked_labels_are_exact_or_refused(form, mark):
    y, labels, kind = form
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "A column-vector y was passed")
        try:
            found = mask_labels(y, per_class=1, unlabeled_value=mark, random_state=0)
        except ValueError as error:
            refused = str(error)
        else:
            refused = None
    if refused is not None:
        assert re.search(r"\by\b", refused)
        assert not has_to_work(y, labels, kind, mark), refused
        return
    unlabeled = [value == mark or value != value for value in found.tolist()]
    kept = [value for value, is_gap in zip(found.tolist(), unlabeled, strict=True) if not is_gap]
    assert len(kept) == len({label for label in labels if label is not None and label != mark})
    for value, label, is_gap in zip(found.tolist(), labels, unlabeled, strict=True):
        assert is_gap or value == label  # of booleans, numbers are made


@given(
    labeled_forms() | st.sampled_from([({0}, None, ""), ({0: 1}, None, ""), ([[0, 1]], None, "")]),
    st.sampled_from(["integer", "float", "bool", "string"]),
)
@cases(200)
def test_wanted_classes_of_any_form_are_exact_or_refused(form, kind):
    label, wanted, _ = form
    classes = np.unique(np.array([name for name in LABELS_OF[kind] if name != 2**64]))
    try:
        codes = codes_to_sample(label, 1, classes)
    except ValueError as error:
        refused = str(error)
    else:
        refused = None
    if refused is not None:
        assert "'label' parameter" in refused
        assert wanted is None or any(name not in classes.tolist() for name in wanted)
    else:
        assert [classes.tolist()[code] for code in codes] == wanted


@given(
    st.sampled_from(["u1", "u2", "u4", "u8", "i1", "i2", "i4"]),
    st.sampled_from([-1, -2, -1.0, -300, 300, 2**40]),
    st.sampled_from(
        [np.asarray, pd.Series, pl.Series, pa.array, pd.Categorical, "nullable", "arrow"]
    ),
    st.booleans(),
)
def test_marks_that_a_dtype_changes_are_refused(dtype, mark, convert, is_partial):
    limits = np.iinfo(dtype)
    if limits.min <= mark <= limits.max:
        return
    y = np.array([0, 1, int(mark)] * 4, dtype=np.int64).astype(dtype)
    if convert == "nullable":
        y = pd.Series(y, dtype=np.dtype(dtype).name.replace("ui", "UI").replace("int", "Int", 1))
    elif convert == "arrow":
        y = pd.Series(y, dtype=f"{np.dtype(dtype).name}[pyarrow]")
    else:
        y = convert(y)
    wrapped = int(np.int64(mark).astype(dtype))
    classes = np.array([0, 1]) if is_partial else None
    message = rf"y has the dtype {np.dtype(dtype)}, .* unlabeled_value={mark}: .* to {wrapped},"
    with pytest.raises(ValueError, match=message):
        check_labels(y, mark, classes)


@st.composite
def targets(draw):
    """Return some form of labels for 12 rows."""
    if draw(st.booleans()):
        return draw(labeled_forms())[0]
    some = draw(st.lists(st.sampled_from(LABELS), min_size=1, max_size=3))
    y = (some * 12)[:12]
    form = draw(
        st.sampled_from(["list", "array", "objects", "series", "column", "matrix", "short"])
    )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            match form:
                case "array":
                    y = np.array(y)
                case "objects":
                    y = objects(y)
                case "series":
                    y = pd.Series(y, index=range(5, 17))
                case "column":
                    y = np.array(y)[:, np.newaxis]
                case "matrix":
                    y = np.array([y, y]).T
                case "short":
                    y = y[:-1]
    except (OverflowError, TypeError, ValueError):  # not of these labels
        pass
    return y


odd_targets = st.sampled_from(
    [
        None,
        0,
        "labels",
        [],
        {},
        object(),
        [[0, 1]] * 12,
        [[0], [1, 2]] * 6,
        np.zeros((12, 0)),
        np.arange(12),
        np.arange(12.0) / 7,
        np.full(12, -1),
        np.zeros(12),
        np.array(3),
        np.zeros(12, dtype="M8[D]"),
        np.array(["0", "-1"] * 6, dtype="S2"),
        pd.Categorical(["a", "b"] * 6),
        pd.Series([1, pd.NA, -1] * 4, dtype="Int64"),
        sparse.eye(12),
        (y for y in range(12)),
        [np.array([1])] * 12,
        np.ma.masked_array([0, 1] * 6, [True, False] * 6),
        np.array([0, 1, -1] * 4, dtype=">i4"),
        np.array([0, 1, -1] * 4, dtype=np.float16),
        np.array([0, 1, 255] * 4, dtype=np.uint8),
        np.array([0, 1, -1] * 4, dtype=np.longdouble),
        np.array([(0, 1)] * 12, dtype="i4,i4"),
        np.ma.masked_array([0, 1] * 6, [True] * 12),
        np.ma.masked_array(["a", "b"] * 6, [True, False] * 6),
        pd.Series(["a", "b", None] * 4, dtype="category"),
        pd.Series(pd.date_range("2020", periods=12, tz="UTC")),
        pd.Series(pd.interval_range(0, 12)),
        pd.Series(pd.arrays.SparseArray([0, 1] * 6)),
        pl.Series([[1], [2]] * 6),
        pl.Series([b"a", b"b"] * 6),
        pl.Series([1, 2] * 6, dtype=pl.Decimal(5, 2)),
        pa.array([b"a", None] * 6),
        pa.array([{"a": 1}] * 12),
        pa.table({"y": [0, 1] * 6}),
        pa.nulls(12),
        [np.ma.masked, 0, 1] * 4,
        [["a"], [-1], ["b"]] * 4,
        bytearray([0, 1, 255] * 4),
    ]
)


@given(targets() | odd_targets, st.sampled_from([-1, None, "", 0, math.nan, "unknown", 1]))
@cases(80)
def test_any_labels_are_fitted_or_refused(y, unlabeled_value):
    X = np.random.RandomState(0).randn(12, 3)
    fit_or_refuse(
        classifier(unlabeled_value=unlabeled_value),
        X,
        y,
        r"\by\b|[Ll]abel|class|target|inconsistent numbers of samples|unlabeled_value",
    )


# --- parameters -----------------------------------------------------------------------------------

ODD_VALUES = [
    None, True, False, 0, 1, -1, 2, 0.0, 0.5, -0.5, 1.0, 1e-300, 1e300, math.nan, math.inf,
    -math.inf, 10**30, -(10**30), "", "auto", "no such thing", "0", b"auto", [], [1], ["a"], [None],
    (), (8, 8), {}, {0: 1.0}, {"a": None}, {0: -1.0}, set(), object(), print, lambda passed: 1.0,
    lambda: 0, int, SGANClassifier, MLPArchitecture, MLPArchitecture(()), 1j, Decimal(1), Path("."),
    np.nan, np.int64(2), np.float32(0.5), np.array([1, 2]), np.array("auto"), np.zeros((2, 2)),
    np.random.RandomState(0), np.random.default_rng(0), pd.NA, slice(2), range(3),
]  # fmt: skip
PARAMETERS = sorted(SGANClassifier().get_params(deep=False))
DATA = np.random.RandomState(0).randn(12, 3), [0, 1, -1] * 4


@pytest.mark.parametrize("name", PARAMETERS)
@given(value=st.sampled_from(ODD_VALUES))
@settings(max_examples=len(ODD_VALUES) if IS_NIGHTLY else 5)
def test_any_parameter_is_used_or_refused(tmp_path_factory, name, value):
    with contextlib.chdir(tmp_path_factory.getbasetemp()):  # for checkpoints
        fit_or_refuse(classifier(**{name: value}), *DATA, rf"\b{name}\b")


@given(
    st.dictionaries(
        st.sampled_from(PARAMETERS), st.sampled_from(ODD_VALUES), min_size=2, max_size=3
    )
)
@cases(30)
def test_any_parameters_together_are_used_or_refused(tmp_path_factory, params):
    with contextlib.chdir(tmp_path_factory.getbasetemp()):
        fit_or_refuse(classifier(**params), *DATA, "|".join(rf"\b{name}\b" for name in params))


@functools.cache
def fitted_on_data():
    return classifier(random_state=0).fit(*DATA)


# --- after an error -------------------------------------------------------------------------------


@given(tables() | odd_tables)
@cases(30)
def test_a_fitted_model_survives_what_is_refused(X):
    estimator = copy.deepcopy(fitted_on_data())
    before = estimator.predict_proba(DATA[0])
    y = np.resize([0, 1, -1], length(X))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            estimator.fit(X, y)
    except (TypeError, ValueError):
        np.testing.assert_array_equal(estimator.predict_proba(DATA[0]), before)


@given(tables() | odd_tables)
@cases(60)
def test_any_rows_are_predicted_or_refused(X):
    estimator = fitted_on_data()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", "X (has|does not have valid) feature names")
        try:
            probabilities, refused = estimator.predict_proba(X), None
        except (TypeError, ValueError) as error:
            refused = str(error)
    if refused is not None:
        assert re.search(OF_X, refused)
    else:
        assert np.isfinite(probabilities).all()
        np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)
