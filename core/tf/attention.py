"""Attention, the cache that sampling keeps, and batches without padding.

N prompts, G completions of each, B = N G rows; L, S lengths, P prompt length,
T completion length; H heads of queries, J of keys and values, each of which serves
H / J of the others (GPT: J = H), K width of a head.
"""

from typing import NamedTuple

import keras
import tensorflow as tf


class Cache(NamedTuple):
    """What a transformer has read while it samples, G completions of N prompts each.

    prefix: per block, keys and values (N, J, P, K) of the prompts and what
        of them is seen (N, 1, 1, P), None for all.
    own: per block, keys and values (N, J, G, T, K) of the completions.
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
        keys, values: (B, J, S, K) float.
        seen: bool, broadcasts to (B, H, T, S); None: all.  A query that sees
            nothing, on padding, gets some finite value.
    Returns: (B, H, T, K) float.
    Source: Vaswani et al. 2017, arXiv:1706.03762, eq. 1; J < H: Ainslie et al. 2023,
        arXiv:2305.13245.
    """
    if (size := queries.shape[1] // keys.shape[1]) > 1:
        keys, values = (tf.repeat(x, size, axis=1) for x in (keys, values))
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
        keys, values: (B, J, T, K); row b answers prompt b // (B / N).
        seen: (T, T) bool.
    Returns: keys and values (B, J, P + T, K), seen (B or 1, 1, T, P + T).
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

    The queries of a prompt read its keys in one product, those of its G completions
    and of the R = H / J heads that a head of keys serves.
    """
    (old_keys, old_values, seen), (keys, values) = prefix, own
    rows, shared, size, length, width = keys.shape  # N, J, G, T, K
    heads = qkv.shape[1] // width - 2 * shared
    qkv = tf.reshape(qkv, (rows, size, heads + 2 * shared, width))
    qkv = tf.transpose(qkv, (0, 2, 1, 3))  # (N, H + 2 J, G, K)
    query, key, value = tf.split(qkv, [heads, shared, shared], axis=1)
    start = (0, 0, 0, used, 0)
    keys = keras.ops.slice_update(keys, start, tf.expand_dims(key, 3))
    values = keras.ops.slice_update(values, start, tf.expand_dims(value, 3))
    each = rows, shared, heads // shared * size  # R G
    query = tf.reshape(query * width**-0.5, (*each, width))
    old = tf.matmul(query, old_keys, transpose_b=True)  # (N, J, R G, P)
    least = query.dtype.min
    if seen is not None:
        old = tf.where(seen, old, least)
    # All of T, for one compiled shape; what is not there yet is left out.
    query = tf.reshape(query, (rows, shared, -1, size, width))
    new = tf.einsum("njrgk,njgtk->njrgt", query, keys)
    new = tf.where(tf.range(length) <= used, tf.reshape(new, (*each, length)), least)
    weights = tf.nn.softmax(tf.concat([old, new], axis=-1))
    old, new = tf.split(weights, [old_keys.shape[2], length], axis=-1)
    new = tf.reshape(new, (rows, shared, -1, size, length))
    new = tf.einsum("njrgt,njgtk->njrgk", new, values)
    mixed = tf.reshape(
        old @ old_values + tf.reshape(new, (*each, width)), (rows, heads, size, width)
    )
    mixed = tf.reshape(tf.transpose(mixed, (0, 2, 1, 3)), (rows * size, heads * width))
    return mixed, (keys, values)


def split_heads(x, width: int, shared: int):
    """(B, L, (H + 2 J) K) to queries (B, H, L, K), keys and values (B, J, L, K).

    Args:
        width, shared: K and J.
    """
    batch, length, size = x.shape
    x = tf.reshape(x, (batch, length, size // width, width))
    sizes = [size // width - 2 * shared, shared, shared]
    return tf.split(tf.transpose(x, (0, 2, 1, 3)), sizes, axis=1)


def merge_heads(x):
    """(B, H, L, K) to (B L, H K)."""
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
