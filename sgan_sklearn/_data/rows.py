"""Training rows: stored on the device if they fit, otherwise streamed in parts."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import islice

import numpy as np
import torch
from torch import Tensor

from sgan_sklearn._data.space import ModelSpace

__all__ = [
    "Rows",
    "StreamedRows",
    "as_array",
    "iterate_rows",
    "subset",
    "training_rows",
]

# Rows that need more memory than this in the model space are scaled on demand.
MAX_BYTES_ON_CPU = 2**27

# Share of a GPU's free memory that the rows may fill.
MAX_SHARE_OF_GPU = 1 / 4

# A separate thread reads batches ahead of training, this many bytes at a time: at least one batch,
# and at most BATCHES_AHEAD.
BYTES_AHEAD = 2**24
BATCHES_AHEAD = 32


class ByteRows:
    """Images of bytes on the device, converted to floats on access.

    Parameters
    ----------
    values : Tensor of shape (n, channels, height, width)
        Bytes.
    table : Tensor of shape (256,)
        Value of each byte in the model space.
    """

    def __init__(self, values: Tensor, table: Tensor) -> None:
        self._values, self._table = values, table
        self.shape, self.device = values.shape, values.device

    def __len__(self) -> int:
        return len(self._values)

    def __getitem__(self, indices: Tensor | slice) -> Tensor:
        return self._table[self._values[indices].int()]

    def subset(self, indices: np.ndarray) -> ByteRows:
        """Return some of the rows."""
        return ByteRows(self._values[torch.from_numpy(indices).to(self.device)], self._table)


class StreamedRows:
    """Rows in the units of `X`, in memory or in a file, scaled on access.

    Parameters
    ----------
    X : ndarray of shape (n, n_features)
        Flat rows. A memory map is not loaded.
    space : ModelSpace
        Converts the rows to inputs of the networks.
    device : device
        Device of the returned rows.
    indices : ndarray of shape (m,), default=None
        Indices of the rows of `X` to use; None uses all.
    """

    def __init__(
        self,
        X: np.ndarray,
        space: ModelSpace,
        device: torch.device,
        indices: np.ndarray | None = None,
    ) -> None:
        self._X, self._space, self.device = X, space, device
        self._indices = indices
        self.shape = (len(self), *space.input_shape)

    def __len__(self) -> int:
        return len(self._X if self._indices is None else self._indices)

    def __getitem__(self, indices: Tensor | slice) -> Tensor:
        return self.read(indices).to(self.device)

    def read(self, indices: Tensor | slice) -> Tensor:
        """Return rows on the CPU."""
        selected = indices.cpu().numpy() if isinstance(indices, Tensor) else indices
        if self._indices is not None:
            selected = self._indices[selected]
        if isinstance(selected, slice):
            rows = self._space.transform(self._X[selected])
        else:
            # Read each row once, in the order of the file.
            ordered, inverse = np.unique(selected, return_inverse=True)
            rows = self._space.transform(self._X[ordered])[inverse]
        return torch.from_numpy(rows)

    def subset(self, indices: np.ndarray) -> StreamedRows:
        """Return some of the rows without copying them."""
        indices = indices if self._indices is None else self._indices[indices]
        return StreamedRows(self._X, self._space, self.device, indices)


Rows = Tensor | ByteRows | StreamedRows


def training_rows(X: np.ndarray, space: ModelSpace, device: torch.device) -> Rows:
    """Return the rows in the model space, indexed like a tensor."""
    rows = StreamedRows(X, space, device)
    n_values = math.prod(rows.shape)
    table = space.scaler_.byte_values() if X.dtype == np.uint8 else None
    if table is not None and _fit(n_values, device):
        values = torch.from_numpy(space.arrange(np.array(X)))
        return ByteRows(values.to(device), torch.from_numpy(table).to(device))
    return rows[:] if _fit(4 * n_values, device) else rows


def subset(rows: Rows, indices: np.ndarray) -> Rows:
    """Return the rows at the indices, copied only if they are in memory."""
    if isinstance(rows, Tensor):
        return rows[torch.from_numpy(indices).to(rows.device)]
    return rows.subset(indices)


def as_array(rows: Rows, indices: np.ndarray) -> np.ndarray:
    """Return the rows at the indices as an array; without a copy if these are all rows."""
    if len(indices) == len(rows):
        selected = rows[:]
    else:
        selected = rows[torch.from_numpy(indices).to(rows.device)]
    return selected.cpu().numpy()


def _fit(n_bytes: int, device: torch.device) -> bool:
    if device.type == "cuda":
        return n_bytes <= MAX_SHARE_OF_GPU * torch.cuda.mem_get_info(device)[0]
    return n_bytes <= MAX_BYTES_ON_CPU


Tensors = tuple[Tensor, ...]


def iterate_rows(rows: Rows, batches: Iterable[Tensors]) -> Iterator[tuple[Tensors, Tensors]]:
    """Yield the index tensors of each batch with their rows; streamed rows are read ahead."""
    if not isinstance(rows, StreamedRows):
        for indices in batches:
            yield indices, tuple(rows[part] for part in indices)
        return
    chunks = iter(partial(_next_chunk, rows, iter(batches)), [])
    with ThreadPoolExecutor(1, "sgan_sklearn rows") as reader:
        pending = (reader.submit(_read, rows, chunk) for chunk in chunks)
        following = next(pending, None)
        while following is not None:
            current, following = following, next(pending, None)
            for indices, found in current.result():
                yield indices, tuple(part.to(rows.device) for part in found)


def _next_chunk(rows: StreamedRows, batches: Iterator[Tensors]) -> list[Tensors]:
    """Return the batches to read next."""
    first = next(batches, None)
    if first is None:
        return []
    n_bytes = 4 * math.prod(rows.shape[1:]) * max(1, sum(map(len, first)))
    return [first, *islice(batches, min(BATCHES_AHEAD, max(1, BYTES_AHEAD // n_bytes)) - 1)]


def _read(rows: StreamedRows, batches: list[Tensors]) -> list[tuple[Tensors, Tensors]]:
    """Read the rows of several batches at once."""
    sizes = [len(part) for indices in batches for part in indices]
    together = torch.cat([part for indices in batches for part in indices])
    found = iter(rows.read(together).split(sizes))
    return [(indices, tuple(islice(found, len(indices)))) for indices in batches]
