"""Plot of generated rows, with real rows for comparison."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral
from typing import Any

import numpy as np
from sklearn.utils import check_random_state
from sklearn.utils._optional_dependencies import check_matplotlib_support
from sklearn.utils._param_validation import Interval, validate_parameter_constraints

from sgan_sklearn._classifier import SGANClassifier
from sgan_sklearn._data.columns import TableColumns
from sgan_sklearn._data.images import as_picture, tiled
from sgan_sklearn._data.space import SparseSpace
from sgan_sklearn._display._checks import check_estimator
from sgan_sklearn._runtime.random import RandomState
from sgan_sklearn._runtime.settings import with_plain_settings

__all__ = ["SamplesDisplay"]

# Number of columns of a table that are plotted by default.
N_FEATURES = 4

# Maximum number of levels with tick labels on an axis, and of letters in a tick label.
MAX_NAMED_LEVELS = 16
MAX_LETTERS = 12

COLORS = {"real": "tab:gray", "generated": "tab:orange"}


class SamplesDisplay:
    """Plot of generated rows, as a grid of images or pair plots of the columns of a table.

    It is recommended to use :meth:`from_estimator` to create a display. In the grid, real images
    are above generated ones. The pair plots show each pair of columns, and histograms on the
    diagonal.

    .. versionadded:: 0.1

    Parameters
    ----------
    generated : ndarray of shape (n_samples, n_features) or (n_images, height, width[, channels])
        Generated rows.
    real : ndarray of shape (n_real, n_features) or (n_images, height, width[, channels]), \
default=None
        Real rows for comparison.
    feature_names : array-like of str, default=None
        Name of each column of a table. None uses "x0", "x1" and so on.
    levels : dict of int to list of str, default=None
        Names of the levels of categorical columns, by the index of the column in `generated`. Such
        a column holds codes, to which jitter is added to show the number of points.

    Attributes
    ----------
    figure_ : matplotlib.figure.Figure
        Figure of the plot.
    ax_ : matplotlib.axes.Axes
        Axes of the grid of images, or axes that contain the pair plots.
    axes_ : ndarray of matplotlib.axes.Axes
        Axes of each plot: shape (1,) for images, (n_features, n_features) for a table. Histograms
        have separate axes above those of the diagonal.

    See Also
    --------
    HistoryDisplay : Plot of the training losses by epoch.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_digits
    >>> from sgan_sklearn import SamplesDisplay, SGANClassifier
    >>> X, y = load_digits(return_X_y=True)
    >>> clf = SGANClassifier(image_shape=(8, 8), unlabeled_value=None, max_epochs=1)
    >>> clf = clf.set_params(random_state=0).fit(X, y)
    >>> display = SamplesDisplay.from_estimator(clf, n_samples=30, random_state=0)
    >>> display.generated.shape
    (30, 8, 8, 1)
    """

    figure_: Any
    ax_: Any
    axes_: np.ndarray

    def __init__(
        self,
        generated: np.ndarray,
        *,
        real: np.ndarray | None = None,
        feature_names: Any = None,
        levels: dict[int, list[str]] | None = None,
    ) -> None:
        self.generated = generated
        self.real = real
        self.feature_names = feature_names
        self.levels = levels

    @classmethod
    @with_plain_settings
    def from_estimator(
        cls,
        estimator: Any,
        X: Any = None,
        *,
        n_samples: int = 100,
        features: Sequence[int | str] | None = None,
        random_state: RandomState = None,
        ax: Any = None,
        **plot_kwargs: Any,
    ) -> SamplesDisplay:
        """Plot generated rows of a fitted classifier.

        Parameters
        ----------
        estimator : SGANClassifier
            A fitted classifier, such as the last step of a pipeline or the best estimator of a
            search.
        X : array-like of shape (n_rows, n_features) or (n_rows, height, width[, channels]), \
