"""Returns, advantages and baselines: what multiplies ∇ log π(token).

NumPy, because all of it is constant to the optimizer: no gradient flows through it.

B batch, T completion length.  Rewards are (B, T); `mask` (B, T) is 1 up to and
including each row's last token, then 0: there rewards are ignored and results are 0.
"""

from typing import Any

import numpy as np

from core import checks

# Scores whose spread is below this share of the largest count as equal:
# what rounding leaves of equal scores must not be divided by itself.
EQUAL = 1e-9


def discounted_returns(rewards, mask, gamma: float):
    """Return-to-go, (B, T): G_t = r_t + γ r_{t+1} + γ² r_{t+2} + ...

    Args:
        rewards, mask: (B, T).
        gamma: discount per token, in [0, 1].
    Raises: ValueError for rewards that are not finite, another shape, a mask that is
        not ones and then zeros, gamma outside [0, 1].
    Source: Sutton & Barto 2018, eq. 3.8 and 3.9.

    >>> discounted_returns([[0, 2, 4, 9]], [[1, 1, 1, 0]], 0.5).tolist()
    [[2.0, 4.0, 4.0, 0.0]]
    """
    rewards, mask = _checked_arrays(rewards, mask)
    checks.unit_interval(gamma=gamma)
    returns = np.zeros_like(rewards)
    later = np.zeros(len(rewards))  # (B,), G_{t+1}
    for t in reversed(range(rewards.shape[1])):
        returns[:, t] = later = np.where(mask[:, t], rewards[:, t] + gamma * later, 0)
    return returns


def total_returns(rewards, mask, gamma: float):
    """The return of the whole text, G_0, at every token.

    This is R(Y|X) in document 001's gradient: also what was paid before token t, on
    which the token has no influence, multiplies its gradient.
    Args, returns and errors: as `discounted_returns`.

    >>> total_returns([[1, 2, 4, 9]], [[1, 1, 1, 0]], 1.0).tolist()
    [[7.0, 7.0, 7.0, 0.0]]
    """
    returns = discounted_returns(rewards, mask, gamma)
    return np.where(np.asarray(mask) > 0, returns[:, :1], 0.0)


def gae(rewards, values, mask, gamma: float, lam: float, bootstrap: Any = 0.0):
    """Generalised advantage estimates, (B, T).

    A_t = δ_t + γλ A_{t+1},  δ_t = r_t + γ V(s_{t+1}) - V(s_t)

    lam=1 gives return - value (little bias, much variance); lam=0 gives δ_t (much bias,
    little variance).

    Args:
        rewards, values, mask: (B, T); V(s_t) is of the state before token t.
        gamma, lam: in [0, 1].
        bootstrap: (B,) or number, V of the state after a row's last token:
            0 where the text ended, V where the length limit cut it off.
    Raises: as `discounted_returns`.
    Source: Schulman et al. 2016, arXiv:1506.02438, eq. 16.

    >>> gae([[1, 2]], [[3, 5]], [[1, 1]], 1.0, 0.5, bootstrap=4).tolist()
    [[3.5, 1.0]]
    """
    rewards, mask = _checked_arrays(rewards, mask)
    values = checks.finite_array("values", values, rewards.shape)
    checks.unit_interval(gamma=gamma, lam=lam)
    after = checks.floats("bootstrap", bootstrap)  # V(s_{t+1})
    after = after if after.ndim else np.full(len(rewards), after)
    after = checks.finite_array("bootstrap", after, rewards.shape[:1])
    advantages = np.zeros_like(rewards)
    later = np.zeros(len(rewards))  # A_{t+1}
    for t in reversed(range(rewards.shape[1])):
        delta = rewards[:, t] + gamma * after - values[:, t]
        advantages[:, t] = later = np.where(mask[:, t], delta + gamma * lam * later, 0)
        after = np.where(mask[:, t], values[:, t], after)
    return advantages


