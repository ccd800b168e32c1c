"""What reads, runs and repairs the printed listings."""

import pytest

from pages import listings

PRINTED = ("000", "001", "002", "003", "004a", "004b")


@pytest.fixture
def shown(monkeypatch):
    found = []
    monkeypatch.setattr("IPython.display.display", lambda x: found.append(x.data))
    return found


@pytest.mark.parametrize("name", PRINTED)
def test_a_listing_is_shown_with_its_lines(name, shown):
    source = listings.read(name)
    assert source == (listings.LISTINGS / f"{name}.txt").read_text("utf-8")
    assert len(shown[0].splitlines()) == len(source.splitlines()) + 2


def test_a_run_says_how_it_ended(capsys):
    names = listings.run("x = 1.23456\nprint(x)", "a")
    assert names["x"] == 1.23456 and listings.STOPPED["a"] is None
    assert capsys.readouterr().out == "run a\nIt ran to its end.\n  output: 1.23\n"
    listings.run("def f():\n    return 1 / 0\nf()", "b")
    out = capsys.readouterr().out.splitlines()
    assert listings.STOPPED["b"] == "ZeroDivisionError"
    assert out[1:] == [
        "ZeroDivisionError: division by zero",
        "  line 3: f()",
        "  line 2: return 1 / 0",
    ]


def test_a_repair_keeps_the_lines(shown):
    assert listings.repair("a\nb\n", ("b", "c")) == "a\nc\n"
    assert shown == ["```diff\n-   2  b\n+   2  c\n```"]
    with pytest.raises(ValueError, match="changes"):
        listings.repair("a", ("z", "y"))


def test_reads_are_counted():
    source = "def f(a, b):\n    b = a + a\n\n\ndef g(a):\n    return a\n"
    assert listings.reads(source, "a") == 3
    assert listings.reads(source, "a", "f") == 2
    assert listings.reads(source, "b", "f") == 0
