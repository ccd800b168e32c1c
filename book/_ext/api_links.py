"""Links to the reference, from inline code and from the code of the chapters.

Inline code is linked where it names one thing of the library without doubt, code of a
cell where an import of its chapter says what a name is: the first time in a cell.
Nothing is run.
"""

import html
import re

import api_code
import api_names
from docutils import nodes
from sphinx import addnodes

APART = (nodes.reference, nodes.title, addnodes.pending_xref, addnodes.desc_signature)
CELL = re.compile(
    r'(<div class="highlight-ipython3 notranslate"><div class="highlight"><pre>)'
    r"(.*?)(?=</pre>)",
    re.DOTALL,
)
# Names with points between them, as Pygments writes them; not behind a point, and
# not a keyword of a call.
POINT = '<span class="o">.</span>'
CHAIN = re.compile(
    rf'(?<!{re.escape(POINT)})<span class="nn?">[\w.]+</span>'
    rf'(?:{re.escape(POINT)}<span class="n">\w+</span>)*(?!<span class="o">=<)'
)


def names_of(app):
    """The names and their chapters, read once a build."""
    if not hasattr(app, "api_names"):
        app.api_names = api_names.Names()
        app.api_uses = api_code.uses(app.api_names)
    return app.api_names


def link(text, target, kind="obj"):
    """To what Sphinx finds under the name when all pages are read."""
    domain = "std" if kind == "doc" else "py"
    found = addnodes.pending_xref(
        "", refdomain=domain, reftype=kind, reftarget=target, refexplicit=True
    )
    found += text
    return found


def link_text(app, doctree):
    """Inline code leads to what it names, but within a link or a heading."""
    names, env = names_of(app), app.env
    code = api_code.page(env.doc2path(env.docname))
    for literal in list(doctree.findall(nodes.literal)):
        node = literal.parent
        while node and not isinstance(node, APART):
            node = node.parent
        text = literal.astext()
        if env.docname == "book/api":  # its table has the names within core
            text = f"core.{text}".replace("*", "pt")
        name = None if node else names.of_text(text, code)
        if name:
            literal.replace_self(link(literal.deepcopy(), name))


def link_cells(app, pagename, templatename, context, doctree):
    """The code of a chapter's cells leads to what it uses."""
    path = app.env.doc2path(pagename) if doctree else ""
    if not path.endswith(".ipynb"):
        return
    names, code = names_of(app), api_code.page(path)
    objects = app.env.get_domain("py").objects

    def cell(match):
        seen = set()

        def chain(found):
            """The longest part of it from its start that the reference describes."""
            spans = found[0].split(POINT)
            parts = [re.sub("<.*?>", "", span) for span in spans]
            for count in range(len(parts), 0, -1):
                name = names.of_code(".".join(parts[:count]), code)
                if name in objects and name not in seen:
                    seen.add(name)
                    place = objects[name]
                    page = app.builder.get_relative_uri(pagename, place.docname)
                    start = f'<a class="api" href="{page}#{place.node_id}"'
                    title = f' title="{html.escape(name)}">'
                    inner, rest = POINT.join(spans[:count]), spans[count:]
                    return POINT.join([f"{start}{title}{inner}</a>", *rest])
                if name:
                    break
            return found[0]

        return match[1] + CHAIN.sub(chain, match[2])

    context["body"] = CELL.sub(cell, context["body"])


def setup(app):
    app.connect("doctree-read", link_text)
    app.connect("html-page-context", link_cells)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
