"""The graded exercise of the chapter on replay."""

import numpy as np
import torch

from core.pt import losses as pt_losses
from pages.grader import Exercise


def _cut_weights(logprobs, old_logprobs, mask, bound):
    rows = map(torch.tensor, (logprobs, old_logprobs, mask))
    weights = pt_losses.importance_weights(*rows).numpy().reshape(len(mask), -1)[:, 0]
    return np.minimum(weights, bound)


def _factors_cut(logprobs, old_logprobs, mask, bound):
    ratio = np.minimum(np.exp(logprobs - old_logprobs), bound)
    return np.where(mask > 0, ratio, 1.0).prod(axis=1)


def _dropped(logprobs, old_logprobs, mask, bound):
    w = np.exp(((logprobs - old_logprobs) * mask).sum(axis=1))
    return np.where(w <= bound, w, 0.0)


def _without_mask(logprobs, old_logprobs, mask, bound):
    return np.minimum(np.exp((logprobs - old_logprobs).sum(axis=1)), bound)


CUT_WEIGHTS = Exercise(
    "cut_weights",
    expected=_cut_weights,
    cases=[
        (
            np.log([[0.5, 0.25, 0.9], [0.1, 0.8, 0.2]]),
            np.log([[0.25, 0.25, 0.9], [0.8, 0.1, 0.1]]),
            np.ones((2, 3)),
            1.5,
        ),
        (
            np.array([[-1.0, -3.0], [-1.0, 5.0]]),
            np.array([[-2.0, -1.0], [-1.5, -5.0]]),
            np.array([[1.0, 1.0], [1.0, 0.0]]),
            2.0,
        ),
        (np.full((1, 50), -1.0), np.full((1, 50), -3.0), np.ones((1, 50)), 8.0),
    ],
    hint="The product of the ratios of the text's tokens is cut, not each factor, and "
    "what lies beyond the bound becomes the bound.",
    wrong=[_factors_cut, _dropped, _without_mask],
)
