"""Contracts of all architectures in the registry, then those of each."""

import copy
import math
import pickle
import re

import numpy as np
import pytest
import torch
from sklearn.base import clone
from torch import nn

from sgan_sklearn.architectures import (
    ARCHITECTURES,
    Architecture,
    ConvArchitecture,
    Discriminator,
    Generator,
    MLPArchitecture,
    ModuleArchitecture,
)
from sgan_sklearn.architectures._conv import WIDTHS
from sgan_sklearn.architectures._layers import (
    WeightNormConv2d,
    frozen_statistics,
    normalized_once,
)

N_FEATURES, N_OUTPUTS, LATENT_DIM = 16, 3, 5

# Rows that each architecture is tested on: a table, if it takes one, and images.
SHAPES = {name: [(N_FEATURES,), (1, 8, 8), (3, 9, 13)] for name in ARCHITECTURES}
SHAPES["conv"] = SHAPES["resnet"] = [(1, 8, 8), (3, 9, 13), (1, 28, 28), (3, 64, 64)]

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
    """Return a small architecture with its defaults otherwise."""
    if name == "mlp":
        return ARCHITECTURES[name]()
    width = 8 if name == "conv" else (8, 8, 8)
    return ARCHITECTURES[name](width=width, generator_width=8)


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
def test_discriminator_output_does_not_depend_on_other_rows(name, shape, discriminator):
    row, others = torch.randn(1, *shape), torch.randn(2, 6, *shape) * 10
    outputs = []
    for neighbors in others:
        torch.manual_seed(1)  # the same noise for the row, in training mode
        outputs.append(discriminator(torch.cat([row, neighbors]))[0])
    depends = not torch.allclose(*outputs, atol=1e-5)
    assert depends is discriminator.uses_batch_statistics
    discriminator.eval()
    alone = discriminator(row)[0]
    for neighbors in others:
        torch.testing.assert_close(discriminator(torch.cat([row, neighbors]))[0], alone)


@each_architecture
def test_discriminator_draws_no_random_numbers_in_evaluation_mode(name, shape, discriminator):
    discriminator.eval()
    x = torch.randn(7, *shape)
    before = torch.get_rng_state()
    assert torch.equal(discriminator(x), discriminator(x))
    assert torch.equal(torch.get_rng_state(), before)


@each_architecture
def test_forward_passes_do_not_change_buffers_of_the_discriminator(name, shape, discriminator):
    before = copy.deepcopy(dict(discriminator.named_buffers()))
    with frozen_statistics(discriminator):
        discriminator(torch.randn(7, *shape))
    if not discriminator.uses_batch_statistics:
        discriminator(torch.randn(7, *shape))
    for key, buffer in discriminator.named_buffers():
        assert key.endswith("num_batches_tracked") or torch.equal(buffer, before[key])


@each_architecture
def test_weights_come_from_the_global_generator(name, shape, bounds):
    def build(seed):
        torch.manual_seed(seed)
        architecture = small(name)
        networks = (
            architecture.build_discriminator(shape, N_OUTPUTS),
            architecture.build_generator(LATENT_DIM, bounds),
        )
        return [torch.cat([w.flatten() for w in net.parameters()]) for net in networks]

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
        # Rounding may exceed a bound by one unit in the last place.
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
def test_builders_do_not_change_the_architecture(name, rng):
    architecture = small(name)
    before = architecture.get_params()
    architecture.build_discriminator((1, 8, 8), N_OUTPUTS)
    architecture.build_generator(LATENT_DIM, np.zeros((2, 1, 8, 8), dtype=np.float32))
    assert architecture.get_params() == before
    assert vars(pickle.loads(pickle.dumps(architecture))) == vars(architecture)


@each_name
def test_training_on_images_end_to_end(name, make_classifier, rng):
    X, y = rng.uniform(size=(30, 8, 8)), np.arange(30) % 3
    classifier = make_classifier(
        architecture=small(name), image_shape=(8, 8), max_epochs=1, unlabeled_value=None
    ).fit(X, y)
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


def test_mlp_trains_only_the_gain_of_the_output():
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


