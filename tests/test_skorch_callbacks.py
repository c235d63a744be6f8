"""Each of skorch's own callbacks, and what it does in a training."""

import copy
import json
import pickle
import sys
from collections import defaultdict
from itertools import chain, pairwise
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.metrics import log_loss
from sklearn.model_selection import GridSearchCV
from skorch import callbacks as of_skorch
from skorch.callbacks import (
    BatchScoring,
    Callback,
    Checkpoint,
    EarlyStopping,
    EpochScoring,
    EpochTimer,
    Freezer,
    GradientNormClipping,
    Initializer,
    InputShapeSetter,
    LoadInitState,
    LRScheduler,
    MlflowLogger,
    NeptuneLogger,
    ParamMapper,
    PassthroughScoring,
    PrintLog,
    ProgressBar,
    SacredLogger,
    TensorBoard,
    TrainEndCheckpoint,
    Unfreezer,
    WandbLogger,
    WarmRestartLR,
)

import sgan_sklearn
from sgan_sklearn import SGANClassifier, Training
from sgan_sklearn.architectures import MLPArchitecture
from sgan_sklearn.model_selection import mask_labels

HELD_OUT = {"early_stopping": True, "validation_fraction": 0.3}


def make(**params):
    small = {"architecture": MLPArchitecture((16,), (16,)), "max_epochs": 4, "batch_size": 20}
    return SGANClassifier(**{**small, "device": "cpu", "random_state": 0, **params})


def of_model(classifier, X):
    """Return outputs by which models are compared."""
    return classifier.predict_proba(X), classifier.sample(5, random_state=0)


def assert_same_model(one, other, X):
    for a, b in zip(of_model(one, X), of_model(other, X), strict=True):
        np.testing.assert_array_equal(a, b)


def recorded(classifier, name):
    return [record[name] for record in classifier.history_]


def accuracy(net, X, y):
    return float((net.predict(X) == y).mean())


# --- fakes of the services that loggers write to ---------------------------------------------


class FakeRun:
    """Run of any of the services, which records what it receives."""

    def __init__(self, folder):
        self.dir = str(folder)
        self.info = SimpleNamespace(run_id="run")
        self.logged = defaultdict(list)
        self.is_closed = False
        self.watched = None

    # Neptune
    def __getitem__(self, key):
        return FakeField(self, key)

    def __setitem__(self, key, value):
        self.logged[key].append(value)

    def stop(self):
        self.is_closed = True

    # Weights & Biases
    def watch(self, module):
        self.watched = module

    def log(self, values):
        for name, value in values.items():
            self.logged[name].append(value)

    # Sacred, MLflow, TensorBoard
    def log_scalar(self, name, value, step=None):
        self.logged[name].append(value)

    def log_metric(self, run_id, name, value, step):
        self.logged[name].append(value)

    def log_artifact(self, run_id, path):
        self.logged[path.name].append(path.read_bytes())

    def set_terminated(self, run_id):
        self.is_closed = True

    def add_scalar(self, tag, scalar_value, global_step):
        self.logged[tag].append(scalar_value)

    def close(self):
        self.is_closed = True


class FakeField:
    """A field of a run of Neptune."""

    def __init__(self, run, path):
        self.run, self.path = run, path

    def __getitem__(self, key):
        return FakeField(self.run, f"{self.path}/{key}")

    def __setitem__(self, key, value):
        self.run.logged[f"{self.path}/{key}"].append(value)

    def append(self, value):
        self.run.logged[self.path].append(value)


@pytest.fixture(autouse=True)
def _fake_neptune(monkeypatch):
    """Provide the two classes that NeptuneLogger imports."""
    modules = {name: ModuleType(name) for name in ("neptune", "neptune.types", "neptune.handler")}
    modules["neptune.types"].File = SimpleNamespace(from_content=lambda text, extension: text)
    modules["neptune.handler"].Handler = type("Handler", (), {})
    for name, module in modules.items():
        monkeypatch.setitem(sys.modules, name, module)


# --- each callback ---------------------------------------------------------------------------

CASES = {}
NEEDS_VALIDATION = "needs .*early_stopping=True"
NEVER = "{name} cannot work"


