"""Dtypes of NumPy, pandas, polars and Arrow: their kinds of values, and descriptions as lists.

A description is a list of strings and numbers, so that a fitted model can be saved without pickle.
Since a file may be untrusted, only the dtypes listed here are built from descriptions.
"""

from __future__ import annotations

import re
from decimal import Decimal
from numbers import Real
from typing import Any

import numpy as np

__all__ = [
    "DATES",
    "UNITS",
    "attoseconds",
    "column_numpy_dtype",
    "describe_names",
    "describe_pandas",
    "describe_polars",
    "described_names",
    "is_category",
    "is_ordinary",
    "is_plain",
    "is_single_precision",
    "level_names",
    "numpy_dtype",
    "numpy_kind",
    "pandas_dtype",
    "pandas_kind",
    "plain",
    "polars_dtype",
    "polars_kind",
]

# Kinds of columns with dates and times. Values of different kinds cannot be compared.
DATES = ("date", "date with time zone", "duration", "time")

# Kinds of values by NumPy dtype kind. Objects must be inspected individually.
_NUMPY_KINDS = {
    **{"b": "category", "i": "integer", "u": "integer", "f": "number"},
    **{"M": "date", "m": "duration", "O": "object", "U": "object", "S": "object", "T": "object"},
}

_NULLABLE = {
    **{f"{sign}Int{bits}": "integer" for sign in ("", "U") for bits in (8, 16, 32, 64)},
    **{"Float32": "number", "Float64": "number", "boolean": "category"},
}

_POLARS = {
    **{f"{sign}Int{bits}": "integer" for sign in ("", "U") for bits in (8, 16, 32, 64, 128)},
    **{f"Float{bits}": "number" for bits in (16, 32, 64)},
    **{"Boolean": "category", "String": "category", "Utf8": "category"},
    **{"Date": "date", "Time": "time", "Null": "number", "Object": "object"},
}

# Arrow types without parameters, by the names of their pyarrow functions.
_ARROW = {
    **{f"{sign}int{bits}": "integer" for sign in ("", "u") for bits in (8, 16, 32, 64)},
    **{f"float{bits}": "number" for bits in (16, 32, 64)},
    **{"bool_": "category", "string": "category", "large_string": "category"},
    **{"string_view": "category", "date32": "date", "date64": "date", "null": "number"},
}

# Attoseconds in each of NumPy's units of time.
UNITS = dict(
    zip(("as", "fs", "ps", "ns", "us", "ms", "s"), (1000**i for i in range(7)), strict=True)
)
UNITS |= {"m": 60 * UNITS["s"], "h": 3600 * UNITS["s"], "D": 86_400 * UNITS["s"]}
UNITS["W"] = 7 * UNITS["D"]

# Names of NumPy dtypes: "<f4", "float32", "datetime64[ns]".
_NUMPY = re.compile(r"[<>|=]?[A-Za-z][A-Za-z0-9_]*(\[([1-9][0-9]{0,8})?[A-Za-z]{1,2}\])?")

# pandas and polars dtypes, besides NumPy's, that scikit-learn converts to numeric arrays.
_ORDINARY = re.compile(
    r"U?Int(8|16|32|64)|Float(32|64)|Boolean|(u?int(8|16|32|64)|float|double)\[pyarrow\]"
)

# pandas and polars dtypes, besides NumPy's, of floats of up to 32 bits, in lowercase.
_SINGLE = re.compile(r"(sparse\[)?float(16|32)\b|(half)?float\[pyarrow\]")

# Time zones allowed in a description: no paths, and no names that dateutil resolves.
_ZONE = re.compile(r"(?!dateutil)[A-Za-z][\w+-]*(/[A-Za-z][\w+-]*){0,3}|(UTC)?[+-]\d\d:\d\d")


