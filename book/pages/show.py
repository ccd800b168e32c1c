"""Show in a chapter the very code that the chapter runs."""

from __future__ import annotations

import ast
import html
import inspect
import re
import textwrap
from pathlib import Path

import numpy as np

import core
from core import checks

ROOT = Path(core.__file__).resolve().parent.parent
# Characters that pages drop or take for the end of a line.
CONTROL = re.compile(r"[\0-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]")
SPACES = r"[\t\n]|(?<= ) "  # those that a page joins
# In a cell of a table, what CommonMark, GitHub's Markdown and MathJax may read
# as markup, and spaces.  What opens no emphasis ("J*, a_b") and is no address
# ("pass@1") stays, as the source is read, too.
MARKUP = re.compile(
    r"[|`~<&$\\]|\*(?=[^\W_])|(?<![^\W_])\*(?=[^ ])|(?<![^\W_])_|_(?![^\W_])"
    r"|\](?=[(\[{:])|\[(?=\^)|:(?=//)|(?<=www)\.|@(?=@|[\w-]+\.)"
    rf"|^\s|\s$|{SPACES}"
)


def source(*objects, docstring=True):
    """Display the source of functions, classes or modules of core, or of the
    repository that core stands in.

    docstring=False leaves the docstrings out.
    Raises: ValueError for an object that is defined elsewhere.
    """
    from IPython.display import Markdown, display

    display(Markdown(markdown(*objects, docstring=docstring)))


def table(header, rows):
    """Display rows as a table; floats, NumPy's too, have three decimals.

    Args:
        header: list of str, one a column.
        rows: lists of as many entries, shown as `str` writes them: what looks
            like Markdown, HTML or a formula is text.  An object with a
            `_repr_markdown_`, such as IPython's `Markdown`, is markup (and
            JupyterLab then joins line ends and runs of spaces in its table).
    Raises: ValueError for a row of another length, and for a lone surrogate,
        which no file can hold.
    """
    from IPython.display import Markdown, display

    header, rows = entries("header", header), entries("rows", rows)
    rows = [entries("rows", row) for row in rows]
    lines = cells(header, rows)
    text = markdown_lines(lines)
    marked = any(hasattr(x, "_repr_markdown_") for row in (header, *rows) for x in row)
    if spaced(text) and not marked:  # in Markdown JupyterLab joins such spaces
        page = html_lines(lines)
        display({"text/html": page, "text/markdown": text}, raw=True)
    else:
        display(Markdown(text))


def markdown_table(header, rows):
    """The Markdown text that `table` displays, with its arguments and errors."""
    return markdown_lines(cells(header, rows))


def cells(header, rows):
    """The checked entries of a table, line by line, as Markdown and HTML take them."""
    header, rows = entries("header", header), entries("rows", rows)
    checks.require(header, "header: expected at least one column")
    lines = [[table_cell(entry, "header") for entry in header]]
    for row in rows:
        row = entries("rows", row)
        wanted = f"rows: expected {len(header)} entries"
        checks.require(len(row) == len(header), f"{wanted}, got {row}")
        lines.append([table_cell(entry, "rows") for entry in row])
    return lines


def markdown_lines(lines):
    """A Markdown table of these lines, the first of which is its header."""
    lines = [lines[0], ["---"] * len(lines[0]), *lines[1:]]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def html_lines(lines):
    """The same table as HTML, with all its spaces."""
    place = 'style="text-align:left;white-space:pre-wrap"'
    rows = [
        "".join(f"<{tag} {place}>{cell}</{tag}>" for cell in line)
        for tag, line in zip(["th"] + ["td"] * len(lines), lines)
    ]
    return "<table>" + "".join(f"<tr>{row}</tr>" for row in rows) + "</table>"


def entries(name, values):
    """The values as a list, which a text, a dict and a set are not."""
    other = isinstance(values, (str, bytes, dict, set))
    checks.require(not other, f"{name}: expected a list, got {values!r}")
    with checks.about(f"{name}: expected a list", TypeError):
        return list(values)


def table_cell(value, name="value"):
    """One entry as text that Markdown does not read as markup."""
    if hasattr(value, "_repr_markdown_"):
        return value._repr_markdown_()
    number = isinstance(value, (float, np.floating))
    text = visible(name, f"{value:.3f}" if number else str(value))
    return MARKUP.sub(lambda found: entity(found[0]), text)


def entity(character):
    """A character as HTML and Markdown write what is no markup."""
    text = "&lt;" if character == "<" else f"&#{ord(character)};"
    # MathJax reads the finished page, but no formula across two elements.
    return f"<span>{text}</span>" if character in "$\\" else text


def as_html(text):
    """Checked text as HTML that is neither markup nor, for MathJax, a formula."""
    marks = rf"[$\\]|{SPACES}"
    return re.sub(marks, lambda found: entity(found[0]), html.escape(text))


def spaced(text):
    """Whether this text, of a cell or as HTML, has spaces that a page may join."""
    return bool(re.search("&#(9|10|32);", text))


def visible(name, text):
    """The text; control characters but tab and line end as Python writes them.

    Raises: ValueError for what is no text, or has a lone surrogate.
    """
    checks.require(isinstance(text, str), f"{name}: expected a text, got {text!r}")
    whole = not re.search("[\ud800-\udfff]", text)
    checks.require(whole, f"{name}: expected no lone surrogate, got {text!r}")
    return CONTROL.sub(lambda found: repr(found[0])[1:-1], text)


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
        # Longer than any fence within the code.
        fence = "`" * max([3, *(len(run) + 1 for run in re.findall("`+", code))])
        blocks.append(f"`{file_name(obj)}`\n\n{fence}python\n{code}{fence}\n")
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
