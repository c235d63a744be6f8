"""Photographs: residual networks with batch normalization, Muon, and the defaults for them."""

import copy
import pickle
from functools import partial
from typing import ClassVar

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from skorch.callbacks import Callback
from torch import nn
from torch.nn import functional as F

from sgan_sklearn import SGANClassifier, Training, load, save
from sgan_sklearn._data.batches import Batch
from sgan_sklearn._data.images import has_mirror_images
from sgan_sklearn._training.step import TrainingStep
from sgan_sklearn.architectures import (
    ConvArchitecture,
    ModuleArchitecture,
    ResNetArchitecture,
)
from sgan_sklearn.architectures._layers import BatchNorm2d, frozen_statistics
from sgan_sklearn.architectures._muon import Muon, orthogonalized
from sgan_sklearn.augmentations import (
    AffineAugmentation,
    Augmentation,
    PhotoAugmentation,
    TransformAugmentation,
)
from sgan_sklearn.objectives import OBJECTIVES, FeatureMatching
from sgan_sklearn.regularizers import PseudoLabel, UnlabeledRows

TINY = ResNetArchitecture(width=(8, 8), generator_width=4)


@pytest.fixture
def photographs(rng):
    """Return 40 images of two classes, half of them without a label."""
    y = np.arange(40) % 2
    X = rng.integers(0, 150, (40, 16, 16, 3)) + 100 * y[:, None, None, None]
    return X.astype(np.uint8), np.where(np.arange(40) < 20, y, -1)


@pytest.fixture
def make_tiny():
    def make(**params):
        tiny = {
            "architecture": TINY,
            "max_epochs": 2,
            "batch_size": 10,
            "latent_dim": 5,
            "device": "cpu",
            "random_state": 0,
        }
        return SGANClassifier(**tiny, training=Training()).set_params(**params)

    return make


# --- what "auto" stands for ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shape", "architecture", "augmentation"),
    [
        ((24, 24, 3), ResNetArchitecture, PhotoAugmentation),
        ((24, 30, 3), ResNetArchitecture, PhotoAugmentation),
        ((23, 30, 3), ConvArchitecture, AffineAugmentation),
        ((28, 28), ResNetArchitecture, AffineAugmentation),
        ((24, 28, 1), ResNetArchitecture, AffineAugmentation),
        ((24, 23), ConvArchitecture, AffineAugmentation),
    ],
)
def test_large_images_have_residual_networks(rng, shape, architecture, augmentation):
    X = rng.integers(0, 256, (6, *shape)).astype(np.uint8)
    y, params = [0, 1, 0, 1, -1, -1], {"max_epochs": 1, "batch_size": 6, "device": "cpu"}
    as_images = SGANClassifier(**params).fit(X, y)
    flat = SGANClassifier(**params, image_shape=shape).fit(X.reshape(6, -1), y)
    for classifier in (as_images, flat):
        assert type(classifier.plan_.architecture) is architecture
        assert type(classifier.plan_.augmentation) is augmentation


def test_defaults_for_photographs(make_tiny, photographs):
    X, y = photographs
    plan = make_tiny(batch_size="auto").fit(X, y).plan_
    assert (plan.batch_size, plan.labeled_batch_size) == (100, 50)
    assert plan.adversarial_every == 8
    assert plan.lr_schedule(0.1) == 1
    assert plan.lr_schedule(0.05) == pytest.approx(0.55)
    assert plan.lr_schedule(1.0) == 0
    assert plan.augmentation.flip


@pytest.fixture
def colored_digits(rng):
    """Return digits of random colors on random colors, 16 x 16, half of them without a label."""
    digits = load_digits()
    pixels = digits.images[:800].repeat(2, axis=1).repeat(2, axis=2)[..., None] / 16
    colors = rng.uniform(0, 255, (2, 800, 1, 1, 3))
    X = (pixels * colors[0] + (1 - pixels) * colors[1]).astype(np.uint8)
    return X, np.where(np.arange(800) < 400, digits.target[:800], -1)


