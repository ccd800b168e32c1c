"""The graded exercises of "A policy from scratch: GPT in two frameworks"."""

from __future__ import annotations

import numpy as np
import torch

from core.pt import attention
from pages.grader import Exercise


def causal_attention(queries, keys, values):
    """What one head mixes, (L, K), by `core.pt.attention`."""
    q, k, v = (torch.tensor(x)[None, None] for x in (queries, keys, values))
    seen = torch.tensor(np.tri(len(queries)) > 0)
    return attention.attention(q, k, v, seen)[0, 0].numpy()


def mixed(queries, keys, values, seen, size):
    scores = np.where(seen, queries @ keys.T / size, -np.inf)
    share = np.exp(scores - scores.max(axis=1, keepdims=True))
    return share / share.sum(axis=1, keepdims=True) @ values


def sees_all(queries, keys, values):
    """Without a mask."""
    size = np.sqrt(queries.shape[1])
    return mixed(queries, keys, values, np.ones((len(queries),) * 2), size)


def transposed(queries, keys, values):
    """Each position sees itself and what follows."""
    size = np.sqrt(queries.shape[1])
    return mixed(queries, keys, values, np.tri(len(queries)).T, size)


def without_root(queries, keys, values):
    """The scores are not divided."""
    return mixed(queries, keys, values, np.tri(len(queries)), 1.0)


def masked_late(queries, keys, values):
    """The mask stands behind the softmax: the shares do not sum to 1."""
    scores = queries @ keys.T / np.sqrt(queries.shape[1])
    share = np.exp(scores - scores.max(axis=1, keepdims=True))
    share /= share.sum(axis=1, keepdims=True)
    return share * np.tri(len(queries)) @ values


def overflowing(queries, keys, values):
    """Exponentials of large scores are infinite."""
    scores = queries @ keys.T / np.sqrt(queries.shape[1])
    with np.errstate(over="ignore", invalid="ignore"):
        share = np.exp(scores) * np.tri(len(queries))
        return share / share.sum(axis=1, keepdims=True) @ values


def arrays(seed, length, width, scale=1.0):
    queries, keys, values = np.random.default_rng(seed).normal(size=(3, length, width))
    return scale * queries, scale * keys, values


CAUSAL_ATTENTION = Exercise(
    "causal_attention",
    expected=causal_attention,
    cases=[
        arrays(0, 1, 2),
        arrays(1, 3, 2),
        arrays(2, 5, 8),
        arrays(3, 4, 4, scale=40.0),
    ],
    hint="the mask belongs in front of the softmax, a position sees itself and what "
    "came before, and only differences of scores may be exponentiated",
    wrong=[sees_all, transposed, without_root, masked_late, overflowing],
)
