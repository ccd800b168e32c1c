"""Attention, the cache that sampling keeps, and batches without padding.

N prompts, G completions of each, B = N G rows; L, S lengths, P prompt length,
T completion length; H heads of queries, J of keys and values, each of which serves
H / J of the others (GPT: J = H), K width of a head.
"""

from dataclasses import dataclass

import torch
from torch.nn.functional import scaled_dot_product_attention


@dataclass
class Cache:
    """What a transformer has read while it samples, G completions of N prompts each.

    prefix: per block, keys and values (N, J, P, K) of the prompts and what
        of them is seen (N, 1, 1, P), None for all.
    own: per block, keys and values (N, J, G, T, K) of the completions.
    positions: (N G,) int, of the next token.
    used: how many tokens of T are there.
    """

    prefix: list
    own: list
    positions: torch.Tensor
    used: int


def attention(queries, keys, values, seen=None):
    """Scaled dot-product attention.

    Args:
        queries: (B, H, T, K) float.
        keys, values: (B, J, S, K) float.
        seen: bool, broadcasts to (B, H, T, S); None: all.  A query that sees
            nothing, on padding, gets some finite value.
    Returns: (B, H, T, K) float.
    Source: Vaswani et al. 2017, arXiv:1706.03762, eq. 1; J < H: Ainslie et al. 2023,
        arXiv:2305.13245.
    """
    if (size := queries.shape[1] // keys.shape[1]) > 1:
        keys, values = (x.repeat_interleave(size, dim=1) for x in (keys, values))
    # PyTorch's own keeps no scores (B, H, T, S) for the backward pass.
    return scaled_dot_product_attention(queries, keys, values, seen)


def behind(prefix: tuple, keys, values, seen):
    """A group's keys, values and what of them is seen, behind its prompt's.

    Args:
        prefix: a block's entry of `Cache.prefix`.
        keys, values: (B, J, T, K); row b answers prompt b // (B / N).
        seen: (T, T) bool.
    Returns: keys and values (B, J, P + T, K), seen (B or 1, 1, T, P + T).
    """
    *old, old_seen = prefix
    size = len(keys) // len(old[0])
    keys, values = (
        torch.cat([x.repeat_interleave(size, dim=0), new], dim=2)
        for x, new in zip(old, (keys, values))
    )
    if old_seen is None:
        old_seen = seen.new_ones(1, 1, 1, old[0].shape[2])
    else:
        old_seen = old_seen.repeat_interleave(size, dim=0)
    old_seen = old_seen.expand(-1, 1, len(seen), -1)
    seen = seen.expand(len(old_seen), 1, *seen.shape)
    return keys, values, torch.cat([old_seen, seen], dim=-1)


def attend_cache(prefix: tuple, own: tuple, used: int, qkv):
    """Attention of one new token a row, which joins the block's cache.

    The queries of a prompt read its keys in one product, those of its G completions
    and of the R = H / J heads that a head of keys serves.
    """
    (old_keys, old_values, seen), (keys, values) = prefix, own
    rows, shared, size, length, width = keys.shape  # N, J, G, T, K
    qkv = qkv.view(rows, size, -1, width).transpose(1, 2)  # (N, H + 2 J, G, K)
    heads = qkv.shape[1] - 2 * shared
    query, keys[:, :, :, used], values[:, :, :, used] = qkv.split(
        [heads, shared, shared], dim=1
    )
    query = query.reshape(rows, shared, -1, size, width).transpose(2, 3)
    query = query.flatten(2, 3) * width**-0.5  # (N, J, G R, K)
    old = query @ old_keys.transpose(2, 3)  # (N, J, G R, P)
    if seen is not None:
        old = old.masked_fill(~seen, torch.finfo(old.dtype).min)
    # One product a row.  `bmm` on (N J G, ...) has less to set up than `@`.
    keys = keys.view(-1, length, width)[:, : used + 1]
    each = len(keys), heads // shared, -1
    new = torch.bmm(query.reshape(*each[:2], width), keys.transpose(1, 2))
    scores = torch.cat([old, new.view(*old.shape[:3], -1)], dim=-1)
    old, new = scores.softmax(dim=-1).split([old.shape[3], used + 1], dim=-1)
    values = values.view(-1, length, width)[:, : used + 1]
    mixed = old @ old_values + torch.bmm(new.reshape(each), values).view(query.shape)
    mixed = mixed.view(rows, shared, size, -1, width).permute(0, 2, 1, 3, 4)
    return mixed.reshape(rows * size, -1)


def split_heads(x, width: int, shared: int):
    """(B, L, (H + 2 J) K) to queries (B, H, L, K), keys and values (B, J, L, K).

    Args:
        width, shared: K and J.
    """
    x = x.unflatten(2, (-1, width)).transpose(1, 2)
    return x.split([x.shape[1] - 2 * shared, shared, shared], dim=1)


def merge_heads(x):
    """(B, H, L, K) to (B L, H K)."""
    return x.transpose(1, 2).flatten(2).flatten(0, 1)


def position_ids(mask):
    """Place of each token (B, L) among those under the mask."""
    return ((mask > 0).cumsum(dim=1) - 1).clamp(min=0)


def pack(x, index):
    """Rows `index` of x (n, ...), all where it is None."""
    return x if index is None else x.index_select(0, index)


def unpack(x, index, n: int):
    """(n, ...) with x in the rows `index` and zeros elsewhere."""
    if index is None:
        return x
    return x.new_zeros(n, *x.shape[1:]).index_copy(0, index, x)
