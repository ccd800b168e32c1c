"""Figures that a reader can move: a slider, a row of tokens, a tree of texts.

A chapter draws a static figure and hands it over with its numbers.  The cell then
has two outputs: the picture, and the numbers as JSON in an element that a browser
does not show.  On the site book/_static/interactive.js draws the numbers in place of
the picture.  JupyterLab, Colab and a printer show the picture.

A cell that calls one of the five functions has the tags `interactive` and
`hide-input`, and an alternative text, which `pages.plots` describes.  It draws from
numbers that another processor computes to the digits that are kept, such as those of
`core.exact`.

With `slider=(label, values)`, the values numbers or texts, each series is a list with
one entry a value of the slider; `start` is the place of the value shown at first.
Without a slider a series is that one entry.  `readout` is {label: one number a
value of the slider}, shown in a table below the figure.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np

from core import checks
from pages import show

LIMIT = 20_000  # bytes of a figure's data


def strip(
    figure, name, *, tokens, rows, shade=None, slider=None, readout=None, start=0
):
    """A row of tokens; a click on one shows its numbers.

    Args:
        figure: Matplotlib's figure or axes, the static picture; it is closed.
        name: of the figure, one in its chapter: small letters, digits, minus.
        tokens: T texts.
        rows: {label: T numbers}.
        shade: the labels whose numbers may colour the strip; all if None.
        slider, readout, start: see the module.
    Raises: ValueError where the shapes do not fit, and for numbers not finite.
    """
    slider = check_slider(slider, start)
    tokens = texts("tokens", tokens)
    series = check_series("rows", rows, slider, (len(tokens),))
    shade = list(rows) if shade is None else texts("shade", shade)
    for label in shade:
        checks.one_of(tuple(rows), shade=label)
    hand_over(
        figure,
        name,
        {"kind": "strip", "tokens": tokens, "rows": series, "shade": shade}
        | settings(slider, readout),
    )


def lines(
    figure,
    name,
    *,
    x,
    lines,
    slider=None,
    xlabel="",
    ylabel="",
    readout=None,
    xscale="linear",
    start=0,
):
    """Curves over one axis; the table below has the numbers.

    Args:
        figure, name: as in `strip`.
        x: N numbers that rise.
        lines: {label: N numbers}; where "TensorFlow" is in the label it is dashed.
        slider, readout, start: see the module.
        xlabel, ylabel: with units, plain text.
        xscale: "linear" or "log".
    Raises: ValueError where the shapes do not fit, and for numbers not finite.
    """
    slider = check_slider(slider, start)
    x = numbers("x", x)
    checks.require(x.size and (np.diff(x) > 0).all(), "x: expected numbers that rise")
    checks.one_of(("linear", "log"), xscale=xscale)
    checks.require(xscale == "linear" or x[0] > 0, "x: expected positive numbers")
    series = check_series("lines", lines, slider, x.shape)
    hand_over(
        figure,
        name,
        {"kind": "lines", "x": rounded(x), "lines": series, "xscale": xscale}
        | axes(xlabel, ylabel)
        | settings(slider, readout),
    )


def bars(
    figure,
    name,
    *,
    labels,
    bars,
    slider=None,
    ylabel="",
    readout=None,
    xlabel="",
    start=0,
):
    """Groups of bars, one group a label.

    Args:
        figure, name: as in `strip`.
        labels: N texts.
        bars: {label: N numbers}.
        slider, readout, start: see the module.
        xlabel, ylabel: with units, plain text.
    Raises: ValueError where the shapes do not fit, and for numbers not finite.
    """
    slider = check_slider(slider, start)
    labels = texts("labels", labels)
    series = check_series("bars", bars, slider, (len(labels),))
    hand_over(
        figure,
        name,
        {"kind": "bars", "labels": labels, "bars": series}
        | axes(xlabel, ylabel)
        | settings(slider, readout),
    )


def grid(
    figure,
    name,
    *,
    rows,
    columns,
    values,
    slider=None,
    xlabel="",
    ylabel="",
    readout=None,
    start=0,
):
    """A table of numbers on coloured ground.

    Args:
        figure, name: as in `strip`.
        rows, columns: R and C texts.
        values: (R, C) numbers.
        slider, readout, start: see the module.
        xlabel, ylabel: what the columns and the rows are, plain text.
    Raises: ValueError where the shapes do not fit, and for numbers not finite.
    """
    slider = check_slider(slider, start)
    rows, columns = texts("rows", rows), texts("columns", columns)
    shape = len(rows), len(columns)
    values = rounded(check_values("values", values, slider, shape))
    hand_over(
        figure,
        name,
        {"kind": "grid", "rows": rows, "columns": columns, "values": values}
        | axes(xlabel, ylabel)
        | settings(slider, readout),
    )


def tree(
    figure, name, *, nodes, probs, rewards=None, slider=None, readout=None, start=0
):
    """A tree of texts: how probable each node is, and the reward at the end.

    Args:
        figure, name: as in `strip`.
        nodes: N pairs (text, parent), the parent's place in the list or None for a
            root; a parent comes before its children.
        probs: N numbers in [0, 1]: the probability that a text passes the node.
        rewards: N numbers, None for a node that has no reward.
        slider, readout, start: see the module.
    Raises: ValueError where the shapes do not fit, and for numbers not finite.
    """
    slider = check_slider(slider, start)
    nodes = [check_node(i, node) for i, node in enumerate(show.entries("nodes", nodes))]
    checks.require(nodes, "nodes: expected at least one")
    probs = check_values("probs", probs, slider, (len(nodes),))
    inside = (probs >= 0).all() and (probs <= 1 + 1e-9).all()
    checks.require(inside, "probs: expected numbers in [0, 1]")
    rewards = [None] * len(nodes) if rewards is None else list(rewards)
    wanted = f"rewards: expected one for each of {len(nodes)} nodes"
    checks.require(len(rewards) == len(nodes), f"{wanted}, got {len(rewards)}")
    rewards = [
        None if reward is None else rounded(numbers("rewards", reward, ()))
        for reward in rewards
    ]
    hand_over(
        figure,
        name,
        {"kind": "tree", "nodes": nodes, "probs": rounded(probs), "rewards": rewards}
        | settings(slider, readout),
    )


# --- Checks ------------------------------------------------------------------


def check_slider(slider, start):
    """{"label", "values", "start"}, or None."""
    if slider is None:
        checks.require(start == 0, f"start: expected 0 without a slider, got {start}")
        return None
    pair = show.entries("slider", slider)
    checks.require(len(pair) == 2, f"slider: expected (label, values), got {slider!r}")
    values = show.entries("slider", pair[1])
    checks.require(len(values) > 1, f"slider: expected two values or more, got {pair}")
    if not all(isinstance(value, str) for value in values):
        values = rounded(numbers("slider", values))
    distinct = len(set(values)) == len(values)
    checks.require(distinct, f"slider: expected values that differ, got {values}")
    checks.whole(0, start=start)
    wanted = f"start: expected a place among {len(values)} values, got {start}"
    checks.require(start < len(values), wanted)
    return {"label": label("slider", pair[0]), "values": values, "start": int(start)}


def check_series(name, series, slider, shape):
    """[{"label", "values"}] of {label: numbers}, one entry a value of the slider."""
    holds = isinstance(series, Mapping) and series
    checks.require(
        holds, f"{name}: expected at least one, by label, got {series!r:.80}"
    )
    return [
        {
            "label": label(name, key),
            "values": rounded(check_values(f"{name}[{key!r}]", values, slider, shape)),
        }
        for key, values in series.items()
    ]


def check_values(name, values, slider, shape):
    """The values as float64 of the slider's length and then this shape."""
    if slider is not None:
        shape = (len(slider["values"]), *shape)
    return numbers(name, values, shape)


