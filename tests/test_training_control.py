"""Training in parts, early stopping, and the schedule of the learning rates."""

import math
import pickle
import re

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from skorch.callbacks import Callback

from sgan_sklearn import Training
from sgan_sklearn._data.labels import check_labels
from sgan_sklearn._runtime.random import draw_seed
from sgan_sklearn._training import run as run_module
from sgan_sklearn._training.early_stopping import EarlyStopping, draw_validation_rows
from sgan_sklearn._training.schedules import SCHEDULES
from sgan_sklearn.regularizers import ClassPrior


def weights_of(classifier):
    return [value.numpy() for value in classifier.discriminator_.state_dict().values()]


# --- partial_fit ----------------------------------------------------------------------------------


def test_partial_fit_learns_part_by_part(make_learner, data, labels):
    X, y = data
    classifier = make_learner()
    parts = np.array_split(np.random.RandomState(0).permutation(60), 3)
    for _ in range(20):
        for part in parts:
            assert classifier.partial_fit(X[part], y[part], classes=np.unique(y)) is classifier
    assert classifier.score(X, labels) > 0.9
    assert classifier.n_iter_ == len(classifier.history_) == 60
    assert classifier.n_steps_ == 60
    assert classifier.sample(2).shape == (2, 4)


def test_partial_fit_of_all_rows_equals_a_fit_of_one_epoch(make_classifier, data):
    # Without the parts of "auto" that only a fit uses.
    X, y = data
    options = {"regularizer": "virtual_adversarial", "ensemble": None, "max_epochs": 1}
    fitted = make_classifier(**options).fit(X, y)
    in_parts = make_classifier(**options).partial_fit(X, y, classes=[0, 1, 2])
    np.testing.assert_array_equal(fitted.predict_proba(X), in_parts.predict_proba(X))


def test_partial_fit_continues_a_fit(make_classifier, data):
    X, y = data
    classifier = make_classifier(max_epochs=2).fit(X, y)
    scaler = classifier.scaler_
    before = weights_of(classifier)
    classifier.partial_fit(X[:20], y[:20])
    assert classifier.scaler_ is scaler
    assert classifier.n_iter_ == 3
    assert any((a != b).any() for a, b in zip(before, weights_of(classifier), strict=True))
    assert classifier.transduction_.shape == (20,)


def test_partial_fit_gives_the_same_model_with_the_same_seed(make_classifier, data):
    X, y = data
    models = []
    for _ in range(2):
        classifier = make_classifier(random_state=3)
        for part in (slice(0, 30), slice(30, 60)):
            classifier.partial_fit(X[part], y[part], classes=[0, 1, 2])
        models.append(classifier.predict_proba(X))
    np.testing.assert_array_equal(*models)


class Latents(Callback):
    """Record the random numbers that a training draws."""

    def __init__(self):
        self.drawn = []

    def on_epoch_begin(self, net, **kwargs):
        self.drawn.append(torch.randn(3))


def test_continued_training_draws_other_random_numbers(make_classifier, data):
    latents = Latents()
    classifier = make_classifier(callbacks=[latents], random_state=0)
    for _ in range(3):
        classifier.partial_fit(*data, classes=[0, 1, 2])
    assert len({tuple(numbers.tolist()) for numbers in latents.drawn}) == 3


def test_partial_fit_of_a_part_without_labels(make_classifier, data):
    X, y = data
    classifier = make_classifier().partial_fit(X, y, classes=[0, 1, 2])
    classifier.partial_fit(X, np.full(60, -1))
    assert classifier.history_[-1]["supervised"] == 0.0
    assert np.isfinite(classifier.history_[-1]["discriminator_loss"])
    assert len(classifier.transduction_) == 60


@pytest.mark.parametrize("objective", ["feature_matching", "softmax", "two_headed"])
def test_first_part_may_lack_labels_of_a_class_or_all_labels(make_classifier, data, objective):
    X, y = data
    for first in (np.where(y == 2, -1, y), np.full(60, -1)):
        classifier = make_classifier(objective=objective).partial_fit(X, first, classes=[0, 1, 2])
        assert classifier.predict_proba(X).shape == (60, 3)
        classifier.partial_fit(X, y)


def test_partial_fit_of_strings(make_classifier, data):
    X, y = data
    names = np.array(["ash", "elm", "oak"], dtype=object)
    few = np.where(y == -1, -1, names[y])
    classifier = make_classifier().partial_fit(X, few, classes=np.append(names, -1))
    assert classifier.classes_.tolist() == ["ash", "elm", "oak"]
    assert set(classifier.predict(X)) <= {"ash", "elm", "oak"}


