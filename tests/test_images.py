"""Images as X: forms, scaling, sampled images, and errors."""

import copy
import pickle
import tracemalloc

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from sgan_sklearn import SGANClassifier, Training
from sgan_sklearn._data.images import as_picture, flatten_images, tiled
from sgan_sklearn._data.space import ImageSpace
from sgan_sklearn._training.net import SGANNet
from sgan_sklearn._training.step import TrainingStep
from sgan_sklearn.architectures import ConvArchitecture, MLPArchitecture
from sgan_sklearn.augmentations import AffineAugmentation, Augmentation

METHODS = ["predict", "predict_proba", "decision_function", "score_samples"]
SMALL = ConvArchitecture(width=(4, 4, 6), generator_width=4)


@pytest.fixture
def make_images(rng):
    """Return a function that makes 30 images of three classes, every third without a label."""

    def make(*shape, dtype="uint8"):
        y = np.arange(30) % 3
        X = rng.integers(0, 60, (30, *shape)) + 90 * y.reshape(-1, *[1] * len(shape))
        y[2::3] = [-1, 2] * 5
        return (X / 255 if np.dtype(dtype).kind == "f" else X).astype(dtype), y

    return make


@pytest.fixture
def make_small():
    """Return a function that makes a small classifier of images, which trains quickly."""

    def make(**params):
        small = {
            "architecture": SMALL,
            "max_epochs": 1,
            "batch_size": 10,
            "latent_dim": 5,
            "device": "cpu",
            "random_state": 0,
        }
        return SGANClassifier(**small, training=Training()).set_params(**params)

    return make


def outputs_of(classifier, X):
    return [getattr(classifier, method)(X) for method in METHODS]


def is_same(outputs, others):
    return all(np.array_equal(a, b) for a, b in zip(outputs, others, strict=True))


# --- forms of X -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "shape",
    [(8, 8), (8, 8, 1), (8, 8, 3), (9, 13), (9, 13, 3), (28, 28), (64, 64), (64, 64, 3)],
    ids=str,
)
@pytest.mark.parametrize("dtype", ["uint8", "float32", "float64"])
def test_sampled_images_have_the_form_of_the_given_ones(shape, dtype, make_images, make_small):
    X, y = make_images(*shape, dtype=dtype)
    classifier = make_small().fit(X, y)
    assert classifier.n_features_in_ == X[0].size
    assert classifier.image_shape_ == (*shape, 1)[:3]
    sampled = classifier.sample(4)
    assert sampled.shape == (4, *shape)
    assert sampled.dtype == X.dtype
    low, high = (0, 255) if dtype == "uint8" else (X.min(), X.max())
    assert sampled.min() >= low
    assert sampled.max() <= high
    assert classifier.predict_proba(X).shape == (30, 3)
    assert classifier.transduction_.shape == (30,)
    assert 0 <= classifier.score(X, y) <= 1


@pytest.mark.parametrize("shape", [(8, 8), (9, 13, 3)], ids=str)
def test_flat_rows_with_image_shape_make_the_same_model(shape, make_images, make_small):
    X, y = make_images(*shape)
    rows = X.reshape(len(X), -1)
    of_images = make_small().fit(X, y)
    of_rows = make_small(image_shape=shape).fit(rows, y)
    of_both = make_small(image_shape=shape).fit(X, y)
    expected = outputs_of(of_images, X)
    for classifier in (of_images, of_rows, of_both):
        assert classifier.image_shape_ == of_images.image_shape_
        assert is_same(outputs_of(classifier, X), expected)
        assert is_same(outputs_of(classifier, rows), expected)
    sampled = of_images.sample(3, random_state=0)
    assert np.array_equal(of_both.sample(3, random_state=0), sampled)
    assert np.array_equal(of_rows.sample(3, random_state=0), sampled.reshape(3, -1))