def test_digits_are_not_flipped(make_tiny, colored_digits, tmp_path):
    X, y = colored_digits
    make_tiny = partial(make_tiny, max_epochs=1, batch_size=200, regularizer=None)
    classifier = make_tiny().fit(X, y)
    assert not classifier.plan_.augmentation.flip
    save(classifier, tmp_path / "digits.sgan")
    assert not load(tmp_path / "digits.sgan").plan_.augmentation.flip
    flat = make_tiny(image_shape=(16, 16, 3)).fit(X.reshape(len(X), -1), y)
    assert not flat.plan_.augmentation.flip
    both = np.concatenate([X, X[:, :, ::-1]])
    assert make_tiny().fit(both, np.tile(y, 2)).plan_.augmentation.flip
    given = make_tiny(augment=PhotoAugmentation()).fit(X, y)
    assert given.plan_.augmentation.flip
    assert PhotoAugmentation().flip


@pytest.mark.parametrize("image", [np.zeros((8, 8, 3)), np.arange(192.0).reshape(8, 8, 3)])
@pytest.mark.parametrize("n", [1, 2, 300])
def test_mirror_images_of_equal_images(image, n):
    is_symmetric = not image.any()
    assert has_mirror_images(np.repeat(image[None], n, axis=0)) == (is_symmetric or n < 300)


@pytest.mark.parametrize("side", [1, 2, 9, 33, 300])
def test_mirror_images_of_any_size(rng, side):
    """Brighter on the right."""
    X = rng.normal(size=(500, side, 8, 3)) + 0.2 * np.arange(8)[:, None]
    assert not has_mirror_images(X)
    assert not has_mirror_images(1e30 * X.astype(np.float32))
    assert has_mirror_images(X.swapaxes(1, 2)[:, 1:])


def test_defaults_for_gray_images(make_tiny, photographs):
    X, y = photographs
    plan = make_tiny().fit(X[..., 0], y).plan_
    assert type(plan.augmentation) is AffineAugmentation
    assert (plan.augmentation.cutout, plan.augmentation.interpolated) == (0.3, 0.5)
    assert (plan.batch_size, plan.labeled_batch_size) == (10, 5)
    assert plan.adversarial_every == 8
    assert plan.lr_schedule(0.1) == 1
    assert plan.lr_schedule(1.0) == 0
    plan = make_tiny(batch_size="auto").fit(X[..., 0], y).plan_
    assert (plan.batch_size, plan.labeled_batch_size) == (100, 50)


def test_thresholds_are_adaptive_from_ten_labels_per_class_on(make_tiny, photographs):
    X, y = photographs
    n_classes = len(np.unique(y[y != -1]))
    balanced = {"class_weight": "balanced"}  # so that the shares of the classes are not aligned
    for n_labels, threshold in ((10 * n_classes - 1, 0.95), (10 * n_classes, "adaptive")):
        labels = np.full(len(X), -1)
        labels[:n_labels] = np.arange(n_labels) % n_classes
        for images in (X, X[..., 0]):
            (pseudo_label,) = make_tiny(**balanced).fit(images, labels).plan_.regularizers
            assert pseudo_label.threshold == threshold
            assert (pseudo_label.start, pseudo_label.ramp_up) == (300, 300)


@pytest.mark.parametrize("channels", [slice(None), 0], ids=["color", "gray"])
def test_labels_spread_among_images(make_tiny, photographs, channels):
    X, y = photographs[0][..., channels], photographs[1]
    spread_labels, pseudo_label = make_tiny().fit(X, y).plan_.regularizers
    assert repr(spread_labels) == "SpreadLabels(end=900)"
    assert (pseudo_label.threshold, pseudo_label.start) == ("adaptive", 600)
    parts = make_tiny().partial_fit(X, y, classes=[0, 1])
    assert [regularizer.name for regularizer in parts.plan_.regularizers] == ["pseudo_label"]


