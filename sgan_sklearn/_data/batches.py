"""Batches of labeled and unlabeled rows, indexed as whole tensors."""

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

from sgan_sklearn._data.rows import Rows, as_array, iterate_rows, subset
from sgan_sklearn._data.stratification import sample_indices
from sgan_sklearn._runtime.processes import n_processes, process_part
from sgan_sklearn._runtime.random import next_seed

__all__ = ["Batch", "EvaluationBatches", "SemiSupervisedBatches", "SemiSupervisedDataset"]


class Batch(NamedTuple):
    """Rows of one training step."""

    labeled: Tensor
    """Labeled rows."""

    codes: Tensor
    """Class codes 0 to K-1 of the labeled rows."""

    unlabeled: Tensor
    """Rows used without their labels, for the discriminator."""

    real: Tensor
    """Rows drawn independently of `unlabeled`, for the generator's loss."""

    unlabeled_indices: Tensor
    """Indices of the `unlabeled` rows in the data set."""

    weights: Tensor | None = None
    """Weights of the labeled rows in their loss; None means that all are one."""


class SemiSupervisedDataset(Dataset):
    """All training rows with the class codes of the labeled ones.

    Parameters
    ----------
    rows : Rows of shape (n, ...)
        Rows in the model space, indexed like a tensor.
    codes : Tensor of shape (n,)
        Class codes from 0; a negative code marks an unlabeled row.
    weights : Tensor of shape (n,), default=None
        Weights of the labeled rows in their loss. Weights of unlabeled rows are not used.
    to_units : callable, default=None
        Converts an array of rows in the model space to the units and the form of `X`, for
        callbacks.
    validation : tuple of Tensor of shape (m, ...) and (m,), default=None
        Labeled rows that are held out for validation, and their class codes.
    frequencies : Tensor of shape (n,), default=None
        How often each row is drawn without its label, compared with others; None means equally.
    probabilities : Tensor of shape (n, n_classes), default=None
        Class probabilities of the labeled rows; None means that the codes are certain.
    """

    def __init__(
        self,
        rows: Rows,
        codes: Tensor,
        weights: Tensor | None = None,
        to_units: Callable[[np.ndarray], np.ndarray] | None = None,
        validation: tuple[Tensor, Tensor] | None = None,
        frequencies: Tensor | None = None,
        probabilities: Tensor | None = None,
    ) -> None:
        self.rows = rows
        self.codes = codes
        self.weights = weights
        self.to_units = to_units
        self.validation = validation
        self.frequencies = frequencies
        self.probabilities = probabilities
        self.labeled_indices = torch.nonzero(codes >= 0).squeeze(1)

    @classmethod
    def from_rows(
        cls,
        rows: Rows,
        codes: np.ndarray,
        weights: np.ndarray | None,
        held_out_mask: np.ndarray | None,
        to_units: Callable[[np.ndarray], np.ndarray],
        frequencies: np.ndarray | None = None,
        used: np.ndarray | None = None,
        probabilities: np.ndarray | None = None,
    ) -> SemiSupervisedDataset:
        """Build the data set; `held_out_mask` is the mask of the validation rows.

        Other rows are left out if they are not `used`.
        """

        def tensor(values: np.ndarray | None, chosen: Any = slice(None)) -> Any:
            return None if values is None else torch.from_numpy(values[chosen]).to(rows.device)

        validation, is_trained = None, np.ones(len(codes), dtype=bool)
        if held_out_mask is not None:
            held, is_trained = np.flatnonzero(held_out_mask), ~held_out_mask
            validation = subset(rows, held)[:], tensor(codes, held)
        if used is not None:
            is_trained = is_trained & used
        train: Any = slice(None)
        if not is_trained.all():
            train = np.flatnonzero(is_trained)
            rows = subset(rows, train)
        arrays = tensor(codes, train), tensor(weights, train)
        more = tensor(frequencies, train), tensor(probabilities, train)
        return cls(rows, *arrays, to_units, validation, *more)

    def __len__(self) -> int:
        return len(self.rows)

    def labeled_subset(self) -> LabeledDataset | None:
        """Return the labeled rows and their codes as a skorch data set, or None."""
        indices = self.labeled_indices
        if len(indices) == 0:
            return None
        rows = subset(self.rows, indices.cpu().numpy())
        return LabeledDataset(rows, self.codes[indices], length=len(indices))

    def held_out(self) -> LabeledDataset | None:
        """Return the validation rows and their codes as a skorch data set, or None."""
        return None if self.validation is None else LabeledDataset(*self.validation)

    def sample(self, rng: np.random.RandomState) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the rows, or a sample of a large data set, with their codes and indices."""
        codes = self.codes.cpu().numpy()
        indices = sample_indices(codes, math.prod(self.rows.shape[1:]), rng)
        return as_array(self.rows, indices), codes[indices], indices

    def weighted_sample(self, rng: np.random.RandomState) -> tuple[np.ndarray, np.ndarray]:
        """Return rows of a sample, as often as their frequencies, and their indices."""
        rows, _, indices = self.sample(rng)
        if self.frequencies is None:
            return rows, indices
        frequencies = self.frequencies.cpu()[torch.from_numpy(indices)]
        drawn = _drawn(_ends(frequencies), torch.tensor(rng.uniform())).numpy()
        return rows[drawn], indices[drawn]


class SemiSupervisedBatches:
    """Iterate over the batches of one epoch, in which every row occurs once without its label.

    If the rows have frequencies, a row occurs as often as its share of them instead. All rows,
    including the labeled ones, are used as unlabeled rows. The labeled rows, usually
    fewer than those of an epoch, are repeated in a new random order each time; if there are none,
    the labeled part of each batch is empty. All batches have the same size, so the number of
    batches is rounded up: the last one is filled with rows from the next shuffle.

    Parameters
    ----------
    dataset : SemiSupervisedDataset
        The training rows.
    batch_size : int
        Number of unlabeled rows in a batch. In distributed training, each process has a batch of
        this size, and these form one large batch.
    labeled_batch_size : int, default=None
        Number of labeled rows in a batch, but at most the total number of labeled rows. None
        stands for `batch_size`.

    Notes
    -----
    The order comes from a separate random generator, so that rows can be read ahead.
    """

    def __init__(
        self,
        dataset: SemiSupervisedDataset,
        batch_size: int,
        labeled_batch_size: int | None = None,
    ) -> None:
        n_labeled, n_parts = len(dataset.labeled_indices), n_processes()
        device = dataset.rows.device
        all_indices = torch.arange(len(dataset), device=device)
        order = torch.Generator(device).manual_seed(next_seed())
        self.dataset = dataset
        self.batch_size = min(batch_size, len(dataset) // n_parts)
        n_labeled = min(labeled_batch_size or batch_size, n_labeled // n_parts)
        self._order = order
        self._labels: torch.Generator | None = None
        if dataset.probabilities is not None:
            self._labels = torch.Generator(device).manual_seed(order.initial_seed() + 1)
            ends = dataset.probabilities.double().cumsum(1)
            # Rounding must not leave anything to a class of probability 0.
            self._label_ends = ends.masked_fill(ends > 1 - 1e-6, 2.0)[:, :-1].float()
        self._streams = (
            _Shuffled(dataset.labeled_indices, n_parts * n_labeled, order),
            *(
                _Shuffled(all_indices, n_parts * self.batch_size, order, dataset.frequencies)
                for _ in range(2)
            ),
        )

    def __len__(self) -> int:
        return -(-len(self.dataset) // (n_processes() * self.batch_size))

    def __iter__(self) -> Iterator[Batch]:
        weights = self.dataset.weights
        batches = (
            tuple(process_part(stream.next_batch()) for stream in self._streams)
            for _ in range(len(self))
        )
        for (labeled, unlabeled, _), rows in iterate_rows(self.dataset.rows, batches):
            yield Batch(
                labeled=rows[0],
                codes=self._codes(labeled),
                unlabeled=rows[1],
                real=rows[2],
                weights=None if weights is None else weights[labeled],
                unlabeled_indices=unlabeled,
            )

    def _codes(self, labeled: Tensor) -> Tensor:
        """Return the class codes of labeled rows, drawn anew from their probabilities, if any.

        The mean of their cross-entropy over the draws is that with the probabilities.
        """
        if self._labels is None:
            return self.dataset.codes[labeled]
        # The same numbers in all processes, each of which uses its own part of them.
        n_rows, device = len(labeled) * n_processes(), labeled.device
        drawn = process_part(torch.rand(n_rows, generator=self._labels, device=device))
        return (drawn[:, None] >= self._label_ends[labeled]).sum(dim=1)

    def state_dict(self) -> dict[str, Any]:
        """Return the state that determines the next batches, between two epochs."""
        state = {
            "order": self._order.get_state(),
            "remaining": [stream.remaining for stream in self._streams],
        }
        if self._labels is not None:
            state["labels"] = self._labels.get_state()
        return state

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore a state returned by `state_dict`."""
        self._order.set_state(state["order"])
        if self._labels is not None:
            self._labels.set_state(state["labels"])
        for stream, remaining in zip(self._streams, state["remaining"], strict=True):
            stream.remaining = remaining.to(stream.remaining.device)


