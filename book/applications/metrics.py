"""Metrics of texts against references: the field's, from its libraries.

A score of one text has a reward's signature, `f(completions, *, target,
**columns) -> list[float]`, one number per completion, and reads texts as the
rewards of `core.rewards` do.  The `corpus_` scores pool the counts of all
texts first, as published results do; they are not the mean of the single
ones.  A completion without a word is defined everywhere: it scores 0, and its
word error rate is 1.  An empty target is an error.
"""

from __future__ import annotations

from functools import cache
from math import comb

from rapidfuzz.distance import Levenshtein

from core import checks
from core.text import split_words

LANGUAGES = {"en": "13a", "zh": "zh"}  # to sacrebleu's tokenizers


def bleu(completions, *, target, language="en", **columns):
    """BLEU of each text, in [0, 1].

    Higher n-gram orders are smoothed and, in texts shorter than 4 words, left
    out: without that a single sentence often scores 0.

    Args:
        language: "en" counts words, "zh" characters.
    Source: Papineni et al. 2002, ACL; sacrebleu, Post 2018, arXiv:1804.08771
        (smoothing "exp", effective order).

    >>> [round(x, 2) for x in bleu(["the cat sat", "the"],
    ...                            target=["the cat sat"] * 2)]
    [1.0, 0.14]
    """
    pairs = _pairs(completions, target)
    score = _bleu(_tokenizer(language), single=True).sentence_score
    return [_share(score(c, [t]).score) / 100 for c, t in pairs]


def chrf(completions, *, target, **columns):
    """chrF of each text, in [0, 1]: F2 of its character n-grams to n = 6.

    Source: Popović 2015, W15-3049; sacrebleu's `CHRF`.

    >>> [round(x, 2) for x in chrf(["cat", "cats"], target=["cat"] * 2)]
    [1.0, 0.9]
    """
    pairs = _pairs(completions, target)
    score = _chrf().sentence_score
    return [_share(score(c, [t]).score) / 100 for c, t in pairs]


def corpus_bleu(completions, targets, language="en"):
    """BLEU of a corpus, in [0, 100], as published: no effective order."""
    made, wanted = zip(*_pairs(completions, targets, "targets"), strict=True)
    score = _bleu(_tokenizer(language), single=False).corpus_score
    return _share(score(made, [wanted]).score)


def corpus_chrf(completions, targets):
    """chrF of a corpus, in [0, 100]."""
    made, wanted = zip(*_pairs(completions, targets, "targets"), strict=True)
    return _share(_chrf().corpus_score(made, [wanted]).score)


def rouge(completions, *, target, kind="rougeL", part="fmeasure", **columns):
    """ROUGE of each text, in [0, 1], on the words of `split_words`.

    Args:
        kind: "rouge1" and "rouge2" count n-grams, "rougeL" the longest common
            subsequence.
        part: "fmeasure" (F1), "precision" or "recall".
    Source: Lin 2004, W04-1013; rouge-score, without stemming.

    >>> [round(x, 2) for x in rouge(["a cat sat", "sat a cat"],
    ...                             target=["a cat sat"] * 2)]
    [1.0, 0.67]
    """
    checks.one_of(("rouge1", "rouge2", "rougeL"), kind=kind)
    checks.one_of(("fmeasure", "precision", "recall"), part=part)
    pairs = _pairs(completions, target)
    score = _rouge(kind).score
    return [float(getattr(score(t, c)[kind], part)) for c, t in pairs]


def token_f1(completions, *, target, **columns):
    """F1 of the words that answer and target share, in [0, 1].

    Source: Rajpurkar et al. 2016, arXiv:1606.05250, §6.1; unlike there,
        punctuation and articles count, as rouge1 does it.

    >>> [round(x, 2) for x in token_f1(["the red house", ""],
    ...                                target=["red house"] * 2)]
    [0.8, 0.0]
    """
    return rouge(completions, target=target, kind="rouge1")


def word_error_rate(completions, *, target, **columns):
    """Word errors of each text per word of its target; 0 is best.

    Errors are substitutions, deletions and insertions, so that long texts
    have more than 1.

    >>> word_error_rate(["a cat", "", "a b c"], target=["a cat"] * 3)
    [0.0, 1.0, 1.0]
    """
    return [d / n for d, n in _word_errors(completions, target)]


def corpus_word_error_rate(completions, targets):
    """All word errors per word of all targets."""
    found = _word_errors(completions, targets, "targets")
    errors, words = zip(*found, strict=True)
    return sum(errors) / sum(words)


def distinct_n(texts, n):
    """Share of different n-grams among all n-grams of words of all texts.

    0 where no text has n words.
    Source: Li et al. 2016, arXiv:1510.03055, §5.2.

    >>> distinct_n(["a b a b", "a b"], 2)
    0.5
    """
    checks.whole(1, n=n)
    grams = []
    for words in map(split_words, checks.texts("texts", texts, chat=True)):
        grams += zip(*(words[i:] for i in range(n)), strict=False)
    return len(set(grams)) / len(grams) if grams else 0.0


def pass_at_k(samples, correct, k):
    """Probability that one of k draws is right, estimated from more draws.

    1 - C(n - c, k) / C(n, k), unbiased: the share of sets of k among the n
    samples that hold a right one.

    Args:
        samples: n, how many were drawn.
        correct: c in [0, n], how many of them are right.
        k: in [1, n].
    Source: Chen et al. 2021, arXiv:2107.03374, eq. 1.

    >>> pass_at_k(4, 1, 1), pass_at_k(4, 1, 2), pass_at_k(4, 0, 4)
    (0.25, 0.5, 0.0)
    """
    checks.whole(1, samples=samples, k=k)
    checks.whole(0, correct=correct)
    if correct > samples:
        raise ValueError(f"correct: expected a number in [0, {samples}], got {correct}")
    if k > samples:
        raise ValueError(f"k: expected a number in [1, {samples}], got {k}")
    return 1 - comb(samples - correct, k) / comb(samples, k)


def _word_errors(completions, target, name="target"):
    """(errors, words of the target) of each pair."""
    texts = _pairs(completions, target, name)
    pairs = [(split_words(c), split_words(t)) for c, t in texts]
    return [(Levenshtein.distance(c, t), len(t)) for c, t in pairs]


def _tokenizer(language):
    checks.one_of(tuple(LANGUAGES), language=language)
    return LANGUAGES[language]


@cache
def _bleu(tokenize, single):
    from sacrebleu.metrics import BLEU  # here: imports of half a second

    return BLEU(tokenize=tokenize, effective_order=single)


@cache
def _chrf():
    from sacrebleu.metrics import CHRF

    return CHRF()


@cache
def _rouge(kind):
    from rouge_score.rouge_scorer import RougeScorer

    return RougeScorer([kind], tokenizer=_Words())


class _Words:
    """`split_words` for rouge-score, whose own drops Chinese characters."""

    def tokenize(self, text):
        return split_words(text)


def _share(score):
    """A score in [0, 100]; rounding can make more of a perfect text's."""
    return min(score, 100.0)


def _pairs(completions, target, name="target"):
    completions = checks.texts("completions", completions, chat=True)
    target = checks.texts(name, target, len(completions), chat=True)
    checks.require(completions, "completions: expected at least one text")
    full = all(text.strip() for text in target)
    checks.require(full, f"{name}: expected texts that are not empty")
    return list(zip(completions, target, strict=True))
