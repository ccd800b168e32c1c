"""What sampling shares between the frameworks: the check of its arguments,
its noise and the form of its result.
"""

from __future__ import annotations

import numpy as np


def check_arguments(
    policy,
    prompts,
    max_length,
    noise,
    temperature,
    top_k,
    top_p,
    group_size,
    prompt_mask,
    seed,
):
    """The arguments of `rollout.sample`, or an error that names one.

    Returns: B, the number of completions.
    Raises: ValueError.
    """
    prompts, vocab = np.asarray(prompts), policy.vocab_size
    if prompts.ndim != 2 or not prompts.size or prompts.dtype.kind not in "iu":
        raise ValueError(
            f"prompts: expected int (N, P) with N, P ≥ 1, "
            f"got {prompts.dtype} {prompts.shape}"
        )
    # A policy may read prompts that are no texts, as numbers of recordings.
    size = getattr(policy, "prompt_vocab_size", vocab)
    if prompts.min() < 0 or prompts.max() >= size:
        raise ValueError(f"prompts: expected token ids in [0, {size})")
    for name, value in (("max_length", max_length), ("group_size", group_size)):
        if value < 1:
            raise ValueError(f"{name}: expected at least 1, got {value}")
    check_distribution(temperature, top_k, top_p)
    batch = len(prompts) * group_size
    if noise is not None:
        shape, noise = (batch, max_length, vocab), np.asarray(noise)
        if seed is not None:
            raise ValueError("seed: expected no seed beside noise")
        if noise.shape != shape or not np.isfinite(noise).all():
            raise ValueError(
                f"noise: expected finite numbers {shape}, got {noise.shape}"
            )
    if prompt_mask is not None:
        check_prompt_mask(prompt_mask, prompts.shape)
    return batch


def check_distribution(temperature, top_k=None, top_p=1.0):
    """Raise ValueError for what `logprobs.sampling_logits` cannot take."""
    if not temperature > 0:
        raise ValueError(f"temperature: expected a positive number, got {temperature}")
    if top_k is not None and top_k < 1:
        raise ValueError(f"top_k: expected at least 1, got {top_k}")
    if not 0 < top_p <= 1:
        raise ValueError(f"top_p: expected a number in (0, 1], got {top_p}")


def check_prompt_mask(mask, shape):
    """Raise ValueError unless the mask is zeros and then ones in each row."""
    mask = np.asarray(mask)
    if (
        mask.shape != shape
        or not np.isin(mask, (0, 1)).all()
        or (np.diff(mask.astype(int)) < 0).any()
        or not mask[:, -1].all()
    ):
        raise ValueError(
            f"prompt_mask: expected {shape}, in each row zeros on padding at "
            "the left and then ones"
        )


def finished(completions, logprobs, eos_id, pad_id):
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


def gumbel_noise(rng, shape, epsilon=None):
    """Noise with which `sample` explores, of shape (B, T, V).

    Standard Gumbel noise draws from the policy.  With `epsilon` that share of
    the tokens gets so much of it that they are uniform draws, and the others
    none, so that they are the best ones (ε-greedy).

    Raises: ValueError for an epsilon outside [0, 1].
    """
    noise = rng.gumbel(size=shape)
    if epsilon is None:
        return noise
    if not 0 <= epsilon <= 1:
        raise ValueError(f"epsilon: expected in [0, 1], got {epsilon}")
    explore = rng.random((*shape[:-1], 1)) < epsilon
    return np.where(explore, 1e6 * noise, 0.0)
