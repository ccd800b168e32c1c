"""Short reviews with sentiment and topic, and a generator that is to please.

The reviews and phrases were invented one by one (`book/data/sentiment`).  The
generator is the book's GPT: it completes the beginnings of the reviews of
`grammar`, which also knows what such a review means.
"""

from __future__ import annotations

import csv
import re
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

from applications import grammar
from core import pretraining, rewards
from core.envs import BatchedEnvironment

FOLDER = Path(__file__).resolve().parents[1] / "data" / "sentiment"
LABELS = ("negative", "positive")  # a label's number is its place
TOPICS = ("food", "hotel", "film", "book", "phone", "delivery")
LANGUAGES = ("en", "zh")
SPLITS = ("train", "validation", "test")
# The generator's prompts are split by topic.
PROMPT_TOPICS = {"train": ("film", "book", "restaurant"), "test": ("hotel", "phone")}
OPENINGS = ("The {}", "Although the {}", "We think that the {}")
MAX_LENGTH = 20  # tokens of a completion


class Review(NamedTuple):
    """A text with what it is known to be; phrases may lack one label."""

    text: str
    language: str
    topic: str | None
    label: str | None
    split: str = "train"


def load(split=None, path=FOLDER / "reviews.tsv"):
    """The reviews of a split, or all; a list of `Review`.

    Args:
        split: one of SPLITS; None: all of them.
        path: a table with tabs between the columns language, topic, label
            and text, and split where it has one; "-" is an unknown label.
    Raises: ValueError for another split, and naming the column and line of
        what is not in its set; FileNotFoundError.
    """
    if split is not None:
        _check("split", split, SPLITS)
    rows, found = _table(path), []
    for number, row in enumerate(rows, start=2):
        where = f" in line {number} of {Path(path).name}"
        _check("language", row["language"], LANGUAGES, where)
        _check("topic", row["topic"], (*TOPICS, "-"), where)
        _check("label", row["label"], (*LABELS, "-"), where)
        _check("split", row.get("split", "train"), SPLITS, where)
        if not row["text"].strip():
            raise ValueError(f"text: expected one that is not empty{where}")
        found.append(
            Review(
                row["text"],
                row["language"],
                *(
                    None if row[name] == "-" else row[name]
                    for name in ("topic", "label")
                ),
                row.get("split", "train"),
            )
        )
    return [r for r in found if split in (None, r.split)]


def phrases():
    """Hand-written words and phrases with a label or a topic, as `load`."""
    return load(path=FOLDER / "phrases.tsv")


def tagged(path=FOLDER / "tagged.txt"):
    """The sentences with tags: lists of (word, part of speech)."""
    lines = Path(path).read_text(encoding="utf-8").splitlines()
    return [
        [tuple(word.rsplit("/", 1)) for word in line.split()] for line in lines if line
    ]


def classes(reviews, column="label"):
    """The numbers of the labels (or topics) of reviews, a list of int.

    Raises: ValueError for another column, or a review without the label.
    """
    _check("column", column, ("label", "topic"))
    names = LABELS if column == "label" else TOPICS
    for review in reviews:
        _check(column, getattr(review, column), names)
    return [names.index(getattr(review, column)) for review in reviews]


def batches(texts, labels, tokenizer, size, rng):
    """Batches without end in which every token is asked for the label.

    Args:
        texts: list of str.
        labels: as many numbers of classes.
        tokenizer: of the classifier, such as models/bert's.
        size: texts in a batch.
        rng: np.random.Generator.
    Yields: (ids, mask), targets, mask, all (size, L) with one L for all
        batches: what `SupervisedTrainer.step` takes, for the head "token".
    Raises: ValueError where the numbers of texts and labels differ, or are
        less than size.
    """
    if len(texts) != len(labels) or not 0 < size <= len(texts):
        raise ValueError(
            f"labels: expected one for each of {len(texts)} texts, of which "
            f"a batch has {size}, got {len(labels)}"
        )
    ids, mask = pretraining.padded_rows(tokenizer, texts)
    targets = mask.astype(int) * np.reshape(labels, (-1, 1))
    while True:
        rows = rng.choice(len(texts), size, replace=False)
        yield (ids[rows], mask[rows]), targets[rows], mask[rows]


