import pickle
from functools import partial

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.datasets import load_digits, load_iris
from skorch.callbacks import Callback, EpochTimer, Freezer, GradientNormClipping, LRScheduler
from torch import nn
from torch.nn.utils.parametrizations import weight_norm

from sgan_sklearn import SGANClassifier, Training
from sgan_sklearn._data import rows as rows_module
from sgan_sklearn._runtime import recorded_operations as recorded_operations_module
from sgan_sklearn._runtime import recorded_steps as recorded_steps_module
from sgan_sklearn._runtime.recorded_steps import can_record, is_recordable
from sgan_sklearn.architectures import (
    ConvArchitecture,
    MLPArchitecture,
    ModuleArchitecture,
    ResNetArchitecture,
)
from sgan_sklearn.augmentations import AffineAugmentation, PhotoAugmentation
from sgan_sklearn.callbacks import SampleGridCallback
from sgan_sklearn.objectives import FeatureMatching
from sgan_sklearn.regularizers import (
    ClassPrior,
    ConditionalEntropy,
    Consistency,
    Distillation,
    PseudoLabel,
    SpreadLabels,
    VirtualAdversarial,
)

needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
on_gpu = [pytest.mark.cuda, needs_cuda]


@pytest.fixture(params=["cpu", pytest.param("cuda", marks=on_gpu)])
def device(request):
    """Return a device on which steps are recorded."""
    return request.param


def hide(y, n_labels):
    return np.where(np.arange(len(y)) < n_labels, y, -1)


def digits():
    X, y = load_digits(return_X_y=True)
    return X[:300], hide(y[:300], 100)


def images():
    X, y = digits()
    return X.reshape(-1, 8, 8), y


def photographs():
    X, y = images()
    return np.stack([X, X[::-1], X.swapaxes(1, 2)], axis=-1).astype(np.uint8), y


def table():
    X, y = load_iris(return_X_y=True)
    order = np.random.RandomState(0).permutation(len(y))
    frame = pd.DataFrame(X[order]).astype("float32")
    frame["color"] = pd.Categorical(np.array(["red", "green", "blue"])[np.arange(len(y)) % 3])
    frame.columns = [f"column {name}" for name in frame.columns]
    return frame, hide(y[order], 60)


MLP = MLPArchitecture((16,), (16,))
CONV = ConvArchitecture((4, 4), 4)
ALL = [
    PseudoLabel(0.3, start=4, ramp_up=20),
    ClassPrior(ramp_up=0),
    ConditionalEntropy(),
    Consistency(),
    VirtualAdversarial(),
    Distillation(adaptive=False),
    SpreadLabels(start=2, end=9),
]
TRAININGS = {
    "table with categories": (table, {"architecture": MLP}),
    "every regularizer": (digits, {"architecture": MLP, "regularizer": ALL}),
    "images": (images, {"architecture": CONV, "training__lr_schedule": "cosine"}),
    "adaptive thresholds": (
        images,
        {"architecture": CONV, "regularizer": PseudoLabel("adaptive", start=2, ramp_up=0)},
    ),
    "label spreading, then pseudo-labels": (
        images,
        {
            "architecture": CONV,
            "regularizer": [
                SpreadLabels(ramp_up=2, end=10),
                PseudoLabel("adaptive", start=8, ramp_up=0),
            ],
        },
    ),
    "photographs": (
        photographs,
        {"architecture": ResNetArchitecture((4, 4), 4), "augment": PhotoAugmentation()},
    ),
    "bfloat16": (images, {"architecture": CONV, "training__precision": "bfloat16"}),
    "complement": (digits, {"architecture": MLP, "objective": "complement"}),
    "stacked": (digits, {"architecture": MLP, "objective": "stacked", "class_weight": "balanced"}),
    "softmax": (
        digits,
        {"architecture": MLP, "objective": "softmax", "training__adversarial_every": 3},
    ),
    "two heads": (digits, {"architecture": MLP, "objective": "two_headed"}),
    "no generator": (digits, {"architecture": MLP, "unsupervised_weight": 0}),
    "supervised": (digits, {"architecture": MLP, "objective": "supervised"}),
    "early stopping": (digits, {"architecture": MLP, "early_stopping": True}),
    "layers of PyTorch": (
        digits,
        {
            "architecture": ModuleArchitecture(
                nn.Sequential(nn.Linear(64, 10), nn.ReLU(), nn.Linear(10, 10)), nn.Linear(8, 64)
            )
        },
    ),
    "clipped gradients": (
        digits,
        {"architecture": MLP, "callbacks": [GradientNormClipping(0.1)], "discriminator_lr": 1e-2},
    ),
}


