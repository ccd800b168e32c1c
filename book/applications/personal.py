"""Messages made from a report, for readers who want different things.

A prompt is a reader's votes and a report, "detail detail detail brief brief
brief brief kind : nine two five few meals", which are a train's time,
platform, delay, seats and food.  The message is any of these facts, two words
each, perhaps behind a greeting: "good day at nine".  Three rewards disagree
about it, and the reader's eight votes are their weights.
"""

from __future__ import annotations

from itertools import product

import numpy as np

from core import rewards
from core.envs import BatchedEnvironment
from core.settings import SupervisedConfig
from core.text import WordTokenizer

# The supervised start that travels with the book (starters.py).
MODEL = {"n_embd": 64, "n_layer": 1, "n_head": 4}
SUPERVISED = SupervisedConfig(steps=500, learning_rate=2e-3)
BATCH_SIZE = 64
SPLITS = ("train", "test")
HELD_OUT = 12  # of the 48 pairs of time and platform
FACTS = {  # the values that each can have
    "at": "five six seven eight nine ten eleven noon".split(),
    "platform": "one two three four five six".split(),
    "late": "zero five ten twenty thirty".split(),
    "seats": "none few some many".split(),
    "food": "none snacks drinks meals".split(),
}
IMPORTANCE = (0.48, 0.24, 0.14, 0.09, 0.05)  # of each fact; the sum is 1
GREETING = "good day"
REWARDS = ("detail", "brief", "kind")  # names of the votes for each
VOTES = 8
LONGEST = 2 * len(FACTS) + 2  # words of a message that says everything
VALUES = slice(VOTES + 1, None)  # of a prompt


def tokenizer():
    """One token for each word of prompts and messages."""
    values = [value for values in FACTS.values() for value in values]
    return WordTokenizer(
        [" ".join([*REWARDS, ":", *FACTS, *values, *GREETING.split()])]
    )


# --- Reports, readers, messages ---------------------------------------------


def reports(split, seed=0):
    """The reports of a split; no time and platform are in both splits.

    Returns: list of five values, in the order of FACTS.
    Raises: ValueError for another split.
    """
    if split not in SPLITS:
        raise ValueError(f"split: expected one of {SPLITS}, got {split!r}")
    pairs = list(product(FACTS["at"], FACTS["platform"]))
    order = np.random.default_rng(seed).permutation(len(pairs))
    held_out = {pairs[i] for i in order[:HELD_OUT]}
    return [
        values
        for values in product(*FACTS.values())
        if (values[:2] in held_out) == (split == "test")
    ]


def readers(split):
    """The votes of all readers of a split, each (detail, brief, kind).

    Readers of "train" spend their votes in pairs; those of "test" lie
    between them.

    >>> len(readers("train")), len(readers("test")), readers("test")[0]
    (15, 30, (0, 1, 7))
    """
    if split not in SPLITS:
        raise ValueError(f"split: expected one of {SPLITS}, got {split!r}")
    return [
        votes
        for votes in product(range(VOTES + 1), repeat=3)
        if sum(votes) == VOTES and any(n % 2 for n in votes) == (split == "test")
    ]


def weights(votes):
    """Votes (..., 3) as weights of the three rewards, sum 1.

    Raises: ValueError for votes that are negative or not VOTES in all.
    """
    votes = np.asarray(votes)
    if (
        votes.shape[-1:] != (3,)
        or (votes < 0).any()
        or (votes.sum(axis=-1) != VOTES).any()
    ):
        raise ValueError(
            f"votes: expected three numbers ≥ 0 with the sum {VOTES}, got "
            f"{votes.tolist()!r:.60}"
        )
    return votes / VOTES


def prompt(votes, report):
    """The prompt of one reader (votes) and one report (five values)."""
    weights(votes)  # the check of the votes
    words = [name for name, n in zip(REWARDS, votes) for _ in range(n)]
    return " ".join([*words, ":", *_checked(report)])


