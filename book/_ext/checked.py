"""The role `checked`, a mark behind a sentence that leads to the check of it.

python book/_ext/checked.py writes book/checked.json from the chapters' outputs.
"""

import json
import re
import sys
from pathlib import Path

from docutils import nodes
from docutils.parsers.rst import Directive
from docutils.statemachine import StringList
from sphinx.errors import ExtensionError
from sphinx.util.docutils import SphinxRole
from toc import ROOT, chapters

sys.path.append(str(Path(__file__).resolve().parents[1]))
from pages.checked import MIME, PRINTED, Check  # noqa: E402

CALL = re.compile(r"""\bcheck\(\s*["']([\w-]+)["']""")
MARK = re.compile(r"\{checked\}`([\w-]+)`")


def stored(path):
    """The checks that a notebook's outputs hold, by name."""
    notebook = json.loads(path.read_text("utf-8"))
    outputs = [o for cell in notebook["cells"] for o in cell.get("outputs", [])]
    found = [o["data"][MIME] for o in outputs if MIME in o.get("data", {})]
    return {
        entry["name"]: {k: v for k, v in entry.items() if k != "name"}
        for entry in found
    }


def collected():
    """Chapter to its checks, of all chapters that have any, in their order."""
    found = {path.stem: stored(path) for path in chapters()}
    return {chapter: checks for chapter, checks in found.items() if checks}


def write():
    text = json.dumps(collected(), indent=1, ensure_ascii=False)
    PRINTED.write_text(text + "\n", encoding="utf-8")


def marks(path):
    """The names in a page's roles, in their order; of a notebook, in its prose."""
    text = path.read_text("utf-8")
    if path.suffix == ".ipynb":
        cells = json.loads(text)["cells"]
        prose = [c["source"] for c in cells if c["cell_type"] == "markdown"]
        text = "\n".join("".join(source) for source in prose)
    return MARK.findall(text)


class Checked(SphinxRole):
    def run(self):
        found = [
            (chapter, Check(self.text, **checks[self.text]))
            for chapter, checks in collected_once(self.env).items()
            if self.text in checks
        ]
        if len(found) != 1:
            where = f"{self.env.docname}: {self.text}"
            raise ExtensionError(f"checked: expected one check of this name, {where}")
        chapter, check = found[0]
        mark = nodes.reference(
            "", "✓", refuri="", reftitle=str(check), classes=["checked"]
        )
        mark["chapter"], mark["anchor"] = f"book/{chapter}", f"check-{self.text}"
        return [mark], []


def collected_once(env):
    """Read once a build and process."""
    if not hasattr(env.app, "checks_of_the_book"):
        env.app.checks_of_the_book = collected()
    return env.app.checks_of_the_book


def anchor(app, doctree):
    """Each cell with a check gets an address."""
    for cell in doctree.findall(nodes.container):
        if "cell" not in cell["classes"]:
            continue
        source = next(iter(cell.findall(nodes.literal_block)), None)
        if source is not None:
            names = CALL.findall(source.astext())
            cell["ids"] += [f"check-{name}" for name in names]


def bind(app, doctree):
    """A mark stands in the line of the word before it."""
    for mark in list(doctree.findall(nodes.reference)):
        place = mark.parent.index(mark) - 1
        before = mark.parent[max(0, place)]
        if "checked" in mark["classes"] and isinstance(before, nodes.Text):
            bound = nodes.Text(f"{before.rstrip()}\N{NO-BREAK SPACE}")
            mark.parent[place] = bound  # not by its text, which others have, too


def resolve(app, doctree, docname):
    for mark in doctree.findall(nodes.reference):
        if "checked" in mark["classes"]:
            page = mark["chapter"]
            local = page == docname
            uri = "" if local else app.builder.get_relative_uri(docname, page)
            mark["refuri"] = f"{uri}#{mark['anchor']}"


class Counts(Directive):
    """A table: how many checks each chapter has, and how many marks lead there."""

    def run(self):
        env = self.state.document.settings.env
        env.note_reread()  # whatever chapter changes
        checks = collected()
        everywhere = [name for page in pages() for name in marks(page)]
        rows = [
            (f"{{doc}}`{chapter}`", len(found), sum(map(everywhere.count, found)))
            for chapter, found in checks.items()
        ]
        rows.append(("together", *(sum(row[i] for row in rows) for i in (1, 2))))
        head = [("chapter", "checks", "marks"), ("---", "--:", "--:")]
        text = ["| " + " | ".join(map(str, row)) + " |" for row in head + rows]
        node = nodes.Element()
        lines = StringList(text, source=env.docname)
        self.state.nested_parse(lines, self.content_offset, node)
        return node.children


def pages():
    """Everything in which a mark may stand."""
    return [*chapters(), *sorted((ROOT / "book").glob("*.md"))]


def setup(app):
    app.add_role("checked", Checked())
    app.add_directive("checked-counts", Counts)
    app.connect("doctree-read", anchor)
    app.connect("doctree-read", bind)
    app.connect("doctree-resolved", resolve)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


if __name__ == "__main__":
    write()
