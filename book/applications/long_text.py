"""Long texts: written block by block, and read chunk by chunk.

The book's GPT writes a story in blocks, and the grammar says who and what each
sentence speaks of.

What is read are stories of any length in which things change hands.

A chunk is two sentences of six words, "Ann gives Ben the key . Cat tells Dan
the news ."  Before it stands a note, the holders of key, book and coin, and
after it the reader writes the note that holds now.  It may carry its own note
on to the next chunk, or not.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import cache
from zlib import crc32

import numpy as np

from applications import Start, grammar
from core import pretraining, rewards
from core.envs import BatchedEnvironment
from core.settings import SupervisedConfig
from core.text import WordTokenizer
from core.types import Rollout

PEOPLE = ("Ann", "Ben", "Cat", "Dan")
THINGS = ("key", "book", "coin")
UNKNOWN = "?"  # a holder in a note that was not carried on
SENTENCES = 2  # in a chunk
SPLITS = ("train", "test")
CREDITS = ("answer", "note", "token")
LONGEST = 4  # chunks of a story that a training sees
TELLS = 0.3  # share of sentences in which nothing changes hands

# The LSTM that reads all and travels with the book (long_text_lstm.py); the
# other supervised starts stand behind what they learn from.
BATCH_SIZE = 64
LSTM = {"embedding_dim": 32, "hidden_dim": 128}
LSTM_SUPERVISED = SupervisedConfig(steps=2000, learning_rate=1e-2, warmup_steps=100)


def tokenizer():
    """One token for each word."""
    words = [*PEOPLE, *THINGS, "news", UNKNOWN, "gives", "tells", "the", ".", ":"]
    return WordTokenizer([" ".join(words)])


@dataclass(frozen=True)
class Story:
    """Notes before the first chunk and after each, and the chunks."""

    notes: tuple[tuple[str, ...], ...]
    chunks: tuple[str, ...]


def stories(split, count, chunks, rng):
    """`count` stories of some chunks, all of them of one split.

    A chunk belongs to "test" or "train" by the note before it and its words,
    so no reader has seen in training what a test story holds anywhere.

    Args:
        split: "train" or "test".
        count, chunks: at least 1.
        rng: np.random.Generator.
    Returns: list of Story.
    """
    if split not in SPLITS:
        raise ValueError(f"split: expected one of {SPLITS}, got {split!r}")
    for name, value in (("count", count), ("chunks", chunks)):
        if value < 1:
            raise ValueError(f"{name}: expected at least 1, got {value}")
    made = []
    for _ in range(count):
        notes, texts = [tuple(rng.choice(PEOPLE, len(THINGS)).tolist())], []
        while len(texts) < chunks:
            text = _chunk(notes[-1], rng)
            if split_of(notes[-1], text) == split:
                texts.append(text)
                notes.append(after(notes[-1], text))
        made.append(Story(tuple(notes), tuple(texts)))
    return made


def split_of(note, chunk):
    """The split that a note with the chunk behind it belongs to."""
    return "test" if crc32(prompt(note, chunk).encode()) % 5 == 0 else "train"


def prompt(note, *chunks):
    """What a reader of one or more chunks sees."""
    return " ".join([*note, ":", *chunks, ":"])


def after(note, chunk):
    """The note that follows from a note and the chunk behind it.

    Args:
        note: three holders, right or not.
        chunk: str.
    Returns: tuple of three holders.
    Raises: ValueError for a note of another length.
    """
    if len(note) != len(THINGS):
        raise ValueError(f"note: expected {len(THINGS)} holders, got {note!r}")
    holders = dict(zip(THINGS, note))
    for sentence in chunk.split(" ."):
        words = sentence.split()
        if "gives" in words:  # "Ann gives Ben the key"
            holders[words[4]] = words[2]
    return tuple(holders.values())


def _chunk(note, rng):
    """Sentences that can follow a note."""
    sentences = []
    for _ in range(SENTENCES):
        holders = after(note, " ".join(sentences))
        thing = int(rng.integers(len(THINGS)))
        one, other = rng.choice(PEOPLE, 2, replace=False)
        if rng.random() < TELLS:
            sentences.append(f"{one} tells {other} the news .")
            continue
        giver = holders[thing]
        taker = one if other == giver else other
        sentences.append(f"{giver} gives {taker} the {THINGS[thing]} .")
    return " ".join(sentences)


# --- What the supervised starts learn from ---------------------------------


def environment(split, token_reward=rewards.token_exact_match, count=2000):
    """Single chunks, each with the right note before it; one note to write."""
    rng = np.random.default_rng(SPLITS.index(split))
    found = stories(split, count, 1, rng)
    texts = [prompt(s.notes[0], s.chunks[0]) for s in found]
    notes = [s.notes[1] for s in found]
    return _environment(texts, notes, token_reward)


def at_once(texts, token_reward=rewards.token_exact_match):
    """Whole stories as prompts; the last note is to be written."""
    return _environment(
        [prompt(s.notes[0], *s.chunks) for s in texts],
        [s.notes[-1] for s in texts],
        token_reward,
    )


def whole_environment(split, lengths=range(1, LONGEST + 1), each=1500):
    """Whole stories, `each` of every number of chunks in `lengths`."""
    rng = np.random.default_rng(SPLITS.index(split))
    return at_once(
        [story for chunks in lengths for story in stories(split, each, chunks, rng)]
    )


def of_one_length(rng):
    """Endless batches of whole stories without padding, which the recurrent
    policies would read as words."""
    batches = [
        pretraining.answers(whole_environment("train", [n]), BATCH_SIZE, rng)
        for n in range(1, LONGEST + 1)
    ]
    while True:
        (ids, _), targets, mask = next(batches[rng.integers(len(batches))])
        yield (ids,), targets, mask


# The reader of chunks, which still errs, and the reader of all.
CHUNKS = Start(
    environment,
    {"n_embd": 64, "n_layer": 2, "n_head": 4},
    SupervisedConfig(steps=350, learning_rate=1e-3, warmup_steps=100, decay="none"),
    BATCH_SIZE,
)
WHOLE = Start(
    whole_environment,
    CHUNKS.model | {"n_positions": 256},  # of which training uses 57
    replace(CHUNKS.supervised, steps=1500, learning_rate=2e-3, decay="cosine"),
    BATCH_SIZE,
)


def _environment(texts, notes, token_reward):
    tok = tokenizer()
    ids, mask = tok.encode_prompts(texts)
    targets = tok.encode_batch(
        [" ".join(note) for note in notes], len(THINGS) + 1, add_eos=True
    )
    return BatchedEnvironment(
        ids,
        targets,
        token_reward,
        len(tok),
        eos_id=tok.eos_id,
        tokenizer=tok,
        prompt_mask=None if mask.all() else mask,
    )


# --- Reading a long text ---------------------------------------------------


@dataclass
class Reading:
    """N stories of C chunks, read by a policy.

    batch: Rollout of C · N rows, chunk by chunk.  Its rewards pay each token
        that follows from the note and the chunk which the policy read.
    right: (C, N, 3) bool, which holders of each note are the true ones.
    notes: C lists of N notes, as written.
    """

    batch: Rollout
    right: np.ndarray
    notes: list


def read(rollout, policy, texts, rng=None, carried=True):
    """Read all stories at once, chunk by chunk, writing notes.

    Args:
        rollout: the function of `core.pt.rollout` or `core.tf.rollout`.
        policy: its policy.
        texts: list of Story, with equally many chunks.
        rng: NumPy generator of the policy's noise; None is greedy.
        carried: the next chunk is read with the note that the policy wrote;
            else with a note that knows nothing.
    Returns: Reading.
    """
    if len({len(story.chunks) for story in texts}) != 1:
        raise ValueError("texts: expected stories of equally many chunks")
    carry, batches, notes, right = [s.notes[0] for s in texts], [], [], []
    for i in range(len(texts[0].chunks)):
        chunks = [story.chunks[i] for story in texts]
        env = _environment(
            [prompt(note, chunk) for note, chunk in zip(carry, chunks)],
            [after(note, chunk) for note, chunk in zip(carry, chunks)],
            rewards.token_position_match,
        )
        batch = rollout(policy, env, np.arange(len(texts)), rng)
        written = [
            _note(row, env.tokenizer) for row in batch.completions[:, : len(THINGS)]
        ]
        right.append(np.equal(written, [s.notes[i + 1] for s in texts]))
        notes.append(written)
        batches.append(batch)
        carry = written if carried else [(UNKNOWN,) * len(THINGS)] * len(texts)
    return Reading(Rollout.concatenate(batches), np.array(right), notes)


def paid(reading, credit):
    """The batch of a reading, with rewards in [0, 1] a note.

    Args:
        credit: what each note is paid for.  "answer": the share of true
            holders in the last note of the story, at the note's end; "note":
            the share of its own tokens that follow from what was read, at
            its end; "token": the same, each token by itself.
    Returns: Rollout.
    """
    if credit not in CREDITS:
        raise ValueError(f"credit: expected one of {CREDITS}, got {credit!r}")
    batch, right = reading.batch, reading.right
    if credit == "token":
        return batch
    scores = batch.rewards.sum(axis=1)
    if credit == "answer":
        scores = np.tile(right[-1].mean(axis=1), len(right))
    return replace(batch, rewards=rewards.terminal(scores, batch.mask))


def _note(tokens, tok):
    """What the next prompt shows of a note: three words, whatever it is."""
    words = [tok.tokens[token] for token in tokens]
    return tuple(w if w in PEOPLE else UNKNOWN for w in words)


# --- Writing a long text in blocks -----------------------------------------

HEROES = {  # "king" to "_HE", "cats" to "_PETS"
    noun: who for who in grammar.PRONOUNS for noun, _ in grammar.PHRASES[f"HERO{who}"]
}
THINGS_MET = {
    noun
    for name in ("FLYER", "RUNNER", "FOOD", "TOY", "READ")
    for noun, _ in grammar.PHRASES[name]
}
NOBODY = re.compile(r"^(?:\w+ )*it (?:was .*there|began)")  # "Then it began to rain."


class Endless:
    """A policy that writes on: tokens that would end its text are banned.

    Args:
        policy: a policy of PyTorch.
        banned: ids of the tokens that get no probability.
    """

    def __init__(self, policy, banned):
        self.policy, self.banned = policy, list(banned)
        self.embedding, self.vocab_size = policy.embedding, policy.vocab_size

    def start(self, prompts, max_length, prompt_mask=None, group_size=1):
        begun = self.policy.start(prompts, max_length, prompt_mask, group_size)
        return self._cut(*begun)

    def step(self, tokens, state):
        return self._cut(*self.policy.step(tokens, state))

    def keep(self, state, rows):
        return self.policy.keep(state, rows)

    def _cut(self, logits, state):
        logits = logits.clone()
        logits[:, self.banned] = -1e9
        return logits, state


def write(sample, policy, tokenizer, beginnings, blocks, size, context, seed):
    """Continue texts block by block; each block sees what `context` says.

    Args:
        sample: the function of `core.pt.rollout`.
        policy: its policy, as `Endless`.
        tokenizer: with a BOS, which stands before every block's context.
        beginnings: list of str, the first sentences.
        blocks, size: number of blocks, and tokens in each.
        context: f(first, written) -> token ids: what a block sees, of the
            first sentence's tokens and all tokens that were written.
        seed: of the noise.
    Returns: list of texts, each a list of the beginning and its blocks, str.
    """
    if not beginnings:
        raise ValueError("beginnings: expected at least one text, got none")
    for name, value in (("blocks", blocks), ("size", size)):
        if value < 1:
            raise ValueError(f"{name}: expected at least 1, got {value}")
    first = [tokenizer.encode(text) for text in beginnings]
    written = [list(ids) for ids in first]
    ends = [[len(ids)] for ids in first]
    for block in range(blocks):
        seen = [[tokenizer.bos_id, *context(a, b)] for a, b in zip(first, written)]
        width = max(map(len, seen))
        ids, mask = np.zeros((2, len(seen), width), dtype=np.int64)
        for i, row in enumerate(seen):
            ids[i, width - len(row) :], mask[i, width - len(row) :] = row, 1
        made = sample(policy, ids, size, seed=1000 * seed + block, prompt_mask=mask)[0]
        for row, new, end in zip(written, made.tolist(), ends):
            row += new
            end.append(len(row))
    return [
        [
            tokenizer.decode(row[:stop])[len(tokenizer.decode(row[:start])) :]
            for start, stop in zip([0, *end], end)
        ]
        for row, end in zip(written, ends)
    ]


def judged(blocks):
    """What the grammar says of a text, sentence by sentence.

    Args: blocks: list of str; the first is the beginning, which names the hero.
    Returns: list of (block, grammatical, person, thing): the block in which the
        sentence ends; whether it is grammatical; whether the hero that it
        names, or the pronoun, is that of the first sentence; and whether the
        thing that it speaks of ("the bird") was met before ("a small bird").
        None where a sentence speaks of none, or is not grammatical.

    >>> judged(["The cat sat on the mat.", " It was so happy. The bird",
    ...         " flew away."])
    [(0, True, True, None), (1, True, True, None), (2, True, None, False)]
    """
    text, ends = "".join(blocks), np.cumsum([len(block) for block in blocks])
    hero, met, found = None, set(), []
    for match in re.finditer(r"[^.!]+[.!]?", text):
        sentence = match[0].strip()
        if not sentence or (sentence[-1] not in ".!" and match.end() == len(text)):
            continue  # not written to its end
        block = int(np.searchsorted(ends, match.end()))
        if not _parser().parses(sentence):
            found.append((block, False, None, None))
            continue
        words = re.findall(r"\w+", sentence.lower())
        spoken = _spoken_of(words, sentence.lower())
        if hero is None and spoken:
            hero = spoken[0]
        person = all(_same(hero, one) for one in spoken) if spoken else None
        things = [b for a, b in zip(words, words[1:]) if a == "the" and b in THINGS_MET]
        thing = all(one in met for one in things) if things else None
        met |= {w for w, before in zip(words[1:], words) if w in THINGS_MET} - set(
            things
        )
        found.append((block, True, person, thing))
    return found


def _spoken_of(words, sentence):
    """Hero nouns ("king") and personal pronouns ("she") of a sentence."""
    pronouns = {form for forms in grammar.PRONOUNS.values() for form in forms[:2]}
    if NOBODY.match(sentence):
        pronouns -= {"it"}
    return [word for word in words if word in HEROES or word in pronouns]


def _same(hero, other):
    """Whether a noun or pronoun can stand for the hero, a noun."""
    if hero not in HEROES or other in HEROES:
        return hero == other
    return other in grammar.PRONOUNS[HEROES[hero]][:2]


@cache
def _parser():
    return grammar.Parser("en")