def test_mlp_features_have_no_noise_of_their_own():
    # With one hidden layer and no input noise, the only noise is added after the features.
    discriminator = MLPArchitecture((8,), input_noise=0.0).build_discriminator((N_FEATURES,), 2)
    x = torch.randn(5, N_FEATURES)
    assert torch.equal(discriminator.forward_features(x), discriminator.forward_features(x))
    assert not torch.equal(discriminator(x), discriminator(x))


@pytest.mark.parametrize("std", [0.1, 2.0])
def test_mlp_noise_has_the_given_standard_deviation(std):
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


# --- ConvArchitecture -------------------------------------------------------------------------

each_image_shape = pytest.mark.parametrize("shape", SHAPES["conv"], ids=str)


def build_conv(shape, **params):
    return ConvArchitecture((6, 6, 8, 8, 8), **params).build_discriminator(shape, N_OUTPUTS)


@each_image_shape
def test_conv_start_from_data_standardizes_every_unit_of_every_layer(shape, rng):
    discriminator = build_conv(shape, input_noise=0.0, dropout=0.0)
    x = torch.from_numpy(rng.lognormal(size=(40, *shape))).float()
    discriminator.initialize_from_data(x)
    seen = []
    for layer in (*discriminator.hidden, discriminator.output):
        layer.register_forward_hook(lambda module, args, output: seen.append(output.detach()))
    discriminator.eval()(x)
    assert [y.shape[1] for y in seen] == [6, 6, 8, 8, 8, N_OUTPUTS]
    for y in seen:
        values = y.movedim(1, -1).flatten(0, -2)
        np.testing.assert_allclose(values.mean(dim=0), 0, atol=1e-3)
        np.testing.assert_allclose(values.std(dim=0, correction=0), 1, atol=1e-3)


def test_conv_trains_only_the_gain_of_the_output():
    names = {name for name, _ in build_conv((1, 8, 8)).named_parameters()}
    assert {name for name in names if "gain" in name} == {"output.gain"}


def test_conv_weights_do_not_depend_on_the_length_of_their_direction():
    discriminator = build_conv((3, 9, 13)).eval()
    x = torch.randn(5, 3, 9, 13)
    before = discriminator(x)
    with torch.no_grad():
        for layer in (*discriminator.hidden, discriminator.output):
            layer.direction.mul_(3)
    torch.testing.assert_close(discriminator(x), before)


def test_conv_layer_is_a_convolution_with_normalized_weights():
    layer = WeightNormConv2d(3, 4, stride=2, train_gain=True)
    weight = layer.direction / layer.direction.flatten(1).norm(dim=1)[:, None, None, None]
    x = torch.randn(5, 3, 9, 13)
    expected = nn.functional.conv2d(x, weight, layer.bias, stride=2, padding=1)
    torch.testing.assert_close(layer(x), expected)


@pytest.mark.parametrize("n_channels", [1, 3])
def test_conv_layers_pass_values_and_gradients_in_one_layout(n_channels):
    # Activations of values in one layout with gradients in another take ten times as long.
    discriminator = build_conv((n_channels, 28, 28))
    outputs = []
    for layer in discriminator.hidden:
        layer.register_forward_hook(lambda *args: outputs.append(args[2]))
    loss = discriminator(torch.randn(5, n_channels, 28, 28)).sum()
    gradients = torch.autograd.grad(loss, outputs)
    for values in (*outputs, *gradients):
        assert values.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize(
    ("params", "differs"),
    [
        ({"input_noise": 0.0, "dropout": 0.0}, False),
        ({"input_noise": 0.1, "dropout": 0.0}, True),
        ({"input_noise": 0.0, "dropout": 0.5}, True),
    ],
    ids=["none", "input", "dropout"],
)
def test_conv_noise_in_training_mode(params, differs):
    discriminator = build_conv((1, 28, 28), **params)
    x = torch.randn(5, 1, 28, 28)
    assert torch.equal(discriminator(x), discriminator(x)) is not differs


def test_conv_features_are_spatial_means_before_dropout():
    discriminator = ConvArchitecture((7,), input_noise=0.0, dropout=0.5).build_discriminator(
        (1, 8, 8), N_OUTPUTS
    )
    x = torch.randn(5, 1, 8, 8)
    features = discriminator.forward_features(x)
    values = nn.functional.leaky_relu(discriminator.hidden[0](x), 0.2)
    torch.testing.assert_close(features, values.mean(dim=(2, 3)))
    assert not torch.equal(discriminator(x), discriminator(x))


