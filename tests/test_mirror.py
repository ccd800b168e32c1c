"""`core/pt` and `core/tf` show the same face; read, not imported."""

import ast
from pathlib import Path

import pytest

CORE = Path(__file__).resolve().parents[1] / "core"
PT_ALONE = {"causal_lm.py"}  # `transformers` has its models in PyTorch only
FILES = sorted({p.name for p in (CORE / "pt").glob("*.py")} - PT_ALONE)
HOOKS = {"forward", "call"}  # what each framework calls by its own name


def public(name):
    return name == "__init__" or not (name.startswith("_") or name in HOOKS)


def face(body):
    """Names, parameters with defaults, and docstrings, in their order."""
    found = []
    for node in body:
        if isinstance(node, ast.FunctionDef) and public(node.name):
            found.append((
                node.name, ast.unparse(plain(node.args)),
                ast.get_docstring(node),
            ))
        elif isinstance(node, ast.ClassDef) and public(node.name):
            found.append((node.name, ast.get_docstring(node)))
            found += [(node.name, *entry) for entry in face(node.body)]
        elif isinstance(node, ast.Assign):
            found += [
                (t.id,) for t in node.targets
                if isinstance(t, ast.Name) and public(t.id)
            ]
    return found


def plain(arguments):
    """Parameters without annotations, which name a framework's types."""
    for argument in ast.walk(arguments):
        if isinstance(argument, ast.arg):
            argument.annotation = None
    return arguments


def module_face(package, name):
    return face(ast.parse((CORE / package / name).read_text()).body)


def test_the_same_files():
    assert FILES == sorted(p.name for p in (CORE / "tf").glob("*.py"))


@pytest.mark.parametrize("name", [n for n in FILES if n != "layers.py"])
def test_the_same_face(name):
    assert module_face("pt", name) == module_face("tf", name)


def test_layers_that_pytorch_has_itself():
    """TensorFlow's have a dtype, and some are PyTorch's own in PyTorch."""
    ours = [(entry[0], entry[-1]) for entry in module_face("pt", "layers.py")]
    theirs = [(e[0], e[-1]) for e in module_face("tf", "layers.py")]
    assert set(ours) <= set(theirs)
    extra = {name for name, _ in theirs} - {name for name, _ in ours}
    assert extra == {"Embedding", "LayerNorm", "Linear"}


@pytest.mark.parametrize("name", [*FILES, *PT_ALONE])
def test_every_public_name_has_a_docstring(name):
    missing = [
        entry for entry in module_face("pt", name)
        if len(entry) > 1 and entry[-1] is None and "__init__" not in entry
    ]
    assert not missing
