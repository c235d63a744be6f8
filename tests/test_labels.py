import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.exceptions import DataConversionWarning

from sgan_sklearn._data.labels import (
    Labels,
    check_class_weight,
    check_labels,
    check_same_classes,
    warn_about_marks,
)
from sgan_sklearn._data.targets import check_target

NAN = float("nan")


def objects(*labels):
    """Return labels as an object array, whatever their types."""
    array = np.empty(len(labels), dtype=object)
    array[:] = labels
    return array


@pytest.mark.parametrize(
    ("y", "classes", "codes"),
    [
        pytest.param([3, -1, 5, 3], [3, 5], [0, -1, 1, 0], id="ints"),
        pytest.param([5, 3, 5], [3, 5], [1, 0, 1], id="no unlabeled row"),
        pytest.param([7, -1, 7], [7], [0, -1, 0], id="one class"),
        pytest.param([-2, -1, 0], [-2, 0], [0, -1, 1], id="another negative class"),
        pytest.param([1, 2, -1], [1, 2], [0, 1, -1], id="class 1 beside another"),
        pytest.param([1, 1], [1], [0, 0], id="class 1 alone"),
        pytest.param(np.array([0, 1], dtype=np.uint8), [0, 1], [0, 1], id="unsigned"),
        pytest.param([0.0, -1.0, 2.0], [0.0, 2.0], [0, -1, 1], id="floats"),
        pytest.param([True, False, True], [False, True], [1, 0, 1], id="bools"),
        pytest.param(["b", "a"], ["a", "b"], [1, 0], id="strings"),
        pytest.param(objects("b", -1, "a"), ["a", "b"], [1, -1, 0], id="object strings"),
        pytest.param(["b", -1, "a"], ["a", "b"], [1, -1, 0], id="list of strings and -1"),
        pytest.param(objects("b", np.int64(-1)), ["b"], [0, -1], id="NumPy's -1"),
        pytest.param(objects("b", -1.0), ["b"], [0, -1], id="float -1 beside strings"),
        pytest.param(objects("b", np.str_("a")), ["a", "b"], [1, 0], id="NumPy's strings"),
        pytest.param(objects("1", -1), ["1"], [0, -1], id="the string 1"),
        pytest.param(objects(0, -1, 2), [0, 2], [0, -1, 1], id="object ints"),
        pytest.param(objects(True, -1, False), [False, True], [1, -1, 0], id="object bools"),
        pytest.param(pd.Series([3, -1, 5], index=[7, 8, 9]), [3, 5], [0, -1, 1], id="pandas"),
        pytest.param(pd.Series([3, -1], dtype="Int64"), [3], [0, -1], id="pandas Int64"),
        pytest.param(pd.Series(["b", "a"]), ["a", "b"], [1, 0], id="pandas str"),
        pytest.param(pd.Series(["b", "a"], dtype="string"), ["a", "b"], [1, 0], id="pandas string"),
        pytest.param(pd.Series(["b", -1], dtype=object), ["b"], [0, -1], id="pandas object"),
        pytest.param(
            pd.Series(["b", -1, "a"], dtype="category"), ["a", "b"], [1, -1, 0], id="categorical"
        ),
        pytest.param(pd.Categorical([5, -1, 3]), [3, 5], [1, -1, 0], id="Categorical of ints"),
        pytest.param(pl.Series([3, -1, 5]), [3, 5], [0, -1, 1], id="polars"),
        pytest.param(pl.Series(["b", "a"]), ["a", "b"], [1, 0], id="polars str"),
    ],
)
def test_labels(y, classes, codes):
    labels = check_labels(y, -1)
    assert labels.classes.tolist() == classes
    assert labels.codes.tolist() == codes
    assert labels.codes.dtype == np.int64


@pytest.mark.parametrize(
    ("dtype", "values"),
    [
        (np.int8, [0, 1, -1]),
        (np.int64, [0, 1, -1]),
        (np.uint8, [0, 1, 1]),
        (np.float32, [0, 1, -1]),
        (np.float64, [0, 1, -1]),
        (np.bool_, [0, 1, 1]),
        ("<U3", ["a", "b", "b"]),
    ],
    ids=str,
)
def test_classes_keep_the_dtype(dtype, values):
    assert check_labels(np.array(values, dtype=dtype), -1).classes.dtype == dtype


def test_classes_of_object_strings_stay_objects():
    assert check_labels(objects("a", -1), -1).classes.dtype == object


