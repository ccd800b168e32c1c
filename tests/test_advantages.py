"""core.advantages: what a network predicts has the shape that is named."""

import numpy as np
import pytest

from core.advantages import BatchMean, Critic, Greedy, Learned, Whitened
from core.types import Rollout


def batch(rows=2, length=3):
    ones = np.ones((rows, length))
    return Rollout(
        prompts=np.ones((rows, 1), int),
        completions=np.ones((rows, length), int),
        mask=ones,
        logprobs=-ones,
        rewards=ones,
        terminated=np.ones(rows, bool),
        rows=np.arange(rows),
    )


@pytest.mark.parametrize(
    "advantage, shape",
    [
        (Greedy(), (2,)),
        (Learned(), (2,)),
        (Critic(), (2, 4)),
        (Whitened(Learned()), (2,)),
    ],
)
def test_predictions_are_not_broadcast(advantage, shape):
    found, _ = advantage(batch(), 1.0, np.zeros(shape))
    assert found.shape == (2, 3)
    for wrong in ((), (1,), (3,), (2, 1), (1, 4), (2, 3), (2, 4), (2,)):
        if wrong != shape:
            with pytest.raises(ValueError, match="^predicted: expected the shape"):
                advantage(batch(), 1.0, np.zeros(wrong))
    for value in (np.nan, np.inf):
        with pytest.raises(ValueError, match="^predicted: expected finite"):
            advantage(batch(), 1.0, np.full(shape, value))


def test_what_predicts_nothing_reads_nothing():
    assert not BatchMean()(batch(), 1.0)[0].any()
