"""The discriminator learns the predictions of other classifiers besides its own."""

import copy

import numpy as np
import pytest
import torch
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.datasets import load_digits, load_wine
from sklearn.ensemble import ExtraTreesClassifier, GradientBoostingClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from sgan_sklearn import SGANClassifier, load, save
from sgan_sklearn._data.batches import SemiSupervisedDataset
from sgan_sklearn._training import ensemble as ensemble_module
from sgan_sklearn._training.ensemble import MEMBERS, BalancedSelfTraining, Ensemble, _Rows
from sgan_sklearn.architectures import ConvArchitecture, MLPArchitecture
from sgan_sklearn.model_selection import mask_labels
from sgan_sklearn.regularizers._simple_classifiers import label_spreading_accuracy


class Constant(ClassifierMixin, BaseEstimator):
    """Classifier that is sure of one class for all rows."""

    fitted_with = None

    def __init__(self, sure_of=0, random_state=None):
        self.sure_of = sure_of
        self.random_state = random_state

    def fit(self, X, y, sample_weight=None):
        self.classes_ = np.unique(y)
        Constant.fitted_with = X, y, sample_weight, self.random_state
        return self

    def predict_proba(self, X):
        return np.tile(np.eye(len(self.classes_))[self.sure_of], (len(X), 1))


@pytest.fixture(autouse=True)
def spread(monkeypatch):
    """Let label spreading be inaccurate, so that the members have their full weight."""
    accuracy = {"value": 0.0}
    monkeypatch.setattr(
        ensemble_module, "label_spreading_accuracy", lambda rows, codes: accuracy["value"]
    )
    return accuracy


@pytest.fixture(autouse=True)
def _all_steps(monkeypatch):
    monkeypatch.setattr(ensemble_module, "MIN_STEPS", 300)
    monkeypatch.setattr(ensemble_module, "MAX_STEPS", 800)


@pytest.fixture(scope="module")
def wine():
    X, y = load_wine(return_X_y=True)
    return X, y, mask_labels(y, per_class=10, random_state=0)


def small(**params):
    options = {"max_epochs": 5, "device": "cpu", "random_state": 0, **params}
    return SGANClassifier(MLPArchitecture((32, 16), (16,)), **options)


@pytest.fixture
def members(monkeypatch):
    """Return a list to which each fit adds the members of its ensemble."""
    found = []
    build = Ensemble.__init__

    def recorded(self, members, *args):
        found.append(members)
        build(self, members, *args)

    monkeypatch.setattr(Ensemble, "__init__", recorded)
    return found


def test_default_by_kind_of_rows(wine, members):
    X, y, few = wine
    small().fit(X, few)
    small(objective="supervised").fit(X, few)
    assert members == [tuple(MEMBERS)] * 2
    small(unsupervised_weight=0).fit(X, few)
    small(objective="supervised", regularizer=None).fit(X, few)
    small().partial_fit(X, few, classes=np.unique(y))
    images = SGANClassifier(ConvArchitecture((4,), 4), max_epochs=1, device="cpu")
    X, y = load_digits().images[:60], load_digits().target[:60]
    images.fit(X, np.where(np.arange(60) < 30, y, -1))
    assert members[2:] == [()] * 4


def test_one_member_needs_no_list(wine, members):
    X, _, few = wine
    single = small(ensemble="extra_trees").fit(X, few).predict_proba(X)
    np.testing.assert_array_equal(
        small(ensemble=["extra_trees"]).fit(X, few).predict_proba(X), single
    )
    constant = Constant()
    small(ensemble=constant).fit(X, few)
    assert members == [("extra_trees",), ("extra_trees",), (constant,)]


def test_only_the_predictions_change(wine):
    X, _, few = wine
    alone = small(ensemble=None, max_epochs=20).fit(X, few)
    both = small(max_epochs=20).fit(X, few)
    assert alone.history_[-1]["discriminator_loss"] == both.history_[-1]["discriminator_loss"]
    np.testing.assert_array_equal(alone.sample(5, random_state=0), both.sample(5, random_state=0))
    for name in ("module_", "generator_", "averaged_generator_"):
        states = [getattr(clf.net_, name).state_dict().values() for clf in (alone, both)]
        assert all(torch.equal(a, b) for a, b in zip(*states, strict=True))
    assert not np.array_equal(alone.predict_proba(X), both.predict_proba(X))
    realness = np.corrcoef(alone.score_samples(X), both.score_samples(X))[0, 1]
    assert realness > 0.95


