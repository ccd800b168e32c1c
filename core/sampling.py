"""What sampling shares between the frameworks: the checks of its arguments,
its noise, the form of its result, and `rollout`, which asks an environment
for the rewards.

N prompts, B completions, B / N of each prompt one after the other; P prompt,
T completion length, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from core import checks
from core.types import Rollout


def rollout(
    sample: Callable,
    policy: Any,
    env: Any,
    rows,
    rng: np.random.Generator | None = None,
    temperature: float = 1.0,
    group_size: int = 1,
    epsilon: float | None = None,
) -> Rollout:
    """Answer prompts of an environment and collect the rewards.

    `core.pt.rollout.rollout` and `core.tf.rollout.rollout` are this with their
    own `sample`.

    Args:
        sample: that of `core.pt.rollout` or `core.tf.rollout`.
        policy: a policy of the same framework's `models`.
        env: `core.envs.BatchedEnvironment`.
        rows: (N,) int, which prompts; `env.sample` draws them.
        rng: NumPy generator of the noise; None is greedy.
        temperature: > 0.
        group_size: G ≥ 1, completions of each prompt, one after the other.
        epsilon: in [0, 1], the share of tokens that are drawn uniformly; the
            others are the best ones, and `logprobs` stay those of the policy.
            None: draws from the policy.
    Returns: Rollout of N · G rows.
    """
    checks.at_least(1, group_size=group_size)
    rows, noise = np.asarray(rows), None
    if rng is not None:
        shape = len(rows) * group_size, env.max_length
        noise = gumbel_noise(rng, (*shape, env.vocab_size), epsilon)
    mask, repeated = env.prompt_mask, rows.repeat(group_size)
    completions, logprobs, kept = sample(
        policy,
        env.prompts[rows],
        env.max_length,
        noise,
        env.eos_id,
        env.pad_id,
        temperature,
        group_size=group_size,
        prompt_mask=None if mask is None else mask[rows],
    )
    return Rollout(
        env.prompts[repeated],
        completions,
        kept,
        logprobs,
        env.rewards(completions, kept, repeated),
        env.terminated(completions, kept),
        repeated,
        None if mask is None else mask[repeated],
    )


def check_prompts(policy: Any, prompts, prompt_mask) -> None:
    """Raise ValueError unless a policy can read the prompts (N, P)."""
    # A policy may read prompts that are no texts, as numbers of recordings.
    size = getattr(policy, "prompt_vocab_size", policy.vocab_size)
    shape = checks.ids("prompts", prompts, size).shape
    if prompt_mask is not None:
        check_prompt_mask(prompt_mask, shape)


def check_noise(noise, shape: tuple, seed: int | None) -> None:
    """Raise ValueError unless noise is finite, (B, T, V), without a seed."""
    if noise is None:
        return
    checks.require(seed is None, "seed: expected no seed beside noise")
    checks.require(
        np.shape(noise) == shape and np.isfinite(noise).all(),
        f"noise: expected finite numbers {shape}, got {np.shape(noise)}",
    )


def check_distribution(
    temperature: float, top_k: int | None = None, top_p: float = 1.0
) -> None:
    """Raise ValueError for what `logprobs.sampling_logits` cannot take."""
    checks.positive(temperature=temperature)
    checks.at_least(1, top_k=top_k)
    checks.share(top_p=top_p)


def check_prompt_mask(mask, shape: tuple) -> None:
    """Raise ValueError unless the mask is zeros and then ones in each row."""
    mask = np.asarray(mask)
    checks.require(
        mask.shape == shape
        and np.isin(mask, (0, 1)).all()
        and (np.diff(mask.astype(int)) >= 0).all()
        and mask[:, -1].all(),
        f"prompt_mask: expected {shape}, in each row zeros on padding at the left "
        "and then ones",
    )


def finished(completions, logprobs, eos_id: int | None, pad_id: int) -> tuple:
    """Sampled rows, cut off after the first EOS of each.

    Args:
        completions: (B, T) int, anything after the first EOS.
        logprobs: (B, T) float.
        eos_id, pad_id: as for `rollout.sample`.
    Returns: completions, logprobs and mask, (B, T) each.
    """
    ended = np.zeros(completions.shape, dtype=bool)
    if eos_id is not None:
        ended = np.cumsum(completions == eos_id, axis=1) > 0
        ended = np.pad(ended, ((0, 0), (1, 0)))[:, :-1]  # after it
    return (
        np.where(ended, pad_id, completions),
        np.where(ended, 0, logprobs).astype(logprobs.dtype),
        (~ended).astype(logprobs.dtype),
    )


def gumbel_noise(rng: np.random.Generator, shape: tuple, epsilon: float | None = None):
    """Noise with which `sample` explores, of shape (B, T, V).

    Standard Gumbel noise draws from the policy.  With `epsilon` that share of
    the tokens gets so much of it that they are uniform draws, and the others
    none, so that they are the best ones (ε-greedy).

    Raises: ValueError for an epsilon outside [0, 1].
    """
    noise = rng.gumbel(size=shape)
    if epsilon is None:
        return noise
    checks.unit_interval(epsilon=epsilon)
    explore = rng.random((*shape[:-1], 1)) < epsilon
    return np.where(explore, 1e6 * noise, 0.0)
