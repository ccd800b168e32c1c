"""Additions whose sum is checked: a reward that cannot be argued with.

A prompt is "037+085=" and its answer "221", one token per character: the sum
122, written from its last digit, as a carry goes that way.  Operands have
three digits, with zeros before them, so that those of the longer splits
stand in the same places.  Only the answers of the split "worked" are shown
to a model; the prompts of "train" have a checker and no answer.
"""

from __future__ import annotations

import numpy as np

from core import rewards
from core.envs import BatchedEnvironment
from core.settings import SupervisedConfig
from core.text import CharTokenizer

# The supervised start that travels with the book (starters.py).
MODEL = {"n_embd": 64, "n_layer": 2, "n_head": 4}
SUPERVISED = SupervisedConfig(steps=300, learning_rate=2e-3, decay="none")
BATCH_SIZE = 64
WORKED = "worked"  # the split that it is trained on
# The range of the second operand; the first is in [100, 1000).
LONGER = {"one_long": (0, 10), "long": (100, 1000)}
SPLITS = ("worked", "train", "dev", "test", *LONGER)
DIGITS = 3  # of an operand
SHARES = {"dev": 0.1, "worked": 0.15, "test": 0.1}  # of all pairs below 100
LONG = 500  # pairs in each of the longer splits


def tokenizer():
    """One token for each character of an addition."""
    return CharTokenizer(["0123456789+="])


def problems(split, seed=0):
    """Pairs of operands of a split.

    Both operands of "worked", "train", "dev" and "test" are below 100; a pair
    and its mirror image, (a, b) and (b, a), are in the same one of the four.
    Settings are chosen on "dev" and reported on "test".
    "one_long" has an operand of three digits and one of a single digit,
    "long" two of three.

    Args:
        split: one of SPLITS.
        seed: of what is held out and of the longer pairs.
    Returns: (N, 2) int64.
    Raises: ValueError for another split.
    """
    if split not in SPLITS:
        raise ValueError(f"split: expected one of {SPLITS}, got {split!r}")
    rng = np.random.default_rng(seed)
    if split in LONGER:
        low, high = LONGER[split]
        draws = rng.choice(900 * (high - low), LONG, replace=False)
        pairs = np.stack(np.divmod(np.sort(draws), high - low), axis=1)
        return pairs + (100, low)
    pairs = np.stack(np.divmod(np.arange(100**2), 100), axis=1)
    lower, upper = pairs.min(axis=1), pairs.max(axis=1)
    draw = rng.random((100, 100))[lower, upper]
    bounds = np.cumsum([0.0, *SHARES.values(), 1.0])
    part = [*SHARES, "train"].index(split)
    return pairs[(bounds[part] <= draw) & (draw < bounds[part + 1])]


def carries(pairs):
    """How many columns of each addition carry one, (N,) int."""
    places = 10 ** np.arange(1, DIGITS + 1)
    low = np.asarray(pairs)[:, :, None] % places  # (N, 2, DIGITS)
    return (low.sum(axis=1) >= places).sum(axis=1)


def environment(split, token_reward=rewards.token_exact_match):
    """The additions of a split; a right sum, with its EOS, earns 1."""
    pairs, tok = problems(split), tokenizer()
    prompts = [f"{a:0{DIGITS}}+{b:0{DIGITS}}=" for a, b in pairs]
    sums = [str(a + b)[::-1] for a, b in pairs]
    return BatchedEnvironment(
        tok.encode_prompts(prompts)[0],
        tok.encode_batch(sums, DIGITS + 2, add_eos=True),
        token_reward,
        len(tok),
        eos_id=tok.eos_id,
        tokenizer=tok,
    )