def test_conv_features_hardly_depend_on_the_position_of_a_dot():
    # The reason for pooling: features hardly change when a dot moves by whole strides.
    architecture = ConvArchitecture((6, 6, 8))
    discriminator = architecture.build_discriminator((1, 28, 28), N_OUTPUTS).eval()
    x = torch.zeros(2, 1, 28, 28)
    x[0, 0, 8, 8] = x[1, 0, 16, 12] = 1
    torch.testing.assert_close(*discriminator.forward_features(x))


@pytest.mark.parametrize(
    ("shape", "places"),
    [
        ((1, 8, 8), (4, 4)),
        ((3, 9, 13), (5, 7)),
        ((1, 28, 28), (7, 7)),
        ((3, 32, 32), (8, 8)),
        ((3, 64, 64), (8, 8)),
        ((1, 64, 8), (32, 4)),
    ],
)
@pytest.mark.parametrize("width", [4, (4,) * 7], ids=["six layers", "deep"])
def test_conv_halves_the_image(shape, places, width):
    discriminator = ConvArchitecture(width).build_discriminator(shape, N_OUTPUTS)
    seen = []
    discriminator.hidden[-1].register_forward_hook(lambda *args: seen.append(args[2].shape[2:]))
    discriminator(torch.zeros(1, *shape))
    assert seen == [places]


@pytest.mark.parametrize(
    ("width", "side", "strides"),
    [
        (4, 8, [1, 1, 2, 1, 1, 1]),
        (4, 23, [1, 1, 2, 1, 2, 1]),
        (4, 24, [2, 1, 2, 1, 1, 1]),
        (4, 48, [2, 1, 2, 1, 2, 1]),
        ((4,) * 7, 47, [1, 1, 2, 1, 2, 1, 1]),
        ((4,) * 7, 48, [2, 1, 2, 1, 2, 1, 1]),
        ((4, 4), 28, [2, 1]),
        ((4, 4), 8, [1, 1]),
    ],
)
def test_conv_strides(width, side, strides):
    discriminator = ConvArchitecture(width).build_discriminator((1, side, side), N_OUTPUTS)
    assert [layer.stride for layer in discriminator.hidden] == strides


@pytest.mark.parametrize(
    ("width", "channels"),
    [
        *WIDTHS.items(),
        (4, (4, 4, 8, 8, 8, 8)),
        (np.int64(4), (4, 4, 8, 8, 8, 8)),
        ((5,), (5,)),
        ([5, 6, 7], (5, 6, 7)),
    ],
    ids=str,
)
def test_conv_widths(width, channels):
    architecture = ConvArchitecture(width)
    architecture._validate_params()
    discriminator = architecture.build_discriminator((3, 32, 32), N_OUTPUTS)
    assert tuple(len(layer.bias) for layer in discriminator.hidden) == channels


@pytest.mark.parametrize("value", [0, -3, 2.5, "huge", (), (8, 0), (8, 2.5), None], ids=repr)
def test_conv_bad_width(value):
    with pytest.raises(ValueError, match="'width' parameter of ConvArchitecture must"):
        ConvArchitecture(value)._validate_params()


@pytest.mark.parametrize("value", [-0.1, 1.0, "much"], ids=repr)
def test_conv_bad_dropout(value):
    with pytest.raises(ValueError, match="'dropout' parameter of ConvArchitecture must"):
        ConvArchitecture(dropout=value)._validate_params()


@pytest.mark.parametrize("shape", [(1, 7, 8), (1, 8, 7), (3, 65, 32), (3, 32, 65)], ids=str)
def test_conv_refuses_other_sizes(shape):
    message = rf"8 to 64 pixels per side.*Got images of {shape[1]} x {shape[2]} pixels. Resize"
    with pytest.raises(ValueError, match=message):
        build_conv(shape)
    with pytest.raises(ValueError, match=message):
        ConvArchitecture().build_generator(LATENT_DIM, np.zeros((2, *shape), dtype=np.float32))


@pytest.mark.parametrize(
    ("n_features", "remedy"), [(64, "image_shape=(8, 8)"), (65, "image_shape=(height, width)")]
)
def test_conv_refuses_flat_rows(n_features, remedy):
    with pytest.raises(ValueError, match=f"{n_features} features.*{re.escape(remedy)}"):
        build_conv((n_features,))


