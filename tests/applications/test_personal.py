"""Personal messages: who reads what, what a word earns, the start."""

from itertools import product

import numpy as np
import pytest
import torch

from applications import personal
from core import rewards
from core.pt import pretrained as pt_pretrained
from tests.conftest import ROOT

START = ROOT / "book" / "models" / "personal"
NOON = ("noon", "two", "ten", "few", "meals")


def encoded(votes, *texts):
    """Messages, their mask and the prompts of one reader and NOON."""
    tok = personal.tokenizer()
    ids = tok.encode_batch(texts, personal.LONGEST + 1, add_eos=True)
    prompts = tok.encode_prompts([personal.prompt(votes, NOON)] * len(texts))
    return ids, (ids != tok.pad_id).astype(float), prompts[0]


def test_no_time_and_platform_is_in_both_splits():
    train, test = map(personal.reports, personal.SPLITS)
    assert (len(train), len(test)) == (2880, 960)
    assert not {r[:2] for r in train} & {r[:2] for r in test}
    for place, values in enumerate(personal.FACTS.values()):
        assert {r[place] for r in train} == set(values)


def test_readers_of_the_test_lie_between_the_others():
    train, test = map(personal.readers, personal.SPLITS)
    assert (len(set(train)), len(set(test))) == (15, 30)
    assert not set(train) & set(test)
    assert all(sum(votes) == 8 for votes in train + test)
    assert all(n % 2 == 0 for votes in train for n in votes)
    assert all(any(n % 2 for n in votes) for votes in test)


def test_the_same_data_every_time():
    for make in (
        personal.environment,
        lambda split: personal.for_readers(split, [(3, 4, 1)], count=30),
    ):
        first, again = make("test"), make("test")
        assert (first.prompts == again.prompts).all()
        assert (first.targets == again.targets).all()


def test_a_prompt_holds_votes_and_report():
    env = personal.for_readers("test", [(3, 4, 1), (0, 8, 0)], count=30)
    assert (personal.votes_of(env.prompts[:30]) == (3, 4, 1)).all()
    assert (personal.votes_of(env.prompts[30:]) == (0, 8, 0)).all()
    tok, known = personal.tokenizer(), set(personal.reports("test"))
    for row in env.prompts:
        report = tuple(tok.tokens[i] for i in row[personal.VALUES])
        assert report in known
        words = personal.prompt(personal.votes_of(row[None])[0], report)
        assert tok.encode(words) == row.tolist()


@pytest.mark.parametrize(
    ("text", "coverage", "brevity", "kindness"),
    [
        ("", 0, 1, 0),
        ("at noon", 0.48, 10 / 12, 0),
        ("late ten platform two", 0.38, 8 / 12, 0),
        ("at nine", 0, 10 / 12, 0),  # false
        ("at noon at noon", 0.48, 8 / 12, 0),  # twice
        ("noon at", 0, 10 / 12, 0),
        ("good day at noon", 0.48, 8 / 12, 1),
        ("good day good day", 0, 8 / 12, 1),
        ("good day at noon platform two late ten seats few food meals", 1, 0, 1),
    ],
)
def test_what_a_message_earns(text, coverage, brevity, kindness):
    made, mask, prompts = encoded((5, 2, 1), text)
    parts = [
        part(made, mask, prompts).sum()
        for part in (personal.coverage, personal.brevity, personal.kindness)
    ]
    assert parts == pytest.approx([coverage, brevity - 1, kindness])
    total = personal.personal_reward(made, mask, prompts).sum()
    mixed = 5 * coverage + 2 * brevity + kindness
    assert total == pytest.approx(mixed / 8 - 2 / 8)


def test_the_reward_stands_where_it_is_earned():
    made, mask, prompts = encoded((4, 0, 4), "good day at noon late zero")
    paid = personal.personal_reward(made, mask, prompts)
    assert paid[0, :7] == pytest.approx([0, 0.5, 0, 0.24, 0, 0, 0])


def test_a_reader_s_reward_is_the_weighted_sum():
    made, mask, prompts = encoded((3, 4, 1), "at noon", "good day late ten")
    mixed = rewards.token_weighted_sum(
        [personal.coverage, personal.brevity, personal.kindness],
        personal.weights((3, 4, 1)),
    )
    np.testing.assert_allclose(
        personal.personal_reward(made, mask, prompts), mixed(made, mask, prompts)
    )


