"""Log-probabilities of tokens, entropy, and the KL divergence to a reference
policy with its sampled estimates k1, k2, k3.  All in nats.

B batch, T completion length, V vocabulary.
"""

from __future__ import annotations

import tensorflow as tf


def token_logprobs(logits, tokens, temperature=1.0):
    """log π(token) under the distribution softmax(logits / temperature).

    What is scored must be what was sampled: give the sampler's temperature.

    Args:
        logits: (B, T, V) float.
        tokens: (B, T) int.
        temperature: > 0.
    Returns: (B, T) float, nats.
    """
    if not temperature > 0:
        raise ValueError(
            f"temperature: expected a positive number, got {temperature}"
        )
    logprobs = tf.nn.log_softmax(logits / temperature, axis=-1)
    return tf.gather(logprobs, tokens, batch_dims=2)


def entropy(logits):
    """Entropy of each next-token distribution, -Σ π log π.

    Args:
        logits: (B, T, V) float.
    Returns: (B, T) float, nats, between 0 and log V.
    """
    logprobs = tf.nn.log_softmax(logits, axis=-1)
    return -tf.reduce_sum(tf.exp(logprobs) * logprobs, axis=-1)


def kl_exact(logits, ref_logits):
    """KL(π‖π_ref) of each next-token distribution, summed over V.

    Args:
        logits, ref_logits: (B, T, V) float.
    Returns: (B, T) float, nats, ≥ 0.
    """
    logprobs = tf.nn.log_softmax(logits, axis=-1)
    ref_logprobs = tf.nn.log_softmax(ref_logits, axis=-1)
    return tf.reduce_sum(
        tf.exp(logprobs) * (logprobs - ref_logprobs), axis=-1
    )


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