def state_values(q, alpha: float = 0.0, chooser=None):
    """V(s) of a policy that follows the action values Q(s, ·), of shape (...).

    - max_a Q(s, a);
    - with a chooser (double Q-learning): Q(s, argmax_a chooser(s, a));
    - with α > 0: α log Σ_a exp(Q(s, a) / α), the value of softmax(Q / α), the best
      policy for a bonus of α times its entropy.

    Args:
        q: (..., V), reward, finite.
        alpha: ≥ 0, finite, reward per nat.
        chooser: (..., V), finite, or None; only with alpha = 0.
    Source: van Hasselt, Guez, Silver 2016, arXiv:1509.06461; Haarnoja et al. 2017,
        arXiv:1702.08165, eq. 4.

    >>> state_values(np.array([1.0, 3.0])).item()
    3.0
    >>> state_values(np.array([1.0, 3.0]), chooser=np.array([5, 2])).item()
    1.0
    """
    q = checks.finite_array("q", q)
    checks.require(q.ndim and q.size, f"q: expected (..., V), got shape {q.shape}")
    checks.finite(alpha=alpha)
    checks.at_least(0, alpha=alpha)
    if chooser is not None:
        checks.require(alpha == 0, f"alpha: expected 0 with a chooser, got {alpha}")
        chooser = checks.finite_array("chooser", chooser, q.shape)
        best = np.argmax(chooser, axis=-1)[..., None]
        return np.take_along_axis(q, best, axis=-1)[..., 0]
    best = q.max(axis=-1)
    if alpha == 0:
        return best
    return best + alpha * np.log(np.exp((q - best[..., None]) / alpha).sum(axis=-1))


def td_targets(rewards, next_values, mask, gamma: float, terminated):
    """What Q(s_t, y_t) should be: r_t + γ V(s_{t+1}), (B, T).

    Args:
        rewards, next_values, mask: (B, T); V is of the state after each token.
        gamma: in [0, 1].
        terminated: (B,) bool; True: V after the last token is 0.
    Raises: as `discounted_returns`, and where terminated is not of booleans.
    Source: Watkins and Dayan 1992, Q-learning, Machine Learning 8.

    >>> values, ended = [[5, 7], [5, 7]], np.array([True, False])
    >>> td_targets([[1, 2], [1, 2]], values, np.ones((2, 2)), 0.5, ended)
    array([[3.5, 2. ],
           [3.5, 5.5]])
    """
    rewards, mask = _checked_arrays(rewards, mask)
    values = checks.finite_array("next_values", next_values, rewards.shape)
    checks.unit_interval(gamma=gamma)
    terminated = checks.flags("terminated", terminated, mask.shape[:1])
    last = np.arange(mask.shape[1]) == mask.sum(axis=1, keepdims=True) - 1
    over = last & terminated[:, None]
    return np.where(mask, rewards + gamma * np.where(over, 0, values), 0.0)


def batch_mean_baseline(scores):
    """The mean score of the batch, for every row: (B,) -> (B,).

    It holds the row's own score, which biases the gradient by the factor 1 - 1/B;
    `leave_one_out` does not.

    >>> batch_mean_baseline([1.0, 2.0, 6.0]).tolist()
    [3.0, 3.0, 3.0]
    """
    scores = _checked_scores(scores)
    return np.full_like(scores, scores.mean())


def leave_one_out(scores, group_size: int):
    """For each row the mean score of the others of its group, (B,).

    Args:
        scores: (B,); each `group_size` rows in turn form a group (the completions of
            one prompt, or the whole batch).
        group_size: at least 2; divides B.
    Raises: ValueError for another group size or scores that are not finite.
    Source: Kool et al. 2019; Ahmadian et al. 2024 (RLOO), arXiv:2402.14740.

    >>> leave_one_out([1.0, 2.0, 6.0, 0.0], 2).tolist()
    [2.0, 1.0, 0.0, 6.0]
    """
    groups = _checked_groups(scores, group_size)
    others = groups.sum(axis=1, keepdims=True) - groups
    return (others / (group_size - 1)).reshape(-1)


def group_advantages(scores, group_size: int, scale: bool):
    """Score minus the mean of its group, (B,).

    Args:
        scores, group_size: as `leave_one_out`.
        scale: divide by the group's standard deviation, as GRPO (n - 1 below, which the
            paper leaves open) and not Dr. GRPO does.  A group of equal scores gets 0.
    Raises: as `leave_one_out`.
    Source: Shao et al. 2024 (GRPO), arXiv:2402.03300, section 4.1.2; Liu et al. 2025
        (Dr. GRPO), arXiv:2503.20783.

    >>> group_advantages([1, 3, 5, 2, 2, 2], 3, scale=True).tolist()
    [-1.0, 0.0, 1.0, 0.0, 0.0, 0.0]
    """
    groups = _checked_groups(scores, group_size)
    centred = groups - groups.mean(axis=1, keepdims=True)
    deviation = _deviation(groups, axis=1, ddof=1)[:, None]
    if scale:
        centred /= np.where(deviation > 0, deviation, 1.0)
    return np.where(deviation > 0, centred, 0.0).reshape(-1)