def test_partial_fit_of_images(make_classifier):
    X = np.random.RandomState(0).rand(20, 8, 8)
    classifier = make_classifier(architecture="auto")
    for _ in range(2):
        classifier.partial_fit(X, np.arange(20) % 2, classes=[0, 1])
    assert classifier.image_shape_ == (8, 8, 1)


def test_partial_fit_does_not_scale_class_weights(make_classifier, data):
    X, y = data
    one_class = np.where(y == 1, 1, -1)
    models = [
        make_classifier(class_weight=weight).partial_fit(X, one_class, classes=[0, 1, 2])
        for weight in (None, {1: 1.0}, {1: 5.0})
    ]
    losses = [model.history_[0]["supervised"] for model in models]
    assert losses[0] == pytest.approx(losses[1])
    assert losses[2] > 2 * losses[0]


def test_partial_fit_keeps_the_fitted_model_on_error(make_classifier, data):
    X, y = data
    classifier = make_classifier().partial_fit(X, y, classes=[0, 1, 2])
    before = classifier.predict_proba(X)
    for message, bad in {
        "y holds [7]": {"y": np.where(y == 2, 7, y)},
        "differs from the classes": {"y": y, "classes": [0, 1]},
        "2 features": {"X": X[:, :2], "y": y},
    }.items():
        with pytest.raises(ValueError, match=re.escape(message)):
            classifier.partial_fit(**{"X": X, **bad})
        np.testing.assert_array_equal(classifier.predict_proba(X), before)


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        (None, "classes must be passed on the first call to partial_fit"),
        ([-1], "at least one class label besides unlabeled_value"),
        ([0, 1], r"y holds \[2\], but the classes are \[0, 1\]"),
        ([0.5, 1.2], "Unknown label type"),
        ([[0, 1], [1, 2]], "'classes' parameter .* must be a list or an array"),
        ({0, 1, 2}, "'classes' parameter .* must be a list or an array"),
    ],
)
def test_partial_fit_of_bad_classes(make_classifier, data, classes, message):
    with pytest.raises(ValueError, match=message):
        make_classifier().partial_fit(*data, classes=classes)


def test_partial_fit_of_other_classes_than_before(make_classifier, data):
    classifier = make_classifier().partial_fit(*data, classes=[0, 1, 2])
    with pytest.raises(ValueError, match=r"\[0, 1, 2, 3\] differs from the classes"):
        classifier.partial_fit(*data, classes=[0, 1, 2, 3])


@pytest.mark.parametrize(
    ("name", "value"),
    [("early_stopping", True), ("training__lr_schedule", "cosine"), ("class_weight", "balanced")],
)
def test_partial_fit_refuses_parameters_that_need_all_rows(make_classifier, data, name, value):
    option = name.removeprefix("training__")
    with pytest.raises(ValueError, match=f"partial_fit does not support {option}="):
        make_classifier(**{name: value}).partial_fit(*data, classes=[0, 1, 2])


def test_partial_fit_without_any_loss_is_refused(make_classifier, data):
    with pytest.raises(ValueError, match="each part must hold a labeled row"):
        make_classifier(unsupervised_weight=0).partial_fit(
            data[0], np.full(60, -1), classes=[0, 1, 2]
        )


def test_parts_without_labels_need_a_loss(make_classifier, data):
    X, y = data
    classifier = make_classifier(objective="supervised", regularizer=None)
    message = "objective Supervised and no regularizer each part must hold a labeled row"
    with pytest.raises(ValueError, match=message):
        classifier.partial_fit(X, np.full(len(X), -1), classes=[0, 1, 2])
    classifier.partial_fit(X, y, classes=[0, 1, 2])
    before = classifier.predict_proba(X)
    with pytest.raises(ValueError, match=message):
        classifier.partial_fit(X, np.full(len(X), -1))
    np.testing.assert_array_equal(classifier.predict_proba(X), before)
    learns = make_classifier(objective="supervised", regularizer="entropy")
    learns.partial_fit(X, np.full(len(X), -1), classes=[0, 1, 2])
    assert learns.n_steps_ > 0


def test_class_prior_of_a_part_without_one_of_the_classes(make_classifier, data):
    X, y = data
    few = np.where(y == 2, -1, y)
    with pytest.raises(ValueError, match=r"ClassPrior\(prior='auto'\) needs a labeled row of each"):
        make_classifier(regularizer="class_prior").partial_fit(X, few, classes=[0, 1, 2])
    given = ClassPrior([0.3, 0.3, 0.4])
    make_classifier(regularizer=given).partial_fit(X, few, classes=[0, 1, 2])


