"""scikit-learn's own callbacks, of version 1.9 and later."""

import pickle
from itertools import pairwise

import numpy as np
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

callback = pytest.importorskip("sklearn.callback", reason="scikit-learn 1.9 brings callbacks")


class Watcher:
    """Callback that records its arguments."""

    def __init__(self, stop_after=None, fail_in=None):
        self.stop_after = stop_after
        self.fail_in = fail_in
        self.calls = []
        self.handed = []
        self.estimators = []

    def setup(self, estimator, context):
        self.calls.append("setup")

    def teardown(self, estimator, context):
        self.calls.append("teardown")

    def on_fit_task_begin(self, estimator, context):
        self.calls.append(f"begin {context.task_name} {context.task_id}")

    def on_fit_task_end(self, estimator, context, *, X=None, y=None, fitted_estimator=None):
        self.calls.append(f"end {context.task_name} {context.task_id}")
        if self.fail_in == context.task_name:
            raise RuntimeError("from a callback")
        self.handed.append((X, y))
        self.estimators.append(fitted_estimator)
        return context.task_name == "epoch" and context.task_id + 1 == self.stop_after


def test_tasks_of_a_fit(make_classifier, data):
    watcher = Watcher()
    make_classifier(max_epochs=2).set_callbacks(watcher).fit(*data)
    assert watcher.calls == [
        "setup",
        "begin fit 0",
        "begin epoch 0",
        "end epoch 0",
        "begin epoch 1",
        "end epoch 1",
        "end fit 0",
        "teardown",
    ]


def test_labeled_rows_only(make_classifier, data, labels):
    X, y = data
    watcher = Watcher()
    names = np.array(["ash", "elm", "oak"], dtype=object)
    make_classifier().set_callbacks(watcher).fit(X, np.where(y == -1, -1, names[y]))
    assert len(watcher.handed) == 4
    for rows, known in watcher.handed:
        np.testing.assert_array_equal(rows, X[y != -1])
        np.testing.assert_array_equal(known, names[labels][y != -1])


@pytest.mark.parametrize("form", ["coo", "dia", "csr"])
def test_labeled_rows_of_sparse_matrices(make_classifier, data, form):
    X, y = data
    watcher = Watcher()
    make_classifier(max_epochs=1).set_callbacks(watcher).fit(sparse.csr_matrix(X).asformat(form), y)
    assert len(watcher.handed) == 2
    for rows, known in watcher.handed:
        np.testing.assert_array_equal(rows.toarray(), X[y != -1])
        assert len(known) == rows.shape[0]


def test_estimator_of_an_epoch_does_not_change_later(make_classifier, data):
    X, y = data
    watcher = Watcher()
    classifier = make_classifier(max_epochs=3).set_callbacks(watcher).fit(X, y)
    probabilities = [estimator.predict_proba(X) for estimator in watcher.estimators]
    assert all(np.abs(a - b).max() > 0 for a, b in pairwise(probabilities[:3]))
    np.testing.assert_array_equal(probabilities[-1], classifier.predict_proba(X))
    one_epoch = make_classifier(max_epochs=1).fit(X, y)
    np.testing.assert_array_equal(probabilities[0], one_epoch.predict_proba(X))
    early = pickle.loads(pickle.dumps(watcher.estimators[0]))
    np.testing.assert_array_equal(early.predict_proba(X), probabilities[0])


def test_callbacks_do_not_change_the_model(make_classifier, data):
    X, y = data
    plain = make_classifier().fit(X, y)
    watched = make_classifier().set_callbacks(Watcher()).fit(X, y)
    np.testing.assert_array_equal(plain.predict_proba(X), watched.predict_proba(X))
    assert [name for name, _ in watched.net_.callbacks_] == [
        name for name, _ in plain.net_.callbacks_
    ]
    assert watched.net_.callbacks == []
    assert set(vars(watched)) - set(vars(plain)) == {"_skl_callbacks"}


def test_callback_can_stop_the_training(make_classifier, data):
    watcher = Watcher(stop_after=2)
    classifier = make_classifier(max_epochs=9).set_callbacks(watcher).fit(*data)
    assert classifier.n_iter_ == 2
    assert watcher.calls[-2:] == ["end fit 0", "teardown"]


def test_error_in_a_callback_keeps_the_fitted_model(make_classifier, data):
    X, y = data
    classifier = make_classifier().fit(X, y)
    before = classifier.predict_proba(X)
    watcher = Watcher(fail_in="epoch")
    with pytest.raises(RuntimeError, match="from a callback"):
        classifier.set_callbacks(watcher).fit(X, y)
    assert watcher.calls[-1] == "teardown"
    np.testing.assert_array_equal(classifier.predict_proba(X), before)
    # The next fit works as if there had been no error.
    classifier.set_callbacks(Watcher()).fit(X, y)


def test_warm_start_and_partial_fit(make_classifier, data):
    watcher = Watcher()
    classifier = make_classifier(warm_start=True, max_epochs=1).set_callbacks(watcher)
    classifier.fit(*data).fit(*data).partial_fit(*data)
    assert (
        watcher.calls
        == [
            "setup",
            "begin fit 0",
            "begin epoch 0",
            "end epoch 0",
            "end fit 0",
            "teardown",
        ]
        * 3
    )


def test_part_without_labels_is_not_scored(make_classifier, data):
    X, y = data
    monitor = callback.ScoringMonitor(scoring="accuracy")
    classifier = make_classifier().set_callbacks(monitor)
    classifier.partial_fit(X, y, classes=[0, 1, 2]).partial_fit(X, np.full(60, -1))
    assert "accuracy" not in monitor.get_logs().data[-1]


def test_scoring_monitor(make_classifier, data):
    X, y = data
    monitor = callback.ScoringMonitor(scoring=["accuracy", "neg_log_loss"])
    classifier = make_classifier(max_epochs=4).set_callbacks(monitor).fit(X, y)
    rows = monitor.get_logs().data
    epochs = [row for row in rows if row["task_name"] == "epoch"]
    assert [row["task_id"] for row in epochs] == [0, 1, 2, 3]
    assert epochs[-1]["accuracy"] == classifier.score(X, y)
    assert all(np.isfinite(row["neg_log_loss"]) for row in epochs)


def test_scoring_monitor_in_a_pipeline(make_classifier, data):
    monitor = callback.ScoringMonitor(scoring="accuracy")
    classifier = make_classifier().set_callbacks(monitor)
    make_pipeline(StandardScaler(), classifier).fit(*data)
    epochs = [row for row in monitor.get_logs().data if row["task_name"] == "epoch"]
    assert len(epochs) == 3


def test_progress_bar_of_a_pipeline(make_classifier, data, capsys):
    pytest.importorskip("rich")
    pipeline = make_pipeline(StandardScaler(), make_classifier())
    pipeline.set_callbacks(callback.ProgressBar(max_propagation_depth=None)).fit(*data)
    shown = capsys.readouterr().out
    assert "Pipeline" in shown
    assert "SGANClassifier" in shown
    assert "100%" in shown


def test_clone_keeps_the_callbacks(make_classifier, data):
    watcher = Watcher()
    clone(make_classifier().set_callbacks(watcher)).fit(*data)
    assert watcher.calls[-1] == "teardown"


def test_other_callbacks_than_those_of_scikit_learn_are_refused(make_classifier):
    with pytest.raises(TypeError, match="FitCallback"):
        make_classifier().set_callbacks(print)
