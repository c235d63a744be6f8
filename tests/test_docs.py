"""The documentation matches the committed results."""

import json
import re
import subprocess
import sys
import tomllib
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results"

pytestmark = pytest.mark.skipif(
    not RESULTS.exists(), reason="a source distribution has no benchmarks"
)


@pytest.fixture
def results(monkeypatch):
    """Return the extension that makes tables of the results; Sphinx need not be installed."""
    pytest.importorskip("sphinx", reason="the group docs is not installed")
    monkeypatch.syspath_prepend(str(ROOT / "docs" / "_ext"))
    return import_module("benchmark_results")


def table_lines(text):
    return [line for line in text.splitlines() if line.startswith("|")]


def test_table_of_the_readme_matches_the_results(results):
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert table_lines(readme) == table_lines(results.TABLES["digits"]())


# --- figures in the text ------------------------------------------------------------------


@pytest.fixture
def prose(monkeypatch):
    """Return the module that compares the figures of a page with the results."""
    monkeypatch.syspath_prepend(str(ROOT / "docs" / "_ext"))
    return import_module("prose_figures")


def test_figures_in_the_text_match_the_results(prose):
    pages = prose.pages()
    assert len(pages) > 40
    assert [problem for page in pages for problem in prose.problems(page)] == []


def test_figures_that_differ_from_the_results_or_have_no_source(prose, tmp_path):
    def found(text):
        (tmp_path / "page.md").write_text(text, encoding="utf-8")
        return [problem.split(" in: ")[0] for problem in prose.problems(tmp_path / "page.md")]

    gain = 'gain("digits", dataset="digits")'
    text = "The unlabeled rows improve it\nby {} points.\n<!-- figures:\n{}\n-->\n"
    value = prose.evaluate(gain)
    right, wrong = f"{value:.1f}", f"{value - 0.2:.1f}"
    assert found(text.format("ten", f"ten = {gain}")) == []
    assert found(text.format(right, f"{right} = {gain}")) == []
    expected = [f"page.md:1: {wrong} is {value:.4g} by {gain}"]
    assert found(text.format(wrong, f"{wrong} = {gain}")) == expected
    assert found(text.format("ten", "ten: a goal")) == []
    assert found(text.format("ten", f"ten = {gain}\n11: a goal")) == ["page.md:1: 11 is not"]
    assert found(text.format("ten to 12", f"ten = {gain}")) == ["page.md:1: 12 has no source"]
    assert found("# Title\n\n- 5 rows\n- from 78.9 to\n  80 %") == [
        "page.md:4: 78.9 has no source",
        "page.md:4: 80 has no source",
    ]
    assert found("With -3.5 points, in half a minute, 1.5 or 20 times") == [
        f"page.md:1: {figure} has no source" for figure in ("3.5", "1.5", "20", "half")
    ]
    assert found("Half a point, two and a half hours, three quarters of an hour") == [
        f"page.md:1: {figure} has no source" for figure in ("half", "half", "two", "quarters")
    ]
    assert found("`max_time=60` [45 %](page.md), scikit-learn 1.6\n\n```\n7 seconds\n```\n") == [
        "page.md:1: 45 has no source"
    ]
    right_method = 'lead("digits", over="LabelSpreading", dataset="digits")'
    assert found(text.format("two", f"two = {right_method}")) == []
    with pytest.raises(ValueError, match=r"best other method in digits .* is LabelSpreading"):
        prose.evaluate('lead("digits", over="RandomForest", dataset="digits")')
    with pytest.raises(ValueError, match="No cell of digits has accuracy and"):
        found(text.format("ten", 'ten = gain("digits", dataset="iris")'))
    with pytest.raises(ValueError, match=r"page\.md:3: a line is 'figure = expr"):
        found(text.format("ten", "ten"))


# --- tables and plots ---------------------------------------------------------------------


def test_tables_mark_records_of_earlier_code(results, monkeypatch):
    code = {"training": results.benchmark("_states").fingerprint("training")}
    text = "Accuracy\n\n| data | labels | system |\n| --- | --- | --- |\n"
    rows = ["| a | all | conv |", "| a | 20 | conv |", "| b | 20 | mlp |"]
    text += "\n".join(rows)

    def key(dataset, n_labels, system):
        return {"key": {"dataset": dataset, "n_labels": n_labels, "system": system}}

    present = {**key("b", 20, "mlp"), "code": code}
    peer = {"key": {"settings": "lightgbm 4: {}", "system": "conv"}}

    def shown(*cells):
        monkeypatch.setattr(results, "cells", lambda name: cells)
        return results.with_states("published_systems", text)

    assert shown(present, peer) == text
    end = "records of this package were measured with earlier code"
    assert shown(key("a", 20, "conv"), peer) == f"{text}\n\nThe {end}."
    for number, stale in enumerate((key("a", None, "conv"), key("a", 20, "conv"))):
        marked = text.replace(rows[number], rows[number].replace("conv", "conv †"))
        sentence = f"1 of the 2 {end}, in part or all of those of the rows with †."
        assert shown(present, stale) == f"{marked}\n\n{sentence}"
    assert shown(present, key("c", 20, "conv")) == text


# A figure that the text of the page of published systems mentions.
WITHOUT_TABLE = {"published_systems_two_threads"}


