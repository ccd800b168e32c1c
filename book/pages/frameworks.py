"""Run a chapter with one framework alone.

Each chapter's second cell says `frameworks.use("both")`.  With "torch" or
"tensorflow" in its place every statement that needs the other framework is left out
of the cells that follow, and so is each one that needs what a left-out statement
would have made: the other framework's cells and the comparisons.
"""

from __future__ import annotations

import ast
import os
from importlib.util import find_spec

from core import checks

# What the framework that is left out brings into a chapter, as modules.
MODULES = {
    "torch": ("tensorflow", "keras", "core.tf"),
    "tensorflow": ("torch", "core.pt", "applications.causal_lm"),
}
ENDINGS = {"torch": ("_tf",), "tensorflow": ("_pt",)}  # applications.speech_tf


class WithoutTheOther(ast.NodeTransformer):
    """Drops a cell's statements that read a name which only the other brings.

    Attributes:
        missing: those names; what a dropped statement would have bound is one, too.
    """

    def __init__(self, framework: str) -> None:
        self.framework = framework
        self.missing: set[str] = set()

    def visit_Module(self, node: ast.Module) -> ast.Module:
        dropped = len(self.missing)
        node.body = [kept for s in node.body for kept in self.statement(s)]
        if not node.body and len(self.missing) > dropped:
            other = "TensorFlow" if self.framework == "torch" else "PyTorch"
            text = f"left out: needs {other}"
            node.body = ast.parse(f"print({text!r})").body
        return ast.fix_missing_locations(node)

    def statement(self, node: ast.stmt) -> list[ast.stmt]:
        if isinstance(node, ast.Import | ast.ImportFrom):
            return self.imports(node)
        if isinstance(node, ast.For) and isinstance(node.iter, ast.Tuple | ast.List):
            # for module in (np, tf, torch): the loop goes on without the one
            node.iter.elts = [e for e in node.iter.elts if not self.reads(e)]
        if not self.reads(node):
            self.missing -= bound(node)
            return [node]
        self.missing |= bound(node) | changed(node)
        return []

    def imports(self, node: ast.Import | ast.ImportFrom) -> list[ast.stmt]:
        origin = f"{node.module}." if isinstance(node, ast.ImportFrom) else ""
        others = [a for a in node.names if self.is_other(origin + a.name)]
        self.missing |= {(a.asname or a.name).partition(".")[0] for a in others}
        node.names = [a for a in node.names if a not in others]
        return [node] if node.names else []

    def is_other(self, name: str) -> bool:
        parents = [name.rsplit(".", k)[0] for k in range(name.count(".") + 1)]
        return any(
            p in MODULES[self.framework] or p.endswith(ENDINGS[self.framework])
            for p in parents
        )

    def reads(self, node: ast.AST) -> bool:
        """Whether a statement reads a missing name, in a function's body, too."""
        own = {
            a.arg
            for n in ast.walk(node)
            if isinstance(n, ast.arguments)
            for a in (*n.args, *n.kwonlyargs, *n.posonlyargs)
        } | _loop_names(node, ast.For, ast.comprehension)
        return any(
            isinstance(n, ast.Name)
            and isinstance(n.ctx, ast.Load)
            and n.id in self.missing - own
            for n in ast.walk(node)
        )


def bound(node: ast.AST) -> set[str]:
    """The names that a statement binds at the top of a cell."""
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return {node.name}
    stored = {
        n.id
        for n in ast.walk(node)
        if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)
    }
    return stored - _loop_names(node, ast.comprehension)


def _loop_names(node: ast.AST, *kinds: type) -> set[str]:
    """The names that loops of these kinds bind in a statement."""
    return {
        n.id
        for loop in ast.walk(node)
        if isinstance(loop, kinds)
        for n in ast.walk(loop.target)
        if isinstance(n, ast.Name)
    }


def changed(node: ast.AST) -> set[str]:
    """The names whose entries or attributes a statement sets."""
    names = set()
    for n in ast.walk(node):
        if isinstance(n, ast.Subscript | ast.Attribute) and isinstance(
            n.ctx, ast.Store
        ):
            owner = n.value
            while isinstance(owner, ast.Subscript | ast.Attribute):
                owner = owner.value
            if isinstance(owner, ast.Name):
                names.add(owner.id)
    return names


def use(framework: str) -> None:
    """Go on with one framework, or with both.

    Args:
        framework: "both", "torch" or "tensorflow".  With "both", where only one is
            installed, that one is taken, and a line says so.
    Raises: ValueError for another name; where the one that is named is not installed.
    """
    from IPython import get_ipython

    framework = os.environ.get("BOOK_FRAMEWORK") or framework
    checks.one_of(("both", "torch", "tensorflow"), framework=framework)
    there = [name for name in ("torch", "tensorflow") if find_spec(name)]
    if framework == "both" and len(there) == 1:
        framework = there[0]
        print(f"{framework} alone is installed: the other's statements are left out")
    missing = f"framework: expected one that is installed, got {framework}"
    checks.require(framework == "both" or framework in there, missing)
    transformers = get_ipython().ast_transformers
    transformers[:] = [t for t in transformers if not isinstance(t, WithoutTheOther)]
    if framework != "both":
        transformers.append(WithoutTheOther(framework))