def small(device, **params):
    return SGANClassifier(
        MLP, batch_size=20, device=device, training=Training(), random_state=0, **params
    )


@pytest.mark.parametrize("name", TRAININGS)
def test_recorded_steps_give_the_same_model(name, device):
    data, parameters = TRAININGS[name]
    X, y = data()
    clf = SGANClassifier(
        max_epochs=3,
        batch_size=20,
        latent_dim=8,
        ensemble=None,  # its steps are not those of the training
        device=device,
        training=Training(),
        random_state=0,
    ).set_params(**parameters)
    one_by_one = clone(clf).set_params(training__record_steps=False).fit(X, y)
    recorded = clf.set_params(training__record_steps=True).fit(X, y)
    # A GPU sums in another order. The random numbers are the same.
    tolerance = 0.05 if device == "cuda" else 0
    np.testing.assert_allclose(
        recorded.predict_proba(X), one_by_one.predict_proba(X), atol=tolerance
    )
    for terms, plain_terms in zip(recorded.history_, one_by_one.history_, strict=True):
        assert set(terms) == set(plain_terms)
        for term in set(terms) - {"dur"}:
            assert terms[term] == pytest.approx(plain_terms[term], rel=tolerance, abs=tolerance)
    assert recorded.net_._run is None


def test_training_continues_after_recorded_steps(device):
    X, y = digits()
    clf = SGANClassifier(
        MLP,
        max_epochs=2,
        batch_size=20,
        training=Training(record_steps=True),
        device=device,
        random_state=0,
    )
    clf.set_params(warm_start=True).fit(X, y).fit(X, y)
    assert clf.n_iter_ == 4
    rates = [group["lr"] for group in clf.net_.optimizer_.param_groups]
    assert rates == [clf.plan_.discriminator_lr]
    again = clone(clf).fit(X, y).fit(X, y)
    np.testing.assert_array_equal(again.predict_proba(X), clf.predict_proba(X))
    before = clf.predict_proba(X)
    assert clf.partial_fit(X, y).fit(X, y).n_iter_ == 7
    assert not np.array_equal(clf.predict_proba(X), before)


class Curious(FeatureMatching):
    def unsupervised_loss(self, unlabeled, generated):
        losses = super().unsupervised_loss(unlabeled, generated)
        return losses if losses["real"].item() > 0 else {"loss": losses["loss"]}


def test_known_parts_are_recorded_by_default(device, monkeypatch):
    n_recorded = 0
    recorded = recorded_steps_module._recorded

    def counting(function, stream):
        nonlocal n_recorded
        n_recorded += 1
        return recorded(function, stream)

    monkeypatch.setattr(recorded_steps_module, "_recorded", counting)
    X, y = digits()
    clf = SGANClassifier(
        MLP,
        max_epochs=1,
        batch_size=20,
        training=Training(adversarial_every=2),
        device=device,
        random_state=0,
    )
    assert clone(clf).fit(X, y).training.record_steps == "auto"
    assert n_recorded == 2  # with the adversarial part and without
    for parameters in (
        {"training__record_steps": False},
        {"objective": Curious()},
        {"callbacks": [GradientNormClipping(1.0)]},
        {"regularizer": Shy()},
    ):
        clone(clf).set_params(**parameters).fit(X, y)
        assert n_recorded == 2


class Shy(PseudoLabel):
    pass


class Own(nn.Linear):
    pass


