"""Exercises of the chapter of all values and preferences."""

import numpy as np

from core import returns
from pages.grader import Exercise


def _double(rewards, q, target, mask, gamma, terminated):
    after = returns.state_values(target[:, 1:], chooser=q[:, 1:])
    return returns.td_targets(rewards, after, mask, gamma, terminated)


def _single(rewards, q, target, mask, gamma, terminated):
    after = target[:, 1:].max(axis=-1)
    return returns.td_targets(rewards, after, mask, gamma, terminated)


def _own(rewards, q, target, mask, gamma, terminated):
    after = q[:, 1:].max(axis=-1)
    return returns.td_targets(rewards, after, mask, gamma, terminated)


def _never_over(rewards, q, target, mask, gamma, terminated):
    return _double(rewards, q, target, mask, gamma, np.zeros(len(mask), bool))


def _values(seed, shape=(2, 4, 3)):
    return np.random.default_rng(seed).normal(size=shape)


_REWARDS = np.array([[0.0, 0.5, 1.0], [1.0, 0.0, 0.0]])
_MASK = np.array([[1.0, 1, 1], [1, 1, 0]])

DOUBLE_TARGETS = Exercise(
    "double_targets",
    expected=_double,
    cases=[
        (_REWARDS, _values(0), _values(1), _MASK, 1.0, np.array([True, True])),
        (_REWARDS, _values(2), _values(3), _MASK, 0.9, np.array([False, True])),
        (_REWARDS, _values(4), _values(4), _MASK, 0.5, np.array([True, False])),
        (_REWARDS, _values(5), _values(6), _MASK, 0.0, np.array([True, True])),
    ],
    hint="The network chooses the next token and the target network values it; nothing "
    "follows the last token of a text that has ended.",
    wrong=[_single, _own, _never_over],
)
