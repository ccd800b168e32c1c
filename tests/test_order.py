"""Nothing is needed before it is defined: the chapters' own lists of terms."""

import order
import pytest
from order import Chapter

TEXT = order.GLOSSARY.read_text(encoding="utf-8")
TERMS = order.entries(TEXT)
BOOK = order.chapters()


def test_every_term_is_defined_once_and_before_it_is_needed():
    found = order.problems(BOOK, TERMS)
    assert not found, "\n" + "\n".join(found)


def test_the_glossary_names_the_chapter():
    lists = {term: one.name for one in BOOK for term in one.defines}
    assert order.said(TEXT) == lists, "python book/_ext/order.py writes it"
    assert order.written(TEXT, BOOK) == TEXT


def test_no_chapter_lists_a_term_twice():
    for one in BOOK:
        both = (*one.defines, *one.needs)
        assert len(both) == len(set(both)), one.name


def test_another_order_is_refused():
    """The book's own lists, with its first two chapters behind each other's."""
    first = next(i for i, one in enumerate(BOOK) if one.defines)
    later = next(
        i for i, one in enumerate(BOOK) if set(one.needs) & set(BOOK[first].defines)
    )
    exchanged = list(BOOK)
    exchanged[first], exchanged[later] = exchanged[later], exchanged[first]
    found = order.problems(exchanged, TERMS)
    assert any(f"{BOOK[later].name} needs it" in line for line in found)


# --- The function ---------------------------------------------------------------

SMALL = {"state": ["state", "状态"], "action": ["action"]}
GOOD = [
    Chapter("a", ("state",), (), ("State",)),
    Chapter("b", ("action",), ("state",), ("状态", "action")),
]


def test_a_good_order():
    assert not order.problems(GOOD, SMALL)


@pytest.mark.parametrize(
    ("chapters", "problem"),
    [
        (GOOD[::-1], "state: b needs it, a defines"),
        ([*GOOD, Chapter("c", ("state",))], "state: defined by a and c"),
        (GOOD[:1], "action: defined nowhere"),
        (
            [Chapter("z", (), (), ("action",)), *GOOD],
            "action: z links to it, b defines",
        ),
        ([*GOOD, Chapter("c", (), (), ("goal",))], "goal: c links to it, no entry has"),
        ([*GOOD, Chapter("c", (), ("goal",))], "goal: c lists it, the glossary does"),
        ([Chapter("z", (), ("state",)), *GOOD], "state: z needs it, a defines"),
        (
            [Chapter("a", ("state",), ("state",)), GOOD[1]],
            "state: a needs it, a defines",
        ),
    ],
)
def test_what_is_wrong_is_said(chapters, problem):
    assert any(line.startswith(problem) for line in order.problems(chapters, SMALL))


def test_links_of_a_notebook(tmp_path):
    path = tmp_path / "topic.ipynb"
    path.write_text(
        '{"metadata": {"book": {"defines": ["state"]}}, "cells": ['
        '{"cell_type": "markdown", "source": ["a {term}`state`, {term}`two\\n",'
        ' "words` and {term}`x <action>`"]},'
        '{"cell_type": "code", "source": "# {term}`none`"}]}',
        "utf-8",
    )
    assert order.chapter(path) == Chapter(
        "topic", ("state",), (), ("state", "two words", "action")
    )


def test_the_chapter_is_written_into_the_entry():
    text = (
        "# Glossary\n\n```{glossary}\n:sorted:\n\nstate\n状态\n  What is.\n\n"
        "  Explained in {doc}`b`; a word.\n\naction\n  A.\n\n"
        "  Explained in {doc}`b`.\n```\n"
    )
    assert order.entries(text) == {"state": ["state", "状态"], "action": ["action"]}
    assert order.said(text) == {"state": "b", "action": "b"}
    new = order.written(text, GOOD)
    assert order.said(new) == {"state": "a", "action": "b"}
