import tracemalloc
import warnings

import numpy as np
import pytest
import sklearn
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.base import clone
from sklearn.datasets import load_digits, load_wine
from sklearn.decomposition import PCA
from sklearn.preprocessing import (
    FunctionTransformer,
    QuantileTransformer,
    RobustScaler,
    StandardScaler,
)
from sklearn.utils.fixes import parse_version

from sgan_sklearn._data.scaling import LIMIT, SCALINGS, FeatureScaler, operations

DTYPES = [
    *("bool", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64"),
    *("float16", "float32", "float64"),
]


def kinds_of(scaler):
    """Return the kind of scaling of each column."""
    kinds = {int(column): kind for kind, columns, _ in scaler.groups_ for column in columns}
    return [kinds[column] for column in range(len(kinds))]


def check_model_space(scaled):
    assert scaled.dtype == np.float32
    assert np.isfinite(scaled).all()
    assert np.abs(scaled).max() <= LIMIT


def range_of(scaling, X):
    """Return the smallest and largest values that restored rows may have."""
    axis = None if isinstance(scaling, str) and scaling == "image" else 0  # pixels share a range
    return X.min(axis=axis), X.max(axis=axis)


def check_round_trip(scaling, X):
    """Assert that the error of the round trip is small relative to the range of each column."""
    scaler = FeatureScaler(scaling).fit(X)
    scaled = scaler.transform(X)
    check_model_space(scaled)
    back = scaler.inverse_transform(scaled)
    assert back.dtype == X.dtype
    exact, back = X.astype(np.float64), back.astype(np.float64)
    ranges = np.ptp(exact, axis=0)
    # The model space is float32; "asinh" bends it, "shared" and "none" see all columns at once.
    tolerances = {
        "none": np.full(len(ranges), 1e-6 * np.abs(exact).max()),
        "asinh": 1e-3 * ranges,
        "image": np.full(len(ranges), 1e-5 * np.ptp(exact)),
        "shared": np.full(len(ranges), 1e-5 * np.ptp(exact)),
        "standard": 1e-5 * ranges,
    }
    tolerance = np.array([tolerances[kind][j] for j, kind in enumerate(kinds_of(scaler))])
    # No type holds a value closer than to its own resolution.
    resolution = np.finfo(X.dtype).eps * np.abs(exact) if X.dtype.kind == "f" else 0.5
    error = np.abs(back - exact)
    assert (error <= tolerance + resolution).all()
    low, high = range_of(scaling, exact)
    assert (back >= low).all()
    assert (back <= high).all()


@st.composite
def tables(draw, limit):
    """Draw tables of 1 to 5 rows of any dtype, some of them with constant columns."""
    shape = draw(st.tuples(st.integers(1, 5), st.integers(1, 4)))
    dtype = np.dtype(draw(st.sampled_from(DTYPES)))
    if dtype.kind == "b":
        elements = st.integers(0, 1)
    elif dtype.kind in "iu":
        info = np.iinfo(dtype)
        elements = st.integers(max(info.min, -limit), min(info.max, limit))
    else:
        limit = min(limit, 60_000 if dtype == np.float16 else 10**6)
        elements = st.integers(-1000 * limit, 1000 * limit)
    X = draw(arrays(np.int64, shape, elements=elements))
    if draw(st.booleans()):
        X[:, 0] = X[0, 0]
    return (X / 1000 if dtype.kind == "f" else X).astype(dtype)


@pytest.mark.parametrize("scaling", [scaling for scaling in SCALINGS if scaling != "none"])
@given(X=tables(limit=2**40))
def test_round_trip(scaling, X):
    check_round_trip(scaling, X)


@given(X=tables(limit=int(LIMIT)))
def test_round_trip_unscaled(X):
    check_round_trip("none", X)


@pytest.mark.parametrize("scaling", ["auto", "asinh", "shared", "standard"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda rng: rng.normal(size=(50, 3)) * 1e-30, id="tiny"),
        pytest.param(lambda rng: rng.normal(size=(50, 3)) * 1e30, id="huge"),
        pytest.param(lambda rng: rng.normal(size=(50, 3)) + 1e6, id="far from zero"),
        pytest.param(lambda rng: rng.uniform(1.6e9, 1.7e9, (50, 3)), id="seconds since 1970"),
        pytest.param(lambda rng: rng.normal(size=(50, 3)) * [1e-6, 1, 1e6], id="mixed units"),
        pytest.param(lambda rng: rng.lognormal(0, 3, (300, 3)), id="heavy tails"),
        pytest.param(lambda rng: (np.arange(300) == 7)[:, None] * [1.0, 1e6], id="one spike"),
        pytest.param(lambda rng: np.full((50, 3), 0.1), id="constant"),
    ],
)
def test_round_trip_of_hard_columns(scaling, dtype, make, rng):
    check_round_trip(scaling, make(rng).astype(dtype))


