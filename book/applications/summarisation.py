"""Short reports with headlines; which sentence is the news, the others decide.

A report has three sentences on three subjects, in random order.  Every event
has a level from 1 (routine) to 4 (grave), and the news is the one event of
the highest level: the same sentence is the news beside routine and is left
out beside something graver.  Names apart, all is in lower case.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

from applications import metrics
from core import checks, rewards
from core.envs import BatchedEnvironment
from core.settings import SupervisedConfig
from core.text import WordTokenizer, split_words

# The supervised start that travels with the book (starters.py).
MODEL = {"n_embd": 64, "n_layer": 2, "n_head": 4}
SUPERVISED = SupervisedConfig(steps=1600, learning_rate=3e-3)
BATCH_SIZE = 64
SPLITS = {"train": 40000, "test": 400}  # reports in each
SENTENCES = 3
MAX_LENGTH = 18  # tokens of a headline with its EOS; references have 17
CUE = "→"  # the last token of a prompt: now comes the headline
DATA = Path(__file__).resolve().parents[1] / "data" / "summarisation"
PLACES = tuple(
    "Arnholm Belsund Corvik Dunmere Elsby Farholm Grimsund Hallvik Istead "
    "Kelmere Lornby Marsund".split()
)
NUMBERS = tuple("two three four five six seven eight nine".split())
HELD_OUT = 2  # of the places, for each event that can be news
STYLES = (0.36, 0.28, 0.28, 0.08)  # how often each is written, see `styles`


class Event(NamedTuple):
    """What can happen, how it is told, and how a headline puts it."""

    subject: str
    level: int  # 1 to 4
    key: str  # a word of all its headlines and of no other event's
    sentences: tuple[str, ...]  # {p} is the place, {n} the number
    headlines: tuple[str, ...]  # styles 1 to 3; none for routine, level 1


class Report(NamedTuple):
    """A text, its headline, and the slots of its news."""

    text: str
    headline: str
    sentence: str  # the one that is the news
    event: Event
    place: str
    number: str


@cache
def events():
    """The events of the grammar, from book/data/summarisation."""
    return tuple(
        Event(
            row["subject"],
            row["level"],
            row["key"],
            tuple(row["sentences"]),
            tuple(row["headlines"]),
        )
        for row in _rows("events.jsonl")
    )


def styles(event, place, number):
    """Four headlines of an event; the fourth is the first and the second."""
    made = [h.format(p=place, n=number) for h in event.headlines]
    return [*made, f"{made[0]}: {made[1]}"]


def places(split):
    """{event: its places} for the news of a split; none is in both."""
    if split not in SPLITS:
        raise ValueError(f"split: expected one of {tuple(SPLITS)}, got {split!r}")
    rng, found = np.random.default_rng(36), {}
    for event in events():
        order = rng.permutation(PLACES).tolist()
        cut = HELD_OUT if event.headlines else 0
        found[event] = order[:cut] if split == "test" else order[cut:]
    return found


def reports(split, count=None, seed=0):
    """The first `count` reports of a split, all different; None: all.

    A held-out pair of event and place is nowhere in "train", not even beside
    the news.  In "test" it is the news, beside sentences as in "train".
    Another seed draws other reports of the same pairs.

    Returns: list of `Report`.
    """
    news_places, other_places = places(split), places("train")
    count = SPLITS[split] if count is None else count
    if not 1 <= count <= SPLITS[split]:
        raise ValueError(f"count: expected 1 to {SPLITS[split]} or None, got {count}")
    number = list(SPLITS).index(split)
    rng, found = np.random.default_rng([seed, number] if seed else number), {}
    subjects = sorted({event.subject for event in events()})
    while len(found) < count:
        level, told, free = rng.integers(2, 5), [], set(PLACES)
        for subject in rng.permutation(subjects)[:SENTENCES]:
            event = _draw(
                rng,
                [
                    e
                    for e in events()
                    if e.subject == subject
                    and (e.level < level if told else e.level == level)
                ],
            )
            allowed = (other_places if told else news_places)[event]
            place = _draw(rng, [p for p in allowed if p in free])
            free.remove(place)
            slots = {"p": place, "n": _draw(rng, NUMBERS)}
            told.append((_draw(rng, event.sentences), event, slots))
        order = rng.permutation(SENTENCES)
        text = " ".join(told[i][0].format(**told[i][2]) + "." for i in order)
        sentence, event, slots = told[0]
        style = rng.choice(len(STYLES), p=STYLES)
        headline = styles(event, slots["p"], slots["n"])[style]
        found[text] = Report(
            text, headline, sentence.format(**slots), event, slots["p"], slots["n"]
        )
    return list(found.values())


def hand_written():
    """Texts and headlines written by hand, the texts in known words."""
    rows = _rows("hand_written.jsonl")
    return [r["report"] for r in rows], [r["headline"] for r in rows]


def tokenizer():
    """One token for each word that a report or a headline can have."""
    words = [*PLACES, *NUMBERS, ".", ":", CUE]
    for event in events():
        for text in event.sentences + event.headlines:
            words += text.replace("{p}", "").replace("{n}", "").split()
    return WordTokenizer([" ".join(words)])


def environment(split, token_reward=None, count=None, seed=0):
    """The reports of a split; the reward, if None, is ROUGE-L at the end."""
    made = reports(split, count, seed)
    return from_texts([r.text for r in made], [r.headline for r in made], token_reward)


def from_texts(texts, headlines, token_reward=None):
    """Reports and headlines in known words as an environment."""
    for name, given in (("texts", texts), ("headlines", headlines)):
        if not all(text.strip() for text in given):
            raise ValueError(f"{name}: expected texts that are not empty")
    tok = tokenizer()
    if token_reward is None:
        token_reward = rewards.token_from_text(metrics.rouge, tok)
    prompts, mask = tok.encode_prompts([f"{text} {CUE}" for text in texts])
    return BatchedEnvironment(
        prompts,
        tok.encode_batch(headlines, MAX_LENGTH, add_eos=True),
        token_reward,
        len(tok),
        eos_id=tok.eos_id,
        tokenizer=tok,
        prompt_mask=mask,
    )


def rouge_recall(completions, *, target, **columns):
    """ROUGE-L without its precision: the share of the target's words found.

    Source: Lin 2004, W04-1013, §3.1.

    >>> rouge_recall(["fire in Elsby", "flood fire fog in or off Elsby"],
    ...              target=["fire in Elsby"] * 2)
    [1.0, 1.0]
    """
    return metrics.rouge(completions, target=target, part="recall")


def right_fact(completions, *, report, **columns):
    """1 where a headline names the news and nothing else, else 0.

    It is judged by its slots: the place of the news and no other place, the
    key word of its event and of no other, no number but its own.

    Args:
        report: list of `Report`, one for each completion.
    """
    completions = checks.texts("completions", completions, chat=True)
    if len(report) != len(completions):
        raise ValueError(
            f"report: expected {len(completions)} reports, one per "
            f"completion, got {len(report)}"
        )
    keys, found = {event.key for event in events()} - {""}, []
    for text, news in zip(completions, report, strict=True):
        words = set(split_words(text))
        found.append(
            float(
                words & set(PLACES) == {news.place}
                and words & keys == {news.event.key}
                and words & set(NUMBERS) <= {news.number}
            )
        )
    return found


def _rows(name):
    lines = (DATA / name).read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def _draw(rng, choices):
    return choices[rng.integers(len(choices))]
