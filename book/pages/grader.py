"""Grade a reader's function against the book's own.

A chapter's module in `exercises` holds what an answer is compared with:

    LEAVE_ONE_OUT = Exercise(
        "leave_one_out", expected=..., cases=[...], hint="...", wrong=[...])

The chapter leaves the function open and ends the cell with
`grade(LEAVE_ONE_OUT, leave_one_out)`; its folded solution does the same.
"""

from __future__ import annotations

import os
import reprlib
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Exercise:
    """What an answer is compared with.

    Attributes:
        name: of the function that the reader writes.
        expected: the right function, from `core` or the oracle.
        cases: the arguments of each call.
        hint: one sentence on what is often got wrong.
        wrong: plausible mistakes, which the tests want refused.
        rtol, atol: how far a number may lie from the right one.
    """

    name: str
    expected: Callable
    cases: Sequence[tuple]
    hint: str
    wrong: Sequence[Callable] = ()
    rtol: float = 1e-5
    atol: float = 1e-8

    def fault(self, answer: Callable) -> str | None:
        """What is wrong with an answer, "" where nothing is, None for no answer."""
        for number, case in enumerate(self.cases, 1):
            right = self.expected(*deepcopy(case))
            try:
                came = answer(*deepcopy(case))
            except Exception as error:  # the reader's own, of any kind
                said = f"{type(error).__name__}: {error}"
                return self.message(number, case, right, said)
            if came is None or came is ...:
                return None
            if not same(right, came, self.rtol, self.atol):
                return self.message(number, case, right, came)
        return ""

    def message(self, number: int, case: tuple, right: object, came: object) -> str:
        return (
            f"{self.name}: case {number} of {len(self.cases)} differs\n"
            f"  arguments: {', '.join(map(shown, case))}\n"
            f"  expected:  {shown(right)}\n"
            f"  came:      {shown(came)}\n"
            f"  hint: {self.hint}"
        )


def grade(exercise: Exercise, answer: Callable) -> None:
    """Print whether an answer is right, and where it is not, in which case.

    Where the environment's BOOK_CHECKS is "strict", as in the tests, a wrong answer
    is an error; one that returns None is not written yet.

    Raises: AssertionError in the tests.
    """
    fault = exercise.fault(answer)
    if fault is None:
        print(f"{exercise.name}: not written yet")
    elif fault:
        if os.environ.get("BOOK_CHECKS") == "strict":
            raise AssertionError(fault)
        print(fault)
    else:
        cases = len(exercise.cases)
        print(f"{exercise.name}: right in {cases} of {cases} cases")


def same(right: object, came: object, rtol: float, atol: float) -> bool:
    """Whether two values are equal: texts exactly, numbers within a tolerance.

    A NaN equals nothing but a NaN; what broadcasts is not equal.
    """
    if isinstance(right, str) or isinstance(came, str):
        return isinstance(right, str) and isinstance(came, str) and right == came
    if isinstance(right, dict):
        return (
            isinstance(came, dict)
            and right.keys() == came.keys()
            and all(same(right[k], came[k], rtol, atol) for k in right)
        )
    try:
        a, b = np.asarray(right), np.asarray(came)
    except ValueError:  # rows of several lengths, or a tensor that needs a gradient
        a = b = np.asarray(None)
    if a.dtype == object or b.dtype == object or a.dtype.kind in "US":
        return (
            isinstance(came, (list, tuple))
            and isinstance(right, (list, tuple))
            and len(right) == len(came)
            and all(same(x, y, rtol, atol) for x, y in zip(right, came))
        )
    if b.dtype.kind not in "biufc":
        return False
    return a.shape == b.shape and bool(np.allclose(a, b, rtol, atol, equal_nan=True))


def shown(value: object) -> str:
    """A value in one short line."""
    if isinstance(value, np.ndarray | np.generic):
        value = np.array2string(
            np.asarray(value), precision=4, threshold=24, separator=", "
        )
        return " ".join(value.split())
    if callable(value):
        return getattr(value, "__name__", "a function")
    if isinstance(value, str) and len(value) > 200:
        return value[:200] + "…"
    if isinstance(value, (str, bool)):
        return repr(value)
    if isinstance(value, (float, int)):
        return f"{value:.6g}"
    if isinstance(value, (list, tuple)) and len(value) <= 12:
        return "(" + ", ".join(map(shown, value)) + ")"
    return reprlib.repr(value)
