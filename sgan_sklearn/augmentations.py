"""Augmentations: random changes of images that leave their class as it is.

One class for each, and :data:`AUGMENTATIONS` at the bottom. To add one, derive from
:class:`Augmentation`, then either add its line to the dict or pass an instance as
``SGANClassifier(augment=...)``.
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
    """Random change of a batch of images, drawn anew for each image and each call.

    It is a scikit-learn estimator only for the sake of its parameters: ``clone`` copies it and
    a grid reaches them as ``augment__name``. Random numbers come from torch's global generators.

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
        """Return changed images.

        Parameters
        ----------
        x : Tensor of shape (n, channels, height, width)
            Images in the model space; they are not to be changed in place.

        Returns
        -------
        changed : Tensor of shape (n, channels, height, width)
            The images in their order, of the same dtype and on the same device.
        """


class AffineAugmentation(Augmentation):
    """Shift, turn and scale each image by random amounts.

    Amounts are drawn evenly between minus and plus the given ones. Pixels are interpolated
    between their neighbors; places from beyond the border take the nearest pixel's value.

    .. versionadded:: 0.1

    Parameters
    ----------
    shift : float, default=0.08
        Largest shift up, down, left or right, as a share of the height or width: 0.08 of 28
        pixels are about 2 pixels.
    rotation : float, default=10.0
        Largest turn, in degrees.
    scale : float, default=0.1
        Largest growth or shrinkage, as a fraction: 0.1 makes between 0.9 and 1.1 of the size.
    flip : bool, default=False
        Whether to mirror each image left to right with probability one half. Only for images
        whose mirror image has the same class: photographs, not digits.

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
        """Return changed images."""
        n, _, height, width = x.shape
        # Always five numbers an image, so that no parameter moves the others' random numbers.
        drawn = torch.rand(5, n, device=x.device)
        turn, growth, left, down = drawn[:4] * 2 - 1
        angle = turn * math.radians(self.rotation)
        # The map goes from places of the result to places of the image: growing shrinks it.
        zoom = 1 / (1 + growth * self.scale)
        mirror = torch.where(drawn[4] < 0.5, -1.0, 1.0) if self.flip else torch.ones_like(zoom)
        cos, sin = zoom * angle.cos(), zoom * angle.sin()
        # Places run from -1 to 1 along both sides, however long: a turn has to know the lengths.
        across = torch.stack([cos * mirror, -sin * height / width, 2 * self.shift * left], dim=1)
        along = torch.stack([sin * mirror * width / height, cos, 2 * self.shift * down], dim=1)
        maps = torch.stack([across, along], dim=1).to(x.dtype)
        grid = F.affine_grid(maps, list(x.shape), align_corners=False)
        return F.grid_sample(x, grid, padding_mode="border", align_corners=False)


AUGMENTATIONS: dict[str, type[Augmentation]] = {
    "affine": AffineAugmentation,
}
