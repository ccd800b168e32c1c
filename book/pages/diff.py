"""A printed listing beside its repaired version, with the reason of each change."""

from __future__ import annotations

import ast
import html
import re
from difflib import SequenceMatcher

from core import checks
from pages import show

PANE = (
    "flex:1 1 17rem;min-width:0;box-sizing:border-box;margin:0;padding:2px 6px;"
    "border:0;color:inherit;font:inherit;white-space:pre-wrap;overflow-wrap:anywhere;"
    "background:"
)
TINTS = {" ": "transparent", "-": "rgba(213,94,0,.15)", "+": "rgba(0,114,178,.15)"}


def program(*objects) -> str:
    """The source of functions and classes of core, one after the other, without
    what no listing has: docstrings and types."""
    sources = (show.without_docstrings(show.source_text(obj)) for obj in objects)
    return without_types("\n".join(sources))


def without_types(code: str) -> str:
    """Python code without the types of parameters and returned values."""
    lines = code.splitlines(keepends=True)
    cuts = []  # line, from, to
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.arg) and node.annotation:
            name = node.col_offset + len(node.arg)
            cuts.append((node.lineno - 1, name, node.annotation.end_col_offset))
        elif isinstance(node, ast.FunctionDef) and node.returns:
            place = node.returns.lineno - 1
            arrow = lines[place].encode().rindex(b" ->", 0, node.returns.col_offset)
            cuts.append((place, arrow, node.returns.end_col_offset))
    for place, start, end in sorted(cuts, reverse=True):  # in bytes, as ast counts
        line = lines[place].encode()
        behind = line[end:].removeprefix(b" = ")
        default = b"=" if len(behind) < len(line[end:]) else b""
        lines[place] = (line[:start] + default + behind).decode()
    return "".join(lines)


def side_by_side(printed: str, repaired: str, reasons: dict[int, str]) -> SideBySide:
    """Both versions of a program; each block of lines that differ has a reason.

    What only adds or drops blank lines, comments and docstrings has none.

    Args:
        printed, repaired: Python code.
        reasons: by the number of the block's first printed line; of a block
            that only adds lines, the number of the line behind it.  Names in
            backticks are shown as code.
    Returns: SideBySide, which a notebook displays.
    Raises: ValueError for what is not Python, and where a reason is missing,
        empty, or not used.
    """
    for name, code in (("printed", printed), ("repaired", repaired)):
        with checks.about(name, SyntaxError):
            ast.parse(show.visible(name, code))
    by_line = isinstance(reasons, dict)
    checks.require(by_line, f"reasons: expected a dict by line, got {reasons!r}")
    for reason in reasons.values():
        show.visible("reasons", reason)
    before, after = printed.splitlines(), repaired.splitlines()
    found = blocks(before, after)
    changed = {
        first + 1 for first, *rest in found if speaks(before, after, first, rest)
    }
    for line in sorted(changed - {n for n, reason in reasons.items() if reason}):
        raise ValueError(f"reasons: expected one for the change at line {line}")
    for line in sorted(reasons.keys() - changed):
        raise ValueError(
            f"reasons: expected none for line {line}: no change begins there"
        )
    return SideBySide(before, after, found, reasons)


def blocks(before: list[str], after: list[str]) -> list[tuple]:
    """Runs of lines, equal and different in turn: (i, j, k, l) stands for
    before[i:j] and after[k:l]."""
    lines = [[line.rstrip() for line in side] for side in (before, after)]
    # A blank line is no place where two programs meet.
    matcher = SequenceMatcher(lambda line: not line, *lines, autojunk=False)
    found = []
    for tag, i, j, k, end in matcher.get_opcodes():
        equal = tag == "equal" and any(lines[0][i:j])
        if found and not equal and not same(lines, found[-1]):
            i, _, k, _ = found.pop()
        found.append((i, j, k, end))
    return found


def same(lines, block) -> bool:
    """Whether a block's lines are equal."""
    i, j, k, end = block
    return lines[0][i:j] == lines[1][k:end]


def speaks(before, after, first, rest) -> bool:
    """Whether a block changes the program, not only its comments."""
    last, k, end = rest
    if before[first:last] == after[k:end]:
        return False
    sides = (before, range(first, last)), (after, range(k, end))
    return any(set(lines) - quiet(side) for side, lines in sides)


def quiet(lines: list[str]) -> set[int]:
    """The places of blank lines, comments and docstrings."""
    found = {i for i, line in enumerate(lines) if not line.split("#")[0].strip()}
    for node in ast.walk(ast.parse("\n".join(lines))):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            found |= set(range(node.lineno - 1, node.end_lineno or 0))
    return found


class SideBySide:
    """Two programs: HTML in a browser, where narrow pages put the second below
    the first; text elsewhere."""

    def __init__(self, before, after, found, reasons):
        self.before, self.after, self.reasons = before, after, reasons
        self.blocks = found

    def parts(self):
        """(what the printed lines begin with, those, the new ones, reason)."""
        for i, j, k, end in self.blocks:
            old = [f"{n + 1:3} {self.before[n]}".rstrip() for n in range(i, j)]
            equal = [x.rstrip() for x in self.before[i:j]] == self.after[k:end]
            new = [] if equal else self.after[k:end]
            reason = None if equal else self.reasons.get(i + 1)
            yield " " if equal else "-", old, new, reason

    def _repr_html_(self):
        rows = []
        for mark, old, new, reason in self.parts():
            panes = pane(mark, old) if mark == " " else pane("-", old) + pane("+", new)
            if reason:
                text = show.as_html(reason)
                text = re.sub("`([^`]+)`", r"<code>\1</code>", text)
                panes += (
                    '<div style="flex:1 0 100%;padding:2px 6px 6px;'
                    f'font-family:sans-serif">{text}</div>'
                )
            rows.append(
                '<div style="display:flex;flex-wrap:wrap;'
                f'border-top:1px solid rgba(128,128,128,.4)">{panes}</div>'
            )
        return (
            '<div role="group" aria-label="the printed listing and its repair" '
            'style="font:12px/1.45 monospace;text-align:left">'
            + "".join(rows)
            + "</div>"
        )

    def __repr__(self):
        lines = []
        for mark, old, new, reason in self.parts():
            lines += [f"{mark} {line}".rstrip() for line in old]
            lines += [f"+     {line}".rstrip() for line in new]
            lines += [f"# {reason}"] if reason else []
        return "\n".join(lines)


def pane(mark: str, lines: list[str]) -> str:
    """Lines on a tint, each behind its mark, for readers who see no colour."""
    tint = TINTS[mark] if lines else TINTS[" "]
    text = "\n".join(f"{mark} {html.escape(line, quote=False)}" for line in lines)
    return f'<pre style="{PANE}{tint}">{text}</pre>'
