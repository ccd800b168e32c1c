"""The readers' notebooks beside the built site: the same numbers, and no dead link."""

import re

import pytest
import reader_notebooks

from tests.conftest import ROOT

SITE = ROOT / "_build" / "html"
NUMBER = {
    "eq": re.compile(r'id="(equation-[^"]+)">\s*<span class="eqno">(\([\d.]+\))'),
    "fig": re.compile(
        r'<figure [^>]*id="([^"]+)">(?:(?!</figure>).)*?'
        r'<span class="caption-number">(Fig\. [\d.]+)',
        re.DOTALL,
    ),
}
LINK = re.compile(r"\]\(([^\s()]+)")
EXPLICIT = re.compile(r'\bid="([^"]+)"')


@pytest.fixture(scope="module")
def book():
    return reader_notebooks.Book()


@pytest.fixture(scope="module")
def built(book, unavailable):
    """Page to its HTML."""
    if not SITE.exists():
        unavailable("there is no built site; make site builds it")
    return {name: (SITE / f"{name}.html").read_text("utf-8") for name in book.pages}


def prose(book):
    """(page, text) of each cell in Markdown."""
    for page in book.pages.values():
        if page.number is not None:
            for cell in book.notebook(page)["cells"]:
                if cell["cell_type"] == "markdown":
                    yield page.name, "".join(cell["source"])


def test_numbers(book, built):
    shown = {
        (page, anchor): number
        for page, text in built.items()
        for pattern in NUMBER.values()
        for anchor, number in pattern.findall(text)
    }
    ours = {
        (target.page, target.anchor): target.text
        for target in book.labels.values()
        if re.fullmatch(r"\([\d.]+\)|Fig\. [\d.]+", target.text)
    }
    assert len(ours) > 300
    assert {key: shown.get(key) for key in ours} == ours


def test_links(book, built):
    anchors = {page: set(EXPLICIT.findall(text)) for page, text in built.items()}
    dead, count = set(), 0
    for page, text in prose(book):
        for url in LINK.findall(text):
            if url.startswith(book.site):
                count += 1
                name, _, anchor = url.removeprefix(book.site).partition("#")
                name = name.removesuffix(".html")
                if anchor and anchor not in anchors[name]:
                    dead.add((page, url))
    assert count > 2000
    assert not dead


def test_citations(book, built):
    """Names and years as the site has them: "A and B [2020]" or "[A and B, 2020]"."""
    said = re.compile(r'<span class="bibtex-citation"[^>]*>(.*?)</span>', re.DOTALL)
    link = re.compile(r'<a [^>]*href="bibliography\.html#[^>]*>(.*?)</a>', re.DOTALL)
    cited = re.compile(r"\{(cite:[tp])\}`([^`]+)`")
    for page in book.pages.values():
        if page.number is None:
            continue
        spans = said.findall(built[page.name])
        links = [text for span in spans for text in link.findall(span)]
        theirs = {re.sub(r"<[^>]+>", "", text) for text in spans + links}
        theirs = {text.replace("[", "(").replace("]", ")") for text in theirs}
        for kind, keys in cited.findall(page.path.read_text("utf-8")):
            for key in keys.split(","):
                shown = re.search(r"\[(.*?)\]\(", book.role(kind, key))[1]
                assert shown in theirs, (page.name, key)
