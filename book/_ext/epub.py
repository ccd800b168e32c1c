"""The whole book as an EPUB, from the built pages as Chromium has drawn them.

    python book/_ext/epub.py SITE OUT [PAGE ...]

Readers of EPUB run no scripts: formulas become the MathML that MathJax has made of
them, diagrams and interactive figures pictures, tabs follow one another, solutions
stand open at the end of a chapter, and folded code is left out, as on paper.
"""

import base64
import hashlib
import html
import re
import sys
import zipfile
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from urllib.parse import unquote
from uuid import NAMESPACE_URL, uuid5

import headless
from pdf import LEFT_OUT, TEXT_OF, Book, replacing, run, settled
from tqdm import tqdm

# What is only for a screen goes, and all that is drawn stays to be photographed.
PREPARE = """
    dispatchEvent(new Event("beforeprint"));
    const article = document.querySelector("article.bd-article");
    if (!article) return false;
    for (const extra of article.querySelectorAll("button, script, input, summary, "
        + ".headerlink, .exercises-done, .interactive-figure, details.hide"))
        extra.remove();
    for (const image of article.querySelectorAll("img")) image.style.display = "inline";
    for (const glyphs of article.querySelectorAll("svg > defs:only-child"))
        glyphs.parentElement.remove();  // the glyphs of drawn formulas
    return true;
"""
DRAWINGS = 'article :is(svg, img[src$=".svg"]):not(mjx-container svg)'
PICTURE = """
    const [drawing, png] = arguments;
    const frame = drawing.closest("pre.mermaid, .diagram") ?? drawing;
    const image = document.createElement("img");
    image.src = "data:image/png;base64," + png;
    image.alt = drawing.alt || (frame.ariaLabel
        ?? frame.closest("[aria-label]")?.ariaLabel ?? "");
    image.width = Math.round(drawing.getBoundingClientRect().width);
    frame.replaceWith(image);
"""
# Formulas without MathJax's own marks; names and ids as XML wants them.  Returns
# title, sections, pictures and the text.
SERIALISE = (
    TEXT_OF
    + """
    const [page] = arguments;
    const here = location.href.slice(0, -`${page}.html`.length);
    const article = document.querySelector("article.bd-article");
    const replace = (from, tag, properties) => {
        const node = Object.assign(document.createElement(tag), properties);
        node.append(...from.childNodes);
        from.replaceWith(node);
    };
    const title = text(article.querySelector("h1"));
    const sections = [...article.querySelectorAll("section > h2")]
        .map((heading) => [text(heading), heading.parentElement.id]);
    for (const drawn of article.querySelectorAll("mjx-container")) {
        const formula = drawn.querySelector("mjx-assistive-mml > math");
        for (const node of [formula, ...formula.querySelectorAll("*")])
            for (const { name } of [...node.attributes])
                if (/^(data-|class)/.test(name)) node.removeAttribute(name);
        drawn.replaceWith(formula);
    }
    for (const label of article.querySelectorAll("label"))
        replace(label, "p", { className: "framework" });
    for (const fold of article.querySelectorAll("details"))
        replace(fold, "div", { className: fold.className, id: fold.id });
    const ids = new Set();
    for (const node of article.querySelectorAll("[id]")) {
        if (ids.has(node.id) || !/^[A-Za-z_][\\w.-]*$/.test(node.id))
            node.removeAttribute("id");
        ids.add(node.id);
    }
    for (const node of article.querySelectorAll("*"))
        for (const { name } of [...node.attributes])
            if (/^(data-|border$|v?align$)/.test(name)) node.removeAttribute(name);
    for (const link of article.querySelectorAll("a[href]")) {
        const { href } = new URL(link.getAttribute("href"), `${here}${page}.html`);
        link.setAttribute("href", href.startsWith(here)
            ? "site:" + href.slice(here.length) : href);
    }
    const pictures = [...article.querySelectorAll("img")].map((image) => {
        const url = image.src.startsWith("data:") ? image.src
            : image.src.slice(here.length);
        image.setAttribute("src", `picture:${url}`);
        return url;
    });
    return [title, sections, pictures, new XMLSerializer().serializeToString(article)];
"""
)
STYLE = """
    pre { font-size: 0.75em; overflow-wrap: anywhere; white-space: pre-wrap; }
    div.highlight pre { background: #f3f4f5; border-left: 2px solid #008000;
      padding: 0.5em; }
    div.cell_output div.highlight pre { border-left-color: #999; }
    a.checked { font-size: 0.7em; text-decoration: none; vertical-align: super; }
    code { font-size: 0.9em; overflow-wrap: anywhere; }
    img { max-width: 100%; }
    table { border-collapse: collapse; font-size: 0.8em; }
    td, th { border-bottom: 1px solid #ccc; padding: 0.2em 0.4em; text-align: left; }
    td p { margin: 0; }
    .framework { font-weight: bold; }
    figcaption { font-size: 0.9em; }
    .eqno { float: right; }
"""
DOCUMENT = """<?xml version="1.0" encoding="utf-8"?>
<!DOCTYPE html>
<html xmlns="http://www.w3.org/1999/xhtml" xmlns:epub="http://www.idpf.org/2007/ops"
 lang="en" xml:lang="en"><head><title>{title}</title>
<link rel="stylesheet" type="text/css" href="book.css"/></head>
<body>{body}</body></html>
"""
PACKAGE = """<?xml version="1.0" encoding="utf-8"?>
<package xmlns="http://www.idpf.org/2007/opf" version="3.0" unique-identifier="id">
<metadata xmlns:dc="http://purl.org/dc/elements/1.1/">
<dc:identifier id="id">urn:uuid:{id}</dc:identifier><dc:title>{title}</dc:title>
<dc:language>en</dc:language><dc:creator>{author}</dc:creator>
<dc:source>{base}</dc:source><meta property="dcterms:modified">{now}</meta>
</metadata><manifest>{manifest}</manifest><spine>{spine}</spine></package>
"""
CONTAINER = """<?xml version="1.0" encoding="utf-8"?>
<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container" version="1.0">
<rootfiles><rootfile full-path="book/package.opf"
 media-type="application/oebps-package+xml"/></rootfiles></container>
"""
TYPES = {
    ".css": "text/css",
    ".gif": "image/gif",
    ".jpg": "image/jpeg",
    ".png": "image/png",
    ".xhtml": "application/xhtml+xml",
}


