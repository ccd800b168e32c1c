"""core.text: every text comes back from its token ids."""

import doctest

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core import text
from core.tasks import DOCUMENT_000_TEXT, continuations
from core.text import ByteBPETokenizer, CharTokenizer, WordTokenizer

ENGLISH = [t for side in continuations("en") for t in side]
CHINESE = [t for side in continuations("zh") for t in side]


def test_docstrings():
    result = doctest.testmod(text)
    assert result.failed == 0 and result.attempted > 5


@pytest.mark.parametrize("tokenizer", [
    CharTokenizer(["ab"]), WordTokenizer(["a b"]),
    ByteBPETokenizer(["a b"], 259),
])
def test_special_tokens_stand_first(tokenizer):
    assert (tokenizer.pad_id, tokenizer.bos_id, tokenizer.eos_id) == (0, 1, 2)
    assert tokenizer.tokens[:3] == ["<pad>", "<bos>", "<eos>"]
    assert len(tokenizer) == len(tokenizer.tokens)


def test_document_000_has_16_tokens_of_which_14_differ():
    tokenizer = CharTokenizer([DOCUMENT_000_TEXT], keep_words=True)
    ids = tokenizer.encode(DOCUMENT_000_TEXT)
    assert ids == [3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 5, 6, 16]
    assert tokenizer.tokens[12] == "Python"
    assert tokenizer.decode(ids) == DOCUMENT_000_TEXT
    letters = CharTokenizer([DOCUMENT_000_TEXT])
    assert len(letters.encode(DOCUMENT_000_TEXT)) == 21


def test_from_tokens_takes_the_longest_token_that_fits():
    tokenizer = CharTokenizer.from_tokens(["你", "你好", "世界"])
    assert tokenizer.encode("你好世界你") == [4, 5, 3]
    assert tokenizer.decode([4, 5]) == "你好世界"


@pytest.mark.parametrize("string", ENGLISH + CHINESE)
def test_words_round_trip(string):
    tokenizer = WordTokenizer(ENGLISH + CHINESE)
    assert tokenizer.decode(tokenizer.encode(string)) == string


def test_word_spacing():
    for string in [
        "Yes, it's 3.5 km (or 2 miles): far! Is it?",
        "欢迎来到Python编程的世界，你好！",
        "Well-known words; others [see below].",
    ]:
        assert text.join_words(text.split_words(string)) == string


@settings(deadline=None)
@given(st.text(min_size=1), st.booleans())
def test_characters_round_trip(string, keep_words):
    tokenizer = CharTokenizer([string], keep_words)
    assert tokenizer.decode(tokenizer.encode(string)) == string


BPE = ByteBPETokenizer(ENGLISH + CHINESE, 400)


@settings(deadline=None)
@given(st.text(max_size=20))
def test_bytes_round_trip_for_any_text(string):
    assert BPE.decode(BPE.encode(string)) == string


def test_bpe_merges_frequent_pairs_and_keeps_to_its_size():
    tokenizer = ByteBPETokenizer(["low lower lowest"] * 5, 262)
    assert len(tokenizer) == 262
    assert tokenizer.tokens[259:] == ["lo", "low", "Ġlow"]
    assert len(tokenizer.encode("low")) == 1
    # The name of a special token, in a text, is text.
    ids = tokenizer.encode("<eos>")
    assert tokenizer.eos_id not in ids and tokenizer.decode(ids) == "<eos>"


def test_decode_stops_at_eos_and_skips_pad_and_bos():
    tokenizer = CharTokenizer(["abc"])
    assert tokenizer.decode([1, 3, 0, 4, 2, 5]) == "ab"
    assert tokenizer.decode(np.array([2, 3])) == ""


def test_encode_batch():
    tokenizer = CharTokenizer(["abc"])
    batch = tokenizer.encode_batch(["ab", "c"], 3, add_eos=True)
    assert batch.dtype == np.int64
    assert batch.tolist() == [[3, 4, 2], [5, 2, 0]]
    assert tokenizer.encode_batch(["ab"], 3).tolist() == [[3, 4, 0]]
    with pytest.raises(ValueError, match="length: expected at least 4"):
        tokenizer.encode_batch(["abc"], 3, add_eos=True)


def test_bad_input_is_named():
    tokenizer = CharTokenizer(["abc"])
    with pytest.raises(ValueError, match="text: '世' is not in the vocab"):
        tokenizer.encode("a世")
    with pytest.raises(ValueError, match="text: 'cat' is not in the vocab"):
        WordTokenizer(["a dog"]).encode("a cat")
    for ids in ([6], [-1]):
        with pytest.raises(ValueError, match=r"ids: expected .* \[0, 6\)"):
            tokenizer.decode(ids)
    for cls in (CharTokenizer, WordTokenizer):
        for texts in ([], [""], "abc"):
            with pytest.raises(ValueError, match="texts: expected"):
                cls(texts)
    with pytest.raises(ValueError, match="tokens: expected at least one"):
        WordTokenizer([" "])
    for tokens in ([], [""]):
        with pytest.raises(ValueError, match="tokens: expected at least one"):
            CharTokenizer.from_tokens(tokens)
    for tokens in (["a", "a"], ["<eos>"]):
        with pytest.raises(ValueError, match="tokens: expected distinct"):
            CharTokenizer.from_tokens(tokens)
    with pytest.raises(ValueError, match="vocab_size: expected at least 259"):
        ByteBPETokenizer(["a"], 100)