# --- ModuleArchitecture -----------------------------------------------------------------------


class Split(nn.Module):
    """A discriminator with the two methods, and an initialization."""

    def __init__(self, n_outputs=N_OUTPUTS):
        super().__init__()
        self.body, self.head = nn.Linear(N_FEATURES, 8), nn.Linear(8, n_outputs)
        self.seen = 0

    def forward_features(self, x):
        return self.body(x).relu()

    def forward_head(self, features):
        return self.head(features)

    def matched_features(self, x):
        return x[:, :2]

    def initialize_from_data(self, x):
        self.seen = len(x)


def own_networks():
    discriminator = nn.Sequential(nn.Linear(N_FEATURES, 8), nn.ReLU(), nn.Linear(8, N_OUTPUTS))
    generator = nn.Sequential(nn.Linear(LATENT_DIM, 8), nn.BatchNorm1d(8), nn.Linear(8, N_FEATURES))
    return discriminator, generator


def weights_of(module):
    return nn.utils.parameters_to_vector(module.parameters()).detach().clone()


def test_module_sequential_is_split_before_its_last_layer():
    discriminator, generator = own_networks()
    built = ModuleArchitecture(discriminator, generator).build_discriminator(
        (N_FEATURES,), N_OUTPUTS
    )
    x = torch.randn(4, N_FEATURES)
    features = built.forward_features(x)
    assert features.shape == (4, 8)
    assert torch.equal(built.matched_features(x), features)
    assert torch.equal(built(x), built.forward_head(features))
    assert torch.equal(built(x), built.module(x))


def test_module_with_custom_methods():
    built = ModuleArchitecture(Split(), own_networks()[1]).build_discriminator(
        (N_FEATURES,), N_OUTPUTS
    )
    x = torch.randn(4, N_FEATURES)
    assert torch.equal(built.forward_features(x), built.module.body(x).relu())
    assert built(x).shape == (4, N_OUTPUTS)
    assert torch.equal(built.matched_features(x), x[:, :2])
    built.initialize_from_data(x)
    assert built.module.seen == 4


def test_module_copies_have_fresh_weights_of_the_global_generator(bounds):
    discriminator, generator = own_networks()
    before = [weights_of(discriminator), weights_of(generator)]
    architecture = ModuleArchitecture(discriminator, generator)

    def build(seed):
        torch.manual_seed(seed)
        return [
            weights_of(architecture.build_discriminator((N_FEATURES,), N_OUTPUTS)),
            weights_of(architecture.build_generator(LATENT_DIM, bounds)),
        ]

    for first, again, other, given in zip(build(1), build(1), build(2), before, strict=True):
        assert torch.equal(first, again)
        assert not torch.equal(first, other)
        assert not torch.equal(first, given)
    after = [weights_of(discriminator), weights_of(generator)]
    assert all(torch.equal(a, b) for a, b in zip(after, before, strict=True))


def test_module_clone_copies_the_modules():
    architecture = ModuleArchitecture(*own_networks())
    copied = clone(architecture)
    assert copied.discriminator is not architecture.discriminator
    assert torch.equal(weights_of(copied.generator), weights_of(architecture.generator))


def test_module_lazy_layers_find_their_size(bounds):
    discriminator = nn.Sequential(nn.LazyLinear(8), nn.ReLU(), nn.LazyLinear(N_OUTPUTS))
    architecture = ModuleArchitecture(discriminator, own_networks()[1])
    built = architecture.build_discriminator((N_FEATURES,), N_OUTPUTS)
    assert built.forward_features(torch.zeros(2, N_FEATURES)).shape == (2, 8)


@pytest.mark.parametrize(
    ("discriminator", "message"),
    [
        (nn.Linear(16, 3), r"torch.nn.Sequential.*forward_features.*Got a Linear without them"),
        (nn.Sequential(nn.Linear(16, 3)), "at least two layers"),
        (nn.Sequential, "must be an instance of"),
        (None, "must be an instance of"),
    ],
    ids=["no split", "one layer", "class", "None"],
)
def test_module_bad_discriminator(discriminator, message):
    with pytest.raises(ValueError, match=f"'discriminator' parameter.*{message}"):
        ModuleArchitecture(discriminator, own_networks()[1])._validate_params()


