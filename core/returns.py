"""Returns, advantages and baselines: what multiplies ∇ log π(token).

NumPy, because all of it is constant to the optimizer: no gradient flows
through a reward, a return or an advantage.

B batch, T completion length.  Rewards are (B, T); `mask` (B, T) is 1 up to
and including the last token of each row, then 0.  All results are 0 where
mask is 0, and rewards there are ignored.
"""

from __future__ import annotations

import numpy as np

# Scores whose spread is below this share of the largest count as equal:
# what rounding leaves of equal scores must not be divided by itself.
EQUAL = 1e-9


def discounted_returns(rewards, mask, gamma):
    """Return-to-go: G_t = r_t + γ r_{t+1} + γ² r_{t+2} + ...

    Args:
        rewards, mask: (B, T).
        gamma: discount per token, in [0, 1].
    Returns: (B, T) float.
    Raises: ValueError for rewards that are not finite, another shape, a mask
        that is not ones and then zeros, gamma outside [0, 1].
    Source: Sutton & Barto 2018, eq. 3.8 and 3.9.

    >>> discounted_returns([[0, 2, 4, 9]], [[1, 1, 1, 0]], 0.5).tolist()
    [[2.0, 4.0, 4.0, 0.0]]
    """
    rewards, mask = _token_arrays(rewards, mask)
    _unit_interval("gamma", gamma)
    returns = np.zeros_like(rewards)
    later = np.zeros(len(rewards))  # (B,), G_{t+1}
    for t in reversed(range(rewards.shape[1])):
        later = np.where(mask[:, t], rewards[:, t] + gamma * later, 0.0)
        returns[:, t] = later
    return returns


def total_returns(rewards, mask, gamma):
    """The return of the whole text, G_0, at every token.

    This is R(Y|X) in document 001's gradient: also what was paid before
    token t, on which the token has no influence, multiplies its gradient.

    Args, returns and errors: as `discounted_returns`.

    >>> total_returns([[1, 2, 4, 9]], [[1, 1, 1, 0]], 1.0).tolist()
    [[7.0, 7.0, 7.0, 0.0]]
    """
    returns = discounted_returns(rewards, mask, gamma)
    return np.where(np.asarray(mask) > 0, returns[:, :1], 0.0)


def gae(rewards, values, mask, gamma, lam, bootstrap=0.0):
    """Generalised advantage estimates, (B, T).

    A_t = δ_t + γλ A_{t+1},  δ_t = r_t + γ V(s_{t+1}) - V(s_t)

    lam=1 gives return - value (little bias, much variance), lam=0 gives δ_t
    alone (the reverse).

    Args:
        rewards, mask: (B, T).
        values: (B, T), V(s_t) of the state before token t.
        gamma, lam: in [0, 1].
        bootstrap: (B,) or number, V of the state after a row's last token:
            0 where the text ended, V where the length limit cut it off.
    Raises: as `discounted_returns`.
    Source: Schulman et al. 2016, arXiv:1506.02438, eq. 16.

    >>> gae([[1, 2]], [[3, 5]], [[1, 1]], 1.0, 0.5, bootstrap=4).tolist()
    [[3.5, 1.0]]
    """
    rewards, mask = _token_arrays(rewards, mask)
    values = _finite("values", values, rewards.shape)
    _unit_interval("gamma", gamma)
    _unit_interval("lam", lam)
    after = np.broadcast_to(bootstrap, len(rewards))
    after = _finite("bootstrap", after, (len(rewards),))  # V(s_{t+1})
    advantages = np.zeros_like(rewards)
    later = np.zeros(len(rewards))  # A_{t+1}
    for t in reversed(range(rewards.shape[1])):
        delta = rewards[:, t] + gamma * after - values[:, t]
        later = np.where(mask[:, t], delta + gamma * lam * later, 0.0)
        advantages[:, t] = later
        after = np.where(mask[:, t], values[:, t], after)
    return advantages


def state_values(q, alpha=0.0, chooser=None):
    """V(s) of a policy that follows the action values Q(s, ·).

    max_a Q(s, a); with a chooser Q(s, argmax_a chooser(s, a)), of double
    Q-learning; with α > 0 α log Σ_a exp(Q(s, a) / α), the value with an
    entropy bonus α of the best policy for it, softmax(Q / α).

    Args:
        q: (..., V), reward.
        alpha: ≥ 0, reward per nat.
        chooser: (..., V) or None; only with alpha = 0.
    Returns: (...) float.
    Raises: ValueError for a negative alpha, or one with a chooser.
    Source: van Hasselt, Guez, Silver 2016, arXiv:1509.06461; Haarnoja et al.
        2017, arXiv:1702.08165, eq. 4.

    >>> state_values(np.array([1.0, 3.0])).item()
    3.0
    >>> state_values(np.array([1.0, 3.0]), chooser=np.array([5, 2])).item()
    1.0
    """
    q = _finite("q", q)
    if alpha < 0 or (alpha and chooser is not None):
        raise ValueError(
            f"alpha: expected at least 0, and 0 with a chooser, got {alpha}"
        )
    if chooser is not None:
        best = np.argmax(chooser, axis=-1)[..., None]
        return np.take_along_axis(q, best, axis=-1)[..., 0]
    best = q.max(axis=-1)
    if not alpha:
        return best
    spread = np.exp((q - best[..., None]) / alpha).sum(axis=-1)
    return best + alpha * np.log(spread)


