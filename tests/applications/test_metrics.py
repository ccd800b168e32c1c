"""applications.metrics: values by hand, the libraries' own, and bad input."""

import doctest
from functools import partial
from itertools import combinations

import jiwer
import numpy as np
import pandas as pd
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
    with pytest.raises(ValueError, match="^targets: expected texts"):
        CORPUS[name](["a"], [""])


def test_unknown_language_and_kind():
    with pytest.raises(ValueError, match=r"language: expected one of \('en'"):
        metrics.bleu(["a"], target=["a"], language="fr")
    with pytest.raises(ValueError, match="part: expected one of .'fmeasure'"):
        metrics.rouge(["a"], target=["a"], part="f1")
    with pytest.raises(ValueError, match="kind: expected one of .'rouge1'"):
        metrics.rouge(["a"], target=["a"], kind="rougeLsum")


def test_distinct_n():
    assert metrics.distinct_n(["a b", "a b"], 1) == 0.5
    assert metrics.distinct_n(["a", ""], 2) == 0.0
    with pytest.raises(ValueError, match="n: expected at least 1"):
        metrics.distinct_n(["a"], 0)
    for n in (1.5, np.nan, np.inf, None):
        with pytest.raises(ValueError, match="^n: expected"):
            metrics.distinct_n(["a"], n)


@pytest.mark.parametrize("correct", range(6))
@pytest.mark.parametrize("k", range(1, 6))
def test_pass_at_k_counts_sets(correct, k):
    right = [True] * correct + [False] * (5 - correct)
    hits = [any(some) for some in combinations(right, k)]
    assert metrics.pass_at_k(5, correct, k) == pytest.approx(np.mean(hits))


def test_pass_at_k_bounds():
    with pytest.raises(ValueError, match="correct: expected a number in"):
        metrics.pass_at_k(4, 5, 1)
    for k in (0, 5, 1.5, np.nan):
        with pytest.raises(ValueError, match="^k: expected"):
            metrics.pass_at_k(4, 2, k)
    for name, numbers in {
        "samples": (0, 0, 1),
        "samples: expected an integer": (4.5, 2, 1),
        "correct": (4, -1, 1),
        "correct: expected an integer": (4, 0.5, 1),
    }.items():
        with pytest.raises(ValueError, match=f"^{name}"):
            metrics.pass_at_k(*numbers)


# --- What is a text -------------------------------------------------------------

TEXTS, TARGETS = ["a cat sat", "b"], ["a cat sat down", "b"]
KINDS = {
    "tuple": tuple,
    "numpy": np.array,
    "objects": lambda texts: np.array(texts, dtype=object),
    "pandas": lambda texts: pd.Series(texts, index=[7, 3]),
    "messages": lambda texts: [[{"role": "assistant", "content": t}] for t in texts],
}
NO_TEXTS = [None, "ab", [None, "a"], ["a", np.nan], [3, 4], {"a": 1, "b": 2}]


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
@pytest.mark.parametrize("metric", SINGLE)
def test_columns_and_conversations_are_texts(metric, kind):
    wanted = SINGLE[metric](TEXTS, target=TARGETS)
    assert SINGLE[metric](kind(TEXTS), target=kind(TARGETS)) == wanted


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
@pytest.mark.parametrize("metric", CORPUS)
def test_corpora_may_be_columns(metric, kind):
    wanted = CORPUS[metric](TEXTS, TARGETS)
    assert CORPUS[metric](kind(TEXTS), kind(TARGETS)) == wanted
    assert metrics.distinct_n(kind(TEXTS), 1) == 1.0


@pytest.mark.parametrize("bad", NO_TEXTS)
def test_what_is_no_text_is_refused(bad):
    for function in SINGLE.values():
        with pytest.raises(ValueError, match="^completions: expected a list of"):
            function(bad, target=TARGETS)
        with pytest.raises(ValueError, match="^target: expected a list of 2 texts"):
            function(TEXTS, target=bad)
    for function in CORPUS.values():
        with pytest.raises(ValueError, match="^completions: expected a list of"):
            function(bad, TARGETS)
        with pytest.raises(ValueError, match="^targets: expected a list of 2 texts"):
            function(TEXTS, bad)
    with pytest.raises(ValueError, match="^texts: expected a list of texts"):
        metrics.distinct_n(bad, 1)


PERFECT = [
    "The dog bit the man.",
    "It was not unexpected.",
    "The man bit him first, and then again.",
    "今天天气很好",
    "a",
]


@pytest.mark.parametrize("text", PERFECT)
def test_no_perfect_text_has_more_than_1(text):
    for name in ("bleu", "bleu zh", "chrf", "rouge", "token_f1"):
        [score] = SINGLE[name]([text], target=[text])
        assert 1 - 1e-9 < score <= 1
    assert metrics.corpus_bleu([text] * 3, [text] * 3) <= 100
    assert metrics.corpus_chrf([text] * 3, [text] * 3) <= 100


@given(st.lists(st.sampled_from("the dog cat bit a man .".split()), min_size=1))
def test_bleu_is_at_most_1(words):
    text = " ".join(words)
    assert metrics.bleu([text], target=[text])[0] <= 1
    assert metrics.corpus_bleu([text], [text]) <= 100


@pytest.mark.parametrize(
    "made, target",
    [
        ("cafe", "cafe\u0301"),  # the accent as a mark of its own
        ("cafe\u0301 noir", "cafe noir"),
        ("हिन्दी माषा", "हिन्दी भाषा"),
        ("यह हिन्दी है", "यह हिंदी है"),
        ("नमस्ते दुनिया", "नमस्ते"),
        ("می\u200cخواهم", "میخواهم"),  # a joiner within a word
        ("בְּרֵאשִׁית", "בראשית"),
        ("ที่นี่ ดี", "ที่นี้ ดี"),
    ],
)
def test_marks_belong_to_their_letters(made, target):
    wanted = jiwer.wer(target, made)
    assert wanted > 0 and metrics.word_error_rate([made], target=[target]) == [wanted]
    assert metrics.word_error_rate([target], target=[target]) == [0]
