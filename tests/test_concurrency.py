"""Threads, forked and spawned processes, and leftovers of many fits."""

import gc
import multiprocessing
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import joblib
import numpy as np
import psutil
import pytest
import torch
from sklearn.base import clone
from sklearn.ensemble import BaggingClassifier
from skorch.callbacks import Callback

from sgan_sklearn import SGANClassifier, load, save
from sgan_sklearn._runtime import random as random_module
from sgan_sklearn._training import ensemble
from sgan_sklearn.architectures import MLPArchitecture
from sgan_sklearn.regularizers import Distillation


def test_threads_share_a_model(fitted, data):
    X = np.repeat(data[0], 50, axis=0)
    expected = fitted.predict_proba(X)
    rows = [fitted.sample(20, random_state=seed) for seed in range(4)]

    def work(i):
        np.testing.assert_array_equal(fitted.predict_proba(X), expected)
        np.testing.assert_array_equal(fitted.sample(20, random_state=i % 4), rows[i % 4])
        return True

    state = torch.get_rng_state()
    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(work, range(200)))
    assert torch.equal(torch.get_rng_state(), state)


def test_threads_fit_the_same_models_as_one_thread(make_classifier, data):
    # Without a teacher, because Python can only silence its warnings for all threads.
    def fit(seed):
        regularizer = ["virtual_adversarial", "class_prior"]
        return make_classifier(random_state=seed, regularizer=regularizer).fit(*data)

    expected = [fit(seed).predict_proba(data[0]) for seed in range(3)]
    with ThreadPoolExecutor(3) as pool:
        fitted = pool.map(fit, range(3))
        found = [classifier.predict_proba(data[0]) for classifier in fitted]
    np.testing.assert_array_equal(found, expected)


def test_sampling_waits_for_one_training_step_only(make_classifier, data):
    fitted = make_classifier().fit(*data)
    expected = fitted.sample(5, random_state=0)
    begun, sampled = threading.Event(), threading.Event()

    class Waiting(Callback):
        """Continue the training until the other thread has its rows."""

        def on_epoch_end(self, net, **kwargs):
            begun.set()
            if sampled.is_set():
                net.stop_training_ = True

    training = make_classifier(max_epochs=100_000, callbacks=[Waiting()])
    with ThreadPoolExecutor(1) as pool:
        fitting = pool.submit(training.fit, *data)
        assert begun.wait(60)
        made = fitted.sample(5, random_state=0)
        sampled.set()
        n_epochs = fitting.result(timeout=60).n_iter_
    np.testing.assert_array_equal(made, expected)
    # That does not change the training.
    alone = make_classifier(max_epochs=n_epochs).fit(*data)
    np.testing.assert_array_equal(training.predict_proba(data[0]), alone.predict_proba(data[0]))


def test_prediction_does_not_wait_for_a_training(fitted, data):
    training = random_module.seeded(0, torch.device("cpu"))  # as in another thread
    with training, ThreadPoolExecutor(1) as pool:
        assert len(pool.submit(fitted.predict, data[0]).result(timeout=60)) == 60


def test_loading_does_not_affect_a_training_in_another_thread(
    fitted, data, tmp_path, make_classifier
):
    save(fitted, tmp_path / "classifier")
    expected = make_classifier(max_epochs=20).fit(*data).predict_proba(data[0])
    state = torch.get_rng_state()
    stop = threading.Event()

    def keep_loading():
        while not stop.is_set():
            load(tmp_path / "classifier")

    with ThreadPoolExecutor(1) as pool:
        loading = pool.submit(keep_loading)
        found = make_classifier(max_epochs=20).fit(*data).predict_proba(data[0])
        stop.set()
        loading.result()
    np.testing.assert_array_equal(found, expected)
    assert torch.equal(torch.get_rng_state(), state)


def in_child(classifier, X, queue):
    fitted = clone(classifier).fit(X[:30], [0, 1, -1] * 10)
    queue.put((classifier.predict(X), classifier.sample(3, random_state=0), fitted.predict(X)))


