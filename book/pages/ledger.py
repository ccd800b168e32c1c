"""The rows of the claims ledger, read from the tables of its notebook.

The tables are the only place where a row stands; the page and its tests count them.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

LEDGER = Path(__file__).parents[1] / "claims_ledger.ipynb"
VERDICTS = ("holds", "holds when", "does not hold", "not checkable", "untested")
DECIDED = VERDICTS[:3]
# What a verdict without a mark rests on, its last word.
BASES = ("Printed", "Run", "Read", "Cited")
HEADER = ["§", "statement", "verdict", "why, and where"]
DOCUMENT = re.compile(r"^### Document (\d{3})$")
MARK = re.compile(r"\{checked\}`([\w-]+)`")
LINK = re.compile(r"\]\((\w+)\.ipynb(?:#[\w-]+)?\)|\{doc\}`(\w+)`")


@dataclass(frozen=True)
class Row:
    document: str  # "000"
    section: str
    statement: str  # the document's words and a rendering in English
    verdict: str  # one of VERDICTS
    reason: str  # why, where in the book, and what it rests on

    def marks(self) -> list[str]:
        """The names of the checks that it rests on."""
        return MARK.findall(self.reason)

    def basis(self) -> str:
        """Its last word, where that is one of BASES."""
        last = re.search(r"\*(\w+)\.\*$", self.reason)
        return last[1] if last and last[1] in BASES else ""

    def chapters(self) -> set[str]:
        """The chapters to which it leads."""
        return {a or b for a, b in LINK.findall(self.reason)}


def rows(path: str | Path = LEDGER) -> list[Row]:
    """All rows, in their order.

    Raises: ValueError for a table behind "### Document 000" that has other columns.
    """
    cells = json.loads(Path(path).read_text("utf-8"))["cells"]
    prose = "\n".join(
        "".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown"
    )
    found, document, header = [], "", None
    for line in prose.splitlines():
        heading = DOCUMENT.match(line)
        if heading or line.startswith("#"):
            document, header = heading[1] if heading else "", None
        if not document or not line.startswith("|"):
            continue
        cells = [cell.strip() for cell in line.strip().strip("|").split(" | ")]
        if header is None:
            header = cells
            if cells != HEADER:
                raise ValueError(f"header: expected {HEADER}, got {cells}")
        elif set(line) - set("|-: "):
            if len(cells) != len(HEADER):
                raise ValueError(f"row: expected {len(HEADER)} cells, got {line}")
            found.append(Row(document, *cells))
    return found


def counts(found: list[Row]) -> list[list[str | int]]:
    """A row for each document and one for all: how many of each verdict."""
    each = Counter((row.document, row.verdict) for row in found)
    documents = sorted({row.document for row in found})
    table: list[list[str | int]] = [
        [document, *(each[document, verdict] for verdict in VERDICTS)]
        for document in documents
    ]
    sums = [sum(each[d, verdict] for d in documents) for verdict in VERDICTS]
    return [[*row, sum(map(int, row[1:]))] for row in [*table, ["all", *sums]]]