def attoseconds(dtype: np.dtype) -> int | None:
    """Return the length of one step of a date or duration dtype, or None if it is not fixed."""
    unit, count = np.datetime_data(dtype)
    if dtype.kind == "M" and unit in ("M", "Y"):
        return UNITS["D"]  # months and years are read as days
    return count * UNITS[unit] if unit in UNITS else None


def plain(value: Any) -> Any:
    """Return text and numbers as built-in Python types, which can be saved; others unchanged."""
    if isinstance(value, np.generic):
        return value.item()
    for cls in (str, bool, int, float):
        if isinstance(value, cls):
            return str.__str__(value) if cls is str else cls(value)
    return float(value) if isinstance(value, Real | Decimal) else value


# --- kinds of values ------------------------------------------------------------------------------


def numpy_kind(dtype: np.dtype) -> str | None:
    """Return the kind of values of a NumPy dtype, or None if it is not supported."""
    kind = _NUMPY_KINDS.get(dtype.kind)
    return None if kind in DATES and attoseconds(dtype) is None else kind


def pandas_kind(dtype: Any) -> str | None:
    """Return the kind of values of a pandas dtype, or None if it is not supported."""
    import pandas

    match dtype:
        case np.dtype():
            return numpy_kind(dtype)
        case pandas.CategoricalDtype() | pandas.StringDtype():
            return "category"
        case pandas.DatetimeTZDtype():
            return "date with time zone"
        case pandas.SparseDtype():
            plain = isinstance(dtype.subtype, np.dtype) and dtype.subtype.kind in "biuf"
            return numpy_kind(dtype.subtype) if plain else None
        case pandas.ArrowDtype():
            return arrow_kind(dtype.pyarrow_dtype)
    return _NULLABLE.get(dtype.name)


def polars_kind(dtype: Any) -> str | None:
    """Return the kind of values of a polars dtype, or None if it is not supported."""
    name = _polars_name(dtype)
    match name:
        case "Datetime":
            return "date" if dtype.time_zone is None else "date with time zone"
        case "Categorical" | "Enum":
            return "category"
        case "Duration":
            return "duration"
        case "Decimal":
            return "number"
        case _:
            return _POLARS.get(name)


def arrow_kind(kind: Any) -> str | None:
    """Return the kind of values of an Arrow type, or None if it is not supported."""
    name, *_ = _describe_arrow(kind) or [None]
    match name:
        case "timestamp":
            return "date" if kind.tz is None else "date with time zone"
        case "duration":
            return "duration"
        case "time32" | "time64":
            return "time"
        case "decimal128" | "decimal256":
            return "number"
        case "dictionary":
            return "category"
        case _:
            return _ARROW.get(str(name))


def is_ordinary(dtype: Any) -> bool:
    """Return whether scikit-learn converts columns of a dtype to a numeric array."""
    if isinstance(dtype, np.dtype):
        return dtype.kind in "biuf"
    return bool(_ORDINARY.fullmatch(str(dtype)))


def is_single_precision(dtype: Any) -> bool:
    """Return whether float32 holds all values of a dtype of floats."""
    if isinstance(dtype, np.dtype):
        return dtype.kind == "f" and dtype.itemsize <= 4
    return bool(_SINGLE.match(str(dtype).lower()))


def is_category(dtype: Any) -> bool:
    """Return whether a dtype is categorical, and not plain text."""
    return str(dtype).lower().startswith(("categor", "enum", "dictionary"))


# --- descriptions as lists ------------------------------------------------------------------------


def describe_pandas(dtype: Any) -> list[Any]:
    """Describe a pandas dtype as a list, or raise TypeError if the list would not restore it."""
    description = _describe_pandas(dtype)
    if description is None or pandas_dtype(description) != dtype:
        raise TypeError(f"The dtype {dtype} cannot be described.")
    return description


