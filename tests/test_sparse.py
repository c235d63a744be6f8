"""Sparse rows are reduced to the components of their truncated singular value decomposition."""

import numpy as np
import pytest
from scipy import sparse
from sklearn.datasets import load_digits
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from threadpoolctl import threadpool_limits

from sgan_sklearn import SamplesDisplay, SGANClassifier, export_onnx, load, save
from sgan_sklearn._data.space import restore_space
from sgan_sklearn.architectures import MLPArchitecture
from sgan_sklearn.model_selection import SemiSupervisedSplit, mask_labels

WORDS = [
    "salt oven flour butter spoon bake onion soup",
    "soil seed prune weed rose compost lawn spade",
    "desk meeting printer email report budget chair memo",
]
N_COMPONENTS = 12


def texts(n_rows):
    rng = np.random.RandomState(0)
    y = rng.randint(3, size=n_rows)
    words = [
        [*rng.choice(WORDS[code].split(), 5), *rng.choice(" ".join(WORDS).split(), 3)] for code in y
    ]
    return np.array([" ".join(row) for row in words], dtype=object), y


TEXTS, TRUE = texts(200)
X = TfidfVectorizer().fit_transform(TEXTS)
FEW = mask_labels(TRUE, per_class=8, random_state=0)


def classifier(**params):
    defaults = {
        "architecture": MLPArchitecture((16,), (16,)),
        "max_epochs": 2,
        "n_components": N_COMPONENTS,
        "random_state": 0,
    }
    return SGANClassifier(**{**defaults, **params})


@pytest.fixture(scope="module")
def fitted():
    return classifier().fit(X, FEW)


def test_default_learns_from_text():
    model = SGANClassifier(n_components=N_COMPONENTS, max_epochs=40, random_state=0).fit(X, FEW)
    unlabeled = FEW == -1
    assert model.plan_.architecture.get_params()["input_noise"] == 1.0
    assert model.score(X[unlabeled], TRUE[unlabeled]) > 0.85


def test_model_does_not_depend_on_the_threads_of_blas():
    rows, y = load_digits(return_X_y=True)
    rows = np.hstack([level < rows[:400] for level in range(1, 10)]).astype(np.float32)
    few, found = mask_labels(y[:400], per_class=10, random_state=0), []
    for n_threads in (1, 2):
        with threadpool_limits(n_threads, user_api="blas"):
            model = classifier(n_components=500).fit(sparse.csr_matrix(rows), few)
            found.append((model.predict_proba(sparse.csr_matrix(rows)), model.predict_proba(rows)))
    np.testing.assert_array_equal(found[0], found[1])


def test_attributes(fitted):
    assert fitted.n_features_in_ == X.shape[1]
    assert fitted.net_.row_shape_ == (N_COMPONENTS,)
    assert not hasattr(fitted, "feature_names_in_")
    assert fitted.label_distributions_.shape == (200, 3)


@pytest.mark.parametrize("convert", [sparse.csc_matrix, sparse.coo_array, np.asarray])
def test_forms_of_rows_to_predict(convert, fitted):
    rows = convert(X.toarray())
    np.testing.assert_allclose(fitted.predict_proba(rows), fitted.predict_proba(X), atol=1e-5)
    assert fitted.score(rows, FEW) == fitted.score(X, FEW)


@pytest.mark.parametrize("convert", [sparse.csc_matrix, sparse.coo_array, sparse.dok_array])
def test_forms_of_training_rows(convert, fitted):
    other = classifier().fit(convert(X), FEW)
    assert (other.predict_proba(X) == fitted.predict_proba(X)).all()


@pytest.mark.parametrize("factor", [3, 1e-200, 1e20, 1e99])
def test_a_multiple_of_the_rows_is_the_same(factor, fitted):
    expected = fitted.predict_proba(X)
    np.testing.assert_allclose(fitted.predict_proba(factor * X), expected, rtol=1e-4, atol=1e-6)
    other = classifier().fit(factor * X, FEW)
    np.testing.assert_allclose(other.predict_proba(X), expected, atol=0.05)


def test_empty_row(fitted):
    empty = sparse.csr_array((1, X.shape[1]))
    assert np.isfinite(fitted.predict_proba(empty)).all()


def test_rows_of_sample(fitted):
    generated = fitted.sample(5, random_state=0)
    assert (generated.shape, generated.dtype) == ((5, X.shape[1]), np.float32)
    assert np.isfinite(fitted.score_samples(generated)).all()
    assert fitted.sample(2, label=1, random_state=0).shape == (2, X.shape[1])
    # They lie in the space of the components.
    basis = fitted._space.components_
    np.testing.assert_allclose(generated @ basis.T @ basis, generated, atol=1e-4)


def test_display_shows_components(fitted):
    display = SamplesDisplay.from_estimator(fitted, X, n_samples=10)
    assert display.feature_names[0] == "component 0"
    assert display.real.shape == display.generated.shape
    with pytest.raises(ValueError, match="indices below 12"):
        SamplesDisplay.from_estimator(fitted, X, features=[N_COMPONENTS])


def test_file(fitted, tmp_path):
    save(fitted, tmp_path / "model")
    restored = load(tmp_path / "model")
    assert (restored.predict_proba(X) == fitted.predict_proba(X)).all()
    assert (restored.sample(3, random_state=0) == fitted.sample(3, random_state=0)).all()