@pytest.mark.parametrize(
    "convert",
    [
        pytest.param(list, id="list of arrays"),
        pytest.param(lambda X: X.tolist(), id="lists"),
        pytest.param(lambda X: np.array([*X, None], dtype=object)[:-1], id="objects"),
        pytest.param(lambda X: X[..., None], id="one channel"),
        pytest.param(np.asfortranarray, id="Fortran order"),
        pytest.param(lambda X: np.repeat(X, 2, axis=0)[::2], id="strided"),
        pytest.param(torch.from_numpy, id="tensor"),
        pytest.param(lambda X: X.reshape(len(X), -1), id="flat"),
        pytest.param(lambda X: pd.DataFrame(X.reshape(len(X), -1)), id="frame"),
    ],
)
def test_forms_of_the_same_images(convert, make_images, make_small):
    X, y = make_images(8, 8)
    classifier = make_small().fit(X, y)
    for outputs, expected in zip(
        outputs_of(classifier, convert(X)), outputs_of(classifier, X), strict=True
    ):
        np.testing.assert_allclose(outputs, expected, rtol=1e-4, atol=1e-5)  # scaled as int64
    again = make_small(image_shape=(8, 8), scaling="none").fit(convert(X), y)
    expected = make_small(scaling="none").fit(X, y)
    assert is_same(outputs_of(again, X), outputs_of(expected, X))


def test_read_only_images(make_images, make_small):
    X, y = make_images(8, 8, 3, dtype="float32")
    X.setflags(write=False)
    before = X.copy()
    assert make_small().fit(X, y).predict(X).shape == (30,)
    assert np.array_equal(X, before)


def test_networks_receive_channels_first(make_images):
    X, _ = make_images(9, 13, 3)
    rows, shape = flatten_images(X)
    space = ImageSpace("none", None, (9, 13, 3), shape)
    planes = space.arrange(rows)
    assert planes.shape == (30, 3, 9, 13)
    assert np.shares_memory(planes, X)
    for channel in range(3):
        assert np.array_equal(planes[:, channel], X[..., channel])
    assert np.array_equal(space.flatten(planes), rows)
    space.fit(rows, np.zeros(30, dtype=int), np.random.RandomState(0))
    assert space.input_shape == (3, 9, 13)
    assert np.array_equal(space.to_original_form([planes], 0), X)


def test_pipeline_and_grid_of_flat_rows(make_images, make_small):
    X, y = make_images(8, 8, dtype="float32")
    rows = X.reshape(len(X), -1)
    pipeline = make_pipeline(StandardScaler(), make_small(image_shape=(8, 8)))
    assert pipeline.fit(rows, y).predict(rows).shape == (30,)
    images = make_pipeline(FunctionTransformer(), make_small()).fit(X, y)
    assert images.predict(X).shape == (30,)
    grid = {
        "architecture": [SMALL, MLPArchitecture((8,), (8,))],
        "augment": [AffineAugmentation(), None],
    }
    search = GridSearchCV(make_small(image_shape=(8, 8)), grid, cv=2, error_score="raise")
    assert np.isfinite(search.fit(rows, y).best_score_)
    inside = {"augment__rotation": [0, 20], "architecture__dropout": [0.0, 0.3]}
    search = GridSearchCV(make_small(augment=AffineAugmentation()), inside, cv=2)
    assert np.isfinite(search.fit(X, y).best_score_)


def test_perceptrons_receive_rows_of_pixels(make_images, make_small):
    X, y = make_images(8, 8, 3)
    rows = X.reshape(len(X), -1)
    architecture = MLPArchitecture((8,), (8,))
    for given in (X, rows):
        classifier = make_small(architecture=architecture, image_shape=(8, 8, 3)).fit(given, y)
        assert classifier.sample(2).shape == (2, *given.shape[1:])
        assert classifier.net_.augment is None
        assert is_same(outputs_of(classifier, X), outputs_of(classifier, rows))
    # Images in perceptrons keep the scaling of tables.
    table = make_small(architecture=architecture).fit(rows, y)
    assert [kind for kind, *_ in table.scaler_.scaler_.groups_] == [
        kind for kind, *_ in classifier.scaler_.groups_
    ]
    assert table.image_shape_ is None
    changed = make_small(architecture=architecture, image_shape=(8, 8, 3), augment="affine")
    assert changed.fit(rows, y).net_.augment is not None


