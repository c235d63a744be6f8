"""Classifiers as ONNX graphs, run by onnxruntime."""

import builtins
import functools
import importlib
import io
import itertools
import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from frame_strategies import PANDAS, POLARS_KINDS, frames, numbers_of, polars_columns
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn.preprocessing import MaxAbsScaler, QuantileTransformer, StandardScaler

from sgan_sklearn import export_onnx, load, save
from sgan_sklearn._data.columns import TableColumns
from sgan_sklearn._data.scaling import TableScaler
from sgan_sklearn._data.table import as_table
from sgan_sklearn._storage.onnx import _Table
from sgan_sklearn._storage.onnx_columns import TableInputs
from sgan_sklearn.architectures import ConvArchitecture, ResNetArchitecture
from sgan_sklearn.objectives import OBJECTIVES

try:
    import cloudpickle
except ImportError:  # joblib before 1.6 has a copy of its own
    from joblib.externals import cloudpickle

onnx = pytest.importorskip("onnx", exc_type=ImportError)
pytest.importorskip("onnxscript", exc_type=ImportError)
onnxruntime = pytest.importorskip("onnxruntime", exc_type=ImportError)

pytestmark = pytest.mark.usefixtures("one_onnx_registry")


class _Pickler(cloudpickle.Pickler):
    """Pickle tensors by their values, so that equal models have equal bytes."""

    def reducer_override(self, value):
        if isinstance(value, torch.Tensor):
            array = value.detach().numpy()
            return tuple, ((str(array.dtype), array.shape, array.tobytes()),)
        return super().reducer_override(value)


@pytest.fixture(scope="module", autouse=True)
def _one_export_of_equal_models(one_onnx_registry):
    """Let PyTorch export equal models once: half a second each. Classes and inputs come later."""
    programs = {}
    export = torch.onnx.export

    def remembered_export(*args, **kwargs):
        file = io.BytesIO()
        _Pickler(file).dump((args, kwargs))
        key = file.getvalue()
        if key not in programs:
            programs[key] = export(*args, **kwargs).model_proto.SerializeToString()
        return SimpleNamespace(model_proto=onnx.load_from_string(programs[key]))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.onnx, "export", remembered_export)
        yield


@pytest.fixture(scope="module", autouse=True)
def _one_list_of_operators():
    """Let all exports share PyTorch's lists of its operators, a fifth of the time of an export."""
    with pytest.MonkeyPatch.context() as patch:
        try:
            module = importlib.import_module("torch._export.utils")
            collect = functools.cache(module._collect_all_valid_cia_ops_for_namespace)
            patch.setattr(module, "_collect_all_valid_cia_ops_for_namespace", collect)
        except (ImportError, AttributeError):
            pass  # another version of PyTorch
        yield


@pytest.fixture
def make_classifier(make_classifier):
    """Return a function that makes a small classifier, trained for half as long.

    One epoch is enough to predict each of the classes of `data`.
    """
    return functools.partial(make_classifier, max_epochs=1)


@pytest.fixture
def run(tmp_path):
    """Return a function that exports a classifier and runs its graph."""

    sessions = {}

    def export_and_run(classifier, X):
        if id(classifier) not in sessions:  # an export takes a second
            path = tmp_path / "classifier.onnx"
            export_onnx(classifier, path)
            session = onnxruntime.InferenceSession(path)
            assert [item.name for item in session.get_inputs()] == ["X"]
            assert [item.name for item in session.get_outputs()] == ["label", "probabilities"]
            sessions[id(classifier)] = classifier, session
        return sessions[id(classifier)][1].run(None, {"X": X})

    return export_and_run


def assert_same(classifier, X, found):
    label, probabilities = found
    np.testing.assert_allclose(probabilities, classifier.predict_proba(X), atol=1e-5)
    np.testing.assert_array_equal(label, classifier.predict(X))


def as_native(X):
    """Return the rows in the dtype of the input "X"."""
    return X.astype(np.float64 if X.dtype == object else X.dtype.newbyteorder("="))


# Dtypes change the start of the graph and objectives its end, so each case is about one of both.
# There are six objectives, so ">i4" has that of "i4", and ">f8" that of "O": they share an export.
ROWS = ["i4", "O", "f2", "i1", "i2", "i8", ">i4", ">f8", "u1", "u2", "u4", "u8", "?", ">f4"]


