"""applications.text_generation: prompts, verdicts and scores."""

from functools import partial

import numpy as np
import pytest
from numpy.testing import assert_allclose

from applications import grammar
from applications import text_generation as task
from core.pt import pretrained as pt_pretrained
from core.pt import rewards as pt_rewards
from core.text import PretrainedTokenizer
from core.tf import pretrained as tf_pretrained
from core.tf import rewards as tf_rewards
from core.types import Rollout
from tests.conftest import ROOT

MODEL = ROOT / "book" / "models" / "gpt"
TOKENIZER = PretrainedTokenizer(MODEL)
PARSERS = {name: grammar.Parser(name) for name in grammar.LANGUAGES}


def unlikely(nats):
    """A log-likelihood that is the same for each token."""
    return lambda prompts, completions, mask: np.full(mask.shape, -nats)


def verdicts(text, language="en", end=False):
    """(token, verdict) of a text without prompt."""
    ids = [TOKENIZER.bos_id, *TOKENIZER.encode(text)]
    ids = np.array([ids + [TOKENIZER.eos_id] * end])
    paid = task.token_grammar(ids, np.ones(ids.shape), TOKENIZER, PARSERS[language])
    return paid[0, 1:].tolist()


# --- Prompts --------------------------------------------------------------


@pytest.mark.parametrize("language", grammar.LANGUAGES)
def test_heroes_are_in_one_split(language):
    train, test = (task.prompts(split, language) for split in task.SPLITS)
    assert len(set(train)) == 126 and len(set(test)) == 42
    for hero in task.HEROES[language]:
        of_hero = [text for text in train + test if hero in text]
        held_out = hero in task.HELD_OUT
        assert len(of_hero) == 21
        assert all((text in test) == held_out for text in of_hero)


@pytest.mark.parametrize("language", grammar.LANGUAGES)
def test_prompts_are_grammatical_beginnings(language):
    for split in task.SPLITS:
        for text in task.prompts(split, language):
            fitting, words = PARSERS[language].accepted(text)
            assert fitting == words


@pytest.mark.parametrize("language", grammar.LANGUAGES)
def test_the_environment_holds_the_prompts_twice(language):
    env = task.environment("test", None, TOKENIZER, language, max_length=9)
    assert env.texts(env.prompts) == task.prompts("test", language)
    assert (env.prompts == env.targets).all() and env.max_length == 9
    assert (env.prompts[:, 0] == TOKENIZER.bos_id).all()


# --- Texts that loop ------------------------------------------------------


@pytest.mark.parametrize("language", grammar.LANGUAGES)
def test_looping_texts(language, monkeypatch):
    monkeypatch.setitem(task.STORIES, "n", 2000)
    texts = task.looping_texts(language)
    assert texts == task.looping_texts(language)
    loops = [text for text in texts if task.repeated(text) == 0.8]
    assert 0.65 < len(loops) / len(texts) < 0.75
    assert all(PARSERS[language].parses(text) for text in texts[:50])
    whole = [text for text in texts if task.repeated(text) < 0.8]
    assert np.mean([task.repeated(text) for text in whole]) < 0.01
    assert len(task.looping_texts(language, share=0.35)) > 1.8 * len(texts)


def test_supervised_batches():
    batches = task.supervised_batches(task.looping_texts(), TOKENIZER)
    assert len(batches) == task.SUPERVISED.steps
    (ids,), targets, mask = batches[0]
    assert ids.shape == mask.shape == (task.BATCH_SIZE, task.ROW_LENGTH - 1)
    assert (ids[:, 1:] == targets[:, :-1]).all()


# --- Scores ---------------------------------------------------------------


def test_verdicts_by_hand():
    # The| cat| sat| the| mat|.| It| ran| away|.
    assert verdicts("The cat sat the mat. It ran away.") == [
        1,
        1,
        1,
        0,
        0,
        0,
        1,
        1,
        0,
        0,
    ]
    text = "The cat sat on the mat."
    assert verdicts(text, end=True) == [1] * 8
    assert verdicts(text[:-1], end=True) == [1] * 6 + [0]
    assert verdicts(text + " The", end=True)[-1] == 0


def test_chinese_tokens_hold_several_words():
    # 今天早上|猫|坐|在垫子上|。|风|很|...: a word of several tokens is whole.
    text = "今天早上猫坐在垫子上。风很轻。"
    assert verdicts(text, "zh") == [1.0] * len(TOKENIZER.encode(text))
    # The token 在垫子上 ends in the word 上, which 在 here does not allow.
    wrong = verdicts("猫坐在垫子上在垫子上。猫坐在垫子上。", "zh")
    assert wrong == [1, 1, 1, 0, 0, 1, 1, 1, 1]


def test_a_token_that_writes_nothing_earns_nothing():
    ids = np.array(
        [
            [
                TOKENIZER.bos_id,
                *TOKENIZER.encode("The cat"),
                TOKENIZER.pad_id,
                TOKENIZER.bos_id,
                TOKENIZER.mask_id,
            ]
        ]
    )
    paid = task.token_grammar(ids, np.ones(ids.shape), TOKENIZER, PARSERS["en"])
    assert paid.tolist() == [[0, 1, 1, 0, 0, 0]]


