"""The interactive figures of the built site, in a headless Chromium.

Their numbers are those of the JSON behind the picture, at each place of the slider.
"""

import json
import re

import pytest
from interactive import ELEMENT
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from tests.test_site import (  # noqa: F401
    PAGES,
    SITE,
    brightness,
    browser,
    html,
    overflow,
    set_width,
    severe,
    site,
    visit,
)

SERIES = ("rows", "lines", "bars", "readout")  # [{"label", "values"}, ...]
WITH_FIGURES = [
    page
    for page in PAGES
    if (SITE / f"{page}.html").exists() and ELEMENT.search(html(page))
]


@pytest.fixture(params=WITH_FIGURES or [None])
def page(request, browser, site):  # noqa: F811
    """A page with figures, at a width of 1280, no message on its console."""
    if request.param is None:
        pytest.skip("no built page has an interactive figure")
    set_width(browser, 1280)
    visit(browser, f"{site}/{request.param}.html")
    yield request.param
    assert not severe(browser)


def figures(browser):  # noqa: F811
    """(data, element) of each figure; what hides one is opened."""
    browser.execute_script(
        "for (const e of document.querySelectorAll('.interactive-figure'))"
        " for (let p = e; p; p = p.parentElement) {"
        "  if (p.tagName === 'DETAILS') p.open = true;"
        "  if (p.matches('.sd-tab-content'))"
        "   document.getElementById(p.id.replace('-content', '')).click(); }"
    )
    scripts = browser.execute_script(
        "return [...document.querySelectorAll('script.interactive')]"
        ".map(s => [s.dataset.name, s.textContent])"
    )
    found = []
    for name, text in scripts:
        selector = f".interactive-figure[data-name='{name}']"
        (element,) = browser.find_elements(By.CSS_SELECTOR, selector)
        found.append((json.loads(text), element))
    return found


def expected(data, where, place):
    """The number of the JSON at the address of an element."""
    key, *path = where.split("/")
    values = data[key]
    if key in SERIES:
        values, path = values[int(path[0])]["values"], path[1:]
    if data["slider"] and key != "rewards":
        values = values[place]
    for index in path:
        values = values[int(index)]
    return values


def numbers(browser, element):  # noqa: F811
    """[address, number] of all numbers shown."""
    found = browser.execute_script(
        "return [...arguments[0].querySelectorAll('[data-number]')]"
        ".map(e => [e.dataset.number, e.textContent])",
        element,
    )
    return [[where, float(text.replace("−", "-"))] for where, text in found]


def check_numbers(browser, data, element, place):  # noqa: F811
    shown = numbers(browser, element)
    assert shown
    for where, number in shown:
        wanted = expected(data, where, place)
        assert number == pytest.approx(wanted, abs=5.1e-4), (where, place)
    return shown


def test_each_figure_is_drawn(page, browser):  # noqa: F811
    """At both widths, wholly within the page, in place of the picture."""
    for width in (1280, 400):
        assert overflow(browser, width) <= 1
        for data, element in figures(browser):
            assert element.is_displayed()
            box = element.rect
            assert box["height"] > 60 and box["x"] >= 0
            assert box["x"] + box["width"] <= width
            cut = browser.execute_script(
                "return [...arguments[0].querySelectorAll('*')].filter(e => "
                "!e.closest('svg, .ia-scroll') && "
                "e.getBoundingClientRect().right > "
                "arguments[0].getBoundingClientRect().right + 1).length",
                element,
            )
            assert not cut
            if data["kind"] == "lines":
                drawn = element.find_elements(By.CSS_SELECTOR, ".ia-drawing .ia-line")
                assert len(drawn) == len(data["lines"])
                size = browser.execute_script(
                    "const e = arguments[0], b = e.viewBox.baseVal;"
                    "return [b.width, e.getBoundingClientRect().width]",
                    element.find_element(By.CSS_SELECTOR, ".ia-drawing"),
                )
                assert abs(size[0] - size[1]) <= 2  # drawn anew, letters keep size
        pictures = browser.find_elements(By.CSS_SELECTOR, "img.interactive-static")
        assert len(pictures) == len(figures(browser))
        assert not any(picture.is_displayed() for picture in pictures)


