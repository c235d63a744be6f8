"""A fitted net as arrays and plain values, and its restoration with all checks."""

from __future__ import annotations

from typing import Any

import torch

from sgan_sklearn._runtime.device import device_or_cpu
from sgan_sklearn._runtime.random import seeded
from sgan_sklearn._storage.state import (
    RESULTS,
    check_moments,
    check_progress,
    check_weights,
    history_records,
    moments,
    plain_history,
    restore_history,
    restore_moments,
    to_arrays,
    to_tensors,
)
from sgan_sklearn._training.net import SGANNet
from sgan_sklearn.architectures._base import Builder

__all__ = ["net_from_state", "net_state"]

# Parameters of a net in a file, besides the networks. The estimator sets the others before the
# training continues.
SAVED_PARAMS = (
    "objective",
    "regularizers",
    "latent_dim",
    "unsupervised_weight",
    "adversarial_every",
    "averaging_decay",
    "precision",
    "batch_size",
    "max_epochs",
    "device",
)


def net_state(net: SGANNet) -> dict[str, Any]:
    """Return what `net_from_state` needs to restore a net."""
    return {
        "params": {name: getattr(net, name) for name in SAVED_PARAMS},
        "results": {name: getattr(net, name) for name in RESULTS},
        "history": plain_history(net.history),
        "networks": {
            name: to_arrays(getattr(net, name).state_dict()) for name in net.network_names
        },
        # A schedule has changed the learning rates of the optimizers.
        "optimizers": {
            name: {**moments(getattr(net, name)), "lr": float(getattr(net, f"{name}_lr"))}
            for name in net.optimizer_names
        },
    }


def net_from_state(
    state: dict[str, Any], module: Builder, generator: Builder, row_shape: tuple[int, ...]
) -> SGANNet:
    """Return the net of a state, on the CPU if the fitted device does not exist.

    Raises ValueError if no net of these networks has such a state.
    """
    params, results = state["params"], state["results"]
    if set(params) != set(SAVED_PARAMS) or set(results) != set(RESULTS):
        raise ValueError(f"The parameters {sorted(params)} are not those of a network.")
    device = str(device_or_cpu(params["device"]))
    rates = {
        "discriminator_lr": state["optimizers"]["optimizer_"]["lr"],
        "generator_lr": state["optimizers"]["generator_optimizer_"]["lr"],
    }
    net = SGANNet(
        module, generator, **{**params, "device": device}, **rates, verbose=0, warm_start=True
    )
    check_net_state(net, state)
    with seeded(0, torch.device(device)):
        net.initialize()
    net.__dict__.update(results)
    net.row_shape_ = row_shape
    for name, arrays in state["networks"].items():
        getattr(net, name).load_state_dict(to_tensors(arrays))
    for name, kept in state["optimizers"].items():
        restore_moments(getattr(net, name), kept)
    restore_history(net, state["history"])
    return net


def check_net_state(net: SGANNet, state: dict[str, Any]) -> None:
    """Raise ValueError if a state does not fit the networks that a net builds.

    They are built on the meta device, because a file may contain sizes that exceed the memory.
    """
    with torch.device("meta"):
        discriminator, generator = net.module(), net.generator()
    networks, optimizers = state["networks"], state["optimizers"]
    if set(networks) != set(net.network_names) or set(optimizers) != set(net.optimizer_names):
        raise ValueError("A model has two networks, their averages and two optimizers.")
    for name, arrays in networks.items():
        check_weights(generator if "generator" in name else discriminator, arrays)
    for name, kept in optimizers.items():
        network = generator if "generator" in name else discriminator
        check_moments(list(network.parameters()), kept)
    check_progress(state["results"])
    history_records(state["history"])
