"""The directives `results` and `results-figure`, from the chapters' stored outputs.

Quotes, dashes and dots in tables stay as they are written; Sphinx makes
typographic ones of those in sentences.

A chapter that shows `applications.results.Results` stores its numbers beside
the table that is seen, under a type of their own.  They are gathered here, so
the page holds nothing that a chapter did not compute; its controls are read from
what the chapter prints (`applications.controls`).
"""

import io
import re
import sys
from pathlib import Path

from docutils import nodes
from docutils.parsers.rst import Directive
from docutils.statemachine import StringList
from sphinx.transforms import SphinxSmartQuotes, SphinxTransform
from toc import chapters

# As in a notebook, here and for the pages of the API.
sys.path.append(str(Path(__file__).resolve().parents[1]))
from applications.controls import CONTROLS  # noqa: E402
from applications.results import difference, gathered, headlines, interval, plus_minus  # noqa: E402
from pages.show import markdown_table  # noqa: E402

HEADER = ("metric", "start", "control", "after", "after − start", "after − control")
NOT_RUN = "not run"


def row(outcome, numbers):
    """The entries under HEADER."""
    value, gap, sampled = (
        numbers[kind].get(outcome.metric) for kind in ("values", "gaps", "sampled")
    )
    mean, half = interval(outcome.values)
    start = f"{outcome.start:.3g}" + (f"; sampled {sampled[0]:.3g}" if sampled else "")
    control = NOT_RUN
    if value:
        control = f"{value[0]:.3g}" if value[1] is None else plus_minus(*value)
    elif gap:
        control = f"{mean - gap[0]:.3g}"
    ahead = difference(outcome, value, gap) if value or gap else None
    notes = ["paid"] * outcome.rewarded + ["lower is better"] * outcome.lower_is_better
    return [
        ", ".join([outcome.metric, *notes]),
        start,
        control,
        plus_minus(mean, half),
        plus_minus(mean - outcome.start, half, sign=True),
        plus_minus(*ahead, sign=True) if ahead else "",
    ]


def agreement(metrics):
    """A sentence on how far TensorFlow's means are from PyTorch's, on shared seeds.

    TensorFlow repeats the first seeds of PyTorch; the others are left out.
    """
    gaps = {}
    for ours, theirs in metrics:
        if theirs is not None:
            pairs = list(zip(ours.values, theirs.values, strict=False))
            gaps[ours.metric] = abs(sum(a - b for a, b in pairs)) / len(pairs)
    if not gaps:
        return "TensorFlow was not run."
    metric = max(gaps, key=gaps.get)
    seeds = "With the seeds that both have, TensorFlow's means"
    if gaps[metric] < 5e-4:
        return f"{seeds} are the same to three decimals."
    return f"{seeds} differ by at most {gaps[metric]:.2g} ({metric})."


def section(name, chapter, control, numbers, metrics):
    """An application in Markdown: one sentence a fact, and its table."""
    seeds = sorted({len(outcome.values) for outcome, _ in metrics})
    took = [
        f"{outcome.seconds:.0f} s in {outcome.framework}"
        for outcome in metrics[0]
        if outcome is not None
    ]
    what = f"Control: {control.name}." if control.name else "Control: not run."
    once = [m for m, value in numbers["values"].items() if value[1] is None]
    if set(once) - set(numbers["gaps"]):
        what += " It was run once, and has no interval."
    facts = [
        what,
        f"Seeds: {' or '.join(map(str, seeds))}.",
        agreement(metrics),
        f"A training took {' and '.join(took)}.",
        control.note,
    ]
    return "\n\n".join(
        [
            f"**[{name}]({chapter})**",
            " ".join(filter(None, facts)),
            markdown_table(HEADER, [row(o, numbers) for o, _ in metrics]),
        ]
    )


def applications():
    """Of all chapters, in their order."""
    return gathered(chapters(), CONTROLS)


def page():
    """The Markdown of all applications."""
    return "\n\n".join(section(*application) for application in applications())


def draw():
    """The figure of the headlines, as SVG."""
    import matplotlib

    matplotlib.use("agg")
    import matplotlib.pyplot as plt

    from pages import plots

    plots.use_style()
    # Text as text and ids from a fixed salt: the same file every time.
    plt.rcParams.update({"svg.hashsalt": "results", "svg.fonttype": "none"})
    found = headlines(applications())
    fig, ax = plt.subplots(figsize=(6.4, 0.52 * len(found) + 1), layout="constrained")
    styles = (
        ("over the start", "blue", "o", 0.16),
        ("over the control", "vermillion", "D", -0.16),
    )
    for i, (label, color, marker, shift) in enumerate(styles):
        drawn = [(y, gains[i]) for y, (_, gains) in enumerate(found) if len(gains) > i]
        ax.errorbar(
            [mean for _, (mean, _) in drawn],
            [shift - y for y, _ in drawn],
            xerr=[half for _, (_, half) in drawn],
            fmt=marker,
            color=plots.COLORS[color],
            capsize=3,
            markersize=5,
            linewidth=1.2,
            label=label,
        )
    for y, (_, gains) in enumerate(found):
        if len(gains) == 1:
            ax.text(1, -0.16 - y, "no control of this metric", va="center", fontsize=8)
    ax.axvline(0, color=plots.COLORS["black"], linewidth=1)
    ax.set_yticks([-y for y in range(len(found))], [name for name, _ in found])
    ax.tick_params(axis="y", labelsize=8)
    ax.set(xlabel="gain (points of 0 to 100, 95 % interval)")
    ax.grid(axis="y", visible=False)
    fig.legend(loc="outside upper right", ncols=2)
    file = io.StringIO()
    fig.savefig(file, format="svg", metadata={"Date": None, "Creator": None})
    plt.close(fig)
    return file.getvalue()


def described():
    """The figure in words."""
    parts = []
    for name, gains in headlines(applications()):
        text = f"{name.replace(chr(10), ', ')}: {gains[0][0]:+.0f} over the start"
        if len(gains) > 1:
            text += f", {gains[1][0]:+.0f} over the control"
        parts.append(text)
    return "Gains in points. " + "; ".join(parts) + "."


def parsed(directive, text):
    """Nodes of Markdown that stands in the page."""
    env = directive.state.document.settings.env
    env.note_reread()  # whatever chapter changes
    node = nodes.Element()
    lines = StringList(text.split("\n"), source=env.docname)
    directive.state.nested_parse(lines, directive.content_offset, node)
    return node


class ResultsTable(Directive):
    def run(self):
        node = parsed(self, page())
        for found in node.findall(nodes.table):
            found["classes"].append("results")
        return node.children


class ResultsFigure(Directive):
    has_content = True  # the caption

    def run(self):
        caption = parsed(self, "\n".join(self.content))
        svg = re.sub(r"^.*?<svg ", "<svg ", draw(), count=1, flags=re.DOTALL)
        alt = described().replace('"', "'")
        svg = svg.replace("<svg ", f'<svg role="img" aria-label="{alt}" ', 1)
        figure = nodes.figure(classes=["results-figure"])
        figure += nodes.raw("", svg, format="html")
        figure += nodes.caption("", "", *caption[0].children)
        return [figure]


class LiteralTables(SphinxTransform):
    default_priority = SphinxSmartQuotes.default_priority - 1

    def apply(self):
        for table in self.document.findall(nodes.table):
            for text in table.findall(nodes.Text):
                text.parent["support_smartquotes"] = False


def setup(app):
    app.add_transform(LiteralTables)
    app.add_directive("results", ResultsTable)
    app.add_directive("results-figure", ResultsFigure)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
