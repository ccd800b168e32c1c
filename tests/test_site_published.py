"""What the built site says to those who find it, and where its buttons lead."""

import functools
import http.server
import json
import re
import threading
import time
from html import unescape
from html.parser import HTMLParser
from urllib.parse import urlsplit
from xml.etree import ElementTree

import nbformat
import pytest
import reader_notebooks
import yaml
from PIL import Image
from selenium.webdriver.common.by import By

from tests.test_site import (  # noqa: F401
    CHAPTERS,
    PAGES,
    ROOT,
    SITE,
    browser,
    html,
    overflow,
    set_width,
    severe,
    site,
    visit,
    wait,
)

ADDRESS = reader_notebooks.site()[0]
REPOSITORY = yaml.safe_load((ROOT / "_config.yml").read_text("utf-8"))["repository"]


# --- Buttons --------------------------------------------------------------------


@pytest.mark.parametrize("page", CHAPTERS)
def test_a_chapter_opens_elsewhere(site, page):  # noqa: F811
    """On Colab from the branch of the readers' notebooks, as a file from the site."""
    name = page.removeprefix("book/")
    path = REPOSITORY["url"].removeprefix("https://github.com/")
    colab = f"https://colab.research.google.com/github/{path}/blob/notebooks/"
    assert re.findall(r'href="(https://colab[^"]+)"', html(page)) == [
        f"{colab}{name}.ipynb"
    ]
    [link] = re.findall(r'href="([^"]+)"[^>]*btn-download-source', html(page))
    file = (SITE / f"{page}.html").parent / link
    assert file.resolve() == (SITE / "notebooks" / f"{name}.ipynb").resolve()
    notebook = nbformat.read(file, as_version=4)
    nbformat.validate(notebook)
    assert any(cell.get("outputs") for cell in notebook.cells)
    text = "\n".join(c.source for c in notebook.cells if c.cell_type == "markdown")
    assert ADDRESS in text and not re.search(r"\{(doc|term|math|eq)\}`", text)


@pytest.mark.parametrize("page", PAGES)
def test_no_page_offers_its_source(site, page):  # noqa: F811
    """In MyST, which would be shown as it is written."""
    assert "_sources/" not in html(page)
    assert ("btn-download-source" in html(page)) == (page in CHAPTERS)


@pytest.mark.parametrize("page", PAGES)
def test_a_page_can_be_edited(site, page):  # noqa: F811
    [link] = re.findall(r'href="([^"]+)"[^>]*btn-source-edit', html(page))
    before = f"{REPOSITORY['url']}/edit/{REPOSITORY['branch']}/"
    assert link.startswith(before)
    assert (ROOT / link.removeprefix(before)).is_file()


# --- What stands in the head ----------------------------------------------------


def meta(page):
    """Name or property to content; each once."""
    found = re.findall(
        r'<meta (?:name|property)="([^"]+)" content="([^"]*)" />', html(page)
    )
    found = [(name, unescape(text)) for name, text in found if name != "viewport"]
    assert len(found) == len(dict(found)), page
    return dict(found)


@pytest.mark.parametrize("page", PAGES)
def test_the_head_of_a_page(site, page):  # noqa: F811
    said, address = meta(page), f"{ADDRESS}{page}.html"
    assert said["description"] == said["og:description"]
    assert 30 <= len(said["description"]) <= 200
    assert said["og:url"] == address
    assert re.findall(r'<link rel="canonical" href="([^"]+)"', html(page)) == [address]
    assert said["og:site_name"] == reader_notebooks.site()[1]
    assert said["og:image"].startswith(ADDRESS) and said["og:image:alt"]
    card = SITE / said["og:image"].removeprefix(ADDRESS)
    with Image.open(card) as image:
        size = str(image.width), str(image.height)
    assert (said["og:image:width"], said["og:image:height"]) == size
    assert card.stem == (page if page in CHAPTERS else PAGES[0]).removeprefix("book/")
    assert card.stat().st_size < 40_000
    assert re.search("<title>[^<]+</title>", html(page).partition("</head>")[0])
    assert '<html lang="en"' in html(page) and '<meta charset="utf-8" />' in html(page)


def test_no_two_pages_say_the_same(site):  # noqa: F811
    said = [meta(page)["description"] for page in PAGES]
    assert len(said) == len(set(said))


@pytest.mark.parametrize("page", CHAPTERS)
def test_a_chapter_says_how_long_it_takes(site, page):  # noqa: F811
    """Right below its title."""
    line = re.search(r'</h1>\s*<p class="page-head">(.*?)</p>', html(page))
    assert line and re.match(r"\d+ minutes without the exercises", line[1])


