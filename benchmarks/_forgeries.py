"""Forged model files: changes of their structure, and typical uses of a loaded model.

A forged file has a correct checksum. It is created from an original file by changes of its JSON
content and of its arrays: other types, shapes, dtypes, lengths, names, references, nesting,
numbers.
"""

from __future__ import annotations

import copy
import math
import os
import warnings
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.base import clone

from sgan_sklearn import load, save

# Code that a forged file tries to run, and markup that must not appear in HTML.
CANARY = "canary_of_sgan_sklearn"
MARKUP = f"<script>{CANARY}()</script>"
CODE = f"__import__('os').environ.__setitem__('{CANARY}', '1')"

NUMBERS = [-1, 0, 1, 2, 624, 625, 2**31 - 1, 2**31, 2**63 - 1, 2**63, 10**30, -(2**63)]
NUMBERS += [0.5, -0.5, 1e-300, 1e300, -1e300]
NON_FINITE = [{"float": "nan"}, {"float": "inf"}, {"float": "-inf"}, {"float": CODE}]
TEXTS = ["", "x", "0", "auto", "cuda", "None", MARKUP, CODE, "\x00", "é" * 100, "a" * 10_000]
NAMES = ["__class__", "__dict__", "__doc_link_template", "__init__", "_repr_html_", "predict"]
NAMES += [
    "transform",
    "fit",
    "mean_",
    "scale_",
    "n_features_in_",
    "_sklearn_output_config",
    "shape",
]
NAMES += ["__len__", "__array__", "__setstate__", "steps", "get_params", "_doc_link_template"]
CLASSES = ["os.system", "builtins.eval", "custom.exit", "sklearn.svm.SVC", "sgan_sklearn.SGANNet"]
CLASSES += ["sklearn.preprocessing.FunctionTransformer", "sklearn.preprocessing.StandardScaler"]
CLASSES += ["sklearn.pipeline.Pipeline", "sgan_sklearn.SGANClassifier", "sgan_sklearn.Distillation"]
CLASSES += ["sgan_sklearn.CriticSampler", "sklearn.linear_model.LogisticRegression", "", MARKUP]
VALUES = [None, True, False, [], {}, [[]], {"dict": []}, {"tuple": []}, {"slice": [0, 10**8, 1]}]
VALUES += [{"function": "exit"}, {"ufunc": "add"}, {"ufunc": "load"}, {"type": "object"}]
VALUES += [{"dtype": "|O"}, {"dtype": "<U100000000"}, {"type": "float16"}, {"random_state": {}}]
VALUES += [{"object": ["sgan_sklearn.MLPArchitecture", {"params": {}, "fitted": {}}]}]
DTYPES = ["<f8", "<f4", "<f2", "<i8", "<i4", "<u1", "|b1", "<U1", "<U99", "|O", "<M8[ns]", "81"]


def forge(
    arrays: dict[str, np.ndarray], content: Any, rng: np.random.RandomState
) -> tuple[dict[str, np.ndarray], Any, str]:
    """Return changed arrays and content of an original file, and a description of the change."""
    arrays, content = dict(arrays), copy.deepcopy(content)
    kinds: list[Callable] = []
    for _ in range(1 + rng.poisson(0.5)):
        kinds.append(_CHANGES[rng.randint(len(_CHANGES))])
        with suppress(RecursionError, TypeError, ValueError):  # after an earlier change
            kinds[-1](arrays, content, rng)
    return arrays, content, " + ".join(sorted({kind.__name__.strip("_") for kind in kinds}))


def places(content: Any) -> list[tuple[Any, Any]]:
    """Return the container and the key of every value in the content of a file."""
    root = "estimator" if isinstance(content, dict) and "estimator" in content else None
    parts = [(content, key) for key in ([root] if root else _keys(content))]
    for tree, key in parts:  # grows on the way
        parts += [(tree[key], child) for child in _keys(tree[key])]
    return parts


def _keys(tree: Any) -> list[Any]:
    return list(
        range(len(tree)) if isinstance(tree, list) else tree if isinstance(tree, dict) else ()
    )


def _drawn(items: list, rng: np.random.RandomState) -> Any:
    return items[rng.randint(len(items))] if items else None


def _value(rng: np.random.RandomState) -> Any:
    options = [NUMBERS, NON_FINITE, TEXTS, VALUES]
    return copy.deepcopy(_drawn(_drawn(options, rng), rng))


# --- changes ------------------------------------------------------------------------------------