@pytest.mark.parametrize("objective", ["feature_matching", "softmax", "two_headed", "stacked"])
def test_discriminator_learns_the_weighted_mean(wine, objective):
    X, _, few = wine
    alone = small(objective=objective, ensemble=None, max_epochs=20).fit(X, few)
    both = clone(alone).set_params(ensemble=[Constant(), Constant(1)]).fit(X, few)
    unlabeled = few == -1
    mean = (2 * alone.predict_proba(X) + [0.75, 0.75, 0]) / 3.5
    difference = np.abs(both.predict_proba(X) - mean)[unlabeled]
    # Not zero, since the labeled rows contradict the members.
    assert difference.mean() < 0.05
    assert np.abs(alone.predict_proba(X) - mean)[unlabeled].mean() > 4 * difference.mean()
    # Labeled rows keep their labels even if the members predict another class.
    assert (both.predict(X)[~unlabeled] == few[~unlabeled]).all()


class Oracle(Constant):
    """Classifier of rows whose first column is the class, right with a probability."""

    def predict_proba(self, X):
        true = np.eye(len(self.classes_))[X[:, 0].astype(int)]
        return self.sure_of * true + (1 - self.sure_of) / len(self.classes_)


class Memory(Oracle):
    """Classifier that is right for the rows on which it was fitted only."""

    def predict_proba(self, X):
        known = np.isin(X[:, 1], Constant.fitted_with[0][:, 1])
        return np.where(known[:, np.newaxis], super().predict_proba(X), [1, 0, 0])


def means_of(*members):
    codes = np.arange(60) % 3
    rows = np.column_stack([codes, np.arange(60)]).astype(np.float32)
    few = np.where(np.arange(60) < 30, codes, -1)
    dataset = SemiSupervisedDataset(torch.from_numpy(rows), torch.from_numpy(few))
    return Ensemble(members, dataset, n_classes=3, seed=0)._mean[-30:], np.eye(3)[codes[-30:]]


def test_weights_depend_on_cross_validation():
    mean, true = means_of(Oracle(0.9), Constant(2))
    np.testing.assert_allclose(mean, 0.9 * true + 0.1 / 3, atol=0.01)
    # A difference of the Brier scores of 0.14 with 30 labels.
    mean, true = means_of(Oracle(0.9), Oracle(0.5))
    gap = ((1 - 0.5) ** 2 - (1 - 0.9) ** 2) * 2 / 3
    share = 1 / (1 + np.exp(-2 * np.sqrt(30) * gap))
    expected = share * 0.9 + (1 - share) * 0.5
    np.testing.assert_allclose(mean, expected * true + (1 - expected) / 3, atol=1e-6)


def test_weights_are_those_of_rows_not_seen():
    mean, _ = means_of(Memory(1.0), Oracle(0.5))
    alone, _ = means_of(Oracle(0.5))
    np.testing.assert_allclose(mean, alone, atol=0.01)


def test_forests_are_small_in_cross_validation(wine, monkeypatch):
    X, _, few = wine
    sizes = []

    class Watched(ExtraTreesClassifier):
        def fit(self, *args, **kwargs):
            sizes.append(self.n_estimators)
            return super().fit(*args, **kwargs)

    boosting = GradientBoostingClassifier(n_estimators=40)
    counts = []
    fit = GradientBoostingClassifier.fit
    monkeypatch.setattr(
        GradientBoostingClassifier,
        "fit",
        lambda self, *args: counts.append(self.n_estimators) or fit(self, *args),
    )
    monkeypatch.setattr(ensemble_module, "MAX_FOLDS", 3)
    small(ensemble=[Watched(70), Watched(20), boosting]).fit(X, few)
    assert sorted(sizes) == [20] * 4 + [30] * 3 + [70]
    assert counts == [40] * 4  # fewer steps would be another model


