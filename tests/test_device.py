import os
import pickle
import subprocess
import sys

import numpy as np
import pytest
import torch
from skorch.callbacks import Callback

from sgan_sklearn import SGANClassifier
from sgan_sklearn._runtime.device import device_or_cpu, resolve_device

needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")

# No machine has so many GPUs.
MISSING = "cuda:77"


@pytest.mark.parametrize(("available", "device"), [(False, "cpu"), (True, "cuda")])
def test_auto_is_the_gpu_if_available(available, device, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: available)
    assert resolve_device("auto") == torch.device(device)


def test_cpu():
    assert resolve_device("cpu") == torch.device("cpu")


@pytest.mark.parametrize("device", ["bogus", MISSING, "", "meta"])
def test_missing_device(device):
    with pytest.raises(ValueError, match=rf"'device' parameter .*'auto'.* Got '{device}'"):
        resolve_device(device)


def test_device_or_cpu():
    assert device_or_cpu("cpu") == device_or_cpu(MISSING) == torch.device("cpu")


def test_missing_device_is_refused_before_training(make_classifier, data):
    classifier = make_classifier(device=MISSING)
    with pytest.raises(ValueError, match="'device' parameter"):
        classifier.fit(*data)
    assert not hasattr(classifier, "net_")


def test_model_of_a_missing_device_is_unpickled_on_the_cpu(fitted, data):
    X, y = data
    probabilities, rows = fitted.predict_proba(X), fitted.sample(3, random_state=0)
    fitted.net_.device = MISSING
    loaded = pickle.loads(pickle.dumps(fitted))
    assert loaded.net_.device == "cpu"
    np.testing.assert_array_equal(loaded.predict_proba(X), probabilities)
    np.testing.assert_array_equal(loaded.sample(3, random_state=0), rows)
    loaded.set_params(warm_start=True).fit(X, y)
    assert loaded.n_steps_ == 2 * fitted.n_steps_


@pytest.mark.cuda
@needs_cuda
def test_gpu_trains_predicts_and_samples(make_classifier, data, labels):
    X, y = data
    classifier = make_classifier(device="cuda", max_epochs=40).fit(X, y)
    weights = [*classifier.discriminator_.parameters(), *classifier.generator_.parameters()]
    assert {weight.device.type for weight in weights} == {"cuda"}
    assert classifier.score(X, labels) > 0.9
    assert classifier.sample(3).shape == (3, X.shape[1])
    assert classifier.score_samples(X).shape == (len(X),)


@pytest.mark.cuda
@needs_cuda
def test_gpu_fit_does_not_change_the_global_generators(make_classifier, data):
    before = torch.get_rng_state(), torch.cuda.get_rng_state()
    make_classifier(device="cuda").fit(*data).sample(3)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert torch.equal(torch.cuda.get_rng_state(), before[1])


@pytest.mark.cuda
@needs_cuda
def test_gpu_model_continues_training_after_unpickling(make_classifier, data):
    X, y = data
    classifier = make_classifier(device="cuda", warm_start=True).fit(X, y)
    loaded = pickle.loads(pickle.dumps(classifier))
    assert torch.device(loaded.net_.device).type == "cuda"
    np.testing.assert_allclose(loaded.predict_proba(X), classifier.predict_proba(X), rtol=1e-4)
    assert loaded.fit(X, y).n_steps_ == 2 * classifier.n_steps_


LOADING = """
import pickle, sys
import numpy as np
with open(sys.argv[1], "rb") as file:
    classifier = pickle.load(file)
assert classifier.net_.device == "cpu"
np.save(sys.argv[2], classifier.predict_proba(np.load(sys.argv[3])))
"""


@pytest.mark.cuda
@needs_cuda
def test_gpu_model_loads_on_a_machine_without_gpu(make_classifier, data, tmp_path):
    X, y = data
    classifier = make_classifier(device="cuda").fit(X, y)
    model, answers, rows = (tmp_path / name for name in ("model.pickle", "answers.npy", "rows.npy"))
    model.write_bytes(pickle.dumps(classifier))
    np.save(rows, X)
    command = [sys.executable, "-c", LOADING, str(model), str(answers), str(rows)]
    subprocess.run(command, check=True, env={**os.environ, "CUDA_VISIBLE_DEVICES": ""})
    expected = classifier.predict_proba(X)
    np.testing.assert_allclose(np.load(answers), expected, rtol=1e-3, atol=1e-4)


def test_full_gpu_memory_is_reported(data):
    class Full(Callback):
        def on_batch_begin(self, net, **kwargs):
            raise torch.cuda.OutOfMemoryError("CUDA out of memory")

    classifier = SGANClassifier(max_epochs=1, device="cpu", random_state=0).fit(*data)
    before = classifier.predict_proba(data[0])
    classifier.set_params(callbacks=[Full()])
    with pytest.raises(MemoryError, match=r"Lower batch_size \(now 50\)"):
        classifier.fit(*data)
    np.testing.assert_array_equal(classifier.predict_proba(data[0]), before)
