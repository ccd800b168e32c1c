"""The data of the chapter on translation and its rewards."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from applications import metrics, translation
from core import rewards
from core.text import split_words

SPLITS = tuple(translation.SIZES)


@pytest.mark.parametrize("split", SPLITS)
def test_sizes_and_lengths(split):
    data = translation.pairs(split)
    assert len(data) == translation.SIZES[split]
    for pair in data:
        for text in (pair.zh, pair.en):
            assert len(split_words(text)) <= translation.LONGEST
        # The grammar cuts the words, and jieba leaves them as they are.
        assert split_words(pair.zh) == pair.zh.split()


def test_splits_share_no_sentence():
    everything = [p for split in SPLITS for p in translation.pairs(split)]
    for side in ("zh", "en"):
        assert len({getattr(p, side) for p in everything}) == 3000


def test_the_same_data_again():
    first = translation.pairs("sample")
    translation._drawn.cache_clear()
    assert first == translation.pairs("sample")
    assert first != translation.pairs("sample", seed=1)


def test_held_out_by_template():
    known = [p for s in SPLITS[:3] for p in translation.pairs(s)]
    assert not any(translation.held_out(p.template) for p in known)
    test = translation.pairs("test")
    used = [pair for p in test for pair in translation.held_out(p.template)]
    assert all(translation.held_out(p.template) for p in test)
    assert set(used) == set(translation.HELD_OUT)
    # Each construction alone is known from training, and nearly each word.
    train = translation.pairs("train")
    assert {c for p in test for c in p.template} <= {
        c for p in train for c in p.template
    }
    for side, unknown in (("zh", set()), ("en", {"looking"})):
        words = [
            {w for p in data for w in split_words(getattr(p, side))}
            for data in (test, train)
        ]
        assert words[0] - words[1] == unknown


@pytest.mark.parametrize(
    "template, zh, en",
    [
        (("past", "question", "person", "place", "number"), "了 吗", "did the ?"),
        (("future", "negation", "people", "plain", "this"), "们 不 会", "will not ."),
        (
            ("present", "statement", "owned person", "ba", "bare"),
            "的 把 放 在",
            "the .",
        ),
        (
            ("progressive", "statement", "pronoun", "give", "relative"),
            "正在 给 的",
            "giving the that .",
        ),
    ],
)
def test_constructions_show_on_both_sides(template, zh, en):
    made = [
        translation.make(template, np.random.default_rng(seed)) for seed in range(20)
    ]
    for source, target in made:
        assert set(zh.split()) <= set(source.split())
        assert set(en.split()) <= set(split_words(target))


def test_english_is_well_formed():
    """What agreement asks, word by word, in every sentence."""
    some = {"two", "three", "these", "those"}
    adjectives = set(translation.ADJECTIVES.values())
    several = {t[2] for t in translation.THINGS.values()}
    for pair in translation.pairs("scored") + translation.pairs("test"):
        words = split_words(pair.en)
        for this, after in zip(words, words[1:], strict=False):
            if this in ("a", "an"):
                assert (after[0] in "aeiou") == (this == "an"), pair
            if this in some and after not in adjectives:
                assert after in several, pair
            if after in ("am", "is", "are") and words[-1] == ".":
                wanted = {"I": "am", "he": "is", "she": "is"}.get(this)
                assert wanted in (None, after), pair
        assert ("吗" in pair.zh) == (words[-1] == "?")


def test_tokenizer():
    tok = translation.tokenizer()
    for split in SPLITS:
        for pair in translation.pairs(split):
            assert tok.decode(tok.encode(pair.en)) == pair.en
            assert [tok.tokens[i] for i in tok.encode(pair.zh)] == (pair.zh.split())
    with pytest.raises(ValueError, match="text: 'tea' is not in the vocab"):
        tok.encode("he drinks tea.".replace("drinks", "buys"))


def test_another_seed_draws_other_sentences_of_the_same_templates():
    env, other = translation.environment("test", seed=1), translation.pairs("test", 1)
    assert env.targets_text([0, 1]) == [other[0].en, other[1].en]
    known = {p.en for s in SPLITS[:3] for p in translation.pairs(s)}
    assert not known & {p.en for p in other}
    assert all(translation.held_out(p.template) for p in other)


def test_environment():
    env, tok = translation.environment("test"), translation.tokenizer()
    assert len(env) == 300 and env.max_length == 15
    pair = translation.pairs("test")[3]
    assert env.targets_text([3]) == [pair.en]
    assert env.texts(env.prompts[[3]])[0].replace(" ", "") == (pair.zh.replace(" ", ""))
    ids = tok.encode_batch([pair.en, ""], 15, add_eos=True)
    mask = np.cumsum(ids == tok.eos_id, axis=1) - (ids == tok.eos_id) < 1
    paid = env.rewards(ids, mask.astype(float), np.array([3, 3]))
    last = mask.sum(axis=1) - 1
    assert_allclose(paid[[0, 1], last], [1, 0], atol=1e-12)
    assert_allclose(paid.sum(axis=1), [1, 0], atol=1e-12)


def test_shaped_reward_adds_up_to_the_score():
    tok = translation.tokenizer()
    made = ["he reads two book.", "the the the"]
    wanted = ["he reads two books."] * 2
    ids = tok.encode_batch(made, 15, add_eos=True)
    mask = np.cumsum(ids == tok.eos_id, axis=1) - (ids == tok.eos_id) < 1
    targets = tok.encode_batch(wanted, 15, add_eos=True)
    potentials = rewards.potentials_from_text(metrics.bleu, tok)
    paid = rewards.potential_difference(potentials(ids, mask * 1.0, targets), mask)
    assert_allclose(paid.sum(axis=1), metrics.bleu(made, target=wanted))
    assert (paid[:, -5:] == 0).all()


@pytest.mark.parametrize(
    "made, wanted, found",
    [
        ("he reads two books.", "he reads two books.", (0, 5)),
        ("he read two book.", "he reads two books.", (2, 5)),
        ("him did not read an book", "he does not read a book.", (3, 6)),
        ("she reads these letters.", "she read this book.", (2, 4)),
        ("", "he reads.", (0, 0)),
    ],
)
def test_wrong_forms(made, wanted, found):
    assert translation.wrong_forms([made], [wanted]) == found


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: translation.pairs("dev"), r"split: expected one of \('train'"),
        (lambda: translation.environment("dev"), "split: expected one of"),
        (lambda: translation.wrong_forms(["a"], [""]), "targets: expected texts"),
        (lambda: metrics.bleu(["a"], target=[" "]), "target: expected texts"),
        (
            lambda: metrics.bleu(["a"], target=["b"], language="fr"),
            r"language: expected one of \('en', 'zh'\), got 'fr'",
        ),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_a_prediction_without_tokens_scores_0():
    assert metrics.bleu([""], target=["he reads."]) == [0.0]
    assert metrics.chrf([""], target=["he reads."]) == [0.0]
    assert metrics.corpus_bleu([""], ["he reads."]) == 0
    assert metrics.corpus_chrf([""], ["he reads."]) == 0