@pytest.mark.parametrize(
    ("y", "unlabeled_value", "codes"),
    [
        pytest.param([1, -1, 1], None, [1, 0, 1], id="None"),
        pytest.param([0, 1, 2], 0, [-1, 0, 1], id="0"),
        pytest.param(["a", "?", "b"], "?", [0, -1, 1], id="string"),
        pytest.param(["a", "-1"], "-1", [0, -1], id="string -1"),
        pytest.param(objects("a", "-1"), "-1", [0, -1], id="string -1 among objects"),
        pytest.param(["a", "-1"], None, [1, 0], id="string -1 as a class"),
        pytest.param([0, 1], "none", [0, 1], id="string that never occurs"),
        pytest.param([0.5, 2.0, 1.0], 0.5, [-1, 1, 0], id="float"),
    ],
)
def test_unlabeled_value(y, unlabeled_value, codes):
    assert check_labels(y, unlabeled_value).codes.tolist() == codes
    expected = np.array(codes) >= 0
    np.testing.assert_array_equal(check_target(y, unlabeled_value).labeled, expected)


@pytest.mark.parametrize(
    "y", [[1, -1], [1.0, -1.0], objects(1, -1)], ids=["ints", "floats", "objects"]
)
def test_class_one_beside_unlabeled_rows_warns(y):
    labels = check_labels(y, -1)
    with pytest.warns(
        UserWarning, match="The only class in y is 1.* set unlabeled_value=None"
    ) as w:
        warn_about_marks(labels, -1)
    assert labels.codes.tolist() == [0, -1]
    assert len(w) == 1


@pytest.mark.parametrize(
    ("y", "unlabeled_value"),
    [([1, -1], None), ([1, 1], None), ([2, -1], -1), ([0, 1, -1], -1)],
    ids=["None", "None and no unlabeled row", "class 2", "two classes"],
)
def test_no_warning_about_other_labels(y, unlabeled_value):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_about_marks(check_labels(y, unlabeled_value), unlabeled_value)


@pytest.mark.parametrize(
    ("y", "messages"),
    [
        pytest.param(None, ["requires y", "unlabeled_value"], id="None"),
        pytest.param([-1, -1], ["y holds no class", "Give at least one row"], id="no labeled row"),
        pytest.param([], ["y holds no class", "0 rows"], id="empty"),
        pytest.param(["a", "-1"], ["y holds the string '-1'", "dtype object"], id="string -1"),
        pytest.param(objects("a", "-1"), ["y holds the string '-1'"], id="object string -1"),
        pytest.param(pd.Series(["a", "-1"]), ["y holds the string '-1'"], id="pandas string -1"),
        pytest.param([0.0, NAN], ["y contains NaN", "1 of 2", "np.where"], id="NaN"),
        pytest.param(objects("a", NAN), ["y contains NaN", "1 of 2", "np.where"], id="object NaN"),
        pytest.param(objects("a", None), ["None", "1 of 2", "unlabeled_value"], id="object None"),
        pytest.param(objects("a", pd.NA), ["y contains NaN", "np.where"], id="pandas.NA"),
        pytest.param(pd.Series([0, None], dtype="Int64"), ["y contains NaN"], id="Int64 NA"),
        pytest.param(pd.Series(["a", None], dtype="category"), ["y contains NaN"], id="category"),
        pytest.param(pl.Series(["a", None]), ["y contains NaN"], id="polars null"),
        pytest.param([0.0, np.inf], ["y contains infinity", "must be finite"], id="infinity"),
        pytest.param(
            [[0, 1], [1, 0]],
            ["y must hold one label", "array or a DataFrame of floats", "MultiOutput"],
            id="multilabel",
        ),
        pytest.param(3, ["y must hold one label"], id="scalar"),
        pytest.param([0.5, 1.7, -1], ["Unknown label type: continuous"], id="continuous"),
        pytest.param(np.array([b"a", b"b"]), ["y must hold class labels", "decode"], id="bytes"),
        pytest.param(
            objects("a", 2, -1), ["y mixes labels", "number and str", "labels strings"], id="mixed"
        ),
    ],
)
def test_invalid_y_is_refused(y, messages):
    with pytest.raises(ValueError, match=r"\by\b") as error:
        check_labels(y, -1)
    for message in messages:
        assert message in str(error.value)


def test_mixed_labels_are_refused_without_unlabeled_value():
    with pytest.raises(ValueError, match="y mixes labels"):
        check_labels(objects("a", -1), None)