def case(name, make_callbacks, refused=None, label=""):
    """Register a check of what callbacks do, called for fits with and without validation rows.

    `refused` is what the message says: where no rows are held out, or always if it is `NEVER`.
    """

    def register(check):
        CASES[f"{name}{label}"] = (name, make_callbacks, refused, check)
        return check

    return register


def check_nothing(*args):
    raise AssertionError("the callback must be refused")


case("InputShapeSetter", lambda path: [InputShapeSetter()], NEVER)(check_nothing)
case("LoadInitState", lambda path: [LoadInitState(Checkpoint())], NEVER)(check_nothing)


@case("EpochScoring", lambda path: [EpochScoring("accuracy", False)], NEEDS_VALIDATION)
def check_epoch_scoring(classifier, callbacks, X, y, path):
    assert recorded(classifier, "accuracy") == classifier.validation_scores_
    bests = np.maximum.accumulate([-1.0, *classifier.validation_scores_])
    assert recorded(classifier, "accuracy_best") == (np.diff(bests) > 0).tolist()


@case(
    "EpochScoring",
    lambda path: [
        EpochScoring(accuracy),
        EpochScoring(accuracy, use_caching=False, name="again"),
        EpochScoring("neg_log_loss", lower_is_better=None),
        EpochScoring("roc_auc_ovr", use_caching=False),
        EpochScoring(None),
    ],
    NEEDS_VALIDATION,
    " by function and by name",
)
def check_epoch_scoring_by_function(classifier, callbacks, X, y, path):
    for name in ("accuracy", "again", "score"):
        assert recorded(classifier, name) == classifier.validation_scores_
    losses = recorded(classifier, "valid_loss")
    np.testing.assert_allclose(np.negative(recorded(classifier, "neg_log_loss")), losses, 1e-5)
    assert all(0 <= score <= 1 for score in recorded(classifier, "roc_auc_ovr"))
    assert "neg_log_loss_best" not in classifier.history_[0]


@case(
    "EpochScoring",
    lambda path: [
        EpochScoring("accuracy", on_train=True),
        EpochScoring("accuracy", on_train=True, use_caching=False, name="again"),
    ],
    label=" on_train",
)
def check_scores_of_training_rows(classifier, callbacks, X, y, path):
    assert recorded(classifier, "accuracy") == recorded(classifier, "again")
    if not classifier.early_stopping:
        labeled = y != -1
        assert classifier.history_[-1]["accuracy"] == classifier.score(X[labeled], y[labeled])


@case(
    "BatchScoring",
    lambda path: [
        BatchScoring("accuracy", lower_is_better=False),
        BatchScoring(accuracy, use_caching=False, name="again"),
    ],
    NEEDS_VALIDATION,
)
def check_batch_scoring(classifier, callbacks, X, y, path):
    assert recorded(classifier, "accuracy") == pytest.approx(classifier.validation_scores_)
    assert recorded(classifier, "again") == recorded(classifier, "accuracy")


@case(
    "BatchScoring",
    lambda path: [
        BatchScoring("accuracy", on_train=True, name="by_batch"),
        EpochScoring("accuracy", on_train=True),
    ],
    label=" on_train",
)
def check_batch_scoring_of_training_rows(classifier, callbacks, X, y, path):
    assert recorded(classifier, "by_batch") == pytest.approx(recorded(classifier, "accuracy"))


@case(
    "PassthroughScoring",
    lambda path: [
        BatchScoring("accuracy", name="by_batch"),
        PassthroughScoring("by_batch"),
        PassthroughScoring("valid_loss"),
        PassthroughScoring("valid_acc", lower_is_better=False),
    ],
    NEEDS_VALIDATION,
)
def check_passthrough(classifier, callbacks, X, y, path):
    assert recorded(classifier, "by_batch") == pytest.approx(classifier.validation_scores_)
    assert recorded(classifier, "valid_acc") == pytest.approx(classifier.validation_scores_)
    assert classifier.history_[0]["valid_loss_best"] is True


