"""The names of core and of the book's modules, and which chapters use which.

All of it is read from the source and nothing imported.  A name of `core.tf` counts as
the same name of `core.pt`: a page of the reference describes both.
"""

import ast
import json
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import contents
import toc

FOLDERS = {"core": "core", "pages": "book/pages", "applications": "book/applications"}
HOOKS = {"forward": "call"}  # what each framework calls by its own name
# Their names are those of the documents' listings, of which the text speaks.
DOCUMENTS = ("core.documents", "core.pt.listings", "core.tf.listings")
UNLISTED = (".__main__", ".font.make")  # modules that only run
CODE = re.compile(r"([A-Za-z_]\w*(?:\.\w+)*)(?:\(.*\))?", re.DOTALL)


@dataclass(frozen=True)
class Place:
    """Where a module, a function, a class, a method or a constant is defined."""

    path: str  # from the root of the repository
    first: int
    last: int
    text: str | None  # the docstring


def module_name(path):
    """Of a path from the root of the repository, with slashes."""
    parts = path.removeprefix("book/").removesuffix(".py").split("/")
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


class Names:
    """All definitions by their full names, and what a module gives on from others."""

    def __init__(self, root=toc.ROOT):
        self.places, self.modules = {}, {}
        self.given, self.stars = {}, {}
        for folder in FOLDERS.values():
            for path in sorted((root / folder).rglob("*.py")):
                self.read(path, path.relative_to(root).as_posix())
        self.bare = {}  # a function or class to its full names
        for name, place in self.places.items():
            owner, _, last = name.rpartition(".")
            if place.text and owner in self.modules and name not in self.modules:
                if not name.startswith(DOCUMENTS):
                    self.bare.setdefault(last, set()).add(self.shared(name))

    def read(self, path, relative):
        text = path.read_text("utf-8")
        tree = ast.parse(text)
        module = module_name(relative)
        self.modules[module] = relative
        lines = text.count("\n")
        self.places[module] = Place(relative, 1, lines, ast.get_docstring(tree))
        self.given[module], self.stars[module] = {}, []
        for node in tree.body:
            if isinstance(node, ast.ImportFrom) and node.names[0].name == "*":
                self.stars[module].append(node.module)
            else:
                self.given[module] |= imported(node)
            self.define(node, module, relative)

    def define(self, node, owner, path):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            name = f"{owner}.{node.name}"
            place = Place(path, node.lineno, node.end_lineno, ast.get_docstring(node))
            self.places.setdefault(name, place)  # of a property, not of its setter
            for child in node.body if isinstance(node, ast.ClassDef) else ():
                self.define(child, name, path)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            for target in (t for t in targets if isinstance(t, ast.Name)):
                place = Place(path, node.lineno, node.end_lineno, None)
                self.places.setdefault(f"{owner}.{target.id}", place)

    def resolve(self, dotted):
        """The full name of what a dotted name leads to, or None."""
        if dotted in self.places:
            return dotted
        owner, _, name = dotted.rpartition(".")
        owner = self.resolve(owner) if owner else None
        if owner is None:
            return None
        if f"{owner}.{name}" in self.places:
            return f"{owner}.{name}"
        origins = [self.given.get(owner, {}).get(name, "")]
        origins += [f"{module}.{name}" for module in self.stars.get(owner, [])]
        return next(filter(None, map(self.resolve, origins)), None)

    def shared(self, name):
        """The name of the page's description: that of PyTorch for a pair."""
        ours = re.sub(r"^core\.tf\b", "core.pt", name)
        ours = re.sub(r"^(applications\.\w+)_tf\b", r"\1_pt", ours)
        for torch, tensorflow in HOOKS.items():
            ours = re.sub(rf"\.{tensorflow}$", f".{torch}", ours)
        return ours if ours in self.places else name

    def mirror(self, name):
        """The same name in TensorFlow, or None."""
        theirs = re.sub(r"^core\.pt\b", "core.tf", name)
        theirs = re.sub(r"^(applications\.\w+)_pt\b", r"\1_tf", theirs)
        if theirs == name:
            return None
        owner, _, last = theirs.rpartition(".")
        found = [theirs, f"{owner}.{HOOKS.get(last, last)}"]
        return next((name for name in found if name in self.places), None)

    def module(self, name):
        """That in which a name is defined."""
        while name not in self.modules:
            name = name.rpartition(".")[0]
        return name

    def described(self, name):
        """Whether the reference shows this: what is public and has a docstring."""
        if name in self.modules:
            return name != "core" and not name.endswith(UNLISTED)
        rest = name.removeprefix(self.module(name)).split(".")
        private = any(part.startswith("_") for part in rest)
        return bool(self.places[name].text) and not private

    def of_text(self, code, page):
        """What inline code on a page names without doubt, or None.

        In full, through an import of the page, or by a name that only one module has.
        """
        if code.endswith(".py"):
            name = module_name(code)
            return name if self.modules.get(name) == code else None
        match = CODE.fullmatch(code)
        if not match:
            return None
        name = match[1]
        root = name.partition(".")[0]
        if root in page.bound:
            return None
        if root in FOLDERS and "." in name:  # core.losses is in both frameworks
            found = self.resolve(name) or self.resolve(f"core.pt{name[4:]}")
        elif root in page.imported:
            found = self.resolve(page.imported[root] + name.removeprefix(root))
        else:
            distinct = "_" in name or not name.islower()
            full = self.bare.get(root, ()) if distinct else ()
            owner = next(iter(full)) if len(full) == 1 else ""
            found = self.resolve(owner + name.removeprefix(root)) if owner else None
        return found if found and self.described(found) else None

    def page(self, module):
        """The page of the reference that describes a module, without its suffix."""
        parts = self.shared(module).split(".")
        if parts[:2] == ["core", "pt"]:
            parts = ["frameworks", *parts[2:]]
        return "/".join(["book/api", *(parts if parts != ["core"] else [])])

    def title(self, module):
        """With a star for both frameworks."""
        title = re.sub(r"^core\.(pt|tf)\b", "core.*", self.shared(module))
        return re.sub(r"^(applications\.\w+)_pt$", r"\1_*", title)

    def purpose(self, module):
        """The first sentence of its docstring."""
        text = " ".join((self.places[module].text or "").split())
        return re.match(r".*?(?:\.(?= |$)|$)", text)[0]


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
