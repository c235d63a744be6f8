"""Columns of every dtype that pandas, polars and pyarrow offer, for property tests."""

import datetime
import inspect
import uuid
from decimal import Decimal

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
from hypothesis import strategies as st

ARROW = pd.arrays.ArrowExtensionArray
UNITS = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
ZONES = ["UTC", "Europe/Berlin", "Asia/Kolkata", "America/St_Johns"]
STRINGS = pl.String if hasattr(pl, "String") else pl.Utf8


def with_missing_values(values, absent):
    return [None if is_absent else value for value, is_absent in zip(values, absent, strict=True)]


def arrow(values, dtype, through=None):
    """Return an Arrow column; `through` is a type of integers that is cast."""
    array = pa.array(values, type=through or dtype)
    return pd.Series(ARROW(array.cast(dtype) if through else array))


def arrow_dictionary(values, index, of_levels, ordered):
    levels = sorted({value for value in values if value is not None})
    codes = [None if value is None else levels.index(value) for value in values]
    array = pa.DictionaryArray.from_arrays(
        pa.array(codes, type=index), pa.array(levels, type=of_levels), ordered=ordered
    )
    return pd.Series(ARROW(array))


def numbers_of(draw, n):
    """Return small integers, some of them equal, and a mask of missing values."""
    numbers = draw(st.lists(st.integers(0, 9), min_size=n, max_size=n))
    absent = draw(st.lists(st.booleans(), min_size=n, max_size=n)) if draw(st.booleans()) else []
    return numbers, absent or [False] * n


def words(numbers):
    return [f"level {number % 3}" for number in numbers]


# --- pandas ---------------------------------------------------------------------------------------

