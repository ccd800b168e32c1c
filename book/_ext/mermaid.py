"""The `mermaid` directive, drawn in the browser from the site's own copy.

The script is a classic one and not a module, because browsers refuse modules
on pages that are opened as files.
"""

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.util.docutils import SphinxDirective


class mermaid(nodes.General, nodes.Element):
    """A diagram: `code`, and `alt`, the text for those who do not see it."""


class Mermaid(SphinxDirective):
    has_content = True
    option_spec = {
        "alt": directives.unchanged_required,
        "caption": directives.unchanged_required,
        "name": directives.unchanged_required,
    }

    def run(self):
        self.assert_has_content()
        if "alt" not in self.options:
            raise self.error("mermaid: expected the option :alt:")
        node = mermaid(code="\n".join(self.content), alt=self.options["alt"])
        if "caption" in self.options:
            text, _ = self.state.inline_text(self.options["caption"], self.lineno)
            node = nodes.figure("", node, nodes.caption("", "", *text))
        self.set_source_info(node)
        self.add_name(node)
        return [node]


def visit_html(self, node):
    self.body.append(
        self.starttag(
            node, "pre", CLASS="mermaid", role="img", **{"aria-label": node["alt"]}
        )
    )
    self.body.append(self.encode(node["code"]) + "</pre>")
    raise nodes.SkipNode


def visit_text(self, node):
    self.add_text(node["alt"])
    raise nodes.SkipNode


def load_script(app, pagename, templatename, context, doctree):
    """Only pages with a diagram load the 2.5 MB of mermaid."""
    if doctree is not None and doctree.next_node(mermaid) is not None:
        for file in ("mermaid/mermaid.tiny.js", "mermaid-start.js"):
            app.add_js_file(file, loading_method="defer")


def setup(app):
    app.add_node(mermaid, html=(visit_html, None), text=(visit_text, None))
    app.add_directive("mermaid", Mermaid)
    app.connect("html-page-context", load_script)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
