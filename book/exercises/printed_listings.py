"""What the answers of the chapter on the printed listings are compared with."""

import numpy as np

from pages.grader import Exercise


def _similarity(output, target):
    return sum(a == b for a, b in zip(output, target)) / len(target)


def _repaired_rewards(output, target):
    so_far = [_similarity(output[:n], target) for n in range(len(output) + 1)]
    return [b - a for a, b in zip(so_far, so_far[1:])]


def _as_printed(output, target):
    return [_similarity(output[:n], target) for n in range(1, len(output) + 1)]


def _whole_points(output, target):
    return [float(a == b) for a, b in zip(output, target)]


REPAIRED_REWARDS = Exercise(
    "repaired_rewards",
    expected=_repaired_rewards,
    cases=[
        ([3, 1, 4, 2], [3, 1, 4, 2]),
        ([3, 0, 4, 2], [3, 1, 4, 2]),
        ([0, 0], [1, 1]),
        ([5], [5]),
    ],
    hint="A token earns what it adds, once, and the target's length divides it.",
    wrong=[_as_printed, _whole_points],
)


def _greedy(q):
    return np.eye(len(q))[int(np.argmax(q))]


def _shared(q):
    best = (np.asarray(q) == np.max(q)) * 1.0
    return best


def _with_the_next(q):
    return (np.asarray(q) >= np.roll(q, -1)) * 1.0


GREEDY = Exercise(
    "greedy",
    expected=_greedy,
    cases=[([0.2, 0.7, 0.5],), ([0.7, 0.7, 0.5],), ([-1.0, -3.0],), ([0.0, 0.0, 0.0],)],
    hint="Of equally good actions only one may have the probability 1.",
    wrong=[_shared, _with_the_next],
)
