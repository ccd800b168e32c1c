"""applications.metrics: values by hand, the libraries' own, and bad input."""

import doctest
from functools import partial
from itertools import combinations

import jiwer
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from applications import metrics

SINGLE = {
    "bleu": metrics.bleu,
    "bleu zh": partial(metrics.bleu, language="zh"),
    "chrf": metrics.chrf,
    "rouge": metrics.rouge,
    "rouge2": partial(metrics.rouge, kind="rouge2"),
    "token_f1": metrics.token_f1,
    "word_error_rate": metrics.word_error_rate,
}
CORPUS = {
    "bleu": metrics.corpus_bleu,
    "chrf": metrics.corpus_chrf,
    "wer": metrics.corpus_word_error_rate,
}
WORDS = st.lists(st.sampled_from(["a", "b", "cat", "dog"]), max_size=6)


def test_docstrings():
    result = doctest.testmod(metrics)
    assert result.failed == 0 and result.attempted >= 6


def test_bleu_by_hand():
    # 3 of 4 words, 2 of 3 pairs, 1 of 2 triples, and 0 of 1 runs of four,
    # which "exp" smoothing counts as 1/2; lengths are equal.
    wanted = (3 / 4 * 2 / 3 * 1 / 2 * 1 / 2) ** 0.25
    assert metrics.bleu(["a b c x"], target=["a b c d"]) == [pytest.approx(wanted)]


def test_bleu_punishes_what_is_short():
    # All n-grams are right; the brevity penalty is exp(1 - 6/4).
    score = metrics.bleu(["a b c d"], target=["a b c d e f"])[0]
    assert score == pytest.approx(np.exp(1 - 6 / 4))


def test_chinese_is_counted_in_characters():
    (one,) = metrics.bleu(["我喜欢小猫"], target=["我喜欢小狗"], language="zh")
    (other,) = metrics.bleu(["我喜欢小猫"], target=["我喜欢小狗"])
    assert one > 0.5 > other


def test_rouge_by_hand():
    # Longest common subsequence "a c": precision 2/3, recall 2/4.
    assert metrics.rouge(["a x c"], target=["a b c d"]) == [
        pytest.approx(2 * (2 / 3) * (2 / 4) / (2 / 3 + 2 / 4))
    ]
    for part, wanted in (("precision", 2 / 3), ("recall", 2 / 4)):
        assert metrics.rouge(["a x c"], target=["a b c d"], part=part) == [
            pytest.approx(wanted)
        ]
    # Pairs "a b" and "b c" of three and three, one shared.
    assert metrics.rouge(["a b d c"], target=["x a b c"], kind="rouge2") == [
        pytest.approx(1 / 3)
    ]


def test_rouge_reads_chinese():
    assert metrics.rouge(["小猫喜欢鱼"], target=["小猫喜欢鱼"]) == [1.0]


def test_the_corpus_pools_counts():
    texts, targets = ["a b c d e", "x"], ["a b c d e", "y"]
    pooled = metrics.corpus_bleu(texts, targets)
    assert pooled != pytest.approx(
        100 * np.mean(metrics.bleu(texts, target=targets)), abs=5
    )
    assert metrics.corpus_word_error_rate(texts, targets) == 1 / 6
    assert metrics.corpus_chrf(targets, targets) == pytest.approx(100)


@given(WORDS, WORDS.filter(len))
def test_word_errors_are_jiwers(words, wanted):
    text, target = " ".join(words), " ".join(wanted)
    mine = metrics.word_error_rate([text], target=[target])[0]
    assert mine == pytest.approx(jiwer.wer(target, text))


@pytest.mark.parametrize("name", SINGLE)
def test_an_empty_prediction_has_a_score(name):
    worst = 1.0 if name == "word_error_rate" else 0.0
    for empty in ("", " "):
        assert SINGLE[name]([empty], target=["a cat sat"]) == [worst]


@pytest.mark.parametrize("name", CORPUS)
def test_an_empty_corpus_of_predictions_has_a_score(name):
    worst = 1.0 if name == "wer" else 0.0
    assert CORPUS[name](["", ""], ["a b", "c"]) == worst


@pytest.mark.parametrize("name", SINGLE)
@pytest.mark.parametrize(
    "completions, target, message",
    [
        (["a"], [""], "target: expected texts that are not empty"),
        (["a"], ["a", "b"], "target: expected a list of 1 texts"),
        (["a"], "a", "target: expected a list of 1 texts"),
        ([], [], "completions: expected at least one"),
    ],
)
def test_bad_pairs_are_named(name, completions, target, message):
    with pytest.raises(ValueError, match=message):
        SINGLE[name](completions, target=target)


@pytest.mark.parametrize("name", CORPUS)
def test_bad_corpora_are_named(name):
    with pytest.raises(ValueError, match="target: expected texts"):
        CORPUS[name](["a"], [""])


def test_unknown_language_and_kind():
    with pytest.raises(ValueError, match=r"language: expected one of \('en'"):
        metrics.bleu(["a"], target=["a"], language="fr")
    with pytest.raises(ValueError, match="part: expected 'fmeasure'"):
        metrics.rouge(["a"], target=["a"], part="f1")
    with pytest.raises(ValueError, match="kind: expected 'rouge1'"):
        metrics.rouge(["a"], target=["a"], kind="rougeLsum")


def test_distinct_n():
    assert metrics.distinct_n(["a b", "a b"], 1) == 0.5
    assert metrics.distinct_n(["a", ""], 2) == 0.0
    with pytest.raises(ValueError, match="n: expected at least 1"):
        metrics.distinct_n(["a"], 0)


@pytest.mark.parametrize("correct", range(6))
@pytest.mark.parametrize("k", range(1, 6))
def test_pass_at_k_counts_sets(correct, k):
    right = [True] * correct + [False] * (5 - correct)
    hits = [any(some) for some in combinations(right, k)]
    assert metrics.pass_at_k(5, correct, k) == pytest.approx(np.mean(hits))


def test_pass_at_k_bounds():
    with pytest.raises(ValueError, match="correct: expected a number in"):
        metrics.pass_at_k(4, 5, 1)
    for k in (0, 5):
        with pytest.raises(ValueError, match=r"k: expected a number in \[1"):
            metrics.pass_at_k(4, 2, k)
