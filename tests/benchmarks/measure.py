"""How the benchmarks measure: sides in turn, medians, an entry for each.

An entry is a dict: what was measured ("what" and the keys beside it), every
round of ours and, where there is another side, every round of theirs, the
number drawn from the medians, its target and whether it was reached.
"""

from __future__ import annotations

import json
import statistics
import time

ROUNDS = 5
THREADS = 2
# "speed": theirs / ours; "share": ours / theirs; "value": ours alone.
KINDS = ("speed", "share", "value")


def alternate(sides, rounds=ROUNDS, warm_up=1):
    """Time functions in turn, so that a busy machine is busy for all.

    Args:
        sides: dict, name to function of the round.
        rounds: how many are kept.
        warm_up: rounds before them: compilation, allocation.
    Returns: dict, name to seconds of each round.
    """
    seconds = {name: [] for name in sides}
    for i in range(warm_up + rounds):
        for name, run in sides.items():
            start = time.perf_counter()
            run(i)
            seconds[name].append(time.perf_counter() - start)
    return {name: kept[warm_up:] for name, kept in seconds.items()}


def entry(kind, ours, theirs=None, target=None, unit="s", **about):
    """One measurement for results.json.

    Args:
        kind: one of KINDS.
        ours, theirs: numbers of each round, in `unit`; lower is better.
        target: the least "speed", or the greatest "share" or "value".
        about: what was measured, under "what", and its settings.
    Raises: ValueError for another kind, or fewer than three rounds.
    """
    if kind not in KINDS:
        raise ValueError(f"kind: expected one of {KINDS}, got {kind!r}")
    for name, side in (("ours", ours), ("theirs", theirs)):
        if side is not None and len(side) < 3:
            raise ValueError(f"{name}: expected at least three rounds")
    ours = [round(x, 6) for x in ours]
    theirs = theirs and [round(x, 6) for x in theirs]
    number = drawn(kind, ours, theirs)
    reached = None
    if target is not None:
        reached = number >= target if kind == "speed" else number <= target
    return {
        **about,
        "kind": kind,
        "unit": unit,
        "ours": ours,
        "theirs": theirs,
        "number": number,
        "target": target,
        "reached": reached,
    }


def drawn(kind, ours, theirs):
    """The number of an entry: a ratio of medians, or a median."""
    if kind == "value":
        return statistics.median(ours)
    ratio = statistics.median(theirs) / statistics.median(ours)
    return ratio if kind == "speed" else 1 / ratio


def report(entries):
    """Print entries as the last line, where `run` reads them."""
    print(json.dumps(entries), flush=True)