@pytest.mark.parametrize("scaling", ["auto", "asinh", "shared", "standard"])
def test_model_space_is_centered_and_of_unit_deviation(scaling, rng):
    X = rng.lognormal(size=(500, 3)) * ([1, 10, 100] if scaling != "shared" else 1)
    scaled = FeatureScaler(scaling).fit_transform(X)
    # "shared" standardizes all columns together, the others each one.
    parts = [scaled] if scaling == "shared" else scaled.T
    for part in parts:
        np.testing.assert_allclose([part.mean(), part.std()], [0, 1], atol=1e-4)


def test_shared_keeps_the_proportions_of_columns(rng):
    X = rng.normal(size=(50, 3)) * [1, 2, 4]
    scaled = FeatureScaler("shared").fit_transform(X)
    np.testing.assert_allclose(scaled.std(axis=0) / X.std(axis=0), [1 / X.std()] * 3, rtol=1e-5)


def test_none_keeps_values(rng):
    X = rng.normal(size=(50, 3)).astype(np.float32)
    np.testing.assert_array_equal(FeatureScaler("none").fit_transform(X), X)


def test_auto_on_pixels():
    X, _ = load_digits(return_X_y=True)
    constant = np.ptp(X, axis=0) == 0
    for pixels in (X, X.astype(np.uint8)):
        kinds = np.array(kinds_of(FeatureScaler().fit(pixels)))
        assert set(kinds[~constant]) == {"shared"}
        assert set(kinds[constant]) == {"standard"}


def test_auto_on_columns_of_different_units():
    X, _ = load_wine(return_X_y=True)
    assert set(kinds_of(FeatureScaler().fit(X))) == {"standard"}


def test_auto_on_heavy_tails(rng):
    normal, heavy = rng.normal(size=(500, 2)) * [1, 1000], rng.lognormal(0, 2, (500, 2)) * [1, 100]
    X = np.column_stack([normal[:, 0], heavy, normal[:, 1]])
    assert kinds_of(FeatureScaler().fit(X)) == ["standard", "asinh", "asinh", "standard"]


@pytest.mark.parametrize(
    ("ranges", "kind"),
    [
        ([10, 6, 6, 6, 1], "shared"),
        ([10, 6, 4, 4, 1], "standard"),
        ([10, 10, 10, 1], "standard"),  # one of few columns may be the important one
        ([10, 1], "standard"),
    ],
    ids=str,
)
def test_auto_uses_one_scale_if_most_columns_span_half_the_range(ranges, kind, rng):
    X = np.concatenate([np.zeros((1, len(ranges))), rng.uniform(size=(50, len(ranges)))])
    X[-1] = 1
    assert set(kinds_of(FeatureScaler().fit(X * ranges))) == {kind}


@pytest.mark.parametrize("value", [0, 1000])
def test_auto_ignores_constant_columns_in_its_choice(value, rng):
    X = np.column_stack([rng.integers(0, 17, (100, 2)), np.full((100, 5), value)])
    scaler = FeatureScaler().fit(X)
    assert kinds_of(scaler) == ["shared"] * 2 + ["standard"] * 5
    np.testing.assert_array_equal(scaler.transform(X)[:, 2:], 0)


