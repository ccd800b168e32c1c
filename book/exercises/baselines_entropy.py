"""What the answers to the chapter's exercises are compared with."""

import numpy as np

from core import exact
from pages.grader import Exercise


def case(mdp, logits):
    """probs (N,), scores (N, S, V) and returns (N,) of a problem."""
    ones = exact.gradient_samples(mdp, logits, mdp.mask)
    return exact.probabilities(mdp, logits), ones, exact.total_returns(mdp)


def right_token(p):
    """One token out of two, the right one with probability p."""
    mdp = exact.TokenMDP.enumerate(2, 1, lambda text: float(text[-1] == 1))
    return case(mdp, np.log([[1 - p, p]]))


def match(prefix):
    return float(prefix[-1] == (1, 2, 0)[len(prefix) - 1]) / 3


def three_tokens():
    """The 27 texts of the chapter."""
    mdp = exact.TokenMDP.enumerate(3, 3, match)
    logits = np.random.default_rng(6).normal(size=mdp.next_state.shape)
    return case(mdp, logits)


def best(probs, ones, returns):
    """E[‖g_1‖² R] / E[‖g_1‖²]."""
    lengths = (ones**2).sum(axis=(1, 2))
    whole = probs @ lengths
    return probs @ (lengths * returns) / whole if whole > 0 else 0.0


def mean_return(probs, ones, returns):
    """E[R]."""
    return probs @ returns


def length_not_squared(probs, ones, returns):
    lengths = np.sqrt((ones**2).sum(axis=(1, 2)))
    whole = probs @ lengths
    return probs @ (lengths * returns) / whole if whole > 0 else 0.0


def texts_alike(probs, ones, returns):
    """Without the probabilities."""
    return best(np.ones_like(probs), ones, returns)


BEST_BASELINE = Exercise(
    "best_baseline",
    expected=best,
    cases=[
        right_token(0.9),
        right_token(0.1),
        three_tokens(),
        (np.ones(1), np.zeros((1, 1, 2)), np.ones(1)),
    ],
    hint="A text counts with its probability times the squared length of g_1, summed "
    "over all of its numbers; where the sum is 0, so is the answer.",
    wrong=[mean_return, length_not_squared, texts_alike],
)
