"""The records that pass between the modules: a batch of sampled completions,
and pairs of which one is preferred.

B batch, P prompt length, T completion length.  Arrays here are NumPy: they
are constants to the optimizer, and both frameworks read them.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

REWARD_LEVELS = ("sequence", "token")


@dataclass
class Rollout:
    """B completions sampled from one policy, with their token rewards.

    prompts: (B, P) int64, token ids; one length per batch.
    completions: (B, T) int64, `pad_id` after the first EOS.
    mask: (B, T) float, 1 up to and including the first EOS, then 0.
    logprobs: (B, T) float, nats: log-probabilities under the distribution
        that was sampled (temperature included); 0 where mask is 0.
    rewards: (B, T) float; 0 where mask is 0.
    terminated: (B,) bool, False where the length limit cut the text off
        before the end that the task asks for.
    rows: (B,) int64, which prompt of the environment each row answers.
    prompt_mask: (B, P) float, 0 on padding at the left; default all ones.
    """

    prompts: np.ndarray
    completions: np.ndarray
    mask: np.ndarray
    logprobs: np.ndarray
    rewards: np.ndarray
    terminated: np.ndarray
    rows: np.ndarray
    prompt_mask: np.ndarray | None = None

    def __post_init__(self):
        shape = np.shape(self.completions)
        if self.prompt_mask is None:
            self.prompt_mask = np.ones(np.shape(self.prompts))
        if len(shape) != 2:
            raise ValueError(f"completions: expected (B, T), got {shape}")
        for name in ("mask", "logprobs", "rewards"):
            value = np.asarray(getattr(self, name))
            if value.shape != shape:
                raise ValueError(
                    f"{name}: expected the shape of completions {shape}, "
                    f"got {value.shape}"
                )
            if not np.isfinite(value).all():
                raise ValueError(f"{name}: expected finite numbers")
        if np.shape(self.prompt_mask) != np.shape(self.prompts):
            raise ValueError(
                "prompt_mask: expected the shape of prompts "
                f"{np.shape(self.prompts)}, got {np.shape(self.prompt_mask)}"
            )
        for name in ("prompts", "terminated", "rows"):
            if len(getattr(self, name)) != shape[0]:
                raise ValueError(
                    f"{name}: expected {shape[0]} rows, got {len(getattr(self, name))}"
                )
        mask = np.asarray(self.mask)
        if not (np.isin(mask, (0, 1)).all() and (np.diff(mask) <= 0).all()):
            raise ValueError("mask: expected ones and then zeros")
        if not mask.any(axis=1).all():
            raise ValueError("mask: every row needs at least one token")

    def __len__(self):
        return len(self.completions)

    def take(self, index):
        """The rows `index` (any NumPy index over B) as a new Rollout."""
        return Rollout(*(getattr(self, f.name)[index] for f in fields(self)))

    @staticmethod
    def concatenate(rollouts):
        """Rollouts of equal P and T, one after the other."""
        return Rollout(
            *(
                np.concatenate([getattr(r, f.name) for r in rollouts])
                for f in fields(Rollout)
            )
        )


@dataclass
class Preferences:
    """B pairs of completions, each of one prompt, the better one first.

    prompts: (B, P) int64.
    chosen, rejected: (B, T) int64; what follows the first EOS is not read.
    chosen_mask, rejected_mask: (B, T) float, 1 up to and including the first
        EOS, then 0.
    prompt_mask: (B, P) float, 0 on padding at the left; default all ones.
    Raises: ValueError where shapes differ or a text has no token.
    """

    prompts: np.ndarray
    chosen: np.ndarray
    chosen_mask: np.ndarray
    rejected: np.ndarray
    rejected_mask: np.ndarray
    prompt_mask: np.ndarray | None = None

    def __post_init__(self):
        shape, before = np.shape(self.chosen), np.shape(self.prompts)
        if self.prompt_mask is None:
            self.prompt_mask = np.ones(before)
        if len(shape) != 2:
            raise ValueError(f"chosen: expected (B, T), got {shape}")
        if len(before) != 2 or before[0] != shape[0]:
            raise ValueError(f"prompts: expected ({shape[0]}, P), got {before}")
        for name, expected in (
            ("chosen_mask", shape),
            ("rejected", shape),
            ("rejected_mask", shape),
            ("prompt_mask", before),
        ):
            if np.shape(getattr(self, name)) != expected:
                raise ValueError(
                    f"{name}: expected the shape {expected}, "
                    f"got {np.shape(getattr(self, name))}"
                )
        for name in ("chosen_mask", "rejected_mask"):
            mask = np.asarray(getattr(self, name))
            ones = np.isin(mask, (0, 1)).all() and mask.any(axis=1).all()
            if not (ones and (mask[:, 1:] <= mask[:, :-1]).all()):
                raise ValueError(f"{name}: expected ones, at least one, and then zeros")

    def __len__(self):
        return len(self.chosen)

    def take(self, index):
        """The pairs `index` (any NumPy index over B) as new Preferences."""
        return Preferences(*(getattr(self, f.name)[index] for f in fields(self)))


def check_level(level):
    """ValueError unless a reward model is read at this level."""
    if level not in REWARD_LEVELS:
        raise ValueError(f"level: expected one of {REWARD_LEVELS}, got {level!r}")
