"""GAE and PPO's loss against Stable-Baselines3, as TRL has no PPO any more.

Its buffer takes one stream of tokens, text after text; its trainer gets the
log-probabilities and values that ours get, in place of a network's.
"""

from types import SimpleNamespace
from unittest.mock import MagicMock

import gymnasium
import numpy as np
import pytest
import torch
from stable_baselines3 import PPO
from stable_baselines3.common.buffers import RolloutBuffer

from core import returns
from tests.both import BOTH

MASK = (np.arange(5) < np.array([5, 1, 3, 5])[:, None]) * 1.0


def tokens(seed=0, scale=1.0):
    return scale * np.random.default_rng(seed).normal(size=MASK.shape)


def flat(array):
    """The texts' tokens one after the other, padding left out."""
    return array[MASK > 0]


@pytest.mark.parametrize("gamma, lam", [(1.0, 0.95), (0.9, 0.5), (0.9, 0.0)])
@pytest.mark.parametrize("truncated", [False, True])
def test_gae(gamma, lam, truncated):
    rewards, values = tokens(0), tokens(1)
    count, after = int(MASK.sum()), 0.7
    space = gymnasium.spaces.Discrete(2)
    buffer = RolloutBuffer(count, space, space, "cpu", lam, gamma)
    buffer.rewards, buffer.values = flat(rewards)[:, None], flat(values)[:, None]
    buffer.advantages = np.zeros((count, 1))
    first = np.zeros_like(MASK)
    first[:, 0] = 1
    buffer.episode_starts = flat(first)[:, None]
    buffer.compute_returns_and_advantage(
        torch.tensor([after], dtype=torch.float64), np.array([not truncated])
    )
    bootstrap = np.array([0.0, 0.0, 0.0, after * truncated])
    ours = returns.gae(rewards, values, MASK, gamma, lam, bootstrap)
    np.testing.assert_allclose(flat(ours), buffer.advantages[:, 0], atol=1e-12)


def theirs(arrays, clip, value_clip, value_coef):
    """Their loss's gradients by the log-probabilities and the values.

    Their value loss has no factor 1/2, and with a clip it takes the clipped
    error alone where PPO's first code takes the larger of the two.
    """
    logprobs, old, adv, values, old_values, targets = (
        torch.tensor(flat(array)) for array in arrays
    )
    logprobs.requires_grad_()
    values.requires_grad_()
    trainer = MagicMock(
        n_epochs=1,
        batch_size=len(adv),
        normalize_advantage=False,
        ent_coef=0.0,
        vf_coef=value_coef,
        target_kl=None,
        max_grad_norm=1.0,
        clip_range=lambda progress: clip,
        clip_range_vf=None if value_clip is None else (lambda progress: value_clip),
    )
    del trainer.policy.log_std  # tokens are discrete actions
    trainer.policy.parameters.return_value = []
    trainer.policy.evaluate_actions.return_value = (
        values,
        logprobs,
        torch.zeros(len(adv)),
    )
    trainer.rollout_buffer.get.return_value = [
        SimpleNamespace(
            actions=None,
            observations=None,
            advantages=adv,
            old_log_prob=old,
            old_values=old_values,
            returns=targets,
        )
    ]
    trainer.rollout_buffer.values = np.arange(3.0)
    trainer.rollout_buffer.returns = np.arange(3.0)
    PPO.train(trainer)
    return logprobs.grad.numpy(), values.grad.numpy()


@pytest.mark.parametrize("value_clip", [None, 0.2])
@pytest.mark.parametrize("fw", BOTH, ids=lambda fw: fw.name)
def test_the_loss_is_ppos(fw, value_clip):
    arrays = [
        tokens(2),
        tokens(2) + tokens(3, 0.4),
        tokens(4),
        tokens(5),
        tokens(5) + tokens(6, 0.3),
        tokens(7),
    ]
    logprobs, old, adv, values, old_values, targets = arrays
    mask = fw.tensor(MASK)

    def ours(logprobs, values):
        ratio = fw.losses.policy_ratio(logprobs, fw.tensor(old), mask, "token")
        gain = fw.losses.clipped_surrogate(ratio, fw.tensor(adv), 0.2, 0.2)
        loss = -fw.losses.aggregate(gain, mask, "token_mean")
        rest = fw.tensor(targets), mask
        if value_clip is None:
            return loss + fw.losses.value_loss(values, *rest)
        return loss + fw.losses.clipped_value_loss(
            values, fw.tensor(old_values), *rest, value_clip
        )

    _, (by_logprobs, by_values) = fw.grad(ours, logprobs, values)
    expected, expected_values = theirs(arrays, 0.2, value_clip, 0.5)
    np.testing.assert_allclose(flat(by_logprobs), expected, atol=1e-12)
    outside = np.abs(logprobs - old) > 0.3
    assert (flat(outside) & (expected == 0)).any()  # the clip has acted
    if value_clip is None:
        np.testing.assert_allclose(flat(by_values), expected_values, atol=1e-12)
        return
    # Where the clipped error is the larger one, the two losses agree.
    near = old_values + np.clip(values - old_values, -0.2, 0.2)
    larger = flat((near - targets) ** 2 >= (values - targets) ** 2)
    np.testing.assert_allclose(
        flat(by_values)[larger], expected_values[larger], atol=1e-12
    )
    apart = (values - targets) * MASK / MASK.sum()
    np.testing.assert_allclose(
        flat(by_values)[~larger], flat(apart)[~larger], atol=1e-12
    )
    assert larger.any() and not larger.all()
