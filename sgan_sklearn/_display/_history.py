"""Plot of the training losses."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.utils._optional_dependencies import check_matplotlib_support

from sgan_sklearn._display._checks import check_estimator
from sgan_sklearn._runtime.settings import with_plain_settings

__all__ = ["HistoryDisplay"]


class HistoryDisplay:
    """Plot of the mean of each loss term by epoch.

    It is recommended to use :meth:`from_estimator` to create a display.

    .. versionadded:: 0.1

    Parameters
    ----------
    epochs : array-like of shape (n_epochs,)
        Number of each epoch.
    losses : dict of str to array-like of shape (n_epochs,)
        Mean of each loss term in each epoch.

    Attributes
    ----------
    figure_ : matplotlib.figure.Figure
        Figure of the plot.
    ax_ : matplotlib.axes.Axes
        Axes of the plot.
    lines_ : dict of str to matplotlib.lines.Line2D
        Line of each loss term.

    See Also
    --------
    SamplesDisplay : Plot of generated rows.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sgan_sklearn import HistoryDisplay, SGANClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> clf = SGANClassifier(unlabeled_value=None, max_epochs=5, random_state=0).fit(X, y)
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
    @with_plain_settings
    def from_estimator(
        cls,
        estimator: Any,
        *,
        terms: Sequence[str] | None = None,
        ax: Any = None,
        **plot_kwargs: Any,
    ) -> HistoryDisplay:
        """Plot the losses of a fitted classifier.

        Parameters
        ----------
        estimator : SGANClassifier
            A fitted classifier, such as the last step of a pipeline or the best estimator of a
            search.
        terms : sequence of str, default=None
            Names of the entries of ``history_`` to plot, such as "frechet_distance" of
            `FrechetDistanceCallback`. None plots all loss terms.
        ax : matplotlib.axes.Axes, default=None
            Axes to plot on. None creates a new figure.
        **plot_kwargs : dict
            Passed to :meth:`plot`.

        Returns
        -------
        display : HistoryDisplay
            The display.

        Raises
        ------
        ValueError
            If a name in `terms` is not a numeric entry of ``history_``.
        TypeError
            If `estimator` is not an SGANClassifier.
        ImportError
            If matplotlib is not installed.
        """
        check_matplotlib_support(f"{cls.__name__}.from_estimator")
        check_estimator(estimator, cls)
        history = estimator.history_
        names = estimator.net_.loss_names_
        if terms is not None:
            known = _names_of_numbers(history)
            if not isinstance(terms, list | tuple) or not terms or not set(terms) <= set(known):
                raise ValueError(
                    "The 'terms' parameter of HistoryDisplay.from_estimator must be a list of "
                    f"names from {known}. Got {terms!r}."
                )
            names = list(terms)
        losses = {
            name: np.array([record.get(name, np.nan) for record in history]) for name in names
        }
        epochs = np.array([record["epoch"] for record in history])
        return cls(epochs, losses).plot(ax=ax, **plot_kwargs)

    @with_plain_settings
    def plot(self, ax: Any = None, **line_kw: Any) -> HistoryDisplay:
        """Plot the losses.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, default=None
            Axes to plot on. None creates a new figure.
        **line_kw : dict
            Passed to ``Axes.plot``, such as ``linewidth=1``.

        Returns
        -------
        display : HistoryDisplay
            The display itself.
        """
        check_matplotlib_support(f"{type(self).__name__}.plot")
        import matplotlib.pyplot as plt
        from matplotlib.ticker import MaxNLocator

        if ax is None:
            _, ax = plt.subplots(layout="constrained")
        self.ax_, self.figure_ = ax, ax.figure
        self.lines_ = {}
        for name, values in self.losses.items():
            known = np.isfinite(values)  # a warm start may add or remove terms
            style = {"label": name, "marker": "o" if known.sum() == 1 else None, **line_kw}
            epochs = np.asarray(self.epochs)[known]
            (self.lines_[name],) = ax.plot(epochs, np.asarray(values)[known], **style)
        ax.set(xlabel="epoch", ylabel="loss")
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        if self.losses:
            ax.legend()
        return self


def _names_of_numbers(history: Sequence[dict[str, Any]]) -> list[str]:
    """Return the names of the entries that are numbers, without the number of the epoch."""
    return [
        name
        for name, value in ChainMap(*history).items()
        if isinstance(value, int | float | np.floating)
        and not isinstance(value, bool)
        and name != "epoch"
    ]
