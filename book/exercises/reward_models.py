"""The graded exercise of the chapter on reward models."""

import numpy as np
import torch

from core.pt import preferences as pt_preferences
from pages.grader import Exercise


def _bradley_terry(chosen, rejected):
    rows = [torch.tensor(x, requires_grad=True) for x in (chosen, rejected)]
    loss = pt_preferences.bradley_terry_loss(*rows)
    loss.backward()
    return loss.item(), rows[0].grad.numpy(), rows[1].grad.numpy()


def _sum(chosen, rejected):
    wrong = np.exp(-np.logaddexp(0, chosen - rejected))
    return np.logaddexp(0, rejected - chosen).sum(), -wrong, wrong


def _overflows(chosen, rejected):
    with np.errstate(all="ignore"):
        right = 1 / (1 + np.exp(rejected - chosen))
        size = len(chosen)
        return -np.log(right).mean(), (right - 1) / size, (1 - right) / size


def _pushed_by_the_right(chosen, rejected):
    right = np.exp(-np.logaddexp(0, rejected - chosen)) / len(chosen)
    return np.logaddexp(0, rejected - chosen).mean(), -right, right


BRADLEY_TERRY = Exercise(
    "bradley_terry",
    expected=_bradley_terry,
    cases=[
        (np.array([1.0, 0.0, -2.0]), np.array([0.0, 0.0, 1.0])),
        (np.array([3.0]), np.array([3.0])),
        (np.array([0.0, 800.0]), np.array([800.0, 0.0])),
        (np.array([7.5, 8.0]), np.array([7.0, 9.5])),
    ],
    hint="The loss is a mean over pairs; the push is 1 - σ(lead), the probability that "
    "the model gave to the other answer.",
    wrong=[_sum, _overflows, _pushed_by_the_right],
)
