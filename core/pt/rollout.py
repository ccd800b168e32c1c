"""Sampling completions, a whole batch at each step.

B batch, P prompt length, T completion length, V vocabulary.
"""

from __future__ import annotations

from functools import partial

import numpy as np
import torch

from core.pt.logprobs import sampling_logits
from core.sampling import check_arguments, finished, gumbel_noise
from core.types import Rollout

_KEPT_SHARE = 0.75  # the batch shrinks when so few of its rows go on


@torch.inference_mode()
def sample(
    policy,
    prompts,
    max_length,
    noise=None,
    eos_id=None,
    pad_id=0,
    temperature=1.0,
    top_k=None,
    top_p=1.0,
    group_size=1,
    prompt_mask=None,
    seed=None,
):
    """Sample completions by the Gumbel-max trick, or take the best tokens.

    argmax(log π + noise) is a draw from π where the noise is Gumbel(0, 1), so
    the same noise gives the same tokens in both frameworks.  Each prompt is
    read once for its group.  Completions that have ended leave the batch
    while the others go on.

    Args:
        policy: a policy of `core.pt.models` or `core.tf.models`.
        prompts: (N, P) int, P ≥ 1, token ids in [0, V).
        max_length: T ≥ 1.
        noise: (B, T, V) float, standard Gumbel, B = N · group_size.
        eos_id: the token that ends a completion; None: all have length T.
        pad_id: fills a row after its EOS.
        temperature: > 0, of the distribution that is sampled.
        top_k, top_p: what of it is kept, as in `logprobs.sampling_logits`.
        group_size: G ≥ 1, completions of each prompt, one after the other.
        prompt_mask: (N, P), 0 on padding at the left; None: no padding.
        seed: int; the framework draws the noise itself, step by step, where
            (B, T, V) is too large or nothing is compared.  Without `noise`
            and `seed` the most probable token is taken.
    Returns: NumPy completions (B, T) int64, logprobs (B, T) nats under the
        sampled distribution, mask (B, T) up to and including the EOS.
    Raises: ValueError for arguments outside these ranges.
    Source: Maddison, Tarlow, Minka 2014 (arXiv:1411.0030).
    """
    batch = check_arguments(
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
    )
    weight = policy.embedding.weight
    tensor = partial(torch.as_tensor, device=weight.device)
    noise = None if noise is None else tensor(noise, dtype=weight.dtype)
    mask = None if prompt_mask is None else tensor(prompt_mask)
    generator = None
    if seed is not None:
        generator = torch.Generator(weight.device).manual_seed(seed)
    logits, state = policy.start(
        tensor(prompts, dtype=torch.int64), max_length, mask, group_size
    )
    rows = torch.arange(batch, device=weight.device)  # those in the batch
    completions = rows.new_full((batch, max_length), pad_id)
    logprobs = weight.new_zeros(batch, max_length)
    done = torch.zeros_like(rows, dtype=torch.bool)
    for t in range(max_length):
        scores = torch.log_softmax(
            sampling_logits(logits, temperature, top_k, top_p), dim=-1
        )
        here = None if noise is None else noise[rows, t]
        tokens = _draw(scores, here, generator)
        completions[rows, t] = tokens
        logprobs[rows, t] = scores.gather(-1, tokens[:, None])[:, 0]
        if t == max_length - 1:
            break
        if eos_id is not None:
            done = done | (tokens == eos_id)
            going = (~done).nonzero()[:, 0]
            if not len(going):
                break
            if len(going) <= _KEPT_SHARE * len(rows):
                state = policy.keep(state, going)
                rows, tokens, done = rows[going], tokens[going], done[going]
        logits, state = policy.step(tokens, state)
    return finished(completions.cpu().numpy(), logprobs.cpu().numpy(), eos_id, pad_id)


def rollout(policy, env, rows, rng=None, temperature=1.0, group_size=1, epsilon=None):
    """Answer prompts of an environment and collect the rewards.

    Args:
        policy: a policy of `core.pt.models` or `core.tf.models`.
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
    rows, noise = np.asarray(rows), None
    if rng is not None:
        shape = len(rows) * group_size, env.max_length
        noise = gumbel_noise(rng, (*shape, env.vocab_size), epsilon)
    prompt_mask = None if env.prompt_mask is None else env.prompt_mask[rows]
    completions, logprobs, mask = sample(
        policy,
        env.prompts[rows],
        env.max_length,
        noise,
        env.eos_id,
        env.pad_id,
        temperature,
        group_size=group_size,
        prompt_mask=prompt_mask,
    )
    rows = rows.repeat(group_size)
    return Rollout(
        env.prompts[rows],
        completions,
        mask,
        logprobs,
        env.rewards(completions, mask, rows),
        env.terminated(completions, mask),
        rows,
        None if env.prompt_mask is None else env.prompt_mask[rows],
    )


def _draw(scores, noise, generator):
    """Tokens (rows,) for log-probabilities (rows, V)."""
    if noise is not None:
        return (scores + noise).argmax(dim=-1)
    if generator is None:
        return scores.argmax(dim=-1)
    # The distribution function inverted: one random number a row, not V.
    total = scores.exp().cumsum(dim=-1)
    share = 1 - torch.rand(
        len(scores), 1, generator=generator, device=scores.device, dtype=scores.dtype
    )  # in (0, 1]: a token of probability 0 is never reached
    return torch.searchsorted(total, share * total[:, -1:])[:, 0]
