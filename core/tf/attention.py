"""Attention, the cache that sampling keeps, and batches without padding.

N prompts, G completions of each, B = N G rows; L, S lengths, P prompt length,
T completion length, H heads, K width of a head, D = H K.
"""

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


def attention(queries, keys, values, seen=None):
    """Scaled dot-product attention.

    Args:
        queries: (B, H, T, K) float.
        keys, values: (B, H, S, K) float.
        seen: bool, broadcasts to (B, H, T, S); None: all.  A query that sees
            nothing, on padding, gets some finite value.
    Returns: (B, H, T, K) float.
    Source: Vaswani et al. 2017, arXiv:1706.03762, eq. 1.
    """
    queries = queries * queries.shape[-1] ** -0.5
    scores = tf.matmul(queries, keys, transpose_b=True)
    if seen is not None:
        # `where`, not an added mask: oneDNN's fused product is slow.
        scores = tf.where(seen, scores, scores.dtype.min)
    return tf.nn.softmax(scores) @ values


def behind(prefix: tuple, keys, values, seen):
    """A group's keys, values and what of them is seen, behind its prompt's.

    Args:
        prefix: a block's entry of `Cache.prefix`.
        keys, values: (B, H, T, K); row b answers prompt b // (B / N).
        seen: (T, T) bool.
    Returns: keys and values (B, H, P + T, K), seen (B or 1, 1, T, P + T).
    """
    *old, old_seen = prefix
    length, size = seen.shape[0], keys.shape[0] // old[0].shape[0]
    keys, values = (
        tf.concat([tf.repeat(x, size, axis=0), new], axis=2)
        for x, new in zip(old, (keys, values))
    )
    if old_seen is None:
        old_seen = tf.ones((1, 1, 1, old[0].shape[2]), tf.bool)
    else:
        old_seen = tf.repeat(old_seen, size, axis=0)
    old_seen = tf.repeat(old_seen, length, axis=2)
    seen = tf.broadcast_to(seen, (*old_seen.shape[:3], length))
    return keys, values, tf.concat([old_seen, seen], axis=-1)


def attend_cache(prefix: tuple, own: tuple, used, qkv):
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
    least = query.dtype.min
    if seen is not None:
        old = tf.where(seen, old, least)
    # All of T, for one compiled shape; what is not there yet is left out.
    new = tf.einsum("nhgk,nhgtk->nhgt", query, keys)
    new = tf.where(tf.range(length) <= used, new, least)
    weights = tf.nn.softmax(tf.concat([old, new], axis=-1))
    old, new = tf.split(weights, [old_keys.shape[2], length], axis=-1)
    mixed = old @ old_values + tf.einsum("nhgt,nhgtk->nhgk", new, values)
    mixed = tf.reshape(tf.transpose(mixed, (0, 2, 1, 3)), (rows * size, -1))
    return mixed, (keys, values)


def split_heads(x, heads: int):
    """(B, L, 3, D) to queries, keys, values, each (B, H, L, K)."""
    batch, length, parts, width = x.shape
    x = tf.reshape(x, (batch, length, parts, heads, width // heads))
    return tf.unstack(tf.transpose(x, (2, 0, 3, 1, 4)))


def merge_heads(x):
    """(B, H, L, K) to (B L, D)."""
    batch, heads, length, width = x.shape
    x = tf.transpose(x, (0, 2, 1, 3))
    return tf.reshape(x, (batch * length, heads * width))


def position_ids(mask):
    """Place of each token (B, L) among those under the mask."""
    return tf.maximum(tf.cumsum(tf.cast(mask > 0, tf.int32), axis=1) - 1, 0)


def pack(x, index):
    """Rows `index` of x (n, ...), all where it is None."""
    return x if index is None else tf.gather(x, index)


def unpack(x, index, n: int):
    """(n, ...) with x in the rows `index` and zeros elsewhere."""
    if index is None:
        return x
    return tf.scatter_nd(index[:, None], x, (n, *x.shape[1:]))
