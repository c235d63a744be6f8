"""Tables of many columns of one kind, such as embeddings, have their own defaults and scaling."""

import tracemalloc

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.preprocessing import MinMaxScaler, normalize

from sgan_sklearn import SGANClassifier
from sgan_sklearn._data.scaling import FeatureScaler
from sgan_sklearn._training.inputs import check_inputs
from sgan_sklearn.architectures import MLPArchitecture
from sgan_sklearn.model_selection import mask_labels

N_ROWS = 60


def inputs(X, **params):
    y = np.arange(len(X)) % 4 - 1  # a quarter is unlabeled
    estimator = SGANClassifier(**params)
    return check_inputs(estimator, X, y, continued=False, in_parts=False, classes=None)


def numbers(n_columns, n_rows=N_ROWS):
    return np.random.RandomState(0).normal(size=(n_rows, n_columns))


def names(given):
    return [regularizer.name for regularizer in given.plan.regularizers]


WIDE = ["virtual_adversarial", "class_prior", "pseudo_label"]


@pytest.mark.parametrize("scaling", ["auto", "shared", "standard"])
def test_many_columns_of_numbers(scaling):
    given = inputs(numbers(100), scaling=scaling)
    assert names(given) == WIDE
    assert given.plan.architecture.get_params()["input_noise"] == 1.0
    assert given.plan.architecture.get_params()["hidden_layer_sizes"] == (256,)
    assert given.ensemble == ()
    assert given.plan.max_epochs == 450  # of two steps


def test_large_wide_tables_take_few_epochs():
    assert inputs(numbers(100, 20_000)).plan.max_epochs == 4


@pytest.mark.parametrize(
    ("X", "params"),
    [
        pytest.param(numbers(99), {}, id="fewer columns"),
        pytest.param(
            pd.DataFrame(numbers(100)).add_prefix("x").assign(color=["red", "blue"] * 30),
            {},
            id="a category",
        ),
        pytest.param(numbers(100), {"scaling": "none"}, id="another scale"),
        pytest.param(numbers(100), {"scaling": MinMaxScaler()}, id="own scaling"),
    ],
)
def test_other_tables(X, params):
    given = inputs(X, **params)
    assert "distillation" in names(given)
    assert given.plan.architecture.get_params()["input_noise"] < 1
    assert len(given.ensemble) == 4


def test_choices_are_kept():
    own = MLPArchitecture((16,))
    given = inputs(
        numbers(100),
        architecture=own,
        regularizer="entropy",
        ensemble="extra_trees",
        max_epochs=3,
    )
    assert given.plan.architecture.get_params() == own.get_params()
    assert (names(given), given.ensemble) == (["entropy"], ("extra_trees",))
    assert given.plan.max_epochs == 3
    assert names(inputs(numbers(100), class_weight="balanced")) == [
        "virtual_adversarial",
        *WIDE[2:],
    ]


def test_images_are_no_wide_tables():
    given = inputs(numbers(100), image_shape=(10, 10), architecture="mlp")
    assert "distillation" in names(given)
    assert names(inputs(numbers(144), image_shape=(12, 12))) == ["pseudo_label"]


# --- scaling ---------------------------------------------------------------------------------


def kind(X):
    scaler = FeatureScaler().fit(X)
    kinds = {group[0] for group in scaler.groups_}
    return kinds.pop() if len(kinds) == 1 else kinds


RNG = np.random.RandomState(0)
SPREADS = np.linspace(5, 0.1, 120)
LATENT = RNG.normal(size=(300, 4))


@pytest.mark.parametrize(
    ("X", "expected"),
    [
        pytest.param(normalize(RNG.normal(size=(300, 120)) * SPREADS), "shared", id="unit length"),
        pytest.param(
            normalize(RNG.normal(size=(300, 120)) * SPREADS + 2)[:, ::-1],
            "shared",
            id="unit length, mean not zero",
        ),
        pytest.param(RNG.normal(size=(300, 120)) * SPREADS, "shared", id="components"),
        pytest.param(RNG.normal(size=(300, 99)) * SPREADS[:99], "standard", id="few columns"),
        pytest.param(
            (RNG.normal(size=(300, 120)) * SPREADS)[:, RNG.permutation(120)],
            "standard",
            id="not in order",
        ),
        pytest.param(
            (LATENT @ RNG.normal(size=(4, 120))) * SPREADS, "standard", id="correlated columns"
        ),
        pytest.param(
            1000 + RNG.normal(size=(300, 120)) * RNG.permutation(SPREADS),
            "standard",
            id="equal length by an offset",
        ),
    ],
)
@pytest.mark.parametrize("factor", [1, 1e-150, 1e90])
def test_scale_of_embeddings_and_components(X, expected, factor):
    assert kind(X * factor) == expected


def test_constant_columns_of_components():
    X = RNG.normal(size=(300, 120)) * SPREADS
    X[:, -1] = 0
    assert kind(X) != "shared"
    assert kind(np.zeros((5, 120))) == "standard"
    assert kind(X[:1]) == "standard"


@pytest.mark.parametrize("order", [1, -1])
def test_memory_for_very_many_columns(order):
    lengths = RNG.uniform(0.5, 2, size=(300, 1))
    X = lengths * RNG.normal(size=(300, 6_000)) * np.linspace(5, 0.1, 6_000)[::order]
    tracemalloc.start()
    scaled = kind(X)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (scaled == "shared") == (order == 1)
    assert peak < 8 * X.nbytes  # all correlations alone take twenty times as much


def test_default_learns_from_embeddings():
    X, y = load_digits(return_X_y=True)
    # Random features of unit length.
    directions = np.random.RandomState(0).normal(size=(64, 200))
    X = normalize(PCA(150, random_state=0).fit_transform(np.maximum(X @ directions, 0)))
    few_labels = mask_labels(y, per_class=5, random_state=0)
    classifier = SGANClassifier(max_epochs=12, random_state=0).fit(X, few_labels)
    unlabeled = few_labels == -1
    alone = SGANClassifier(max_epochs=12, unsupervised_weight=0, random_state=0).fit(X, few_labels)
    accuracy = classifier.score(X[unlabeled], y[unlabeled])
    assert accuracy > alone.score(X[unlabeled], y[unlabeled])
    assert accuracy > 0.9
