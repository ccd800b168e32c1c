"""The claims ledger: every row complete, every verdict as it is defined."""

import json

import checked
import pytest
import toc

from pages import ledger
from pages.ledger import BASES, DECIDED, VERDICTS, Row, counts, rows

FOUND = rows()
SOURCES = {"000", "001", "002", "003", "004"}
CHECKS = {name for checks in checked.collected().values() for name in checks}


def named(bad):
    """Rows as a failing test shows them."""
    return [f"{row.document}, {row.section}: {row.statement[:40]}" for row in bad]


def test_all_five_documents_have_rows():
    assert {row.document for row in FOUND} == SOURCES
    assert len(FOUND) >= 170


def test_a_verdict_is_one_of_five():
    assert not named(row for row in FOUND if row.verdict not in VERDICTS)


def test_a_row_is_complete():
    parts = [(row, row.section, row.statement, row.reason) for row in FOUND]
    assert not named(row for row, *words in parts if not all(words))
    assert not named(row for row in FOUND if len(row.reason) > 900)


def faults(row):
    """What a row lacks to rest on something."""
    if row.verdict not in DECIDED:
        return ["a mark"] if row.marks() or row.basis() else []
    missing = [] if bool(row.marks()) != bool(row.basis()) else ["one basis"]
    place = row.chapters() or "](#" in row.reason  # this page is one, too
    if row.basis() in ("Printed", "Run") and not place:
        missing.append("a place in the book")
    if row.basis() == "Cited" and "{cite" not in row.reason:
        missing.append("a work")
    return missing


def test_a_verdict_rests_on_something():
    """On a check, or on what the last word says; what is undecided on nothing."""
    assert not named(row for row in FOUND if faults(row))


def test_marks_lead_to_checks():
    assert not {name for row in FOUND for name in row.marks()} - CHECKS


def test_a_holds_names_no_condition():
    """A condition belongs into "holds when"."""
    condition = "when", "if", "where", "only", "once", "unless"
    holds = [row for row in FOUND if row.verdict == "holds"]
    assert not named(r for r in holds if r.reason.lower().startswith(condition))


def test_links_lead_to_chapters():
    stems = {path.stem for path in toc.chapters()}
    pages = {path.stem for path in (toc.ROOT / "book").glob("*.md")}
    assert not {stem for row in FOUND for stem in row.chapters()} - stems - pages


def test_a_statement_stands_once():
    statements = [(row.document, row.statement) for row in FOUND]
    assert len(statements) == len(set(statements))


def test_the_page_counts_its_rows():
    """The stored table is that of the tables above it."""
    cells = json.loads(ledger.LEDGER.read_text("utf-8"))["cells"]
    shown = [
        "".join(output["data"]["text/markdown"]).splitlines()[2:]
        for cell in cells
        if "ledger.counts(rows)" in "".join(cell["source"])
        for output in cell["outputs"]
        if "text/markdown" in output.get("data", {})
    ]
    (lines,) = shown
    stored = [[c.strip() for c in line.strip("|").split("|")] for line in lines]
    assert stored == [[str(entry) for entry in line] for line in counts(FOUND)]
    assert int(stored[-1][-1]) == len(FOUND)
    assert sum(map(int, stored[-1][1:-1])) == len(FOUND)


# --- The tests see a bad row ----------------------------------------------------


def a_row(verdict="holds", reason="So it is: {doc}`ppo`. *Printed.*"):
    return Row("000", "1", "it is so", verdict, reason)


def test_a_good_row():
    assert not faults(a_row())
    assert not faults(a_row(reason="So it is: {doc}`ppo`. {checked}`kl-ratio`"))
    assert not faults(a_row("untested", "Nothing does it."))


@pytest.mark.parametrize(
    "bad",
    [
        a_row(reason="So it is: {doc}`ppo`."),
        a_row(reason="So it is. *Printed.*"),
        a_row(reason="So it is. *Cited.*"),
        a_row(reason="So it is: {doc}`ppo`. *Believed.*"),
        a_row(reason="So it is: {checked}`kl-ratio` {doc}`ppo`. *Printed.*"),
        a_row("untested", "Nothing does it. {checked}`kl-ratio`"),
    ],
)
def test_a_bad_row(bad):
    assert faults(bad)


def test_rows_are_read_and_counted(tmp_path):
    text = (
        "### Document 000\n\n| § | statement | verdict | why, and where |\n"
        "|---|---|---|---|\n| 1 | a | holds | b. *Read.* |\n"
        "| 2 | c | untested | d. |\n\n## Summary\n\n| 3 | e |\n"
    )
    path = tmp_path / "ledger.ipynb"
    cell = {"cell_type": "markdown", "source": text.splitlines(keepends=True)}
    path.write_text(json.dumps({"cells": [cell]}), "utf-8")
    found = rows(path)
    assert [(r.section, r.basis(), r.chapters()) for r in found] == [
        ("1", "Read", set()),
        ("2", "", set()),
    ]
    assert counts(found)[-1] == ["all", 1, 0, 0, 0, 1, 2]
    assert set(BASES) >= {found[0].basis()}


@pytest.mark.parametrize("line", ["| § | claim |", "| § | a | b | c | d |"])
def test_other_columns_are_an_error(tmp_path, line):
    path = tmp_path / "ledger.ipynb"
    cell = {"cell_type": "markdown", "source": [f"### Document 000\n\n{line}\n"]}
    path.write_text(json.dumps({"cells": [cell]}), "utf-8")
    with pytest.raises(ValueError, match="header"):
        rows(path)
