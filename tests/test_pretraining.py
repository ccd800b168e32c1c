"""Batches of next and of masked tokens."""

import numpy as np
import pytest

from applications.grammar import corpus
from applications.pretraining import packed_rows
from core.envs import BatchedEnvironment
from core.pretraining import answers, masked_tokens, next_tokens, padded_rows
from core.text import ByteBPETokenizer, CharTokenizer

TEXTS = corpus(60, 3, "both", "both")
TOKENIZER = ByteBPETokenizer(TEXTS, 300, add_mask=True)


def test_packed_rows_hold_the_texts():
    rows = packed_rows(TOKENIZER, TEXTS, 50)
    assert rows.shape[1] == 50 and (rows[:, 0] == TOKENIZER.bos_id).all()
    # decode stops at the first EOS: the text that a row begins with, cut off
    # within a character, perhaps.
    told = [TOKENIZER.decode(row).rstrip("\ufffd") for row in rows]
    assert TEXTS[0].startswith(told[0])
    assert all(any(text.startswith(t) for text in TEXTS) for t in told)
    assert TOKENIZER.pad_id not in rows
    with pytest.raises(ValueError, match="texts"):
        packed_rows(TOKENIZER, TEXTS[:1], 10_000)


def test_padded_rows_are_the_texts():
    ids, mask = padded_rows(TOKENIZER, TEXTS)
    assert (ids[:, 0] == TOKENIZER.bos_id).all()
    ends = mask.sum(axis=1).astype(int) - 1
    assert (ids[np.arange(len(ids)), ends] == TOKENIZER.eos_id).all()
    assert ((ids == TOKENIZER.pad_id) == (mask == 0)).all()
    assert [TOKENIZER.decode(row) for row in ids] == TEXTS
    with pytest.raises(ValueError, match="texts"):
        padded_rows(TOKENIZER, [])


def test_next_tokens_are_shifted():
    ids, mask = padded_rows(CharTokenizer(["abc"]), ["abc", "a"])
    [read], targets, counted = next_tokens(ids, mask)
    assert read.tolist() == [[1, 3, 4, 5], [1, 3, 2, 0]]
    assert targets.tolist() == [[3, 4, 5, 2], [3, 2, 0, 0]]
    assert counted.tolist() == [[1, 1, 1, 1], [1, 1, 0, 0]]
    assert next_tokens(ids)[2].all()


def test_masked_tokens_in_their_shares():
    """15 % chosen; of these 80 % masked, 10 % random, 10 % as they were."""
    ids, mask = padded_rows(TOKENIZER, TEXTS * 20)
    rng = np.random.default_rng(0)
    (shown, seen), targets, chosen = masked_tokens(ids, mask, TOKENIZER, rng)
    ordinary = ids > TOKENIZER.eos_id
    assert (targets == ids).all() and (seen == mask).all()
    assert not chosen[~ordinary].any()
    assert (shown[chosen == 0] == ids[chosen == 0]).all()
    assert chosen[ordinary].mean() == pytest.approx(0.15, abs=0.003)
    assert chosen.any(axis=1).all()
    picked, kept = shown[chosen == 1], ids[chosen == 1]
    masked = picked == TOKENIZER.mask_id
    assert masked.mean() == pytest.approx(0.8, abs=0.01)
    assert (picked == kept).mean() == pytest.approx(0.1, abs=0.01)
    assert picked.min() > TOKENIZER.eos_id


def test_a_row_without_words_has_no_target():
    ids = np.array([[1, 2, 0], [1, 9, 2]])
    mask = np.array([[1, 1, 0], [1, 1, 1]])
    rng = np.random.default_rng(0)
    _, _, chosen = masked_tokens(ids, mask, TOKENIZER, rng, share=1e-6)
    assert chosen.tolist() == [[0, 0, 0], [0, 1, 0]]


def test_bad_input_is_named():
    ids, mask = padded_rows(TOKENIZER, TEXTS[:2])
    rng = np.random.default_rng(0)
    for share in (0, 1.1):
        with pytest.raises(ValueError, match="share"):
            masked_tokens(ids, mask, TOKENIZER, rng, share)
    with pytest.raises(ValueError, match="tokenizer"):
        masked_tokens(ids, mask, CharTokenizer(["a"]), rng)