@pytest.mark.parametrize(
    ("dtype", "objective"), [*zip(ROWS, itertools.cycle(sorted(OBJECTIVES)), strict=False)]
)
def test_every_dtype_and_objective_is_exported(make_classifier, data, run, dtype, objective):
    assert len(ROWS) >= len(OBJECTIVES)
    X, y = data
    X = (X * 3 > 5) if dtype == "?" else (np.abs(X) * 3).astype(dtype)
    classifier = make_classifier(objective=objective).fit(X, y)
    native = as_native(X)
    assert_same(classifier, native, run(classifier, native))
    assert_same(classifier, native[:1], run(classifier, native[:1]))


@pytest.mark.parametrize(
    ("scaling", "dtype"),
    [
        ("auto", np.float64),
        ("auto", bool),
        ("shared", np.uint8),
        ("standard", np.float32),
        (StandardScaler(), np.float32),
        ("asinh", np.float32),
        ("asinh", np.int32),
        ("none", np.float64),
    ],
)
def test_scaling_is_part_of_the_graph(make_classifier, run, scaling, dtype):
    rng = np.random.RandomState(0)
    X = (rng.randn(60, 5) ** 3 * [1, 1, 3, 1, 30] + 9 * (scaling != "none")).astype(dtype)
    classifier = make_classifier(scaling=scaling).fit(X, rng.randint(-1, 2, 60))
    assert_same(classifier, X, run(classifier, X))
    if np.dtype(dtype).kind == "f":
        far = 1e30 * X
        assert_same(classifier, far, run(classifier, far))


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", ">f8", "O"])
def test_missing_numbers_are_part_of_the_graph(make_classifier, data, run, dtype):
    X = data[0].astype(dtype)
    X[::4, 1] = X[1::7, 3] = np.nan
    classifier = make_classifier().fit(X, data[1])
    X[5] = np.nan
    native = as_native(X)
    assert_same(classifier, native, run(classifier, native))


