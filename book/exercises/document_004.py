"""The graded exercises of "Document 004: GPT-2 with an instant reward"."""

from __future__ import annotations

import numpy as np

from pages.grader import Exercise


def repeats(ids, n):
    """1 where a token completes a run of n tokens that was there before."""
    seen, found = set(), np.zeros(len(ids))
    for end in range(n, len(ids) + 1):
        run = tuple(ids[end - n : end])
        found[end - 1] = float(run in seen)
        seen.add(run)
    return found


def at_the_beginning(ids, n):
    """Marks the first token of the run: nobody knows then what follows."""
    return np.append(repeats(ids, n)[n - 1 :], np.zeros(n - 1))[: len(ids)]


def at_both(ids, n):
    """Marks the first of two equal runs as well."""
    runs = [tuple(ids[i : i + n]) for i in range(len(ids) - n + 1)]
    found = np.zeros(len(ids))
    for i, run in enumerate(runs):
        found[i + n - 1] = float(runs.count(run) > 1)
    return found


def in_any_order(ids, n):
    """Takes runs of the same tokens in another order for equal."""
    seen, found = set(), np.zeros(len(ids))
    for end in range(n, len(ids) + 1):
        run = tuple(sorted(ids[end - n : end]))
        found[end - 1] = float(run in seen)
        seen.add(run)
    return found


REPEATS = Exercise(
    "repeats",
    expected=repeats,
    cases=[
        ([5, 6, 7, 5, 6, 7], 2),
        ([1, 1, 1, 1], 2),
        ([3, 4, 4, 3, 3, 4], 2),
        ([9, 8], 3),
        ([1, 2, 3, 9, 1, 2, 3], 3),
    ],
    hint="the verdict of a token depends on the tokens up to it alone, and a run is "
    "complete only with its last token",
    wrong=[at_the_beginning, at_both, in_any_order],
)
