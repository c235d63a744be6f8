"""Frames of pandas and polars: what they are, and their columns without the rows."""

from __future__ import annotations

from typing import Any

__all__ = ["describe_frame", "described_frame", "frame_kind"]


def frame_kind(X: Any) -> str | None:
    """Return "pandas" or "polars" for a data frame, otherwise None."""
    for cls in type(X).__mro__:
        module = cls.__module__.split(".")[0]
        if cls.__name__ == "DataFrame" and module in ("pandas", "polars"):
            return module
    return None


def describe_frame(frame: Any) -> list[Any]:
    """Return names and dtypes of the columns of a frame: lists, strings, numbers and names.

    Raises TypeError where `described_frame` would make other dtypes of that.
    """
    if frame_kind(frame) == "polars":
        columns = [[name, _describe_polars(dtype)] for name, dtype in frame.schema.items()]
        return ["polars", columns]
    names = frame.columns
    dtypes = [_describe_pandas(dtype) for dtype in frame.dtypes]
    of_names = None if names.nlevels > 1 else _describe_pandas(names.dtype)
    return ["pandas", names.tolist(), list(names.names), of_names, dtypes]


def described_frame(description: list[Any]) -> Any:
    """Return a frame without rows, as it was described."""
    kind, *content = description
    if kind == "polars":
        import polars

        return polars.DataFrame(schema={name: _polars_dtype(*d) for name, d in content[0]})
    import pandas

    labels, names, of_names, dtypes = content
    frame = pandas.DataFrame(
        {i: pandas.Series([], dtype=_pandas_dtype(dtype)) for i, dtype in enumerate(dtypes)}
    )
    if of_names is None:
        frame.columns = pandas.MultiIndex.from_tuples(labels, names=names)
    else:
        frame.columns = pandas.Index(labels, dtype=_pandas_dtype(of_names), name=names[0])
    return frame


def _describe_pandas(dtype: Any) -> Any:
    import pandas

    if isinstance(dtype, pandas.CategoricalDtype):
        levels = dtype.categories
        if levels is None:
            return ["category", None, None, dtype.ordered]
        return ["category", levels.tolist(), _describe_pandas(levels.dtype), dtype.ordered]
    if pandas.api.types.pandas_dtype(str(dtype)) != dtype:
        if isinstance(dtype, pandas.StringDtype):  # which pandas' options do not name
            return ["string", dtype.storage, isinstance(dtype.na_value, float)]
        raise TypeError(f"columns of the dtype {dtype!r} cannot be described")
    return str(dtype)


def _pandas_dtype(description: Any) -> Any:
    import pandas

    if isinstance(description, str):
        return pandas.api.types.pandas_dtype(description)
    if description[0] == "string":
        _, storage, is_nan = description
        return pandas.StringDtype(storage, **({"na_value": float("nan")} if is_nan else {}))
    _, levels, of_levels, ordered = description
    if levels is not None:
        levels = pandas.Index(levels, dtype=_pandas_dtype(of_levels))
    return pandas.CategoricalDtype(levels, ordered=ordered)


def _describe_polars(dtype: Any) -> list[Any]:
    name = dtype.__name__ if isinstance(dtype, type) else type(dtype).__name__
    match name:
        case "Enum":
            return [name, dtype.categories.to_list()]
        case "Decimal":
            return [name, dtype.precision, dtype.scale]
        case _:
            return [name]


def _polars_dtype(name: str, *arguments: Any) -> Any:
    import polars

    dtype = getattr(polars, name)
    if not (isinstance(dtype, type) and issubclass(dtype, polars.DataType)):
        raise TypeError(f"polars.{name} is no dtype")
    return dtype(*arguments) if arguments else dtype
