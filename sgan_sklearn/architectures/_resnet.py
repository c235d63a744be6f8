"""Residual networks, for images."""

from __future__ import annotations

from itertools import pairwise
from numbers import Integral
from typing import Any, ClassVar

import numpy as np
import torch
from sklearn.utils._param_validation import Interval, StrOptions
from torch import Tensor, nn
from torch.nn import functional as F

from sgan_sklearn._data.validation import MAX_LAYERS
from sgan_sklearn.architectures._base import (
    NO_HEADS,
    Architecture,
    Discriminator,
    Generator,
    Heads,
)
from sgan_sklearn.architectures._conv import ConvGenerator, check_images, check_widths
from sgan_sklearn.architectures._layers import BatchNorm2d
from sgan_sklearn.architectures._muon import Muon

__all__ = ["ResNetArchitecture"]

# Channels of the stages, each of which halves the image.
WIDTHS: dict[str, tuple[int, ...]] = {
    "small": (64, 128, 128),
    "medium": (64, 256, 256),
    "large": (128, 384, 384),
}

# A stage halves the image if at least this many pixels remain on each side.
MIN_SIDE = 3

# Side of the patches that the first layer whitens, and the smallest variance that it divides by, as
# a share of the mean variance: smaller ones are the noise of compression.
PATCH = 2
MIN_VARIANCE = 1e-3

# Shares of new values in the running statistics of batch normalization: a mean of some batches is
# less random than the last one.
MOMENTUM = 0.05

# Parts on each side of the image whose means are features: of whitened pixels, and of the stages.
# With means over entire images, the generator does not learn where things are.
PARTS = 4, 2


class _Whitening(nn.Module):
    """Fixed convolution whose outputs are uncorrelated on the training images, and its negative.

    With the covariance ``C = E L E'`` of all patches of pixels, the filters are the rows of
    ``L^(-1/2) E'``. Without it, most of the variance of photographs is in their mean brightness.
    """

    filters: Tensor
    offsets: Tensor

    def __init__(self, n_channels: int) -> None:
        super().__init__()
        n_values = n_channels * PATCH**2
        self.n_outputs = 2 * n_values
        filters = torch.empty(n_values, n_values)
        nn.init.orthogonal_(filters)
        self.register_buffer("filters", filters.view(n_values, n_channels, PATCH, PATCH))
        self.register_buffer("offsets", torch.zeros(n_values))

    @torch.no_grad()
    def initialize_from_data(self, x: Tensor) -> None:
        """Compute the filters from images."""
        patches = F.unfold(x, PATCH).movedim(1, -1).flatten(0, 1)
        centered = patches - patches.mean(dim=0)
        covariance = centered.T @ centered / len(centered)
        variances, directions = torch.linalg.eigh(covariance.cpu().double())
        smallest = MIN_VARIANCE * variances.mean().clamp(min=1e-12)
        filters = (directions / (variances.clamp(min=0) + smallest).sqrt()).T
        self.filters.copy_(filters.view_as(self.filters))
        self.offsets.copy_(-(filters @ patches.mean(dim=0).cpu().double()))

    def forward(self, x: Tensor) -> Tensor:
        """Return the filtered images and their negatives, one pixel less on each side."""
        y = F.conv2d(x, self.filters.to(x.dtype), self.offsets.to(x.dtype))
        return torch.cat([y, -y], dim=1)


