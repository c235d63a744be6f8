"""Text for the benchmarks: 20 newsgroups from a folder or from scikit-learn's fetcher."""

from __future__ import annotations

import gzip
import json
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from sklearn.datasets import fetch_20newsgroups
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.preprocessing import StandardScaler, normalize

FILE = "newsgroups20.jsonl.gz"

# Minimum number of messages that contain a word, and components of the truncated SVD; the last
# two numbers are only used for linear methods.
MIN_MESSAGES = 3
COMPONENTS = (100, 150, 300, 500)


class Messages(NamedTuple):
    """The bodies of messages, without headers, quotes and footers, and the codes of their groups.

    The official split is by date.
    """

    train: list[str]
    y_train: np.ndarray
    test: list[str]
    y_test: np.ndarray


class Features(NamedTuple):
    """Rows of numbers for the training and the test messages."""

    train: Any
    test: Any


@cache
def load_messages(folder: Path | None) -> Messages:
    """Load 20 newsgroups from ``newsgroups20.jsonl.gz`` in a folder or with scikit-learn's fetcher.

    The file contains one JSON object per line, with ``split`` ("train" or "test"), ``label`` (0 to
    19) and ``text_body``.
    """
    parts: list[Any] = []
    if folder is None:
        for split in ("train", "test"):
            bunch = fetch_20newsgroups(subset=split, remove=("headers", "footers", "quotes"))
            parts += [list(bunch.data), np.asarray(bunch.target)]
        return Messages(*parts)
    with gzip.open(folder / FILE, "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    for split in ("train", "test"):
        chosen = [row for row in rows if row["split"] == split]
        parts += [[r["text_body"] for r in chosen], np.array([r["label"] for r in chosen])]
    return Messages(*parts)


@cache
def load_features(folder: Path | None) -> dict[str, Features]:
    """Return the features by name, fitted on all training rows without labels."""
    messages = load_messages(folder)
    return make_features(messages.train, messages.test)


def make_features(train: list[str], test: list[str]) -> dict[str, Features]:
    """Return TF-IDF, and the first components of its singular value decomposition.

    The rows of components have unit length. The first of many components are almost the same as
    those of a smaller decomposition.
    """
    words = TfidfVectorizer(
        sublinear_tf=True, stop_words="english", min_df=MIN_MESSAGES, max_df=0.5
    )
    tf_idf = Features(words.fit_transform(train), words.transform(test))
    svd = TruncatedSVD(max(COMPONENTS), random_state=0).fit(tf_idf.train)
    parts = [svd.transform(rows).astype(np.float32) for rows in tf_idf]
    features = {"TF-IDF": tf_idf}
    for n in COMPONENTS:
        features[f"SVD {n}"] = Features(*(normalize(part[:, :n]) for part in parts))
    few = features[f"SVD {min(COMPONENTS)}"]
    scaler = StandardScaler().fit(few.train)
    features["standardized"] = Features(*map(scaler.transform, few))
    return features
