"""Show in a chapter the very code that the chapter runs."""

from __future__ import annotations

import ast
import inspect
import textwrap
from pathlib import Path

import core

ROOT = Path(core.__file__).resolve().parent.parent


def source(*objects, docstring=True):
    """Display the source of functions, classes or modules of core, or of the
    repository that core stands in.

    docstring=False leaves the docstrings out.
    Raises: ValueError for an object that is defined elsewhere.
    """
    from IPython.display import Markdown, display

    display(Markdown(markdown(*objects, docstring=docstring)))


def table(header, rows):
    """Display rows as a table; floats have three decimals.

    Args:
        header: list of str, one a column.
        rows: lists of as many entries.
    """
    from IPython.display import Markdown, display

    display(Markdown(markdown_table(header, rows)))


def markdown_table(header, rows):
    """The Markdown text that `table` displays.

    Raises: ValueError for a row of another length.
    """
    for row in rows:
        if len(row) != len(header):
            raise ValueError(f"rows: expected {len(header)} entries, got {row}")
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(map(table_cell, line)) + " |" for line in lines)


def table_cell(value):
    """One entry as text that Markdown does not read as markup."""
    text = f"{value:.3f}" if isinstance(value, float) else str(value)
    return text.replace("|", "\\|").replace("<", "&lt;")


def markdown(*objects, docstring=True):
    """The Markdown text that `source` displays: file name, then code.

    The file name is relative to the repository, so the text is the same
    on every machine.
    """
    if not objects:
        raise ValueError("objects: expected at least one function or class")
    blocks = []
    for obj in objects:
        code = source_text(obj)
        if not docstring:
            code = without_docstrings(code)
        blocks.append(f"`{file_name(obj)}`\n\n```python\n{code}```\n")
    return "\n".join(blocks)


def source_text(obj):
    """The source of an object, dedented, with one line end at its end."""
    file_name(obj)  # the better error message for what is not ours
    return textwrap.dedent(inspect.getsource(unwrapped(obj))).rstrip() + "\n"


def file_name(obj):
    """Where an object is defined, such as core/pt/losses.py."""
    try:
        path = Path(inspect.getsourcefile(unwrapped(obj))).resolve()
        name = path.relative_to(ROOT)
        # Other packages may be installed below the root, or core beside them.
        if "site-packages" in path.parts and name.parts[0] != "core":
            raise ValueError(path)
    except (TypeError, ValueError):
        raise ValueError(
            f"objects: expected a function, class or module of core or of "
            f"its repository, got {obj!r}"
        ) from None
    return name.as_posix()


def unwrapped(obj):
    """The function under decorators (tf.function, lru_cache, no_grad)."""
    obj = getattr(obj, "python_function", obj)
    return obj if inspect.isclass(obj) else inspect.unwrap(obj)


def without_docstrings(code):
    """Python code without its docstrings; comments stay."""
    lines = code.splitlines(keepends=True)
    dropped = set()
    for node in ast.walk(ast.parse(code)):
        body = getattr(node, "body", None)
        if not isinstance(body, list) or len(body) < 2:
            continue  # a docstring alone is the whole body: it must stay
        named = (ast.Module, ast.ClassDef, ast.FunctionDef)
        if isinstance(node, named) and ast.get_docstring(node) is not None:
            first = body[0]
            dropped |= set(range(first.lineno - 1, first.end_lineno))
            if lines[first.end_lineno].isspace():
                dropped.add(first.end_lineno)  # the blank line behind it
    return "".join(x for i, x in enumerate(lines) if i not in dropped)