def check_node(place, node):
    """(text, parent), the parent a place before this one, or None."""
    pair = show.entries("nodes", node)
    checks.require(len(pair) == 2, f"nodes: expected (text, parent), got {node!r}")
    text, parent = show.visible("nodes", pair[0]), pair[1]
    if parent is not None:
        checks.whole(0, nodes=parent)
        wanted = f"nodes: expected a parent before node {place}, got {parent}"
        checks.require(parent < place, wanted)
        parent = int(parent)
    return text, parent


def numbers(name, values, shape=None):
    """The values as finite float64, of this shape or of one axis."""
    found = checks.finite_array(name, values, shape)
    wanted = f"{name}: expected a list of numbers, got shape {found.shape}"
    checks.require(shape is not None or found.ndim == 1, wanted)
    return found


def texts(name, values):
    """The values as a list of texts, at least one."""
    found = [show.visible(name, value) for value in show.entries(name, values)]
    checks.require(found, f"{name}: expected at least one")
    return found


def label(name, text):
    """A text that can be seen."""
    holds = show.visible(name, text).strip()
    checks.require(holds, f"{name}: expected a label, got {text!r}")
    return show.visible(name, text)


def axes(xlabel, ylabel):
    return {
        "xlabel": show.visible("xlabel", xlabel),
        "ylabel": show.visible("ylabel", ylabel),
    }


def settings(slider, readout):
    """What all figures have."""
    readout = {} if readout is None else readout
    found = check_series("readout", readout, slider, ()) if readout else []
    return {"slider": slider, "readout": found}


# --- Output ------------------------------------------------------------------


def rounded(values):
    """Numbers as nested lists: four digits after the point, four significant ones
    of a number below 1, never more than seven after the point.

    Ten digits come first: a number that is a tie but for the last bits, as 0.03125,
    is then the same on each machine.
    """
    if np.ndim(values):
        return [rounded(value) for value in values]
    value = float(f"{float(values):.10g}")
    small = 0 < abs(value) < 1
    digits = min(7, 3 - math.floor(math.log10(abs(value)))) if small else 4
    value = round(value, digits) + 0.0  # no -0.0
    return int(value) if value.is_integer() else value


def hand_over(figure, name, data):
    """Display the figure, close it, and then display its numbers."""
    from IPython.display import display

    holds = isinstance(name, str) and re.fullmatch("[a-z][a-z0-9-]*", name)
    checks.require(
        holds, f"name: expected small letters, digits and minus, got {name!r}"
    )
    figure = getattr(figure, "figure", figure)
    checks.require(
        isinstance(figure, plt.Figure), f"figure: expected Matplotlib's, got {figure!r}"
    )
    page = element(name, data)
    size = len(page.encode())
    wanted = f"{name}: expected at most {LIMIT} bytes of numbers, got {size}"
    checks.require(size <= LIMIT, wanted)
    display(figure)
    plt.close(figure)
    text = f"interactive figure {name}"
    display({"text/html": page, "text/plain": text}, raw=True)


def element(name, data):
    """The data in an element that no browser shows or runs."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    text = text.replace("<", "\\u003c")  # no </script> ends it
    return (
        '<script type="application/json" class="interactive" '
        f'data-name="{name}">{text}</script>'
    )
