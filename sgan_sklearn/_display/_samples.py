"""Generated rows beside real ones."""

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
from sgan_sklearn._display._checks import check_estimator
from sgan_sklearn._runtime.random import RandomState
from sgan_sklearn._runtime.settings import with_plain_settings

__all__ = ["SamplesDisplay"]

# Columns of a table that are drawn if none are named.
N_FEATURES = 4

# Levels of a category that are named at an axis, and letters of a name that are shown.
MAX_NAMED_LEVELS = 16
MAX_LETTERS = 12

COLORS = {"real": "tab:gray", "generated": "tab:orange"}


class SamplesDisplay:
    """Generated rows, as a grid of images or as pair plots of a table's columns.

    It is best made with :meth:`from_estimator`. The grid shows each image once; with real rows
    these come first, above the generated ones. The pair plots show a column against each other
    column, and on the diagonal its histogram.

    .. versionadded:: 0.1

    Parameters
    ----------
    generated : ndarray of shape (n_samples, n_features) or (n_images, height, width[, channels])
        Generated rows.
    real : ndarray of shape (n_real, n_features) or (n_images, height, width[, channels]), \
default=None
        Real rows to compare with.
    feature_names : array-like of str, default=None
        Name of each column of a table; None numbers them, "x0" and so on.
    levels : dict of int to list of str, default=None
        Names of the levels of those columns of `generated` that hold the codes of categories, by
        the place of the column. Their points are scattered about the code, so that one can see
        how many there are.

    Attributes
    ----------
    figure_ : matplotlib.figure.Figure
        The figure drawn in.
    ax_ : matplotlib.axes.Axes
        The axes of the grid of images, or those that surround the pair plots.
    axes_ : ndarray of matplotlib.axes.Axes
        The axes of each plot: (1,) for images, (n_features, n_features) for a table, whose
        histograms lie in axes of their own over those of the diagonal.

    See Also
    --------
    HistoryDisplay : The losses of the training by epoch.

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
        """Draw rows that a fitted classifier makes up.

        Parameters
        ----------
        estimator : SGANClassifier
            A fitted classifier; of a pipeline its last step, of a search its best estimator.
        X : array-like of shape (n_rows, n_features) or (n_rows, height, width[, channels]), \