@pytest.mark.parametrize(
    ("architecture", "shape", "dtype"),
    [
        (ConvArchitecture(width=4), (8, 8), "u1"),
        (ConvArchitecture(width=4), (8, 8), "u8"),
        (ConvArchitecture(width=4), (9, 8, 1), "f2"),
        (ConvArchitecture(width=4), (8, 10, 3), "u1"),
        (ResNetArchitecture((4, 4)), (8, 8), "?"),
        (ResNetArchitecture((4, 4)), (9, 8, 1), "f4"),
        (ResNetArchitecture((4, 4)), (8, 10, 3), ">f4"),
    ],
    ids=str,
)
def test_images_are_exported(make_classifier, run, architecture, shape, dtype):
    rng = np.random.RandomState(0)
    images = (rng.randint(0, 255, (30, *shape)) // (128 if dtype == "?" else 1)).astype(dtype)
    classifier = make_classifier(architecture=architecture)
    classifier.fit(images, rng.randint(-1, 2, 30))
    native = as_native(images)
    for n in (30, 5, 1):
        assert_same(classifier, native[:n], run(classifier, native[:n]))


CLASSES = {
    **{dtype: np.arange(1, 4).astype(dtype) for dtype in ("f2", "i1", "u8", ">f8", ">i4", ">U3")},
    "bool": np.array([False, True]),
    "int64": np.array([-5, 0, 7]),
    "float64": np.array([1.0, 2.0, 3.0]),
    "text": np.array(["a", "bc", "déf"]),
    "objects": np.array(["a", "b", "c"], dtype=object),
    "large integers": np.array([2**63, 2**63 + 1, 2**64 - 1], dtype=np.uint64),
    "odd strings": np.array(["", "a\0", "é" * 300], dtype=object),
    "strings of NumPy": np.array([np.str_("a"), "b", "c"], dtype=object),
}


@pytest.mark.parametrize("name", CLASSES)
def test_labels_are_those_of_the_classifier(make_classifier, data, labels, run, name):
    X, classes = data[0], CLASSES[name]
    # The classes are in order, so that all networks are the same.
    y = classes[labels % len(classes)]
    classifier = make_classifier(unlabeled_value=None).fit(X, y)
    assert len(np.unique(classifier.predict(X))) == len(classes)
    assert_same(classifier, X, run(classifier, X))


needs_long_doubles = pytest.mark.skipif(
    np.dtype(np.longdouble).itemsize == 8, reason="long doubles are float64 here"
)


@needs_long_doubles
def test_long_doubles_are_refused(make_classifier, data, tmp_path):
    X, y = data
    long = np.longdouble
    for rows, labels, name in ((X.astype(long), y, "X"), (X, y.astype(long), "y")):
        classifier = make_classifier().fit(rows, labels)
        message = rf"dtype {np.dtype(long)}, which {name} had.*Fit on {name}\.astype\(np\.float64"
        with pytest.raises(ValueError, match=message):
            export_onnx(classifier, tmp_path / "classifier.onnx")
    assert list(tmp_path.iterdir()) == []


def test_classes_that_are_invalid_text_are_refused(make_classifier, data, tmp_path):
    X, y = data
    classes = np.array(["a", "\ud800", "c"], dtype=object)
    classifier = make_classifier(unlabeled_value=None).fit(X, classes[np.abs(y)])
    with pytest.raises(ValueError, match=r"cannot express the class '\\ud800'.*Rename the class"):
        export_onnx(classifier, tmp_path / "classifier.onnx")


def test_frame_of_numbers_is_exported(make_classifier, data, run):
    frame = pd.DataFrame(data[0], columns=list("abcd"))
    classifier = make_classifier().fit(frame, data[1])
    found = run(classifier, frame.to_numpy())
    np.testing.assert_allclose(found[1], classifier.predict_proba(frame), atol=1e-5)


@pytest.mark.parametrize("transformer", [MaxAbsScaler(), QuantileTransformer(n_quantiles=9)])
def test_other_scalings_are_refused(make_classifier, data, tmp_path, transformer):
    classifier = make_classifier(scaling=transformer).fit(*data)
    message = rf"cannot express the scaling {re.escape(repr(transformer))}.*scaling='none'"
    with pytest.raises(ValueError, match=message):
        export_onnx(classifier, tmp_path / "classifier.onnx")
    assert list(tmp_path.iterdir()) == []


def test_missing_packages_are_named(fitted, tmp_path, monkeypatch):
    real = builtins.__import__

    def hide(name, *args, **kwargs):
        if name == "onnxscript":
            raise ModuleNotFoundError("No module named 'onnxscript'")
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", hide)
    with pytest.raises(ImportError, match=r"onnxscript.*pip install 'sgan-sklearn\[onnx\]'"):
        export_onnx(fitted, tmp_path / "classifier.onnx")


# --- columns of frames ----------------------------------------------------------------------------

DTYPES = {
    "tensor(string)": object,
    "tensor(bool)": bool,
    "tensor(int64)": np.int64,
    "tensor(float)": np.float32,
    "tensor(double)": np.float64,
}
MISSING = {"tensor(string)": "", "tensor(bool)": False, "tensor(int64)": -(2**63)}


def inputs_of(session):
    return {item.name: item.type for item in session.get_inputs()}


def columns_as_inputs(session, X):
    """Return the columns of X as inputs, and a mask of the values that inputs can hold."""
    found, can_hold = {}, []
    for (name, kind), column in zip(inputs_of(session).items(), as_table(X).columns(), strict=True):
        if kind in ("tensor(float)", "tensor(double)"):
            column = column.as_numbers()
        values = np.full(len(column.values), MISSING.get(kind, np.nan), dtype=DTYPES[kind])
        values[column.known] = column.values[column.known]
        found[name] = values[:, np.newaxis]
        is_integer = column.kind in ("integer", "category") and kind == "tensor(int64)"
        can_hold.append(column.known | (not is_integer and kind != "tensor(bool)"))
    return found, np.stack(can_hold, axis=1)


@pytest.fixture
def open_session(tmp_path):
    """Return a function that exports a classifier and opens its graph."""

    def export_and_open(classifier):
        export_onnx(classifier, tmp_path / "classifier.onnx")
        return onnxruntime.InferenceSession(tmp_path / "classifier.onnx")

    return export_and_open


def numbers_session(X):
    """Return the columns of X, and a session from their inputs to the rows of numbers."""
    table = as_table(X)
    columns = TableColumns(table, "from_dtype")
    scaler = TableScaler("none", columns.n_levels).fit(np.asarray(columns.to_numbers(table)))
    make = onnx.helper
    rows = [
        make.make_tensor_value_info(name, onnx.TensorProto.DOUBLE, ["n_samples", X.shape[1]])
        for name in ("X", "probabilities")
    ]
    node = make.make_node("Identity", ["X"], ["probabilities"])
    graph = make.make_graph([node], "rows", rows[:1], rows[1:])
    model = make.make_model(graph, opset_imports=[make.make_opsetid("", 18)], ir_version=9)
    TableInputs(columns, scaler).put(onnx, model)
    onnx.checker.check_model(model)
    return columns, onnxruntime.InferenceSession(model.SerializeToString())


def as_polars(frame):
    columns = {name: frame[name].astype(object).to_list() for name in frame}
    columns = {
        name: [None if pd.isna(value) else value for value in values]
        for name, values in columns.items()
    }
    frame = pl.DataFrame(columns, schema_overrides={"when": pl.Datetime("us")})
    return frame.with_columns(pl.col("grade").cast(pl.Enum(["low", "high"])))


@pytest.fixture
def mixed():
    """Return a frame with columns of all kinds, some of whose values are missing."""
    rng = np.random.RandomState(0)
    frame = pd.DataFrame(
        {
            "city": rng.choice(["Bonn", "Kyiv", "Łódź"], 60).astype(object),
            "new": rng.rand(60) < 0.3,
            "old": pd.Series(rng.rand(60) < 0.3, dtype="boolean"),
            "grade": pd.Categorical(rng.choice(["low", "high"], 60), ["low", "high"], ordered=True),
            "size": rng.randn(60),
            "rooms": rng.randint(1, 9, 60),
            "id": 2**60 + rng.randint(0, 99, 60),
            "when": pd.to_datetime("2020-01-01") + pd.to_timedelta(rng.randint(0, 99, 60), "D"),
            "age": rng.randint(1, 99, 60).astype(float),
        }
    )
    for name in ("city", "old", "grade", "size", "when"):
        frame.loc[rng.rand(60) < 0.2, name] = None
    return frame, rng.randint(-1, 3, 60)


@pytest.mark.parametrize("form", [pd.DataFrame, as_polars], ids=["pandas", "polars"])
def test_each_column_of_a_frame_is_an_input(make_classifier, mixed, open_session, tmp_path, form):
    X, y = form(mixed[0]), mixed[1]
    fitted = make_classifier().fit(X, y)
    save(fitted, tmp_path / "classifier.sgan")
    classifier = load(tmp_path / "classifier.sgan")
    session = open_session(classifier)
    assert inputs_of(session) == {
        "city": "tensor(string)",
        "new": "tensor(bool)",
        "old": "tensor(double)",
        "grade": "tensor(string)",
        "size": "tensor(double)",
        "rooms": "tensor(int64)",
        "id": "tensor(int64)",
        "when": "tensor(int64)",
        "age": "tensor(double)",
    }
    assert [item.shape for item in session.get_inputs()] == [["n_samples", 1]] * 9
    found, can_hold = columns_as_inputs(session, X)
    assert can_hold.all()
    assert_same(fitted, X, session.run(None, found))
    first = {name: column[:1] for name, column in found.items()}
    assert_same(fitted, X[:1], session.run(None, first))


def test_example_of_the_user_guide(make_classifier, mixed, tmp_path, monkeypatch):
    guide = Path(__file__).parents[1] / "docs" / "guide" / "saving.md"
    if not guide.exists():
        pytest.skip("a source distribution comes without the guide")
    code = re.search(r"```python\n(import numpy.*?)```", guide.read_text("utf-8"), re.DOTALL)[1]
    table = mixed[0].drop(columns="when")
    classifier = make_classifier().fit(table, mixed[1])
    monkeypatch.chdir(tmp_path)
    export_onnx(classifier, "table.onnx")
    names = {"table": table}
    exec(code, names)
    assert_same(classifier, table, (names["label"], names["probabilities"]))


def test_unknown_levels_count_as_missing(make_classifier, data, open_session):
    columns = {"text": ["u", "v", "w"] * 20, "number": [1, 2, 5] * 20}
    X = pd.DataFrame({"a": data[0][:, 0], **columns})
    X["number"] = X["number"].astype("category")
    X = X.assign(text_or_none=X["text"], number_or_none=X["number"])
    X.loc[::7, ["text_or_none", "number_or_none"]] = None
    classifier = make_classifier().fit(X, data[1])
    session = open_session(classifier)
    text, number = ["U", "v"] * 30, pd.Categorical([3, 2] * 30)
    unknown = {"text": text, "number": number, "text_or_none": text, "number_or_none": number}
    for name, values in unknown.items():
        changed = X.assign(**{name: values})
        found, _ = columns_as_inputs(session, changed)
        assert_same(classifier, changed, session.run(None, found))


def test_categories_alone_some_of_them_rare_are_inputs(make_classifier, open_session):
    rng = np.random.RandomState(0)
    X = pd.DataFrame({"text": [f"level {i}" for i in [*range(150), *rng.randint(0, 90, 250)]]})
    X["flag"] = [True, False] * 200
    classifier = make_classifier().fit(X, rng.randint(-1, 2, 400))
    assert classifier._space.columns.rare
    session = open_session(classifier)
    assert_same(classifier, X, session.run(None, columns_as_inputs(session, X)[0]))


@pytest.mark.parametrize(
    ("labels", "names"),
    [
        (["not an identifier", "été", "a.b/c"], ["not an identifier", "été", "a.b/c"]),
        ([7, 0, -1], ["7", "0", "-1"]),
        ([("a", 1), ("a", 2), ("b", 1)], ["('a', 1)", "('a', 2)", "('b', 1)"]),
        (["label", "label_1", "probabilities"], ["label_2", "label_1", "probabilities_1"]),
        (["", "X", "classes"], ["_1", "X", "classes"]),
        (["sgan_sklearn.X", "sgan_sklearn_class_code", "x"], None),
        ([1.0, "1.0", "x"], ["1.0", "1.0_1", "x"]),
        (["\ud800", "?", "x"], ["?", "?_1", "x"]),
    ],
    ids=str,
)
def test_inputs_are_named_like_the_columns(labels, names):
    X = pd.DataFrame({0: ["a", "b"] * 6, 1: [1.5, 2, 3] * 4, 2: [False, True] * 6})
    X.columns = pd.Index(labels, dtype=object if "\ud800" in labels else None)
    columns, session = numbers_session(X)
    assert list(inputs_of(session)) == (names or labels)
    numbers = session.run(None, columns_as_inputs(session, X)[0])[0]
    np.testing.assert_array_equal(numbers, columns.to_numbers(as_table(X)))


def test_names_of_values_in_the_graph_are_free_for_columns(make_classifier, data, open_session):
    X = pd.DataFrame(data[0], columns=["X", "label", "classes", "sgan_sklearn.columns.Cast_0"])
    X["probabilities"] = ["u", "v"] * 30
    X["sgan_sklearn_class_code"] = X["linear"] = X["softmax"] = 1.0
    classifier = make_classifier().fit(X, data[1])
    session = open_session(classifier)
    assert_same(classifier, X, session.run(None, columns_as_inputs(session, X)[0]))


@pytest.mark.parametrize("low", [2**60 + 1, -(2**63), 2**63 - 100, -(2**60) - 1])
def test_large_integers_are_exact(low):
    X = pd.DataFrame({"number": low + np.arange(0, 99, 3), "level": low + np.arange(33) % 4})
    X["level"] = X["level"].astype("category")
    columns, session = numbers_session(X)
    assert set(inputs_of(session).values()) == {"tensor(int64)"}
    far = [-(2**63), -(2**53) - 1, -1, 0, 1, 2**32, 2**53 + 1, 2**63 - 1]
    X = pd.concat([X, pd.DataFrame({"number": far, "level": far})])
    numbers = session.run(None, columns_as_inputs(session, X)[0])[0]
    np.testing.assert_array_equal(numbers, columns.to_numbers(as_table(X)))
    assert len(np.unique(numbers[:33, 0])) == 33


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int16, np.uint64, bool])
def test_an_array_with_categories_stays_one_input(make_classifier, data, run, dtype):
    # Multiples of 1/8 are the same numbers, and so the same networks, in both dtypes of floats.
    X = (np.round(np.abs(data[0]) * 24) / 8).astype(dtype)
    X[:, 1] = X[:, 1].round()
    classifier = make_classifier(categorical_features=[1]).fit(X, data[1])
    X[::5, 1] = 77
    assert_same(classifier, X, run(classifier, X))


