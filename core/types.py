"""Records that modules exchange: a batch of sampled texts, and pairs, one preferred.

B batch, P prompt length, T completion length.  Arrays here are NumPy: they
are constants to the optimizer, and both frameworks read them.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, fields
from typing import Any, Self

import numpy as np

from core import checks

REWARD_LEVELS = ("sequence", "token")


MASK_OF = {"prompts": "prompt_mask", "completions": "mask"}
MASK_OF |= {"chosen": "chosen_mask", "rejected": "rejected_mask"}


class Rows:
    """What both records share: B rows, each of one prompt, and a choice of them."""

    prompts: np.ndarray
    prompt_mask: Any

    def __len__(self) -> int:
        return len(self.prompts)

    def take(self, index) -> Self:
        """The rows `index` (any NumPy index over B) as a new record."""
        return type(self)(**{name: array[index] for name, array in vars(self).items()})

    def _check(self, texts: str, *masks: str, **ids: Any) -> tuple[int, ...]:
        """The shape (B, T) of the texts; ValueError unless masks and prompts fit it,
        and for ids, these and further ones, that are no integers of at least 0."""
        ids |= {texts: getattr(self, texts), "prompts": self.prompts}
        checks.integers(**ids)
        shape, before = np.shape(ids[texts]), np.shape(self.prompts)
        checks.require(len(shape) == 2, f"{texts}: expected (B, T), got {shape}")
        fits = len(before) == 2 and before[0] == shape[0]
        checks.require(fits, f"prompts: expected ({shape[0]}, P), got {before}")
        if self.prompt_mask is None:
            self.prompt_mask = np.ones(before)
        checks.flags("prompt_mask", self.prompt_mask, before)
        for name in masks:
            mask = getattr(self, name)
            checks.shape(shape, texts, **{name: mask})
            if len(mask):  # a choice of no rows is none
                checks.mask(name, mask)
        for name, x in ids.items():  # behind a mask stands anything
            seen = getattr(self, MASK_OF.get(name, ""), None)
            x = np.asarray(x) if seen is None else np.asarray(x)[np.asarray(seen) > 0]
            checks.at_least(0, **{name: np.min(x, initial=0)})
        return shape


@dataclass
class Rollout(Rows):
    """B completions sampled from one policy, with their token rewards.

    The log-probabilities are those of the distribution that was sampled (temperature
    included); they and the rewards are 0 where mask is 0.  A text is not terminated
    where the length limit cut it off before the end that the task asks for.
    Raises: ValueError for another shape, numbers that are not finite, another mask.
    """

    prompts: np.ndarray  #: (B, P) int64, token ids; one length per batch
    completions: np.ndarray  #: (B, T) int64, `pad_id` after the first EOS
    mask: np.ndarray  #: (B, T) float, 1 up to and including the first EOS, then 0
    logprobs: np.ndarray  #: (B, T) float, nats
    rewards: np.ndarray  #: (B, T) float
    terminated: np.ndarray  #: (B,) bool
    rows: np.ndarray  #: (B,) int64, which prompt of the environment each row answers
    prompt_mask: Any = None  #: (B, P), 0 on padding at the left, or all 1

    def __post_init__(self) -> None:
        shape = self._check("completions", "mask", rows=self.rows)
        checks.finite_array("logprobs", self.logprobs, shape)
        checks.finite_array("rewards", self.rewards, shape)
        checks.flags("terminated", self.terminated, shape[:1])
        checks.shape(shape[:1], rows=self.rows)

    @staticmethod
    def concatenate(rollouts: Collection[Rollout]) -> Rollout:
        """Rollouts of equal P and T, one after the other."""
        columns = [[getattr(r, f.name) for r in rollouts] for f in fields(Rollout)]
        return Rollout(*map(np.concatenate, columns))


@dataclass
class Preferences(Rows):
    """B pairs of completions, each of one prompt, the better one first.

    Raises: ValueError where shapes differ or a text has no token.
    """

    prompts: np.ndarray  #: (B, P) int64
    chosen: np.ndarray  #: (B, T) int64; what follows the first EOS is not read
    chosen_mask: np.ndarray  #: (B, T), 1 up to and including the first EOS, then 0
    rejected: np.ndarray  #: as chosen
    rejected_mask: np.ndarray  #: as chosen_mask
    prompt_mask: Any = None  #: (B, P), 0 on padding at the left, or all 1

    def __post_init__(self) -> None:
        checks.integers(chosen=self.chosen, rejected=self.rejected)
        checks.shape(np.shape(self.chosen), "chosen", rejected=self.rejected)
        masks = "chosen_mask", "rejected_mask"
        self._check("chosen", *masks, rejected=self.rejected)
