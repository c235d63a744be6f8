"""Hand-written training loops of a semi-supervised GAN with feature matching, for comparison.

Both train a pair of networks like those of SGANClassifier (``forward_features`` and
``forward_head``) with the losses of ``objective="feature_matching"`` and averaged weights. Each is
a Python generator that trains for one epoch per item.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from itertools import cycle

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

BETAS = (0.5, 0.999)
DECAY = 0.999


def plain_loop(
    discriminator: nn.Module,
    generator: nn.Module,
    rows: Tensor,
    codes: Tensor,
    *,
    batch_size: int,
    latent_dim: int,
    lr: float,
    device: str,
) -> Iterator[nn.Module]:
    """Train with a loop as in a tutorial; yields the averaged discriminator.

    Rows are loaded one by one by a DataLoader, there is a separate forward pass of the
    discriminator for each kind of rows, and losses are fetched at every step.
    """
    loader = {"batch_size": batch_size, "shuffle": True, "drop_last": True}
    is_labeled = codes >= 0
    labeled_set = TensorDataset(rows[is_labeled], codes[is_labeled])
    labeled = forever(DataLoader(labeled_set, **{**loader, "drop_last": False}))
    unlabeled = DataLoader(TensorDataset(rows), **loader)
    real = DataLoader(TensorDataset(rows), **loader)
    averaged = copy.deepcopy(discriminator).eval()
    averaged_generator = copy.deepcopy(generator).eval()
    d_optimizer = torch.optim.Adam(discriminator.parameters(), lr=lr, betas=BETAS)
    g_optimizer = torch.optim.Adam(generator.parameters(), lr=lr, betas=BETAS)
    while True:
        discriminator.train()
        generator.train()
        d_total = g_total = 0.0
        for (x_unlabeled,), (x_real,) in zip(unlabeled, real, strict=True):
            x_labeled, y = next(labeled)
            x_labeled, y = x_labeled.to(device), y.to(device)
            x_unlabeled, x_real = x_unlabeled.to(device), x_real.to(device)

            latent = torch.randn(batch_size, latent_dim, device=device)
            labeled_out = discriminator(x_labeled)
            unlabeled_out = discriminator(x_unlabeled)
            generated_out = discriminator(generator(latent).detach())
            supervised = F.cross_entropy(labeled_out, y)
            loss_real = F.softplus(-torch.logsumexp(unlabeled_out, dim=1)).mean()
            loss_generated = F.softplus(torch.logsumexp(generated_out, dim=1)).mean()
            d_loss = supervised + 0.5 * (loss_real + loss_generated)
            d_optimizer.zero_grad()
            d_loss.backward()
            d_optimizer.step()
            d_total += d_loss.item()

            features = discriminator.forward_features(x_real).mean(dim=0).detach()
            generated_features = discriminator.forward_features(generator(latent)).mean(dim=0)
            g_loss = (features - generated_features).square().mean()
            g_optimizer.zero_grad()
            g_loss.backward()
            g_optimizer.step()
            g_total += g_loss.item()

            with torch.no_grad():
                for mean, module in ((averaged, discriminator), (averaged_generator, generator)):
                    for a, w in zip(mean.parameters(), module.parameters(), strict=True):
                        a.mul_(DECAY).add_(w, alpha=1 - DECAY)
        yield averaged


def tight_loop(
    discriminator: nn.Module,
    generator: nn.Module,
    rows: Tensor,
    codes: Tensor,
    *,
    batch_size: int,
    latent_dim: int,
    lr: float,
    device: str,
) -> Iterator[nn.Module]:
    """Train without redundant work; yields the averaged discriminator.

    Whole batches are indexed on the device, there is one forward pass of the discriminator for all
    rows and one of the generator for both steps, and no step waits for the device.
    """
    rows, codes = rows.to(device), codes.to(device)
    places = torch.nonzero(codes >= 0).squeeze(1)
    labeled = forever(lambda: batches(places, min(batch_size, len(places))))
    everything = torch.arange(len(rows), device=device)
    averaged = copy.deepcopy(discriminator).eval()
    averaged_generator = copy.deepcopy(generator).eval()
    d_weights, g_weights = list(discriminator.parameters()), list(generator.parameters())
    means = [*averaged.parameters(), *averaged_generator.parameters()]
    d_optimizer = torch.optim.Adam(d_weights, lr=lr, betas=BETAS, fused=True)
    g_optimizer = torch.optim.Adam(g_weights, lr=lr, betas=BETAS, fused=True)
    discriminator.train()
    generator.train()
    while True:
        d_total = g_total = torch.zeros((), device=device)
        real_batches = batches(everything, batch_size)
        for at_unlabeled, at_real in zip(
            batches(everything, batch_size), real_batches, strict=True
        ):
            at_labeled = next(labeled)
            generated_features = generator(torch.randn(batch_size, latent_dim, device=device))
            x = torch.cat([rows[at_labeled], rows[at_unlabeled], generated_features.detach()])
            sizes = [len(at_labeled), batch_size, batch_size]
            labeled_out, unlabeled_out, generated_out = discriminator(x).split(sizes)
            supervised = F.cross_entropy(labeled_out, codes[at_labeled])
            loss_real = F.softplus(-torch.logsumexp(unlabeled_out, dim=1)).mean()
            loss_generated = F.softplus(torch.logsumexp(generated_out, dim=1)).mean()
            d_loss = supervised + 0.5 * (loss_real + loss_generated)
            d_optimizer.zero_grad()
            d_loss.backward()
            d_optimizer.step()
            d_total = d_total + d_loss.detach()

            for weight in d_weights:
                weight.requires_grad_(False)
            with torch.no_grad():
                features = discriminator.forward_features(rows[at_real]).mean(dim=0)
            gap = features - discriminator.forward_features(generated_features).mean(dim=0)
            g_loss = gap.square().mean()
            g_optimizer.zero_grad()
            g_loss.backward()
            g_optimizer.step()
            g_total = g_total + g_loss.detach()
            for weight in d_weights:
                weight.requires_grad_(True)

            with torch.no_grad():
                torch._foreach_lerp_(means, [*d_weights, *g_weights], 1 - DECAY)
        yield averaged


def batches(places: Tensor, batch_size: int) -> Iterator[Tensor]:
    """Yield whole batches of indices in a new order."""
    order = places[torch.randperm(len(places), device=places.device)]
    return (part for part in order.split(batch_size) if len(part) == batch_size)


def forever(epochs) -> Iterator:
    """Yield the batches of consecutive epochs."""
    for _ in cycle([None]):
        yield from epochs() if callable(epochs) else epochs
