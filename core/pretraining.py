"""Batches to pretrain language models on texts: next and masked tokens.

A batch is (inputs, targets, mask), as `SupervisedTrainer.step` takes it; every text
stands between BOS and EOS.  B rows, L tokens a row.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from core import checks
from core.envs import BatchedEnvironment
from core.text import Tokenizer


def packed_rows(tokenizer: Tokenizer, texts: list[str], length: int):
    """Texts one after the other in rows without padding.

    A row begins with a text; what does not fit into it is cut off.

    Args:
        tokenizer: with BOS and EOS.
        length: tokens in a row, L.
    Returns: (rows, L) int64; the last texts may not fill a row and are left out.
    Raises: ValueError where all texts together do not fill a row.

    >>> from core.text import CharTokenizer
    >>> packed_rows(CharTokenizer(["abc"]), ["abc", "a", "b", "c", "a"], 7)
    array([[1, 3, 4, 5, 2, 1, 3],
           [1, 4, 2, 1, 5, 2, 1]])
    """
    rows, row = [], []
    for text in texts:
        row += _enclosed(tokenizer, text)
        if len(row) >= length:
            rows.append(row[:length])
            row = []
    checks.require(rows, f"texts: expected at least one row of {length} tokens")
    return np.array(rows)


def padded_rows(tokenizer: Tokenizer, texts: list[str]):
    """Each text in a row of its own, padded on the right.

    Args:
        tokenizer: with BOS and EOS.
    Returns: ids (B, L) int64, mask (B, L) float64, 0 on the padding.
    Raises: ValueError without texts.

    >>> from core.text import CharTokenizer
    >>> ids, mask = padded_rows(CharTokenizer(["abc"]), ["abc", "a"])
    >>> ids.tolist(), mask.tolist()[1]
    ([[1, 3, 4, 5, 2], [1, 3, 2, 0, 0]], [1.0, 1.0, 1.0, 0.0, 0.0])
    """
    checks.require(texts, "texts: expected at least one")
    rows = [_enclosed(tokenizer, text) for text in texts]
    ids = np.full((len(rows), max(map(len, rows))), tokenizer.pad_id)
    mask = np.zeros(ids.shape)
    for i, row in enumerate(rows):
        ids[i, : len(row)], mask[i, : len(row)] = row, 1
    return ids, mask


def next_tokens(ids, mask=None) -> tuple:
    """The batch in which each position predicts the token after it.

    Args:
        ids: (B, L) int.
        mask: (B, L), 0 on padding at the right, which a causal model may read: no token
            before it sees it.  None: no padding.
    Returns: (inputs, targets, mask), with inputs a tuple of (B, L - 1).
    """
    mask = np.ones(ids.shape) if mask is None else mask
    return (ids[:, :-1],), ids[:, 1:], mask[:, 1:]


def answers(
    env: BatchedEnvironment, batch_size: int, rng: np.random.Generator
) -> Iterator[tuple]:
    """Batches without end in which the targets of prompts are predicted.

    Args:
        env: its targets are texts, padded behind their EOS.
        batch_size: B, prompts in a batch, drawn with replacement.
    Yields: (inputs, targets, mask) with inputs (ids, attention mask) of (B, P + T - 1);
        the mask is 1 where a token of the target is predicted.
    """
    while True:
        rows = env.sample(batch_size, rng)
        ids = np.hstack([env.prompts[rows], env.targets[rows]])
        answer = env.targets[rows] != env.pad_id
        before = np.ones(env.prompts[rows].shape)
        if env.prompt_mask is not None:
            before = env.prompt_mask[rows]
        seen = np.hstack([before, answer])
        predicted = np.hstack([np.zeros(before.shape), answer])
        yield (ids[:, :-1], seen[:, :-1]), ids[:, 1:], predicted[:, 1:]


def masked_tokens(
    ids, mask, tokenizer: Tokenizer, rng: np.random.Generator, share: float = 0.15
) -> tuple:
    """The batch in which hidden tokens are predicted from both sides.

    Of the ordinary tokens `share` are chosen, at least one in a row.  Of these, 80 %
    are shown as the mask token, 10 % as a random token and 10 % as they are, since
    later texts will have no mask tokens.

    Args:
        ids, mask: (B, L), as from `padded_rows`.
        tokenizer: with a mask token behind all others.
        share: in (0, 1].
    Returns: (inputs, targets, chosen), with inputs (shown ids, mask), all (B, L).
    Raises: ValueError for another share, or a tokenizer without mask token.
    Source: Devlin et al. 2019, arXiv:1810.04805, §3.1.
    """
    checks.share(share=share)
    checks.require(tokenizer.mask_id, "tokenizer: expected one with a mask token")
    special = (tokenizer.pad_id, tokenizer.bos_id, tokenizer.eos_id)
    special = [token for token in special if token is not None]
    draw = np.where(np.isin(ids, special), 2.0, rng.random(ids.shape))
    chosen = draw < np.maximum(share, draw.min(axis=1, keepdims=True) + 1e-9)
    chosen &= draw < 2
    action = rng.random(ids.shape)
    noise = rng.integers(max(special) + 1, tokenizer.mask_id, ids.shape)
    shown = np.where(chosen & (action < 0.8), tokenizer.mask_id, ids)
    shown = np.where(chosen & (action >= 0.9), noise, shown)
    return (shown, mask), ids, chosen.astype(float)


def _enclosed(tokenizer: Tokenizer, text: str) -> list:
    return [tokenizer.bos_id, *tokenizer.encode(text), tokenizer.eos_id]
