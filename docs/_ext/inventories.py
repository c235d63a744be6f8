"""Short inventories of other projects, with the names that this documentation links to.

Sphinx fetches the whole inventories where there is a network (`DOCS_OFFLINE=0`).
"""

from __future__ import annotations

import zlib
from pathlib import Path

ADDRESSES = {
    "numpy": "https://numpy.org/doc/stable/",
    "pandas": "https://pandas.pydata.org/docs/",
    "python": "https://docs.python.org/3/",
    "sklearn": "https://scikit-learn.org/stable/",
    "skorch": "https://skorch.readthedocs.io/en/stable/",
    "torch": "https://docs.pytorch.org/docs/stable/",
}
GENERATED = "modules/generated/$.html"  # scikit-learn's page of a name
NAMES = {
    "numpy": {
        "numpy.memmap": ("class", "reference/generated/$.html"),
        "numpy.ndarray": ("class", "reference/generated/$.html"),
        "numpy.random.RandomState": ("class", "reference/random/legacy.html"),
    },
    "pandas": {"pandas.DataFrame": ("class", "reference/api/$.html")},
    "python": {
        "KeyboardInterrupt": ("exception", "library/exceptions.html"),
        "TypeError": ("exception", "library/exceptions.html"),
        "ValueError": ("exception", "library/exceptions.html"),
        "pickle": ("module", "library/pickle.html"),
    },
    "sklearn": {
        "sklearn.base.BaseEstimator": ("class", GENERATED),
        "sklearn.base.clone": ("function", GENERATED),
        "sklearn.calibration.CalibratedClassifierCV": ("class", GENERATED),
        "sklearn.callback.ProgressBar": ("class", GENERATED),
        "sklearn.compose.ColumnTransformer": ("class", GENERATED),
        "sklearn.decomposition.PCA": ("class", GENERATED),
        "sklearn.decomposition.TruncatedSVD": ("class", GENERATED),
        "sklearn.ensemble.HistGradientBoostingClassifier": ("class", GENERATED),
        "sklearn.ensemble.IsolationForest": ("class", GENERATED),
        "sklearn.ensemble.RandomForestClassifier": ("class", GENERATED),
        "sklearn.exceptions.ConvergenceWarning": ("class", GENERATED),
        "sklearn.feature_extraction.text.TfidfVectorizer": ("class", GENERATED),
        "sklearn.frozen.FrozenEstimator": ("class", GENERATED),
        "sklearn.linear_model.LogisticRegression": ("class", GENERATED),
        "sklearn.model_selection.GridSearchCV": ("class", GENERATED),
        "sklearn.model_selection.StratifiedKFold": ("class", GENERATED),
        "sklearn.model_selection.cross_val_score": ("function", GENERATED),
        "sklearn.model_selection.learning_curve": ("function", GENERATED),
        "sklearn.neighbors.LocalOutlierFactor": ("class", GENERATED),
        "sklearn.pipeline": ("module", "api/$.html"),
        "sklearn.pipeline.Pipeline": ("class", GENERATED),
        "sklearn.preprocessing": ("module", "api/$.html"),
        "sklearn.semi_supervised.LabelPropagation": ("class", GENERATED),
        "sklearn.semi_supervised.LabelSpreading": ("class", GENERATED),
        "sklearn.semi_supervised.SelfTrainingClassifier": ("class", GENERATED),
    },
    "skorch": {
        "skorch.callbacks.Callback": ("class", "callbacks.html"),
        "skorch.callbacks.EarlyStopping": ("class", "callbacks.html"),
        "skorch.callbacks.LRScheduler": ("class", "callbacks.html"),
        "skorch.net.NeuralNet": ("class", "net.html"),
    },
    "torch": {
        "torch.Tensor": ("class", "tensors.html"),
        "torch.nn.Module": ("class", "generated/$.html"),
    },
}


def write(project: str, folder: Path) -> str:
    """Write the short inventory of a project, in Sphinx's format 2, and return its path."""
    lines = [
        f"{name} py:{kind} 1 {page.replace('$', name)}#{name} -"
        for name, (kind, page) in NAMES[project].items()
    ]
    head = (
        f"# Sphinx inventory version 2\n# Project: {project}\n# Version: \n"
        "# The remainder of this file is compressed using zlib.\n"
    )
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{project}.inv"
    path.write_bytes(head.encode() + zlib.compress("\n".join([*lines, ""]).encode()))
    return str(path)
