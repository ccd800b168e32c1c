"""Exercises of the chapter on text generation."""

import numpy as np

from pages.grader import Exercise


def _reward(logprobs, fits):
    likely = np.maximum(0, 1 + np.maximum(logprobs, -1e9) / 10)
    return 0.5 * likely + 0.5 * np.asarray(fits)


def _not_cut(logprobs, fits):
    return 0.5 * (1 + np.maximum(logprobs, -1e9) / 10) + 0.5 * np.asarray(fits)


def _probability(logprobs, fits):
    return 0.5 * np.exp(logprobs) + 0.5 * np.asarray(fits)


INSTANT_REWARD = Exercise(
    "instant_reward",
    expected=_reward,
    cases=[
        (np.log([[0.5, 0.9, 0.01]]), np.array([[1.0, 1.0, 0.0]])),
        (np.array([[0.0, -10.0, -12.0]]), np.array([[1.0, 0.0, 1.0]])),
        (np.array([[-np.inf, -2.0]]), np.array([[0.0, 1.0]])),
    ],
    hint="Coherence is cut off at 0, so that a token of ten nats or more, or one that "
    "cannot be, has none and does not become a fine.",
    wrong=[_not_cut, _probability],
)


def _pairs(text):
    words = text.split()
    return set(zip(words, words[1:], strict=False))


def _novelty(texts):
    found = [_pairs(text) for text in texts]
    shares = []
    for i, one in enumerate(found):
        others = set().union(*found[:i], *found[i + 1 :])
        shares.append(len(one - others) / len(one) if one else 0.0)
    return shares


def _with_itself(texts):
    found = [_pairs(text) for text in texts]
    others = set().union(*found)
    return [len(one - others) / len(one) if one else 0.0 for one in found]


def _within(texts):
    """distinct-2 of each text alone."""
    shares = []
    for text in texts:
        words = text.split()
        shares.append(len(_pairs(text)) / max(len(words) - 1, 1))
    return shares


NOVELTY = Exercise(
    "novelty",
    expected=_novelty,
    cases=[
        (["the cat sat down", "the dog sat down", "a bird sang"],),
        (["the cat sat", "the cat sat"],),
        (["the cat sat", "", "cat"],),
        (["it was it was it was"],),
        (["the cat sat on the mat", "on the mat the cat sat"],),
    ],
    hint="Compare a text with the others only, not with itself, and give a text "
    "without a pair of words 0.",
    wrong=[_with_itself, _within],
)
