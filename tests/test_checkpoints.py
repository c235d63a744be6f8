"""Checkpoints: runs that are killed and resumed."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from skorch.callbacks import Callback
from torch import nn

from sgan_sklearn import SGANClassifier, Training
from sgan_sklearn._storage import checkpoints as checkpoints_module
from sgan_sklearn._storage import files
from sgan_sklearn._storage.checkpoints import Checkpoints
from sgan_sklearn.architectures import (
    ConvArchitecture,
    MLPArchitecture,
    ModuleArchitecture,
    ResNetArchitecture,
)
from sgan_sklearn.objectives import FeatureMatching
from sgan_sklearn.regularizers import Distillation, PseudoLabel, SpreadLabels
from sgan_sklearn.samplers import CriticSampler


class KilledError(Exception):
    pass


class Killer(Callback):
    """Callback that ends the training at a step, as if the process were killed."""

    def __init__(self, step):
        self.step = step

    def on_batch_begin(self, net, **kwargs):
        if net.n_steps_ == self.step:
            raise KilledError


def kill(classifier, step, X, y):
    with pytest.raises(KilledError):
        classifier.set_params(callbacks=[Killer(step)]).fit(X, y)


def without_durations(history):
    return [{k: v for k, v in record.items() if k != "dur"} for record in history]


def assert_same_to_the_bit(a, b, X):
    assert without_durations(a.history_) == without_durations(b.history_)
    assert a.n_steps_ == b.n_steps_
    for name in ("module_", "generator_", "averaged_module_", "averaged_generator_"):
        for one, other in zip(
            getattr(a.net_, name).state_dict().values(),
            getattr(b.net_, name).state_dict().values(),
            strict=True,
        ):
            assert torch.equal(one, other)
    np.testing.assert_array_equal(a.predict_proba(X), b.predict_proba(X))
    np.testing.assert_array_equal(a.transduction_, b.transduction_)
    np.testing.assert_array_equal(a.sample(5, random_state=0), b.sample(5, random_state=0))


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"objective": "complement", "regularizer": ["virtual_adversarial", "class_prior"]},
        {"regularizer": PseudoLabel("adaptive")},
        {"regularizer": SpreadLabels(ramp_up=3, end=9)},
        {"early_stopping": True, "validation_fraction": 0.2, "n_iter_no_change": 2},
        {
            "training__lr_schedule": "cosine",
            "training__adversarial_every": 3,
            "training__averaging_decay": 0.5,
        },
        {"sampler": CriticSampler((8,), (8,), max_epochs=1, batch_size=20)},
        {"batch_size": 7},
    ],
    ids=str,
)
def test_resumed_training_ends_with_the_same_model(make_classifier, data, tmp_path, params):
    X, y = data

    def make(**more):
        return make_classifier(**{"max_epochs": 6, **params, **more})

    uninterrupted = make().fit(X, y)
    n_steps = uninterrupted.n_steps_ // len(uninterrupted.history_)
    killed_at = 2 * n_steps + 1
    kill(make(training__checkpoint_dir=tmp_path), killed_at, X, y)
    assert len(os.listdir(tmp_path)) == 2
    resumed = make(training__checkpoint_dir=tmp_path, training__resume=True).fit(X, y)
    assert resumed.net_.n_epochs_resumed_ == 2
    assert_same_to_the_bit(uninterrupted, resumed, X)
    again = make(training__checkpoint_dir=tmp_path, training__resume=True).fit(X, y)
    assert again.net_.n_epochs_resumed_ == len(uninterrupted.history_)
    assert_same_to_the_bit(uninterrupted, again, X)


@pytest.mark.parametrize(
    "architecture", [ConvArchitecture(width=4), ResNetArchitecture((4, 4))], ids=repr
)
@pytest.mark.parametrize("n_channels", [1, 3])
def test_images_are_resumed(make_classifier, tmp_path, architecture, n_channels):
    images = np.random.RandomState(0).randint(0, 255, (40, 8, 8, n_channels)).astype(np.uint8)
    y = np.arange(40) % 4 - 1
    params = {"architecture": architecture, "max_epochs": 3}
    uninterrupted = make_classifier(**params).fit(images, y)
    kill(make_classifier(**params, training__checkpoint_dir=tmp_path), 5, images, y)
    resumed = make_classifier(
        **params, training__checkpoint_dir=tmp_path, training__resume=True
    ).fit(images, y)
    assert_same_to_the_bit(uninterrupted, resumed, images)


uninterrupted = []


def test_resumed_training_where_the_simple_classifiers_matter(
    make_classifier, overlapping, tmp_path
):
    X, y = overlapping

    def make(**more):
        return make_classifier(ensemble=["extra_trees", "self_training"], **more)

    uninterrupted = make().fit(X, y)
    assert uninterrupted.net_.regularizers[2].factor_ > 0  # of distillation
    alone = make().set_params(ensemble=None).fit(X, y)
    assert not np.array_equal(alone.predict_proba(X), uninterrupted.predict_proba(X))
    kill(make(training__checkpoint_dir=tmp_path), 4, X, y)
    resumed = make(training__checkpoint_dir=tmp_path, training__resume=True).fit(X, y)
    assert resumed.net_.n_epochs_resumed_ == 1
    assert_same_to_the_bit(uninterrupted, resumed, X)


@given(st.lists(st.integers(0, 17), max_size=4), st.integers(1, 4))
@settings(max_examples=15)
def test_any_number_of_kills_is_survived(tmp_path_factory, steps, every):
    folder = tmp_path_factory.mktemp("checkpoints")
    rng = np.random.RandomState(0)
    X, y = rng.randn(60, 4), rng.randint(-1, 3, 60)

    def make(**more):
        architecture = MLPArchitecture((8,), (8,))
        params = {"max_epochs": 6, "batch_size": 20, "device": "cpu", "random_state": 0}
        # The test above resumes a training with the ensemble.
        params |= {"regularizer": "virtual_adversarial", "ensemble": None}
        return SGANClassifier(architecture, **params, **more)

    options = {"training": Training(checkpoint_dir=folder, checkpoint_every=every, resume=True)}
    for step in steps:
        with contextlib.suppress(KilledError):
            make(callbacks=[Killer(step)], **options).fit(X, y)
    if not uninterrupted:
        uninterrupted.append(make().fit(X, y))
    assert_same_to_the_bit(uninterrupted[0], make(**options).fit(X, y), X)


def test_damaged_checkpoint_is_replaced_by_the_one_before(make_classifier, data, tmp_path):
    X, y = data
    options = {"max_epochs": 5, "training__checkpoint_dir": tmp_path}
    uninterrupted = make_classifier(max_epochs=5).fit(X, y)
    kill(make_classifier(**options), 3 * 3 + 1, X, y)
    newest = max(tmp_path.iterdir())
    newest.write_bytes(newest.read_bytes()[:-1])
    with pytest.warns(UserWarning, match=rf"checkpoint cannot be used.*{newest.name} is damaged"):
        resumed = make_classifier(**options, training__resume=True).fit(X, y)
    assert resumed.net_.n_epochs_resumed_ == 2
    assert_same_to_the_bit(uninterrupted, resumed, X)


def test_training_starts_again_if_all_checkpoints_are_damaged(make_classifier, data, tmp_path):
    X, y = data
    options = {"max_epochs": 3, "training__checkpoint_dir": tmp_path}
    kill(make_classifier(**options), 7, X, y)
    for path in tmp_path.iterdir():
        path.write_bytes(b"")
    with pytest.warns(UserWarning, match="checkpoint cannot be used"):
        resumed = make_classifier(**options, training__resume=True).fit(X, y)
    assert_same_to_the_bit(make_classifier(max_epochs=3).fit(X, y), resumed, X)


def test_runs_with_other_rows_or_parameters_are_not_resumed(make_classifier, data, tmp_path):
    X, y = data
    make_classifier(training__checkpoint_dir=tmp_path).fit(X, y)
    changed = X.copy()
    changed[7, 2] += 1e-9
    other_labels = y.copy()
    other_labels[1] = -1
    for params, rows, labels in [
        ({}, changed, y),
        ({}, X, other_labels),
        ({"discriminator_lr": 1e-3}, X, y),
        ({"random_state": 1}, X, y),
    ]:
        options = {"training__checkpoint_dir": tmp_path, "training__resume": True, **params}
        resumed = make_classifier(**options).fit(rows, labels)
        assert resumed.net_.n_epochs_resumed_ == 0
    assert len(os.listdir(tmp_path)) == 5 * 2  # none was removed


def test_without_resume_the_files_of_a_run_are_replaced(make_classifier, data, tmp_path):
    make_classifier(training__checkpoint_dir=tmp_path).fit(*data)
    classifier = make_classifier(training__checkpoint_dir=tmp_path, callbacks=[Killer(4)])
    with pytest.raises(KilledError):
        classifier.fit(*data)
    assert [path.stem[-6:] for path in tmp_path.iterdir()] == ["000001"]


@pytest.mark.parametrize(("every", "epochs"), [(1, [4, 5]), (2, [4, 5]), (3, [3, 5]), (9, [5])])
def test_checkpoints_are_written_at_the_given_interval(
    make_classifier, data, tmp_path, every, epochs
):
    make_classifier(
        max_epochs=5, training__checkpoint_dir=tmp_path, training__checkpoint_every=every
    ).fit(*data)
    assert sorted(int(path.stem[-6:]) for path in tmp_path.iterdir()) == epochs


def test_home_folder_is_expanded(make_classifier, data, tmp_path, monkeypatch):
    for name in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(name, str(tmp_path))
    monkeypatch.chdir(tmp_path)
    for folder in ("~/text", Path("~/path")):
        fitted = make_classifier(training__checkpoint_dir=folder).fit(*data)
        assert fitted.training.checkpoint_dir == folder
        resumed = make_classifier(training__checkpoint_dir=folder, training__resume=True).fit(*data)
        np.testing.assert_array_equal(resumed.predict_proba(data[0]), fitted.predict_proba(data[0]))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["path", "text"]
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match=r"'checkpoint_dir' parameter .* must be a folder"):
        make_classifier(training__checkpoint_dir="~/file").fit(*data)


@pytest.mark.skipif(os.name == "nt", reason="Windows makes up a home folder for any user")
def test_unknown_home_folder_is_refused(make_classifier, data):
    with pytest.raises(ValueError, match=r"'checkpoint_dir' parameter .* Got '~no-such-user/x'"):
        make_classifier(training__checkpoint_dir="~no-such-user/x").fit(*data)


def test_verbose_reports_a_resumed_training(make_classifier, data, tmp_path, capsys):
    options = {"max_epochs": 4, "training__checkpoint_dir": tmp_path, "verbose": 1}
    kill(make_classifier(**options), 7, *data)
    capsys.readouterr()
    make_classifier(**options, training__resume=True).fit(*data)
    counts, printed = capsys.readouterr().out.split("\n", 1)
    assert counts == "40 labeled rows, 20 unlabeled rows, 3 classes"
    assert printed.startswith("resumed after epoch 2 of 4\n")
    make_classifier(**options, training__resume=True, random_state=1).fit(*data)
    assert f"\nno checkpoint of this run in {tmp_path}" in capsys.readouterr().out
    assert re.search(r"^ +3/4 ", printed, re.MULTILINE)
    assert not re.search(r"^ +[12]/4 ", printed, re.MULTILINE)


def test_checkpoint_that_is_too_large_does_not_end_a_training(
    make_classifier, data, tmp_path, monkeypatch
):
    monkeypatch.setattr(files, "MAX_HEADER", 100)
    with pytest.warns(UserWarning, match=r"checkpoint of epoch 1 could not be written.*at most 50"):
        classifier = make_classifier(training__checkpoint_dir=tmp_path, max_epochs=2).fit(*data)
    assert classifier.n_iter_ == 2


def test_full_disk_does_not_end_a_training(make_classifier, data, tmp_path, monkeypatch):
    def fail(*args):
        raise OSError("No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.warns(UserWarning, match=r"checkpoint of epoch 1 could not be written.*No space"):
        classifier = make_classifier(training__checkpoint_dir=tmp_path).fit(*data)
    assert classifier.n_iter_ == 3
    assert os.listdir(tmp_path) == []


def test_training_continues_if_its_state_cannot_be_saved(make_classifier, data, tmp_path):
    class Recorder(Callback):
        def on_epoch_end(self, net, **kwargs):
            net.history.record("when", datetime.now())

    with pytest.warns(UserWarning, match=r"history.*datetime.*without pickle"):
        classifier = make_classifier(training__checkpoint_dir=tmp_path, callbacks=[Recorder()]).fit(
            *data
        )
    assert classifier.n_iter_ == 3


def test_longer_training_is_resumed_from_a_shorter_one(make_classifier, data, tmp_path):
    X, y = data
    make_classifier(max_epochs=3, training__checkpoint_dir=tmp_path).fit(X, y)
    options = {"training__checkpoint_dir": tmp_path, "training__resume": True}
    longer = make_classifier(max_epochs=5, **options).fit(X, y)
    assert longer.net_.n_epochs_resumed_ == 3
    assert_same_to_the_bit(make_classifier(max_epochs=5).fit(X, y), longer, X)
    scheduled = make_classifier(max_epochs=6, training__lr_schedule="cosine", **options).fit(X, y)
    assert scheduled.net_.n_epochs_resumed_ == 0


def test_shorter_training_does_not_resume_from_later_epochs(make_classifier, data, tmp_path):
    X, y = data
    make_classifier(max_epochs=5, training__checkpoint_dir=tmp_path).fit(X, y)
    shorter = make_classifier(
        max_epochs=4, training__checkpoint_dir=tmp_path, training__resume=True
    ).fit(X, y)
    assert shorter.net_.n_epochs_resumed_ == 4
    assert_same_to_the_bit(make_classifier(max_epochs=4).fit(X, y), shorter, X)


class Counting(FeatureMatching):
    """Objective that changes from step to step."""

    def generator_loss(self, discriminator, batch, generated):
        self.n_calls_ = getattr(self, "n_calls_", 0) + 1
        losses = super().generator_loss(discriminator, batch, generated)
        return {"loss": losses["loss"] / self.n_calls_}


def test_regularizers_are_not_prepared_again(make_classifier, data, tmp_path, monkeypatch):
    """What label spreading or a forest found among the rows is in the checkpoint."""
    options = {"regularizer": ["spread_labels", "distillation"], "training__resume": True}
    started = []
    for cls in (SpreadLabels, Distillation):
        start = cls.start_training
        monkeypatch.setattr(
            cls,
            "start_training",
            lambda self, *args, start=start: (started.append(self.name), start(self, *args)),
        )
    kill(make_classifier(training__checkpoint_dir=tmp_path, **options), 7, *data)
    assert started == ["spread_labels", "distillation"]
    resumed = make_classifier(training__checkpoint_dir=tmp_path, **options).fit(*data)
    assert len(started) == 2
    uninterrupted = make_classifier(regularizer=options["regularizer"]).fit(*data)
    assert len(started) == 4
    assert_same_to_the_bit(uninterrupted, resumed, data[0])


def test_state_of_objectives_is_resumed(make_classifier, data, tmp_path):
    X, y = data
    options = {"max_epochs": 4, "regularizer": None}
    uninterrupted = make_classifier(objective=Counting(), **options).fit(X, y)
    kill(
        make_classifier(objective=Counting(), training__checkpoint_dir=tmp_path, **options),
        7,
        X,
        y,
    )
    resumed = make_classifier(
        objective=Counting(), training__checkpoint_dir=tmp_path, training__resume=True, **options
    ).fit(X, y)
    assert_same_to_the_bit(uninterrupted, resumed, X)


def test_training_without_unlabeled_losses_is_resumed(make_classifier, data, tmp_path):
    clf = make_classifier(unsupervised_weight=0, regularizer=["distillation", "spread_labels"])
    clf.set_params(training__checkpoint_dir=tmp_path, training__resume=True).fit(*data)
    again = clone(clf).fit(*data)
    assert again.net_.n_epochs_resumed_ == 3
    np.testing.assert_array_equal(clf.predict_proba(data[0]), again.predict_proba(data[0]))


def test_optimizers_keep_the_memory_order(make_classifier, tmp_path):
    images = np.random.RandomState(0).randn(40, 8, 8, 3).astype(np.float32)
    y = np.arange(40) % 4 - 1
    head = nn.Sequential(nn.Flatten(), nn.Linear(4 * 9, 8), nn.ReLU(), nn.Linear(8, 3))
    convolution = nn.Conv2d(3, 4, 3, 2).to(memory_format=torch.channels_last)
    generator = nn.Sequential(nn.Linear(8, 192), nn.Tanh(), nn.Unflatten(1, (3, 8, 8)))

    def make(**more):
        architecture = ModuleArchitecture(nn.Sequential(convolution, *head), generator)
        params = {"latent_dim": 8, "max_epochs": 4, "regularizer": None, "augment": None}
        return make_classifier(architecture=architecture, **params, **more)

    uninterrupted = make().fit(images, y)
    kill(make(training__checkpoint_dir=tmp_path), 5, images, y)
    resumed = make(training__checkpoint_dir=tmp_path, training__resume=True).fit(images, y)
    assert resumed.net_.n_epochs_resumed_ == 2
    assert_same_to_the_bit(uninterrupted, resumed, images)


def test_shorter_run_keeps_the_files_of_a_longer_one(make_classifier, data, tmp_path):
    make_classifier(training__checkpoint_dir=tmp_path, max_epochs=10).fit(*data)
    longer = sorted(path.name for path in tmp_path.iterdir())
    shorter = make_classifier(training__checkpoint_dir=tmp_path, max_epochs=8)
    kill(shorter, 3 * 5 + 1, *data)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert set(longer) < set(names)
    assert [int(name[-18:-12]) for name in names] == [4, 5, 9, 10]
    resumed = shorter.set_params(training__resume=True, callbacks=None).fit(*data)
    assert resumed.net_.n_epochs_resumed_ == 5
    whole = make_classifier(max_epochs=8).fit(*data)
    assert_same_to_the_bit(whole, resumed, data[0])


@pytest.mark.parametrize("resume", [False, True])
def test_folder_in_place_of_a_checkpoint_is_ignored(make_classifier, data, tmp_path, resume):
    classifier = make_classifier(training__checkpoint_dir=tmp_path).fit(*data)
    newest = max(tmp_path.iterdir())
    newest.unlink()
    newest.mkdir()
    with pytest.warns(UserWarning, match=rf"checkpoint.*{newest.name}") as caught:
        classifier.set_params(training__resume=resume).fit(*data)
    assert "A checkpoint cannot be used" in str(caught[0].message)
    assert "could not be written" in str(caught[1].message)
    whole = make_classifier().fit(*data)
    np.testing.assert_array_equal(classifier.predict_proba(data[0]), whole.predict_proba(data[0]))


@pytest.mark.slow
@pytest.mark.xdist_group("joblib")  # one pool of processes for all of these
def test_fits_of_a_grid_search_share_a_folder(make_classifier, data, labels, tmp_path):
    options = {
        "training__checkpoint_dir": tmp_path / "a" / "b",
        "training__resume": True,
        "unlabeled_value": None,
        "regularizer": None,
        "ensemble": None,
    }
    classifier = make_classifier(**options)
    search = GridSearchCV(classifier, {"latent_dim": [2, 3]}, cv=2, n_jobs=2)
    search.fit(data[0], labels)
    n_files = len(os.listdir(tmp_path / "a" / "b"))
    assert n_files == 2 * (2 * 2 + 1)
    again = GridSearchCV(classifier, {"latent_dim": [2, 3]}, cv=2).fit(data[0], labels)
    np.testing.assert_array_equal(
        again.cv_results_["mean_test_score"], search.cv_results_["mean_test_score"]
    )
    assert len(os.listdir(tmp_path / "a" / "b")) == n_files


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"training__resume": True}, r"resume=True needs .* Got checkpoint_dir=None"),
        (
            {"training__checkpoint_dir": "{}", "random_state": None},
            r"integer.*Got random_state=None",
        ),
        (
            {"training__checkpoint_dir": ""},
            r"'checkpoint_dir' parameter of Training must be a folder",
        ),
        (
            {"training__checkpoint_dir": "{}/file"},
            r"'checkpoint_dir' parameter of Training must be a folder",
        ),
        ({"training__checkpoint_dir": 3}, r"'checkpoint_dir' parameter of Training must be"),
        (
            {"training__checkpoint_dir": "{}", "training__checkpoint_every": 0},
            "'checkpoint_every' parameter of Training",
        ),
    ],
)
def test_bad_parameters_are_refused(make_classifier, data, tmp_path, params, message):
    (tmp_path / "file").touch()
    given = {k: v.format(tmp_path) if isinstance(v, str) else v for k, v in params.items()}
    with pytest.raises(ValueError, match=message):
        make_classifier(**given).fit(*data)


def test_continued_trainings_refuse_checkpoints(make_classifier, data, tmp_path):
    X, y = data
    classifier = make_classifier(warm_start=True).fit(X, y)
    with pytest.raises(ValueError, match=r"warm_start=True continues.*checkpoint_dir=None"):
        classifier.set_params(training__checkpoint_dir=tmp_path).fit(X, y)
    with pytest.raises(ValueError, match="partial_fit does not support checkpoint_dir"):
        make_classifier(training__checkpoint_dir=tmp_path).partial_fit(X, y, classes=[0, 1, 2])
    assert os.listdir(tmp_path) == []


SCRIPT = """
import sys
import numpy as np
from sgan_sklearn import SGANClassifier, Training

