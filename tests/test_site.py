"""The built site, opened in a headless Chromium over a local server.

`make site` builds it first, with warnings as errors.
"""

import ast
import functools
import http.server
import json
import re
import threading
from itertools import groupby
from pathlib import Path
from urllib.parse import urlsplit

import headless
import pytest
import yaml
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

ROOT = Path(__file__).resolve().parents[1]
SITE = ROOT / "_build" / "html"


def toc_pages():
    """The paths of all pages of _toc.yml, without their suffixes."""

    def files(node):
        if isinstance(node, list):
            return [f for child in node for f in files(child)]
        own = [node["file"]] if "file" in node else []
        return own + [
            f
            for key in ("parts", "chapters", "sections")
            for f in files(node.get(key, []))
        ]

    toc = yaml.safe_load((ROOT / "_toc.yml").read_text("utf-8"))
    return [toc["root"], *files(toc)]


PAGES = toc_pages()
CHAPTERS = [p for p in PAGES if (ROOT / f"{p}.ipynb").exists()]


def html(page):
    return (SITE / f"{page}.html").read_text("utf-8")


@pytest.fixture(scope="module")
def site(unavailable):
    """The address of a server on the built pages."""
    if not (SITE / "index.html").exists():
        unavailable("there is no built site; make site builds it")

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args):
            pass

    handler = functools.partial(Quiet, directory=SITE)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture(scope="module")
def browser(unavailable):
    if not headless.available():
        unavailable(headless.HOW)
    with headless.chromium(browser="ALL", performance="ALL") as chrome:
        yield chrome


def set_width(browser, width):
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False},
    )


def wait(browser, script, message):
    """Until the JavaScript expression `script` is true."""
    WebDriverWait(browser, 30).until(
        lambda b: b.execute_script(f"return {script}"), message
    )


def visit(browser, address):
    """Open a page and wait until its formulas and diagrams are drawn."""
    for log in ("browser", "performance"):
        browser.get_log(log)  # forget the page before
    browser.get(address)
    wait(browser, "document.readyState === 'complete'", "not loaded")
    wait(
        browser,
        "[...document.querySelectorAll('.math')]"
        ".every(e => e.querySelector('mjx-container svg'))",
        "a formula was not drawn",
    )
    wait(
        browser,
        "[...document.querySelectorAll('pre.mermaid')]"
        ".every(e => e.querySelector('svg g.node'))",
        "a diagram was not drawn",
    )


def severe(browser):
    """The errors that the page wrote to the console since `visit`."""
    entries = browser.get_log("browser")
    return [e["message"] for e in entries if e["level"] == "SEVERE"]


def requests(browser):
    """The addresses that the page asked for since `visit`."""
    events = [
        json.loads(entry["message"])["message"]
        for entry in browser.get_log("performance")
    ]
    return [
        event["params"]["request"]["url"]
        for event in events
        if event["method"] == "Network.requestWillBeSent"
    ]


def overflow(browser, width):
    """How many pixels the page is wider than a window of this width."""
    set_width(browser, width)
    return browser.execute_script(
        "const e = document.scrollingElement;return e.scrollWidth - e.clientWidth"
    )


@pytest.mark.parametrize("page", PAGES)
def test_page(browser, site, page):
    set_width(browser, 1280)
    visit(browser, f"{site}/{page}.html")
    assert browser.find_elements(By.CSS_SELECTOR, "article h1")
    assert overflow(browser, 1280) <= 1
    assert overflow(browser, 400) <= 1
    no_alt = browser.execute_script(
        "return [...document.images].filter("
        "i => !i.getAttribute('alt')?.trim()).map(i => i.src)"
    )
    assert not no_alt
    assert not browser.find_elements(By.CSS_SELECTOR, "[data-mjx-error]")
    assert not severe(browser)
    outside = [
        url
        for url in requests(browser)
        if urlsplit(url).scheme not in ("data", "blob") and not url.startswith(site)
    ]
    assert not outside


def test_page_from_disk(browser, site):
    """`make book` prints a file:// address, so that must work too."""
    visit(browser, (SITE / "book/why_reinforce.html").as_uri())
    assert browser.find_elements(By.CSS_SELECTOR, ".diagram svg g.node")
    assert not severe(browser)


def adjacent_pairs(page):
    """How many runs of neighbouring cells hold both frameworks."""
    cells = json.loads((ROOT / f"{page}.ipynb").read_text("utf-8"))["cells"]
    tags = [frozenset(c["metadata"].get("tags", [])) & {"torch", "tf"} for c in cells]
    runs = [list(run) for tagged, run in groupby(tags, bool) if tagged]
    return sum(len(frozenset().union(*run)) == 2 for run in runs)


