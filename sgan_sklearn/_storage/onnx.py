"""Export of a fitted classifier to an ONNX graph from rows of `X` to labels and probabilities."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sgan_sklearn._data.scaling import LIMIT, FeatureScaler, TableScaler, operations
from sgan_sklearn._data.space import ModelSpace, SparseSpace
from sgan_sklearn._storage.files import replace_file
from sgan_sklearn._storage.onnx_columns import OUTPUTS, check_dtype, check_text, find_inputs

__all__ = ["write_onnx"]

# Name of the predicted class code in the graph, which must differ from torch's own names.
CODE = "sgan_sklearn_class_code"


@contextmanager
def _without_log(name: str) -> Iterator[None]:
    """Suppress a library's log messages about optional dependencies."""
    logger = logging.getLogger(name)
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)


def write_onnx(
    path: Path,
    discriminator: nn.Module,
    class_logits: Callable[[Tensor], Tensor],
    space: ModelSpace,
    classes: np.ndarray,
) -> None:
    """Write the graph to a file; see `export_onnx`."""
    try:
        import onnx
        import onnxscript  # noqa: F401 (torch.onnx needs it)
    except ImportError as error:
        raise ImportError(
            f"export_onnx requires the packages onnx and onnxscript: {error}. Install them with "
            "pip install 'sgan-sklearn[onnx]'."
        ) from error
    dtype = check_dtype("X", space.scaler_.dtype_)
    inputs = find_inputs(space)
    labels = _labels(classes)
    model = _Predictor(discriminator, class_logits, space).eval()
    rows = torch.from_numpy(np.zeros((2, *space.row_shape), dtype=dtype))
    with torch.no_grad(), warnings.catch_warnings(), _without_log("torch.onnx"):
        warnings.simplefilter("ignore")  # torch's warnings about its own code
        program: Any = torch.onnx.export(
            model,
            (rows,),
            input_names=["X"],
            output_names=[CODE, OUTPUTS[1]],
            dynamic_shapes=({0: torch.export.Dim("n_samples")},),
            dynamo=True,
            verbose=False,
        )
    proto = program.model_proto
    _put_labels(onnx, proto.graph, labels)
    if inputs is not None:
        inputs.put(onnx, proto)
    onnx.checker.check_model(proto)
    replace_file(path, proto.SerializeToString())


def _labels(classes: np.ndarray) -> np.ndarray:
    """Return the class labels in a form that a graph can store, or raise ValueError."""
    if classes.dtype.kind not in "OU":
        return classes.astype(check_dtype("y", classes.dtype))
    check_text(classes.tolist(), "class")
    return classes.astype(object)


def _put_labels(onnx: Any, graph: Any, labels: np.ndarray) -> None:
    """Add the lookup of labels to the graph, since torch cannot export strings."""
    graph.initializer.append(onnx.numpy_helper.from_array(labels, "classes"))
    graph.node.append(onnx.helper.make_node("Gather", ["classes", CODE], [OUTPUTS[0]]))
    kind = graph.initializer[-1].data_type
    label = onnx.helper.make_tensor_value_info(OUTPUTS[0], kind, ["n_samples"])
    graph.output[0].CopyFrom(label)


class _Predictor(nn.Module):
    components: Tensor | None

    def __init__(
        self,
        discriminator: nn.Module,
        class_logits: Callable[[Tensor], Tensor],
        space: ModelSpace,
    ) -> None:
        super().__init__()
        self.discriminator, self.class_logits = discriminator, class_logits
        self.image_shape = space.image_shape
        components = torch.from_numpy(space.components_) if isinstance(space, SparseSpace) else None
        self.register_buffer("components", components)
        scaler = space.scaler_
        self.scale = (_Table if isinstance(scaler, TableScaler) else _Numbers)(scaler)

    def forward(self, X: Tensor) -> tuple[Tensor, Tensor]:
        rows = X.flatten(1)
        if self.components is not None:
            rows = F.normalize(rows @ self.components.T)
        rows = self.scale(rows)
        if self.image_shape is not None:
            rows = rows.unflatten(1, self.image_shape).permute(0, 3, 1, 2)
        logits = self.class_logits(self.discriminator(rows))
        return logits.argmax(dim=1), logits.softmax(dim=1)


