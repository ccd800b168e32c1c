"""Rewards on texts, in TRL's signature: one score a completion.

`f(completions, **columns) -> list[float]`; a column, a list or one of NumPy or pandas,
holds one entry per completion.  Where TRL hands over conversations, lists of {"role",
"content"}, the content of the assistant's last message is the text, in columns as well.
ValueError for what is no text, as None or NaN.
"""

from collections.abc import Callable

import numpy as np
from rapidfuzz.distance import Levenshtein

from core import checks
from core.text import split_words

__all__ = ["contains", "edit_ratio", "edit_similarity", "exact_match", "length_score"]
__all__ += ["position_match", "repetition", "weighted_sum"]

Texts = list[str]
Scores = list[float]


def exact_match(completions: Texts, *, target: Texts, **columns: object) -> Scores:
    """1 where the completion equals its target, else 0.

    >>> exact_match(["a b", "a"], target=["a b", "a b"])
    [1.0, 0.0]
    """
    return [float(c == t) for c, t in _pairs(completions, "target", target)]


def edit_similarity(completions: Texts, *, target: Texts, **columns: object) -> Scores:
    """1 / (1 + d), d = the Levenshtein distance in characters; in (0, 1].

    Document 003, section 4.3, has 1/d, which is infinite where the text is right
    (d = 0); adding 1 keeps its order and makes the best score 1.

    >>> edit_similarity(["cat", "cut", ""], target=["cat"] * 3)
    [1.0, 0.5, 0.25]
    """
    pairs = _pairs(completions, "target", target)
    return [1.0 / (1 + Levenshtein.distance(c, t)) for c, t in pairs]


def edit_ratio(completions: Texts, *, target: Texts, **columns: object) -> Scores:
    """1 - d / (length of the longer text), in [0, 1]; two empty texts: 1.

    >>> edit_ratio(["cat", "cuts", ""], target=["cat"] * 3)
    [1.0, 0.5, 0.0]
    """
    pairs = _pairs(completions, "target", target)
    return [Levenshtein.normalized_similarity(c, t) for c, t in pairs]


def position_match(completions: Texts, *, target: Texts, **columns: object) -> Scores:
    """Share of the target's characters that stand at their position.

    Document 001's similarity, on characters, of targets that are not empty.  One
    character left out moves all later ones, which `edit_ratio` forgives, not this.

    >>> position_match(["cat", "at", "cats"], target=["cat"] * 3)
    [1.0, 0.0, 1.0]
    """
    pairs = _pairs(completions, "target", target)
    full = all(t for _, t in pairs)
    checks.require(full, "target: expected texts that are not empty")
    return [sum(a == b for a, b in zip(c, t, strict=False)) / len(t) for c, t in pairs]


def contains(completions: Texts, *, wanted: Texts, **columns: object) -> Scores:
    """1 where the completion contains its wanted text, else 0.

    >>> contains(["the fox runs", "the dog runs"], wanted=["fox", "fox"])
    [1.0, 0.0]
    """
    return [float(w in c) for c, w in _pairs(completions, "wanted", wanted)]


def length_score(completions: Texts, *, length: list[int], **columns: object) -> Scores:
    """1 - |n - length| / max(n, length) for a text of n characters.

    1 at the wanted length, at least 1; 1/2 at half and at twice it, 0 without a text.

    >>> length_score(["abcd", "ab", ""], length=[4, 4, 4])
    [1.0, 0.5, 0.0]
    """
    completions = checks.texts("completions", completions, chat=True)
    lengths = checks.finite_array("length", length, (len(completions),)).tolist()
    checks.at_least(1, length=min(lengths, default=1))
    pairs = zip(map(len, completions), lengths)
    return [1.0 - abs(n - wanted) / max(n, wanted) for n, wanted in pairs]


def repetition(completions: Texts, *, n: int = 3, **columns: object) -> Scores:
    """Minus the share of word n-grams that occurred before; in (-1, 0].

    Words are those of `core.text.split_words`; a text of fewer than n ≥ 1 scores 0.

    >>> repetition(["the cat sat", "the cat sat the cat sat"], n=2)
    [0.0, -0.4]
    """
    checks.whole(1, n=n)
    scores, n = [], int(n)  # NumPy's smaller ones would not go below 0
    for completion in checks.texts("completions", completions, chat=True):
        words = split_words(completion)
        grams = [tuple(words[i : i + n]) for i in range(len(words) - n + 1)]
        repeated = len(grams) - len(set(grams))
        scores.append(-repeated / len(grams) if repeated else 0.0)
    return scores


def weighted_sum(functions: list[Callable], weights: list[float]) -> Callable:
    """One reward on texts out of several: sum of weight times score.

    Args:
        functions: rewards `f(completions, **columns) -> list[float]`; each gets all
            columns and takes those that it names.
        weights: one finite number for each.
    Returns: a function of the same signature; ValueError where a reward in it returns
        too few or many scores, or one not finite.

    >>> reward = weighted_sum([exact_match, repetition], [1.0, 0.5])
    >>> reward(["a a", "b"], target=["a a", "a a"], n=1)
    [0.75, 0.0]
    """
    terms = checks.weighted(functions, weights)

    def reward(completions: Texts, **columns: object) -> Scores:
        rows = len(checks.texts("completions", completions, chat=True))
        return _summed(terms, (rows,), completions, **columns).tolist()

    return reward


def _summed(terms: list[tuple], shape: tuple, *given, **columns) -> np.ndarray:
    """Sum of weight times reward, each of which is finite and of the shape."""
    total = np.zeros(shape)
    for function, weight in terms:
        name = getattr(function, "__name__", "reward")
        paid = checks.finite_array(name, function(*given, **columns), shape)
        total += weight * paid
    return total


def _pairs(completions: Texts, name: str, column: Texts) -> list[tuple[str, str]]:
    """Each completion with its entry of a column."""
    completions = checks.texts("completions", completions, chat=True)
    column = checks.texts(name, column, len(completions), chat=True)
    return list(zip(completions, column, strict=True))
