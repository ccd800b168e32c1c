"""The buttons of a chapter lead to its notebook for readers (reader_notebooks.py).

The site carries them as files; Colab opens those on a branch of the repository, which
the workflow `pages` fills.
"""

from pathlib import Path

import reader_notebooks

FOLDER = BRANCH = "notebooks"


def lead(app, pagename, templatename, context, doctree):
    """Other pages have no file to download: their Markdown is MyST."""
    path = Path(app.env.doc2path(pagename))
    for group in context.get("header_buttons", ()):  # a theme without has none
        if group.get("label") == "launch-buttons":
            for button in group["buttons"]:
                before = button["url"].partition("/blob/")[0]
                button["url"] = f"{before}/blob/{BRANCH}/{path.name}"
        if group.get("label") == "download-buttons":
            source = "download-source-button"
            [button] = [b for b in group["buttons"] if b["label"] == source]
            if path.suffix == ".ipynb":
                button["url"] = context["pathto"](f"{FOLDER}/{path.name}", 1)
                button["tooltip"] = "Download the notebook"
            else:
                group["buttons"].remove(button)


def write(app, error):
    if not error and app.builder.name == "html":
        reader_notebooks.Book().write(Path(app.outdir) / FOLDER)


def setup(app):
    app.connect("html-page-context", lead, priority=600)  # the theme made them
    app.connect("build-finished", write)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
