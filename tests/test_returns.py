"""core.returns on numbers worked by hand and on properties that must hold."""

import doctest
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_allclose, assert_array_equal

from core import returns
from core.returns import (
    batch_mean_baseline,
    discounted_returns,
    gae,
    group_advantages,
    informative_groups,
    leave_one_out,
    total_returns,
    whiten,
)

B, T = 4, 6
LENGTHS = st.lists(st.integers(1, T), min_size=B, max_size=B)
MASKS = LENGTHS.map(lambda n: (np.arange(T) < np.array(n)[:, None]).astype(float))
TOKENS = arrays(np.float64, (B, T), elements=st.floats(-10, 10))
SCORES = arrays(np.float64, (12,), elements=st.floats(-10, 10))
UNIT = st.floats(0, 1)


def test_docstrings():
    result = doctest.testmod(returns)
    assert result.failed == 0 and result.attempted == 13


def test_returns_by_hand():
    rewards, mask = [[1, 2, 3], [4, 8, 9]], [[1, 1, 1], [1, 1, 0]]
    assert_array_equal(
        discounted_returns(rewards, mask, 0.5),
        [[1 + 1 + 0.75, 2 + 1.5, 3], [4 + 4, 8, 0]],
    )
    assert_array_equal(total_returns(rewards, mask, 0.5), [[2.75] * 3, [8, 8, 0]])
    assert_array_equal(discounted_returns(rewards, mask, 0.0), [[1, 2, 3], [4, 8, 0]])


def test_gae_by_hand():
    rewards, values = [[1, 2, 3], [4, 8, 9]], [[2, 4, 6], [2, 4, 7]]
    mask = [[1, 1, 1], [1, 1, 0]]
    # gamma 1/2. Row 0 ended: deltas 1+2-2, 2+3-4, 3+0-6 = 1, 1, -3.
    # Row 1 was cut off after two tokens, V = 10: 4+2-2, 8+5-4 = 4, 9.
    advantages = gae(rewards, values, mask, 0.5, 0.5, bootstrap=[0, 10])
    assert_array_equal(
        advantages, [[1 + (1 - 0.75) / 4, 1 - 0.75, -3], [4 + 9 / 4, 9, 0]]
    )


@settings(deadline=None)
@given(TOKENS, TOKENS, MASKS, UNIT)
def test_gae_with_lam_1_is_return_minus_value(rewards, values, mask, gamma):
    expected = (discounted_returns(rewards, mask, gamma) - values) * mask
    assert_allclose(gae(rewards, values, mask, gamma, 1.0), expected, atol=1e-9)


@settings(deadline=None)
@given(TOKENS, TOKENS, MASKS, UNIT, st.floats(-10, 10))
def test_gae_with_lam_0_is_the_td_error(rewards, values, mask, gamma, after):
    advantages = gae(rewards, values, mask, gamma, 0.0, bootstrap=after)
    for b in range(B):
        n = int(mask[b].sum())
        following = np.append(values[b, 1:n], after)
        expected = rewards[b, :n] + gamma * following - values[b, :n]
        assert_allclose(advantages[b, :n], expected, atol=1e-9)
        assert not advantages[b, n:].any()


@settings(deadline=None)
@given(TOKENS, TOKENS, MASKS, UNIT, UNIT, st.floats(-10, 10))
def test_gae_bootstrap_is_a_discounted_last_reward(
    rewards, values, mask, gamma, lam, after
):
    """Cutting a row off and bootstrapping = ending it with gamma V more."""
    last = np.diff(mask, axis=1, append=0) == -1
    paid = rewards + gamma * after * last
    assert_allclose(
        gae(rewards, values, mask, gamma, lam, np.full(B, after)),
        gae(paid, values, mask, gamma, lam),
        atol=1e-9,
    )


