"""Interactive figures: what they refuse, and what they hand to the page."""

import json
from html.parser import HTMLParser

import matplotlib
import numpy as np
import pytest
import toc

matplotlib.use("Agg")

import matplotlib.pyplot as plt  # noqa: E402

from pages import interactive  # noqa: E402

SLIDER = ("β", [0.1, 0.5])
GOOD = {
    "strip": {
        "tokens": ["a", "b"],
        "rows": {"V": [1 / 3, 2], "A": [0, -1]},
        "shade": ["A"],
    },
    "lines": {
        "x": [1, 2, 4],
        "lines": {"J": [[1, 2, 3], [3, 2, 1]]},
        "slider": SLIDER,
        "xlabel": "n",
        "ylabel": "reward",
        "readout": {"KL (nats)": [0.25, 1e-4 / 3]},
    },
    "bars": {"labels": ["a", "b"], "bars": {"p": [[1, 0], [0.5, 0.5]]}},
    "grid": {
        "rows": ["r"],
        "columns": ["c", "d"],
        "values": [[[1, 2]], [[3, 4]]],
        "slider": SLIDER,
    },
    "tree": {
        "nodes": [("", None), ("a", 0), ("b", 0)],
        "probs": [[1, 0.25, 0.75], [1, 0.5, 0.5]],
        "rewards": [None, 1, 0],
        "slider": SLIDER,
    },
}
GOOD["bars"]["slider"] = ("update", ["first", "last"])


@pytest.fixture
def displayed(monkeypatch):
    """What the cell would display, in turn."""
    found = []
    monkeypatch.setattr("IPython.display.display", lambda x, **_: found.append(x))
    yield found
    plt.close("all")


class Script(HTMLParser):
    """The one script element of a page, and whether anything else is there."""

    def __init__(self, page):
        super().__init__()
        self.attributes, self.text, self.tags = {}, "", []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes = dict(attributes)

    def handle_data(self, data):
        self.text += data


def call(kind, name="demo", **changes):
    figure = plt.figure()
    getattr(interactive, kind)(figure, name, **(GOOD[kind] | changes))
    return figure


@pytest.mark.parametrize("kind", GOOD)
def test_a_picture_and_then_the_numbers(kind, displayed):
    figure = call(kind)
    picture, numbers = displayed
    assert picture is figure
    assert not plt.fignum_exists(figure.number)
    script = Script(numbers["text/html"])
    assert script.tags == ["script"]
    assert script.attributes == {
        "type": "application/json",
        "class": "interactive",
        "data-name": "demo",
    }
    assert json.loads(script.text)["kind"] == kind


def data(displayed):
    return json.loads(Script(displayed[-1]["text/html"]).text)


def test_the_data_of_lines(displayed):
    call("lines")
    assert data(displayed) == {
        "kind": "lines",
        "x": [1, 2, 4],
        "lines": [{"label": "J", "values": [[1, 2, 3], [3, 2, 1]]}],
        "xscale": "linear",
        "xlabel": "n",
        "ylabel": "reward",
        "slider": {"label": "β", "values": [0.1, 0.5], "start": 0},
        "readout": [{"label": "KL (nats)", "values": [0.25, 0.0000333]}],
    }


def test_the_data_of_a_strip_and_a_tree(displayed):
    call("strip")
    found = data(displayed)
    assert found["rows"][0] == {"label": "V", "values": [0.3333, 2]}
    assert found["shade"] == ["A"] and found["slider"] is None
    call("tree", start=1)
    found = data(displayed)
    assert found["nodes"] == [["", None], ["a", 0], ["b", 0]]
    assert found["rewards"] == [None, 1, 0] and found["slider"]["start"] == 1


def test_no_text_ends_the_element(displayed):
    nasty = "</script><!-- <b> & \u2028 $x$"
    call("strip", tokens=[nasty, "b"])
    script = Script(displayed[-1]["text/html"])
    assert script.tags == ["script"]
    assert json.loads(script.text)["tokens"][0] == nasty.replace("\u2028", r"\u2028")


def test_axes_stand_for_their_figure(displayed):
    figure, ax = plt.subplots()
    interactive.strip(ax, "demo", **GOOD["strip"])
    assert displayed[0] is figure


@pytest.mark.parametrize(
    "value, expected",
    [
        (1 / 3, 0.3333),
        (1234.56789, 1234.5679),
        (0.00123456, 0.001235),
        (0.0000123456, 0.0000123),
        (-1e-17, 0),
        (2.0, 2),
        (0.1 + 0.2, 0.3),
        (0.015625 + 1e-17, 0.01562),
        (0.015625 - 1e-17, 0.01562),
        (np.float32(0.1), 0.1),
    ],
)
def test_rounded(value, expected):
    found = interactive.rounded(value)
    assert found == expected and str(found) == str(expected)


