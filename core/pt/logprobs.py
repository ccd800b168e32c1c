"""Log-probabilities of tokens, entropy, and the KL divergence to a reference
policy with its sampled estimates k1, k2, k3.  All in nats.

B batch, T completion length, V vocabulary.
"""

from __future__ import annotations

import torch


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
    logprobs = torch.log_softmax(logits / temperature, dim=-1)
    return logprobs.gather(-1, tokens[..., None])[..., 0]


def entropy(logits):
    """Entropy of each next-token distribution, -Σ π log π.

    Args:
        logits: (B, T, V) float.
    Returns: (B, T) float, nats, between 0 and log V.
    """
    logprobs = torch.log_softmax(logits, dim=-1)
    return -(logprobs.exp() * logprobs).sum(dim=-1)


def kl_exact(logits, ref_logits):
    """KL(π‖π_ref) of each next-token distribution, summed over V.

    Args:
        logits, ref_logits: (B, T, V) float.
    Returns: (B, T) float, nats, ≥ 0.
    """
    logprobs = torch.log_softmax(logits, dim=-1)
    ref_logprobs = torch.log_softmax(ref_logits, dim=-1)
    return (logprobs.exp() * (logprobs - ref_logprobs)).sum(dim=-1)


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
    return log_ratio.exp() - 1 - log_ratio
