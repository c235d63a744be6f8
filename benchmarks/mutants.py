"""Mutation testing: how many small changes of the code are detected by the tests?

A mutant is a module in which cosmic-ray (`pip install cosmic-ray`) has changed one operator,
comparison, number, condition or loop. The tests of the module run on a copy of the package with the
mutant, which is killed if a test fails, crashes or takes too long. Survivors are printed; each is
either equivalent to the original or a gap in the tests. The tests of a module are those in TESTS
and its doctests, without slow tests.

The mutants are a random sample that takes one from each place in a module before it takes a second
one from any place. A mutant is identified by its line of code, not by its line number, so that
changes of other lines do not change the sample.

    python benchmarks/mutants.py --label before
    python benchmarks/mutants.py --label after

Each run takes about twenty minutes on one core. Processes are forked, so it needs Linux or macOS.
"""

from __future__ import annotations

import argparse
import ast
import hashlib
import importlib
import json
import os
import select
import shutil
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator
from functools import cache
from importlib.metadata import version
from importlib.util import cache_from_source
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import torch
from _cells import add_run_options, run_cells, table

if TYPE_CHECKING:  # the documentation prints the table without pytest
    import pytest

ROOT = Path(__file__).parents[1]

# The test files of each module, starting with those that kill most mutants.
TESTS = {
    "losses": ("losses", "regularizers", "objectives"),
    "objectives": ("objectives", "docstrings"),
    "batches": ("batches", "net", "training_control"),
    "model_selection": ("model_selection", "label_types", "docstrings"),
    "metrics": ("metrics", "label_types", "docstrings"),
}
OPTIONS = ("-x", "-q", "-p", "no:cacheprovider", "-m", "not slow and not cuda")
OPTIONS += ("-k", "not two_processes")  # separate processes would have to import everything
OPTIONS += ("-W", "ignore:Module already imported:pytest.PytestAssertRewriteWarning")

# Imported once, before the forks.
SHARED = ("hypothesis.extra.numpy", "hypothesis.extra.pandas", "polars", "scipy.stats")
SHARED += ("sklearn.semi_supervised", "skorch")

SECONDS = 20  # time limit, in addition to five times that of the original
MOST_BYTES = 8 * 2**30  # memory limit of a process


# --- mutants ------------------------------------------------------------------------------------


