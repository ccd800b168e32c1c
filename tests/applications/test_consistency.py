"""Consistency: no story of the grammar has a conflict, and each kind is seen."""

import numpy as np
import pytest

from applications import grammar
from applications.consistency import consistent, token_consistency, word_verdicts
from core.text import PretrainedTokenizer

PARSER = grammar.Parser("en")
MOUSE = "The cat sat on the mat. Then it saw a small mouse."


def test_no_story_of_the_grammar_has_a_conflict():
    stories = grammar.corpus(500, seed=31)
    assert [story for story in stories if consistent(story, PARSER) < 1] == []


@pytest.mark.parametrize(
    ("text", "word"),  # the first that conflicts
    [
        ("The cat sat on the mat. The mouse ran away.", "mouse"),
        (f"{MOUSE} The bird flew away.", "bird"),
        (f"{MOUSE} The mouse ran away. The mouse played with it.", "mouse"),
        (f"{MOUSE} The mouse hid in a hole. The mouse ran away.", "mouse"),
        ("The boy sat by the fire. Then he found a big pear. He ate the pear."
         " The pear was delicious.", "pear"),
        ("The boy sat by the fire. Soon she saw a big bee.", "she"),
        ("The boy sat by the fire. It ran home because it was cold.", "ran"),
        ("The boy sat by the fire. It was very happy.", "happy"),
        ("The girl sat by the fire. The house was warm. Then they ran", "they"),
        ("The girl sat by the fire. She was glad. She was a little sad.", "sad"),
    ],
)  # fmt: skip
def test_each_kind_of_conflict(text, word):
    verdicts = word_verdicts(text, PARSER)
    words = [w.lower() for w in PARSER.words(text)]
    assert words[verdicts.index(0.0)] == word
    assert consistent(text, PARSER) < 1


@pytest.mark.parametrize(
    "text",
    [
        "The boy sat by the fire. It was warm there. Then it began to rain.",
        "The boy sat by the fire. It was",  # not known yet
        f"{MOUSE} The mouse ran away. Then it saw an odd mouse. The mouse ran away.",
        "The boy sat by the fire. Then he met a big frog. It was happy.",
        "The girl sat by the fire. The boy rested in the park. He was glad.",
        "The girl was glad. The boy was sad.",
        " ".join(["The cat sat on the mat."] * 5),  # what it cannot see
    ],
)
def test_no_conflict(text):
    assert set(word_verdicts(text, PARSER)) == {1.0}


def test_an_unfinished_text_keeps_its_verdicts():
    """What is paid for a word does not change with the words behind it."""
    text = f"{MOUSE} The mouse ran away. She was happy. The mouse was afraid of it."
    words = text.split(" ")
    whole = word_verdicts(text, PARSER)
    for n in range(1, len(words)):
        part = word_verdicts(" ".join(words[:n]), PARSER)
        assert part == whole[: len(part)]


def test_tokens():
    tokenizer = PretrainedTokenizer("book/models/gpt")
    ids = np.array([[tokenizer.bos_id, *tokenizer.encode(f"{MOUSE} She ran home"),
                     tokenizer.eos_id, tokenizer.pad_id]])  # fmt: skip
    mask = (ids != tokenizer.pad_id).astype(float)
    found = token_consistency(ids, mask, tokenizer, PARSER)[0]
    names = [tokenizer.decode([i]) for i in ids[0]]
    assert found[0] == found[-1] == 0 and found[-2] == 0  # EOS after a conflict
    assert names[np.flatnonzero(found)[-1] + 1] == " She"
    assert found[1 : names.index(" She")].all()