def test_the_generator_repeats_pixels():
    bounds = np.stack([-np.ones((3, 16, 16)), np.ones((3, 16, 16))]).astype(np.float32)
    layers = list(TINY.build_generator(5, bounds).modules())
    assert any(isinstance(layer, nn.Upsample) for layer in layers)
    assert not any(isinstance(layer, nn.ConvTranspose2d) for layer in layers)


def test_parts_without_labels_are_not_augmented(make_tiny, photographs):
    class Brightest(Augmentation):
        def __call__(self, x):
            return x / x.amax()  # fails without images

    X, y = photographs
    classifier = make_tiny(augment=Brightest()).partial_fit(X, y, classes=[0, 1])
    classifier.partial_fit(X[20:], y[20:])
    assert classifier.n_steps_ == 6


def test_half_as_many_labeled_rows_in_a_step(make_tiny, photographs):
    sizes = set()

    class Sizes(Callback):
        def on_batch_begin(self, net, batch=None, **kwargs):
            sizes.add((len(batch.labeled), len(batch.unlabeled), len(batch.real)))

    make_tiny(callbacks=[Sizes()]).fit(*photographs)
    make_tiny(callbacks=[Sizes()], architecture=ConvArchitecture(width=8)).fit(*photographs)
    assert sizes == {(5, 10, 10), (10, 10, 10)}


def test_parts_have_constant_learning_rates(make_tiny, photographs):
    classifier = make_tiny().partial_fit(*photographs, classes=[0, 1])
    assert classifier.plan_.lr_schedule is None


# --- batch normalization ------------------------------------------------------------------------


def running_means(module):
    return [
        layer.running_mean.clone() for layer in module.modules() if hasattr(layer, "running_mean")
    ]


@pytest.mark.parametrize("name", [n for n, o in OBJECTIVES.items() if o.uses_generator])
def test_generated_rows_change_neither_statistics_nor_other_outputs(name):
    objective = OBJECTIVES[name]()
    discriminator = TINY.build_discriminator((3, 16, 16), objective.n_outputs(2))
    x, codes = torch.randn(20, 3, 16, 16), torch.arange(10) % 2
    batch = Batch(x[:10], codes, x[10:], x[10:], torch.arange(10))
    means, terms = [], []
    for scale in (1.0, 100.0):
        network = copy.deepcopy(discriminator)
        losses = objective.discriminator_loss(network, batch, scale * x.flip(0)[:10], 1.0)
        means.append(running_means(network))
        terms.append((losses["supervised"], losses["real"]))
    assert all(map(torch.equal, *means))
    assert torch.equal(*[torch.stack(pair) for pair in terms])
    assert not all(map(torch.equal, means[0], running_means(discriminator)))


def test_statistics_are_frozen_within_a_block_only():
    layer = BatchNorm2d(3, momentum=0.25)
    values = torch.randn(4, 3, 2, 2)
    with frozen_statistics(layer):
        layer(values)
    assert torch.equal(layer.running_mean, torch.zeros(3))
    assert layer.momentum == 0.25
    with pytest.raises(ValueError, match="4D"), frozen_statistics(layer):
        layer(values[0])
    layer(values)
    assert not torch.equal(layer.running_mean, torch.zeros(3))


def test_generator_steps_keep_the_statistics(make_tiny, photographs, monkeypatch):
    n_steps, original = [], TrainingStep.generator_step

    def watched(step, batch, generated):
        before = running_means(step._net.module_)
        terms = original(step, batch, generated)
        assert all(map(torch.equal, before, running_means(step._net.module_)))
        n_steps.append(1)
        return terms

    monkeypatch.setattr(TrainingStep, "generator_step", watched)
    training = Training(adversarial_every=1, record_steps=False)
    make_tiny(training=training).fit(*photographs)
    assert len(n_steps) == 8


