"""The parts and chapters of `_toc.yml`: their order and their numbers."""

from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]


def parts():
    """(caption, pages) of each part; a page is (number, path).

    Chapters are numbered through all parts; a page beside them has None.
    """
    found, last = [], 0
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
    for part in toc["parts"]:
        pages = []
        for page in part["chapters"]:
            path, number = ROOT / f"{page['file']}.md", None
            if part.get("numbered"):
                path = path.with_suffix(".ipynb")
                number = last = last + 1
            pages.append((number, path))
        found.append((part["caption"], pages))
    return found


def chapters(caption=None):
    """The paths of all chapters, or of those of one part, in their order."""
    return [
        path
        for name, pages in parts()
        for number, path in pages
        if number is not None and caption in (None, name)
    ]
