"""Trainings in which the two networks no longer learn from each other."""

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning

from sgan_sklearn._training.diagnostics import collapsed_since, dead_since, relative_spread
from sgan_sklearn.architectures import MLPArchitecture
from sgan_sklearn.objectives import OBJECTIVES, Objective


@pytest.mark.parametrize(
    ("generated", "real", "spread"),
    [
        ([[0.0, 0.0], [2.0, 0.0]], [[0.0, 0.0], [4.0, 4.0]], 0.25),
        ([[1.0], [1.0]], [[0.0], [4.0]], 0.0),
        ([[0.0], [1.0]], [[3.0], [3.0]], 1.0),  # constant rows have no spread to compare with
        ([[0.0], [1.0]], [[3.0]], 1.0),
    ],
)
def test_relative_spread(generated, real, spread):
    assert relative_spread(torch.tensor(generated), torch.tensor(real)) == spread


@pytest.mark.parametrize(
    ("spreads", "epoch"),
    [([], None), ([0.5], None), ([0.0, 0.5], None), ([0.5, 0.001], 2), ([0.0, 0.0], 1)],
)
def test_first_epoch_of_a_collapse_is_found(spreads, epoch):
    assert collapsed_since([{"generated_spread": spread} for spread in spreads]) == epoch


@pytest.mark.parametrize(
    ("losses", "epoch"),
    [
        ([(0.5, 0.5)], None),
        ([(0.5, 0.0), (0.0, 0.5)], None),
        ([(0.5, 0.5), (0.001, 0.001), (0.0, 0.001)], 2),
        ([(0.001, 0.001), (0.5, 0.001)], None),
    ],
)
def test_first_epoch_of_a_too_strong_discriminator_is_found(losses, epoch):
    history = [{"real": real, "generated": generated} for real, generated in losses]
    assert dead_since(history) == epoch


def test_history_without_adversarial_steps_has_no_signs_of_failure():
    assert collapsed_since([{"supervised": 0.0}]) is None
    assert dead_since([{"supervised": 0.0}]) is None


@pytest.fixture(scope="module")
def rows():
    """Return rows of many dependent columns, so that poor generated rows are easily recognized."""
    X, y = load_digits(return_X_y=True)
    y[::2] = -1
    return X[:400], y[:400]


# Objectives with a generator.
ADVERSARIAL = [name for name, cls in OBJECTIVES.items() if cls.uses_generator]

QUICK = {
    "architecture": MLPArchitecture((64, 64), (16,)),
    "max_epochs": 30,
    "regularizer": None,
    "batch_size": 50,
}


def test_collapsed_generator_is_reported(make_classifier, rows):
    classifier = make_classifier(generator_lr=0.5, objective="stacked", **QUICK)
    with pytest.warns(ConvergenceWarning, match=r"collapsed: since epoch \d+ of 30.*now 0\.5"):
        classifier.fit(*rows)
    assert classifier.history_[-1]["generated_spread"] < 0.01
    assert np.isfinite(classifier.predict_proba(rows[0])).all()


@pytest.mark.parametrize("objective", sorted(ADVERSARIAL))
def test_too_strong_discriminator_is_reported(make_classifier, rows, objective):
    # The generator never learns.
    classifier = make_classifier(**QUICK, objective=objective, generator_lr=1e-9)
    with pytest.warns(ConvergenceWarning, match=r"too strong: since epoch \d+ of 30"):
        classifier.fit(*rows)


@pytest.mark.parametrize("objective", sorted(ADVERSARIAL))
def test_successful_training_is_not_reported(make_classifier, rows, objective):
    classifier = make_classifier(**QUICK, objective=objective).fit(*rows)
    assert all(epoch["generated_spread"] > 0.1 for epoch in classifier.history_)


class OwnTerms(Objective):
    """Objective that records other losses under the usual names."""

    def unsupervised_loss(self, unlabeled, generated):
        loss = super().unsupervised_loss(unlabeled, generated)["loss"]
        return {"loss": loss, "real": 0.0 * loss, "generated": 0.0 * loss}


def test_terms_of_custom_objectives_are_ignored(make_classifier, rows):
    history = make_classifier(**QUICK, objective=OwnTerms()).fit(*rows).history_
    assert history[-1]["real"] == history[-1]["generated"] == 0


@pytest.mark.parametrize("params", [{"unsupervised_weight": 0}, {"objective": "supervised"}])
def test_training_without_generator_is_not_reported(make_classifier, rows, params):
    classifier = make_classifier(**QUICK, **params).fit(*rows)
    assert "generated_spread" not in classifier.history_[-1]