def test_column_vector_warns_as_in_scikit_learn():
    with pytest.warns(DataConversionWarning, match="column-vector y"):
        labels = check_labels(np.array([[0], [1]]), -1)
    assert labels.codes.tolist() == [0, 1]


def test_same_classes():
    check_same_classes(np.array([0, 1]), np.array([0, 1]))
    with pytest.raises(ValueError, match=r"warm_start=True y .*\[0, 1\].*\[0, 2\].*warm_start=Fal"):
        check_same_classes(np.array([0, 1]), np.array([0, 2]))


def test_one_label_of_each_of_many_classes_is_accepted():
    y = np.full(200, -1)
    y[:26] = np.arange(26)
    assert len(check_labels(y, -1).classes) == 26


def test_unlabeled_value_as_text_of_another_form_is_refused():
    with pytest.raises(ValueError, match="y holds the string '-1'"):
        check_labels(objects("a", "-1"), -1.0)


# --- class weights ----------------------------------------------------------------------------

# One "a", three of "b", two unlabeled rows.
Y = objects("b", -1, "a", "b", "b", -1)


def test_no_weights_without_class_weight():
    assert check_class_weight(None, check_labels(Y, -1)) is None


@pytest.mark.parametrize(
    ("class_weight", "a", "b"),
    [
        pytest.param({"a": 5.0, "b": 1.0}, 20 / 8, 4 / 8, id="dict"),
        pytest.param({"a": 50, "b": 10}, 20 / 8, 4 / 8, id="ratios count"),
        pytest.param({"a": 5}, 20 / 8, 4 / 8, id="class left out"),
        pytest.param({np.str_("a"): np.float32(5)}, 20 / 8, 4 / 8, id="NumPy's"),
        pytest.param({}, 1.0, 1.0, id="empty"),
        pytest.param({"b": 0}, 4.0, 0.0, id="zero"),
        pytest.param("balanced", 4 / 2, 4 / 6, id="balanced"),
    ],
)
def test_class_weight(class_weight, a, b):
    weights = check_class_weight(class_weight, check_labels(Y, -1))
    assert weights.dtype == np.float32
    np.testing.assert_allclose(weights, [b, 0, a, b, b, 0], rtol=1e-6)


@pytest.mark.parametrize(
    ("y", "class_weight"),
    [
        ([3, 5, 5, -1], {3: 3.0}),
        ([3.0, 5.0, 5.0, -1.0], {3: 3.0}),
        ([False, True, True], {False: 3.0}),
        (["3", "5", "5"], {"3": 3.0}),
        (objects("3", "5", "5", -1), {"3": 3.0}),
    ],
    ids=["int", "float", "bool", "str", "object"],
)
def test_class_weight_of_any_kind_of_label(y, class_weight):
    weights = check_class_weight(class_weight, check_labels(y, -1))
    np.testing.assert_allclose(weights[:3], [9 / 5, 3 / 5, 3 / 5], rtol=1e-6)
    balanced = check_class_weight("balanced", check_labels(y, -1))
    np.testing.assert_allclose(balanced[:3], [3 / 2, 3 / 4, 3 / 4], rtol=1e-6)


@pytest.mark.parametrize(
    ("class_weight", "message"),
    [
        ({"a": 1, "c": 2, 7: 1}, r"\['a', 'b'\]. Also got \['c', 7\]"),
        ({-1: 2}, r"Also got \[-1\]"),
        ({"a": -1}, "at least 0. Got -1 for the class 'a'"),
        ({"a": float("nan")}, "Got nan for the class 'a'"),
        ({"a": float("inf")}, "Got inf for the class 'a'"),
        ({"a": "2"}, "Got '2' for the class 'a'"),
        ({"a": None}, "Got None for the class 'a'"),
        ({"a": 0, "b": 0}, "at least one class a weight above 0"),
    ],
)
def test_invalid_class_weight_is_refused(class_weight, message):
    with pytest.raises(ValueError, match=f"'class_weight' parameter of SGANClassifier.*{message}"):
        check_class_weight(class_weight, check_labels(Y, -1))


def test_class_weight_scales_only_the_labeled_rows_to_a_mean_of_one():
    labels = Labels(np.arange(3), np.array([-1, 0, 0, 2, 1, -1, 0, -1]))
    weights = check_class_weight({0: 0.3, 1: 7}, labels)
    assert weights[labels.codes >= 0].mean() == pytest.approx(1)
    assert (weights[labels.codes < 0] == 0).all()