default=None
            Real rows for comparison, of which `n_samples` random ones are plotted. Required for a
            table.
        n_samples : int, default=100
            Number of generated rows, and maximum number of real rows.
        features : sequence of int or str, default=None
            Columns of a table to plot, by index or name. None plots the first four. Dates are
            counted from the earliest date of the training rows. Must be None for images.
        random_state : int, RandomState instance or None, default=None
            Determines the generated and the real rows.
        ax : matplotlib.axes.Axes, default=None
            Axes to plot on. None creates a new figure.
        **plot_kwargs : dict
            Passed to :meth:`plot`.

        Returns
        -------
        display : SamplesDisplay
            The display.

        Raises
        ------
        ValueError
            If `n_samples` or `features` is not as described, if `X` is missing for a table or
            unlike the training rows, or if the classifier has no generator.
        TypeError
            If `estimator` is not an SGANClassifier.
        ImportError
            If matplotlib is not installed.
        """
        check_matplotlib_support(f"{cls.__name__}.from_estimator")
        check_estimator(estimator, cls)
        validate_parameter_constraints(
            {
                "n_samples": [Interval(Integral, 1, None, closed="left")],
                "random_state": ["random_state"],
            },
            {"n_samples": n_samples, "random_state": random_state},
            caller_name="SamplesDisplay.from_estimator",
        )
        image_shape = estimator.image_shape_
        if image_shape is not None and features is not None:
            raise ValueError(
                "The 'features' parameter of SamplesDisplay.from_estimator must be None for a "
                f"classifier of images. Got {features!r}."
            )
        if image_shape is None and X is None:
            raise ValueError(
                "The 'X' parameter of SamplesDisplay.from_estimator must hold real rows for "
                "comparison with the generated rows of a table. Got None: pass the training rows."
            )
        names = _column_names(estimator)
        chosen = _columns(features, names)
        generated = estimator.sample(n_samples, random_state=random_state)
        columns = estimator._space.columns
        if image_shape is None:
            # With codes in place of categories, as in the real rows.
            generated = estimator._space.read_like_training(estimator, generated)
        real = None if X is None else _sampled_rows(estimator, X, n_samples, random_state)
        if image_shape is None:
            real = None if real is None else real[:, chosen]
            display = cls(
                generated[:, chosen],
                real=real,
                feature_names=[names[i] for i in chosen],
                levels={} if columns is None else _level_names(columns, chosen),
            )
        else:
            real = None if real is None else real.reshape(-1, *image_shape)
            display = cls(generated.reshape(-1, *image_shape), real=real)
        return display.plot(ax=ax, **plot_kwargs)

    @with_plain_settings
    def plot(
        self,
        ax: Any = None,
        *,
        n_columns: int | None = None,
        image_kw: dict[str, Any] | None = None,
        scatter_kw: dict[str, Any] | None = None,
    ) -> SamplesDisplay:
        """Plot the rows.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, default=None
            Axes to plot on. None creates a new figure.
        n_columns : int, default=None
            Number of images in a row of the grid. None makes the grid approximately square. Only
            used for images.
        image_kw : dict, default=None
            Passed to ``Axes.imshow``, such as ``{"cmap": "gray_r"}``. Only used for images.
        scatter_kw : dict, default=None
            Passed to ``Axes.scatter``, such as ``{"s": 4}``. Only used for tables.

        Returns
        -------
        display : SamplesDisplay
            The display itself.

        Raises
        ------
        ValueError
            If `n_columns`, or the `levels` of a table, are not as described.
        ImportError
            If matplotlib is not installed.
        """
        check_matplotlib_support(f"{type(self).__name__}.plot")
        validate_parameter_constraints(
            {"n_columns": [Interval(Integral, 1, None, closed="left"), None]},
            {"n_columns": n_columns},
            caller_name="SamplesDisplay.plot",
        )
        import matplotlib.pyplot as plt

        is_table = self.generated.ndim == 2
        if ax is None:
            side = np.clip(2.0 * self.generated.shape[1], 4.0, 14.0) if is_table else 5.0
            _, ax = plt.subplots(figsize=(side, side), layout="constrained")
        self.ax_, self.figure_ = ax, ax.figure
        if is_table:
            self._plot_pairs(scatter_kw or {})
        else:
            self._plot_grid(n_columns, image_kw or {})
        return self

    def _plot_grid(self, n_columns: int | None, image_kw: dict[str, Any]) -> None:
        generated = _with_channels(self.generated)
        real = generated[:0] if self.real is None else _with_channels(self.real)
        images = np.concatenate([real, generated])
        pictures = as_picture(images, images.min(), images.max())
        if n_columns is None:
            n_columns = int(np.ceil(np.sqrt(len(pictures))))
        grids = [tiled(part, n_columns) for part in (pictures[: len(real)], pictures[len(real) :])]
        scale = {} if "norm" in image_kw else {"vmin": 0, "vmax": 1}
        self.ax_.imshow(np.concatenate(grids), **{"cmap": "gray", **scale, **image_kw})
        self.ax_.set(xticks=[], yticks=[])
        if len(real):
            borders = np.cumsum([0, *map(len, grids)]) - 0.5
            self.ax_.set_yticks((borders[:-1] + borders[1:]) / 2, ["real", "generated"])
            self.ax_.tick_params(axis="y", length=0)
            self.ax_.axhline(borders[1], color=COLORS["generated"], linewidth=2)
        self.axes_ = np.array([self.ax_])

    def _plot_pairs(self, scatter_kw: dict[str, Any]) -> None:
        n_features = self.generated.shape[1]
        names = self.feature_names
        names = [f"x{i}" for i in range(n_features)] if names is None else list(names)
        parts = {} if self.real is None else {"real": self.real}
        parts["generated"] = self.generated
        levels = _checked_levels(self.levels, np.concatenate(list(parts.values())))
        rng = np.random.RandomState(0)
        jittered = {part: _jitter(rows, levels, rng) for part, rows in parts.items()}
        combined = np.concatenate(list(jittered.values()))
        known = ~np.isnan(combined)
        low = np.where(known.any(axis=0), combined.min(axis=0, where=known, initial=np.inf), 0.0)
        high = np.where(known.any(axis=0), combined.max(axis=0, where=known, initial=-np.inf), 0.0)
        margins = np.where(high > low, 0.05 * (high - low), 0.5)
        limits = np.stack([low - margins, high + margins], axis=1)
        styles = {
            part: {"s": 3, "alpha": 0.5, **({} if "c" in scatter_kw else {"color": COLORS[part]})}
            for part in parts
        }
        self.ax_.set_axis_off()
        self.axes_ = np.empty((n_features, n_features), dtype=object)
        side = 1 / n_features
        for i, j in np.ndindex(self.axes_.shape):
            bounds = (j * side, 1 - (i + 1) * side, 0.94 * side, 0.94 * side)
            ax = self.axes_[i, j] = self.ax_.inset_axes(bounds)
            ax.set(xlim=limits[j], ylim=limits[i])
            ax.tick_params(labelsize="small", labelleft=j == 0, labelbottom=i == n_features - 1)
            if i == j:
                span = float(low[i]), float(high[i])
                if i in levels:
                    bins = np.arange(len(levels[i]) + 1) - 0.5
                else:
                    bins = np.histogram_bin_edges(combined[:, i], bins=20, range=span)
                histogram = ax.twinx()
                histogram.set_yticks([])
                for part, rows in parts.items():
                    values = rows[~np.isnan(rows[:, i].astype(np.float64)), i]
                    if len(values):
                        histogram.hist(
                            values, bins, density=True, histtype="step", color=COLORS[part]
                        )
            else:
                for part, rows in jittered.items():
                    ax.scatter(rows[:, j], rows[:, i], **{**styles[part], **scatter_kw})
            _label_levels(ax, levels.get(j, []), levels.get(i, []))
        for name, below, left in zip(names, self.axes_[-1], self.axes_[:, 0], strict=True):
            below.set_xlabel(name)
            left.set_ylabel(name)
        if len(parts) > 1:
            for part in parts:
                self.ax_.plot([], [], color=COLORS[part], label=part)
            self.ax_.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2)


def _column_names(estimator: SGANClassifier) -> list[str]:
    if isinstance(estimator._space, SparseSpace):
        return [f"component {i}" for i in range(len(estimator._space.components_))]
    names = getattr(estimator, "feature_names_in_", None)
    return [f"x{i}" for i in range(estimator.n_features_in_)] if names is None else list(names)


def _columns(features: Any, names: list[str]) -> list[int]:
    """Return the indices of columns that are given by index or name."""
    if features is None:
        return list(range(min(N_FEATURES, len(names))))
    chosen = []
    for feature in features if isinstance(features, list | tuple | range | np.ndarray) else ():
        if isinstance(feature, str) and feature in names:
            chosen.append(names.index(feature))
        elif isinstance(feature, int | np.integer) and not isinstance(feature, bool):
            chosen.append(int(feature))
        else:
            chosen.append(-1)
    if not chosen or not all(0 <= i < len(names) for i in chosen):
        raise ValueError(
            "The 'features' parameter of SamplesDisplay.from_estimator must be a list of indices "
            f"below {len(names)} or of column names, such as {names[:N_FEATURES]}. Got "
            f"{features!r}."
        )
    return chosen


def _sampled_rows(
    estimator: SGANClassifier, X: Any, max_rows: int, random_state: RandomState
) -> np.ndarray:
    """Return up to `max_rows` random rows of X, checked and flattened."""
    rows = estimator._space.read_like_training(estimator, X)
    if len(rows) <= max_rows:
        return rows
    return rows[check_random_state(random_state).choice(len(rows), max_rows, replace=False)]


def _level_names(columns: TableColumns, chosen: list[int]) -> dict[int, list[str]]:
    """Return the names of the levels of the chosen categorical columns, by index in `chosen`."""
    return {
        index: [*map(str, columns.levels[i]), *(["other"] if i in columns.rare else [])]
        for index, i in enumerate(chosen)
        if i in columns.levels
    }


def _checked_levels(levels: Any, rows: np.ndarray) -> dict[int, list[str]]:
    levels = {} if levels is None else levels
    if not isinstance(levels, dict) or not all(
        isinstance(index, int | np.integer)
        and not isinstance(index, bool)
        and 0 <= index < rows.shape[1]
        and isinstance(names, list | tuple)
        and all(isinstance(name, str) for name in names)
        and not (rows[:, index] >= len(names)).any()
        for index, names in levels.items()
    ):
        raise ValueError(
            "The 'levels' parameter of SamplesDisplay must be a dict from column indices, below "
            f"{rows.shape[1]}, to lists of names, one for each code. Got {levels!r}."
        )
    return levels


def _jitter(
    rows: np.ndarray, levels: dict[int, list[str]], rng: np.random.RandomState
) -> np.ndarray:
    """Add jitter to the codes of levels."""
    rows = np.array(rows, dtype=np.float64)
    for i in levels:
        rows[:, i] += rng.uniform(-0.3, 0.3, size=len(rows))
    return rows


def _label_levels(ax: Any, x_names: list[str], y_names: list[str]) -> None:
    """Label the ticks of the axes of levels with their names, if there are not too many."""
    for axis, names in ((ax.xaxis, x_names), (ax.yaxis, y_names)):
        if names:
            axis.set_tick_params(labelsize="x-small")
        if 0 < len(names) <= MAX_NAMED_LEVELS:
            short = [n if len(n) <= MAX_LETTERS else f"{n[: MAX_LETTERS - 1]}…" for n in names]
            axis.set_ticks(range(len(names)), short, parse_math=False)
    if x_names:
        ax.tick_params(axis="x", rotation=90)


def _with_channels(images: np.ndarray) -> np.ndarray:
    return images[..., np.newaxis] if images.ndim == 3 else images
