"""Contracts that every architecture in the registry keeps, then those of each."""

import copy
import math
import pickle
import re

import numpy as np
import pytest
import torch
from sklearn.base import clone

from sgan_sklearn.architectures import (
    ARCHITECTURES,
    Architecture,
    ConvArchitecture,
    Discriminator,
    Generator,
    MLPArchitecture,
)

N_FEATURES, N_OUTPUTS, LATENT_DIM = 16, 3, 5

# Rows that each architecture is tested on: a table where it takes one, and images.
SHAPES = {name: [(N_FEATURES,), (1, 8, 8), (3, 9, 13)] for name in ARCHITECTURES}
SHAPES["conv"] = [(1, 8, 8), (3, 9, 13), (1, 28, 28), (3, 64, 64)]

each_name = pytest.mark.parametrize("name", ARCHITECTURES)
each_architecture = pytest.mark.parametrize(
    ("name", "shape"),
    [
        pytest.param(name, shape, id="-".join([name, *map(str, shape)]))
        for name in ARCHITECTURES
        for shape in SHAPES[name]
    ],
)
each_parameter = pytest.mark.parametrize(
    ("name", "parameter"),
    [(name, key) for name in ARCHITECTURES for key in ARCHITECTURES[name]().get_params()],
)


def waves(n, *shape):
    """Return `n` rows without drawing random numbers."""
    return torch.sin(torch.arange(n * math.prod(shape)).float()).reshape(n, *shape)


def small(name):
    """Return an architecture with its defaults, but quick."""
    return ConvArchitecture(width=8, generator_width=8) if name == "conv" else ARCHITECTURES[name]()


@pytest.fixture
def shape():
    return (N_FEATURES,)


@pytest.fixture
def bounds(rng, shape):
    low = rng.normal(size=shape)
    return np.stack([low, low + rng.uniform(size=shape)]).astype(np.float32)


@pytest.fixture
def discriminator(name, shape):
    return small(name).build_discriminator(shape, N_OUTPUTS)


@pytest.fixture
def generator(name, bounds):
    return small(name).build_generator(LATENT_DIM, bounds)


@each_name
def test_clone_and_get_params(name):
    architecture = ARCHITECTURES[name]()
    assert isinstance(architecture, Architecture)
    copied = clone(architecture)
    assert copied is not architecture
    assert copied.get_params() == architecture.get_params()
    assert set(architecture._parameter_constraints) == set(architecture.get_params())
    architecture._validate_params()


@each_parameter
def test_bad_parameter_is_named(name, parameter):
    architecture = ARCHITECTURES[name]().set_params(**{parameter: object()})
    message = f"'{parameter}' parameter of {type(architecture).__name__}"
    with pytest.raises(ValueError, match=message):
        architecture._validate_params()


@each_architecture
def test_discriminator_outputs(name, shape, discriminator):
    assert isinstance(discriminator, Discriminator)
    for n in (1, 7):
        outputs = discriminator(torch.randn(n, *shape))
        assert outputs.shape == (n, N_OUTPUTS)
        assert outputs.isfinite().all()


@each_architecture
def test_forward_is_head_of_features(name, shape, discriminator):
    discriminator.eval()
    x = torch.randn(7, *shape)
    features = discriminator.forward_features(x)
    assert len(features) == 7
    assert torch.equal(discriminator(x), discriminator.forward_head(features))


@each_architecture
def test_row_of_the_discriminator_does_not_depend_on_its_neighbors(name, shape, discriminator):
    row, others = torch.randn(1, *shape), torch.randn(2, 6, *shape) * 10
    outputs = []
    for neighbors in others:
        torch.manual_seed(1)  # the same noise for the row, in training mode
        outputs.append(discriminator(torch.cat([row, neighbors]))[0])
    torch.testing.assert_close(*outputs)
    discriminator.eval()
    alone = discriminator(row)[0]
    for neighbors in others:
        torch.testing.assert_close(discriminator(torch.cat([row, neighbors]))[0], alone)


@each_architecture
def test_evaluation_of_the_discriminator_draws_no_random_numbers(name, shape, discriminator):
    discriminator.eval()
    x = torch.randn(7, *shape)
    before = torch.get_rng_state()
    assert torch.equal(discriminator(x), discriminator(x))
    assert torch.equal(torch.get_rng_state(), before)


@each_architecture
def test_no_pass_changes_the_buffers_of_the_discriminator(name, shape, discriminator):
    before = copy.deepcopy(dict(discriminator.named_buffers()))
    discriminator(torch.randn(7, *shape))
    for key, buffer in discriminator.named_buffers():
        assert torch.equal(buffer, before[key])


