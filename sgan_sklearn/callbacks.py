"""Callbacks for the `callbacks` parameter of `SGANClassifier`, which also accepts skorch's."""

from __future__ import annotations

from collections.abc import Callable
from numbers import Integral
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.utils._optional_dependencies import check_matplotlib_support
from sklearn.utils._param_validation import Interval, validate_parameter_constraints
from skorch.callbacks import Callback
from torch import Tensor

from sgan_sklearn._data.images import as_picture, tiled

__all__ = ["FrechetDistanceCallback", "SampleGridCallback"]

# Number of real images that determine the range of the gray scale.
N_SCALE_ROWS = 500

# Number of rows whose features are computed at once.
CHUNK = 256


class FrechetDistanceCallback(Callback):
    """Record how far the features of generated rows are from those of real ones.

    The features are those of the averaged discriminator's last hidden layer. With their means
    ``m``, ``n`` and covariances ``C``, ``D`` for real and generated rows, the entry
    "frechet_distance" of ``history_`` is::

        [|m - n|^2 + trace(C + D - 2 (C D)^(1/2))] / trace(C)

    It is zero if both are equal, and one if all generated rows have the mean features of the real
    ones. The division makes epochs comparable, as the features become larger during training.
    Other discriminators have other features, so do not compare the distances of different models.
    The callback does not use the random numbers of training.

    .. versionadded:: 0.1

    Parameters
    ----------
    every_n_epochs : int, default=1
        Number of epochs between records.
    n_samples : int, default=2000
        Number of generated rows, and of real rows, which are chosen at random, by their weights if
        there are some. With fewer samples than features the distance is too large. The statistics
        of the generator's batch normalization are computed again when the training ends, after
        the last record.

    Raises
    ------
    ValueError
        At the start of training, if a parameter is not as described or no generator is trained.

    See Also
    --------
    sgan_sklearn.HistoryDisplay : Plots the distance beside the losses.

    References
    ----------
    Heusel et al., "GANs Trained by a Two Time-Scale Update Rule Converge to a Local Nash
    Equilibrium", 2017, arXiv:1706.08500 (on the features of a network for photographs).

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sgan_sklearn import SGANClassifier
    >>> from sgan_sklearn.callbacks import FrechetDistanceCallback
    >>> X, y = load_digits(return_X_y=True)
    >>> distance = FrechetDistanceCallback(n_samples=500)
    >>> clf = SGANClassifier(callbacks=[distance], unlabeled_value=None, max_epochs=2)
    >>> "frechet_distance" in clf.fit(X, y).history_[-1]
    True
    """

    def __init__(self, every_n_epochs: int = 1, *, n_samples: int = 2000) -> None:
        self.every_n_epochs = every_n_epochs
        self.n_samples = n_samples

    def on_train_begin(self, net: Any, **kwargs: Any) -> None:
        """Check the parameters."""
        validate_parameter_constraints(
            {
                "every_n_epochs": [Interval(Integral, 1, None, closed="left")],
                "n_samples": [Interval(Integral, 2, None, closed="left")],
            },
            {"every_n_epochs": self.every_n_epochs, "n_samples": self.n_samples},
            caller_name="FrechetDistanceCallback",
        )
        _check_trains_generator(self, net)

    def on_epoch_end(self, net: Any, dataset_train: Any = None, **kwargs: Any) -> None:
        """Record the distance every `every_n_epochs` epochs."""
        if len(net.history) % self.every_n_epochs:
            return
        # The same rows and latent vectors in each epoch.
        rng = torch.Generator().manual_seed(0)
        rows = dataset_train.rows
        chosen = torch.randperm(len(rows), generator=rng)[: self.n_samples]
        if dataset_train.frequencies is not None:  # generated rows follow the weighted distribution
            ends = dataset_train.frequencies.cpu().double().cumsum(0)
            points = ends[-1] * torch.rand(self.n_samples, generator=rng, dtype=torch.float64)
            chosen = torch.searchsorted(ends, points, right=True).clamp(max=len(rows) - 1)
        latent = torch.randn(self.n_samples, net.latent_dim, generator=rng)
        features = net.averaged_module_.forward_features
        with torch.inference_mode():
            real = _in_chunks(features, rows[chosen.to(rows.device)].to(net.device))
            generated = _in_chunks(
                lambda latent: features(net.averaged_generator_(latent)), latent.to(net.device)
            )
        net.history.record("frechet_distance", frechet_distance(real, generated))


def frechet_distance(real: np.ndarray, generated: np.ndarray) -> float:
    """Return the squared Fréchet distance of normal distributions, relative to the real variance.

    Parameters
    ----------
    real, generated : ndarray of shape (n, n_features) and (m, n_features)
        Features, to which normal distributions are fitted.

    Returns
    -------
    distance : float
        Zero for equal means and covariances; nan if all real rows are equal.
    """
    means, covariances = [], []
    for rows in (real, generated):
        rows = rows.astype(np.float64)
        means.append(rows.mean(axis=0))
        centered = rows - means[-1]
        covariances.append(centered.T @ centered / len(rows))
    variance = np.trace(covariances[0])
    # The trace of (C D)^(1/2) from symmetric matrices: that of (C^(1/2) D C^(1/2))^(1/2).
    values, directions = np.linalg.eigh(covariances[0])
    root = directions * np.sqrt(values.clip(min=0)) @ directions.T
    mixed = np.sqrt(np.linalg.eigvalsh(root @ covariances[1] @ root).clip(min=0)).sum()
    distance = np.square(means[0] - means[1]).sum() + variance + np.trace(covariances[1])
    if variance <= 1e-12 * np.square(means[0]).sum():  # rounding
        return float("nan")
    return float((distance - 2 * mixed) / variance)


