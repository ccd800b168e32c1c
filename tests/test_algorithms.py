"""Advantages by hand, and unbiased or not by enumeration."""

import numpy as np
import pytest

from core import exact
from core.algorithms import ALGORITHMS, advantages
from core.types import GROUP_BASELINES, PolicyGradientConfig, Rollout


def batch_of(rewards, mask, terminated=None):
    rewards, mask = np.array(rewards, float), np.array(mask, float)
    b, t = mask.shape
    return Rollout(
        np.ones((b, 1), int), np.ones((b, t), int), mask, -mask,
        rewards * mask, np.ones(b, bool) if terminated is None
        else np.array(terminated), np.arange(b),
    )


BATCH = batch_of([[1, 2, 4], [8, 0, 9]], [[1, 1, 1], [1, 0, 0]])


@pytest.mark.parametrize("settings, predicted, expected", [
    ({}, None, [[7, 6, 4], [8, 0, 0]]),
    ({"gamma": 0.0}, None, [[1, 2, 4], [8, 0, 0]]),
    ({"gamma": 0.5}, None, [[3, 4, 4], [8, 0, 0]]),
    ({"returns": "total"}, None, [[7, 7, 7], [8, 0, 0]]),
    ({"baseline": "mean"}, None, [[-0.5, 0, 0], [0.5, 0, 0]]),
    # no other row stands at positions 1 and 2: nothing is subtracted
    ({"baseline": "leave_one_out"}, None, [[-1, 6, 4], [1, 0, 0]]),
    ({"baseline": "group_leave_one_out", "group_size": 2,
      "returns": "total"}, None, [[-1, -1, -1], [1, 0, 0]]),
    ({"baseline": "group", "group_size": 2, "returns": "total"}, None,
     [[-0.5, -0.5, -0.5], [0.5, 0, 0]]),
    ({"baseline": "group_scaled", "group_size": 2, "returns": "total"}, None,
     np.array([[-1, -1, -1], [1, 0, 0]]) / 2**0.5),
    ({"baseline": "learned"}, [1, 2], [[6, 5, 3], [6, 0, 0]]),
    ({"baseline": "critic"}, [[1, 2, 3, 9], [4, 5, 6, 9]],
     [[6, 4, 1], [4, 0, 0]]),
    ({"baseline": "critic", "lam": 0.0}, [[1, 2, 3, 9], [4, 5, 6, 9]],
     [[2, 3, 1], [4, 0, 0]]),
])
def test_by_hand(settings, predicted, expected):
    config = PolicyGradientConfig(**settings)
    if predicted is not None:
        predicted = np.array(predicted, float)
    adv, targets = advantages(BATCH, config, predicted)
    np.testing.assert_allclose(adv, expected)
    if config.baseline == "learned":
        np.testing.assert_allclose(targets, [7, 8])
    elif config.baseline == "critic":
        mask = BATCH.mask > 0
        np.testing.assert_allclose(
            targets[mask], (adv + predicted[:, :-1])[mask]
        )
    else:
        assert targets is None


@pytest.mark.parametrize("name", ALGORITHMS)
def test_the_settings_of_an_algorithm_fit_together(name):
    """And a reader may change some of them."""
    config = PolicyGradientConfig(**ALGORITHMS[name])
    assert (config.baseline in GROUP_BASELINES) == (config.group_size > 1)
    changed = ALGORITHMS[name] | {"batch_size": 64, "kl": "none"}
    assert PolicyGradientConfig(**changed).batch_size == 64
    with pytest.raises(TypeError, match="clip_hihg"):
        PolicyGradientConfig(**ALGORITHMS[name] | {"clip_hihg": 0.3})


def test_truncated_text_is_bootstrapped_and_terminated_is_not():
    config = PolicyGradientConfig(baseline="critic", gamma=0.5)
    predicted = np.array([[1.0, 3.0, 8.0], [1.0, 3.0, 8.0]])
    batch = batch_of([[0, 1], [0, 1]], np.ones((2, 2)), [True, False])
    adv, _ = advantages(batch, config, predicted)
    # last token: 1 - 3, and 1 + 0.5 · 8 - 3 where the limit cut it off
    np.testing.assert_allclose(adv[:, 1], [-2, 2])


def test_whitened():
    config = PolicyGradientConfig(whiten=True)
    adv, _ = advantages(BATCH, config)
    kept = adv[BATCH.mask > 0]
    assert kept.mean() == pytest.approx(0, abs=1e-12)
    assert kept.std() == pytest.approx(1)
    assert (adv[BATCH.mask == 0] == 0).all()


