import inspect
import re
import subprocess
import sys
from importlib import import_module
from importlib.metadata import version
from pathlib import Path

import pandas as pd
import pytest
from sklearn.base import BaseEstimator

import sgan_sklearn
from sgan_sklearn import SGANClassifier
from sgan_sklearn.architectures import ARCHITECTURES
from sgan_sklearn.augmentations import AUGMENTATIONS
from sgan_sklearn.objectives import OBJECTIVES
from sgan_sklearn.regularizers import REGULARIZERS

API = Path(__file__).parents[1] / "docs" / "api" / "index.rst"

PUBLIC_MODULES = [
    "sgan_sklearn",
    "sgan_sklearn.architectures",
    "sgan_sklearn.augmentations",
    "sgan_sklearn.calibration",
    "sgan_sklearn.callbacks",
    "sgan_sklearn.inspection",
    "sgan_sklearn.metrics",
    "sgan_sklearn.model_selection",
    "sgan_sklearn.objectives",
    "sgan_sklearn.regularizers",
    "sgan_sklearn.samplers",
]
PUBLIC = {
    f"{module}.{name}": getattr(import_module(module), name)
    for module in PUBLIC_MODULES
    for name in import_module(module).__all__
}
PUBLIC_CLASSES = {name: value for name, value in PUBLIC.items() if inspect.isclass(value)}

each_public_class = pytest.mark.parametrize(
    "cls", [pytest.param(cls, id=name) for name, cls in PUBLIC_CLASSES.items()]
)


def sections(docstring):
    """Split a numpydoc docstring into its sections; the part before the first is called ""."""
    parts = re.split(r"^(\w[\w ]+)\n-{3,}$", inspect.cleandoc(docstring), flags=re.MULTILINE)
    return {"": parts[0], **dict(zip(parts[1::2], parts[2::2], strict=True))}


def entries(section):
    """Return the names that a section of a numpydoc docstring describes, and their types."""
    found = re.findall(r"^(\w[\w, *]*?) : (.+)$", section, flags=re.MULTILINE)
    return {name: kind for names, kind in found for name in names.split(", ")}


def parameters_of(function):
    """Return the named parameters of a function and their defaults."""
    return {
        name: parameter.default
        for name, parameter in inspect.signature(function).parameters.items()
        if parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
        and name != "self"
    }


def own_methods(cls):
    """Return the public methods that a class itself defines."""
    return [
        name for name, value in vars(cls).items() if inspect.isfunction(value) and name[0] != "_"
    ]


def test_sections_are_parsed():
    docstring = """Do something.

    Parameters
    ----------
    a, b : int
        Numbers : many.
    c : str, default="x"
        Text.

    Returns
    -------
    result : float
        Sum.
    """
    parsed = sections(docstring)
    assert list(parsed) == ["", "Parameters", "Returns"]
    assert entries(parsed["Parameters"]) == {"a": "int", "b": "int", "c": 'str, default="x"'}


def test_version():
    assert re.fullmatch(r"\d+\.\d+\.\d+(\.dev\d+|(a|b|rc)\d+)?", sgan_sklearn.__version__)
    assert version("sgan-sklearn") == sgan_sklearn.__version__


@pytest.mark.parametrize("module", PUBLIC_MODULES)
def test_public_names_exist(module):
    names = import_module(module).__all__
    assert len(names) == len(set(names))
    assert all(hasattr(import_module(module), name) for name in names)
    assert import_module(module).__doc__


@each_public_class
def test_docstring_describes_the_parameters(cls):
    documented = entries(sections(cls.__doc__).get("Parameters", ""))
    assert list(documented) == list(parameters_of(cls))


@each_public_class
def test_docstring_contains_the_defaults(cls):
    documented = entries(sections(cls.__doc__).get("Parameters", ""))
    for name, default in parameters_of(cls).items():
        if default is inspect.Parameter.empty:
            assert "default" not in documented[name]
            continue
        (text,) = re.findall(r"default=(.+)", documented[name])
        # Values are compared, so that 1e-3 equals 0.001.
        assert text in (repr(default), str(default)) or eval(text) == default


@each_public_class
def test_methods_have_docstrings(cls):
    for name in own_methods(cls):
        if name != "forward":  # torch's
            assert getattr(cls, name).__doc__, name


