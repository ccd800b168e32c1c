"""The graded exercise of the chapter on credit."""

import numpy as np

from core import returns
from pages.grader import Exercise


def _credit(rewards, values, mask):
    return returns.gae(rewards, values * mask, mask, 1.0, 0.0)


def _value_behind_the_end(rewards, values, mask):
    after = np.append(values[:, 1:], np.zeros((len(values), 1)), axis=1)
    return (rewards + after - values) * mask


def _value_of_the_same_state(rewards, values, mask):
    return (rewards - values) * mask


_whole = np.ones((2, 3))
_short = np.array([[1.0, 1.0, 0.0, 0.0], [1.0, 1.0, 1.0, 1.0], [1.0, 0.0, 0.0, 0.0]])

CREDIT = Exercise(
    "credit",
    expected=_credit,
    cases=[
        (
            np.array([[0.0, 0.0, 1.0], [0.0, 0.0, 0.0]]),
            np.array([[0.4, 0.6, 0.9], [0.4, 0.3, 0.1]]),
            _whole,
        ),
        (
            np.array([[0.0, 1.0, 0, 0], [0.5, 0, 0, -1.0], [2.0, 0, 0, 0]]),
            np.array([[0.2, 0.5, 7.0, 7.0], [1, 2, 3, 4.0], [1.5, 9.0, 9.0, 9.0]]),
            _short,
        ),
        (np.array([[1.0]]), np.array([[0.25]]), np.array([[1.0]])),
    ],
    hint="The next value is that of the next token's state, and 0 behind the end of a "
    "text, whatever `values` has there.",
    wrong=[_value_behind_the_end, _value_of_the_same_state],
)
