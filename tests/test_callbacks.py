from types import SimpleNamespace

import matplotlib.image
import numpy as np
import pytest
import torch

from sgan_sklearn import HistoryDisplay, SGANClassifier, Training
from sgan_sklearn import callbacks as callbacks_module
from sgan_sklearn.callbacks import FrechetDistanceCallback, SampleGridCallback, frechet_distance


@pytest.fixture(scope="module")
def images():
    return np.random.RandomState(0).randint(0, 17, size=(30, 8, 8))


@pytest.fixture(scope="module")
def labels():
    return np.arange(30) % 3 - 1


def fitted(X, y, *callbacks, **params):
    params = {"max_epochs": 4, "batch_size": 15, "device": "cpu", "random_state": 0, **params}
    return SGANClassifier(callbacks=list(callbacks), **params).fit(X, y)


def test_pictures_are_written_every_few_epochs(images, labels, tmp_path):
    folder = tmp_path / "new" / "folder"
    fitted(images, labels, SampleGridCallback(folder, 2, n_samples=5, n_columns=3))
    assert sorted(path.name for path in folder.iterdir()) == ["epoch_0002.png", "epoch_0004.png"]
    picture = matplotlib.image.imread(folder / "epoch_0002.png")
    assert picture.shape[:2] == (2 * 10, 3 * 10)
    assert picture[1:9, 1:9].std() > 0
    assert (picture[11:19, 21:29, :3] == 1).all()  # the place of a sixth image is empty


def test_pictures_of_color_images(images, labels, tmp_path):
    X = np.stack([images] * 3, axis=-1)
    fitted(X, labels, SampleGridCallback(str(tmp_path), n_samples=2, n_columns=2), max_epochs=1)
    picture = matplotlib.image.imread(tmp_path / "epoch_0001.png")
    assert picture.shape[:2] == (10, 20)
    assert not np.array_equal(picture[..., 0], picture[..., 1])


@pytest.mark.parametrize("params", [{}, {"architecture": "mlp", "image_shape": (8, 8)}])
def test_last_picture_shows_the_final_averaged_generator(images, labels, tmp_path, params):
    callback = SampleGridCallback(tmp_path, 100, n_samples=2, n_columns=2)
    training = Training(averaging_decay=0.9, adversarial_every=1)
    classifier = fitted(images, labels, callback, training=training, max_epochs=6, **params)
    (path,) = tmp_path.iterdir()
    assert path.name == "epoch_0006.png"
    picture = matplotlib.image.imread(path)[1:9, 1:9, 0]

    def shown(generator):
        with torch.inference_mode():
            planes = generator(callback.latent_).numpy()
        rows = classifier.scaler_.inverse_transform(planes.reshape(2, -1))
        low, high = images.min(), images.max()
        return np.clip((rows[0].reshape(8, 8) - low) / (high - low), 0, 1)

    np.testing.assert_allclose(picture, shown(classifier.generator_), atol=1 / 255)
    assert np.abs(picture - shown(classifier.net_.generator_)).max() > 2 / 255


def test_callback_does_not_change_the_model(images, labels, tmp_path):
    with_grids = fitted(images, labels, SampleGridCallback(tmp_path))
    without = fitted(images, labels)
    np.testing.assert_array_equal(with_grids.predict_proba(images), without.predict_proba(images))


@pytest.mark.parametrize(
    "params",
    [{"every_n_epochs": 0}, {"n_samples": 0}, {"n_columns": 1.5}, {"dirname": None}],
)
def test_invalid_parameters_are_refused_before_training(images, labels, tmp_path, params):
    (name,) = params
    callback = SampleGridCallback(**{"dirname": tmp_path, **params})
    with pytest.raises(ValueError, match=f"'{name}' parameter of SampleGridCallback"):
        fitted(images, labels, callback)


def test_tables_are_refused(images, labels, tmp_path):
    with pytest.raises(ValueError, match="image_shape"):
        fitted(images.reshape(30, -1), labels, SampleGridCallback(tmp_path))