@pytest.mark.parametrize(
    ("name", "module", "message"),
    [
        ("discriminator", Split(n_outputs=5), r"Got \(2, 5\) instead. Change its last layer"),
        (
            "discriminator",
            nn.Sequential(nn.Linear(4, 8), nn.Linear(8, 3)),
            "Make its first layer fit",
        ),
        ("discriminator", nn.Sequential(nn.Identity(), nn.LSTM(16, 3)), "Got tuple instead"),
        ("generator", nn.Linear(LATENT_DIM, 5), r"Got \(2, 5\) instead. Change its last layer"),
        ("generator", nn.Linear(7, N_FEATURES), "latent_dim values.*Make its first layer fit"),
    ],
    ids=["outputs", "inputs", "tuple", "generated", "latent"],
)
def test_module_of_wrong_shape(name, module, message, bounds):
    architecture = ModuleArchitecture(*own_networks()).set_params(**{name: module})
    build, *arguments = {
        "discriminator": (architecture.build_discriminator, (N_FEATURES,), N_OUTPUTS),
        "generator": (architecture.build_generator, LATENT_DIM, bounds),
    }[name]
    with pytest.raises(ValueError, match=f"'{name}' parameter of ModuleArch.*{message}"):
        build(*arguments)


def own_images_architecture(n_outputs=3):
    return ModuleArchitecture(
        nn.Sequential(nn.Conv2d(1, 4, 3, 2), nn.ReLU(), nn.Flatten(), nn.Linear(36, n_outputs)),
        nn.Sequential(nn.Linear(6, 64), nn.Tanh(), nn.Unflatten(1, (1, 8, 8))),
    )


def test_module_training_on_a_table(make_classifier, data):
    X, y = data
    networks = (
        nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3)),
        nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 4)),
    )
    architecture = ModuleArchitecture(*networks)
    classifier = make_classifier(architecture=architecture, latent_dim=6).fit(X, y)
    first = classifier.predict_proba(X)
    assert np.array_equal(classifier.fit(X, y).predict_proba(X), first)
    assert np.array_equal(clone(classifier).fit(X, y).predict_proba(X), first)
    for copied in (copy.deepcopy(classifier), pickle.loads(pickle.dumps(classifier))):
        assert np.array_equal(copied.predict_proba(X), first)
        assert copied.sample(2).shape == (2, 4)


def test_module_training_on_images(make_classifier, rng):
    X, y = rng.uniform(size=(30, 8, 8)), np.arange(30) % 3
    classifier = make_classifier(
        architecture=own_images_architecture(), latent_dim=6, unlabeled_value=None
    )
    assert classifier.fit(X, y).sample(2).shape == (2, 8, 8)
    assert classifier.net_.augment is not None


def test_module_of_wrong_shape_is_refused_before_training(make_classifier, rng, monkeypatch):
    X, y = rng.uniform(size=(30, 8, 8)), np.arange(30) % 3
    classifier = make_classifier(
        architecture=own_images_architecture(n_outputs=4), latent_dim=6, unlabeled_value=None
    )
    monkeypatch.setattr(
        "sgan_sklearn._training.net.SGANNet.train_step", lambda *args: pytest.fail("step")
    )
    with pytest.raises(ValueError, match="'discriminator' parameter of ModuleArchitecture"):
        classifier.fit(X, y)


@pytest.mark.parametrize("name", ["mlp", "conv"])
def test_weights_are_normalized_once(name):
    shape = SHAPES[name][0]
    network = ARCHITECTURES[name]().build_discriminator(shape, 3).eval()
    layers = [*network.hidden, network.output]
    x = torch.randn(5, *shape)

    def gradients():
        network.zero_grad()
        outputs = network(x)
        (outputs.square().sum() + network(2 * x).sum()).backward()
        return [outputs.detach(), *(weight.grad for weight in network.parameters())]

    each_time = gradients()
    with normalized_once(network):
        assert layers[0].weight() is layers[0].weight()
        together = gradients()
    assert layers[0].weight() is not layers[0].weight()
    for one, other in zip(each_time, together, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)
    with pytest.raises(ZeroDivisionError), normalized_once(network):
        raise ZeroDivisionError
    assert all(layer.normalized is None for layer in layers)
