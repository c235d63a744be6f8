"""Class probabilities as y."""

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.datasets import load_wine, make_blobs
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sgan_sklearn import SGANClassifier, Training, load, save
from sgan_sklearn._data.batches import SemiSupervisedBatches, SemiSupervisedDataset
from sgan_sklearn.model_selection import mask_labels

SGAN = {"max_epochs": 2, "device": "cpu", "random_state": 0}


@pytest.fixture(scope="module")
def wine():
    """Return rows, partly labeled, and the labels as probabilities."""
    X, y = load_wine(return_X_y=True)
    few = mask_labels(y, per_class=8, random_state=0)
    soft = np.full((len(y), 3), np.nan)
    soft[few != -1] = np.eye(3)[few[few != -1]]
    return X, few, soft


def classifier(**params):
    return SGANClassifier(**{**SGAN, **params})


def test_certain_probabilities_are_like_labels(wine):
    X, y, soft = wine
    of_labels = classifier(ensemble=None, regularizer=None).fit(X, y)
    of_probabilities = classifier(ensemble=None, regularizer=None).fit(X, soft)
    np.testing.assert_array_equal(of_labels.predict_proba(X), of_probabilities.predict_proba(X))
    np.testing.assert_array_equal(of_labels.transduction_, of_probabilities.transduction_)


@pytest.mark.parametrize("ensemble", ["auto", None])
def test_training_is_reproducible_and_keeps_the_probabilities(wine, ensemble):
    X, y, soft = wine
    soft = 0.9 * soft + 0.1 / 3
    first, second = (classifier(ensemble=ensemble).fit(X, soft) for _ in range(2))
    np.testing.assert_array_equal(first.predict_proba(X), second.predict_proba(X))
    np.testing.assert_allclose(first.label_distributions_[y != -1], soft[y != -1], rtol=1e-6)


def test_probabilities_are_learned():
    # Two classes that cannot be told apart: 70 % of the labels are of the first one.
    X, _ = make_blobs(400, centers=1, random_state=0)
    soft = np.full((400, 2), np.nan)
    soft[:50] = [0.7, 0.3]
    params = {"regularizer": None, "ensemble": None, "max_epochs": 40, "unsupervised_weight": 0}
    learned = classifier(**params).fit(X, soft).predict_proba(X).mean(axis=0)
    np.testing.assert_allclose(learned, [0.7, 0.3], atol=0.06)


def test_probabilities_are_learned_by_default():
    # For 60 percent of the rows, the first class is the more probable one, but not by much.
    X, _ = make_blobs(400, centers=1, random_state=0)
    soft = np.full((400, 2), np.nan)
    soft[:100] = np.random.RandomState(0).permutation([[0.6, 0.4]] * 60 + [[0.1, 0.9]] * 40)
    fitted = classifier(max_epochs=40).fit(X, soft)
    names = [regularizer.name for regularizer in fitted.plan_.regularizers]
    assert names == ["virtual_adversarial"]
    np.testing.assert_allclose(fitted.predict_proba(X).mean(axis=0), [0.4, 0.6], atol=0.05)


def test_labels_are_drawn_from_the_probabilities():
    probabilities = torch.tensor([[0.2, 0.8], [1.0, 0.0], [0.0, 0.0]])
    dataset = SemiSupervisedDataset(
        torch.zeros(3, 1), torch.tensor([1, 0, -1]), probabilities=probabilities
    )
    torch.manual_seed(0)
    batches = SemiSupervisedBatches(dataset, 1, 2)
    drawn = [batch for _ in range(300) for batch in batches]
    codes = torch.cat([batch.codes for batch in drawn])
    assert set(codes.tolist()) == {0, 1}
    # Half of the labeled rows are always of class 0, and the others of class 1 with 80 %.
    assert codes.float().mean() == pytest.approx(0.4, abs=0.03)