def test_an_array_of_dates_stays_one_input(make_classifier, data, run):
    X = (data[0] * 1000).astype("m8[s]").astype("M8[s]")
    X[::5, 1] = "NaT"
    classifier = make_classifier().fit(X, data[1])
    found = run(classifier, X.view(np.int64))
    np.testing.assert_allclose(found[1], classifier.predict_proba(X), atol=1e-5)


def test_columns_of_an_array_of_objects_are_inputs(make_classifier, data, open_session):
    X = data[0].astype(object)
    X[:, 2] = ["u", "v", None] * 20
    X[:, 3] = [1, 2] * 30
    classifier = make_classifier(categorical_features=[2]).fit(X, data[1])
    session = open_session(classifier)
    kinds = ["double", "double", "string", "int64"]
    assert inputs_of(session) == {str(i): f"tensor({kind})" for i, kind in enumerate(kinds)}
    assert_same(classifier, X, session.run(None, columns_as_inputs(session, X)[0]))


def test_single_precision_is_kept():
    numbers = pd.Series([0.1, 2, 3] * 4)
    dtypes = ["f2", "f4", ">f4", "f8", "Float32", "Float64", "float[pyarrow]", "double[pyarrow]"]
    dtypes.append("Sparse[float32]")
    X = pd.DataFrame({name: numbers.astype(name) for name in dtypes})
    single = {"f2", "f4", ">f4", "Float32", "float[pyarrow]", "Sparse[float32]"}
    columns, session = numbers_session(X)
    expected = {name: f"tensor({'float' if name in single else 'double'})" for name in dtypes}
    assert inputs_of(session) == expected
    found = session.run(None, columns_as_inputs(session, X)[0])[0]
    np.testing.assert_array_equal(found, columns.to_numbers(as_table(X)))


