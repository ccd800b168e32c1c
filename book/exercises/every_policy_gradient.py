"""Exercises of the chapter of all policy gradients."""

import numpy as np

from pages.grader import Exercise


def _per_token(logprobs, old, advantages, low, high):
    ratio = np.exp(logprobs - old)
    cut = np.clip(ratio, 1 - low, 1 + high)
    return np.minimum(ratio * advantages, cut * advantages)


def _dapo(logprobs, old, advantages, mask, low, high):
    term = _per_token(logprobs, old, advantages, low, high)
    return float((term * mask).sum() / mask.sum())


def _of_texts(logprobs, old, advantages, mask, low, high):
    term = _per_token(logprobs, old, advantages, low, high) * mask
    return float((term.sum(axis=1) / mask.sum(axis=1)).mean())


def _clip_alone(logprobs, old, advantages, mask, low, high):
    cut = np.clip(np.exp(logprobs - old), 1 - low, 1 + high)
    return float((cut * advantages * mask).sum() / mask.sum())


def _other_way(logprobs, old, advantages, mask, low, high):
    return _dapo(old, logprobs, advantages, mask, low, high)


_OLD = np.log([[0.5, 0.25, 0.5], [0.2, 0.4, 1.0]])
_NEW = np.log([[0.7, 0.25, 0.3], [0.1, 0.6, 1.0]])
_MASK = np.array([[1.0, 1, 1], [1, 1, 0]])

DAPO_OBJECTIVE = Exercise(
    "dapo_objective",
    expected=_dapo,
    cases=[
        (_NEW, _OLD, np.array([[1.0] * 3, [-1.0] * 3]), _MASK, 0.2, 0.28),
        (_NEW, _OLD, np.array([[-1.0] * 3, [1.0] * 3]), _MASK, 0.2, 0.28),
        (_OLD, _OLD, np.array([[1.0] * 3, [2.0] * 3]), _MASK, 0.2, 0.28),
        (_NEW, _OLD, np.array([[0.5] * 3, [0.5] * 3]), _MASK, 0.0, 0.1),
    ],
    hint="The smaller of the clipped and the free term, also where the advantage is "
    "negative; and every token of the batch counts alike.",
    wrong=[_of_texts, _clip_alone, _other_way],
)
