"""How the built site looks: diagrams, formulas, figures in the dark, code, sidebar."""

import io
import re
from collections import Counter

import numpy as np
import pytest
from PIL import Image

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

SAMPLE = CHAPTERS[:: max(1, len(CHAPTERS) // 12)][:12]
DIAGRAMS = [
    p for p in PAGES if (SITE / f"{p}.html").exists() and 'class="diagram"' in html(p)
]


def theme(browser, name):  # noqa: F811
    browser.execute_script(f"document.documentElement.dataset.theme = '{name}'")


def luminance(colour):
    linear = [
        c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4
        for c in (part / 255 for part in colour[:3])
    ]
    return sum(w * c for w, c in zip((0.2126, 0.7152, 0.0722), linear))


def contrast(one, other):
    """That of WCAG 2, of two colours (red, green, blue)."""
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def rgb(text):
    return tuple(int(float(n)) for n in re.findall(r"[\d.]+", text)[:3])


def counted(image):
    """The colours of a picture, and how many pixels have each."""
    return Counter(map(tuple, np.asarray(image).reshape(-1, 3).tolist()))


def picture(browser, element):  # noqa: F811
    """What the window shows of an element, in the window's middle."""
    browser.execute_script(
        "document.activeElement.blur();"
        "arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})",
        element,
    )
    return Image.open(io.BytesIO(element.screenshot_as_png)).convert("RGB")


# --- What the build draws ---


def used_glyphs(text):
    return set(re.findall(r'href="#(MJX-[\w-]+)"', text))


@pytest.mark.parametrize("page", PAGES)
def test_formulas_are_drawn(page, site):  # noqa: F811
    """Each with the glyphs that it uses; no page loads MathJax or mermaid."""
    text = html(page)
    assert used_glyphs(text) <= set(re.findall(r'id="(MJX-[\w-]+)"', text))
    assert text.count('class="math') <= text.count("<mjx-container")
    assert not re.search(r"<script[^>]+(?:mathjax|mermaid)", text)


def test_diagrams_are_drawn_in_their_box(browser, site):  # noqa: F811
    """Whole and readable at both widths, in colours of the page."""
    assert len(DIAGRAMS) >= 5
    for page in DIAGRAMS:
        visit(browser, f"{site}/{page}.html")
        for width in (1280, 400):
            set_width(browser, width)
            found = browser.execute_script(
                "return [...document.querySelectorAll('.diagram')].map(e => {"
                "const svg = e.firstElementChild, box = svg.getBoundingClientRect();"
                "return [e.scrollWidth - e.clientWidth, box.width - e.clientWidth,"
                "16 * box.width / svg.viewBox.baseVal.width]})"
            )
            for scrolls, wider, letters in found:
                assert scrolls <= 0 and wider <= 0.5, (page, width)
                assert letters >= 11, (page, width)  # pixels
        for name in ("light", "dark"):
            theme(browser, name)
            colours = browser.execute_script(
                "return [...document.querySelectorAll('.diagram .node')].map(e => "
                "[getComputedStyle(e.querySelector('text')).fill, getComputedStyle("
                "e.querySelector('rect, polygon, path')).fill])"
            )
            assert colours
            for text, ground in colours:
                assert contrast(rgb(text), rgb(ground)) >= 4.5, (page, name)


@pytest.mark.parametrize("width", [1280, 400])
def test_figures_keep_their_shape(browser, site, width):  # noqa: F811
    """Narrower than drawn they are lower, too."""
    set_width(browser, width)
    narrower = 0
    for page in ("book/ppo", "book/gpt", "book/intro"):
        visit(browser, f"{site}/{page}.html")
        found = browser.execute_script(
            "return [...document.querySelectorAll('.cell_output img')].map("
            "e => [e.naturalWidth, e.naturalHeight, e.clientWidth, e.clientHeight])"
        )
        for real_width, real_height, shown_width, shown_height in found:
            assert abs(shown_width * real_height / real_width - shown_height) <= 1
            narrower += shown_width < real_width // 2
    assert narrower or width == 1280


def test_wide_formulas_say_that_they_scroll(browser, site):  # noqa: F811
    """On a phone: by a shadow, by the Tab key, and no number stands over one."""
    scrolling = 0
    set_width(browser, 400)
    for page in SAMPLE:
        visit(browser, f"{site}/{page}.html")
        found = browser.execute_script(
            "return [...document.querySelectorAll('.math > mjx-container[display]')]"
            ".filter(e => e.clientWidth).map(e => {"
            "const n = e.parentElement.querySelector('.eqno');"
            "return [e.scrollWidth > e.clientWidth, e.tabIndex,"
            "getComputedStyle(e).backgroundAttachment, n ? "
            "n.getBoundingClientRect().left - e.getBoundingClientRect().right : 0]})"
        )
        for scrolls, tab, attachment, gap in found:
            assert gap >= 0, page
            assert tab == (0 if scrolls else -1), page
            assert attachment == "local, local, scroll, scroll"
            scrolling += scrolls
    assert scrolling > 10


# --- In the dark ---

FIGURES = [  # curves, bars, a tree, heat maps, a spectrogram, an interactive one's
    ("policy_gradient", 2),
    ("ppo", 1),
    ("rewards", 1),
    ("document_000", 0),
    ("source_documents", 0),
    ("sentiment", 1),
    ("speech", 0),
    ("gpt", 3),
    ("credit", 0),
    ("decision_process", 2),
]


@pytest.mark.parametrize("chapter, number", FIGURES)
def test_a_figure_stands_on_the_page_in_the_dark(
    browser,  # noqa: F811
    site,  # noqa: F811
    chapter,
    number,
):
    """Its ground is the page's, its letters are readable; in the light it stays."""
    set_width(browser, 1280)
    visit(browser, f"{site}/book/{chapter}.html")
    image = browser.execute_script(
        "const i = document.querySelectorAll('.cell_output img')[arguments[0]];"
        "i.classList.remove('interactive-static'); i.loading = 'eager'; return i",
        number,
    )
    grounds = {}
    for name in ("light", "dark"):
        theme(browser, name)
        seen = picture(browser, image)
        ground = grounds[name] = seen.getpixel((2, 2))
        page = browser.execute_script(
            "return getComputedStyle(document.body).backgroundColor"
        )
        assert max(abs(a - b) for a, b in zip(ground, rgb(page))) <= 2
        edge = seen.crop((0, 0, max(8, seen.width // 14), seen.height))
        assert max(contrast(pixel, ground) for pixel in counted(edge)) >= 4.5
    assert luminance(grounds["light"]) > 0.9 > 0.1 > luminance(grounds["dark"])


def test_no_light_cards_in_the_dark(browser, site):  # noqa: F811
    set_width(browser, 1280)
    for page in ("book/credit", "book/document_003", "book/dpo"):
        visit(browser, f"{site}/{page}.html")
        theme(browser, "dark")
        grounds = browser.execute_script(
            "return [...document.querySelectorAll('.cell_output .text_html')].map("
            "e => getComputedStyle(e).backgroundColor)"
        )
        assert grounds and set(grounds) == {"rgba(0, 0, 0, 0)"}
        box = browser.execute_script(
            "return [...document.querySelectorAll('.cell_output [role=group] span')]"
            ".find(e => e.offsetParent && e.style.background)"
        )
        colours = counted(picture(browser, box))
        ground = colours.most_common(1)[0][0]
        assert luminance(ground) < 0.2
        assert max(contrast(colour, ground) for colour in colours) >= 4.5


# --- Code, tables, sidebar ---


@pytest.mark.parametrize("page", SAMPLE)
def test_code_fits_its_box(browser, site, page):  # noqa: F811
    """In cells, outputs and tabs, folded or not, at 1280 pixels."""
    set_width(browser, 1280)
    visit(browser, f"{site}/{page}.html")
    wider = browser.execute_script(
        "const style = document.createElement('style');"
        "style.textContent = '.sd-tab-content { display: block !important }';"
        "document.head.append(style);"
        "for (const fold of document.querySelectorAll('details')) fold.open = true;"
        "return [...document.querySelectorAll('article div.highlight pre')]"
        ".filter(e => e.scrollWidth > e.clientWidth).map(e => e.textContent)"
    )
    short = [t for t in wider if max(map(len, t.splitlines())) <= 88]
    assert not short


@pytest.mark.parametrize("width", [1280, 400])
def test_names_in_tables_stay_whole(browser, site, width):  # noqa: F811
    set_width(browser, width)
    for page in ("book/rosetta", "book/notation", "book/running"):
        visit(browser, f"{site}/{page}.html")
        lines = browser.execute_script(
            "return [...document.querySelectorAll('article td code')].map("
            "e => [e.textContent, new Set([...e.getClientRects()].map("
            "b => Math.round(b.top))).size])"
        )
        broken = [n for n, count in lines if count > 1 and not re.search(r"[\s.(=]", n)]
        assert not broken
        assert overflow(browser, width) <= 1


def test_a_small_table_has_no_empty_border(browser, site):  # noqa: F811
    """A table is as wide as its columns."""
    set_width(browser, 1280)
    for page in SAMPLE[:4]:
        visit(browser, f"{site}/{page}.html")
        gaps = browser.execute_script(
            "return [...document.querySelectorAll('article table.table')]"
            ".filter(t => t.offsetParent).map(t => t.getBoundingClientRect().right"
            " - t.rows[0].lastElementChild.getBoundingClientRect().right)"
        )
        assert all(abs(gap) <= 2 for gap in gaps), page


def test_the_sidebar_shows_where_one_is(browser, site):  # noqa: F811
    """From page to page, as the links below them lead."""
    for width, height in ((1280, 900), (1280, 600)):
        browser.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride",
            {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False},
        )
        for page in [*PAGES[:: len(PAGES) // 10], PAGES[1]]:
            visit(browser, f"{site}/{page}.html")
            inner, outer = browser.execute_script(
                "const e = document.querySelector('.bd-sidebar-primary "
                ".current.active > a'); return [e, e.closest('.bd-sidebar-primary')]"
                ".map(e => e.getBoundingClientRect().toJSON())"
            )
            assert outer["top"] <= inner["top"], page
            assert inner["bottom"] <= min(outer["bottom"], height), page
    set_width(browser, 1280)


def test_the_drawings_are_those_of_the_source():
    """A caption that names a direction fits the diagram."""
    sources = [*ROOT.glob("book/*.ipynb"), *ROOT.glob("book/*.md")]
    drawn = [
        t for t in map(lambda p: p.read_text("utf-8"), sources) if "{mermaid}" in t
    ]
    assert drawn and not any("graph LR" in text for text in drawn)
