"""What helps to read the built site: cards at links, ticks of exercises, folds."""

import base64
import re

import pytest
from selenium.webdriver import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from tests.test_site import (  # noqa: F401
    CHAPTERS,
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

CARD = "document.querySelector('#hover-card:not([hidden])')"
TERM = "article a.reference.internal[href*='#term-']"
CITATION = "article .bibtex-citation a.reference.internal"
EQUATION = "article a.reference.internal[href*='#equation-']"
FIGURE = "article a.reference.internal[href*='#fig-']"


def link(browser, selector):  # noqa: F811
    """The first such link, in the middle of the window."""
    element = browser.find_element(By.CSS_SELECTOR, selector)
    browser.execute_script(
        "arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})", element
    )
    return element


def focus(browser, selector):  # noqa: F811
    """As the Tab key does; the text of the card that opens."""
    element = link(browser, selector)
    browser.execute_script("arguments[0].focus({focusVisible: true})", element)
    wait(browser, CARD, "no card")
    return browser.execute_script(f"return {CARD}.textContent")


def closed(browser):  # noqa: F811
    return not browser.execute_script(f"return {CARD}")


@pytest.fixture
def chapter(browser, site):  # noqa: F811
    set_width(browser, 1280)
    visit(browser, f"{site}/book/kl.html")
    yield
    set_width(browser, 1280)
    assert not severe(browser)


@pytest.mark.parametrize("width", [1280, 400])
@pytest.mark.parametrize("selector", [TERM, CITATION, EQUATION, FIGURE])
def test_a_card_opens_at_the_focus(chapter, browser, selector, width):  # noqa: F811
    """It lies within the window, describes the link, and Escape closes it."""
    set_width(browser, width)
    assert len(focus(browser, selector).strip()) > 10 or selector == EQUATION
    if selector == EQUATION:
        wait(browser, f"{CARD}.querySelector('mjx-container svg')", "no formula")
    if selector == FIGURE:
        wait(browser, f"{CARD}.querySelector('img').naturalWidth", "no picture")
    box = browser.execute_script(f"return {CARD}.getBoundingClientRect().toJSON()")
    assert box["left"] >= 0 and box["right"] <= width
    assert box["top"] >= 0 and box["bottom"] <= 900
    assert overflow(browser, width) <= 1
    described = browser.execute_script(
        "return document.activeElement.getAttribute('aria-describedby')"
    )
    assert described == "hover-card"
    ActionChains(browser).send_keys(Keys.ESCAPE).perform()
    assert closed(browser)


def test_a_term_has_its_chinese_words(browser, site):  # noqa: F811
    """Marked as Chinese; the definition stands below, links are text."""
    set_width(browser, 1280)
    visit(browser, f"{site}/book/decision_process.html")
    focus(browser, "article a[href*='#term-action']")
    chinese = browser.execute_script(
        f"return [...{CARD}.querySelectorAll('[lang=zh]')].map(e => e.textContent)"
    )
    assert chinese == ["动作", "行为"]
    assert not browser.execute_script(f"return {CARD}.querySelector('a')")


def test_a_card_opens_under_the_mouse(chapter, browser):  # noqa: F811
    element = link(browser, CITATION)
    title = element.get_attribute("title")
    ActionChains(browser).move_to_element(element).perform()
    wait(browser, CARD, "no card")
    assert browser.execute_script(f"return {CARD}.textContent") == title
    card = browser.find_element(By.ID, "hover-card")
    ActionChains(browser).move_to_element(card).pause(0.5).perform()
    assert not closed(browser)  # it may be read
    ActionChains(browser).move_by_offset(0, 0).move_to_element(
        browser.find_element(By.CSS_SELECTOR, "article h1")
    ).perform()
    wait(browser, f"!{CARD}", "the card stays")


def tap(browser, element):  # noqa: F811
    """A touch, as a phone sends it."""
    box = browser.execute_script(
        "return arguments[0].getClientRects()[0].toJSON()", element
    )
    point = {"x": box["left"] + box["width"] / 2, "y": box["top"] + box["height"] / 2}
    for kind, points in (("touchStart", [point]), ("touchEnd", [])):
        browser.execute_cdp_cmd(
            "Input.dispatchTouchEvent", {"type": kind, "touchPoints": points}
        )


def test_the_first_touch_opens_a_card(browser, site):  # noqa: F811
    visit(browser, f"{site}/book/kl.html")
    set_width(browser, 400)
    browser.execute_cdp_cmd(
        "Emulation.setTouchEmulationEnabled", {"enabled": True, "maxTouchPoints": 1}
    )
    try:
        visit(browser, f"{site}/book/kl.html")
        before = browser.current_url
        element = link(browser, TERM)
        tap(browser, element)
        wait(browser, CARD, "no card")
        assert browser.current_url == before
        assert overflow(browser, 400) <= 1
        tap(browser, element)
        wait(browser, "location.href.includes('glossary')", "not followed")
    finally:
        browser.execute_cdp_cmd(
            "Emulation.setTouchEmulationEnabled", {"enabled": False}
        )
        set_width(browser, 1280)


def test_cards_from_disk_and_in_the_dark(browser, site):  # noqa: F811
    set_width(browser, 1280)
    visit(browser, (SITE / "book/kl.html").as_uri())
    browser.execute_script("document.documentElement.dataset.theme = 'dark'")
    assert focus(browser, TERM)
    colours = browser.execute_script(
        f"const s = getComputedStyle({CARD}); return [s.color, s.backgroundColor]"
    )
    light, dark = (sum(map(int, re.findall(r"\d+", c)[:3])) for c in colours)
    assert light - dark > 300
    assert not severe(browser)


def test_each_target_has_a_card(site):  # noqa: F811
    """No link to a term, a reference or an equation stays without."""
    cards = (SITE / "_static/hover-data.js").read_text("utf-8")
    addresses = set(re.findall(r'^"([^"]+)": ', cards, re.MULTILINE))
    for page in CHAPTERS:
        folder = page.rpartition("/")[0]
        for target in re.findall(
            r'<a class="reference internal" href="([^"#]*#(?:term|equation)-[^"]+)"',
            html(page),
        ):
            where, _, anchor = target.partition("#")
            path = f"{folder}/{where}" if where else f"{page}.html"
            assert f"{path}#{anchor}" in addresses, (page, target)


# --- Exercises ---

WITH_EXERCISES = [
    page
    for page in CHAPTERS
    if (SITE / f"{page}.html").exists() and re.search(r"<h3>Exercise \d", html(page))
]


@pytest.fixture(params=WITH_EXERCISES[:1] or [None])
def exercises(request):
    if request.param is None:
        pytest.skip("no built chapter has a heading Exercise 1")
    return request.param


def test_ticks_are_kept(browser, site, exercises):  # noqa: F811
    """By page and number; the title and the list of chapters count them."""
    address = f"{site}/{exercises}.html"
    set_width(browser, 1280)
    visit(browser, address)
    browser.execute_script("localStorage.clear(); location.reload()")
    visit(browser, address)
    boxes = browser.find_elements(By.CSS_SELECTOR, "input.exercise-tick")
    count = len(re.findall(r"<h3>Exercise \d", html(exercises)))
    assert len(boxes) == count
    labels = [box.get_attribute("aria-label") for box in boxes]
    assert labels == [f"Exercise {n} done" for n in range(1, count + 1)]
    said = ".exercises-done"
    assert browser.find_element(By.CSS_SELECTOR, said).text == (
        f"0 of {count} exercises done"
    )
    boxes[1].send_keys(Keys.SPACE)
    visit(browser, address)
    boxes = browser.find_elements(By.CSS_SELECTOR, "input.exercise-tick")
    assert [box.is_selected() for box in boxes] == [n == 1 for n in range(count)]
    assert browser.find_element(By.CSS_SELECTOR, said).text == (
        f"1 of {count} exercises done"
    )
    visit(browser, f"{site}/book/notation.html")  # another page's list has it
    marks = browser.execute_script(
        "return [...document.querySelectorAll('.exercises-count')]"
        ".map(e => e.firstChild.textContent.trim())"
    )
    assert marks == [f"1/{count}"]
    visit(browser, address)
    browser.find_elements(By.CSS_SELECTOR, "input.exercise-tick")[1].click()
    assert browser.find_element(By.CSS_SELECTOR, said).text.startswith("0 of")
    set_width(browser, 400)
    assert overflow(browser, 400) <= 1
    assert not severe(browser)


def test_ticks_from_disk(browser, site, exercises):  # noqa: F811
    address = (SITE / f"{exercises}.html").as_uri()
    visit(browser, address)
    browser.find_element(By.CSS_SELECTOR, "input.exercise-tick").send_keys(Keys.SPACE)
    visit(browser, address)
    box = browser.find_element(By.CSS_SELECTOR, "input.exercise-tick")
    assert box.is_selected()
    browser.execute_script("localStorage.clear()")
    assert not severe(browser)


def test_solutions_are_folded(browser, site, exercises):  # noqa: F811
    """One named fold an exercise, closed, that Enter opens; it has an address."""
    visit(browser, f"{site}/{exercises}.html")
    folds = browser.find_elements(By.CSS_SELECTOR, "details.solution")
    assert len(folds) == len(re.findall(r"<h3>Exercise \d", html(exercises)))
    for number, fold in enumerate(folds, 1):
        assert fold.get_attribute("id") == f"solution-{number}"
        assert fold.get_attribute("open") is None
        title = fold.find_element(By.CSS_SELECTOR, "summary")
        assert title.text == "Solution"
        assert fold.size["height"] < 80
        title.send_keys(Keys.ENTER)
        assert fold.get_attribute("open") is not None
    for width in (1280, 400):
        assert overflow(browser, width) <= 1
    assert not severe(browser)


def test_the_cheat_sheet_prints_on_one_sheet(browser, site):  # noqa: F811
    set_width(browser, 1280)
    visit(browser, f"{site}/book/cheat_sheet.html")
    settings = {"preferCSSPageSize": True, "printBackground": True}
    printed = browser.execute_cdp_cmd("Page.printToPDF", settings)["data"]
    assert len(re.findall(rb"/Type\s*/Page[^s]", base64.b64decode(printed))) == 1
