"""Formulas and diagrams of a page, with Chromium at the build and without."""

import re
import shutil

import drawing
import headless
import pytest
from sphinx.application import Sphinx
from sphinx.util.docutils import docutils_namespace

PAGE = r"""
Title
=====

Inline :math:`a < b` and a block:

.. math:: c = \frac{a}{b}
   :label: eq-c

.. mermaid::
   :alt: The policy pays nobody.

   graph TD
     policy --> token
"""
SETTINGS = {
    "extensions": ["sphinx.ext.mathjax", "formulas", "mermaid"],
    "html_math_renderer": "drawn",
    "html_theme": "basic",
    "mathjax_path": "mathjax/tex-svg-full.js",
}


def built(folder):
    """The HTML of PAGE; a second build reads the drawings of the first."""
    source = folder / "source"
    source.mkdir(exist_ok=True)
    (source / "index.rst").write_text(PAGE, "utf-8")
    out, trees = folder / "build" / "html", folder / "build" / "trees"
    settings = {"confdir": None, "confoverrides": SETTINGS, "status": None}
    with docutils_namespace():  # a second build registers the same nodes
        Sphinx(
            source,
            outdir=out,
            doctreedir=trees,
            buildername="html",
            freshenv=True,
            warningiserror=True,
            **settings,
        ).build(force_all=True)
    return (out / "index.html").read_text("utf-8")


def test_the_build_draws(tmp_path, unavailable, monkeypatch):
    if not headless.available():
        unavailable("formulas are drawn by Chromium and its driver")
    page = built(tmp_path)
    assert page.count("<mjx-container") == 2 and page.count('class="diagram"') == 1
    assert "tex-svg" not in page and "mermaid.tiny" not in page
    assert "policy" in page and "The policy pays nobody." in page
    # What is in the store is not drawn again.
    monkeypatch.setattr(drawing, "run", None)
    assert built(tmp_path) == page


def test_without_chromium_the_page_draws(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    page = built(tmp_path)
    assert r"\(a &lt; b\)" in page and r"\frac{a}{b}" in page
    assert "<mjx-container" not in page
    assert re.search('<pre [^>]*class="mermaid"', page)
    assert "tex-svg-full.js" in page and "mermaid.tiny.js" in page


def test_an_error_names_what_could_not_be_drawn(tmp_path, unavailable):
    if not headless.available():
        unavailable("diagrams are drawn by Chromium and its driver")
    with pytest.raises(RuntimeError, match="^Chromium could not draw: .*sense"):
        drawing.run("throw Error(`no sense in ${jobs[0]}`)", ["x"], tmp_path)
