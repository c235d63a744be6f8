"""The documentation pages: code that is not run, links, and tables of contents.

What can run is run as a doctest; see `testpaths` and `--doctest-glob` in `pyproject.toml`.
"""

import ast
import re
import textwrap
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
BUILT = {"_build", "auto_examples", "generated"}  # by Sphinx and its extensions
PAGES = sorted(
    path for path in DOCS.rglob("*.md") if BUILT.isdisjoint(path.relative_to(DOCS).parts)
)
PAGES = [ROOT / "README.md", *PAGES]

FENCE = re.compile(r"^( *)(`{3,}|:{3,})([^\n]*)\n(.*?)^\1\2 *$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"(?<!\\)\]\(<?([^()\s>]+)>?(?: \"[^\"]*\")?\)")

each_page = pytest.mark.parametrize(
    "page", [pytest.param(path, id=path.relative_to(ROOT).as_posix()) for path in PAGES]
)


def fences(text):
    """Yield the name and the content of each fenced block, without indentation."""
    for _, _, name, content in FENCE.findall(text):
        yield name.strip(), textwrap.dedent(content)


def links(text):
    """Return the targets of all links and pictures outside of code that lead to files."""
    prose = re.sub(r"`[^`\n]+`", "", FENCE.sub(_inside, text))
    return [t for t in LINK.findall(prose) if not re.match(r"[a-z][a-z0-9+.-]*:", t)]


def _inside(match):
    """Return the content of directives such as admonitions, without code."""
    return match[4] if match[2].startswith(":") else ""


def anchors(text):
    """Return the names of a page's headings and targets, as MyST and GitHub make them."""
    prose = FENCE.sub("", text)
    headings = re.findall(r"^#+ (.+?)\s*$", prose, flags=re.MULTILINE)
    slugs = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
    return slugs | set(re.findall(r"^\(([\w-]+)\)=$", prose, flags=re.MULTILINE))


def toctree(index):
    """Return the pages that the tables of contents of a page name."""
    entries = []
    for name, content in fences(index.read_text(encoding="utf-8")):
        if name == "{toctree}":
            lines = [line.strip() for line in content.splitlines()]
            entries += [line for line in lines if line and not line.startswith(":")]
    return [re.sub(r"^.*<(.+)>$", r"\1", entry) for entry in entries]


def test_fences_links_and_anchors_are_found():
    text = textwrap.dedent("""
        # The first *one*, of 2

        A [link](a.md#part), `[no](link.md)`, a ![picture](../b.png "title") and
        [another site](https://example.org).

        ```python
        x = d["f"](y)
        ```

        :::{tip}
        Look [there](c.md).
        :::

        - deeper

          ```python
          z = 1
          ```

        (target)=
        ## Last
    """)
    assert list(fences(text)) == [
        ("python", 'x = d["f"](y)\n'),
        ("{tip}", "Look [there](c.md).\n"),
        ("python", "z = 1\n"),
    ]
    assert links(text) == ["a.md#part", "../b.png", "c.md"]
    assert anchors(text) == {"the-first-one-of-2", "last", "target"}


@each_page
def test_code_that_is_not_run_is_python(page):
    for name, code in fences(page.read_text(encoding="utf-8")):
        if name == "python" and ">>>" not in code:
            ast.parse(code)


@each_page
def test_every_fence_of_examples_ends_with_a_blank_line(page):
    # Otherwise doctest treats the closing fence as output.
    for name, code in fences(page.read_text(encoding="utf-8")):
        if name == "python" and ">>>" in code:
            assert code.endswith("\n\n"), code


@each_page
def test_links_lead_to_files(page):
    for target in links(page.read_text(encoding="utf-8")):
        path, _, anchor = target.partition("#")
        place = (page.parent / path).resolve() if path else page
        assert place.is_relative_to(ROOT), target
        assert place.exists(), target
        if anchor and place.suffix == ".md":
            assert anchor in anchors(place.read_text(encoding="utf-8")), target


@pytest.mark.parametrize("folder", ["guide", "contributing", "benchmarks"])
def test_every_page_is_in_a_table_of_contents(folder):
    entries = toctree(DOCS / folder / "index.md")
    assert len(entries) == len(set(entries))
    assert set(entries) == {path.stem for path in (DOCS / folder).glob("*.md")} - {"index"}
