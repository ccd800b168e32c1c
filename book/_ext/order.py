"""Which chapter explains which term, and whether each comes before its use.

A notebook's metadata hold {"book": {"defines": [...], "needs": [...]}}, terms as
`glossary.md` spells them: those that the chapter explains where they first occur, and
those that it takes from earlier chapters.  The order is that of `_toc.yml`.

    python book/_ext/order.py

writes into each entry of the glossary which chapter explains it.
"""

import json
import re
from dataclasses import dataclass
from pathlib import Path

import toc

GLOSSARY = toc.ROOT / "book" / "glossary.md"
TERM = re.compile(r"\{term\}`(?:[^`<]*<([^>`]+)>|([^`]+))`")
EXPLAINED = re.compile(r"(  Explained in \{doc\}`)\w+(`)")


@dataclass(frozen=True)
class Chapter:
    name: str
    defines: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    uses: tuple[str, ...] = ()  # what its {term}`...` link to, as written


def blocks(text: str) -> list[str]:
    """The paragraphs of the glossary; an entry's first ones begin with its names."""
    inside = text.split("```{glossary}\n", 1)[1].split("\n```", 1)[0]
    return [block for block in re.split(r"\n\s*\n", inside) if block.strip()]


def entries(text: str) -> dict[str, list[str]]:
    """First name of each entry -> all its names."""
    found = {}
    for block in blocks(text):
        names = [line for line in block.splitlines() if line[0] not in " :"]
        if names:
            found[names[0]] = names
    return found


def said(text: str) -> dict[str, str]:
    """First name of each entry -> the chapter that the entry names."""
    found, name = {}, ""
    for block in blocks(text):
        if block[0] not in " :":
            name = block.splitlines()[0]
        for chapter in re.findall(r"  Explained in \{doc\}`(\w+)`", block):
            found[name] = chapter
    return found


def chapter(path: Path) -> Chapter:
    """What a notebook says of itself, and what it links to."""
    notebook = json.loads(path.read_text(encoding="utf-8"))
    book = notebook["metadata"].get("book", {})
    prose = "\n".join(
        "".join(cell["source"])
        for cell in notebook["cells"]
        if cell["cell_type"] == "markdown"
    )
    uses = (" ".join((a or b).split()) for a, b in TERM.findall(prose))
    lists = (tuple(book.get(key, ())) for key in ("defines", "needs"))
    return Chapter(path.stem, *lists, tuple(dict.fromkeys(uses)))


def chapters() -> list[Chapter]:
    """All notebooks in the order of `_toc.yml`; pages in Markdown define nothing."""
    return [chapter(path) for path in toc.chapters() if path.suffix == ".ipynb"]


def problems(order: list[Chapter], terms: dict[str, list[str]]) -> list[str]:
    """What is wrong with this order, a sentence each."""
    canon = {name.lower(): first for first, names in terms.items() for name in names}
    found, where = [], {}
    for one in order:
        for term in one.defines:
            if term in where:
                found.append(f"{term}: defined by {where[term]} and {one.name}")
            where.setdefault(term, one.name)
    before: set[str] = set()
    for one in order:
        for term in (*one.defines, *one.needs):
            if term not in terms:
                found.append(f"{term}: {one.name} lists it, the glossary does not")
        late = [t for t in one.needs if t in where and t not in before]
        found += [f"{t}: {one.name} needs it, {where[t]} defines" for t in late]
        before |= set(one.defines)
        for link in one.uses:
            term = canon.get(link.lower())
            if term is None:
                found.append(f"{link}: {one.name} links to it, no entry has it")
            elif term in where and term not in before:
                found.append(f"{term}: {one.name} links to it, {where[term]} defines")
    found += [f"{term}: defined nowhere" for term in terms if term not in where]
    return found


def written(text: str, order: list[Chapter]) -> str:
    """The glossary with the chapter of each entry."""
    where = {term: one.name for one in order for term in one.defines}
    pieces, name = [], ""
    for line in text.split("\n"):
        if line.strip() and line[0] not in " :`#" and not pieces[-1].strip():
            name = line
        chapter = where.get(name)
        if chapter:
            line = EXPLAINED.sub(rf"\g<1>{chapter}\g<2>", line)
        pieces.append(line)
    return "\n".join(pieces)


if __name__ == "__main__":
    text = GLOSSARY.read_text(encoding="utf-8")
    order = chapters()
    GLOSSARY.write_text(written(text, order), encoding="utf-8")
    print("\n".join(problems(order, entries(text))) or "Nothing is used too early.")