@dataclass
class Chapter:
    name: str
    caption: str | None
    title: str
    sections: list  # (text, anchor)
    text: str
    pictures: dict = field(default_factory=dict)  # name in the book to bytes

    @property
    def file(self):
        return self.name.replace("/", "_") + ".xhtml"


def drawn(browser, folder, page, caption):
    """A page of the site as XHTML, with its pictures."""
    settled(browser, folder, page)
    if not browser.execute_script(PREPARE):
        raise ValueError(f"{page}: expected a page with an article")
    for drawing in browser.find_elements("css selector", DRAWINGS):
        browser.execute_script(PICTURE, drawing, drawing.screenshot_as_base64)
    title, sections, addresses, text = browser.execute_script(SERIALISE, page)
    chapter = Chapter(page, caption, title, sections, text)
    for address in addresses:
        if address.startswith("data:"):
            kind, data = address.split(";base64,")
            suffix = "." + kind.rpartition("/")[2]
            content = base64.b64decode(data)
        else:
            path = folder / unquote(address)
            suffix, content = path.suffix, path.read_bytes()
        name = hashlib.sha256(content).hexdigest()[:16] + suffix
        chapter.pictures[name] = content
        shown = html.escape(f"picture:{address}")
        chapter.text = chapter.text.replace(f'"{shown}"', f'"{name}"')
    return chapter


def linked(chapter, ids, base):
    """The text with links to files of the book, or to the site where it has none.

    `ids` has the anchors of each page.
    """

    def address(match):
        file, _, anchor = html.unescape(match[1]).partition("#")
        name, anchor = file.removesuffix(".html"), unquote(anchor)
        if name not in ids:
            return f'href="{base}{match[1]}"'
        to = name.replace("/", "_") + ".xhtml"
        return f'href="{to}#{anchor}"' if anchor in ids[name] else f'href="{to}"'

    return re.sub(r'href="site:([^"]*)"', address, chapter.text)


