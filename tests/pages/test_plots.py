"""Figures: right numbers, stable bytes, and never colour alone."""

import base64
from html.parser import HTMLParser

import matplotlib
import numpy as np
import pytest
from numpy.testing import assert_allclose

matplotlib.use("Agg")

import matplotlib.pyplot as plt  # noqa: E402

from pages import plots  # noqa: E402
from tests.conftest import ROOT  # noqa: E402


@pytest.fixture(autouse=True)
def clean():
    with matplotlib.rc_context():
        yield
    plt.close("all")


def contrast(first, second):
    """WCAG 2 contrast ratio of two sRGB colours (0 .. 255)."""

    def luminance(color):
        c = np.array(color) / 255
        c = np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)
        return c @ [0.2126, 0.7152, 0.0722]

    low, high = sorted([luminance(first), luminance(second)])
    return (high + 0.05) / (low + 0.05)


# --- learning curves ---


def test_mean_and_band():
    curve = np.array([[1.0, 2.0, 6.0], [3.0, 2.0, 0.0]])
    ax = plots.learning_curves({"REINFORCE": curve}, "return")
    line = ax.get_lines()[0]
    assert_allclose(line.get_ydata(), [2, 2, 3])
    assert_allclose(line.get_xdata(), [0, 1, 2])
    band = ax.collections[0].get_paths()[0].get_extents()
    sd = curve[:, 2].std(ddof=1)
    assert_allclose([band.ymin, band.ymax], [3 - sd, 3 + sd])
    assert ax.get_ylabel() == "return"
    assert ax.get_xlabel() == "update"
    title = ax.get_legend().get_title().get_text()
    assert title == "mean ± sd over 2 seeds"


def test_one_seed_has_no_band():
    curves = {"a": [1.0, 2.0]}
    ax = plots.learning_curves(curves, "loss (nats)", steps=[10, 20])
    assert not ax.collections
    assert_allclose(ax.get_lines()[0].get_xdata(), [10, 20])
    assert ax.get_legend().get_title().get_text() == ""


def test_seeds_that_differ_are_told():
    assert plots.seeds_note([3, 5]) == "mean ± sd over 3 to 5 seeds"


def test_frameworks_differ_in_line_style_and_colour():
    curves = {"PyTorch": [1.0, 2.0], "TensorFlow": [1.0, 2.0]}
    torch_line, tf_line = plots.learning_curves(curves, "x").get_lines()
    assert torch_line.get_linestyle() == "-"
    assert tf_line.get_linestyle() == "--"
    assert torch_line.get_color() == plots.COLORS["blue"]
    assert tf_line.get_color() == plots.COLORS["vermillion"]


def test_algorithms_differ_in_colour_and_marker():
    labels = ["REINFORCE, PyTorch", "REINFORCE, TensorFlow", "baseline"]
    curves = {label: [1.0, 2.0] for label in labels}
    lines = plots.learning_curves(curves, "x").get_lines()
    colors = [line.get_color() for line in lines]
    markers = [line.get_marker() for line in lines]
    styles = [line.get_linestyle() for line in lines]
    assert colors[0] == colors[1] != colors[2]
    assert markers[0] == markers[1] != markers[2]
    assert styles == ["-", "--", "-"]


def test_given_axes_are_used():
    ax = plt.subplots()[1]
    assert plots.learning_curves({"a": [1.0]}, "x", ax=ax) is ax


@pytest.mark.parametrize(
    "curves, steps, name",
    [
        ({}, None, "curves"),
        ({"a": []}, None, "curves"),
        ({"a": [1.0, np.nan]}, None, "curves"),
        ({"a": np.zeros((2, 2, 2))}, None, "curves"),
        ({"a": [1.0, 2.0]}, [1, 2, 3], "steps"),
    ],
)
def test_bad_curves(curves, steps, name):
    with pytest.raises(ValueError, match=name):
        plots.learning_curves(curves, "x", steps=steps)


def test_colours_are_those_of_okabe_and_ito():
    expected = "#000000 #E69F00 #56B4E9 #009E73 #F0E442 #0072B2 #D55E00"
    assert set(plots.COLORS.values()) == {*expected.split(), "#CC79A7"}


