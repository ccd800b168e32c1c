"""The graded exercises of "What changed since GPT-2"."""

from __future__ import annotations

import numpy as np

from pages.grader import Exercise


def turned(x, position, theta):
    """The numbers (K,) of a head at a position: i and i + K / 2 turn together."""
    half = len(x) // 2
    angles = position * theta ** (-2 * np.arange(half) / len(x))
    first, second = np.asarray(x[:half]), np.asarray(x[half:])
    return np.concatenate(
        [
            first * np.cos(angles) - second * np.sin(angles),
            second * np.cos(angles) + first * np.sin(angles),
        ]
    )


def neighbours(x, position, theta):
    """Pairs of neighbours, as in the paper, and not those of Llama and Qwen."""
    order = np.concatenate([np.arange(0, len(x), 2), np.arange(1, len(x), 2)])
    found = np.empty(len(x))
    found[order] = turned(np.asarray(x)[order], position, theta)
    return found


def one_speed(x, position, theta):
    """All pairs turn by one radian a token."""
    return turned(x, position, 1.0)


def backwards(x, position, theta):
    """Turned the other way: the same products, other numbers."""
    return turned(x, -position, theta)


TURN = Exercise(
    "turned",
    expected=turned,
    cases=[
        ([1.0, 0.0], 1, 10000.0),
        ([1.0, 2.0, 3.0, 4.0], 2, 100.0),
        ([0.5, -1.0, 2.0, 0.0, 1.0, -3.0], 7, 10000.0),
        ([1.0, 2.0, 3.0, 4.0], 0, 10000.0),
    ],
    hint="number i and number i + K / 2 are one pair, which turns by "
    "position · theta^(-2i / K) from the first towards the second",
    wrong=[neighbours, one_speed, backwards],
)
