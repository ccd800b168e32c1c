"""The graded exercise of "Which engine for which size"."""

from __future__ import annotations

from pages.grader import Exercise


def split(sample, update, gpus):
    """How many of the GPUs should sample while the others update."""
    steps = {k: max(sample / k, update / (gpus - k)) for k in range(1, gpus)}
    return min(steps, key=steps.__getitem__)


def in_proportion(sample, update, gpus):
    """The share of the work, rounded: the other neighbour can be better."""
    return min(max(round(gpus * sample / (sample + update)), 1), gpus - 1)


def by_the_sum(sample, update, gpus):
    """As if the two halves took turns."""
    return min(range(1, gpus), key=lambda k: sample / k + update / (gpus - k))


def the_larger(sample, update, gpus):
    """Takes the larger of two that are as good."""
    return min(range(1, gpus), key=lambda k: (max(sample / k, update / (gpus - k)), -k))


def all_that_update(sample, update, gpus):
    """Counts the other half."""
    return gpus - split(sample, update, gpus)


SPLIT = Exercise(
    "split",
    expected=split,
    cases=[
        (2.0, 2.0, 2),
        (30.0, 10.0, 4),
        (1.0, 100.0, 8),
        (10.0, 7.0, 3),
        (7.0, 4.0, 4),
        (1.0, 2.0, 4),  # 1 and 2 are as good
    ],
    hint="a step lasts as long as the slower half: try every k from 1 to gpus - 1",
    wrong=[in_proportion, by_the_sum, the_larger, all_that_update],
)