def test_empty_text_is_missing_in_a_column_without_values():
    X = pd.DataFrame({"a": np.arange(12.0), "text": pd.Series([None] * 12, dtype="string")})
    columns, session = numbers_session(X)
    assert inputs_of(session)["text"] == "tensor(string)"
    found = session.run(None, columns_as_inputs(session, X)[0])[0]
    np.testing.assert_array_equal(found, columns.to_numbers(as_table(X)))
    assert np.isnan(found[:, 1]).all()


def _category(levels):
    levels = pd.Index(levels, dtype=object, tupleize_cols=False)
    return pd.Series(pd.Categorical.from_codes([0, 1] * 30, levels))


REFUSED = {
    "large integers, some missing": (
        pd.Series([2**60, None, 5] * 20, dtype="Int64"),
        r"2\*\*53. Column 'refused' holds integers from 5 to .*Convert it to floats",
    ),
    "large levels, some missing": (
        pd.Series([2**60, None, 5] * 20, dtype="Int64").astype("category"),
        r"2\*\*53. Column 'refused' holds integers from 5 to .*to text if it is a category",
    ),
    "large levels besides fractions": (
        _category([2**53 + 1, 0.5]),
        r"fractions besides integers beyond 2\*\*53. Column 'refused' holds",
    ),
    "unsigned integers": (
        pd.Series([2**63 + i % 7 for i in range(60)], dtype="uint64"),
        r"requires integers from -2\*\*63 to 2\*\*63 - 1. Column 'refused' holds integers from 9",
    ),
    "unsigned levels": (
        _category([2**64 - 1, 5]),
        r"requires integers from -2\*\*63 to 2\*\*63 - 1. Column 'refused' holds integers from 5",
    ),
    "tuples": (
        _category([(1,), (2,)]),
        r"the levels of column 'refused', such as \(1,\), which.*Convert the column to text",
    ),
    "invalid text": (
        pd.Series(["\ud800", "b"] * 30, dtype=object),
        r"cannot express the level '\\ud800', which is not valid Unicode.*Rename the level",
    ),
}


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_columns_that_no_graph_can_express_are_refused(make_classifier, data, tmp_path, name):
    column, message = REFUSED[name]
    X = pd.DataFrame({"a": data[0][:, 0], "refused": column})
    classifier = make_classifier().fit(X, data[1])
    with pytest.raises(ValueError, match=message):
        export_onnx(classifier, tmp_path / "classifier.onnx")
    assert list(tmp_path.iterdir()) == []


