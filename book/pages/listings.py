"""Read, run and repair the documents' program listings.

They lie, character for character, in `book/data/listings`.  Line numbers count the
lines of a listing, not those of the document around it.
"""

from __future__ import annotations

import ast
import contextlib
import io
import re
import sys
import textwrap
import traceback
from pathlib import Path

import numpy as np

LISTINGS = Path(__file__).parents[1] / "data" / "listings"
STOPPED: dict[str, str | None] = {}  # run -> the exception that ended it, or None


def read(name: str) -> str:
    """Show the listing `name` with line numbers; return its source."""
    from IPython.display import Markdown, display

    source = (LISTINGS / f"{name}.txt").read_text("utf-8")
    lines = enumerate(source.splitlines(), 1)
    body = "\n".join(f"{n:3}  {line}".rstrip() for n, line in lines)
    display(Markdown(f"```python\n{body}\n```"))
    return source


def run(source: str, label: str) -> dict:
    """Execute a source like a script; print how it ended; return its names.

    The seeds are set from outside, because most listings set none, and printed
    decimals are rounded, because the book's outputs are compared on every test run.
    """
    seed()
    names, out, name = {"__name__": "__main__"}, io.StringIO(), "listing"
    STOPPED[label] = None
    quiet = contextlib.redirect_stderr(io.StringIO())
    print(f"run {label}")
    try:
        with contextlib.redirect_stdout(out), quiet:
            exec(compile(source, name, "exec"), names)
        print("It ran to its end.")
    except Exception as error:
        report(error, source, name)
        STOPPED[label] = type(error).__name__
    for line in out.getvalue().splitlines():
        line = re.sub(r"\d+\.\d{3,}", lambda m: f"{float(m[0]):.2f}", line)
        print("  output:", line if len(line) < 66 else line[:62] + "...")
    return names


def seed() -> None:
    """The seeds of those frameworks that are imported; Keras without its bars."""
    tf, torch = sys.modules.get("tensorflow"), sys.modules.get("torch")
    if tf is not None:
        tf.keras.backend.clear_session()
        tf.keras.config.disable_interactive_logging()
        tf.keras.utils.set_random_seed(0)  # Python, NumPy, TensorFlow
    if torch is not None:
        torch.manual_seed(0)


def report(error: Exception, source: str, name: str) -> None:
    """Print an exception and the listing's lines that led to it, outermost first."""
    text = re.sub(r"\x1b\[[0-9;]*m|\{\{.*?\}\} ", "", str(error))
    text = textwrap.shorten(text, 230, placeholder=" ...")
    print(textwrap.fill(f"{type(error).__name__}: {text}", 78))
    lines, seen = source.splitlines(), []
    for frame in traceback.extract_tb(error.__traceback__):
        if frame.filename == name and frame.lineno not in seen[-1:]:
            seen.append(frame.lineno)
    for number in seen:
        print(f"  line {number}: {lines[number - 1].strip()}")


def repair(source: str, *changes: tuple[str, str]) -> str:
    """Replace text inside lines, so that these keep their numbers; show what changed.

    Args:
        changes: pairs (old, new).
    Returns: the repaired source.
    Raises: ValueError for an `old` that the source does not have.
    """
    from IPython.display import Markdown, display

    repaired = source
    for old, new in changes:
        if old not in repaired:
            raise ValueError(f"changes: {old!r} is not in the source")
        repaired = repaired.replace(old, new)
    both = zip(source.splitlines(), repaired.splitlines(), strict=True)
    shown = []
    for n, (before, after) in enumerate(both, 1):
        if before != after:
            shown += [f"- {n:3}  {before}", f"+ {n:3}  {after}"]
    display(Markdown("```diff\n" + "\n".join(shown) + "\n```"))
    return repaired


def reads(source: str, name: str, function: str | None = None) -> int:
    """How often `name` is read in a source, or in one of its functions.

    An argument or a value that is never read has no effect.
    """
    tree: ast.AST = ast.parse(source)
    if function is not None:
        tree = next(
            node
            for node in ast.walk(tree)
            if isinstance(node, ast.FunctionDef) and node.name == function
        )
    return sum(
        isinstance(node, ast.Name)
        and node.id == name
        and isinstance(node.ctx, ast.Load)
        for node in ast.walk(tree)
    )


def softmax(logits):
    """Probabilities of logits, over the last axis."""
    e = np.exp(logits - logits.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)
