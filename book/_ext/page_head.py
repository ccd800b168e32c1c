"""Below the title of a page: how long a chapter takes, and when the page changed last.

The day is git's.  Nothing is said of it where there is no git, or no whole history, as
in a downloaded archive.
"""

import subprocess
from datetime import date
from functools import cache
from pathlib import Path

import chapter_cards
import toc


def git(*arguments):
    """What git prints in the root of the book; None where there is no git."""
    try:
        done = subprocess.run(
            ["git", *arguments], cwd=toc.ROOT, capture_output=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.decode()


@cache
def changes():
    """Path of a file of the book to the day of its last change."""
    if git("rev-parse", "--is-shallow-repository", "--show-prefix") != "false\n\n":
        return {}
    found = {}
    log = git("log", "-z", "--format=%x01%cs", "--name-only") or ""
    for commit in log.split("\x01"):
        day, *files = commit.strip("\n\0").replace("\n", "\0").split("\0")
        for file in filter(None, files):
            found.setdefault(toc.ROOT / file, day)
    return found


def said(path):
    """The line, as HTML."""
    pieces = []
    if path.suffix == ".ipynb":
        minutes = chapter_cards.rounded(chapter_cards.minutes(path))
        pieces.append(f"{minutes} minutes without the exercises")
    if day := changes().get(path):
        shown = f"{date.fromisoformat(day):%d %B %Y}".lstrip("0")
        pieces.append(f'changed on <time datetime="{day}">{shown}</time>')
    line = " · ".join(pieces)
    return f'<p class="page-head">{line[:1].upper()}{line[1:]}</p>' if line else ""


def add(app, pagename, templatename, context, doctree):
    if doctree is not None:
        line = said(Path(app.env.doc2path(pagename)))
        context["body"] = context["body"].replace("</h1>", f"</h1>\n{line}", 1)


def setup(app):
    app.connect("html-page-context", add)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
