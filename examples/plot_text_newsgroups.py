"""
=====================
Texts with few labels
=====================

This example converts texts to TF-IDF, followed by ``SGANClassifier`` at the end of the pipeline. A
few texts of each class are labeled; both steps use the unlabeled ones.
"""

# %%
# The data
# --------
# Six of the 20 newsgroups, if they can be downloaded. Otherwise, the example uses documentation:
# the docstrings of five libraries and of Python's standard library, without the names of the
# libraries. The task is then to predict the library of a text.
#
# The discussion below refers to the docstrings.
import importlib
import inspect
import re
import warnings

import matplotlib.pyplot as plt
import numpy as np
from sklearn.base import clone
from sklearn.datasets import fetch_20newsgroups
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import ConfusionMatrixDisplay
from sklearn.pipeline import make_pipeline
from sklearn.semi_supervised import LabelSpreading, SelfTrainingClassifier

from sgan_sklearn import SGANClassifier
from sgan_sklearn.model_selection import mask_labels

GROUPS = ["comp.graphics", "rec.autos", "rec.sport.hockey", "sci.med", "sci.space", "sci.crypt"]
MODULES = {
    "numpy": "numpy numpy.fft numpy.linalg numpy.ma numpy.polynomial numpy.random",
    "scipy": """scipy.integrate scipy.interpolate scipy.ndimage scipy.optimize scipy.signal
        scipy.sparse scipy.spatial scipy.special scipy.stats""",
    "sklearn": """sklearn.cluster sklearn.datasets sklearn.decomposition sklearn.ensemble
        sklearn.feature_selection sklearn.linear_model sklearn.metrics sklearn.model_selection
        sklearn.neighbors sklearn.preprocessing sklearn.svm sklearn.utils""",
    "matplotlib": """matplotlib.artist matplotlib.axes matplotlib.collections matplotlib.colors
        matplotlib.figure matplotlib.patches matplotlib.pyplot matplotlib.ticker
        matplotlib.transforms""",
    "torch": "torch torch.autograd torch.nn torch.nn.functional torch.optim torch.utils.data",
    "Python": """argparse asyncio collections datetime email functools inspect itertools json
        logging os pathlib random shutil socket sqlite3 statistics string subprocess threading
        urllib.request zipfile""",
}
OWN_NAMES = re.compile(r"numpy|np\.|scipy|sklearn|scikit|matplotlib|plt|torch|tensor", re.I)


def load_texts():
    try:
        with warnings.catch_warnings(action="ignore"):  # warnings about retries
            groups = fetch_20newsgroups(
                categories=GROUPS, remove=("headers", "footers", "quotes"), n_retries=1, delay=0.1
            )
    except OSError:
        return load_docstrings()
    chosen = np.random.default_rng(0).permutation(len(groups.data))[:1_200]
    return [groups.data[i] for i in chosen], groups.target[chosen], groups.target_names


def load_docstrings():
    """Return 200 docstrings of each library, without its name, and the library of each."""
    rng = np.random.default_rng(0)
    texts, classes = [], []
    for code, modules in enumerate(MODULES.values()):
        found = set()
        for module in map(importlib.import_module, modules.split()):
            for name, thing in vars(module).items():
                text = inspect.getdoc(thing) if callable(thing) and name[0] != "_" else None
                if text and len(text) > 100:
                    found.add(OWN_NAMES.sub(" ", text))
        texts += list(rng.choice(sorted(found), min(200, len(found)), replace=False))
        classes += [code] * (len(texts) - len(classes))
    return texts, np.array(classes), list(MODULES)


texts, y, names = load_texts()
texts = np.array(texts, dtype=object)
print(f"{len(texts)} texts of {', '.join(names)}")

# %%
# The pipeline
# ------------
# The TF-IDF of words of at least two letters that occur in at least three texts. The classifier
# reduces it to components, and scales each text to unit length.
vectorizer = TfidfVectorizer(
    stop_words="english", token_pattern=r"[a-zA-Z]{2,}", min_df=3, sublinear_tf=True
)
sgan = SGANClassifier(n_components=100, random_state=0)
model = make_pipeline(vectorizer, sgan)
few_labels = mask_labels(y, per_class=20, random_state=0)
hidden = few_labels == -1
model.fit(texts, few_labels)
found = model.predict(texts[hidden])
print(f"20 labels of each class: accuracy {(found == y[hidden]).mean():.3f} on the hidden labels")

# %%
# Fewer labels, and other methods
# -------------------------------
# All methods use the same TF-IDF.
columns = vectorizer.transform(texts)
methods = {
    "SGANClassifier": sgan,
    "LabelSpreading (rbf)": LabelSpreading(gamma=5),
    "SelfTraining (logistic regression)": SelfTrainingClassifier(LogisticRegression(C=10)),
    "LogisticRegression on the labels": LogisticRegression(C=10),
}
labels_per_class, n_draws = [2, 5, 20], 2

print(f"\n{'labels of each class':38}" + "".join(f"{n:>8}" for n in labels_per_class))
mean_accuracy = {}
for name, method in methods.items():
    accuracy = np.empty((len(labels_per_class), n_draws))
    for i, per_class in enumerate(labels_per_class):
        for draw in range(n_draws):
            some = mask_labels(y, per_class=per_class, random_state=draw)
            labeled = some != -1
            rows = labeled if isinstance(method, LogisticRegression) else slice(None)
            fitted = clone(method).fit(columns[rows], some[rows])
            accuracy[i, draw] = fitted.score(columns[~labeled], y[~labeled])
    mean_accuracy[name] = accuracy.mean(axis=1)
    print(f"{name:38}" + "".join(f"{value:8.3f}" for value in mean_accuracy[name]))

# %%
# With two or five labels of each class, ``SGANClassifier`` is better than the other methods; with
# twenty, the labels alone are enough, and all four methods are within a few points. More cannot be
# concluded from two draws. With five labels, self-training learns from its own errors and fails.
# NumPy and SciPy, which have the same subjects, are confused most often.
fig, axes = plt.subplots(1, 2, figsize=(11, 4.5), layout="constrained")
for (name, means), marker in zip(mean_accuracy.items(), "osD^", strict=True):
    axes[0].plot(labels_per_class, means, marker=marker, label=name)
axes[0].set_xscale("log")
axes[0].set_xticks(labels_per_class, labels_per_class)
axes[0].minorticks_off()
axes[0].set(
    title=f"Mean of {n_draws} draws",
    xlabel="labels of each class",
    ylabel="accuracy on the hidden labels",
)
axes[0].grid(alpha=0.3)
axes[0].legend(loc="lower right")
ConfusionMatrixDisplay.from_predictions(
    y[hidden],
    found,
    display_labels=names,
    normalize="true",
    values_format=".2f",
    cmap="Blues",
    xticks_rotation=30,
    colorbar=False,
    ax=axes[1],
)
axes[1].set_title("SGANClassifier, 20 labels of each class")
plt.show()
