"""Whole batches of labeled and unlabeled rows, indexed as tensors and never row by row."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
from sklearn.utils import gen_batches
from skorch.dataset import Dataset as LabeledDataset
from torch import Tensor
from torch.utils.data import Dataset

from sgan_sklearn._distributed import n_processes, own_part
from sgan_sklearn._random import next_seed
from sgan_sklearn._rows import Rows, as_array, looked_up, sample_places, subset

__all__ = ["Batch", "EvaluationBatches", "SemiSupervisedBatches", "SemiSupervisedDataset"]


class Batch(NamedTuple):
    """Rows of one training step."""

    labeled: Tensor
    """Labeled rows, with their `codes`."""

    codes: Tensor
    """Class codes 0 to K-1 of the labeled rows."""

    unlabeled: Tensor
    """Rows whose label is not looked at, for the discriminator."""

    real: Tensor
    """Such rows drawn independently, for the generator: it must not see the discriminator's."""

    unlabeled_indices: Tensor
    """Places of the `unlabeled` rows in the data set."""

    weights: Tensor | None = None
    """Weights of the labeled rows in their loss; None is all one."""


class SemiSupervisedDataset(Dataset):
    """All rows of the model space, and which of them carry a label.

    Parameters
    ----------
    rows : Rows of shape (n, ...)
        Rows in the model space, indexed like a tensor.
    codes : Tensor of shape (n,)
        Class codes from 0; a negative code marks an unlabeled row.
    weights : Tensor of shape (n,), default=None
        Weights of the labeled rows in their loss; those of unlabeled rows are not used.
    to_units : callable, default=None
        Turns an array of rows in the model space into the units and the form of `X`, for
        callbacks.
    validation : tuple of Tensor of shape (m, ...) and (m,), default=None
        Labeled rows that are held back, and their class codes.
    """

    def __init__(
        self,
        rows: Rows,
        codes: Tensor,
        weights: Tensor | None = None,
        to_units: Callable[[np.ndarray], np.ndarray] | None = None,
        validation: tuple[Tensor, Tensor] | None = None,
    ) -> None:
        self.rows = rows
        self.codes = codes
        self.weights = weights
        self.to_units = to_units
        self.validation = validation
        self.labeled_indices = torch.nonzero(codes >= 0).squeeze(1)

    @classmethod
    def from_rows(
        cls,
        rows: Rows,
        codes: np.ndarray,
        weights: np.ndarray | None,
        held_back: np.ndarray | None,
        to_units: Callable[[np.ndarray], np.ndarray],
    ) -> SemiSupervisedDataset:
        """Return the data set of rows; `held_back` is the mask of those for validation."""

        def tensor(values: np.ndarray) -> Tensor:
            return torch.from_numpy(values).to(rows.device)

        if held_back is None:
            weights_ = None if weights is None else tensor(weights)
            return cls(rows, tensor(codes), weights_, to_units)
        held, taught = np.flatnonzero(held_back), np.flatnonzero(~held_back)
        return cls(
            subset(rows, taught),
            tensor(codes[taught]),
            None if weights is None else tensor(weights[taught]),
            to_units,
            (subset(rows, held)[:], tensor(codes[held])),
        )

    def __len__(self) -> int:
        return len(self.rows)

    def taught(self) -> LabeledDataset | None:
        """Return the labeled rows with their codes as a data set of skorch's, if there are any."""
        places = self.labeled_indices
        if len(places) == 0:
            return None
        rows = subset(self.rows, places.cpu().numpy())
        return LabeledDataset(rows, self.codes[places], length=len(places))

    def held_out(self) -> LabeledDataset | None:
        """Return the rows that are held back as a data set of skorch's, if there are any."""
        return None if self.validation is None else LabeledDataset(*self.validation)

    def sample(self, rng: np.random.RandomState) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return rows as an array, their codes and places: all, or some if they are many."""
        codes = self.codes.cpu().numpy()
        places = sample_places(codes, math.prod(self.rows.shape[1:]), rng)
        return as_array(self.rows, places), codes[places], places


class SemiSupervisedBatches:
    """Iterate over the batches of one epoch: every row once as unlabeled, labels as they come.

    All rows, labeled ones included, serve as unlabeled rows. The labeled rows, usually fewer
    than those of an epoch, are gone through again and again in a new order each time; where
    there are none, their part of the batch is empty. All batches have the same size, so an epoch
    is rounded up to whole batches: its last one is filled with rows from the start of the next
    shuffle.

    Parameters
    ----------
    dataset : SemiSupervisedDataset
        The training rows.
    batch_size : int
        Number of unlabeled rows in a batch; the number of labeled rows is the same, but never
        more than there are labeled rows. Processes that train together have batches of this
        size each, which are parts of one.

    Notes
    -----
    The order comes from a random generator of its own, so that rows may be read ahead.
    """

    def __init__(self, dataset: SemiSupervisedDataset, batch_size: int) -> None:
        n_labeled, n_parts = len(dataset.labeled_indices), n_processes()
        device = dataset.rows.device
        every = torch.arange(len(dataset), device=device)
        order = torch.Generator(device).manual_seed(next_seed())
        self.dataset = dataset
        self.batch_size = min(batch_size, len(dataset) // n_parts)
        n_labeled = min(batch_size, n_labeled // n_parts)
        self._order = order
        self._streams = (
            _Shuffled(dataset.labeled_indices, n_parts * n_labeled, order),
            _Shuffled(every, n_parts * self.batch_size, order),
            _Shuffled(every, n_parts * self.batch_size, order),
        )

    def __len__(self) -> int:
        return -(-len(self.dataset) // (n_processes() * self.batch_size))

    def __iter__(self) -> Iterator[Batch]:
        codes, weights = self.dataset.codes, self.dataset.weights
        picks = (
            tuple(own_part(stream.next_batch()) for stream in self._streams)
            for _ in range(len(self))
        )
        for (labeled, unlabeled, _), rows in looked_up(self.dataset.rows, picks):
            yield Batch(
                labeled=rows[0],
                codes=codes[labeled],
                unlabeled=rows[1],
                real=rows[2],
                weights=None if weights is None else weights[labeled],
                unlabeled_indices=unlabeled,
            )

    def state_dict(self) -> dict[str, Any]:
        """Return what decides the batches to come, between two epochs."""
        return {
            "order": self._order.get_state(),
            "rests": [stream.rest for stream in self._streams],
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from such a state."""
        self._order.set_state(state["order"])
        for stream, rest in zip(self._streams, state["rests"], strict=True):
            stream.rest = rest.to(stream.rest.device)


