"""The modules form layers: each imports only from those below it."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import sgan_sklearn

PACKAGE = sgan_sklearn.__name__
FOLDER = Path(sgan_sklearn.__file__).parent

# From the bottom to the top. A new module must be given its place here.
LAYERS = [
    "_losses",
    "_threads",
    "_settings",
    "_random",
    "_distributed",
    "_state",
    "_trouble",
    "_sampling",
    "_device",
    "_interrupts",
    "_wrapper",
    "_precision",
    "_compilation",
    "_progress",
    "_schedules",
    "_early_stopping",
    "_sklearn_callbacks",
    "_skorch_callbacks",
    "_validation",
    "_targets",
    "_labels",
    "model_selection",
    "metrics",
    "_dtypes",
    "_frames",
    "_integers",
    "_reading",
    "_columns",
    "_files",
    "_sklearn_parts",
    "_encoding",
    "_fingerprint",
    "_checkpoints",
    "_features",
    "_images",
    "_onnx",
    "_rows",
    "_batches",
    "_cuda_graphs",
    "callbacks",
    "architectures._base",
    "architectures._layers",
    "architectures._conv",
    "architectures._mlp",
    "architectures._module",
    "architectures.__init__",
    "augmentations",
    "objectives",
    "regularizers._base",
    "regularizers._guesses",
    "regularizers._class_prior",
    "regularizers._consistency",
    "regularizers._distillation",
    "regularizers._entropy",
    "regularizers._virtual_adversarial",
    "regularizers.__init__",
    "samplers._base",
    "samplers._distributions",
    "samplers._critic",
    "samplers.__init__",
    "_net",
    "_generation",
    "_choices",
    "_inputs",
    "_persistence",
    "_classifier",
    "_saving",
    "_display._checks",
    "_display._history",
    "_display._samples",
    "_display.__init__",
    "__init__",
]
THIRD_PARTY = {"numpy", "safetensors", "scipy", "sklearn", "skorch", "torch"}


def is_type_checking(node):
    return isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")


def runtime_imports(tree, inside_functions=True):
    """Yield the dotted names that a module imports, but for those under TYPE_CHECKING."""
    for node in ast.iter_child_nodes(tree):
        match node:
            case ast.Import(names=names):
                yield from (alias.name for alias in names)
            case ast.ImportFrom(module=module, names=names, level=level):
                base = ".".join(filter(None, [PACKAGE if level else None, module]))
                yield from (f"{base}.{alias.name}" for alias in names)
            case ast.FunctionDef() if not inside_functions:
                continue
            case ast.If() if is_type_checking(node):
                yield from runtime_imports(ast.Module(node.orelse, []), inside_functions)
            case _:
                yield from runtime_imports(node, inside_functions)


def parse(module):
    path = FOLDER.joinpath(*module.split(".")).with_suffix(".py")
    return ast.parse(path.read_text(encoding="utf-8"))


def modules_imported(tree):
    """Return the modules of the package that a module imports at run time."""
    names = [name.split(".") for name in runtime_imports(tree) if name.split(".")[0] == PACKAGE]
    return {module_of(parts[1:]) for parts in names}


def module_of(parts):
    """Return the module that a dotted name, split at its dots, lies in."""
    if not parts:
        return "__init__"
    inside = ".".join(parts[:2])
    if inside in LAYERS:
        return inside
    return parts[0] if parts[0] in LAYERS else f"{parts[0]}.__init__"


def test_every_module_has_its_layer():
    modules = {
        ".".join(path.relative_to(FOLDER).with_suffix("").parts) for path in FOLDER.rglob("*.py")
    }
    assert modules == set(LAYERS)
    assert len(LAYERS) == len(set(LAYERS))


@pytest.mark.parametrize("module", LAYERS)
def test_module_imports_only_from_below(module):
    below = set(LAYERS[: LAYERS.index(module)])
    assert modules_imported(parse(module)) <= below


@pytest.mark.parametrize("module", LAYERS)
def test_module_needs_only_the_declared_dependencies(module):
    tops = {name.split(".")[0] for name in runtime_imports(parse(module), inside_functions=False)}
    assert tops - sys.stdlib_module_names - {PACKAGE} <= THIRD_PARTY


@pytest.mark.parametrize(
    ("source", "modules"),
    [
        (f"from {PACKAGE}._net import SGANNet", {"_net"}),
        (f"from {PACKAGE} import _net", {"_net"}),
        (f"import {PACKAGE}._net as net", {"_net"}),
        (f"import {PACKAGE}", {"__init__"}),
        ("from ._net import SGANNet", {"_net"}),
        ("from . import _net", {"_net"}),
        (f"def f():\n    from {PACKAGE} import _net", {"_net"}),
        (f"class C:\n    def f(self):\n        import {PACKAGE}._net", {"_net"}),
        (f"try:\n    import {PACKAGE}._net\nexcept ImportError:\n    pass", {"_net"}),
        (f"if TYPE_CHECKING:\n    import {PACKAGE}._net", set()),
        (f"if typing.TYPE_CHECKING:\n    import {PACKAGE}._net", set()),
        (f"if TYPE_CHECKING:\n    pass\nelse:\n    import {PACKAGE}._net", {"_net"}),
        (f"from {PACKAGE}.architectures import ARCHITECTURES", {"architectures.__init__"}),
        (f"from {PACKAGE} import architectures", {"architectures.__init__"}),
        (f"from {PACKAGE}.architectures._base import Generator", {"architectures._base"}),
        (f"from {PACKAGE}.architectures import _base", {"architectures._base"}),
        ("import torch", set()),
    ],
)
def test_imports_are_found(source, modules):
    assert modules_imported(ast.parse(source)) == modules


WITHOUT_OPTIONAL_PACKAGES = """
import sys
from importlib.machinery import PathFinder

optional = {"matplotlib", "pandas", "polars", "rich"}


class Hiding(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        hidden = name.split(".")[0] in optional
        return None if hidden else super().find_spec(name, path, target)


sys.meta_path[sys.meta_path.index(PathFinder)] = Hiding
from sgan_sklearn import SGANClassifier

classifier = SGANClassifier(max_epochs=2, device="cpu", verbose=1)
classifier.fit([[0.0], [1.0], [2.0]], [0, 1, -1]).predict([[0.5]])
classifier.sample()
assert not optional & set(sys.modules)
"""


def test_optional_packages_are_optional():
    # Hidden, since scikit-learn itself loads some of them where it finds them.
    command = [sys.executable, "-c", WITHOUT_OPTIONAL_PACKAGES]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
