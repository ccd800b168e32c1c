"""The graded exercise of "Two processes"."""

from __future__ import annotations

import numpy as np

from pages.grader import Exercise


def shares(terms, masks):
    """One loss a process, whose sum is minus the mean over all tokens."""
    tokens = sum(mask.sum() for mask in masks)
    return [-(x * mask).sum() / tokens for x, mask in zip(terms, masks)]


def local_means(terms, masks):
    """Each process divides by its own tokens, and by the number of processes."""
    means = [-(x * mask).sum() / mask.sum() for x, mask in zip(terms, masks)]
    return [mean / len(masks) for mean in means]


def by_rows(terms, masks):
    """Divides by the number of all texts: that is the sequence sum."""
    rows = sum(map(len, masks))
    return [-(x * mask).sum() / rows for x, mask in zip(terms, masks)]


def counts_the_padding(terms, masks):
    """Divides by all positions, also those behind the ends."""
    places = sum(mask.size for mask in masks)
    return [-(x * mask).sum() / places for x, mask in zip(terms, masks)]


def _case(*lengths):
    rng = np.random.default_rng(sum(map(sum, lengths)))
    masks = [(np.arange(4) < np.array(part)[:, None]) * 1.0 for part in lengths]
    return [rng.normal(size=mask.shape) for mask in masks], masks


TOKEN_SHARES = Exercise(
    "shares",
    expected=shares,
    cases=[
        _case([1, 4], [3, 2]),
        _case([1, 1], [4, 4]),
        _case([2], [4, 3, 1]),
        _case([1, 2], [3, 3], [4, 1]),
    ],
    hint="every process divides by one number, the tokens of all processes",
    wrong=[local_means, by_rows, counts_the_padding],
)
