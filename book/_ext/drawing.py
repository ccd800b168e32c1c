"""What Chromium draws while the site is built, so that no page needs the script.

MathJax and mermaid are 2.2 and 2.5 MB.  They run here once, on a page of their
own, and what they drew is kept in _build/drawn by the text it was made of.
"""

import hashlib
import json
from pathlib import Path

import headless

STATIC = Path(__file__).resolve().parents[1] / "_static"
MATHJAX = STATIC / "mathjax" / "tex-svg-full.js"
MERMAID = STATIC / "mermaid" / "mermaid.tiny.js"
PAGE = """<!DOCTYPE html><meta charset="utf-8">
<script>window.MathJax = {
  startup: {typeset: false}, svg: {fontCache: "global"}, options: {enableMenu: false}
}</script>
<script src="%s"></script><script src="%s"></script><body></body>
"""


def found(env, *kinds):
    """The nodes of these kinds on all pages."""
    for page in sorted(env.found_docs):
        yield from env.get_doctree(page).findall(lambda node: isinstance(node, kinds))


def run(script, jobs, folder):
    """What the JavaScript function body `script` returns of the list `jobs`."""
    page = folder / "draw.html"
    page.write_text(PAGE % (MATHJAX.as_uri(), MERMAID.as_uri()), encoding="utf-8")
    with headless.chromium() as chrome:
        chrome.set_script_timeout(600)
        chrome.get(page.as_uri())
        drawn = chrome.execute_async_script(
            "const [jobs, done] = arguments;"
            f"(async () => {{{script}}})().then(done, e => done({{error: `${{e}}`}}))",
            jobs,
        )
    if "error" in drawn:
        raise RuntimeError(f"Chromium could not draw: {drawn['error']}")
    return drawn


class Store:
    """Drawings by the text they were made of, in a file of the build's folder."""

    def __init__(self, doctrees, name, script, *sources):
        self.script = script
        made_by = hashlib.sha256(script.encode())
        for source in sources:
            made_by.update(source.read_bytes())
        self.folder = Path(doctrees).parent / "drawn"
        self.path = self.folder / f"{name}-{made_by.hexdigest()[:16]}.json"
        self.found = (
            json.loads(self.path.read_text("utf-8")) if self.path.exists() else {}
        )

    def draw(self, texts):
        """Draw those that are new, and keep them."""
        new = sorted(set(texts) - set(self.found.get("drawn", {})))
        if not new:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        for key, value in run(self.script, new, self.folder).items():
            self.found.setdefault(key, {}).update(value)
        self.path.write_text(json.dumps(self.found), encoding="utf-8")
