"""Links within a built site: python .ci/links.py _build/html

Each relative address of a page must lead to a file of the site, and what stands
behind its "#" to an element there.  Prints what does not, and then fails.  Nothing is
fetched: addresses of other sites are `jupyter-book build . --builder linkcheck`'s.
"""

import re
import sys
from functools import cache
from html import unescape
from pathlib import Path
from urllib.parse import unquote, urlsplit

# Scripts and comments hold text that looks like tags.
HIDDEN = re.compile(r"<!--.*?-->|(<script\b[^>]*>).*?</script>", re.DOTALL)
TAG = re.compile(r"<[a-zA-Z][^<>]*>")
LINK = re.compile(r'\s(?:href|src)="([^"]*)"')
PLACE = re.compile(r'\s(?:id|name)="([^"]*)"')


@cache
def page(path: Path) -> tuple[frozenset[str], frozenset[str]]:
    """The addresses that a page names, and the places in it."""
    text = HIDDEN.sub(r"\1", path.read_text(encoding="utf-8"))
    # <base> says from where the addresses of 404.html start on the server.
    tags = " ".join(tag for tag in TAG.findall(text) if not tag.startswith("<base "))
    return tuple(
        frozenset(map(unescape, found.findall(tags))) for found in (LINK, PLACE)
    )


def broken(site: Path) -> list[str]:
    """A line for each link that leads nowhere."""
    found = []
    for path in sorted(site.rglob("*.html")):
        if "_static" in path.relative_to(site).parts:
            continue
        for link in sorted(page(path)[0]):
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)) if parts.path else path
            if target.is_dir():
                target /= "index.html"
            place = unquote(parts.fragment)
            missing = not target.exists() or (
                place and target.suffix == ".html" and place not in page(target)[1]
            )
            if missing and link != "#":
                found.append(f"{path.relative_to(site)}: {link}")
    return found


if __name__ == "__main__":
    site = Path(sys.argv[1])
    if not (site / "index.html").exists():
        sys.exit(f"{site}: expected a built site with index.html")
    found = broken(site)
    print("\n".join(found) or "Every link within the site leads to its place.")
    sys.exit(bool(found))
