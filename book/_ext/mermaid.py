"""The `mermaid` directive: diagrams, drawn when the site is built (drawing.py).

Their colours are the page's, in light and dark.  Without Chromium the pages draw
them with the site's own copy of the script; it is a classic one and not a module,
because browsers refuse modules on pages that are opened as files.
"""

from docutils import nodes
from docutils.parsers.rst import directives
from drawing import MERMAID, Store, found
from headless import available
from sphinx.util.docutils import SphinxDirective

# Texts are SVG's own and not HTML, whose boxes would cut those of a wider font.
# mermaid must read its colours; each of these is replaced by one of the page's.
SCRIPT = """
  mermaid.initialize({
    startOnLoad: false, theme: "base", htmlLabels: false,
    flowchart: {htmlLabels: false, useMaxWidth: true, padding: 12},
    fontFamily: "sans-serif",
    themeVariables: {
      primaryColor: "#f1f2f3", primaryBorderColor: "#f4f5f6",
      primaryTextColor: "#f7f8f9", lineColor: "#fafbfc", textColor: "#f7f8f9",
      edgeLabelBackground: "#fdfeff", clusterBkg: "#fdfeff",
      clusterBorder: "#f4f5f6", titleColor: "#f7f8f9",
    },
  });
  const name = (text) =>
    [...text].reduce((n, c) => (n * 31 + c.codePointAt()) >>> 0, 7);
  const found = {drawn: {}};
  for (const job of jobs)
    found.drawn[job] = (await mermaid.render(`diagram-${name(job)}`, job)).svg;
  return found;
"""
COLOURS = {  # and what stands for them where the page has no theme
    "#f1f2f3": "var(--pst-color-surface, #f3f4f5)",
    "#f4f5f6": "var(--pst-color-text-muted, #48566b)",
    "#f7f8f9": "var(--pst-color-text-base, #222832)",
    "#fafbfc": "var(--pst-color-text-muted, #48566b)",
    "#fdfeff": "var(--pst-color-background, #fff)",
    'role="graphics-document document"': 'aria-hidden="true"',
    ' aria-roledescription="flowchart-v2"': "",
}


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


def draw(app, env):
    """All diagrams of all pages at once: Chromium starts at most once."""
    if app.builder.format == "html" and available():
        app.drawn_diagrams = Store(app.doctreedir, "diagrams", SCRIPT, MERMAID)
        app.drawn_diagrams.draw(node["code"] for node in found(env, mermaid))


def visit_html(self, node):
    """The picture, or the text that the page's script will draw."""
    drawn = getattr(self.builder.app, "drawn_diagrams", None)
    if drawn is None:
        kind, name, inside = "pre", "mermaid", self.encode(node["code"])
    else:
        kind, name, inside = "div", "diagram", drawn.found["drawn"][node["code"]]
        for colour, of_page in COLOURS.items():
            inside = inside.replace(colour, of_page)
    label = {"role": "img", "aria-label": node["alt"]}
    tag = self.starttag(node, kind, "", CLASS=name, **label)
    self.body.append(f"{tag}{inside}</{kind}>\n")
    raise nodes.SkipNode


def visit_text(self, node):
    self.add_text(node["alt"])
    raise nodes.SkipNode


def load_script(app, pagename, templatename, context, doctree):
    """Only pages that draw a diagram load the 2.5 MB of mermaid."""
    if doctree is None or hasattr(app, "drawn_diagrams"):
        return
    if doctree.next_node(mermaid) is not None:
        for file in ("mermaid/mermaid.tiny.js", "mermaid-start.js"):
            app.add_js_file(file, loading_method="defer")


def setup(app):
    app.add_node(mermaid, html=(visit_html, None), text=(visit_text, None))
    app.add_directive("mermaid", Mermaid)
    app.connect("env-updated", draw)
    app.connect("html-page-context", load_script)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
