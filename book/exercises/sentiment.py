"""Exercises of the chapter on classification and sentiment."""

import numpy as np
from scipy.special import expit
from sklearn.metrics import accuracy_score, f1_score

from pages.grader import Exercise


def _macro(true, found):
    return float(f1_score(true, found, average="macro", zero_division=0))


def _micro(true, found):
    return float(accuracy_score(true, found))


def _of_positives(true, found):
    return float(f1_score(true, found, zero_division=0, pos_label=max(true)))


def _mean_precision(true, found):
    labels = sorted({*true, *found})
    shares = [
        np.mean([t == label for t, f in zip(true, found, strict=True) if f == label])
        if label in found
        else 0.0
        for label in labels
    ]
    return float(np.mean(shares))


MACRO_F1 = Exercise(
    "macro_f1_by_hand",
    expected=_macro,
    cases=[
        ([1, 1, 0, 0], [1, 0, 0, 0]),
        ([1, 1, 1, 0], [1, 1, 1, 1]),
        ([0, 1, 2, 2], [0, 1, 2, 0]),
        ([1, 0], [0, 1]),
    ],
    hint="The F1 of each label first and then their mean; a label that is never found "
    "has an F1 of 0 and counts as much as the others.",
    wrong=[_micro, _of_positives, _mean_precision],
)


def _reward(logits, wanted, reviews):
    sign = 2 * np.asarray(wanted) - 1
    return expit(sign * np.asarray(logits, dtype=float)) * np.asarray(reviews)


def _always_positive(logits, wanted, reviews):
    return expit(np.asarray(logits, dtype=float)) * np.asarray(reviews)


def _overflowing(logits, wanted, reviews):
    sign = 2 * np.asarray(wanted) - 1
    with np.errstate(all="ignore"):
        grown = np.exp(sign * np.asarray(logits, dtype=float))
        return grown / (1 + grown) * np.asarray(reviews)


def _fine(logits, wanted, reviews):
    """A text that is no review costs something."""
    right = _reward(logits, wanted, np.ones(len(reviews)))
    return np.where(np.asarray(reviews) > 0, right, -1.0)


WANTED_REWARD = Exercise(
    "wanted_reward",
    expected=_reward,
    cases=[
        (np.array([0.0, 2.0, 2.0]), np.array([1, 1, 0]), np.array([1, 1, 1])),
        (np.array([3.0, -3.0]), np.array([1, 0]), np.array([0, 1])),
        (np.array([800.0, -800.0]), np.array([1, 1]), np.array([1, 1])),
    ],
    hint="For a negative review it is the other probability, and exp(800) is no "
    "number.",
    wrong=[_always_positive, _overflowing, _fine],
)