def contents(chapters):
    """The navigation: parts, chapters, sections."""
    items = []
    for chapter in chapters:
        inner = "".join(
            f'<li><a href="{chapter.file}#{anchor}">{html.escape(text)}</a></li>'
            for text, anchor in chapter.sections
            if f'id="{anchor}"' in chapter.text
        )
        inner = f"<ol>{inner}</ol>" if inner else ""
        entry = f'<li><a href="{chapter.file}">{html.escape(chapter.title)}</a>{inner}'
        if chapter.caption or not items:
            items.append((chapter.caption, []))
        items[-1][1].append(f"{entry}</li>")
    lines = "".join(
        f"<li><span>{html.escape(caption)}</span><ol>{''.join(entries)}</ol></li>"
        if caption
        else "".join(entries)
        for caption, entries in items
    )
    return f'<nav epub:type="toc"><h1>Contents</h1><ol>{lines}</ol></nav>'


def files(chapters, book, folder):
    """What is in the book beside its package: name to content."""
    rules = (folder / "_static" / "pygments.css").read_text("utf-8").splitlines()
    light = 'html[data-theme="light"] '
    colours = "\n".join(r.replace(light, "") for r in rules if r.startswith(light))
    title = (
        f"<h1>{html.escape(book.title)}</h1><p>{html.escape(book.author)}</p>"
        f'<p><a href="{book.base}">{book.base}</a></p>{LEFT_OUT}'
    )
    found = {
        "book.css": colours + STYLE,
        "title.xhtml": DOCUMENT.format(title=html.escape(book.title), body=title),
        "nav.xhtml": DOCUMENT.format(title="Contents", body=contents(chapters)),
    }
    ids = {c.name: set(re.findall(r'\bid="([^"]+)"', c.text)) for c in chapters}
    for chapter in chapters:
        body = linked(chapter, ids, book.base)
        name = html.escape(chapter.title)
        found[chapter.file] = DOCUMENT.format(title=name, body=body)
        found |= chapter.pictures
    return found


def package(found, book):
    """The list of files, and the order of the texts."""
    manifest, spine = [], []
    for name, content in found.items():
        properties = 'properties="nav"' if name == "nav.xhtml" else ""
        if isinstance(content, str) and "<math " in content:
            properties = 'properties="mathml"'
        manifest.append(
            f'<item id="f-{name}" href="{name}" '
            f'media-type="{TYPES[Path(name).suffix]}" {properties}/>'
        )
        if name.endswith(".xhtml"):
            spine.append(f'<itemref idref="f-{name}"/>')
    return PACKAGE.format(
        id=uuid5(NAMESPACE_URL, book.base),
        title=html.escape(book.title),
        author=html.escape(book.author),
        base=book.base,
        now=f"{datetime.now(timezone.utc):%Y-%m-%dT%H:%M:%SZ}",
        manifest="".join(manifest),
        spine="".join(spine),
    )


def make(folder, out, names):
    """Write pages of the site in `folder`, in the book's order, to the file `out`."""
    book = Book()
    with headless.chromium() as browser:
        # What is photographed must fit the window.
        size = {"width": 800, "height": 2400, "deviceScaleFactor": 2, "mobile": False}
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        chapters = [
            drawn(browser, folder, page, caption)
            for page, caption in tqdm(book.pages(names), unit="page")
        ]
    found = files(chapters, book, folder)
    with replacing(out) as part, zipfile.ZipFile(part, "w") as archive:
        archive.writestr("mimetype", "application/epub+zip", zipfile.ZIP_STORED)
        archive.writestr("META-INF/container.xml", CONTAINER, zipfile.ZIP_DEFLATED)
        for name, content in {"package.opf": package(found, book), **found}.items():
            archive.writestr(f"book/{name}", content, zipfile.ZIP_DEFLATED)
    return f"{len(chapters)} pages"


if __name__ == "__main__":
    run(make, sys.argv)
