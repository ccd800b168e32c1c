"""Exercises of the chapter on personal rewards."""

import numpy as np

from core import rewards
from pages.grader import Exercise


def _worst(detail, brief, weight):
    return np.maximum(weight * (1 - detail), (1 - weight) * (1 - brief))


def _shortfall(detail, brief, weight):
    detail, brief = np.asarray(detail), np.asarray(brief)
    potential = -_worst(detail, brief, weight)[None]
    mask = np.ones((1, len(detail) - 1))
    return rewards.potential_difference(potential, mask)[0]


def _all_at_once(detail, brief, weight):
    return -_worst(np.asarray(detail), np.asarray(brief), weight)[1:]


def _weighted_sum(detail, brief, weight):
    return weight * np.diff(detail) + (1 - weight) * np.diff(brief)


def _largest_of_steps(detail, brief, weight):
    return np.maximum(weight * np.diff(detail), (1 - weight) * np.diff(brief))


SHORTFALL_REWARDS = Exercise(
    "shortfall_rewards",
    expected=_shortfall,
    cases=[
        (np.array([0, 0, 0.48]), np.array([1, 0.9, 0.8]), 0.5),
        (np.array([0, 0.48, 0.72, 0.86]), np.array([1, 0.8, 0.6, 0.5]), 0.4),
        (np.array([0, 0.2]), np.array([1.0, 0.5]), 0.0),
        (np.array([0.3, 0.3, 0.3]), np.array([1, 1, 1.0]), 0.7),
    ],
    hint="Take the larger shortfall of each beginning, the empty one included, and "
    "pay its change: the largest of two changes is something else. The brevity is "
    "taken as it comes.",
    wrong=[_all_at_once, _weighted_sum, _largest_of_steps],
)
