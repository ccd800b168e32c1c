"""The book needs nothing of Jupyter Book's own command: plain Sphinx builds it.

Three chapters, with the conf.py that `jupyter-book config sphinx` writes, become the
same pages as by `jupyter-book build`.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.conftest import ROOT

PAGES = ["book/first_loop", "book/decision_process", "book/rewards"]


def run(folder, *command):
    done = subprocess.run(
        [Path(sys.executable).parent / command[0], *command[1:]],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": f"{ROOT / 'book' / '_ext'}{os.pathsep}{ROOT}"},
        capture_output=True,
        text=True,
        encoding="utf-8",
    )
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """A folder with the pages of both, the chapters being those of the book."""
    folder = tmp_path_factory.mktemp("plain")
    (folder / "book").symlink_to(ROOT / "book")
    (folder / "_config.yml").write_text(
        (ROOT / "_config.yml").read_text("utf-8"), "utf-8"
    )
    contents = {
        "format": "jb-book",
        "root": PAGES[0],
        "parts": [{"numbered": 1, "chapters": [{"file": page} for page in PAGES[1:]]}],
    }
    (folder / "_toc.yml").write_text(yaml.safe_dump(contents), "utf-8")
    run(folder, "jupyter-book", "build", ".", "--path-output", "jupyter")
    run(folder, "jupyter-book", "config", "sphinx", ".")
    run(folder, "sphinx-build", "-b", "html", "-d", "doctrees", ".", "sphinx")
    return folder


def made(folder):
    """Each file of a built site with its bytes."""
    return {
        path.relative_to(folder): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_the_same_site(built):
    ours, plain = made(built / "jupyter" / "_build" / "html"), made(built / "sphinx")
    assert ours.keys() == plain.keys()
    assert not [path for path in plain.keys() if plain[path] != ours[path]]


def test_the_chapters_are_whole(built):
    for page in PAGES:
        text = (built / "sphinx" / f"{page}.html").read_text("utf-8")
        assert "math notranslate" in text and "<img" in text, page