@pytest.mark.parametrize(
    ("params", "shape", "architecture"),
    [
        ({}, (8, 8), "_ConvDiscriminator"),
        ({}, (8, 8, 3), "_ConvDiscriminator"),
        ({"image_shape": (8, 8)}, (64,), "_ConvDiscriminator"),
        ({"image_shape": [8, 8, 1]}, (64,), "_ConvDiscriminator"),
        ({}, (64,), "_MLPDiscriminator"),
    ],
)
def test_automatic_choices(params, shape, architecture, make_images, make_small):
    X, y = make_images(*shape)
    params = {"training__averaging_decay": "auto", **params}
    classifier = make_small(architecture="auto", **params).fit(X, y)
    assert type(classifier.discriminator_).__name__ == architecture
    is_image = architecture == "_ConvDiscriminator"
    assert (classifier.scaler_.scaling == "image") is is_image
    assert isinstance(classifier.net_.augment, AffineAugmentation) is is_image
    assert classifier.net_.adversarial_every == (4 if is_image else 1)
    assert classifier.net_.averaging_decay == (0.99 if is_image else 0.999)


def test_every_step_is_adversarial_without_a_regularizer(make_images, make_small):
    X, y = make_images(8, 8)
    assert make_small(regularizer=None).fit(X, y).net_.adversarial_every == 1
    assert make_small(training__adversarial_every=2).fit(X, y).net_.adversarial_every == 2


def test_scaling_may_be_chosen_for_images(make_images, make_small):
    X, y = make_images(8, 8)
    for scaling in ("shared", "standard", "none", StandardScaler()):
        classifier = make_small(scaling=scaling).fit(X, y)
        assert classifier.scaler_.scaling is scaling
        assert classifier.sample(2).shape == (2, 8, 8)


def test_image_scaling_of_a_table(make_images, make_small):
    X, y = make_images(5)
    classifier = make_small(architecture="auto", scaling="image").fit(X, y)
    assert classifier.sample(2).shape == (2, 5)


@pytest.mark.parametrize("value", [0, 7, 255])
def test_images_of_one_color(value, make_images, make_small):
    X, y = make_images(8, 8)
    X[:] = value
    classifier = make_small().fit(X, y)
    assert np.isfinite(classifier.predict_proba(X)).all()
    assert np.array_equal(classifier.sample(2), X[:2])