def test_processes_draw_their_parts_of_the_same_labels(monkeypatch):
    probabilities = torch.full((4, 2), 0.5)
    dataset = SemiSupervisedDataset(
        torch.zeros(4, 1), torch.zeros(4, dtype=int), probabilities=probabilities
    )
    codes = []
    for rank in range(2):
        monkeypatch.setattr("sgan_sklearn._data.batches.n_processes", lambda: 2)
        monkeypatch.setattr(
            "sgan_sklearn._data.batches.process_part", lambda values, rank=rank: values[rank::2]
        )
        torch.manual_seed(0)
        batches = SemiSupervisedBatches(dataset, 2, 2)
        codes.append(torch.cat([batch.codes for _ in range(50) for batch in batches]))
    assert 0.3 < (codes[0] == codes[1]).float().mean() < 0.7


def test_columns_of_a_frame_are_the_classes(wine):
    X, y, soft = wine
    frame = pd.DataFrame(soft, columns=["white", "red", "rose"])
    fitted = classifier().fit(X, frame)
    assert fitted.classes_.tolist() == ["red", "rose", "white"]
    names = np.array(["white", "red", "rose"])
    np.testing.assert_array_equal(fitted.transduction_[y != -1], names[y[y != -1]])
    assert fitted.score(X, names[load_wine().target]) > 0.6


def test_polars_and_pipelines(wine):
    polars = pytest.importorskip("polars")
    X, _, soft = wine
    frame = polars.DataFrame(soft, schema=["a", "b", "c"])
    fitted = make_pipeline(StandardScaler(), classifier()).fit(X, frame)
    assert fitted[-1].classes_.tolist() == ["a", "b", "c"]


@pytest.mark.parametrize("place", [0, 1, 3])
def test_a_class_that_is_never_the_most_probable(wine, place):
    X, _, soft = wine
    fourth = np.where(np.isnan(soft[:, 0]), np.nan, 0.2)
    four = np.insert(0.8 * soft, place, fourth, axis=1)
    fitted = classifier(early_stopping=True, validation_fraction=0.25).fit(X, four)
    assert fitted.predict_proba(X).shape == (178, 4)
    assert 0.05 < fitted.predict_proba(X)[:, place].mean() < 0.45


def test_all_rows_may_have_probabilities(wine):
    X, _, _ = wine
    soft = np.tile([0.5, 0.25, 0.25], (178, 1))
    fitted = classifier(max_epochs=40).fit(X, soft)
    np.testing.assert_allclose(fitted.predict_proba(X).mean(axis=0), soft[0], atol=0.1)
    np.testing.assert_allclose(fitted.label_distributions_, soft)


@pytest.mark.parametrize("shares", [[0.33, 0.33, 0.33], [0.34, 0.33, 0.32], [0.34, 0.34, 0.33]])
def test_rounded_probabilities(wine, shares):
    X, _, soft = wine
    soft = np.where(np.isnan(soft), np.nan, shares)
    fitted = classifier(max_epochs=1).fit(X, soft)
    assert fitted.label_distributions_.sum(axis=1) == pytest.approx(1)


def test_masked_nullable_and_arrow_tables(wine):
    X, y, soft = wine
    expected = classifier(max_epochs=1).fit(X, soft).predict_proba(X)
    masked = np.ma.masked_array(np.nan_to_num(soft), np.isnan(soft))
    nullable = pd.DataFrame(soft, columns=[0, 1, 2]).astype("Float64")
    for table in (masked, nullable):
        found = classifier(max_epochs=1).fit(X, table)
        np.testing.assert_array_equal(found.predict_proba(X), expected)
    pyarrow = pytest.importorskip("pyarrow")
    arrow = pyarrow.table({name: soft[:, i] for i, name in enumerate("cab")})
    fitted = classifier(max_epochs=1).fit(X, arrow)
    assert fitted.classes_.tolist() == ["a", "b", "c"]
    names = np.array(["c", "a", "b"])
    np.testing.assert_array_equal(fitted.transduction_[y != -1], names[y[y != -1]])


