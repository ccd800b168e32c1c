"""Notebooks in plain Markdown, for Colab and others that do not know MyST.

    python book/_ext/reader_notebooks.py OUT

writes one into the folder OUT for each chapter, from the executed notebook and without
a build: a role becomes a link to the site, a labelled equation carries its number, a
numbered figure its caption, and a diagram its text.  The code of all cells stays as it
is; the first one leads to the repository, wherever the notebook lies.
"""

import json
import re
import sys
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from urllib.parse import urlsplit

import contents
import order
import toc
import yaml
from docutils.nodes import make_id
from interactive import ELEMENT
from pybtex.database import parse_file
from sphinx.util.nodes import make_id as sphinx_id

sys.path.append(str(Path(__file__).resolve().parents[1]))
from pages.checked import PRINTED, Check  # noqa: E402

# What is to be changed, and what is to be left alone around it.
TOKEN = re.compile(
    r"""
    ^(?P<indent>(?:[ ]|>[ ])*)(?P<fence>`{3,}|~{3,}|:{3,})(?P<info>[^`\n]*)\n
        (?P<body>.*?)^[ >]*(?P=fence)[ ]*$
    | (?P<mark>(?:(?<=[^\s|>*+-])[ ]+|(?<=[\w.,;:)\]%])[ ]*\n[ ]*)?\{checked\}`
        (?P<check>[\w-]+)`)
    | \{(?P<role>[a-z:]+)\}`(?P<content>[^`]+)`
    | (?<!`)(?P<ticks>`+)(?!`).+?(?<!`)(?P=ticks)(?!`)
    | \$\$(?P<display>.+?)\$\$(?:[ ]*\((?P<number>[\w:-]+)\))?
    | (?<![\\$])\$(?:[^$\n]|\n(?!\n))+\$
    | ^\((?P<target>[\w:-]+)\)=\n
    | \]\((?P<link>[^()\s]+)\)
    """,
    re.MULTILINE | re.DOTALL | re.VERBOSE,
)
OPTION = re.compile(r"^\s*:([\w-]+):[ ]*(.*)\n", re.MULTILINE)
EXPLICIT = re.compile(r"(.*?)\s*<([^<>]+)>", re.DOTALL)
HEADING = re.compile(r"(#{1,6}) (.+)")
MARKUP = re.compile(r"[`$*]|\{[a-z:]+\}(?=`)")
SLUG = re.compile(r"[^\w\u4e00-\u9fff\- ]")  # MyST's, for the anchor of a heading
NUMBERED = {"": "Fig. {}", "eq": "({})"}


@dataclass(frozen=True)
class Target:
    """A place on the site: what a label, or the anchor of a heading, leads to."""

    page: str  # as _toc.yml names it
    anchor: str
    text: str = ""  # a number as the site shows it, or a heading


@dataclass
class Page:
    """What others refer to on a page of the site."""

    name: str
    number: int | None
    path: Path
    equations: list[str] = field(default_factory=list)
    figures: list[str] = field(default_factory=list)
    labels: dict[str, str] = field(default_factory=dict)  # to the heading below it
    headings: dict[str, str] = field(default_factory=dict)  # MyST's anchor to the id

    @property
    def title(self):
        return contents.title(self.path)

    def read(self):
        """Gather what is on the page, in its order."""
        text = self.path.read_text("utf-8")
        if self.path.suffix != ".ipynb":
            self.read_text(text)
            return self
        for cell in json.loads(text)["cells"]:
            if cell["cell_type"] == "markdown":
                self.read_text("".join(cell["source"]))
            elif "name" in figure(cell):
                self.figures.append(figure(cell)["name"])
        return self

    def read_text(self, text):
        for match in TOKEN.finditer(text):
            if match["number"]:
                self.equations.append(match["number"])
            if match["target"]:
                below = HEADING.match(text[match.end() :].lstrip())
                self.labels[match["target"]] = below[2] if below else ""
            if match["fence"]:
                options = dict(OPTION.findall(match["body"]))
                if match["info"].strip() == "{math}" and "label" in options:
                    self.equations.append(options["label"])
                elif "name" in options and "caption" in options:
                    self.figures.append(options["name"])
        prose = TOKEN.sub(lambda m: "" if m["fence"] else m[0], text)
        for _, heading in re.findall(rf"(?m)^{HEADING.pattern}$", prose):
            self.add_heading(heading)

    def add_heading(self, heading):
        """Of two with one text, Sphinx gives the second a number that changes."""
        words = MARKUP.sub("", re.sub(r"\$.+?\$", "", heading))
        slug = name = SLUG.sub("", words.lower().replace(" ", "-"))
        count = 0
        while name in self.headings:
            count += 1
            name = f"{slug}-{count}"
        anchor = make_id(MARKUP.sub("", heading))
        taken = anchor in self.headings.values()
        self.headings[name] = "" if taken else anchor