@pytest.mark.parametrize("page", CHAPTERS)
def test_framework_cells_are_tabs(site, page):
    sets = re.findall(r'data-sync-group="framework" data-sync-id="(\w+)"', html(page))
    assert sets == ["torch", "tf"] * adjacent_pairs(page)


def shown(browser):
    """The framework of each tab that is open."""
    return browser.execute_script(
        "return [...document.querySelectorAll('.sd-tab-set > input')]"
        ".filter(i => i.checked).map(i => i.nextElementSibling)"
        ".filter(l => l.dataset.syncGroup === 'framework')"
        ".map(l => l.textContent.trim())"
    )


def test_tabs_follow_one_another(browser, site):
    pages = [p for p in CHAPTERS if adjacent_pairs(p) >= 2]
    assert pages, "no chapter has two tab sets"
    set_width(browser, 1280)
    visit(browser, f"{site}/{pages[0]}.html")
    tabs = adjacent_pairs(pages[0])
    assert shown(browser) == ["PyTorch"] * tabs
    label = browser.find_element(By.CSS_SELECTOR, "label[data-sync-id=tf]")
    browser.execute_script("arguments[0].click()", label)
    assert shown(browser) == ["TensorFlow"] * tabs
    visible = browser.execute_script(
        "return [...document.querySelectorAll('.sd-tab-content')]"
        ".filter(e => e.offsetParent && e.querySelector('.tag_torch')).length"
    )
    assert not visible
    visit(browser, f"{site}/{pages[-1]}.html")  # the choice is kept
    assert set(shown(browser)) == {"TensorFlow"}


def brightness(browser, name):
    """Sum of red, green and blue of a colour of the page's body."""
    colour = browser.execute_script(f"return getComputedStyle(document.body).{name}")
    return sum(int(n) for n in re.findall(r"\d+", colour)[:3])


def test_a_mark_leads_to_its_check(browser, site):
    """It shows the number by keyboard, fits a phone, and a cell has its address."""
    visit(browser, f"{site}/book/kl.html")
    found = browser.execute_script(
        "return [...document.querySelectorAll('a.checked')].map(a => "
        "[a.title, !!document.getElementById(a.getAttribute('href').slice(1)), "
        "a.previousSibling.data.slice(-1)])"
    )
    chapter = (ROOT / "book" / "kl.ipynb").read_text("utf-8")
    assert len(found) == chapter.count("{checked}`") > 3
    for title, there, before in found:
        assert there and "false at" in title
        assert before == "\N{NO-BREAK SPACE}"  # not alone at the start of a line
    for width in (1280, 400):
        set_width(browser, width)
        browser.execute_script("document.querySelector('a.checked').focus()")
        assert browser.execute_script(
            "return getComputedStyle(document.activeElement, '::after').content"
        ) == json.dumps(found[0][0])
        assert overflow(browser, width) <= 1


def test_dark_mode(browser, site):
    set_width(browser, 1280)
    visit(browser, f"{site}/book/intro.html")
    lighter = {}  # theme: whether the paper is lighter than the text
    for _ in range(3):  # light, dark and the system's
        theme = browser.execute_script(
            "document.querySelector('.theme-switch-button').click();"
            "return document.documentElement.dataset.theme"
        )
        lighter[theme] = brightness(browser, "backgroundColor") > brightness(
            browser, "color"
        )
    assert lighter == {"light": True, "dark": False}


@pytest.mark.parametrize("word", ["advantage", "策略梯度", "group_advantages"])
def test_search_finds(browser, site, word):
    browser.get(f"{site}/search.html?q={word}")
    wait(
        browser, "document.querySelector('ul.search li a')", f"nothing found for {word}"
    )


def documented_names(path):
    """What the reference must show of a module: names with a docstring."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    module = ".".join(parts).removeprefix("book.").removesuffix(".__init__")
    for node in ast.parse(path.read_text("utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            if not node.name.startswith("_") and ast.get_docstring(node):
                yield f"{module}.{node.name}"


def test_reference_is_complete(site):
    pages = "".join(html(p) for p in PAGES if p.startswith("book/api/"))
    names = [
        name
        for folder in ("core", "book/applications", "book/pages")
        for path in sorted((ROOT / folder).glob("**/*.py"))
        for name in documented_names(path)
    ]
    assert names
    assert not [name for name in names if f'id="{name}"' not in pages]
