"""Batches to train language models on texts: next and masked tokens, answers.

A batch is (inputs, targets, mask), as `SupervisedTrainer.step` takes it; every text
stands between BOS and EOS, or as BERT's between CLS and SEP, which the tokenizer must
have.  B rows, L tokens a row.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

from core import checks
from core.batched import BatchedEnvironment
from core.text import SPECIAL_NAMES, Tokenizer


def padded_rows(tokenizer: Tokenizer, texts: list[str]):
    """Each text, at least one, in a row of its own, padded on the right.

    Returns: ids (B, L) int64, mask (B, L) float64, 0 on the padding.

    >>> from core.text import CharTokenizer
    >>> ids, mask = padded_rows(CharTokenizer(["abc"]), ["abc", "a"])
    >>> ids.tolist(), mask.tolist()[1]
    ([[1, 3, 4, 5, 2], [1, 3, 2, 0, 0]], [1.0, 1.0, 1.0, 0.0, 0.0])
    """
    rows = [tokenizer.enclosed(text) for text in checks.texts("texts", texts)]
    checks.require(rows, "texts: expected at least one")
    return tokenizer.padded(rows)


def next_tokens(ids, mask=None) -> tuple:
    """The batch in which each position predicts the token after it.

    Args:
        ids: (B, L) int.
        mask: (B, L), 0 on padding at the right, which a causal model may read: no token
            before it sees it.  None: no padding.
    Returns: (inputs, targets, mask), with inputs a tuple of (B, L - 1).
    """
    ids = checks.ids("ids", ids, 2**63)
    mask = checks.floats("mask", np.ones(ids.shape) if mask is None else mask)
    checks.flags("mask", mask, ids.shape)
    return (ids[:, :-1],), ids[:, 1:], mask[:, 1:]


def answers(
    env: BatchedEnvironment, batch_size: int, rng: np.random.Generator
) -> Iterator[tuple]:
    """Batches without end in which the targets of prompts are predicted.

    Args:
        env: its targets are texts; the mask is that of their tokens, the first EOS
            among them, so that their end is taught, whatever id pads them.
        batch_size: B, prompts in a batch, drawn with replacement.
    Yields: (inputs, targets, mask) with inputs (ids, attention mask) of (B, P + T - 1);
        the mask is 1 where a token of the target is predicted.
    """
    checks.require(env.targets is not None, "env: expected one with targets")
    while True:
        rows = env.sample(batch_size, rng)
        ids = np.hstack([env.prompts[rows], env.targets[rows]])
        answer = env.target_mask[rows]
        mask, shape = env.prompt_mask, env.prompts[rows].shape
        before = np.ones(shape) if mask is None else mask[rows]
        seen = np.hstack([before, answer])
        predicted = np.hstack([np.zeros(before.shape), answer])
        yield (ids[:, :-1], seen[:, :-1]), ids[:, 1:], predicted[:, 1:]


def masked_tokens(
    ids, mask, tokenizer: Tokenizer, rng: np.random.Generator, share: float = 0.15
) -> tuple:
    """The batch in which hidden tokens are predicted from both sides.

    Of the ordinary tokens `share` are chosen, at least one in a row: 80 % are shown as
    the mask token, 10 % as a random one, 10 % as they are, as later texts have no mask.

    Args:
        ids, mask: (B, L), as from `padded_rows`.
        tokenizer: with a mask token; special tokens are neither chosen nor drawn.
        share: in (0, 1].
    Returns: (inputs, targets, chosen), with inputs (shown ids, mask), all (B, L).
    Source: Devlin et al. 2019, arXiv:1810.04805, §3.1.
    """
    checks.share(share=share)
    hidden: Any = tokenizer.mask_id
    wanted = "tokenizer: expected one with a mask token"
    checks.require(hidden is not None, wanted)
    ids = checks.ids("ids", ids, len(tokenizer))
    mask = checks.floats("mask", mask)
    checks.flags("mask", mask, ids.shape)
    special = [getattr(tokenizer, f"{name}_id") for name in SPECIAL_NAMES]
    special = [token for token in special if token is not None]
    never = np.isin(ids, special) | (mask == 0)
    draw = np.where(never, 2.0, rng.random(ids.shape))
    chosen = draw < np.maximum(share, draw.min(axis=1, keepdims=True) + 1e-9)
    chosen &= draw < 2
    action = rng.random(ids.shape)
    ordinary = np.setdiff1d(np.arange(len(tokenizer)), special)
    noise = ordinary[rng.integers(len(ordinary), size=ids.shape)]
    shown = np.where(chosen & (action < 0.8), hidden, ids)
    shown = np.where(chosen & (action >= 0.9), noise, shown)
    return (shown, mask), ids, chosen.astype(float)
