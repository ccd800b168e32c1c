"""The source that a chapter shows is the source that runs."""

import functools
import inspect
import os
import re
import subprocess
import sys
import textwrap
from html.parser import HTMLParser
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import nbformat
import numpy as np
import pytest
from IPython.display import Markdown
from markdown_it import MarkdownIt
from mdit_py_plugins.dollarmath import dollarmath_plugin

from core import checks, exact
from pages import show
from tests.conftest import ROOT

# Texts that a page must show as they are.
NASTY = [
    "a*b*c",
    "**a** * b",
    "a**b** a***b*** *a*, (*a*) J*, *a *\n*a*\n * a* *",
    "_a_ __b__ a_b a_ _*a*_ *_a_*",
    "`a` ``b`` `",
    "~~a~~ ~b~",
    "[a](http://b) ![a](b) [a][b] [^1] [a]: b [a]{.b}",
    "http://a.b https://a.b www.a.b a@b.c <http://a.b> <a@b.c>",
    "<b>a</b> <!-- a --> <script>alert(1)</script>",
    "&amp; &lt; &#42; & a",
    "a | b \\| c \\\\| d |",
    "\\ \\* \\\\ \\n",
    "costs $5 or $6",
    "$$a$$ $a$ \\$a\\$",
    "\\(a\\) \\[a\\] \\begin{align}a\\end{align} \\\\(a\\\\) \\ref{a}",
    "@@0@@ ~D ~T",
    "{abbr}`a` {{a}} % a +++ :a: ::: (a)=",
    "# a",
    "- a",
    "1. a",
    "> a",
    "---",
    "a\nb\n\nc",
    "\na\n",
    "a\tb",
    "  a  b  ",
    " ",
    "\u00a0a\u3000",
    "\u202eabc\u202c \u2066a",
    "\u200ba\u200d\ufeff\u2060",
    "\u05d0\u05d1 abc \u0627",
    "\u4f60\u597d \U0001f468\u200d\U0001f469",
    "'a' \"b\" a -- b ... (c)",
    "",
]
PARSERS = {
    "commonmark": MarkdownIt("commonmark").enable(["table", "strikethrough"]),
    "linked": MarkdownIt("gfm-like").use(dollarmath_plugin),
}


class Page(HTMLParser):
    """The cells of a page's table, and the texts between two tags."""

    def __init__(self, source):
        super().__init__()
        self.cells, self.rows, self.strings, self.tags = [], 0, [], set()
        self.inside = False
        self.feed(source)

    def handle_starttag(self, tag, attributes):
        self.tags.add(tag)
        if tag in ("td", "th"):
            self.cells.append("")
            self.inside = True
        self.rows += tag == "tr"

    def handle_endtag(self, tag):
        self.inside &= tag not in ("td", "th")

    def handle_data(self, text):
        self.strings.append(text)
        if self.inside:
            self.cells[-1] += text


def test_a_function_is_shown_whole_with_its_file():
    text = show.markdown(exact.objective)
    expected = inspect.getsource(exact.objective).rstrip()
    assert text == f"`core/exact.py`\n\n```python\n{expected}\n```\n"


def test_two_runs_show_the_same():
    assert show.markdown(exact.kl) == show.markdown(exact.kl)


def test_several_objects_classes_and_methods():
    text = show.markdown(exact.TokenMDP.enumerate, exact.kl)
    assert text.count("```python") == 2
    assert "\n@classmethod\ndef enumerate(" in text
    assert "class TokenMDP" in show.markdown(exact.TokenMDP)


def test_a_module_is_shown():
    assert show.source_text(show).startswith('"""Show in a chapter')


def test_without_docstrings():
    code = show.without_docstrings(inspect.getsource(exact.log_softmax))
    assert '"""' not in code
    assert code.startswith("def log_softmax(logits):\n    logits = ")
    lines = inspect.getsource(exact.log_softmax).splitlines()
    assert code.splitlines()[1:] == lines[2:]


def test_comments_and_strings_stay_without_docstrings():
    code = (
        "class A:\n"
        '    """Documentation."""\n'
        "\n"
        "    # why\n"
        "    def f(self):\n"
        '        """Two\n'
        '        lines."""\n'
        '        return """text"""\n'
        "\n"
        "    def g(self):\n"
        '        """Nothing else."""\n'
    )
    assert show.without_docstrings(code) == (
        "class A:\n"
        "    # why\n"
        "    def f(self):\n"
        '        return """text"""\n'
        "\n"
        "    def g(self):\n"
        '        """Nothing else."""\n'
    )


def test_the_shown_code_runs_and_is_the_same_function():
    code = show.without_docstrings(inspect.getsource(exact.log_softmax))
    namespace = {"np": np, "checks": checks}
    exec(code, namespace)
    x = np.array([[1.0, 2.0, 3.0]])
    shown = namespace["log_softmax"](x)
    assert (shown == exact.log_softmax(x)).all()