rng = np.random.RandomState(0)
X, y = rng.randn(100, 4), rng.randint(-1, 3, 100)
clf = SGANClassifier(
    max_epochs=100,
    regularizer=None,
    ensemble=None,
    device="cpu",
    random_state=0,
    training=Training(checkpoint_dir=sys.argv[1], resume=True),
)
clf.fit(X, y)
"""


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system has no SIGKILL")
def test_killed_process_is_resumed_in_another_one(tmp_path, monkeypatch):
    def run_here(folder):
        monkeypatch.setattr(sys, "argv", ["", tmp_path / folder])
        names = {}
        exec(SCRIPT, names)
        return names["clf"]

    def wait_for_checkpoints(folder, epoch):
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            names = os.listdir(folder) if folder.exists() else []
            if any(name.endswith(f"{epoch:06}.safetensors") for name in names):
                return
            time.sleep(0.01)
        pytest.fail("there was no checkpoint")

    process = subprocess.Popen([sys.executable, "-c", SCRIPT, tmp_path / "killed"])
    wait_for_checkpoints(tmp_path / "killed", 5)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    resumed = run_here("killed")
    assert 5 <= resumed.net_.n_epochs_resumed_ < 100
    uninterrupted = run_here("new")
    assert uninterrupted.net_.n_epochs_resumed_ == 0
    X = np.random.RandomState(1).randn(50, 4)
    assert_same_to_the_bit(resumed, uninterrupted, X)


def test_processes_resume_from_the_same_epoch(tmp_path, monkeypatch):
    # Of two processes, one was killed before it could write its last file.
    monkeypatch.setattr(checkpoints_module, "n_processes", lambda: 2)
    least = []
    monkeypatch.setattr(checkpoints_module, "min_over_processes", lambda number, device: least[0])
    for index, n_written in ((0, 4), (1, 3)):
        monkeypatch.setattr(checkpoints_module, "process_index", lambda index=index: index)
        writer = Checkpoints(tmp_path, "run", 1, resume=True)
        for epoch in range(1, n_written + 1):
            writer.write(epoch, {"epoch": epoch})
    least.append(3)
    for index in (0, 1):
        monkeypatch.setattr(checkpoints_module, "process_index", lambda index=index: index)
        checkpoints = Checkpoints(tmp_path, "run", 1, resume=True)
        state = checkpoints.begin(torch.device("cpu"), 9, lambda state, epoch: None)
        assert state == {"epoch": 3}