def test_networks_of_the_user_may_have_batch_normalization(photographs):
    X, y = photographs
    discriminator = nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=2), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.Linear(392, 2)
    )
    generator = nn.Sequential(nn.Linear(64, 3 * 16 * 16), nn.Tanh(), nn.Unflatten(1, (3, 16, 16)))
    architecture = ModuleArchitecture(discriminator, generator)
    assert architecture.build_discriminator((3, 16, 16), 2).uses_batch_statistics
    clf = SGANClassifier(architecture, max_epochs=30, batch_size=10, random_state=0).fit(X, y)
    assert clf.score(X[:20], y[:20]) > 0.9


def test_batch_normalization_of_the_user_takes_one_row(photographs):
    X, y = photographs[0].reshape(40, -1) / 255.0, np.where(np.arange(40) == 3, 1, -1)
    discriminator = nn.Sequential(
        nn.Linear(768, 8), nn.BatchNorm1d(8, momentum=None), nn.ReLU(), nn.Linear(8, 2)
    )
    architecture = ModuleArchitecture(discriminator, nn.Linear(64, 768))
    for batch_size in (1, 10):
        training = Training(record_steps=False)  # without a momentum, PyTorch reads a tensor
        clf = SGANClassifier(
            architecture, regularizer=None, batch_size=batch_size, device="cpu", training=training
        )
        for labels in (y, np.full(40, -1)):
            clf.partial_fit(X, labels, classes=[0, 1])
            assert np.isfinite(clf.predict_proba(X)).all()


def test_frozen_statistics_count_no_batches():
    layer, values = nn.BatchNorm1d(3, momentum=None), torch.randn(4, 3)
    with frozen_statistics(layer):
        layer(values)
    layer(values)
    torch.testing.assert_close(layer.running_mean, values.mean(dim=0))


def test_no_labeled_rows_have_no_statistics(make_tiny, photographs):
    X, _ = photographs
    classifier = make_tiny().partial_fit(X, np.full(40, -1), classes=[0, 1])
    assert np.isfinite(classifier.predict_proba(X)).all()


# --- whitening ----------------------------------------------------------------------------------


def test_whitened_patches_are_uncorrelated(rng):
    noise = torch.from_numpy(rng.normal(size=(50, 3, 16, 16))).float()
    smooth = F.avg_pool2d(noise, 3, stride=1, padding=1) + 0.5 * noise[:, :1]
    network = TINY.build_discriminator((3, 16, 16), 2)
    network.initialize_from_data(smooth)
    y = network.whitening(smooth)
    n = y.shape[1] // 2
    assert torch.equal(y[:, n:], -y[:, :n])
    values = y[:, :n].movedim(1, -1).flatten(0, -2)
    torch.testing.assert_close(values.mean(dim=0), torch.zeros(n), atol=1e-3, rtol=0)
    covariance = values.T @ values / len(values)
    torch.testing.assert_close(covariance, torch.eye(n), atol=0.05, rtol=0)
    assert not any("whitening" in key for key, _ in network.named_parameters())


# --- Muon ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(8, 8), (8, 50), (50, 8)])
def test_steps_are_orthogonal(shape):
    direction = orthogonalized(torch.randn(shape))
    values = torch.linalg.svdvals(direction)
    assert direction.shape == shape
    assert values.max() < 1.4
    assert values.min() > 0.1
    assert values.median() > 0.6


def test_muon_is_adam_but_for_convolutions():
    network = nn.Sequential(nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(16, 2))
    other = copy.deepcopy(network)
    x = torch.randn(6, 2, 4, 4)
    optimizers = Muon(network.parameters(), lr=0.01), torch.optim.Adam(other.parameters(), lr=0.01)
    before = network[0].weight.detach().clone()
    for module, optimizer in zip((network, other), optimizers, strict=True):
        module(x).square().mean().backward()
        optimizer.step()
    assert torch.equal(network[3].weight, other[3].weight)
    assert not torch.equal(network[0].weight, other[0].weight)
    scaled = before * 2 / before.norm()
    step = (scaled - network[0].weight).flatten(1) / (20 * 0.01)
    assert torch.linalg.svdvals(step.detach()).max() < 1.4
    assert set(optimizers[0].state_dict()["state"]) == set(optimizers[1].state_dict()["state"])