# --- early stopping -------------------------------------------------------------------------------


class History(dict):
    def record(self, name, value):
        self.setdefault(name, []).append(value)


class StubNet:
    """The part of a net that early stopping uses."""

    def __init__(self):
        self.history = History()
        self.stop_training_ = False
        self.epoch = 0

    def snapshot(self):
        return self.epoch

    def restore(self, snapshot):
        self.restored = snapshot


def watched(scores, n_iter_no_change, tol=0.0):
    net, watch = StubNet(), EarlyStopping(n_iter_no_change, tol)
    for score in scores:
        if net.stop_training_:
            break
        net.epoch += 1
        watch.update(net, score)
    watch.restore_best(net)
    return net


@pytest.mark.parametrize(
    ("scores", "stopped_after", "best"),
    [
        ([0.1, 0.2, 0.3], 3, 3),
        ([0.5, 0.4, 0.3, 0.2, 0.9], 4, 1),
        ([0.5, 0.4, 0.6, 0.5, 0.5, 0.5, 0.9], 6, 3),
        ([0.5, 0.5, 0.5, 0.5, 0.5], 4, 4),
        ([0.9, 0.5, 0.9, 0.5, 0.9], 4, 3),
    ],
)
def test_early_stopping_keeps_the_latest_best_epoch(scores, stopped_after, best):
    net = watched(scores, n_iter_no_change=3, tol=0.001)
    assert net.epoch == stopped_after
    assert net.restored == best
    assert net.history["validation_score"] == pytest.approx(scores[:stopped_after])


def test_early_stopping_without_tolerance_counts_equal_scores_as_gains():
    assert watched([0.5] * 6, n_iter_no_change=2).epoch == 6


def test_early_stopping_of_a_classifier(make_learner, data, labels):
    X, _ = data
    classifier = make_learner(
        early_stopping=True,
        validation_fraction=0.3,
        n_iter_no_change=4,
        max_epochs=200,
        unlabeled_value=None,
    )
    classifier.fit(X, labels)
    scores = classifier.validation_scores_
    assert classifier.n_iter_ == len(scores) < 200
    assert classifier.best_validation_score_ == max(scores)
    assert [epoch["validation_score"] for epoch in classifier.history_] == scores
    last_best = len(scores) - scores[::-1].index(max(scores))
    steps_per_epoch = math.ceil(42 / 20)  # 18 of 60 rows are held out
    assert classifier.n_steps_ == steps_per_epoch * last_best
    # Held-out rows keep their labels.
    np.testing.assert_array_equal(classifier.transduction_, labels)
    pickle.loads(pickle.dumps(classifier)).predict(X)


def test_early_stopping_keeps_the_model_with_the_best_score(make_learner, data):
    X, y = data
    classifier = make_learner(early_stopping=True, validation_fraction=0.3, max_epochs=12)
    classifier.fit(X, y)
    labels = check_labels(y, -1)
    held = draw_validation_rows(labels, 0.3, draw_seed(classifier.random_state))
    assert classifier.score(X[held], y[held]) == classifier.best_validation_score_


class Rows(Callback):
    """Record the training rows and their codes."""

    def on_train_begin(self, net, X=None, **kwargs):
        self.rows, self.codes = X.rows.numpy(), X.codes.numpy()


def test_held_out_rows_are_not_used_for_training(make_classifier, data):
    X, y = data
    seen = Rows()
    options = {"early_stopping": True, "validation_fraction": 0.3, "scaling": "none"}
    make_classifier(callbacks=[seen], **options).fit(X, y)
    held = draw_validation_rows(check_labels(y, -1), 0.3, draw_seed(0))
    np.testing.assert_array_equal(seen.rows, X[~held].astype(np.float32))
    np.testing.assert_array_equal(seen.codes, y[~held])


def test_no_validation_scores_without_early_stopping(fitted):
    assert fitted.validation_scores_ is None
    assert fitted.best_validation_score_ is None
    assert "validation_score" not in fitted.history_[0]


def test_early_stopping_after_a_warm_start_uses_the_last_fit(make_classifier, data):
    X, y = data
    classifier = make_classifier(warm_start=True, max_epochs=3).fit(X, y)
    classifier.set_params(early_stopping=True, validation_fraction=0.3, max_epochs=2)
    classifier.fit(X, y)
    assert len(classifier.validation_scores_) == 2
    assert classifier.n_iter_ == 5