def test_weights_do_not_depend_on_the_order_of_the_rows(monkeypatch):
    monkeypatch.setattr(ensemble_module, "MAX_FOLDS", 3)
    X, y = load_digits(return_X_y=True)
    X = StandardScaler().fit_transform(X).astype(np.float32)
    few = mask_labels(y, per_class=5, random_state=0)
    ratios = []
    for order in (np.random.RandomState(0).permutation(len(y)), np.argsort(y, kind="stable")):
        dataset = SemiSupervisedDataset(torch.from_numpy(X[order]), torch.from_numpy(few[order]))
        rows = _Rows(X[order], few[order], None)
        ensemble = Ensemble((), dataset, n_classes=10, seed=0)
        shares = ensemble._shares(("self_training", "logistic_regression"), rows, 10)
        ratios.append(shares[0] / shares[1])
    assert min(ratios) > 2


def test_members_that_need_all_labels_have_equal_weights():
    class Demanding(Oracle):
        def fit(self, X, y, sample_weight=None):
            if len(X) < 30:
                raise ValueError("too few labels")
            return super().fit(X, y)

    mean, true = means_of(Demanding(0.9), Oracle(0.5))
    np.testing.assert_allclose(mean, 0.7 * true + 0.1, atol=1e-6)


def test_weight_decreases_where_label_spreading_is_accurate(wine, spread):
    X, _, few = wine
    found = {}
    for spread["value"] in (0.7, 0.8, 0.9, 1.0):
        clf = small(ensemble=[Constant()], max_epochs=20).fit(X, few)
        found[spread["value"]] = clf.predict_proba(X)[few == -1, 0].mean()
    alone = small(ensemble=None, max_epochs=20).fit(X, few).predict_proba(X)[few == -1, 0].mean()
    assert found[1.0] == found[0.9] == alone
    assert found[0.8] == pytest.approx((2 * alone + 0.375) / 2.375, abs=0.05)
    assert found[0.7] == pytest.approx((2 * alone + 0.75) / 2.75, abs=0.05)
    assert found[0.7] > found[0.8] > found[0.9]


def test_members_learn_from_labeled_rows_with_their_weights(wine):
    X, _, few = wine
    weights = {0: 1.0, 1: 2.0, 2: 3.0}
    small(ensemble=[Constant()], class_weight=weights, scaling="standard").fit(X, few)
    rows, codes, sample_weight, seed = Constant.fitted_with
    labeled = few >= 0
    order, expected = np.lexsort(rows.T), StandardScaler().fit(X).transform(X)[labeled]
    np.testing.assert_allclose(rows[order], expected[np.lexsort(expected.T)], atol=1e-5)
    np.testing.assert_allclose(sample_weight, (codes + 1) / np.mean(few[labeled] + 1), rtol=1e-6)
    assert isinstance(seed, int)


def test_seed_determines_the_ensemble(wine):
    X, _, few = wine
    first, second = (small().fit(X, few).predict_proba(X) for _ in range(2))
    np.testing.assert_array_equal(first, second)

    dataset = SemiSupervisedDataset(torch.from_numpy(X).float(), torch.from_numpy(few))
    means = [Ensemble(tuple(MEMBERS), dataset, 3, seed)._mean for seed in (0, 0, 1)]
    np.testing.assert_array_equal(means[0], means[1])
    assert not np.array_equal(means[0], means[2])


def test_members_predict_a_sample_of_many_rows(wine, monkeypatch):
    X, _, few = wine
    monkeypatch.setattr(ensemble_module, "MAX_VALUES", 30 * X.shape[1])
    seen = []

    class Watched(Constant):
        def predict_proba(self, X):
            seen.append(X)
            return super().predict_proba(X)

    small(ensemble=[Watched()]).fit(X, few)
    assert np.bincount(Constant.fitted_with[1]).tolist() == [10, 10, 10]
    assert sum(map(len, seen)) == 30 + 30


@pytest.mark.parametrize(
    ("name", "limit"), [("MAX_LABELED", 29), ("MAX_LABELS_TIMES_CLASSES", 3 * 29)]
)
def test_many_labels_need_no_ensemble(wine, monkeypatch, name, limit):
    X, _, few = wine
    with_ensemble = small().fit(X, few).predict_proba(X)
    monkeypatch.setattr(ensemble_module, name, limit)
    without = small().fit(X, few).predict_proba(X)
    assert not np.array_equal(without, with_ensemble)
    np.testing.assert_array_equal(without, small(ensemble=None).fit(X, few).predict_proba(X))


