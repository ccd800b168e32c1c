"""Rewards that need a model: against the model's own log-probabilities."""

import numpy as np
import pytest

from tests.both import BOTH
from tests.test_rollout import policy_of


@pytest.mark.parametrize("fw", BOTH, ids=lambda fw: fw.name)
def test_token_loglikelihood(fw):
    model, rng = policy_of(fw, "GPT"), np.random.default_rng(3)
    prompts, texts = rng.integers(0, 6, (2, 3)), rng.integers(0, 6, (4, 5))
    mask = np.ones((4, 5))
    mask[1, 2:] = 0
    found = fw.rewards.token_loglikelihood(
        model, prompts, texts, mask
    )
    logits, _ = model.score(fw.tensor(prompts), fw.tensor(texts))
    expected = fw.numpy(fw.logprobs.token_logprobs(logits, fw.tensor(texts)))
    np.testing.assert_allclose(found, expected * mask, atol=1e-12)
    padded = np.ones((2, 3))
    padded[0, 0] = 0
    found = fw.rewards.token_loglikelihood(
        model, prompts, texts, mask, padded
    )
    alone = fw.rewards.token_loglikelihood(
        model, prompts[:1, 1:], texts[:2], mask[:2]
    )
    np.testing.assert_allclose(found[:2], alone, atol=1e-12)
