"""Exercises of the museum of bugs."""

import numpy as np

from pages.grader import Exercise


def _token_mean(losses, masks):
    kept = sum(float(mask.sum()) for mask in masks)
    total = sum(
        float(np.where(mask > 0, loss, 0.0).sum())
        for loss, mask in zip(losses, masks, strict=True)
    )
    return total / kept if kept else 0.0


def _mean_of_means(losses, masks):
    means = [
        np.where(mask > 0, loss, 0.0).sum() / max(mask.sum(), 1)
        for loss, mask in zip(losses, masks, strict=True)
    ]
    return float(np.mean(means))


def _product(losses, masks):
    """What is masked is multiplied by 0: -inf becomes no number."""
    with np.errstate(invalid="ignore"):
        total = sum((a * m).sum() for a, m in zip(losses, masks, strict=True))
    return float(total / max(sum(m.sum() for m in masks), 1))


def _padding_counts(losses, masks):
    total = sum(np.where(m > 0, a, 0).sum() for a, m in zip(losses, masks, strict=True))
    return float(total / sum(mask.size for mask in masks))


ACCUMULATED = Exercise(
    "accumulated",
    expected=_token_mean,
    cases=[
        (
            [np.array([[1.0, 2.0, 3.0]]), np.array([[4.0, 0.0, 0.0]])],
            [np.array([[1.0, 1, 1]]), np.array([[1.0, 0, 0]])],
        ),
        (
            [np.array([[2.0, np.inf]]), np.array([[1.0, 1.0]])],
            [np.array([[1.0, 0]]), np.array([[1.0, 1]])],
        ),
        (
            [np.array([[5.0, 5.0]]), np.array([[1.0, 1.0]])],
            [np.array([[0.0, 0]]), np.array([[1.0, 1]])],
        ),
        ([np.ones((2, 2))], [np.zeros((2, 2))]),
    ],
    hint="Divide once, by the tokens of all parts; what is masked may be infinite, and "
    "0 times infinity is no number.",
    wrong=[_mean_of_means, _product, _padding_counts],
)