# --- Files for those that find the book -----------------------------------------


def test_the_first_page_of_the_site(site):  # noqa: F811
    text = (SITE / "index.html").read_text("utf-8")
    assert text.startswith('<!DOCTYPE html>\n<html lang="en">\n')
    assert '<meta charset="utf-8">' in text
    assert f"<title>{reader_notebooks.site()[1]}</title>" in text
    assert f'<link rel="canonical" href="{ADDRESS}{PAGES[0]}.html">' in text
    assert f'content="0; url={PAGES[0]}.html"' in text


def test_the_sitemap_lists_each_page_once(site):  # noqa: F811
    tree = ElementTree.parse(SITE / "sitemap.xml")
    space = "{http://www.sitemaps.org/schemas/sitemap/0.9}"
    found = [element.text for element in tree.iter(f"{space}loc")]
    assert sorted(found) == sorted(f"{ADDRESS}{page}.html" for page in PAGES)
    robots = (SITE / "robots.txt").read_text("utf-8")
    assert f"\nSitemap: {ADDRESS}sitemap.xml\n" in robots


def test_the_file_for_language_models_leads_to_pages(site):  # noqa: F811
    text = (SITE / "llms.txt").read_text("utf-8")
    links = re.findall(r"\]\(([^)]+)\)", text)
    assert len(links) > 50
    for link in links:
        assert (SITE / link.removeprefix(ADDRESS)).is_file(), link


@pytest.fixture
def published(unavailable):
    """The site below a folder, and 404.html for what is not there, as on Pages."""
    if not (SITE / "404.html").exists():
        unavailable("there is no built site; make site builds it")
    folder = urlsplit(ADDRESS).path

    class Pages(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args):
            pass

        def send_error(self, code, *args):
            self.send_response(code)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.end_headers()
            self.wfile.write((SITE / "404.html").read_bytes())

        def translate_path(self, path):
            if not path.startswith(folder):
                return str(SITE / "outside")
            return super().translate_path("/" + path.removeprefix(folder))

    handler = functools.partial(Pages, directory=SITE)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}{folder}"
        server.shutdown()


@pytest.mark.parametrize("path", ["gone.html", "book/05_topic.html", "a/b/c/d"])
def test_a_missing_page_at_any_depth(browser, published, path):  # noqa: F811
    """Its style, its scripts and its links are found; it fits a phone."""
    set_width(browser, 1280)
    visit(browser, f"{published}{path}")
    assert browser.find_element(By.CSS_SELECTOR, "article h1").text.startswith(
        "Page not found"
    )
    failed = [text for text in severe(browser) if f"{published}{path} " not in text]
    assert not failed
    for width in (1280, 400):
        assert overflow(browser, width) <= 1
    links = browser.execute_script(
        "return [...document.links].map(a => a.href).filter(h => h.startsWith('http'))"
    )
    ours = [link for link in links if "127.0.0.1" in link]
    assert len(ours) > 50
    for link in ours:
        assert link.startswith(published), link
        name = urlsplit(link.removeprefix(published)).path
        assert (SITE / name).exists(), link


# --- Chinese --------------------------------------------------------------------


class Chinese(HTMLParser):
    """Chinese text that does not say so, outside of code and formulas."""

    VOID = {"br", "hr", "img", "input", "link", "meta", "source", "wbr"}
    APART = {"code", "script", "style", "title", "svg", "option"}

    def __init__(self):
        super().__init__()
        self.open, self.unmarked, self.marked = [], [], 0

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        kinds = (given.get("class") or "").split()
        zh = given.get("lang") == "zh"
        code = kinds[:1] and kinds[0].startswith("highlight-")
        apart = tag in self.APART or "math" in kinds or code
        if tag not in self.VOID:
            self.open.append((tag, zh, apart))

    def handle_endtag(self, tag):
        while self.open and self.open.pop()[0] != tag:
            pass

    def handle_data(self, text):
        if re.search(r"[\u3400-\u9fff]", text):
            if any(zh for _, zh, _ in self.open):
                self.marked += 1
            elif not any(apart for *_, apart in self.open):
                self.unmarked.append(text)


@pytest.mark.parametrize("page", PAGES)
def test_chinese_says_that_it_is_chinese(site, page):  # noqa: F811
    parser = Chinese()
    parser.feed(re.search("<article.*</article>", html(page), re.DOTALL)[0])
    assert not parser.unmarked
    if page in ("book/glossary", "book/first_loop", "book/rewards"):
        assert parser.marked > 10