@case(
    "PassthroughScoring",
    lambda path: [
        PassthroughScoring("train_loss", on_train=True),
        PassthroughScoring("supervised", on_train=True),
    ],
    label=" on_train",
)
def check_passthrough_of_training(classifier, callbacks, X, y, path):
    means = recorded(make(**_options(classifier)).fit(X, y), "supervised")
    assert recorded(classifier, "supervised") == pytest.approx(means, rel=1e-5)
    losses = recorded(classifier, "train_loss")
    assert losses == pytest.approx(recorded(classifier, "discriminator_loss"), rel=1e-5)
    assert recorded(classifier, "train_loss_best")[0] is True


def _options(classifier):
    return {name: getattr(classifier, name) for name in HELD_OUT}


@case("EarlyStopping", lambda path: [EarlyStopping(patience=1, threshold=0.9)], NEEDS_VALIDATION)
def check_early_stopping(classifier, callbacks, X, y, path):
    assert classifier.n_iter_ == 2
    assert callbacks[0].misses_ == 1
    assert classifier.validation_scores_ is not None


@case(
    "EarlyStopping",
    lambda path: [EarlyStopping("discriminator_loss", patience=2, threshold=0.9)],
    label=" of a loss",
)
def check_early_stopping_of_a_loss(classifier, callbacks, X, y, path):
    assert classifier.n_iter_ == 3


@case("Checkpoint", lambda path: [Checkpoint(dirname=str(path / "cp"))], NEEDS_VALIDATION)
def check_checkpoint(classifier, callbacks, X, y, path):
    assert recorded(classifier, "event_cp") == recorded(classifier, "valid_loss_best")
    assert len(json.loads((path / "cp" / "history.json").read_text())) <= classifier.n_iter_
    weights = torch.load(path / "cp" / "params.pt", weights_only=True)
    assert weights.keys() == classifier.net_.module_.state_dict().keys()


@case(
    "Checkpoint",
    lambda path: [
        PassthroughScoring("discriminator_loss", on_train=True),
        Checkpoint(
            "discriminator_loss_best",
            dirname=str(path / "best"),
            f_averaged_module="averaged.pt",
            f_pickle="net.pickle",
            load_best=True,
        ),
    ],
    label=" load_best",
)
def check_checkpoint_load_best(classifier, callbacks, X, y, path):
    kept = torch.load(path / "best" / "averaged.pt", weights_only=True)
    for name, weight in classifier.discriminator_.state_dict().items():
        assert torch.equal(weight, kept[name])
    with open(path / "best" / "net.pickle", "rb") as file:
        net = pickle.load(file)
    assert net.predict(torch.zeros(2, 4)).shape == (2,)


@case("TrainEndCheckpoint", lambda path: [TrainEndCheckpoint(dirname=str(path / "end"))])
def check_train_end_checkpoint(classifier, callbacks, X, y, path):
    weights = torch.load(path / "end" / "train_end_params.pt", weights_only=True)
    for name, weight in classifier.net_.module_.state_dict().items():
        assert torch.equal(weight, weights[name])


@case("LRScheduler", lambda path: [LRScheduler("StepLR", step_size=1, gamma=0.5)])
def check_scheduler(classifier, callbacks, X, y, path):
    rates = classifier.plan_.discriminator_lr * 0.5 ** np.arange(4)
    assert recorded(classifier, "event_lr") == pytest.approx(rates)
    (group,) = classifier.net_.generator_optimizer_.param_groups
    assert group["lr"] == classifier.plan_.generator_lr


@case(
    "LRScheduler",
    lambda path: [LRScheduler("ReduceLROnPlateau", monitor="valid_loss", threshold=0.99)],
    NEEDS_VALIDATION,
    " on a plateau",
)
def check_plateau(classifier, callbacks, X, y, path):
    assert callbacks[0].lr_scheduler_.num_bad_epochs == 3


@case(
    "LRScheduler",
    lambda path: [LRScheduler("ReduceLROnPlateau", step_every="batch", threshold=0.99)],
    label=" on a plateau of batches",
)
def check_plateau_of_batches(classifier, callbacks, X, y, path):
    assert callbacks[0].lr_scheduler_.last_epoch == 4 * len(
        classifier.net_.history[-1, "batches", :, "train_loss"]
    )