def test_one_label_per_class_is_too_few_to_weigh_the_members(wine, monkeypatch):
    X, y, _ = wine
    monkeypatch.setattr(ensemble_module, "label_spreading_accuracy", label_spreading_accuracy)
    few = mask_labels(y, per_class=1, random_state=0)
    found = small(ensemble=[Constant()]).fit(X, few).predict_proba(X)
    np.testing.assert_array_equal(found, small(ensemble=None).fit(X, few).predict_proba(X))


def test_frozen_weights_stay(wine):
    X, _, few = wine
    clf = small(ensemble=None).fit(X, few)
    rows = torch.from_numpy(clf.scaler_.transform(X)).float()
    ensemble = Ensemble((Constant(),), SemiSupervisedDataset(rows, torch.from_numpy(few)), 3, 0)
    before = copy.deepcopy(clf.discriminator_.state_dict())
    frozen = [*clf.net_.module_.hidden.parameters()]
    for weight in frozen:
        weight.requires_grad_(False)
    ensemble.teach(clf.net_)
    changed = [
        name
        for name, value in clf.discriminator_.state_dict().items()
        if not torch.equal(value, before[name])
    ]
    assert changed == ["output.direction", "output.bias", "output.gain"]
    clf.net_.module_.requires_grad_(False)
    before = copy.deepcopy(clf.discriminator_.state_dict())
    ensemble.teach(clf.net_)
    after = clf.discriminator_.state_dict()
    assert all(torch.equal(value, before[name]) for name, value in after.items())


@pytest.mark.parametrize(
    "labels",
    [
        pytest.param(lambda y: (y, None), id="all labeled"),
        pytest.param(lambda y: (np.where(np.arange(len(y)) < 5, 0, -1), -1), id="one class"),
    ],
)
def test_nothing_to_learn(wine, labels):
    X, y, _ = wine
    few, mark = labels(y)
    clf = small(unlabeled_value=mark, ensemble=[Constant()])
    found = clf.fit(X, few).predict_proba(X)
    alone = clone(clf).set_params(ensemble=None).fit(X, few).predict_proba(X)
    np.testing.assert_array_equal(found, alone)


def test_class_without_labels_has_no_probability():
    dataset = SemiSupervisedDataset(torch.randn(20, 3), torch.tensor([0, 2] * 4 + [-1] * 12))
    ensemble = Ensemble((Constant(1), "extra_trees"), dataset, n_classes=3, seed=0)
    assert (ensemble._mean[:, 1] == 0).all()
    np.testing.assert_allclose(ensemble._mean.sum(axis=1), 1)


class NotAnEstimator:
    def fit(self, X, y):
        return self

    def predict_proba(self, X):
        return X


@pytest.mark.parametrize(
    "member", ["forest", LogisticRegression, StandardScaler(), 1, NotAnEstimator()]
)
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_bad_member_is_refused_before_training(wine, member, method):
    X, y, few = wine
    options = {"classes": np.unique(y)} if method == "partial_fit" else {}
    clf = small(ensemble=["extra_trees", member])
    with pytest.raises(ValueError, match=r"'ensemble' parameter of SGANClassifier .* Got .* in it"):
        getattr(clf, method)(X, few, **options)
    assert not hasattr(clf, "net_")


class Refusing(Constant):
    def fit(self, X, y):
        raise RuntimeError("Too few rows.")


class NotFinite(Constant):
    def predict_proba(self, X):
        return super().predict_proba(X) * np.nan


class Negative(Constant):
    def predict_proba(self, X):
        return super().predict_proba(X) - 0.1


@pytest.mark.parametrize(
    ("member", "reason"),
    [
        (Refusing(), "Too few rows"),
        (NotFinite(), "negative or not finite"),
        (Negative(), "negative or not finite"),
    ],
)
def test_member_that_fails_is_named_before_training(wine, member, reason):
    X, _, few = wine
    clf = small(ensemble=[member])
    name = type(member).__name__
    with pytest.raises(ValueError, match=f"'ensemble' parameter .*: {name}.*30 labeled.* {reason}"):
        clf.fit(X, few)
    assert not hasattr(clf, "net_")


