"""Pictures of a fitted classifier, after scikit-learn's Display conventions."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any

import numpy as np
from sklearn.utils import check_random_state
from sklearn.utils._optional_dependencies import check_matplotlib_support
from sklearn.utils._param_validation import Interval, validate_parameter_constraints
from sklearn.utils.validation import check_is_fitted

from sgan_sklearn._images import as_picture, tiled
from sgan_sklearn._random import RandomState
from sgan_sklearn._validation import check_dense

__all__ = ["HistoryDisplay", "SamplesDisplay"]

# Columns of a table that are drawn if none are named.
N_FEATURES = 4

# What history_ holds besides the loss terms.
NOT_LOSSES = {"epoch", "dur"}


class SamplesDisplay:
    """Generated rows, as a grid of images or as pair plots of a table's columns.

    It is best made with :meth:`from_estimator`. The grid shows each image once; with real rows
    these come first, above the generated ones. The pair plots show a column against each other
    column, and on the diagonal its histogram.

    Parameters
    ----------
    generated : ndarray of shape (n_samples, n_features) or (n_images, height, width[, channels])
        Generated rows.
    real : ndarray of shape (n_real, n_features) or (n_images, height, width[, channels]), \
default=None
        Real rows to compare with.
    feature_names : sequence of str, default=None
        Name of each column of a table; None numbers them, "x0" and so on.

    Attributes
    ----------
    figure_ : matplotlib.figure.Figure
        The figure drawn in.
    ax_ : matplotlib.axes.Axes
        The axes of the grid of images, or those that surround the pair plots.
    axes_ : ndarray of matplotlib.axes.Axes
        The axes of each plot: (1,) for images, (n_features, n_features) for a table.

    See Also
    --------
    HistoryDisplay : The losses of the training by epoch.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_digits
    >>> from sgan_sklearn import SamplesDisplay, SGANClassifier
    >>> X, y = load_digits(return_X_y=True)
    >>> clf = SGANClassifier(image_shape=(8, 8), max_epochs=1, random_state=0).fit(X, y)
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
        feature_names: Sequence[str] | None = None,
    ) -> None:
        self.generated = generated
        self.real = real
        self.feature_names = feature_names

    @classmethod
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
            A fitted classifier.
        X : array-like of shape (n_rows, n_features) or (n_rows, *image_shape), default=None
            Real rows to compare with; `n_samples` of them are drawn by chance. A table needs
            them.
        n_samples : int, default=100
            Number of generated rows, and of real ones at most.
        features : sequence of int or str, default=None
            Columns of a table to draw, by index or name; None takes the first four. Of no use
            for images.
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
            If `n_samples` or `features` is not as described, if `X` is missing for a table, or
            if the classifier trained no generator.
        ImportError
            If matplotlib is missing.
        """
        check_matplotlib_support(f"{cls.__name__}.from_estimator")
        check_is_fitted(estimator)
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
        real = None if X is None else _drawn_rows(estimator, X, n_samples, random_state)
        generated = np.asarray(estimator.sample(n_samples, random_state=random_state))
        if image_shape is None:
            real = None if real is None else real[:, chosen]
            display = cls(generated[:, chosen], real=real, feature_names=[names[i] for i in chosen])
        else:
            real = None if real is None else real.reshape(-1, *image_shape)
            display = cls(generated.reshape(-1, *image_shape), real=real)
        return display.plot(ax=ax, **plot_kwargs)

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
            Images in a row of the grid; None makes the grid about square.
        image_kw : dict, default=None
            Passed to ``Axes.imshow``, such as ``{"cmap": "gray_r"}``.
        scatter_kw : dict, default=None
            Passed to ``Axes.scatter``, such as ``{"s": 4}``.

        Returns
        -------
        display : SamplesDisplay
            Itself, with the drawn artists in its attributes.
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
            side = 2.0 * self.generated.shape[1] if is_table else 5.0
            _, ax = plt.subplots(figsize=(side, side), layout="constrained")
        self.ax_, self.figure_ = ax, ax.figure
        if is_table:
            self._plot_pairs(scatter_kw or {})
        else:
            self._plot_grid(n_columns, image_kw or {})
        return self

    def _plot_grid(self, n_columns: int | None, image_kw: dict[str, Any]) -> None:
        real = self.generated[:0] if self.real is None else self.real
        n_real = len(real)
        pictures = as_picture(np.concatenate([real, self.generated]))  # of one grey scale
        if n_columns is None:
            n_columns = int(np.ceil(np.sqrt(len(pictures))))
        grids = [tiled(part, n_columns) for part in (pictures[:n_real], pictures[n_real:])]
        self.ax_.imshow(np.concatenate(grids), **{"cmap": "gray", "vmin": 0, "vmax": 1, **image_kw})
        self.ax_.set(xticks=[], yticks=[])
        if n_real:
            middles = np.cumsum([0, *map(len, grids)])
            self.ax_.set_yticks((middles[:-1] + middles[1:]) / 2, ["real", "generated"])
            self.ax_.tick_params(axis="y", length=0)
            self.ax_.axhline(len(grids[0]) - 0.5, color="tab:orange", linewidth=2)
        self.axes_ = np.array([self.ax_])

    def _plot_pairs(self, scatter_kw: dict[str, Any]) -> None:
        n_features = self.generated.shape[1]
        names = self.feature_names or [f"x{i}" for i in range(n_features)]
        parts = {} if self.real is None else {"real": self.real}
        parts["generated"] = self.generated
        colors = {"real": "tab:gray", "generated": "tab:orange"}
        self.ax_.set_axis_off()
        grid = self.ax_.get_subplotspec().subgridspec(n_features, n_features)
        self.axes_ = grid.subplots(squeeze=False)
        together = np.concatenate(list(parts.values())).astype(np.float64)
        for (i, j), ax in np.ndenumerate(self.axes_):
            for name, rows in parts.items():
                if i == j:
                    bins = np.histogram_bin_edges(together[:, i], bins=20)
                    ax.hist(
                        rows[:, i],
                        bins=bins,
                        density=True,
                        histtype="step",
                        color=colors[name],
                        label=name,
                    )
                else:
                    style = {"s": 3, "alpha": 0.5, "color": colors[name], **scatter_kw}
                    ax.scatter(rows[:, j], rows[:, i], **style)
            ax.label_outer()
            ax.tick_params(labelsize="small")
            if i == j:
                ax.set_yticks([])
            if i == n_features - 1:
                ax.set_xlabel(names[j])
            if j == 0:
                ax.set_ylabel(names[i])
        if len(parts) > 1:
            self.axes_[0, 0].legend(fontsize="small")


class HistoryDisplay:
    """The mean of each loss term by epoch.

    It is best made with :meth:`from_estimator`.

    Parameters
    ----------
    epochs : array-like of shape (n_epochs,)
        Number of each epoch.
    losses : dict of str to array-like of shape (n_epochs,)
        Mean of each loss term in each epoch.

    Attributes
    ----------
    figure_ : matplotlib.figure.Figure
        The figure drawn in.
    ax_ : matplotlib.axes.Axes
        The axes drawn in.
    lines_ : dict of str to matplotlib.lines.Line2D
        The line of each loss term.

    See Also
    --------
    SamplesDisplay : Rows that the classifier makes up.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sgan_sklearn import HistoryDisplay, SGANClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> clf = SGANClassifier(max_epochs=5, random_state=0).fit(X, y)
    >>> display = HistoryDisplay.from_estimator(clf)
    >>> sorted(display.lines_)[:2]
    ['class_prior', 'discriminator_loss']
    """

    figure_: Any
    ax_: Any
    lines_: dict[str, Any]

    def __init__(self, epochs: Any, losses: dict[str, Any]) -> None:
        self.epochs = epochs
        self.losses = losses

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        *,
        terms: Sequence[str] | None = None,
        ax: Any = None,
        **plot_kwargs: Any,
    ) -> HistoryDisplay:
        """Draw the losses of a fitted classifier.

        Parameters
        ----------
        estimator : SGANClassifier
            A fitted classifier.
        terms : sequence of str, default=None
            Names of the loss terms to draw, as in ``history_``; None draws all.
        ax : matplotlib.axes.Axes, default=None
            Where to draw; None makes a new figure.
        **plot_kwargs : dict
            Passed to :meth:`plot`.

        Returns
        -------
        display : HistoryDisplay
            The drawn display.

        Raises
        ------
        ValueError
            If a name among `terms` is no loss term.
        ImportError
            If matplotlib is missing.
        """
        check_matplotlib_support(f"{cls.__name__}.from_estimator")
        check_is_fitted(estimator)
        history = estimator.history_
        names = [
            name
            for name, value in (history[0] if history else {}).items()
            if isinstance(value, Real) and name not in NOT_LOSSES
        ]
        if terms is not None:
            unknown = [name for name in terms if name not in names]
            if isinstance(terms, str) or unknown:
                raise ValueError(
                    "The 'terms' parameter of HistoryDisplay.from_estimator must be a list of "
                    f"names among {names}. Got {terms!r}."
                )
            names = list(terms)
        losses = {
            name: np.array([record.get(name, np.nan) for record in history]) for name in names
        }
        epochs = np.array([record["epoch"] for record in history])
        return cls(epochs, losses).plot(ax=ax, **plot_kwargs)

    def plot(self, ax: Any = None, **line_kw: Any) -> HistoryDisplay:
        """Draw the losses.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, default=None
            Where to draw; None makes a new figure.
        **line_kw : dict
            Passed to ``Axes.plot``, such as ``linewidth=1``.

        Returns
        -------
        display : HistoryDisplay
            Itself, with the drawn artists in its attributes.
        """
        check_matplotlib_support(f"{type(self).__name__}.plot")
        import matplotlib.pyplot as plt

        if ax is None:
            _, ax = plt.subplots(layout="constrained")
        self.ax_, self.figure_ = ax, ax.figure
        # A single epoch is a point.
        style = {"marker": "o" if len(self.epochs) == 1 else None, **line_kw}
        self.lines_ = {}
        for name, values in self.losses.items():
            (self.lines_[name],) = ax.plot(self.epochs, values, **{"label": name, **style})
        ax.set(xlabel="epoch", ylabel="loss")
        if self.losses:
            ax.legend()
        return self


def _column_names(estimator: Any) -> list[str]:
    names = getattr(estimator, "feature_names_in_", None)
    return [f"x{i}" for i in range(estimator.n_features_in_)] if names is None else list(names)


def _columns(features: Sequence[int | str] | None, names: list[str]) -> list[int]:
    """Return the indices of columns, given by index or by name."""
    if features is None:
        return list(range(min(N_FEATURES, len(names))))
    known = [*range(len(names)), *names]
    chosen = [] if isinstance(features, str) else list(features)
    if not chosen or not all(feature in known for feature in chosen):
        raise ValueError(
            "The 'features' parameter of SamplesDisplay.from_estimator must be a list of indices "
            f"below {len(names)} or of names of columns, such as {names[:N_FEATURES]}. Got "
            f"{features!r}."
        )
    return [known.index(feature) % len(names) for feature in chosen]


def _drawn_rows(estimator: Any, X: Any, n_most: int, random_state: RandomState) -> np.ndarray:
    """Return some rows of X, checked, as flat numbers."""
    check_dense(X)
    rows = np.asarray(X)
    rows = rows.reshape(len(rows), -1)
    if rows.shape[1] != estimator.n_features_in_:
        raise ValueError(
            f"X has {rows.shape[1]} features, but {type(estimator).__name__} is expecting "
            f"{estimator.n_features_in_} features as input. Pass the rows it was fitted on."
        )
    if len(rows) <= n_most:
        return rows
    return rows[check_random_state(random_state).choice(len(rows), n_most, replace=False)]
