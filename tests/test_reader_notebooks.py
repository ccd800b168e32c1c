"""The notebooks for readers: plain Markdown, and the code of the chapters.

What is compared with the built site stands in test_site_readers.py.
"""

import json
import re

import nbformat
import pytest
import reader_notebooks
import toc
from nbconvert.filters.markdown import markdown2html

CHAPTERS = {path.stem: path for path in toc.chapters()}
# Of the site, by hand.
NUMBERS = {
    "eq-first-softmax": "(1.1)",
    "eq-notation-logprob": "(1)",
    "eq-notation-shaping": "(9)",
    "eq-gae-delta": "(22.1)",
    "eq-gae-error": "(22.3)",
    "eq-kl-objective": "(26.1)",
    "fig-why-making": "Fig. 1",
    "fig-documents-003": "Fig. 3",
    "fig-gpt": "Fig. 13.1",
    "fig-gpt-attention": "Fig. 13.5",
}
APART = re.compile(  # code and formulas, in which anything may stand
    r"<pre.*?</pre>|<code.*?</code>|\$\$.*?\$\$|\$[^$]+\$|\\\[.*?\\\]|\\\(.*?\\\)",
    re.DOTALL,
)
MYST = re.compile(r"\{[a-z:]+\}`|\{[a-z:]+\}<|[`:]{3}\{|\([\w:-]+\)=|\]\(|\*\*\[")
LINK = re.compile(r"\]\(([^\s()]+)")


@pytest.fixture(scope="module")
def book():
    return reader_notebooks.Book()


@pytest.fixture(scope="module")
def written(book, tmp_path_factory):
    folder = tmp_path_factory.mktemp("readers")
    book.write(folder)
    return {path.stem: json.loads(path.read_text("utf-8")) for path in folder.iterdir()}


def prose(notebook):
    return [
        "".join(cell["source"])
        for cell in notebook["cells"]
        if cell["cell_type"] == "markdown"
    ]


def code(notebook):
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]


def source(name):
    return json.loads(CHAPTERS[name].read_text("utf-8"))


def test_one_for_each_chapter(written):
    assert set(written) == set(CHAPTERS)


@pytest.mark.parametrize("name", CHAPTERS)
def test_no_myst_is_left(written, name):
    """Nor a link or a bold word that is not rendered as one."""
    for text in prose(written[name]):
        shown = APART.sub("", markdown2html(text))
        assert not MYST.search(shown), (MYST.search(shown)[0], text)


@pytest.mark.parametrize("name", CHAPTERS)
def test_code_and_outputs_are_those_of_the_chapter(written, name):
    theirs, ours = code(source(name)), code(written[name])
    assert [c["source"] for c in ours] == [c["source"] for c in theirs]
    assert [c["execution_count"] for c in ours] == [
        c["execution_count"] for c in theirs
    ]
    kept = [
        [o for o in cell["outputs"] if '<script type="application/json"' not in str(o)]
        for cell in theirs
    ]
    assert [c["outputs"] for c in ours] == kept


@pytest.mark.parametrize("name", CHAPTERS)
def test_what_is_folded_stays_folded(written, name):
    assert written[name]["metadata"] == source(name)["metadata"]
    for cell in code(written[name]):
        hidden = "source_hidden" in cell["metadata"].get("jupyter", {})
        assert hidden == (cell["metadata"].get("cellView") == "form")
    heads = [c for c in written[name]["cells"] if c["source"] == ["#### Solution"]]
    assert all(c["metadata"]["jp-MarkdownHeadingCollapsed"] for c in heads)
    folded = written[name]["metadata"].get("colab", {}).get("collapsed_sections", [])
    assert [c["metadata"]["id"] for c in heads] == folded


@pytest.mark.parametrize("name", CHAPTERS)
def test_a_valid_notebook(written, name):
    nbformat.validate(written[name])


def test_numbers(book):
    assert {label: book.labels[label].text for label in NUMBERS} == NUMBERS


def test_each_label_of_an_equation_is_a_tag(book, written):
    for name, notebook in written.items():
        tags = re.findall(r"\\tag\{([\d.]+)\}", "\n".join(prose(notebook)))
        labels = book.pages[f"book/{name}"].equations
        assert [f"({tag})" for tag in tags] == [book.labels[x].text for x in labels]


