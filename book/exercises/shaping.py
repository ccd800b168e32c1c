"""What the answers of the chapter on shaping are compared with."""

import numpy as np

from core import rewards
from pages.grader import Exercise

PHI = np.array([[0.1, 0.3, 0.2, 0.9], [0.5, 1.0, 0.4, 0.7]])
WHOLE = np.ones((2, 3))
SHORT = np.array([[1.0, 1.0, 1.0], [1.0, 0.0, 0.0]])


def _without_gamma(phi, mask, gamma):
    return rewards.potential_shaping(phi, mask, 1.0)


def _with_the_end(phi, mask, gamma):
    return (gamma * phi[:, 1:] - phi[:, :-1]) * mask


POTENTIAL_SHAPING = Exercise(
    "potential_shaping",
    expected=rewards.potential_shaping,
    cases=[
        (PHI, WHOLE, 0.9),
        (PHI, SHORT, 0.9),
        (PHI, WHOLE, 0.0),
        (PHI[:1, :2], np.ones((1, 1)), 1.0),
    ],
    hint="After the last token of each text the potential is 0, not what phi holds.",
    wrong=[_without_gamma, _with_the_end],
)


def _undiscounted(paid, gamma):
    return np.cumsum(paid[:, ::-1], axis=1)[:, ::-1]


def _discounted_from_the_start(paid, gamma):
    return _undiscounted(paid * gamma ** np.arange(paid.shape[1]), gamma)


def _to_go(paid, gamma):
    ahead = np.arange(paid.shape[1])
    weights = np.triu(gamma ** abs(ahead - ahead[:, None]))
    return paid @ weights.T


PAID = np.array([[0.0, 0.0, 1.0], [1.0, -2.0, 0.0]])
TO_GO = Exercise(
    "return_to_go",
    expected=_to_go,
    cases=[(PAID, 1.0), (PAID, 0.9), (PAID, 0.0), (PAID[:, :1], 0.5)],
    hint="The reward of the token itself is not discounted, at whatever place it is.",
    wrong=[_undiscounted, _discounted_from_the_start],
)