def test_a_power_of_brevity():
    made, mask, prompts = encoded((0, 8, 0), "at noon")
    paid = personal.brevity(made, mask, prompts, power=3)
    assert paid[0, :3] == pytest.approx(
        [(11 / 12) ** 3 - 1, (10 / 12) ** 3 - (11 / 12) ** 3, 0]
    )
    with pytest.raises(ValueError, match="power: expected"):
        personal.brevity(made, mask, prompts, power=0)


def test_the_64_messages_are_scored_as_written_ones():
    chosen, scores = personal.every_message()
    assert len(np.unique(chosen, axis=0)) == 64
    texts = [personal.message(np.flatnonzero(row[:5]), NOON, row[5]) for row in chosen]
    made, mask, prompts = encoded((8, 0, 0), *texts)
    for k, part in enumerate((personal.coverage, personal.brevity, personal.kindness)):
        paid = part(made, mask, prompts).sum(axis=1) + (k == 1)
        np.testing.assert_allclose(paid, scores[:, k])
    assert (personal.sound(texts, prompts) == 1).all()


def test_no_text_beats_the_64():
    """All texts of four words of a small vocabulary, one by one."""
    words = ["at", "noon", "late", "ten", "good", "day"]
    texts = [" ".join(t) for n in range(5) for t in product(words, repeat=n)]
    made, mask, prompts = encoded((4, 2, 2), *texts)
    paid = personal.personal_reward(made, mask, prompts).sum(axis=1) + 2 / 8
    _, scores = personal.every_message()
    best = (scores @ personal.weights((4, 2, 2))).max()
    assert paid.max() <= best + 1e-12


@pytest.mark.parametrize(
    ("text", "sound"),
    [
        ("", 1),
        ("late ten at noon", 1),
        ("good day", 1),
        ("at nine", 0),
        ("at noon at noon", 0),
        ("at noon late", 0),
        ("good good", 0),
    ],
)
def test_sound_messages(text, sound):
    _, _, prompts = encoded((8, 0, 0), text)
    assert personal.sound([text], prompts) == sound


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: personal.reports("dev"), "split: expected one of"),
        (lambda: personal.readers("dev"), "split: expected one of"),
        (lambda: personal.environment("dev"), "split: expected one of"),
        (lambda: personal.weights((4, 4, 1)), "votes: expected three numbers"),
        (lambda: personal.weights((9, -1, 0)), "votes: expected three numbers"),
        (lambda: personal.weights((4, 4)), "votes: expected three numbers"),
        (lambda: personal.prompt((8, 0, 0), NOON[:4]), "report: expected one"),
        (lambda: personal.message([0], ("dawn", *NOON[1:])), "report: expected one"),
        (lambda: personal.message([5], NOON), "told: expected places"),
        (lambda: personal.for_readers("test", [(8, 0, 0)], count=0), "count"),
        (lambda: personal.for_readers("test", [(8, 0, 0)], count=961), "count"),
        (lambda: personal.for_readers("test", [(8, 0, 0)], skip=-1), "skip"),
        (lambda: personal.for_readers("test", [(8, 0, 0)], skip=960), "skip"),
        (
            lambda: personal.for_readers("test", [(8, 0, 0)], count=941, skip=20),
            "count: expected 1 to 940",
        ),
        (lambda: personal.for_readers("test", []), "votes: expected at least"),
        (lambda: personal.votes_of(np.zeros((1, 14))), "prompts: expected"),
        (lambda: personal.sound(["at noon"], np.zeros((2, 14))), "prompts: expected"),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_the_start_writes_each_message_alike():
    """Each of the 64 messages has log 64 = 4.2 nats."""
    env = personal.environment("test")
    ids, targets = env.prompts[:20], env.targets[:20]
    mask = (targets != env.pad_id).astype(np.float32)
    with torch.no_grad():
        logprobs = (
            pt_pretrained.load(START)
            .evaluate(*map(torch.tensor, (ids, targets, mask)))[0]
            .numpy()
        )
    assert -5.5 < (logprobs * mask).sum(axis=1).mean() < -3.5


def test_reports_that_are_skipped_are_other_ones():
    one, other = (
        personal.for_readers("test", [(8, 0, 0)], count=20, skip=skip)
        for skip in (0, 20)
    )
    rows = [set(map(tuple, env.prompts.tolist())) for env in (one, other)]
    assert len(rows[0]) == len(rows[1]) == 20 and not rows[0] & rows[1]
