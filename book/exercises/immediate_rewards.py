"""The graded exercise of the chapter on immediate and terminal rewards."""

import numpy as np

from core import returns
from pages.grader import Exercise


def _return_to_go(rewards, mask, gamma):
    return returns.discounted_returns(rewards * mask, mask, gamma) * mask


def _total(rewards, mask, gamma):
    weights = gamma ** np.arange(rewards.shape[1])
    return (rewards * mask * weights).sum(axis=1, keepdims=True) * mask


def _from_the_start(rewards, mask, gamma):
    """Discounted by the place in the text, not from the token on."""
    paid = rewards * mask * gamma ** np.arange(rewards.shape[1])
    return paid[:, ::-1].cumsum(axis=1)[:, ::-1] * mask


def _paid_behind_the_end(rewards, mask, gamma):
    found, ahead = np.zeros_like(rewards), np.zeros(len(rewards))
    for t in reversed(range(rewards.shape[1])):
        ahead = rewards[:, t] + gamma * ahead
        found[:, t] = ahead
    return found * mask


RETURN_TO_GO = Exercise(
    "return_to_go",
    expected=_return_to_go,
    cases=[
        (np.array([[0.25, 0.0, 0.25, 0.25]]), np.ones((1, 4)), 1.0),
        (np.array([[1.0, 2.0, 4.0], [0.0, 0.0, 1.0]]), np.ones((2, 3)), 0.5),
        (np.array([[1.0, -1.0, 3.0]]), np.ones((1, 3)), 0.0),
        (
            np.array([[1.0, 1.0, 9.0], [2.0, 9.0, 9.0]]),
            np.array([[1.0, 1.0, 0.0], [1.0, 0.0, 0.0]]),
            0.9,
        ),
    ],
    hint="Each token's own reward counts in full, the next one times γ; behind "
    "the end there is nothing.",
    wrong=[_total, _from_the_start, _paid_behind_the_end],
)
