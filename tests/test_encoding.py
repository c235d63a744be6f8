"""Encoding of values as JSON and arrays, and decoding."""

import json
import math
import re
from collections import OrderedDict
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import scipy.special
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from sklearn.preprocessing import StandardScaler
from sklearn.utils import Bunch

from sgan_sklearn._storage.encoding import decode, encode


def without_address(value):
    return re.sub(" at 0x[0-9A-Fa-f]+", "", repr(value))


def through_json(value):
    arrays, tree, _ = encode(value, "value")
    assert all(array.dtype.kind in "biuf" and array.ndim == 1 for array in arrays.values())
    return decode(arrays, json.loads(json.dumps(tree, allow_nan=False)))


plain = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
keys = st.integers() | st.text() | st.tuples(st.integers(), st.text())
nested = st.recursive(
    plain,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.tuples(inner, inner)
        | st.dictionaries(keys, inner, max_size=3)
    ),
    max_leaves=8,
)


@given(nested)
def test_plain_values_come_back(value):
    # repr tells 1 from True and 1.0, a tuple from a list, and takes two NaN for the same.
    assert repr(through_json(value)) == repr(value)


numbers = npst.boolean_dtypes() | npst.integer_dtypes() | npst.unsigned_integer_dtypes()
dtypes = numbers | npst.floating_dtypes(sizes=(16, 32, 64)) | npst.unicode_string_dtypes()
arrays = npst.arrays(
    dtypes | npst.byte_string_dtypes() | npst.datetime64_dtypes(),
    npst.array_shapes(min_dims=0, min_side=0, max_side=4),
)


@given(arrays, st.booleans())
def test_arrays_come_back(array, by_columns):
    array = np.asfortranarray(array) if by_columns else array
    found = through_json(array)
    assert found.dtype.newbyteorder("=") == array.dtype.newbyteorder("=")
    assert found.shape == array.shape
    np.testing.assert_array_equal(found, array)
    assert found.flags.f_contiguous >= array.flags.f_contiguous


@pytest.mark.parametrize(
    "value",
    [
        np.float32(1.5),
        np.int64(-3),
        np.bool_(True),
        np.array([1, "a", None, 2.5], dtype=object),
        np.empty((0, 3), dtype=object),
        np.dtype("float32"),
        np.float64,
        np.arcsinh,
        slice(1, None, 2),
    ],
    ids=without_address,
)
def test_other_values_are_restored(value):
    found = through_json(value)
    assert type(found) is type(value)
    assert repr(found) == repr(value)


def test_recursive_values_are_refused():
    value = []
    value.append(value)
    with pytest.raises(TypeError, match="contains itself"):
        encode(value, "value")


@pytest.mark.parametrize("axes", [(0, 2, 3, 1), (1, 0, 3, 2), (3, 2, 1, 0)])
def test_memory_order_is_restored(axes):
    array = np.arange(120.0).reshape(2, 3, 4, 5).transpose(axes)
    found = through_json(array)
    np.testing.assert_array_equal(found, array)
    assert found.strides == array.strides


def test_restored_arrays_keep_their_order_and_are_writable():
    array = np.arange(6.0).reshape(2, 3).T
    found = through_json(array)
    assert found.strides == array.strides
    found[0] = 1


def test_tensors_are_restored():
    tensor = torch.arange(6).reshape(2, 3).T.requires_grad_(False)
    found = through_json(tensor)
    assert found.dtype == tensor.dtype
    assert torch.equal(found, tensor)


def test_random_states_continue_their_sequence():
    random_state = np.random.RandomState(0)
    random_state.randn(3)
    found = through_json(random_state)
    np.testing.assert_array_equal(found.randn(5), random_state.randn(5))


@pytest.mark.parametrize(
    "value",
    [
        object(),
        {1, 2},
        1j,
        np.array([1j]),
        np.zeros(2, dtype="i4,f4"),
        lambda: 0,
        print,
        math,
        partial(print, 1),
        Path("a"),
        StandardScaler,
        bytes(3),
        type("Own", (), {})(),
        np.ma.masked_array([1.0], [True]),
        OrderedDict(a=1),
        Bunch(a=1),
        scipy.special.expit,
        StandardScaler().fit,
        np.random.RandomState(np.random.PCG64(0)),
        torch.zeros(2, dtype=torch.bfloat16),
        torch.eye(2).to_sparse(),
    ],
    ids=without_address,
)
def test_values_that_need_pickle_are_named(value):
    with pytest.raises(TypeError, match=r"(?s)value\[1\].*skops or joblib"):
        encode([0, value], "value")