@pytest.mark.parametrize("name", own_methods(SGANClassifier))
def test_methods_of_the_classifier_describe_their_parameters(name):
    method = getattr(SGANClassifier, name)
    parsed = sections(method.__doc__)
    assert list(entries(parsed.get("Parameters", ""))) == list(parameters_of(method))
    returns_nothing = inspect.signature(method).return_annotation == "None"
    assert bool(entries(parsed.get("Returns", ""))) != returns_nothing


def test_fitted_attributes_are_described(make_classifier, data):
    X, y = data
    classifier = make_classifier().fit(pd.DataFrame(X, columns=list("abcd")), y)
    properties = [name for name, v in vars(SGANClassifier).items() if isinstance(v, property)]
    fitted = {
        name for name in [*vars(classifier), *properties] if name[0] != "_" and name[-1] == "_"
    }
    assert fitted == set(entries(sections(SGANClassifier.__doc__)["Attributes"]))


@pytest.mark.parametrize(
    ("parameter", "registry"),
    [
        ("architecture", ARCHITECTURES),
        ("augment", AUGMENTATIONS),
        ("objective", OBJECTIVES),
        ("regularizer", REGULARIZERS),
    ],
    ids=["architectures", "augmentations", "objectives", "regularizers"],
)
def test_registered_names_are_described(parameter, registry):
    kind = entries(sections(SGANClassifier.__doc__)["Parameters"])[parameter]
    for name, cls in registry.items():
        assert f'"{name}"' in kind
        assert cls.__name__ in import_module(cls.__module__).__all__
        assert "References" in sections(cls.__doc__)


@pytest.mark.parametrize(
    "cls",
    [
        pytest.param(cls, id=name)
        for name, cls in PUBLIC_CLASSES.items()
        if issubclass(cls, BaseEstimator) and not inspect.isabstract(cls)
    ],
)
def test_estimators_only_assign_in_their_constructor(cls):
    required = {
        name: object()
        for name, default in parameters_of(cls).items()
        if default is inspect.Parameter.empty
    }
    assert vars(cls(**required)) == {**parameters_of(cls), **required}


GLOBAL_STATE = """
import sys
import warnings
import numpy as np
import torch
import skorch.callbacks
import sklearn.utils.estimator_checks
import torch.optim.swa_utils


def state():
    return {
        "threads": (torch.get_num_threads(), torch.get_num_interop_threads()),
        "dtype": torch.get_default_dtype(),
        "gradient": torch.is_grad_enabled(),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "precision": torch.get_float32_matmul_precision(),
        "torch": torch.get_rng_state().tolist(),
        "numpy": [str(part) for part in np.random.get_state()],
        "numpy errors": np.geterr(),
        "warnings": list(warnings.filters),
    }


before = state()
import sgan_sklearn
after = state()
changed = [name for name in before if before[name] != after[name]]
sys.exit(f"changed: {changed}" if changed else 0)
"""


def test_import_changes_no_global_state():
    result = subprocess.run(
        [sys.executable, "-c", GLOBAL_STATE], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr


HEAVY = (
    *("matplotlib", "onnx", "onnxruntime", "pandas", "polars", "pyarrow", "rich"),
    *(
        f"sklearn.{name}"
        for name in (
            *("cluster", "compose", "covariance", "decomposition", "discriminant_analysis"),
            *("ensemble", "linear_model", "neighbors", "neural_network", "semi_supervised"),
            *("svm", "tree"),
        )
    ),
)

# skorch or scikit-learn may load some of the modules.
LOADED = f"""
import sys
import torch, skorch, skorch.callbacks
import sklearn.metrics, sklearn.model_selection, sklearn.pipeline, sklearn.preprocessing
before = set(sys.modules)
import sgan_sklearn
print(*sorted(set({HEAVY}) & set(sys.modules) - before))
"""


def test_import_loads_no_heavy_module():
    loaded = subprocess.run(
        [sys.executable, "-c", LOADED], capture_output=True, text=True, check=True
    )
    assert loaded.stdout.split() == []


@pytest.mark.skipif(not API.exists(), reason="an installed package has no documentation")
def test_everything_public_has_an_api_page():
    pages = set(re.findall(r"^   ([\w.]+)$", API.read_text("utf-8"), re.MULTILINE))
    public = {
        name.removeprefix("sgan_sklearn.")
        for name, value in PUBLIC.items()
        if inspect.isclass(value) or inspect.isfunction(value)
    }
    assert public - pages == set()
