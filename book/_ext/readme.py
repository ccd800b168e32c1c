"""Write what of README.md the book makes: contents, picture, hours of the paths.

python book/_ext/readme.py
"""

import base64
import json
import re

import chapter_cards
import contents
import toc

README = toc.ROOT / "README.md"
PICTURE = toc.ROOT / "book" / "_static" / "first_loop.png"
BETWEEN = re.compile(r"(?<=## Contents\n\n).*?(?=\n\n## Run it)", re.DOTALL)
HOURS = re.compile(r"[\d.]+ hours")


def chapters():
    """The parts that have chapters, a row each, with a link to every notebook."""
    rows = ["| Part | Chapters |", "|---|---|"]
    for caption, pages in toc.parts():
        links = [
            f"{number} [{contents.title(path)}](book/{path.name})"
            for number, path in pages
            if number is not None
        ]
        if links:
            rows.append(f"| {caption} | {' · '.join(links)} |")
    return "\n".join(rows)


def picture():
    """The figure of the policy in the first chapter, as stored there."""
    path = toc.ROOT / "book" / "first_loop.ipynb"
    for cell in json.loads(path.read_text("utf-8"))["cells"]:
        if '"first-loop-policy"' in "".join(cell["source"]):
            return base64.b64decode("".join(cell["outputs"][0]["data"]["image/png"]))
    raise ValueError("first_loop: expected a figure first-loop-policy")


def hours():
    """Those of the three ways through the book, as its first page has them."""
    text = (toc.ROOT / "book" / "intro.md").read_text("utf-8")
    paths = re.findall(r"\{hours\}`([^`]+)`", text)
    return [chapter_cards.together(path.split()) for path in paths]


if __name__ == "__main__":
    text = BETWEEN.sub(lambda _: chapters(), README.read_text("utf-8"))
    found = iter(hours())
    README.write_text(HOURS.sub(lambda _: next(found), text), encoding="utf-8")
    PICTURE.write_bytes(picture())
