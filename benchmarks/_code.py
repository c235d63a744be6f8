"""The state of the code behind a result, as fingerprints of the sources."""

from __future__ import annotations

import ast
import hashlib
import io
import tokenize
from functools import cache
from importlib.util import find_spec
from pathlib import Path

# Found without importing it: the benchmark of mutants imports its own copy.
PACKAGE = Path(find_spec("sgan_sklearn").origin).parent
# Functions that take any classifier.
TOOLS = ("calibration.py", "inspection", "metrics.py", "model_selection.py")
# What does not train models: those functions, and what reads, saves and shows models.
NOT_TRAINING = (*TOOLS, "_display", "_saving.py", "_storage", "callbacks.py")


@cache
def fingerprint(part: str = "training", package: Path = PACKAGE) -> str:
    """Return a hash of the code of a part of the package: "training", "tools" or "package".

    Comments, docstrings and blank lines do not change it.
    """
    found = hashlib.sha256()
    for path in sorted(package.rglob("*.py")):
        place = path.relative_to(package)
        top = place.parts[0]
        belongs = {
            "training": top not in NOT_TRAINING,
            "tools": top in TOOLS,
            "package": True,
        }
        if belongs[part]:
            found.update(f"{place.as_posix()}\n{code_of(path.read_text('utf-8'))}\n".encode())
    return found.hexdigest()[:16]


@cache  # most files are part of two fingerprints
def code_of(source: str) -> str:
    """Return Python source without comments, docstrings and blank lines."""
    lines = source.splitlines()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:  # the last one of its line
            row, column = token.start
            lines[row - 1] = lines[row - 1][:column]
    encoded = [line.encode() for line in lines]  # the columns of ast are those of bytes
    for node in ast.walk(ast.parse(source)):
        is_text = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        if is_text and isinstance(node.value.value, str):
            first, last = node.lineno - 1, node.end_lineno - 1
            after = encoded[last][node.end_col_offset :]
            encoded[first] = encoded[first][: node.col_offset]
            encoded[first + 1 : last + 1] = [b""] * (last - first)
            encoded[last] += after
    return "\n".join(line.decode().rstrip() for line in encoded if line.strip())
