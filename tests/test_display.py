import sys

import matplotlib
import numpy as np
import pandas as pd
import pytest
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from skorch.callbacks import LRScheduler

matplotlib.use("Agg")
import matplotlib.pyplot as plt

from sgan_sklearn import HistoryDisplay, SamplesDisplay, SGANClassifier

QUICK = {"max_epochs": 3, "device": "cpu", "random_state": 0}


@pytest.fixture(autouse=True)
def closed_figures():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def table():
    rng = np.random.RandomState(0)
    return pd.DataFrame(rng.normal(size=(40, 5)) * [1, 10, 0.1, 5, 2], columns=list("abcde"))


@pytest.fixture(scope="module")
def labels():
    return np.arange(40) % 2


@pytest.fixture(scope="module")
def of_table(table, labels):
    return SGANClassifier(unlabeled_value=None, **QUICK).fit(table, labels)


@pytest.fixture(scope="module")
def images():
    return np.random.RandomState(0).randint(0, 256, size=(40, 8, 9, 3)).astype(np.uint8)


@pytest.fixture(scope="module")
def of_images(images, labels):
    return SGANClassifier(batch_size=20, unlabeled_value=None, **QUICK).fit(images, labels)


# --- SamplesDisplay: images --------------------------------------------------------------------


def test_samples_of_images_are_a_grid_of_sampled_images(of_images):
    display = SamplesDisplay.from_estimator(of_images, n_samples=6, n_columns=3, random_state=1)
    np.testing.assert_array_equal(display.generated, of_images.sample(6, random_state=1))
    (artist,) = display.ax_.images
    # Two rows of three images with white borders of one pixel.
    picture = artist.get_array()
    assert picture.shape == (2 * 10, 3 * 11, 3)
    low, high = display.generated.min(), display.generated.max()
    np.testing.assert_allclose(picture[11:19, 1:10], (display.generated[3] - low) / (high - low))
    assert (picture[0] == 1).all()
    assert display.figure_ is display.ax_.figure
    assert display.axes_.tolist() == [display.ax_]


def test_samples_of_images_with_real_ones_above(of_images, images):
    display = SamplesDisplay.from_estimator(of_images, images, n_samples=5, n_columns=5)
    assert [label.get_text() for label in display.ax_.get_yticklabels()] == ["real", "generated"]
    picture = display.ax_.images[0].get_array()
    assert picture.shape == (2 * 10, 5 * 11, 3)
    drawn = np.concatenate([display.real, display.generated]).astype(float)
    scaled = (images - drawn.min()) / (drawn.max() - drawn.min())
    assert any(np.allclose(picture[1:9, 1:10], image) for image in scaled)


def test_samples_of_flat_images(images, labels):
    gray = images[..., 0].reshape(40, -1)
    classifier = SGANClassifier(
        image_shape=(8, 9), architecture="mlp", unlabeled_value=None, **QUICK
    ).fit(gray, labels)
    display = SamplesDisplay.from_estimator(classifier, gray, n_samples=4, n_columns=4)
    assert display.generated.shape == display.real.shape == (4, 8, 9, 1)
    assert display.ax_.images[0].get_array().shape == (2 * 10, 4 * 11)


def test_all_real_rows_are_drawn_if_there_are_fewer(of_images, images):
    display = SamplesDisplay.from_estimator(of_images, images[:2], n_samples=7)
    np.testing.assert_array_equal(display.real, images[:2])
    assert len(display.generated) == 7


def test_image_kw_are_passed_to_imshow(of_images):
    display = SamplesDisplay.from_estimator(of_images, image_kw={"interpolation": "nearest"})
    assert display.ax_.images[0].get_interpolation() == "nearest"


# --- SamplesDisplay: tables --------------------------------------------------------------------


def test_samples_of_a_table_are_pair_plots(of_table, table):
    display = SamplesDisplay.from_estimator(of_table, table, n_samples=30, random_state=0)
    assert display.axes_.shape == (4, 4)
    real, generated = display.axes_[2, 1].collections
    np.testing.assert_allclose(real.get_offsets(), display.real[:, [1, 2]])
    np.testing.assert_allclose(
        generated.get_offsets(), of_table.sample(30, random_state=0)[["b", "c"]]
    )
    assert [ax.get_xlabel() for ax in display.axes_[-1]] == list("abcd")
    assert [ax.get_ylabel() for ax in display.axes_[:, 0]] == list("abcd")
    legend = display.ax_.get_legend()
    assert [text.get_text() for text in legend.get_texts()] == ["real", "generated"]


