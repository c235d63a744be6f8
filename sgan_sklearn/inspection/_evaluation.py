"""Results of methods on the same folds of the labeled rows."""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from numbers import Integral, Real
from typing import Any, NamedTuple

import numpy as np
from sklearn.exceptions import FitFailedWarning
from sklearn.metrics import check_scoring
from sklearn.model_selection import RepeatedStratifiedKFold, StratifiedKFold
from sklearn.utils import _safe_indexing, indexable
from sklearn.utils._param_validation import validate_parameter_constraints
from sklearn.utils.parallel import Parallel, delayed

from sgan_sklearn._data.targets import Target, as_code, check_mark, check_target, plain_labels
from sgan_sklearn._data.validation import check_same_length
from sgan_sklearn._runtime.progress import clock, print_line
from sgan_sklearn._runtime.user_warnings import warn_user
from sgan_sklearn.inspection._methods import Method, are_equal
from sgan_sklearn.model_selection import SemiSupervisedSplit, mask_labels
from sgan_sklearn.regularizers._simple_classifiers import ignore_fit_warnings, seeded_clone

__all__ = [
    "PartlyLabeled",
    "Results",
    "Task",
    "check_options",
    "evaluate",
    "evaluate_scores",
    "fitted",
    "read_rows",
    "score_name",
    "split_tasks",
]

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


class Results(NamedTuple):
    """Result and duration of each method in each task."""

    values: dict[str, list[Any]]
    seconds: dict[str, np.ndarray]


def check_options(
    caller: str, *, unlabeled_value: Any, n_jobs: Any, random_state: Any, verbose: Any
) -> None:
    """Raise ValueError if one of the arguments that the functions share is not valid."""
    check_mark(unlabeled_value, caller)
    validate_parameter_constraints(
        {
            "unlabeled_value": [Real, str, None],
            "n_jobs": [Integral, None],
            "random_state": ["random_state"],
            "verbose": ["verbose"],
        },
        {
            "unlabeled_value": unlabeled_value,
            "n_jobs": n_jobs,
            "random_state": random_state,
            "verbose": verbose,
        },
        caller_name=caller,
    )


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
    if unlabeled_value is None:
        labels = target.known_labels
    else:  # all labels, in a dtype that can hold the value of unlabeled rows
        labels = mask_labels(y, fraction=1.0, unlabeled_value=unlabeled_value)
    return PartlyLabeled(X, labels, target, unlabeled_value)


def split_tasks(
    cv: Any, rows: PartlyLabeled, groups: Any, rng: np.random.RandomState
) -> list[Task]:
    """Return the splits of "auto", a number of folds, or a splitter, with all labels."""
    mark, labeled = rows.unlabeled_value, rows.target.labeled
    if isinstance(cv, SemiSupervisedSplit):
        splitter = cv
        if not are_equal(cv.unlabeled_value, mark):
            raise ValueError(
                "The 'cv' parameter must have the value of unlabeled_value that is passed here, "
                f"{mark!r}. Got {cv!r}."
            )
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
        for train, test in splitter.split(rows.X, rows.y, groups)
    ]


def evaluate(
    methods: dict[str, Method],
    rows: PartlyLabeled,
    tasks: Sequence[Task],
    measure: Any,
    *,
    required: Sequence[str],
    n_jobs: int | None,
    verbose: int,
) -> Results:
    """Fit each method in each task, and measure it on the test rows.

    Parameters
    ----------
    methods : dict of str to Method
        The methods.
    rows : PartlyLabeled
        The rows.
    tasks : sequence of Task
        Indices of the rows of each training and test.
    measure : callable
        A scikit-learn scorer, or another function of a fitted classifier and the test rows.
    required : sequence of str
        Methods whose errors are raised. The result of others that fail is nan, with a warning.
    n_jobs : int or None
        Number of processes.
    verbose : int
        Whether the expected duration and the progress are printed.
    """
    results = Results(
        {name: [np.nan] * len(tasks) for name in methods},
        {name: np.full(len(tasks), np.nan) for name in methods},
    )
    errors: dict[str, str] = {}
    start = time.perf_counter()
    with Parallel(n_jobs=n_jobs) as run:
        for part in _parts(len(tasks)):
            jobs = [(name, i) for i in part for name in methods]
            fits = run(
                delayed(_fit_and_measure)(
                    name, methods[name], rows, tasks[i], measure, name in required
                )
                for name, i in jobs
            )
            for (name, i), (value, seconds, error) in zip(jobs, fits, strict=True):
                results.values[name][i], results.seconds[name][i] = value, seconds
                if error:
                    errors.setdefault(name, error)
            n_done, n_left = part.stop, len(tasks) - part.stop
            if verbose and n_left:
                left = (time.perf_counter() - start) / n_done * n_left
                n_fits = len(methods) * n_done, len(methods) * len(tasks)
                print_line("{} of {} fits, about {} left".format(*n_fits, clock(left)))
    for name, error in errors.items():
        warn_user(
            f"{name!r} failed, and has no score in some or all of the {len(tasks)} splits: {error}",
            FitFailedWarning,
        )
    return results