def _value_of_another_type(arrays: dict, content: Any, rng: np.random.RandomState) -> None:
    tree, key = _drawn(places(content), rng)
    tree[key] = _value(rng)


def _number_out_of_range(arrays: dict, content: Any, rng: np.random.RandomState) -> None:
    numbers = [(t, k) for t, k in places(content) if type(t[k]) in (int, float, bool)]
    if numbers:
        tree, key = _drawn(numbers, rng)
        other = [tree[key] + 1, tree[key] - 1, -tree[key], *NUMBERS, *NON_FINITE]
        tree[key] = copy.deepcopy(_drawn(other, rng))


def _values_out_of_range(arrays: dict, content: Any, rng: np.random.RandomState) -> None:
    if arrays:
        name = _drawn(sorted(arrays), rng)
        array = arrays[name].copy()
        if array.size:
            with np.errstate(all="ignore"):
                value = np.array(_drawn([*map(float, NUMBERS), math.nan, math.inf], rng))
                array[rng.randint(array.size)] = value.astype(array.dtype)
        arrays[name] = array


def _length_of_array(arrays: dict, content: Any, rng: np.random.RandomState) -> None:
    """Change an array and its shape in the content consistently."""
    described = [
        t[k]
        for t, k in places(content)
        if isinstance(t[k], list) and len(t[k]) == 4 and isinstance(t[k][3], str)
    ]
    chosen = _drawn([d for d in described if d[3] in arrays], rng)
    if chosen is None:
        return
    n = int(_drawn([0, 1, 2, 3, 7, 100, 1000], rng))
    array = arrays[chosen[3]]
    item = array.size // math.prod(chosen[1]) if math.prod(chosen[1]) else 1
    arrays[chosen[3]] = np.resize(array, n * item) if array.size else np.zeros(0, array.dtype)
    n = n if array.size else 0
    shape = _drawn([[n], [n, 1], [1, n], [1, 1, n], [0, n], [n, 0]], rng)
    chosen[1], chosen[2] = shape, list(range(len(shape)))
    if math.prod(shape) == 0:
        arrays[chosen[3]] = array[:0]


def _shape(arrays: dict, content: Any, rng: np.random.RandomState) -> None:
    described = [t[k] for t, k in places(content) if isinstance(t[k], list) and len(t[k]) == 4]
    if described:
        chosen = _drawn(described, rng)
        shapes = [
            [],
            [-1],
            [10**12],
            [0, 10**12],
            [10**12, 0],
            [2, -1],
            [1] * 70,
            "x",
            [2.0],
            [True],
        ]
        chosen[1 + rng.randint(2)] = copy.deepcopy(_drawn(shapes, rng))


def _dtype(arrays: dict, content: Any, rng: np.random.RandomState) -> None:
    described = [t[k] for t, k in places(content) if isinstance(t[k], list) and len(t[k]) == 4]
    if described:
        chosen = _drawn(described, rng)
        chosen[0] = _drawn(DTYPES, rng)
        if rng.rand() < 0.5 and isinstance(chosen[3], str) and chosen[3] in arrays:
            try:
                with np.errstate(all="ignore"):
                    arrays[chosen[3]] = arrays[chosen[3]].astype(chosen[0])
            except (TypeError, ValueError):
                return
            if arrays[chosen[3]].dtype.kind not in "biuf":
                arrays[chosen[3]] = arrays[chosen[3]].astype("<f4", casting="unsafe")


