"""Chromium without a window, as the programs use it that print built pages."""

import shutil
from contextlib import contextmanager
from tempfile import TemporaryDirectory

from selenium import webdriver

FLAGS = (
    "--headless=new --no-sandbox --disable-gpu --no-first-run "
    "--disable-background-networking --disable-component-update "
    "--disable-sync --disable-dev-shm-usage --allow-file-access-from-files"
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


def tools():
    """The paths of Chromium and of its driver."""
    names = "chromium", "chromium-browser", "google-chrome", "chrome"
    binary = next(filter(None, map(shutil.which, names)), None)
    driver = shutil.which("chromedriver")
    if not (binary and driver):
        raise FileNotFoundError(HOW)
    return binary, driver


@contextmanager
def chromium():
    """A driver; it and its profile are gone afterwards."""
    binary, driver = tools()
    options = webdriver.ChromeOptions()
    options.binary_location = binary
    with TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        for flag in [*FLAGS, f"--user-data-dir={profile}"]:
            options.add_argument(flag)
        service = webdriver.ChromeService(executable_path=driver)
        with webdriver.Chrome(options=options, service=service) as browser:
            yield browser