@pytest.mark.parametrize(
    "kind, changes, message",
    [
        ("strip", {"tokens": []}, "tokens: expected at least one"),
        ("strip", {"tokens": "ab"}, "tokens: expected a list"),
        ("strip", {"tokens": ["a", 1]}, "tokens: expected a text"),
        ("strip", {"rows": {}}, "rows: expected at least one, by label"),
        ("strip", {"rows": [1, 2], "shade": None}, "rows: expected at least one, by"),
        ("strip", {"rows": {"A": [1]}}, r"rows\['A'\]: expected the shape \(2,\)"),
        ("strip", {"rows": {"A": [1, np.nan]}}, r"rows\['A'\]: expected finite"),
        ("strip", {"rows": {" ": [1, 2]}, "shade": None}, "rows: expected a label"),
        ("strip", {"shade": ["Q"]}, "shade: expected one of"),
        ("strip", {"start": 1}, "start: expected 0 without a slider"),
        ("strip", {"name": "A b"}, "name: expected small letters"),
        ("strip", {"readout": {"J": [1, 2]}}, r"readout\['J'\]: expected the shape"),
        ("lines", {"x": [1, 1, 2]}, "x: expected numbers that rise"),
        ("lines", {"x": [0, 1, 2], "xscale": "log"}, "x: expected positive"),
        ("lines", {"xscale": "sqrt"}, "xscale: expected one of"),
        ("lines", {"lines": {"J": [1, 2, 3]}}, r"lines\['J'\]: expected the shape"),
        ("lines", {"slider": ("β", [1])}, "slider: expected two values or more"),
        ("lines", {"slider": ("β", [1, 1])}, "slider: expected values that differ"),
        ("lines", {"slider": ("", [1, 2])}, "slider: expected a label"),
        ("lines", {"slider": "β"}, "slider: expected a list"),
        ("lines", {"start": 2}, "start: expected a place among 2 values"),
        ("lines", {"readout": {"J": [1]}}, r"readout\['J'\]: expected the shape"),
        ("lines", {"xlabel": 1}, "xlabel: expected a text"),
        ("bars", {"labels": ["a"]}, r"bars\['p'\]: expected the shape \(2, 1\)"),
        ("grid", {"values": [[1, 2]]}, r"values: expected the shape \(2, 1, 2\)"),
        ("tree", {"nodes": []}, "nodes: expected at least one"),
        ("tree", {"nodes": [("a", 0)]}, "nodes: expected a parent before node 0"),
        ("tree", {"nodes": [("a",)]}, r"nodes: expected \(text, parent\)"),
        ("tree", {"probs": [[1, 2, 0]] * 2}, r"probs: expected numbers in \[0, 1\]"),
        ("tree", {"probs": [1, 0, 0]}, r"probs: expected the shape \(2, 3\)"),
        ("tree", {"rewards": [1]}, "rewards: expected one for each of 3 nodes, got 1"),
        ("tree", {"rewards": [1, 2, "a"]}, "rewards: expected real numbers"),
    ],
)
def test_what_is_refused(kind, changes, message, displayed):
    with pytest.raises(ValueError, match=f"^{message}"):
        call(kind, **changes)
    assert not displayed


def test_too_much_and_no_figure(displayed):
    tokens = ["token"] * 4000
    with pytest.raises(ValueError, match="^demo: expected at most 20000 bytes"):
        call("strip", tokens=tokens, rows={"A": [0] * 4000})
    with pytest.raises(ValueError, match="^figure: expected Matplotlib's, got None"):
        interactive.strip(None, "demo", **GOOD["strip"])
    assert not displayed


# --- The chapters ---


def cells(path):
    return json.loads(path.read_text("utf-8"))["cells"]


def stored(cell):
    """The interactive elements among a cell's outputs."""
    pages = ["".join(o.get("data", {}).get("text/html", "")) for o in outputs(cell)]
    return [Script(page) for page in pages if 'class="interactive"' in page]


def outputs(cell):
    return cell.get("outputs", [])


@pytest.mark.parametrize("path", toc.chapters(), ids=lambda path: path.stem)
def test_the_chapters(path):
    """One element, behind one picture, in a cell that says so; each has its name."""
    names = []
    for place, cell in enumerate(cells(path)):
        found = stored(cell)
        tags = set(cell["metadata"].get("tags", []))
        assert bool(found) == ("interactive" in tags), place
        if found:
            assert len(found) == 1 and "hide-input" in tags, place
            kinds = [sorted(o.get("data", {})) for o in outputs(cell)[-2:]]
            assert kinds == [["image/png", "text/plain"], ["text/html", "text/plain"]]
            names.append(found[0].attributes["data-name"])
            json.loads(found[0].text)
    assert len(set(names)) == len(names)