def test_whitened_rewards():
    """Over the four tokens 1, 2, 4, 8: the deviation goes, the mean stays."""
    paid = np.array([1.0, 2, 4, 8])
    white = (paid - paid.mean()) / paid.std() + paid.mean()
    adv, _ = advantages(BATCH, PolicyGradientConfig(whiten_rewards=True))
    np.testing.assert_allclose(adv[0], np.cumsum(white[2::-1])[::-1])
    np.testing.assert_allclose(adv[1], [white[3], 0, 0])


def test_the_greedy_return_is_subtracted():
    config = PolicyGradientConfig(baseline="greedy", returns="total")
    adv, targets = advantages(BATCH, config, np.array([3.0, 10.0]))
    np.testing.assert_array_equal(adv, [[4, 4, 4], [-2, 0, 0]])
    assert targets is None


def test_risk_in_the_group():
    """The rows' log-probabilities are -3 and -1 here."""
    config = PolicyGradientConfig(
        baseline="group_risk", returns="total", group_size=2, batch_size=2,
        sharpness=0.5,
    )
    adv, _ = advantages(BATCH, config)
    share = 1 / (1 + np.exp(1.0))  # of the first row
    found = 2 * 0.5 * share * (7 - (7 * share + 8 * (1 - share)))
    np.testing.assert_allclose(adv[0], found)


def sampled_gradient(mdp, logits, config):
    """Exact mean of the gradient over all batches of two completions."""
    def estimate(rows):
        batch = batch_of(mdp.rewards[rows], mdp.mask[rows])
        weights = np.zeros(mdp.mask.shape)
        adv, _ = advantages(batch, config)
        total = 0
        for row, a in zip(rows, adv):
            weights[:] = 0
            weights[row] = a
            total = total + exact.gradient_samples(mdp, logits, weights)[row]
        return total / len(rows)

    probs = exact.probabilities(mdp, logits)
    return exact.batch_moments(probs, estimate, 2)[0]


@pytest.mark.parametrize("baseline, unbiased", [
    ("none", True), ("leave_one_out", True), ("mean", False),
])
def test_bias_by_enumeration(baseline, unbiased):
    mdp = exact.TokenMDP.enumerate(
        3, 2, lambda text: float(text[-1]) - 0.4 * len(text), eos_id=0
    )
    logits = np.random.default_rng(0).normal(size=mdp.next_state.shape)
    config = PolicyGradientConfig(baseline=baseline)
    error = np.abs(
        sampled_gradient(mdp, logits, config)
        - exact.objective_gradient(mdp, logits)
    ).max()
    assert (error < 1e-12) if unbiased else (error > 1e-2)


def grouped(baseline):
    return PolicyGradientConfig(
        baseline=baseline, group_size=2, returns="total"
    )


def test_the_group_mean_shrinks_the_gradient_and_scaling_turns_it():
    """Exactly: RLOO gives ∇J, Dr. GRPO (1 - 1/G) ∇J, GRPO neither."""
    mdp = exact.TokenMDP.enumerate(
        3, 2, lambda text: float(text[-1]) - 0.4 * len(text), eos_id=0
    )
    logits = np.random.default_rng(0).normal(size=mdp.next_state.shape)
    truth = exact.objective_gradient(mdp, logits)
    found = {name: sampled_gradient(mdp, logits, grouped(name))
             for name in GROUP_BASELINES}
    np.testing.assert_allclose(
        found["group_leave_one_out"], truth, atol=1e-12
    )
    np.testing.assert_allclose(found["group"], truth / 2, atol=1e-12)
    scaled = found["group_scaled"]
    cosine = (scaled * truth).sum() / (
        np.linalg.norm(scaled) * np.linalg.norm(truth)
    )
    assert 0 < cosine < 0.999


@pytest.mark.parametrize("baseline", GROUP_BASELINES)
def test_a_group_of_equal_returns_has_no_advantage(baseline):
    batch = batch_of([[0.1, 0.2], [0.3, 0.0]], np.ones((2, 2)))
    adv, targets = advantages(batch, grouped(baseline))
    np.testing.assert_allclose(adv, 0, atol=1e-15)
    assert targets is None


def test_a_group_is_one_prompt_not_the_batch():
    """Two prompts, one of which pays 10 more: that is no advantage."""
    batch = batch_of([[1], [3], [11], [13]], np.ones((4, 1)))
    adv, _ = advantages(batch, grouped("group"))
    np.testing.assert_allclose(adv[:, 0], [-1, 1, -1, 1])


@pytest.mark.parametrize("baseline", ["mean", "leave_one_out"])
def test_whitening_does_not_blow_up_rounding(baseline):
    """Equal rewards: no advantage, also after a baseline is subtracted."""
    config = PolicyGradientConfig(baseline=baseline, whiten=True)
    batch = batch_of(np.full((128, 19), 1 / 19), np.ones((128, 19)))
    np.testing.assert_allclose(advantages(batch, config)[0], 0, atol=1e-9)
