"""Optimizer for convolutions that batch normalization follows."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from sgan_sklearn._runtime.precision import has_bfloat16

__all__ = ["Muon"]

# The steps of convolutions are this many times as large as those of other weights in Adam, so that
# both have the same learning rate.
CONVOLUTIONS_FACTOR = 20.0

# Momentum of the gradients of convolutions.
MOMENTUM = 0.6

# Coefficients of the Newton-Schulz iteration of Jordan (2024), and the number of its steps. It
# brings large singular values to between about 0.7 and 1.2; the small ones grow up to 40-fold.
COEFFICIENTS = (3.4445, -4.7750, 2.0315)
N_ITERATIONS = 3


class Muon(torch.optim.Adam):
    """Adam, except that the steps of convolutions are nearly orthogonal matrices.

    With the momentum ``m = MOMENTUM * m_before + g`` of the gradient ``g`` of a convolution, as a
    matrix with one row for each output, the step is about ``U V'``, the orthogonal matrix closest
    to ``g + MOMENTUM * m = U S V'``: all directions change at similar rates. Before each step, the
    weights are scaled so that the squared norms of the rows have a mean of one. This changes
    nothing if batch normalization follows, and makes the step a fixed share of the weights.

    References
    ----------
    Jordan et al., "Muon: An optimizer for hidden layers in neural networks", 2024,
    https://kellerjordan.github.io/posts/muon/.
    """

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Make a step."""
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.ndim == 4 and weight.grad is not None:
                    self._step_convolution(weight, weight.grad, group["lr"])
                    weight.grad = None  # Adam skips it
        return super().step(closure)

    def _step_convolution(self, weight: Tensor, gradient: Tensor, lr: float | Tensor) -> None:
        state = self.state[weight]
        if not state:
            # The names of Adam's state, so that files and checkpoints have one form.
            state["step"] = torch.zeros((), dtype=torch.float32, device=weight.device)
            state["exp_avg"] = torch.zeros_like(weight)
            state["exp_avg_sq"] = torch.zeros_like(weight)
        momentum = state["exp_avg"]
        momentum.mul_(MOMENTUM).add_(gradient)
        direction = orthogonalized(gradient.add(momentum, alpha=MOMENTUM).flatten(1))
        state["step"] += 1
        weight.mul_(math.sqrt(len(weight)) / weight.norm())
        weight.sub_(direction.view_as(weight) * (CONVOLUTIONS_FACTOR * lr))


def orthogonalized(matrix: Tensor) -> Tensor:
    """Return a matrix with the same singular vectors whose singular values are about one."""
    a, b, c = COEFFICIENTS
    x = matrix.bfloat16() if has_bfloat16(matrix.device) else matrix
    x = x / (x.norm() + 1e-7)
    is_tall = x.shape[0] > x.shape[1]
    x = x.T if is_tall else x
    for _ in range(N_ITERATIONS):
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    return (x.T if is_tall else x).to(matrix.dtype)
