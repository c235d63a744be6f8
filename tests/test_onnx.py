"""Classifiers as ONNX graphs, run by onnxruntime."""

import builtins
import re

import numpy as np
import pandas as pd
import pytest
from sklearn.preprocessing import MaxAbsScaler, QuantileTransformer, StandardScaler

from sgan_sklearn import export_onnx
from sgan_sklearn.architectures import ConvArchitecture
from sgan_sklearn.objectives import OBJECTIVES

for package in ("onnx", "onnxscript"):
    pytest.importorskip(package, reason=f"{package} is not installed", exc_type=ImportError)
onnxruntime = pytest.importorskip("onnxruntime", exc_type=ImportError)


@pytest.fixture
def run(tmp_path):
    """Return a function that exports a classifier and runs its graph."""

    def export_and_run(classifier, X):
        path = tmp_path / "classifier.onnx"
        export_onnx(classifier, path)
        session = onnxruntime.InferenceSession(path)
        assert [item.name for item in session.get_inputs()] == ["X"]
        assert [item.name for item in session.get_outputs()] == ["label", "probabilities"]
        return session.run(None, {"X": X})

    return export_and_run


def assert_same(classifier, X, found):
    label, probabilities = found
    np.testing.assert_allclose(probabilities, classifier.predict_proba(X), atol=1e-5)
    np.testing.assert_array_equal(label, classifier.predict(X))


@pytest.mark.parametrize("objective", sorted(OBJECTIVES))
def test_every_objective_is_exported(make_classifier, data, run, objective):
    X, y = data
    classifier = make_classifier(objective=objective).fit(X, y)
    assert_same(classifier, X, run(classifier, X))
    assert_same(classifier, X[:1], run(classifier, X[:1]))


@pytest.mark.parametrize(
    ("scaling", "dtype"),
    [
        ("auto", np.float64),
        ("auto", bool),
        ("shared", np.uint8),
        ("standard", np.float32),
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


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_missing_numbers_are_part_of_the_graph(make_classifier, data, run, dtype):
    X = data[0].astype(dtype)
    X[::4, 1] = X[1::7, 3] = np.nan
    classifier = make_classifier().fit(X, data[1])
    X[5] = np.nan
    assert_same(classifier, X, run(classifier, X))


@pytest.mark.parametrize(
    ("shape", "dtype"), [((8, 8), np.uint8), ((9, 8, 1), np.float32), ((8, 10, 3), np.uint8)]
)
def test_images_are_exported(make_classifier, run, shape, dtype):
    rng = np.random.RandomState(0)
    images = rng.randint(0, 255, (30, *shape)).astype(dtype)
    architecture = ConvArchitecture(width=4)
    classifier = make_classifier(architecture=architecture, max_epochs=1)
    classifier.fit(images, rng.randint(-1, 2, 30))
    assert_same(classifier, images, run(classifier, images))


@pytest.mark.parametrize(
    "classes",
    [
        np.array(["a", "bc", "déf"]),
        np.array(["a", "b", "c"], dtype=object),
        np.array([1.0, 2.0, 3.0]),
        np.array([-5, 0, 7]),
    ],
    ids=lambda classes: str(classes.dtype),
)
def test_labels_are_those_of_the_classifier(make_classifier, data, run, classes):
    X, y = data
    classifier = make_classifier(unlabeled_value=None).fit(X, classes[y])
    assert_same(classifier, X, run(classifier, X))


@pytest.mark.parametrize(
    "dtype", ["f2", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "?", ">f4", ">f8", ">i4", "O"]
)
def test_rows_of_every_dtype_are_exported(make_classifier, data, run, dtype):
    X, y = data
    X = (X * 3 > 5) if dtype == "?" else (np.abs(X) * 3).astype(dtype)
    classifier = make_classifier().fit(X, y)
    native = X.astype(np.float64 if dtype == "O" else np.dtype(dtype).newbyteorder("="))
    assert_same(classifier, native, run(classifier, native))


@pytest.mark.parametrize("dtype", ["f2", ">f8", "O"])
def test_missing_numbers_of_every_dtype_are_exported(make_classifier, data, run, dtype):
    X = data[0].astype(dtype)
    X[::4, 1] = np.nan
    classifier = make_classifier().fit(X, data[1])
    native = X.astype(np.float64 if dtype == "O" else np.dtype(dtype).newbyteorder("="))
    assert_same(classifier, native, run(classifier, native))


@pytest.mark.parametrize("dtype", ["f2", "u8", "?", ">f4"])
def test_images_of_every_dtype_are_exported(make_classifier, run, dtype):
    rng = np.random.RandomState(0)
    images = (rng.randint(0, 255, (30, 8, 8)) // (128 if dtype == "?" else 1)).astype(dtype)
    classifier = make_classifier(architecture=ConvArchitecture(width=4), max_epochs=1)
    classifier.fit(images, rng.randint(-1, 2, 30))
    native = images.astype(np.dtype(dtype).newbyteorder("="))
    assert_same(classifier, native, run(classifier, native))


@pytest.mark.parametrize("dtype", ["f2", "i1", "u8", "?", ">f8", ">i4", ">U3"])
def test_classes_of_every_dtype_are_exported(make_classifier, data, run, dtype):
    X, y = data
    classes = np.array([0, 1] if dtype == "?" else [1, 2, 3]).astype(dtype)
    classifier = make_classifier(unlabeled_value=None).fit(X, classes[np.abs(y) % len(classes)])
    assert_same(classifier, X, run(classifier, X))


@pytest.mark.parametrize(
    "classes",
    [
        np.array([2**63, 2**64 - 1, 2**63 + 1], dtype=np.uint64),
        np.array(["a\0", "", "é" * 300], dtype=object),
        np.array([np.str_("a"), "b", "c"], dtype=object),
    ],
    ids=["uint64", "odd strings", "strings of NumPy"],
)
def test_unusual_classes_are_exported(make_classifier, data, run, classes):
    X, y = data
    classifier = make_classifier(unlabeled_value=None).fit(X, classes[np.abs(y)])
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


def test_transformer_of_a_known_kind_is_exported(make_classifier, data, run):
    classifier = make_classifier(scaling=StandardScaler()).fit(*data)
    assert_same(classifier, data[0], run(classifier, data[0]))


def test_categories_are_refused(make_classifier, data, tmp_path):
    frame = pd.DataFrame(data[0])
    frame[4] = ["u", "v"] * 30
    frame.columns = frame.columns.astype(str)
    classifier = make_classifier().fit(frame, data[1])
    with pytest.raises(ValueError, match=r"categorical columns.*OneHotEncoder"):
        export_onnx(classifier, tmp_path / "classifier.onnx")


def test_missing_packages_are_named(fitted, tmp_path, monkeypatch):
    real = builtins.__import__

    def hide(name, *args, **kwargs):
        if name == "onnxscript":
            raise ModuleNotFoundError("No module named 'onnxscript'")
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", hide)
    with pytest.raises(ImportError, match=r"onnxscript.*pip install 'sgan-sklearn\[onnx\]'"):
        export_onnx(fitted, tmp_path / "classifier.onnx")
