"""The stories: what follows from a note, who reads which, what is paid."""

import json

import numpy as np
import pytest

from applications import grammar, long_text
from core.pt import checkpoints
from core.pt import pretrained as pt_pretrained
from core.pt import rollout as pt_rollout
from core.pt.models import LSTMPolicy
from core.text import PretrainedTokenizer
from core.tf import pretrained as tf_pretrained
from core.tf import rollout as tf_rollout
from tests.conftest import ROOT

MODELS = ROOT / "book" / "models"


def stories(count=20, chunks=3, split="train", seed=0):
    return long_text.stories(split, count, chunks, np.random.default_rng(seed))


@pytest.fixture(scope="module")
def reader():
    return pt_pretrained.load(MODELS / "long_text")


@pytest.fixture(scope="module")
def reading(reader):
    rng = np.random.default_rng(3)
    return long_text.read(pt_rollout.rollout, reader, stories(40), rng)


@pytest.mark.parametrize(
    ("chunk", "note"),
    [
        ("Ann gives Dan the key . Dan tells Cat the news .", "Dan Ben Cat"),
        ("Ann gives Ben the key . Ben gives Cat the key .", "Cat Ben Cat"),
        ("Cat gives Ann the coin . Ben gives Dan the book .", "Ann Dan Ann"),
        ("Dan gives Cat the book . Ann tells Cat the news .", "Ann Cat Cat"),
        ("Ann tells Cat the news . Cat tells Ben the news .", "Ann Ben Cat"),
    ],
)
def test_the_note_that_follows(chunk, note):
    """The giver is not read: who takes the thing has it."""
    after = long_text.after(("Ann", "Ben", "Cat"), chunk)
    assert " ".join(after) == note


def test_a_note_of_another_length():
    with pytest.raises(ValueError, match="note: expected 3 holders"):
        long_text.after(("Ann", "Ben"), "Ann gives Dan the key .")


def test_every_chunk_fits_its_note():
    """Givers have what they give, and nobody gives to themselves."""
    for story in stories(200, 4):
        assert len(story.notes) == 5 and len(story.chunks) == 4
        for note, chunk in zip(story.notes, story.chunks):
            for sentence in chunk.split(" .")[:-1]:
                giver, verb, taker, _, thing = sentence.split()
                assert giver != taker
                if verb == "gives":
                    assert note[long_text.THINGS.index(thing)] == giver
                note = long_text.after(note, sentence + " .")


def test_the_share_of_sentences_that_change_nothing():
    words = " ".join(c for s in stories(500, 4) for c in s.chunks).split()
    share = words.count("tells") / (words.count("tells") + words.count("gives"))
    assert abs(share - long_text.TELLS) < 0.03


def test_no_chunk_is_in_both_splits():
    seen = {
        split: {
            long_text.prompt(note, chunk)
            for story in stories(300, 3, split)
            for note, chunk in zip(story.notes, story.chunks)
        }
        for split in long_text.SPLITS
    }
    assert not seen["train"] & seen["test"]
    assert min(map(len, seen.values())) > 300


def test_the_same_seed_gives_the_same_stories():
    assert stories(5) == stories(5) != stories(5, seed=1)


def test_the_environments():
    env = long_text.environment("test", count=7)
    assert env.prompts.shape == (7, 17) and env.targets.shape == (7, 4)
    whole = long_text.whole_environment("train", each=3)
    assert whole.prompts.shape == (12, 17 + 12 * 3)
    assert whole.prompt_mask[:, 0].tolist() == [0] * 9 + [1] * 3
    (ids,), targets, mask = next(long_text.of_one_length(np.random.default_rng(0)))
    assert ids.min() > 0 and ids.shape == targets.shape == mask.shape


def test_a_reading_is_the_right_one(reader, reading):
    """Each chunk is read with the note that was written before it."""
    texts = stories(40)
    assert reading.right.shape == (3, 40, 3)
    assert len(reading.batch) == 3 * 40
    tok = long_text.tokenizer()
    prompts = [" ".join(tok.tokens[t] for t in row) for row in reading.batch.prompts]
    for i, story in enumerate(texts):
        assert prompts[i] == long_text.prompt(story.notes[0], story.chunks[0])
        assert prompts[40 + i] == long_text.prompt(reading.notes[0][i], story.chunks[1])
        for k in range(3):
            assert reading.right[k, i].tolist() == [
                a == b for a, b in zip(reading.notes[k][i], story.notes[k + 1])
            ]


def test_without_a_carried_note(reader):
    texts = stories(4, 2)
    batch = long_text.read(pt_rollout.rollout, reader, texts, carried=False).batch
    tok = long_text.tokenizer()
    second = [tok.tokens[t] for t in batch.prompts[4]]
    assert second[:3] == [long_text.UNKNOWN] * 3


