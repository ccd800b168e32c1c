"""The graded exercises of "Sampling and the cache"."""

from __future__ import annotations

import numpy as np
import torch

from core.pt import logprobs
from pages.grader import Exercise


def top_p(logits, temperature, p):
    """The distribution that `core` samples from, (V,)."""
    kept = logprobs.sampling_logits(
        torch.tensor(logits), temperature=temperature, top_p=p
    )
    return kept.softmax(-1).numpy()


def softmax(logits):
    shares = np.exp(logits - np.max(logits))
    return shares / shares.sum()


def nucleus(shares, kept):
    left = np.where(kept, shares, 0)
    return left / left.sum()


def stops_below(logits, temperature, p):
    """Keeps what fits below p: the token that reaches it is left out."""
    shares = softmax(logits / temperature)
    order = np.argsort(-shares)
    kept = np.zeros(len(shares), bool)
    kept[order] = np.cumsum(shares[order]) <= p
    kept[order[0]] = True
    return nucleus(shares, kept)


def unordered(logits, temperature, p):
    """Adds up in the order of the vocabulary."""
    shares = softmax(logits / temperature)
    return nucleus(shares, np.cumsum(shares) - shares < p)


def not_renormalised(logits, temperature, p):
    """The shares of the kept tokens as they were."""
    kept = top_p(logits, temperature, p) > 0
    return np.where(kept, softmax(logits / temperature), 0)


def temperature_last(logits, temperature, p):
    """Chooses the tokens at temperature 1."""
    kept = top_p(logits, 1.0, p) > 0
    return nucleus(softmax(logits / temperature), kept)


TOP_P = Exercise(
    "top_p",
    expected=top_p,
    cases=[
        (np.log([0.5, 0.3, 0.15, 0.05]), 1.0, 0.7),
        (np.log([0.1, 0.2, 0.4, 0.25, 0.05]), 1.0, 0.5),
        (np.array([2.0, 1.0, 0.0, -1.0]), 2.0, 0.8),
        (np.array([1.0, 3.0, 2.0]), 0.5, 0.1),
        (np.array([0.3, -0.2, 0.1]), 1.0, 1.0),
    ],
    hint="the set is the smallest that holds at least p, so the token that reaches p "
    "is in it; the temperature comes first, and what is left sums to 1",
    wrong=[stops_below, unordered, not_renormalised, temperature_last],
)


def gumbel_max(logits, uniform):
    """The token that the noise -log(-log u) chooses in each row, (N,)."""
    return (logits - np.log(-np.log(uniform))).argmax(axis=-1)


def one_logarithm(logits, uniform):
    """Exponential noise in place of Gumbel's."""
    return (logits - np.log(uniform)).argmax(axis=-1)


def on_probabilities(logits, uniform):
    """Adds the noise to the probabilities."""
    shares = np.exp(logits) / np.exp(logits).sum()
    return gumbel_max(shares, uniform)


def subtracted(logits, uniform):
    return (logits + np.log(-np.log(uniform))).argmax(axis=-1)


def draws(seed, logits, n=200):
    uniform = np.random.default_rng(seed).uniform(size=(n, len(logits)))
    return np.array(logits), uniform


GUMBEL_MAX = Exercise(
    "gumbel_max",
    expected=gumbel_max,
    cases=[
        draws(0, [0.0, 0.0]),
        draws(1, [1.0, -1.0, 0.5, 3.0]),
        draws(2, [-2.0, 2.0, 0.0]),
    ],
    hint="a uniform number u becomes Gumbel noise by two logarithms and two signs, "
    "and it is added to the logits",
    wrong=[one_logarithm, on_probabilities, subtracted],
)
