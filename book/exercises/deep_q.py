"""The graded exercise of the chapter on deep Q-learning."""

import numpy as np

from core import returns
from pages.grader import Exercise


def _double_targets(rewards, q, old, mask, terminated, gamma):
    after = returns.state_values(old, chooser=q)
    return returns.td_targets(rewards, after, mask, gamma, terminated) * mask


def _ends(mask, terminated):
    last = np.cumsum(mask, axis=1) == mask.sum(axis=1, keepdims=True)
    return last & terminated[:, None]


def _single(rewards, q, old, mask, terminated, gamma):
    after = np.where(_ends(mask, terminated), 0.0, old.max(axis=-1))
    return (rewards + gamma * after) * mask


def _swapped(rewards, q, old, mask, terminated, gamma):
    return _double_targets(rewards, old, q, mask, terminated, gamma)


def _value_behind_the_end(rewards, q, old, mask, terminated, gamma):
    return (rewards + gamma * returns.state_values(old, chooser=q)) * mask


def _cut_off_is_over(rewards, q, old, mask, terminated, gamma):
    return _double_targets(rewards, q, old, mask, np.ones_like(terminated), gamma)


_rng = np.random.default_rng(0)
_q, _old = _rng.normal(size=(2, 3, 4, 5)).round(2)
_short = np.array([[1.0, 1, 1, 1], [1, 1, 0, 0], [1, 1, 1, 1]])

DOUBLE_TARGETS = Exercise(
    "double_targets",
    expected=_double_targets,
    cases=[
        (
            np.array([[0.0, 1.0, 2.0]]),
            np.array(
                [[[0.1, 0.3, 0.8, 0.7], [1.0, 0.0, 0.2, 0.4], [9.0, 9.0, 9.0, 9.5]]]
            ),
            np.array(
                [[[0.2, 0.1, 0.5, 0.9], [1.5, 0.3, 0.0, 0.2], [9.0, 9.0, 9.0, 9.0]]]
            ),
            np.ones((1, 3)),
            np.array([True]),
            1.0,
        ),
        (
            _rng.normal(size=(3, 4)).round(2) * _short,
            _q,
            _old,
            _short,
            np.array([True, True, False]),
            0.9,
        ),
    ],
    hint="The argmax is of q, the value of old; it is 0 after the last token of a text "
    "that has ended, and not of one that was cut off.",
    wrong=[_single, _swapped, _value_behind_the_end, _cut_off_is_over],
)
