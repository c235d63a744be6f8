"""Augmentations: random transformations of images that preserve their class.

To add an augmentation, derive a class from :class:`Augmentation`. Then either add it to the dict
:data:`AUGMENTATIONS` or pass an instance as ``SGANClassifier(augment=...)``.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from numbers import Real
from typing import Any, ClassVar

import torch
from sklearn.base import BaseEstimator
from sklearn.utils._param_validation import Interval
from torch import Tensor
from torch.nn import functional as F

__all__ = ["AUGMENTATIONS", "AffineAugmentation", "Augmentation"]


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


class AffineAugmentation(Augmentation):
    """Shift, rotate and scale each image by random amounts.

    Amounts are uniformly distributed between minus and plus the given values. Pixels are
    interpolated, and pixels beyond the border take the value of the nearest pixel.

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

    References
    ----------
    Simard, Steinkraus and Platt, "Best Practices for Convolutional Neural Networks Applied to
    Visual Document Analysis", 2003.

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
    }

    def __init__(
        self, shift: float = 0.08, rotation: float = 10.0, scale: float = 0.1, flip: bool = False
    ) -> None:
        self.shift = shift
        self.rotation = rotation
        self.scale = scale
        self.flip = flip

    def __call__(self, x: Tensor) -> Tensor:
        """Return transformed images."""
        n, _, height, width = x.shape
        # Always draw five numbers per image, so that a parameter does not affect the others.
        uniform = torch.rand(5, n, device=x.device)
        turn, growth, shift_x, shift_y = uniform[:4] * 2 - 1
        angle = turn * math.radians(self.rotation)
        # The affine map goes from the output to the input, so the scale is inverted.
        zoom = 1 / (1 + growth * self.scale)
        mirror = torch.where(uniform[4] < 0.5, -1.0, 1.0) if self.flip else torch.ones_like(zoom)
        cos, sin = zoom * angle.cos(), zoom * angle.sin()
        # Coordinates range from -1 to 1 on both axes, so a rotation depends on the side lengths.
        x_map = torch.stack([cos * mirror, -sin * height / width, 2 * self.shift * shift_x], dim=1)
        y_map = torch.stack([sin * mirror * width / height, cos, 2 * self.shift * shift_y], dim=1)
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


AUGMENTATIONS: dict[str, type[Augmentation]] = {
    "affine": AffineAugmentation,
}