def risk_advantages(scores, sequence_logprobs, group_size: int, sharpness: float):
    """Advantages (B,) whose policy gradient is that of minimum-risk training.

    A_i = G α Q_i (R_i - Σ_j Q_j R_j),  Q ∝ π^α within the group of G

    Σ_i Q_i R_i, the expected score under the policy renormalised over the group, has
    the gradient Σ_i α Q_i (R_i - Σ_j Q_j R_j) ∇ log π(y_i).

    Args:
        scores, group_size: as `leave_one_out`.
        sequence_logprobs: (B,), nats, log π(Y|X).
        sharpness: α > 0, finite.
    Raises: as `leave_one_out`, and where sharpness is not positive.
    Source: Shen et al. 2016, arXiv:1512.02433; its loss is `losses.minimum_risk_loss`.

    >>> risk_advantages([1, 0], [-2.0, -2.0], 2, sharpness=1.0).tolist()
    [0.5, -0.5]
    """
    checks.positive(sharpness=sharpness)
    groups, rows = _checked_groups(scores, group_size), np.shape(scores)
    logprobs = checks.finite_array("sequence_logprobs", sequence_logprobs, rows)
    logits = sharpness * logprobs.reshape(groups.shape)
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares /= shares.sum(axis=1, keepdims=True)
    mean = (shares * groups).sum(axis=1, keepdims=True)
    return (group_size * sharpness * shares * (groups - mean)).reshape(-1)


def informative_groups(scores, group_size: int):
    """Which rows belong to a group whose scores differ, (B,) bool.

    A group of equal scores has no advantage; DAPO samples other prompts in its place.

    Args and errors: as `leave_one_out`.
    Source: Yu et al. 2025 (DAPO), arXiv:2503.14476, dynamic sampling.

    >>> informative_groups([1, 3, 2, 2], 2).tolist()
    [True, True, False, False]
    """
    groups = _checked_groups(scores, group_size)
    return (_deviation(groups, axis=1, ddof=0) > 0).repeat(group_size)


def whiten(x, mask, scale: float = 0.0, shift: bool = True):
    """x with mean 0 and standard deviation 1 over the tokens of the mask.

    The deviation divides by n.  Where all x are equal, it is 0, or without `shift` x.

    Args:
        x, mask: (B, T).
        scale: ≥ 0, size of the numbers that x is a difference of.  Spread below a
            billionth of it is rounding, and counts as none.
        shift: False keeps the mean, as PPO does for rewards.
    Source: in PPO for language models: Ziegler et al. 2019, arXiv:1909.08593.

    >>> whiten([[1.0, 3.0, 9.0]], [[1, 1, 0]]).tolist()
    [[-1.0, 1.0, 0.0]]
    """
    checks.finite(scale=scale)
    checks.at_least(0, scale=scale)
    x, mask = _checked_arrays(x, mask, name="x")
    kept = x[mask]
    mean, deviation = kept.mean(), _deviation(kept, axis=0, ddof=0)
    if deviation <= EQUAL * scale:
        return np.zeros_like(x) if shift else np.where(mask, x, 0.0)
    white = (x - mean) / deviation + (0.0 if shift else mean)
    return np.where(mask, white, 0.0)


def _deviation(x, axis: int, ddof: int):
    """Standard deviation, 0 where only rounding is left of it."""
    equal = np.ptp(x, axis=axis) <= EQUAL * np.abs(x).max(axis=axis)
    return np.where(equal, 0.0, x.std(axis=axis, ddof=ddof))


def _checked_scores(scores):
    scores = checks.finite_array("scores", scores)
    wanted = f"scores: expected (B,), got shape {scores.shape}"
    checks.require(scores.ndim == 1 and scores.size, wanted)
    return scores


def _checked_groups(scores, group_size: int):
    """The scores as (groups, size)."""
    scores = _checked_scores(scores)
    checks.groups(group_size, len(scores), "scores")
    return scores.reshape(-1, group_size)


def _checked_arrays(x, mask, name: str = "rewards"):
    """x as float, 0 where the mask is 0, and the mask as bool."""
    mask = checks.mask("mask", mask)
    checks.shape(mask.shape, "mask", **{name: x})
    x = np.where(mask, checks.floats(name, x), 0.0)
    return checks.finite_array(name, x), mask > 0