def _describe_pandas(dtype: Any) -> list[Any] | None:
    import pandas

    match dtype:
        case np.dtype():
            return ["numpy", dtype.str]
        case pandas.CategoricalDtype():
            levels = dtype.categories
            return ["category", None if levels is None else describe_index(levels), dtype.ordered]
        case pandas.StringDtype():
            missing = getattr(dtype, "na_value", pandas.NA)
            return ["string", dtype.storage, "NA" if missing is pandas.NA else "nan"]
        case pandas.DatetimeTZDtype():
            return ["datetime", dtype.unit, str(dtype.tz)]
        case pandas.SparseDtype():
            fill = dtype.fill_value
            return ["sparse", dtype.subtype.str, getattr(fill, "item", lambda: fill)()]
        case pandas.ArrowDtype():
            described = _describe_arrow(dtype.pyarrow_dtype)
            return None if described is None else ["arrow", *described]
    return ["nullable", dtype.name] if dtype.name in _NULLABLE else None


def pandas_dtype(description: list[Any]) -> Any:
    """Return the described pandas dtype, or raise TypeError or ValueError."""
    import pandas

    match description:
        case ["numpy", str(name)]:
            return column_numpy_dtype(name)
        case ["category", None, bool(ordered) | (None as ordered)]:
            return pandas.CategoricalDtype(None, ordered=ordered)
        case ["category", [[str(kind), *_], *_] as levels, bool(ordered) | (None as ordered)]:
            if kind == "category":
                raise TypeError("Levels cannot be categorical themselves.")
            return pandas.CategoricalDtype(described_index(levels), ordered=ordered)
        case ["string", "python" | "pyarrow" | "pyarrow_numpy" as storage, "NA"]:
            return pandas.StringDtype(storage)
        case ["string", "python" | "pyarrow" | "pyarrow_numpy" as storage, "nan"]:
            if storage == "pyarrow_numpy":  # in pandas 2.1 and 2.2
                return pandas.StringDtype(storage)
            return pandas.StringDtype(storage, na_value=np.nan)
        case ["datetime", "s" | "ms" | "us" | "ns" as unit, str(zone)] if _ZONE.fullmatch(zone):
            return pandas.DatetimeTZDtype(unit, zone)
        case ["sparse", str(name), bool(fill) | int(fill) | float(fill)]:
            return pandas.SparseDtype(numpy_dtype(name, "biuf"), fill)
        case ["arrow", *kind]:
            return pandas.ArrowDtype(_arrow_type(kind))
        case ["nullable", str(name)] if name in _NULLABLE:
            return getattr(pandas, f"{name[0].upper()}{name[1:]}Dtype")()
    raise TypeError(f"{description!r} does not describe a pandas dtype.")


def describe_index(index: Any) -> list[Any]:
    """Describe the dtype and the values of a pandas index as lists, or raise TypeError."""
    import pandas

    if isinstance(index, pandas.IntervalIndex):
        return [["interval", index.closed], describe_index(index.left), describe_index(index.right)]
    described = describe_pandas(index.dtype)
    values = [plain(value) for value in getattr(index, "asi8", index).tolist()]
    if not all(is_plain(value) for value in values):
        raise TypeError("Only strings and numbers can be described.")
    return [described, values]


def described_index(description: list[Any]) -> Any:
    """Return the described pandas index, or raise TypeError or ValueError."""
    import pandas

    match description:
        case [["interval", str(closed)], [[str(kind), *_], _] as left, [_, _] as right]:
            if kind == "interval":
                raise TypeError("The bounds of intervals cannot be intervals themselves.")
            ends = described_index(left), described_index(right)
            return pandas.IntervalIndex.from_arrays(*ends, closed=closed)
        case [["numpy" | "datetime" as kind, *_] as described, list(values)]:
            dtype = pandas_dtype(described)
            if kind == "datetime" or dtype.kind in "mM":
                unit = dtype.unit if kind == "datetime" else np.datetime_data(dtype)[0]
                ticks = np.array(values, dtype=np.int64)
                name = f"{'M' if kind == 'datetime' else dtype.kind}8[{unit}]"
                dates = pandas.Index(ticks.view(name))
                return dates.tz_localize("UTC").astype(dtype) if kind == "datetime" else dates
            return pandas.Index(values, dtype=dtype, tupleize_cols=False)
        case [["string" | "nullable" | "arrow", *_] as described, list(values)]:
            return pandas.Index(values, dtype=pandas_dtype(described))
    raise TypeError("The description is not that of a pandas index.")