def test_the_slider_by_keyboard(page, browser):  # noqa: F811
    """Each place shows its numbers, and says its value to a screen reader."""
    for data, element in figures(browser):
        if not data["slider"]:
            check_numbers(browser, data, element, None)
            continue
        values, place = data["slider"]["values"], data["slider"]["start"]
        slider = element.find_element(By.CSS_SELECTOR, "input[type=range]")
        assert slider.get_attribute("aria-label") == data["slider"]["label"]
        check_numbers(browser, data, element, place)
        slider.send_keys(Keys.HOME)
        seen = []
        for place, value in enumerate(values):
            seen.append(check_numbers(browser, data, element, place))
            text = slider.get_attribute("aria-valuetext").replace("−", "-")
            assert (
                element.find_element(By.TAG_NAME, "output").text.replace("−", "-")
                == text
            )
            assert text == value if isinstance(value, str) else float(text) == value
            slider.send_keys(Keys.ARROW_RIGHT)
        assert any(one != seen[0] for one in seen)  # something moves
        slider.send_keys(Keys.END)
        check_numbers(browser, data, element, len(values) - 1)


def test_tokens_by_keyboard(page, browser):  # noqa: F811
    for data, element in figures(browser):
        if data["kind"] != "strip":
            continue
        place = data["slider"] and data["slider"]["start"]
        tokens = element.find_elements(By.CSS_SELECTOR, "button.ia-token")
        assert len(tokens) == len(data["tokens"])
        for t in range(len(tokens)):
            if t:
                browser.switch_to.active_element.send_keys(Keys.ARROW_RIGHT)
            else:
                tokens[-1].click()
                browser.switch_to.active_element.send_keys(Keys.HOME)
            pressed = [b.get_attribute("aria-pressed") == "true" for b in tokens]
            reached = [b.get_attribute("tabindex") == "0" for b in tokens]
            assert pressed == reached == [i == t for i in range(len(tokens))]
            shown = check_numbers(browser, data, element, place)
            column = {where for where, _ in shown if where.startswith("rows")}
            assert column == {f"rows/{k}/{t}" for k in range(len(data["rows"]))}


def test_a_tree_folds(page, browser):  # noqa: F811
    for data, element in figures(browser):
        if data["kind"] != "tree":
            continue
        everything = len(element.find_elements(By.CSS_SELECTOR, ".ia-node"))
        assert everything == len(data["nodes"])
        root = element.find_element(By.CSS_SELECTOR, "button.ia-node")
        root.send_keys(Keys.ENTER)
        assert root.get_attribute("aria-expanded") == "false"
        assert len(element.find_elements(By.CSS_SELECTOR, ".ia-node")) < everything
        assert browser.switch_to.active_element == root  # the focus stays
        root.send_keys(Keys.ENTER)
        assert root.get_attribute("aria-expanded") == "true"
        assert len(element.find_elements(By.CSS_SELECTOR, ".ia-node")) == everything


def test_from_disk_and_in_the_dark(browser, site):  # noqa: F811
    """No server is needed; the letters are lighter than the page."""
    if not WITH_FIGURES:
        pytest.skip("no built page has an interactive figure")
    visit(browser, (SITE / f"{WITH_FIGURES[0]}.html").as_uri())
    browser.execute_script("document.documentElement.dataset.theme = 'dark'")
    assert not severe(browser)
    assert figures(browser)
    assert brightness(browser, "color") > brightness(browser, "backgroundColor")
    fills = browser.execute_script(
        "return [...document.querySelectorAll('.ia-drawing text')]"
        ".map(e => getComputedStyle(e).fill)"
    )
    assert all(sum(map(int, re.findall(r"\d+", fill)[:3])) > 380 for fill in fills)


def test_paper_and_no_script_have_the_picture(browser, site):  # noqa: F811
    if not WITH_FIGURES:
        pytest.skip("no built page has an interactive figure")
    address = f"{site}/{WITH_FIGURES[0]}.html"
    visit(browser, address)
    how = "return [...document.querySelectorAll('{}')].map(e => e.offsetWidth > 0)"
    drawn, pictures = (
        how.format(".interactive-figure"),
        how.format("img.interactive-static"),
    )
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    try:
        assert not any(browser.execute_script(drawn))
        assert all(browser.execute_script(pictures))
    finally:
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
    assert all(browser.execute_script(drawn))
