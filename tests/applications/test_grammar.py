"""applications.grammar: what it writes it can read, and nothing else."""

import doctest
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lark.exceptions import GrammarError
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression

from applications import grammar
from applications.grammar import LANGUAGES, Parser, corpus

PARSERS = {language: Parser(language) for language in LANGUAGES}


def drawn(make, n, seed=0):
    rng = np.random.default_rng(seed)
    return [make(rng) for _ in range(n)]


STORIES = drawn(grammar.story, 3000)
REVIEWS = drawn(grammar.review, 6000)
BOTH = [*STORIES, *REVIEWS[:2000]]


def sentences(text):
    return re.findall(r"[^.!。！]+[.!。！]", text)


def test_docstrings():
    result = doctest.testmod(grammar)
    assert result.failed == 0 and result.attempted > 8


# --- The data -------------------------------------------------------------


def test_both_sides_of_an_alternative_have_the_same_nonterminals():
    for name, alternatives in grammar.RULES.items():
        for sides in alternatives:
            en, zh = (sorted(s for s in side if s in grammar.RULES) for side in sides)
            assert en == zh and len(set(en)) == len(en), name


def test_every_nonterminal_has_a_rule_and_is_used():
    used = {
        symbol
        for alternatives in grammar.RULES.values()
        for sides in alternatives
        for side in sides
        for symbol in side
    }
    assert {s for s in used if s.isupper()} <= set(grammar.RULES)
    starts = {"STORY"} | {
        f"{template}_{topic}_{opinion}".upper()
        for template in grammar.TEMPLATES
        for topic in grammar.TOPICS
        for opinion in ("good", "bad")
    }
    assert set(grammar.RULES) - used == starts


@pytest.mark.parametrize(
    "rule",
    [
        {"FLEW": [("THEN it found home .", "")]},  # after "it": shift or reduce
        {"FOOD": [("ball", "球")]},  # "ball": reduce to food or to a toy
    ],
)
def test_a_conflict_in_the_grammar_is_an_error(rule, monkeypatch):
    rules = grammar.RULES | grammar._expand(rule)
    monkeypatch.setattr(grammar, "RULES", rules)
    with pytest.raises(GrammarError, match="Shift/Reduce|Reduce/Reduce"):
        grammar._build.__wrapped__("en")


# --- Writing --------------------------------------------------------------


def test_the_same_seed_gives_the_same_texts():
    assert drawn(grammar.story, 50, 7) == drawn(grammar.story, 50, 7)
    assert drawn(grammar.review, 50, 7) == drawn(grammar.review, 50, 7)
    for kind in grammar.KINDS:
        texts = corpus(50, 3, kind, "both")
        assert texts == corpus(50, 3, kind, "both")
        assert texts != corpus(50, 4, kind, "both")
        assert texts[:20] == corpus(20, 3, kind, "both")


def test_the_mix_of_a_corpus():
    texts = corpus(12, 0, "both", "both")
    assert [t.isascii() for t in texts] == [True, False] * 6
    told = [len(sentences(text)) >= 3 for text in corpus(60, 0, "both")]
    assert told == [True, True, False] * 20
    pairs = drawn(grammar.story, 4, seed=5)
    assert corpus(4, 5) == [pair.en for pair in pairs]
    assert corpus(4, 5, language="zh") == [pair.zh for pair in pairs]


def test_stories_are_short_varied_and_never_repeat_a_sentence():
    assert len({s.en for s in STORIES}) > 0.99 * len(STORIES)
    assert {len(sentences(s.en)) for s in STORIES} == {3, 4}
    for text in (side for story in STORIES for side in story):
        parts = [part.strip() for part in sentences(text)]
        assert len(set(parts)) == len(parts), text
        assert "".join(sentences(text)) == text


def test_translations_have_as_many_sentences_in_their_own_script():
    for pair in BOTH:
        assert len(sentences(pair.en)) == len(sentences(pair.zh))
        assert pair.en.isascii(), pair
        assert not re.search(r"[\x00-\x7f]", pair.zh), pair


def test_a_story_stays_with_its_protagonist_and_its_object():
    """Pronouns are of one person; what was met is what flies away."""
    pronouns = {
        "he": "he",
        "him": "he",
        "she": "she",
        "her": "she",
        "they": "they",
        "them": "they",
    }
    for story in STORIES:
        words = re.findall("[a-z]+", story.en.lower())
        assert len({pronouns[w] for w in words if w in pronouns}) <= 1
        people = re.search(
            r"男孩|国王|农夫|爷爷|孩|生们|老师|女孩|王后|奶奶", sentences(story.zh)[0]
        )
        assert not (people and "它" in story.zh), story
        met = re.search(r"(?:saw|met|noticed|found) an? \w+ (\w+)", story.en)
        if met:
            after = story.en[met.end() :]
            objects = {
                "bird",
                "butterfly",
                "bee",
                "mouse",
                "squirrel",
                "frog",
                "apple",
                "pear",
                "cake",
                "ball",
                "box",
                "doll",
                "book",
                "magazine",
            }
            assert set(re.findall("[a-z]+", after)) & objects <= {met[1]}


