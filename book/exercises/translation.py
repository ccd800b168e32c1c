"""Exercises of the chapter on machine translation."""

import numpy as np
from sacrebleu.metrics import BLEU

from pages.grader import Exercise


def _brevity(lengths, wanted):
    """sacrebleu's own factor, of texts of these lengths."""
    texts = [[" ".join(["a"] * n) for n in side] for side in (lengths, wanted)]
    return BLEU(tokenize="none").corpus_score(texts[0], [texts[1]]).bp


def _mean_of_sentences(lengths, wanted):
    return float(np.mean([_brevity([c], [r]) for c, r in zip(lengths, wanted)]))


def _both_sides(lengths, wanted):
    c, r = sum(lengths), sum(wanted)
    return float(np.exp(1 - r / c)) if c else 0.0


def _ratio(lengths, wanted):
    return min(1.0, sum(lengths) / sum(wanted))


BREVITY_PENALTY = Exercise(
    "brevity_penalty",
    expected=_brevity,
    cases=[
        ([8, 10], [8, 10]),
        ([6, 7], [8, 9]),
        ([12, 4], [8, 8]),
        ([14, 12], [9, 10]),
        ([0, 0], [7, 5]),
        ([0, 16], [8, 8]),
    ],
    hint="Add the lengths of all sentences first; a text that is longer than its "
    "reference is not rewarded, and an empty one gets 0.",
    wrong=[_mean_of_sentences, _both_sides, _ratio],
)


def _ngrams(words, n):
    return [tuple(words[i : i + n]) for i in range(len(words) - n + 1)]


def _precision(made, wanted, n):
    found, there = _ngrams(made.split(), n), _ngrams(wanted.split(), n)
    right = sum(min(found.count(g), there.count(g)) for g in set(found))
    return right / len(found) if found else 0.0


def _unclipped(made, wanted, n):
    found, there = _ngrams(made.split(), n), _ngrams(wanted.split(), n)
    return sum(g in there for g in found) / len(found) if found else 0.0


def _recall(made, wanted, n):
    return _precision(wanted, made, n)


NGRAM_PRECISION = Exercise(
    "ngram_precision",
    expected=_precision,
    cases=[
        ("the the the the", "the cat is on the mat", 1),
        ("the cat sat on the mat", "the cat is on the mat", 2),
        ("the cat", "the cat is on the mat", 1),
        ("the cat the cat", "the cat is here", 2),
        ("cat", "the cat is here", 2),
        ("", "the cat is here", 1),
    ],
    hint="An n-gram counts at most as often as the reference has it, and a text "
    "without n-grams has the precision 0.",
    wrong=[_unclipped, _recall],
)
