"""Exercises of the chapter on speech recognition."""

import numpy as np

from applications import metrics
from pages.grader import Exercise


def _mean_of_rates(heard, said):
    return float(np.mean(metrics.word_error_rate(heard, target=said)))


def _place_by_place(heard, said):
    errors = words = 0
    for one, other in zip(heard, said, strict=True):
        one, other = one.split(), other.split()
        errors += sum(a != b for a, b in zip(one, other, strict=False))
        errors += abs(len(one) - len(other))
        words += len(other)
    return errors / words


def _at_most_one(heard, said):
    return min(1.0, metrics.corpus_word_error_rate(heard, said))


WORD_ERROR_RATE = Exercise(
    "word_error_rate",
    expected=metrics.corpus_word_error_rate,
    cases=[
        (["call three nine"], ["call three five nine"]),
        (["five nine", "turn left"], ["call three five nine", "turn left"]),
        (["", "set alarm six"], ["turn radio on", "set alarm six"]),
        (["call call call call one two"], ["call one"]),
        (["turn left two", "call one"], ["turn left two", "dial two three four five"]),
    ],
    hint="One lost word moves all others by a place, so align first; add errors and "
    "words over all recordings, and divide once: the rate may be above 1.",
    wrong=[_mean_of_rates, _place_by_place, _at_most_one],
)