def test_saved_and_resumed_models_are_the_same(wine, tmp_path):
    X, _, soft = wine
    soft = 0.9 * soft + 0.1 / 3
    fitted = classifier(max_epochs=4).fit(X, soft)
    save(fitted, tmp_path / "model")
    np.testing.assert_array_equal(
        load(tmp_path / "model").predict_proba(X), fitted.predict_proba(X)
    )
    part = Training(checkpoint_dir=tmp_path / "run", checkpoint_every=1)
    classifier(max_epochs=2, training=part).fit(X, soft)
    resumed = classifier(max_epochs=4, training=part.set_params(resume=True)).fit(X, soft)
    np.testing.assert_array_equal(resumed.predict_proba(X), fitted.predict_proba(X))


def test_rows_of_weight_zero_have_no_influence(wine):
    X, y, soft = wine
    weights = np.random.RandomState(0).uniform(0.5, 2, len(X))
    weights[np.flatnonzero(y != -1)[:3]] = 0
    fits = []
    for factor in (1, -5):
        rows = X.copy()
        rows[weights == 0] *= factor
        fits.append(classifier().fit(rows, soft, sample_weight=weights))
    np.testing.assert_array_equal(fits[0].predict_proba(X), fits[1].predict_proba(X))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda soft: 2 * soft, r"must add up to 1 in each row.* Row \d+ .* with the sum 2"),
        (lambda soft: soft - 1e-3, "must not be negative"),
        (lambda soft: np.where(soft == 0, np.nan, soft), "must be numbers, or all NaN"),
        (lambda soft: np.where(soft == 1, np.inf, soft), "must be numbers, or all NaN"),
        (lambda soft: np.ma.masked_array(soft, soft == 0), "must be numbers, or all NaN"),
        (lambda soft: np.full_like(soft, np.nan), "all 178 rows are unlabeled"),
        (lambda soft: pd.DataFrame(soft, columns=list("aba")), "must differ from each other"),
        (lambda soft: pd.DataFrame(soft, columns=[-1, 0, 1]), "unlabeled_value=-1"),
        (lambda soft: soft[:-1], "y has 177"),
        (lambda soft: pd.DataFrame(soft, columns=[0.5, 1.5, 2.0]), "class labels"),
        (lambda soft: pd.DataFrame(soft, columns=["a", 1, 2]), "must be numbers or strings"),
        (lambda soft: pd.DataFrame(soft, columns=["a", None, "b"]), "must be numbers or strings"),
        (
            lambda soft: pd.DataFrame(soft, columns=pd.MultiIndex.from_tuples(["ab", "ac", "bc"])),
            "must be numbers or strings",
        ),
        (lambda soft: np.where(np.isnan(soft), -1, soft), "must not be negative"),
        (lambda soft: np.nan_to_num(soft).astype(int), "one label for each row"),
    ],
)
def test_wrong_probabilities_are_refused(wine, change, message):
    X, _, soft = wine
    with pytest.raises(ValueError, match=message):
        classifier().fit(X, change(soft))


def test_parts_and_scores_take_labels(wine):
    X, _, soft = wine
    with pytest.raises(ValueError, match="one label for each row"):
        classifier().partial_fit(X, soft, classes=[0, 1, 2])
    fitted = classifier().fit(X, soft)
    with pytest.raises(ValueError, match="one label for each row"):
        fitted.score(X, soft)


def test_parameters_that_exclude_probabilities(wine):
    X, _, soft = wine
    with pytest.raises(ValueError, match="must be None if y holds class probabilities"):
        classifier(class_weight="balanced").fit(X, soft)
    with pytest.raises(ValueError, match=r"unlabeled_value=0\..* set another"):
        classifier(unlabeled_value=0).fit(X, soft)
    with pytest.raises(ValueError, match="unlabeled_value=None means that every row"):
        classifier(unlabeled_value=None).fit(X, soft)
