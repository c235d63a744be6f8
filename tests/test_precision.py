import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.datasets import load_digits
from torch import nn

from sgan_sklearn import SGANClassifier, Training
from sgan_sklearn._runtime import precision as precision_module
from sgan_sklearn._runtime.precision import choose_precision, in_precision
from sgan_sklearn.architectures import (
    ARCHITECTURES,
    ConvArchitecture,
    MLPArchitecture,
    ModuleArchitecture,
    ResNetArchitecture,
)
from sgan_sklearn.objectives import OBJECTIVES

CPU, GPU = torch.device("cpu"), torch.device("cuda:0")


class SpyingOnPrecision(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(3, 2)
        self.seen = []

    def forward(self, x):
        y = self.linear(x)
        self.seen.append(y.dtype)
        return y

    forward_features = matched_features = forward


@pytest.mark.parametrize("part", ["__call__", "forward_features", "matched_features"])
def test_network_multiplies_in_bfloat16_and_returns_float32(part):
    module = SpyingOnPrecision()
    y = getattr(in_precision(module, "bfloat16"), part)(torch.randn(4, 3))
    assert module.seen == [torch.bfloat16]
    assert y.dtype == torch.float32
    y.sum().backward()
    assert module.linear.weight.grad.dtype == torch.float32


def test_network_in_float32_is_not_wrapped():
    module = SpyingOnPrecision()
    assert in_precision(module, "float32") is module


def test_train_and_eval_reach_the_network():
    module = SpyingOnPrecision().eval()
    wrapped = in_precision(module, "bfloat16")
    assert not wrapped.training
    wrapped.train()
    assert module.training


def test_other_attributes_of_the_network_are_accessible():
    wrapped = in_precision(SpyingOnPrecision(), "bfloat16")
    assert wrapped.linear.in_features == 3
    with pytest.raises(AttributeError, match="no attribute 'forward_head'"):
        _ = wrapped.module.forward_head
    assert not hasattr(wrapped, "nothing")


def digits(as_images):
    X, y = load_digits(return_X_y=True)
    X, y = X[:200], np.where(np.arange(200) < 100, y[:200], -1)
    return X.reshape(-1, 8, 8) if as_images else X, y


SMALL = {
    "mlp": MLPArchitecture((32,), (32,)),
    "conv": ConvArchitecture((8, 8), 8),
    "resnet": ResNetArchitecture((8, 8), 8),
}


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_every_system_trains_in_bfloat16(name, objective):
    architecture = SMALL[name]
    X, y = digits(architecture.for_images)
    clf = SGANClassifier(architecture, objective, max_epochs=1, device="cpu", random_state=0)
    halved = clone(clf).set_params(training=Training(precision="bfloat16")).fit(X, y)
    whole = clf.set_params(training=Training(precision="float32")).fit(X, y)
    assert halved.net_.precision == "bfloat16"
    assert all(p.dtype == torch.float32 for p in halved.discriminator_.parameters())
    probabilities = halved.predict_proba(X)
    assert probabilities.dtype == np.float32
    assert not np.array_equal(probabilities, whole.predict_proba(X))
    for name, loss in whole.history_[0].items():
        if name not in ("epoch", "dur"):
            assert halved.history_[0][name] == pytest.approx(loss, rel=0.3, abs=0.1)
    if halved.net_.trains_generator:
        assert np.isfinite(halved.sample(5, random_state=0)).all()


def test_custom_networks_train_in_bfloat16():
    X, y = digits(as_images=False)
    architecture = ModuleArchitecture(
        nn.Sequential(nn.Linear(64, 16), nn.ReLU(), nn.Linear(16, 10)), nn.Linear(64, 64)
    )
    clf = SGANClassifier(
        architecture, max_epochs=1, device="cpu", training=Training(precision="bfloat16")
    )
    assert clf.fit(X, y).predict(X).shape == (200,)


@pytest.fixture
def gpu(monkeypatch):
    """Simulate a GPU of a given generation."""

    def of_capability(*capability):
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
        monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "Tesla T4")

    return of_capability


def test_auto_is_bfloat16_for_images_on_a_gpu_that_supports_it(gpu):
    gpu(8, 0)
    assert choose_precision("auto", GPU, for_gpus=True, for_cpus=False) == "bfloat16"
    assert choose_precision("auto", GPU, for_gpus=False, for_cpus=True) == "float32"
    assert choose_precision("auto", CPU, for_gpus=True, for_cpus=False) == "float32"
    gpu(7, 5)
    assert choose_precision("auto", GPU, for_gpus=True, for_cpus=True) == "float32"


@pytest.mark.parametrize(
    ("capabilities", "expected"),
    [
        ({"avx512_bf16": True, "amx_bf16": False}, "bfloat16"),
        ({"avx512_bf16": False, "amx_bf16": True}, "bfloat16"),
        ({"avx512_bf16": False, "avx2": True}, "float32"),
        ({}, "float32"),
        (None, "float32"),
    ],
)
def test_auto_is_bfloat16_for_large_networks_on_a_processor_that_supports_it(
    monkeypatch, capabilities, expected
):
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    if capabilities is not None:
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities, raising=False)
    assert choose_precision("auto", CPU, for_gpus=True, for_cpus=True) == expected
    assert choose_precision("auto", CPU, for_gpus=True, for_cpus=False) == "float32"


def test_bfloat16_is_refused_without_support(gpu):
    gpu(7, 5)
    with pytest.raises(ValueError, match=r"'precision' parameter .* on Tesla T4"):
        choose_precision("bfloat16", GPU, for_gpus=True, for_cpus=True)
    assert choose_precision("bfloat16", CPU, for_gpus=False, for_cpus=False) == "bfloat16"


def test_names_of_precisions():
    X, y = digits(as_images=False)
    with pytest.raises(ValueError, match="'precision' parameter of Training must be a str"):
        SGANClassifier(training=Training(precision="float16")).fit(X, y)
    assert set(precision_module.PRECISIONS) == {"auto", "bfloat16", "float32"}
