"""Losses as short pure functions, to be minimised.

B batch, T completion length.  A batch's loss is the mean over its sequences
of the sum over their tokens, so that its gradient is minus an unbiased
estimate of ∇J, the gradient of the expected return.
"""

from __future__ import annotations

import torch


def policy_gradient_loss(logprobs, advantages, mask):
    """Minus the score-function objective: its gradient estimates -∇J.

    -(1/B) Σ_b Σ_t mask A log π(y_t | X, y_<t)

    Args:
        logprobs: (B, T) float, nats; the gradient flows here.
        advantages: (B, T) float, constants: return, or return minus baseline.
        mask: (B, T) float, 1 up to and including the first EOS.
    Returns: scalar.
    Raises: ValueError where shapes differ.
    Source: Williams 1992; document 001 §4.1.
    """
    _same_shape(logprobs=logprobs, advantages=advantages, mask=mask)
    return -(logprobs * advantages * mask).sum() / mask.shape[0]


def importance_weights(logprobs, old_logprobs, mask):
    """π(Y|X) / μ(Y|X) of each sequence, for samples of an older policy μ.

    A return depends on all tokens of its sequence, so the weight that keeps
    the estimate unbiased is the product of the token ratios over all of them.

    Args:
        logprobs: (B, T) float, nats, of the policy now.
        old_logprobs: (B, T) float, nats, of the policy that sampled.
        mask: (B, T) float.
    Returns: (B, 1) float, a constant: no gradient flows through it.
    Raises: ValueError where shapes differ.
    Source: Precup, Sutton, Singh 2000.
    """
    _same_shape(logprobs=logprobs, old_logprobs=old_logprobs, mask=mask)
    log_ratio = ((logprobs - old_logprobs) * mask).sum(dim=1, keepdim=True)
    return log_ratio.exp().detach()


def entropy_loss(entropies, mask):
    """Minus the policy's entropy, summed over each sequence's tokens.

    Args:
        entropies: (B, T) float, nats; the gradient flows here.
        mask: (B, T) float.
    Returns: scalar, -nats per sequence.
    Raises: ValueError where shapes differ.
    Source: Williams and Peng 1991; document 001 §4.3.
    """
    _same_shape(entropies=entropies, mask=mask)
    return -(entropies * mask).sum() / mask.shape[0]


def value_loss(values, returns, mask):
    """Half the squared error of predicted returns, mean over tokens.

    Args:
        values: (B, T) float; the gradient flows here.
        returns: (B, T) float, constants.
        mask: (B, T) float.
    Returns: scalar; 0 where mask is all zero.
    Raises: ValueError where shapes differ.
    """
    _same_shape(values=values, returns=returns, mask=mask)
    squares = (values - returns) ** 2 * mask
    return 0.5 * squares.sum() / mask.sum().clamp(min=1)


def cross_entropy_loss(logprobs, mask):
    """Mean negative log-likelihood per token, to imitate given texts.

    Args:
        logprobs: (B, T) float, nats; the gradient flows here.
        mask: (B, T) float.
    Returns: scalar, nats per token; 0 where mask is all zero.
    Raises: ValueError where shapes differ.
    """
    _same_shape(logprobs=logprobs, mask=mask)
    return -(logprobs * mask).sum() / mask.sum().clamp(min=1)


def clipped_surrogate(logprobs, old_logprobs, advantages, clip_low,
                      clip_high):
    """Per-token PPO objective, to maximise.

    min(ρ A, clip(ρ, 1 - clip_low, 1 + clip_high) A),
    ρ = exp(logprobs - old_logprobs)

    Args:
        logprobs: (B, T) float, nats; the gradient flows here.
        old_logprobs, advantages: (B, T) float, constants.
        clip_low, clip_high: ≥ 0, dimensionless.
    Returns: (B, T) float.
    Raises: ValueError where shapes differ or a bound is negative.
    Source: Schulman et al. 2017, arXiv:1707.06347, eq. 7; the asymmetric
        bounds: Yu et al. 2025 (DAPO), arXiv:2503.14476.
    """
    _same_shape(
        logprobs=logprobs, old_logprobs=old_logprobs, advantages=advantages
    )
    if clip_low < 0 or clip_high < 0:
        raise ValueError(
            "clip_low, clip_high: expected at least 0, "
            f"got {clip_low}, {clip_high}"
        )
    ratio = (logprobs - old_logprobs).exp()
    clipped = ratio.clamp(1 - clip_low, 1 + clip_high)
    return torch.minimum(ratio * advantages, clipped * advantages)


def token_cross_entropy(logits, targets, mask):
    """Mean negative log-likelihood of the targets under the mask.

    -Σ mask log softmax(logits)[target] / Σ mask

    Args:
        logits: (..., C) float; the gradient flows here.
        targets: (...) int in [0, C); anything where the mask is 0.
        mask: (...) float, 1 where the target counts.
    Returns: scalar, nats per target.
    Raises: ValueError where the shapes of targets and mask differ.
    """
    _same_shape(targets=targets, mask=mask)
    logprobs = torch.log_softmax(logits, dim=-1)
    chosen = logprobs.gather(-1, targets[..., None])[..., 0]
    return -(chosen * mask).sum() / mask.sum()


def _same_shape(**tensors):
    shapes = {name: tuple(t.shape) for name, t in tensors.items()}
    if len(set(shapes.values())) > 1:
        raise ValueError(f"expected one shape (B, T), got {shapes}")