@each_architecture
def test_weights_come_from_the_global_generator(name, shape, bounds):
    def build(seed):
        torch.manual_seed(seed)
        architecture = small(name)
        networks = (
            architecture.build_discriminator(shape, N_OUTPUTS),
            architecture.build_generator(LATENT_DIM, bounds),
        )
        return [torch.nn.utils.parameters_to_vector(net.parameters()) for net in networks]

    for first, again, other in zip(build(1), build(1), build(2), strict=True):
        assert torch.equal(first, again)
        assert not torch.equal(first, other)


@pytest.mark.parametrize("scale", [1.0, 1e3], ids=["usual", "extreme"])
@each_architecture
def test_generated_rows_are_bounded(name, shape, generator, bounds, scale):
    assert isinstance(generator, Generator)
    for module in (generator.train(), generator.eval()):
        rows = module(torch.randn(50, LATENT_DIM) * scale).detach().numpy()
        assert rows.shape == (50, *shape)
        # Rounding may step over a bound by one unit in the last place.
        slack = 1e-6 * np.abs(bounds).max()
        assert (rows >= bounds[0] - slack).all()
        assert (rows <= bounds[1] + slack).all()


@each_architecture
def test_generated_rows_differ(name, shape, generator):
    rows = generator.eval()(torch.randn(20, LATENT_DIM))
    assert (rows.std(dim=0) > 0).all()


@each_architecture
def test_generator_of_constant_columns(name, shape, bounds):
    constant = np.stack([bounds[0], bounds[0]])
    rows = small(name).build_generator(LATENT_DIM, constant)(torch.randn(4, LATENT_DIM))
    np.testing.assert_allclose(rows.detach(), np.stack([bounds[0]] * 4), rtol=1e-6)


@each_architecture
def test_deepcopy(name, shape, discriminator, generator):
    for module, x in (
        (discriminator.eval(), torch.randn(4, *shape)),
        (generator.eval(), torch.randn(4, LATENT_DIM)),
    ):
        copied = copy.deepcopy(module)
        before = module(x)
        assert torch.equal(copied(x), before)
        with torch.no_grad():
            for weight in copied.parameters():
                weight.zero_()
        assert torch.equal(module(x), before)


@pytest.mark.parametrize(
    "make_rows",
    [
        pytest.param(lambda shape: waves(1, *shape), id="one row"),
        pytest.param(lambda shape: torch.full((9, *shape), 3.0), id="constant columns"),
        pytest.param(lambda shape: torch.zeros(9, *shape), id="zeros"),
        pytest.param(lambda shape: waves(9, *shape) * 1e3, id="wide"),
    ],
)
@each_architecture
def test_start_from_data_stays_finite(name, shape, make_rows, discriminator):
    discriminator.initialize_from_data(make_rows(shape))
    assert all(value.isfinite().all() for value in discriminator.state_dict().values())
    assert discriminator(torch.randn(5, *shape)).isfinite().all()


@each_name
def test_builders_leave_the_architecture_alone(name, rng):
    architecture = small(name)
    before = architecture.get_params()
    architecture.build_discriminator((1, 8, 8), N_OUTPUTS)
    architecture.build_generator(LATENT_DIM, np.zeros((2, 1, 8, 8), dtype=np.float32))
    assert architecture.get_params() == before
    assert vars(pickle.loads(pickle.dumps(architecture))) == vars(architecture)


@each_name
def test_training_on_images_end_to_end(name, make_classifier, rng):
    X, y = rng.uniform(size=(30, 8, 8)), np.arange(30) % 3
    classifier = make_classifier(architecture=small(name), image_shape=(8, 8), max_epochs=1)
    classifier.fit(X, y)
    assert np.isfinite(classifier.predict_proba(X)).all()
    assert classifier.sample(3).shape == (3, 8, 8)


@pytest.mark.parametrize("name", [name for name in ARCHITECTURES if (N_FEATURES,) in SHAPES[name]])
def test_training_on_a_table_end_to_end(name, make_classifier, data):
    X, y = data
    classifier = make_classifier(architecture=name, max_epochs=1).fit(X, y)
    assert np.isfinite(classifier.predict_proba(X)).all()
    assert classifier.sample(3).shape == (3, X.shape[1])


# --- MLPArchitecture --------------------------------------------------------------------------


def build_mlp(**params):
    return MLPArchitecture((12, 10, 8), **params).build_discriminator((N_FEATURES,), N_OUTPUTS)