@settings(deadline=None)
@given(TOKENS, TOKENS, MASKS, UNIT, UNIT)
def test_what_follows_the_end_does_not_count(rewards, values, mask, gamma, lam):
    hidden = np.where(mask > 0, rewards, 1e6)
    other = np.where(mask > 0, values, -1e6)
    for function, a, b in [
        (discounted_returns, (rewards, mask, gamma), (hidden, mask, gamma)),
        (total_returns, (rewards, mask, gamma), (hidden, mask, gamma)),
        (whiten, (rewards, mask), (hidden, mask)),
        (gae, (rewards, values, mask, gamma, lam), (hidden, other, mask, gamma, lam)),
    ]:
        assert_array_equal(function(*a), function(*b))
        assert not function(*a)[mask == 0].any()


@settings(deadline=None)
@given(TOKENS, MASKS, UNIT)
def test_return_to_go_is_a_sum_of_discounted_rewards(rewards, mask, gamma):
    to_go = discounted_returns(rewards, mask, gamma)
    for t in range(T):
        weights = gamma ** np.arange(T - t) * mask[:, t:]
        expected = (weights * rewards[:, t:]).sum(axis=1)
        assert_allclose(to_go[:, t], expected, atol=1e-9)
    total = total_returns(rewards, mask, gamma)
    assert_array_equal(total, to_go[:, :1] * mask)


@settings(deadline=None)
@given(TOKENS, MASKS)
def test_whiten(x, mask):
    kept = whiten(x, mask)[mask > 0]
    if np.ptp(x[mask > 0]) > 1e-6:
        assert_allclose([kept.mean(), kept.std()], [0, 1], atol=1e-6)
    if np.ptp(x[mask > 0]) == 0:
        assert not kept.any()


def test_what_rounding_leaves_of_equal_scores_is_not_scaled_up():
    scores = [0.3, 0.1 + 0.2, 0.3]  # 0.1 + 0.2 is 0.30000000000000004
    assert not whiten([scores], [[1, 1, 1]]).any()
    assert not group_advantages(scores, 3, scale=True).any()
    # 3 x 0.1 / 3 is not 0.1
    assert not group_advantages([0.1] * 3, 3, scale=True).any()
    assert not group_advantages([0.1] * 3, 3, scale=False).any()


def test_baselines_by_hand():
    scores = [1.0, 3.0, 5.0, 0.0, 0.0, 6.0]
    assert_array_equal(batch_mean_baseline(scores), [2.5] * 6)
    assert_array_equal(leave_one_out(scores, 3), [4, 3, 2, 3, 3, 0])
    assert_array_equal(group_advantages(scores, 3, scale=False), [-2, 0, 2, -2, -2, 4])
    # Deviations with n - 1: sqrt(8 / 2) = 2 and sqrt(24 / 2).
    assert_allclose(
        group_advantages(scores, 3, scale=True),
        [-1, 0, 1, *np.array([-2, -2, 4]) / math.sqrt(12)],
    )


@settings(deadline=None)
@given(SCORES, st.sampled_from([2, 3, 4, 6, 12]))
def test_leave_one_out_is_the_mean_of_the_others(scores, size):
    baseline = leave_one_out(scores, size)
    for i in range(12):
        first = i - i % size
        group = np.delete(scores[first : first + size], i - first)
        assert_allclose(baseline[i], group.mean(), atol=1e-9)
    # Advantages over it sum to 0 in each group, and are the scores minus
    # the group's mean times G / (G - 1).
    advantages = scores - baseline
    sums = advantages.reshape(-1, size).sum(axis=1)
    assert_allclose(sums, 0, atol=1e-9)
    centred = group_advantages(scores, size, scale=False)
    assert_allclose(advantages, centred * size / (size - 1), atol=1e-7)


@settings(deadline=None)
@given(SCORES, st.sampled_from([2, 3, 4, 6, 12]))
def test_group_advantages_have_mean_0_and_spread_1(scores, size):
    groups = group_advantages(scores, size, scale=True).reshape(-1, size)
    assert_allclose(groups.mean(axis=1), 0, atol=1e-6)
    spread = np.ptp(scores.reshape(-1, size), axis=1) > 1e-6
    assert_allclose(groups.std(axis=1, ddof=1)[spread], 1, atol=1e-6)


