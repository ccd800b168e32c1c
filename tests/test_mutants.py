"""The small mistakes that `make mutants` makes: where, and in both halves at once."""

import subprocess
import sys

import pytest

from tests.mutants import make


def test_the_same_mistake_is_made_in_both_halves():
    """½ of the squares once more and once less, and so the least count of tokens."""
    found = [
        mutant
        for mutant in make.mutants()
        if mutant.module == "core/*/losses.py"
        and mutant.function == "value_loss"
        and mutant.operator == "NumberReplacer"
        and mutant.literal in ("0.5", "1")
    ]
    assert [(m.literal, m.number, m.file) for m in found] == [
        (literal, number, "core/*/losses.py")
        for literal in ("0.5", "1")
        for number in (0, 1)
    ]
    for mutant, wanted in zip(found, ("1.5", "-0.5", "2", "0")):
        for path, text in mutant.texts().items():
            old = make.source(path).splitlines()
            [changed] = [x for x, y in zip(text.splitlines(), old) if x != y]
            assert f" {wanted}" in changed


def test_what_changes_no_number_is_left_out(tmp_path, monkeypatch):
    text = """
    def f(x: int | None, *, n: int = 3) -> int | None:
        y: int | None = x + n
        require(x, f"x: expected {n + 1}")
        return list(zip(x, y, strict=True))
    """
    (tmp_path / "f.py").write_text(text.replace("\n    ", "\n"), "utf-8")
    monkeypatch.setattr(make, "ROOT", tmp_path)
    found = make.places("f.py")
    assert {key: len(column) for key, column in found.items()} == {
        ("f", "ReplaceBinaryOperator_Add_Sub", ""): 1,
        ("f", "ReplaceBinaryOperator_Add_Mul", ""): 1,
        ("f", "NumberReplacer", "3"): 2,
    }


def test_each_survivor_has_a_reason_and_a_line():
    """The line as it stands: who edits it looks at the mutant again."""
    for row, reason in make.survivors():
        assert reason.split(":")[0] in ("equivalent", "tolerance", "other"), row
        for half in make.HALVES[:1]:
            text = make.source(row["file"].replace("*", half))
            assert row["was"] in " ".join(text.split()), row


@pytest.mark.skipif(sys.platform != "linux", reason="a mutant is a fork")
def test_fifty_mutants_are_killed():
    """Always the same ones; `make mutants` makes all."""
    command = [sys.executable, "-m", "tests.mutants.run", "--sample", "50"]
    done = subprocess.run(command, cwd=make.ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr[-2000:]
    assert "100.0% of 50 mutants killed" in done.stdout
