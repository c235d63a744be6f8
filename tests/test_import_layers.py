"""The modules form layers: each imports only from those below it."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

import sgan_sklearn

PACKAGE = sgan_sklearn.__name__
FOLDER = Path(sgan_sklearn.__file__).parent

# The modules and folders of the package from the bottom to the top, with the modules of each
# folder. A new module needs an entry here.
MODULES = {
    "_runtime": [
        "__init__",
        "user_warnings",
        "threads",
        "loops",
        "settings",
        "random",
        "processes",
        "device",
        "interrupts",
        "wrapper",
        "precision",
        "recorded_operations",
        "recorded_steps",
        "progress",
    ],
    "_data": [
        "__init__",
        "validation",
        "stratification",
        "targets",
        "soft_labels",
        "labels",
        "dtypes",
        "frames",
        "integers",
        "images",
        "table",
        "columns",
        "scaling",
        "space",
        "rows",
        "batches",
    ],
    "_storage": [
        "__init__",
        "state",
        "files",
        "sklearn_parts",
        "encoding",
        "estimators",
        "fingerprint",
        "checkpoints",
        "onnx_columns",
        "onnx",
    ],
    "model_selection": [],
    "metrics": [],
    "callbacks": [],
    "_losses": [],
    "_target": [],
    "calibration": [],
    "architectures": [
        "_base",
        "_layers",
        "_muon",
        "_conv",
        "_mlp",
        "_module",
        "_resnet",
        "__init__",
    ],
    "augmentations": [],
    "objectives": [],
    "regularizers": [
        "_base",
        "_simple_classifiers",
        "_patches",
        "_class_prior",
        "_consistency",
        "_distillation",
        "_entropy",
        "_spread_labels",
        "_virtual_adversarial",
        "__init__",
    ],
    "samplers": ["_base", "_distributions", "_critic", "__init__"],
    "_training": [
        "__init__",
        "schedules",
        "ensemble",
        "options",
        "diagnostics",
        "early_stopping",
        "sklearn_callbacks",
        "skorch_callbacks",
        "step",
        "run",
        "epoch",
        "net",
        "saved_net",
        "plan",
        "generation",
        "inputs",
        "build",
    ],
    "_fitted_state": [],
    "_classifier": [],
    "_saving": [],
    "_display": ["_checks", "_history", "_samples", "__init__"],
    "inspection": [
        "_numbers",
        "_methods",
        "_evaluation",
        "_comparison",
        "_comparison_display",
        "_doubts",
        "_label_cost",
        "_novelty",
        "_suggestions",
        "__init__",
    ],
    "__init__": [],
}
LAYERS = [
    module
    for folder, modules in MODULES.items()
    for module in ([f"{folder}.{name}" for name in modules] or [folder])
]
THIRD_PARTY = {"numpy", "safetensors", "scipy", "sklearn", "skorch", "threadpoolctl", "torch"}


def is_type_checking(node):
    return isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")


def runtime_imports(tree, inside_functions=True):
    """Yield the dotted names that a module imports, except those under TYPE_CHECKING."""
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
    """Return the module that contains a dotted name, given as its parts."""
    if not parts:
        return "__init__"
    inside = ".".join(parts[:2])
    if inside in LAYERS:
        return inside
    return parts[0] if parts[0] in LAYERS else f"{parts[0]}.__init__"


def test_every_module_has_a_layer():
    modules = {
        ".".join(path.relative_to(FOLDER).with_suffix("").parts) for path in FOLDER.rglob("*.py")
    }
    assert modules == set(LAYERS)
    assert len(LAYERS) == len(set(LAYERS))


def test_design_page_lists_modules_in_this_order():
    page = (Path(__file__).parents[1] / "docs" / "design.md").read_text(encoding="utf-8")
    listed = []
    for row in re.findall(r"^\| (?:\*\*)?(`\w+(?:\.py|/)`.*)", page, re.MULTILINE):
        name, content = row.split("|")[:2]
        listed += re.findall(r"`(\w+)(?:\.py|/)`", name if ".py" in name else name + content)
    # One entry stands for all regularizers.
    terms = set(MODULES["regularizers"]) - {"_base", "_simple_classifiers", "_patches"}
    assert listed == [
        name
        for folder, modules in MODULES.items()
        for name in [folder, *modules]
        if name not in {"__init__", *terms}
    ]


@pytest.mark.parametrize("module", LAYERS)
def test_module_imports_only_from_below(module):
    below = set(LAYERS[: LAYERS.index(module)])
    assert modules_imported(parse(module)) <= below


@pytest.mark.parametrize("module", LAYERS)
def test_module_imports_only_declared_dependencies(module):
    tops = {name.split(".")[0] for name in runtime_imports(parse(module), inside_functions=False)}
    assert tops - sys.stdlib_module_names - {PACKAGE} <= THIRD_PARTY


@pytest.mark.parametrize(
    ("source", "modules"),
    [
        (f"from {PACKAGE}._training.net import SGANNet", {"_training.net"}),
        (f"from {PACKAGE} import _classifier", {"_classifier"}),
        (f"import {PACKAGE}._classifier as net", {"_classifier"}),
        (f"import {PACKAGE}", {"__init__"}),
        ("from ._classifier import SGANNet", {"_classifier"}),
        ("from . import _classifier", {"_classifier"}),
        (f"def f():\n    from {PACKAGE} import _classifier", {"_classifier"}),
        (f"class C:\n    def f(self):\n        import {PACKAGE}._classifier", {"_classifier"}),
        (f"try:\n    import {PACKAGE}._classifier\nexcept ImportError:\n    pass", {"_classifier"}),
        (f"if TYPE_CHECKING:\n    import {PACKAGE}._classifier", set()),
        (f"if typing.TYPE_CHECKING:\n    import {PACKAGE}._classifier", set()),
        (f"if TYPE_CHECKING:\n    pass\nelse:\n    import {PACKAGE}._classifier", {"_classifier"}),
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
    # They are hidden, because scikit-learn loads some of them if they are installed.
    command = [sys.executable, "-c", WITHOUT_OPTIONAL_PACKAGES]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