class EvaluationBatches:
    """Iterate over rows in their order, with their class codes, in parts.

    Parameters
    ----------
    dataset : skorch.dataset.Dataset or SemiSupervisedDataset
        Rows of the model space; of the latter all rows.
    batch_size : int
        Number of rows in a part; the last one may have fewer.
    """

    def __init__(self, dataset: LabeledDataset | SemiSupervisedDataset, batch_size: int) -> None:
        self.codes: Tensor | None
        if isinstance(dataset, SemiSupervisedDataset):
            self.rows, self.codes = dataset.rows, dataset.codes
        else:
            self.rows, self.codes = dataset.X, dataset.y
        self.batch_size = batch_size

    def __len__(self) -> int:
        return -(-len(self.rows) // self.batch_size)

    def __iter__(self) -> Iterator[tuple[Any, Any]]:
        for places in gen_batches(len(self.rows), self.batch_size):
            yield self.rows[places], None if self.codes is None else self.codes[places]


class _Shuffled:
    """Batches of `indices` without end, each index once in every pass of a new order."""

    def __init__(self, indices: Tensor, batch_size: int, order: torch.Generator) -> None:
        self._indices, self._batch_size, self._order = indices, batch_size, order
        self.rest = indices[:0]

    def next_batch(self) -> Tensor:
        n, device = len(self._indices), self._indices.device
        while len(self.rest) < self._batch_size:
            shuffled = torch.randperm(n, generator=self._order, device=device)
            self.rest = torch.cat([self.rest, self._indices[shuffled]])
        batch, self.rest = self.rest.tensor_split([self._batch_size])
        return batch
