"""Sentences that carry their check: marks, checks and the stored numbers agree."""

from collections import Counter

import checked
import nbformat
import pytest
import toc

from pages.checked import MIME, PRINTED, Check, check

CHAPTERS = toc.chapters()


@pytest.fixture(params=CHAPTERS, ids=lambda path: path.stem)
def chapter(request):
    return request.param


def calls(path):
    """The names that a notebook's code checks, and the tags of the cells."""
    cells = nbformat.read(path, as_version=4).cells
    return [
        (name, cell.metadata.get("tags", []))
        for cell in cells
        if cell.cell_type == "code"
        for name in checked.CALL.findall(cell.source)
    ]


def test_every_mark_has_its_check():
    names = {name for checks in checked.collected().values() for name in checks}
    missing = {
        (page.name, name)
        for page in checked.pages()
        for name in checked.marks(page)
        if name not in names
    }
    assert not missing


def test_every_check_has_its_mark(chapter):
    """In the chapter itself: elsewhere a sentence may rest on it, too."""
    assert set(checked.stored(chapter)) <= set(checked.marks(chapter))


def test_every_call_has_a_stored_number(chapter):
    assert {name for name, _ in calls(chapter)} == set(checked.stored(chapter))


def test_a_check_is_not_compared_digit_by_digit(chapter):
    """Its bound is the comparison, and holds on another processor, too."""
    compared = [n for n, tags in calls(chapter) if "nbval-ignore-output" not in tags]
    assert not compared


def test_a_name_is_used_once():
    names = Counter(name for path in CHAPTERS for name, _ in calls(path))
    assert not [name for name, count in names.items() if count > 1]


def test_the_printed_numbers_are_those_of_the_chapters(tmp_path, monkeypatch):
    monkeypatch.setattr(checked, "PRINTED", tmp_path / "checked.json")
    checked.write()
    written = (tmp_path / "checked.json").read_text("utf-8")
    assert PRINTED.read_text("utf-8") == written, "make checked writes it"


def test_every_stored_check_holds(chapter):
    for name, entry in checked.stored(chapter).items():
        assert Check(name, **entry).holds(), name


# --- The function ---------------------------------------------------------------


def made(value, low, high, false_at, over="5 seeds"):
    return Check("a", value, low, high, false_at, over)


@pytest.mark.parametrize(
    ("value", "low", "high", "false_at", "text"),
    [
        (0.87, 0.84, 0.9, 0.5, "0.87, in [0.84, 0.9]; false at 0.5; 5 seeds"),
        (0.12, 0.05, None, 0, "0.12, at least 0.05; false at 0; 5 seeds"),
        (-0.12, None, -0.05, 0, "-0.12, at most -0.05; false at 0; 5 seeds"),
        (3, 3, 3, None, "3, exactly 3; 5 seeds"),
    ],
)
def test_what_a_mark_shows(value, low, high, false_at, text):
    check = made(value, low, high, false_at)
    assert str(check) == text and check.holds()


@pytest.mark.parametrize("value", [0.839, 0.901, float("nan")])
def test_outside_of_the_bound(value):
    assert not made(value, 0.84, 0.9, 0.5).holds()


@pytest.mark.parametrize(
    ("bound", "match"),
    [
        ((None, None, 0), "low, high"),
        ((0.9, 0.84, 0), "low, high"),
        ((float("nan"), None, 0), "low, high"),
        ((0.84, 0.9, None), "false_at"),
        ((0.84, 0.9, 0.84), "false_at"),
        ((0.84, None, 0.85), "false_at"),
        ((None, 0.9, 0.9), "false_at"),
        ((3, 3, 3), "false_at"),
    ],
)
def test_a_bound_that_shows_nothing(bound, match):
    with pytest.raises(ValueError, match=match):
        made(0.87, *bound)


def test_what_varied_is_said():
    with pytest.raises(ValueError, match="over"):
        made(0.87, 0.84, 0.9, 0.5, over="")


def test_strict(monkeypatch):
    monkeypatch.setenv("BOOK_CHECKS", "strict")
    with pytest.raises(AssertionError, match=r"a: expected at least 0\.84, got 0\.61"):
        check("a", 0.61, 0.84, false_at=0.5, over="5 seeds")


def test_a_reader_sees_both_numbers(monkeypatch, capsys, tmp_path):
    from pages import checked as pages_checked

    monkeypatch.delenv("BOOK_CHECKS", raising=False)
    stored = tmp_path / "checked.json"
    stored.write_text(
        '{"ppo": {"a": {"value": 0.87, "low": 0.84, "high": 0.9, "false_at": 0.5,'
        ' "over": "5 seeds"}}}',
        "utf-8",
    )
    monkeypatch.setattr(pages_checked, "PRINTED", stored)
    check("a", 0.61, 0.84, 0.9, false_at=0.5, over="5 seeds")
    held = "a: held with the printed settings: 0.87 in [0.84, 0.9]; yours: 0.61\n"
    assert capsys.readouterr().out == held
    check("b", 0.61, 0.84, false_at=0.5, over="5 seeds")  # a reader's own
    assert capsys.readouterr().out == "b: expected at least 0.84, got 0.61\n"


def test_what_a_notebook_stores():
    bundle = made(0.87012, 0.84, 0.9, 0.5)._repr_mimebundle_()  # three digits
    entry = dict(bundle[MIME])
    assert Check(**entry) == made(0.87, 0.84, 0.9, 0.5)
    assert bundle["text/plain"].startswith("a: 0.87, in [0.84, 0.9]")
