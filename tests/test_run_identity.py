"""Fingerprint of a training run: it depends on all that determines the model, and nothing else."""

import inspect
import json
import os
import subprocess
import sys
import textwrap

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from sgan_sklearn import SGANClassifier, Training
from sgan_sklearn._storage.fingerprint import fingerprint
from sgan_sklearn.architectures import ConvArchitecture, MLPArchitecture
from sgan_sklearn.objectives import FeatureMatching
from sgan_sklearn.regularizers import ConditionalEntropy

X = np.random.RandomState(0).randint(0, 4, (30, 4)).astype(float)
Y = np.arange(30) % 3 - 1
FRAME = pd.DataFrame(X, columns=list("abcd"))
IMAGES = np.random.RandomState(0).randint(0, 256, (30, 8, 8)).astype(np.uint8)

SMALL = {
    "architecture": MLPArchitecture((4,), (4,)),
    "max_epochs": 1,
    "device": "cpu",
    "random_state": 0,
}


@pytest.fixture(scope="module")
def run_of(tmp_path_factory):
    """Return a function that fits a classifier and returns the fingerprint of its run."""

    def name(X=X, y=Y, **params):
        folder = tmp_path_factory.mktemp("run")
        classifier = SGANClassifier(**SMALL, training=Training(checkpoint_dir=folder))
        classifier.set_params(**params).fit(X, y)
        return min(path.name for path in folder.iterdir()).split("-")[0]

    return name


def changed(array, place, value):
    array = array.copy()
    array[place] = value
    return array


OTHER_ROWS = {
    "a value": changed(X, (3, 2), 9),
    "the order of columns": X[:, ::-1],
    "the order of rows": X[::-1],
    "float32": X.astype(np.float32),
    "integers": X.astype(int),
    "a frame": FRAME,
    "names": FRAME.rename(columns={"a": "z"}),
    "the order of named columns": FRAME[["b", "a", "c", "d"]],
    "one column in float32": FRAME.astype({"b": np.float32}),
    "one column of integers": FRAME.astype({"b": int}),
    "a category": FRAME.astype({"a": "category"}),
    "another category": FRAME.astype({"c": "category"}),
    "an ordered category": FRAME.astype({"a": pd.CategoricalDtype(range(4), ordered=True)}),
    "other levels": FRAME.astype({"a": pd.CategoricalDtype(range(5))}),
    "text": FRAME.astype({"a": int}).astype({"a": str}),
}


def test_run_depends_on_the_rows(run_of):
    runs = {"as they are": run_of()}
    runs |= {name: run_of(rows) for name, rows in OTHER_ROWS.items()}
    assert len(set(runs.values())) == len(runs), runs


def test_run_depends_on_the_form_of_images(run_of):
    small = {"architecture": ConvArchitecture(width=2)}
    flat = IMAGES.reshape(30, 64)
    forms = {
        "images": run_of(IMAGES, **small),
        "with a channel": run_of(IMAGES[..., np.newaxis], **small),
        "flat": run_of(flat, image_shape=(8, 8), **small),
        "a table": run_of(flat),
        "rows of pixels": run_of(flat, image_shape=(8, 8)),
        "rows of wide images": run_of(flat, image_shape=(4, 16)),
    }
    assert len(set(forms.values())) == len(forms), forms


OTHER_PARAMS = [
    {"random_state": 1},
    {"batch_size": 7},
    {"latent_dim": 3},
    {"discriminator_lr": 2e-3},
    {"unsupervised_weight": 0.5},
    {"architecture": MLPArchitecture((5,), (4,))},
    {"architecture": MLPArchitecture((4,), (4,), input_noise=0.1)},
    {"objective": "complement"},
    {"objective": FeatureMatching(norm="l1")},
    {"regularizer": None},
    {"regularizer": ["entropy"]},
    {"regularizer": ConditionalEntropy(weight=2)},
    {"scaling": "standard"},
    {"class_weight": {0: 2.0}},
    {"class_weight": {0: 1, 1: 2.0}},
    {"training__averaging_decay": 0.5},
    {"training__lr_schedule": "linear"},
    {"training__adversarial_every": 2},
    {"training__precision": "bfloat16"},
    {"early_stopping": True, "validation_fraction": 0.3},
]


def test_run_depends_on_the_parameters(run_of):
    runs = [run_of(), *(run_of(**params) for params in OTHER_PARAMS)]
    assert len(set(runs)) == len(runs)


def test_run_depends_on_the_labels(run_of):
    assert run_of() != run_of(y=changed(Y, 1, -1))


SAME = [
    {"random_state": np.int64(0)},
    {"random_state": np.uint8(0)},
    {"latent_dim": np.int32(64)},
    {"unsupervised_weight": np.float64(1.0)},
    {"verbose": 1},
    {"max_epochs": 2},
    {"training__checkpoint_every": 2},
    {"training__resume": True},
    {"callbacks": []},
    {"device": "auto"},
    {"architecture": MLPArchitecture((np.int64(4),), (4,))},
]