class EvaluationBatches:
    """Iterate over rows and their class codes in batches, in their order.

    Parameters
    ----------
    dataset : skorch.dataset.Dataset or SemiSupervisedDataset
        Rows in the model space. All rows of a `SemiSupervisedDataset` are used.
    batch_size : int
        Number of rows in a batch; the last batch may be smaller.
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
        for batch in gen_batches(len(self.rows), self.batch_size):
            yield self.rows[batch], None if self.codes is None else self.codes[batch]


class _Shuffled:
    """Infinite sequence of batches of `indices`, reshuffled after each pass.

    With frequencies, a pass has as many rows, each of them as often as its share, rounded up or
    down at random.
    """

    def __init__(
        self,
        indices: Tensor,
        batch_size: int,
        order: torch.Generator,
        frequencies: Tensor | None = None,
    ) -> None:
        self._indices, self._batch_size, self._order = indices, batch_size, order
        self.remaining = indices[:0]
        self._ends = None if frequencies is None else _ends(frequencies).to(indices.device)

    def next_batch(self) -> Tensor:
        n, device = len(self._indices), self._indices.device
        while len(self.remaining) < self._batch_size:
            shuffled = torch.randperm(n, generator=self._order, device=device)
            if self._ends is not None:
                start = torch.rand(1, generator=self._order, device=device)
                shuffled = _drawn(self._ends, start)[shuffled]
            self.remaining = torch.cat([self.remaining, self._indices[shuffled]])
        batch, self.remaining = self.remaining.tensor_split([self._batch_size])
        return batch


def _ends(frequencies: Tensor) -> Tensor:
    """Return the cumulative frequencies, computed on the CPU: on a GPU, sums may differ."""
    return frequencies.cpu().double().cumsum(0)


def _drawn(ends: Tensor, start: Tensor) -> Tensor:
    """Return as many indices as rows, each as often as its share, rounded up or down.

    These are the rows at equally spaced points of the cumulative frequencies `ends`, of which the
    first one is `start` times the distance.
    """
    n = len(ends)
    points = (torch.arange(n, device=ends.device) + start.double()) * (ends[-1] / n)
    return torch.searchsorted(ends, points, right=True).clamp(max=n - 1)
