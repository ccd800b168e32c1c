"""What the cards show that open at links to terms, references, equations, figures.

The pages' script cannot fetch from a disk, so all cards of the book stand in one
script, _static/hover-data.js, which book/_static/hover.js loads at the first card.
Their formulas stand drawn in another, which it loads at the first card with one.
"""

import html
import json
import re
from pathlib import Path

from docutils import nodes
from formulas import of_texts
from sphinx.addnodes import glossary, pending_xref
from sphinx.util import docname_join

CHINESE = re.compile(r"[\u3000-\u30ff\u3400-\u9fff\uff00-\uffef]+")
TAGS = {
    nodes.emphasis: "em",
    nodes.strong: "strong",
    nodes.literal: "code",
    nodes.paragraph: "p",
    nodes.subscript: "sub",
    nodes.superscript: "sup",
}


def marked(text):
    """Text as HTML; what is Chinese says so, for the fonts and the voice."""
    return CHINESE.sub(lambda m: f'<span lang="zh">{m[0]}</span>', html.escape(text))


def rendered(node):
    """The HTML of a node of a definition or a caption, without its links.

    What a link to an equation or a page says is known when all pages are read: an
    element <a> stands for it until then.
    """
    if isinstance(node, nodes.Text):
        return marked(node.astext())
    if isinstance(node, nodes.math):
        return rf'<span class="math">\({html.escape(node.astext())}\)</span>'
    if isinstance(node, nodes.math_block):
        return equation(node.astext())
    if isinstance(node, pending_xref) and not node.get("refexplicit"):
        if node["reftype"] in ("eq", "doc"):
            return f"<a>{node['reftype']} {html.escape(node['reftarget'])}</a>"
    inner = "".join(map(rendered, node.children))
    tag = TAGS.get(type(node))
    return f"<{tag}>{inner}</{tag}>" if tag else inner


def equation(latex):
    """As Sphinx writes it on the page."""
    lines = rf"\begin{{split}}{latex}\end{{split}}" if r"\\" in latex else latex
    return rf'<div class="math">\[{html.escape(lines)}\]</div>'


def gather(app, doctree):
    """The terms, equations and figures of one page: anchor to HTML."""
    found = {}
    for entries in doctree.findall(glossary):
        for item in entries.findall(nodes.definition_list_item):
            terms = [t for t in item.children if isinstance(t, nodes.term)]
            names = [t.astext() for t in terms]
            head = " · ".join(
                marked(n) if CHINESE.search(n) else f"<b>{marked(n)}</b>" for n in names
            )
            card = f"<p>{head}</p>{rendered(item.children[-1])}"
            found |= {anchor: card for t in terms for anchor in t["ids"]}
    for block in doctree.findall(nodes.math_block):
        if block.get("label"):
            anchor = nodes.make_id(f"equation-{block['label']}")
            found[anchor] = equation(block.astext())
    for figure in doctree.findall(nodes.figure):
        image = next(iter(figure.findall(nodes.image)), None)
        caption = next(iter(figure.findall(nodes.caption)), None)
        if image is not None and caption is not None:
            card = [image["uri"], image.get("alt", ""), rendered(caption)]
            found |= {anchor: card for anchor in figure["ids"]}
    cards_of(app.env)[app.env.docname] = found


def cards_of(env):
    """Page to its cards; kept with the environment."""
    if not hasattr(env, "hover_cards"):
        env.hover_cards = {}
    return env.hover_cards


def purge(app, env, docname):
    cards_of(env).pop(docname, None)


def merge(app, env, docnames, other):
    cards_of(env).update({name: cards_of(other)[name] for name in docnames})


def picture(app, card):
    """A figure's card: the picture where the site has it, and its caption."""
    uri, alt, caption = card
    if uri not in app.env.images:
        return f"<p>{caption}</p>"
    source = f"{app.builder.imagedir}/{app.env.images[uri][1]}"
    return f'<img alt="{html.escape(alt)}" src="{source}" /><p>{caption}</p>'


def resolved(app, docname, card):
    """The card with the numbers and titles that its links say."""

    def said(match):
        kind, target = match[1], html.unescape(match[2])
        if kind == "doc":
            title = app.env.titles.get(docname_join(docname, target))
            return marked(title.astext()) if title else ""
        page = app.env.get_domain("math").equations.get(target, ("", ""))[0]
        numbers = app.env.toc_fignumbers.get(page, {}).get("displaymath", {})
        number = numbers.get(nodes.make_id(f"equation-{target}"), ())
        return f"({'.'.join(map(str, number))})" if number else ""

    return re.sub("<a>(eq|doc) (.*?)</a>", said, card)


def references(app):
    """Address of an entry of the bibliography to its text."""
    domain = app.env.get_domain("cite")
    for citation in domain.citations:
        page = citation.bibliography_key.docname
        text = citation.formatted_entry.text.render_as("text")
        address = f"{app.builder.get_target_uri(page)}#{citation.citation_id}"
        yield address, f"<p>{marked(text)}</p>"


def write(app, error):
    """Address, relative to the site's root, to the card."""
    if error or app.builder.format != "html":
        return
    cards = dict(references(app))
    for page, found in sorted(cards_of(app.env).items()):
        uri = app.builder.get_target_uri(page)
        for anchor, card in found.items():
            shown = picture(app, card) if isinstance(card, list) else card
            cards[f"{uri}#{anchor}"] = resolved(app, page, shown)
    text = json.dumps(cards, ensure_ascii=False, indent=0)
    path = Path(app.outdir) / "_static" / "hover-data.js"
    path.write_text(f"window.hoverCards = {text};\n", encoding="utf-8")
    formulas = json.dumps(of_texts(app, cards.values()), ensure_ascii=False)
    path.with_name("hover-formulas.js").write_text(
        f"window.hoverFormulas = {formulas};\n", encoding="utf-8"
    )


def setup(app):
    app.connect("doctree-read", gather, priority=900)  # the images are known
    app.connect("env-purge-doc", purge)
    app.connect("env-merge-info", merge)
    app.connect("build-finished", write)
    app.add_js_file("hover.js", loading_method="defer")
    app.add_css_file("hover.css")
    return {"parallel_read_safe": True, "parallel_write_safe": True}
