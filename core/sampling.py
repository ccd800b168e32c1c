"""What sampling shares between the frameworks: the checks of its arguments, its noise,
the form of its result, and `rollout`, which asks an environment for the rewards.

N prompts, B completions, B / N of each in turn; P, T their lengths, V vocabulary.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from core import checks
from core.types import Rollout

NOISES = ("host", "device")


def rollout(
    sample: Callable,
    policy: Any,
    env: Any,
    rows,
    rng: np.random.Generator | None = None,
    temperature: float = 1.0,
    group_size: int = 1,
    epsilon: float | None = None,
    noise: str = "host",
) -> Rollout:
    """Answer prompts of an environment and collect the rewards.

    Args:
        sample: that of `core.pt.rollout` or `core.tf.rollout`, whose `rollout` has it.
        policy: a policy of the same framework's `models`.
        env: `core.batched.BatchedEnvironment`.
        rows: (N,) int, which prompts; `env.sample` draws them.
        rng: NumPy generator of the noise; None is greedy.
        temperature: > 0.
        group_size: G ≥ 1, completions of each prompt, one after the other.
        epsilon: in [0, 1], the share of tokens that are drawn uniformly; the others are
            the best ones, `logprobs` the policy's.  None: draws from the policy.
        noise: "host": (B, T, V) from NumPy, so that both frameworks sample the same
            tokens; "device": `sample` has a seed from rng, and draws a number a token.
    Returns: Rollout of N · G rows; each ends as `env.stopped` says.
    Raises: ValueError for an unknown row, an epsilon without rng, and as `sample`.
    """
    checks.whole(1, group_size=group_size)
    checks.one_of(NOISES, noise=noise)
    rows = checks.ids("rows", [rows], len(env))[0]
    shape = len(rows) * group_size, env.max_length, env.vocab_size
    drawn, seed = _noise(rng, shape, epsilon, noise == "device")
    mask, repeated = env.prompt_mask, rows.repeat(group_size)
    task = env.prompts[rows], env.max_length, drawn, env.ends, env.pad_id, temperature
    given: dict = {"group_size": group_size, "seed": seed}
    given["epsilon"] = None if seed is None else epsilon
    given["prompt_mask"] = None if mask is None else mask[rows]
    found = sample(policy, *task, **given)
    completions, logprobs, kept = env.stopped(*found) if env.stop else found
    paid = env.rewards(completions, kept, repeated)
    ended = env.terminated(completions, kept)
    shown = None if mask is None else mask[repeated]
    texts = env.prompts[repeated], completions, kept, logprobs
    return Rollout(*texts, paid, ended, repeated, shown)


def _noise(rng: Any, shape: tuple, epsilon: float | None, device: bool) -> tuple:
    """Noise and seed for `sample`, of which at most one is not None."""
    if rng is None and epsilon is None:
        return None, None
    if not device:
        return gumbel_noise(rng, shape, epsilon), None  # type: ignore[arg-type]
    _check_generator(rng)
    return None, int(rng.integers(2**32))  # type: ignore[union-attr]


def checked_prompts(policy: Any, prompts, prompt_mask) -> tuple:
    """Prompts that the policy can read, 0 on padding; a mask, None without padding."""
    checks.integers(prompts=prompts)
    if prompt_mask is not None:
        prompt_mask = check_prompt_mask(prompt_mask, np.shape(prompts))
        prompts = np.where(prompt_mask > 0, prompts, 0)
        prompt_mask = None if prompt_mask.all() else prompt_mask
    # A policy may read prompts that are no texts, as numbers of recordings.
    size = getattr(policy, "prompt_vocab_size", policy.vocab_size)
    return checks.ids("prompts", prompts, size), prompt_mask


def group_size(model: Any, prompts, completions, prompt_mask=None) -> int:
    """B / N, where a model can read these tensors; a compiled graph passes unread."""
    size = checks.group_size(prompts, completions)
    if prompt_mask is not None:
        checks.real(prompt_mask=prompt_mask)
    texts: Any = prompts, prompt_mask
    if hasattr(prompts, "numpy"):
        texts = [x.cpu() if hasattr(x, "cpu") else x for x in (*texts, completions)]
        checked_prompts(model, *texts[:2])
        checks.ids("completions", texts[2], model.vocab_size)
    return size


def checked_texts(
    tensor: Callable, model: Any, prompts, completions, mask, prompt_mask=None
) -> list:
    """What a model reads, made by `tensor`; the prompt mask as above.

    Behind a row's last 1 of the mask (B, T) ids may be any, and become 0.
    Raises: ValueError for other ids outside the vocabulary, another shape or mask.
    """
    prompts, prompt_mask = checked_prompts(model, prompts, prompt_mask)
    checks.integers(completions=completions)
    mask = checks.finite_array("mask", mask, np.shape(completions))
    checks.require(mask.ndim == 2, f"completions: expected (B, T), got {mask.shape}")
    checks.require(np.isin(mask, (0, 1)).all(), "mask: expected zeros and ones")
    read = np.cumsum(mask[:, ::-1], axis=1)[:, ::-1] > 0
    completions = np.where(read, completions, 0)
    completions = checks.ids("completions", completions, model.vocab_size)
    checks.group_size(prompts, completions)
    texts = prompts, completions, mask, prompt_mask
    return [text if text is None else tensor(text) for text in texts]


def checked_noise(noise, shape: tuple, seed: int | None, epsilon=None) -> tuple:
    """Noise as finite numbers (B, T, V), or the seed as 32 bits; ValueError for both,
    and for an epsilon without a seed or outside [0, 1].

    No generator of the frameworks reads more: a seed from 2³² on is hashed.
    """
    if epsilon is not None:
        checks.unit_interval(epsilon=epsilon)
        wanted = f"epsilon: expected None without a seed, got {epsilon}"
        checks.require(seed is not None, wanted)
    if noise is not None:
        checks.require(seed is None, f"seed: expected None beside noise, got {seed}")
        return checks.finite_array("noise", noise, shape), None
    checks.integer(0, seed=seed)
    if seed is not None and seed >= 2**32:
        seed = np.random.SeedSequence(int(seed)).generate_state(1)[0]
    return None, seed if seed is None else int(seed)


def check_distribution(temperature: float, top_k=None, top_p: float = 1.0) -> None:
    """Raise ValueError for what `logprobs.sampling_logits` cannot take."""
    checks.positive(temperature=temperature)
    checks.integer(1, top_k=top_k)
    checks.share(top_p=top_p)


def check_prompt_mask(mask, shape: tuple):
    """The mask as float64; ValueError unless each row is zeros and then ones."""
    mask = checks.finite_array("prompt_mask", mask, shape)
    holds = np.isin(mask, (0, 1)).all() and (np.diff(mask) >= 0).all()
    wanted = "prompt_mask: expected in each row zeros on padding at the left, then ones"
    checks.require(holds and mask[:, -1].all(), wanted)
    return mask


def finished(completions, logprobs, eos_id: Any, pad_id: int) -> tuple:
    """Sampled rows, cut off after the first EOS of each.

    Args:
        completions: (B, T) int, anything after the first EOS.
        logprobs: (B, T) float.
        eos_id, pad_id: as for `rollout.sample`.
    Returns: completions, logprobs and mask, (B, T) each.
    Raises: ValueError where a token has no finite log-probability: a logit is NaN.
    """
    ends = np.isin(completions, checks.ends(2**63, eos_id))
    ended = np.cumsum(ends, axis=1) > ends  # after it
    logprobs = np.where(ended, 0, logprobs).astype(logprobs.dtype)
    wanted = "policy: expected finite logits (-inf where it excludes a token)"
    checks.require(np.isfinite(logprobs).all(), f"{wanted}, got others")
    completions = np.where(ended, pad_id, completions)
    return completions, logprobs, (~ended).astype(logprobs.dtype)


def gumbel_noise(rng: np.random.Generator, shape: tuple, epsilon: float | None = None):
    """Noise with which `sample` explores, of shape (B, T, V).

    Standard Gumbel noise draws from the policy.  With `epsilon`, in [0, 1], that share
    of the tokens gets so much of it that they are uniform draws, and the others none,
    so that they are the best ones (ε-greedy).
    """
    _check_generator(rng)
    noise = rng.gumbel(size=shape)
    if epsilon is None:
        return noise
    checks.unit_interval(epsilon=epsilon)
    explore = rng.random((*shape[:-1], 1)) < epsilon
    return np.where(explore, 1e6 * noise, 0.0)


def _check_generator(rng: Any) -> None:
    known = isinstance(rng, np.random.Generator)
    checks.require(known, f"rng: expected a NumPy generator, got {rng!r:.60}")
