"""What the answers to the chapter's exercises are compared with."""

from rapidfuzz.distance import Levenshtein

from pages.grader import Exercise


def prefix_distance(written, target):
    """min over j of d(written, target[:j])."""
    return min(
        Levenshtein.distance(written, target[:j]) for j in range(len(target) + 1)
    )


def whole_target(written, target):
    """j = L: a text that is only begun is charged for its end."""
    return Levenshtein.distance(written, target)


def same_length(written, target):
    """j = t: what is left out is charged twice."""
    return Levenshtein.distance(written, target[: len(written)])


def without_the_empty(written, target):
    """j from 1."""
    return min(
        Levenshtein.distance(written, target[:j]) for j in range(1, len(target) + 1)
    )


PREFIX_DISTANCE = Exercise(
    "prefix_distance",
    expected=prefix_distance,
    cases=[
        ([], [3, 4, 5, 2]),
        ([3, 4], [3, 4, 5, 2]),
        ([4, 5, 2], [3, 4, 5, 2]),
        ([3, 9, 4, 5], [3, 4, 5, 2]),
        ([3, 4, 5, 2, 2, 2], [3, 4, 5, 2]),
    ],
    hint="The prefix may be shorter or longer than what is written, and empty: take "
    "the smallest of all distances.",
    wrong=[whole_target, same_length, without_the_empty],
)
