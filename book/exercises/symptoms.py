"""What the exercises of `symptoms` are compared with."""

import numpy as np

from pages.grader import Exercise


def effective_share(new, old):
    weights = np.exp(np.asarray(new) - np.asarray(old))
    return weights.sum() ** 2 / (len(weights) * (weights**2).sum())


def unsquared(new, old):
    """The mean weight, which is 1 in expectation whatever the policies."""
    return np.exp(np.asarray(new) - np.asarray(old)).mean()


def a_count(new, old):
    """The effective number, not its share of the batch."""
    return effective_share(new, old) * len(new)


EFFECTIVE_SHARE = Exercise(
    "effective_share",
    expected=effective_share,
    cases=[
        (np.log([0.5, 0.25]), np.log([0.5, 0.25])),
        (np.log([0.5, 0.1]), np.log([0.25, 0.1])),
        (np.array([-1.0, -2.0, -9.0]), np.array([-3.0, -2.0, -1.0])),
    ],
    hint="square the sum above and sum the squares below; B makes it a share",
    wrong=[unsquared, a_count],
)
