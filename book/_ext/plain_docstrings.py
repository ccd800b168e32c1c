"""Show docstrings that are written as plain text, not as reStructuredText.

The docstrings of `core` are read in the editor and in the chapters, so they
carry no markup: names stand in single backticks, a formula is an indented
line, an example starts with >>>, a section with a word of SECTIONS.
Everything else is escaped.
"""

import re
from itertools import groupby
from textwrap import dedent

SECTIONS = (
    r"(?:#+ )?(Args|Attributes|Returns|Yields|Raises|Sources?|Shapes?|Notes?"
    r"|Examples?|Action Space|Observation Space|Starting State|Rewards?"
    r"|Episode End|Episode Termination|Rendering):?[ \t]*(?:(?<=: )(.*))?$"
)
ENTRY = re.compile(r"([\w*]+(?:, [\w*]+)*): (.*)")


def escape(text):
    """One paragraph of plain text, its backticked names kept as code."""
    parts = re.split(r"`+([^`]+)`+", text)
    parts[::2] = [re.sub(r"([\\*_|`])", r"\\\1", part) for part in parts[::2]]
    parts[1::2] = [f"\\ ``{part}``\\ " for part in parts[1::2]]
    return "\\ " + "".join(parts)  # the first mark prevents a list


def items(lines):
    """Each unindented line joined with the indented ones that follow it."""
    found = re.split(r"\n(?=\S)", "\n".join(lines))
    return [" ".join(item.split()) for item in found]


def block(lines):
    """reStructuredText of some lines without a blank one among them."""
    if lines and lines[0].startswith(">>> "):  # an example: kept as it is
        return ["::", "", *("    " + line for line in lines), ""]
    starts = [line for line in lines if not line.startswith(" ")]
    if starts and all(ENTRY.fullmatch(line) for line in starts):
        pairs = [ENTRY.fullmatch(item).groups() for item in items(lines)]
        return [x for n, t in pairs for x in (f"``{n}``", "    " + escape(t))]
    if starts and all(line.startswith("- ") for line in starts):
        return [f"- {escape(item[2:])}" for item in items(lines)]
    out = []
    for indented, group in groupby(lines, lambda line: line.startswith(" ")):
        if indented:
            out += ["::", "", *("    " + line for line in group), ""]
        else:
            out += [escape(" ".join(group)), ""]
    return out


def blocks(text):
    """reStructuredText of a whole docstring."""
    out, section = [], None
    text = re.sub(rf"(?m)^(?={SECTIONS})", "\n", text).strip("\n")
    for chunk in re.split(r"\n(?:[ \t]*\n)+", text):
        inside = section and chunk.startswith(" ")
        section = re.match(rf"(?m){SECTIONS}", chunk)
        if section:
            rest = dedent(chunk[section.end() :].strip("\n"))
            if section[2]:
                line = " ".join([section[2], *rest.split()])
                out += [f"**{section[1]}:** {escape(line)}", ""]
                continue
            out += [f"**{section[1]}:**", ""]
            chunk = rest
        elif inside:  # a further paragraph of the section
            chunk = dedent(chunk)
        out += [*block(chunk.splitlines()), ""]
    return out


def convert(app, what, name, obj, options, lines):
    lines[:] = blocks("\n".join(lines))


def setup(app):
    app.connect("autodoc-process-docstring", convert)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