def test_a_mask_ends_the_text():
    ids = np.array([TOKENIZER.encode("The cat sat on the mat.")])
    mask = np.array([[1.0, 1, 1, 0, 0, 0, 0]])
    paid = task.token_grammar(ids, mask, TOKENIZER, PARSERS["en"])
    assert paid.tolist() == [[1, 1, 1, 0, 0, 0, 0]]


def test_coherence_is_cut_off():
    assert_allclose(task.token_coherence(np.array([0.0, -2, -10, -99])), [1, 0.8, 0, 0])


def test_the_halves_are_weighted():
    scores = task.instant_scores(unlikely(5.0), TOKENIZER, PARSERS["en"])
    reward = task.instant_reward(scores, weights=(0.5, 0.25))
    prompts = np.array([[TOKENIZER.bos_id, *TOKENIZER.encode("The cat sat")]])
    rest = np.array([TOKENIZER.encode(" on on")])
    paid = reward(rest, np.ones(rest.shape), prompts)
    assert_allclose(paid, [[0.5, 0.25]])


def test_repeated():
    assert task.repeated("A b. A b. A b. C") == pytest.approx(2 / 3)
    assert task.repeated("猫坐。猫坐。") == 0.5
    assert task.repeated("A b") == task.repeated("") == 0


def test_measures_by_hand():
    prompts = np.array([TOKENIZER.encode("The cat sat on")] * 2)
    rest = TOKENIZER.encode_batch([" the mat.", " mat the."], 4)
    mask = np.array([[1.0, 1, 1, 0]] * 2)
    batch = Rollout(
        prompts, rest, mask, 0 * mask, 0 * mask, np.ones(2, bool), np.arange(2)
    )
    scores = task.instant_scores(unlikely(2.0), TOKENIZER, PARSERS["en"])
    found = task.measures(batch, scores, TOKENIZER)
    assert found["grammar"] == pytest.approx(0.5)  # 3 of 3, 0 of 3
    assert found["coherence"] == pytest.approx(0.8)
    assert found["reward"] == pytest.approx(0.65)
    assert found["distinct-1"] == 1 and found["repeated"] == 0
    assert found["distinct-2 of all"] == pytest.approx(9 / 12)


def test_both_frameworks_give_the_same_scores():
    text = "The cat sat on the mat. Then it saw a small mouse."
    both = []
    for pretrained, rewards in (
        (pt_pretrained, pt_rewards),
        (tf_pretrained, tf_rewards),
    ):
        likely = partial(rewards.token_loglikelihood, pretrained.load(MODEL))
        scores = task.instant_scores(likely, TOKENIZER, PARSERS["en"])
        both.append(task.text_scores([text, "The mat"], scores, TOKENIZER))
    for one, other in zip(*both, strict=True):
        assert_allclose(one, other, atol=1e-5)
    assert both[0][0][0].mean() > 0.8  # the story is coherent
    assert [len(half) for half in both[0][1]] == [2, 2]


def test_new_sentences_by_hand():
    one, two = "The cat sat on the mat.", "It was happy."
    for text, share in (
        (f"{one} {two}", 1.0),
        (" ".join([one] * 5), 0.2),  # a loop
        (f"{one} It found on a cake.", 0.5),
        (f"{one} It found", 1.0),  # what is not finished does not count
        ("cat on mat the very", 0.0),  # nor does nonsense
        ("", 0.0),
    ):
        assert task.new_sentences(text, PARSERS["en"]) == share, text


def test_an_empty_text_has_no_scores():
    scores = task.instant_scores(unlikely(1.0), TOKENIZER, PARSERS["en"])
    (coherence, _), empty = task.text_scores(["The mat", ""], scores, TOKENIZER)
    assert len(coherence) == 2
    assert [len(half) for half in empty] == [0, 0]


# --- Bad input ------------------------------------------------------------


@pytest.mark.parametrize(
    "call, match",
    [
        (lambda: task.prompts("dev"), "split: expected one of"),
        (lambda: task.prompts("test", "de"), "language: expected one of"),
        (lambda: task.looping_texts("de"), "language: expected one of"),
        (lambda: task.looping_texts(share=1.0), "share: expected"),
        (lambda: task.looping_texts(times=0), "times: expected"),
        (lambda: task.supervised_batches(["The cat."], TOKENIZER), "texts: expected"),
        (
            lambda: task.continuations(["The cat", "The"], None, TOKENIZER),
            "texts: expected prompts of one length",
        ),
        (lambda: task.continuations([], None, TOKENIZER), "texts: expected"),
        (
            lambda: task.environment("test", None, TOKENIZER, max_length=0),
            "max_length: expected",
        ),
    ],
)
def test_bad_input(call, match):
    with pytest.raises(ValueError, match=match):
        call()
