"""An algorithm is four records: advantage, surrogate, aggregate, pull.

A record is frozen, checks its own numbers and is data, which a checkpoint compares.
Advantages stand in `core.advantages`.  The gradient flows through the other three:
`policy_loss` of `core.pt.objective` and `core.tf.objective` turns them into a loss.
CONTRIBUTING.md says what a new kind changes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from core import checks
from core.advantages import (
    Advantage,
    Critic,
    Greedy,
    Group,
    LeaveOneOut,
    MinimumRisk,
    Return,
    Whitened,
)

LEVELS = ("token", "sequence", "length_normalised")
ESTIMATORS = ("k1", "k2", "k3")

# --- Surrogates: a term for each token -------------------------------------


@dataclass(frozen=True)
class Plain(checks.Record):
    """A log π, whose gradient is the policy gradient."""


@dataclass(frozen=True)
class Ratio(checks.Record):
    """A surrogate with a ratio ρ = π / μ of the policy and the one that sampled.

    level: LEVELS: of a token, of a whole text, or of a text to the power 1 / length.
    low, high: the bounds 1 - low and 1 + high; beyond them a token counts as "clipped".
    """

    level: str = "token"
    low: float = 0.2
    high: float = 0.2

    def _check(self) -> None:
        checks.one_of(LEVELS, level=self.level)
        checks.at_least(0, low=self.low, high=self.high)


@dataclass(frozen=True)
class Clipped(Ratio):
    """min(ρ A, clip(ρ, 1 - low, 1 + high) A).

    Source: PPO, Schulman et al. 2017, arXiv:1707.06347; of texts: GSPO, Zheng et al.
        2025, arXiv:2507.18071.
    """


@dataclass(frozen=True)
class ClippedWeight(Ratio):
    """sg(clip(ρ, 1 - low, 1 + high)) A log π: no token loses its gradient.

    Source: CISPO, MiniMax 2025, arXiv:2506.13585.
    """


# --- Aggregates: one number ------------------------------------------------


class Aggregate(checks.Record):
    """How the terms of all tokens become one number."""

    how: ClassVar[str]  # its name in `losses.AGGREGATIONS`

    def tokens(self, limit: int) -> int | None:
        """The length by which sums are divided, `limit` that of a text."""
        return None


@dataclass(frozen=True)
class SequenceSum(Aggregate):
    """The sum over a text's tokens, then the mean over texts."""

    how = "sequence_sum"


@dataclass(frozen=True)
class SequenceMean(Aggregate):
    """The mean over a text's tokens, then the mean over texts."""

    how = "sequence_mean"


@dataclass(frozen=True)
class TokenMean(Aggregate):
    """The mean over all tokens of the batch."""

    how = "token_mean"


@dataclass(frozen=True)
class ConstantLength(Aggregate):
    """The sum over a text's tokens by one length, then the mean over texts.

    length: tokens; None is the environment's limit.
    """

    length: int | None = None
    how = "constant"

    def _check(self) -> None:
        checks.at_least(1, length=self.length)

    def tokens(self, limit: int) -> int | None:
        return self.length or limit


# --- The pull towards a reference ------------------------------------------


@dataclass(frozen=True)
class KL(checks.Record):
    """An estimate of KL(π‖π_ref) at each token.

    k1 belongs in the reward and k2 or k3 in the loss, as k1 in the loss has no mean
    gradient and k2 or k3 in the reward feed on themselves.

    estimator: ESTIMATORS, of `core.pt.logprobs` and `core.tf.logprobs`.
    coef: reward per nat.
    where: "reward": it is subtracted there; "loss": its gradient.
    """

    estimator: str
    coef: float = 0.05
    where: str = "reward"

    def _check(self) -> None:
        checks.one_of(ESTIMATORS, estimator=self.estimator)
        checks.one_of(("reward", "loss"), where=self.where)
        checks.at_least(0, coef=self.coef)


# --- The four together -----------------------------------------------------


@dataclass(frozen=True)
class Algorithm(checks.Record):
    """What is weighed, by what, how it is averaged, what pulls it back."""

    advantage: Advantage = Return()
    surrogate: Plain | Ratio = Plain()
    aggregate: Aggregate = SequenceSum()
    pull: KL | None = None

    def _check(self) -> None:
        for name, kinds in (
            ("advantage", Advantage),
            ("surrogate", (Plain, Ratio)),
            ("aggregate", Aggregate),
            ("pull", (KL, type(None))),
        ):
            value = getattr(self, name)
            wanted = f"{name}: expected such a record of core.algorithms, got {value!r}"
            checks.require(isinstance(value, kinds), wanted)


_GROUP, _CLIPPED = Group(8, scale=True), Clipped("token", 0.2, 0.2)
_KL_OF_PPO = KL("k1", 0.05, "reward")
# The algorithms by name, with the papers' numbers where they have one.
ALGORITHMS = {
    # Williams 1992
    "REINFORCE": Algorithm(),
    # Mnih et al. 2016, arXiv:1602.01783, with GAE
    "A2C": Algorithm(Critic(lam=0.95), aggregate=TokenMean()),
    # Schulman et al. 2017, arXiv:1707.06347; with the KL in the reward as in
    # Ouyang et al. 2022, arXiv:2203.02155
    "PPO": Algorithm(
        Whitened(Critic(lam=0.95, value_clip=0.2)), _CLIPPED, TokenMean(), _KL_OF_PPO
    ),
    # Ahmadian et al. 2024, arXiv:2402.14740: REINFORCE, without a ratio
    "RLOO": Algorithm(LeaveOneOut(8), pull=_KL_OF_PPO),
    # The same as TRL's trainer has it, with the ratio of whole texts
    "RLOO (TRL)": Algorithm(
        LeaveOneOut(8), Clipped("sequence", 0.2, 0.2), SequenceMean(), _KL_OF_PPO
    ),
    # Li et al. 2023, arXiv:2310.10505, with the KL of its experiments left
    # out; self-critical training, Rennie et al. 2017, arXiv:1612.00563
    "ReMax": Algorithm(Greedy()),
    # Shen et al. 2016, arXiv:1512.02433
    "Minimum risk": Algorithm(MinimumRisk(8, sharpness=5e-3)),
    # Shao et al. 2024, arXiv:2402.03300
    "GRPO": Algorithm(_GROUP, _CLIPPED, SequenceMean(), KL("k3", 0.04, "loss")),
    # Liu et al. 2025, arXiv:2503.20783
    "Dr. GRPO": Algorithm(Group(8), _CLIPPED, ConstantLength()),
    # Yu et al. 2025, arXiv:2503.14476
    "DAPO": Algorithm(_GROUP, Clipped("token", 0.2, 0.28), TokenMean()),
    # Zheng et al. 2025, arXiv:2507.18071
    "GSPO": Algorithm(_GROUP, Clipped("length_normalised", 3e-4, 4e-4), SequenceMean()),
    # MiniMax 2025, arXiv:2506.13585, which has no lower bound; the upper one:
    # Khatri et al. 2025, arXiv:2510.13786
    "CISPO": Algorithm(_GROUP, ClippedWeight("token", 1.0, 4.0), TokenMean()),
}
# What these papers ask of a training beside their four records.
TRAINING = {"PPO": {"epochs": 4}, "DAPO": {"resample": 4}}
