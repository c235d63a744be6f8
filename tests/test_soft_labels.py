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


def test_certain_probabilities_give_the_model_of_labels(wine):
    X, y, soft = wine
    of_labels = classifier(ensemble=None).fit(X, y)
    of_probabilities = classifier(ensemble=None).fit(X, soft)
    # Another stream of random numbers draws the labels.
    assert of_probabilities.classes_.tolist() == [0, 1, 2]
    np.testing.assert_array_equal(of_probabilities.transduction_[y != -1], y[y != -1])
    agreement = (of_labels.predict(X) == of_probabilities.predict(X)).mean()
    assert agreement > 0.9


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


def test_a_class_that_is_never_the_most_probable(wine):
    X, _, soft = wine
    with_fourth = np.column_stack([0.8 * soft, np.where(np.isnan(soft[:, 0]), np.nan, 0.2)])
    fitted = classifier(early_stopping=True, validation_fraction=0.25).fit(X, with_fourth)
    assert fitted.predict_proba(X).shape == (178, 4)


def test_all_rows_may_have_probabilities(wine):
    X, _, _ = wine
    soft = np.tile([0.5, 0.25, 0.25], (178, 1))
    assert classifier().fit(X, soft).predict_proba(X).shape == (178, 3)


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


def test_weights_and_probabilities(wine):
    X, _, soft = wine
    weights = np.random.RandomState(0).uniform(0.5, 2, len(X))
    weights[:5] = 0
    assert classifier().fit(X, soft, sample_weight=weights).n_steps_ > 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda soft: 2 * soft, r"add up to 1 in each row.* Row \d+ holds \["),
        (lambda soft: soft - 1e-3, "not negative"),
        (lambda soft: np.where(soft == 0, np.nan, soft), "NaN in all columns"),
        (lambda soft: np.full_like(soft, np.nan), "all 178 rows are unlabeled"),
        (lambda soft: pd.DataFrame(soft, columns=list("aba")), "must differ from each other"),
        (lambda soft: pd.DataFrame(soft, columns=[-1, 0, 1]), "unlabeled_value=-1"),
        (lambda soft: soft[:-1], "y has 177"),
        (lambda soft: pd.DataFrame(soft, columns=[0.5, 1.5, 2.0]), "class labels"),
        (lambda soft: np.where(np.isnan(soft), -1, soft), "not negative"),
        (lambda soft: np.nan_to_num(soft).astype(int), "one label for each row"),
    ],
)
def test_wrong_probabilities_are_refused(wine, change, message):
    X, _, soft = wine
    with pytest.raises(ValueError, match=message):
        classifier().fit(X, change(soft))


def test_parts_and_scores_take_labels(wine):
    X, _, soft = wine
    with pytest.raises(ValueError, match="y of partial_fit must hold labels"):
        classifier().partial_fit(X, soft, classes=[0, 1, 2])
    fitted = classifier().fit(X, soft)
    with pytest.raises(ValueError, match="one label for each row"):
        fitted.score(X, soft)
