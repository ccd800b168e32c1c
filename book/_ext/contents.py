"""Write `book/contents.md`, the page with which `make lab` opens.

    python book/_ext/contents.py

The site has a table of contents of its own and leaves this page out.
"""

import json

from toc import ROOT, parts

PAGE = ROOT / "book" / "contents.md"
HEAD = """\
# Contents

The chapters in the order of `_toc.yml`, from which this page is made. A
chapter opens with a click and runs from top to bottom in its own folder.
"""


def title(path):
    """The first heading of a page or notebook."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".ipynb":
        text = "".join(json.loads(text)["cells"][0]["source"])
    heading = next(line for line in text.splitlines() if line.startswith("# "))
    return heading.removeprefix("# ")


def page():
    """The page as Markdown."""
    lines = [HEAD]
    for caption, pages in parts():
        lines += [f"## {caption}", ""]
        for number, path in pages:
            mark = "-" if number is None else f"{number}."
            link = path.relative_to(PAGE.parent).as_posix()
            lines.append(f"{mark} [{title(path)}]({link})")
        lines.append("")
    return "\n".join(lines)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