def describe_names(names: Any) -> list[Any]:
    """Describe column names and the names of their levels, or raise TypeError."""
    index_names = list(names.names)
    described = ["multi", names.tolist()] if names.nlevels > 1 else describe_index(names)
    if not all(is_plain(value) for value in [*index_names, *described[1]]):
        raise TypeError("Only strings and numbers can be described.")
    if not described_names(described, index_names).equals(names):
        raise TypeError("Names of their dtype cannot be described.")
    return [described, index_names]


def described_names(description: Any, index_names: Any) -> Any:
    """Return the described column names, or raise TypeError or ValueError."""
    import pandas

    match description:
        case ["multi", list(labels)]:
            return pandas.MultiIndex.from_tuples(labels, names=index_names)
        case _:
            return described_index(description).set_names(index_names)


def level_names(dtype: Any) -> list[str] | None:
    """Return the levels of a category as strings if they are dates or intervals, otherwise None."""
    levels = dtype.categories
    usual = ("category", "integer", "number", "object")
    if levels is None or pandas_kind(levels.dtype) in usual:
        return None
    return [str(level) for level in levels]


def is_plain(value: Any) -> bool:
    """Return whether a value, or each item of a tuple, can be represented in JSON."""
    if isinstance(value, tuple):
        return all(is_plain(item) for item in value)
    return value is None or type(value) in (str, int, float, bool)


def describe_polars(dtype: Any) -> list[Any]:
    """Describe a polars dtype as a list, or raise TypeError if the list would not restore it."""
    name = _polars_name(dtype)
    description: list[Any]
    match name:
        case "Enum":
            description = [name, dtype.categories.to_list()]
        case "Decimal":
            description = [name, dtype.precision, dtype.scale]
        case "Datetime":
            description = [name, dtype.time_unit, dtype.time_zone]
        case "Duration":
            description = [name, dtype.time_unit]
        case "Categorical" if hasattr(dtype, "categories"):
            levels = dtype.categories
            description = [name, levels.name(), levels.namespace(), _polars_name(levels.physical())]
            description = [name] if levels.is_global() else description
        case "Categorical":  # before polars 1.32
            description = [name, getattr(dtype, "ordering", "physical")]
        case _:
            description = [name]
    if polars_dtype(description) != dtype:
        raise TypeError(f"The dtype {dtype} cannot be described.")
    return description


def polars_dtype(description: list[Any]) -> Any:
    """Return the described polars dtype, or raise TypeError or ValueError."""
    import polars

    match description:
        case [str(name)] if name in _POLARS and hasattr(polars, name):
            return getattr(polars, name)
        case ["Enum", list(levels)] if all(isinstance(level, str) for level in levels):
            return polars.Enum(levels)
        case ["Decimal", int(precision), int(scale)] if 0 <= scale <= precision <= 38:
            return polars.Decimal(precision, scale)
        case ["Datetime", "ms" | "us" | "ns" as unit, None]:
            return polars.Datetime(unit)
        case ["Datetime", "ms" | "us" | "ns" as unit, str(zone)] if _ZONE.fullmatch(zone):
            polars.Series([0]).cast(polars.Datetime(unit, zone))  # fails for unknown zones
            return polars.Datetime(unit, zone)
        case ["Duration", "ms" | "us" | "ns" as unit]:
            return polars.Duration(unit)
        case ["Categorical", "physical" | "lexical" as ordering] if not _has_categories():
            return polars.Categorical(ordering)
        case ["Categorical"] | ["Categorical", "physical" | "lexical"]:
            return polars.Categorical()
        case ["Categorical", str(label), str(space), "UInt8" | "UInt16" | "UInt32" as physical]:
            if not _has_categories():
                raise ValueError("Named categories require polars 1.32.")
            return polars.Categorical(polars.Categories(label, space, getattr(polars, physical)))
    raise TypeError(f"{description!r} does not describe a polars dtype.")


