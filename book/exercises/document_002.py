"""The graded exercises of "Document 002: BERT classification"."""

from __future__ import annotations

import numpy as np
from sklearn.metrics import accuracy_score, f1_score

from pages.grader import Exercise


def macro_f1(labels, found):
    return f1_score(labels, found, average="macro", zero_division=0)


def mean_first(labels, found):
    """The harmonic mean of mean precision and mean recall."""
    both = []
    for label in np.unique([labels, found]):
        hit = ((labels == label) & (found == label)).sum()
        shares = [hit / max((x == label).sum(), 1) for x in (found, labels)]
        both.append(shares)
    precision, recall = np.mean(both, axis=0)
    return 2 * precision * recall / (precision + recall)


def skips_the_missing(labels, found):
    """Leaves out a label that the system never gives."""
    scores = [
        f1_score(labels == label, found == label, zero_division=0)
        for label in np.unique(found)
    ]
    return np.mean(scores)


MACRO_F1 = Exercise(
    "macro_f1",
    expected=macro_f1,
    cases=[
        (np.array([0, 1, 1, 0, 1]), np.array([0, 1, 0, 0, 1])),
        (np.array([0, 0, 0, 1]), np.array([0, 0, 0, 0])),
        (np.array([1, 1, 1, 0, 0, 1, 0]), np.array([1, 0, 1, 1, 0, 1, 1])),
        (np.array([0, 1, 2, 2, 1]), np.array([0, 2, 2, 2, 1])),
    ],
    hint="each label that occurs counts the same, also one that is never given: "
    "its F1 is 0",
    wrong=[accuracy_score, mean_first, skips_the_missing],
)