def test_decorated_functions_show_what_is_inside():
    cached = functools.lru_cache(exact.kl)
    assert show.markdown(cached) == show.markdown(exact.kl)

    class Compiled:  # the attribute that tf.function sets
        python_function = staticmethod(exact.kl)

    assert show.markdown(Compiled()) == show.markdown(exact.kl)


@pytest.mark.parametrize("obj", [np.mean, len, 3, "text"])
def test_what_is_defined_elsewhere_is_refused(obj):
    with pytest.raises(ValueError, match="objects: expected a function"):
        show.markdown(obj)


def test_what_stands_beside_core_is_shown_with_its_path(tmp_path, monkeypatch):
    path = tmp_path / "beside" / "lesson.py"
    path.parent.mkdir()
    path.write_text("def double(x):\n    return 2 * x\n", encoding="utf-8")
    spec = spec_from_file_location("lesson", path)
    lesson = module_from_spec(spec)
    spec.loader.exec_module(lesson)
    monkeypatch.setattr(show, "ROOT", tmp_path.resolve())
    assert show.markdown(lesson.double) == textwrap.dedent("""\
        `beside/lesson.py`

        ```python
        def double(x):
            return 2 * x
        ```
        """)


def test_what_is_installed_below_the_root_is_refused(monkeypatch):
    """A virtual environment may lie there; core may lie in one itself."""
    packages = Path(np.__file__).resolve().parents[1]
    assert packages.name == "site-packages"
    for root in (packages, packages.parent):
        monkeypatch.setattr(show, "ROOT", root)
        with pytest.raises(ValueError, match="objects: expected a function"):
            show.markdown(np.mean)


def test_nothing_to_show_is_refused():
    with pytest.raises(ValueError, match="objects"):
        show.markdown()


def test_source_displays_markdown(monkeypatch):
    shown = []
    monkeypatch.setattr("IPython.display.display", shown.append)
    assert show.source(exact.kl, docstring=False) is None
    assert shown[0].data == show.markdown(exact.kl, docstring=False)


def test_a_fence_is_longer_than_those_of_the_code(tmp_path, monkeypatch):
    path = tmp_path / "lesson.py"
    code = 'def f():\n    """Run\n\n````\nf()\n````\n    """\n'
    path.write_text(code, encoding="utf-8")
    spec = spec_from_file_location("lesson", path)
    lesson = module_from_spec(spec)
    spec.loader.exec_module(lesson)
    monkeypatch.setattr(show, "ROOT", tmp_path.resolve())
    fences = [t for t in PARSERS["commonmark"].parse(show.markdown(lesson.f))]
    assert [t.content for t in fences if t.type == "fence"] == [code]


def test_table():
    text = show.markdown_table(["a|b", "x"], [[1, 0.12345], ["<eos>", np.float64(2)]])
    assert text.splitlines() == [
        "| a&#124;b | x |",
        "| --- | --- |",
        "| 1 | 0.123 |",
        "| &lt;eos> | 2.000 |",
    ]
    with pytest.raises(ValueError, match="rows: expected 2 entries"):
        show.markdown_table(["a", "b"], [[1]])


@pytest.mark.parametrize("text", NASTY)
@pytest.mark.parametrize("parser", PARSERS)
def test_a_cell_shows_the_text_itself(parser, text):
    source = show.markdown_table([text, "h"], [[text, "x"], ["y", text]])
    page = Page(PARSERS[parser].render(source))
    assert page.cells == [text, "h", text, "x", "y", text]
    assert page.rows == 3
    table = {"table", "thead", "tbody", "tr", "th", "td"}
    assert page.tags <= table | {"span"}


@pytest.mark.parametrize("text", NASTY)
def test_mathjax_finds_no_formula_in_a_cell(text):
    """It searches the finished page, but not across two elements."""
    page = Page(PARSERS["commonmark"].render(show.markdown_table([text], [[text]])))
    for string in page.strings:
        assert len(string) == 1 or not set("$\\") & set(string)


@pytest.mark.parametrize("text", NASTY)
def test_jupyterlab_finds_no_formula_in_the_source(text):
    """It takes these out before the Markdown is read."""
    marks = r"\$|\\\\[()\[\]]|\\(?:begin|end)\{|@@\d+@@"
    assert not re.search(marks, show.markdown_table([text], [[text]]))


def displayed(monkeypatch, *arguments):
    """What `table` hands to the notebook."""
    shown = []
    monkeypatch.setattr("IPython.display.display", lambda x, raw=False: shown.append(x))
    show.table(*arguments)
    return shown[0]


def test_a_table_is_displayed_as_markdown(monkeypatch):
    table = displayed(monkeypatch, ["a b"], [["c\u00a0d"]])
    assert table.data == show.markdown_table(["a b"], [["c\u00a0d"]])


def test_markup_is_never_shown_as_text(monkeypatch):
    rows = ([Markdown("`a`"), text] for text in ("a  b", "c"))
    table = displayed(monkeypatch, ["h", "i"], rows)
    assert table.data.splitlines()[2] == "| `a` | a &#32;b |"


