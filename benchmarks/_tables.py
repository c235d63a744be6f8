"""Tables for the benchmarks, from a folder with a schema or from OpenML."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from _cells import add_run_options, run_cells, settings
from sklearn.datasets import fetch_openml
from sklearn.model_selection import train_test_split

# Names and versions on OpenML, used without a folder; these have no official test rows.
OPENML = {
    "adult": ("adult", 2),
    "bank_marketing": ("bank-marketing", 1),
    "credit_g": ("credit-g", 1),
    "letter": ("letter", 1),
    "magic04": ("MagicTelescope", 1),
    "mushroom": ("mushroom", 1),
    "nursery": ("nursery", 1),
    "optdigits": ("optdigits", 1),
    "page_blocks": ("page-blocks", 1),
    "pendigits": ("pendigits", 1),
    "phoneme": ("phoneme", 1),
    "satimage": ("satimage", 1),
    "segment": ("segment", 1),
    "spambase": ("spambase", 1),
    "vehicle": ("vehicle", 1),
    "waveform5000": ("waveform-5000", 1),
}


class Table(NamedTuple):
    """A data set."""

    X: pd.DataFrame
    """Floats, and categories with the dtype "category"; both may have missing values."""

    y: np.ndarray
    """Class codes, from 0."""

    is_test: np.ndarray | None
    """Mask of the official test rows, if there are any."""


def names(folder: Path | None) -> list[str]:
    """Return the names of all data sets in a folder, or of those on OpenML."""
    return sorted(_schema(folder) if folder else OPENML)


@cache
def load_table(name: str, folder: Path | None) -> Table:
    """Load a data set from ``name.csv.gz`` in a folder with a ``schema.json``, or from OpenML."""
    if folder is None:
        openml_name, number = OPENML[name]
        X, y = fetch_openml(openml_name, version=number, as_frame=True, return_X_y=True)
        return Table(X, y.cat.codes.to_numpy(), None)
    schema = _schema(folder)[name]
    as_text = dict.fromkeys([*schema["categorical"], schema["target"]], str)
    rows = pd.read_csv(
        folder / f"{name}.csv.gz", dtype=as_text, keep_default_na=False, na_values=[""]
    )
    X = rows[[*schema["numeric"], *schema["categorical"]]].copy()
    X[schema["numeric"]] = X[schema["numeric"]].astype(float)
    X = X.astype(dict.fromkeys(schema["categorical"], "category"))
    _, y = np.unique(rows[schema["target"]], return_inverse=True)
    split = schema["split_column"]
    return Table(X, y, None if split is None else (rows[split] == "test").to_numpy())


class Draw(NamedTuple):
    """Training and test rows of one draw."""

    X_train: pd.DataFrame
    y_train: np.ndarray
    X_test: pd.DataFrame
    y_test: np.ndarray


def draw_rows(table: Table, least: int, n_most: int, seed: int) -> Draw:
    """Split a table at random, or with its official split.

    Parameters
    ----------
    table : Table
        The data set.
    least : int
        Minimum number of rows of a class; smaller classes are removed.
    n_most : int
        Maximum number of training rows; the others are not used.
    seed : int
        Seed of the draw.
    """
    kept = np.bincount(table.y)[table.y] >= least
    X, y = table.X[kept].reset_index(drop=True), table.y[kept]
    if table.is_test is None:
        train, test = train_test_split(
            np.arange(len(y)), test_size=0.3, stratify=y, random_state=seed
        )
    else:
        test_rows = table.is_test[kept]
        train, test = np.flatnonzero(~test_rows), np.flatnonzero(test_rows)
    if len(train) > n_most:
        train, _ = train_test_split(train, train_size=n_most, stratify=y[train], random_state=seed)
    return Draw(X.iloc[train], y[train], X.iloc[test], y[test])


@cache
def _schema(folder: Path) -> dict:
    return json.loads((folder / "schema.json").read_text())


def suite_options(
    description: str, name: str, methods: dict, labels_per_class: tuple[int, ...], n_draws: int
) -> argparse.Namespace:
    """Return the command-line options of a benchmark on all tables."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, help="folder with schema.json (default: OpenML)")
    parser.add_argument("--datasets", nargs="+", help="names (default: all)")
    parser.add_argument("--labels", nargs="+", type=int, default=list(labels_per_class))
    parser.add_argument("--methods", nargs="+", choices=methods, default=list(methods))
    parser.add_argument(
        "--draws", type=int, default=n_draws, help=f"number of draws (default: {n_draws})"
    )
    add_run_options(parser, name)
    return parser.parse_args()


def suite_cells(
    options: argparse.Namespace, methods: dict, measure: Callable[[dict, Path | None], dict]
) -> list[dict]:
    """Return the cells of a benchmark on all tables; an interrupted run has some of each draw."""
    wanted = [
        {
            "dataset": dataset,
            "labels_per_class": n_labels,
            "method": method,
            "settings": settings(methods[method]),
            "draw": draw,
        }
        for draw in range(options.draws)
        for n_labels in options.labels
        for dataset in options.datasets or names(options.data)
        for method in options.methods
    ]
    run = partial(measure, folder=options.data)
    return run_cells(options, wanted, run)
