"""The graded exercise of the chapter on reward hacking."""

from itertools import product

import numpy as np

from pages.grader import Exercise


def _best_of_n(probs, scores, n):
    """By all tuples of n draws; of equal scores the first drawn wins."""
    found = np.zeros(len(probs))
    for draws in product(range(len(probs)), repeat=n):
        best = draws[int(np.argmax([scores[k] for k in draws]))]
        found[best] += np.prod([probs[k] for k in draws])
    return found


def _without_ties(probs, scores, n):
    at_most = (scores[None] <= scores[:, None]) @ probs
    return at_most**n - (at_most - probs) ** n


def _power(probs, scores, n):
    weights = probs**n
    return weights / weights.sum()


def _density(probs, scores, n):
    """What holds where every text is rare: n F^(n-1) times its probability."""
    at_most = (scores[None] <= scores[:, None]) @ probs
    return n * probs * at_most ** (n - 1)


BEST_OF_N = Exercise(
    "best_of_n",
    expected=_best_of_n,
    cases=[
        (np.array([0.5, 0.3, 0.2]), np.array([0.0, 1.0, 2.0]), 2),
        (np.array([0.5, 0.3, 0.2]), np.array([2.0, 1.0, 2.0]), 3),
        (np.array([0.1, 0.2, 0.3, 0.4]), np.array([1.0, 1.0, -1.0, 1.0]), 4),
        (np.array([0.7, 0.3]), np.array([5.0, 4.0]), 1),
    ],
    hint="All n draws are at or below the level with probability Fⁿ, all below it with "
    "(F⁻)ⁿ; texts of one level share the difference by their own probabilities.",
    wrong=[_without_ties, _power, _density],
)
