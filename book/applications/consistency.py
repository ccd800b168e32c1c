"""Logical consistency of the grammar's English stories, word by word.

A sentence states something of the characters and things of a text, and takes
something for granted.  A word is a conflict where what it takes for granted was
never said, or is denied by what was: "the bird" without a bird before it, "she"
without a woman, a mouse that plays after it ran away, a hero both glad and sad.

What it cannot see: any other word, when and where things happen, causes, and
repetition, as a sentence contradicts no copy of itself.
"""

from __future__ import annotations

import numpy as np

from applications import grammar
from applications.text_generation import SENTENCE

FORMS = {"he": "he him", "she": "she her", "it": "it", "they": "they them"}
PRONOUNS = {form: who for who, forms in FORMS.items() for form in forms.split()}


def _nouns(*names):
    """The English words of some rules of the grammar, each one word."""
    return {en[-1] for name in names for en, _ in grammar.RULES[name]}


# Heroes need no first mention, and who speaks of them; things need one.
HEROES = {
    noun: who
    for who, name in (
        *(("he", "HERO_HE"), ("she", "HERO_SHE"), ("it", "HERO_IT")),
        *(("they", "HERO_THEY"), ("they", "HERO_PETS")),
    )
    for noun in _nouns(name)
}
THINGS = _nouns("FLYER", "RUNNER", "FOOD", "TOY", "READ")
WEATHER = _nouns("COSY", "FRESH")  # "it was warm there": this "it" is nobody
MOODS = {word: "glad" for word in _nouns("HAPPY")}
MOODS |= {word: "sad" for word in _nouns("UNHAPPY")}
TAKEN = {"ate", "shared", "gave"}  # what follows is no longer there


class Story:
    """What a text has stated so far."""

    def __init__(self):
        self.spoken_of = set()  # pronouns that mean somebody
        self.there = set()  # things that were mentioned and have not gone
        self.moods = {}  # pronoun -> "glad" or "sad"

    def read(self, words):
        """Take in a sentence.

        words: list of str, lower case; an unfinished sentence's, too.
        Returns: the place of the first conflict, len(words) without one.
        """
        first, mood_of = len(words), None
        for i, word in enumerate(words):
            who = PRONOUNS.get(word)
            at = i if who is None else _means(words, i)
            wrong = who is not None and at is not None and who not in self.spoken_of
            mood_of = who or mood_of
            if word in HEROES:
                self.spoken_of.add(HEROES[word])
            elif word in THINGS:
                wrong = self._mention(word, words[max(0, i - 2) : i])
            elif word in MOODS and mood_of:
                wrong = self.moods.setdefault(mood_of, MOODS[word]) != MOODS[word]
            if wrong:
                first = min(first, at)
        self._leave(words)
        return first

    def _mention(self, thing, before):
        """Whether a thing is spoken of as known, and is not there."""
        if "the" in before:
            return thing not in self.there
        self.there.add(thing)
        self.spoken_of.add("it")
        return False

    def _leave(self, words):
        """Take away what flies, runs or hides, is eaten or given away."""
        if words[:1] == ["the"] and len(words) > 3:
            ran = words[2:4] == ["ran", "away"] or words[2] in ("flew", "hid")
            self.there -= set(words[1:2]) if ran else set()
        for verb, article, thing in zip(words, words[1:], words[2:], strict=False):
            if verb in TAKEN and article == "the":
                self.there.discard(thing)


def _means(words, i):
    """From which place on a pronoun is known to mean somebody; None: it is not.

    "It began to rain" and "it was warm there" speak of nobody.
    """
    after = [word for word in words[i + 1 :] if word != "very"]
    if words[i] != "it" or (after and after[0] not in ("began", "was")):
        return i if words[i] != "it" else i + 1
    if after[:1] != ["was"] or len(after) == 1 or after[1] in WEATHER:
        return None
    return words.index(after[1], i + 1)


def word_verdicts(text, parser):
    """0 for the words of each sentence from its first conflict on, else 1.

    Args:
        text: English.
        parser: grammar.Parser("en"), which divides it into words.

    >>> parser = grammar.Parser("en")
    >>> word_verdicts("The cat lay on the mat. Then she ran home.", parser)[7:]
    [1.0, 0.0, 0.0, 0.0, 0.0]
    """
    story, verdicts = Story(), []
    for sentence in SENTENCE.split(text):
        words = [word.lower() for word in parser.words(sentence)]
        first = story.read(words)
        verdicts += [1.0] * first + [0.0] * (len(words) - first)
    return verdicts


def consistent(text, parser):
    """The share of the sentences of a text without a conflict, in [0, 1].

    >>> parser = grammar.Parser("en")
    >>> bird = "Then it saw a small bird. The bird flew away."
    >>> consistent(f"The cat sat on the mat. {bird}", parser)
    1.0
    >>> consistent(f"The cat sat on the mat. {bird} The bird did not see it.", parser)
    0.75
    """
    story = Story()
    whole = [[w.lower() for w in parser.words(s)] for s in SENTENCE.split(text)]
    return float(np.mean([story.read(words) == len(words) for words in whole]))


def token_consistency(ids, mask, tokenizer, parser):
    """The verdict on the word in which each token ends; (B, L) float.

    EOS has that of the last word.

    Args:
        ids, mask: (B, L), BOS included, as in `text_generation.token_grammar`.
    """
    paid = np.zeros(ids.shape)
    special = tokenizer.pad_id, tokenizer.bos_id, tokenizer.mask_id
    for i, length in enumerate(np.sum(mask, axis=1).astype(int)):
        row = ids[i, :length]
        text = tokenizer.decode(row)
        verdicts, end = np.ones(len(text) + 1), 0
        words = [word for s in SENTENCE.split(text) for word in parser.words(s)]
        for word, verdict in zip(words, word_verdicts(text, parser), strict=True):
            start, end = end, text.index(word, end) + len(word)
            verdicts[start:end] = verdict
        ends = [len(tokenizer.decode(row[: t + 1])) for t in range(length)]
        paid[i, :length] = verdicts[np.maximum(ends, 1) - 1]
        paid[i][np.isin(ids[i], special)] = 0.0  # they state nothing
    return paid
