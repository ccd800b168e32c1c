"""Figures: right numbers, stable bytes, and never colour alone."""

import base64
import warnings
from html.parser import HTMLParser
from io import BytesIO

import matplotlib
import numpy as np
import pytest
from numpy.testing import assert_allclose
from PIL import Image

matplotlib.use("Agg")

import matplotlib.pyplot as plt  # noqa: E402

from pages import plots  # noqa: E402
from tests.conftest import ROOT  # noqa: E402
from tests.pages.test_show import NASTY  # noqa: E402


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
        (None, None, "curves: expected"),
        ([[1.0, 2.0]], None, "curves: expected"),
        ({1: [1.0]}, None, "curves: expected a text, got 1"),
        ({None: [1.0]}, None, "curves: expected a text, got None"),
        ({"_a": [1.0]}, None, "curves: expected labels that a legend shows, got '_a'"),
        ({"": [1.0]}, None, "curves: expected labels that a legend shows"),
        ({" ": [1.0]}, None, "curves: expected labels that a legend shows"),
        ({"\ud800": [1.0]}, None, "curves: expected no lone surrogate"),
        ({"a": [[1.0, 2.0], [1.0]]}, None, r"curves\['a'\]: "),
        ({"a": ["1", "2"]}, None, r"curves\['a'\]: expected real numbers"),
        ({"a": None}, None, r"curves\['a'\]: expected real numbers"),
        ({"a": [1j]}, None, r"curves\['a'\]: expected real numbers"),
        ({"a": [1.0, -np.inf]}, None, r"curves\['a'\]: expected finite numbers"),
        ({"a": 1.0}, None, r"curves\['a'\]: expected \(seeds, points\)"),
        ({"a": np.zeros((0, 2))}, None, r"curves\['a'\]: expected \(seeds, points\)"),
        ({"a": [1.0, 2.0]}, [0, np.nan], "steps: expected finite numbers"),
        ({"a": [1.0, 2.0]}, ["0", "1"], "steps: expected real numbers"),
        ({"a": [1.0, 2.0]}, 2, "steps: expected"),
        ({"a": [1.0, 2.0]}, [[1, 2]], "steps: expected"),
        ({"a": [1.0, 2.0], "b": [1.0]}, [1, 2], "steps: expected 1 numbers for 'b'"),
    ],
)
def test_bad_curves(curves, steps, name):
    with pytest.raises(ValueError, match=f"^{name}"):
        plots.learning_curves(curves, "x", steps=steps)
    assert not plt.get_fignums()  # nothing is drawn in half


@pytest.mark.parametrize("name", ["xlabel", "ylabel"])
@pytest.mark.parametrize("label", [None, True, 1, "\ud800", r"$\nothing$", "$a_$"])
def test_bad_labels_of_axes(name, label):
    labels = {"xlabel": "x", "ylabel": "y", name: label}
    with pytest.raises(ValueError, match=f"^{name}: expected"):
        plots.learning_curves({"a": [1.0, 2.0]}, **labels)


def test_bad_axes():
    with pytest.raises(ValueError, match="^ax: expected Matplotlib's axes, got 'x'"):
        plots.learning_curves({"a": [1.0, 2.0]}, "x", ax="x")