def evaluate_scores(
    methods: dict[str, Method],
    rows: PartlyLabeled,
    tasks: Sequence[Task],
    scoring: Any,
    **options: Any,
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Return the scores and the seconds of each method, or raise ValueError if one is nan."""
    if not (scoring is None or isinstance(scoring, str) or callable(scoring)):
        raise ValueError(
            "The 'scoring' parameter must be the name of one score, a scorer or None. Got "
            f"{scoring!r}."
        )
    scorer = check_scoring(next(iter(methods.values())).classifier, scoring)
    results = evaluate(methods, rows, tasks, scorer, **options)
    scores = {name: np.array(values, dtype=float) for name, values in results.values.items()}
    for name in options["required"]:
        if not np.isfinite(scores[name]).all():
            raise ValueError(
                f"The score of {name!r} is nan in {int(np.isnan(scores[name]).sum())} of "
                f"{len(tasks)} splits. Pass a scoring that is defined for {len(tasks[0].test)} "
                "test rows, or a cv with larger test sets."
            )
    return scores, results.seconds


def score_name(scoring: Any) -> str:
    """Return the name of a score, for plots and messages."""
    return scoring if isinstance(scoring, str) else "score"


def _parts(n_tasks: int) -> list[range]:
    """Return the tasks in parts, the first one alone, so that the duration is known soon."""
    size = -(-n_tasks // N_LINES)
    return [range(1), *(range(i, min(i + size, n_tasks)) for i in range(1, n_tasks, size))]


def fitted(method: Method, rows: PartlyLabeled, labeled: np.ndarray, seed: int) -> Any:
    """Return the classifier of a method, fitted on all rows that it can learn from."""
    train = np.arange(len(rows.y)) if method.uses_unlabeled else labeled
    with _with_few_warnings(True):
        return _fitted(method, rows, train, labeled, seed)


def _fitted(
    method: Method, rows: PartlyLabeled, train: np.ndarray, labeled: np.ndarray, seed: int
) -> Any:
    """Return the classifier of a method, fitted on some rows, of which some show their labels."""
    rng = np.random.RandomState(seed)
    classifier = seeded_clone(method.classifier, lambda: int(rng.randint(2**31 - 1)))
    y = rows.y[train]
    hidden = ~np.isin(train, labeled)
    if hidden.any():
        y[hidden] = rows.unlabeled_value
    else:
        y = plain_labels(y)
    classifier.fit(_safe_indexing(rows.X, train), y)
    return classifier


def _fit_and_measure(
    name: str, method: Method, rows: PartlyLabeled, task: Task, measure: Any, is_required: bool
) -> tuple[Any, float, str | None]:
    """Return the result, the seconds and the error of one fit."""
    train = task.train if method.uses_unlabeled else task.labeled
    start, value, error = time.perf_counter(), np.nan, None
    try:
        with _with_few_warnings(is_required):
            classifier = _fitted(method, rows, train, task.labeled, task.seed)
            true = plain_labels(rows.y[task.test])
            value = measure(classifier, _safe_indexing(rows.X, task.test), true)
    except Exception as failure:  # a baseline need not suit the rows
        if is_required:
            failure.add_note(
                f"This happened in the fit of {name!r} on {len(train)} rows, of which "
                f"{len(task.labeled)} have a label."
            )
            raise
        error = f"{type(failure).__name__}: {failure}"
    return value, time.perf_counter() - start, error


@contextmanager
def _with_few_warnings(is_required: bool) -> Iterator[None]:
    """Suppress the warnings that are expected on the labels alone, and more of baselines."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "y contains no unlabeled samples", UserWarning)
        if is_required:
            yield
            return
        with ignore_fit_warnings():
            yield