def td_targets(rewards, next_values, mask, gamma, terminated):
    """What Q(s_t, y_t) should be: r_t + γ V(s_{t+1}), (B, T).

    Args:
        rewards, mask: (B, T).
        next_values: (B, T), V of the state after each token.
        gamma: in [0, 1].
        terminated: (B,) bool; True: V after the last token is 0.
    Raises: as `discounted_returns`.
    Source: Watkins and Dayan 1992, Q-learning, Machine Learning 8.

    >>> values, ended = [[5, 7], [5, 7]], np.array([True, False])
    >>> td_targets([[1, 2], [1, 2]], values, np.ones((2, 2)), 0.5, ended)
    array([[3.5, 2. ],
           [3.5, 5.5]])
    """
    rewards, mask = _token_arrays(rewards, mask)
    values = _finite("next_values", next_values, rewards.shape)
    _unit_interval("gamma", gamma)
    last = mask.sum(axis=1) - 1
    over = np.arange(mask.shape[1]) == last[:, None]
    over &= np.asarray(terminated, dtype=bool)[:, None]
    return np.where(mask, rewards + gamma * np.where(over, 0, values), 0.0)


def batch_mean_baseline(scores):
    """The mean score of the batch, for every row: (B,) -> (B,).

    It holds the row's own score, which biases the gradient by the factor
    1 - 1/B; `leave_one_out` does not.

    >>> batch_mean_baseline([1.0, 2.0, 6.0]).tolist()
    [3.0, 3.0, 3.0]
    """
    scores = _finite("scores", scores)
    if scores.ndim != 1 or not scores.size:
        raise ValueError(f"scores: expected (B,), got shape {scores.shape}")
    return np.full_like(scores, scores.mean())


def leave_one_out(scores, group_size):
    """For each row the mean score of the others of its group, (B,).

    Args:
        scores: (B,); each `group_size` rows in turn form a group (the
            completions of one prompt, or the whole batch).
        group_size: at least 2; divides B.
    Raises: ValueError for another group size or scores that are not finite.
    Source: Kool et al. 2019; Ahmadian et al. 2024 (RLOO), arXiv:2402.14740.

    >>> leave_one_out([1.0, 2.0, 6.0, 0.0], 2).tolist()
    [2.0, 1.0, 0.0, 6.0]
    """
    groups = _groups(scores, group_size)
    others = groups.sum(axis=1, keepdims=True) - groups
    return (others / (group_size - 1)).reshape(-1)


def group_advantages(scores, group_size, scale):
    """Score minus the mean of its group, (B,).

    Args:
        scores, group_size: as `leave_one_out`.
        scale: divide by the group's standard deviation, as GRPO does (n - 1
            in the denominator, which the paper leaves open); False as in
            Dr. GRPO.  A group of equal scores gets 0.
    Raises: as `leave_one_out`.
    Source: Shao et al. 2024 (GRPO), arXiv:2402.03300, section 4.1.2; Liu et
        al. 2025 (Dr. GRPO), arXiv:2503.20783.

    >>> group_advantages([1, 3, 5, 2, 2, 2], 3, scale=True).tolist()
    [-1.0, 0.0, 1.0, 0.0, 0.0, 0.0]
    """
    groups = _groups(scores, group_size)
    centred = groups - groups.mean(axis=1, keepdims=True)
    deviation = _deviation(groups, axis=1, ddof=1)[:, None]
    if scale:
        centred /= np.where(deviation > 0, deviation, 1.0)
    return np.where(deviation > 0, centred, 0.0).reshape(-1)


