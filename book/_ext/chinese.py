"""Chinese on a page says so: for the fonts, and for a voice that reads it.

Code and formulas stay as they are; printed outputs and tables do not.
"""

import re

from hover import CHINESE, marked

APART = re.compile(
    r"""
    <!--.*?-->
    | <(?P<kind>script|style|svg|code|option|textarea|title)\b.*?</(?P=kind)>
    | <(?P<math>span|div)[ ]class="math\b.*?</(?P=math)>
    | <div[ ]class="highlight-.*?</pre>
    | <[^>]*>
    """,
    re.DOTALL | re.VERBOSE,
)
PIECE = re.compile(f"{APART.pattern}|(?P<chinese>{CHINESE.pattern})", APART.flags)


def spoken(body):
    """HTML whose Chinese text is marked."""
    return PIECE.sub(lambda m: marked(m[0]) if m["chinese"] else m[0], body)


def mark(app, pagename, templatename, context, doctree):
    if doctree is not None:
        context["body"] = spoken(context["body"])


def setup(app):
    app.connect("html-page-context", mark, priority=900)  # the body is complete
    return {"parallel_read_safe": True, "parallel_write_safe": True}