def fit_with_threads_of_a_teacher():
    ensemble.N_TREES = 5  # in a new process; the default takes seconds longer
    ensemble.MIN_STEPS = ensemble.MAX_STEPS = 20
    small = SGANClassifier(MLPArchitecture((4,), (4,)), max_epochs=1, device="cpu")
    teacher = BaggingClassifier(clone(small), n_estimators=2, n_jobs=2, random_state=0)
    X, y = np.random.RandomState(0).randn(60, 3), [0, 1, -1] * 20
    small.set_params(regularizer=Distillation(teacher, adaptive=False), random_state=0)
    with joblib.parallel_backend("threading"):
        small.fit(X, y)


def in_new_child(classifier, X, queue):
    """Also fit with a teacher here, since a deadlock must not stop the tests.

    Another process would have to import everything again.
    """
    in_child(classifier, X, queue)
    fit_with_threads_of_a_teacher()
    queue.put("the teacher has not deadlocked")


@pytest.mark.parametrize("method", multiprocessing.get_all_start_methods())
def test_processes_of_every_start_method_predict_sample_and_fit(make_classifier, data, method):
    X = data[0]
    # Without forests, because these are smaller within this process.
    fitted = make_classifier(regularizer=None, ensemble=None).fit(*data)
    expected = (
        fitted.predict(X),
        fitted.sample(3, random_state=0),
        clone(fitted).fit(X[:30], [0, 1, -1] * 10).predict(X),
    )
    context = multiprocessing.get_context(method)
    queue = context.Queue()
    is_new = method == "spawn"
    child = context.Process(target=in_new_child if is_new else in_child, args=(fitted, X, queue))
    child.start()
    try:
        for found, wanted in zip(queue.get(timeout=120), expected, strict=True):
            np.testing.assert_allclose(found, wanted, rtol=1e-5)
        if is_new:
            assert queue.get(timeout=120) == "the teacher has not deadlocked"
        child.join(60)
        assert child.exitcode == 0
    finally:
        child.kill()
        child.join()


FORK = """
import multiprocessing, sys
import numpy as np, torch
from sgan_sklearn import SGANClassifier

torch.set_num_threads(2)
torch.randn(1000, 1000) @ torch.randn(1000, 1000)
torch.randn(1_000_000).exp()  # OpenMP has its threads now, even if a product needs none
X = np.random.RandomState(0).randn(10_000, 20)
small = {"max_epochs": 1, "batch_size": 500, "device": "cpu", "random_state": 0}
classifier = SGANClassifier(**small, ensemble=None).fit(X[:99], [0, 1, -1] * 33)
classifier.predict(X)
context = multiprocessing.get_context("fork")


def work():
    classifier.predict(X)
    y = np.arange(len(X)) % 3 - 1
    SGANClassifier(**small, early_stopping=True).fit(X, y)


child = context.Process(target=work)
child.start()
child.join(120)
child.kill()
sys.exit(child.exitcode)
"""


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_fork_of_a_process_with_threads_of_openmp_does_not_hang():
    environment = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    command = [sys.executable, "-c", FORK]
    assert subprocess.run(command, env=environment, check=False).returncode == 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_fork_while_another_thread_trains_does_not_hang(fitted):
    begun, done = threading.Event(), threading.Event()

    def train():
        with random_module.seeded(0, torch.device("cpu")):
            begun.set()
            done.wait(60)

    trainer = threading.Thread(target=train)
    trainer.start()
    begun.wait(60)
    context = multiprocessing.get_context("fork")
    child = context.Process(target=fitted.sample, args=(3,))
    try:
        child.start()
        child.join(60)
        assert child.exitcode == 0
    finally:
        child.kill()
        done.set()
        trainer.join()


def test_many_fits_leave_no_files_and_threads(make_classifier, data, tmp_path):
    X, y = data
    process = psutil.Process()

    def left():
        gc.collect()
        networks = sum(issubclass(type(item), torch.nn.Module) for item in gc.get_objects())
        return len(process.open_files()), threading.active_count(), networks

    def fit():
        classifier = make_classifier(max_epochs=1, training__checkpoint_dir=tmp_path).fit(X, y)
        classifier.predict(X)
        classifier.sample(2)
        save(classifier, tmp_path / "classifier")

    fit()
    before = left()
    for _ in range(5):
        fit()
    assert left() == before
