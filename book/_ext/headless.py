"""Chromium without a window: it draws while the site is built, and prints its pages.

The tests open them in it, too.
"""

import shutil
from contextlib import contextmanager
from tempfile import TemporaryDirectory

from selenium import webdriver

FLAGS = (
    "--headless=new --no-sandbox --disable-gpu --disable-quic --no-first-run "
    "--disable-background-networking --disable-component-update "
    "--disable-sync --disable-dev-shm-usage"
).split()
HOW = (
    "Chromium and its driver are needed and were not found; on Debian and Ubuntu: "
    "apt-get install chromium chromium-driver"
)
# True when all is drawn; a picture that is missing counts as drawn.
DRAWN = """
    return document.readyState === "complete"
        && document.fonts.status === "loaded"
        && [...document.images].every(e => e.complete)
        && [...document.querySelectorAll(".math")]
            .every(e => e.querySelector("mjx-container"))
        && [...document.querySelectorAll("pre.mermaid")]
            .every(e => e.querySelector("svg g.node"));
"""


def available():
    """Whether Chromium and its driver are there."""
    return all(map(shutil.which, ("chromium", "chromedriver")))


@contextmanager
def chromium(**logs):
    """A driver; it and its profile are gone afterwards.

    `logs` are the logs of Chromium to keep, as performance="ALL".
    """
    if not available():
        raise FileNotFoundError(HOW)
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium")
    if logs:
        options.set_capability("goog:loggingPrefs", logs)
    with TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        for flag in [*FLAGS, f"--user-data-dir={profile}"]:
            options.add_argument(flag)
        driver = shutil.which("chromedriver")
        service = webdriver.ChromeService(executable_path=driver)
        with webdriver.Chrome(options=options, service=service) as browser:
            yield browser