def test_which_parts_are_known():
    known = [nn.Linear(1, 1), FeatureMatching(), AffineAugmentation(), PseudoLabel()]
    assert is_recordable(known, [EpochTimer(), SampleGridCallback("x.png")])
    watched = nn.Linear(1, 1)
    watched.register_forward_hook(lambda *args: None)
    watched_back, weighed, replaced = nn.Linear(1, 1), nn.Linear(1, 1), nn.Linear(1, 1)
    watched_back.register_full_backward_hook(lambda *args: None)
    weighed.weight.register_hook(lambda gradient: None)
    replaced.forward = lambda x: x
    changed = [watched, watched_back, weighed, replaced]
    others = [Own(1, 1), weight_norm(Own(2, 2)), lambda x: x, partial(torch.add, other=1), *changed]
    for part in others:
        assert not is_recordable([part], [])
    assert is_recordable([weight_norm(nn.Linear(2, 2))], [])
    for callback in (Freezer("*"), LRScheduler(), Callback()):
        assert not is_recordable([], [callback])


def test_devices_on_which_steps_are_recorded(monkeypatch):
    gpu, cpu = torch.device("cuda:1"), torch.device("cpu")
    assert can_record(gpu)
    assert can_record(cpu)
    assert not can_record(torch.device("meta"))
    monkeypatch.setattr(recorded_steps_module, "n_processes", lambda: 2)
    assert not can_record(gpu)
    assert not can_record(cpu)


def test_recorded_steps_with_rows_from_a_file(device, monkeypatch):
    X, y = digits()
    clf = small(device, max_epochs=2)
    in_memory = clone(clf).fit(X, y).predict_proba(X)
    monkeypatch.setattr(rows_module, "_fit", lambda n_bytes, device: False)
    tolerance = 1e-2 if device == "cuda" else 0
    np.testing.assert_allclose(clf.fit(X, y).predict_proba(X), in_memory, atol=tolerance)


def test_killed_run_is_resumed_with_recorded_steps(device, tmp_path):
    X, y = digits()
    clf = SGANClassifier(
        MLP,
        batch_size=20,
        device=device,
        training=Training(checkpoint_dir=tmp_path),
        random_state=0,
    )
    whole = clone(clf).set_params(max_epochs=4, training__checkpoint_dir=None).fit(X, y)
    clone(clf).set_params(max_epochs=2).fit(X, y)
    resumed = clf.set_params(max_epochs=4, training__resume=True).fit(X, y)
    assert resumed.net_.n_epochs_resumed_ == 2
    tolerance = 1e-2 if device == "cuda" else 0
    np.testing.assert_allclose(resumed.predict_proba(X), whole.predict_proba(X), atol=tolerance)


@pytest.mark.cuda
@needs_cuda
def test_step_that_a_gpu_cannot_record_is_refused(monkeypatch):
    device, recorded = "cuda", recorded_steps_module._recorded

    def failing(function, stream):
        def broken():
            function()
            raise RuntimeError("no such graph\nand more")

        return recorded(broken, stream)

    monkeypatch.setattr(recorded_steps_module, "_recorded", failing)
    X, y = digits()
    clf = small(device, max_epochs=2)
    plain = clone(clf).set_params(training__record_steps=False).fit(X, y)
    with pytest.warns(
        UserWarning, match=r"which takes longer \(no such graph\). Set record_steps=False"
    ):
        without = clone(clf).fit(X, y)
    np.testing.assert_allclose(without.predict_proba(X), plain.predict_proba(X), atol=1e-3)
    with pytest.raises(RuntimeError, match=r"no such graph.*set record_steps=False"):
        clf.set_params(training__record_steps=True).fit(X, y)
    assert not hasattr(clf, "net_")


class Masked(FeatureMatching):
    def unsupervised_loss(self, unlabeled, generated):
        return super().unsupervised_loss(unlabeled[unlabeled[:, 0] > 0], generated)


class Counting(FeatureMatching):
    def unsupervised_loss(self, unlabeled, generated):
        losses = super().unsupervised_loss(unlabeled, generated)
        return {"loss": losses["loss"] * torch.tensor(2.0, device=unlabeled.device)}