@pytest.mark.parametrize("params", SAME, ids=str)
def test_run_does_not_depend_on_irrelevant_parameters(run_of, params, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert run_of(**params) == run_of()


@pytest.mark.parametrize(
    "rows",
    [np.asfortranarray(X), X[:], np.repeat(X, 2, axis=0)[::2]],
    ids=["by columns", "a view", "with strides"],
)
def test_run_does_not_depend_on_the_memory_order(run_of, rows):
    assert run_of(rows) == run_of()


def test_run_does_not_depend_on_the_index_of_a_frame(run_of):
    assert run_of(FRAME.set_axis(range(30, 60))) == run_of(FRAME)


# --- values ---------------------------------------------------------------------------------------

numbers = st.integers(-(2**40), 2**40) | st.floats(allow_nan=False) | st.booleans()
plain = numbers | st.none() | st.text(max_size=5) | st.binary(max_size=5)
values = st.recursive(
    plain,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text(max_size=3), inner, max_size=3)
        | st.frozensets(plain, max_size=3)
    ),
    max_leaves=6,
)


@given(values, values)
@settings(max_examples=300)
def test_equal_values_are_equal_runs(one, other):
    assert (fingerprint(one) == fingerprint(other)) == (repr_of(one) == repr_of(other))


def repr_of(value):
    """Return text that two values have in common if they are the same, whatever their order."""
    if isinstance(value, dict):
        return f"dict {sorted((key, repr_of(item)) for key, item in value.items())}"
    if isinstance(value, frozenset):
        return f"set {sorted(map(repr_of, value))}"
    if isinstance(value, list | tuple):
        return f"{type(value).__name__} {[repr_of(item) for item in value]}"
    return repr(value)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("ab", "c"), ("a", "bc")),
        ([[1], 2], [[1, 2]]),
        ([[], 1], [[1]]),
        (np.zeros((2, 3)), np.zeros((3, 2))),
        (np.zeros(2, np.float32), np.zeros(1, np.float64)),
        (np.array([None, 1], dtype=object), np.array([1, None], dtype=object)),
        (1, True),
        (1, 1.0),
        ("1", 1),
        (nn.Linear(2, 2), nn.Linear(2, 2)),
    ],
)
def test_different_values_have_different_fingerprints(one, other):
    assert fingerprint(one) != fingerprint(other)


# --- user code ------------------------------------------------------------------------------------

PROGRAM = """
from sgan_sklearn._storage.fingerprint import fingerprint
from sgan_sklearn.objectives import FeatureMatching

FACTOR = 2.0
UNUSED = 1

def helper(x):
    return x * FACTOR

class Base(FeatureMatching):
    margin = 1.0
    kinds = frozenset(["a", "b", "c", "d"])

    @staticmethod
    def scale(x):
        return helper(x)

    @property
    def offset(self):
        return 0.5

class Own(Base):
    # a comment
    def generator_loss(self, discriminator, batch, generated):
        losses = super().generator_loss(discriminator, batch, generated)
        names = [name for name in losses]
        return {"loss": self.scale(losses["loss"]) * self.margin}

def schedule(passed):
    return 1 - passed * FACTOR / 4

print(fingerprint(Own(), schedule))
"""


def run_program(program):
    """Run a program in a namespace of its own."""
    exec(compile(program, "<string>", "exec"), {"__name__": "__main__"})


PROGRAMS = f"""
import json, sys
{inspect.getsource(run_program)}
for program in json.load(sys.stdin):
    run_program(program)
"""


def printed(programs, seed):
    """Return what each of several programs prints, all in another process."""
    result = subprocess.run(
        [sys.executable, "-c", PROGRAMS],
        input=json.dumps(programs),
        capture_output=True,
        text=True,
        env={"PYTHONHASHSEED": seed, "PATH": ""},
        check=True,
    )
    return result.stdout.splitlines()


CHANGES = [
    ("", "", True),
    ("# a comment", "# another one\n    # of two lines", True),
    ("UNUSED = 1", "UNUSED = 2", True),
    ("FACTOR = 2.0", "FACTOR = 3.0", False),
    ("margin = 1.0", "margin = 2.0", False),
    ('"c", "d"', '"c", "e"', False),
    ("return x * FACTOR", "return x + FACTOR", False),
    ("return 0.5", "return 0.25", False),
    ("self.scale(losses", "(losses", False),
    ("1 - passed", "2 - passed", False),
    ("return helper(x)", "return helper(helper(x))", False),
]


def test_run_depends_on_the_code(capsys):
    run_program(PROGRAM)
    before = capsys.readouterr().out.strip()
    # In another process, with other hashes of strings.
    seed = "2" if os.environ.get("PYTHONHASHSEED") == "1" else "1"
    after = printed([PROGRAM.replace(old, new, 1) for old, new, _ in CHANGES], seed)
    assert len(after) == len(CHANGES)
    for (old, new, same), fingerprint_after in zip(CHANGES, after, strict=True):
        assert (fingerprint_after == before) == same, (old, new)


def test_fingerprint_of_functions_that_call_each_other(capsys):
    program = textwrap.dedent("""
        from sgan_sklearn._storage.fingerprint import fingerprint

        def one(n):
            return other(n - 1) if n else 0

        def other(n):
            return one(n - 1) if n else 1

        def outer():
            def inner(n):
                return inner(n - 1) if n else later
            later = 1
            return inner

        print(fingerprint(one), fingerprint(outer()))
    """)
    run_program(program)
    assert len(capsys.readouterr().out.split()) == 2