def prompts(split):
    """Beginnings of reviews about the topics of a split; a list of str."""
    _check("split", split, tuple(PROMPT_TOPICS))
    return [
        opening.format(noun)
        for topic in PROMPT_TOPICS[split]
        for opening in OPENINGS
        for noun in _nouns(topic, opening)
    ]


def environment(split, tokenizer, score):
    """Prompts of a split; a completion earns the score of the whole text.

    Args:
        split: "train" or "test"; they share no topic.
        tokenizer: the generator's, `PretrainedTokenizer("models/gpt")`.
        score: f(texts) -> a number for each, such as P(positive).
    Returns: `BatchedEnvironment`; the targets are the prompts once more.
    """
    rows, every = (
        [[tokenizer.bos_id, *tokenizer.encode(text)] for text in texts]
        for texts in (prompts(split), prompts("train") + prompts("test"))
    )
    width = max(map(len, every))  # one for both splits: one compilation
    ids = [[tokenizer.pad_id] * (width - len(row)) + row for row in rows]
    mask = [[0.0] * (width - len(row)) + [1.0] * len(row) for row in rows]

    def token_reward(completions, mask, targets):
        whole = [
            tokenizer.decode(a[a >= 0]) + tokenizer.decode(b)
            for a, b in zip(targets, completions, strict=True)
        ]
        return rewards.terminal(score(whole), mask)

    return BatchedEnvironment(
        ids,
        ids,
        token_reward,
        len(tokenizer),
        tokenizer.eos_id,
        tokenizer.pad_id,
        tokenizer,
        mask,
        MAX_LENGTH,
    )


def meaning(text):
    """What an English review of `grammar` means: 1 for, 0 against.

    None for a text that is no single review of the grammar.

    >>> meaning("Although the room was good, the lobby was dirty.")
    0
    """
    good, bad = (_adjectives(opinion) for opinion in ("GOOD", "BAD"))
    clauses = re.split(r", (?:but |although |even though )?|\. ", text)
    words = [re.findall(r"\w+", clause) for clause in clauses]
    said = text.startswith("People said")
    if (
        not _parser().parses(text)
        or text.count(".") != 1 + said
        or words[0][-1] not in good | bad
    ):
        return None
    positive = [(w[-1] in good) ^ ("not" in w) for w in words]
    if said:
        return int(positive[0] ^ ("wrong" in words[1]))
    second = ", but " in text or text.startswith("Although")
    return int(positive[1 if second else 0])


@cache
def _parser():
    return grammar.Parser("en")


@cache
def _adjectives(opinion):
    """The English adjectives of all topics, "GOOD" or "BAD"."""
    return {
        english[0]
        for name, sides in grammar.RULES.items()
        if re.fullmatch(f"ADJ_.*_{opinion}", name)
        for english, _ in sides
    }


def _nouns(topic, opening):
    """What a review of a topic may begin with after an opening."""
    kinds = {
        "The {}": ("TOPIC", "PART", "SIDE"),
        "Although the {}": ("PART", "SIDE"),
    }.get(opening, ("TOPIC",))
    return [
        english[0]
        for kind in kinds
        for english, _ in grammar.RULES[f"{kind}_{topic.upper()}"]
    ]


def _table(path):
    """The rows of a table with tabs; ValueError for a missing column."""
    with open(path, encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
        rows = list(reader)
    for name in ("language", "topic", "label", "text"):
        if name not in (reader.fieldnames or ()):
            raise ValueError(
                f"path: expected a table with the column {name!r}, "
                f"got {reader.fieldnames}"
            )
    return rows


def _check(name, value, allowed, where=""):
    if value not in allowed:
        raise ValueError(f"{name}: expected one of {allowed}, got {value!r}{where}")
