"""Stories of any length in which things change hands, read chunk by chunk.

A chunk is two sentences of six words, "Ann gives Ben the key . Cat tells Dan
the news ."  Before it stands a note, the holders of key, book and coin, and
after it the reader writes the note that holds now.  It may carry its own note
on to the next chunk, or not.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from zlib import crc32

import numpy as np

from applications import Start
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
