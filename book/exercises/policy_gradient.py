"""What the answers to the chapter's exercises are compared with."""

import numpy as np

from core import exact, returns
from pages.grader import Exercise

# --- The return-to-go ---------------------------------------------------------

REWARDS = np.array([[1.0, 0.0, 2.0, 0.0], [0.5, -1.0, 3.0, 7.0]])
MASK = np.array([[1.0, 1, 1, 0], [1, 1, 0, 0]])


def sums_from_the_start(rewards, mask, gamma):
    """Added in the wrong direction."""
    return np.cumsum(rewards * mask, axis=1) * mask


def without_the_mask(rewards, mask, gamma):
    """What stands behind the end of a text counts."""
    return returns.discounted_returns(rewards, np.ones_like(mask), gamma)


def discounted_from_the_start(rewards, mask, gamma):
    """γ^k in place of γ^(k-t)."""
    late = gamma ** np.arange(rewards.shape[1])
    return returns.discounted_returns(rewards * late, mask, 1.0)


RETURN_TO_GO = Exercise(
    "returns_to_go",
    expected=returns.discounted_returns,
    cases=[
        (REWARDS[:1, :3], MASK[:1, :3], 1.0),
        (REWARDS, MASK, 1.0),
        (REWARDS, MASK, 0.5),
        (REWARDS, MASK, 0.0),
    ],
    hint="Go from the last token to the first: a token has its reward plus γ times "
    "what the next one has, and what the mask leaves out is 0.",
    wrong=[sums_from_the_start, without_the_mask, discounted_from_the_start],
)

# --- The estimate of the gradient ---------------------------------------------


def estimate(logits, states, tokens, weights, mask):
    """eq-pg-estimator for a table of logits."""
    onehot = np.eye(logits.shape[1])[tokens]
    scores = onehot - np.exp(exact.log_softmax(logits))[states]
    result = np.zeros(logits.shape)
    np.add.at(result, states, (weights * mask)[:, :, None] * scores)
    return result / len(states)


def a_mean_over_tokens(logits, states, tokens, weights, mask):
    """Divided by the number of tokens."""
    share = len(states) / mask.sum()
    return estimate(logits, states, tokens, weights, mask) * share


def behind_the_end(logits, states, tokens, weights, mask):
    """The mask is not read, and -1 is the last state."""
    return estimate(logits, states, tokens, weights, np.ones_like(mask))


def a_state_once(logits, states, tokens, weights, mask):
    """Fancy indexing adds one of several texts that share a state."""
    scores = np.eye(logits.shape[1])[tokens]
    scores = scores - np.exp(exact.log_softmax(logits))[states]
    result = np.zeros(logits.shape)
    result[states] += (weights * mask)[:, :, None] * scores
    return result / len(states)


def without_the_probabilities(logits, states, tokens, weights, mask):
    """The one-hot vector alone: right in the mean only of centred weights."""
    result = np.zeros(logits.shape)
    onehot = np.eye(logits.shape[1])[tokens]
    np.add.at(result, states, (weights * mask)[:, :, None] * onehot)
    return result / len(states)


LOGITS = np.array([[0.0, 0.0, 0.0], [1.0, -1.0, 0.5], [0.2, 0.4, -2.0]])
ESTIMATE = Exercise(
    "estimate_gradient",
    expected=estimate,
    cases=[
        (LOGITS, np.array([[0]]), np.array([[2]]), np.ones((1, 1)), np.ones((1, 1))),
        (
            LOGITS,
            np.array([[0, 1], [0, 2]]),
            np.array([[1, 0], [1, 2]]),
            np.array([[1.0, 0.5], [2.0, -1.0]]),
            np.ones((2, 2)),
        ),
        (
            LOGITS,
            np.array([[0, 1], [0, -1], [0, 2]]),
            np.array([[1, 0], [0, 0], [2, 1]]),
            np.array([[1.0, 1.0], [0.5, 3.0], [-2.0, -2.0]]),
            np.array([[1.0, 1.0], [1.0, 0.0], [1.0, 1.0]]),
        ),
    ],
    hint="Add one-hot minus probabilities, times weight and mask, to the row of each "
    "token's state, and divide by the number of texts.",
    wrong=[a_mean_over_tokens, behind_the_end, a_state_once, without_the_probabilities],
)