def _polars_name(dtype: Any) -> str:
    """Return the name of a polars dtype, which may be a class or an instance."""
    return str(dtype.base_type().__name__)


def _has_categories() -> bool:
    import polars

    return hasattr(polars, "Categories")


def _describe_arrow(kind: Any) -> list[Any] | None:
    import pyarrow

    types = pyarrow.types
    if types.is_timestamp(kind):
        known = kind.tz is None or _ZONE.fullmatch(kind.tz)
        return ["timestamp", kind.unit, kind.tz] if known else None
    if types.is_duration(kind):
        return ["duration", kind.unit]
    if types.is_time(kind):
        return [f"time{kind.bit_width}", kind.unit]
    if types.is_decimal(kind) and kind.bit_width in (128, 256) and kind.scale >= 0:
        return [f"decimal{kind.bit_width}", kind.precision, kind.scale]
    if types.is_dictionary(kind):
        index, levels = _describe_arrow(kind.index_type), _describe_arrow(kind.value_type)
        plain = index and levels and levels[0] in _ARROW and levels[0] != "null"
        plain = plain and arrow_kind(kind.value_type) != "date"
        return ["dictionary", index, levels, bool(kind.ordered)] if plain else None
    names = (name for name in _ARROW if hasattr(pyarrow, name))
    return next(([name] for name in names if getattr(pyarrow, name)() == kind), None)


def _arrow_type(description: list[Any]) -> Any:
    import pyarrow

    match description:
        case [str(name)] if name in _ARROW and hasattr(pyarrow, name):
            return getattr(pyarrow, name)()
        case ["timestamp", str(unit), None]:
            return pyarrow.timestamp(unit)
        case ["timestamp", str(unit), str(zone)] if _ZONE.fullmatch(zone):
            return pyarrow.timestamp(unit, zone)
        case ["duration", str(unit)]:
            return pyarrow.duration(unit)
        case ["time32" | "time64" as name, str(unit)]:
            return getattr(pyarrow, name)(unit)
        # PyArrow reads out of bounds if the scale exceeds the precision.
        case ["decimal128" | "decimal256" as name, int(precision), int(scale)] if (
            0 <= scale <= precision
        ):
            return getattr(pyarrow, name)(precision, scale)
        # PyArrow crashes if the levels of a dictionary have the type null.
        case ["dictionary", [str(_)] as index, [str(name)] as levels, bool(ordered)] if (
            name != "null"
        ):
            return pyarrow.dictionary(_arrow_type(index), _arrow_type(levels), ordered)
    raise TypeError(f"{description!r} does not describe an Arrow type.")


def numpy_dtype(name: Any, kinds: str) -> np.dtype:
    """Return the NumPy dtype of a name, or raise TypeError if it is not one of these kinds."""
    # NumPy interprets other text as lists of dtypes and lets Python parse parts of it.
    if not isinstance(name, str) or not _NUMPY.fullmatch(name):
        raise TypeError(f"{name!r} is not the name of a dtype.")
    dtype = np.dtype(name)
    if dtype.kind not in kinds or dtype.names is not None:
        raise TypeError(f"The dtype {dtype} is not expected here.")
    return dtype


def column_numpy_dtype(name: Any) -> np.dtype:
    """Return the NumPy dtype of a column by its name, or raise TypeError."""
    dtype = numpy_dtype(name, "biufmMO")
    if numpy_kind(dtype) is None:  # dates without a unit, or durations in months
        raise TypeError(f"A column cannot have the dtype {dtype}.")
    return dtype
