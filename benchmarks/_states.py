"""Which stored cells were measured with another state of the code than the present one.

A cell holds fingerprints of the parts of the code. If the code that trains models has changed
since, most results are still valid if the present code trains the same models: `states.json` holds
the hashes of some models for each fingerprint, and `model_hashes.py --record` adds those of the
present code.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

from _code import fingerprint

STATES = Path(__file__).parent / "states.json"

TABLES = ("table", "frame", "labels alone")
IMAGES = ("images", "photographs", "gray photographs")
# The settings of `model_hashes.py` that tell of a benchmark; of the others, all do.
SETTINGS_OF = {
    "active": TABLES,
    "audio": (*TABLES, "wide table"),
    "digits": TABLES,
    "foreign_rows": TABLES,
    "label_doubts": TABLES,
    "prior_shift": TABLES,
    "published_systems": (
        *IMAGES,
        "images as rows, perceptron",
        "stacked, consistency",
        "complement, VAT, bfloat16",
    ),
    "sample_quality": (*TABLES, "critic"),
    "tabular_suite": TABLES,
    "text": (*TABLES, "wide table", "sparse"),
    "verdicts": TABLES,
}

# Data sets of color images; cells of the others do not depend on the defaults for photographs.
IN_COLOR = ("cifar10", "svhn")

# Benchmarks of more than models, whose cells are those of the code of the whole package.
OF_THE_PACKAGE = ("fuzz_load", "kill_and_resume", "kill_save", "latency", "mutants", "soak")
# Benchmarks of functions of this package that take any classifier; cleanlab is compared with them.
OF_TOOLS = ("active", "foreign_rows", "label_doubts", "prior_shift", "verdicts")
# Benchmarks of times, which may change although the models do not.
OF_TIMES = ("fit_cost", "throughput")


def parts_of(cell: dict, name: str) -> tuple[str, ...]:
    """Return the parts of the code on which a cell depends: none for those of other packages."""
    if name in OF_THE_PACKAGE:
        return ("package",)
    key = cell["key"]
    is_own = key.get("settings", "sgan-sklearn").startswith("sgan-sklearn")
    is_of_tools = name in OF_TOOLS and not key.get("method", "").startswith("cleanlab")
    return (*(["training"] if is_own else []), *(["tools"] if is_of_tools else []))


def state_of(cell: dict, name: str) -> str:
    """Return the state of the code of a cell of a benchmark.

    One of "other packages", "present", "same models", "earlier", and "unknown" if the cell does not
    hold all fingerprints.
    """
    parts, code = parts_of(cell, name), cell.get("code", {})
    if not parts:
        return "other packages"
    if not code.keys() >= set(parts):
        return "unknown"
    changed = [part for part in parts if code[part] != fingerprint(part)]
    if not changed:
        return "present"
    if changed != ["training"] or name in OF_TIMES:
        return "earlier"
    settings = SETTINGS_OF.get(name.removesuffix("_two_threads"))
    if settings and (dataset := cell["key"].get("dataset")):
        other = "gray photographs" if dataset in IN_COLOR else "photographs"
        settings = tuple(setting for setting in settings if setting != other)
    is_same = _trains_the_same(code["training"], fingerprint("training"), settings)
    return "same models" if is_same else "earlier"


def is_stale(cell: dict, name: str) -> bool:
    """Return whether the present code may give another result than that of a cell."""
    return state_of(cell, name) in ("earlier", "unknown")


def _trains_the_same(first: str, second: str, settings: tuple[str, ...] | None) -> bool:
    """Return whether two states give equal models on a machine where both were recorded."""
    states = _states()
    return any(
        a["environment"] == b["environment"]
        and all(
            name in a["hashes"] and a["hashes"][name] == b["hashes"].get(name)
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