@given(
    counts=st.lists(st.integers(1, 12), min_size=1, max_size=5),
    n_unlabeled=st.integers(0, 5),
    fraction=st.floats(0.01, 0.99),
)
def test_validation_rows_are_labeled_and_leave_each_class_a_row(counts, n_unlabeled, fraction):
    y = np.r_[np.repeat(np.arange(len(counts)), counts), np.full(n_unlabeled, -1)]
    labels = check_labels(y, -1)
    n_held = round(fraction * sum(counts))
    enough = len(counts) <= n_held <= sum(counts) - len(counts) and min(counts) >= 2
    if not enough:
        with pytest.raises(ValueError, match="early_stopping=True with validation_fraction"):
            draw_validation_rows(labels, fraction, 0)
        return
    held = draw_validation_rows(labels, fraction, 0)
    assert held.sum() == n_held
    assert (y[held] != -1).all()
    assert set(y[~held]) - {-1} == set(range(len(counts)))


@pytest.mark.parametrize("fraction", [0.05, 0.97])
def test_too_few_labels_to_hold_out(make_classifier, data, fraction):
    with pytest.raises(ValueError, match=r"of 40 labeled rows,.* each of the 3 classes"):
        make_classifier(early_stopping=True, validation_fraction=fraction).fit(*data)


def test_class_with_one_label_is_named(make_classifier, data):
    X, y = data
    few = y.copy()
    few[np.flatnonzero(y == 2)[1:]] = -1
    with pytest.raises(ValueError, match="such as of 2, which has 1"):
        make_classifier(early_stopping=True, validation_fraction=0.3).fit(X, few)


def test_continued_training_holds_out_the_same_rows(make_classifier, data):
    seen = Rows()
    classifier = make_classifier(
        early_stopping=True,
        validation_fraction=0.3,
        warm_start=True,
        callbacks=[seen],
        random_state=np.random.RandomState(0),
    )
    classifier.fit(*data)
    first = seen.rows
    classifier.fit(*data)
    np.testing.assert_array_equal(first, seen.rows)


def test_held_out_labels_do_not_affect_class_weights(make_classifier, data):
    X, y = data
    held = draw_validation_rows(check_labels(y, -1), 0.3, draw_seed(0))
    weights = []

    class Weights(Callback):
        def on_train_begin(self, net, X=None, **kwargs):
            weights.append(X.weights.numpy())

    make_classifier(
        early_stopping=True,
        validation_fraction=0.3,
        class_weight="balanced",
        callbacks=[Weights()],
    ).fit(X, y)
    taught = y[~held]
    assert weights[0][taught != -1].mean() == pytest.approx(1)
    for code in range(3):
        share = (taught == code).sum() / (taught != -1).sum()
        np.testing.assert_allclose(weights[0][taught == code], 1 / (3 * share), rtol=1e-5)


# --- stopping by a callback -----------------------------------------------------------------------


class StopAfter(Callback):
    def __init__(self, n_epochs):
        self.n_epochs = n_epochs
        self.ended = []

    def on_epoch_end(self, net, **kwargs):
        self.ended.append(len(net.history))
        net.stop_training_ = len(net.history) >= self.n_epochs


def test_callback_can_stop_the_training(make_classifier, data, capsys):
    stop = StopAfter(2)
    classifier = make_classifier(callbacks=[stop], max_epochs=50, verbose=1).fit(*data)
    assert classifier.n_iter_ == 2
    assert stop.ended == [1, 2]
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == "stopped after 2 of 50 epochs"
    assert lines[-2].split()[0] == "2/50"
    # This does not stop the next training.
    classifier.set_params(callbacks=None, max_epochs=3).fit(*data)
    assert classifier.n_iter_ == 3


# --- schedules ------------------------------------------------------------------------------------


class Rates(Callback):
    """Record both learning rates after each step."""

    def __init__(self):
        self.rates = []

    def on_batch_end(self, net, **kwargs):
        optimizers = net.optimizer_, net.generator_optimizer_
        self.rates.append([optimizer.param_groups[0]["lr"] for optimizer in optimizers])


def test_registered_schedules_decrease_from_one_to_zero():
    for name, schedule in SCHEDULES.items():
        if name == "constant":
            assert schedule is None
            continue
        factors = [schedule(t) for t in np.linspace(0, 1, 21)]
        if name == "one_cycle":
            assert factors[:3] == pytest.approx([0.1, 0.55, 1])
            factors = [schedule(t) for t in np.linspace(0.1, 1, 21)]
        assert factors[0] == 1
        assert factors[-1] == pytest.approx(0)
        assert (np.diff(factors) < 0).all()
        assert factors[10] == pytest.approx(0.5)


