"""The whole book as one PDF, printed by Chromium from the built pages.

    python book/_ext/pdf.py SITE OUT [PAGE ...]

Each page is printed alone, its numbers going on from the page before, and pypdf binds
them: title and contents in front, numbered in Roman, an outline of parts, chapters and
sections, and links that lead within the book where their target is in it.  What is
quoted in Chinese needs a font of the machine, as in any browser (Debian has
fonts-noto-cjk).
"""

import base64
import html
import io
import os
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import headless
import toc
import yaml
from pypdf import PdfReader, PdfWriter
from pypdf.generic import Destination, Fit, NameObject, TextStringObject
from reader_notebooks import listed, site
from selenium.webdriver.support.ui import WebDriverWait
from tqdm import tqdm

# The words of a heading.
TEXT_OF = """
    const text = (heading) => {
        const copy = heading.cloneNode(true);
        for (const math of copy.querySelectorAll("mjx-container"))
            math.replaceWith(math.querySelector("mjx-assistive-mml").textContent);
        for (const extra of copy.querySelectorAll("input, .headerlink")) extra.remove();
        return copy.textContent.trim().replace(/\\s+/g, " ");
    };
"""
# All links get the address that they have on the published site; Chromium writes
# where an anchor stands only if something links to it.  Returns title and headings.
PREPARE = (
    TEXT_OF
    + """
    const [page, base] = arguments;
    dispatchEvent(new Event("beforeprint"));
    const here = location.href.slice(0, -`${page}.html`.length);
    const article = document.querySelector("article.bd-article");
    if (!article) return null;
    for (const link of article.querySelectorAll("a[href]")) {
        const url = new URL(link.getAttribute("href"), `${here}${page}.html`).href;
        if (url.startsWith(here)) link.href = base + url.slice(here.length);
    }
    // A section may begin at the foot of a sheet, and its heading on the next one.
    for (const heading of article.querySelectorAll("section[id] > :is(h1, h2, h3, h4)"))
        heading.id = `${heading.parentElement.id}--heading`;
    const anchors = document.createElement("nav");
    anchors.style.display = "none";
    for (const { id } of article.querySelectorAll("[id]")) {
        const link = anchors.appendChild(document.createElement("a"));
        link.setAttribute("href", `#${encodeURIComponent(id)}`);
    }
    document.body.append(anchors);
    const sections = [...article.querySelectorAll("section > h2, section > h3")]
        .map((heading) => [heading.tagName, text(heading), heading.parentElement.id]);
    return [text(article.querySelector("h1")), sections];
"""
)
NUMBERS = """
    @page {{
      @bottom-center {{ content: counter(page{style}); font: 8pt sans-serif; }}
      @top-left {{ content: "{head}"; font: 8pt sans-serif; color: #555; }}
    }}
    @page :first {{ @top-left {{ content: ""; }} }}
    html {{ counter-reset: page {before}; }}
"""
# A4 in inches; the cheat sheet's own style lays it on its side.
PAPER = {
    "paperWidth": 8.27,
    "paperHeight": 11.69,
    "preferCSSPageSize": True,
    "printBackground": True,
}
LEFT_OUT = (
    "<p>Code that draws figures or imports is left out here; "
    "the site and the notebooks have it.</p>"
)
FRONT = """
    body { font: 10pt/1.4 sans-serif; margin: 0; }
    h1 { break-before: page; font-size: 18pt; }
    .title { break-after: page; padding-top: 70mm; text-align: center; }
    .title b { display: block; font-size: 28pt; line-height: 1.2; }
    h2 { break-after: avoid; font-size: 11pt; margin: 1em 0 0.2em; }
    a { color: inherit; display: flex; gap: 1em; text-decoration: none; }
    a span { flex: 1; }
"""


@dataclass
class Printed:
    """A printed page of the site: its first sheet in the book, and what is where."""

    name: str
    caption: str | None  # of the part that begins with it
    title: str
    sections: list  # (level, text, anchor)
    reader: PdfReader
    first: int


class Book:
    """What of the book its pages do not say."""

    def __init__(self):
        self.base, self.title = site()
        config = yaml.safe_load((toc.ROOT / "_config.yml").read_text("utf-8"))
        self.author = config["author"]

    def pages(self, names=()):
        """The pages of these names, or all, in the book's order, each with the caption
        of the part that it begins, or None."""
        captions = {part[0][1]: caption for caption, part in toc.parts()}
        found = [(page.name, captions.get(page.path)) for page in listed()]
        known = [name for name, _ in found]
        if unknown := sorted(set(names) - set(known)):
            raise ValueError(f"expected pages of _toc.yml, got {', '.join(unknown)}")
        return [page for page in found if page[0] in (names or known)]


def settled(browser, folder, page):
    """Open a built page and wait until all of it is drawn."""
    path = folder / f"{page}.html"
    if not path.exists():
        raise FileNotFoundError(f"{path}: expected a built page; make book builds it")
    browser.get(path.resolve().as_uri())
    WebDriverWait(browser, 120).until(
        lambda b: b.execute_script(headless.DRAWN), f"{path}: not all was drawn"
    )


def sheets(browser, before=0, head="", style=""):
    """What is open in the browser as a PDF, numbered from before + 1."""
    head = head.replace("\\", "\\\\").replace('"', '\\"')
    css = NUMBERS.format(before=before, head=head, style=style)
    browser.execute_script(
        "document.head.append(Object.assign(document.createElement('style'), "
        "{textContent: arguments[0]}))",
        css,
    )
    data = browser.execute_cdp_cmd("Page.printToPDF", PAPER)["data"]
    return PdfReader(io.BytesIO(base64.b64decode(data)))