def message(told, report, greet=False):
    """The message with the facts `told`, a collection of places in FACTS.

    >>> message([0, 2], ("noon", "one", "ten", "few", "none"), greet=True)
    'good day at noon late ten'
    """
    if not set(told) <= set(range(len(FACTS))):
        raise ValueError(f"told: expected places in FACTS, got {told!r}")
    words = [GREETING] if greet else []
    for place, (name, value) in enumerate(zip(FACTS, _checked(report))):
        words += [name, value] if place in told else []
    return " ".join(words)


def _checked(report):
    known = len(report) == len(FACTS) and all(
        value in values for value, values in zip(report, FACTS.values())
    )
    if not known:
        raise ValueError(
            f"report: expected one value for each of {tuple(FACTS)}, got {report!r}"
        )
    return report


def every_message():
    """All 64 messages worth writing, whatever the report, and their scores.

    Another text that tells the same facts has more words, and nothing else:
    a fact takes two words, and no word belongs to two facts.

    Returns: chosen (64, 6) bool, the five facts and the greeting; scores
        (64, 3), see REWARDS.
    """
    chosen = np.array(list(product((False, True), repeat=len(FACTS) + 1)))
    told, greeted = chosen[:, :-1], chosen[:, -1]
    brevity = 1 - 2 * chosen.sum(axis=1) / LONGEST
    return chosen, np.stack([told @ np.array(IMPORTANCE), brevity, greeted], axis=1)


# --- The three rewards, paid token by token ---------------------------------


def coverage(completions, mask, targets):
    """A fact's importance, on the token that completes it.

    Paid once, and only for the report's own value.  The sum over a row is
    in [0, 1].

    Args:
        completions, mask: (B, T).
        targets: (B, P), the prompts, which hold the report.
    Returns: (B, T) float.
    """
    tok = tokenizer()
    values, paid = np.asarray(targets)[:, VALUES], np.zeros(mask.shape)
    for place, (name, worth) in enumerate(zip(FACTS, IMPORTANCE)):
        label = tok.encode(name)[0]
        paid += worth * _first(completions, label, values[:, [place]])
    return paid * mask


def brevity(completions, mask, targets, power=1):
    """What each word takes from (1 - words / LONGEST) ** power.

    The sum over a row is this score less 1; EOS is no word.  `targets` is
    not read.
    """
    if power <= 0:
        raise ValueError(f"power: expected a number above 0, got {power}")
    words = (np.asarray(completions) != tokenizer().eos_id) * mask
    words = np.pad(np.cumsum(words, axis=1), ((0, 0), (1, 0)))
    left = np.clip(1 - words / LONGEST, 0, 1) ** power
    return rewards.potential_difference(left, mask)


def kindness(completions, mask, targets):
    """1 on the second word of the first greeting; `targets` is not read."""
    good, day = tokenizer().encode(GREETING)
    return _first(completions, good, day) * mask


def personal_reward(completions, mask, targets, parts=None):
    """The weighted sum of the rewards, with the weights of each row's reader.

    Args:
        parts: three token rewards in the place of coverage, brevity and
            kindness.
        targets: (B, P), the prompts, which hold votes and report.
    """
    parts = (coverage, brevity, kindness) if parts is None else parts
    share = weights(votes_of(targets))
    return sum(
        share[:, [k]] * part(completions, mask, targets) for k, part in enumerate(parts)
    )


def votes_of(prompts):
    """(B, 3) int: the votes that prompts begin with.

    Raises: ValueError where a prompt does not begin with VOTES votes.
    """
    names = np.array(tokenizer().encode(" ".join(REWARDS)))
    votes = (np.asarray(prompts)[:, :VOTES, None] == names).sum(axis=1)
    if (votes.sum(axis=1) != VOTES).any():
        raise ValueError(f"prompts: expected {VOTES} votes first in each")
    return votes


