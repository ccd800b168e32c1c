"""The terms of an algorithm's records, through which the gradient flows.

B batch, T completion length.
"""

from __future__ import annotations

from core.algorithms import (
    KL,
    Clipped,
    ClippedWeight,
    ConstantLength,
    Plain,
    SequenceMean,
    SequenceSum,
    TokenMean,
)
from core.pt.logprobs import kl_k1, kl_k2, kl_k3
from core.pt.losses import (
    aggregate,
    clipped_surrogate,
    clipped_value_loss,
    clipped_weight_surrogate,
    policy_ratio,
    value_loss,
)


def policy_loss(algorithm, logprobs, old, adv, mask, limit, ref=None):
    """What an algorithm minimises: minus the surrogate, less the pull.

    Args:
        algorithm: `core.algorithms.Algorithm`.
        logprobs: (B, T) float, nats, of the policy now; the gradient flows
            here.
        old: (B, T) float, nats, of the policy that sampled.
        adv: (B, T) float, constants, the advantages.
        mask: (B, T) float.
        limit: tokens, the longest that a text can be.
        ref: (B, T) float, nats, of the reference; with a pull.
    Returns: scalar; dict of "clipped", with a ratio, and "kl", with a pull.
    """
    gain, metrics = surrogate(algorithm.surrogate, logprobs, old, adv, mask)
    if algorithm.pull is not None:
        kl = kl_estimate(algorithm.pull, logprobs, ref)
        metrics["kl"] = (kl * mask).sum() / mask.sum()
        if algorithm.pull.where == "loss":
            gain = gain - algorithm.pull.coef * kl
    return -average(algorithm.aggregate, gain, mask, limit), metrics


def surrogate(record, logprobs, old, adv, mask):
    """A term for each token, to maximise.

    Args: as for `policy_loss`.
    Returns: (B, T); dict of "clipped", with a ratio: the share of tokens
        whose ratio lies beyond the clip.
    """
    if isinstance(record, Plain):
        return logprobs * adv, {}
    low, high = record.low, record.high
    ratio = policy_ratio(logprobs, old, mask, record.level)
    match record:
        case ClippedWeight():
            gain = clipped_weight_surrogate(logprobs, ratio, adv, low, high)
        case Clipped():
            gain = clipped_surrogate(ratio, adv, low, high)
    outside = (ratio < 1 - low) | (ratio > 1 + high)
    outside = outside.to(mask) * mask
    return gain, {"clipped": outside.sum() / mask.sum()}


def average(record, terms, mask, limit):
    """One number from the terms (B, T) of all tokens."""
    match record:
        case SequenceSum():
            return aggregate(terms, mask, "sequence_sum")
        case SequenceMean():
            return aggregate(terms, mask, "sequence_mean")
        case TokenMean():
            return aggregate(terms, mask, "token_mean")
        case ConstantLength(length):
            return aggregate(terms, mask, "constant", length or limit)


def kl_estimate(record, logprobs, ref):
    """KL(π‖π_ref) at each token as the pull estimates it, (B, T) nats."""
    match record:
        case KL("k1"):
            return kl_k1(logprobs, ref)
        case KL("k2"):
            return kl_k2(logprobs, ref)
        case KL("k3"):
            return kl_k3(logprobs, ref)


def value_term(record, values, old_values, targets, mask):
    """Half the squared error of values, clipped where the record says so.

    Args:
        record: `core.advantages.Critic` or `Learned`.
        values, old_values, targets, mask: as for `clipped_value_loss`.
    Returns: scalar.
    """
    if record.value_clip is None:
        return value_loss(values, targets, mask)
    return clipped_value_loss(values, old_values, targets, mask, record.value_clip)
