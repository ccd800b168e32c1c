"""The first path through the book shows little code, and pictures and exercises stand
in every chapter."""

import json
import re
from pathlib import Path

import pytest
import toc

ROOT = Path(__file__).resolve().parents[1]
INTRO = (ROOT / "book" / "intro.md").read_text("utf-8")
CARD = INTRO.partition("Learn it from zero")[2].partition("card-footer")[0]
PATH = re.findall(r"\{doc\}`(\w+)`", CARD)
FOLDED = {"colab", "hide-cell", "hide-input", "setup", "switch"}
LINES = 250


def cells(chapter):
    """The chapter's cells with the last heading before each."""
    text = (ROOT / "book" / f"{chapter}.ipynb").read_text("utf-8")
    heading = ""
    for cell in json.loads(text)["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            fenced = re.sub(r"```.*?```", "", source, flags=re.DOTALL)
            heading = (re.findall(r"^#+ .*", fenced, re.MULTILINE) or [heading])[-1]
        yield heading, cell, source


def open_lines(chapter):
    """Lines of code that a reader sees: of a pair of tabs one, no blank ones."""
    lines, other = 0, 0
    for heading, cell, source in cells(chapter):
        tags = set(cell["metadata"].get("tags", []))
        if cell["cell_type"] == "markdown" or tags & FOLDED:
            continue
        if heading == "#### Solution":
            continue
        count = sum(bool(line.strip()) for line in source.splitlines())
        if "tf" in tags:
            other += count
        else:
            lines += count
    return lines


def test_the_path_follows_the_contents():
    names = [path.stem for path in toc.chapters()]
    places = [names.index(chapter) for chapter in PATH]
    assert len(PATH) == 10 and places == sorted(places)


@pytest.mark.parametrize("chapter", PATH)
def test_little_code_is_shown(chapter):
    assert open_lines(chapter) <= LINES


@pytest.mark.parametrize("chapter", [path.stem for path in toc.chapters()])
def test_exercises_have_one_form(chapter):
    """Three or more, each with its own heading and one folded solution."""
    headings = [h for h, cell, _ in cells(chapter) if cell["cell_type"] == "markdown"]
    text = "\n".join(s for _, cell, s in cells(chapter) if cell["cell_type"] != "code")
    numbers = [int(n) for n in re.findall(r"^### Exercise (\d+)\b", text, re.MULTILINE)]
    assert numbers == list(range(1, len(numbers) + 1)) and len(numbers) >= 3
    assert len(re.findall(r"^#### Solution$", text, re.MULTILINE)) == len(numbers)
    assert headings.count("#### Solution") >= len(numbers)
    alone = [s for _, _, s in cells(chapter) if s == "#### Solution"]
    assert len(alone) == len(numbers), "the heading stands in a cell of its own"


@pytest.mark.parametrize("chapter", [path.stem for path in toc.chapters()])
def test_an_exercise_is_graded(chapter):
    graded = [
        h for h, cell, s in cells(chapter) if "grade(" in s and "code" in str(cell)
    ]
    assert "#### Solution" in graded