@pytest.mark.parametrize(
    ("objective", "operation"),
    [(Curious(), "_local_scalar_dense"), (Masked(), "index"), (Counting(), "lift_fresh")],
)
def test_losses_that_depend_on_values_are_refused(objective, operation, device):
    X, y = digits()
    clf = small(device, max_epochs=2).fit(X, y)
    before = clf.predict_proba(X)
    clf.set_params(objective=objective, training__record_steps=True)
    with pytest.raises(
        RuntimeError, match=rf"{operation} depends on values.*set record_steps=False"
    ):
        clf.fit(X, y)
    np.testing.assert_array_equal(clf.predict_proba(X), before)
    assert clf.set_params(training__record_steps=False).fit(X, y).n_iter_ == 2


def test_known_layer_that_depends_on_values(device):
    X, y = digits()
    generator = nn.Sequential(nn.Linear(8, 64), nn.BatchNorm1d(64, momentum=None))
    networks = ModuleArchitecture(nn.Sequential(nn.Linear(64, 9), nn.Linear(9, 10)), generator)
    clf = SGANClassifier(networks, latent_dim=8, batch_size=20, device=device, random_state=0)
    clf.set_params(max_epochs=2)
    with pytest.warns(
        UserWarning,
        match=r"without recording, which takes longer .*_local_scalar_dense depends on values",
    ):
        clf.fit(X, y)
    assert clf.n_iter_ == 2


@pytest.mark.cuda
@needs_cuda
@pytest.mark.skipif(
    torch.__version__ < "2.12", reason="older allocators stay in the midst of it (pytorch #180395)"
)
def test_failed_recording_does_not_affect_the_gpu(monkeypatch):
    # So that the error comes from the GPU itself.
    monkeypatch.setattr(
        recorded_steps_module._Watch,
        "__torch_dispatch__",
        lambda self, f, t, a, k: f(*a, **(k or {})),
    )
    X, y = digits()
    clf = small("cuda", max_epochs=1)
    stream = torch.cuda.current_stream()
    with pytest.raises(RuntimeError, match="cannot be recorded"):
        clone(clf).set_params(objective=Curious(), training__record_steps=True).fit(X, y)
    assert torch.cuda.current_stream() == stream
    torch.cuda.empty_cache()
    assert clf.set_params(training__record_steps=True).fit(X, y).n_iter_ == 1


@pytest.mark.cuda
@needs_cuda
def test_other_gpu_programs_are_not_affected():
    X, y = digits()
    before = torch.cuda.get_rng_state(), torch.get_rng_state()
    SGANClassifier(
        MLP, max_epochs=1, batch_size=20, device="cuda", training=Training(record_steps=True)
    ).fit(X, y)
    assert torch.equal(torch.cuda.get_rng_state(), before[0])
    assert torch.equal(torch.get_rng_state(), before[1])


def test_large_steps_are_not_recorded_on_a_cpu(monkeypatch):
    X, y = digits()
    recorded = []
    record = recorded_steps_module.record_operations
    monkeypatch.setattr(
        recorded_steps_module, "record_operations", lambda f: recorded.append(f) or record(f)
    )
    clf = small("cpu", max_epochs=2).set_params(training__record_steps=True)
    replayed = clone(clf).fit(X, y).predict_proba(X)
    assert len(recorded) == 1
    monkeypatch.setattr(recorded_steps_module, "MAX_BYTES", 1_000)
    np.testing.assert_array_equal(clf.fit(X, y).predict_proba(X), replayed)
    assert len(recorded) == 1


def test_steps_are_not_recorded_under_anomaly_detection(monkeypatch):
    monkeypatch.setattr(recorded_steps_module, "record_operations", None)
    X, y = digits()
    with torch.autograd.set_detect_anomaly(True):
        clf = small("cpu", max_epochs=2).set_params(training__record_steps=True).fit(X, y)
    assert clf.n_iter_ == 2


def networks(*layers, generator=None):
    """Return networks for rows of four columns and three classes."""
    discriminator = nn.Sequential(*layers, nn.Flatten(), nn.LazyLinear(3))
    discriminator(torch.zeros(2, 4))
    return ModuleArchitecture(discriminator, generator or nn.Linear(8, 4))


class Sequence(nn.Module):
    """Apply a recurrent layer to the columns as a sequence."""

    def __init__(self, layer):
        super().__init__()
        self.layer = layer

    def forward(self, x):
        return self.layer(x.unsqueeze(2))[0]


