import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from torch import nn

from sgan_sklearn import SGANClassifier, _net
from sgan_sklearn._compilation import Compiled, check_compiles
from sgan_sklearn.architectures import ConvArchitecture, MLPArchitecture

CPU = torch.device("cpu")
# PyTorch's compiler calls old functions of its own, and asks tensors for gradients.
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning:torch"),
    pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf"),
]


def compiles():
    try:
        check_compiles(CPU)
    except ValueError:
        return False
    return True


@pytest.fixture(scope="module", autouse=True)
def compiler():
    if not compiles():
        pytest.skip("torch.compile needs a C++ compiler, which this machine lacks")


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
    assert "_compiled" not in vars(compiled.net_)


def test_the_functions_of_a_network_are_compiled_and_share_its_weights():
    module = MLPArchitecture((8,), (8,)).build_discriminator((3,), 2).eval()
    compiled, x = Compiled(module), torch.randn(5, 3)
    torch.testing.assert_close(compiled(x), module(x))
    features = compiled.forward_features(x)
    torch.testing.assert_close(features, module.forward_features(x))
    torch.testing.assert_close(compiled.forward_head(features), module(x))
    compiled(x).sum().backward()
    assert all(weight.grad is not None for weight in module.parameters())


def test_train_and_eval_reach_the_network():
    module = nn.Dropout(0.5).eval()
    compiled = Compiled(module)
    assert not compiled.training
    compiled.train()
    assert module.training
    assert not hasattr(compiled, "forward_features")


def test_a_compiler_that_fails_is_named_before_the_training(monkeypatch):
    def missing(function):
        raise RuntimeError("No working C++ compiler found\nand more")

    X, y = load_digits(return_X_y=True)
    clf = small(ARCHITECTURES["mlp"], random_state=0).fit(X[:100], y[:100])
    before = clf.predict_proba(X)
    check_compiles.cache_clear()
    monkeypatch.setattr(torch, "compile", missing)
    with pytest.raises(ValueError, match=r"'compile' .* \(RuntimeError: No working C\+\+ compi"):
        clf.set_params(compile=True).fit(X[:100], y[:100])
    np.testing.assert_array_equal(clf.predict_proba(X), before)


def test_compile_is_a_boolean():
    with pytest.raises(ValueError, match="'compile' parameter of SGANClassifier must be"):
        SGANClassifier(compile="max-autotune").fit([[0.0], [1.0]], [0, 1])


def test_nothing_is_compiled_unasked(monkeypatch):
    monkeypatch.setattr(_net, "Compiled", None)
    SGANClassifier(max_epochs=1, device="cpu").fit([[0.0], [1.0]], [0, 1])