class _Numbers(nn.Module):
    """Transformation of a `FeatureScaler`."""

    low: Tensor
    high: Tensor
    offset: Tensor

    def __init__(self, scaler: FeatureScaler) -> None:
        super().__init__()
        native = np.dtype(scaler.float_).newbyteorder("=")
        self.dtype = torch.from_numpy(np.empty(0, native)).dtype
        self.has_offset = bool(scaler.offset_.any())
        wide = np.int64 if scaler.offset_.dtype.kind == "i" else np.float64
        self.register_buffer("offset", torch.from_numpy(scaler.offset_.astype(wide)))
        low, high = scaler.reach().astype(native)
        self.register_buffer("low", torch.from_numpy(low))
        self.register_buffer("high", torch.from_numpy(high))
        order = np.concatenate([columns for _, columns, _ in scaler.groups_])
        self.columns = [columns.tolist() for _, columns, _ in scaler.groups_]
        self.inverse_order = np.argsort(order).tolist()
        self.steps = [_steps(transformer, self.dtype) for _, _, transformer in scaler.groups_]

    def forward(self, X: Tensor) -> Tensor:
        if self.has_offset:
            X = X.to(self.offset.dtype) - self.offset
        X = torch.clamp(X.to(self.dtype), self.low, self.high)
        parts = []
        for columns, steps in zip(self.columns, self.steps, strict=True):
            part = _selected(X, columns)
            for step in steps:
                part = step(part)
            parts.append(part)
        rows = _selected(torch.cat(parts, dim=1), self.inverse_order)
        return rows.clamp(-LIMIT, LIMIT).float()


class _Table(nn.Module):
    """Transformation of a `TableScaler` for numbers, codes of categories and missing values."""

    fill: Tensor

    def __init__(self, scaler: TableScaler) -> None:
        super().__init__()
        self.numbers = None if scaler.scaler_ is None else _Numbers(scaler.scaler_)
        self.number_columns = scaler.numbers_.tolist()
        self.one_hot = _OneHot(scaler) if len(scaler.encoded_) else None
        fill = scaler.fill_.astype(scaler.dtype_.newbyteorder("="))
        self.register_buffer("fill", torch.from_numpy(fill))

    def forward(self, X: Tensor) -> Tensor:
        if not X.is_floating_point() and self.numbers is not None:
            return self.numbers(X)
        missing = X.isnan()
        rows = []
        if self.numbers is not None:
            numbers = torch.where(missing, self.fill, X)
            rows.append(self.numbers(_selected(numbers, self.number_columns)))
        if self.one_hot is not None:
            rows.append(self.one_hot(X, missing))
        return torch.cat(rows, dim=1)


class _OneHot(nn.Module):
    """One-hot columns of all categories, and of whether numbers are missing.

    They are one comparison, since the export takes long for a graph of many nodes.
    """

    columns: Tensor
    codes: Tensor
    is_number: Tensor

    def __init__(self, scaler: TableScaler) -> None:
        super().__init__()
        # Code 0 stands for any number, and code -1 for a missing value.
        units = [
            (column, code)
            for column in scaler.encoded_.tolist()
            for code in (*range(max(scaler.levels_[column], 1)), -1)
            if code >= 0 or scaler.has_missing_[column]
        ]
        columns, codes = np.array(units, dtype=np.int64).T
        self.register_buffer("columns", torch.from_numpy(columns.copy()))
        self.register_buffer("codes", torch.from_numpy(codes.copy()))
        self.register_buffer("is_number", torch.from_numpy(scaler.levels_[columns] == 0))

    def forward(self, X: Tensor, missing: Tensor) -> Tensor:
        X, missing = X.index_select(1, self.columns), missing.index_select(1, self.columns)
        codes = torch.where(missing, -1, torch.where(self.is_number, 0, X))
        return (codes == self.codes).float()


def _selected(X: Tensor, columns: list[int]) -> Tensor:
    """Return columns of rows, with one node of the graph; an index of a list takes several."""
    if columns == list(range(X.shape[1])):
        return X
    return X.index_select(1, torch.tensor(columns))


def _steps(transformer: Any, dtype: torch.dtype) -> list[Callable[[Tensor], Tensor]]:
    """Return the steps of a scikit-learn transformer as functions of tensors."""
    native = torch.empty(0, dtype=dtype).numpy().dtype
    try:
        return [_step(*operation, dtype=dtype) for operation in operations(transformer, native)]
    except ValueError as error:
        raise ValueError(
            f"export_onnx {error}. Scale the rows before the classifier, in a Pipeline, and fit it "
            "with scaling='none', or save the classifier."
        ) from error


def _step(operation: Any, *values: np.ndarray, dtype: torch.dtype) -> Callable[[Tensor], Tensor]:
    if operation is np.arcsinh:
        # ONNX runtimes do not support asinh for float64.
        return lambda X: X.sign() * (X.abs() + (X * X + 1).sqrt()).log()
    function = getattr(torch, operation.__name__)  # NumPy and torch have the same names
    (value,) = (torch.as_tensor(value, dtype=dtype) for value in values)
    return lambda X: function(X, value)
