"""Mend in the finished pages what the theme has no setting for.

Every page would load Font Awesome's script (1.5 MB), though a web font draws the
icons, and the index of the search (0.6 MB), which only the page of the results
reads.  Some parts of the frame have no name, or one that hides what they say, for
those who listen to a page.  In tables a long name may be broken at its dots.
"""

import re
from pathlib import Path

ICONS = r"\s*<script [^>]*/scripts/fontawesome\.js[^>]*></script>"
SEARCH = (
    r'\s*<script src="[^"]*/?(?:searchtools|language_data|searchindex)\.js[^>]*>'
    "</script>"
)
MENDED = [
    (ICONS, ""),
    (
        r'(<div id="pst-primary-sidebar") (?=class)',
        r'\1 role="complementary" aria-label="Book" ',
    ),
    # The title of the entry that it opens.
    (r"(<a [^>]*>([^<]*)</a><details[^>]*>)<summary>", r'\1<summary aria-label="\2">'),
    # Where nothing stands above a column, nothing is its head.
    (r'<th class="(head[^"]*)"><p></p></th>', r'<td class="\1"></td>'),
    # What is to be read on these is their name.
    (r'(<summary) aria-label="Toggle hidden content"', r"\1"),
    (r'(<button class="btn search-button-field[^>]*) aria-label="Search"', r"\1"),
]
CELL = re.compile(r"<td\b.*?</td>", re.DOTALL)
NAME = re.compile(r'(?<=<span class="pre">)[^<]+')
JOINT = re.compile(r"(?<=[\w)][.(=])(?=\w)")


def jointed(cell):
    """The HTML of a table's cell, where a long name may be broken at its dots."""
    return NAME.sub(lambda name: JOINT.sub("<wbr>", name[0]), cell)


def mend(app, error):
    if error or app.builder.name != "html":
        return
    for path in Path(app.outdir).rglob("*.html"):
        page = mended = path.read_text("utf-8")
        for found, put in (
            MENDED if path.name == "search.html" else [*MENDED, (SEARCH, "")]
        ):
            mended = re.sub(found, put, mended)
        mended = CELL.sub(lambda cell: jointed(cell[0]), mended)
        if mended != page:
            path.write_text(mended, encoding="utf-8")


def setup(app):
    app.connect("build-finished", mend)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
