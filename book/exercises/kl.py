"""The graded exercise of the chapter on the KL to the reference."""

import numpy as np
import torch

from core.pt import logprobs as pt_logprobs
from pages.grader import Exercise


def _k3(logprobs, ref_logprobs):
    leaf = torch.tensor(logprobs, requires_grad=True)
    k = pt_logprobs.kl_k3(leaf, torch.tensor(ref_logprobs))
    k.sum().backward()
    return k.detach().numpy(), leaf.grad.numpy()


def _sign_turned(logprobs, ref_logprobs):
    d = ref_logprobs - logprobs
    return np.exp(-d) - 1 + d, 1 - np.exp(-d)


def _score_forgotten(logprobs, ref_logprobs):
    """The derivative of e^{-d} alone."""
    d = logprobs - ref_logprobs
    return np.exp(-d) - 1 + d, -np.exp(-d)


def _k2(logprobs, ref_logprobs):
    d = logprobs - ref_logprobs
    return d**2 / 2, d


K3 = Exercise(
    "k3",
    expected=_k3,
    cases=[
        (np.array([-1.0, -2.0, -0.5]), np.array([-1.5, -1.0, -0.5])),
        (np.array([[-0.7, -9.0]]), np.array([[-0.7, -0.1]])),
        (np.array([-0.01]), np.array([-12.0])),
        (np.log([0.5, 0.25, 0.25]), np.log([0.2, 0.4, 0.4])),
    ],
    hint="d = logprobs - ref_logprobs; k3 = exp(-d) - 1 + d is never negative, and its "
    "derivative 1 - exp(-d) is 0 where the two agree.",
    wrong=[_sign_turned, _score_forgotten, _k2],
)