LAYERS = {
    "a single weight": lambda: [],
    "RReLU": lambda: [nn.Linear(4, 8), nn.RReLU()],
    "Dropout": lambda: [nn.Dropout(0.5)],
    "AlphaDropout": lambda: [nn.AlphaDropout(0.5)],
    "BatchNorm1d": lambda: [nn.Linear(4, 8), nn.BatchNorm1d(8)],
    "LayerNorm": lambda: [nn.LayerNorm(4), nn.GELU()],
    "GRU": lambda: [Sequence(nn.GRU(1, 5, batch_first=True))],
    "LSTM": lambda: [Sequence(nn.LSTM(1, 5, batch_first=True))],
    "Conv1d": lambda: [nn.Unflatten(1, (1, 4)), nn.Conv1d(1, 3, 3), nn.SELU()],
    "MultiheadAttention": lambda: [
        nn.Unflatten(1, (2, 2)),
        nn.TransformerEncoderLayer(2, 1, 4, batch_first=True),
    ],
    "PReLU": lambda: [nn.Linear(4, 8), nn.PReLU()],
}


@pytest.mark.parametrize("name", LAYERS)
def test_recorded_layers_of_pytorch_give_the_same_model(name):
    X, y = load_iris(return_X_y=True)
    few = np.where(np.arange(len(y)) % 5 == 0, y, -1)
    single = nn.Linear(8, 4, bias=False) if name == "a single weight" else None
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        architecture = networks(*LAYERS[name](), generator=single)
    clf = SGANClassifier(
        architecture, latent_dim=8, max_epochs=9, device="cpu", training=Training(), random_state=0
    )
    models = [
        clone(clf).set_params(training__record_steps=recorded).fit(X, few)
        for recorded in (False, True)
    ]
    plain, recorded = (model.predict_proba(X) for model in models)
    np.testing.assert_array_equal(recorded, plain)


@torch.library.custom_op("sgan_sklearn_tests::scale", mutates_args=())
def scale(x: torch.Tensor) -> torch.Tensor:
    return x * 0.5


scale.register_autograd(lambda ctx, gradient: gradient * 0.5)


class Scaled(nn.Module):
    def forward(self, x):
        return scale(x)


def test_recorded_custom_operations_give_the_same_model():
    X, y = load_iris(return_X_y=True)
    few = np.where(np.arange(len(y)) % 5 == 0, y, -1)
    architecture = networks(Scaled())
    clf = SGANClassifier(architecture, latent_dim=8, max_epochs=9, training=Training())
    plain, recorded = (
        clone(clf).set_params(training__record_steps=flag, random_state=0).fit(X, few)
        for flag in (False, True)
    )
    np.testing.assert_array_equal(recorded.predict_proba(X), plain.predict_proba(X))


def test_failed_recording_on_a_cpu_makes_the_step_once(monkeypatch):
    def failing(call):
        raise NotImplementedError("no such operation")

    monkeypatch.setattr(recorded_operations_module, "_operation", failing)
    X, y = digits()
    clf = small("cpu", max_epochs=2)
    plain = clone(clf).set_params(training__record_steps=False).fit(X, y)
    with pytest.warns(UserWarning, match=r"which takes longer \(no such operation\)"):
        without = clone(clf).fit(X, y)
    np.testing.assert_array_equal(without.predict_proba(X), plain.predict_proba(X))
    with pytest.raises(RuntimeError, match=r"no such operation.*set record_steps=False"):
        clf.set_params(training__record_steps=True).fit(X, y)


class Copies(Callback):
    """Copy the networks while gradients are computed."""

    n_equal_ = 0

    def on_grad_computed(self, net, **kwargs):
        copied = pickle.loads(pickle.dumps(net.module_)).state_dict()
        before = net.module_.state_dict()
        self.n_equal_ += all(torch.equal(copied[name], before[name]) for name in before)


def test_networks_can_be_copied_during_a_step():
    X, y = digits()
    classifier = small("cpu", max_epochs=1, callbacks=[Copies()]).fit(X, y)
    assert dict(classifier.net_.callbacks_)["Copies"].n_equal_ > 0
