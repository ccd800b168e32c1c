"""Sentences that carry their check.

A cell holds what it computed to a bound, `check("name", value, low, high, ...)`, and
the sentence that rests on it ends with the role {checked}`name`: on the site a mark
that shows value, bound and what varied, and leads to the cell.
"""

from __future__ import annotations

import json
import math
import os
from dataclasses import asdict, dataclass
from pathlib import Path

MIME = "application/vnd.token-rl-book.checked+json"
# name -> the check as the book prints it; `make run` and `make checked` write it.
PRINTED = Path(__file__).parents[1] / "checked.json"


@dataclass(frozen=True)
class Check:
    """A number, the bound within which the sentence holds, and where it fails.

    Raises: ValueError for a bound without a side, one in which the sentence would be
        false, or without a word on what varied.
    """

    name: str
    value: float
    low: float | None  # None: no bound on this side
    high: float | None
    false_at: float | None  # the nearest value at which the sentence is false
    over: str  # what varied: "5 seeds", "400 test texts", "exact"

    def __post_init__(self) -> None:
        if not self.over:
            raise ValueError(f"over: expected what varied in {self.name}, got none")
        low, high = self.ends()
        if low == -math.inf and high == math.inf or not low <= high:
            raise ValueError(f"low, high: expected a bound, got {self.bound()}")
        if self.false_at is None:
            if low != high:
                raise ValueError("false_at: expected where the sentence becomes false")
        elif low <= self.false_at <= high:
            found = f"{self.false_at} in {self.bound()}"
            raise ValueError(f"false_at: expected it outside of the bound, got {found}")

    def ends(self) -> tuple[float, float]:
        low = -math.inf if self.low is None else self.low
        return low, math.inf if self.high is None else self.high

    def holds(self) -> bool:
        low, high = self.ends()
        return low <= self.value <= high

    def bound(self) -> str:
        """In words: "in [0.84, 0.9]", "at least 0.84", "exactly 3"."""
        low, high = self.ends()
        if low == high:
            return f"exactly {low:g}"
        if high == math.inf:
            return f"at least {low:g}"
        return f"at most {high:g}" if low == -math.inf else f"in [{low:g}, {high:g}]"

    def __str__(self) -> str:
        """What the mark shows."""
        false = "" if self.false_at is None else f"; false at {self.false_at:g}"
        return f"{shown(self.value)}, {self.bound()}{false}; {self.over}"

    def _repr_mimebundle_(self, **_: object) -> dict:
        stored = asdict(self) | {"value": float(shown(self.value))}
        return {"text/plain": f"{self.name}: {self}", MIME: stored}


def check(
    name: str,
    value: float,
    low: float | None = None,
    high: float | None = None,
    *,
    false_at: float | None = None,
    over: str,
) -> None:
    """Hold a number to the bound within which a sentence of the chapter is true.

    Where the environment's BOOK_CHECKS is "strict", as in the tests, a number outside
    is an error.  A reader who changed a setting sees both numbers instead.

    Args:
        name: of the check, one in the whole book; the sentence's role names it.
        value: what the cell computed.
        low, high: the bound, ends included; equal ends are an exact equality.
        false_at: the value nearest to the bound at which the sentence would be false,
            as 0 for "a is ahead of b"; it must lie outside.  Not for an equality.
        over: what varied, "5 seeds", "400 test texts", or "exact".
    Raises: ValueError for such a bound; AssertionError in the tests.
    """
    from IPython.display import display

    made = Check(name, float(value), low, high, false_at, over)
    if made.holds():
        display(made)
        return
    yours = f"{name}: expected {made.bound()}, got {shown(made.value)}"
    if os.environ.get("BOOK_CHECKS") == "strict":
        raise AssertionError(yours)
    before = printed().get(name)
    if before is None:
        print(yours)
        return
    held = f"{shown(before.value)} {before.bound()}"
    print(f"{name}: held with the printed settings: {held}; yours: {shown(made.value)}")


def printed() -> dict[str, Check]:
    """The checks of the whole book by name, as they are printed."""
    if not PRINTED.exists():
        return {}
    found = json.loads(PRINTED.read_text("utf-8"))
    return {
        name: Check(name, **entry)
        for checks in found.values()
        for name, entry in checks.items()
    }


def shown(value: float) -> str:
    """A number with three digits."""
    return f"{value:.3g}"
