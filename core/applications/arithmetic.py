"""Additions whose sum is checked: a reward that cannot be argued with.

A prompt is "37+85=" and its answer "122", one token per character.  The sum
is written from its last digit, "221", as a carry goes that way.
"""

from __future__ import annotations

import numpy as np

from core import rewards
from core.envs import BatchedEnvironment
from core.text import CharTokenizer
from core.types import SupervisedConfig

# The supervised start that travels with the book (book/models/starters.py).
MODEL = {"n_embd": 64, "n_layer": 2, "n_head": 4}
SUPERVISED = SupervisedConfig(steps=300, learning_rate=2e-3)
BATCH_SIZE = 64
SPLITS = ("train", "test")
TEST_SHARE = 0.1  # of all pairs of operands


def tokenizer():
    """One token for each character of an addition."""
    return CharTokenizer(["0123456789+="])


def problems(split, digits=2, seed=0):
    """Pairs of operands of a split: no pair is in two of them.

    Args:
        split: "train" or "test".
        digits: of each operand, at most; shorter ones begin with zeros.
    Returns: (N, 2) int64.
    """
    if split not in SPLITS:
        raise ValueError(f"split: expected one of {SPLITS}, got {split!r}")
    pairs = np.stack(np.divmod(np.arange(10 ** (2 * digits)), 10**digits), 1)
    order = np.random.default_rng(seed).permutation(len(pairs))
    held_out = order[: int(TEST_SHARE * len(pairs))]
    return pairs[np.sort(held_out)] if split == "test" else np.delete(
        pairs, held_out, axis=0
    )


def environment(split, token_reward=rewards.token_exact_match, digits=2):
    """The additions of a split; a right sum, with its EOS, earns 1."""
    pairs, tok = problems(split, digits), tokenizer()
    texts = [f"{a:0{digits}}+{b:0{digits}}=" for a, b in pairs]
    sums = [f"{a + b:0{digits + 1}}"[::-1] for a, b in pairs]
    return BatchedEnvironment(
        tok.encode_prompts(texts)[0],
        tok.encode_batch(sums, digits + 2, add_eos=True), token_reward,
        len(tok), eos_id=tok.eos_id, tokenizer=tok,
    )
