"""What a page of the built site weighs, and what axe finds on it.

    pytest -s tests/test_site_weight.py

prints both for twelve pages.
"""

import json

import pytest

from tests.test_site import browser, set_width, site, visit  # noqa: F401

MB = 1_000_000
PAGES = [
    "book/intro",
    "book/why_reinforce",
    "book/running",
    "book/decision_process",
    "book/policy_gradient",
    "book/rloo_grpo",
    "book/credit",
    "book/document_000",
    "book/results",
    "book/benchmarks",
    "book/api/frameworks/losses",
    "search",
]
BOUNDS = {"book/intro": 1.5 * MB}
NOT_NEEDED = ("fontawesome.js", "tex-svg", "mermaid", "searchindex.js")


def loaded(browser, address):  # noqa: F811
    """Name to bytes of what a first visit transfers, without compression."""
    browser.execute_cdp_cmd("Network.enable", {})
    browser.execute_cdp_cmd("Network.setCacheDisabled", {"cacheDisabled": True})
    visit(browser, address)
    names, sizes = {}, {}
    for entry in browser.get_log("performance"):
        event = json.loads(entry["message"])["message"]
        known = event["params"].get("requestId")
        if event["method"] == "Network.requestWillBeSent":
            names[known] = event["params"]["request"]["url"]
        if event["method"] == "Network.loadingFinished":
            sizes[known] = event["params"]["encodedDataLength"]
    return {names[k]: size for k, size in sizes.items() if k in names}


@pytest.mark.parametrize("page", PAGES)
def test_a_page_is_light(browser, site, page):  # noqa: F811
    """At most 2 MB, the landing page 1.5 MB; nothing that it does not use."""
    set_width(browser, 1280)
    found = loaded(browser, f"{site}/{page}.html")
    weight = sum(found.values())
    print(f"{page}: {len(found)} requests, {weight / MB:.2f} MB")
    assert len(found) > 10
    assert weight <= BOUNDS.get(page, 2 * MB)
    if page != "search":
        assert not [a for a in found if any(name in a for name in NOT_NEEDED)]


RULES = {  # in the dark only the colours are others
    "light": '{"rules": {"label-content-name-mismatch": {"enabled": true}}}',
    "dark": '{"runOnly": ["color-contrast"]}',
}


@pytest.mark.parametrize("theme", RULES)
@pytest.mark.parametrize("page", PAGES)
def test_axe_finds_nothing(browser, site, page, theme):  # noqa: F811
    """No finding that is moderate, serious or critical."""
    axe = pytest.importorskip("axe_selenium_python", reason="for Python 3.12 and newer")
    set_width(browser, 1280)
    browser.set_script_timeout(120)
    visit(browser, f"{site}/{page}.html")
    browser.execute_script(  # without the change's own half second
        "document.head.append(Object.assign(document.createElement('style'), "
        "{textContent: '* { transition: none !important }'}));"
        f"document.documentElement.dataset.theme = '{theme}'"
    )
    checker = axe.Axe(browser)
    checker.inject()
    found = [
        (v["impact"], v["id"], node["html"][:120])
        for v in checker.run(options=RULES[theme])["violations"]
        for node in v["nodes"]
    ]
    print(f"{page}, {theme}: {len(found)} findings")
    for finding in found:
        print("   ", *finding)
    assert not [f for f in found if f[0] != "minor"]
