"""What the answers to the chapter's exercises are compared with."""

import numpy as np

from core import rewards
from pages.grader import Exercise

# --- The reward of the environment --------------------------------------------


def differences(output, target):
    """1/T for a token that is right at its position."""
    ids, mask = np.array([output]), np.ones((1, len(output)))
    return rewards.token_position_match(ids, mask, np.array([target]))[0]


def similarities(output, target):
    """The whole similarity at each step, as the document pays."""
    return differences(output, target).cumsum()


def not_divided(output, target):
    """1 for each right token."""
    return differences(output, target) * len(target)


def anywhere(output, target):
    """Right where the target has the token at all."""
    return np.isin(output, target) / len(target)


DIFFERENCES = Exercise(
    "difference_rewards",
    expected=differences,
    cases=[
        ([3, 1, 4, 2], [3, 1, 4, 2]),
        ([3, 1, 9, 9], [3, 1, 4, 2]),
        ([1, 3, 4, 4], [3, 1, 4, 2]),
        ([5], [5]),
    ],
    hint="Compare place by place; a token adds 1/T or nothing, whatever came before.",
    wrong=[similarities, not_divided, anywhere],
)

# --- The effective share ------------------------------------------------------


def share(w):
    return w.sum() ** 2 / (w.size * (w**2).sum())


def effective_share(logprobs, old_logprobs, mask):
    """One weight a text."""
    return share(np.exp(((logprobs - old_logprobs) * mask).sum(axis=1)))


def of_tokens(logprobs, old_logprobs, mask):
    """One weight a token."""
    return share(np.exp((logprobs - old_logprobs)[mask > 0]))


def without_the_mask(logprobs, old_logprobs, mask):
    return share(np.exp((logprobs - old_logprobs).sum(axis=1)))


def not_divided_by_b(logprobs, old_logprobs, mask):
    """The effective number of texts."""
    return effective_share(logprobs, old_logprobs, mask) * len(mask)


NOW = np.log([[0.5, 0.4, 0.9], [0.2, 0.3, 0.7], [0.6, 0.6, 0.6]])
OLD = np.log([[0.4, 0.5, 0.1], [0.4, 0.2, 0.3], [0.3, 0.5, 0.8]])
MASK = np.array([[1.0, 1, 0], [1, 1, 1], [1, 0, 0]])
EFFECTIVE_SHARE = Exercise(
    "effective_share",
    expected=effective_share,
    cases=[
        (NOW, NOW, np.ones((3, 3))),
        (NOW, OLD, np.ones((3, 3))),
        (NOW, OLD, MASK),
        (NOW[:1], OLD[:1], MASK[:1]),
    ],
    hint="Add the masked differences of each text first, then take the exponential; "
    "divide by the number of texts.",
    wrong=[of_tokens, without_the_mask, not_divided_by_b],
)
