"""What the answers to the chapter's exercises are compared with."""

import numpy as np

from core import rewards
from pages.grader import Exercise

# --- The position reward ------------------------------------------------------


def length_of_the_batch(completions, mask, targets):
    """T in place of each target's length."""
    return (completions == targets) * mask / targets.shape[1]


def without_the_mask(completions, mask, targets):
    length = (targets >= 0).sum(axis=1, keepdims=True)
    return (completions == targets) / length


def anywhere(completions, mask, targets):
    """Right where the token occurs at all, as document 000 has it."""
    length = (targets >= 0).sum(axis=1, keepdims=True)
    found = (completions[:, :, None] == targets[:, None, :]).any(axis=2)
    return found * mask / length


POSITION_REWARD = Exercise(
    "position_reward",
    expected=lambda c, m, t: np.asarray(rewards.token_position_match(c, m, t)),
    cases=[
        (np.array([[3, 4, 1]]), np.ones((1, 3)), np.array([[3, 4, 1]])),
        (np.array([[4, 3, 1]]), np.ones((1, 3)), np.array([[3, 4, 1]])),
        (
            np.array([[3, 1, 5], [3, 4, 1]]),
            np.array([[1.0, 1, 0], [1, 1, 1]]),
            np.array([[3, 4, 5], [3, 1, -1]]),
        ),
    ],
    hint="Compare place by place, multiply by the mask, and divide by the number of "
    "tokens of each row's own target.",
    wrong=[length_of_the_batch, without_the_mask, anywhere],
)

# --- The policy without a memory ----------------------------------------------


def memoryless(text):
    """Each token followed by what follows it, as often as it does."""
    pairs = list(zip([None, *text], text))
    before = [last for last, _ in pairs]
    shares = [pairs.count(pair) / before.count(pair[0]) for pair in pairs]
    return float(np.prod(shares))


def evenly(text):
    """Each of the different successors alike."""
    pairs = list(zip([None, *text], text))
    after = [len({b for a, b in pairs if a == last}) for last, _ in pairs]
    return float(np.prod(1 / np.array(after)))


def without_the_first(text):
    """The choice after BOS left out: right only where it is certain."""
    pairs = list(zip(text, text[1:]))
    shares = [pairs.count(pair) / text.count(pair[0]) for pair in pairs]
    return float(np.prod(shares))


MEMORYLESS = Exercise(
    "memoryless",
    expected=memoryless,
    cases=[
        ([3, 4, 5, 2],),
        ([3, 4, 3, 5, 2],),
        ([3, 3, 3, 2],),
        ([3, 4, 3, 4, 3, 5, 2],),
        ([3, 4, 3],),
    ],
    hint="Where a token is followed twice by one and once by another, their best "
    "probabilities are 2/3 and 1/3; the last token of a text is followed by none.",
    wrong=[evenly, without_the_first],
)
