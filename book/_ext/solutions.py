"""Fold each section "Solution" of a chapter, prose and code together.

In JupyterLab and on Colab the heading folds what follows (run_notebook.py writes
the metadata).  On the site the section becomes one <details> element, which is no
entry of the page's contents; that of "Exercise 2" has the anchor solution-2.
"""

from docutils import nodes
from sphinx.transforms import SphinxTransform

TITLE = "Solution"


class Solution(nodes.General, nodes.Element):
    """Holds what is folded."""


class FoldSolutions(SphinxTransform):
    """Runs before Sphinx collects the page's contents, which is at 880."""

    default_priority = 870

    def apply(self):
        found = [
            section
            for section in self.document.findall(nodes.section)
            if section[0].astext() == TITLE
        ]
        for section in found:
            exercise = section.parent[0].astext().split(":")[0]
            number = exercise.rpartition(" ")[2]
            folded = Solution("", *section.children[1:], ids=[f"solution-{number}"])
            section.replace_self(folded)


def visit(self, node):
    self.body.append(f'<details class="solution" id="{node["ids"][0]}">')
    self.body.append(f"<summary>{TITLE}</summary>\n<div>\n")


def depart(self, node):
    self.body.append("</div>\n</details>\n")


def passed(self, node):
    """Other builders show what is inside."""


def setup(app):
    app.add_node(
        Solution,
        html=(visit, depart),
        **dict.fromkeys(("latex", "text", "man", "texinfo"), (passed, passed)),
    )
    app.add_transform(FoldSolutions)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