def test_the_book_as_one_file_is_where_the_workflow_publishes_it(site):  # noqa: F811
    workflow = (ROOT / ".github/workflows/pages.yml").read_text("utf-8")
    for name in ("book.pdf", "book.epub"):
        assert f"_build/html/{name}\n" in workflow
        for page in ("book/intro", "book/running"):
            assert f'href="{ADDRESS}{name}"' in html(page)


# --- Search ---------------------------------------------------------------------


def found(browser, address, query):  # noqa: F811
    """(what a result says, where it leads) in their order."""
    visit(browser, f"{address}/search.html?q={query}")
    done = "document.querySelector('.search-summary, #search-results p')"
    wait(browser, f"/finished|did not/.test({done}?.textContent)", "search goes on")
    return browser.execute_script(
        "return [...document.querySelectorAll('ul.search li')].map(e => "
        "[e.textContent, e.querySelector('a').getAttribute('href')])"
    )


@pytest.fixture(params=["http", "file"])
def anywhere(request, browser, site):  # noqa: F811
    """From a server and from the disk, without a message on the console."""
    yield site if request.param == "http" else SITE.as_uri()
    time.sleep(0.5)  # an excerpt that is refused is said late
    assert not severe(browser)


def test_chinese_finds_chapters_by_their_titles(browser, anywhere):  # noqa: F811
    """Those that explain the word come before those that use it."""
    results = found(browser, anywhere, "奖励")
    assert results[0][1] == "book/first_loop.html"
    titles = {link: text for text, link in reversed(results)}
    assert re.match(r"\d+\. Rewards", titles["book/rewards.html"])
    assert re.match(r"\d+\. Reward models", titles["book/reward_models.html"])
    chapters = [link for link in titles if link.removesuffix(".html") in CHAPTERS]
    assert len(chapters) > 8


def test_a_longer_chinese_word(browser, anywhere):  # noqa: F811
    results = found(browser, anywhere, "奖励模型")
    assert any(link.startswith("book/reward_models") for _, link in results[:3])


@pytest.mark.parametrize("query", ["22.1", "(22.1)", "equation 22.1", "gae-delta"])
def test_an_equation_is_found(browser, anywhere, query):  # noqa: F811
    """By its number and by its name."""
    results = found(browser, anywhere, query)
    links = [link for text, link in results if text.startswith("(22.1) gae-delta")]
    assert links == ["book/actor_critic_gae.html#equation-eq-gae-delta"]


def search_index():
    text = (SITE / "searchindex.js").read_text("utf-8")
    return json.loads(text.removeprefix("Search.setIndex(").removesuffix(")"))


def test_the_search_has_the_names_of_the_reference_once(site):  # noqa: F811
    """As objects, and not as entries of an index too."""
    index = search_index()
    assert len(index["objects"]["core.pt.losses"]) > 10
    for places in index["indexentries"].values():
        for page, *_ in places:
            assert not index["docnames"][page].startswith("book/api/")


def test_each_equation_of_the_search_is_there(site):  # noqa: F811
    index = search_index()
    kind = next(int(n) for n, name in index["objtypes"].items() if "equation" in name)
    places = [
        (index["docnames"][page], anchor)
        for objects in index["objects"].values()
        for page, type_, _, anchor, _ in objects
        if type_ == kind
    ]
    assert len(places) > 150
    for page, anchor in places:
        assert f'id="{anchor}"' in html(page)


def test_a_function_is_found_by_its_name(browser, site):  # noqa: F811
    """First where the reference describes it, then in the chapters that use it."""
    links = [link for _, link in found(browser, site, "clipped_surrogate")]
    assert links[0].startswith("book/api/") and links[0].count("clipped_surrogate")
    assert "book/ppo.html" in links and len(links) == len(set(links))


def test_an_excerpt_is_text_of_the_page(browser, site):  # noqa: F811
    """Not of its buttons; none where the page does not show the word."""
    set_width(browser, 1280)
    for query in ("reward", "奖励"):
        assert found(browser, site, query)
        script = "[...document.querySelectorAll('ul.search p.context')]"
        if query == "reward":
            wait(browser, f"{script}.length > 5", "no excerpts")
        time.sleep(0.5)
        texts = browser.execute_script(f"return {script}.map(e => e.textContent)")
        assert all(query in text.lower() for text in texts)
        assert not [text for text in texts if "Colab" in text[:40]]
    assert not severe(browser)