class WithoutAnnotations(ast.NodeTransformer):
    """Skip code that Python does not evaluate."""

    def visit_arg(self, node: ast.arg) -> ast.arg:
        node.annotation = None
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.returns = None
        return self.generic_visit(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        node.annotation = ast.Constant(None)
        return self.generic_visit(node)


def evaluated(source: str) -> str | None:
    """Return a module's code without comments, layout and annotations, or None if it has none."""
    try:
        return ast.dump(WithoutAnnotations().visit(ast.parse(source)))
    except SyntaxError:
        return None


def positions(source: str) -> list[tuple[str, int, str, tuple[int, int]]]:
    """Return each mutation: its operator, number, line and place."""
    from cosmic_ray.ast import ast_nodes, get_ast
    from cosmic_ray.plugins import get_operator, operator_names

    tree, lines = get_ast(source), source.splitlines()
    found = []
    for name in operator_names():
        operator = get_operator(name)
        if not operator.arguments():
            nodes = ast_nodes(tree)
            places = [place for node in nodes for place, _ in operator().mutation_positions(node)]
            found += [(name, i, lines[p[0] - 1].strip(), p) for i, p in enumerate(places)]
    return found


def mutants(source: str, seed: int) -> Iterator[tuple[dict, str]]:
    """Yield the names of all mutants of a module and their code, in random order."""
    from cosmic_ray.mutating import mutate_code
    from cosmic_ray.plugins import get_operator

    same_line: Counter[tuple[str, str]] = Counter()
    by_place: dict[tuple[int, int], list[tuple[bytes, dict, str, int]]] = {}
    for operator, number, line, place in positions(source):
        name = {"operator": operator.split("/")[1], "line": line}
        name["occurrence"] = same_line[operator, line]
        same_line[operator, line] += 1
        digest = hashlib.sha256(json.dumps([seed, name]).encode()).digest()
        by_place.setdefault(place, []).append((digest, name, operator, number))
    ranked = [
        (rank, *mutant)
        for found in by_place.values()
        for rank, mutant in enumerate(sorted(found, key=lambda mutant: mutant[0]))
    ]
    original = evaluated(source)
    for _, _, name, operator, number in sorted(ranked, key=lambda mutant: mutant[:2]):
        code = mutate_code(source, get_operator(operator)(), number)
        if evaluated(code) not in (None, original):
            yield name, code


def changed_lines(before: str, after: str) -> str:
    """Return the new versions of the changed lines."""
    old, new = before.splitlines(), after.splitlines()
    pairs = zip(old, new, strict=False)
    start = next(i for i, (one, other) in enumerate(pairs) if one != other)
    stop = len(new)
    while stop > start and new[stop - 1] == old[stop - 1 + len(old) - len(new)]:
        stop -= 1
    return " ".join(line.strip() for line in new[start:stop])


# --- tests in a separate process ----------------------------------------------------------------


class FirstFailure:
    """pytest plugin that stores the name of the first failing test."""

    name: str | None = None

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self.name = self.name or report.nodeid

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self.name = self.name or report.nodeid


def run_pytest(folder: Path, arguments: list[str], keep_bytecode: bool) -> tuple[int, Any, Any]:
    """Return pytest's exit status, the first failure and the file of the tested package."""
    import resource  # not on Windows

    import pytest

    resource.setrlimit(resource.RLIMIT_AS, (MOST_BYTES, MOST_BYTES))
    os.chdir(folder)
    sys.path.insert(0, str(folder))
    sys.dont_write_bytecode = not keep_bytecode
    with open(folder / "output", "w") as output:
        os.dup2(output.fileno(), 1)
        os.dup2(output.fileno(), 2)
        sys.stdout = sys.stderr = output
        failure = FirstFailure()
        status = int(pytest.main(arguments, plugins=[failure]))
        return status, failure.name, getattr(sys.modules.get("sgan_sklearn"), "__file__", None)


def in_own_process(
    folder: Path, arguments: list[str], seconds: float | None, *, keep_bytecode: bool = False
) -> list | None:
    """Return the result of `run_pytest` in a fork, [] after a crash and None after a timeout."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(writer, json.dumps(run_pytest(folder, arguments, keep_bytecode)).encode())
        finally:
            os._exit(0)
    os.setpgid(child, child)
    os.close(writer)
    try:
        if not select.select([reader], [], [], seconds)[0]:
            return None
        found = os.read(reader, 4096)
        return json.loads(found) if found else []
    finally:
        os.close(reader)
        os.killpg(child, signal.SIGKILL)  # including its child processes
        os.waitpid(child, 0)


class Bench:
    """A copy of the package and its tests, in which one module at a time is a mutant."""

    def __init__(self, root: Path, folder: Path, tests: dict[str, tuple[str, ...]] = TESTS) -> None:
        self.folder, self.tests = folder.resolve(), tests
        leave = shutil.ignore_patterns("__pycache__")
        for name in ("sgan_sklearn", "tests"):
            shutil.copytree(root / name, self.folder / name, ignore=leave)
        shutil.copy(root / "pyproject.toml", self.folder)
        self.paths = {name: self._find("sgan_sklearn", name) for name in tests}
        self.sources = {name: path.read_text() for name, path in self.paths.items()}
        self.seconds = cache(self._seconds)  # for each module's tests on the original

    def _find(self, folder: str, stem: str) -> Path:
        """Return the only file with this name, in any folder, private or not."""
        found = [p for p in (self.folder / folder).rglob("*.py") if p.stem.lstrip("_") == stem]
        if len(found) != 1:
            raise FileNotFoundError(f"{len(found)} files named {stem} in {folder}, not one.")
        return found[0]

    def _arguments(self, module: str) -> list[str]:
        files = [self._find("tests", f"test_{name}") for name in self.tests[module]]
        own = [f"--rootdir={self.folder}", f"--basetemp={self.folder / 'temporary'}"]
        return [*OPTIONS, *own, *map(str, [*files, self.paths[module]])]

    def _seconds(self, module: str) -> float:
        arguments = self._arguments(module)
        in_own_process(self.folder, arguments, None, keep_bytecode=True)
        start = time.perf_counter()
        result = in_own_process(self.folder, arguments, None)
        package = str(self.folder / "sgan_sklearn" / "__init__.py")
        if result != [0, None, package]:
            output = (self.folder / "output").read_text()[-3000:]
            raise RuntimeError(f"The tests of {module} fail on the original: {result}\n{output}")
        return time.perf_counter() - start

    def test(self, module: str, code: str) -> dict[str, Any]:
        """Return the result of a module's tests for other code."""
        limit = SECONDS + 5 * self.seconds(module)
        path = self.paths[module]
        Path(cache_from_source(path)).unlink(missing_ok=True)
        path.write_text(code)
        try:
            result = in_own_process(self.folder, self._arguments(module), limit)
        finally:
            path.write_text(self.sources[module])
        if result is None:
            return {"outcome": "timeout", "killed_by": None}
        if result and result[0] == 0:
            return {"outcome": "survived", "killed_by": None}
        return {"outcome": "killed", "killed_by": result[1] if result else "crash"}


# --- table --------------------------------------------------------------------------------------


def survivors(cells: list[dict]) -> str:
    """Return one line for each mutant that no test detected."""
    return "\n".join(
        f"{key['label']}, {key['module']}: {key['line']}  ->  {cell['becomes']}"
        for cell in cells
        if cell["outcome"] == "survived" and (key := cell["key"])
    )


def summarize(cells: list[dict]) -> str:
    """Return the table of all modules."""
    outcomes: dict[tuple[str, str], Counter[str]] = {}
    for cell in cells:
        for name in (cell["key"]["module"], "all"):
            outcomes.setdefault((name, cell["key"]["label"]), Counter())[cell["outcome"]] += 1
    header = ["module", "code", "mutants", "killed", "timeouts", "survived", "share killed"]
    rows = []
    order = [*TESTS, "all"]
    before_after = sorted(outcomes, reverse=True)  # "before" comes first
    for module, label in sorted(before_after, key=lambda place: order.index(place[0])):
        counts = outcomes[module, label]
        n, n_survived = counts.total(), counts["survived"]
        numbers = (n, counts["killed"], counts["timeout"], n_survived)
        rows.append([module, label, *map(str, numbers), f"{100 * (1 - n_survived / n):.1f} %"])
    return table(header, rows)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--label", default="before", help="name of this state of the code")
    parser.add_argument("--sample", type=int, default=40, help="mutants per module")
    parser.add_argument("--modules", nargs="+", choices=TESTS, default=list(TESTS))
    parser.add_argument("--seed", type=int, default=0, help="seed of the sample (default: 0)")
    add_run_options(parser, "mutants", jobs=False)
    options = parser.parse_args()
    torch.set_num_threads(1)
    for name in SHARED:
        importlib.import_module(name)
    shared = {"label": options.label, "version": version("sgan-sklearn")}
    with TemporaryDirectory() as folder:
        bench, keys, codes = Bench(ROOT, Path(folder)), [], {}
        for module in options.modules:
            source = bench.sources[module]
            sample = zip(range(options.sample), mutants(source, options.seed), strict=False)
            for _, (name, code) in sample:
                keys.append({"module": module, **name, **shared})
                codes[json.dumps(keys[-1])] = code

        def measure(key: dict) -> dict:
            module, code = key["module"], codes[json.dumps(key)]
            becomes = changed_lines(bench.sources[module], code)
            return {"becomes": becomes, **bench.test(module, code)}

        cells = run_cells(options, keys, measure)
    print(survivors(cells), "", summarize(cells), sep="\n")


if __name__ == "__main__":
    main()
