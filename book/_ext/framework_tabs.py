"""Fold adjacent notebook cells tagged `torch` and `tf` into synced tabs.

In JupyterLab and on Colab such cells are plain neighbours.  On the site they
become one tab set of sphinx-design, with their executed outputs inside; all
tab sets of the site follow one another through the group "framework".
"""

from itertools import takewhile

from docutils import nodes
from sphinx.transforms import SphinxTransform
from sphinx_design.shared import create_component

LABELS = {"torch": "PyTorch", "tf": "TensorFlow"}


def framework(node):
    """The tag of a code cell that belongs to one framework, else None."""
    if getattr(node, "get", None) and node.get("nb_element") == "cell_code":
        for tag in LABELS:
            if f"tag_{tag}" in node["classes"]:
                return tag
    return None


def tab_item(tag, cells):
    label = nodes.rubric(LABELS[tag], LABELS[tag], classes=["sd-tab-label"])
    label["sync_id"], label["sync_group"] = tag, "framework"
    content = create_component(
        "tab-content", classes=["sd-tab-content"], children=cells
    )
    return create_component(
        "tab-item", classes=["sd-tab-item"], children=[label, content]
    )


class FoldFrameworkCells(SphinxTransform):
    """Runs after myst-nb has placed the cells among their siblings."""

    default_priority = 880

    def apply(self):
        for first in list(self.document.findall(framework)):
            parent = first.parent
            if "sd-tab-content" in parent["classes"]:
                continue  # folded together with an earlier cell
            start = parent.index(first)
            run = list(takewhile(framework, parent.children[start:]))
            tags = [t for t in LABELS if any(framework(c) == t for c in run)]
            if len(tags) < 2:
                continue  # one framework alone stays an ordinary cell
            items = [tab_item(t, [c for c in run if framework(c) == t]) for t in tags]
            parent.children[start : start + len(run)] = []
            parent.insert(
                start,
                create_component("tab-set", classes=["sd-tab-set"], children=items),
            )


def setup(app):
    app.add_transform(FoldFrameworkCells)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