def test_each_numbered_figure_has_its_caption(book, written):
    for name, notebook in written.items():
        text = "\n".join(prose(notebook))
        for label in book.pages[f"book/{name}"].figures:
            assert f"**[{book.labels[label].text}](" in text


def test_links_lead_to_pages_of_the_book(book, written):
    found = [
        link
        for notebook in written.values()
        for text in prose(notebook)
        for link in LINK.findall(text)
    ]
    ours = [link.removeprefix(book.site) for link in found if book.site in link]
    assert len(ours) > 2000
    pages = {f"{name}.html" for name in book.pages}
    assert {link.partition("#")[0] for link in ours} <= pages
    rest = [link for link in found if book.site not in link]
    assert all(link.startswith("https://") for link in rest)


def config(folder, base):
    (folder / "_config.yml").write_text(
        f"title: T\nhtml: {{baseurl: '{base}'}}\n"
        "repository: {url: https://github.com/someone/a-fork}\n",
        "utf-8",
    )


@pytest.mark.parametrize(
    "base, address",
    [
        ("", "https://someone.github.io/a-fork/"),
        ("https://book.example/rl", "https://book.example/rl/"),
    ],
)
def test_the_address_of_the_site(monkeypatch, tmp_path, base, address):
    config(tmp_path, base)
    monkeypatch.setattr(toc, "ROOT", tmp_path)
    assert reader_notebooks.site() == (address, "T")


@pytest.mark.parametrize(
    "myst, plain",
    [
        ("{term}`policies <policy>`", "[policies](S/glossary.html#term-policy)"),
        ("{term}`large\nlanguage model`", "[large\nlanguage model](S/glossary.html"),
        ("{doc}`ppo`", "(chapter 23)](S/ppo.html)"),
        ("{doc}`that <ppo>`", "[that](S/ppo.html)"),
        ("{doc}`notation`", "[Notation"),
        (
            "{eq}`eq-gae-delta`",
            "[(22.1)](S/actor_critic_gae.html#equation-eq-gae-delta)",
        ),
        ("{numref}`fig-gpt`", "[Fig. 13.1](S/gpt.html#fig-gpt)"),
        ("{ref}`x <sec-004-late>`", "[x](S/document_004.html#sec-004-late)"),
        ("{cite:t}`williams1992`", "[Williams (1992)](S/bibliography.html)"),
        ("{cite:p}`williams1992`", "([Williams, 1992](S/bibliography.html))"),
        ("so\n{checked}`gae-end-paid`.", "so\N{NO-BREAK SPACE}[✓](S/actor_critic_gae"),
        ("[b](ppo.ipynb)", "[b](S/ppo.html)"),
        ("[b](sec-004-late)", "[b](S/document_004.html#sec-004-late)"),
        ("[b](https://a.b/c)", "[b](https://a.b/c)"),
        ("a `{term}` and ``{eq}`x` ``", "a `{term}` and ``{eq}`x` ``"),
        ("```python\n{doc}`x`\n```", "```python\n{doc}`x`\n```"),
        ("(sec-a)=\n## A", "## A"),
        (
            "```{math}\na \\\\ b\n```",
            "$$\n\\begin{aligned}\na \\\\ b\n\\end{aligned}\n$$",
        ),
        ("$$a$$ (eq-gae-delta)", "$$\na \\tag{22.1}\n$$"),
        (
            "  ```{math}\n  :label: eq-gae-delta\n  a\n  ```",
            "  $$\n  a \\tag{22.1}\n  $$",
        ),
        (":::{note}\n{doc}`z <ppo>`\n:::", "> **Note**\n>\n> [z](S/ppo.html)"),
        ("```{admonition} So\n:class: tip\nIt is.\n```", "> **So**\n>\n> It is."),
    ],
)
def test_a_piece(book, myst, plain):
    said = book.markdown(myst, "book/gpt")
    assert plain in said.replace(f"{book.site}book", "S")


@pytest.mark.parametrize("myst", ["{download}`x`", "{term}`no such`", "{eq}`eq-none`"])
def test_what_is_not_known_is_an_error(book, myst):
    with pytest.raises((ValueError, KeyError)):
        book.markdown(myst, "book/gpt")


def test_an_interactive_figure_is_a_link(book, written):
    text = "\n".join(prose(written["ppo"]))
    assert "this figure has controls" in text
    assert not re.search("<script", json.dumps(written))