def rates_of(classifier, data):
    rates = Rates()
    classifier.set_params(callbacks=[rates]).fit(*data)
    return np.array(rates.rates)


@pytest.mark.parametrize("schedule", ["linear", lambda t: 1 - t])
def test_both_rates_follow_the_schedule(make_classifier, data, schedule):
    classifier = make_classifier(
        training__lr_schedule=schedule,
        discriminator_lr=0.01,
        generator_lr=0.02,
        max_epochs=4,
    )
    falling = 1 - np.arange(12) / 12
    expected = np.outer(falling, [0.01, 0.02])
    np.testing.assert_allclose(rates_of(classifier, data), expected)


def test_rates_are_constant_by_default(make_classifier, data):
    classifier = make_classifier(discriminator_lr=0.01, generator_lr=0.02)
    np.testing.assert_array_equal(rates_of(classifier, data), [[0.01, 0.02]] * 9)


def test_each_fit_of_a_warm_start_has_its_own_schedule(make_classifier, data):
    classifier = make_classifier(training__lr_schedule="linear", warm_start=True, max_epochs=2)
    first, second = rates_of(classifier, data), rates_of(classifier, data)
    np.testing.assert_allclose(first, second)
    constant = rates_of(classifier.set_params(training__lr_schedule="constant"), data)
    np.testing.assert_array_equal(constant, [[0.005, 0.005]] * 6)


@pytest.mark.parametrize("factor", [-0.1, np.nan, np.inf])
def test_schedule_with_invalid_factors_is_refused(factor, make_classifier, data):
    with pytest.raises(
        ValueError, match=r"'lr_schedule' parameter of Training .* factor of at least 0"
    ):
        make_classifier(training__lr_schedule=lambda t: factor).fit(*data)


def test_schedule_changes_the_model(make_classifier, data):
    X, y = data
    models = [
        make_classifier(training__lr_schedule=name).fit(X, y) for name in ("constant", "cosine")
    ]
    probabilities = [model.predict_proba(X) for model in models]
    assert np.abs(probabilities[0] - probabilities[1]).max() > 1e-4


# --- time budget --------------------------------------------------------------------------------


def test_training_ends_with_its_time(make_classifier, data, monkeypatch):
    ticks = iter(range(10_000))
    monkeypatch.setattr(run_module.time, "perf_counter", lambda: next(ticks))
    X, y = data
    classifier = make_classifier(max_epochs=50, training=Training(max_time=7.0))
    n_steps = -(-len(X) // classifier.batch_size)
    classifier.fit(X, y)
    assert 1 <= classifier.n_iter_ < 50
    assert 0 < classifier.n_steps_ < 50 * n_steps
    last = classifier.history_[-1]
    assert {"discriminator_loss", "dur"} <= set(last)
    assert np.isfinite(last["discriminator_loss"])
    assert classifier.predict(X).shape == y.shape


def test_one_step_is_made_in_any_time(make_classifier, data):
    classifier = make_classifier(max_epochs=9, training=Training(max_time=1e-9)).fit(*data)
    assert (classifier.n_iter_, classifier.n_steps_) == (1, 1)
    again = classifier.set_params(warm_start=True).fit(*data)
    assert (again.n_iter_, again.n_steps_) == (2, 2)
    plenty = make_classifier(max_epochs=2, training=Training(max_time=1e6)).fit(*data)
    without = make_classifier(max_epochs=2).fit(*data)
    np.testing.assert_array_equal(plenty.predict_proba(data[0]), without.predict_proba(data[0]))


@pytest.mark.parametrize("n_epochs", [1.5, 2.0, 2.5])
def test_run_that_ended_with_its_time_is_resumed(
    make_classifier, data, tmp_path, monkeypatch, n_epochs
):
    whole = make_classifier(max_epochs=4, random_state=0).fit(*data)
    options = Training(checkpoint_dir=tmp_path, resume=True)
    clf = make_classifier(max_epochs=4, random_state=0, training=options)
    ticks = iter(range(10_000))
    with monkeypatch.context() as clock:
        clock.setattr(run_module.time, "perf_counter", lambda: next(ticks))
        n_steps = -(-len(data[0]) // clf.batch_size)
        cut = clf.set_params(training__max_time=n_epochs * n_steps).fit(*data)
    assert cut.n_iter_ < 4
    resumed = clf.set_params(training__max_time=None).fit(*data)
    assert resumed.net_.n_epochs_resumed_ >= 1
    np.testing.assert_array_equal(resumed.predict_proba(data[0]), whole.predict_proba(data[0]))