def test_labels_are_balanced_and_follow_from_the_text():
    labels = [r.label for r in REVIEWS]
    assert 0.47 < np.mean(labels) < 0.53
    for name in ("topic", "template"):
        values = [getattr(r, name) for r in REVIEWS]
        for value in set(values):
            chosen = [r.label for r, v in zip(REVIEWS, values) if v == value]
            assert 0.44 < np.mean(chosen) < 0.56, value
        assert len(set(values)) == len(getattr(grammar, name.upper() + "S"))
    for side in LANGUAGES:
        seen = {}
        for r in REVIEWS:
            assert seen.setdefault(getattr(r, side), r.label) == r.label


GOOD = "good excellent interesting exciting clean comfortable popular useful"
BAD = "bad poor boring strange dirty small expensive ordinary"


def read_label(text, template):
    """The label as a reader finds it, written without the grammar."""

    def clause(part):
        value = bool(set(part.split()) & set(GOOD.split()))
        assert value != bool(set(part.split()) & set(BAD.split()))
        return value != ("was not" in part)

    text = re.sub("[.]", "", text.lower())
    if template in ("simple", "said", "think"):
        flip = "wrong" in text or "do not think" in text
        return clause(text) != flip
    first, second = text.split(",")
    return clause(first if template in ("last", "despite") else second)


def test_labels_are_what_a_reader_finds():
    for r in REVIEWS:
        assert read_label(r.en, r.template) == r.label, r


