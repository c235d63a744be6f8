"""Every public name has a valid docstring, and every class and function an example."""

import inspect
import pkgutil
import re
from doctest import DocTestParser
from importlib import import_module

import pytest
from numpydoc.validate import validate
from torch import nn

import sgan_sklearn

MODULES = [
    "sgan_sklearn",
    *(
        f"sgan_sklearn.{module.name}"
        for module in pkgutil.iter_modules(sgan_sklearn.__path__)
        if not module.name.startswith("_")
    ),
]

# Classes and functions, by the names under which users import them.
OBJECTS = {
    f"{module}.{name}": value
    for module in MODULES
    for name in import_module(module).__all__
    if callable(value := getattr(import_module(module), name))
}

# Checks of numpydoc that this package does not follow.
IGNORED = {
    "ES01",  # an extended summary: there is none where one line says it all
    "GL01",  # where the summary starts: numpydoc up to 1.9 wants it a line below
    "RT02",  # return values without a name: here they have one, as in scikit-learn
    "SA01",  # See Also: only where there is something to see
}
IGNORED_OF_METHODS = {
    "EX01",  # an example: that of the class shows the methods at work
}
IGNORED_OF_TORCH_CONSTRUCTORS = {
    "PR01",  # parameters: torch.nn.Module has *args and **kwargs, but takes nothing
}


def package_of(value):
    return value.__module__.partition(".")[0]


def own_methods(cls):
    """Return the public methods that a class is the first to define.

    One that overrides another of this package, or a hook of skorch's, may say less: what it takes
    and returns is described there.
    """
    bases = [base for base in cls.__mro__[1:] if package_of(base) in ("sgan_sklearn", "skorch")]
    described = {name for base in bases for name in vars(base)}
    return [
        name
        for name, value in vars(cls).items()
        if (inspect.isfunction(value) or isinstance(value, classmethod | staticmethod))
        and (not name.startswith("_") or name == "__call__")
        and name not in described
    ]


METHODS = {
    f"{name}.{method}": getattr(cls, method)
    for name, cls in OBJECTS.items()
    if inspect.isclass(cls)
    for method in own_methods(cls)
}


def errors(name):
    """Return what numpydoc finds wrong with the docstring of a public name, by its code."""
    ignored = set(IGNORED)
    if name in METHODS:
        ignored |= IGNORED_OF_METHODS
    elif getattr(OBJECTS[name], "__init__", None) is nn.Module.__init__:
        ignored |= IGNORED_OF_TORCH_CONSTRUCTORS
    return {code: message for code, message in validate(name)["errors"] if code not in ignored}


def test_public_names_are_found():
    assert {"sgan_sklearn.SGANClassifier", "sgan_sklearn.samplers.Sampler"} <= OBJECTS.keys()
    assert {
        "sgan_sklearn.HistoryDisplay.from_estimator",
        "sgan_sklearn.augmentations.Augmentation.__call__",
        "sgan_sklearn.objectives.FeatureMatching.feature_loss",
        "sgan_sklearn.objectives.Objective.generator_loss",
    } <= METHODS.keys()
    assert "sgan_sklearn.objectives.FeatureMatching.generator_loss" not in METHODS
    assert not any("SampleGridCallback" in name for name in METHODS)


@pytest.mark.parametrize("name", [*OBJECTS, *METHODS])
def test_docstring_is_valid(name):
    assert errors(name) == {}


@pytest.mark.parametrize("name", METHODS)
def test_docstring_of_a_method_describes_the_returned_value(name):
    # numpydoc asks for that only where it finds a return statement: not in an abstract method.
    returns = inspect.signature(METHODS[name]).return_annotation not in ("None", None)
    assert bool(re.search(r"^ *(Returns|Yields)\n *-+$", METHODS[name].__doc__, re.M)) == returns


@pytest.mark.parametrize("name", [*OBJECTS, *METHODS])
def test_docstring_tells_the_defaults(name):
    value = {**OBJECTS, **METHODS}[name]
    told = {
        parameter: eval(default, vars(import_module(value.__module__)))
        for names, default in re.findall(r"^ *(\w[\w, ]*) : .*\bdefault=(.+)$", value.__doc__, re.M)
        for parameter in names.split(", ")
    }
    defaults = {
        parameter.name: parameter.default
        for parameter in inspect.signature(value).parameters.values()
        if parameter.default is not parameter.empty
        # What scikit-learn calls optional and this package asks for has None as well.
        and (parameter.default is not None or parameter.name in told)
    }
    assert repr(sorted(told.items())) == repr(sorted(defaults.items()))


@pytest.mark.parametrize("name", OBJECTS)
def test_docstring_tells_the_version_and_holds_code(name):
    doc = inspect.getdoc(OBJECTS[name])
    assert re.search(r"^\.\. versionadded:: \d+\.\d+$", doc, re.M)
    assert DocTestParser().get_examples(doc)


@pytest.mark.parametrize("name", ["sgan_sklearn.SGANClassifier", "sgan_sklearn.samplers.ColumnMap"])
def test_missing_section_is_found(name, monkeypatch):
    without_examples, _ = re.split(r"\n *Examples\n", OBJECTS[name].__doc__)
    monkeypatch.setattr(OBJECTS[name], "__doc__", without_examples)
    assert list(errors(name)) == ["EX01"]