# --- the whole ----------------------------------------------------------------------------------


def test_photographs_are_learned(make_tiny, photographs):
    X, y = photographs
    truth = np.arange(40) % 2
    classifier = make_tiny(max_epochs=25).fit(X, y)
    assert classifier.score(X, truth) > 0.9
    assert classifier.sample(3).shape == (3, 16, 16, 3)
    assert np.isfinite(classifier.score_samples(X)).all()


def test_same_seed_same_model(make_tiny, photographs):
    X, y = photographs
    first, again, other = (make_tiny(random_state=seed).fit(X, y) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first.predict_proba(X), again.predict_proba(X))
    np.testing.assert_array_equal(first.sample(3, random_state=0), again.sample(3, random_state=0))
    assert not np.array_equal(first.predict_proba(X), other.predict_proba(X))


def test_a_saved_training_continues_to_the_bit(make_tiny, photographs, tmp_path):
    X, y = photographs
    classifier = make_tiny(warm_start=True).fit(X, y)
    save(classifier, tmp_path / "model")
    copies = load(tmp_path / "model"), pickle.loads(pickle.dumps(classifier))
    for restored in copies:
        np.testing.assert_array_equal(restored.predict_proba(X), classifier.predict_proba(X))
    expected = classifier.fit(X, y).predict_proba(X)
    for restored in copies:
        np.testing.assert_array_equal(restored.fit(X, y).predict_proba(X), expected)


def test_the_schedule_ends_with_the_time(make_tiny, photographs, monkeypatch):
    seconds = iter(range(10**6))
    monkeypatch.setattr(
        "sgan_sklearn._training.run.time.perf_counter", lambda: float(next(seconds))
    )
    passed = []
    training = Training(max_time=40.0, lr_schedule=lambda share: passed.append(share) or 1.0)
    make_tiny(max_epochs=1000, training=training).fit(*photographs)
    assert passed == sorted(passed)
    assert passed[0] < 0.1
    assert 0.9 < passed[-1] <= 1


# --- weak and strong views ----------------------------------------------------------------------


class Shades(Augmentation):
    """Weak views are darker, strong ones are black."""

    def __call__(self, x):
        return x - 0.5

    def strong(self, x):
        return torch.zeros_like(x)


def test_pseudo_labels_are_learned_on_strong_views(make_tiny, photographs):
    network = nn.Sequential(nn.Flatten(), nn.Linear(3 * 16 * 16, 2))
    shades, x = Shades(), torch.randn(4, 3, 16, 16)
    views = {}
    for name, strong in {"strong": shades.strong, "weak": None}.items():
        rows = UnlabeledRows(x, network, network, lambda o: o, shades, torch.arange(4), strong)
        views[name] = PseudoLabel(threshold=0.0).loss(rows)
    codes = network(x).argmax(dim=1)
    torch.testing.assert_close(
        views["strong"], F.cross_entropy(network(torch.zeros_like(x)), codes)
    )
    torch.testing.assert_close(views["weak"], F.cross_entropy(network(x - 0.5), codes))


class Recorder(FeatureMatching):
    """Keep the rows of each step, of both kinds."""

    steps: ClassVar[dict[str, list[Batch]]] = {}

    def supervised_loss(self, discriminator, batch):
        self.steps.setdefault("supervised", []).append(batch)
        return super().supervised_loss(discriminator, batch)

    def discriminator_loss(self, discriminator, batch, generated, unsupervised_weight):
        self.steps.setdefault("adversarial", []).append(batch)
        return super().discriminator_loss(discriminator, batch, generated, unsupervised_weight)