def test_real_rows_are_rows_of_the_table(of_table, table):
    display = SamplesDisplay.from_estimator(of_table, table, n_samples=10, features=list("abcde"))
    known = {tuple(row) for row in table.to_numpy()}
    drawn = [tuple(row) for row in display.real]
    assert len(set(drawn)) == 10
    assert set(drawn) <= known


def test_columns_by_index_and_by_name(of_table, table):
    display = SamplesDisplay.from_estimator(of_table, table, n_samples=40, features=["e", 0])
    assert display.feature_names == ["e", "a"]
    assert display.axes_.shape == (2, 2)
    np.testing.assert_array_equal(display.real, table[["e", "a"]])
    again = SamplesDisplay.from_estimator(
        of_table, table, n_samples=40, features=np.array([4, 0]), random_state=3
    )
    np.testing.assert_array_equal(again.generated, of_table.sample(40, random_state=3)[["e", "a"]])


def test_columns_of_a_frame_in_another_order_are_refused(of_table, table):
    with pytest.raises(ValueError, match="feature names"):
        SamplesDisplay.from_estimator(of_table, table[list("edcba")])


def test_random_rows_depend_on_random_state(of_table, table):
    one, same, other = (
        SamplesDisplay.from_estimator(of_table, table, n_samples=9, random_state=seed).real
        for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(one, same)
    assert not np.array_equal(one, other)


def test_random_state_instance_draws_the_generated_rows_first(of_table, table):
    display = SamplesDisplay.from_estimator(
        of_table, table, n_samples=9, random_state=np.random.RandomState(0)
    )
    expected = of_table.sample(9, random_state=np.random.RandomState(0))
    np.testing.assert_array_equal(display.generated, expected[list("abcd")])


def test_table_with_a_single_column(labels):
    X = np.linspace(0, 1, 40)[:, np.newaxis]
    classifier = SGANClassifier(unlabeled_value=None, **QUICK).fit(X, labels)
    display = SamplesDisplay.from_estimator(classifier, X)
    assert display.axes_.shape == (1, 1)
    assert display.feature_names == ["x0"]


@pytest.mark.parametrize("given", ["subplot", "free axes"])
def test_the_axes_given_are_drawn_in(of_table, table, given):
    figure, (other, ax) = plt.subplots(1, 2)
    if given == "free axes":
        ax = figure.add_axes((0.5, 0.1, 0.4, 0.4))
    display = SamplesDisplay.from_estimator(of_table, table, ax=ax)
    assert display.ax_ is ax
    assert display.figure_ is figure
    figure.canvas.draw()
    around = ax.get_window_extent().padded(1)
    for pair in display.axes_.flat:
        box = pair.get_window_extent()
        assert around.contains(box.x0, box.y0)
        assert around.contains(box.x1, box.y1)
    assert not other.has_data()


def test_samples_display_without_real_rows_or_names():
    display = SamplesDisplay(np.arange(6.0).reshape(3, 2)).plot()
    assert [ax.get_xlabel() for ax in display.axes_[-1]] == ["x0", "x1"]
    assert display.ax_.get_legend() is None


def test_constant_column_is_drawn():
    rows = np.column_stack([np.arange(3.0), np.full(3, 1e9)])
    display = SamplesDisplay(rows).plot()
    assert display.axes_[1, 0].get_ylim() == (1e9 - 0.5, 1e9 + 0.5)


def test_samples_display_from_arrays():
    frame = pd.DataFrame({"a": [1.0, 2.0], "b": [3.0, 5.0]})
    display = SamplesDisplay(frame.to_numpy(), feature_names=frame.columns).plot()
    assert [ax.get_xlabel() for ax in display.axes_[-1]] == ["a", "b"]
    images = np.arange(32.0).reshape(2, 4, 4)
    display = SamplesDisplay(images[..., np.newaxis], real=images).plot(n_columns=2)
    assert display.ax_.images[0].get_array().shape == (2 * 6, 2 * 6)


def test_styles_may_be_changed(of_table, table):
    display = SamplesDisplay.from_estimator(
        of_table, table, n_samples=40, scatter_kw={"c": np.arange(40), "s": 9}
    )
    real, _ = display.axes_[1, 0].collections
    assert real.get_sizes().tolist() == [9]
    images = np.arange(32.0).reshape(2, 4, 4)
    norm = matplotlib.colors.Normalize(0, 2)
    display = SamplesDisplay(images).plot(image_kw={"norm": norm})
    assert display.ax_.images[0].norm is norm


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"X": None}, "'X' parameter"),
        ({"n_samples": 0}, "n_samples"),
        ({"n_columns": 0}, "n_columns"),
        ({"features": ["z"]}, r"'features' parameter .* \['z'\]"),
        ({"features": [5]}, "indices below 5"),
        ({"features": [-1]}, "indices below 5"),
        ({"features": "a"}, "must be a list"),
        ({"features": []}, "must be a list"),
        ({"features": 2}, "must be a list"),
        ({"features": [True, False, True, False, False]}, "must be a list"),
        ({"features": [1.0]}, "must be a list"),
        ({"X": pd.DataFrame(np.full((3, 5), np.inf), columns=list("abcde"))}, "infinity"),
        ({"X": pd.DataFrame(np.zeros((0, 5)), columns=list("abcde"))}, "0 sample"),
        ({"X": pd.DataFrame(np.zeros((3, 4)), columns=list("abcd"))}, "feature names"),
    ],
)
def test_invalid_arguments_of_samples_display_are_refused(of_table, table, kwargs, message):
    with pytest.raises(ValueError, match=message):
        SamplesDisplay.from_estimator(of_table, **{"X": table, **kwargs})


