"""Tools of scikit-learn with unlabeled rows: each is tested once."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_iris
from sklearn.ensemble import BaggingClassifier, StackingClassifier, VotingClassifier
from sklearn.experimental import enable_halving_search_cv  # noqa: F401 (the import switches it on)
from sklearn.feature_selection import SelectKBest
from sklearn.frozen import FrozenEstimator
from sklearn.inspection import (
    DecisionBoundaryDisplay,
    PartialDependenceDisplay,
    partial_dependence,
    permutation_importance,
)
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import (
    GridSearchCV,
    HalvingGridSearchCV,
    LearningCurveDisplay,
    RandomizedSearchCV,
    cross_validate,
    learning_curve,
    validation_curve,
)
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from sgan_sklearn import SGANClassifier, Training
from sgan_sklearn.architectures import MLPArchitecture
from sgan_sklearn.metrics import labeled_scorer
from sgan_sklearn.model_selection import SemiSupervisedSplit, mask_labels


def quick(**params):
    """Return a classifier that learns the irises within half a second."""
    options = {
        "architecture": MLPArchitecture((32,), (16,)),
        "max_epochs": 30,
        "discriminator_lr": 1e-2,
        "training__averaging_decay": 0.9,
        "device": "cpu",
        "random_state": 0,
    }
    return SGANClassifier(training=Training()).set_params(**{**options, **params})


@pytest.fixture(scope="module")
def irises():
    """Return the rows of the irises, twelve labels of each class, and all labels."""
    X, y = load_iris(return_X_y=True)
    return X, mask_labels(y, per_class=12, random_state=0), y


@pytest.fixture(scope="module")
def learned(irises):
    X, few, _ = irises
    return quick().fit(X, few)


# --- scores and searches --------------------------------------------------------------------------


def test_score_of_a_split_is_that_on_hidden_labels(irises):
    X, y = irises[0], irises[2]
    few = mask_labels(y, fraction=0.2, random_state=1)
    hidden = few == -1
    on_hidden_labels = quick().fit(X, few).score(X[hidden], y[hidden])
    scores = cross_validate(
        quick(), X, few, cv=SemiSupervisedSplit(5), scoring="accuracy", error_score="raise"
    )["test_score"]
    error = scores.std() / np.sqrt(len(scores))
    assert scores.mean() == pytest.approx(on_hidden_labels, abs=max(3 * error, 0.05))
    # scikit-learn's own split and score: unlabeled rows are errors.
    trap = cross_validate(quick(), X, few, scoring="accuracy", error_score="raise")["test_score"]
    assert trap.mean() < 0.4


def test_search_halving_the_candidates_by_epochs(irises):
    X, few, _ = irises
    search = HalvingGridSearchCV(
        quick(),
        {"discriminator_lr": [1e-6, 1e-2], "unsupervised_weight": [0.5, 1.0]},
        resource="max_epochs",
        min_resources=5,
        max_resources=20,
        factor=2,
        cv=SemiSupervisedSplit(3),
        error_score="raise",
        random_state=0,
    ).fit(X, few)
    assert search.n_resources_ == [5, 10, 20]
    assert search.n_candidates_ == [4, 2, 1]
    assert search.best_params_["discriminator_lr"] == 1e-2
    assert search.best_estimator_.n_iter_ == 20


@pytest.mark.parametrize("search_class", [GridSearchCV, RandomizedSearchCV])
def test_search_in_a_pipeline(irises, search_class):
    X, few, y = irises
    columns = make_column_transformer((StandardScaler(), [0, 1]), (MinMaxScaler(), [2, 3]))
    model = make_pipeline(columns, quick(max_epochs=15))
    grid = {
        "sganclassifier__objective": ["feature_matching", "softmax"],
        "sganclassifier__architecture__input_noise": [0.0, 0.1],
    }
    options = {"n_iter": 2, "random_state": 0} if search_class is RandomizedSearchCV else {}
    search = search_class(
        model, grid, cv=SemiSupervisedSplit(2), error_score="raise", **options
    ).fit(X, few)
    assert search.score(X, y) > 0.8
    assert set(search.best_params_) == set(grid)


def test_curves(irises):
    X, few, _ = irises
    cv = SemiSupervisedSplit(2)
    sizes, _, scores = learning_curve(
        quick(), X, few, cv=cv, train_sizes=[0.5, 1.0], error_score="raise"
    )
    assert len(sizes) == 2
    assert scores.min() > 0.5
    _, scores = validation_curve(
        quick(),
        X,
        few,
        param_name="max_epochs",
        param_range=[1, 30],
        cv=cv,
        scoring=labeled_scorer("neg_log_loss"),
        error_score="raise",
    )
    assert scores[1].mean() > scores[0].mean()


# --- inspection -----------------------------------------------------------------------------------


def test_permutation_importance(irises, learned):
    X, few, _ = irises
    importance = permutation_importance(learned, X, few, n_repeats=5, random_state=0)
    # Petals distinguish irises, sepals hardly do.
    assert importance.importances_mean[2:].max() > 3 * importance.importances_mean[:2].max()


def test_partial_dependence(irises, learned):
    result = partial_dependence(learned, irises[0], features=[3], grid_resolution=10)
    of_setosa = result["average"][0]
    assert result["average"].shape == (3, 10)
    assert of_setosa[0] > of_setosa[-1]


def test_displays_of_scikit_learn(irises, learned):
    plt = pytest.importorskip("matplotlib.pyplot")
    X, few, _ = irises
    PartialDependenceDisplay.from_estimator(learned, X, features=[2], target=0, grid_resolution=5)
    LearningCurveDisplay.from_estimator(
        quick(max_epochs=2), X, few, cv=SemiSupervisedSplit(2), train_sizes=[0.5, 1.0]
    )
    two_columns = quick(max_epochs=2).fit(X[:, 2:], few)
    display = DecisionBoundaryDisplay.from_estimator(
        two_columns, X[:, 2:], response_method="predict", grid_resolution=10
    )
    assert display.response.shape == (10, 10)
    plt.close("all")


# --- wrappers that make -1 a class: why the pitfalls page warns of them, and its recipes ----------


@pytest.mark.parametrize(
    "make",
    [
        lambda model: BaggingClassifier(model, n_estimators=2, random_state=0),
        lambda model: VotingClassifier([("model", model)]),
        lambda model: StackingClassifier([("model", model)], cv=2),
        OneVsRestClassifier,
        lambda model: CalibratedClassifierCV(model, cv=2),
    ],
    ids=["bagging", "voting", "stacking", "one-vs-rest", "calibrated"],
)
@pytest.mark.filterwarnings("ignore:y holds no unlabeled row:UserWarning")
def test_wrappers_treat_unlabeled_rows_as_a_class(irises, make):
    X, few, _ = irises
    assert make(quick(max_epochs=1)).fit(X, few).classes_.tolist() == [-1, 0, 1, 2]


@pytest.fixture(scope="module")
def halves(irises):
    """Return which rows train the members (all unlabeled ones too) and which the wrapper."""
    X, few, _ = irises
    return next(SemiSupervisedSplit(2).split(X, few))


@pytest.fixture(scope="module")
def members(irises, halves):
    X, few, _ = irises
    train, _ = halves
    fits = [quick(random_state=seed).fit(X[train], few[train]) for seed in range(2)]
    return [(f"seed {seed}", FrozenEstimator(fit)) for seed, fit in enumerate(fits)]


@pytest.mark.parametrize("names", [None, np.array(["ash", "elm", "oak"], dtype=object)])
def test_voting_of_frozen_members(irises, names):
    X, few, y = irises
    if names is not None:
        few, y = np.where(few == -1, -1, names[few]), names[y]
    fits = [quick(random_state=seed).fit(X, few) for seed in range(2)]
    frozen = [(str(i), FrozenEstimator(fit)) for i, fit in enumerate(fits)]
    labeled = few != -1
    vote = VotingClassifier(frozen, voting="soft").fit(X[labeled], few[labeled])
    np.testing.assert_array_equal(vote.classes_, np.unique(y))
    mean = (fits[0].predict_proba(X) + fits[1].predict_proba(X)) / 2
    np.testing.assert_allclose(vote.predict_proba(X), mean, rtol=1e-5)
    assert vote.score(X, y) > 0.85


def test_stacking_of_frozen_members(irises, halves, members):
    X, few, y = irises
    _, test = halves
    stack = StackingClassifier(members, LogisticRegression(), cv="prefit")
    assert stack.fit(X[test], few[test]).score(X, y) > 0.85


def test_calibration_of_a_frozen_member(irises, halves, members):
    X, few, y = irises
    _, test = halves
    calibrated = CalibratedClassifierCV(members[0][1]).fit(X[test], few[test])
    assert calibrated.classes_.tolist() == [0, 1, 2]
    assert calibrated.score(X, y) > 0.8
    np.testing.assert_allclose(calibrated.predict_proba(X).sum(axis=1), 1)


@pytest.mark.parametrize("mark", [-1, float("nan")])
def test_calibration_with_strings_and_another_unlabeled_value(irises, mark):
    X, few, y = irises
    names = np.array(["ash", "elm", "oak"], dtype=object)
    few, y = np.where(few == -1, mark, names[few]), names[y]
    # scikit-learn refuses such a y before it calls the classifier.
    with pytest.raises(ValueError, match=r"Unknown label type|NaN"):
        CalibratedClassifierCV(quick(unlabeled_value=mark)).fit(X, few)
    train, test = next(SemiSupervisedSplit(2, unlabeled_value=mark).split(X, few))
    fitted = quick(unlabeled_value=mark).fit(X[train], few[train])
    calibrated = CalibratedClassifierCV(FrozenEstimator(fitted)).fit(X[test], few[test])
    assert calibrated.classes_.tolist() == names.tolist()
    assert calibrated.score(X, y) > 0.8


def test_selection_of_columns_with_a_frozen_classifier(irises):
    X, few, y = irises
    labeled = few != -1
    select = SelectKBest(k=2).fit(X[labeled], few[labeled])
    model = make_pipeline(FrozenEstimator(select), quick()).fit(X, few)
    assert model.score(X, y) > 0.85
    # With the unlabeled rows, it solves another problem.
    assert (clone(select).fit(X, few).scores_ != select.scores_).all()


def test_table_vectorizer_of_skrub():
    pd = pytest.importorskip("pandas")
    skrub = pytest.importorskip("skrub", reason="skrub is not installed")
    rng = np.random.RandomState(0)
    y = rng.randint(0, 2, 300)
    stems = np.array(["plum tree", "river bank"], dtype=object)[y]
    typed = [f"{rng.choice(['the ', 'a ', ''])}{stem} {rng.randint(1000)}" for stem in stems]
    table = pd.DataFrame({"text": typed, "size": rng.normal(size=300)})
    table.loc[::9, "size"] = np.nan
    few = mask_labels(y, per_class=20, random_state=0)
    for pipeline in (
        make_pipeline(skrub.TableVectorizer(), quick()),
        skrub.tabular_pipeline(quick()),
    ):
        assert pipeline.fit(table[:200], few[:200]).score(table[200:], y[200:]) > 0.8
