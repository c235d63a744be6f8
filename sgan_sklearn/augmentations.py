"""Augmentations: random transformations of images that preserve their class.

To add an augmentation, derive a class from :class:`Augmentation`. Then either add it to the dict
:data:`AUGMENTATIONS` or pass an instance as ``SGANClassifier(augment=...)``.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from numbers import Real
from typing import Any, ClassVar

import torch
from sklearn.base import BaseEstimator
from sklearn.utils._param_validation import Interval
from torch import Tensor
from torch.nn import functional as F

__all__ = [
    "AUGMENTATIONS",
    "AffineAugmentation",
    "Augmentation",
    "PhotoAugmentation",
    "TransformAugmentation",
]


class Augmentation(BaseEstimator, ABC):
    """Base class of random transformations of a batch of images.

    Each image and each call uses new random numbers, from torch's global generators. An
    augmentation is a scikit-learn estimator so that ``clone`` copies it and its parameters can be
    set as ``augment__name``, as in a grid search.

    .. versionadded:: 0.1

    Examples
    --------
    >>> import torch
    >>> from sklearn.datasets import load_digits
    >>> from sgan_sklearn import SGANClassifier
    >>> from sgan_sklearn.architectures import ConvArchitecture
    >>> from sgan_sklearn.augmentations import Augmentation
    >>> class Brightness(Augmentation):
    ...     def __init__(self, amount=0.1):
    ...         self.amount = amount
    ...
    ...     def __call__(self, x):
    ...         return x + self.amount * torch.randn(len(x), 1, 1, 1, device=x.device)
    >>> images, y = load_digits().images[:200], load_digits().target[:200]
    >>> clf = SGANClassifier(ConvArchitecture(width=4), augment=Brightness(), max_epochs=1)
    >>> clf.set_params(augment__amount=0.2, unlabeled_value=None).fit(images, y).n_iter_
    1
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {}

    needs_pixels: ClassVar[bool] = False
    """Whether images must be scaled to pixels from -1 to 1, as ``scaling="image"`` does."""

    is_recordable: ClassVar[bool] = True
    """Whether a training step with the augmentation may be recorded and replayed without Python."""

    @abstractmethod
    def __call__(self, x: Tensor) -> Tensor:
        """Return transformed images.

        Parameters
        ----------
        x : Tensor of shape (n, channels, height, width)
            Images in the model space, which must not be changed in place.

        Returns
        -------
        transformed : Tensor of shape (n, channels, height, width)
            The images in the same order, with the same dtype and on the same device.
        """

    def strong(self, x: Tensor) -> Tensor:
        """Return more strongly transformed images (default: the same as a call).

        Pseudo-labels and the labels of label spreading, which come from images without
        augmentation, are learned on these.

        Parameters
        ----------
        x : Tensor of shape (n, channels, height, width)
            Images in the model space, which must not be changed in place.

        Returns
        -------
        transformed : Tensor of shape (n, channels, height, width)
            The images in the same order, with the same dtype and on the same device.
        """
        return self(x)

    def realistic(self, x: Tensor) -> Tensor:
        """Return transformed images that look like real ones (default: the same as a call).

        The discriminator compares these with generated images, so the generator imitates them.

        Parameters
        ----------
        x : Tensor of shape (n, channels, height, width)
            Images in the model space, which must not be changed in place.

        Returns
        -------
        transformed : Tensor of shape (n, channels, height, width)
            The images in the same order, with the same dtype and on the same device.
        """
        return self(x)