def risk_advantages(scores, sequence_logprobs, group_size, sharpness):
    """Advantages whose policy gradient is that of minimum-risk training.

    A_i = G α Q_i (R_i - Σ_j Q_j R_j),  Q ∝ π^α within the group of G

    Σ_i Q_i R_i, the expected score under the policy renormalised over the
    group, has the gradient Σ_i α Q_i (R_i - Σ_j Q_j R_j) ∇ log π(y_i).

    Args:
        scores, group_size: as `leave_one_out`.
        sequence_logprobs: (B,), nats, log π(Y|X).
        sharpness: α > 0.
    Returns: (B,) float.
    Raises: as `leave_one_out`, and where sharpness is not positive.
    Source: Shen et al. 2016, arXiv:1512.02433; its loss is
        `losses.minimum_risk_loss`.

    >>> risk_advantages([1, 0], [-2.0, -2.0], 2, sharpness=1.0).tolist()
    [0.5, -0.5]
    """
    if not sharpness > 0:
        raise ValueError(f"sharpness: expected more than 0, got {sharpness}")
    groups = _groups(scores, group_size)
    logits = sharpness * _finite(
        "sequence_logprobs", sequence_logprobs, np.shape(scores)
    ).reshape(groups.shape)
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares /= shares.sum(axis=1, keepdims=True)
    mean = (shares * groups).sum(axis=1, keepdims=True)
    return (group_size * sharpness * shares * (groups - mean)).reshape(-1)


def informative_groups(scores, group_size):
    """Which rows belong to a group whose scores differ, (B,) bool.

    A group of equal scores has no advantage and teaches nothing; DAPO samples
    other prompts in its place.

    Args:
        scores, group_size: as `leave_one_out`.
    Raises: as `leave_one_out`.
    Source: Yu et al. 2025 (DAPO), arXiv:2503.14476, dynamic sampling.

    >>> informative_groups([1, 3, 2, 2], 2).tolist()
    [True, True, False, False]
    """
    groups = _groups(scores, group_size)
    return (_deviation(groups, axis=1, ddof=0) > 0).repeat(group_size)


def whiten(x, mask, scale=0.0, shift=True):
    """x with mean 0 and standard deviation 1 over the tokens of the mask.

    The deviation has n in the denominator.  Where all x are equal, the
    result is 0; without `shift` it is x.

    Args:
        x, mask: (B, T).
        scale: size of the numbers that x is a difference of.  Spread below
            a billionth of it is rounding, and counts as none.
        shift: False keeps the mean, as PPO does for rewards.
    Returns: (B, T) float.
    Source: of advantages and rewards in PPO for language models: Ziegler et
        al. 2019, arXiv:1909.08593.

    >>> whiten([[1.0, 3.0, 9.0]], [[1, 1, 0]]).tolist()
    [[-1.0, 1.0, 0.0]]
    """
    x, mask = _token_arrays(x, mask, name="x")
    kept = x[mask]
    mean, deviation = kept.mean(), _deviation(kept, axis=0, ddof=0)
    if deviation <= EQUAL * scale:
        return np.zeros_like(x) if shift else np.where(mask, x, 0.0)
    white = (x - mean) / deviation + (0.0 if shift else mean)
    return np.where(mask, white, 0.0)


def _deviation(x, axis, ddof):
    """Standard deviation, 0 where only rounding is left of it."""
    equal = np.ptp(x, axis=axis) <= EQUAL * np.abs(x).max(axis=axis)
    return np.where(equal, 0.0, x.std(axis=axis, ddof=ddof))


def _groups(scores, group_size):
    scores = _finite("scores", scores)
    if scores.ndim != 1 or not scores.size:
        raise ValueError(f"scores: expected (B,), got shape {scores.shape}")
    if group_size < 2 or len(scores) % group_size:
        raise ValueError(
            "group_size: expected at least 2 and a divisor of "
            f"{len(scores)} scores, got {group_size}"
        )
    return scores.reshape(-1, group_size)


def _token_arrays(x, mask, name="rewards"):
    mask = np.asarray(mask, dtype=np.float64)
    if mask.ndim != 2 or not mask.size:
        raise ValueError(f"mask: expected (B, T), got shape {mask.shape}")
    ones_then_zeros = np.isin(mask, (0, 1)).all() and (np.diff(mask, axis=1) <= 0).all()
    if not ones_then_zeros or not mask[:, 0].all():
        raise ValueError(
            "mask: expected ones (at least one) and then zeros in every row"
        )
    x = np.asarray(x, dtype=np.float64)
    if x.shape != mask.shape:
        raise ValueError(
            f"{name}: expected the shape of mask {mask.shape}, got {x.shape}"
        )
    mask = mask > 0
    return _finite(name, np.where(mask, x, 0.0)), mask


def _finite(name, values, shape=None):
    values = np.asarray(values, dtype=np.float64)
    if shape is not None and values.shape != shape:
        raise ValueError(f"{name}: expected shape {shape}, got {values.shape}")
    if not np.isfinite(values).all():
        raise ValueError(f"{name}: expected finite numbers, got {values}")
    return values


def _unit_interval(name, value):
    if not 0 <= value <= 1:
        raise ValueError(f"{name}: expected a number in [0, 1], got {value}")