def test_groups_that_teach_something():
    """Rounding is no spread: 0.1 + 0.2 is not 0.3, and teaches nothing."""
    scores = [0.1 + 0.2, 0.3, 1.0, 0.0, 5.0, 5.0]
    found = informative_groups(scores, 2)
    assert found.tolist() == [False, False, True, True, False, False]
    advantages = group_advantages(scores, 2, scale=True)
    assert_array_equal(advantages != 0, found)


@given(SCORES, arrays(np.float64, (12,), elements=st.floats(-9, 0)))
def test_risk_advantages(scores, logprobs):
    """Their mean is zero; a small sharpness makes them those of a group."""
    found = returns.risk_advantages(scores, logprobs, 4, 0.7)
    assert_allclose(found.reshape(3, 4).sum(axis=1), 0, atol=1e-9)
    flat = returns.risk_advantages(scores, logprobs, 4, 1e-7) / 1e-7
    plain = group_advantages(scores, 4, scale=False)
    assert_allclose(flat, plain, atol=1e-4)


def test_whitening_without_a_shift_keeps_the_mean():
    """As TRL's PPO did: (x - mean) / std + mean."""
    x, mask = [[1.0, 3.0, 9.0]], [[1, 1, 0]]
    assert_array_equal(whiten(x, mask, shift=False), [[1.0, 3.0, 0.0]])
    x = [[0.0, 8.0, 4.0]]
    assert_array_equal(whiten(x, mask, shift=False), [[3.0, 5.0, 0.0]])
    assert_array_equal(whiten([[2.0, 2.0, 9.0]], mask, shift=False), [[2.0, 2.0, 0.0]])


def test_bad_input_is_named():
    one, mask = np.ones((2, 3)), np.ones((2, 3))
    for name, call in {
        "gamma": lambda bad: discounted_returns(one, mask, bad),
        "lam": lambda bad: gae(one, one, mask, 1.0, bad),
    }.items():
        for bad in (-0.1, 1.1, math.nan):
            with pytest.raises(ValueError, match=f"^{name}: expected a num"):
                call(bad)
    for bad in (math.nan, math.inf):
        with pytest.raises(ValueError, match="^rewards: expected finite"):
            discounted_returns(one * bad, mask, 1.0)
        with pytest.raises(ValueError, match="^values: expected finite"):
            gae(one, one * bad, mask, 1.0, 1.0)
        with pytest.raises(ValueError, match="^bootstrap: expected finite"):
            gae(one, one, mask, 1.0, 1.0, bootstrap=bad)
        with pytest.raises(ValueError, match="^scores: expected finite"):
            leave_one_out([bad, 1.0], 2)
    with pytest.raises(ValueError, match="^rewards: expected the shape"):
        total_returns(np.ones((2, 2)), mask, 1.0)
    with pytest.raises(ValueError, match="^x: expected the shape"):
        whiten(np.ones((2, 2)), mask)
    with pytest.raises(ValueError, match="^values: expected the shape"):
        gae(one, np.ones((2, 2)), mask, 1.0, 1.0)
    for bad in ([1.0], [[1.0, 1.0]], []):
        with pytest.raises(ValueError, match="expected"):
            leave_one_out(bad, 2)
    for size in (0, 1, 3):
        with pytest.raises(ValueError, match="^group_size: expected at least"):
            group_advantages([1.0, 2.0], size, scale=True)
    with pytest.raises(ValueError, match="^scores: expected"):
        batch_mean_baseline([])
    for bad in ([[0, 0]], [[0, 1]], [[1, 0.5]], [[1, 0, 1]], [[]], [1]):
        with pytest.raises(ValueError, match="^mask: expected"):
            discounted_returns(np.ones(np.shape(bad)), bad, 1.0)