def test_the_generator_imitates_realistic_images(make_tiny, photographs):
    class Marked(Shades):
        def __call__(self, x):
            return torch.full_like(x, 0.5)

        def realistic(self, x):
            return torch.full_like(x, 0.25)

    Recorder.steps.clear()
    make_tiny(augment=Marked(), objective=Recorder(), training__adversarial_every=2).fit(
        *photographs
    )
    assert {name: len(batches) for name, batches in Recorder.steps.items()} == {
        "supervised": 4,
        "adversarial": 4,
    }
    for batches in Recorder.steps.values():
        assert all((batch.labeled == 0.5).all() for batch in batches)
    for batch in Recorder.steps["adversarial"]:
        assert (batch.unlabeled == 0.25).all()
        assert (batch.real == 0.25).all()
    x = torch.rand(20, 3, 8, 8)
    assert torch.equal(PhotoAugmentation(shift=0, flip=False).realistic(x), x)
    assert set(PhotoAugmentation().realistic(x).unique().tolist()) <= set(x.unique().tolist())


def test_normalized_features_teach_the_generator_of_a_strong_discriminator(
    make_tiny, photographs, monkeypatch
):
    monkeypatch.setattr("sgan_sklearn._training.diagnostics.NO_LOSS", 0.5)
    params = {"max_epochs": 20, "generator_lr": 1e-9, "regularizer": None}
    classifier = make_tiny(**params).fit(*photographs)  # without a warning
    assert classifier.history_[-1]["real"] + classifier.history_[-1]["generated"] < 0.5
    with pytest.warns(ConvergenceWarning, match="too strong"):
        make_tiny(**params, objective="stacked").fit(*photographs)


def test_matched_features_tell_where_things_are():
    network = TINY.build_discriminator((3, 16, 16), 2).eval()
    x = torch.rand(6, 3, 16, 16)
    features, maxima = network.matched_features(x), network.forward_features(x)
    assert torch.equal(features[:, :8], maxima)
    whitened = F.gelu(network.whitening(x))  # 24 channels of 15 x 15 pixels
    assert features.shape == (6, 8 + 24 * 4 * 4 + 2 * (8 * 2 * 2 + 8))
    of_parts = features[:, 8 : 8 + 24 * 4 * 4].view(6, 24, 4, 4)
    torch.testing.assert_close(of_parts[:, :, 0, 3], whitened[:, :, :4, 12:].mean(dim=(2, 3)))
    with torch.no_grad():
        squares = network.stages[0](whitened).square().mean(dim=(2, 3))
    start = 8 + 24 * 4 * 4 + 8 * 2 * 2
    torch.testing.assert_close(features[:, start : start + 8], squares)


def test_transforms_of_single_images(make_tiny, photographs):
    sizes, x = [], torch.rand(5, 3, 4, 6) * 2 - 1

    def brighter(image):
        assert image.min() >= 0
        assert image.max() <= 1
        sizes.append(image.shape)
        return (image + torch.rand(1)) / 2

    augmentation = TransformAugmentation(brighter)
    changed = augmentation(x)
    assert sizes == [x.shape[1:]] * 5
    shift = changed - x / 2
    assert (shift.flatten(1).std(dim=1) < 1e-6).all()  # one random number for each image
    assert shift[:, 0, 0, 0].std() > 0.01
    both = TransformAugmentation(brighter, torch.ones_like)
    assert torch.equal(both.strong(x), torch.ones_like(x))
    torch.manual_seed(0)
    expected = augmentation(x)
    torch.manual_seed(0)
    assert torch.equal(augmentation.strong(x), expected)
    classifier = make_tiny(augment=augmentation, training__record_steps="auto").fit(*photographs)
    assert classifier.n_steps_ == 8
    assert augmentation(x[:0]).shape == (0, 3, 4, 6)


