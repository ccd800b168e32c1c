"""Attention, the cache that sampling keeps, and batches without padding.

N prompts, G completions of each, B = N G rows; L, S lengths, P prompt length,
T completion length, H heads, K width of a head, D = H K.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch


@dataclass
class Cache:
    """What GPT has read while it samples, G completions of N prompts each.

    prefix: per block, keys and values (N, H, P, K) of the prompts and what
        of them is seen (N, 1, 1, P), None for all.
    own: per block, keys and values (N, H, G, T, K) of the completions.
    positions: (N G,) int, of the next token.
    used: how many tokens of T are there.
    """

    prefix: list
    own: list
    positions: torch.Tensor
    used: int


def attention(queries, parts):
    """Scaled dot-product attention over several memories as if over one.

    Args:
        queries: (B, H, T, K) float.
        parts: list of (keys (N, H, S, K), values (N, H, S, K), seen), where
            N divides B and row b of the queries reads row b // (B / N);
            `seen` broadcasts to (N, H, (B / N) T, S), None: all.
    Returns: (B, H, T, K) float.
    Source: Vaswani et al. 2017, arXiv:1706.03762, eq. 1; the prompt read
        once for its completions: Athiwaratkun et al. 2024, arXiv:2403.08845.
    """
    batch = len(queries)
    queries = queries * queries.shape[-1] ** -0.5
    scores = []
    for keys, _, seen in parts:
        score = _together(queries, len(keys)) @ keys.transpose(2, 3)
        if seen is not None:
            score = score.masked_fill(~seen, -1e9)
        scores.append(_apart(score, batch))  # (B, H, T, S)
    scores = torch.cat(scores, dim=-1) if len(parts) > 1 else scores[0]
    weights = scores.softmax(dim=-1)
    sizes = [keys.shape[2] for keys, _, _ in parts]
    return sum(
        _apart(_together(share, len(values)) @ values, batch)
        for share, (_, values, _) in zip(weights.split(sizes, dim=-1), parts)
    )


def attend_cache(prefix, own, used, qkv):
    """Attention of one new token a row, which joins the block's cache.

    The G queries of a prompt read its keys in one product.
    """
    (old_keys, old_values, seen), (keys, values) = prefix, own
    rows, heads, size, length, width = keys.shape  # N, H, G, T, K
    qkv = qkv.view(rows, size, 3, heads, width).permute(2, 0, 3, 1, 4)
    query, keys[:, :, :, used], values[:, :, :, used] = qkv.contiguous()
    query = query * width**-0.5  # (N, H, G, K)
    old = query @ old_keys.transpose(2, 3)  # (N, H, G, P)
    if seen is not None:
        old = old.masked_fill(~seen, -1e9)
    # One product a row.  `bmm` on (N H G, ...) has less to set up than `@`.
    keys = keys.view(-1, length, width)[:, : used + 1]
    new = torch.bmm(query.view(-1, 1, width), keys.transpose(1, 2))
    scores = torch.cat([old, new.view(rows, heads, size, -1)], dim=-1)
    old, new = scores.softmax(dim=-1).split([old.shape[3], used + 1], dim=-1)
    values = values.view(-1, length, width)[:, : used + 1]
    new = torch.bmm(new.reshape(-1, 1, used + 1), values)
    mixed = old @ old_values + new.view(rows, heads, size, width)
    return mixed.transpose(1, 2).reshape(rows * size, -1)


def _together(x, rows):
    """(B, H, T, K) to (N, H, (B / N) T, K): what reads the same memory."""
    batch, heads, length, width = x.shape
    if rows == batch:
        return x
    x = x.view(rows, batch // rows, heads, length, width).transpose(1, 2)
    return x.reshape(rows, heads, -1, width)


def _apart(x, batch):
    """The inverse of `_together`."""
    rows, heads, length, width = x.shape
    if rows == batch:
        return x
    x = x.view(rows, heads, batch // rows, -1, width).transpose(1, 2)
    return x.reshape(batch, heads, -1, width)


def split_heads(x, heads):
    """(B, L, 3, D) to queries, keys, values, each (B, H, L, K)."""
    batch, length, parts, width = x.shape
    x = x.view(batch, length, parts, heads, width // heads)
    return x.permute(2, 0, 3, 1, 4).unbind()


def merge_heads(x):
    """(B, H, L, K) to (B L, D)."""
    return x.transpose(1, 2).flatten(2).flatten(0, 1)


def pack(x, index):
    """Rows `index` of x (n, ...), all where it is None."""
    return x if index is None else x.index_select(0, index)


def unpack(x, index, n):
    """(n, ...) with x in the rows `index` and zeros elsewhere."""
    if index is None:
        return x
    return x.new_zeros(n, *x.shape[1:]).index_copy(0, index, x)
