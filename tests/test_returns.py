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


# (2, 2, 3): two states in each of two texts, three actions.
VALUES = [[[1.0, 3, 2], [0, -1, 0.5]], [[4, 4, 0], [-2, -3, -1]]]


def test_state_values_by_hand():
    assert_array_equal(returns.state_values(VALUES), [[3, 0.5], [4, -1]])
    chooser = [[[0, 1, 5], [9, 1, 5]], [[0, 3, 2], [-5, -1, -2]]]
    found = returns.state_values(VALUES, chooser=np.array(chooser))
    assert_array_equal(found, [[2, 0], [4, -3]])


@pytest.mark.parametrize("alpha", [0.5, 2.0])
def test_soft_state_values_by_hand(alpha):
    """α log Σ exp(Q / α) of Q = α log n is α log Σ n, however large Q is."""
    counts = np.array([[[1.0, 3, 4], [2, 2, 1]], [[5, 1, 1], [7, 1, 2]]])
    for shift in (0.0, 5e3, -5e3):
        found = returns.state_values(shift + alpha * np.log(counts), alpha)
        wanted = shift + alpha * np.log([[8, 5], [7, 10]])
        assert_allclose(found, wanted, rtol=1e-12)


def test_a_chooser_or_an_entropy_but_not_both():
    for alpha, chooser in ((-0.5, None), (0.5, VALUES), (-0.5, VALUES)):
        with pytest.raises(ValueError, match="^alpha: expected"):
            returns.state_values(VALUES, alpha, chooser)


def test_targets_by_hand():
    """Three texts of one, two and all four tokens; γ = 1/2."""
    rewards = [[1, 9, 9, 9], [2, 3, 9, 9], [4, 5, 6, 7]]
    after = [[10, 8, 8, 8], [20, 30, 8, 8], [2, 4, 6, 8]]
    mask = [[1, 0, 0, 0], [1, 1, 0, 0], [1, 1, 1, 1]]
    for terminated, last in (([True] * 3, [1, 3, 7]), ([False] * 3, [6, 18, 11])):
        found = returns.td_targets(rewards, after, mask, 0.5, terminated)
        wanted = [[last[0], 0, 0, 0], [12, last[1], 0, 0], [5, 7, 9, last[2]]]
        assert_array_equal(found, wanted)


def test_risk_advantages_by_hand():
    """Odds of 1 to 3 and 1 to 1, of which sharpness 2 makes 1 to 9 and 1 to 1."""
    scores = [10.0, 20, 4, 8]
    logprobs = np.log([0.1, 0.3, 0.2, 0.2])
    for far in (0.0, 1e3, -1e3):  # only differences within a group count
        found = returns.risk_advantages(scores, logprobs + far, 2, 2.0)
        # G α Q (R - mean): 4 · 0.1 (10 - 19), 4 · 0.9 (20 - 19), 4 · ½ (∓2)
        assert_allclose(found, [-3.6, 3.6, -4, 4], rtol=1e-9)


def test_groups_without_spread_raise_no_floating_point_error():
    with np.errstate(all="raise"):
        for scale in (False, True):
            found = group_advantages([2.0, 2, 0, 0, 1, 3], 2, scale)
            assert_allclose(np.abs(found) > 0, [0, 0, 0, 0, 1, 1])
        assert not whiten(np.zeros((2, 3)), np.ones((2, 3))).any()


def test_scores_are_one_number_a_row():
    for bad in ([[1.0, 2.0], [3.0, 4.0]], 5.0, []):
        for call in (
            batch_mean_baseline,
            lambda bad: leave_one_out(bad, 2),
            lambda bad: informative_groups(bad, 2),
        ):
            with pytest.raises(ValueError, match=r"^scores: expected \(B,\)"):
                call(bad)


# --- No broadcasting, no text for a truth -------------------------------------

TWO = np.ones((2, 2))


@pytest.mark.parametrize(
    "terminated, message",
    [
        (np.array([True]), "the shape"),
        (True, "the shape"),
        (None, "real numbers, got object"),
        (np.ones((2, 1), bool), "the shape"),
        (np.array(["False", "False"]), "real numbers, got <U5"),
        ([0.5, 1], "zeros and ones"),
        ([math.nan, 1], "finite numbers"),
        ([None, True], "real numbers, got object"),
        ([1, 2], "zeros and ones"),
    ],
)
def test_terminated_is_a_truth_for_each_row(terminated, message):
    with pytest.raises(ValueError, match=f"^terminated: expected {message}"):
        returns.td_targets(TWO, TWO, TWO, 0.5, terminated)


@pytest.mark.parametrize("terminated", [[True, False], [1, 0], np.array([1.0, 0.0])])
def test_truths_may_be_zeros_and_ones(terminated):
    targets = returns.td_targets(TWO, 4 * TWO, TWO, 0.5, terminated)
    assert_array_equal(targets, [[3, 1], [3, 3]])


@pytest.mark.parametrize("bad", [[1.0], [1.0] * 3, np.ones((2, 1)), np.ones((2, 2))])
def test_the_bootstrap_is_one_number_or_one_for_each_row(bad):
    with pytest.raises(ValueError, match="^bootstrap: expected the shape"):
        gae(TWO, TWO, TWO, 1.0, 1.0, bootstrap=bad)
    one = gae(TWO, TWO, TWO, 1.0, 1.0, bootstrap=3)
    assert_array_equal(one, gae(TWO, TWO, TWO, 1.0, 1.0, bootstrap=[3, 3]))


@pytest.mark.parametrize(
    "chooser, message",
    [
        ([[0.0, 1.0]], "the shape"),
        ([0.0, 1.0], "the shape"),
        (1.0, "the shape"),
        ([[math.nan, 1.0], [0.0, 1.0]], "finite"),
        ([[math.inf, 1.0], [0.0, 1.0]], "finite"),
    ],
)
def test_the_chooser_has_a_value_for_each_action(chooser, message):
    with pytest.raises(ValueError, match=f"^chooser: expected {message}"):
        returns.state_values([[1.0, 2.0], [2.0, 1.0]], chooser=chooser)


@pytest.mark.parametrize("q", [1.0, [], [[], []], [math.nan, 1.0]])
def test_state_values_need_actions(q):
    with pytest.raises(ValueError, match="^q: expected"):
        returns.state_values(q)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -1.0])
def test_bounds_are_finite(bad):
    for name, call in {
        "sharpness": lambda: returns.risk_advantages([1, 0], [-1.0, -2.0], 2, bad),
        "scale": lambda: whiten([[1.0, 3.0]], [[1, 1]], scale=bad),
        "alpha": lambda: returns.state_values([1.0, 2.0], alpha=bad),
        "gamma": lambda: returns.td_targets(TWO, TWO, TWO, bad, [1, 0]),
    }.items():
        with pytest.raises(ValueError, match=f"^{name}: expected"):
            call()


def test_log_probabilities_are_one_for_each_score():
    for bad in ([-1.0], [[-1.0, -2.0]], -1.0, [-1.0, -math.inf]):
        with pytest.raises(ValueError, match="^sequence_logprobs: expected"):
            returns.risk_advantages([1, 0], bad, 2, 1.0)


def test_small_numbers_are_whitened_unless_they_are_a_difference_of_large_ones():
    x, mask = [[1e-12, 3e-12]], [[1, 1]]
    assert_allclose(whiten(x, mask), [[-1, 1]])
    assert_allclose(whiten(x, mask, scale=1e-4), [[-1, 1]])
    assert not whiten(x, mask, scale=1.0).any()
