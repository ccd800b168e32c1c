"""Formulas drawn by MathJax when the site is built: pages carry the picture, and
MathML for those who hear it, instead of 2.2 MB of script.

The glyphs that a page uses stand once in it.  Without Chromium, Sphinx's own
renderer takes over, and the pages load MathJax.
"""

import html
import re

from docutils import nodes
from drawing import MATHJAX, Store, found
from headless import available
from sphinx.ext import mathjax
from sphinx.util import logging
from sphinx.util.math import get_node_equation_number

INLINE = re.compile(r"(?<!\\)\\\((.*?)\\\)", re.DOTALL)
DISPLAY = re.compile(r"(?<!\\)\\\[(.*?)(?<!\\)\\\]", re.DOTALL)
GLYPH = re.compile(r'href="#(MJX-[\w-]+)"')
# What no style and no reader of the page needs is left out: a third.
SCRIPT = r"""
  await MathJax.startup.promise;
  const found = {drawn: {}, glyphs: {}, errors: {}};
  const left = ["data-c", "data-mjx-texclass", "focusable", "role", "xmlns",
    "xmlns:xlink"];
  for (const job of jobs) {
    const node = await MathJax.tex2svgPromise(
      job.slice(1), {display: job[0] === "D", em: 16, ex: 8});
    const error = node.querySelector("[data-mjx-error]");
    if (error) found.errors[job] = error.getAttribute("data-mjx-error");
    for (const part of node.querySelectorAll("*")) {
      for (const name of left) part.removeAttribute(name);
      if (part.dataset?.mmlNode !== "mtable") part.removeAttribute("data-mml-node");
    }
    found.drawn[job] = node.outerHTML.replaceAll("xlink:href", "href");
  }
  const cache = MathJax.startup.document.outputJax.fontCache.getCache();
  for (const path of cache.querySelectorAll("[id]"))
    found.glyphs[path.id] = path.outerHTML;
  return found;
"""


def source(text):
    """A formula as Sphinx writes it for MathJax: D or I, and TeX."""
    for kind, delimited in (("D", DISPLAY), ("I", INLINE)):
        match = delimited.search(text)
        if match:
            return kind + html.unescape(match[1])
    return "D" + html.unescape(text)  # an environment stands for itself


class Written:
    """Takes what Sphinx's renderer writes of a node, without its number."""

    def __init__(self, builder):
        self.builder, self.body = builder, []

    def starttag(self, node, tag, end="", **attributes):
        return ""

    def encode(self, text):
        return html.escape(text)


def of_node(node, builder):
    """The formula of a node, as `source` has it."""
    if isinstance(node, nodes.math):
        return "I" + node.astext()
    writer = Written(builder)
    bare = nodes.math_block("", node.astext(), nowrap=node["nowrap"], number=None)
    try:
        mathjax.html_visit_displaymath(writer, bare)
    except nodes.SkipNode:
        return source("".join(writer.body).removesuffix("</div>\n"))


def drawn(app):
    """The store of formulas, or None where the pages draw them."""
    return getattr(app, "drawn_formulas", None)


def choose(app):
    if getattr(app.builder, "math_renderer_name", None) != "drawn":
        return
    if app.builder.name == "html" and available():
        app.drawn_formulas = Store(app.doctreedir, "formulas", SCRIPT, MATHJAX)
    else:
        app.config.html_math_renderer = "mathjax"


def draw(app, env):
    """All formulas of all pages at once: Chromium starts at most once."""
    store = drawn(app)
    if store is None:
        return
    formulas = {
        of_node(node, app.builder) for node in found(env, nodes.math, nodes.math_block)
    }
    store.draw(formulas)
    for formula in sorted(formulas & set(store.found["errors"])):
        error = store.found["errors"][formula]
        logging.getLogger(__name__).warning("%s in the formula %s", error, formula)


def of_texts(app, texts):
    """Delimited formulas in HTML to their pictures, and the glyphs of these."""
    store = drawn(app)
    if store is None:
        return None
    found = {
        html.unescape(match[0]): store.found["drawn"][source(match[0])]
        for text in texts
        for kind in (DISPLAY, INLINE)
        for match in kind.finditer(text)
    }
    return {"drawn": found, "glyphs": glyphs(store, "".join(found.values()))}


def glyphs(store, text):
    """The glyphs that the formulas of this HTML use, or nothing."""
    used = sorted(set(GLYPH.findall(text)))
    if not used:
        return ""
    paths = "".join(store.found["glyphs"][name] for name in used)
    return f'<svg aria-hidden="true" style="display:none"><defs>{paths}</defs></svg>'


def visit_inline(self, node):
    formula = drawn(self.builder.app).found["drawn"][of_node(node, self.builder)]
    self.body.append(self.starttag(node, "span", "", CLASS="math notranslate"))
    self.body.append(f"{formula}</span>")
    raise nodes.SkipNode


def visit_block(self, node):
    formula = drawn(self.builder.app).found["drawn"][of_node(node, self.builder)]
    self.body.append(self.starttag(node, "div", CLASS="math notranslate"))
    if node["number"]:
        number = get_node_equation_number(self, node)
        self.body.append(f'<span class="eqno">({number})')
        self.add_permalink_ref(node, "Link to this equation")
        self.body.append("</span>")
    self.body.append(f"{formula}</div>\n")
    raise nodes.SkipNode


def add_glyphs(app, pagename, templatename, context, doctree):
    """To the end of what a page shows."""
    store = drawn(app)
    if store is not None and "body" in context:
        context["body"] += glyphs(store, context["body"])


def setup(app):
    app.add_html_math_renderer("drawn", (visit_inline, None), (visit_block, None))
    app.connect("builder-inited", choose)
    app.connect("env-updated", draw)
    app.connect("html-page-context", add_glyphs)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
