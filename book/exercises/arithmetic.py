"""Exercises of the chapter on arithmetic."""

import re
from fractions import Fraction

import numpy as np
from scipy.stats import binom

from pages.grader import Exercise

NUMBER = re.compile(r"-?\d[\d,]*(?:\.\d+|/\d+)?")


def _value(text):
    return Fraction(text.replace(",", ""))


def _same(text, right):
    found = NUMBER.findall(text)
    return float(bool(found) and _value(found[-1]) == _value(right))


def _same_text(text, right):
    found = NUMBER.findall(text)
    return float(bool(found) and found[-1] == right)


def _contained(text, right):
    return float(right in text)


def _first(text, right):
    found = NUMBER.findall(text)
    return float(bool(found) and _value(found[0]) == _value(right))


NUMBER_REWARD = Exercise(
    "number_reward",
    expected=_same,
    cases=[
        ("3 boxes hold 36 eggs.", "36"),
        ("that makes 1,000", "1000"),
        ("it is 0.50 of them", "1/2"),
        ("36 or 7?", "36"),
        ("it is -7", "7"),
        ("", "7"),
    ],
    hint="The last number of the text is the answer, as a number: 0.50 is 1/2, and -7 "
    "is not 7; a text without a number is wrong.",
    wrong=[_same_text, _contained, _first],
)


def _informative(p, size):
    """Of all numbers of right answers, those between none and all."""
    return float(binom.pmf(np.arange(1, size), size, p).sum())


def _one_right(p, size):
    return 1 - (1 - p) ** size


def _half_right(p, size):
    return float(binom.pmf(size // 2, size, p))


INFORMATIVE = Exercise(
    "informative",
    expected=_informative,
    cases=[(0.5, 2), (0.5, 4), (0.01, 69), (0.9, 8), (0.0, 8), (0.3, 1)],
    hint="A group of only right answers teaches as little as one of only wrong ones.",
    wrong=[_one_right, _half_right],
)
