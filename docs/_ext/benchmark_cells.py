"""The stored cells of the benchmarks, and their scripts as modules."""

from __future__ import annotations

import json
import sys
from functools import cache
from importlib import import_module
from pathlib import Path
from types import ModuleType

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@cache
def benchmark(name: str) -> ModuleType:
    """Return the script of a benchmark as a module."""
    if str(BENCHMARKS) not in sys.path:
        sys.path.insert(0, str(BENCHMARKS))
    return import_module(name)


def cells(name: str) -> list[dict]:
    """Return the stored cells of a benchmark."""
    path = BENCHMARKS / "results" / f"{name}.json"
    return json.loads(path.read_text(encoding="utf-8"))["cells"]