@pytest.mark.parametrize("side", LANGUAGES)
def test_a_bag_of_words_cannot_tell_the_label(side):
    """Neither over all templates nor within one of them."""
    counts = CountVectorizer(analyzer=PARSERS[side].words).fit_transform(
        [getattr(r, side) for r in REVIEWS]
    )
    labels = np.array([r.label for r in REVIEWS])
    templates = np.array([r.template for r in REVIEWS])
    for template in ("", *grammar.TEMPLATES):
        rows = np.flatnonzero((templates == template) | (template == ""))
        fit, held_out = np.split(rows, [3 * len(rows) // 4])
        model = LogisticRegression(max_iter=1000)
        model.fit(counts[fit], labels[fit])
        assert model.score(counts[held_out], labels[held_out]) < 0.65


# --- Reading --------------------------------------------------------------


@pytest.mark.parametrize("side", LANGUAGES)
def test_everything_that_is_written_parses(side):
    parser, other = PARSERS[side], PARSERS[LANGUAGES[side == "en"]]
    for pair in BOTH:
        text = getattr(pair, side)
        assert parser.parses(text) and parser.score(text) == 1.0, text
        assert not other.parses(text)
        for sentence in sentences(text):
            assert parser.parses(sentence)


def test_the_words_of_a_text_are_those_it_was_derived_from():
    """Longest match finds them again, in every alternative of a sentence."""
    known = PARSERS["zh"].words
    for alternatives in grammar.RULES.values():
        for _, zh in alternatives:
            run = []
            for symbol in (*zh, "STORY"):
                if symbol not in grammar.RULES:
                    run.append(symbol)
                    continue
                assert known("".join(run)) == run
                run = []


RIGHT = [
    "The cat sat on the mat.",
    "The small cat sat on the mat yesterday.",
    "Two cats sat on the mat.",
    "The cat sat on the mat. It was warm there.",
    "Then it saw a small bird.",
    "The bird flew away.",
    "The cat sat on the mat. The cat sat on the mat.",
    "The film was not boring.",
    "Now they are happy.",
    " What a happy day!\n",
]
WRONG = [
    "the cat sat on the mat.",
    "The Cat sat on the mat.",
    "The cat sat on the mat",
    "The cat sat on mat.",
    "The cat sat.",
    "The cats sat on the mat.",
    "Two cat sat on the mat.",
    "He were happy.",
    "They was happy.",
    "Now they is happy.",
    "Now she are happy.",
    "It like this place.",
    "They likes this place.",
    "Now he have a new friend.",
    "Her was happy.",
    "Him saw a small bird.",
    "Then it saw small bird.",
    "Then it saw an small bird.",
    "Then he found a old ball.",
    "The bird did not see they.",
    "He ran home because they were cold.",
    "The film were good.",
    "The film was boring not.",
    "We not think that the film was good.",
    "The cat sat on the mat .",
    "The cat  sat on the mat.",
    "THE CAT.",
    "The cat sat on the mat.It was warm there.",
    "A unicorn flew away.",
    ".",
    "",
    " ",
    "猫坐在垫子上。",
]
RIGHT_ZH = [
    "猫坐在垫子上。",
    "两只小猫坐在垫子上。那里很暖和。",
    "因为它很冷，所以它跑回了家。",
    "这部电影一点也不无聊。",
]
WRONG_ZH = [
    "猫坐垫子上。",
    "猫坐在垫子上",
    "两猫坐在垫子上。",
    "猫坐在垫子上.",
    "然后它看见了一本小鸟。",
    "因为他很冷，所以它跑回了家。",
    "这只电影很好。",
    "猫 坐在垫子上。",
    "很好这部电影。",
    "独角兽飞走了。",
]


@pytest.mark.parametrize(
    "language, texts, wanted",
    [
        ("en", RIGHT, True),
        ("en", WRONG, False),
        ("zh", RIGHT_ZH, True),
        ("zh", WRONG_ZH, False),
    ],
)
def test_right_and_wrong(language, texts, wanted):
    for text in texts:
        assert PARSERS[language].parses(text) == wanted, text


def test_accepted():
    accepted = PARSERS["en"].accepted
    assert accepted("The cat sat on") == (4, 4)
    assert accepted("The cat sat on the mat. It were") == (8, 9)
    assert accepted("The unicorn sat on the mat.") == (1, 7)
    assert accepted("") == (0, 0)
    assert PARSERS["zh"].accepted("猫坐在电影上。") == (3, 6)


def test_score():
    score = PARSERS["en"].score
    assert score("") == score("  ") == score("...") == 0.0
    assert score("The cat sat on the mat. It was") == 1.0
    assert score("The cat sat on the mat. It were") == 7 / 9
    assert score("It were happy. The cat sat on the mat.") == 7 / 11
    assert score("The cat sat on the mat. The xyz") == 7 / 9


@pytest.mark.parametrize("side", LANGUAGES)
def test_a_word_salad_scores_low(side):
    rng = np.random.default_rng(0)
    parser, scores = PARSERS[side], []
    for pair in BOTH[::10]:
        words = parser.words(getattr(pair, side))
        salad = [words[i] for i in rng.permutation(len(words))]
        scores.append(parser.score(("" if side == "zh" else " ").join(salad)))
    assert np.mean(scores) < 0.1


@pytest.mark.parametrize("side", LANGUAGES)
@pytest.mark.parametrize(
    "text",
    [
        ("", ""),
        ("The", "小"),
        ("The cat sat on", "猫坐在"),
        ("Now", "现在"),
        ("It was warm there.", "那里很暖和。"),
        ("The film was", "这部电影"),
        ("The cat of", "猫的"),
    ],
)
def test_next_words_are_the_words_that_are_accepted(side, text):
    parser, text = PARSERS[side], text[LANGUAGES.index(side)]
    space = " " if side == "en" and text else ""
    every = {w for pair in BOTH for w in parser.words(getattr(pair, side))}
    found = parser.next_words(text)
    assert found <= every
    for word in every:
        glue = "" if word in ".,!" else space
        longer = text + glue + word
        if len(parser.words(longer)) == len(parser.words(text)) + 1:
            n_ok, n_words = parser.accepted(longer)
            assert (word in found) == (n_ok == n_words), longer


@settings(deadline=None)
@given(
    st.lists(
        st.sampled_from(
            ["The", "cat", " ", "  ", ".", "!", "\n", "sat", "猫", "坐", "。", "🙂"]
        )
        | st.text(max_size=3)
    ).map("".join)
)
def test_any_text_is_judged(text):
    for parser in PARSERS.values():
        n_ok, n_words = parser.accepted(text)
        assert 0 <= n_ok <= n_words == len(parser.words(text))
        assert 0.0 <= parser.score(text) <= 1.0
        assert parser.score(text) == 1.0 or not parser.parses(text)


def test_next_words_lead_to_a_whole_text():
    """A walk through them never meets an error, and it ends."""
    rng = np.random.default_rng(0)
    for _ in range(20):
        text = ""
        while not text.endswith(("。", "！")):
            text += rng.choice(sorted(PARSERS["zh"].next_words(text)))
            assert PARSERS["zh"].score(text) == 1.0
        assert PARSERS["zh"].parses(text)
    assert PARSERS["en"].next_words("The the") == set()


def test_bad_input_is_named():
    with pytest.raises(ValueError, match="language: expected 'en' or 'zh'"):
        Parser("de")
    for arguments, message in [
        ((0, 0), "n: expected at least 1, got 0"),
        ((1, 0, "poems"), "kind: expected 'stories' or 'reviews' or 'both'"),
        ((1, 0, "both", "de"), "language: expected 'en' or 'zh' or 'both'"),
    ]:
        with pytest.raises(ValueError, match=message):
            corpus(*arguments)
