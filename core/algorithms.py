"""What an algorithm chooses: settings by its name, and its advantages.

All of it is NumPy, as advantages and targets are constants to the optimizer.
"""

from __future__ import annotations

import numpy as np

from core import returns
from core.types import GROUP_BASELINES

_GROUP = {"returns": "total", "group_size": 8, "ratio": "token"}
# PolicyGradientConfig(**ALGORITHMS["GRPO"]) and what else a training needs.
# Numbers are those of the papers, where they have one.
ALGORITHMS = {
    # Williams 1992
    "REINFORCE": {},
    # Mnih et al. 2016, arXiv:1602.01783, with GAE
    "A2C": {"baseline": "critic", "lam": 0.95, "aggregation": "token_mean"},
    # Schulman et al. 2017, arXiv:1707.06347; with the KL in the reward as in
    # Ouyang et al. 2022, arXiv:2203.02155
    "PPO": {
        "baseline": "critic", "lam": 0.95, "whiten": True, "ratio": "token",
        "aggregation": "token_mean", "epochs": 4, "kl": "k1",
        "value_clip": 0.2,
    },
    # Ahmadian et al. 2024, arXiv:2402.14740
    "RLOO": _GROUP | {
        "baseline": "group_leave_one_out", "ratio": "sequence",
        "aggregation": "sequence_mean", "kl": "k1",
    },
    # Li et al. 2023, arXiv:2310.10505, with the KL of its experiments left
    # out; self-critical training, Rennie et al. 2017, arXiv:1612.00563
    "ReMax": {"returns": "total", "baseline": "greedy"},
    # Shen et al. 2016, arXiv:1512.02433
    "Minimum risk": _GROUP | {
        "baseline": "group_risk", "sharpness": 5e-3, "ratio": "none",
    },
    # Shao et al. 2024, arXiv:2402.03300
    "GRPO": _GROUP | {
        "baseline": "group_scaled", "aggregation": "sequence_mean",
        "kl": "k3", "kl_in": "loss", "kl_coef": 0.04,
    },
    # Liu et al. 2025, arXiv:2503.20783
    "Dr. GRPO": _GROUP | {"baseline": "group", "aggregation": "constant"},
    # Yu et al. 2025, arXiv:2503.14476
    "DAPO": _GROUP | {
        "baseline": "group_scaled", "aggregation": "token_mean",
        "clip_high": 0.28, "resample": 4,
    },
    # Zheng et al. 2025, arXiv:2507.18071
    "GSPO": _GROUP | {
        "baseline": "group_scaled", "ratio": "length_normalised",
        "aggregation": "sequence_mean", "clip_low": 3e-4, "clip_high": 4e-4,
    },
    # MiniMax 2025, arXiv:2506.13585, which has no lower bound; the upper one:
    # Khatri et al. 2025, arXiv:2510.13786
    "CISPO": _GROUP | {
        "baseline": "group_scaled", "aggregation": "token_mean",
        "clip": "weight", "clip_low": 1.0, "clip_high": 4.0,
    },
}


def advantages(batch, config, predicted=None):
    """The advantage of every token, and what a value network should predict.

    The return of a token is either its return-to-go or the whole episode's
    (`config.returns`).  `config.baseline` says what is subtracted:

    - "none": nothing;
    - "mean": the mean return at the same position over the batch;
    - "leave_one_out": the same without the row itself, hence unbiased;
    - "group_leave_one_out": the mean return of the other completions of the
      prompt, as in RLOO: unbiased;
    - "group": the mean of all of them, as in Dr. GRPO: its gradient is that
      of RLOO times 1 - 1/G;
    - "group_scaled": the same, divided by their deviation, as in GRPO;
    - "group_risk": as in minimum-risk training, where each text counts by
      its share Q ∝ π^sharpness of the group: `returns.risk_advantages`;
    - "greedy": the return of the prompt's greedy text, that of the most
      probable tokens, as in ReMax and self-critical training: unbiased;
    - "learned": b(X), one prediction a prompt;
    - "critic": V(s_t), through GAE with `config.lam` (`config.returns` has
      no effect).  A truncated text is bootstrapped, so with γ = 1 and
      rewards that would go on for ever, its values have no bound.

    Args:
        batch: Rollout of B rows and T positions.
        config: PolicyGradientConfig.
        predicted: for "learned" (B,), b of each prompt; for "greedy" (B,),
            the return of its greedy text; for "critic" (B, T+1), V of
            the state before each token and after the last; else None.
    Returns: advantages (B, T); targets for b (B,) or for V (B, T), or None.
    """
    rewards, mask = batch.rewards, batch.mask
    if config.whiten_rewards:
        rewards = returns.whiten(rewards, mask, shift=False)
    to_go = returns.discounted_returns(rewards, mask, config.gamma)
    if config.baseline == "critic":
        # A text that the limit cut off would go on: the value of the state
        # after its last token stands for what was still to come.
        after = predicted[np.arange(len(batch)), mask.sum(axis=1).astype(int)]
        values = predicted[:, :-1]
        adv = returns.gae(
            rewards, values, mask, config.gamma, config.lam,
            bootstrap=np.where(batch.terminated, 0.0, after),
        )
        targets = adv + values
    else:
        adv, targets = to_go, None
        if config.returns == "total":
            adv = returns.total_returns(rewards, mask, config.gamma)
        if config.baseline == "learned":
            adv, targets = adv - predicted[:, None], to_go[:, 0]
        elif config.baseline == "greedy":
            adv = adv - predicted[:, None]
        elif config.baseline in GROUP_BASELINES:
            worth = _in_group(to_go[:, 0], batch, config)
            adv = np.zeros_like(adv) + worth[:, None]
        elif config.baseline != "none":
            own = config.baseline == "mean"
            adv = adv - _position_mean(adv, mask, own)
    adv = adv * mask
    if config.whiten:
        adv = returns.whiten(adv, mask, scale=np.abs(to_go).max())
    return adv, targets


def _in_group(scores, batch, config):
    """What each row's return is worth beside those of its group, (B,)."""
    size = config.group_size
    if config.baseline == "group_risk":
        logprobs = batch.logprobs.sum(axis=1)
        return returns.risk_advantages(
            scores, logprobs, size, config.sharpness
        )
    if config.baseline == "group_leave_one_out":
        return scores - returns.leave_one_out(scores, size)
    scale = config.baseline == "group_scaled"
    return returns.group_advantages(scores, size, scale)


def _position_mean(values, mask, own):
    """Mean over the rows at each position, with or without a row itself."""
    total, count = (values * mask).sum(axis=0), mask.sum(axis=0)
    if not own:
        total, count = total - values * mask, count - mask
    return total / np.maximum(count, 1)
