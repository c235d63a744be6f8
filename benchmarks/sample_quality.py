"""Rows made up by SGANClassifier against those of CTGAN, TVAE and plain models.

Four tables, with the labels of all training rows or of 1 % of them (two of each class at least).
SGANClassifier takes unlabeled rows as they are; the other methods make rows of one table in
which the label is a column, so theirs are filled by a random forest that learned from the
labeled ones. Each method makes as many rows as it was given, five times over, and is measured by
the mean of

- accuracy: that of HistGradientBoosting on the test rows, trained on the rows made up
- told apart: area under the ROC curve of HistGradientBoosting that tells them from the test rows,
  on rows that it has not seen; 50 is perfect
- columns, pairs: SDMetrics' quality report, distances of the distributions of columns and of
  pairs of columns (the label among them); 100 is perfect
- seconds of training and of making the rows once

"real rows" are the training rows themselves. CTGAN and TVAE have their own defaults. They and
SDMetrics are needed besides: pip install ctgan sdmetrics

    python benchmarks/sample_quality.py --data DIR

It takes hours on two cores. It can be stopped at any moment and goes on where it was.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from _cells import RESULTS, few_labels, run_cells, settings, table
from _tables import Draw, draw_rows, load_table
from scipy.special import ndtr, ndtri
from scipy.stats import rankdata
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.metrics import accuracy_score, roc_auc_score
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OrdinalEncoder

from sgan_sklearn import SGANClassifier

TABLES = ("adult", "bank_marketing", "magic04", "page_blocks")
SHARES = (1.0, 0.01)
TARGET = "the label"

OURS = {
    "SGANClassifier, sampler='critic'": SGANClassifier(sampler="critic", device="cpu"),
    "SGANClassifier": SGANClassifier(device="cpu"),
}

# Tables that each trained model makes up: what is learned from one is a matter of chance.
N_MADE_UP = 5

# Makes a table up, given a seed; and what learns to do so, from rows and a seed.
Maker = Callable[[int], pd.DataFrame]
Learner = Callable[[pd.DataFrame, int], Maker]


def real_rows(rows: pd.DataFrame, seed: int) -> Maker:
    """Return the rows themselves."""
    return lambda seed: rows


def independent_columns(rows: pd.DataFrame, seed: int) -> Maker:
    """Draw each column on its own."""

    def make(seed: int) -> pd.DataFrame:
        rng = np.random.RandomState(seed)
        return pd.DataFrame(
            {name: rows[name].take(rng.permutation(len(rows))).array for name in rows.columns}
        )

    return make


def gaussian_copula(rows: pd.DataFrame, seed: int) -> Maker:
    """Draw normal scores with the correlations of the columns' own, categories by their codes."""
    rng = np.random.RandomState(seed)
    codes = pd.DataFrame(
        {
            name: rows[name].cat.codes if rows[name].dtype == "category" else rows[name]
            for name in rows.columns
        }
    )
    ranks = np.column_stack(
        [rankdata(codes[name] + 1e-9 * rng.rand(len(rows)), "ordinal") for name in codes]
    )
    covariance = np.cov(ndtri((ranks - 0.5) / len(rows)).T)
    order = np.argsort(ranks, axis=0)

    def make(seed: int) -> pd.DataFrame:
        rng = np.random.RandomState(seed)
        drawn = rng.multivariate_normal(np.zeros(len(covariance)), covariance, size=len(rows))
        places = np.clip((ndtr(drawn) * len(rows)).astype(int), 0, len(rows) - 1)
        return pd.DataFrame(
            {
                name: rows[name].take(order[places[:, i], i]).array
                for i, name in enumerate(rows.columns)
            }
        )

    return make


def of_package(name: str, rows: pd.DataFrame, seed: int) -> Maker:
    """Train CTGAN or TVAE with its own defaults."""
    import ctgan

    categories = [column for column in rows.columns if rows[column].dtype == "category"]
    known = rows.copy()
    for column in categories:
        known[column] = known[column].astype(object).fillna("missing").astype(str)
    model = getattr(ctgan, name)(enable_gpu=False)
    model.set_random_state(seed)
    model.fit(known, categories)

    def make(seed: int) -> pd.DataFrame:
        model.set_random_state(seed)
        drawn = model.sample(len(rows))
        for column in categories:
            levels = rows[column].cat.categories
            places = levels.astype(str).get_indexer(drawn[column])  # -1 for missing
            drawn[column] = pd.Categorical.from_codes(places, categories=levels)
        return drawn[rows.columns]

    return make


