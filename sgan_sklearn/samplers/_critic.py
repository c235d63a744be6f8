"""A second generator and its critic."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from itertools import pairwise
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn
from torch.nn import functional as F

from sgan_sklearn import _losses
from sgan_sklearn._data.validation import check_layer_sizes
from sgan_sklearn._runtime.device import device_or_cpu
from sgan_sklearn._runtime.loops import (
    CHUNK,
    apply_in_chunks,
    automatic_epochs,
    averaging_share,
    update_average,
)
from sgan_sklearn._runtime.progress import EpochTable
from sgan_sklearn._runtime.random import seeded, yield_lock
from sgan_sklearn._runtime.settings import with_plain_settings
from sgan_sklearn._runtime.user_warnings import warn_user
from sgan_sklearn._storage.state import (
    check_progress,
    check_weights,
    history_records,
    plain_history,
    to_arrays,
    to_tensors,
)
from sgan_sklearn.architectures import Heads
from sgan_sklearn.architectures._layers import TableHeads
from sgan_sklearn.samplers._base import Sampler
from sgan_sklearn.samplers._distributions import ColumnMap, known_numbers, normal_scores

__all__ = ["CriticSampler"]

# The training length of max_epochs="auto": as many epochs, but within these numbers of steps.
EPOCHS = 150
MIN_STEPS = 2_000
MAX_STEPS = 4_000

# Factor of the logits of levels, which have to be far apart where one column tells another.
LEVEL_SCALE = 4.0

# Critic steps from one with the gradient penalty to the next.
PENALTY_EVERY = 4

# Decay of the moving average of the generator's weights.
DECAY = 0.999

# Generated rows that the calibration looks at, and rounds in which the shares of levels are brought
# to those of the training rows.
N_CALIBRATION_ROWS = 20_000
N_CALIBRATION_ROUNDS = 8


class CriticSampler(Sampler):
    """Second generator, trained against a critic that sees rows beside their classes.

    The generator of the classifier is trained to be useful to the discriminator, not to resemble
    the rows. This generator is trained only to resemble them. With ``C`` the output of the critic
    for a row and its class, and its gradient with respect to both, the critic and then the
    generator ``G`` minimize::

        mean softplus(C(G)) + mean softplus(-C(real)) + penalty / 2 * mean |grad C(real)|^2
        mean softplus(-C(G))

    Both networks see columns of numbers as normal scores, so that heavy tails, integers and
    repeated values are not harder to learn than other values. After the training, each generated
    column is mapped to the distribution of the training rows. So the networks only have to learn
    how the columns depend on each other.

    The class of an unlabeled row is drawn, at each step, from what the classifier says of it. So
    `SGANClassifier.sample` has rows of each class even where there are few labels, as far as the
    classifier knows the classes.

    .. versionadded:: 0.1

    Parameters
    ----------
    hidden_layer_sizes : tuple of int, default=(256, 256)
        Units of each hidden layer of the generator.
    critic_hidden_layer_sizes : tuple of int, default=(256, 256)
        Units of each hidden layer of the critic.
    latent_dim : int, default=128
        Length of the random vectors that the generator turns into rows, up to 65,536.
    penalty : float, default=1.0
        Weight of the gradient penalty. More of it makes a smoother and more forgiving critic.
    max_epochs : int or "auto", default="auto"
        Passes over all rows, which are drawn with replacement. "auto" takes 150, but between
        2,000 and 4,000 training steps and one pass at least.
    batch_size : int, default=500
        Rows in a training step; two at least.
    learning_rate : float, default=5e-4
        Learning rate of both Adam optimizers; it falls to zero over the second half.

    Attributes
    ----------
    generator_ : torch.nn.Module
        Generator with averaged weights, in evaluation mode. It gets latent vectors and classes
        side by side.
    history_ : list of dict
        One record an epoch: its number ("epoch"), "critic_loss" and "generator_loss".
    n_steps_ : int
        Number of training steps.

    References
    ----------
    Goodfellow et al., "Generative Adversarial Networks", 2014, arXiv:1406.2661.

    Mirza and Osindero, "Conditional Generative Adversarial Nets", 2014, arXiv:1411.1784.

    Mescheder et al., "Which Training Methods for GANs do actually Converge?" (the penalty), 2018,
    arXiv:1801.04406.

    Xu et al., "Modeling Tabular Data using Conditional GAN", 2019, arXiv:1907.00503.

    Examples
    --------
    >>> from sklearn.datasets import load_wine
    >>> from sgan_sklearn import SGANClassifier
    >>> from sgan_sklearn.samplers import CriticSampler
    >>> X, y = load_wine(return_X_y=True, as_frame=True)
    >>> sampler = CriticSampler(hidden_layer_sizes=(64,), max_epochs=50)
    >>> clf = SGANClassifier(sampler=sampler, unlabeled_value=None, max_epochs=5).fit(X, y)
    >>> clf.sample(label=[0, 2], random_state=0).shape
    (2, 13)
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "hidden_layer_sizes": ["array-like"],
        "critic_hidden_layer_sizes": ["array-like"],
        "latent_dim": [Interval(Integral, 1, 2**16, closed="both")],
        "penalty": [Interval(Real, 0, None, closed="left")],
        "max_epochs": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
        "batch_size": [Interval(Integral, 2, None, closed="left")],
        "learning_rate": [Interval(Real, 0, None, closed="neither")],
    }

    generator_: Any  # a module whose layers mypy takes for any

    def __init__(
        self,
        hidden_layer_sizes: tuple[int, ...] = (256, 256),
        critic_hidden_layer_sizes: tuple[int, ...] = (256, 256),
        *,
        latent_dim: int = 128,
        penalty: float = 1.0,
        max_epochs: Any = "auto",
        batch_size: int = 500,
        learning_rate: float = 5e-4,
    ) -> None:
        self.hidden_layer_sizes = hidden_layer_sizes
        self.critic_hidden_layer_sizes = critic_hidden_layer_sizes
        self.latent_dim = latent_dim
        self.penalty = penalty
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate

    def fit(
        self,
        rows: np.ndarray,
        probabilities: np.ndarray,
        heads: Heads,
        *,
        device: torch.device,
        verbose: int = 0,
    ) -> CriticSampler:
        """Train the generator and its critic, then bring its columns to those of the rows."""
        self._device, self._n_classes = str(device), probabilities.shape[1]
        self._heads, self._n_features = heads, rows.shape[1]
        self._n_numbers = heads.blocks[0].start if heads.blocks else rows.shape[1]
        scores = normal_scores(rows, known_numbers(rows, heads))
        real = torch.from_numpy(np.concatenate([scores, rows[:, self._n_numbers :]], axis=1))
        real = real.to(device)
        classes = torch.from_numpy(probabilities.astype(np.float32)).to(device)
        self._train(real, classes, verbose)
        self._map = ColumnMap(rows, self._calibrated(real, classes).numpy(), heads)
        return self

    def sample(self, codes: np.ndarray) -> Tensor:
        """Return a row of the model space, on the CPU, for each class code."""
        check_is_fitted(self, "generator_")
        wanted = F.one_hot(torch.from_numpy(codes).long(), self._n_classes).float()
        return self._map(self._made(wanted.to(self._device)))

    def _validate_params(self) -> None:
        super()._validate_params()
        check_layer_sizes(self, "hidden_layer_sizes", "critic_hidden_layer_sizes")

    # --- training ---------------------------------------------------------------------------

    def _train(self, real: Tensor, classes: Tensor, verbose: int) -> None:
        steps_per_epoch = -(-len(real) // self.batch_size)
        n_epochs = self._n_epochs(steps_per_epoch)
        generator = self._build_generator().to(real.device)
        critic = self._build_critic().to(real.device)
        averaged = copy.deepcopy(generator)
        optimizers = [
            torch.optim.Adam(
                network.parameters(),
                lr=self.learning_rate,
                betas=(0.5, 0.9),
                fused=real.device.type in ("cpu", "cuda"),
            )
            for network in (critic, generator)
        ]
        self.history_: list[dict[str, Any]] = []
        finite = copy.deepcopy(averaged)
        table = EpochTable(n_epochs, verbose)
        self.n_steps_ = 0
        for epoch in range(1, n_epochs + 1):
            losses = []
            for _ in range(steps_per_epoch):
                yield_lock(real.device)
                passed = self.n_steps_ / (n_epochs * steps_per_epoch)
                for optimizer in optimizers:
                    optimizer.param_groups[0]["lr"] = self.learning_rate * min(1, 2 - 2 * passed)
                chosen = torch.randint(len(real), (self.batch_size,), device=real.device)
                drawn = torch.multinomial(classes[chosen], 1)[:, 0]
                wanted = F.one_hot(drawn, self._n_classes).float()
                losses.append(self._step(generator, critic, optimizers, real[chosen], wanted))
                self.n_steps_ += 1
                update_average(averaged, generator, averaging_share(DECAY, self.n_steps_))
            means = torch.tensor(losses).mean(dim=0).tolist()
            weights = [*averaged.parameters(), *averaged.buffers()]
            if not (np.isfinite(means).all() and all(w.isfinite().all() for w in weights)):
                table.stop()
                self._warn(epoch)
                break
            finite = copy.deepcopy(averaged)
            names = ("critic_loss", "generator_loss")
            self.history_.append({"epoch": epoch, **dict(zip(names, means, strict=True))})
            table.add(self.history_[-1])
        self.generator_ = finite.eval().requires_grad_(False)

    def _step(
        self,
        generator: nn.Module,
        critic: nn.Module,
        optimizers: Sequence[torch.optim.Optimizer],
        rows: Tensor,
        wanted: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """Make a step of the critic, then one of the generator; return both losses."""
        real = torch.cat([rows, wanted], dim=1)
        latent = torch.randn(len(rows), self.latent_dim, device=rows.device)
        made = torch.cat([generator(torch.cat([latent, wanted], dim=1)), wanted], dim=1)

        penalized = self.penalty > 0 and self.n_steps_ % PENALTY_EVERY == 0
        real.requires_grad_(penalized)
        of_real, of_made = critic(torch.cat([real, made.detach()])).chunk(2)
        critic_loss = _losses.real_loss(of_real) + _losses.generated_loss(of_made)
        loss = critic_loss
        if penalized:
            (slopes,) = torch.autograd.grad(of_real.sum(), real, create_graph=True)
            steepness = slopes.square().sum(dim=1).mean()
            loss = loss + PENALTY_EVERY * self.penalty / 2 * steepness
        optimizers[0].zero_grad()
        loss.backward()
        optimizers[0].step()

        critic.requires_grad_(False)
        generator_loss = _losses.real_loss(critic(made))
        optimizers[1].zero_grad()
        generator_loss.backward()
        optimizers[1].step()
        critic.requires_grad_(True)
        return critic_loss.detach(), generator_loss.detach()

    def _warn(self, epoch: int) -> None:
        kept = "the generator of the epoch before is kept" if epoch > 1 else "it is untrained"
        warn_user(
            f"The training of the sampler diverged in epoch {epoch} and was stopped; {kept}. Lower "
            f"the learning_rate of CriticSampler (now {self.learning_rate}).",
            ConvergenceWarning,
        )

    def _n_epochs(self, steps_per_epoch: int) -> int:
        if self.max_epochs != "auto":
            return int(self.max_epochs)
        return automatic_epochs(steps_per_epoch, EPOCHS, MIN_STEPS, MAX_STEPS)

    def _calibrated(self, real: Tensor, classes: Tensor) -> Tensor:
        """Bring the shares of levels to those of the training rows, and return generated rows."""
        chosen = torch.randint(len(real), (N_CALIBRATION_ROWS,), device=real.device)
        wanted = F.one_hot(torch.multinomial(classes[chosen], 1)[:, 0], self._n_classes).float()
        if self._heads.blocks:
            shares = real[:, self._n_numbers :].mean(dim=0)
            bias = self.generator_.output.bias[self._n_numbers :]
            for _ in range(N_CALIBRATION_ROUNDS):
                made = self._made(wanted)[:, self._n_numbers :].mean(dim=0).to(real.device)
                bias += ((shares + 1e-4) / (made + 1e-4)).log() / LEVEL_SCALE
        return self._made(wanted)

    def _build_critic(self) -> nn.Module:
        layers: list[nn.Module] = []
        sizes = (self._n_features + self._n_classes, *self.critic_hidden_layer_sizes)
        for n_in, n_out in pairwise(sizes):
            layers += [nn.Linear(n_in, n_out), nn.LeakyReLU(0.2)]
        return nn.Sequential(*layers, nn.Linear(sizes[-1], 1), nn.Flatten(0))

    # --- the generator ----------------------------------------------------------------------

    def _build_generator(self) -> nn.Module:
        return _Generator(
            self.latent_dim + self._n_classes,
            self.hidden_layer_sizes,
            self._n_features,
            self._heads.blocks,
        )

    def _made(self, wanted: Tensor) -> Tensor:
        """Return the generator's rows for classes, on the CPU, numbers as normal scores."""
        latent = torch.randn(len(wanted), self.latent_dim, device=wanted.device)
        inputs = torch.cat([latent, wanted], dim=1)
        return apply_in_chunks(self.generator_, inputs, CHUNK, inputs.device)

    def __getstate__(self) -> dict[str, Any]:
        """Replace the generator by its weights as numpy arrays."""
        state = super().__getstate__()
        if "generator_" in state:
            state = {**state, "generator_": to_arrays(state["generator_"].state_dict())}
        return state

    @with_plain_settings
    def __setstate__(self, state: dict[str, Any]) -> None:
        """Build the generator anew, on the CPU where the fitted device is missing."""
        state = dict(state)
        weights = state.pop("generator_", None)
        super().__setstate__(state)
        if weights is None:
            return
        self._device = str(device_or_cpu(self._device))
        self._set_generator(weights)

    def _fitted_state(self) -> dict[str, Any]:
        """Return what `_restore_fitted_state` needs besides the columns and the classes."""
        return {
            "device": self._device,
            "weights": to_arrays(self.generator_.state_dict()),
            "map": self._map._plain_state(),
            "history": plain_history(self.history_),
            "n_steps": self.n_steps_,
        }

    def _restore_fitted_state(
        self, state: dict[str, Any], heads: Heads, n_features: int, n_classes: int
    ) -> None:
        """Learn what a fitted sampler knew, or raise ValueError if none can have known it."""
        self._device, self._n_classes = str(device_or_cpu(state["device"])), n_classes
        self._heads, self._n_features = heads, n_features
        self._n_numbers = heads.blocks[0].start if heads.blocks else n_features
        with torch.device("meta"):
            check_weights(self._build_generator(), state["weights"])
        history = history_records(state["history"])
        check_progress({"n_steps_": state["n_steps"], "loss_names_": []})
        self.history_, self.n_steps_ = history, state["n_steps"]
        self._map = ColumnMap._from_plain_state(state["map"], heads, n_features)
        self._set_generator(state["weights"])

    def _set_generator(self, weights: dict[str, np.ndarray]) -> None:
        """Build the generator of some weights."""
        with seeded(0, torch.device(self._device)):
            generator = self._build_generator()
        generator.load_state_dict(to_tensors(weights))
        self.generator_ = generator.to(self._device).eval().requires_grad_(False)


class _Generator(nn.Module):
    """Perceptron each of whose layers also sees the inputs of the one before."""

    def __init__(
        self,
        n_inputs: int,
        hidden_layer_sizes: tuple[int, ...],
        n_features: int,
        blocks: tuple[slice, ...],
    ) -> None:
        super().__init__()
        self.hidden = nn.ModuleList()
        for size in hidden_layer_sizes:
            self.hidden.append(
                nn.Sequential(nn.Linear(n_inputs, size), nn.BatchNorm1d(size), nn.ReLU())
            )
            n_inputs += size
        self.output = nn.Linear(n_inputs, n_features)
        self.heads = TableHeads(Heads(blocks)) if blocks else None

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.hidden:
            x = torch.cat([layer(x), x], dim=1)
        logits = self.output(x)
        return logits if self.heads is None else self.heads(LEVEL_SCALE * logits, logits)
