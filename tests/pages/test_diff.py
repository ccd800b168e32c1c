"""A listing beside its repair: every change has a reason."""

import numpy as np
import pytest

from core import exact
from pages import diff

PRINTED = """import numpy as np
import pandas

# 奖励
def reward(text):
    score = np.mean([...])
    return score

print(reward("a < b"))
"""
REPAIRED = """import numpy as np

def reward(text):
    score = np.mean([len(text)])
    return score

print(reward("a < b"))
print("end")
"""
REASONS = {2: "`pandas` is not used", 6: "read the text", 10: "one line more"}


def test_blocks_in_turn():
    found = diff.blocks(PRINTED.splitlines(), REPAIRED.splitlines())
    assert found[0] == (0, 1, 0, 1)
    assert [block[0] + 1 for block in found] == [1, 2, 5, 6, 7, 10]
    assert found[-1] == (9, 9, 7, 8)


def test_every_line_is_shown_once():
    shown = diff.side_by_side(PRINTED, REPAIRED, REASONS)
    added = [line[6:] for line in repr(shown).splitlines() if line[0] == "+"]
    assert added == ["", "    score = np.mean([len(text)])", 'print("end")']
    text = repr(shown)
    for n, line in enumerate(PRINTED.splitlines(), 1):
        assert f"{n:3} {line}".rstrip() in text
    for reason in REASONS.values():
        assert text.count(f"# {reason}") == 1


def test_html():
    text = diff.side_by_side(PRINTED, REPAIRED, REASONS)._repr_html_()
    assert "a &lt; b" in text and "a < b" not in text
    assert "<code>pandas</code> is not used" in text
    assert "flex-wrap:wrap" in text and "pre-wrap" in text
    assert text.count("<div") == text.count("</div>")
    assert text.count("<pre") == text.count("</pre>")
    assert "color:#" not in text  # the page's own, light or dark


@pytest.mark.parametrize("line", REASONS)
def test_a_missing_reason(line):
    fewer = {n: reason for n, reason in REASONS.items() if n != line}
    for reasons in (fewer, fewer | {line: ""}):
        with pytest.raises(ValueError, match=f"^reasons: expected one .* line {line}$"):
            diff.side_by_side(PRINTED, REPAIRED, reasons)


@pytest.mark.parametrize("name", ["printed", "repaired"])
@pytest.mark.parametrize("code", [None, 1, b"x", ["x"], "def f(:", "'\ud800'"])
def test_what_is_no_program(name, code):
    programs = {"printed": PRINTED, "repaired": REPAIRED, name: code}
    with pytest.raises(ValueError, match=f"^{name}: "):
        diff.side_by_side(**programs, reasons=REASONS)


@pytest.mark.parametrize("reasons", [None, ["why"], "why", {2: 1}, {2: "\ud800"}])
def test_what_is_no_reason(reasons):
    with pytest.raises(ValueError, match="^reasons: expected"):
        diff.side_by_side(PRINTED, REPAIRED, reasons)


def test_a_reason_is_no_markup_but_its_names():
    reasons = REASONS | {2: r"`a_b` <b> costs $5 or $6 \(x\)"}
    text = diff.side_by_side(PRINTED, REPAIRED, reasons)._repr_html_()
    assert (
        "<code>a_b</code> &lt;b&gt; costs <span>&#36;</span>5 or <span>&#36;</span>6 "
        "<span>&#92;</span>(x<span>&#92;</span>)</div>" in text
    )


@pytest.mark.parametrize("line", [1, 3, 4, 5, 99])
def test_an_unused_reason(line):
    with pytest.raises(ValueError, match=f"^reasons: expected none for line {line}:"):
        diff.side_by_side(PRINTED, REPAIRED, REASONS | {line: "why"})


def test_comments_and_docstrings_need_no_reason():
    printed = 'def f(x):\n    """说明"""\n    # 注释\n    return x\n'
    repaired = "def f(x):\n\n    return x  # the same\n"
    with pytest.raises(ValueError, match="line 2"):
        diff.side_by_side(printed, repaired, {})
    assert diff.side_by_side(printed, "def f(x):\n    return x\n", {})
    assert diff.side_by_side(printed, printed, {}).blocks == [(0, 4, 0, 4)]


def test_a_program_without_docstrings():
    code = diff.program(exact.log_softmax, exact.kl)
    assert code.startswith("def log_softmax(logits):\n    logits = ")
    assert '"""' not in code and "\ndef kl(" in code
    assert compile(code, "program", "exec")
    with pytest.raises(ValueError, match="objects: expected a function"):
        diff.program(np.mean)


def test_types_are_left_out():
    code = (
        "def f(x: dict[str, int], y: float = 0.5, *, z=1) -> tuple[int, str]:\n"
        "    text: str = '好'\n"
        "    return x, y\n"
        "\n"
        "def g(\n"
        "    x: int, y\n"
        ") -> None:\n"
        "    pass\n"
    )
    assert diff.without_types(code) == (
        "def f(x, y=0.5, *, z=1):\n"
        "    text: str = '好'\n"
        "    return x, y\n"
        "\n"
        "def g(\n"
        "    x, y\n"
        "):\n"
        "    pass\n"
    )