@case("WarmRestartLR", lambda path: [LRScheduler(WarmRestartLR, max_lr=0.01)])
def check_warm_restarts(classifier, callbacks, X, y, path):
    rates = recorded(classifier, "event_lr")
    assert rates[0] == pytest.approx(0.01)
    assert (np.diff(rates) < 0).all()


@case("Callback", lambda path: [Callback()])
def check_callback(classifier, callbacks, X, y, path):
    assert_same_model(classifier, make(**_options(classifier)).fit(X, y), X)


@case("EpochTimer", lambda path: [EpochTimer()])
def check_timer(classifier, callbacks, X, y, path):
    assert all(duration > 0 for duration in recorded(classifier, "dur"))


class Weights(Callback):
    """Record the weights of the discriminator at the start and after each epoch."""

    def on_train_begin(self, net, **kwargs):
        self.seen = [self.copies(net)]
        self.begun = []

    def on_epoch_begin(self, net, **kwargs):
        self.begun.append(self.copies(net))

    def on_epoch_end(self, net, **kwargs):
        self.seen.append(self.copies(net))

    @staticmethod
    def copies(net):
        return {name: value.clone() for name, value in net.module_.state_dict().items()}

    def changed(self, name):
        """Return whether the weights changed in each epoch."""
        seen = [weights[name] for weights in self.seen]
        return [not torch.equal(a, b) for a, b in pairwise(seen)]


@case("Freezer", lambda path: [Freezer("hidden.0.*"), Weights()])
def check_frozen(classifier, callbacks, X, y, path):
    assert callbacks[1].changed("hidden.0.bias") == [False] * 4
    assert callbacks[1].changed("output.bias") == [True] * 4


@case("Unfreezer", lambda path: [Freezer("hidden.0.*"), Unfreezer("hidden.0.*", at=3), Weights()])
def check_unfrozen(classifier, callbacks, X, y, path):
    assert callbacks[2].changed("hidden.0.bias") == [False, False, True, True]


@case("Initializer", lambda path: [Initializer("output.bias", fn=torch.nn.init.ones_), Weights()])
def check_initialized(classifier, callbacks, X, y, path):
    begun = [weights["output.bias"] for weights in callbacks[1].begun]
    assert (begun[0] == 1).all()
    assert (begun[1] != 1).any()


@case("ParamMapper", lambda path: [ParamMapper("output.bias", torch.nn.init.zeros_, 2), Weights()])
def check_mapped(classifier, callbacks, X, y, path):
    begun = [weights["output.bias"] for weights in callbacks[1].begun]
    assert [bool((bias == 0).all()) for bias in begun[1:]] == [True, False, False]


@case("GradientNormClipping", lambda path: [GradientNormClipping(1e-12)])
def check_clipping(classifier, callbacks, X, y, path):
    """Gradients far below the epsilon of Adam lead to almost no step."""
    losses = recorded(classifier, "supervised")
    assert losses == pytest.approx([losses[0]] * 4, rel=0.2)


class Lines(list):
    """Lines that a callback prints."""

    def __call__(self, line):
        self.append(line)


@case("PrintLog", lambda path: [PrintLog(sink=Lines())])
def check_printed(classifier, callbacks, X, y, path):
    header, _, *lines = callbacks[0].sink
    assert ("valid_loss" in header) == classifier.early_stopping
    assert "generator_loss" in header
    assert len(lines) == classifier.n_iter_


