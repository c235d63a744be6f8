"""Construction of pandas and polars data frames from columns."""

from __future__ import annotations

from decimal import Context, Decimal
from typing import Any

import numpy as np

from sgan_sklearn._data.dtypes import (
    DATES,
    described_names,
    level_names,
    pandas_dtype,
    pandas_kind,
    polars_dtype,
)

__all__ = ["build_frame", "described_columns"]

# Enough digits for the widest decimals.
_DIGITS = Context(prec=100)


def described_columns(description: Any) -> tuple[Any, list[Any]]:
    """Return the names and the dtypes of the columns of a frame, or raise ValueError."""
    try:
        match description:
            case ["pandas", list(labels), list(names), list(dtypes)]:
                index: Any = described_names(labels, names)
                built = [pandas_dtype(dtype) for dtype in dtypes]
            case ["polars", list(index), [None], list(dtypes)]:
                if not all(type(name) is str for name in index):
                    raise TypeError("polars column names must be strings.")
                built = [polars_dtype(dtype) for dtype in dtypes]
            case _:
                raise TypeError("Unknown kind of frame.")
        if len(index) != len(built):
            raise ValueError("The numbers of names and dtypes differ.")
    except ImportError:
        raise
    except Exception as error:  # a forged file may cause any error
        raise ValueError(
            f"It does not describe a frame. {type(error).__name__}: {error}"
        ) from error
    return index, built


def build_frame(description: list[Any], columns: list[tuple[np.ndarray, np.ndarray]]) -> Any:
    """Build a frame from its columns, each given by its values and a mask of the present ones.

    Values are objects, float64, int64 or uint64. Integers may also represent dates.
    """
    names, dtypes = described_columns(description)
    pairs = list(zip(dtypes, columns, strict=True))
    if description[0] == "polars":
        import polars

        series = [_polars_series(dtype, *column) for dtype, column in pairs]
        return polars.DataFrame(dict(zip(names, series, strict=True)))
    import pandas

    series = [pandas.Series(_pandas_array(dtype, *column)) for dtype, column in pairs]
    frame = pandas.DataFrame(dict(enumerate(series)))
    frame.columns = names
    return frame


def _pandas_array(dtype: Any, values: np.ndarray, known: np.ndarray) -> Any:
    import pandas

    match dtype:
        case pandas.ArrowDtype():
            return pandas.arrays.ArrowExtensionArray(_arrow_array(dtype, values, known))
        case pandas.SparseDtype():
            return pandas.Series(values.astype(dtype.subtype)).astype(dtype)
        case pandas.CategoricalDtype() if (names := level_names(dtype)) is not None:
            codes = {name: code for code, name in enumerate(names)}
            value_codes = [codes.get(value, -1) for value in _with_none(values, known)]
            return pandas.Categorical.from_codes(value_codes, dtype=dtype)
    is_integer = values.dtype.kind in "iu"
    if is_integer and pandas_kind(dtype) in DATES:
        zoned = isinstance(dtype, pandas.DatetimeTZDtype)
        unit = dtype.unit if zoned else np.datetime_data(dtype)[0]
        ticks = np.where(known, values, np.iinfo(np.int64).min)  # NaT
        dates = pandas.Series(ticks.view(f"M8[{unit}]" if zoned else dtype))
        return dates.dt.tz_localize("UTC").astype(dtype) if zoned else dates
    if values.dtype == object or (is_integer and pandas_kind(dtype) == "object"):
        return pandas.Series(_with_none(values, known), dtype=object).astype(dtype)
    series = pandas.Series(values)
    if is_integer and not known.all():
        series = series.astype("UInt64" if values.dtype.kind == "u" else "Int64").where(known)
    return series.astype(dtype)


def _arrow_array(dtype: Any, values: np.ndarray, known: np.ndarray) -> Any:
    import pyarrow

    kind, types = dtype.pyarrow_dtype, pyarrow.types
    if types.is_decimal(kind) and values.dtype != object:
        return pyarrow.array(_decimals(values, kind.precision, kind.scale), type=kind)
    if types.is_null(kind):
        return pyarrow.nulls(len(values))
    if types.is_dictionary(kind):
        levels, codes = np.unique(values[known], return_inverse=True)
        indices = np.zeros(len(values), dtype=np.int64)
        indices[known] = codes
        return pyarrow.DictionaryArray.from_arrays(
            pyarrow.array(indices, mask=~known).cast(kind.index_type),
            pyarrow.array(levels.tolist(), type=kind.value_type),
            ordered=kind.ordered,
        )
    if values.dtype == object:
        return pyarrow.array(_with_none(values, known), type=kind)
    if types.is_float16(kind):
        values = values.astype(np.float16)
    elif types.is_date32(kind) or types.is_time32(kind):
        values = values.astype(np.int32)
    return pyarrow.array(values, mask=~known).cast(kind)


def _polars_series(dtype: Any, values: np.ndarray, known: np.ndarray) -> Any:
    import polars

    text = polars.String if hasattr(polars, "String") else polars.Utf8
    if dtype == polars.Decimal and values.dtype != object:
        return polars.Series(_decimals(values, dtype.precision, dtype.scale), dtype=dtype)
    if dtype == polars.Null:
        return polars.Series([None] * len(values), dtype=dtype)
    found = _with_none(values, known)
    if dtype == polars.Object:
        return polars.Series(found, dtype=dtype)
    if dtype in (polars.Categorical, polars.Enum):
        # Values are numbers only if the column is not used as a category.
        names = [value if value is None else f"{value}" for value in found]
        return polars.Series(names, dtype=text).cast(dtype, strict=False)
    match values.dtype.kind:
        case "O":
            return polars.Series(found, dtype=dtype)
        case "f":
            return polars.Series(found, dtype=polars.Float64).cast(dtype)
    series = polars.Series(found, dtype=polars.UInt64 if values.dtype.kind == "u" else polars.Int64)
    return series.cast(polars.Int32).cast(dtype) if dtype == polars.Date else series.cast(dtype)


def _with_none(values: np.ndarray, known: np.ndarray) -> list[Any]:
    return [value if found else None for value, found in zip(values.tolist(), known, strict=True)]


def _decimals(numbers: np.ndarray, precision: int, scale: int) -> list[Decimal | None]:
    """Return numbers as decimals with `precision` digits, `scale` of them after the point."""
    step = Decimal(1).scaleb(-scale)
    largest = (10**precision - 1) * step

    def of_number(number: float) -> Decimal | None:
        if number != number:
            return None
        return max(-largest, min(largest, Decimal(number).quantize(step, context=_DIGITS)))

    return [of_number(number) for number in numbers.tolist()]
