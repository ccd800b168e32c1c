"""The terms of an algorithm's records, through which the gradient flows.

B batch, T completion length.
"""

import tensorflow as tf

from core.algorithms import Algorithm, Clipped, ClippedWeight, Plain, Ratio
from core.tf import losses
from core.tf.logprobs import alike, kl_estimate


def policy_loss(
    algorithm: Algorithm, logprobs, old, adv, mask, limit: int, ref=None, whole=None
):
    """What an algorithm minimises: minus the aggregate of surrogate less pull.

    Args:
        algorithm: `core.algorithms.Algorithm`.
        logprobs: (B, T) float, nats, of the policy now; the gradient flows here.
        old: (B, T) float, nats, of the policy that sampled.
        adv: (B, T) float, constants, the advantages.
        mask: (B, T) float.
        limit: tokens, the longest that a text can be.
        ref: (B, T) float, nats, of the reference; with a pull.
        whole: as for `losses.counts`.
    Returns: scalar; dict of "clipped", with a ratio, and "kl", with a pull.
    """
    gain, metrics = surrogate(algorithm.surrogate, logprobs, old, adv, mask, whole)
    pull = algorithm.pull
    if pull is not None:
        logprobs, ref, mask = alike(logprobs=logprobs, ref=ref, mask=mask)
        kl = kl_estimate(pull.estimator, logprobs, ref)
        metrics["kl"] = tf.reduce_sum(kl) / losses.counts(mask, whole)[1]
        if pull.where == "loss":
            gain = gain - pull.coef * kl
    how, length = algorithm.aggregate.how, algorithm.aggregate.tokens(limit)
    return -losses.aggregate(gain, mask, how, length, whole), metrics


def surrogate(record: Plain | Ratio, logprobs, old, adv, mask, whole=None):
    """A term for each token, to maximise.

    Args: as for `policy_loss`.
    Returns: (B, T); dict: with a ratio "clipped", the share of tokens beyond its clip.
    """
    logprobs, old, adv, mask = alike(logprobs=logprobs, old=old, adv=adv, mask=mask)
    if isinstance(record, Plain):
        return logprobs * adv, {}
    low, high = record.low, record.high
    ratio = losses.policy_ratio(logprobs, old, mask, record.level)
    match record:
        case ClippedWeight():
            gain = losses.clipped_weight_surrogate(logprobs, ratio, adv, low, high)
        case Clipped():
            gain = losses.clipped_surrogate(ratio, adv, low, high)
        case _:
            raise NotImplementedError(f"surrogate: no term for {record!r}")
    outside = tf.cast((ratio < 1 - low) | (ratio > 1 + high), mask.dtype) * mask
    return gain, {"clipped": losses.aggregate(outside, mask, "token_mean", whole=whole)}
