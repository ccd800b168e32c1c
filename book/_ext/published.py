"""What those need who find the book: addresses, descriptions, robots, llms.txt, 404.

Everything follows from the address of the site, which follows from that of the
repository in `_config.yml` (reader_notebooks.site).
"""

import html
import textwrap
from pathlib import Path
from urllib.parse import urlsplit

import chapter_cards
import contents
import reader_notebooks
import toc
from docutils import nodes
from page_head import changes

INDEX = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<meta name="description" content="{description}">
<link rel="canonical" href="{site}{first}">
<meta http-equiv="refresh" content="0; url={first}">
</head>
<body><p><a href="{first}">{title}</a></p></body>
</html>
"""
DESCRIPTION = (
    "Reinforcement learning of language models, token by token: exact on small "
    "examples, in PyTorch and TensorFlow, every chapter an executed notebook."
)
MISSING = """<h1>Page not found</h1>
<p>There is no page at this address. Chapters are named by their topic, so a page
that was moved is found by the <a href="search.html">search</a>, or from the
<a href="{first}">first page</a>.</p>
"""


def configure(app, config):
    address, config.ogp_site_name = reader_notebooks.site()
    config.html_baseurl = config.ogp_site_url = address
    # What is published beside the pages, as {published}`PDF <book.pdf>`.
    config.extlinks = {"published": (f"{address}%s", "%s")}


def first(app):
    return app.builder.get_target_uri(app.config.root_doc)


def description(app, page, doctree):
    """A chapter's sentence on the landing page, or how the text of a page begins."""
    if page == app.config.root_doc:
        return DESCRIPTION
    said = chapter_cards.sentences().get(page.removeprefix("book/"))
    begins = doctree.next_node(nodes.paragraph)
    if said is None and begins is not None:
        said = textwrap.shorten(begins.astext(), 200, placeholder=" …")
    return said


def describe(app, pagename, templatename, context, doctree):
    if doctree is None:
        return
    if said := description(app, pagename, doctree):
        said = html.escape(said)
        context["metatags"] += f'<meta name="description" content="{said}" />\n'
        context["meta"] = {**(context["meta"] or {}), "og:description": said}


def missing_page(app):
    if app.builder.name == "html":
        body = MISSING.format(first=first(app))
        yield "404", {"title": "Page not found", "body": body}, "page.html"


def sitemap(app):
    days = changes()
    lines = ['<?xml version="1.0" encoding="utf-8"?>']
    lines.append('<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">')
    for page in sorted(app.env.found_docs):
        address = app.config.html_baseurl + app.builder.get_target_uri(page)
        day = days.get(Path(app.env.doc2path(page)))
        last = f"<lastmod>{day}</lastmod>" if day else ""
        lines.append(f"<url><loc>{address}</loc>{last}</url>")
    return "\n".join([*lines, "</urlset>", ""])


def llms():
    """The contents for language models: https://llmstxt.org."""
    site, title = reader_notebooks.site()
    said = chapter_cards.sentences()
    lines = [f"# {title}", "", f"> {DESCRIPTION}", ""]
    lines += [
        "Each chapter is also a notebook in plain Markdown with its outputs: "
        f"{site}notebooks/CHAPTER.ipynb for {site}book/CHAPTER.html."
    ]
    for caption, pages in toc.parts():
        lines += ["", f"## {caption}", ""]
        for number, path in pages:
            name = f"{number}. " * bool(number) + contents.title(path)
            about = f": {said[path.stem]}" if path.stem in said else ""
            lines.append(f"- [{name}]({site}book/{path.stem}.html){about}")
    return "\n".join([*lines, ""])


def write(app, error):
    if error or app.builder.name != "html":
        return
    site, title = reader_notebooks.site()
    names = {"title": title, "description": DESCRIPTION, "site": site}
    texts = {
        "index.html": INDEX.format(first=first(app), **names),
        "robots.txt": f"User-agent: *\nAllow: /\n\nSitemap: {site}sitemap.xml\n",
        "sitemap.xml": sitemap(app),
        "llms.txt": llms(),
    }
    for name, text in texts.items():
        (Path(app.outdir) / name).write_text(text, encoding="utf-8")
    # The server shows it at any address: its links start from the site's root.
    page = Path(app.outdir) / "404.html"
    text = page.read_text("utf-8").replace('href="#', 'href="404.html#')
    base = f'<head>\n<base href="{urlsplit(site).path}" />'
    page.write_text(text.replace("<head>", base, 1), encoding="utf-8")


def setup(app):
    app.connect("config-inited", configure)
    app.connect("html-page-context", describe, priority=400)  # before Open Graph
    app.connect("html-collect-pages", missing_page)
    app.connect("build-finished", write, priority=600)  # index.html is there
    return {"parallel_read_safe": True, "parallel_write_safe": True}
