"""Exercises of the claims ledger."""

import numpy as np

from core import exact
from pages.grader import Exercise


def _beam(first, second, width):
    """With the oracle's probabilities of all texts of two tokens."""
    first, second = np.asarray(first), np.asarray(second)
    size = len(first)
    mdp = exact.TokenMDP.enumerate(size, 2, lambda text: 0.0)
    probs = exact.probabilities(mdp, np.log(np.vstack([first, second])))
    kept = np.argsort(-first, kind="stable")[:width]
    return float(probs[np.isin(mdp.completions[:, 0], kept)].max())


def _greedy(first, second, width):
    return _beam(first, second, 1)


def _best(first, second, width):
    return float((np.asarray(first)[:, None] * np.asarray(second)).max())


def _second_alone(first, second, width):
    kept = np.argsort(-np.asarray(first))[:width]
    return float(np.asarray(second)[kept].max())


_FIRST = np.array([0.4, 0.35, 0.25])
_SECOND = np.array([[0.4, 0.3, 0.3], [0.5, 0.25, 0.25], [0.9, 0.05, 0.05]])

BEAM = Exercise(
    "beam",
    expected=_beam,
    cases=[
        (_FIRST, _SECOND, 1),
        (_FIRST, _SECOND, 2),
        (_FIRST, _SECOND, 3),
        (np.array([0.6, 0.4]), np.array([[0.5, 0.5], [0.9, 0.1]]), 1),
    ],
    hint="Keep the beginnings with the largest probability, and compare whole texts at "
    "the end.",
    wrong=[_greedy, _best, _second_alone],
)