class AffineAugmentation(Augmentation):
    """Shift, rotate and scale each image by random amounts, and optionally cut out a square.

    Amounts are uniformly distributed between minus and plus the given values. Pixels are
    interpolated, and pixels beyond the border take the value of the nearest pixel. The real
    images that the generator learns from have no cut-out squares. The default for gray images in
    residual networks is ``AffineAugmentation(cutout=0.3, interpolated=0.5)``.

    .. versionadded:: 0.1

    Parameters
    ----------
    shift : float, default=0.08
        Maximum shift in each direction, as a fraction of the height or width: 0.08 of 28 pixels is
        about 2 pixels.
    rotation : float, default=10.0
        Maximum rotation, in degrees.
    scale : float, default=0.1
        Maximum change of the size, as a fraction: 0.1 scales by factors from 0.9 to 1.1.
    flip : bool, default=False
        Whether to flip each image horizontally with probability 0.5. Use this only if the mirror
        image has the same class, as for photographs, but not for digits.
    cutout : float, default=0.0
        Side of a square that is set to zero, the middle of the range of pixels with
        ``scaling="image"``, as a fraction of the shorter side. Its center may be near the border,
        so that less is cut out. In strong views it is half larger.
    interpolated : float, default=1.0
        Share of the images that are interpolated. The others are neither rotated nor scaled, and
        are shifted by whole pixels, so that they are as sharp as the images of predictions.

    References
    ----------
    Simard, Steinkraus and Platt, "Best Practices for Convolutional Neural Networks Applied to
    Visual Document Analysis", 2003.

    DeVries and Taylor, "Improved Regularization of Convolutional Neural Networks with Cutout",
    2017, arXiv:1708.04552.

    Examples
    --------
    >>> import torch
    >>> from sgan_sklearn.augmentations import AffineAugmentation
    >>> AffineAugmentation(rotation=15)(torch.zeros(5, 3, 32, 32)).shape
    torch.Size([5, 3, 32, 32])
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "shift": [Interval(Real, 0, 1, closed="both")],
        "rotation": [Interval(Real, 0, 180, closed="both")],
        "scale": [Interval(Real, 0, 1, closed="left")],
        "flip": ["boolean"],
        "cutout": [Interval(Real, 0, 0.8, closed="both")],
        "interpolated": [Interval(Real, 0, 1, closed="both")],
    }

    def __init__(
        self,
        shift: float = 0.08,
        rotation: float = 10.0,
        scale: float = 0.1,
        flip: bool = False,
        cutout: float = 0.0,
        interpolated: float = 1.0,
    ) -> None:
        self.shift = shift
        self.rotation = rotation
        self.scale = scale
        self.flip = flip
        self.cutout = cutout
        self.interpolated = interpolated

    def __call__(self, x: Tensor) -> Tensor:
        """Return transformed images."""
        return _cut(self._moved(x), self.cutout)

    def strong(self, x: Tensor) -> Tensor:
        """Return transformed images with a larger square cut out."""
        return _cut(self._moved(x), 1.5 * self.cutout) if self.cutout else self(x)

    def realistic(self, x: Tensor) -> Tensor:
        """Return transformed images with nothing cut out."""
        return self._moved(x) if self.cutout else self(x)

    def _moved(self, x: Tensor) -> Tensor:
        """Return shifted, rotated and scaled images."""
        n, _, height, width = x.shape
        # Always draw five numbers per image, so that the amounts do not affect each other.
        uniform = torch.rand(5, n, device=x.device)
        turn, growth, shift_x, shift_y = uniform[:4] * 2 - 1
        shift_x, shift_y = self.shift * shift_x, self.shift * shift_y
        if self.interpolated < 1:
            is_shifted = torch.rand(n, device=x.device) >= self.interpolated
            turn, growth = (torch.where(is_shifted, 0.0, amount) for amount in (turn, growth))
            shift_x = torch.where(is_shifted, (width * shift_x).round() / width, shift_x)
            shift_y = torch.where(is_shifted, (height * shift_y).round() / height, shift_y)
        angle = turn * math.radians(self.rotation)
        # The affine map goes from the output to the input, so the scale is inverted.
        zoom = 1 / (1 + growth * self.scale)
        mirror = torch.where(uniform[4] < 0.5, -1.0, 1.0) if self.flip else torch.ones_like(zoom)
        cos, sin = zoom * angle.cos(), zoom * angle.sin()
        # Coordinates range from -1 to 1 on both axes, so a rotation depends on the side lengths.
        x_map = torch.stack([cos * mirror, -sin * height / width, 2 * shift_x], dim=1)
        y_map = torch.stack([sin * mirror * width / height, cos, 2 * shift_y], dim=1)
        maps = torch.stack([x_map, y_map], dim=1).to(x.dtype)
        # One product for all images, where F.affine_grid computes a small one for each.
        grid = maps.flatten(0, 1) @ _pixel_centers(height, width, like=x)
        grid = grid.view(n, 2, height, width).movedim(1, 3)
        return F.grid_sample(x, grid, padding_mode="border", align_corners=False)


def _pixel_centers(height: int, width: int, like: Tensor) -> Tensor:
    """Return the coordinates x, y and 1 of each pixel, shape (3, height * width)."""
    rows, columns = (
        (2 * torch.arange(n, dtype=like.dtype, device=like.device) + 1) / n - 1
        for n in (height, width)
    )
    y, x = torch.meshgrid(rows, columns, indexing="ij")
    return torch.stack([x, y, torch.ones_like(x)]).flatten(1)


class PhotoAugmentation(Augmentation):
    """Shift and flip each photograph, and cut out a square; strong views also change colors.

    Amounts are uniformly distributed between minus and plus the given values. Pixels beyond the
    border are those of the mirrored image. The real images that the generator learns from have no
    cut-out squares.

    .. versionadded:: 0.1

    Parameters
    ----------
    shift : float, default=0.125
        Maximum shift in each direction, in whole pixels, as a fraction of the height or width:
        0.125 of 32 pixels is 4 pixels.
    flip : bool, default=True
        Whether to flip each image horizontally with probability 0.5. With ``augment="auto"``,
        images are not flipped if they can be told from their mirror images, such as house numbers.
    cutout : float, default=0.4
        Side of a square that is set to the middle of the range of pixels, as a fraction of the
        shorter side. Its center may be near the border, so that less is cut out. In strong views
        it is a quarter larger.
    color : float, default=0.4
        Maximum change of the contrast and of the saturation of strong views, as a fraction; their
        brightness changes by half as much of the range of pixels at most.

    References
    ----------
    DeVries and Taylor, "Improved Regularization of Convolutional Neural Networks with Cutout",
    2017, arXiv:1708.04552.

    Sohn et al., "FixMatch" (weak and strong views), 2020, arXiv:2001.07685.

    Examples
    --------
    >>> import torch
    >>> from sgan_sklearn.augmentations import PhotoAugmentation
    >>> PhotoAugmentation(flip=False)(torch.zeros(5, 3, 32, 32)).shape
    torch.Size([5, 3, 32, 32])
    """

    needs_pixels = True

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "shift": [Interval(Real, 0, 0.5, closed="both")],
        "flip": ["boolean"],
        "cutout": [Interval(Real, 0, 0.8, closed="both")],
        "color": [Interval(Real, 0, 1, closed="both")],
    }

    def __init__(
        self, shift: float = 0.125, flip: bool = True, cutout: float = 0.4, color: float = 0.4
    ) -> None:
        self.shift = shift
        self.flip = flip
        self.cutout = cutout
        self.color = color

    def __call__(self, x: Tensor) -> Tensor:
        """Return transformed images."""
        return _cut(self._moved(x), self.cutout)

    def strong(self, x: Tensor) -> Tensor:
        """Return images that are transformed, with other colors and a larger square cut out."""
        return _cut(self._colored(self._moved(x)), 1.25 * self.cutout)

    def realistic(self, x: Tensor) -> Tensor:
        """Return shifted and flipped images."""
        return self._moved(x)

    def _moved(self, x: Tensor) -> Tensor:
        """Return shifted and flipped images."""
        n, _, height, width = x.shape
        uniform = torch.rand(3, n, 1, device=x.device)
        rows, columns = (
            _mirrored(_shifted(n_pixels, self.shift, share), n_pixels)
            for n_pixels, share in ((height, uniform[0]), (width, uniform[1]))
        )
        if self.flip:
            columns = torch.where(uniform[2] < 0.5, columns.flip(1), columns)
        images = torch.arange(n, device=x.device)
        pixels = x.movedim(1, -1)[images[:, None, None], rows[:, :, None], columns[:, None]]
        return pixels.movedim(-1, 1)

    def _colored(self, x: Tensor) -> Tensor:
        """Return images of other brightness, contrast and saturation."""
        brightness, contrast, saturation = (
            self.color * (2 * torch.rand(3, len(x), 1, 1, 1, device=x.device) - 1)
        ).to(x.dtype)
        mean = x.mean(dim=(1, 2, 3), keepdim=True)
        x = mean + (1 + contrast) * (x - mean) + brightness
        gray = x.mean(dim=1, keepdim=True)
        return (gray + (1 + saturation) * (x - gray)).clamp(-1, 1)


def _cut(x: Tensor, share: float) -> Tensor:
    """Return images with a square set to zero, with a share of the shorter side."""
    n, _, *size = x.shape
    side = round(share * min(size))
    if side == 0:
        return x
    rows, columns = (_square(n, n_pixels, side, x.device) for n_pixels in size)
    return x.masked_fill((rows[:, :, None] & columns[:, None])[:, None], 0.0)


def _square(n: int, n_pixels: int, side: int, device: torch.device) -> Tensor:
    """Return which rows, or columns, of pixels are cut out, shape (n, n_pixels)."""
    first = torch.randint(-(side // 2), n_pixels - side // 2, (n, 1), device=device)
    place = torch.arange(n_pixels, device=device) - first
    return (place >= 0) & (place < side)


def _shifted(n_pixels: int, most: float, share: Tensor) -> Tensor:
    """Return the indices of the pixels of shifted images, shape (n, n_pixels)."""
    n_most = round(most * n_pixels)
    shift = (share * (2 * n_most + 1)).long().clamp(max=2 * n_most) - n_most
    return torch.arange(n_pixels, device=share.device) + shift


def _mirrored(indices: Tensor, n_pixels: int) -> Tensor:
    """Return indices within the image for those beyond its borders."""
    last = n_pixels - 1
    return last - (last - indices.abs()).abs()


class TransformAugmentation(Augmentation):
    """Apply transforms of single images, such as those of torchvision.

    The transforms receive one image at a time, so that each one is changed differently. This takes
    much longer than the augmentations of whole batches.

    .. versionadded:: 0.1

    Parameters
    ----------
    transform : callable
        Takes an image as a float tensor of shape (channels, height, width), with pixels from 0 to
        1, and returns such a tensor of the same shape. Its random numbers must come from torch's
        global generator, so that `random_state` determines them.
    strong_transform : callable, default=None
        The same for the strong views, on which the labels of unlabeled images are learned; None
        stands for `transform`.

    Examples
    --------
    >>> import torch
    >>> from sgan_sklearn.augmentations import TransformAugmentation
    >>> def darker(image):
    ...     return (0.5 + 0.5 * torch.rand(1)) * image
    >>> TransformAugmentation(darker)(torch.ones(2, 3, 8, 8)).shape
    torch.Size([2, 3, 8, 8])

    With torchvision::

        from torchvision.transforms import v2

        weak = v2.Compose([v2.RandomHorizontalFlip(), v2.RandomCrop(32, padding=4)])
        strong = v2.Compose([weak, v2.RandAugment()])
        SGANClassifier(augment=TransformAugmentation(weak, strong))
    """

    needs_pixels = True
    is_recordable = False

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "transform": [callable],
        "strong_transform": [callable, None],
    }

    def __init__(
        self,
        transform: Callable[[Tensor], Tensor],
        strong_transform: Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        self.transform = transform
        self.strong_transform = strong_transform

    def __call__(self, x: Tensor) -> Tensor:
        """Return images changed by `transform`."""
        return _transformed(self.transform, "transform", x)

    def strong(self, x: Tensor) -> Tensor:
        """Return images changed by `strong_transform`."""
        if self.strong_transform is None:
            return self(x)
        return _transformed(self.strong_transform, "strong_transform", x)


def _transformed(transform: Callable[[Tensor], Tensor], name: str, x: Tensor) -> Tensor:
    """Return images of -1 to 1, each changed by a transform of images of 0 to 1."""
    images: list[Any] = [transform(image) for image in (x + 1) / 2]
    shape = x.shape[1:]
    for image in images:
        is_tensor = isinstance(image, Tensor)
        if not is_tensor or image.shape != shape:
            got = tuple(image.shape) if is_tensor else type(image).__name__
            raise ValueError(
                f"The {name!r} parameter of TransformAugmentation must return a tensor of the "
                f"shape of the image, {tuple(shape)}. Got {got}. Crop or resize to that shape."
            )
    return 2 * torch.stack(images).to(x) - 1 if images else x


AUGMENTATIONS: dict[str, type[Augmentation]] = {
    "affine": AffineAugmentation,
    "photo": PhotoAugmentation,
}