def test_features_are_refused_for_images(of_images):
    with pytest.raises(ValueError, match=r"'features' parameter .* must be None"):
        SamplesDisplay.from_estimator(of_images, features=[0])


def test_samples_display_needs_a_generator(table, labels):
    classifier = SGANClassifier(unsupervised_weight=0, unlabeled_value=None, **QUICK).fit(
        table, labels
    )
    with pytest.raises(ValueError, match="trained generator"):
        SamplesDisplay.from_estimator(classifier, table)


def test_images_that_differ_from_the_training_images_are_refused(of_images, images):
    with pytest.raises(ValueError, match="channels last"):
        SamplesDisplay.from_estimator(of_images, np.moveaxis(images, -1, 1))


@pytest.mark.parametrize("display", [SamplesDisplay, HistoryDisplay])
def test_displays_need_a_fitted_classifier(display):
    with pytest.raises(NotFittedError):
        display.from_estimator(SGANClassifier())


@pytest.mark.parametrize("display", [SamplesDisplay, HistoryDisplay])
def test_displays_name_the_remedy_for_a_pipeline(display, table, labels):
    pipeline = make_pipeline(StandardScaler(), SGANClassifier(unlabeled_value=None, **QUICK)).fit(
        table, labels
    )
    with pytest.raises(TypeError, match=r"Got Pipeline\. .* pipeline\[-1\]"):
        display.from_estimator(pipeline)
    display.from_estimator(
        pipeline[-1], **({"X": pipeline[:-1].transform(table)} if display is SamplesDisplay else {})
    )


@pytest.mark.parametrize(
    "draw",
    [
        lambda classifier: SamplesDisplay.from_estimator(classifier),
        lambda classifier: SamplesDisplay(np.zeros((2, 2))).plot(),
        lambda classifier: HistoryDisplay.from_estimator(classifier),
        lambda classifier: HistoryDisplay([1], {}).plot(),
    ],
)
def test_missing_matplotlib_is_named(draw, of_images, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match="requires matplotlib"):
        draw(of_images)


# --- HistoryDisplay ----------------------------------------------------------------------------


