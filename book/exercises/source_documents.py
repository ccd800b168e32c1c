"""What the answers of the chapter on programs that learn nothing are compared with."""

import numpy as np

from core import exact
from pages.grader import Exercise


def _distinct_pairs(text):
    words = text.split()
    pairs = [tuple(words[k : k + 2]) for k in range(len(words) - 1)]
    return len(set(pairs)) / len(pairs) if pairs else 0.0


def _of_words(text):
    words = text.split()
    return len(set(words)) / len(words) if words else 0.0


def _per_word(text):
    words = text.split()
    return len(set(zip(words, words[1:]))) / max(1, len(words))


CAT = "The cat sat on the mat."
DISTINCT_PAIRS = Exercise(
    "distinct_pairs",
    expected=_distinct_pairs,
    cases=[(CAT,), (" ".join([CAT] * 5),), ("no no no",), ("one",), ("",)],
    hint="n words have n - 1 pairs of neighbours, and one word has none.",
    wrong=[_of_words, _per_word],
)


def _expected_gradient(logits, rewards):
    pi = np.exp(exact.log_softmax(logits))
    return sum(
        p * r * (one - pi)
        for p, r, one in zip(pi, np.asarray(rewards, float), np.eye(len(pi)))
    )


def _without_the_sum(logits, rewards):
    return np.exp(exact.log_softmax(logits)) * np.asarray(rewards, float)


def _without_probabilities(logits, rewards):
    pi = np.exp(exact.log_softmax(logits))
    return np.asarray(rewards, float) - pi * np.sum(rewards)


EXPECTED_GRADIENT = Exercise(
    "expected_gradient",
    expected=_expected_gradient,
    cases=[
        ([0.3, -0.2, 0.1], [0.0, 1.0, 0.0]),
        ([0.3, -0.2, 0.1], [1.0, 1.0, 1.0]),
        ([0.0, 0.0], [2.0, -1.0]),
        ([1000.0, 999.0, 998.0], [0.0, 0.5, 1.0]),
    ],
    hint="Each drawn token also lowers the logits of all tokens by their probability.",
    wrong=[_without_the_sum, _without_probabilities],
    atol=1e-9,
)
