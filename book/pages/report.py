"""A run's report as a table and a picture."""

from __future__ import annotations

import matplotlib.pyplot as plt

from core.report import Report
from pages import plots, show

TITLES = {
    "return": "return",
    "entropy": "entropy (nats/token)",
    "length": "length (tokens)",
    "grad_norm": "gradient norm",
    "kl": "KL (nats/token)",
    "clipped": "clipped share",
    "informative": "share of groups that differ",
    "value_loss": "value loss",
    "ess": "effective share, reused",
    "loss": "loss",
}


def table(found: Report) -> None:
    """Display the ends of each curve, the batch's numbers, and the signs."""
    meanings = {sign.name: sign.meaning for sign in found.signs}
    rows = [
        [name, f"{first:.3f}", f"{last:.3f}", meanings.get(name, "")]
        for name, (first, last) in found.ends.items()
    ]
    rows += [
        [name, "", f"{value:.3f}", meanings.get(name, "")]
        for name, value in found.batch.items()
    ]
    show.table(["metric", "first steps", "last steps", "sign"], rows)


def figure(found: Report) -> None:
    """Draw a panel for each metric; those with a sign have a coloured title."""
    names = [name for name in TITLES if name in found.curves]
    signs = {sign.name for sign in found.signs}
    columns = min(3, len(names))
    rows = -(-len(names) // columns)
    _, axes = plt.subplots(
        rows, columns, figsize=(7.5, 1.7 * rows), squeeze=False, layout="constrained"
    )
    for ax in axes.flat[len(names) :]:
        ax.set_visible(False)
    for ax, name in zip(axes.flat, names):
        curve = found.curves[name]
        colour = plots.COLORS["vermillion" if name in signs else "blue"]
        ax.plot(range(1, len(curve) + 1), curve, color=colour, linewidth=1.2)
        mark = "▲ " if name in signs else ""
        ax.set_title(mark + TITLES[name], fontsize=9, color=colour)
        ax.tick_params(labelsize=7)
