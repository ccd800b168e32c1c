"""The same of what stands beside the chapters: metrics, tables of values, pages."""

from __future__ import annotations

from contextlib import redirect_stdout
from io import StringIO

import matplotlib.pyplot as plt
import numpy as np

from core.returns import leave_one_out
from tests.fuzz.arguments import (
    NAN,
    choice,
    count,
    floats,
    number,
    only,
    optional,
    share,
    text,
    texts,
)
from tests.fuzz.calls import TEXTS, WORDS, line


def closed(function, **arguments):
    """The lines of a figure, which is closed."""
    try:
        ax = function(**arguments)
        return [line.get_xydata() for line in ax.get_lines()], ax.get_ylabel()
    finally:
        plt.close("all")


def shown(function, **arguments):
    """Both forms of what a notebook shows."""
    found = function(**arguments)
    return repr(found), found._repr_html_()


def silent(function, **arguments):
    """What `display` prints outside of a notebook."""
    with redirect_stdout(StringIO()):
        return function(*arguments.values())


CURVES = {"a, PyTorch": np.ones((2, 3)), "a, TensorFlow": np.zeros((2, 3))}
CODE, NAME = text("a = 1\nb = 2\n").but("empty"), text("KL").but("empty")
SOURCE = {"objects": only(leave_one_out, other=np.sum), "_": silent}
CELLS = {"header": only(["a", "b"], text="ab"), "_": silent}
CELLS |= {"rows": only([[1, 0.5], ["c", None]], short=[[1]], flat=[1, 2]).but("list")}

CALLS = {
    "applications.metrics": {
        "completions": TEXTS,
        "target": TEXTS,
        "targets": TEXTS,
        "language": choice("en", "zh"),
        "kind": choice("rougeL", "rouge1", "rouge2"),
        "part": choice("fmeasure", "precision", "recall"),
        "texts": texts(*WORDS).but("fewer", "none"),
        "n": count(2, 1),
        "samples": count(4, 2),
        "correct": count(2, 0, 4),
        "k": count(2, 1, 4),
    },
    "applications.tasks": {
        "language": choice("en", "zh"),
        "n": count(2, 1),
        "length": count(2, 1),
    },
    "applications.tabular": {
        "q": line(floats(3, 4)),
        "values": line(floats(4)),
        "episodes": count(3, 1),
        # Read as arrays, one number an episode: True is 1.
        "alpha": number(0.5, 0, 1, open_low=True).but("bool"),
        "epsilon": share(0.5).but("bool"),
        "setting": share(0.5).but("bool"),
        "state": count(1, 0, 2),
        "next_action": count(1, 0, 3),
        "epsilon_greedy": {"values": line(floats(4)).but("list", "tuple")},
        "schedule": {"name": choice("epsilon", "alpha")},
    },
    "pages.diff": {
        "program": {"objects": only(leave_one_out), "_": silent},
        "side_by_side": {
            "printed": CODE,
            "repaired": text("a = 1\nb = 3\n").but("empty"),
            "reasons": only({2: "why"}, other={7: "why"}, none={2: ""}),
            "_": shown,
        },
    },
    "pages.plots": {
        "learning_curves": {
            "curves": only(
                CURVES,
                nan={"a": [1, NAN]},
                empty={"a": []},
                texts={"a": "ten"},
                deep={"a": np.ones((2, 2, 2))},
                label={3: [1, 2, 3]},
            ),
            "ylabel": NAME,
            "xlabel": NAME,
            "steps": optional(floats(3)),
            "_": closed,
        },
        "token_heatmap": {
            "tokens": texts("a", "b"),
            "values": floats(2),
            "label": NAME,
            "digits": count(2, 0),
            "limit": optional(number(0.5, low=0)),
            "names": optional(texts("a")),
            "_": shown,
        },
    },
    "pages.show": {
        **dict.fromkeys(("source", "markdown"), SOURCE),
        **dict.fromkeys(("table", "markdown_table"), CELLS),
    },
    "pages.parity": {
        "difference": {
            "first": only({"a": np.ones((2, 2))}),
            "second": only(
                {"a": np.zeros((2, 2))},
                shape={"a": np.zeros((1, 2))},
                name={"b": np.zeros((2, 2))},
            ),
        }
    },
}

PARTS = {
    "applications.tabular": "empty_history",
    "pages.diff": "without_types blocks same speaks quiet pane SideBySide",
    "pages.plots": "seeds_note without_framework curve_style check_curve check_labels "
    "printable small_png TokenHeatmap "
    "TokenHeatmap.number TokenHeatmap.cell",
    "pages.show": "unwrapped table_cell source_text file_name without_docstrings "
    "cells markdown_lines html_lines entries entity as_html spaced visible",
    "pages.parity": "checkpoints_of copy_weights side_by_side",
}
