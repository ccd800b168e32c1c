"""The figures of the chapters: learning curves and token heat maps.

Alternative text.  A figure is an image output of a code cell.  On the site
its alt text, its number and its caption come from the metadata of that cell
(myst-nb):

    {"mystnb": {"image": {"alt": "What the figure shows, in a sentence."},
                "figure": {"name": "fig-variance",
                           "caption": "Variance of four estimators."}}}

JupyterLab reads none of this and gives an image output no alt text, so the
text cell behind a figure says what is to be seen in it.  A token heat map
is text, not an image, and needs neither.
"""

from __future__ import annotations

import html
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from io import BytesIO
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib import cbook, cycler, font_manager, mathtext
from matplotlib.figure import Figure
from PIL import Image

from core import checks
from pages import show

# Okabe and Ito 2008, Color Universal Design: told apart by colour-blind eyes.
COLORS = {
    "blue": "#0072B2",
    "vermillion": "#D55E00",
    "green": "#009E73",
    "purple": "#CC79A7",
    "orange": "#E69F00",
    "sky": "#56B4E9",
    "yellow": "#F0E442",
    "black": "#000000",
}
FRAMEWORKS = {  # colour and line style where only the framework differs
    "PyTorch": (COLORS["blue"], "-"),
    "TensorFlow": (COLORS["vermillion"], "--"),
}
MARKERS = "os^Dvx"
UNMIXED = Image.Dither.NONE
FONT = Path(__file__).with_name("font") / "chinese.otf"
# Fonts of systems, for Chinese that the book's lacks; the first there is.
CHINESE = "Noto Sans CJK SC", "PingFang SC", "Microsoft YaHei", "WenQuanYi Zen Hei"


# --- Style -----------------------------------------------------------------


def use_style():
    """Set the book's style, and write small PNG files without version or date.

    A figure that is drawn again from the same numbers is then the same
    file, byte for byte.
    """
    plt.rcParams.update(
        {
            "figure.figsize": (6.4, 3.6),
            "figure.dpi": 100,
            "figure.facecolor": "white",  # readable on a dark page too
            "savefig.facecolor": "white",
            "font.family": fonts(),
            "font.size": 10,
            "axes.prop_cycle": cycler(color=list(COLORS.values())),
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.grid": True,
            "grid.alpha": 0.3,
            "legend.frameon": False,
            "legend.handlelength": 3.5,  # long enough to show the dashes
            "lines.linewidth": 1.8,
        }
    )
    from IPython import get_ipython

    if get_ipython() is not None:
        # Loaded now, it registers its own writer now and not behind ours.
        import matplotlib_inline.backend_inline  # noqa: F401

        writer = get_ipython().display_formatter.formatters["image/png"]
        writer.for_type(Figure, small_png)


