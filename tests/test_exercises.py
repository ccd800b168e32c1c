"""The graded exercises: the book's own answer is right, and a mistake is seen."""

import json
from importlib import import_module
from pathlib import Path

import pytest

from pages.grader import Exercise

ROOT = Path(__file__).resolve().parents[1]
MODULES = sorted(
    path.stem
    for path in (ROOT / "book" / "exercises").glob("*.py")
    if path.stem != "__init__"
)
EXERCISES = [
    pytest.param(module, name, record, id=f"{module}-{name}")
    for module in MODULES
    for name, record in vars(import_module(f"exercises.{module}")).items()
    if isinstance(record, Exercise)
]


def sources(chapter):
    """(source of a cell, whether it stands under a heading "Solution")."""
    path = ROOT / "book" / f"{chapter}.ipynb"
    folded = False
    for cell in json.loads(path.read_text("utf-8"))["cells"]:
        text = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            headings = [line for line in text.splitlines() if line.startswith("#")]
            folded = headings[-1] == "#### Solution" if headings else folded
        else:
            yield text, folded


@pytest.mark.parametrize(("module", "name", "record"), EXERCISES)
def test_the_books_answer_is_right(module, name, record):
    assert record.fault(record.expected) == ""
    assert len(record.cases) >= 2 and record.hint and record.wrong


@pytest.mark.parametrize(("module", "name", "record"), EXERCISES)
def test_a_mistake_is_seen(module, name, record):
    """No answer yet is not a wrong one."""
    for number, mistake in enumerate(record.wrong):
        assert record.fault(mistake), number
    assert record.fault(lambda *_: None) is None


@pytest.mark.parametrize(("module", "name", "record"), EXERCISES)
def test_the_chapter_asks_and_answers(module, name, record):
    """Open once as a stub, and once in the folded solution; nbval runs both."""
    call = f"grade({name}, "
    assert [folded for text, folded in sources(module) if call in text] == [False, True]


def test_every_module_has_an_exercise():
    assert {param.values[0] for param in EXERCISES} == set(MODULES)
