"""The search finds Chinese words, and equations by their number or name.

Chinese has no spaces: its single characters and pairs of them are indexed, and a query
is split in the same way.  A chapter is also found by the Chinese names of the terms
that it explains or links to.
"""

import re
from pathlib import Path

import order
from docutils import nodes
from sphinx.addnodes import glossary, index, pending_xref
from sphinx.domains import ObjType
from sphinx.domains.math import MathDomain
from sphinx.search.en import SearchEnglish

RUN = re.compile(r"[\u3400-\u9fff]+")
WORD = re.compile(rf"{RUN.pattern}|[^\W\u3400-\u9fff]+")
# "19.1" stays whole: it is the number of an equation.
SPLITTER = r"""
var splitQuery = (query) => {
  const chinese = /^[\u3400-\u9fff]{3,}$/;
  const word = new RegExp(
    "\\d+\\.\\d+|[\\u3400-\\u9fff]+" +
    "|(?:(?![\\u3400-\\u9fff])[\\p{Letter}\\p{Number}_\\p{Emoji_Presentation}])+",
    "gu"
  );
  const pairs = (run) => [...run.slice(1)].map((c, i) => run[i] + c);
  return (query.match(word) || []).flatMap((w) => (chinese.test(w) ? pairs(w) : [w]));
};
"""


class EnglishAndChinese(SearchEnglish):
    js_splitter_code = SPLITTER

    def split(self, input):
        words = []
        for word in WORD.findall(input):
            if RUN.fullmatch(word):
                words += [*word, *(a + b for a, b in zip(word, word[1:]))]
            else:
                words.append(word)
        return words


class Equations(MathDomain):
    """Equations that have a label, as what the search can find."""

    object_types = {"equation": ObjType("equation", "eq")}

    def get_type_name(self, type, primary=False):
        return type.lname

    def get_objects(self):
        for label, (page, _) in self.equations.items():
            anchor = nodes.make_id(f"equation-{label}")
            numbers = self.env.toc_fignumbers.get(page, {}).get("displaymath", {})
            number = ".".join(map(str, numbers.get(anchor, ())))
            name = f"({number}) {label.removeprefix('eq-')}"
            yield name, name, "equation", page, anchor, 2  # after pages


class searched(nodes.Invisible, nodes.Element):
    """What the search knows of a page and the page does not show."""


def heading(text, ids=()):
    """Found like a heading of the page."""
    return searched("", nodes.title(text=text), ids=list(ids))


def chinese_names():
    """Each name of a term, in lower case, to the Chinese ones of its entry."""
    entries = order.entries(order.GLOSSARY.read_text("utf-8"))
    return {
        name.lower(): [other for other in names if RUN.match(other)]
        for names in entries.values()
        for name in names
    }


def add_names(app, doctree):
    """A term that a chapter explains counts like a heading, another like a word."""
    names = chinese_names()
    path = Path(app.env.doc2path(app.env.docname))
    if path.suffix == ".ipynb":
        for term in order.chapter(path).defines:
            doctree += [heading(name) for name in names[term.lower()]]
    linked = {
        link["reftarget"]
        for link in doctree.findall(pending_xref)
        if link["reftype"] == "term"
    }
    words = [name for term in sorted(linked) for name in names.get(term, ())]
    doctree += searched("", nodes.Text(" ".join(words)))


def name_entries(app, doctree, docname):
    """An entry of the glossary is found by its name, not as "Glossary"."""
    for entries in doctree.findall(glossary):
        for entry in list(entries.findall(index)):
            entry.parent.remove(entry)
        for term in entries.findall(nodes.term):
            doctree += heading(term.astext(), term["ids"])


def drop_index(app, doctree, docname):
    """The search knows the names of the reference as objects; that is enough."""
    if docname.startswith("book/api/"):
        for entry in list(doctree.findall(index)):
            entry.parent.remove(entry)


def skip(self, node):
    raise nodes.SkipNode


def load_script(app, pagename, templatename, context, doctree):
    if pagename == "search":
        app.add_js_file("book-search.js", loading_method="defer")


def setup(app):
    app.add_search_language(EnglishAndChinese)
    app.add_domain(Equations, override=True)
    writers = ("html", "latex", "text")
    app.add_node(searched, **{writer: (skip, None) for writer in writers})
    app.connect("doctree-read", add_names)
    app.connect("doctree-resolved", name_entries)
    app.connect("doctree-resolved", drop_index)
    app.connect("html-page-context", load_script)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