@pytest.mark.parametrize(
    ("params", "match"),
    [
        ({"unsupervised_weight": 0}, "unsupervised_weight=0 trains none"),
        ({"objective": "supervised"}, "the objective Supervised trains none"),
    ],
)
def test_training_without_generator_is_refused(images, labels, tmp_path, params, match):
    with pytest.raises(ValueError, match=match):
        fitted(images, labels, SampleGridCallback(tmp_path), **params)


# --- Fréchet distance ---------------------------------------------------------------------------


def test_frechet_distance_of_normal_distributions(rng):
    scales, mean = np.array([1.0, 2.0, 0.5]), np.array([0.3, -1.0, 2.0])
    real = rng.normal(size=(200_000, 3))
    generated = mean + scales * rng.normal(size=(200_000, 3))
    # For independent columns: (m - n)^2 + (s - t)^2, over the total variance of 3.
    expected = (np.square(mean) + np.square(1 - scales)).sum() / 3
    assert frechet_distance(real, generated) == pytest.approx(expected, rel=0.02)
    turn = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    turned = frechet_distance(5 * real @ turn, 5 * generated @ turn)
    assert turned == pytest.approx(frechet_distance(real, generated))
    assert frechet_distance(real, real) == pytest.approx(0, abs=1e-6)
    constant = np.repeat(real.mean(axis=0, keepdims=True), 10, axis=0)
    assert frechet_distance(real, constant) == pytest.approx(1)
    assert np.isnan(frechet_distance(constant, real))


@pytest.mark.parametrize("params", [{}, {"architecture": "mlp", "image_shape": (8, 8)}])
def test_frechet_distance_in_the_history(images, labels, params):
    distance = FrechetDistanceCallback(2, n_samples=20)
    classifier = fitted(images, labels, distance, **params)
    recorded = [record.get("frechet_distance") for record in classifier.history_]
    assert [value is None for value in recorded] == [True, False, True, False]
    assert all(0 < value < 1000 for value in recorded[1::2])
    other = fitted(images, labels, **params)
    np.testing.assert_array_equal(classifier.predict_proba(images), other.predict_proba(images))
    display = HistoryDisplay.from_estimator(
        classifier, terms=["generator_loss", "frechet_distance"]
    )
    np.testing.assert_array_equal(
        display.lines_["frechet_distance"].get_xydata(), [[2, recorded[1]], [4, recorded[3]]]
    )


def test_frechet_distance_to_rows_by_their_weights(images, labels, monkeypatch):
    net = fitted(images, labels).net_
    seen = []

    def distance(real, generated):
        seen.append(real)
        return 0.0

    monkeypatch.setattr(callbacks_module, "frechet_distance", distance)
    rows = torch.rand(6, 1, 8, 8)
    for weights in (None, torch.tensor([0.0, 3.0, 0.0, 1.0, 0.0, 0.0])):
        dataset = SimpleNamespace(rows=rows, frequencies=weights)
        FrechetDistanceCallback(n_samples=400).on_epoch_end(net, dataset_train=dataset)
    with torch.inference_mode():
        features = net.averaged_module_.forward_features(rows)
    alike = [
        np.isclose(real[:, None], features, atol=1e-5).all(axis=2).sum(axis=0) for real in seen
    ]
    assert alike[0].tolist() == [1] * 6
    assert alike[1][[0, 2, 4, 5]].sum() == 0
    assert alike[1][1] == pytest.approx(300, abs=40)


def test_frechet_distance_needs_a_generator(images, labels):
    with pytest.raises(ValueError, match="FrechetDistanceCallback needs a trained generator, but"):
        fitted(images, labels, FrechetDistanceCallback(), unsupervised_weight=0)
    with pytest.raises(ValueError, match="'n_samples' parameter of FrechetDistanceCallback"):
        fitted(images, labels, FrechetDistanceCallback(n_samples=1))
