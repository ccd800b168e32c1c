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

import matplotlib.pyplot as plt
import numpy as np
from matplotlib import cycler

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


# --- Style -----------------------------------------------------------------


def use_style():
    """Set the book's style, and write PNG files without version or date.

    A figure that is drawn again from the same numbers is then the same
    file, byte for byte.
    """
    plt.rcParams.update(
        {
            "figure.figsize": (6.4, 3.6),
            "figure.dpi": 100,
            "figure.facecolor": "white",  # readable on a dark page too
            "savefig.facecolor": "white",
            "font.family": "DejaVu Sans",  # the font that Matplotlib brings
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
        from matplotlib_inline.config import InlineBackend

        backend = InlineBackend.instance(parent=get_ipython())
        backend.shell = get_ipython()
        backend.print_figure_kwargs = {
            "bbox_inches": "tight",
            "metadata": {"Software": None},
        }


# --- Learning curves -------------------------------------------------------


def learning_curves(curves, ylabel, xlabel="update", steps=None, ax=None):
    """Draw the mean over seeds of each curve, with a band of ± one sd.

    PyTorch is solid, TensorFlow dashed: the line style follows the name in
    the label ("REINFORCE, TensorFlow").  Labels that differ in the
    framework alone share colour and marker.

    Args:
        curves: {label: (seeds, points) or (points,) array}.
        ylabel, xlabel: with units, as "KL (nats/token)".
        steps: (points,) x values; 0, 1, 2, ... if None.
        ax: Matplotlib axes; a new figure if None.
    Returns: the axes.
    Raises: ValueError where a curve is empty, not finite or too long.
    """
    curves = {k: check_curve(k, v, steps) for k, v in curves.items()}
    if not curves:
        raise ValueError("curves: expected at least one")
    ax = plt.subplots()[1] if ax is None else ax
    names = list(dict.fromkeys(without_framework(k) for k in curves))
    for label, values in curves.items():
        x = np.arange(values.shape[1]) if steps is None else np.asarray(steps)
        style = curve_style(label, names)
        mean = values.mean(axis=0)
        every = max(1, values.shape[1] // 8)
        ax.plot(x, mean, label=label, markevery=every, **style)
        if len(values) > 1:
            sd = values.std(axis=0, ddof=1)
            ax.fill_between(
                x, mean - sd, mean + sd, color=style["color"], alpha=0.2, linewidth=0
            )
    ax.set(xlabel=xlabel, ylabel=ylabel)
    ax.legend(title=seeds_note([len(values) for values in curves.values()]))
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
    values = np.atleast_2d(np.asarray(values, dtype=float))
    if values.ndim != 2 or values.size == 0 or not np.isfinite(values).all():
        raise ValueError(f"curves[{label!r}]: expected finite numbers (seeds, points)")
    if steps is not None and len(steps) != values.shape[1]:
        raise ValueError(
            f"steps: expected {values.shape[1]} numbers for {label!r}, got {len(steps)}"
        )
    return values


# --- Token heat maps -------------------------------------------------------


class TokenHeatmap:
    """Tokens with a number each: HTML in a browser, text elsewhere."""

    def __init__(self, rows, values, label, digits, limit):
        self.rows, self.values = rows, values
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
            f'<span style="white-space:pre">{html.escape(token)}</span>'
            '<br><span style="font-size:75%;font-family:monospace">'
            f"{self.number(value)}</span></span>"
        )

    def _repr_html_(self):
        lines = [
            "<div>" + "".join(map(self.cell, row, values)) + "</div>"
            for row, values in zip(self.rows, self.values, strict=True)
        ]
        label = html.escape(self.label, quote=True)
        return (
            f'<div role="group" aria-label="{label}">'
            f"<div>{html.escape(self.label)}</div>{''.join(lines)}</div>"
        )

    def __repr__(self):
        lines = [
            "  ".join(
                f"{token} {self.number(value)}"
                for token, value in zip(row, values, strict=True)
            )
            for row, values in zip(self.rows, self.values, strict=True)
        ]
        return "\n".join([self.label, *lines])


def token_heatmap(tokens, values, label="value per token", digits=2, limit=None):
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
    Returns: TokenHeatmap, which a notebook displays.
    """
    if len(tokens) and isinstance(tokens[0], str):
        tokens, values = [tokens], [values]
    if not len(tokens) or len(tokens) != len(values):
        raise ValueError(
            f"values: expected one row for each of {len(tokens)} (> 0) rows "
            f"of tokens, got {len(values)}"
        )
    values = [np.asarray(row, dtype=float) for row in values]
    for row, numbers in zip(tokens, values, strict=True):
        if numbers.shape != (len(row),) or not np.isfinite(numbers).all():
            raise ValueError(
                f"values: expected {len(row)} finite numbers, one a token, "
                f"got the shape {numbers.shape}"
            )
    if limit is None:
        limit = max(abs(row).max(initial=0.0) for row in values)
    return TokenHeatmap(tokens, values, label, digits, float(limit))
