"""The landing page: a card for each chapter, and how long chapters take."""

import json
import re

import chapter_cards
import toc

INTRO = (toc.ROOT / "book" / "intro.md").read_text("utf-8")


def notebook(tmp_path, *cells):
    path = tmp_path / "topic.ipynb"
    kinds = [
        {"cell_type": kind, "metadata": {"tags": tags}, "source": source}
        for kind, tags, source in cells
    ]
    path.write_text(json.dumps({"cells": kinds}), "utf-8")
    return path


def test_every_chapter_has_a_sentence():
    """One line of the directive: the chapter's name, and what one can do after it."""
    cards = re.search(r"```\{chapter-cards\}\n(.*?)\n```", INTRO, re.DOTALL)[1]
    said = [line.split(": ")[0] for line in cards.splitlines()]
    assert len(said) == len(set(said))
    assert not {path.stem for path in toc.chapters()} - set(said)


def test_minutes_are_words_lines_and_seconds(tmp_path):
    text = "**Time.** About two minutes on two CPU cores. " + "word " * 192
    code = "a = 1\n\nb = 2"
    cells = [("markdown", [], text), ("code", [], code), ("code", ["torch"], code)]
    folded = [("code", [tag], code) for tag in ("tf", "hide-input", "colab")]
    path = notebook(tmp_path, *cells, *folded)
    assert chapter_cards.minutes(path) == 1 + 4 * 5 / 60 + 2


def test_every_chapter_says_how_long_it_runs():
    """Otherwise its card leaves that out."""
    for path in toc.chapters():
        cells = json.loads(path.read_text("utf-8"))["cells"]
        text = " ".join("".join("".join(c["source"]) for c in cells).split())
        assert chapter_cards.TIME.search(text), path.stem


def test_minutes_in_fives():
    assert [chapter_cards.rounded(x) for x in (1, 6, 8, 42.4, 43)] == [5, 5, 10, 40, 45]
