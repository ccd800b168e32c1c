"""The code of the chapters: what it imports and mentions, and so which names it uses.

It is read and nothing run.
"""

import ast
import json
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import contents
import toc


def imported(node):
    """The names that an import binds, with what they stand for."""
    if isinstance(node, ast.ImportFrom):
        return {a.asname or a.name: f"{node.module}.{a.name}" for a in node.names}
    if isinstance(node, ast.Import):
        return {a.asname or a.name.partition(".")[0]: whole(a) for a in node.names}
    return {}


def whole(alias):
    return alias.name if alias.asname else alias.name.partition(".")[0]


def dotted(node):
    """A chain of attributes of a name as text, or None."""
    if isinstance(node, ast.Name):
        return node.id
    owner = dotted(node.value) if isinstance(node, ast.Attribute) else None
    return owner and f"{owner}.{node.attr}"


@dataclass(frozen=True)
class Page:
    """The code of a page: what it imports, what it defines, what it mentions."""

    imported: dict[str, str]
    bound: frozenset[str]
    mentioned: frozenset[str]


@cache
def code_of(path, changed):
    """Of a notebook; `changed` is its time, for which it is read once."""
    cells = json.loads(path.read_text("utf-8"))["cells"]
    trees = [ast.parse(source(c)) for c in cells if c["cell_type"] == "code"]
    names, bound, mentioned = {}, set(), set()
    nodes = [node for tree in trees for node in ast.walk(tree)]
    for node in nodes:
        names |= imported(node)
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            bound.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            bound.add(node.id)
        elif isinstance(node, ast.Import):
            mentioned |= {alias.name for alias in node.names}
    mentioned |= set(names.values())
    for chain in filter(None, map(dotted, nodes)):
        root, point, rest = chain.partition(".")
        if root in names:
            mentioned.add(names[root] + point + rest)
    return Page(names, frozenset(bound), frozenset(mentioned))


def source(cell):
    """Without the lines that only IPython knows."""
    return re.sub(r"(?m)^([ \t]*)[%!].*", r"\1pass", "".join(cell["source"]))


def page(path):
    """The code of a page; one in Markdown has none."""
    path = Path(path)
    if path.suffix != ".ipynb":
        return Page({}, frozenset(), frozenset())
    return code_of(path, path.stat().st_mtime_ns)


def chapters():
    """(number, name of the page, title) of each chapter, with its path."""
    for _, pages in toc.parts():
        for number, path in pages:
            if number is not None:
                name = path.relative_to(toc.ROOT).with_suffix("").as_posix()
                yield (number, name, contents.title(path)), path


def uses(names):
    """Full name to the chapters that import or mention it, and so its module."""
    found = {}
    for chapter, path in chapters():
        used = {names.resolve(name) for name in page(path).mentioned} - {None}
        used = {names.shared(name) for name in used}
        for name in used | {names.module(name) for name in used}:
            found.setdefault(name, []).append(chapter)
    return found