@pytest.mark.parametrize(
    ("transform", "got"),
    [
        (lambda image: image[:, :2], r"\(3, 2, 16\)"),
        (lambda image: image.numpy(), "ndarray"),
    ],
)
def test_a_transform_that_changes_the_shape_is_refused(make_tiny, photographs, transform, got):
    with pytest.raises(ValueError, match=f"'transform' parameter .* Got {got}. Crop or resize"):
        make_tiny(augment=TransformAugmentation(transform)).fit(*photographs)
    with pytest.raises(ValueError, match="'transform' parameter of TransformAugmentation"):
        make_tiny(augment=TransformAugmentation("flip")).fit(*photographs)


@pytest.mark.parametrize(
    "augment", ["photo", TransformAugmentation(torch.clone)], ids=["photo", "transform"]
)
@pytest.mark.parametrize("params", [{"scaling": "none"}, {"scaling": "standard"}], ids=str)
def test_photographs_need_pixels(make_tiny, photographs, augment, params):
    with pytest.raises(
        ValueError, match=r"'augment' parameter .* pixels from -1 to 1, .*scaling='\w+'\."
    ):
        make_tiny(augment=augment, **params).fit(*photographs)
    automatic = make_tiny(**params).fit(*photographs).plan_.augmentation
    assert type(automatic) is AffineAugmentation


def test_perceptrons_take_no_views_of_photographs(photographs):
    X, y = photographs
    classifier = SGANClassifier("mlp", image_shape=(16, 16, 3), augment="photo", device="cpu")
    with pytest.raises(ValueError, match=r"Got 'photo' .* in a multilayer perceptron\. Set"):
        classifier.fit(X.reshape(40, -1), y)


def test_a_continued_training_has_the_defaults_of_its_networks(make_tiny, photographs):
    X, y = photographs
    convolutions = ConvArchitecture(width=8, generator_width=4)
    classifier = make_tiny(architecture=convolutions, warm_start=True).fit(X, y)
    classifier.set_params(architecture=TINY).fit(X, y)
    assert type(classifier.plan_.augmentation) is AffineAugmentation
    assert classifier.plan_.lr_schedule is None
    assert classifier.plan_.adversarial_every == 4


def test_one_step_trains(make_tiny, photographs):
    X, y = photographs
    fits = [
        make_tiny(max_epochs=1, batch_size=40, discriminator_lr=lr).fit(X, y) for lr in (1e-9, 5e-3)
    ]
    assert fits[0].n_steps_ == 1
    assert not np.allclose(*[fitted.predict_proba(X) for fitted in fits], atol=1e-4)


def test_views_of_photographs(rng):
    x = torch.from_numpy(rng.uniform(-1, 1, size=(200, 3, 12, 10))).float()
    torch.manual_seed(0)
    still = PhotoAugmentation(shift=0, flip=False, cutout=0, color=0)
    assert torch.equal(still(x), x)
    torch.testing.assert_close(still.strong(x), x)
    flipped = PhotoAugmentation(shift=0, cutout=0)(x)
    is_flipped = (flipped == x.flip(3)).all(dim=(1, 2, 3))
    assert 70 < is_flipped.sum() < 130
    assert torch.equal(flipped[~is_flipped], x[~is_flipped])
    cut = PhotoAugmentation(shift=0, flip=False, cutout=0.5)(x)
    n_cut = (cut == 0).all(dim=1).sum(dim=(1, 2))
    assert n_cut.max() == 25
    assert n_cut.min() >= 1
    assert torch.equal(cut[cut != 0], x[cut != 0])
    moved = PhotoAugmentation(shift=0.1, flip=False, cutout=0)(x)
    shifts = {
        (i, j)
        for i in range(-1, 2)
        for j in range(-1, 2)
        if any(
            torch.equal(m[:, 1:-1, 1:-1], o[:, 1 + i : 11 + i, 1 + j : 9 + j])
            for m, o in zip(moved, x, strict=True)
        )
    }
    assert len(shifts) == 9