def test_images_of_large_integers_are_refused(make_classifier, tmp_path):
    X = pd.DataFrame(2**60 + np.random.RandomState(0).randint(0, 99, (30, 64)))
    classifier = make_classifier(image_shape=(8, 8), architecture=ConvArchitecture(width=4))
    classifier.fit(X, [0, 1, -1] * 10)
    with pytest.raises(ValueError, match=r"images of integers beyond 2\*\*53.*astype\(np.float64"):
        export_onnx(classifier, tmp_path / "classifier.onnx")
    assert list(tmp_path.iterdir()) == []


def is_refused(X):
    """Return whether a column holds missing values besides integers beyond 2**53."""
    return any(
        not column.known.all() and max(map(abs, column.values[column.known].tolist())) > 2**53
        for column in as_table(X).columns()
        if column.kind == "integer"
    )


generated = settings(suppress_health_check=list(HealthCheck))


@given(frames(12))
@generated
def test_columns_become_the_numbers_of_the_classifier(X):
    if is_refused(X[:8]):
        with pytest.raises(ValueError, match="missing values or fractions besides integers"):
            numbers_session(X[:8])
        return
    columns, session = numbers_session(X[:8])
    inputs, can_hold = columns_as_inputs(session, X)
    numbers = session.run(None, inputs)[0]
    expected = columns.to_numbers(as_table(X))
    np.testing.assert_array_equal(numbers[can_hold], expected[can_hold])