@pytest.mark.parametrize("text", ["a  b", "a\nb", "a\tb", " a", "a "])
def test_a_table_with_such_spaces_is_html_too(monkeypatch, text):
    """JupyterLab joins the spaces of a Markdown table, but not these."""
    table = displayed(monkeypatch, [text], [[text], ["$1 <b>"]])
    assert table["text/markdown"] == show.markdown_table([text], [[text], ["$1 <b>"]])
    page = Page(table["text/html"])
    assert page.cells == [text, text, "$1 <b>"]
    assert table["text/html"].count("white-space:pre-wrap") == 3


def test_the_site_shows_the_text_itself(tmp_path):
    """Sphinx with the book's extension: the page, and the output of a cell."""
    source = show.markdown_table(["h"], [[text] for text in NASTY])
    language = {"name": "python", "pygments_lexer": "ipython3"}
    notebook = nbformat.v4.new_notebook(metadata={"language_info": language})
    output = nbformat.v4.new_output("display_data", {"text/markdown": source})
    notebook.cells = [
        nbformat.v4.new_markdown_cell(f"# Title\n\n{source}\n"),
        nbformat.v4.new_code_cell("table", outputs=[output]),
    ]
    nbformat.write(notebook, tmp_path / "index.ipynb")
    extensions = ["dollarmath", "amsmath", "attrs_inline", "colon_fence", "tasklist"]
    (tmp_path / "conf.py").write_text(
        "extensions = ['myst_nb', 'results_table']\n"
        "nb_execution_mode = 'off'\n"
        "nb_render_markdown_format = 'gfm'\n"
        f"myst_enable_extensions = {extensions}\n",
        encoding="utf-8",
    )
    folders = os.pathsep.join(map(str, (ROOT, ROOT / "book", ROOT / "book/_ext")))
    subprocess.run(
        [sys.executable, "-m", "sphinx", "-q", "-W", tmp_path, tmp_path / "site"],
        env=os.environ | {"PYTHONPATH": folders},
        check=True,
        timeout=120,
    )
    page = (tmp_path / "site" / "index.html").read_text(encoding="utf-8")
    assert Page(page).cells == 2 * ["h", *NASTY]


@pytest.mark.parametrize(
    "text",
    [
        "+0.25 *",
        "test_all_texts",
        "E[A], [-1.0, 0.0], P(a)",
        "0.878\u00a0±\u00a00.014",
        "KL(π‖π_ref)",
    ],
)
def test_what_is_no_markup_stays_as_it_is(text):
    """The stored outputs of the chapters hold such cells."""
    assert show.table_cell(text) == text


@pytest.mark.parametrize(
    "value, text",
    [
        (1 / 3, "0.333"),
        (np.float16(1 / 3), "0.333"),
        (np.float32(1 / 3), "0.333"),
        (np.float64(1 / 3), "0.333"),
        (np.longdouble(1) / 3, "0.333"),
        (np.float32("nan"), "nan"),
        (-np.inf, "-inf"),
        (np.int64(3), "3"),
        (np.bool_(True), "True"),
        (None, "None"),
    ],
)
def test_numbers_in_cells(value, text):
    assert show.table_cell(value) == text


@pytest.mark.parametrize("control", ["\0", "\r", "\x0b", "\x1b", "\x85", "\u2028"])
def test_what_a_page_would_drop_is_written_out(control):
    source = show.markdown_table(["h"], [[f"a{control}b"]])
    cells = Page(PARSERS["commonmark"].render(source)).cells
    assert cells[1].strip() == f"a{repr(control)[1:-1]}b"


def test_an_object_with_its_own_markdown_is_markup():
    source = show.markdown_table(["h"], [[Markdown("[a](b.md)")]])
    assert '<a href="b.md">a</a>' in PARSERS["commonmark"].render(source)


@pytest.mark.parametrize(
    "header, rows, message",
    [
        (["a"], [["\ud800"]], "rows: expected no lone surrogate, got"),
        (["\udfff"], [], "header: expected no lone surrogate, got"),
        ([], [], "header: expected at least one column"),
        ("ab", [[1, 2]], "header: expected a list, got 'ab'"),
        (None, [], "header: expected a list"),
        (["a", "b"], ["cd"], "rows: expected a list, got 'cd'"),
        (["a"], [1], "rows: expected a list"),
        (["a"], {"b": 1}, "rows: expected a list, got {'b': 1}"),
        (["a"], [{"b": 1}], "rows: expected a list, got {'b': 1}"),
        (["a"], [{"b"}], "rows: expected a list, got {'b'}"),
        (["a"], None, "rows: expected a list"),
        (["a"], [[1, 2]], r"rows: expected 1 entries, got \[1, 2\]"),
    ],
)
def test_bad_tables(header, rows, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        show.markdown_table(header, rows)


def test_rows_may_come_one_by_one():
    rows = ((name, 1) for name in "ab")
    assert show.markdown_table(["h", "i"], rows).splitlines()[2:] == [
        "| a | 1 |",
        "| b | 1 |",
    ]
