"""Scores of methods on the same folds of the labeled rows."""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from numbers import Integral
from typing import Any, NamedTuple

import numpy as np
from sklearn.exceptions import FitFailedWarning
from sklearn.model_selection import RepeatedStratifiedKFold, StratifiedKFold
from sklearn.utils import _safe_indexing, indexable
from sklearn.utils.parallel import Parallel, delayed

from sgan_sklearn._data.targets import Target, as_code, check_target, plain_labels
from sgan_sklearn._data.validation import check_same_length
from sgan_sklearn._runtime.progress import clock, print_line
from sgan_sklearn._runtime.user_warnings import warn_user
from sgan_sklearn.inspection._methods import Method
from sgan_sklearn.model_selection import SemiSupervisedSplit, mask_labels
from sgan_sklearn.regularizers._simple_classifiers import ignore_fit_warnings, seeded_clone

__all__ = ["PartlyLabeled", "Scores", "Task", "evaluate", "read_rows", "split_tasks"]

# Folds and repetitions of "auto", with fewer folds if a class has fewer labels.
N_FOLDS, N_REPEATS = 5, 2

# Number of times that the progress is printed.
N_LINES = 5


class PartlyLabeled(NamedTuple):
    """Labeled and unlabeled rows."""

    X: Any
    y: np.ndarray
    """Labels, with `unlabeled_value` for the other rows."""

    target: Target
    unlabeled_value: Any


class Task(NamedTuple):
    """Rows of one training and test, and a seed for both."""

    train: np.ndarray
    """Indices of labeled and unlabeled rows."""

    labeled: np.ndarray
    """Indices of those whose labels are shown."""

    test: np.ndarray
    seed: int


class Scores(NamedTuple):
    """Score and duration of each method in each task."""

    values: dict[str, np.ndarray]
    seconds: dict[str, np.ndarray]


def read_rows(X: Any, y: Any, unlabeled_value: Any, caller: str) -> PartlyLabeled:
    """Return checked rows, or raise ValueError."""
    target = check_target(y, unlabeled_value, caller)
    check_same_length("y", target.values, X)
    if not target.labeled.any():
        raise ValueError(
            f"y holds no labeled row (unlabeled_value={as_code(unlabeled_value)}). Label some rows "
            "of each class."
        )
    (X,) = indexable(X)
    marked = target.values
    if not target.labeled.all():
        marked = mask_labels(y, fraction=1.0, unlabeled_value=unlabeled_value)
    return PartlyLabeled(X, marked, target, unlabeled_value)


def split_tasks(cv: Any, rows: PartlyLabeled, rng: np.random.RandomState) -> list[Task]:
    """Return the splits of "auto", a number of folds, or a splitter, with all labels."""
    mark, labeled = rows.unlabeled_value, rows.target.labeled
    if isinstance(cv, SemiSupervisedSplit):
        splitter = cv
    else:
        if isinstance(cv, str) and cv == "auto":
            _, counts = np.unique(rows.target.known_labels, return_counts=True)
            # With a single label in a class, the splitter raises the error.
            n_folds = int(np.clip(counts.min(), 2, N_FOLDS))
            cv = RepeatedStratifiedKFold(
                n_splits=n_folds, n_repeats=N_REPEATS, random_state=rng.randint(2**31 - 1)
            )
        elif isinstance(cv, Integral) and int(cv) > 1:
            cv = StratifiedKFold(int(cv), shuffle=True, random_state=rng.randint(2**31 - 1))
        splitter = SemiSupervisedSplit(cv, unlabeled_value=mark)
    return [
        Task(train, train[labeled[train]], test, int(rng.randint(2**31 - 1)))
        for train, test in splitter.split(rows.X, rows.y)
    ]


def evaluate(
    methods: dict[str, Method],
    rows: PartlyLabeled,
    tasks: Sequence[Task],
    scorer: Any,
    *,
    required: Sequence[str],
    n_jobs: int | None,
    verbose: int,
) -> Scores:
    """Fit and score each method in each task.

    Parameters
    ----------
    methods : dict of str to Method
        The methods.
    rows : PartlyLabeled
        The rows.
    tasks : sequence of Task
        Indices of the rows of each training and test.
    scorer : callable
        A scikit-learn scorer.
    required : sequence of str
        Methods whose errors are raised. The score of others that fail is nan, with a warning.
    n_jobs : int or None
        Number of processes.
    verbose : int
        Whether the expected duration and the progress are printed.
    """
    scores = Scores(*({name: np.full(len(tasks), np.nan) for name in methods} for _ in range(2)))
    errors: dict[str, str] = {}
    start = time.perf_counter()
    with Parallel(n_jobs=n_jobs) as run:
        for part in _parts(len(tasks)):
            jobs = [(name, i) for i in part for name in methods]
            fits = run(
                delayed(_fit_and_score)(methods[name], rows, tasks[i], scorer, name in required)
                for name, i in jobs
            )
            for (name, i), (score, seconds, error) in zip(jobs, fits, strict=True):
                scores.values[name][i], scores.seconds[name][i] = score, seconds
                if error:
                    errors.setdefault(name, error)
            n_done, n_left = part.stop, len(tasks) - part.stop
            if verbose and n_left:
                left = (time.perf_counter() - start) / n_done * n_left
                n_fits = len(methods) * n_done, len(methods) * len(tasks)
                print_line("{} of {} fits, about {} left".format(*n_fits, clock(left)))
    for name, error in errors.items():
        n_failed = int(np.isnan(scores.values[name]).sum())
        warn_user(
            f"{name!r} failed in {n_failed} of {len(tasks)} fits and has no score there: {error}",
            FitFailedWarning,
        )
    return scores


def _parts(n_tasks: int) -> list[range]:
    """Return the tasks in parts, the first one alone, so that the duration is known soon."""
    size = -(-n_tasks // N_LINES)
    return [range(1), *(range(i, min(i + size, n_tasks)) for i in range(1, n_tasks, size))]


def _fit_and_score(
    method: Method, rows: PartlyLabeled, task: Task, scorer: Any, is_required: bool
) -> tuple[float, float, str | None]:
    """Return the score, the seconds and the error of one fit."""
    rng = np.random.RandomState(task.seed)
    classifier = seeded_clone(method.classifier, lambda: int(rng.randint(2**31 - 1)))
    train = task.train if method.uses_unlabeled else task.labeled
    y = rows.y[train]
    y[~np.isin(train, task.labeled)] = rows.unlabeled_value
    if not method.uses_unlabeled:
        y = plain_labels(y)
    start, score, error = time.perf_counter(), np.nan, None
    try:
        with _with_few_warnings(is_required):
            classifier.fit(_safe_indexing(rows.X, train), y)
            true = plain_labels(rows.y[task.test])
            score = float(scorer(classifier, _safe_indexing(rows.X, task.test), true))
    except Exception as failure:  # a baseline need not suit the rows
        if is_required:
            raise
        error = f"{type(failure).__name__}: {failure}"
    return score, time.perf_counter() - start, error


@contextmanager
def _with_few_warnings(is_required: bool) -> Iterator[None]:
    """Suppress the warnings that are expected on the labels alone, and all those of baselines."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "y contains no unlabeled samples", UserWarning)
        if is_required:
            yield
            return
        with ignore_fit_warnings(), np.errstate(all="ignore"):
            yield
