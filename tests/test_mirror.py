"""Each thing has one face in PyTorch and TensorFlow; read, not imported.

The files of `core/pt` and `core/tf`, and the networks of an application.
"""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
CORE = ROOT / "core"
APPLICATIONS = ROOT / "book" / "applications"
NETWORKS = sorted(APPLICATIONS.glob("*_pt.py"))
HOOKS = {"forward", "call"}  # what each framework calls by its own name


def files(package):
    """The files of a package of core, those of its packages included."""
    folder = CORE / package
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.py"))


FILES = files("pt")


def public(name):
    return name == "__init__" or not (name.startswith("_") or name in HOOKS)


def face(body):
    """Names, parameters with defaults, and docstrings, in their order."""
    found = []
    for node in body:
        if isinstance(node, ast.FunctionDef) and public(node.name):
            found.append(
                (node.name, ast.unparse(plain(node.args)), ast.get_docstring(node))
            )
        elif isinstance(node, ast.ClassDef) and public(node.name):
            found.append((node.name, ast.get_docstring(node)))
            found += [(node.name, *entry) for entry in face(node.body)]
        elif isinstance(node, ast.Assign):
            found += [
                (t.id,)
                for t in node.targets
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
    return file_face(CORE / package / name)


def file_face(path):
    return face(ast.parse(path.read_text("utf-8")).body)


def in_tensorflow(path):
    """Where an application's networks in PyTorch stand in TensorFlow."""
    return path.with_name(path.name.replace("_pt.py", "_tf.py"))


def test_the_same_files():
    assert FILES == files("tf")
    assert "models/gpt.py" in FILES


@pytest.mark.parametrize("name", [n for n in FILES if n != "layers.py"])
def test_the_same_face(name):
    assert module_face("pt", name) == module_face("tf", name)


def test_networks_of_applications():
    assert NETWORKS
    theirs = sorted(APPLICATIONS.glob("*_tf.py"))
    assert [in_tensorflow(path) for path in NETWORKS] == theirs


@pytest.mark.parametrize("path", NETWORKS, ids=lambda path: path.name)
def test_networks_of_the_same_face(path):
    ours = file_face(path)
    assert ours == file_face(in_tensorflow(path))
    assert not undocumented(ours)


def test_layers_that_pytorch_has_itself():
    """TensorFlow's have a dtype, and some are PyTorch's own in PyTorch."""
    ours = [(entry[0], entry[-1]) for entry in module_face("pt", "layers.py")]
    theirs = [(e[0], e[-1]) for e in module_face("tf", "layers.py")]
    assert set(ours) <= set(theirs)
    extra = {name for name, _ in theirs} - {name for name, _ in ours}
    assert extra == {"Embedding", "LayerNorm", "Linear", "RMSNorm", "compiled"}


@pytest.mark.parametrize("name", FILES)
def test_every_public_name_has_a_docstring(name):
    assert not undocumented(module_face("pt", name))


def undocumented(entries):
    return [
        entry
        for entry in entries
        if len(entry) > 1 and entry[-1] is None and "__init__" not in entry
    ]
