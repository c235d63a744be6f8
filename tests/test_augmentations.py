"""Contracts of all augmentations in the registry, then those of each."""

import numpy as np
import pytest
import torch
from sklearn.base import clone

from sgan_sklearn.augmentations import AUGMENTATIONS, AffineAugmentation, Augmentation

SHAPES = [(5, 1, 8, 8), (4, 3, 9, 13), (2, 1, 28, 28), (1, 3, 64, 64)]
NONE = {"shift": 0.0, "rotation": 0.0, "scale": 0.0}

each_augmentation = pytest.mark.parametrize("name", AUGMENTATIONS)
each_shape = pytest.mark.parametrize("shape", SHAPES, ids=str)


@each_augmentation
def test_clone_and_get_params(name):
    augmentation = AUGMENTATIONS[name]()
    assert isinstance(augmentation, Augmentation)
    assert clone(augmentation).get_params() == augmentation.get_params()
    assert set(augmentation._parameter_constraints) == set(augmentation.get_params())
    augmentation._validate_params()


@pytest.mark.parametrize(
    ("name", "parameter"),
    [(name, key) for name in AUGMENTATIONS for key in AUGMENTATIONS[name]().get_params()],
)
def test_bad_parameter_is_named(name, parameter):
    augmentation = AUGMENTATIONS[name]().set_params(**{parameter: object()})
    message = f"'{parameter}' parameter of {type(augmentation).__name__}"
    with pytest.raises(ValueError, match=message):
        augmentation._validate_params()


@each_shape
@each_augmentation
def test_shape_dtype_and_range_are_kept(name, shape):
    x = 2 * torch.rand(shape) - 1
    before = x.clone()
    augmentation = AUGMENTATIONS[name]()
    for changed in (augmentation(x), augmentation.strong(x)):
        assert changed.shape == x.shape
        assert changed.dtype == x.dtype
        assert changed.device == x.device
        assert torch.equal(x, before)
        assert (changed.abs() <= 1 + 1e-6).all()
    assert (augmentation(x) >= x.min() - 1e-6).all()
    assert (augmentation(x) <= x.max() + 1e-6).all()


@each_augmentation
def test_each_image_and_each_call_differ(name):
    x = torch.rand(1, 1, 8, 8).expand(6, 1, 8, 8)
    augmentation = AUGMENTATIONS[name]()
    first, second = augmentation(x), augmentation(x)
    changed = torch.cat([first, second]).flatten(1)
    assert len(torch.unique(changed, dim=0)) == 12


@each_augmentation
def test_channels_of_an_image_change_together(name):
    x = torch.rand(4, 1, 9, 13).expand(4, 3, 9, 13)
    changed = AUGMENTATIONS[name]()(x)
    assert torch.equal(changed[:, 0], changed[:, 2])


@each_augmentation
def test_random_numbers_come_from_the_global_generator(name):
    def changed(seed):
        torch.manual_seed(seed)
        return AUGMENTATIONS[name]()(x)

    x = torch.rand(3, 1, 8, 8)
    assert torch.equal(changed(1), changed(1))
    assert not torch.equal(changed(1), changed(2))


@each_augmentation
def test_gradient_passes(name):
    x = torch.rand(3, 1, 8, 8, requires_grad=True)
    AUGMENTATIONS[name]()(x).sum().backward()
    assert x.grad.abs().sum() > 0


# --- AffineAugmentation -------------------------------------------------------------------------


@pytest.fixture
def drawn(monkeypatch):
    """Return a function that sets the numbers drawn: turn, growth, left, down, mirror."""

    def set_numbers(*numbers):
        values = torch.tensor(numbers)[:, None]
        monkeypatch.setattr(torch, "rand", lambda k, n, device: values.expand(k, n))

    return set_numbers


@each_shape
def test_affine_with_zero_amounts_changes_nothing(shape):
    x = torch.rand(shape)
    torch.testing.assert_close(AffineAugmentation(**NONE)(x), x, atol=1e-4, rtol=0)


@each_shape
def test_affine_flip_mirrors_about_half_of_the_images(shape):
    x = torch.rand(shape)[:1].expand(200, *shape[1:])
    changed = AffineAugmentation(**NONE, flip=True)(x)
    same = (changed - x).abs().amax(dim=(1, 2, 3)) < 1e-3
    mirrored = (changed - x.flip(3)).abs().amax(dim=(1, 2, 3)) < 1e-3
    assert (same | mirrored).all()
    assert 60 < mirrored.sum() < 140


