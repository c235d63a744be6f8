import pickle

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.datasets import load_digits
from skorch.callbacks import Callback
from torch import nn

from sgan_sklearn import SGANClassifier
from sgan_sklearn._data.batches import SemiSupervisedBatches, SemiSupervisedDataset
from sgan_sklearn._runtime.compilation import Compiled, check_compiles, compiling
from sgan_sklearn._training import net as net_module
from sgan_sklearn.architectures import ConvArchitecture, MLPArchitecture
from sgan_sklearn.objectives import FeatureMatching

CPU = torch.device("cpu")


def compiles():
    try:
        check_compiles(CPU)
    except ValueError:
        return False
    return True


@pytest.fixture(scope="module")
def compiler():
    if not compiles():
        pytest.skip("torch.compile needs a C++ compiler, which this machine lacks")


needs_compiler = pytest.mark.usefixtures("compiler")


def small(architecture, **parameters):
    """Return a classifier without noise, whose training compiled networks repeat."""
    return SGANClassifier(
        architecture, latent_dim=4, augment=None, max_epochs=1, device="cpu", **parameters
    )


ARCHITECTURES = {
    "mlp": MLPArchitecture((16,), (16,), input_noise=0.0, noise=0.0),
    "conv": ConvArchitecture((4, 4), 4, input_noise=0.0, dropout=0.0),
}


@pytest.mark.slow
@needs_compiler
@pytest.mark.parametrize(("architecture", "precision"), [("mlp", "float32"), ("conv", "bfloat16")])
def test_compiled_networks_learn_the_same(architecture, precision):
    X, y = load_digits(return_X_y=True)
    X, y = X[:200].reshape(-1, 8, 8), np.where(np.arange(200) < 100, y[:200], -1)
    X = X if architecture == "conv" else X.reshape(200, 64)
    clf = small(ARCHITECTURES[architecture], random_state=0, precision=precision)
    plain = clf.fit(X, y)
    plain_probabilities, plain_losses = plain.predict_proba(X), plain.history_[0]
    compiled = clf.set_params(compile=True).fit(X, y)
    tolerance = 1e-3 if precision == "float32" else 0.1
    np.testing.assert_allclose(compiled.predict_proba(X), plain_probabilities, atol=tolerance)
    for name, loss in plain_losses.items():
        if name not in ("epoch", "dur"):
            assert compiled.history_[0][name] == pytest.approx(loss, rel=tolerance, abs=tolerance)
    assert compiled.net_._compiled is None


@pytest.mark.slow
@needs_compiler
def test_the_functions_of_a_network_are_compiled_and_share_its_weights():
    module = MLPArchitecture((8,), (8,)).build_discriminator((3,), 2).eval()
    with compiling():
        compiled, x = Compiled(module), torch.randn(5, 3)
        torch.testing.assert_close(compiled(x), module(x))
        features = compiled.forward_features(x)
        torch.testing.assert_close(features, module.forward_features(x))
        torch.testing.assert_close(compiled.forward_head(features), module(x))
        compiled(x).sum().backward()
    assert all(weight.grad is not None for weight in module.parameters())


def test_train_and_eval_reach_the_network():
    module = nn.Dropout(0.5).eval()
    with compiling():
        compiled = Compiled(module)
    assert not compiled.training
    compiled.train()
    assert module.training
    assert not hasattr(compiled, "forward_features")


def digits(n_labels=100):
    X, y = load_digits(return_X_y=True)
    return X[:300], np.where(np.arange(300) < n_labels, y[:300], -1)


class Pickling(Callback):
    def on_epoch_end(self, net, **kwargs):
        self.restored = pickle.loads(pickle.dumps(net))


@pytest.mark.slow
@needs_compiler
def test_earlier_fits_do_not_change_a_model():
    X, y = digits()
    spy = Pickling()
    noisy = SGANClassifier(
        MLPArchitecture((24,), (24,)), max_epochs=1, compile=True, device="cpu", random_state=0
    )
    before = torch.get_rng_state()
    first = clone(noisy).fit(X, y).predict_proba(X)
    with torch._dynamo.config.patch(cache_size_limit=4):  # a fit needs three
        clone(noisy).set_params(batch_size=20).fit(X, y)
        again = clone(noisy).set_params(callbacks=[spy]).fit(X, y)
        assert torch._dynamo.config.cache_size_limit == 4
    np.testing.assert_array_equal(again.predict_proba(X), first)
    assert torch.equal(torch.get_rng_state(), before)
    restored = pickle.loads(pickle.dumps(again))
    np.testing.assert_array_equal(restored.predict_proba(X), first)
    assert spy.restored.n_steps_ == again.n_steps_
    # Outside of a fit, as a benchmark does it, and on from there.
    again.net_.train_step(next(iter(SemiSupervisedBatches(data_set(again, X, y), 50))))
    assert restored.set_params(warm_start=True).fit(X, y).n_iter_ == 2


def data_set(clf, X, y):
    rows = torch.from_numpy(clf.scaler_.transform(X))
    return SemiSupervisedDataset(rows, torch.from_numpy(y))


class GradientPenalty(FeatureMatching):
    def discriminator_loss(self, discriminator, batch, generated, unsupervised_weight):
        losses = super().discriminator_loss(discriminator, batch, generated, unsupervised_weight)
        x = batch.unlabeled.requires_grad_(True)
        (slope,) = torch.autograd.grad(discriminator(x).sum(), x, create_graph=True)
        return {**losses, "loss": losses["loss"] + slope.square().mean()}


@pytest.mark.slow
@needs_compiler
def test_errors_of_compiled_networks_say_so():
    X, y = digits()
    clf = small(ARCHITECTURES["mlp"], objective=GradientPenalty(), regularizer=None)
    assert np.isfinite(clone(clf).fit(X, y).predict_proba(X)).all()
    with pytest.raises(RuntimeError) as caught:
        clf.set_params(compile=True).fit(X, y)
    assert "compile=False" in caught.value.__notes__[0]


@pytest.mark.parametrize(
    ("message", "told"),
    [
        ("No working C++ compiler found\nand more", r"RuntimeError: No working C\+\+ compi"),
        ("backend='inductor' raised:\nIndeed.", "RuntimeError: Indeed."),
        ("", "RuntimeError: no reason given"),
    ],
)
def test_a_compiler_that_fails_is_named_before_the_training(monkeypatch, message, told):
    def missing(function):
        raise RuntimeError(message)

    X, y = load_digits(return_X_y=True)
    clf = small(ARCHITECTURES["mlp"], random_state=0, unlabeled_value=None).fit(X[:100], y[:100])
    before = clf.predict_proba(X)
    check_compiles.cache_clear()
    monkeypatch.setattr(torch, "compile", missing)
    with pytest.raises(ValueError, match=rf"'compile' .* \({told}"):
        clf.set_params(compile=True).fit(X[:100], y[:100])
    np.testing.assert_array_equal(clf.predict_proba(X), before)


def test_compile_is_a_boolean():
    with pytest.raises(ValueError, match="'compile' parameter of SGANClassifier must be"):
        SGANClassifier(compile="max-autotune").fit([[0.0], [1.0]], [0, 1])


def test_nothing_is_compiled_unasked(monkeypatch):
    monkeypatch.setattr(net_module, "Compiled", None)
    SGANClassifier(max_epochs=1, device="cpu", random_state=0, unlabeled_value=None).fit(
        [[0.0], [1.0]], [0, 1]
    )
