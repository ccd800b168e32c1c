"""Attention, the cache that sampling keeps, and batches without padding.

N prompts, G completions of each, B = N G rows; L, S lengths, P prompt length,
T completion length, H heads, K width of a head, D = H K.
"""

from __future__ import annotations

from typing import NamedTuple

import keras
import tensorflow as tf


class Cache(NamedTuple):
    """What GPT has read while it samples, G completions of N prompts each.

    prefix: per block, keys and values (N, H, P, K) of the prompts and what
        of them is seen (N, 1, 1, P), None for all.
    own: per block, keys and values (N, H, G, T, K) of the completions.
    positions: (N G,) int, of the next token.
    used: how many tokens of T are there.
    """

    prefix: list
    own: list
    positions: tf.Tensor
    used: tf.Tensor


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
    batch = queries.shape[0]
    queries = queries * queries.shape[-1] ** -0.5
    scores = []
    for keys, _, seen in parts:
        rows = keys.shape[0]
        score = tf.matmul(_together(queries, rows), keys, transpose_b=True)
        if seen is not None:
            # `where`, not an added mask: oneDNN's fused product is slow.
            score = tf.where(seen, score, tf.constant(-1e9, score.dtype))
        scores.append(_apart(score, batch))  # (B, H, T, S)
    scores = tf.concat(scores, axis=-1) if len(parts) > 1 else scores[0]
    weights = tf.nn.softmax(scores)
    sizes = [keys.shape[2] for keys, _, _ in parts]
    shares = tf.split(weights, sizes, axis=-1)
    return sum(
        _apart(_together(share, values.shape[0]) @ values, batch)
        for share, (_, values, _) in zip(shares, parts)
    )


def attend_cache(prefix, own, used, qkv):
    """Attention of one new token a row, which joins the block's cache.

    The G queries of a prompt read its keys in one product.
    """
    (old_keys, old_values, seen), (keys, values) = prefix, own
    rows, heads, size, length, width = keys.shape  # N, H, G, T, K
    qkv = tf.reshape(qkv, (rows, size, 3, heads, width))
    query, key, value = tf.unstack(tf.transpose(qkv, (2, 0, 3, 1, 4)))
    start = (0, 0, 0, used, 0)
    keys = keras.ops.slice_update(keys, start, key[..., None, :])
    values = keras.ops.slice_update(values, start, value[..., None, :])
    query = query * width**-0.5  # (N, H, G, K)
    old = tf.matmul(query, old_keys, transpose_b=True)  # (N, H, G, P)
    least = tf.constant(-1e9, query.dtype)
    if seen is not None:
        old = tf.where(seen, old, least)
    # All of T, for one compiled shape; what is not there yet is left out.
    new = tf.einsum("nhgk,nhgtk->nhgt", query, keys)
    new = tf.where(tf.range(length) <= used, new, least)
    weights = tf.nn.softmax(tf.concat([old, new], axis=-1))
    split = old_keys.shape[2]
    mixed = weights[..., :split] @ old_values + tf.einsum(
        "nhgt,nhgtk->nhgk", weights[..., split:], values
    )
    mixed = tf.reshape(tf.transpose(mixed, (0, 2, 1, 3)), (rows * size, -1))
    return mixed, (keys, values)


def _together(x, rows):
    """(B, H, T, K) to (N, H, (B / N) T, K): what reads the same memory."""
    batch, heads, length, width = x.shape
    if rows == batch:
        return x
    x = tf.reshape(x, (rows, batch // rows, heads, length, width))
    x = tf.transpose(x, (0, 2, 1, 3, 4))
    return tf.reshape(x, (rows, heads, -1, width))


def _apart(x, batch):
    """The inverse of `_together`."""
    rows, heads, length, width = x.shape
    if rows == batch:
        return x
    size = batch // rows
    x = tf.reshape(x, (rows, heads, size, length // size, width))
    x = tf.transpose(x, (0, 2, 1, 3, 4))
    return tf.reshape(x, (batch, heads, length // size, width))


def split_heads(x, heads):
    """(B, L, 3, D) to queries, keys, values, each (B, H, L, K)."""
    batch, length, parts, width = x.shape
    x = tf.reshape(x, (batch, length, parts, heads, width // heads))
    return tf.unstack(tf.transpose(x, (2, 0, 3, 1, 4)))


def merge_heads(x):
    """(B, H, L, K) to (B L, D)."""
    batch, heads, length, width = x.shape
    x = tf.transpose(x, (0, 2, 1, 3))
    return tf.reshape(x, (batch * length, heads * width))


def pack(x, index):
    """Rows `index` of x (n, ...), all where it is None."""
    return x if index is None else tf.gather(x, index)


def unpack(x, index, n):
    """(n, ...) with x in the rows `index` and zeros elsewhere."""
    if index is None:
        return x
    return tf.scatter_nd(index[:, None], x, (n, *x.shape[1:]))
