"""The built reference: links to the source and to chapters, and theirs to it."""

import re
from html.parser import HTMLParser

import pytest
import yaml
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
    site,
    visit,
)

API = [page for page in PAGES if page.startswith("book/api")]
# The signature of a definition, with its anchor and its links to the source.
SIGNATURE = re.compile(r'<dt class="sig sig-object py" id="([\w.]+)">(.*?)</dt>', re.S)
SOURCE = re.compile(r'href="([^"]*/blob/[^"]*)"[^>]*>(?:<[^>]*>)?([^<]*)<')
LINES = re.compile(r"(.*)#L(\d+)-L(\d+)")


class Links(HTMLParser):
    """The anchors of a page, and the addresses of the links in its article."""

    def __init__(self, text):
        super().__init__()
        self.anchors, self.links = set(), []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.anchors |= {attrs.get("id")} - {None}
        if tag == "a" and {"internal", "api"} & set(attrs.get("class", "").split()):
            self.links.append(attrs["href"])


def repository():
    config = yaml.safe_load((ROOT / "_config.yml").read_text("utf-8"))["repository"]
    return f"{config['url']}/blob/{config['branch']}/"


@pytest.mark.parametrize("page", API)
def test_each_definition_leads_to_its_lines(site, page):  # noqa: F811
    """Of the repository in _config.yml; a pair's to both frameworks."""
    for name, signature in SIGNATURE.findall(html(page)):
        links = SOURCE.findall(signature)
        texts = [text for _, text in links]
        assert texts in (["source"], ["PyTorch", "TensorFlow"]), name
        last = name.rpartition(".")[2]
        for address, text in links:
            address, first, end = LINES.fullmatch(address).groups()
            path = address.removeprefix(repository())
            lines = (ROOT / path).read_text("utf-8").splitlines()
            own = "call" if last == "forward" and text == "TensorFlow" else last
            assert re.search(rf"(def|class) {own}\b|^\s*{own}\b", lines[int(first) - 1])
            assert int(first) <= int(end) <= len(lines)


@pytest.mark.parametrize("page", API)
def test_a_module_leads_to_its_file(site, page):  # noqa: F811
    found = re.findall(r'<p class="api-source">.*?</p>', html(page), re.S)
    assert found or page == "book/api"
    for address, _ in SOURCE.findall("".join(found)):
        assert (ROOT / address.removeprefix(repository())).is_file()


def test_both_frameworks_stand_on_one_page(site):  # noqa: F811
    """And their addresses lead to the same definition."""
    text = html("book/api/frameworks/losses")
    for name in ("pt", "tf"):
        assert f'id="core.{name}.losses.clipped_surrogate"' in text
        assert f'id="module-core.{name}.losses"' in text
    assert text.count('class="sig-name descname"') == text.count(
        '<dt class="sig sig-object py"'
    )


def test_used_in(site):  # noqa: F811
    """Chapter 20 shows the surrogate, the first imports no loss."""
    page = html("book/api/frameworks/losses")
    lines = re.findall(r'<p class="api-used">.*?</p>', page, re.S)
    assert 'href="../../ppo.html"' in lines[0]
    assert "first_loop" not in "".join(lines)
    surrogate = page[page.index('id="core.pt.losses.clipped_surrogate"') :]
    line = re.search(r'<p class="api-used">.*?</p>', surrogate, re.S)[0]
    assert 'href="../../ppo.html"' in line


def test_a_name_in_the_text_is_a_link(site):  # noqa: F811
    """To the framework that it names; a name of both leads to their page."""
    link = '<a class="reference internal" href="{}" title="{}"><code'
    there = "api/frameworks/losses.html#core.pt.losses.clipped_surrogate"
    assert link.format(there, "core.pt.losses.clipped_surrogate") in html(
        "book/rloo_grpo"
    )
    there = "api/frameworks/rollout.html#core.tf.rollout.sample"
    assert link.format(there, "core.tf.rollout.sample") in html("book/sampling")


def test_a_name_in_a_cell_is_a_link(site):  # noqa: F811
    """Once in a cell, with what stands before its point; the code stays the same."""
    page = html("book/rloo_grpo")
    name = "core.pt.losses.clipped_surrogate"
    link = f'<a class="api" href="api/frameworks/losses.html#{name}" title="{name}">'
    cells = re.findall(r'<div class="highlight-ipython3 .*?</pre>', page, re.S)
    linked = [cell for cell in cells if link in cell]
    assert linked and all(cell.count(link) == 1 for cell in linked)
    texts = {re.sub("<.*?>", "", cell) for cell in linked}
    assert all("pt_losses.clipped_surrogate" in text for text in texts)


def test_links_to_the_reference_lead_to_a_place(site):  # noqa: F811
    """Those of text and of code, from every page, and those within it."""
    pages = {page: Links(html(page)) for page in PAGES}
    files = {(SITE / f"{page}.html").resolve(): page for page in PAGES}
    found = 0
    for page, text in pages.items():
        for link in text.links:
            path, _, anchor = link.partition("#")
            file = (SITE / f"{page}.html").parent / path if path else SITE / page
            there = files.get(file.resolve()) if path else page
            if there is None or not there.startswith("book/api"):
                continue
            assert not anchor or anchor in pages[there].anchors, (page, link)
            found += page in CHAPTERS
    assert found > 1000


@pytest.mark.parametrize("width", [1280, 400])
def test_a_page_is_short_and_fits(browser, site, width):  # noqa: F811
    """The longest of them, with a long signature, which breaks."""
    set_width(browser, width)
    visit(browser, f"{site}/book/api/frameworks/losses.html")
    assert overflow(browser, width) <= 1
    links = browser.find_elements(By.CSS_SELECTOR, "dt .viewcode-link")
    boxes = [
        browser.execute_script(
            "return arguments[0].getBoundingClientRect().toJSON()", e
        )
        for e in links
    ]
    assert boxes and all(0 <= b["left"] < b["right"] <= width for b in boxes)
