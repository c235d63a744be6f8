"""Which stored results were measured with another state of the code than the present one.

For each result file, the table counts the cells by the state of the code that trained their models:

- "other packages": cells of other packages, which depend on their version alone
- "present": measured with the present code
- "same models": measured with other code, which trains the same models (`states.json`)
- "earlier": measured with code that trains other models
- "unknown": measured before cells held the state of the code

    python benchmarks/check_figures.py

The exit status is 1 if there are cells of an earlier or unknown state, or if the text of a page has
a figure that is not that of the results. To measure such cells anew, run their benchmark with
`--rerun-stale`. After a change that should not change any model, `model_hashes.py --record` adds
the present code to the states.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from pathlib import Path

from _cells import RESULTS, table
from _states import state_of

STATES = ("other packages", "present", "same models", "earlier", "unknown")
DOCS = Path(__file__).parents[1] / "docs"


def count(path: Path) -> Counter[str]:
    """Return the number of cells of a result file in each state."""
    cells = json.loads(path.read_text("utf-8"))["cells"]
    return Counter(state_of(cell, path.stem) for cell in cells)


def summarize(counts: dict[str, Counter[str]]) -> str:
    """Return the table of the states, one row for each result file."""
    rows = [
        [name, *(str(found[state] or "") for state in STATES)] for name, found in counts.items()
    ]
    return table(["results", *STATES], rows)


def wrong_figures() -> list[str]:
    """Return the figures in the text of the pages that differ from the results."""
    sys.path.insert(0, str(DOCS / "_ext"))
    from prose_figures import pages, problems

    return [problem for page in pages() for problem in problems(page)]


def main() -> int:
    argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    ).parse_args()
    counts = {path.stem: count(path) for path in sorted(RESULTS.glob("*.json"))}
    total = sum(counts.values(), Counter())
    print(summarize({**counts, "all": total}))
    wrong = wrong_figures()
    print("\n".join(wrong))
    n_stale = total["earlier"] + total["unknown"]
    print(f"{n_stale} stale, {len(wrong)} unbacked")
    return int(n_stale + len(wrong) > 0)


if __name__ == "__main__":
    sys.exit(main())
