"""The cards of the landing page, and how long chapters take.

    ```{chapter-cards}
    first_loop: write the whole loop yourself
    ```

shows one card a chapter, in the parts and the order of `_toc.yml`, with the sentence
given for it and its minutes; a chapter without a line has its title alone.  The role
{hours}`first_loop gpt` is the time that the chapters named take together.

A chapter's time is an estimate: its words at 200 a minute, 5 seconds for each line of
code that is not folded (of two frameworks, one), and what it says it takes to run.
"""

import json
import re

import contents
import toc
from docutils import nodes
from docutils.parsers.rst import Directive
from docutils.statemachine import StringList

FOLDED = {"colab", "hide-cell", "hide-input", "setup", "switch", "tf"}
FENCED = re.compile(r"```.*?```", re.DOTALL)
CARDS = re.compile(r"```\{chapter-cards\}\n(.*?)\n```", re.DOTALL)
TIME = re.compile(r"Time\.\*\* About (\w+)( and a half)? (second|minute)s? on")
NUMBERS = dict(zip(("a", "one", "two", "three", "four", "five"), (1, 1, 2, 3, 4, 5)))


def minutes(path):
    """The minutes that a reader spends on a chapter."""
    words = lines = seconds = 0
    for cell in json.loads(path.read_text("utf-8"))["cells"]:
        text = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            words += len(FENCED.sub("", text).split())
            if found := TIME.search(" ".join(text.split())):
                each = 60 if found[3] == "minute" else 1
                number = float(NUMBERS.get(found[1], found[1]))
                seconds = each * (number + 0.5 * bool(found[2]))
        elif not FOLDED & set(cell["metadata"].get("tags", [])):
            lines += sum(bool(line.strip()) for line in text.splitlines())
    return words / 200 + lines * 5 / 60 + seconds / 60


def rounded(number):
    """Minutes in fives: a closer number would promise too much."""
    return max(5, 5 * round(number / 5))


def together(names):
    """The time of several chapters: hours in halves."""
    total = sum(minutes(toc.ROOT / "book" / f"{name}.ipynb") for name in names)
    return f"{max(1, round(total / 30)) / 2:g} hours"


def sentences():
    """Chapter to what the landing page says of it."""
    text = (toc.ROOT / "book" / "intro.md").read_text("utf-8")
    lines = CARDS.search(text)[1].splitlines()
    return dict(line.split(": ", 1) for line in lines if line)


def hours(name, rawtext, text, lineno, inliner, options=None, content=None):
    """The role."""
    return [nodes.Text(together(text.split()))], []


class ChapterCards(Directive):
    has_content = True

    def run(self):
        said = dict(line.split(": ", 1) for line in self.content if line)
        node = nodes.container()
        for caption, pages in toc.parts():
            chapters = [path for number, path in pages if number is not None]
            if not chapters:
                continue
            node += nodes.rubric(caption, caption)
            text = grid([(path, said.get(path.stem, "")) for path in chapters])
            self.state.nested_parse(StringList(text, "cards"), 0, node)
        return [node]


def grid(chapters):
    """Sphinx-design's cards, as lines of MyST."""
    lines = ["::::{grid} 1 2 3 3", ":gutter: 2", ""]
    for path, sentence in chapters:
        lines += [f":::{{grid-item-card}} {contents.title(path)}"]
        lines += [f":link: {path.stem}", ":link-type: doc", ""]
        time = f"{rounded(minutes(path))} minutes"
        lines += [sentence, "```{card-footer}", time, "```", ":::", ""]
    return [*lines, "::::"]


def setup(app):
    app.add_directive("chapter-cards", ChapterCards)
    app.add_role("hours", hours)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