def test_prediction_does_not_depend_on_other_images(make_images, make_small, monkeypatch):
    X, y = make_images(9, 13)
    classifier = make_small().fit(X, y)
    together, sampled = classifier.decision_function(X), classifier.sample(9, random_state=0)
    monkeypatch.setattr("sgan_sklearn._runtime.loops.CHUNK_PIXELS", 4 * 9 * 13)
    np.testing.assert_allclose(classifier.decision_function(X), together, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(classifier.sample(9, random_state=0).astype(int), sampled, atol=1)


# --- reproducible, copied, continued ----------------------------------------------------------


def test_same_seed_gives_the_same_model_to_the_bit(make_images, make_small):
    X, y = make_images(8, 8)
    first, again, other = (make_small(random_state=seed).fit(X, y) for seed in (0, 0, 1))
    assert is_same(outputs_of(first, X), outputs_of(again, X))
    assert np.array_equal(first.sample(3, random_state=0), again.sample(3, random_state=0))
    assert not is_same(outputs_of(first, X), outputs_of(other, X))


def test_copies(make_images, make_small):
    X, y = make_images(8, 8, 3)
    classifier = make_small().fit(X, y)
    for copied in (copy.deepcopy(classifier), pickle.loads(pickle.dumps(classifier))):
        assert is_same(outputs_of(copied, X), outputs_of(classifier, X))
        expected = classifier.sample(3, random_state=0)
        assert np.array_equal(copied.sample(3, random_state=0), expected)
    fresh = clone(classifier)
    assert not hasattr(fresh, "_space")
    assert is_same(outputs_of(fresh.fit(X, y), X), outputs_of(classifier, X))


def test_warm_start(make_images, make_small):
    X, y = make_images(8, 8)
    classifier = make_small(warm_start=True, augment=None).fit(X, y)
    assert classifier.net_.augment is None
    classifier.set_params(augment=AffineAugmentation(shift=0.3)).fit(X.reshape(len(X), -1), y)
    assert classifier.n_iter_ == 2
    assert classifier.net_.augment.shift == 0.3
    assert classifier.sample(1).shape == (1, 8, 8)
    other, y = make_images(9, 8)
    with pytest.raises(ValueError, match="images like those that SGANClassifier was fitted on"):
        classifier.fit(other, y)
    assert classifier.image_shape_ == (8, 8, 1)


def test_warm_start_on_flat_rows_continues_augmentation(make_images, make_small):
    X, y = make_images(8, 8)
    classifier = make_small(architecture="auto", warm_start=True).fit(X, y)
    classifier.fit(X.reshape(len(X), -1), y)
    assert isinstance(classifier.net_.augment, AffineAugmentation)
    # The networks remain those of the first fit, and so does the augmentation.
    classifier.set_params(architecture="mlp", image_shape=(8, 8)).fit(X, y)
    assert isinstance(classifier.net_.augment, AffineAugmentation)
    assert classifier.net_.adversarial_every == 4
    classifier.set_params(regularizer=None).fit(X, y)
    assert len(classifier.plan_.regularizers) == 1
    assert classifier.plan_.adversarial_every == 4


def test_learning_from_images(rng, make_small):
    # A bright bar, horizontal or vertical, anywhere: no single pixel determines the class.
    X = rng.normal(0, 0.1, (120, 8, 8)).astype(np.float32)
    truth = np.arange(120) % 2
    for image, stands, place in zip(X, truth, rng.integers(1, 7, 120), strict=True):
        if stands:
            image[:, place] += 1
        else:
            image[place] += 1
    y = np.where(np.arange(120) < 40, truth, -1)
    architecture = ConvArchitecture((8, 16, 16), generator_width=8, dropout=0.0)
    params = {"architecture": architecture, "max_epochs": 25, "batch_size": 20}
    classifier = make_small(**params, training__averaging_decay=0.9).fit(X, y)
    assert classifier.score(X[40:], truth[40:]) > 0.9


# --- augmentation -----------------------------------------------------------------------------


class Recording(Augmentation):
    """Negate all values, and record the inputs."""

    def __init__(self):
        self.batches = []

    def __call__(self, x):
        self.batches.append(x.clone())
        return -x


@pytest.mark.parametrize("adversarial_every", [1, 2])
def test_augmentation_applies_to_all_real_rows_only(make_images, make_small, adversarial_every):
    X, y = make_images(8, 8)
    training = Training(adversarial_every=adversarial_every)
    classifier = make_small(augment=Recording(), scaling="image", regularizer=None)
    classifier.set_params(training=training, max_epochs=2)
    seen = []
    discriminator_step = TrainingStep.discriminator_step

    def step(self, batch, *others):
        seen.append(batch)
        return discriminator_step(self, batch, *others)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TrainingStep, "discriminator_step", step)
        classifier.fit(X, y)
    recorded = iter(classifier.net_.augment.batches)
    assert len(seen) == classifier.n_steps_
    n_steps = classifier.n_steps_ // classifier.n_iter_
    for i, batch in enumerate(seen):
        assert torch.equal(batch.labeled, -next(recorded))
        assert len(batch.codes) == len(batch.labeled)
        if i % n_steps % adversarial_every == 0:  # otherwise only the labels are used
            assert torch.equal(torch.cat([batch.unlabeled, batch.real]), -next(recorded))
    assert not list(recorded)


def test_augmentation_can_be_disabled(make_images, make_small):
    X, y = make_images(8, 8)
    plain = make_small(augment=None).fit(X, y)
    assert plain.net_.augment is None
    assert not is_same(outputs_of(plain, X), outputs_of(make_small().fit(X, y), X))


@pytest.mark.parametrize("augment", ["affine", AffineAugmentation()], ids=["name", "instance"])
def test_augmentation_of_a_table_is_refused(augment, make_images, make_small, no_step):
    X, y = make_images(64)
    with pytest.raises(ValueError, match=r"'augment' parameter.*64 features.*image_shape="):
        make_small(architecture="mlp", augment=augment).fit(X, y)