def test_onnx(fitted, tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    pytest.importorskip("onnxscript", reason="onnxscript is not installed")
    export_onnx(fitted, tmp_path / "model.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx")
    rows = X.toarray().astype(np.float32)
    labels, probabilities = session.run(None, {"X": rows})
    assert (labels == fitted.predict(rows)).all()
    np.testing.assert_allclose(probabilities, fitted.predict_proba(rows), atol=1e-5)


def test_search_over_a_pipeline():
    model = make_pipeline(TfidfVectorizer(), classifier(max_epochs=1))
    grid = {"sganclassifier__n_components": [4, 8]}
    search = GridSearchCV(model, grid, cv=SemiSupervisedSplit(2)).fit(TEXTS, FEW)
    assert search.predict(TEXTS[:3]).shape == (3,)
    assert len(search.cv_results_["params"]) == 2


def test_training_continues(fitted):
    longer = classifier(warm_start=True).fit(X, FEW)
    basis = longer._space.components_
    longer.fit(X, FEW)
    assert longer._space.components_ is basis
    assert longer.n_iter_ == 4


@pytest.mark.parametrize("n_components", [X.shape[1], 500])
def test_few_columns_become_dense(n_components):
    model = classifier(n_components=n_components).fit(X, FEW)
    dense = classifier().fit(X.toarray(), FEW)
    assert (model.predict_proba(X) == dense.predict_proba(X.toarray())).all()
    assert (dense.predict_proba(X) == model.predict_proba(X)).all()
    assert model.sample(2, random_state=0).shape == (2, X.shape[1])


def test_pixels():
    images = sparse.random(30, 64, density=0.3, random_state=0, format="csr")
    y = np.arange(30) % 3 - 1
    options = {"architecture": "mlp", "image_shape": (8, 8), "ensemble": None}
    model = classifier(**options).fit(images, y)
    dense = classifier(**options).fit(images.toarray(), y)
    assert (model.predict_proba(images) == dense.predict_proba(images.toarray())).all()


def test_more_components_than_rows():
    model = classifier(n_components=20).fit(X[:15], np.arange(15) % 3 - 1)
    assert model.net_.row_shape_ == (15,)
    empty = classifier().fit(sparse.csr_array((15, 40)), np.arange(15) % 3 - 1)
    assert np.isfinite(empty.predict_proba(np.ones((2, 40)))).all()


@pytest.mark.parametrize(
    ("error", "change", "params", "message"),
    [
        (TypeError, lambda X: X, {"n_components": None}, "n_components=None.*n_components=500"),
        (
            TypeError,
            lambda X: X,
            {"categorical_features": [0]},
            "1 columns in categorical_features",
        ),
        (ValueError, lambda X: X, {"n_components": 0}, "'n_components' parameter"),
        (ValueError, lambda X: X * np.inf, {}, "Input X contains NaN or infinity.*finite numbers"),
        (ValueError, lambda X: X * np.inf, {"n_components": 500}, "infinity in column 0"),
        (ValueError, lambda X: X * 1e200, {}, "X must hold numbers from"),
        (ValueError, lambda X: X.astype(complex), {}, "Complex data not supported"),
        (ValueError, lambda X: X[:0], {}, "Found array with 0 sample"),
    ],
)
def test_bad_training_rows(error, change, params, message):
    with pytest.raises(error, match=message):
        classifier(**params).fit(change(X), FEW)


def test_bad_rows_to_predict(fitted):
    with pytest.raises(ValueError, match="X has 3 features"):
        fitted.predict(X[:, :3])


def test_parts():
    with pytest.raises(TypeError, match=r"partial_fit needs dense rows.*Got 24 columns"):
        classifier().partial_fit(X, FEW, classes=[0, 1, 2])
    reduced = X[:, :10]
    model = classifier().partial_fit(reduced, FEW, classes=[0, 1, 2])
    assert model.partial_fit(reduced, FEW).predict(reduced).shape == (200,)


def test_rows_of_models_with_categories():
    dense = np.column_stack([np.arange(30) % 2, np.arange(30.0)])
    y = np.arange(30) % 3 - 1
    model = classifier(categorical_features=[0]).fit(dense, y)
    rows = sparse.csr_matrix(dense)
    assert (model.predict_proba(rows) == model.predict_proba(dense)).all()
    assert classifier(categorical_features=[]).fit(X, FEW).n_features_in_ == X.shape[1]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"components": np.ones((N_COMPONENTS, 3), dtype=np.float32)}, "value for each column"),
        ({"components": np.ones((N_COMPONENTS - 1, 24), dtype=np.float32)}, "levels"),
        ({"components": np.ones((N_COMPONENTS, 24))}, "value for each column"),
        ({"components": [[1.0]]}, "value for each column"),
        (
            {"components": np.full((N_COMPONENTS, 24), np.nan, dtype=np.float32)},
            "finite numbers",
        ),
        ({"components": np.ones((0, 24), dtype=np.float32)}, "finite numbers"),
        ({"image_shape": (4, 6, 1)}, "no components"),
    ],
)
def test_inconsistent_components_in_a_file_are_refused(change, message, fitted):
    with pytest.raises(ValueError, match=message):
        restore_space({**fitted._space.plain_state(), **change}, X.shape[1])
