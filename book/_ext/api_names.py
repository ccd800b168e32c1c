"""The names of core and of the book's modules, read from the source, not imported.

A name of `core.tf` counts as the same name of `core.pt`: a page of the reference
describes both.
"""

import ast
import re
from dataclasses import dataclass

import toc
from api_code import imported

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
        root, point, rest = name.partition(".")
        if root in page.bound or root in page.imported or root in FOLDERS:
            return self.of_code(name, page)
        full = self.bare.get(root, ()) if "_" in name or not name.islower() else ()
        return (
            self.known(f"{next(iter(full))}{point}{rest}") if len(full) == 1 else None
        )

    def of_code(self, name, page):
        """What a dotted name leads to in the code of a page, in full or by import."""
        root, point, rest = name.partition(".")
        if root in page.bound:
            return None
        if root in FOLDERS and point:  # core.losses is in both frameworks
            return self.known(name) or self.known(f"core.pt.{rest}")
        return self.known(f"{page.imported.get(root, '')}{point}{rest}")

    def known(self, name):
        """The full name of what the reference describes, or None."""
        found = self.resolve(name)
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