def test_augmentation_is_checked(make_images, make_small, no_step):
    X, y = make_images(8, 8)
    for augment in ("rotate", AffineAugmentation, 3):
        with pytest.raises(ValueError, match="'augment' parameter of SGANClassifier"):
            make_small(augment=augment).fit(X, y)
    with pytest.raises(ValueError, match="'shift' parameter of AffineAugmentation"):
        make_small(augment=AffineAugmentation(shift=-1)).fit(X, y)


# --- invalid input ----------------------------------------------------------------------------


@pytest.fixture
def no_step(monkeypatch):
    """Fail if a training step is made."""
    monkeypatch.setattr(SGANNet, "train_step", lambda *args: pytest.fail("a step was taken"))


def ragged(X):
    return [image[: 8 + i % 2] for i, image in enumerate(X)]


BAD_IMAGES = {
    "two channels": ((8, 8, 2), {}, None, r"1 or 3 channels. Got 2 channels.*X\[\.\.\., :3\]"),
    "five channels": ((8, 8, 5), {}, None, r"1 or 3 channels. Got 5 channels"),
    "channels first": ((3, 32, 32), {}, None, r"channels first: pass np.moveaxis\(X, 1, -1\)"),
    "gray first": ((1, 28, 28), {}, None, r"channels first: pass np.moveaxis\(X, 1, -1\)"),
    "five dimensions": ((2, 8, 8, 3), {}, None, r"dim 5.*Got shape \(30, 2, 8, 8, 3\)"),
    "too small": ((7, 8), {}, None, "8 to 64 pixels per side.*Got images of 7 x 8.*Resize"),
    "too large": ((8, 65, 3), {}, None, "8 to 64 pixels per side.*Got images of 8 x 65.*Resize"),
    "list of sizes": ((9, 8), {}, ragged, r"one size.*\(8, 8\) and \(9, 8\). Resize or crop"),
    "objects of sizes": (
        (9, 8),
        {},
        lambda X: np.array(ragged(X), dtype=object),
        r"one size.*\(8, 8\) and \(9, 8\). Resize or crop",
    ),
    "infinity": (
        (8, 8),
        {},
        lambda X: np.where(X > 200, np.inf, X),
        "contains infinity .* Images must hold",
    ),
    "NaN": ((8, 8), {}, lambda X: np.where(X > 200, np.nan, X), "contains NaN. Images must hold"),
    "text": ((8, 8), {}, lambda X: np.full(X.shape, "a"), "dtype='numeric'|convert|to float"),
    "no images": ((8, 8), {}, lambda X: X[:0], "0 sample"),
    "flat rows": ((64,), {}, None, r"'architecture' parameter.*64 features.*image_shape=\(8, 8\)"),
    "images for mlp": (
        (8, 8),
        {"architecture": "mlp"},
        None,
        r"dim 3.*'architecture' parameter.*Reshape X to 2-D with X.reshape\(len\(X\), -1\)",
    ),
    "product": (
        (64,),
        {"image_shape": (8, 9)},
        None,
        r"'image_shape' parameter.*Got \(8, 9\), that is 8 \* 9 = 72, for 64 features",
    ),
    "other shape": (
        (8, 9),
        {"image_shape": (9, 8)},
        None,
        "'image_shape' parameter.*9 x 8 pixels and 1 channel, but X holds images of 8 x 9",
    ),
}


@pytest.mark.parametrize(
    ("shape", "params", "change", "message"),
    [pytest.param(*case, id=name) for name, case in BAD_IMAGES.items()],
)
def test_bad_images_are_refused_before_training(
    shape, params, change, message, make_images, make_small, no_step
):
    X, y = make_images(*shape)
    X = X if change is None else change(X)
    classifier = make_small(**params)
    with pytest.raises(ValueError, match=f"(?s){message}"):
        classifier.fit(X, y[: len(X)] if len(X) else y)
    assert not hasattr(classifier, "n_features_in_")
    assert not hasattr(classifier, "_space")


