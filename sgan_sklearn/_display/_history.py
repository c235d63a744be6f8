"""The losses of a training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.utils._optional_dependencies import check_matplotlib_support

from sgan_sklearn._display._checks import check_estimator
from sgan_sklearn._runtime.settings import with_plain_settings

__all__ = ["HistoryDisplay"]


class HistoryDisplay:
    """The mean of each loss term by epoch.

    It is best made with :meth:`from_estimator`.

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
        """Draw the losses of a fitted classifier.

        Parameters
        ----------
        estimator : SGANClassifier
            A fitted classifier; of a pipeline its last step, of a search its best estimator.
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
        TypeError
            If `estimator` is no SGANClassifier.
        ImportError
            If matplotlib is missing.
        """
        check_matplotlib_support(f"{cls.__name__}.from_estimator")
        check_estimator(estimator, cls)
        history = estimator.history_
        names = estimator.net_.loss_names_
        if terms is not None:
            if not isinstance(terms, list | tuple) or not terms or not set(terms) <= set(names):
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

    @with_plain_settings
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
        from matplotlib.ticker import MaxNLocator

        if ax is None:
            _, ax = plt.subplots(layout="constrained")
        self.ax_, self.figure_ = ax, ax.figure
        self.lines_ = {}
        for name, values in self.losses.items():
            known = np.isfinite(values)  # a term may come with a warm start
            style = {"label": name, "marker": "o" if known.sum() == 1 else None, **line_kw}
            epochs = np.asarray(self.epochs)[known]
            (self.lines_[name],) = ax.plot(epochs, np.asarray(values)[known], **style)
        ax.set(xlabel="epoch", ylabel="loss")
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        if self.losses:
            ax.legend()
        return self