def printed(browser, folder, page, caption, base, first):
    settled(browser, folder, page)
    found = browser.execute_script(PREPARE, page, base)
    if found is None:
        raise ValueError(f"{page}: expected a page with an article")
    title, sections = found
    reader = sheets(browser, before=first, head=title)
    return Printed(page, caption, title, sections, reader, first)


def front(browser, pages, book):
    """Title page and contents, as a PDF."""
    title = f"<b>{html.escape(book.title)}</b><p>{html.escape(book.author)}</p>"
    rows = []
    for page in pages:
        if page.caption:
            rows.append(f"<h2>{html.escape(page.caption)}</h2>")
        rows.append(
            f'<a href="{book.base}{page.name}.html">'
            f"<span>{html.escape(page.title)}</span>{page.first + 1}</a>"
        )
    text = (
        f"<title>{html.escape(book.title)}</title><style>{FRONT}"
        "@page { margin: 18mm 17mm; }</style>"
        f'<div class="title">{title}<p>{date.today():%B %Y}</p><p>{book.base}</p>'
        f"{LEFT_OUT}</div>"
        f"<h1>Contents</h1>{''.join(rows)}"
    )
    browser.get("about:blank")
    browser.execute_script("document.write(arguments[0]); document.close()", text)
    return sheets(browser, style=", lower-roman")


def targets(page):
    """Each anchor of a page, and the page itself: sheet of the book and height."""
    found = {}
    for name, spot in page.reader.named_destinations.items():
        sheet = page.reader.get_destination_page_number(spot)
        found[f"{page.name}.html#{name.lstrip('/')}"] = page.first + sheet, spot.top
    for name in [name for name in found if name.endswith("--heading")]:
        found[name.removesuffix("--heading")] = found[name]
    return found | {f"{page.name}.html": (page.first, None)}


def link(writer, places, base):
    """Addresses of the published site become places of the book."""
    for sheet in writer.pages:
        for reference in sheet.get("/Annots", ()):
            note = reference.get_object()
            address = str(note.get("/A", {}).get("/URI", ""))
            place = places.get(address.removeprefix(base))
            if address.startswith(base) and place:
                number, top = place
                to = writer.pages[number].indirect_reference
                goal = Destination(address, to, Fit.xyz(top=top))
                del note["/A"]
                note[NameObject("/Dest")] = goal.dest_array


def bind(pages, cover, book):
    """One PDF of all."""
    writer = PdfWriter()
    ahead = len(cover.pages)
    for reader in [cover, *(page.reader for page in pages)]:
        writer.append(reader, import_outline=False)
    places = {}
    for page in pages:
        places |= {n: (ahead + sheet, top) for n, (sheet, top) in targets(page).items()}
    link(writer, places, book.base)
    outline(writer, pages, places)
    writer.set_page_label(0, ahead - 1, style="/r")
    writer.set_page_label(ahead, len(writer.pages) - 1, style="/D", start=1)
    writer.add_metadata({"/Title": book.title, "/Author": book.author})
    writer.root_object[NameObject("/Lang")] = TextStringObject("en")
    writer.page_mode = "/UseOutlines"
    return writer


def outline(writer, pages, places):
    """Parts, chapters, sections and what is below these."""
    above = []  # (level, item) of what the next one may belong to

    def add(level, title, sheet, top=None):
        while above and above[-1][0] >= level:
            above.pop()
        item = writer.add_outline_item(
            title=title,
            page_number=sheet,
            parent=above[-1][1] if above else None,
            fit=Fit.xyz(top=top),
            is_open=level == 0,
        )
        above.append((level, item))

    for page in pages:
        sheet, _ = places[f"{page.name}.html"]
        if page.caption:
            add(0, page.caption, sheet)
        add(1, page.title, sheet)
        for level, text, anchor in page.sections:
            place = places.get(f"{page.name}.html#{anchor}")
            if place:
                add(int(level[1]), text, *place)


@contextmanager
def replacing(out):
    """Another name to write to first: a crash leaves the file that was there."""
    part = out.with_name(out.name + ".part")
    try:
        yield part
        os.replace(part, out)
    finally:
        part.unlink(missing_ok=True)


def make(folder, out, names):
    """Print pages of the site in `folder`, in the book's order, to the file `out`."""
    book = Book()
    pages, first = [], 0
    with headless.chromium() as browser:
        for page, caption in tqdm(book.pages(names), unit="page"):
            pages.append(printed(browser, folder, page, caption, book.base, first))
            first += len(pages[-1].reader.pages)
        cover = front(browser, pages, book)
    writer = bind(pages, cover, book)
    with replacing(out) as part:
        writer.write(part)
    return f"{len(writer.pages)} sheets"


def run(make, arguments):
    """A program SITE OUT [PAGE ...] that makes a book."""
    if len(arguments) < 3:
        sys.exit(f"usage: python {arguments[0]} SITE OUT [PAGE ...]")
    folder, out, *names = arguments[1:]
    try:
        made = make(Path(folder), Path(out), names)
    except (FileNotFoundError, ValueError) as error:
        sys.exit(str(error))
    print(f"{out}: {made}, {Path(out).stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    run(make, sys.argv)
