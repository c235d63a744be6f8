"""The rows of a training: on the device where they fit, otherwise brought there in parts."""

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
    "ByteRows",
    "Rows",
    "StreamedRows",
    "as_array",
    "looked_up",
    "subset",
    "training_rows",
]

# Rows that take more bytes in the model space are not held there, but scaled as they are needed.
MAX_BYTES_ON_CPU = 2**27

# The part of a GPU's free memory that the rows may fill.
MAX_SHARE_OF_GPU = 1 / 4

# Bytes of batches that are read together, by a thread of their own, while others are trained on;
# one batch at least, and not more than are worth the while.
BYTES_AHEAD = 2**24
BATCHES_AHEAD = 32


class ByteRows:
    """Images of bytes, on the device, which become floats as they are asked for.

    Parameters
    ----------
    values : Tensor of shape (n, channels, height, width)
        Bytes.
    table : Tensor of shape (256,)
        What each byte is in the model space.
    """

    def __init__(self, values: Tensor, table: Tensor) -> None:
        self._values, self._table = values, table
        self.shape, self.device = values.shape, values.device

    def __len__(self) -> int:
        return len(self._values)

    def __getitem__(self, places: Tensor | slice) -> Tensor:
        return self._table[self._values[places].int()]

    def subset(self, places: np.ndarray) -> ByteRows:
        """Return some of the rows."""
        return ByteRows(self._values[torch.from_numpy(places).to(self.device)], self._table)


class StreamedRows:
    """Rows in their units, in memory or in a file, which are scaled as they are asked for.

    Parameters
    ----------
    X : ndarray of shape (n, n_features)
        Flat rows; a memory map stays one.
    space : ModelSpace
        Turns them into inputs of the networks.
    device : device
        Where rows that are asked for go.
    places : ndarray of shape (m,), default=None
        The rows of `X` that belong to this; None is all.
    """

    def __init__(
        self,
        X: np.ndarray,
        space: ModelSpace,
        device: torch.device,
        places: np.ndarray | None = None,
    ) -> None:
        self._X, self._space, self.device = X, space, device
        self._places = places
        self.shape = (len(self), *self[:1].shape[1:])

    def __len__(self) -> int:
        return len(self._X if self._places is None else self._places)

    def __getitem__(self, places: Tensor | slice) -> Tensor:
        return self.read(places).to(self.device)

    def read(self, places: Tensor | slice) -> Tensor:
        """Return rows on the CPU."""
        wanted = places.cpu().numpy() if isinstance(places, Tensor) else places
        if self._places is not None:
            wanted = self._places[wanted]
        if isinstance(wanted, slice):
            rows = self._space.transform(self._X[wanted])
        else:
            # Each row once, in the order of the file.
            ordered, back = np.unique(wanted, return_inverse=True)
            rows = self._space.transform(self._X[ordered])[back]
        return torch.from_numpy(rows)

    def subset(self, places: np.ndarray) -> StreamedRows:
        """Return some of the rows, without a copy of them."""
        places = places if self._places is None else self._places[places]
        return StreamedRows(self._X, self._space, self.device, places)


Rows = Tensor | ByteRows | StreamedRows


def training_rows(X: np.ndarray, space: ModelSpace, device: torch.device) -> Rows:
    """Return the rows of the model space, indexed like a tensor."""
    rows = StreamedRows(X, space, device)
    n_values = math.prod(rows.shape)
    table = space.scaler_.byte_values() if X.dtype == np.uint8 else None
    if table is not None and _fit(n_values, device):
        values = torch.from_numpy(space.arrange(np.array(X)))
        return ByteRows(values.to(device), torch.from_numpy(table).to(device))
    return rows[:] if _fit(4 * n_values, device) else rows


def subset(rows: Rows, places: np.ndarray) -> Rows:
    """Return the rows at some places, as a copy only where they are in memory."""
    if isinstance(rows, Tensor):
        return rows[torch.from_numpy(places).to(rows.device)]
    return rows.subset(places)


def as_array(rows: Rows, places: np.ndarray) -> np.ndarray:
    """Return the rows at some places; all of them, if they are as many, without a copy."""
    found = rows[:] if len(places) == len(rows) else rows[torch.from_numpy(places).to(rows.device)]
    return found.cpu().numpy()


def _fit(n_bytes: int, device: torch.device) -> bool:
    if device.type == "cuda":
        return n_bytes <= MAX_SHARE_OF_GPU * torch.cuda.mem_get_info(device)[0]
    return n_bytes <= MAX_BYTES_ON_CPU


Picks = tuple[Tensor, ...]


def looked_up(rows: Rows, picks: Iterable[Picks]) -> Iterator[tuple[Picks, Picks]]:
    """Yield tuples of places and the rows that are there; those to be read are read ahead."""
    if not isinstance(rows, StreamedRows):
        for places in picks:
            yield places, tuple(rows[part] for part in places)
        return
    parts = iter(partial(_next_of, rows, iter(picks)), [])
    with ThreadPoolExecutor(1, "sgan_sklearn rows") as reader:
        coming = (reader.submit(_read, rows, part) for part in parts)
        ahead = next(coming, None)
        while ahead is not None:
            now, ahead = ahead, next(coming, None)
            for places, found in now.result():
                yield places, tuple(part.to(rows.device) for part in found)


def _next_of(rows: StreamedRows, picks: Iterator[Picks]) -> list[Picks]:
    """Return the picks to read next."""
    first = next(picks, None)
    if first is None:
        return []
    n_bytes = 4 * math.prod(rows.shape[1:]) * max(1, sum(map(len, first)))
    return [first, *islice(picks, min(BATCHES_AHEAD, max(1, BYTES_AHEAD // n_bytes)) - 1)]


def _read(rows: StreamedRows, picks: list[Picks]) -> list[tuple[Picks, Picks]]:
    """Return several picks with their rows, which are read as one."""
    sizes = [len(part) for places in picks for part in places]
    found = iter(rows.read(torch.cat([part for places in picks for part in places])).split(sizes))
    return [(places, tuple(islice(found, len(places)))) for places in picks]
