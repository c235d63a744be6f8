"""Columns of a table as inputs of an ONNX graph, and the nodes that convert them to numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import count
from typing import Any, NamedTuple, Protocol

import numpy as np

from sgan_sklearn._data.columns import TableColumns
from sgan_sklearn._data.dtypes import DATES, is_single_precision
from sgan_sklearn._data.frames import described_columns
from sgan_sklearn._data.integers import EXACT
from sgan_sklearn._data.scaling import TableScaler
from sgan_sklearn._data.space import ModelSpace, TableSpace

__all__ = ["OUTPUTS", "TableInputs", "check_dtype", "check_text", "find_inputs"]

OUTPUTS = ("label", "probabilities")

# Start of the names of all other values in the graph.
PREFIX = "sgan_sklearn."

TEXT, BOOLEAN, INTEGER = np.dtype(object), np.dtype(bool), np.dtype(np.int64)
SINGLE, DOUBLE = np.dtype(np.float32), np.dtype(np.float64)


def find_inputs(space: ModelSpace) -> TableInputs | None:
    """Return the inputs of the columns, or None if the input is one array of numbers.

    Raises ValueError for columns that a graph cannot express.
    """
    columns = space.columns
    if columns is None or not (columns.levels or columns.has_origins):
        return None
    if not isinstance(space, TableSpace):
        raise ValueError(
            "export_onnx cannot express images of integers beyond 2**53. Convert them to floats "
            "with X.astype(np.float64), and fit again."
        )
    return TableInputs(columns, space.scaler_)


def check_dtype(name: str, dtype: np.dtype) -> np.dtype:
    """Return the dtype in the byte order of this machine, or raise ValueError."""
    if dtype.kind not in "biuf" or (dtype.kind == "f" and dtype.itemsize > 8):
        raise ValueError(
            f"export_onnx cannot express numbers of the dtype {dtype}, which {name} had in fit. "
            f"Fit on {name}.astype(np.float64)."
        )
    return dtype.newbyteorder("=")


def check_text(texts: Iterable[str], what: str) -> None:
    """Raise ValueError if a text is not valid Unicode."""
    try:
        for text in texts:
            text.encode()
    except UnicodeEncodeError as error:
        raise ValueError(
            f"export_onnx cannot express the {what} {error.object!r}, which is not valid Unicode "
            f"text: {error}. Rename the {what}, and fit again."
        ) from error


class TableInputs:
    """The inputs of a graph for rows with categories, dates or integers beyond 2**53.

    There is one input for each column, or one input "X" for an array of numbers or dates.

    Parameters
    ----------
    columns : TableColumns
        The columns of the training rows.
    scaler : TableScaler
        The scaler that was fitted on them.
    """

    def __init__(self, columns: TableColumns, scaler: TableScaler) -> None:
        self.array_dtype: np.dtype | None = None
        labels: Iterable[Any] = range(len(columns.kinds))
        dtypes = [TEXT] * len(columns.kinds)
        if columns.frame is not None:
            labels, dtypes = described_columns(columns.form)
        elif (dtype := np.dtype(columns.form[1])).kind != "O":
            self.array_dtype = INTEGER if dtype.kind in "Mm" else check_dtype("X", dtype)
        self.names = _unique_names(labels)
        self.encodings = [_encoding(columns, scaler, i, dtype) for i, dtype in enumerate(dtypes)]

    def put(self, onnx: Any, model: Any) -> None:
        """Replace the input of a graph, rows of numbers, by these inputs."""
        prefix = PREFIX
        while any(name.startswith(prefix) for name in self.names):
            prefix = f"_{prefix}"
        graph = model.graph
        _rename_values(graph, lambda name: name if name in ("", *OUTPUTS) else prefix + name)
        nodes = _Nodes(onnx, f"{prefix}columns.")
        parts = [
            encoding.put(nodes, self._column(nodes, i, encoding.dtype))
            for i, encoding in enumerate(self.encodings)
        ]
        rows = graph.input[0].name
        nodes.add("Concat", *parts, output=rows, axis=1)
        nodes.put_into(model)
        del graph.input[:]
        graph.input.extend(self._inputs(onnx))

    def _column(self, nodes: _Nodes, i: int, dtype: np.dtype) -> str:
        """Return the value of one column, of shape (n_samples, 1)."""
        if self.array_dtype is None:
            return self.names[i]
        column = nodes.add("Gather", "X", nodes.constant([i], INTEGER), axis=1)
        return nodes.cast(column, dtype)

    def _inputs(self, onnx: Any) -> list[Any]:
        pairs = zip(self.names, self.encodings, strict=True)
        shapes = [(name, encoding.dtype, 1) for name, encoding in pairs]
        if self.array_dtype is not None:
            shapes = [("X", self.array_dtype, len(self.encodings))]
        kind = onnx.helper.np_dtype_to_tensor_dtype
        return [
            onnx.helper.make_tensor_value_info(name, kind(dtype), ["n_samples", n_columns])
            for name, dtype, n_columns in shapes
        ]


# --- encodings of columns -------------------------------------------------------------------------


class _Encoding(Protocol):
    """Conversion of a column to numbers or codes, as in `TableColumns.to_numbers`."""

    @property
    def dtype(self) -> np.dtype:
        """Dtype of the column; objects for text."""

    def put(self, nodes: _Nodes, column: str) -> str:
        """Add the nodes for a column, and return the name of their result, float64."""


class _Category(NamedTuple):
    dtype: np.dtype
    codes: dict[Any, float]

    def put(self, nodes: _Nodes, column: str) -> str:
        codes = list(self.codes.values())
        attributes: dict[str, Any]
        if self.dtype == DOUBLE:
            attributes = {
                "keys_tensor": nodes.tensor(list(self.codes), DOUBLE),
                "values_tensor": nodes.tensor(codes, DOUBLE),
                "default_tensor": nodes.tensor([np.nan], DOUBLE),
            }
        elif self.dtype == TEXT:
            attributes = {"keys_strings": list(self.codes)}
        else:
            column = nodes.cast(column, INTEGER)
            attributes = {"keys_int64s": [int(level) for level in self.codes]}
        if self.dtype != DOUBLE:
            attributes |= {"values_floats": codes, "default_float": np.nan}
        found = nodes.add("LabelEncoder", column, domain="ai.onnx.ml", **attributes)
        return nodes.cast(found, DOUBLE)


class _Number(NamedTuple):
    dtype: np.dtype

    def put(self, nodes: _Nodes, column: str) -> str:
        return nodes.cast(column, DOUBLE)


class _Distance(NamedTuple):
    """Integers or dates as steps from an origin, rounded only once; see `integers.difference`."""

    origin: int
    step: int
    has_not_a_time: bool
    dtype: np.dtype = INTEGER

    def put(self, nodes: _Nodes, column: str) -> str:
        half = nodes.constant(2**32, INTEGER)
        upper = nodes.add("Div", column, half)
        lower = nodes.add("Sub", column, nodes.add("Mul", upper, half))
        distances = [
            nodes.add("Sub", nodes.cast(part, DOUBLE), nodes.constant(float(origin), DOUBLE))
            for part, origin in zip((upper, lower), divmod(self.origin, 2**32), strict=True)
        ]
        scaled = nodes.add("Mul", distances[0], nodes.constant(2.0**32, DOUBLE))
        distance = nodes.add("Add", scaled, distances[1])
        distance = nodes.add("Div", distance, nodes.constant(float(self.step), DOUBLE))
        if not self.has_not_a_time:
            return distance
        not_a_time = nodes.constant(np.iinfo(np.int64).min, INTEGER)
        missing = nodes.add("Equal", column, not_a_time)
        return nodes.add("Where", missing, nodes.constant(np.nan, DOUBLE), distance)


def _encoding(columns: TableColumns, scaler: TableScaler, i: int, dtype: Any) -> _Encoding:
    """Return the encoding of a column, or raise ValueError if a graph cannot express it."""
    kind, name, has_missing = columns.kinds[i], columns.names[i], bool(scaler.has_missing_[i])
    if kind == "category":
        codes = columns.codes(i)
        if scaler.empty_[i]:  # the only level is a placeholder
            codes = dict.fromkeys(codes, np.nan)
        return _Category(_level_dtype(name, list(codes), has_missing=has_missing), codes)
    if kind == "number":
        return _Number(SINGLE if is_single_precision(dtype) else DOUBLE)
    origin, low, high, step, _ = columns.integers[i]
    if kind in DATES:
        return _Distance(origin, step, has_not_a_time=True)
    found = _integer_dtype(name, [low, high], has_missing=has_missing)
    return _Distance(origin, step, has_not_a_time=False) if origin else _Number(found)


def _level_dtype(name: str, levels: list[Any], *, has_missing: bool) -> np.dtype:
    types = set(map(type, levels))
    integers = [level for level in levels if type(level) is int]
    match types:
        case _ if types == {str}:
            check_text(levels, "level")
            return TEXT
        case _ if types == {bool}:
            return DOUBLE if has_missing else BOOLEAN
        case _ if types <= {bool, int}:
            return _integer_dtype(name, levels, has_missing=has_missing)
        case _ if types <= {bool, int, float}:
            return _integer_dtype(name, integers, has_missing=True)
    raise ValueError(
        f"export_onnx cannot express the levels of column {name}, such as {levels[0]!r}, which are "
        "neither text nor numbers. Convert the column to text, and fit again."
    )


def _integer_dtype(name: str, integers: list[int], *, has_missing: bool) -> np.dtype:
    """Return the dtype of integers: float64, with NaN, if values are missing."""
    low, high = min(integers, default=0), max(integers, default=0)
    remedy = "Convert it to floats, or to text if it is a category, and fit again."
    if has_missing and max(-low, high) > EXACT:
        raise ValueError(
            "export_onnx cannot express missing values or fractions besides integers beyond "
            f"2**53. Column {name} holds integers from {low} to {high}. {remedy}"
        )
    if low < -(2**63) or high >= 2**63:
        raise ValueError(
            f"export_onnx requires integers from -2**63 to 2**63 - 1. Column {name} holds integers "
            f"from {low} to {high}. {remedy}"
        )
    return DOUBLE if has_missing else INTEGER


# --- graphs ---------------------------------------------------------------------------------------


class _Nodes:
    """Nodes and constants to put at the front of a graph."""

    def __init__(self, onnx: Any, prefix: str) -> None:
        self.onnx, self.prefix = onnx, prefix
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def tensor(self, values: Any, dtype: np.dtype) -> Any:
        name = f"{self.prefix}constant_{len(self.constants)}"
        return self.onnx.numpy_helper.from_array(np.array(values, dtype=dtype), name)

    def constant(self, values: Any, dtype: np.dtype) -> str:
        self.constants.append(self.tensor(values, dtype))
        return str(self.constants[-1].name)

    def cast(self, value: str, dtype: np.dtype) -> str:
        kind = self.onnx.helper.np_dtype_to_tensor_dtype(dtype)
        return self.add("Cast", value, to=kind)

    def add(self, operator: str, *inputs: str, output: str = "", **attributes: Any) -> str:
        output = output or f"{self.prefix}{operator}_{len(self.nodes)}"
        self.nodes.append(self.onnx.helper.make_node(operator, inputs, [output], **attributes))
        return output

    def put_into(self, model: Any) -> None:
        graph = model.graph
        nodes = [*self.nodes, *graph.node]
        del graph.node[:]
        graph.node.extend(nodes)
        graph.initializer.extend(self.constants)
        if all(item.domain != "ai.onnx.ml" for item in model.opset_import):
            model.opset_import.append(self.onnx.helper.make_opsetid("ai.onnx.ml", 4))


def _rename_values(graph: Any, rename: Callable[[str], str]) -> None:
    for node in graph.node:
        node.input[:] = [rename(name) for name in node.input]
        node.output[:] = [rename(name) for name in node.output]
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs):
                _rename_values(inner, rename)
    for value in (*graph.input, *graph.output, *graph.initializer, *graph.value_info):
        value.name = rename(value.name)


def _unique_names(labels: Iterable[Any]) -> list[str]:
    """Return the names of columns as valid text that differs from other names in the graph."""
    texts = [str(label).encode(errors="replace").decode() for label in labels]
    taken, names = {"", *OUTPUTS, *texts}, []
    used = {"", *OUTPUTS}
    for text in texts:
        name = text
        if text in used:
            name = next(new for i in count(1) if (new := f"{text}_{i}") not in taken)
        names.append(name)
        used.add(name)
        taken.add(name)
    return names