PEERS: dict[str, Learner] = {
    "CTGAN": partial(of_package, "CTGAN"),
    "TVAE": partial(of_package, "TVAE"),
    "Gaussian copula": gaussian_copula,
    "independent columns": independent_columns,
    "real rows": real_rows,
}
METHODS = [*OURS, *PEERS]


def keys(tables: list[str], shares: list[float], methods: list[str], n_draws: int) -> list[dict]:
    return [
        {
            "table": name,
            "share_of_labels": share,
            "method": method,
            "settings": _settings(method),
            "draw": draw,
        }
        for draw in range(n_draws)
        for share in shares
        for name in tables
        for method in methods
    ]


def _settings(method: str) -> str:
    if method in OURS:
        return settings(OURS[method])
    return f"ctgan {version('ctgan')}" if method in ("CTGAN", "TVAE") else ""


def measure(key: dict, folder: Path | None) -> dict:
    """Return how good the rows of one method are."""
    torch.set_num_threads(1)
    draw = draw_rows(load_table(key["table"], folder), 4, 10**9, key["draw"])
    X, y = draw.X_train.reset_index(drop=True), draw.y_train
    if key["share_of_labels"] < 1:
        y = some_labels(y, key["share_of_labels"], key["draw"])
    start = time.perf_counter()
    if key["method"] in OURS:
        make = ours(key["method"], X, y, key["draw"])
    else:
        rows = X.assign(**{TARGET: pd.Categorical(fill_labels(X, y, key["draw"]))})
        make = PEERS[key["method"]](rows, key["draw"])
    tables = [make(key["draw"])]
    seconds = round(time.perf_counter() - start, 1)
    tables += [make(key["draw"] + 1_000 * i) for i in range(1, N_MADE_UP)]
    found = pd.DataFrame([quality(draw, made_up) for made_up in tables])
    return {**found.mean().to_dict(), "made_up": found.to_dict("list"), "fit_seconds": seconds}


def ours(method: str, X: pd.DataFrame, y: np.ndarray, seed: int) -> Maker:
    classifier = SGANClassifier(**OURS[method].get_params(deep=False))
    mark = -1 if (y == -1).any() else None
    classifier.set_params(unlabeled_value=mark, random_state=seed).fit(X, y)
    # Labels as often as the classifier finds them.
    shares = classifier.label_distributions_.mean(axis=0)

    def make(seed: int) -> pd.DataFrame:
        rng = np.random.RandomState(seed)
        labels = rng.choice(classifier.classes_, len(X), p=shares / shares.sum())
        rows = classifier.sample(label=labels, random_state=seed)
        return rows.assign(**{TARGET: pd.Categorical(labels)})

    return make


def some_labels(y: np.ndarray, share: float, seed: int) -> np.ndarray:
    """Keep a share of the labels at random, and two of each class in any case."""
    masked = few_labels(y, 2, seed)
    more = np.random.RandomState(seed).permutation(len(y))[: round(share * len(y))]
    masked[more] = y[more]
    return masked


def fill_labels(X: pd.DataFrame, y: np.ndarray, seed: int) -> np.ndarray:
    """Return the labels with what a random forest predicts in the places of those missing."""
    missing = y == -1
    if not missing.any():
        return y
    forest = make_pipeline(in_numbers(X), RandomForestClassifier(random_state=seed))
    forest.fit(X[~missing], y[~missing])
    return np.where(missing, forest.predict(X), y)


# --- how good the rows are ------------------------------------------------------------------


def in_numbers(X: pd.DataFrame):
    """Return what turns categories into codes, fitted on the levels of X."""
    categories = make_column_selector(dtype_include="category")
    levels = [X[name].cat.categories for name in categories(X)]
    encoder = OrdinalEncoder(
        categories=levels, handle_unknown="use_encoded_value", unknown_value=np.nan
    )
    return make_column_transformer((encoder, categories), remainder="passthrough")


def boosting(X: pd.DataFrame):
    n_categories = len(make_column_selector(dtype_include="category")(X))
    is_category = np.arange(X.shape[1]) < n_categories  # the encoder puts them first
    return make_pipeline(
        in_numbers(X),
        HistGradientBoostingClassifier(categorical_features=is_category, random_state=0),
    )


