"""The directive `results`: a table from the chapters' stored outputs.

Quotes, dashes and dots in tables stay as they are written; Sphinx makes
typographic ones of those in sentences.

A chapter that shows `applications.results.Results` stores its numbers beside
the table that is seen, under a type of their own.  They are gathered here, so
the page holds nothing that a chapter did not compute.
"""

import json
import sys
from pathlib import Path

from docutils import nodes
from docutils.parsers.rst import Directive
from docutils.statemachine import StringList
from IPython.display import Markdown
from sphinx.transforms import SphinxSmartQuotes, SphinxTransform
from toc import chapters

# As in a notebook, here and for the pages of the API.
sys.path.append(str(Path(__file__).resolve().parents[1]))
from applications.results import HEADER, MIME, Outcome  # noqa: E402
from pages.show import markdown_table, table_cell  # noqa: E402


def stored(path):
    """The applications that a notebook's outputs hold: (name, outcomes)."""
    notebook = json.loads(Path(path).read_text(encoding="utf-8"))
    for cell in notebook["cells"]:
        for output in cell.get("outputs", []):
            found = output.get("data", {}).get(MIME)
            if found:
                yield (
                    found["application"],
                    [Outcome(**outcome) for outcome in found["outcomes"]],
                )


def table():
    """The Markdown table of all chapters, in their order."""
    rows = []
    for path in chapters():
        for name, outcomes in stored(path):
            link = Markdown(f"[{table_cell(name)}]({path.name})")
            rows += [
                [link if i == 0 else "", *outcome.row()]
                for i, outcome in enumerate(outcomes)
            ]
    return markdown_table(["application", *HEADER], rows)


class ResultsTable(Directive):
    def run(self):
        env = self.state.document.settings.env
        env.note_reread()  # whatever chapter changes
        node = nodes.Element()
        lines = StringList(table().split("\n"), source=env.docname)
        self.state.nested_parse(lines, self.content_offset, node)
        for found in node.findall(nodes.table):
            found["classes"].append("results")
        return node.children


class LiteralTables(SphinxTransform):
    default_priority = SphinxSmartQuotes.default_priority - 1

    def apply(self):
        for table in self.document.findall(nodes.table):
            for text in table.findall(nodes.Text):
                text.parent["support_smartquotes"] = False


def setup(app):
    app.add_transform(LiteralTables)
    app.add_directive("results", ResultsTable)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