class Terms:
    """Gives the terms of the glossary the anchors that Sphinx gives them."""

    def __init__(self):
        self.ids, self.count = {}, -1
        text = order.GLOSSARY.read_text("utf-8")
        self.anchors = {
            name.lower(): self.anchor(name)
            for names in order.entries(text).values()
            for name in names
        }

    def new_serialno(self, category):
        self.count += 1
        return self.count

    def anchor(self, name):
        found = sphinx_id(self, self, "term", name)
        self.ids[found] = name
        return found


def figure(cell):
    return cell["metadata"].get("mystnb", {}).get("figure", {})


def site():
    """The address of the published book."""
    config = yaml.safe_load((toc.ROOT / "_config.yml").read_text("utf-8"))
    base = config["html"].get("baseurl")
    if not base:
        owner, name = urlsplit(config["repository"]["url"]).path.strip("/").split("/")
        base = f"https://{owner}.github.io/{name}"
    return base.rstrip("/") + "/", config["title"]


def listed():
    """All pages of _toc.yml in their order, those of sections, too."""
    text = yaml.safe_load((toc.ROOT / "_toc.yml").read_text("utf-8"))
    numbers = {path: n for _, pages in toc.parts() for n, path in pages if n}

    def walk(entry):
        path = toc.ROOT / f"{entry['file']}.ipynb"
        path = path if path.exists() else path.with_suffix(".md")
        yield Page(entry["file"], numbers.get(path), path)
        for section in entry.get("sections", []):
            yield from walk(section)

    yield Page(text["root"], None, toc.ROOT / f"{text['root']}.md")
    for part in text["parts"]:
        for entry in part["chapters"]:
            yield from walk(entry)


def people(entry):
    """The authors as a citation names them."""
    names = [
        " ".join(map(str, p.rich_prelast_names + p.rich_last_names))
        for p in entry.persons.get("author") or entry.persons["editor"]
    ]
    if len(names) > 2 or names[-1] == "others":
        return f"{names[0]} et al."
    return " and ".join(names)


def quoted(text):
    """As the title of a link, within a table, too."""
    return text.replace("&", "&amp;").replace('"', "&quot;").replace("|", "&#124;")


