"""What a run is doing: its history and a batch as numbers, and the signs of what often
goes wrong.  The limits are rules of thumb and no theory; each sign says where it stood.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from core import checks
from core.returns import discounted_returns
from core.types import Rollout

# metric: (the side on which it is a sign, limit, what it means)
LIMITS = {
    "entropy": ("below", 0.05, "the policy writes nearly the same text each time"),
    "kl": ("above", 1.0, "the policy is far from its reference, in nats a token"),
    "clipped": ("above", 0.3, "the step is larger than the clip lets through"),
    "informative": ("below", 0.2, "most groups have equal returns and no gradient"),
    "ess": ("below", 0.1, "few old texts carry the weight of a reused batch"),
    "cut off": ("above", 0.5, "most texts reach the length limit before their end"),
    "effective share": ("below", 0.9, "sampler and trainer score a text differently"),
    "explained": ("below", 0.0, "the critic is worse than a constant"),
}
NEEDED = "return", "length", "grad_norm"  # of a history
LONGER, SPIKE = 1.5, 10.0  # of lengths, last to first; of gradients, to the median


@dataclass(frozen=True)
class Sign:
    """One thing to look at."""

    name: str  #: the metric, as the history or the batch calls it
    value: float
    limit: float
    meaning: str


@dataclass(frozen=True)
class Report:
    """What `report` returns."""

    curves: dict[str, np.ndarray]  #: a metric of the history, one number a step
    ends: dict[str, tuple[float, float]]  #: its means over the first and last steps
    batch: dict[str, float]  #: what the batch adds
    signs: tuple[Sign, ...]


def report(
    history: Sequence[dict],
    batch: Rollout | None = None,
    group_size: int = 1,
    logprobs: Any = None,
    values: Any = None,
    gamma: float = 1.0,
) -> Report:
    """Metrics of a policy-gradient run, and which of them are signs of a fault.

    Args:
        history: the trainer's, at least one step.
        batch: `trainer.batch`, or any other.
        group_size: G; its rows are groups of as many texts of one prompt.
        logprobs: (B, T), nats: the batch's tokens as the trainer scores them.
        values: (B, T), a critic's V before each token.
        gamma: the discount of what it predicts.
    Returns: `Report`; without a batch its numbers are of the history alone.
    Raises: ValueError for an empty history, steps of different metrics, arrays that do
        not fit the batch, or one of them without it.
    """
    with checks.about("history: expected a list", TypeError):
        history = list(history)
    checks.at_least(1, history=len(history))
    names = [name for name in history[0] if name != "step"]
    equal = all(set(step) >= {*names, *NEEDED} for step in history)
    wanted = f"history: expected {', '.join(dict.fromkeys([*NEEDED, *names]))}"
    checks.require(equal, f"{wanted} in every step")
    curves = {name: np.array([step[name] for step in history]) for name in names}
    for curve in curves.values():
        checks.finite_array("history", curve, (len(history),))
    few = -(-len(history) // 10)  # a tenth of the steps, at least one
    ends = {
        n: (float(c[:few].mean()), float(c[-few:].mean())) for n, c in curves.items()
    }
    alone = batch is not None or logprobs is None and values is None
    checks.require(alone, "batch: expected one beside logprobs or values, got None")
    found = {} if batch is None else of_batch(batch, group_size, logprobs)
    if batch is not None and values is not None:
        found["explained"] = explained(batch, values, gamma)
    signs = of_run(curves, ends, few)
    for name, value in ({n: last for n, (_, last) in ends.items()} | found).items():
        side, limit, meaning = LIMITS.get(name, ("", np.nan, ""))
        if (value < limit) if side == "below" else (value > limit):
            signs.append(Sign(name, value, limit, meaning))
    return Report(curves, ends, found, tuple(signs))


def of_batch(batch: Rollout, group_size: int = 1, logprobs: Any = None) -> dict:
    """Returns, texts and lengths of a batch as numbers; arguments as for `report`.

    "effective share" is (Σw)² / (B Σw²) of the texts' weights w = π/π_sampled.
    """
    mask, returns = batch.mask, batch.rewards.sum(axis=1)
    texts = np.hstack([batch.prompts, np.where(mask > 0, batch.completions, -1)])
    found = {
        "spread": float(returns.std()),
        "different texts": len(np.unique(texts, axis=0)) / len(batch),
        "longest": float(mask.sum(axis=1).max()),
        "cut off": float(1 - np.mean(batch.terminated)),
    }
    checks.whole(1, group_size=group_size)
    if group_size > 1:
        checks.groups(group_size, len(batch))
        groups = returns.reshape(-1, group_size)
        found["spread in groups"] = float(groups.std(axis=1).mean())
    if logprobs is not None:
        checks.finite_array("logprobs", logprobs, mask.shape)
        logs = ((np.asarray(logprobs) - batch.logprobs) * mask).sum(axis=1)
        weights = np.exp(logs - logs.max())  # the share is that of any multiple
        share = weights.sum() ** 2 / (len(batch) * (weights**2).sum())
        found["effective share"] = float(share)
    return found


def explained(batch: Rollout, values: Any, gamma: float = 1.0) -> float:
    """The share of the variance of the returns-to-go that a critic's values explain:
    1 - Var(G - V) / Var(G) over the tokens; 0 for a constant, 1 for the returns.

    Args: as for `report`.
    """
    checks.finite_array("values", values, batch.mask.shape)
    seen = batch.mask > 0
    goals = discounted_returns(batch.rewards, batch.mask, gamma)[seen]
    error = goals - np.asarray(values)[seen]
    return float(1 - error.var() / max(goals.var(), 1e-12))


def of_run(curves: dict, ends: dict, few: int) -> list[Sign]:
    """Signs that need more of a curve than its end; see `report`."""
    signs = []
    returns = curves["return"]
    spread = returns[:few].var() + returns[-few:].var()
    noise = float(2 * np.sqrt(spread / few))
    gain = ends["return"][1] - ends["return"][0]
    if len(returns) >= 10 and gain <= noise:
        meaning = "the return does not rise beyond its own noise"
        signs.append(Sign("return", gain, noise, meaning))
    growth = ends["length"][1] / ends["length"][0]
    if not 1 / LONGER <= growth <= LONGER:
        meaning = "the texts grow or shrink: by the reward, or for want of an end"
        signs.append(Sign("length", growth, LONGER, meaning))
    norms = curves["grad_norm"]
    moved = norms[norms > 1e-9]  # groups of equal returns alone have no gradient
    spike = float(moved.max() / np.median(moved)) if len(moved) else 0.0
    if spike > SPIKE:
        meaning = "single steps have gradients far above the others"
        signs.append(Sign("grad_norm", spike, SPIKE, meaning))
    before, after = ends.get("value_loss", (0.0, 0.0))
    if after > before:
        signs.append(Sign("value_loss", after, before, "the critic's error grows"))
    return signs