def test_history_has_a_line_for_each_loss_term(of_table):
    display = HistoryDisplay.from_estimator(of_table)
    recorded = set(of_table.history_[0]) - {"epoch", "dur", "generated_spread"}
    assert set(display.lines_) == recorded >= {"discriminator_loss", "generator_loss"}
    for name, line in display.lines_.items():
        assert line.get_xdata().tolist() == [1, 2, 3]
        assert line.get_ydata().tolist() == [record[name] for record in of_table.history_]
    assert display.ax_.get_xlabel() == "epoch"


def test_history_of_some_terms_in_given_axes(of_table):
    _, ax = plt.subplots()
    display = HistoryDisplay.from_estimator(of_table, terms=["generator_loss"], ax=ax, color="red")
    assert display.ax_ is ax
    assert list(display.lines_) == ["generator_loss"]
    assert display.lines_["generator_loss"].get_color() == "red"


def test_history_of_one_epoch_is_visible(table, labels):
    classifier = SGANClassifier(unlabeled_value=None, **{**QUICK, "max_epochs": 1}).fit(
        table, labels
    )
    display = HistoryDisplay.from_estimator(classifier)
    assert {line.get_marker() for line in display.lines_.values()} == {"o"}


def test_history_omits_entries_of_callbacks(table, labels):
    callbacks = [LRScheduler("StepLR", step_size=1)]
    classifier = SGANClassifier(callbacks=callbacks, unlabeled_value=None, **QUICK).fit(
        table, labels
    )
    assert "event_lr" in classifier.history_[0]
    assert "event_lr" not in HistoryDisplay.from_estimator(classifier).lines_


def test_history_of_a_term_that_starts_later(table, labels):
    classifier = SGANClassifier(
        unsupervised_weight=0, warm_start=True, unlabeled_value=None, **QUICK
    ).fit(table, labels)
    classifier.set_params(unsupervised_weight=1.0, max_epochs=1).fit(table, labels)
    line = HistoryDisplay.from_estimator(classifier).lines_["generator_loss"]
    assert line.get_xdata().tolist() == [4]
    assert line.get_marker() == "o"


@pytest.mark.parametrize("terms", [["no_loss"], "generator_loss", ["epoch"], [], 3])
def test_invalid_terms_are_refused(of_table, terms):
    with pytest.raises(ValueError, match="'terms' parameter"):
        HistoryDisplay.from_estimator(of_table, terms=terms)


def test_pair_plots_name_the_levels_of_categories(make_classifier):
    levels = ["left", "a name that is too long"]
    X = pd.DataFrame({"side": np.array(levels)[np.arange(40) % 2], "size": np.arange(40.0)})
    classifier = make_classifier(unlabeled_value=None).fit(X, np.arange(40) % 2)
    display = SamplesDisplay.from_estimator(classifier, X, random_state=0)
    assert display.levels == {0: sorted(levels)}
    of_side = [label.get_text() for label in display.axes_[1, 0].get_xticklabels()]
    assert of_side == ["a name that…", "left"]
    # The points of a level lie side by side, and closest to the tick of that level.
    places = display.axes_[1, 0].collections[0].get_offsets()[:, 0]
    assert len(set(places)) > 30
    assert (np.abs(places - np.rint(places)) <= 0.3).all()


@pytest.mark.parametrize(
    "levels",
    [
        ["a", "b"],
        {2: ["a"]},
        {1.0: ["a"]},
        {True: ["a"]},
        {"x": ["a"]},
        {0: None},
        {1: "ab"},
        {0: [1]},
        {0: []},
    ],
)
def test_invalid_levels_of_samples_display_are_refused(levels):
    with pytest.raises(ValueError, match="'levels' parameter of SamplesDisplay must be a dict"):
        SamplesDisplay(np.zeros((3, 2)), levels=levels).plot()


def test_many_levels_are_not_named(make_classifier):
    X = pd.DataFrame({"word": [f"w{i % 40}" for i in range(80)], "size": np.arange(80.0)})
    classifier = make_classifier(unlabeled_value=None).fit(X, np.arange(80) % 2)
    display = SamplesDisplay.from_estimator(classifier, X, random_state=0)
    assert "w1" not in [label.get_text() for label in display.axes_[1, 0].get_xticklabels()]