def test_mlp_start_from_data_standardizes_every_unit_of_every_layer(rng):
    discriminator = build_mlp(input_noise=0.0, noise=0.0)
    x = torch.from_numpy(rng.lognormal(size=(200, N_FEATURES))).float()
    discriminator.initialize_from_data(x)
    seen = []
    for layer in (*discriminator.hidden, discriminator.output):
        layer.register_forward_hook(lambda module, args, output: seen.append(output.detach()))
    discriminator.eval()(x)
    assert [y.shape[1] for y in seen] == [12, 10, 8, N_OUTPUTS]
    for y in seen:
        np.testing.assert_allclose(y.mean(dim=0), 0, atol=1e-4)
        np.testing.assert_allclose(y.std(dim=0, correction=0), 1, atol=1e-4)


def test_mlp_trains_no_gain_but_that_of_the_output():
    names = {name for name, _ in build_mlp().named_parameters()}
    assert {name for name in names if "gain" in name} == {"output.gain"}


def test_mlp_weights_do_not_depend_on_the_length_of_their_direction():
    discriminator = build_mlp().eval()
    x = torch.randn(5, N_FEATURES)
    before = discriminator(x)
    with torch.no_grad():
        for layer in (*discriminator.hidden, discriminator.output):
            layer.direction.mul_(3)
    torch.testing.assert_close(discriminator(x), before)


@pytest.mark.parametrize(
    ("noises", "differs"),
    [
        ({"input_noise": 0.0, "noise": 0.0}, False),
        ({"input_noise": 0.1, "noise": 0.0}, True),
        ({"input_noise": 0.0, "noise": 0.1}, True),
    ],
    ids=["none", "input", "hidden"],
)
def test_mlp_noise_in_training_mode(noises, differs):
    discriminator = build_mlp(**noises)
    x = torch.randn(5, N_FEATURES)
    assert torch.equal(discriminator(x), discriminator(x)) is not differs


def test_mlp_features_come_before_their_noise():
    # With one hidden layer and a silent input, the only noise is the one behind the features.
    discriminator = MLPArchitecture((8,), input_noise=0.0).build_discriminator((N_FEATURES,), 2)
    x = torch.randn(5, N_FEATURES)
    assert torch.equal(discriminator.forward_features(x), discriminator.forward_features(x))
    assert not torch.equal(discriminator(x), discriminator(x))


@pytest.mark.parametrize("std", [0.1, 2.0])
def test_mlp_noise_has_the_standard_deviation_asked_for(std):
    noise = build_mlp(input_noise=std).input_noise
    added = noise(torch.ones(20_000)) - 1
    np.testing.assert_allclose([added.mean(), added.std()], [0, std], atol=0.03 * std)


@pytest.mark.parametrize(
    "sizes", [(7, 5), [7, 5], np.array([7, 5])], ids=["tuple", "list", "array"]
)
def test_mlp_sizes(sizes, bounds):
    architecture = MLPArchitecture(sizes, sizes)
    discriminator = architecture.build_discriminator((N_FEATURES,), N_OUTPUTS)
    assert discriminator.forward_features(torch.zeros(2, N_FEATURES)).shape == (2, 5)
    shapes = [p.shape for p in architecture.build_generator(LATENT_DIM, bounds).parameters()]
    assert shapes[0] == (7, LATENT_DIM)
    assert shapes[-2] == (N_FEATURES, 5)


def test_mlp_without_hidden_layers(bounds):
    architecture = MLPArchitecture((), ())
    discriminator = architecture.build_discriminator((N_FEATURES,), N_OUTPUTS)
    assert discriminator(torch.zeros(2, N_FEATURES)).shape == (2, N_OUTPUTS)
    generator = architecture.build_generator(LATENT_DIM, bounds)
    assert generator(torch.zeros(2, LATENT_DIM)).shape == (2, N_FEATURES)


@pytest.mark.parametrize("value", [(0,), (8, -1), (8.0,), "8", 8, ((8, 8),)], ids=repr)
@pytest.mark.parametrize("name", ["hidden_layer_sizes", "generator_hidden_layer_sizes"])
def test_mlp_bad_sizes(name, value):
    message = rf"'{name}' parameter of MLPArchitecture must .* Got {re.escape(repr(value))}"
    with pytest.raises(ValueError, match=message):
        MLPArchitecture(**{name: value})._validate_params()


@pytest.mark.parametrize("value", [-0.1, float("nan"), "much", None], ids=repr)
@pytest.mark.parametrize("name", ["input_noise", "noise"])
def test_mlp_bad_noise(name, value):
    with pytest.raises(ValueError, match=f"'{name}' parameter of MLPArchitecture must be a float"):
        MLPArchitecture(**{name: value})._validate_params()