def test_interrupt_keeps_the_trained_networks(wine, monkeypatch):
    X, _, few = wine
    clf = small()

    def interrupted(self, net):
        raise KeyboardInterrupt

    monkeypatch.setattr(Ensemble, "_student", interrupted)
    with pytest.raises(KeyboardInterrupt), pytest.warns(UserWarning, match="interrupted"):
        clf.fit(X, few)
    alone = small(ensemble=None).fit(X, few)
    np.testing.assert_array_equal(clf.predict_proba(X), alone.predict_proba(X))


def test_divergence_keeps_the_trained_networks(wine, monkeypatch):
    X, _, few = wine
    monkeypatch.setattr(ensemble_module, "LEARNING_RATE", float("inf"))
    with pytest.warns(ConvergenceWarning, match="ensemble=None"):
        clf = small().fit(X, few)
    alone = small(ensemble=None).fit(X, few)
    np.testing.assert_array_equal(clf.predict_proba(X), alone.predict_proba(X))


@pytest.mark.parametrize("member", [LogisticRegression(C=2.0), ExtraTreesClassifier(10)])
def test_model_with_an_ensemble_is_saved(wine, tmp_path, member):
    X, _, few = wine
    clf = small(ensemble=["self_training", member]).fit(X, few)
    save(clf, tmp_path / "model.sgan")
    loaded = load(tmp_path / "model.sgan", custom_objects=[ExtraTreesClassifier])
    assert str(loaded.ensemble) == str(clf.ensemble)
    np.testing.assert_array_equal(loaded.predict_proba(X), clf.predict_proba(X))


def test_continued_training_and_early_stopping(wine, spread):
    X, y, few = wine
    clf = small(max_epochs=20, warm_start=True).fit(X, few)
    assert clf.fit(X, few).score(X, y) > 0.9
    clf = small(early_stopping=True, validation_fraction=0.2, n_iter_no_change=3, max_epochs=20)
    with_ensemble = clf.set_params(ensemble=[Constant()]).fit(X, few)
    # Six of the labels are held out.
    assert len(Constant.fitted_with[1]) == 24
    assert with_ensemble.best_validation_score_ == max(with_ensemble.validation_scores_)


class TestBalancedSelfTraining:
    def test_each_class_gets_its_share(self):
        rng = np.random.RandomState(0)
        X = np.concatenate([rng.randn(80, 2), rng.randn(20, 2) + 4])
        y = np.full(100, -1)
        y[[0, 1, 80, 81]] = [0, 0, 1, 1]
        shares = []

        class Recorded(LogisticRegression):
            def fit(self, X, y, sample_weight=None):
                shares.append(np.bincount(y, minlength=2))
                return super().fit(X, y, sample_weight)

        clf = BalancedSelfTraining(Recorded(), n_rounds=4, share=1.0).fit(X, y)
        assert len(shares) == 5
        assert shares[0].tolist() == [2, 2]
        np.testing.assert_allclose(shares[1], [2 + 0.25 * 78, 2 + 0.25 * 18], atol=2)
        assert shares[-1].sum() == 100
        assert np.mean(clf.predict_proba(X).argmax(axis=1) == np.repeat([0, 1], [80, 20])) > 0.95

    def test_predicted_rows_have_the_weight_of_their_class(self):
        X = np.concatenate([np.linspace(-2, -1, 20), np.linspace(1, 2, 20)])[:, None]
        y = np.full(40, -1)
        y[[0, 39]] = 0, 1
        weights = []

        class Recorded(LogisticRegression):
            def fit(self, X, y, sample_weight=None):
                weights.append((y, sample_weight))
                return super().fit(X, y, sample_weight)

        given = np.ones(40)
        given[39] = 3.0
        BalancedSelfTraining(Recorded()).fit(X, y, given)
        for codes, found in weights:
            np.testing.assert_array_equal(found, np.where(codes == 1, 3.0, 1.0))

    def test_without_unlabeled_rows_it_is_the_classifier(self):
        X, y = load_wine(return_X_y=True)
        X = StandardScaler().fit_transform(X)
        found = BalancedSelfTraining(LogisticRegression()).fit(X, y).predict_proba(X)
        np.testing.assert_array_equal(found, LogisticRegression().fit(X, y).predict_proba(X))