def quality(draw: Draw, made_up: pd.DataFrame) -> dict:
    labels = np.asarray(made_up[TARGET])
    rows = made_up.drop(columns=TARGET)
    real = draw.X_train.reset_index(drop=True)
    learned = boosting(real).fit(rows, labels)
    accuracy = accuracy_score(draw.y_test, learned.predict(draw.X_test))
    # Not the training rows, which some methods copy.
    unseen = draw.X_test.reset_index(drop=True).assign(**{TARGET: draw.y_test.astype(float)})
    columns, pairs = report(real.assign(**{TARGET: pd.Categorical(draw.y_train)}), made_up)
    return {
        "accuracy": float(accuracy),
        "told_apart": told_apart(unseen, rows.assign(**{TARGET: labels.astype(float)})),
        "columns": columns,
        "pairs": pairs,
    }


def told_apart(real: pd.DataFrame, made_up: pd.DataFrame) -> float:
    n_rows = min(len(real), len(made_up))
    rows = pd.concat(
        [
            real.sample(n_rows, random_state=0),
            made_up[real.columns].astype(real.dtypes.to_dict()).sample(n_rows, random_state=0),
        ]
    )
    is_real = np.repeat([1, 0], n_rows)
    train, test = train_test_split(
        np.arange(len(rows)), test_size=0.5, stratify=is_real, random_state=0
    )
    judge = boosting(real).fit(rows.iloc[train], is_real[train])
    judged = judge.predict_proba(rows.iloc[test])[:, 1]
    return float(roc_auc_score(is_real[test], judged))


def report(real: pd.DataFrame, made_up: pd.DataFrame) -> tuple[float, float]:
    """Return the scores of columns and of pairs of columns of SDMetrics' quality report."""
    from sdmetrics.reports.single_table import QualityReport

    kinds = {
        name: {"sdtype": "categorical" if real[name].dtype == "category" else "numerical"}
        for name in real.columns
    }
    tables = [
        frame.assign(
            **{
                name: frame[name].astype(object).fillna("missing").astype(str)
                for name in real.columns
                if real[name].dtype == "category"
            }
        )
        for frame in (real, made_up[real.columns])
    ]
    scores = QualityReport()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of constant columns, which have no correlation
        scores.generate(*tables, {"columns": kinds}, verbose=False)
    by_property = scores.get_properties().set_index("Property")["Score"]
    return float(by_property["Column Shapes"]), float(by_property["Column Pair Trends"])


def summarize(cells: list[dict]) -> str:
    """Return a table for each share of labels."""
    places: dict[float, dict[tuple[str, str], list[dict]]] = {}
    for cell in cells:
        key = cell["key"]
        place = places.setdefault(key["share_of_labels"], {})
        place.setdefault((key["table"], key["method"]), []).append(cell)
    figures = ("accuracy", "told_apart", "columns", "pairs")
    header = ["table", "method", "accuracy", "told apart", "columns", "pairs", "seconds", "draws"]
    texts = []
    for share, runs in places.items():
        rows = [
            [
                *name,
                *(f"{100 * np.mean([cell[figure] for cell in run]):.1f}" for figure in figures),
                f"{np.median([cell['fit_seconds'] for cell in run]):.0f}",
                str(len(run)),
            ]
            for name, run in runs.items()
        ]
        texts.append(f"Labels of {share:.0%} of the rows\n\n" + table(header, rows))
    return "\n\n".join(texts)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, help="folder with schema.json, else OpenML")
    parser.add_argument("--tables", nargs="+", choices=TABLES, default=list(TABLES))
    parser.add_argument("--shares", nargs="+", type=float, default=list(SHARES))
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=METHODS)
    parser.add_argument("--draws", type=int, default=1, help="number of draws (default: 1)")
    parser.add_argument("--jobs", type=int, default=1, help="processes (default: 1)")
    parser.add_argument(
        "--output", type=Path, default=RESULTS / "sample_quality.json", help="where the cells are"
    )
    options = parser.parse_args()
    wanted = keys(options.tables, options.shares, options.methods, options.draws)
    run = partial(measure, folder=options.data)
    print(summarize(run_cells(options.output, wanted, run, jobs=options.jobs)))


if __name__ == "__main__":
    main()
