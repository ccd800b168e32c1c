"""The pages on paper, and two of them bound as the whole book is."""

import re

import pdf
import pytest
from pypdf import PdfReader
from reader_notebooks import listed
from reader_notebooks import site as published
from selenium.webdriver.common.by import By

from tests.test_site import CHAPTERS, SITE, browser, html, set_width, site, visit  # noqa: F401

BASE, TITLE = published()
NAMES = ["book/why_reinforce", "book/first_loop"]
PAPER_WIDTH = 665  # of A4 between the margins, in CSS pixels
SOLVED = (
    next((p for p in CHAPTERS if 'class="solution"' in html(p)), None)
    if SITE.exists()
    else None
)


@pytest.fixture(scope="module")
def small(tmp_path_factory, unavailable):
    """A book of two pages."""
    if not (SITE / "index.html").exists():
        unavailable("there is no built site; make site builds it")
    out = tmp_path_factory.mktemp("book") / "book.pdf"
    try:
        pdf.make(SITE, out, NAMES)
    except FileNotFoundError as error:
        unavailable(str(error))
    return PdfReader(out)


def first_sheet(reader, title):
    """Where the page of the book with this entry in the outline begins."""
    [entry] = [e for e in flat(reader.outline) if e.title == title]
    return reader.get_destination_page_number(entry)


def flat(outline):
    for entry in outline:
        yield from flat(entry) if isinstance(entry, list) else [entry]


def titles():
    numbered = {page.name: page for page in listed()}
    for name in NAMES:
        page = numbered[name]
        yield f"{page.number}. {page.title}" if page.number else page.title


class TestTheBook:
    def test_numbers_go_on_from_page_to_page(self, small):
        front = small.page_labels.index("1")
        assert small.page_labels[:front] == ["i", "ii"]
        for label, sheet in zip(small.page_labels, small.pages):
            lines = sheet.extract_text().splitlines()
            assert label in (lines[0], lines[1], lines[-1]), label
        assert small.page_labels[-1] == str(len(small.pages) - front)

    def test_the_contents_say_where_a_chapter_begins(self, small):
        contents = " ".join(small.pages[1].extract_text().split())
        for title in titles():
            number = small.page_labels[first_sheet(small, title)]
            assert f"{title} {number}" in contents
        assert TITLE in " ".join(small.pages[0].extract_text().split())

    def test_the_outline_has_parts_chapters_and_sections(self, small):
        parts = [e for e in small.outline if not isinstance(e, list)]
        assert [p.title for p in parts] == ["Start here", "The first loop"]
        pages = [e for e in small.outline if isinstance(e, list)]
        assert [chapter[0].title for chapter in pages] == list(titles())
        sections = [e.title for e in pages[1][1] if not isinstance(e, list)]
        assert {"Summary", "Exercises", "Solutions"} <= set(sections)
        for entry in flat(small.outline):
            sheet = small.pages[small.get_destination_page_number(entry)]
            text = re.sub(r"\W", "", sheet.extract_text())
            if entry.title not in [p.title for p in parts]:
                assert re.sub(r"\W", "", entry.title) in text, entry.title

    def test_links_lead_to_places_of_the_book(self, small):
        start = first_sheet(small, list(titles())[1])
        inside, outside = set(), set()
        for sheet, page in enumerate(small.pages):
            for note in page.get("/Annots", ()):
                note = note.get_object()
                if "/Dest" in note:
                    to = small.get_page_number(note["/Dest"][0].get_object())
                    inside.add((sheet, to))
                else:
                    outside.add(note["/A"]["/URI"])
        assert (1, start) in inside  # of the contents
        assert any(2 <= a < start and b == start for a, b in inside)
        assert any(start <= a < b for a, b in inside)  # to a solution
        assert not any(u.startswith(("file:", "about:")) for u in outside)
        for url in outside:
            assert not url.startswith(tuple(f"{BASE}{name}.html" for name in NAMES))

    def test_no_sheet_is_empty(self, small):
        for sheet in small.pages:
            assert len(sheet.extract_text()) > 20 or sheet.images