@pytest.mark.parametrize("scaling", SCALINGS)
@pytest.mark.parametrize("value", [1e6, -1e6, 1e38, -1e38, 1.7e308, -1.7e308])
@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda rng: rng.normal(size=(100, 2)), id="normal"),
        pytest.param(lambda rng: rng.lognormal(0, 2, (100, 2)), id="right tail"),
        pytest.param(lambda rng: -rng.lognormal(0, 2, (100, 2)), id="left tail"),
        pytest.param(lambda rng: rng.integers(0, 256, (100, 2)).astype(np.uint8), id="bytes"),
        pytest.param(lambda rng: np.ones((100, 2)), id="constant"),
    ],
)
def test_rows_far_out_of_range_are_clipped(scaling, value, make, rng):
    X = make(rng)
    scaler = FeatureScaler(scaling).fit(X)
    check_model_space(scaler.transform(np.full((2, 2), value)))
    if abs(value) < 1e38:
        check_model_space(scaler.transform(np.full((2, 2), value, dtype=np.float32)))


@pytest.mark.parametrize("scaling", SCALINGS)
def test_far_rows_keep_their_sign(scaling, rng):
    scaler = FeatureScaler(scaling).fit(rng.normal(size=(100, 2)))
    low, high = scaler.transform(np.array([[-1e6, -1e6], [1e6, 1e6]]))
    assert (low <= scaler.bounds_[0]).all()
    assert (high >= scaler.bounds_[1]).all()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("scaling", SCALINGS)
def test_inverse_stays_in_the_seen_range_and_dtype(scaling, dtype, rng):
    X = rng.integers(0, 2 if dtype == "bool" else 100, (50, 3)).astype(dtype)
    scaler = FeatureScaler(scaling).fit(X)
    low, high = scaler.bounds_
    assert scaler.bounds_.dtype == np.float32
    anywhere = rng.uniform(low - 1, high + 1, (200, 3)).astype(np.float32)
    rows = scaler.inverse_transform(anywhere)
    assert rows.dtype == X.dtype
    smallest, largest = range_of(scaling, X)
    assert (rows >= smallest).all()
    assert (rows <= largest).all()


def test_integers_are_rounded_and_not_truncated():
    X = np.array([[0], [10]])
    scaler = FeatureScaler("none").fit(X)
    rows = scaler.inverse_transform(np.array([[2.4], [2.6], [9.9]], dtype=np.float32))
    assert rows.ravel().tolist() == [2, 3, 10]


def test_bounds_are_those_of_the_training_rows(rng):
    X = rng.normal(size=(50, 3))
    scaler = FeatureScaler("standard").fit(X)
    scaled = scaler.transform(X)
    np.testing.assert_array_equal(scaler.bounds_, [scaled.min(axis=0), scaled.max(axis=0)])