class Book:
    """All that chapters refer to, and the change of their Markdown."""

    def __init__(self):
        self.site, self.title = site()
        self.pages = {page.name: page.read() for page in listed()}
        self.labels = {}
        counts = {}
        for page in self.pages.values():
            self.number(page, "", page.figures, counts)
            self.number(page, "eq", page.equations, counts)
            for label, heading in page.labels.items():
                self.labels[label] = Target(page.name, make_id(label), heading)

    def number(self, page, kind, labels, counts):
        """As Sphinx counts: by chapter, and pages without a number together."""
        for label in labels:
            key = (kind, page.number)
            counts[key] = counts.get(key, 0) + 1
            shown = f"{page.number}.{counts[key]}" if page.number else counts[key]
            anchor = make_id(f"equation-{label}" if kind else label)
            text = NUMBERED[kind].format(shown)
            self.labels[label] = Target(page.name, anchor, text)

    @cached_property
    def terms(self):
        return Terms().anchors

    @cached_property
    def checks(self):
        printed = json.loads(PRINTED.read_text("utf-8"))
        return {
            name: (chapter, Check(name, **entry))
            for chapter, found in printed.items()
            for name, entry in found.items()
        }

    @cached_property
    def works(self):
        return parse_file(str(toc.ROOT / "book" / "references.bib")).entries

    def url(self, page, anchor=""):
        if page not in self.pages:
            raise ValueError(f"expected a page of _toc.yml, got {page}")
        return f"{self.site}{page}.html" + (f"#{anchor}" if anchor else "")

    def markdown(self, text, page):
        """MyST of a page as plain Markdown."""

        def changed(match):
            if match["fence"]:
                return self.block(match, page)
            if match["check"]:
                return self.mark(match)
            if match["role"]:
                return self.role(match["role"], match["content"])
            if match["display"] and match["number"]:
                return self.equation(match["display"], match["number"])
            if match["link"]:
                return f"]({self.address(match['link'], page)})"
            return "" if match["target"] else match[0]

        return TOKEN.sub(changed, text)

    def mark(self, match):
        chapter, check = self.checks[match["check"]]
        url = self.url(f"book/{chapter}", f"check-{check.name}")
        before = "" if match["mark"].startswith("{") else "\N{NO-BREAK SPACE}"
        return f'{before}[✓]({url} "{quoted(str(check))}")'

    def role(self, role, content):
        explicit = EXPLICIT.fullmatch(content)
        text, name = explicit.groups() if explicit else ("", content)
        if role in ("cite", "cite:p", "cite:t"):
            return self.citation(role, content)
        if role == "term":
            anchor = self.terms[" ".join(name.split()).lower()]
            return f"[{text or name}]({self.url('book/glossary', anchor)})"
        if role == "doc":
            page = self.pages[f"book/{name}"]
            number = f" (chapter {page.number})" if page.number else ""
            return f"[{text or page.title + number}]({self.url(page.name)})"
        if role in ("eq", "numref", "ref"):
            target = self.labels[name]
            return f"[{text or target.text}]({self.url(target.page, target.anchor)})"
        raise ValueError(f"{{{role}}}`{content}`: expected a role that is known here")

    def citation(self, role, keys):
        url = self.url("book/bibliography")
        works = [self.works[key.strip()] for key in keys.split(",")]
        found = [(people(work), work.fields["year"]) for work in works]
        if role == "cite:t":
            return ", ".join(f"[{who} ({year})]({url})" for who, year in found)
        return "(" + "; ".join(f"[{who}, {year}]({url})" for who, year in found) + ")"

    def address(self, link, page):
        """Of a link to a page, a notebook, a heading or a label."""
        if urlsplit(link).scheme:
            return link
        if link in self.labels:
            return self.url(self.labels[link].page, self.labels[link].anchor)
        file, _, slug = link.partition("#")
        name = f"book/{Path(file).with_suffix('').as_posix()}" if file else page
        return self.url(name, self.pages[name].headings[slug] if slug else "")

    def equation(self, latex, label=None):
        latex = latex.strip()
        if r"\\" in latex and r"\begin" not in latex:
            latex = f"\\begin{{aligned}}\n{latex}\n\\end{{aligned}}"
        number = self.labels[label].text.strip("()") if label else ""
        return f"$$\n{latex}" + (f" \\tag{{{number}}}" if number else "") + "\n$$"

    def block(self, match, page):
        """A fenced block; code stays as it is."""
        info = re.fullmatch(r"\{([\w:-]+)\}[ ]*(.*)", match["info"].strip())
        if not info:
            return match[0]
        indent = match["indent"]
        rest = [line.removeprefix(indent) for line in match["body"].splitlines()]
        body = "\n".join(rest) + "\n"
        options = {}
        while option := OPTION.match(body):
            options[option[1]] = option[2]
            body = body[option.end() :]
        if info[1] == "math":
            lines = self.equation(body, options.get("label"))
        elif info[1] == "mermaid":
            lines = self.diagram(options, page)
        else:
            title = info[2] or info[1].capitalize()
            inside = self.markdown(body.strip(), page)
            lines = "\n".join(
                f"> {line}".rstrip()
                for line in [f"**{title}**", "", *inside.split("\n")]
            )
        return "\n".join(f"{indent}{line}" for line in lines.split("\n"))

    def diagram(self, options, page):
        url = self.url(page, make_id(options.get("name", "")))
        caption = self.caption(options, page) if "caption" in options else ""
        lines = [f"**[Diagram]({url}).** {options['alt']}", caption]
        return "\n>\n".join(f"> {line}" for line in lines if line)

    def caption(self, options, page):
        """That of a numbered figure, with its number, which leads to the site."""
        target = self.labels[options["name"]]
        text = self.markdown(options["caption"], page)
        return f"**[{target.text}]({self.url(page, target.anchor)})** {text}"

    def below(self, cell, page, drawn):
        """What stands on the site with a cell's figure, as a cell, if there is any."""
        options = figure(cell)
        said = [self.caption(options, page)] if "name" in options else []
        if drawn:
            url = self.url(page, make_id(options.get("name", "")))
            said.append(f"On [the site]({url}) this figure has controls.")
        if not said:
            return []
        source = " ".join(said).splitlines(keepends=True)
        name = f"{cell['id']}-figure"
        return [{"cell_type": "markdown", "id": name, "metadata": {}, "source": source}]

    def notebook(self, page):
        """The notebook of a chapter, for readers."""
        found = json.loads(page.path.read_text("utf-8"))
        cells = []
        for cell in found["cells"]:
            if cell["cell_type"] == "markdown":
                text = self.markdown("".join(cell["source"]), page.name)
                if not cells:
                    text = self.headed(text, page)
                cells.append(cell | {"source": text.splitlines(keepends=True)})
                continue
            kept = [o for o in cell["outputs"] if not scripted(o)]
            drawn = len(kept) < len(cell["outputs"])
            metadata = dict(cell["metadata"])
            if metadata.get("jupyter", {}).get("source_hidden"):
                metadata["cellView"] = "form"  # Colab's word for it
            cells.append(cell | {"metadata": metadata, "outputs": kept})
            cells += self.below(cell, page.name, drawn)
        return found | {"cells": cells}

    def headed(self, text, page):
        """The first cell says of which book this is a chapter, and where that is."""
        title, rest = text.split("\n", 1)
        book = f"[{self.title}]({self.url('book/intro')})"
        said = f"[Chapter {page.number}]({self.url(page.name)}) of {book}."
        return f"{title}\n\n{said}\n{rest}"

    def write(self, folder):
        folder.mkdir(parents=True, exist_ok=True)
        for page in self.pages.values():
            if page.number is not None:
                text = json.dumps(self.notebook(page), indent=1, ensure_ascii=False)
                (folder / page.path.name).write_text(text + "\n", encoding="utf-8")


def scripted(output):
    """The numbers of an interactive figure, which the site's script reads."""
    return bool(ELEMENT.match("".join(output.get("data", {}).get("text/html", ""))))


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python book/_ext/reader_notebooks.py OUT")
    Book().write(Path(sys.argv[1]))
