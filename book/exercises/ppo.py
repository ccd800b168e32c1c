"""The graded exercises of "PPO"."""

from __future__ import annotations

import numpy as np
import torch

from core.pt import losses
from pages.grader import Exercise


def clipped_surrogate(logprobs, old_logprobs, advantages, low, high):
    """PPO's term of each token, and its gradient by the log-probability."""
    leaf = torch.tensor(logprobs, requires_grad=True)
    ratio = (leaf - torch.tensor(old_logprobs)).exp()[None]
    gain = losses.clipped_surrogate(ratio, torch.tensor(advantages)[None], low, high)
    (slope,) = torch.autograd.grad(gain.sum(), leaf)
    return gain[0].numpy(force=True), slope.numpy()


def clip_alone(logprobs, old_logprobs, advantages, low, high):
    """Without the minimum: what went the wrong way gets no gradient."""
    ratio = np.exp(logprobs - old_logprobs)
    bounded = ratio.clip(1 - low, 1 + high)
    return bounded * advantages, np.where(bounded == ratio, ratio * advantages, 0)


def flat_on_both_sides(logprobs, old_logprobs, advantages, low, high):
    """The right term, and no gradient wherever the ratio is out of bounds."""
    ratio = np.exp(logprobs - old_logprobs)
    bounded = ratio.clip(1 - low, 1 + high)
    term = np.minimum(ratio * advantages, bounded * advantages)
    return term, np.where(bounded == ratio, ratio * advantages, 0)


def by_ratio(logprobs, old_logprobs, advantages, low, high):
    """The gradient by the ratio in place of the log-probability."""
    term, slope = clipped_surrogate(logprobs, old_logprobs, advantages, low, high)
    return term, np.where(slope != 0, advantages, 0.0)


def one_bound(logprobs, old_logprobs, advantages, low, high):
    """The lower bound on both sides."""
    return clipped_surrogate(logprobs, old_logprobs, advantages, low, low)


def tokens(ratios, advantages, low, high):
    """Arguments: the old policy gave each token the probability 0.3."""
    old = np.full(len(ratios), np.log(0.3))
    return old + np.log(ratios), old, np.array(advantages, dtype=float), low, high


CLIPPED_SURROGATE = Exercise(
    "clipped_surrogate",
    expected=clipped_surrogate,
    cases=[
        tokens([1.3, 0.7, 1.3, 0.7], [1, 1, -1, -1], 0.2, 0.2),
        tokens([1.0, 1.0], [0.5, -2.0], 0.2, 0.2),
        tokens([1.25, 1.25, 1.35], [1, -1, 1], 0.2, 0.28),
        tokens([0.1, 9.0], [3, -0.5], 0.2, 0.2),
    ],
    hint="the smaller of two terms counts; where that is the clipped one, it does "
    "not depend on the policy, and else its derivative by the log-probability "
    "is the ratio times the advantage",
    wrong=[clip_alone, flat_on_both_sides, by_ratio, one_bound],
)
