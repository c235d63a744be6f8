"""Features of images that are learned without labels, from their patches."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from sklearn.utils import gen_batches
from torch.nn import functional as F

from sgan_sklearn.regularizers._simple_classifiers import random_subset

if TYPE_CHECKING:
    from torch import Tensor

    from sgan_sklearn._data.rows import Rows

__all__ = ["PatchFeatures"]

# Side of the patches, number of their clusters, and sides of the grid of averages.
PATCH = 6
N_CLUSTERS = 100
GRID = 3

# Number of pixels to which larger images are reduced, since each pixel has a patch.
MAX_PIXELS = 32 * 32

# Numbers of images and of patches from which the features are learned.
MAX_IMAGES = 10_000
MAX_PATCHES = 40_000
PATCHES_AT_A_TIME = 100_000

# Added to the variance of a patch, of pixels from 0 to 1, and to the variances of their principal
# components before the whitening, which would otherwise amplify noise.
PATCH_VARIANCE = 0.01
COMPONENT_VARIANCE = 0.1

# Principal components of the features: at least three, as one would leave two different rows of
# length one, but no more than a tenth of the images, since the last ones would be noise.
MIN_COMPONENTS = 3
MAX_COMPONENTS = 60


class PatchFeatures:
    """Features of images by their similarity to frequent patches, learned without labels.

    Each patch is normalized and whitened, and compared with the centers of k-means clusters: its
    activation ``max(0, mean_j d_j - d_k)`` depends on the distance ``d_k`` to center k. The square
    roots of the averages over the parts of a grid are reduced to principal components of unit
    variance, and each row is scaled to the length one. Images of more pixels are first
    reduced to about 32 x 32.

    Parameters
    ----------
    rows : Tensor of shape (n, channels, height, width) or similar
        Images.
    seed : int
        Seed of the chosen patches and the clusters.

    References
    ----------
    Coates, Ng and Lee, "An Analysis of Single-Layer Networks in Unsupervised Feature Learning",
    2011.
    """

    def __init__(self, rows: Rows, seed: int) -> None:
        # Imported here, so that programs that only predict do not load them.
        from sklearn.cluster import MiniBatchKMeans
        from sklearn.decomposition import PCA

        rng = np.random.RandomState(seed)
        self._rows = rows
        height, width = self._size = reduced_size(*rows.shape[2:])
        self._side = min(PATCH, height, width)
        self._n_patches = (height - self._side + 1) * (width - self._side + 1)
        sample = random_subset(np.arange(len(rows)), MAX_IMAGES)
        parts = self._parts(sample)
        bounds = [torch.aminmax(self._images(part)) for part in parts]
        self._low = min(float(bound.min) for bound in bounds)
        self._range = max(max(float(bound.max) for bound in bounds) - self._low, 1e-12)
        per_image = min(-(-MAX_PATCHES // len(sample)), self._n_patches)
        chosen = [self._some_patches(self._images(part), per_image, rng) for part in parts]
        patches = torch.cat(chosen)
        self._mean = patches.mean(dim=0)
        variances, axes = torch.linalg.eigh(torch.atleast_2d(torch.cov(patches.T)))
        self._whitening = (axes / (variances + COMPONENT_VARIANCE).sqrt()) @ axes.T
        whitened = self._whiten(patches).cpu().numpy()
        clusters = MiniBatchKMeans(
            min(N_CLUSTERS, len(whitened)),
            random_state=rng,
            n_init=1,
            batch_size=2_000,
            max_iter=30,
        ).fit(whitened)
        self._centers = torch.from_numpy(clusters.cluster_centers_).to(patches)
        learned = self._activations(sample)
        n_components = max(MIN_COMPONENTS, min(MAX_COMPONENTS, len(learned) // 10))
        n_components = max(1, min(n_components, len(learned) - 1, learned.shape[1]))
        self._pca = PCA(n_components, whiten=True, svd_solver="covariance_eigh").fit(learned)

    def transform(self, indices: np.ndarray) -> np.ndarray:
        """Return the features of some of the images, as rows of length one."""
        features = self._pca.transform(self._activations(indices))
        lengths = np.linalg.norm(features, axis=1, keepdims=True)
        unit: np.ndarray = (features / np.maximum(lengths, 1e-12)).astype(np.float32)
        return unit

    def _activations(self, indices: np.ndarray) -> np.ndarray:
        """Return the square roots of the averaged activations of images."""
        found = []
        for part in self._parts(indices):
            patches, height = self._patches(self._images(part))
            distances = torch.cdist(self._whiten(patches), self._centers)
            active = (distances.mean(dim=2, keepdim=True) - distances).clamp(min=0)
            maps = active.transpose(1, 2).unflatten(2, (height, -1))
            found.append(F.adaptive_avg_pool2d(maps, GRID).flatten(1).sqrt().cpu().numpy())
        return np.concatenate(found)

    def _images(self, indices: np.ndarray) -> Tensor:
        images = self._rows[torch.from_numpy(indices).to(self._rows.device)].float()
        if images.shape[2:] != self._size:
            images = F.interpolate(images, self._size, mode="area")
        return images

    def _patches(self, images: Tensor) -> tuple[Tensor, int]:
        """Return all patches, normalized, of shape (n, n_patches, size), and rows of patches."""
        pixels = (images - self._low) / self._range
        patches = F.unfold(pixels, self._side).transpose(1, 2)
        variance, mean = torch.var_mean(patches, dim=2, correction=0, keepdim=True)
        n_high = images.shape[2] - self._side + 1
        return (patches - mean) / (variance + PATCH_VARIANCE).sqrt(), n_high

    def _some_patches(self, images: Tensor, n: int, rng: np.random.RandomState) -> Tensor:
        patches, _ = self._patches(images)
        chosen = rng.randint(patches.shape[1], size=(len(patches), n, 1))
        places = torch.from_numpy(chosen).to(patches.device).expand(-1, -1, patches.shape[2])
        return patches.gather(1, places).flatten(0, 1)

    def _whiten(self, patches: Tensor) -> Tensor:
        return (patches - self._mean) @ self._whitening

    def _parts(self, indices: np.ndarray) -> list[np.ndarray]:
        """Return the indices in parts with a limited number of patches."""
        size = max(1, PATCHES_AT_A_TIME // self._n_patches)
        return [indices[part] for part in gen_batches(len(indices), size)]


def reduced_size(height: int, width: int) -> tuple[int, int]:
    """Return the size with about `MAX_PIXELS` pixels, in the same proportions if possible."""
    scale = min(1.0, (MAX_PIXELS / (height * width)) ** 0.5)
    least = PATCH + GRID - 1  # as many patches as the grid has parts
    new = [min(side, max(least, round(scale * side))) for side in (height, width)]
    return new[0], new[1]