def test_affine_shift_is_a_share_of_each_side(drawn):
    drawn(0.5, 0.5, 1.0, 0.5, 0.0)
    x = torch.arange(20.0).expand(1, 1, 10, 20)
    changed = AffineAugmentation(shift=0.1, rotation=0, scale=0)(x)
    expected = (torch.arange(20.0) + 2).clamp(max=19)  # the border takes the nearest value
    torch.testing.assert_close(changed, expected.expand(1, 1, 10, 20))
    drawn(0.5, 0.5, 0.5, 1.0, 0.0)
    x = x.transpose(2, 3)[:, :, :10]
    changed = AffineAugmentation(shift=0.1, rotation=0, scale=0)(x)
    torch.testing.assert_close(changed, (x + 1).clamp(max=9))


@pytest.mark.parametrize("shape", [(9, 9), (9, 15), (15, 9)])
def test_affine_rotation_is_in_degrees_and_keeps_lengths(shape, drawn):
    drawn(1.0, 0.5, 0.5, 0.5, 0.0)
    height, width = shape
    x = torch.zeros(1, 1, height, width)
    x[0, 0, height // 2, width // 2 - 3 : width // 2 + 4] = 1  # a bar of seven pixels
    changed = AffineAugmentation(shift=0, rotation=90, scale=0)(x)
    expected = torch.zeros_like(x)
    expected[0, 0, height // 2 - 3 : height // 2 + 4, width // 2] = 1
    torch.testing.assert_close(changed, expected, atol=1e-4, rtol=0)


@pytest.mark.parametrize(("number", "factor"), [(1.0, 1.5), (0.0, 0.5)])
def test_affine_scale_is_a_fraction(number, factor, drawn):
    drawn(0.5, number, 0.5, 0.5, 0.0)
    x = torch.linspace(-1, 1, 41).expand(1, 1, 41, 41)
    changed = AffineAugmentation(shift=0, rotation=0, scale=0.5)(x)
    middle = slice(15, 26)  # away from the border
    torch.testing.assert_close(changed[..., middle], x[..., middle] / factor)


@pytest.mark.parametrize(("interpolated", "fewest", "most"), [(0.4, 90, 150), (0.0, 200, 200)])
def test_affine_whole_pixels(interpolated, fewest, most):
    x = torch.rand(200, 2, 20, 30)
    changed = AffineAugmentation(shift=0.1, interpolated=interpolated)(x)
    shifts, is_shifted = set(), torch.zeros(200, dtype=torch.bool)
    for i in range(-2, 3):
        for j in range(-3, 4):
            back = changed.roll((i, j), dims=(2, 3))[:, :, 2:-2, 3:-3]
            found = (back - x[:, :, 2:-2, 3:-3]).abs().amax(dim=(1, 2, 3)) < 1e-3
            is_shifted |= found
            shifts |= {(i, j)} if found.any() else set()
    assert fewest <= is_shifted.sum() <= most
    assert len(shifts) > 20


def test_affine_cutout_is_a_share_of_the_shorter_side():
    x = 0.5 + torch.rand(300, 2, 20, 30)
    augmentation = AffineAugmentation(**NONE, cutout=0.3)
    for changed, side in ((augmentation(x), 6), (augmentation.strong(x), 9)):
        n_cut = (changed == 0).all(dim=1).sum(dim=(1, 2))
        assert n_cut.max() == side**2
        assert n_cut.min() >= 1
        kept = changed != 0
        torch.testing.assert_close(changed[kept], x[kept], atol=1e-4, rtol=0)
    for whole in (augmentation.realistic(x), AffineAugmentation(**NONE).strong(x)):
        torch.testing.assert_close(whole, x, atol=1e-4, rtol=0)


@pytest.mark.parametrize(
    ("parameter", "value"),
    [
        ("cutout", 0.9),
        ("interpolated", -0.1),
        ("shift", -0.1),
        ("shift", 1.1),
        ("rotation", 181),
        ("scale", 1.0),
        ("flip", "yes"),
    ],
)
def test_affine_invalid_values_are_refused(parameter, value):
    with pytest.raises(ValueError, match=f"'{parameter}' parameter of AffineAugmentation"):
        AffineAugmentation(**{parameter: value})._validate_params()


def test_affine_documented_pixels():
    assert np.isclose(AffineAugmentation().shift * 28, 2, atol=0.3)


def test_affine_subclasses_need_only_a_call():
    class Constant(AffineAugmentation):
        def __call__(self, x):
            return torch.full_like(x, 0.7)

    x, augmentation = torch.rand(3, 1, 8, 8), Constant()
    for view in (augmentation, augmentation.strong, augmentation.realistic):
        assert (view(x) == 0.7).all()