@given(st.lists(st.integers(0, 3), min_size=1, max_size=6), st.integers(0, 99))
@generated
def test_rows_of_any_table_are_scaled_as_by_the_classifier(n_levels, seed):
    rng = np.random.RandomState(seed)
    X = rng.normal(size=(20, len(n_levels)))
    codes = rng.randint(0, np.maximum(n_levels, 1), X.shape)
    X = np.where(np.array(n_levels) > 0, codes, X).astype(rng.choice(["f4", "f8"]))
    X[:10][(rng.rand(10, X.shape[1]) < 0.3) & (rng.rand(X.shape[1]) < 0.5)] = np.nan
    X[10:][rng.rand(10, X.shape[1]) < 0.3] = np.nan
    scaler = TableScaler("standard", n_levels).fit(X[:10])
    found = _Table(scaler)(torch.from_numpy(X))
    np.testing.assert_allclose(found, scaler.transform(X), atol=1e-5)


@st.composite
def wide_pandas(draw):
    """Return a frame with a column of each kind, so that few exports show all of them."""
    columns = {kind: PANDAS[kind](draw, *numbers_of(draw, 12)) for kind in sorted(PANDAS)}
    return pd.concat(columns, axis=1).assign(text=["u", "v", "w"] * 4)


@st.composite
def wide_polars(draw):
    columns = {kind: draw(polars_columns(12, kind)) for kind in POLARS_KINDS}
    return pl.DataFrame({**columns, "text": ["u", "v", "w"] * 4})


@pytest.mark.parametrize("wide_frames", [wide_pandas, wide_polars])
@given(data=st.data())
@settings(generated, max_examples=3)
def test_frames_of_every_dtype_are_exported(make_classifier, open_session, wide_frames, data):
    X = data.draw(wide_frames())
    y = [0, 1, -1] * 3
    refused = [name for name in X.columns if is_refused(X[[name]][:9])]
    if refused:
        classifier = make_classifier().fit(X[:9], y)
        with pytest.raises(ValueError, match="missing values or fractions besides integers"):
            open_session(classifier)
        X = X[[name for name in X.columns if name not in refused]]
    classifier = make_classifier().fit(X[:9], y)
    session = open_session(classifier)
    inputs, can_hold = columns_as_inputs(session, X)
    found = session.run(None, inputs)[1]
    expected = classifier.predict_proba(X)
    rows = can_hold.all(axis=1)
    assert rows[:9].all()
    np.testing.assert_allclose(found[rows], expected[rows], atol=1e-5)
