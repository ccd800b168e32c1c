"""The graded exercise of the chapter on the methods after GRPO."""

import numpy as np
import torch

from core.pt import losses as pt_losses
from pages.grader import Exercise


def _gspo_ratio(logprobs, old_logprobs, mask):
    rows = map(torch.tensor, (logprobs * mask, old_logprobs * mask, mask))
    return pt_losses.policy_ratio(*rows, "length_normalised").numpy()[:, 0]


def _product(logprobs, old_logprobs, mask):
    return np.exp(((logprobs - old_logprobs) * mask).sum(axis=1))


def _arithmetic(logprobs, old_logprobs, mask):
    ratio = np.exp(logprobs - old_logprobs) * mask
    return ratio.sum(axis=1) / mask.sum(axis=1)


def _over_the_limit(logprobs, old_logprobs, mask):
    return np.exp(((logprobs - old_logprobs) * mask).mean(axis=1))


_mask = np.array([[1.0, 1, 1, 0], [1, 0, 0, 0], [1, 1, 1, 1]])
_ratios = np.array([[1.25, 8, 0.1, 1], [1, 1, 1, 1], [2, 0.25, 0.25, 0.5]])
_now = np.full((3, 4), np.log(1 / 20))

GSPO_RATIO = Exercise(
    "gspo_ratio",
    expected=_gspo_ratio,
    cases=[
        (_now, _now - np.log(_ratios), _mask),
        (
            np.array([[-1.0, -2.0, 9.0], [-0.5, 7.0, 7.0]]),
            np.array([[-1.5, -1.0, 3.0], [-0.6, -9.0, 5.0]]),
            np.array([[1.0, 1.0, 0.0], [1.0, 0.0, 0.0]]),
        ),
        (np.array([[-2.0, -2.0]]), np.array([[-2.0, -2.0]]), np.ones((1, 2))),
    ],
    hint="The mean of the log-ratios over the text's own tokens, then exp; what stands "
    "behind the end does not count.",
    wrong=[_product, _arithmetic, _over_the_limit],
)
