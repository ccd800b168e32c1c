"""The graded exercises of "What fits in 8, 16, 24, 80 GB"."""

from __future__ import annotations

import numpy as np

from pages.grader import Exercise


def lora(x, w, a, b, alpha):
    """A frozen map and its adapter: x W + (alpha / rank) x A' B', (M, out)."""
    return x @ w + alpha / len(a) * (x @ a.T) @ b.T


def not_divided(x, w, a, b, alpha):
    """Leaves the rank out: the step grows with it."""
    return x @ w + alpha * (x @ a.T) @ b.T


def adapter_alone(x, w, a, b, alpha):
    """Forgets the frozen map."""
    return alpha / len(a) * (x @ a.T) @ b.T


def divided_by_width(x, w, a, b, alpha):
    """Divides by the inputs and not by the rank."""
    return x @ w + alpha / a.shape[1] * (x @ a.T) @ b.T


def case(rank, alpha, seed):
    rng = np.random.default_rng(seed)
    shapes = (3, 4), (4, 5), (rank, 4), (5, rank)
    return *(rng.normal(size=shape) for shape in shapes), alpha


ADAPTER = Exercise(
    "lora",
    expected=lora,
    cases=[case(1, 1.0, 0), case(2, 4.0, 1), case(3, 16.0, 2)],
    hint="A is (rank, in) and B (out, rank), W is (in, out), and the adapter is "
    "multiplied by alpha / rank",
    wrong=[not_divided, adapter_alone, divided_by_width],
)