def scores(batch):
    """(B, 3): coverage, brevity and kindness of a Rollout's messages."""
    given = batch.completions, batch.mask, batch.prompts
    paid = [part(*given).sum(axis=1) for part in (coverage, brevity, kindness)]
    return np.stack(paid, axis=1) + (0, 1, 0)


def sound(texts, prompts):
    """1 where a message has true facts alone, none of them twice.

    Args:
        texts: B messages.
        prompts: (B, P) token ids.
    Returns: (B,) float.
    Raises: ValueError for another number of texts than prompts.
    """
    if len(texts) != len(prompts):
        raise ValueError(
            f"prompts: expected {len(texts)}, one for each text, got {len(prompts)}"
        )
    tok, found = tokenizer(), []
    for text, row in zip(texts, prompts):
        report = [tok.tokens[i] for i in row[VALUES]]
        true = {GREETING, *map(" ".join, zip(FACTS, report))}
        words = text.split()
        said = [" ".join(words[i : i + 2]) for i in range(0, len(words), 2)]
        found.append(float(len(set(said)) == len(said) and {*said} <= true))
    return np.array(found)


def _first(completions, word, after):
    """(B, T): 1 where `after` follows `word` for the first time in a row."""
    before, last = completions[:, :-1], completions[:, 1:]
    found = np.pad((before == word) & (last == after), ((0, 0), (1, 0)))
    return 1.0 * (found & (np.cumsum(found, axis=1) == 1))


# --- Environments -----------------------------------------------------------


def environment(split, token_reward=rewards.token_exact_match):
    """What the start learns from: messages that ignore the votes.

    Every report of the split, three times, with a random reader and a
    message in which each fact and the greeting stand by a coin's fall.
    """
    made, tok = reports(split) * 3, tokenizer()
    rng = np.random.default_rng(SPLITS.index(split))
    every = readers("train") + readers("test")
    prompts, messages = [], []
    for report in made:
        *told, greet = rng.random(len(FACTS) + 1) < 0.5
        prompts.append(prompt(every[rng.integers(len(every))], report))
        messages.append(message(np.flatnonzero(told), report, greet))
    return BatchedEnvironment(
        tok.encode_prompts(prompts)[0],
        tok.encode_batch(messages, LONGEST + 1, add_eos=True),
        token_reward,
        len(tok),
        eos_id=tok.eos_id,
        tokenizer=tok,
    )


def for_readers(split, votes, token_reward=personal_reward, count=None, skip=0):
    """The reports of a split for each of some readers; no messages.

    Args:
        split: of the reports.
        votes: list of (detail, brief, kind).
        token_reward: its targets are the prompts.
        count: so many reports of the split, drawn once; None: all.
        skip: so many of the drawn ones are left out first, as those on which
            settings were chosen.
    Returns: BatchedEnvironment, for one reader after the other.
    """
    made, tok = reports(split), tokenizer()
    if not 0 <= skip < len(made):
        raise ValueError(f"skip: expected 0 to {len(made) - 1}, got {skip}")
    left = len(made) - skip
    count = left if count is None else count
    if not 1 <= count <= left:
        raise ValueError(f"count: expected 1 to {left} or None, got {count}")
    if not votes:
        raise ValueError("votes: expected at least one reader")
    drawn = np.random.default_rng(41).permutation(len(made))[skip:][:count]
    report = tok.encode_prompts([" ".join(made[i]) for i in sorted(drawn)])[0]
    reader = tok.encode_prompts([prompt(v, made[0]) for v in votes])[0]
    ids = np.hstack(
        [
            reader[:, : VALUES.start].repeat(count, axis=0),
            np.tile(report, (len(votes), 1)),
        ]
    )
    return BatchedEnvironment(
        ids,
        ids,
        token_reward,
        len(tok),
        eos_id=tok.eos_id,
        tokenizer=tok,
        max_length=LONGEST + 1,
    )
