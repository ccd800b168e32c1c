"""Log-probabilities of tokens, entropy, and the KL divergence to a reference
policy with its sampled estimates k1, k2, k3.  All in nats.

B batch, T completion length, V vocabulary.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import tensorflow as tf

from core import checks
from core.algorithms import ESTIMATORS
from core.sampling import check_distribution

LOGITS_AT_ONCE = 2**24  # of large vocabularies, scored in chunks


def sampling_logits(
    logits, temperature: float = 1.0, top_k: int | None = None, top_p: float = 1.0
):
    """Logits of the distribution that is sampled.

    Divided by the temperature; then all but the `top_k` most probable tokens are
    excluded; then all but the smallest set of most probable tokens that holds at least
    `top_p` of what is left.  Tokens of equal probability stay or go together.

    Args:
        logits: (..., V) float.
        temperature: > 0.
        top_k: ≥ 1, or None for all tokens.
        top_p: in (0, 1].
    Returns: (..., V) float; -1e9 for an excluded token, so that its
        probability and its share of the entropy are exactly 0.
    Raises: ValueError for arguments outside these ranges.
    Source: top-k: Fan, Lewis, Dauphin 2018, arXiv:1805.04833; top-p:
        Holtzman et al. 2020, arXiv:1904.09751.
    """
    check_distribution(temperature, top_k, top_p)
    logits = logits / temperature
    excluded = tf.constant(-1e9, logits.dtype)
    if top_k is not None and top_k < logits.shape[-1]:
        least = tf.math.top_k(logits, top_k).values[..., -1:]
        logits = tf.where(logits < least, excluded, logits)
    if top_p < 1:
        ordered = tf.sort(logits, direction="DESCENDING")
        probs = tf.nn.softmax(ordered)
        before = tf.cumsum(probs, axis=-1, exclusive=True)
        kept = tf.where(before >= top_p, ordered.dtype.max, ordered)
        least = tf.reduce_min(kept, axis=-1, keepdims=True)
        logits = tf.where(logits < least, excluded, logits)
    return logits


def token_logprobs(logits, tokens, temperature: float = 1.0):
    """log π(token) under the distribution softmax(logits / temperature).

    What is scored must be what was sampled: give the sampler's temperature.

    Args:
        logits: (B, T, V) float.
        tokens: (B, T) int.
        temperature: > 0.
    Returns: (B, T) float, nats.
    """
    check_distribution(temperature)
    logprobs = tf.nn.log_softmax(logits / temperature, axis=-1)
    return tf.gather(logprobs, tokens, batch_dims=len(tokens.shape))


def entropy(logits):
    """Entropy of each next-token distribution, -Σ π log π.

    Args:
        logits: (B, T, V) float.
    Returns: (B, T) float, nats, between 0 and log V.
    """
    logprobs = tf.nn.log_softmax(logits, axis=-1)
    return -tf.reduce_sum(tf.exp(logprobs) * logprobs, axis=-1)


def token_scores(
    logits_of: Callable,
    features,
    tokens,
    size: int,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float = 1.0,
):
    """Log-probabilities of tokens and entropies, a chunk of logits at a time.

    All logits (M, V) of a large vocabulary would take more memory than the
    model.  The backward pass computes those of a chunk again.

    Args:
        logits_of: features (n, D) to logits (n, V).
        features: (M, D) float.
        tokens: (M,) int.
        size: M · V or an upper limit; at most LOGITS_AT_ONCE make a chunk.
        temperature, top_k, top_p: the sampler's, as in `sampling_logits`.
    Returns: logprobs (M,), entropies (M,), nats.
    """
    chunks = max(1, math.ceil(size / LOGITS_AT_ONCE))

    def score(features, tokens):
        logits = sampling_logits(logits_of(features), temperature, top_k, top_p)
        return token_logprobs(logits, tokens), entropy(logits)

    rows = -(-tf.shape(tokens)[0] // chunks)  # M is known when it runs
    scores = []
    for i in range(chunks):
        part = partial(score, tokens=tokens[i * rows : (i + 1) * rows])
        if chunks > 1:
            part = tf.recompute_grad(part)
        scores.append(part(features[i * rows : (i + 1) * rows]))
    return tuple(tf.concat(column, axis=0) for column in zip(*scores))


def kl_exact(logits, ref_logits):
    """KL(π‖π_ref) of each next-token distribution, summed over V.

    Args:
        logits, ref_logits: (B, T, V) float.
    Returns: (B, T) float, nats, ≥ 0.
    """
    logprobs = tf.nn.log_softmax(logits, axis=-1)
    ref_logprobs = tf.nn.log_softmax(ref_logits, axis=-1)
    return tf.reduce_sum(tf.exp(logprobs) * (logprobs - ref_logprobs), axis=-1)


def kl_k1(logprobs, ref_logprobs):
    """Unbiased one-sample estimate of KL(π‖π_ref); its sign can be negative.

    Args:
        logprobs, ref_logprobs: (B, T) float, of tokens drawn from π.
    Returns: (B, T) float, nats.
    Source: Schulman 2020, "Approximating KL Divergence".
    """
    return logprobs - ref_logprobs


def kl_k2(logprobs, ref_logprobs):
    """Half the squared log-ratio: low variance, biased, never negative.

    Args:
        logprobs, ref_logprobs: (B, T) float, of tokens drawn from π.
    Returns: (B, T) float, nats.
    Source: Schulman 2020, "Approximating KL Divergence".
    """
    return 0.5 * (logprobs - ref_logprobs) ** 2


def kl_k3(logprobs, ref_logprobs):
    """k1 plus a control variate of mean zero: unbiased, never negative.

    ρ - 1 - log ρ,  ρ = π_ref / π

    Args:
        logprobs, ref_logprobs: (B, T) float, of tokens drawn from π.
    Returns: (B, T) float, nats.
    Source: Schulman 2020, "Approximating KL Divergence".
    """
    log_ratio = ref_logprobs - logprobs
    return tf.exp(log_ratio) - 1 - log_ratio


def kl_estimate(estimator: str, logprobs, ref_logprobs):
    """KL(π‖π_ref) at each token by `kl_k1`, `kl_k2` or `kl_k3`.

    Args:
        estimator: one of `core.algorithms.ESTIMATORS`.
        logprobs, ref_logprobs: (B, T) float, of tokens drawn from π.
    Returns: (B, T) float, nats.
    """
    checks.one_of(ESTIMATORS, estimator=estimator)
    return {"k1": kl_k1, "k2": kl_k2, "k3": kl_k3}[estimator](logprobs, ref_logprobs)
