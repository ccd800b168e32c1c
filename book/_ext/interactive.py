"""Interactive figures: their script on the pages that have one, and the directive
`interactive`, which shows a chapter's figure on another page.

    ```{interactive} decision_process#temperature
    ```

takes the picture and the numbers of the figure `temperature` from what
book/decision_process.ipynb has stored.
"""

import html
import json
import re

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.util.docutils import SphinxDirective
from toc import ROOT

ELEMENT = re.compile(r'<script [^>]*class="interactive" data-name="([a-z0-9-]+)">')


def found(path, name):
    """(alternative text, PNG in base64, its width, script element) of a figure."""
    for cell in json.loads(path.read_text("utf-8"))["cells"]:
        outputs = [output for output in cell.get("outputs", []) if "data" in output]
        for before, output in zip(outputs, outputs[1:]):
            page = "".join(output["data"].get("text/html", ""))
            match = ELEMENT.match(page)
            if match and match[1] == name and "image/png" in before["data"]:
                alt = cell["metadata"]["mystnb"]["image"]["alt"]
                png = "".join(before["data"]["image/png"]).replace("\n", "")
                return alt, png, before["metadata"]["image/png"]["width"], page
    return None


class Interactive(SphinxDirective):
    required_arguments = 1
    option_spec = {"caption": directives.unchanged_required}

    def run(self):
        chapter, _, name = self.arguments[0].partition("#")
        path = ROOT / "book" / f"{chapter}.ipynb"
        self.env.note_dependency(str(path))
        figure = found(path, name) if path.exists() else None
        if figure is None:
            raise self.error(f"interactive: expected a figure, got {self.arguments[0]}")
        alt, picture, width, script = figure
        caption = []
        if "caption" in self.options:
            text, _ = self.state.inline_text(self.options["caption"], self.lineno)
            caption = [nodes.paragraph("", "", *text, classes=["interactive-caption"])]
        image = (
            f'<img alt="{html.escape(alt)}" width="{width}" '
            f'src="data:image/png;base64,{picture}" />'
        )
        raw = nodes.raw("", image + script, format="html")
        return [nodes.container("", raw, *caption, classes=["interactive-source"])]


def apart(app, docname, source):
    """Put the numbers behind their cell: two outputs would be two figures of a name."""
    if not str(app.env.doc2path(docname)).endswith(".ipynb"):
        return
    notebook, cells = json.loads(source[0]), []
    for cell in notebook["cells"]:
        cells.append(cell)
        pages = ["".join(o.get("data", {}).get("text/html", "")) for o in outputs(cell)]
        numbers = [page for page in pages if ELEMENT.match(page)]
        if numbers:
            cell["outputs"] = [
                o for o, page in zip(outputs(cell), pages) if page not in numbers
            ]
            script = {"cell_type": "markdown", "metadata": {}, "source": numbers[0]}
            cells.append(script | {"id": f"{cell['id']}-numbers"})
    if len(cells) > len(notebook["cells"]):
        source[0] = json.dumps(notebook | {"cells": cells})


def outputs(cell):
    return cell.get("outputs", [])


def load_script(app, pagename, templatename, context, doctree):
    """Only pages with a figure load what draws it."""
    if doctree is None:
        return
    if any(ELEMENT.search(raw.astext()) for raw in doctree.findall(nodes.raw)):
        app.add_css_file("interactive.css")
        app.add_js_file("interactive.js", loading_method="defer")


def setup(app):
    app.add_directive("interactive", Interactive)
    app.connect("source-read", apart)
    app.connect("html-page-context", load_script)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