@pytest.mark.parametrize(
    "name", sorted({path.stem for path in RESULTS.glob("*.json")} - WITHOUT_TABLE)
)
def test_every_result_has_a_table_on_a_page(results, name):
    assert len(table_lines(results.TABLES[name]())) > 2
    pages = [page.read_text(encoding="utf-8") for page in (ROOT / "docs").rglob("*.md")]
    assert any(f"{{benchmark-table}} {name}\n" in page for page in pages)


def test_tables_need_no_package_of_the_tests(results):
    toml = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    extras, groups = toml["project"]["optional-dependencies"], toml["dependency-groups"]
    listed = {name: [*extras.get(name, []), *groups.get(name, [])] for name in [*extras, *groups]}
    named = {
        name: {re.split("[><=;[ ]", row)[0] for row in rows if isinstance(row, str)}
        for name, rows in listed.items()
    }
    absent = sorted(named["test"] - named["docs"] - named["examples"])
    assert "pytest" in absent
    folder = str(ROOT / "docs" / "_ext")
    code = f"""
import sys
sys.modules.update(dict.fromkeys({absent}))  # importing one of them fails
sys.path.insert(0, {folder!r})
import benchmark_results
for table in benchmark_results.TABLES.values():
    table()
"""
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr


def test_every_plot_can_be_drawn(results, tmp_path):
    matplotlib = pytest.importorskip(
        "matplotlib", minversion="3.7", reason="the group docs asks for matplotlib 3.7"
    )
    plots = import_module("benchmark_plots")
    for name, draw in plots.PLOTTERS.items():
        with matplotlib.rc_context({"backend": "Agg"}):
            draw(tmp_path / f"{name}.png")
        assert (tmp_path / f"{name}.png").stat().st_size > 10_000


def test_picture_of_the_package(results, tmp_path):
    plot = import_module("package_plot")
    for name, text in {
        "_runtime/random.py": "",
        "_data/labels.py": "from pack._runtime import random",
        "_data/rows.py": "from pack._data.labels import codes",
        "fit.py": "from pack._data.rows import rows\nfrom pack._runtime.random import seeded",
        "__init__.py": "from pack.fit import fit",
    }.items():
        path = tmp_path / "pack" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    found = plot.imports(tmp_path / "pack")
    assert found == {"_runtime": set(), "_data": {"_runtime"}, "fit": {"_data", "_runtime"}}
    assert plot.levels(found) == {"_runtime": 0, "_data": 1, "fit": 2}
    assert plot.direct(found) == {("fit", "_data"), ("_data", "_runtime")}
    matplotlib = pytest.importorskip("matplotlib")
    with matplotlib.rc_context({"backend": "Agg"}):
        plot.draw(tmp_path / "package.png")
    assert (tmp_path / "package.png").stat().st_size > 10_000


PAGE = """# `SGANClassifier` in a title

`SGANClassifier` and `fit`, `SGANClassifier` again and `SGANClassifier(max_epochs=1).fit(X, y)`.

## Another section

`SGANClassifier.sample`, `"stacked"`, `sgan_sklearn.inspection`, `LabelSpreading()`, `clone(x)`.
"""


def test_links_of_code_on_a_page(results, tmp_path):
    pytest.importorskip("myst_parser", reason="the group docs is not installed")
    from sphinx import addnodes
    from sphinx.testing.util import SphinxTestApp

    (tmp_path / "conf.py").write_text('extensions = ["myst_parser", "code_links"]\n')
    (tmp_path / "index.md").write_text(PAGE, encoding="utf-8")
    app = SphinxTestApp(srcdir=tmp_path, buildername="dummy")
    try:
        app.build()
        links = list(app.env.get_doctree("index").findall(addnodes.pending_xref))
    finally:
        app.cleanup()
    assert [(link.astext(), link["reftarget"]) for link in links] == [
        ("SGANClassifier", "sgan_sklearn.SGANClassifier"),
        ("SGANClassifier.sample", "sgan_sklearn.SGANClassifier.sample"),
        ('"stacked"', "sgan_sklearn.objectives.Stacked"),
        ("sgan_sklearn.inspection", "sgan_sklearn.inspection"),
        ("LabelSpreading()", "sklearn.semi_supervised.LabelSpreading"),
    ]


def test_pages_have_no_roles_which_github_would_show_as_text():
    pages = [
        *ROOT.glob("*.md"),
        *(ROOT / "docs").glob("*.md"),
        *(ROOT / "docs").glob("[a-z]*/*.md"),
    ]
    assert len(pages) > 30
    for page in pages:
        assert not re.search(r"\{[a-z:]+\}`[^`]", page.read_text("utf-8")), page


# Words that readers found archaic, vague, or translated.
UNWANTED = (
    "amongst|hence|hereby|in order to|leverag|made[ -]up|obviously|of course|simply|thereof|upon"
    "|utiliz|very|whereby|whilst"
)


def test_pages_and_docstrings_use_plain_words():
    pages = [
        *ROOT.glob("*.md"),
        *(ROOT / "docs").glob("*.md"),
        *(ROOT / "docs").glob("[a-z]*/*.md"),
    ]
    modules = [*(ROOT / "sgan_sklearn").rglob("*.py"), *(ROOT / "examples").glob("*.py")]
    for path in [*pages, *modules]:
        if path.name != "CODE_OF_CONDUCT.md":  # a text of others
            found = re.search(rf"\b({UNWANTED})\w*\b", path.read_text("utf-8"), re.IGNORECASE)
            assert found is None, (path, found)


def test_cells_have_a_key_and_seconds():
    for path in RESULTS.glob("*.json"):
        for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
            assert cell["key"], path
            assert cell["seconds"] >= 0, path
