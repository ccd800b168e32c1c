"""What the answers of the chapter on rewards are compared with."""

import numpy as np

from core import rewards
from pages.grader import Exercise


def _word_recall(completions, target, **columns):
    found = []
    for completion, text in zip(completions, target, strict=True):
        words = set(text.split())
        found.append(sum(w in completion.split() for w in words) / len(words))
    return found


def _with_repetition(completions, target, **columns):
    return [
        sum(w in t.split() for w in c.split()) / len(t.split())
        for c, t in zip(completions, target, strict=True)
    ]


def _within_words(completions, target, **columns):
    return [
        sum(w in c for w in set(t.split())) / len(set(t.split()))
        for c, t in zip(completions, target, strict=True)
    ]


WORD_RECALL = Exercise(
    "word_recall",
    expected=_word_recall,
    cases=[
        (["the cat sat"], ["the cat sat"]),
        (["the the the", "", "sat cat"], ["the cat sat"] * 3),
        (["concatenate"], ["cat"]),
        (["the cat", "the"], ["the cat and the dog", "the the"]),
    ],
    hint="A word counts once, however often it stands in either text.",
    wrong=[_with_repetition, _within_words],
)


def _unmasked(phi, mask):
    return phi[:, 1:] - phi[:, :-1]


def _so_far(phi, mask):
    return phi[:, 1:] * mask


def _shifted(phi, mask):
    return (phi[:, :-1] - phi[:, 1:]) * mask


PHI = np.array([[0.1, 0.3, 0.2, 0.9], [0.5, 1.0, 0.0, 0.0]])
IMMEDIATE = Exercise(
    "immediate_rewards",
    expected=rewards.potential_difference,
    cases=[
        (PHI, np.ones((2, 3))),
        (PHI, np.array([[1.0, 1.0, 1.0], [1.0, 0.0, 0.0]])),
        (PHI[:1, :2], np.ones((1, 1))),
    ],
    hint="The score after a token minus that before it, and 0 where the mask is 0.",
    wrong=[_unmasked, _so_far, _shifted],
)
