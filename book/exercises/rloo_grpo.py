"""The graded exercises of the chapter on RLOO and GRPO."""

import numpy as np

from core import returns
from pages.grader import Exercise


def _leave_one_out(rewards):
    size = rewards.shape[1]
    return returns.leave_one_out(rewards.ravel(), size).reshape(rewards.shape)


def _advantages(rewards):
    size = rewards.shape[1]
    found = returns.group_advantages(rewards.ravel(), size, scale=True)
    return found.reshape(rewards.shape)


def _with_itself(rewards):
    return np.broadcast_to(rewards.mean(axis=1, keepdims=True), rewards.shape)


def _of_the_batch(rewards):
    return (rewards.sum() - rewards) / (rewards.size - 1)


LEAVE_ONE_OUT = Exercise(
    "leave_one_out",
    expected=_leave_one_out,
    cases=[
        (np.array([[1.0, 0.0, 0.0, 0.0], [3.0, 1.0, 1.0, 3.0]]),),
        (np.array([[0.5, -2.0]]),),
        (np.array([[7.0, 7.0, 7.0], [0.0, 0.0, 1.0]]),),
        (np.array([[0.1, 0.2, 0.4, 0.8, 1.6]]),),
    ],
    hint="The mean is of the others of the same group, G - 1 numbers: "
    "neither the row itself nor other groups belong to it.",
    wrong=[_with_itself, _of_the_batch],
)


def _biased(rewards):
    deviation = rewards.std(axis=1, keepdims=True)
    centred = rewards - rewards.mean(axis=1, keepdims=True)
    return np.where(deviation < 1e-9, 0.0, centred / np.maximum(deviation, 1e-9))


def _without_the_flat_case(rewards):
    with np.errstate(all="ignore"):
        centred = rewards - rewards.mean(axis=1, keepdims=True)
        return centred / rewards.std(axis=1, ddof=1, keepdims=True)


GRPO_ADVANTAGES = Exercise(
    "grpo_advantages",
    expected=_advantages,
    cases=[
        (np.array([[1.0, 0.0, 0.0, 0.0], [3.0, 1.0, 1.0, 3.0]]),),
        (np.array([[0.0, 0.0, 0.0, 0.0], [0.0, 1.0, 1.0, 1.0]]),),
        (np.array([[0.1, 0.1, 0.1]]),),
        (np.array([[-2.0, 5.0], [4.0, 4.5]]),),
        (1e-6 * np.array([[0.0, 0.0, 0.0, 1.0]]),),
    ],
    hint="The deviation divides by G - 1 under the root; a group without spread, "
    "also up to rounding, has the advantage 0; no epsilon is added.",
    wrong=[_biased, _without_the_flat_case],
)