def small_png(figure):
    """A figure as the bytes of a PNG file, and the width to show it at.

    The file has two pixels for each that is shown, so that it is sharp on the
    screens of today, and 64 colours, which makes it a quarter of the size.  Its
    height follows, on a page that is narrower, too.  None for a figure in which
    nothing is drawn, which is then not shown.
    """
    if not figure.axes and not figure.lines and not figure.patches:
        return None
    file, small = BytesIO(), BytesIO()
    figure.savefig(file, format="png", bbox_inches="tight", dpi=2 * figure.dpi)
    image = Image.open(file).convert("RGB")
    method = Image.Quantize.MAXCOVERAGE
    few = image.quantize(64, method=method, kmeans=3, dither=UNMIXED)
    few.save(small, "png", optimize=True)
    return small.getvalue(), {"width": image.width // 2}


@cache
def fonts():
    """The fonts of a figure; each draws what those before it have no glyph for.

    The first two are the same on each machine: that of Matplotlib, with Latin,
    Greek and mathematics, and the book's, with the Chinese of GB 2312.  Then
    comes a font of the system, and one with a box for every character: what no
    font has is a box, and no warning.  A line with a formula is drawn by the
    first alone, as Matplotlib does it.
    """
    manager = font_manager.fontManager
    manager.addfont(FONT)
    known = {font.name: font for font in manager.ttflist}
    system = [name for name in CHINESE if name in known][:1]
    own = font_manager.get_font(FONT).family_name
    behind = [own, *system, "Last Resort High-Efficiency"]
    # They stand for bold text, too, or Matplotlib writes a line to stderr.
    manager.ttflist += [replace(known[name], weight=700) for name in behind]
    return ["DejaVu Sans", *behind]


# --- Learning curves -------------------------------------------------------


def learning_curves(curves, ylabel, xlabel="update", steps=None, ax=None):
    """Draw the mean over seeds of each curve, with a band of ± one sd.

    PyTorch is solid, TensorFlow dashed: the line style follows the name in
    the label ("REINFORCE, TensorFlow").  Labels that differ in the
    framework alone share colour and marker.

    Args:
        curves: {label: (seeds, points) or (points,) array}.  The legend shows
            the label itself, `$` and all.
        ylabel, xlabel: with units, as "KL (nats/token)"; between two `$`
            stands a formula, as everywhere in Matplotlib.
        steps: (points,) x values; 0, 1, 2, ... if None.
        ax: Matplotlib axes; a new figure if None.
    Returns: the axes.
    Raises: ValueError where a curve or the steps are empty, not finite or of
        another length, where a label is no text or would be missing in the
        legend ("", "_x"), and for a formula that Matplotlib cannot read, or
        with Chinese beside it.
    """
    checks.require(
        isinstance(curves, Mapping) and curves,
        f"curves: expected at least one, by label, got {curves!r}",
    )
    check_labels(curves, xlabel=xlabel, ylabel=ylabel)
    if steps is not None:
        steps = checks.finite_array("steps", steps)
        checks.require(steps.ndim == 1, f"steps: expected (points,), got {steps.shape}")
    curves = {k: check_curve(k, v, steps) for k, v in curves.items()}
    axes = ax is None or isinstance(ax, plt.Axes)
    checks.require(axes, f"ax: expected Matplotlib's axes, got {ax!r}")
    ax = plt.subplots()[1] if ax is None else ax
    names = list(dict.fromkeys(without_framework(k) for k in curves))
    for label, values in curves.items():
        x = np.arange(values.shape[1]) if steps is None else steps
        style = curve_style(label, names)
        mean = values.mean(axis=0)
        every = max(1, values.shape[1] // 8)
        label = show.visible("curves", label).expandtabs(4)  # no font has a tab
        ax.plot(x, mean, label=label, markevery=every, **style)
        if len(values) > 1:
            sd = values.std(axis=0, ddof=1)
            ax.fill_between(
                x, mean - sd, mean + sd, color=style["color"], alpha=0.2, linewidth=0
            )
    ax.set(xlabel=xlabel, ylabel=ylabel)
    legend = ax.legend(title=seeds_note([len(values) for values in curves.values()]))
    for text in legend.get_texts():
        text.set_parse_math(False)
    return ax


def seeds_note(seeds):
    """What line and band stand for, from the number of seeds per curve."""
    if max(seeds) == 1:
        return None
    low, high = min(seeds), max(seeds)
    count = f"{low}" if low == high else f"{low} to {high}"
    return f"mean ± sd over {count} seeds"


def without_framework(label):
    """The label without the name of a framework and the comma before it."""
    for name in FRAMEWORKS:
        label = label.replace(name, "")
    return label.strip(" ,:()")


def curve_style(label, names):
    """Colour, line style and marker of a label; names without framework."""
    framework = next((f for f in FRAMEWORKS if f in label), None)
    color, line = FRAMEWORKS.get(framework, (None, "-"))
    name = without_framework(label)
    marker = None
    if name or color is None:
        place = names.index(name)
        color = list(COLORS.values())[place % len(COLORS)]
        marker = MARKERS[place % len(MARKERS)] if len(names) > 1 else None
    return {"color": color, "linestyle": line, "marker": marker, "markersize": 4}


def check_curve(label, values, steps):
    """values as (seeds, points) float; ValueError unless finite, not empty."""
    values = checks.finite_array(f"curves[{label!r}]", values)
    checks.require(
        values.ndim in (1, 2) and values.size,
        f"curves[{label!r}]: expected (seeds, points) numbers, got {values.shape}",
    )
    values = np.atleast_2d(values)
    if steps is not None and len(steps) != values.shape[1]:
        raise ValueError(
            f"steps: expected {values.shape[1]} numbers for {label!r}, got {len(steps)}"
        )
    return values


def check_labels(curves, **labels):
    """ValueError where the legend or an axis would not show a label."""
    for label in curves:
        show.visible("curves", label)
        seen = label.strip() and not label.startswith("_")  # as Matplotlib has it
        checks.require(
            seen, f"curves: expected labels that a legend shows, got {label!r}"
        )
    first = font_manager.get_font(font_manager.findfont(None))
    for name, label in labels.items():
        show.visible(name, label)
        for line in filter(cbook.is_math_text, label.split("\n")):
            lacking = [c for c in line if not first.get_char_index(ord(c))]
            known = f"characters of {first.family_name} beside a formula"
            checks.require(not lacking, f"{name}: expected {known}, got {lacking}")
            with checks.about(f"{name}: expected a formula between two $"):
                mathtext.MathTextParser("path").parse(line)


# --- Token heat maps -------------------------------------------------------


class TokenHeatmap:
    """Tokens with a number each: HTML in a browser, text elsewhere.

    HTML shows each text as it is, with its spaces and line ends.  In plain text
    what has no sign of its own (a tab, a line end, a mark of direction, a space
    of no width) is written as Python writes it, and a row stays one line.
    """

    def __init__(self, rows, values, names, label, digits, limit):
        self.rows, self.values, self.names = rows, values, names
        self.label, self.digits, self.limit = label, digits, limit

    def number(self, value):
        """The value with its sign; -0.00 is written +0.00."""
        return f"{round(float(value), self.digits) + 0.0:+.{self.digits}f}"

    def cell(self, token, value):
        """One token over its number, on a tint of blue (+) or orange (-)."""
        red, green, blue = (0, 114, 178) if value >= 0 else (213, 94, 0)
        alpha = 0.6 * min(1.0, abs(value) / self.limit) if self.limit else 0.0
        tint = [round(255 + alpha * (c - 255)) for c in (red, green, blue)]
        return (
            '<span style="display:inline-block;margin:2px 1px;padding:2px '
            "5px;text-align:center;border:1px solid #888;border-radius:3px;"
            f'color:#000;background:rgb({tint[0]},{tint[1]},{tint[2]})">'
            f'<span style="white-space:pre">{show.as_html(token)}</span>'
            '<br><span style="font-size:75%;font-family:monospace">'
            f"{self.number(value)}</span></span>"
        )

    def lines(self):
        """The rows; where they have names, these are a column of their own."""
        rows = [
            f"<div>{''.join(map(self.cell, row, values))}</div>"
            for row, values in zip(self.rows, self.values, strict=True)
        ]
        if self.names is None:
            return "".join(rows)
        named = zip(self.names, rows, strict=True)
        return (
            '<div style="display:grid;grid-template-columns:fit-content(40%) 1fr;'
            'column-gap:6px;align-items:baseline">'
            + "".join(f"<div>{show.as_html(name)}</div>{row}" for name, row in named)
            + "</div>"
        )

    def _repr_html_(self):
        title = show.as_html(self.label)
        if show.spaced(title) or title != title.strip():
            title = f'<span style="white-space:pre-wrap">{title}</span>'
        return (
            f'<div role="group" aria-label="{html.escape(self.label)}">'
            f"<div>{title}</div>{self.lines()}</div>"
        )

    def __repr__(self):
        names = [f"{printable(name)}: " for name in self.names or []]
        lines = [
            name
            + "  ".join(
                f"{printable(token)} {self.number(value)}"
                for token, value in zip(row, values, strict=True)
            )
            for name, row, values in zip(
                names or [""] * len(self.rows), self.rows, self.values, strict=True
            )
        ]
        return "\n".join([printable(self.label), *lines])


def printable(text):
    """The text on one line, what has no sign of its own as Python writes it."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def token_heatmap(
    tokens, values, label="value per token", digits=2, limit=None, names=None
):
    """Tokens on a coloured ground, the number of each below it.

    The number stands there for readers who see no colour; a screen reader
    reads token and number in turn.  The browser's fonts draw the tokens, so
    Chinese is fine.  Black on a light tint stays legible on a dark page.

    Args:
        tokens: list of str, or a list of such rows.
        values: as many numbers: (T,), or one sequence per row.
        label: what the numbers are, with units, as "advantage (reward)".
        digits: decimals printed.
        limit: the absolute value of the strongest colour; the largest if
            None.
        names: what stands before each row, a list of str; nothing if None.
    Returns: TokenHeatmap, which a notebook displays.
    Raises: ValueError for tokens or a label that are no texts or have a lone
        surrogate, for values or names that are not as many, for values that
        are not finite, and for a limit or digits below 0.
    """
    tokens = show.entries("tokens", tokens)
    if tokens and isinstance(tokens[0], str):
        tokens, values = [tokens], [values]
    rows = [
        [show.visible("tokens", token) for token in show.entries("tokens", row)]
        for row in tokens
    ]
    values = [
        np.array(checks.finite_array("values", row))
        for row in show.entries("values", values)
    ]
    if not rows or len(rows) != len(values):
        raise ValueError(
            f"values: expected one row for each of {len(rows)} (> 0) rows "
            f"of tokens, got {len(values)}"
        )
    for row, numbers in zip(rows, values, strict=True):
        checks.shape((len(row),), "the row's tokens", values=numbers)
    label = show.visible("label", label)
    if names is not None:
        names = [show.visible("names", name) for name in show.entries("names", names)]
        wanted = f"names: expected {len(rows)}, one a row"
        checks.require(len(names) == len(rows), f"{wanted}, got {len(names)}")
    if limit is None:
        limit = max(abs(row).max(initial=0.0) for row in values)
    checks.at_least(0, limit=limit)
    checks.finite(digits=digits)  # not None
    checks.integer(0, digits=digits)
    return TokenHeatmap(rows, values, names, label, digits, float(limit))