def test_what_is_paid(reading):
    """By hand: the token's is what follows from the note that was read."""
    token, note, answer = (
        long_text.paid(reading, credit).rewards
        for credit in ("token", "note", "answer")
    )
    texts, before = stories(40), None
    for i, story in enumerate(texts):
        for k in range(3):
            before = story.notes[0] if k == 0 else reading.notes[k - 1][i]
            wanted = long_text.after(before, story.chunks[k])
            paid = token[40 * k + i]
            assert paid[:3].tolist() == [
                0.25 * (a == b) for a, b in zip(reading.notes[k][i], wanted)
            ]
            assert note[40 * k + i].sum() == pytest.approx(paid.sum())
            assert answer[40 * k + i].sum() == pytest.approx(
                reading.right[-1, i].mean()
            )
    for rewards in (note, answer):
        assert ((rewards > 0).sum(axis=1) <= 1).all()
    assert reading.right.mean() < 1 and (note != answer).any()


@pytest.mark.parametrize(
    ("name", "call"),
    [
        ("split", lambda: stories(split="validation")),
        ("count", lambda: stories(0)),
        ("chunks", lambda: stories(chunks=0)),
        ("texts", lambda: long_text.read(None, None, stories(1) + stories(1, 2))),
        ("texts", lambda: long_text.read(None, None, [])),
        ("credit", lambda: long_text.paid(None, "story")),
        ("blocks", lambda: written(["The cat sat."], blocks=0)),
        ("beginnings", lambda: written([])),
    ],
)
def test_bad_input(name, call):
    with pytest.raises(ValueError, match=f"{name}: expected"):
        call()


def test_both_frameworks_read_alike():
    texts = stories(12, 3, "test")
    notes = [
        long_text.read(rollout, load(MODELS / "long_text"), texts).notes
        for rollout, load in (
            (pt_rollout.rollout, pt_pretrained.load),
            (tf_rollout.rollout, tf_pretrained.load),
        )
    ]
    assert notes[0] == notes[1]


def test_the_lstm_reads_on():
    """The shipped weights give what evaluation.json says."""
    folder = MODELS / "long_text_lstm"
    policy = LSTMPolicy(len(long_text.tokenizer()), **long_text.LSTM)
    checkpoints.load_model(folder / "model.safetensors", policy)
    kept = json.loads((folder / "evaluation.json").read_text("utf-8"))["exact"]
    env = long_text.whole_environment("test", [16], each=500)
    batch = pt_rollout.rollout(policy, env, np.arange(500))
    exact = batch.rewards.sum(axis=1).mean()
    assert exact == pytest.approx(kept["16"], abs=0.01) and exact > 0.9


# --- Writing in blocks ------------------------------------------------------


@pytest.fixture(scope="module")
def gpt():
    folder = MODELS / "gpt"
    return PretrainedTokenizer(folder), pt_pretrained.load(folder)


def written(beginnings, gpt=(None, None), blocks=2, context=lambda a, b: b):
    tok, policy = gpt
    return long_text.write(
        pt_rollout.sample, policy, tok, beginnings, blocks, 5, context, seed=0
    )


def test_a_text_is_its_beginning_and_its_blocks(gpt):
    tok, policy = gpt
    endless = long_text.Endless(policy, [tok.pad_id, tok.bos_id, tok.eos_id])
    seen = []

    def context(first, so_far):
        seen.append(list(so_far))
        return first

    beginnings = ["The cat sat on the mat.", "The king played in the park."]
    texts = written(beginnings, (tok, endless), context=context)
    assert [text[0] for text in texts] == beginnings
    assert all(len(text) == 3 and all(text) for text in texts)
    assert [len(row) for row in seen[2:]] == [len(row) + 5 for row in seen[:2]]
    for text, row in zip(texts, seen[2:]):
        assert tok.decode(row) == "".join(text[:2])


def test_an_endless_policy_does_not_end(gpt):
    tok, policy = gpt
    endless = long_text.Endless(policy, [tok.eos_id])
    ids = np.array([tok.encode("The cat sat on the mat.")])
    made = pt_rollout.sample(endless, ids, 60, seed=1)[0]
    assert tok.eos_id not in made
    assert tok.eos_id in pt_rollout.sample(policy, ids, 60, seed=1)[0]


def test_the_grammars_own_stories_are_consistent():
    for text in grammar.corpus(200, seed=11):
        for _, grammatical, person, thing in long_text.judged([text]):
            assert grammatical and person is not False and thing is not False


@pytest.mark.parametrize(
    ("sentence", "found"),
    [
        ("He was so happy.", (True, True, None)),
        ("She was so happy.", (True, False, None)),
        ("The queen rested in the park.", (True, False, None)),
        ("It was very cool there.", (True, None, None)),
        ("Then it began to rain.", (True, None, None)),
        ("It was so happy.", (True, False, None)),
        ("The bird flew away.", (True, None, False)),
        ("Bird the flew away.", (False, None, None)),
    ],
)
def test_a_sentence_is_judged(sentence, found):
    text = ["The king walked in the park.", f" {sentence} Then"]
    assert long_text.judged(text) == [(0, True, True, None), (1, *found)]


def test_a_thing_that_was_met_may_be_named():
    text = [
        "The king walked in the park.",
        " Soon he saw an odd bee. The bee",
        " flew away.",
    ]
    assert long_text.judged(text)[1:] == [(1, True, True, None), (2, True, None, True)]
