"""Exercises of the chapter on long texts."""

from applications import long_text
from pages.grader import Exercise


def _impossible(note, chunk):
    """With the application's own reading of a note and a sentence."""
    holders, found = tuple(note), 0
    for sentence in chunk.split(" ."):
        words = sentence.split()
        if "gives" in words:
            thing = long_text.THINGS.index(words[4])
            found += holders[thing] != words[0]
            holders = long_text.after(holders, sentence)
    return found


def _first_note_only(note, chunk):
    holders = dict(zip(long_text.THINGS, note, strict=True))
    given = [s.split() for s in chunk.split(" .") if "gives" in s]
    return sum(holders[words[4]] != words[0] for words in given)


def _believes_the_note(note, chunk):
    """An impossible gift changes nothing."""
    holders, found = dict(zip(long_text.THINGS, note, strict=True)), 0
    for words in (s.split() for s in chunk.split(" .") if "gives" in s):
        if holders[words[4]] != words[0]:
            found += 1
        else:
            holders[words[4]] = words[2]
    return found


IMPOSSIBLE = Exercise(
    "impossible",
    expected=_impossible,
    cases=[
        (("Ann", "Dan", "Cat"), "Cat gives Dan the coin . Dan gives Ben the coin ."),
        (("Ann", "Dan", "Cat"), "Ben gives Dan the key . Dan gives Ann the key ."),
        (("Ann", "Dan", "Cat"), "Cat tells Ann the news . Ann gives Ben the book ."),
        (("Ben", "Ben", "Ben"), "Ben gives Ann the key . Ben gives Cat the key ."),
    ],
    hint="Who holds a thing is what the last gift says, also where that gift was "
    "impossible; what is told hands nothing on.",
    wrong=[_first_note_only, _believes_the_note],
)


def _pairs(tokens, chunk):
    whole, rest = divmod(tokens, chunk)
    return whole * chunk * (chunk + 1) // 2 + rest * (rest + 1) // 2


def _all_full(tokens, chunk):
    return -(-tokens // chunk) * chunk * (chunk + 1) // 2


def _squares(tokens, chunk):
    whole, rest = divmod(tokens, chunk)
    return whole * chunk**2 + rest**2


CHUNKED_PAIRS = Exercise(
    "chunked_pairs",
    expected=_pairs,
    cases=[(20, 20), (200, 20), (210, 20), (7, 20), (5, 1)],
    hint="A token attends to itself and to what stands before it, and the last chunk "
    "may be shorter.",
    wrong=[_all_full, _squares],
)
