"""The notebooks as files: executed, in order, small, and all set up alike.

Nothing is executed here; `pytest --nbval` does that and compares the outputs.
"""

import base64
import json
import re
from itertools import pairwise
from pathlib import Path

import contents
import pytest
import toc
import yaml
from checked import CALL
from markdown_it import MarkdownIt
from mdit_py_plugins.dollarmath import dollarmath_plugin

ROOT = Path(__file__).resolve().parents[1]
CHAPTERS = sorted((ROOT / "book").glob("*.ipynb"))
PARSER = MarkdownIt("commonmark").use(dollarmath_plugin)


def read(path):
    return json.loads(path.read_text("utf-8"))


def tags(cell):
    return set(cell["metadata"].get("tags", []))


def code_cells(path):
    """(place in the notebook, cell) of each code cell."""
    return [
        (f"cell {i}", c)
        for i, c in enumerate(read(path)["cells"])
        if c["cell_type"] == "code"
    ]


def source(cell):
    return "".join(cell["source"])


def images(cell):
    return [
        output["data"]["image/png"]
        for output in cell["outputs"]
        if "image/png" in output.get("data", {})
    ]


@pytest.fixture(params=CHAPTERS, ids=lambda path: path.stem)
def chapter(request):
    return request.param


def test_chapters_are_in_the_toc():
    assert sorted(toc.chapters()) == CHAPTERS


def test_names_have_no_number():
    """An address stays when a chapter is put before it."""
    assert not [path.name for path in CHAPTERS if path.name[0].isdigit()]


def test_the_contents_page():
    assert contents.PAGE.read_text("utf-8") == contents.page(), (
        "python book/_ext/contents.py writes it"
    )


def test_the_kernel(chapter):
    notebook = read(chapter)
    assert notebook["nbformat"] == 4
    assert notebook["metadata"]["kernelspec"]["name"] == "python3"
    info = notebook["metadata"]["language_info"]
    assert info == {"name": "python", "pygments_lexer": "ipython3"}, (
        "make run stores the notebook without the versions of a machine"
    )


def test_executed_in_order(chapter):
    counts = [cell["execution_count"] for _, cell in code_cells(chapter)]
    assert counts == list(range(1, len(counts) + 1))


def test_no_errors_and_nothing_on_stderr(chapter):
    for place, cell in code_cells(chapter):
        for output in cell["outputs"]:
            assert output.get("name") != "stderr", place
            if output["output_type"] == "error":
                assert "raises-exception" in tags(cell), place


def test_lines_fit(chapter):
    long = [
        (place, line)
        for place, cell in code_cells(chapter)
        for line in source(cell).splitlines()
        if len(line) > 79
    ]
    assert not long


def test_no_list_begins_within_a_paragraph(chapter):
    """A wrapped line that begins with "1." or a minus would start one."""
    for cell in read(chapter)["cells"]:
        if cell["cell_type"] != "markdown":
            continue
        blocks = [
            token
            for token in PARSER.parse(source(cell))
            if token.level == 0 and token.map
        ]
        for before, after in pairwise(blocks):
            if before.type == "paragraph_open" and "list" in after.type:
                line = source(cell).splitlines()[after.map[0]]
                assert before.map[1] < after.map[0], line


def test_small(chapter):
    assert chapter.stat().st_size < 300_000


def test_figures_have_alternative_text(chapter):
    for place, cell in code_cells(chapter):
        if images(cell):
            options = cell["metadata"].get("mystnb", {}).get("image", {})
            assert options.get("alt", "").strip(), place


def test_figures_carry_no_version_and_no_date(chapter):
    dated = [
        place
        for place, cell in code_cells(chapter)
        if any(b"matplotlib" in base64.b64decode(i) for i in images(cell))
        or "<dc:date>" in json.dumps(cell["outputs"])
    ]
    assert not dated, "pages.plots.use_style() leaves them out"


def test_outputs_name_no_machine(chapter):
    for place, cell in code_cells(chapter):
        text = json.dumps(cell["outputs"], ensure_ascii=False)
        found = re.search(r"/(home|root|work|Users|tmp)/\w+", text)
        assert not found, (place, found)


def test_outputs_are_compared(chapter):
    """What cannot be compared is rare, and a bound on it follows.

    A cell of checks is a bound itself.
    """
    cells = code_cells(chapter)
    ignored = [
        i
        for i, (_, c) in enumerate(cells)
        if "nbval-ignore-output" in tags(c) and not CALL.search(source(c))
    ]
    assert len(ignored) <= len(cells) // 5
    for i in ignored:
        following = [source(c) for _, c in cells[i + 1 : i + 2]]
        bound = any("assert" in text or CALL.search(text) for text in following)
        assert bound, cells[i][0]
    for place, cell in cells:
        assert "nbval-skip" not in tags(cell), place
        assert "NBVAL" not in source(cell), place


def colab_cell():
    """The first Python block of CONTRIBUTING.md."""
    text = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    return re.search(r"```python\n(.*?)\n```", text, re.DOTALL)[1]


def test_the_first_cell_sets_colab_up(chapter):
    cells = read(chapter)["cells"]
    assert cells[0]["cell_type"] == "markdown"
    assert source(cells[0]).startswith("# ")
    _, first = code_cells(chapter)[0]
    assert tags(first) == {"colab", "hide-cell"}
    assert source(first) == colab_cell()
    assert first["outputs"] == []


def test_the_second_cell_chooses_the_frameworks(chapter):
    """pages.frameworks skips the other framework's statements."""
    (_, switch), (_, imports) = code_cells(chapter)[1:3]
    assert tags(switch) == {"switch"}
    assert source(switch).split("  # ")[0].endswith('frameworks.use("both")')
    assert {"setup", "hide-input"} <= tags(imports)


def test_one_address_of_the_repository():
    config = yaml.safe_load((ROOT / "_config.yml").read_text("utf-8"))
    assert f"{config['repository']['url']}\n" in colab_cell()
