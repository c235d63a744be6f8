"""The number of threads that torch trains with."""

import threading

import numpy as np
import pytest
import torch
from skorch.callbacks import Callback
from threadpoolctl import threadpool_info
from torch import nn

from sgan_sklearn import SGANClassifier
from sgan_sklearn._runtime import threads as threads_module
from sgan_sklearn._runtime.threads import threads_for
from sgan_sklearn.architectures import ConvArchitecture, MLPArchitecture

SMALL, LARGE, CONV = nn.Linear(9, 9), nn.Linear(800, 800), nn.Conv2d(1, 1, 3)


@pytest.fixture(autouse=True)
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def blas_threads():
    return [
        library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"
    ]


class Threads(Callback):
    """Remember the number of threads of each epoch."""

    def initialize(self):
        self.found_ = []
        return self

    def on_epoch_begin(self, net, **kwargs):
        self.found_.append(torch.get_num_threads())


@pytest.mark.parametrize(
    ("networks", "n_threads"), [([SMALL, SMALL], 1), ([SMALL, LARGE], 2), ([SMALL, CONV], 2)]
)
def test_small_networks_have_one_thread(networks, n_threads):
    before = blas_threads()
    with threads_for(*networks):
        assert torch.get_num_threads() == n_threads
        assert blas_threads() == ([1] * len(before) if n_threads == 1 else before)
    assert torch.get_num_threads() == 2
    assert blas_threads() == before
    with pytest.raises(ZeroDivisionError), threads_for(*networks):
        raise ZeroDivisionError
    assert torch.get_num_threads() == 2


@pytest.mark.parametrize(
    ("architecture", "n_threads"),
    [(MLPArchitecture((16,), (16,)), 1), (ConvArchitecture((4, 4), 4), 2)],
)
def test_threads_of_a_fit(architecture, n_threads, data):
    X, y = data
    rows = np.random.RandomState(0).rand(len(X), 8, 8) if n_threads == 2 else X
    callback = Threads()
    classifier = SGANClassifier(architecture, max_epochs=2, callbacks=[callback])
    classifier.fit(rows, y)
    assert dict(classifier.net_.callbacks_)["Threads"].found_ == [n_threads] * 2
    assert torch.get_num_threads() == 2


def test_the_model_does_not_depend_on_the_threads(data):
    X, y = data
    classifier = SGANClassifier(MLPArchitecture((64, 64), (64,)), max_epochs=3, random_state=0)
    with_two = classifier.fit(X, y).label_distributions_
    torch.set_num_threads(1)
    np.testing.assert_array_equal(classifier.fit(X, y).label_distributions_, with_two)


def test_blocks_that_overlap_restore_the_number():
    entered, may_leave = threading.Event(), threading.Event()
    found = {}

    def other():
        with threads_for(SMALL):
            entered.set()
            may_leave.wait(60)
        found["after"] = torch.get_num_threads()

    with threads_for(SMALL):
        thread = threading.Thread(target=other)  # it uses torch for the first time
        thread.start()
        assert entered.wait(60)
    assert torch.get_num_threads() == 2
    may_leave.set()
    thread.join(60)
    assert found == {"after": 2}
    assert threads_module._one_thread._n_users == 0
    assert torch.get_num_threads() == 2
