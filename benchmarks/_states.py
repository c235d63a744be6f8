"""Which stored cells were measured with another state of the code than the present one.

A cell holds the fingerprint of the code that trains models. If the code has changed since, the cell
is still valid if the present code trains the same models: `states.json` holds the hashes of some
models for each fingerprint, and `model_hashes.py --record` adds those of the present code.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

from _code import fingerprint

STATES = Path(__file__).parent / "states.json"

TABLES = ("table", "frame", "labels alone")
IMAGES = ("images", "photographs", "gray photographs", "complement, VAT, bfloat16")
# The settings of `model_hashes.py` that tell of a benchmark; of the others, all do.
SETTINGS_OF = {
    "active": TABLES,
    "audio": (*TABLES, "wide table"),
    "digits": TABLES,
    "foreign_rows": TABLES,
    "label_doubts": TABLES,
    "prior_shift": TABLES,
    "published_systems": (*IMAGES, "images as rows, perceptron", "stacked, consistency"),
    "sample_quality": (*TABLES, "critic"),
    "tabular_suite": TABLES,
    "text": (*TABLES, "wide table", "sparse"),
    "verdicts": TABLES,
}

# Benchmarks of more than models, whose cells are those of the code of the whole package.
OF_THE_PACKAGE = ("fuzz_load", "kill_and_resume", "kill_save", "latency", "mutants", "soak")


def is_of_a_peer(cell: dict) -> bool:
    """Return whether a cell measures another package; the version is in its key."""
    return not cell["key"].get("settings", "sgan-sklearn").startswith("sgan-sklearn")


def state_of(cell: dict, name: str) -> str:
    """Return "present", "same models", "earlier" or "unknown" for a cell of a benchmark."""
    if "code" not in cell:
        return "unknown"
    if name in OF_THE_PACKAGE:
        return "present" if cell["code"]["package"] == fingerprint(()) else "earlier"
    trained_with = cell["code"]["training"]
    if trained_with == fingerprint():
        return "present"
    is_same = _trains_the_same(trained_with, fingerprint(), SETTINGS_OF.get(name))
    return "same models" if is_same else "earlier"


def is_stale(cell: dict, name: str) -> bool:
    """Return whether the present code may give another result than that of a cell."""
    return not is_of_a_peer(cell) and state_of(cell, name) in ("earlier", "unknown")


def _trains_the_same(first: str, second: str, settings: tuple[str, ...] | None) -> bool:
    """Return whether two states give equal models on a machine where both were recorded."""
    states = _states()
    return any(
        a["environment"] == b["environment"]
        and all(
            a["hashes"].get(name) == b["hashes"].get(name) is not None
            for name in settings or sorted({*a["hashes"], *b["hashes"]})
        )
        for a in states.get(first, [])
        for b in states.get(second, [])
    )


@cache
def _states() -> dict[str, list[dict]]:
    """Return the recorded states by their fingerprint."""
    found: dict[str, list[dict]] = {}
    for state in json.loads(STATES.read_text("utf-8"))["states"] if STATES.exists() else []:
        found.setdefault(state["training"], []).append(state)
    return found


def record(training: str, environment: dict, hashes: dict[str, str]) -> None:
    """Add the hashes of the models of a state to the file, or replace them."""
    states = [state for found in _states().values() for state in found]
    kept = [
        state
        for state in states
        if (state["training"], state["environment"]) != (training, environment)
    ]
    kept.append({"training": training, "environment": environment, "hashes": hashes})
    STATES.write_text(json.dumps({"states": kept}, indent=1) + "\n", "utf-8")
    _states.cache_clear()
