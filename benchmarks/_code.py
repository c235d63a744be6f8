"""The state of the code behind a result: a fingerprint of the sources that training uses."""

from __future__ import annotations

import ast
import hashlib
import io
import tokenize
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).parents[1] / "sgan_sklearn"
# Parts that read, save, show or compare models, and do not train them.
NOT_TRAINING = (
    "_display",
    "_saving.py",
    "_storage",
    "calibration.py",
    "callbacks.py",
    "inspection",
    "metrics.py",
    "model_selection.py",
)


@cache
def fingerprint(package: Path = PACKAGE) -> str:
    """Return a hash of the code of all modules that a training can reach.

    Comments, docstrings and blank lines do not change it.
    """
    found = hashlib.sha256()
    for path in sorted(package.rglob("*.py")):
        place = path.relative_to(package)
        if place.parts[0] not in NOT_TRAINING:
            found.update(f"{place.as_posix()}\n{code_of(path.read_text('utf-8'))}\n".encode())
    return found.hexdigest()[:16]


def code_of(source: str) -> str:
    """Return Python source without comments, docstrings and blank lines."""
    lines = source.encode().splitlines()  # the columns of ast are those of bytes
    for node in ast.walk(ast.parse(source)):
        is_text = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        if is_text and isinstance(node.value.value, str):
            first, last = node.lineno - 1, node.end_lineno - 1
            ends = lines[last][node.end_col_offset :]
            lines[first] = lines[first][: node.col_offset]
            lines[first + 1 : last + 1] = [b""] * (last - first)
            lines[last] += ends
    kept = [line.decode() for line in lines]
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            row, column = token.start
            if kept[row - 1]:
                kept[row - 1] = kept[row - 1][:column]
    return "\n".join(line.rstrip() for line in kept if line.strip())
