"""Callbacks for the `callbacks` parameter of `SGANClassifier`, which also accepts skorch's."""

from __future__ import annotations

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

__all__ = ["SampleGridCallback"]

# Number of real images that determine the range of the gray scale.
N_SCALE_ROWS = 500


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
        if not net.trains_generator:
            raise ValueError(
                f"SampleGridCallback needs a trained generator, but {net.no_generator_reason}, or "
                "without the callback."
            )
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