@pytest.mark.parametrize(
    "value",
    [(8,), (8, 8, 1, 1), (8, 8, 2), (8, 8.0), (0, 8), (8, "8"), (), "8x8", 8, (-8, -8)],
    ids=repr,
)
def test_bad_image_shape(value, make_images, make_small, no_step):
    X, y = make_images(64)
    with pytest.raises(ValueError, match="'image_shape' parameter of SGANClassifier must be"):
        make_small(image_shape=value).fit(X, y)


@pytest.mark.parametrize("method", [*METHODS, "score"])
@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((9, 8), "fitted on, 8 x 8 pixels and 1 channel. Got images of 9 x 8 .* resize"),
        ((8, 8, 3), "Got images of 8 x 8 pixels and 3 channels"),
        ((1, 8, 8), r"channels first: pass np.moveaxis\(X, 1, -1\)"),
        ((63,), "X has 63 features, but SGANClassifier is expecting 64"),
    ],
    ids=["size", "channels", "channels first", "flat"],
)
def test_images_that_differ_from_those_of_fit_are_refused(
    method, shape, message, make_images, make_small
):
    X, y = make_images(8, 8)
    classifier = make_small().fit(X, y)
    other, y = make_images(*shape)
    with pytest.raises(ValueError, match=message):
        getattr(classifier, method)(*([other, y] if method == "score" else [other]))


def test_images_after_a_table(make_images, make_small):
    X, y = make_images(64)
    classifier = make_small(architecture="mlp").fit(X, y)
    with pytest.raises(ValueError, match=r"fitted on flat rows of 64 features. Reshape X"):
        classifier.predict(X.reshape(-1, 8, 8))


def test_failed_fit_keeps_the_fitted_image_shape(make_images, make_small):
    X, y = make_images(8, 8)
    classifier = make_small().fit(X, y)
    before = outputs_of(classifier, X)
    with pytest.raises(ValueError, match="channels first"):
        classifier.fit(*make_images(3, 32, 32))
    assert classifier.image_shape_ == (8, 8, 1)
    assert is_same(outputs_of(classifier, X), before)


def test_flattening_copies_nothing(make_images):
    X = np.zeros((1000, 28, 28), dtype=np.uint8)
    tracemalloc.start()
    try:
        rows, shape = flatten_images(X)
        assert tracemalloc.get_traced_memory()[1] < 1e5
    finally:
        tracemalloc.stop()
    assert np.shares_memory(rows, X)
    assert shape == (28, 28)


# --- images as pictures -----------------------------------------------------------------------


def test_images_as_pictures_span_a_gray_scale():
    np.testing.assert_allclose(as_picture(np.array([[[-1, 0, 3, 9]]]), -1, 3), [[[0, 0.25, 1, 1]]])
    np.testing.assert_array_equal(as_picture(np.full((2, 3, 3, 1), 7), 7, 7), np.zeros((2, 3, 3)))
    assert as_picture(np.zeros((2, 3, 3, 3), dtype=np.uint8), 0, 255).shape == (2, 3, 3, 3)
    for dtype in (np.int8, np.int16, np.int64):
        ends = np.iinfo(dtype)
        images = np.array([[[ends.min, 0, ends.max]]], dtype=dtype)
        gray = as_picture(images, images.min(), images.max())
        np.testing.assert_allclose(gray, [[[0, 0.5, 1]]], atol=0.01)


@pytest.mark.parametrize("channels", [(), (3,)])
def test_images_are_tiled_row_by_row(channels):
    images = np.arange(3.0).reshape(3, *[1] * (2 + len(channels))) / 3
    picture = tiled(np.broadcast_to(images, (3, 2, 4, *channels)), 2)
    assert picture.shape == (8, 12, *channels)
    for place, level in [((1, 1), 0), ((1, 7), 1 / 3), ((5, 1), 2 / 3)]:
        tile = picture[place[0] : place[0] + 2, place[1] : place[1] + 4]
        np.testing.assert_array_equal(tile, level)
        tile[...] = 1
    assert (picture == 1).all()


def test_tiling_of_no_images():
    assert tiled(np.zeros((0, 8, 8)), 3).shape == (0, 30)