default=None
            Real rows to compare with; `n_samples` of them are drawn by chance. A table needs
            them.
        n_samples : int, default=100
            Number of generated rows, and of real ones at most.
        features : sequence of int or str, default=None
            Columns of a table to draw, by index or name; None takes the first four. Dates are
            counted from the first one of the training rows. Of no use for images.
        random_state : int, RandomState instance or None, default=None
            Source of the rows.
        ax : matplotlib.axes.Axes, default=None
            Where to draw; None makes a new figure.
        **plot_kwargs : dict
            Passed to :meth:`plot`.

        Returns
        -------
        display : SamplesDisplay
            The drawn display.

        Raises
        ------
        ValueError
            If `n_samples` or `features` is not as described, if `X` is missing for a table or
            unlike the training rows, or if the classifier trained no generator.
        TypeError
            If `estimator` is no SGANClassifier.
        ImportError
            If matplotlib is missing.
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
                "The 'X' parameter of SamplesDisplay.from_estimator must hold real rows to draw "
                "beside the generated ones of a table. Got None: pass the training rows."
            )
        names = _column_names(estimator)
        chosen = _columns(features, names)
        generated = estimator.sample(n_samples, random_state=random_state)
        # Codes in place of the categories of a table, as in the real rows.
        columns = estimator._space.columns
        generated = np.asarray(generated if columns is None else columns.to_numbers(generated))
        real = None if X is None else _drawn_rows(estimator, X, n_samples, random_state)
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
        """Draw the rows.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, default=None
            Where to draw; None makes a new figure.
        n_columns : int, default=None
            Images in a row of the grid; None makes the grid about square. Not for tables.
        image_kw : dict, default=None
            Passed to ``Axes.imshow``, such as ``{"cmap": "gray_r"}``. Not for tables.
        scatter_kw : dict, default=None
            Passed to ``Axes.scatter``, such as ``{"s": 4}``. For tables only.

        Returns
        -------
        display : SamplesDisplay
            Itself, with the drawn artists in its attributes.

        Raises
        ------
        ValueError
            If `n_columns`, or the `levels` of a table, are not as described.
        ImportError
            If matplotlib is missing.
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
        shown = {part: _scattered(rows, levels, rng) for part, rows in parts.items()}
        together = np.concatenate(list(shown.values()))
        known = ~np.isnan(together)
        low = np.where(known.any(axis=0), together.min(axis=0, where=known, initial=np.inf), 0.0)
        high = np.where(known.any(axis=0), together.max(axis=0, where=known, initial=-np.inf), 0.0)
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
            place = (j * side, 1 - (i + 1) * side, 0.94 * side, 0.94 * side)
            ax = self.axes_[i, j] = self.ax_.inset_axes(place)
            ax.set(xlim=limits[j], ylim=limits[i])
            ax.tick_params(labelsize="small", labelleft=j == 0, labelbottom=i == n_features - 1)
            if i == j:
                span = float(low[i]), float(high[i])
                if i in levels:
                    bins = np.arange(len(levels[i]) + 1) - 0.5
                else:
                    bins = np.histogram_bin_edges(together[:, i], bins=20, range=span)
                histogram = ax.twinx()
                histogram.set_yticks([])
                for part, rows in parts.items():
                    values = rows[~np.isnan(rows[:, i].astype(np.float64)), i]
                    if len(values):
                        histogram.hist(
                            values, bins, density=True, histtype="step", color=COLORS[part]
                        )
            else:
                for part, rows in shown.items():
                    ax.scatter(rows[:, j], rows[:, i], **{**styles[part], **scatter_kw})
            _name_levels(ax, levels.get(j, []), levels.get(i, []))
        for name, below, left in zip(names, self.axes_[-1], self.axes_[:, 0], strict=True):
            below.set_xlabel(name)
            left.set_ylabel(name)
        if len(parts) > 1:
            for part in parts:
                self.ax_.plot([], [], color=COLORS[part], label=part)
            self.ax_.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2)


def _column_names(estimator: SGANClassifier) -> list[str]:
    names = getattr(estimator, "feature_names_in_", None)
    return [f"x{i}" for i in range(estimator.n_features_in_)] if names is None else list(names)


def _columns(features: Any, names: list[str]) -> list[int]:
    """Return the indices of columns, given by index or by name."""
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
            f"below {len(names)} or of names of columns, such as {names[:N_FEATURES]}. Got "
            f"{features!r}."
        )
    return chosen


def _drawn_rows(
    estimator: SGANClassifier, X: Any, n_most: int, random_state: RandomState
) -> np.ndarray:
    """Return some rows of X, checked and flat."""
    rows = estimator._checked_rows(X)
    if len(rows) <= n_most:
        return rows
    return rows[check_random_state(random_state).choice(len(rows), n_most, replace=False)]


def _level_names(columns: TableColumns, chosen: list[int]) -> dict[int, list[str]]:
    """Return the names of the levels of the chosen columns that are categories, by place."""
    return {
        place: [*map(str, columns.levels[i]), *(["other"] if i in columns.rare else [])]
        for place, i in enumerate(chosen)
        if i in columns.levels
    }


def _checked_levels(levels: Any, rows: np.ndarray) -> dict[int, list[str]]:
    levels = {} if levels is None else levels
    if not isinstance(levels, dict) or not all(
        isinstance(place, int | np.integer)
        and not isinstance(place, bool)
        and 0 <= place < rows.shape[1]
        and isinstance(names, list | tuple)
        and all(isinstance(name, str) for name in names)
        and not (rows[:, place] >= len(names)).any()
        for place, names in levels.items()
    ):
        raise ValueError(
            "The 'levels' parameter of SamplesDisplay must be a dict of lists of names, one for "
            f"each code, by the place of the column, below {rows.shape[1]}. Got {levels!r}."
        )
    return levels


def _scattered(
    rows: np.ndarray, levels: dict[int, list[str]], rng: np.random.RandomState
) -> np.ndarray:
    """Return numbers with the codes of levels moved at random, but not up to the next."""
    rows = np.array(rows, dtype=np.float64)
    for i in levels:
        rows[:, i] += rng.uniform(-0.3, 0.3, size=len(rows))
    return rows


def _name_levels(ax: Any, of_x: list[str], of_y: list[str]) -> None:
    """Put names at the ticks of an axis of levels, if they have room."""
    for axis, names in ((ax.xaxis, of_x), (ax.yaxis, of_y)):
        if names:
            axis.set_tick_params(labelsize="x-small")
        if 0 < len(names) <= MAX_NAMED_LEVELS:
            short = [n if len(n) <= MAX_LETTERS else f"{n[: MAX_LETTERS - 1]}…" for n in names]
            axis.set_ticks(range(len(names)), short, parse_math=False)
    if of_x:
        ax.tick_params(axis="x", rotation=90)


def _with_channels(images: np.ndarray) -> np.ndarray:
    return images[..., np.newaxis] if images.ndim == 3 else images
