"""What an exercise says to a right, a wrong and a missing answer."""

import numpy as np
import pytest

from pages.grader import Exercise, grade, same

DOUBLE = Exercise(
    "double",
    expected=lambda x: 2 * np.asarray(x),
    cases=[(1.0,), (np.array([1.0, 2.0]),)],
    hint="twice, not squared",
)


def test_right(capsys):
    grade(DOUBLE, lambda x: np.asarray(x) + x)
    assert capsys.readouterr().out == "double: right in 2 of 2 cases\n"


def test_not_written_yet(capsys, monkeypatch):
    monkeypatch.setenv("BOOK_CHECKS", "strict")
    grade(DOUBLE, lambda x: ...)
    grade(DOUBLE, lambda x: None)
    assert capsys.readouterr().out == "double: not written yet\n" * 2


@pytest.mark.parametrize(
    ("answer", "case", "came"),
    [
        (lambda x: x * x, 1, "1"),
        (lambda x: 2.0, 2, "2"),  # the second case's shape
        (lambda x: np.full(np.shape(x), np.nan), 1, "nan"),
        (lambda x: 1 / 0, 1, "ZeroDivisionError: division by zero"),
        (lambda x: "2.0", 1, "'2.0'"),
        (lambda x: True, 1, "True"),
    ],
)
def test_wrong(answer, case, came, capsys, monkeypatch):
    monkeypatch.delenv("BOOK_CHECKS", raising=False)
    grade(DOUBLE, answer)
    said = capsys.readouterr().out
    assert said.startswith(f"double: case {case} of 2 differs\n")
    assert "expected:  2" in said or "expected:  [2., 4.]" in said
    assert came in said and "hint: twice, not squared" in said
    monkeypatch.setenv("BOOK_CHECKS", "strict")
    with pytest.raises(AssertionError, match="differs"):
        grade(DOUBLE, answer)


def test_the_arguments_are_the_readers_own():
    """An answer that changes its argument does not change the next case."""
    array = np.array([1.0, 2.0])
    exercise = Exercise("total", np.sum, [(array,), (array,)], "add")

    def answer(x):
        x += 1
        return x.sum() - 2

    assert exercise.fault(answer) == ""
    assert array.tolist() == [1, 2]


@pytest.mark.parametrize(
    ("right", "came", "equal"),
    [
        ([1, "a"], [1, "a"], True),
        ([1, "a"], [1, "b"], False),
        ({"a": 1.0}, {"a": 1.0}, True),
        ({"a": 1.0}, {"a": 1.0, "b": 2.0}, False),
        ((np.ones(2), 1), (np.ones(2), 1), True),
        ((np.ones(2), np.ones(3)), (np.ones(2), np.ones(3)), True),
        ((np.ones(2), np.ones(3)), (np.ones(2), np.ones(4)), False),
        (np.ones((2, 1)), np.ones(2), False),
        (["ab", "c"], ["ab", "c"], True),
        ("1", 1, False),
        (1.0, [1.0], False),
        (float("nan"), float("nan"), True),
    ],
)
def test_same(right, came, equal):
    assert same(right, came, 1e-5, 1e-8) is equal