def _in_chunks(function: Callable[[Tensor], Tensor], rows: Tensor) -> np.ndarray:
    """Return the flat results of a function of rows as an array."""
    return (
        torch.cat([function(part).flatten(1).float() for part in rows.split(CHUNK)]).cpu().numpy()
    )


def _check_trains_generator(callback: Callback, net: Any) -> None:
    """Raise ValueError if the training has no adversarial part."""
    if not net.trains_generator:
        raise ValueError(
            f"{type(callback).__name__} needs a trained generator, but {net.no_generator_reason}, "
            "or without the callback."
        )


class SampleGridCallback(Callback):
    """Write grids of generated images to PNG files during training.

    All grids show the same latent vectors on the same gray scale, so that a series of them shows
    the progress of the generator with averaged weights. The last grid shows the final generator.
    The callback does not use the random numbers of training: the same ``random_state`` gives the
    same model with and without it. Parallel fits, as in a grid search, would overwrite each
    other's files.

    .. versionadded:: 0.1

    Parameters
    ----------
    dirname : str or Path
        Folder for the files, ``epoch_0001.png`` and so on. Created if missing.
    every_n_epochs : int, default=1
        Number of epochs between files. A file is always written after the last epoch.
    n_samples : int, default=64
        Number of images in a grid.
    n_columns : int, default=8
        Number of images in a row.

    Raises
    ------
    ValueError
        At the start of training, if a parameter is not as described or the rows are not images.
    ImportError
        At the start of training, if matplotlib is not installed.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from sklearn.datasets import load_digits
    >>> from sgan_sklearn import SGANClassifier
    >>> from sgan_sklearn.callbacks import SampleGridCallback
    >>> X, y = load_digits(return_X_y=True)
    >>> with TemporaryDirectory() as folder:
    ...     grids = SampleGridCallback(folder, every_n_epochs=2)
    ...     clf = SGANClassifier(callbacks=[grids], unlabeled_value=None, max_epochs=3)
    ...     clf = clf.fit(X.reshape(-1, 8, 8), y)
    ...     sorted(path.name for path in Path(folder).iterdir())
    ['epoch_0002.png', 'epoch_0003.png']
    """

    def __init__(
        self,
        dirname: str | Path,
        every_n_epochs: int = 1,
        *,
        n_samples: int = 64,
        n_columns: int = 8,
    ) -> None:
        self.dirname = dirname
        self.every_n_epochs = every_n_epochs
        self.n_samples = n_samples
        self.n_columns = n_columns

    def on_train_begin(self, net: Any, X: Any = None, **kwargs: Any) -> None:
        """Check the parameters and the rows, and draw the latent vectors."""
        check_matplotlib_support("SampleGridCallback")
        positive = [Interval(Integral, 1, None, closed="left")]
        validate_parameter_constraints(
            {
                "dirname": [str, Path],
                "every_n_epochs": positive,
                "n_samples": positive,
                "n_columns": positive,
            },
            {
                "dirname": self.dirname,
                "every_n_epochs": self.every_n_epochs,
                "n_samples": self.n_samples,
                "n_columns": self.n_columns,
            },
            caller_name="SampleGridCallback",
        )
        if len(X.rows.shape) != 4:
            raise ValueError(
                "SampleGridCallback requires images, but X holds flat rows. Pass images as X, or "
                "set image_shape=(height, width). To plot tables, use SamplesDisplay."
            )
        _check_trains_generator(self, net)
        Path(self.dirname).mkdir(parents=True, exist_ok=True)
        rng = torch.Generator().manual_seed(0)
        self.latent_ = torch.randn(self.n_samples, net.latent_dim, generator=rng)
        images = self._images(X, X.rows[:N_SCALE_ROWS])
        self.range_ = images.min(), images.max()

    def on_epoch_end(self, net: Any, dataset_train: Any = None, **kwargs: Any) -> None:
        """Write a file every `every_n_epochs` epochs."""
        if len(net.history) % self.every_n_epochs == 0:
            self._write(net, dataset_train)

    def on_train_end(self, net: Any, X: Any = None, **kwargs: Any) -> None:
        """Write a file for the final generator, after its batch statistics are recomputed."""
        if len(net.history):
            self._write(net, X)

    def _write(self, net: Any, dataset: Any) -> None:
        import matplotlib.image

        with torch.inference_mode():
            planes = net.averaged_generator_(self.latent_.to(net.device))
        picture = tiled(as_picture(self._images(dataset, planes), *self.range_), self.n_columns)
        path = Path(self.dirname) / f"epoch_{len(net.history):04}.png"
        matplotlib.image.imsave(path, picture, cmap="gray", vmin=0, vmax=1)

    def _images(self, dataset: Any, planes: Tensor) -> np.ndarray:
        """Convert images in the model space, channels first, to images in the units of X."""
        _, n_channels, height, width = planes.shape
        images = dataset.to_units(planes.cpu().numpy())
        return images.reshape(-1, height, width, n_channels)
