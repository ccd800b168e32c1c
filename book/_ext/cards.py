"""The picture that others show beside a link: the title of a chapter, and its gain.

Pages that are no chapters share the card of the landing page.
"""

import textwrap
from html import escape
from io import BytesIO
from pathlib import Path

import chapter_cards
import reader_notebooks
from markupsafe import Markup
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from PIL import Image
from published import DESCRIPTION

FOLDER = "_images/cards"
WIDTH, HEIGHT = 1200, 630  # what the networks show without cutting
BLUE, DARK, GREY = "#0072B2", "#1f2328", "#57606a"


def drawn(book, title, said, address):
    """The card as an image of 32 colours."""
    figure = Figure((WIDTH / 100, HEIGHT / 100), dpi=100, facecolor="white")
    texts = [(0.88, 22, GREY, 70, book), (0.76, 44, DARK, 32, title)]
    texts += [(0.38, 25, DARK, 58, said), (0.13, 19, BLUE, 80, address)]
    for y, size, colour, columns, text in texts:
        shown = textwrap.fill(text, columns)
        place = {"va": "top", "linespacing": 1.3, "parse_math": False}
        figure.text(0.06, y, shown, fontsize=size, color=colour, **place)
    figure.add_artist(Rectangle((0, 0), 1, 0.03, color=BLUE))
    with BytesIO() as file:
        figure.savefig(file)
        return Image.open(file).convert("RGB").quantize(32)


def add(app, pagename, templatename, context, doctree):
    """Draw the card of a page, and say its address to Open Graph."""
    if doctree is None or app.builder.name != "html":
        return
    site, book = reader_notebooks.site()
    address = site.partition("//")[2]
    name = pagename.removeprefix("book/")
    title = Markup(context["title"]).striptags()
    card = None
    if said := chapter_cards.sentences().get(name):
        card = drawn(book, title, said, address)
    elif pagename == app.config.root_doc:
        card = drawn("", title, DESCRIPTION, address)
    else:
        name = Path(app.config.root_doc).name
    if card:
        path = Path(app.outdir) / FOLDER / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        card.save(path)
    tags = {"og:image": f"{site}{FOLDER}/{name}.png", "og:image:alt": escape(title)}
    tags |= {"og:image:width": str(WIDTH), "og:image:height": str(HEIGHT)}
    context["meta"] = {**(context["meta"] or {}), **tags}


def setup(app):
    app.connect("html-page-context", add, priority=400)  # before Open Graph
    return {"parallel_read_safe": True, "parallel_write_safe": True}
