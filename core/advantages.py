"""Advantages: what a token is worth, each kind with its formula.

NumPy, as advantages and what a network should predict are constants to the optimizer.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from core import checks, returns
from core.types import Rollout


class Advantage(checks.Record):
    """Called with a batch, it gives the advantages and a network's targets.

    Args of the call:
        batch: Rollout of B rows and T positions.
        gamma: discount per token.
        predicted: what `predicts` names, finite: "baseline" b(X) of each prompt, (B,);
            "greedy" the return of its greedy text, (B,); "values" V of the state before
            each token and after the last, (B, T + 1); or None.
    Returns: advantages (B, T), 0 where the mask is; targets (B,), (B, T), or None.

    A new kind defines `_worth`; one that compares a prompt's texts is an `OfGroups` and
    defines `_among`, (B,) to (B,), with its arithmetic in `core.returns`.  A new name
    in `predicts` needs a case in `PolicyGradientTrainer.predict`.
    """

    predicts: str | None = None  # what the trainer has to predict for it
    size: int = 1  # completions of each prompt, one after the other

    def _worth(self, batch: Rollout, gamma: float, predicted) -> tuple:
        raise NotImplementedError

    def __call__(self, batch: Rollout, gamma: float, predicted=None):
        rows, length = batch.mask.shape
        shapes = {"values": (rows, length + 1), "baseline": (rows,), "greedy": (rows,)}
        if shape := shapes.get(self.predicts or ""):
            predicted = checks.finite_array("predicted", predicted, shape)
        worth, targets = self._worth(batch, gamma, predicted)
        return worth * batch.mask, targets


@dataclass(frozen=True)
class Return(Advantage):
    """The return itself, with nothing subtracted.

    total: each token gets the whole text's return; else that from it on.
    Source: Williams 1992.
    """

    total: bool = False

    def _worth(self, batch: Rollout, gamma: float, predicted):
        return _returns(batch, gamma, self.total), None


@dataclass(frozen=True)
class BatchMean(Advantage):
    """Less the mean return at the same position over the batch.

    total: as for `Return`.
    leave_one_out: the mean leaves the row itself out: unbiased.
    """

    total: bool = False
    leave_one_out: bool = False

    def _worth(self, batch: Rollout, gamma: float, predicted):
        worth, mask = _returns(batch, gamma, self.total), batch.mask
        total, count = (worth * mask).sum(axis=0), mask.sum(axis=0)
        if self.leave_one_out:
            total, count = total - worth * mask, count - mask
        return worth - total / np.maximum(count, 1), None


@dataclass(frozen=True)
class Greedy(Advantage):
    """Less the return of the prompt's greedy text (ReMax): unbiased.

    Source: Li et al. 2023, arXiv:2310.10505; Rennie et al. 2017, arXiv:1612.00563.
    """

    predicts = "greedy"

    def _worth(self, batch: Rollout, gamma: float, predicted):
        return _returns(batch, gamma, total=True) - predicted[:, None], None


@dataclass(frozen=True)
class Learned(Advantage):
    """Less b(X), the prediction of a baseline network for the prompt.

    total: as for `Return`.
    value_coef: weight of the network's loss.
    value_clip: how far a prediction may move in a batch; None: as it likes.
    Source: document 001 §4.2.
    """

    total: bool = False
    value_coef: float = 0.5
    value_clip: float | None = None
    predicts = "baseline"

    def _check(self) -> None:
        checks.at_least(0, value_coef=self.value_coef, value_clip=self.value_clip)

    def _worth(self, batch: Rollout, gamma: float, predicted):
        worth = _returns(batch, gamma, self.total)
        targets = _returns(batch, gamma, total=False)[:, 0]
        return worth - predicted[:, None], targets


@dataclass(frozen=True)
class Critic(Advantage):
    """Generalised advantage estimation with the policy's own values.

    A text that the limit cut off is bootstrapped: the value of the state after its last
    token stands for what was still to come.  With γ = 1 and rewards that would go on
    for ever, the values then have no bound.

    lam: λ in [0, 1], from one step (0) to the whole return (1).
    value_coef, value_clip: as for `Learned`.
    Source: Schulman et al. 2016, arXiv:1506.02438.
    """

    lam: float = 1.0
    value_coef: float = 0.5
    value_clip: float | None = None
    predicts = "values"

    def _check(self) -> None:
        checks.unit_interval(lam=self.lam)
        checks.at_least(0, value_coef=self.value_coef, value_clip=self.value_clip)

    def _worth(self, batch: Rollout, gamma: float, predicted):
        lengths = batch.mask.sum(axis=1).astype(int)
        after = predicted[np.arange(len(batch)), lengths]
        after, values = np.where(batch.terminated, 0.0, after), predicted[:, :-1]
        arrays = batch.rewards, values, batch.mask
        worth = returns.gae(*arrays, gamma, self.lam, bootstrap=after)
        return worth, worth + values


class OfGroups(Advantage):
    """The whole text's return, compared within its prompt's group.

    size: G ≥ 2.
    """

    def _among(self, scores, batch: Rollout):
        raise NotImplementedError

    def _check(self) -> None:
        checks.at_least(2, size=self.size)

    def _worth(self, batch: Rollout, gamma: float, predicted):
        scores = _returns(batch, gamma, total=False)[:, 0]
        return self._among(scores, batch)[:, None], None


@dataclass(frozen=True)
class Group(OfGroups):
    """Less the group's mean: the gradient of `LeaveOneOut` times 1 - 1/G.

    scale: divided by the group's deviation.
    Source: scaled, GRPO: Shao et al. 2024, arXiv:2402.03300; not scaled,
        Dr. GRPO: Liu et al. 2025, arXiv:2503.20783.
    """

    size: int = 8
    scale: bool = False

    def _among(self, scores, batch: Rollout):
        return returns.group_advantages(scores, self.size, self.scale)


@dataclass(frozen=True)
class LeaveOneOut(OfGroups):
    """Less the mean of the group's other texts: unbiased.

    Source: Ahmadian et al. 2024 (RLOO), arXiv:2402.14740.
    """

    size: int = 8

    def _among(self, scores, batch: Rollout):
        return scores - returns.leave_one_out(scores, self.size)


@dataclass(frozen=True)
class MinimumRisk(OfGroups):
    """Each text counts by its share Q ∝ π^sharpness of the group.

    sharpness: > 0, the paper's α.
    Source: Shen et al. 2016, arXiv:1512.02433.
    """

    size: int = 8
    sharpness: float = 5e-3

    def _check(self) -> None:
        super()._check()
        checks.positive(sharpness=self.sharpness)

    def _among(self, scores, batch: Rollout):
        logprobs = batch.logprobs.sum(axis=1)
        return returns.risk_advantages(scores, logprobs, self.size, self.sharpness)


class Wrapper(Advantage):
    """Another advantage, `of`, changed; the rest is that one's."""

    of: Advantage

    def _check(self) -> None:
        found = f"of: expected an advantage, got {self.of!r}"
        checks.require(isinstance(self.of, Advantage), found)

    @property
    def predicts(self) -> str | None:
        return self.of.predicts

    @property
    def size(self) -> int:
        return self.of.size


@dataclass(frozen=True)
class Whitened(Wrapper):
    """Shifted and scaled to mean 0 and deviation 1 over the batch's tokens."""

    of: Advantage

    def _worth(self, batch: Rollout, gamma: float, predicted):
        worth, targets = self.of(batch, gamma, predicted)
        scale = np.abs(_returns(batch, gamma, total=False)).max()
        return returns.whiten(worth, batch.mask, scale=scale), targets


@dataclass(frozen=True)
class WhitenedRewards(Wrapper):
    """The same of rewards scaled to deviation 1; their mean is kept."""

    of: Advantage

    def _worth(self, batch: Rollout, gamma: float, predicted):
        scaled = returns.whiten(batch.rewards, batch.mask, shift=False)
        return self.of(replace(batch, rewards=scaled), gamma, predicted)


def _returns(batch: Rollout, gamma: float, total: bool):
    """The whole text's return or that from each token on, (B, T)."""
    kind = returns.total_returns if total else returns.discounted_returns
    return kind(batch.rewards, batch.mask, gamma)


def unwrapped(advantage: Advantage) -> Any:
    """The advantage inside of wrappers."""
    while isinstance(advantage, Wrapper):
        advantage = advantage.of
    return advantage