def run_cells(*cells):
    """The PNG bytes of each cell's figure, drawn by a real kernel."""
    nbformat = pytest.importorskip("nbformat")
    nbclient = pytest.importorskip("nbclient")
    notebook = nbformat.v4.new_notebook()
    notebook.cells = [nbformat.v4.new_code_cell(text) for text in cells]
    here = {"metadata": {"path": str(ROOT / "book")}}  # as a chapter
    nbclient.NotebookClient(notebook, kernel_name="python3", resources=here).execute()
    return [
        base64.b64decode(output.data["image/png"])
        for cell in notebook.cells
        for output in cell.outputs
        if "image/png" in output.get("data", {})
    ]


def test_figures_of_a_notebook_are_the_same_bytes_without_a_version():
    style = "from pages import plots\nplots.use_style()"
    draw = (
        "from pages import plots\n"
        "ax = plots.learning_curves({'a': [[1, 2, 3], [2, 2, 2]]}, 'return')"
    )
    figures = run_cells(style, draw, draw)
    assert len(figures) == 2
    assert figures[0] == figures[1]
    assert b"Software" not in figures[0]
    plain, styled = run_cells(draw, style + "\n" + draw)
    assert b"Software" in plain
    assert b"Software" not in styled


# --- token heat maps ---


class Text(HTMLParser):
    def __init__(self, source):
        super().__init__()
        self.tags, self.parts, self.attributes = [], [], []
        self.feed(source)

    def handle_starttag(self, tag, attrs):
        self.attributes.append(dict(attrs))
        if tag != "br":
            self.tags.append(tag)

    def handle_endtag(self, tag):
        assert self.tags.pop() == tag

    def handle_data(self, data):
        self.parts.append(data)


def test_heatmap_says_every_token_and_number():
    heatmap = plots.token_heatmap(
        ["你好", "世界"], [0.5, -0.25], label="advantage (reward)"
    )
    page = Text(heatmap._repr_html_())
    assert page.tags == []
    assert page.parts == ["advantage (reward)", "你好", "+0.50", "世界", "-0.25"]
    assert page.attributes[0] == {"role": "group", "aria-label": "advantage (reward)"}
    assert repr(heatmap) == "advantage (reward)\n你好 +0.50  世界 -0.25"


def test_heatmap_escapes_its_text():
    heatmap = plots.token_heatmap(["<b>", "&"], [1, 2], label='"x" < 1')
    page = Text(heatmap._repr_html_())
    assert page.parts[0] == '"x" < 1'
    assert {"<b>", "&"} <= set(page.parts)


def backgrounds(heatmap):
    source = heatmap._repr_html_()
    parts = source.split("background:rgb(")[1:]
    return [tuple(map(int, p.split(")")[0].split(","))) for p in parts]


def test_heatmap_is_legible_at_every_strength():
    values = np.linspace(-1, 1, 21)
    heatmap = plots.token_heatmap(["x"] * 21, values)
    assert heatmap._repr_html_().count("color:#000") == 21
    for background in backgrounds(heatmap):
        assert contrast(background, (0, 0, 0)) > 7
    assert backgrounds(heatmap)[10] == (255, 255, 255)


def test_heatmap_rows_share_one_scale():
    heatmap = plots.token_heatmap([["a"], ["b", "c"]], [[1.0], [2.0, 1.0]])
    one, strong, same = backgrounds(heatmap)
    assert one == same != strong
    assert repr(heatmap).count("\n") == 2
    limited = plots.token_heatmap(["a", "b"], [1.0, 5.0], limit=1.0)
    assert backgrounds(limited)[0] == backgrounds(limited)[1]


def test_heatmap_of_zeros_has_no_colour_and_no_minus():
    heatmap = plots.token_heatmap(["a", "b"], [0.0, -0.001])
    assert repr(heatmap).endswith("a +0.00  b +0.00")
    assert plots.token_heatmap(["a"], [0.0])._repr_html_()


@pytest.mark.parametrize(
    "tokens, values",
    [
        ([], []),
        (["a"], [1.0, 2.0]),
        (["a"], [np.inf]),
        ([["a"], ["b"]], [[1.0]]),
        ([["a"], ["b"]], [[1.0], [1.0, 2.0]]),
    ],
)
def test_bad_heatmap(tokens, values):
    with pytest.raises(ValueError, match="values"):
        plots.token_heatmap(tokens, values)