class _Stage(nn.Module):
    """Convolutions, the first of which may halve the image and the others of which may be residual.

    Batch normalization follows the pooling, which leaves it a quarter of the values.
    """

    def __init__(self, n_in: int, n_out: int, n_convolutions: int, *, halves: bool) -> None:
        super().__init__()
        self.halves = halves
        channels = [n_in, *[n_out] * n_convolutions]
        self.convolutions: Any = nn.ModuleList(
            nn.Conv2d(before, after, 3, padding=1, bias=False)
            for before, after in pairwise(channels)
        )
        self.norms: Any = nn.ModuleList(
            BatchNorm2d(n_out, momentum=MOMENTUM) for _ in range(n_convolutions)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return the values of the last convolution."""
        (convolution, norm), *others = zip(self.convolutions, self.norms, strict=True)
        x = convolution(x)
        x = F.gelu(norm(F.max_pool2d(x, 2) if self.halves else x))
        y = x
        for convolution, norm in others:
            y = F.gelu(norm(convolution(y)))
        return x + y if len(others) > 1 else y


class _ResNetDiscriminator(Discriminator):
    uses_batch_statistics = True
    optimizer = Muon

    stages: Any  # a ModuleList, whose items mypy would treat as Module

    def __init__(
        self,
        n_channels: int,
        side: int,
        widths: tuple[int, ...],
        n_convolutions: int,
        n_outputs: int,
    ) -> None:
        super().__init__()
        self.whitening = _Whitening(n_channels)
        channels = [self.whitening.n_outputs, *widths]
        self.stages = nn.ModuleList()
        side -= PATCH - 1
        for before, after in pairwise(channels):
            halves = side // 2 >= MIN_SIDE
            side = side // 2 if halves else side
            self.stages.append(_Stage(before, after, n_convolutions, halves=halves))
        self.output = nn.Linear(channels[-1], n_outputs)
        for weight in self.stages.parameters():
            if weight.ndim == 4:  # the faster layout
                weight.data = weight.data.contiguous(memory_format=torch.channels_last)

    def forward_features(self, x: Tensor) -> Tensor:
        return _maxima(self._values(x)[-1])

    def forward_head(self, features: Tensor) -> Tensor:
        return self.output(features)

    def matched_features(self, x: Tensor) -> Tensor:
        """Return the maxima of the last stage, and means of all layers over parts of the image."""
        whitened, *values = self._values(x)
        means = [_means(whitened, PARTS[0])]
        for value in values:
            means += [_means(value, PARTS[1]), _means(value.square(), 1)]
        return torch.cat([_maxima(values[-1]), *(mean.flatten(1) for mean in means)], dim=1)

    def _values(self, x: Tensor) -> list[Tensor]:
        """Return the values of the whitening layer and of each stage."""
        x = x.contiguous(memory_format=torch.channels_last)
        values = [F.gelu(self.whitening(x))]
        for stage in self.stages:
            values.append(stage(values[-1]))
        return values

    def initialize_from_data(self, x: Tensor) -> None:
        self.whitening.initialize_from_data(x)


def _maxima(x: Tensor) -> Tensor:
    """Return the maximum of each channel."""
    return F.max_pool2d(x, list(x.shape[2:])).flatten(1)


def _means(x: Tensor, n_parts: int) -> Tensor:
    """Return the means of each channel over parts of the image, at most `n_parts` on each side.

    The gradients of `Tensor.mean` have a slow layout, and those of adaptive pooling are not
    deterministic on a GPU.
    """
    return F.avg_pool2d(x, [-(-side // n_parts) for side in x.shape[2:]], ceil_mode=True)


def _interpolated(n_in: int, n_out: int, *, bias: bool) -> nn.Module:
    """Return a layer that doubles the size by repeating pixels, followed by a convolution."""
    convolution = nn.Conv2d(n_in, n_out, 3, padding=1, bias=bias)
    return nn.Sequential(nn.Upsample(scale_factor=2), convolution)


class ResNetArchitecture(Architecture):
    """Residual networks for images of 8 to 64 pixels per side.

    The first layer of the discriminator is fixed: it whitens patches of 2 x 2 pixels of the
    training images. Each of the following stages has a convolution, a max pooling that halves the
    image as long as each side keeps at least 3 pixels, and further convolutions; from three on, the
    halved image is added to the result of the last one. All convolutions are 3 x 3 with batch
    normalization and Gaussian error linear units. A linear layer maps the maxima over the remaining
    pixels to the outputs. The generator repeats the pixels of a small image and applies a
    convolution, until the size is reached. For feature matching, it imitates these maxima, the
    means of all layers over quarters of the image or smaller parts, and the means of the squares of
    each stage over the image.

    Batch normalization mixes rows in training, so labeled, unlabeled and generated rows are passed
    separately, and the statistics for predictions are those of real rows, augmented or not.

    The optimizer of the convolutions is Muon, which makes their steps nearly orthogonal matrices.

    .. versionadded:: 0.1

    Parameters
    ----------
    width : {"small", "medium", "large"} or tuple of int, default="medium"
        Number of channels of each stage: "small" is (64, 128, 128), "medium" (64, 256, 256), and
        "large" (128, 384, 384). The time grows with the square of the width.
    n_convolutions : int, default=2
        Number of convolutions of a stage. From three on, the stages are residual.
    generator_width : int, default=32
        Number of channels before the last layer of the generator. Each preceding layer has twice
        as many.

    See Also
    --------
    ConvArchitecture : Smaller and faster networks.

    References
    ----------
    Jordan, "94% on CIFAR-10 in 3.29 Seconds on a Single GPU", 2024, arXiv:2404.00498.

    He et al., "Deep Residual Learning for Image Recognition", 2015, arXiv:1512.03385.

    Ioffe and Szegedy, "Batch Normalization", 2015, arXiv:1502.03167.

    Examples
    --------
    >>> import numpy as np
    >>> from sgan_sklearn import SGANClassifier
    >>> from sgan_sklearn.architectures import ResNetArchitecture
    >>> images = np.random.RandomState(0).randint(256, size=(40, 16, 16, 3), dtype=np.uint8)
    >>> tiny = ResNetArchitecture(width=(8, 8), generator_width=8)
    >>> clf = SGANClassifier(tiny, max_epochs=1, random_state=0)
    >>> clf.fit(images, 10 * [0, 1, -1, -1]).predict(images).shape
    (40,)
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "width": [StrOptions(set(WIDTHS)), tuple, list],
        "n_convolutions": [Interval(Integral, 1, MAX_LAYERS, closed="both")],
        "generator_width": [Interval(Integral, 1, None, closed="left")],
    }

    def __init__(
        self,
        width: str | tuple[int, ...] = "medium",
        n_convolutions: int = 2,
        generator_width: int = 32,
    ) -> None:
        self.width = width
        self.n_convolutions = n_convolutions
        self.generator_width = generator_width

    def build_discriminator(self, input_shape: tuple[int, ...], n_outputs: int) -> Discriminator:
        """Return a residual network from images to `n_outputs`."""
        n_channels, *size = check_images(self, input_shape)
        widths = WIDTHS[self.width] if isinstance(self.width, str) else self.width
        return _ResNetDiscriminator(
            n_channels,
            min(size),
            tuple(int(width) for width in widths),
            int(self.n_convolutions),
            n_outputs,
        )

    def build_generator(
        self, latent_dim: int, bounds: np.ndarray, heads: Heads = NO_HEADS
    ) -> Generator:
        """Return a network from `latent_dim` to images between ``bounds[0]`` and ``bounds[1]``."""
        check_images(self, bounds.shape[1:])
        return ConvGenerator(latent_dim, int(self.generator_width), bounds, _interpolated)

    def _validate_params(self) -> None:
        super()._validate_params()
        if not isinstance(self.width, str):
            check_widths(self, "stage")