def test_answers_predict_the_targets_alone():
    env = BatchedEnvironment(
        [[5, 6], [0, 7]],
        [[3, 2, 0], [4, 4, 2]],
        None,
        8,
        eos_id=2,
        prompt_mask=[[1, 1], [0, 1]],
    )
    batch = next(answers(env, 16, np.random.default_rng(0)))
    (ids, seen), targets, mask = batch
    first, second = ids[:, 0] == 5, ids[:, 0] == 0
    assert first.sum() + second.sum() == 16 and first.any() and second.any()
    row = np.argmax(first)
    assert ids[row].tolist() == [5, 6, 3, 2]
    assert seen[row].tolist() == [1, 1, 1, 1]
    assert targets[row].tolist() == [6, 3, 2, 0]
    assert mask[row].tolist() == [0, 1, 1, 0]
    row = np.argmax(second)
    assert ids[row].tolist() == [0, 7, 4, 4]
    assert seen[row].tolist() == [0, 1, 1, 1]
    assert targets[row].tolist() == [7, 4, 4, 2]
    assert mask[row].tolist() == [0, 1, 1, 1]


@pytest.mark.parametrize("pad_id", [0, 2, 7])  # a special one, EOS, a letter
def test_answers_teach_the_end(pad_id):
    """Whatever pads: two and four tokens, EOS among them."""
    env = BatchedEnvironment(
        [[5, 6], [pad_id, 7]],
        [[3, 2, pad_id, pad_id], [7, 0, 4, 2]],
        None,
        8,
        eos_id=2,
        pad_id=pad_id,
        prompt_mask=[[1, 1], [0, 1]],
    )
    env.sample = lambda size, rng: np.arange(size)
    (ids, seen), targets, counted = next(answers(env, 2, None))
    assert counted.tolist() == [[0, 1, 1, 0, 0], [0, 1, 1, 1, 1]]
    assert seen.tolist() == [[1, 1, 1, 1, 0], [0, 1, 1, 1, 1]]
    assert targets[counted > 0].tolist() == [3, 2, 7, 0, 4, 2]
    assert ids[seen > 0].tolist() == [5, 6, 3, 2, 7, 7, 0, 4]


class Real(CharTokenizer):
    """As BERT's: the special tokens stand among others, the pad is EOS."""

    pad_id = eos_id = 5
    bos_id, mask_id, cls_id = 3, 4, 7


def test_special_tokens_are_neither_chosen_nor_drawn():
    tokenizer = Real.from_tokens(list("abcdefghi"))  # 12 ids; 3, 4, 5, 7 special
    ids = np.full((400, 8), 6)
    ids[:, 0], ids[:, 5], mask = 3, 5, np.ones(ids.shape)
    mask[:, 6:] = 0
    rng = np.random.default_rng(0)
    (shown, _), _, chosen = masked_tokens(ids, mask, tokenizer, rng, share=0.5)
    assert not chosen[:, [0, 5, 6, 7]].any()
    assert chosen[:, 1:5].mean() == pytest.approx(0.5, abs=0.05)
    drawn = set(shown[chosen > 0]) - {tokenizer.mask_id}
    assert drawn == set(range(12)) - {3, 4, 5, 7}


@pytest.mark.parametrize("bad", ["abc", None, [None], [3], {"a": 1}])
def test_rows_are_made_of_lists_of_texts(bad):
    tokenizer = CharTokenizer(["abc"])
    for make in (padded_rows, lambda *a: packed_rows(*a, 2)):
        with pytest.raises(ValueError, match="^texts: expected a list of texts"):
            make(tokenizer, bad)
    tokenizer.bos_id = None
    with pytest.raises(ValueError, match="^tokenizer: expected one with BOS and EOS"):
        padded_rows(tokenizer, ["a"])


@pytest.mark.parametrize("length", [0, -1, 2.5, np.nan, np.inf, None, "2"])
def test_the_length_of_a_row_is_a_number_of_tokens(length):
    with pytest.raises(ValueError, match="^length: expected"):
        packed_rows(CharTokenizer(["abc"]), ["abc"], length)


def test_batches_are_of_ids_with_their_mask():
    ids, mask, rng = np.array([[1, 6, 2]]), np.ones((1, 3)), np.random.default_rng(0)
    for bad in (ids * 1.0, ids.astype(str), np.full((1, 3), np.nan)):
        with pytest.raises(ValueError, match="^ids: expected integers"):
            next_tokens(bad, mask)
        with pytest.raises(ValueError, match="^ids: expected integers"):
            masked_tokens(bad, mask, TOKENIZER, rng)
    for bad in (mask[:, :2], mask[0], np.ones((2, 3))):
        with pytest.raises(ValueError, match="^mask: expected the shape"):
            next_tokens(ids, bad)
        with pytest.raises(ValueError, match="^mask: expected the shape"):
            masked_tokens(ids, bad, TOKENIZER, rng)
    with pytest.raises(ValueError, match="^mask: expected zeros and ones"):
        masked_tokens(ids, 0.5 * mask, TOKENIZER, rng)