@pytest.mark.parametrize(
    "transformer",
    [
        RobustScaler(),
        QuantileTransformer(n_quantiles=50, output_distribution="normal"),
        FunctionTransformer(np.log1p, np.expm1),
        RobustScaler().set_output(transform="pandas"),
    ],
    ids=["robust", "quantile", "log", "pandas output"],
)
def test_custom_transformer(transformer, rng):
    X = rng.lognormal(size=(50, 3))
    before = clone(transformer)
    scaler = FeatureScaler(transformer).fit(X)
    expected = np.asarray(before.fit_transform(X))
    np.testing.assert_allclose(scaler.transform(X), expected, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(scaler.inverse_transform(scaler.transform(X)), X, rtol=1e-4)
    assert not [name for name in vars(transformer) if name.endswith("_")]  # a clone was fitted


def test_custom_transformer_that_drops_columns_is_refused_by_name(rng):
    with pytest.raises(ValueError, match="scaling"):
        FeatureScaler(PCA(n_components=2)).fit(rng.normal(size=(50, 3)))


@pytest.mark.parametrize("scaling", SCALINGS)
def test_input_is_not_changed(scaling, rng):
    X = rng.lognormal(size=(50, 3)).astype(np.float32)
    before = X.copy()
    X.flags.writeable = False
    scaler = FeatureScaler(scaling).fit(X)
    scaled = scaler.transform(X)
    scaled.flags.writeable = False
    scaler.inverse_transform(scaled)
    np.testing.assert_array_equal(X, before)


@pytest.mark.parametrize("scaling", SCALINGS)
def test_no_warning_on_a_single_row(scaling):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        scaler = FeatureScaler(scaling).fit(np.array([[1.5, -2.0, 0.0]]))
    rows = scaler.inverse_transform(scaler.transform(np.array([[1.5, -2.0, 0.0]])))
    np.testing.assert_allclose(rows, [[1.5, -2.0, 0.0]], atol=1e-7)


# --- images -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "dtype", "low", "high"),
    [
        ([3, 200], "uint8", 0, 255),
        ([0, 127], "uint8", 0, 127),  # spans less than half of the bytes
        ([0, 1], "uint8", 0, 1),
        ([3, 200], "int64", 3, 200),
        ([0.25, 0.75], "float32", 0.25, 0.75),
        ([-2.0, 5.0], "float64", -2.0, 5.0),
    ],
)
def test_image_maps_one_range_to_minus_one_and_one(values, dtype, low, high):
    scaler = FeatureScaler("image").fit(np.array([values, values[::-1]], dtype=dtype))
    np.testing.assert_allclose(scaler.transform(np.array([[low, high]], dtype=dtype)), [[-1, 1]])
    np.testing.assert_array_equal(scaler.bounds_, [[-1, -1], [1, 1]])
    np.testing.assert_allclose(scaler.inverse_transform(np.float32([[-9, 9]])), [[low, high]])


def test_image_restores_bytes_exactly(rng):
    X = rng.integers(0, 256, (3000, 5)).astype(np.uint8)  # more rows than one block
    scaler = FeatureScaler("image").fit(X)
    np.testing.assert_array_equal(scaler.inverse_transform(scaler.transform(X)), X)


def test_image_needs_little_more_memory_than_its_result(rng):
    X = rng.integers(0, 256, (20_000, 256)).astype(np.uint8)
    result = X.size * 4
    tracemalloc.start()
    try:
        FeatureScaler("image").fit(X).transform(X)
        assert tracemalloc.get_traced_memory()[1] < 1.6 * result
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("scaling", [name for name in SCALINGS if name != "auto"])
@given(X=tables(limit=1_000_000))
def test_operations_give_what_the_transformers_of_scikit_learn_give(scaling, X):
    scaler = FeatureScaler(scaling).fit(X)
    # Older versions subtract a mean of float64 from rows of float32.
    is_exact = parse_version(sklearn.__version__) >= parse_version("1.9")
    assume(is_exact or scaler.float_ == np.float64)
    ((kind, _, transformer),) = scaler.groups_
    rows = scaler._without_offset(X).astype(scaler.float_)
    one_scale = kind in ("shared", "image")
    expected = transformer.transform(rows.reshape(-1, 1) if one_scale else rows).reshape(X.shape)
    found = np.clip(expected, -LIMIT, LIMIT).astype(np.float32)
    np.testing.assert_array_equal(scaler.transform(X), found)


def test_operations_of_other_transformers_are_refused():
    with pytest.raises(ValueError, match=r"cannot express the scaling StandardScaler\(with_mean"):
        list(operations(StandardScaler(with_mean=False), np.dtype(float)))


def test_scaler_with_other_parameters_is_not_restored(rng):
    state = FeatureScaler("asinh").fit(rng.normal(size=(9, 2))).plain_state()
    assert FeatureScaler.from_plain_state(state, 2).scaling == "asinh"
    ((_, _, transformer),) = state["groups_"]
    transformer.set_params(robustscaler__with_centering=False)
    with pytest.raises(ValueError, match="cannot express the scaling RobustScaler"):
        FeatureScaler.from_plain_state(state, 2)