class TestWhatIsWrong:
    def test_without_chromium_the_message_says_what_to_install(
        self, monkeypatch, tmp_path
    ):
        monkeypatch.setattr(pdf.headless.shutil, "which", lambda name: None)
        with pytest.raises(SystemExit, match="apt-get install chromium"):
            pdf.run(pdf.make, ["pdf.py", SITE, tmp_path / "book.pdf"])
        assert not list(tmp_path.iterdir())

    def test_a_page_that_is_not_built(self, small, tmp_path):
        with pytest.raises(SystemExit, match="make book builds it"):
            pdf.run(pdf.make, ["pdf.py", tmp_path, tmp_path / "book.pdf", *NAMES])
        assert not list(tmp_path.iterdir())

    def test_a_page_that_is_not_in_the_contents(self, tmp_path):
        with pytest.raises(SystemExit, match="_toc.yml, got book/no_page"):
            pdf.run(pdf.make, ["pdf.py", SITE, tmp_path / "book.pdf", "book/no_page"])

    def test_a_crash_leaves_the_book_that_was_there(self, tmp_path):
        out = tmp_path / "book.pdf"
        out.write_text("before", "utf-8")
        with pytest.raises(OSError, match="no space"), pdf.replacing(out) as part:
            part.write_text("half", "utf-8")
            raise OSError("no space")
        assert [p.name for p in tmp_path.iterdir()] == ["book.pdf"]
        assert out.read_text("utf-8") == "before"


@pytest.fixture
def paper(browser, site):  # noqa: F811
    """Opens a page as it is laid out on A4."""

    def show(address):
        visit(browser, f"{site}/{address}")
        set_width(browser, PAPER_WIDTH)
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
        browser.execute_script("dispatchEvent(new Event('beforeprint'))")
        return browser

    yield show
    browser.execute_script("dispatchEvent(new Event('afterprint'))")
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})


def seen(browser, css):  # noqa: F811
    return [e for e in browser.find_elements(By.CSS_SELECTOR, css) if e.is_displayed()]


@pytest.mark.parametrize("page", ["book/results", SOLVED, "book/printed_listings"])
def test_nothing_is_wider_than_the_paper(paper, page):
    wide = paper(f"{page}.html").execute_script(
        "const right = document.querySelector('article').getBoundingClientRect().right;"
        "return [...document.querySelectorAll('article :is(table, pre, img)')]"
        ".filter(e => e.getBoundingClientRect().right > right + 1"
        " || e.scrollWidth > e.clientWidth + 1).map(e => e.outerHTML.slice(0, 80))"
    )
    assert not wide


def test_the_screens_own_is_gone(paper):
    page = paper(f"{SOLVED}.html")
    for css in ("nav", "header", "footer", "button", "dialog", "#jb-print-docs-body"):
        assert not seen(page, css), css
    assert len(seen(page, "h1")) == 1
    assert re.match(r"\d+\. ", seen(page, "h1")[0].text)


@pytest.mark.parametrize(
    "query, names",
    [
        ("", {"PyTorch", "TensorFlow"}),
        ("?framework=torch", {"PyTorch"}),
        ("?framework=tf", {"TensorFlow"}),
    ],
)
def test_both_frameworks_or_the_chosen_one(paper, query, names):
    page = paper(f"{SOLVED}.html{query}")
    labels = [e.text for e in seen(page, "label.sd-tab-label")]
    assert set(labels) == names
    sets = page.find_elements(By.CSS_SELECTOR, "article .sd-tab-set")
    boxes = seen(page, ".sd-tab-content")
    assert len(boxes) == len(labels) == len(sets) * len(names) > 0


def test_solutions_stand_at_the_end_and_go_back(paper):
    page = paper(f"{SOLVED}.html")
    found = seen(page, "#printed-solutions details[open] > div")
    built = html(SOLVED).count('class="solution"')
    assert len(found) == built > 0
    headings = [e.text for e in seen(page, "#printed-solutions h3")]
    assert [h.split(":")[0].split(",")[0] for h in headings] == [
        f"Exercise {n}" for n in range(1, built + 1)
    ]
    page.execute_script("dispatchEvent(new Event('afterprint'))")
    closed = "section > details.solution:not([open])"
    assert len(page.find_elements(By.CSS_SELECTOR, closed)) == built
    assert not page.find_elements(By.CSS_SELECTOR, "#printed-solutions")


def test_a_dark_page_is_printed_light_and_heat_maps_in_colour(paper):
    page = paper("book/first_loop.html")
    page.execute_script("dispatchEvent(new Event('afterprint'))")
    page.execute_script("document.documentElement.dataset.theme = 'dark'")
    theme = "return document.documentElement.dataset.theme"
    page.execute_script("dispatchEvent(new Event('beforeprint'))")
    assert page.execute_script(theme) == "light"
    adjust = (
        "return [...document.querySelectorAll('article :is(td, pre, span)')]"
        ".every(e => getComputedStyle(e).printColorAdjust === 'exact')"
    )
    assert page.execute_script(adjust)
    page.execute_script("dispatchEvent(new Event('afterprint'))")
    assert page.execute_script(theme) == "dark"