@case("ProgressBar", lambda path: [ProgressBar(detect_notebook=False)])
def check_progress(classifier, callbacks, X, y, path):
    n_held = 12 if classifier.early_stopping else 0
    n_batches = -(-(60 - n_held) // 20) + (n_held > 0)
    assert callbacks[0].pbar_.n == callbacks[0].pbar_.total == n_batches
    shown = "valid_loss" if classifier.early_stopping else "train_loss"
    assert shown in callbacks[0].pbar_.postfix


LOSSES = {"discriminator_loss", "generator_loss", "supervised"}


def check_logged(run, classifier, rename=str):
    """Check that a service received the losses of each epoch and the scores of validation rows."""
    names = LOSSES | ({"valid_loss", "valid_acc"} if classifier.early_stopping else set())
    for name in names:
        assert run.logged[rename(name)] == recorded(classifier, name)


@case("TensorBoard", lambda path: [TensorBoard(FakeRun(path))])
def check_tensorboard(classifier, callbacks, X, y, path):
    (callback,) = callbacks
    check_logged(callback.writer, classifier, callback.key_mapper)
    assert callback.writer.is_closed


@case("SacredLogger", lambda path: [SacredLogger(FakeRun(path), log_on_batch_end=True)])
def check_sacred(classifier, callbacks, X, y, path):
    run = callbacks[0].experiment
    check_logged(run, classifier, lambda name: f"{name}_epoch")
    assert len(run.logged["train_loss_batch"]) >= classifier.n_steps_
    assert ("valid_loss_batch" in run.logged) == classifier.early_stopping


def mlflow(path):
    return MlflowLogger(FakeRun(path), FakeRun(path), log_on_batch_end=True)


@case("MlflowLogger", lambda path: [mlflow(path)])
def check_mlflow(classifier, callbacks, X, y, path):
    client = callbacks[0].client
    check_logged(client, classifier, lambda name: f"{name}_epoch")
    assert len(client.logged["discriminator_loss_batch"]) >= classifier.n_steps_
    assert {"params.pth", "optimizer.pth", "history.json"} <= client.logged.keys()
    assert client.is_closed


def of_neptune(name):
    kind, _, key = name.partition("_")
    kind = "validation" if kind == "valid" else kind
    return f"training/{kind}/epoch/{key}" if key else f"training/{kind}"


@case("NeptuneLogger", lambda path: [NeptuneLogger(FakeRun(path), log_on_batch_end=True)])
def check_neptune(classifier, callbacks, X, y, path):
    run = callbacks[0].run
    losses = LOSSES - {"supervised"}  # terms of one word share a place with those of batches
    for name in losses | ({"valid_loss"} if classifier.early_stopping else set()):
        assert run.logged[of_neptune(name)] == recorded(classifier, name)
    assert run.logged["training/config/lr"] == [classifier.plan_.discriminator_lr]
    assert run.logged["training/train/batch/loss"]
    assert run.is_closed


@case("WandbLogger", lambda path: [WandbLogger(FakeRun(path))], NEEDS_VALIDATION)
def check_wandb(classifier, callbacks, X, y, path):
    check_logged(callbacks[0].wandb_run, classifier)
    assert (path / "best_model.pth").exists()


@case("WandbLogger", lambda path: [WandbLogger(FakeRun(path), save_model=False)], label=" bare")
def check_bare_wandb(classifier, callbacks, X, y, path):
    run = callbacks[0].wandb_run
    check_logged(run, classifier)
    assert run.watched.state_dict().keys() == classifier.discriminator_.state_dict().keys()


def test_each_installed_callback_has_a_case():
    assert {name for name, *_ in CASES.values()} == set(of_skorch.__all__)


@pytest.mark.parametrize("held_out", [True, False])
@pytest.mark.parametrize("label", CASES)
def test_callback(label, held_out, data, tmp_path, request):
    X, y = data
    name, make_callbacks, refused, check = CASES[label]
    callbacks = make_callbacks(tmp_path)
    # One that never stops, so that the history has all epochs.
    options = {**HELD_OUT, "n_iter_no_change": 99} if held_out else {}
    classifier = make(callbacks=callbacks, **options)
    if refused == NEVER or (refused is not None and not held_out):
        with pytest.raises(ValueError, match=refused.format(name=name)):
            classifier.fit(X, y)
        assert not hasattr(classifier, "net_")
        return
    classifier.fit(X, y)
    check(classifier, callbacks, X, y, tmp_path)


@pytest.mark.parametrize("label", [label for label, given_ in CASES.items() if given_[2] != NEVER])
def test_fitted_estimators_with_callbacks_can_be_copied(label, data, tmp_path):
    X, y = data
    callbacks = [("mine", callback) for callback in CASES[label][1](tmp_path)][:1]
    if label.startswith("Checkpoint"):
        callbacks = [
            ("scores", PassthroughScoring("discriminator_loss", on_train=True)),
            *callbacks,
        ]
    classifier = make(callbacks=callbacks, max_epochs=2, **HELD_OUT).fit(X, y)
    for copied in (copy.deepcopy(classifier), pickle.loads(pickle.dumps(classifier))):
        assert_same_model(copied, classifier, X)
    # After a fit two of skorch's loggers cannot be cloned: they have attributes like parameters.
    if not label.startswith(("Mlflow", "Neptune")):
        clone(classifier).fit(X, y)
    classifier.set_params(warm_start=True, max_epochs=1).fit(X, y)
    assert classifier.n_iter_ == 3
    sgan_sklearn.save(classifier, tmp_path / "model.sgan")
    assert_same_model(sgan_sklearn.load(tmp_path / "model.sgan"), classifier, X)


# --- history ---------------------------------------------------------------------------------


def test_loss_and_accuracy_of_held_out_rows(data):
    X, y = data
    seen = []

    class Net(Callback):
        def on_epoch_end(self, net, dataset_valid=None, **kwargs):
            codes = dataset_valid.y.numpy()
            probabilities = net.predict_proba(dataset_valid)
            seen.append((log_loss(codes, probabilities), accuracy(net, dataset_valid, codes)))

    classifier = make(callbacks=[Net()], **HELD_OUT).fit(X, y)
    losses, accuracies = np.transpose(seen)
    np.testing.assert_allclose(recorded(classifier, "valid_loss"), losses, rtol=1e-5)
    assert recorded(classifier, "valid_acc") == accuracies.tolist()
    assert recorded(classifier, "valid_acc") == classifier.validation_scores_
    bests = np.minimum.accumulate([np.inf, *recorded(classifier, "valid_loss")])
    assert recorded(classifier, "valid_loss_best") == (np.diff(bests) < 0).tolist()


def test_rows_in_several_batches(data, monkeypatch):
    X, y = data
    callbacks = [BatchScoring("accuracy"), EpochScoring("accuracy", on_train=True, name="taught")]
    whole = make(callbacks=callbacks, **HELD_OUT).fit(X, y)
    monkeypatch.setattr(sgan_sklearn._runtime.loops, "CHUNK", 5)
    parts = make(callbacks=callbacks, **HELD_OUT).fit(X, y)
    assert len(parts.net_.history[-1, "batches", :, "valid_batch_size"]) == 3
    for name in ("valid_loss", "valid_acc", "accuracy", "taught"):
        assert recorded(parts, name) == pytest.approx(recorded(whole, name))


def test_batches_are_not_recorded_if_no_callback_reads_them(data):
    classifier = make(callbacks=[EpochScoring("accuracy", on_train=True)]).fit(*data)
    with pytest.raises(KeyError):
        classifier.net_.history[-1, "batches", :, "train_loss"]


def test_callbacks_predict_rows_of_the_training(data):
    X, y = data
    seen = []

    class Predictions(Callback):
        def on_epoch_end(self, net, dataset_train=None, **kwargs):
            seen.append(net.predict(dataset_train))
            assert net.classes_.tolist() == [0, 1, 2]

    classifier = make(callbacks=[Predictions()]).fit(X, y)
    np.testing.assert_array_equal(seen[-1], classifier.predict(X))


def test_images(data):
    X = np.random.RandomState(0).rand(40, 8, 8)
    y = np.arange(40) % 3 - 1
    scores = [EpochScoring("accuracy"), EpochScoring("accuracy", on_train=True, name="taught")]
    classifier = make(architecture="auto", callbacks=scores, max_epochs=2, **HELD_OUT).fit(X, y)
    assert recorded(classifier, "accuracy") == classifier.validation_scores_
    assert 0 <= classifier.history_[-1]["taught"] <= 1


def test_callbacks_with_rows_in_a_file(data, tmp_path, monkeypatch):
    X, y = data
    monkeypatch.setattr(sgan_sklearn._data.rows, "MAX_BYTES_ON_CPU", 0)
    callbacks = [
        EpochScoring("accuracy", on_train=True),
        EpochScoring("accuracy", on_train=True, use_caching=False, name="again"),
    ]
    classifier = make(callbacks=callbacks).fit(X, y)
    assert recorded(classifier, "accuracy") == recorded(classifier, "again")


# --- refused callbacks -----------------------------------------------------------------------


def test_refused_callback_keeps_the_fitted_model(data):
    X, y = data
    classifier = make().fit(X, y)
    before = classifier.predict_proba(X)
    for callback in (EpochScoring("accuracy"), EarlyStopping(), Checkpoint(), InputShapeSetter()):
        with pytest.raises(ValueError, match=type(callback).__name__):
            classifier.set_params(callbacks=[callback]).fit(X, y)
        np.testing.assert_array_equal(classifier.predict_proba(X), before)


@pytest.mark.parametrize("held_out", [True, False])
@pytest.mark.parametrize(
    "callback",
    [
        EarlyStopping("accuracy_best"),
        Checkpoint("train_loss_best"),
        LRScheduler("ReduceLROnPlateau"),
    ],
)
def test_monitored_entry_that_is_never_recorded_is_named(callback, held_out, data):
    options = HELD_OUT if held_out else {}
    with pytest.raises(ValueError, match=f"needs '{callback.monitor}' in the history"):
        make(callbacks=[callback], **options).fit(*data)


def test_monitored_entry_recorded_by_an_earlier_callback(data):
    scores = EpochScoring("accuracy", on_train=True, lower_is_better=False)
    stops = EarlyStopping("accuracy_best", lower_is_better=False, patience=1)
    with pytest.raises(ValueError, match="accuracy_best"):
        make(callbacks=[stops, scores]).fit(*data)
    assert make(callbacks=[scores, stops]).fit(*data).n_iter_ <= 4


def test_user_callbacks_may_record_monitored_entries(data):
    class Recorder(Callback):
        def on_epoch_end(self, net, **kwargs):
            net.history.record("valid_loss", 1.0)

    assert make(callbacks=[Recorder(), EarlyStopping(patience=2)]).fit(*data).n_iter_ == 3


def test_partial_fit(data):
    X, y = data
    scores = EpochScoring("accuracy", on_train=True)
    classifier = make(callbacks=[("mine", scores)])
    classifier.partial_fit(X, y, classes=[0, 1, 2])
    labeled = y != -1
    assert classifier.history_[0]["accuracy"] == classifier.score(X[labeled], y[labeled])
    classifier.partial_fit(X, np.full(60, -1))  # no rows to score
    assert "accuracy" not in classifier.history_[1]
    with pytest.raises(ValueError, match="not in partial_fit"):
        classifier.set_params(callbacks=[BatchScoring("accuracy")]).partial_fit(X, y)


def test_in_a_grid_search(data, labels):
    X, _ = data
    scores = EpochScoring("accuracy", lower_is_better=False)
    classifier = make(unlabeled_value=None, callbacks=[scores, EarlyStopping()], **HELD_OUT)
    search = GridSearchCV(classifier, {"latent_dim": [4, 8]}, cv=2).fit(X, labels)
    best = search.best_estimator_
    assert recorded(best, "accuracy") == best.validation_scores_


def test_interrupted_validation_discards_its_epoch(data):
    calls = []

    def stop_in_the_second_epoch(net, X, y):
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return 0.5

    scores = BatchScoring(stop_in_the_second_epoch, name="mine")
    classifier = make(callbacks=[scores], **HELD_OUT).fit(*data)
    assert classifier.n_iter_ == 1
    assert len(classifier.validation_scores_) == 1


# --- random numbers --------------------------------------------------------------------------

HOOKS = [name for name in dir(Callback) if name.startswith("on_")]


class Drawing(Callback):
    """Draw random numbers wherever it is called."""

    def __init__(self, hooks=HOOKS, n=3):
        self.hooks = hooks
        self.n = n

    def initialize(self):
        self.drawn = defaultdict(list)
        for name in self.hooks:
            self.drawn[name]
        return self

    def _draw(self, name):
        if name in self.hooks:
            self.drawn[name].append(torch.rand(self.n))
            np.random.rand(self.n)  # noqa: NPY002 - NumPy's global numbers


def _drawing(name):
    def hook(self, net, *args, **kwargs):
        self._draw(name)

    return hook


for _name in HOOKS:
    setattr(Drawing, _name, _drawing(_name))


@pytest.mark.parametrize("options", [{}, HELD_OUT, {"regularizer": "consistency"}])
def test_random_numbers_of_a_callback_do_not_change_the_model(data, options):
    X, y = data
    drawing = Drawing()
    classifier = make(callbacks=[drawing], **options).fit(X, y)
    assert all(drawing.drawn[name] for name in HOOKS)
    without = make(**options).fit(X, y)
    assert_same_model(classifier, without, X)
    for one, other in zip(classifier.history_, without.history_, strict=True):
        assert {**one, "dur": 0} == {**other, "dur": 0}


@settings(max_examples=10)
@given(hooks=st.sets(st.sampled_from(HOOKS)), n=st.integers(1, 1000), seed=st.integers(0, 99))
def test_no_draws_change_the_model(hooks, n, seed):
    X = np.random.RandomState(seed).randn(30, 3)
    y = mask_labels(np.arange(30) % 2, per_class=5, random_state=0)
    options = {"max_epochs": 2, "random_state": seed}
    with_draws = make(callbacks=[Drawing(sorted(hooks), n)], **options).fit(X, y)
    assert_same_model(with_draws, make(**options).fit(X, y), X)


def test_random_numbers_of_a_scoring_function_do_not_change_the_model(data):
    X, y = data

    def by_chance(net, X, y):
        return float(torch.rand(()))

    scores = [EpochScoring(by_chance), BatchScoring(by_chance, on_train=True, name="batches")]
    classifier = make(callbacks=scores, **HELD_OUT).fit(X, y)
    assert_same_model(classifier, make(**HELD_OUT).fit(X, y), X)
    assert len(set(recorded(classifier, "by_chance"))) == classifier.n_iter_


def test_random_numbers_of_callbacks_come_from_random_state(data):
    streams = []
    for seed in (0, 0, 1):
        drawing = Drawing()
        make(callbacks=[drawing], random_state=seed).fit(*data)
        streams.append(torch.cat(list(chain(*drawing.drawn.values()))))
    assert torch.equal(streams[0], streams[1])
    assert not torch.equal(streams[0], streams[2])
    assert len(streams[0].unique()) > 0.99 * len(streams[0])


# --- resumed runs ----------------------------------------------------------------------------


class Shaking(Callback):
    """Add random numbers to the weights."""

    def on_epoch_end(self, net, **kwargs):
        with torch.no_grad():
            for weight in net.module_.parameters():
                weight += 0.01 * torch.randn(weight.shape)


class KilledError(Exception):
    pass


class Killer(Callback):
    def __init__(self, epoch):
        self.epoch = epoch

    def on_batch_begin(self, net, **kwargs):
        if len(net.history) == self.epoch:
            raise KilledError


@pytest.mark.parametrize("epoch", [2, 3, 4])
def test_resumed_training_equals_the_uninterrupted_one(epoch, data, tmp_path):
    X, y = data

    def callbacks(*more):
        return [
            EpochScoring("accuracy", lower_is_better=False),
            PassthroughScoring("valid_loss"),
            PassthroughScoring("discriminator_loss", on_train=True),
            EarlyStopping("accuracy", patience=3, lower_is_better=False, threshold=0.5),
            Checkpoint(dirname=str(tmp_path), event_name="event_cp", load_best=True),
            Shaking(),
            *more,
        ]

    options = {**HELD_OUT, "max_epochs": 8, "n_iter_no_change": 99}
    whole = make(callbacks=callbacks(), **options).fit(X, y)
    kept = Training(checkpoint_dir=tmp_path / "run")
    with pytest.raises(KilledError):
        make(callbacks=callbacks(Killer(epoch)), training=kept, **options).fit(X, y)
    kept.set_params(resume=True)
    resumed = make(callbacks=callbacks(), training=kept, **options).fit(X, y)
    assert_same_model(resumed, whole, X)
    for one, other in zip(resumed.history_, whole.history_, strict=True):
        assert {**one, "dur": 0} == {**other, "dur": 0}
