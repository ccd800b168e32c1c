"""The graded exercises of "Actor–critic and generalised advantages"."""

from __future__ import annotations

import numpy as np

from core import returns
from pages.grader import Exercise


def gae(rewards, values, mask, after, gamma, lam):
    return returns.gae(rewards, values, mask, gamma, lam, bootstrap=after)


def over_padding(rewards, values, mask, after, gamma, lam):
    """Goes on behind the end of a text, as if the padding were tokens."""
    return returns.gae(rewards, values, np.ones_like(mask), gamma, lam, after)


def never_cut(rewards, values, mask, after, gamma, lam):
    """Takes every text for terminated."""
    return returns.gae(rewards, values, mask, gamma, lam)


def without_gamma(rewards, values, mask, after, gamma, lam):
    """Discounts the values, and the later errors by λ alone."""
    found, later = np.zeros_like(rewards), np.zeros(len(rewards))
    behind = np.array(after, dtype=float)
    for t in reversed(range(rewards.shape[1])):
        error = rewards[:, t] + gamma * behind - values[:, t]
        found[:, t] = later = np.where(mask[:, t], error + lam * later, 0)
        behind = np.where(mask[:, t], values[:, t], behind)
    return found


def batch(seed, lengths, width, gamma, lam, after):
    """Arguments: random rewards and values, also where the padding is."""
    rng = np.random.default_rng(seed)
    rewards, values = rng.normal(size=(2, len(lengths), width)).round(1)
    mask = (np.arange(width) < np.array(lengths)[:, None]).astype(float)
    return rewards, values, mask, np.array(after, dtype=float), gamma, lam


GAE = Exercise(
    "gae",
    expected=gae,
    cases=[
        (
            np.array([[0.0, 0, 1]]),
            np.array([[0.2, 0.5, 0.6]]),
            np.ones((1, 3)),
            np.zeros(1),
            1.0,
            0.5,
        ),
        batch(1, [4, 4], 4, 1.0, 0.95, [0, 0]),
        batch(2, [4, 2, 1], 4, 1.0, 0.9, [0, 0, 0]),
        batch(3, [3, 1], 3, 0.9, 0.8, [0.5, -0.4]),
        batch(4, [2, 3], 5, 1.0, 1.0, [0, 2.0]),
    ],
    hint="behind the last token of a text comes the value in `after`, and what "
    "stands in the padding takes no part",
    wrong=[over_padding, never_cut, without_gamma],
)