def drawn(draw):
    """The pixels of a figure that is drawn without a warning."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figure = draw().figure
        figure.canvas.draw()
        return np.array(figure.canvas.buffer_rgba())


@pytest.mark.parametrize(
    "label", ["$5 or $6", r"$\nothing$", r"\$a", "a_b^c", r"\(a\)"]
)
def test_a_legend_shows_the_label_itself(label):
    [text] = plots.learning_curves({label: [1.0, 2.0]}, "x").get_legend().get_texts()
    assert text.get_text() == label and not text.get_parse_math()
    drawn(lambda: plots.learning_curves({label: [1.0, 2.0]}, "x"))


@pytest.mark.parametrize("name", ["xlabel", "ylabel"])
def test_chinese_beside_a_formula_is_an_error(name):
    """Matplotlib draws such a line with one font and logs what that lacks."""
    plots.use_style()
    labels = {"xlabel": "x", "ylabel": "y", name: "回 $Q$"}
    with pytest.raises(ValueError, match=f"^{name}: .* DejaVu Sans beside .*'回'"):
        plots.learning_curves({"a": [1.0, 2.0]}, **labels)
    drawn(lambda: plots.learning_curves({"a": [1.0]}, **labels | {name: "回\n$Q_π$"}))
    drawn(lambda: plots.learning_curves({"a": [1.0]}, **labels | {name: "5 $\n6 $"}))


def test_an_axis_shows_formulas():
    plots.use_style()
    math, plain = (
        drawn(lambda label=label: plots.learning_curves({"a": [1.0]}, label))
        for label in ("$a$", "a")
    )
    assert (math != plain).any()
    assert plots.learning_curves({"a": [1.0]}, "5 $").get_ylabel() == "5 $"


@pytest.mark.parametrize(
    "text",
    [
        "强化学习",
        "強化學習",
        "回报（奖励）",
        "a\tb",
        "\u200b\u202ea",
        "कि",
        "👍",
        "\x07",
        "a\nb",
    ],
)
def test_no_glyph_is_missed_with_a_warning(text, caplog):
    plots.use_style()
    for draw in (
        lambda: plots.learning_curves({text: [1.0, 2.0]}, text, text),
        lambda: plt.subplots()[1].set_title(text, weight="bold", style="italic"),
    ):
        drawn(draw)
    assert not caplog.records  # Matplotlib logs what it replaces


def test_chinese_is_drawn_by_a_font_that_has_it():
    plots.use_style()
    shapes = {}
    for text in ("强", "化", "\U000e0fff"):
        plt.close("all")
        shapes[text] = drawn(lambda text=text: plt.figtext(0.5, 0.5, text))
    assert (shapes["强"] != shapes["化"]).any()
    assert (shapes["强"] != shapes["\U000e0fff"]).any()


def test_latin_is_drawn_by_the_first_font():
    """No byte of a figure without Chinese depends on the fonts behind it."""
    plots.use_style()
    family = plt.rcParams["font.family"]
    assert family[0] == "DejaVu Sans"
    text = "Aä β ∇‖π‖ → ± · Σ −1 𝔼"
    draw = lambda: plots.learning_curves({text: [1.0, 2.0]}, text, "$J_π$")  # noqa: E731
    with_others = drawn(draw)
    plt.rcParams["font.family"] = ["DejaVu Sans"]
    assert (drawn(draw) == with_others).all()


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
    assert len(styled) < len(plain)  # with four times the pixels


def test_few_colours_stay_near_those_that_were_drawn():
    """Every line keeps its colour, in a figure of all eight with bands."""
    figure, ax = plt.subplots()
    for number, colour in enumerate(plots.COLORS.values()):
        ax.plot([0, 1], [number, number + 1], color=colour, linewidth=2)
        ax.fill_between([0, 1], number, number + 1, color=colour, alpha=0.2)
    image = Image.open(BytesIO(plots.small_png(figure)[0]))
    plt.close(figure)
    assert image.mode == "P" and len(image.getcolors()) <= 64
    palette = np.array(image.convert("RGB").getcolors(), dtype=object)[:, 1]
    for colour in plots.COLORS.values():
        wanted = np.array([int(colour[k : k + 2], 16) for k in (1, 3, 5)])
        nearest = min(np.abs(np.array(c) - wanted).max() for c in palette)
        assert nearest <= 12, colour


def test_a_figure_is_shown_at_half_its_pixels():
    figure, ax = plt.subplots(figsize=(4, 2), dpi=100)
    ax.plot([0, 1])
    data, shown = plots.small_png(figure)
    plt.close(figure)
    assert shown == {"width": Image.open(BytesIO(data)).width // 2}
    assert 300 < shown["width"] <= 420  # the figure's inches, cut to what is drawn


def test_an_empty_figure_is_not_shown():
    figure = plt.figure()
    assert plots.small_png(figure) is None
    plt.close(figure)


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


@pytest.mark.parametrize("text", NASTY)
def test_heatmap_shows_the_text_itself(text):
    heatmap = plots.token_heatmap([text, "b"], [1, 2], label=text)
    page = Text(heatmap._repr_html_())
    assert "".join(page.parts) == f"{text}{text}+1.00b+2.00"
    assert page.attributes[0]["aria-label"] == text
    for string in page.parts:  # MathJax looks for a formula in each
        assert len(string) == 1 or not set("$\\") & set(string)
    assert heatmap._repr_html_().encode()


@pytest.mark.parametrize(
    "text, plain",
    [
        ("a*b_c|$d$", "a*b_c|$d$"),
        ("  a  b ", "  a  b "),
        ("a\nb\tc\rd", r"a\nb\tc\rd"),
        ("\u202eab", r"\u202eab"),
        ("\u200b\ufeff", r"\u200b\ufeff"),
        ("\x1b[31m", r"\x1b[31m"),
        ("你好é", "你好é"),
    ],
)
def test_plain_text_keeps_a_row_on_one_line(text, plain):
    heatmap = plots.token_heatmap([[text, "b"]], [[1, 2]], label=text)
    assert repr(heatmap) == f"{plain}\n{plain} +1.00  b +2.00"


@pytest.mark.parametrize("label", ["a  b", "a\nb", "a\tb", "  a", " a", "a "])
def test_a_label_keeps_its_spaces(label):
    source = plots.token_heatmap(["a"], [1], label=label)._repr_html_()
    assert source.count("white-space:pre-wrap") == 1
    assert "pre-wrap" not in plots.token_heatmap(["a"], [1], label="a b")._repr_html_()


def test_what_a_page_would_drop_is_written_out():
    heatmap = plots.token_heatmap(["a\0b"], [1], label="c\x1bd")
    parts = "".join(Text(heatmap._repr_html_()).parts)
    assert parts == r"c\x1bda\x00b+1.00"


def test_a_heatmap_is_what_it_was_when_it_was_made():
    tokens, values = [["a"]], [np.ones(1)]
    heatmap = plots.token_heatmap(tokens, values)
    tokens[0].append("b")
    values[0][0] = 9
    assert repr(heatmap) == "value per token\na +1.00"


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


def test_heatmap_rows_have_names():
    """In a column, escaped; without them nothing stands before a row."""
    rows, values = [["a"], ["b", "c"]], [[1.0], [2.0, 1.0]]
    heatmap = plots.token_heatmap(rows, values, "x", 1, names=["long", "<b>"])
    assert repr(heatmap) == "x\nlong: a +1.0\n<b>: b +2.0  c +1.0"
    page = heatmap._repr_html_()
    assert page.count("display:grid") == 1 and "<div>&lt;b&gt;</div>" in page
    bare = plots.token_heatmap(rows, values, "x", 1)
    assert "grid" not in bare._repr_html_()
    assert len(backgrounds(bare)) == len(backgrounds(heatmap)) == 3


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


@pytest.mark.parametrize(
    "change, message",
    [
        ({"tokens": [[1]]}, "tokens: expected a text, got 1"),
        ({"tokens": [1]}, "tokens: expected a list"),
        ({"tokens": [["a", None]], "values": [[1, 2]]}, "tokens: expected a text, got"),
        (
            {"tokens": ["a", b"b"], "values": [1, 2]},
            "tokens: expected a text, got b'b'",
        ),
        ({"tokens": None}, "tokens: expected a list"),
        ({"tokens": "a"}, "tokens: expected a list, got 'a'"),
        ({"tokens": {"a": 1}}, "tokens: expected a list"),
        ({"tokens": [["a"], "b"]}, "tokens: expected a list, got 'b'"),
        ({"tokens": ["\ud800"]}, "tokens: expected no lone surrogate"),
        ({"values": ["1"]}, "values: expected real numbers"),
        ({"values": [None]}, "values: expected real numbers"),
        ({"values": None}, "values: expected real numbers"),
        ({"values": [np.nan]}, "values: expected finite numbers"),
        ({"values": [[1.0]]}, "values: expected the shape"),
        ({"label": None}, "label: expected a text, got None"),
        ({"label": True}, "label: expected a text, got True"),
        ({"label": "\udfff"}, "label: expected no lone surrogate"),
        ({"names": "a"}, "names: expected a list, got 'a'"),
        ({"names": [1]}, "names: expected a text, got 1"),
        ({"names": []}, "names: expected 1, one a row, got 0"),
        ({"limit": -1}, "limit: expected at least 0"),
        ({"limit": np.nan}, "limit: expected at least 0"),
        ({"limit": np.inf}, "limit: expected at least 0"),
        ({"limit": "1"}, "limit: expected at least 0"),
        ({"limit": True}, "limit: expected at least 0"),
        ({"limit": [1.0]}, "limit: expected"),
        ({"digits": -1}, "digits: expected at least 0"),
        ({"digits": 1.5}, "digits: expected an integer"),
        ({"digits": None}, "digits: expected a finite number"),
        ({"digits": True}, "digits: expected a finite number"),
    ],
)
def test_heatmaps_are_checked_when_they_are_made(change, message):
    arguments = {"tokens": ["a"], "values": [1.0]} | change
    with pytest.raises(ValueError, match=f"^{message}"):
        plots.token_heatmap(**arguments)


def test_numbers_of_numpy_are_digits_and_a_limit():
    heatmap = plots.token_heatmap(["a"], [1], digits=np.int64(1), limit=np.float32(2))
    assert repr(heatmap).endswith("a +1.0")
    assert plots.token_heatmap(["a"], [0.0], limit=0)._repr_html_()