def _length_of_list(arrays: dict, content: Any, rng: np.random.RandomState) -> None:
    lists = [(t, k) for t, k in places(content) if isinstance(t[k], list) and t[k]]
    tree, key = _drawn(lists, rng)
    n = _drawn([0, 1, 2, 20_000], rng)
    tree[key] = (tree[key] * (1 + n // len(tree[key])))[:n] if rng.rand() < 0.5 else tree[key][:-1]


def _name(arrays: dict, content: Any, rng: np.random.RandomState) -> None:
    """Rename or add a key of parameters, attributes and dicts."""
    dicts = [t[k] for t, k in places(content) if isinstance(t[k], dict) and t[k]]
    tree = _drawn(dicts, rng)
    key = _drawn(sorted(tree), rng)
    name = _drawn([*NAMES, *TEXTS, *sorted(tree)], rng)
    if rng.rand() < 0.5:
        tree[name] = tree.pop(key)
    else:
        tree[name] = copy.deepcopy(tree[key]) if rng.rand() < 0.5 else _value(rng)


def _attribute(arrays: dict, content: Any, rng: np.random.RandomState) -> None:
    """Give an estimator an attribute that shadows one of its class or contains markup or code."""
    fitted = [t[k] for t, k in places(content) if k == "fitted" and isinstance(t[k], dict)]
    if fitted:
        _drawn(fitted, rng)[_drawn(NAMES, rng)] = _drawn([MARKUP, CODE, _value(rng)], rng)


def _class(arrays: dict, content: Any, rng: np.random.RandomState) -> None:
    named = [(t, k) for t, k in places(content) if isinstance(t[k], str) and "sklearn." in t[k]]
    if named:
        tree, key = _drawn(named, rng)
        tree[key] = _drawn([*CLASSES, *(t[k] for t, k in named)], rng)


def _text(arrays: dict, content: Any, rng: np.random.RandomState) -> None:
    texts = [(t, k) for t, k in places(content) if isinstance(t[k], str)]
    if texts:
        tree, key = _drawn(texts, rng)
        tree[key] = _drawn(TEXTS, rng)


def _reference(arrays: dict, content: Any, rng: np.random.RandomState) -> None:
    """Exchange two arrays, reference one twice, or remove one."""
    if len(arrays) < 2:
        return
    one, other = rng.choice(sorted(arrays), 2, replace=False)
    match rng.randint(3):
        case 0:
            arrays[one], arrays[other] = arrays[other], arrays[one]
        case 1:
            arrays[one] = arrays[other]
        case 2:
            del arrays[one]


def _moved_part(arrays: dict, content: Any, rng: np.random.RandomState) -> None:
    parts = places(content)
    (tree, key), (other, place) = _drawn(parts, rng), _drawn(parts, rng)
    tree[key] = copy.deepcopy(other[place])


def _nesting(arrays: dict, content: Any, rng: np.random.RandomState) -> None:
    tree, key = _drawn(places(content), rng)
    value = tree[key]
    for _ in range(_drawn([1, 3, 50, 150, 900, 4_000], rng)):
        value = _drawn([[value], {"tuple": [value]}, {"dict": [["x", value]]}], rng)
    tree[key] = value


_CHANGES = [
    _value_of_another_type,
    _number_out_of_range,
    _values_out_of_range,
    _length_of_array,
    _length_of_array,
    _shape,
    _dtype,
    _length_of_list,
    _name,
    _attribute,
    _class,
    _text,
    _reference,
    _moved_part,
    _nesting,
]


# --- use ----------------------------------------------------------------------------------------


def use(path: Path, X: Any, y: Any, scratch: Path) -> str:
    """Load a model and use it in all typical ways; return the outcome."""
    try:
        model = load(path)
    except ValueError as error:
        if not str(error).startswith(str(path)):
            return f"refused without the name of the file: {error}"[:200]
        return "refused"
    except BaseException as error:
        return f"load raised {type(error).__name__}: {error}"[:200]
    failed = []
    for name, action in _actions(model, X, y, scratch).items():
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                found = action()
        except Exception as error:  # any exception is counted
            failed.append(f"{name}: {type(error).__name__}")
            continue
        if isinstance(found, str) and MARKUP in found and name == "html":
            return "code: markup in the HTML representation"
    if CANARY in os.environ:
        return "code: an environment variable was set"
    return f"used, but {', '.join(failed)}" if failed else "used"


def _actions(model: Any, X: Any, y: Any, scratch: Path) -> dict[str, Callable[[], Any]]:
    last = model[-1] if hasattr(model, "steps") and model.steps else model
    rows = model[:-1].transform if last is not model else lambda X: X
    of_fitted = {
        "predict_proba": lambda: model.predict_proba(X),
        "predict": lambda: model.predict(X),
        "score_samples": lambda: last.score_samples(rows(X)),
        "sample": lambda: last.sample(3, random_state=0),
        "sample label": lambda: last.sample(label=last.classes_[:1]),
    }
    return {
        "repr": lambda: repr(model),
        "html": lambda: model._repr_html_(),
        **(of_fitted if hasattr(last, "net_") else {}),
        "clone": lambda: repr(clone(model)),
        "save": lambda: save(model, scratch),
        "copy": lambda: copy.deepcopy(model),
        "partial_fit": lambda: _learn(last, rows(X), y),
    }


def _learn(model: Any, X: Any, y: Any) -> Any:
    if hasattr(model.sampler, "fit"):
        model.set_params(sampler="generator")  # `partial_fit` supports no other sampler
    return model.partial_fit(X, y, classes=np.unique(y[y != -1]))