NUMPY = ["?", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8", ">i4", ">f8"]
NULLABLE = ["Int8", "Int16", "Int32", "Int64", "UInt8", "UInt16", "UInt32", "UInt64"]
ARROW_INTEGERS = [pa.int8, pa.int16, pa.int32, pa.int64, pa.uint8, pa.uint16, pa.uint32, pa.uint64]


@st.composite
def pandas_columns(draw, n):
    """Return a column of pandas that can be learned from."""
    numbers, absent = numbers_of(draw, n)
    kind = draw(st.sampled_from(sorted(PANDAS)))
    return PANDAS[kind](draw, numbers, absent)


def _dates(draw, numbers, absent):
    unit, zone = draw(st.sampled_from(sorted(UNITS))), draw(st.sampled_from([None, *ZONES]))
    step = draw(st.sampled_from([1, 7, 3600, 86_400]))
    start = draw(st.sampled_from([0, 1_600_000_000, -1_000_000_000]))
    ticks = [(start + step * number) * UNITS[unit] + draw(st.integers(0, 1)) for number in numbers]
    return unit, zone, with_missing_values(ticks, absent)


def _pandas_dates(draw, numbers, absent):
    unit, zone, ticks = _dates(draw, numbers, absent)
    missing = np.iinfo(np.int64).min
    array = np.array([missing if tick is None else tick for tick in ticks])
    if draw(st.booleans()):
        return pd.Series(array.view(f"m8[{unit}]"))
    dates = pd.Series(array.view(f"M8[{unit}]"))
    return dates if zone is None else dates.dt.tz_localize("UTC").dt.tz_convert(zone)


def _arrow_dates(draw, numbers, absent):
    unit, zone, ticks = _dates(draw, numbers, absent)
    days = with_missing_values([18_000 + number for number in numbers], absent)
    millis = [None if day is None else day * 86_400_000 for day in days]
    seconds = with_missing_values([number * 61 for number in numbers], absent)
    match draw(st.sampled_from(["timestamp", "duration", "date32", "date64", "time32", "time64"])):
        case "timestamp":
            return arrow(ticks, pa.timestamp(unit, zone), pa.int64())
        case "duration":
            return arrow(ticks, pa.duration(unit), pa.int64())
        case "date32":
            return arrow(days, pa.date32(), pa.int32())
        case "date64":
            return arrow(millis, pa.date64(), pa.int64())
        case "time32":
            return arrow(seconds, pa.time32(draw(st.sampled_from(["s", "ms"]))), pa.int32())
        case _:
            return arrow(seconds, pa.time64(draw(st.sampled_from(["us", "ns"]))), pa.int64())


def _strings(draw, numbers, absent):
    dtypes = [object, pd.StringDtype("python"), pd.StringDtype("pyarrow")]
    if "na_value" in inspect.signature(pd.StringDtype).parameters:
        dtypes += [pd.StringDtype(storage, na_value=np.nan) for storage in ("python", "pyarrow")]
    return pd.Series(
        with_missing_values(words(numbers), absent), dtype=draw(st.sampled_from(dtypes))
    )


def _categories(draw, numbers, absent):
    levels = {
        "words": words(numbers),
        "integers": numbers,
        "floats": [number / 8 for number in numbers],
        "booleans": [number > 4 for number in numbers],
        "dates": pd.to_datetime([f"2020-01-{number + 1:02}" for number in numbers]),
        "zoned dates": pd.to_datetime(
            [f"2020-01-{number + 1:02}" for number in numbers]
        ).tz_localize("Asia/Kolkata"),
        "durations": pd.to_timedelta(numbers, unit="s"),
        "intervals": pd.cut(np.array([*numbers, 0, 9]), 3)[:-2],
    }
    chosen = pd.Series(levels[draw(st.sampled_from(sorted(levels)))])
    ordered = pd.Series(pd.Categorical(chosen, ordered=draw(st.booleans())))
    return ordered.where(~np.array(absent))


def _sparse(draw, numbers, absent):
    values = np.array(numbers, dtype=draw(st.sampled_from(["i8", "f8", "f4", "?", "u1"])))
    fills = [values[0].item(), values.dtype.type(draw(st.integers(0, 1)))]
    if values.dtype.kind == "f":
        values[np.array(absent)] = np.nan
        fills.append(np.nan)
    return pd.Series(pd.arrays.SparseArray(values, fill_value=draw(st.sampled_from(fills))))


def _objects(draw, numbers, absent):
    values = {
        "words": words(numbers),
        "integers": numbers,
        "large integers": [2**60 + number for number in numbers],
        "booleans": [number > 4 for number in numbers],
        "floats": [number / 8 for number in numbers],
        "numpy": [np.int32(number) for number in numbers],
    }
    missing = draw(st.sampled_from([None, np.nan, pd.NA]))
    chosen = values[draw(st.sampled_from(sorted(values)))]
    pairs = zip(chosen, absent, strict=True)
    return pd.Series([missing if is_absent else value for value, is_absent in pairs], dtype=object)


def _arrow_numbers(draw, numbers, absent):
    decimals = with_missing_values([Decimal(number).scaleb(-1) for number in numbers], absent)
    some = with_missing_values(numbers, absent)
    match draw(st.sampled_from(["integer", "float", "half", "decimal", "null", "bool"])):
        case "integer":
            return arrow(some, draw(st.sampled_from(ARROW_INTEGERS))())
        case "float":
            return arrow(some, draw(st.sampled_from([pa.float32, pa.float64]))())
        case "half":
            halves = [None if value is None else np.float16(value) for value in some]
            return arrow(halves, pa.float16())
        case "decimal":
            return arrow(decimals, draw(st.sampled_from([pa.decimal128, pa.decimal256]))(9, 2))
        case "null":
            return arrow([None] * len(some), pa.null())
        case _:
            return arrow([None if value is None else value > 4 for value in some], pa.bool_())


def _arrow_strings(draw, numbers, absent):
    some = with_missing_values(words(numbers), absent)
    names = ["string", "large_string"]
    of_levels = getattr(pa, draw(st.sampled_from(names)))()
    if draw(st.booleans()):
        return arrow(some, of_levels)
    index = draw(st.sampled_from([pa.int8, pa.int32]))()
    return arrow_dictionary(some, index, of_levels, draw(st.booleans()))


PANDAS = {
    "numpy": lambda draw, numbers, absent: pd.Series(
        np.array(numbers).astype(draw(st.sampled_from(NUMPY)))
    ),
    "nullable": lambda draw, numbers, absent: pd.Series(
        with_missing_values(numbers, absent),
        dtype=draw(st.sampled_from([*NULLABLE, "Float32", "Float64"])),
    ),
    "boolean": lambda draw, numbers, absent: pd.Series(
        with_missing_values([number > 4 for number in numbers], absent), dtype="boolean"
    ),
    "large": lambda draw, numbers, absent: pd.Series(
        np.array(numbers).astype(draw(st.sampled_from(["i8", "u8"]))) + 2**62
    ),
    "dates": _pandas_dates,
    "arrow dates": _arrow_dates,
    "strings": _strings,
    "categories": _categories,
    "sparse": _sparse,
    "objects": _objects,
    "arrow numbers": _arrow_numbers,
    "arrow strings": _arrow_strings,
}


# --- polars ---------------------------------------------------------------------------------------

POLARS_NUMBERS = [
    *(f"{sign}Int{bits}" for sign in ("", "U") for bits in (8, 16, 32, 64, 128)),
    *("Float16", "Float32", "Float64", "Boolean"),
]
POLARS_NUMBERS = [getattr(pl, name) for name in POLARS_NUMBERS if hasattr(pl, name)]


POLARS_KINDS = ["numbers", "text", "dates", "decimals", "other"]


@st.composite
def polars_columns(draw, n, kind=None):
    """Return a column of polars that can be learned from, of a given or of any kind."""
    numbers, absent = numbers_of(draw, n)
    some, text = with_missing_values(numbers, absent), with_missing_values(words(numbers), absent)
    unit, zone, ticks = _dates(draw, numbers, absent)
    unit = "ms" if unit == "s" else unit
    match kind or draw(st.sampled_from(POLARS_KINDS)):
        case "numbers":
            dtype = draw(st.sampled_from(POLARS_NUMBERS))
            some = [None if v is None else v > 4 for v in some] if dtype == pl.Boolean else some
            return pl.Series(some, dtype=dtype)
        case "text":
            dtypes = [STRINGS, pl.Categorical, pl.Enum(["level 2", "level 0", "level 1"])]
            if hasattr(pl, "Categories"):
                own = pl.Categories("levels", "of tests", pl.UInt8)
                dtypes += [pl.Categorical(own), pl.Categorical(pl.Categories.random())]
            else:
                dtypes += [pl.Categorical("lexical")]
            return pl.Series(text, dtype=STRINGS).cast(draw(st.sampled_from(dtypes)))
        case "dates":
            dtypes = [pl.Datetime(unit), pl.Datetime(unit, zone), pl.Duration(unit)]
            return pl.Series(ticks, dtype=pl.Int64).cast(draw(st.sampled_from(dtypes)))
        case "decimals":
            decimals = [None if v is None else Decimal(v).scaleb(-1) for v in some]
            return pl.Series(decimals, dtype=pl.Decimal(9, 2))
        case _:
            others = {
                "date": lambda: pl.Series(some, dtype=pl.Int32).cast(pl.Date),
                "time": lambda: pl.Series(some, dtype=pl.Int64).cast(pl.Time),
                "null": lambda: pl.Series([None] * n, dtype=pl.Null),
                "objects": lambda: pl.Series(text, dtype=pl.Object),
            }
            return others[draw(st.sampled_from(sorted(others)))]()


@st.composite
def frames(draw, n):
    """Return a frame of one to four columns of any dtype."""
    n_columns = draw(st.integers(1, 4))
    if draw(st.booleans()):
        series = [draw(pandas_columns(n)) for _ in range(n_columns)]
        frame = pd.concat(series, axis=1)
        frame.columns = [f"c{i}" for i in range(n_columns)]
        return frame
    return pl.DataFrame({f"c{i}": draw(polars_columns(n)) for i in range(n_columns)})


# --- what cannot be learned from ------------------------------------------------------------------


def refused_columns(n):
    """Return columns of dtypes and types that are neither numbers, dates nor categories."""
    arrow_types = {
        "binary": (b"a", pa.binary()),
        "list": ([1], pa.list_(pa.int8())),
        "struct": ({"a": 1}, pa.struct([("a", pa.int8())])),
    }
    objects = {
        "date": datetime.date(2020, 1, 1),
        "time": datetime.time(1),
        "datetime": datetime.datetime(2020, 1, 1),
        "timestamp": pd.Timestamp("2020"),
        "timedelta": datetime.timedelta(1),
        "uuid": uuid.UUID(int=1),
        "bytes": b"a",
        "list of objects": [1],
        "dict": {"a": 1},
        "tuple": (1, 2),
        "set": {1},
        "array": np.zeros(2),
        "complex": 1j,
        "huge integer": 2**64,
    }
    return {
        **{f"arrow {name}": arrow([value] * n, of) for name, (value, of) in arrow_types.items()},
        **{name: pd.Series([value] * n, dtype=object) for name, value in objects.items()},
        "complex numbers": pd.Series(np.ones(n, dtype=complex)),
        "interval": pd.Series(pd.interval_range(0, n)),
        "period": pd.Series(pd.period_range("2020", periods=n, freq="D")),
        "sparse text": pd.Series(pd.arrays.SparseArray(["a"] * n, fill_value="a")),
        "categories of periods": pd.Series(
            pd.Categorical(pd.period_range("2020", periods=n, freq="D"))
        ),
        "categories of bytes": pd.Series(pd.Categorical([b"a"] * n)),
        "polars binary": pl.Series([b"a"] * n),
        "polars list": pl.Series([[1]] * n),
        "polars array": pl.Series([[1, 2]] * n, dtype=pl.Array(pl.Int8, 2)),
        "polars struct": pl.Series([{"a": 1}] * n),
        "polars objects": pl.Series([uuid.UUID(int=1)] * n, dtype=pl.Object),
        **(
            {"polars huge integer": pl.Series([2**100] * n, dtype=pl.Int128)}
            if hasattr(pl, "Int128")
            else {}
        ),
    }


def as_lists(X):
    """Return the columns of a frame as lists with None for what is missing."""
    if isinstance(X, pl.DataFrame):
        columns = [X[name].to_list() for name in X.columns]
    else:
        columns = [X.iloc[:, i].to_list() for i in range(X.shape[1])]
    return [
        [None if value is None or value is pd.NA or value != value else value for value in column]
        for column in columns
    ]
