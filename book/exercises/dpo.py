"""The graded exercise of the chapter on DPO."""

import numpy as np
import torch

from core.pt import preferences as pt_preferences
from pages.grader import Exercise


def _dpo_loss(chosen, rejected, ref_chosen, ref_rejected, beta):
    leaf = torch.tensor(chosen, requires_grad=True)
    others = map(torch.tensor, (rejected, ref_chosen, ref_rejected))
    loss = pt_preferences.dpo_loss(leaf, *others, beta)
    loss.backward()
    return loss.item(), leaf.grad.numpy()


def _loss(h, beta, scale=1.0):
    wrong = np.exp(-np.logaddexp(0, beta * h))
    return np.logaddexp(0, -beta * h).mean(), -scale * wrong / len(h)


def _without_reference(chosen, rejected, ref_chosen, ref_rejected, beta):
    return _loss(chosen - rejected, beta, beta)


def _beta_forgotten(chosen, rejected, ref_chosen, ref_rejected, beta):
    return _loss(chosen - ref_chosen - rejected + ref_rejected, beta)


def _overflows(chosen, rejected, ref_chosen, ref_rejected, beta):
    h = chosen - ref_chosen - rejected + ref_rejected
    with np.errstate(all="ignore"):
        right = 1 / (1 + np.exp(-beta * h))
        return -np.log(right).mean(), -beta * (1 - right) / len(h)


DPO_LOSS = Exercise(
    "dpo_loss",
    expected=_dpo_loss,
    cases=[
        tuple(map(np.array, ([-3.0, -5.0], [-4.0, -2.0], [-3.5, -4.0], [-3.5, -3.0])))
        + (0.5,),
        tuple(map(np.array, ([-1.0], [-1.0], [-1.0], [-1.0]))) + (0.1,),
        tuple(map(np.array, ([-900.0, -1.0], [-1.0, -900.0], [-50.0] * 2, [-51.0] * 2)))
        + (1.0,),
        tuple(map(np.array, ([-7.0, -6.0, -9.0], [-6.5, -8.0, -9.0], [-7.0] * 3)))
        + (np.array([-6.0, -7.0, -8.0]), 2.0),
    ],
    hint="h is the difference of two log-ratios, policy less reference; the slope is "
    "-β σ(-βh) over the number of pairs, and np.logaddexp does not overflow.",
    wrong=[_without_reference, _beta_forgotten, _overflows],
)
