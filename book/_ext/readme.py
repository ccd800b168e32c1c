"""Write what of README.md the book makes: its contents and its picture.

python book/_ext/readme.py
"""

import base64
import json
import re

import contents
import toc

README = toc.ROOT / "README.md"
PICTURE = toc.ROOT / "book" / "_static" / "first_loop.png"
BETWEEN = re.compile(r"(?<=## Contents\n\n).*?(?=\n\n## Run it)", re.DOTALL)


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


if __name__ == "__main__":
    text = README.read_text("utf-8")
    README.write_text(BETWEEN.sub(lambda _: chapters(), text), encoding="utf-8")
    PICTURE.write_bytes(picture())
