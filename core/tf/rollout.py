"""Sampling completions, a whole batch at each step.

B batch, P prompt length, T completion length, V vocabulary.
"""

from __future__ import annotations

from functools import partial

import numpy as np
import tensorflow as tf

from core.sampling import check_arguments, finished, gumbel_noise
from core.tf.logprobs import sampling_logits
from core.types import Rollout

_SMALLEST = 32  # a batch shrinks by halves to this; each size is compiled


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
    if not hasattr(policy, "sampler"):  # freed with the policy
        policy.sampler = tuple(
            tf.function(part, jit_compile=policy._compiled, autograph=False)
            for part in (policy.start, partial(_loop, policy))
        )
    start, loop = policy.sampler
    noise = None if noise is None else tf.constant(noise, policy.dtype)
    mask = None if prompt_mask is None else tf.constant(prompt_mask)
    seed = None if seed is None else tf.constant(seed, tf.int32)
    fixed = eos_id, tf.constant(temperature, policy.dtype), top_k, top_p, seed
    logits, state = start(tf.constant(prompts, tf.int64), max_length, mask, group_size)
    rows, done = np.arange(batch), np.zeros(batch, dtype=bool)
    completions = np.full((batch, max_length), pad_id, dtype=np.int64)
    logprobs = np.zeros((batch, max_length), dtype=policy.dtype)
    t = 0
    while True:
        here = noise
        if noise is not None and len(rows) < batch:
            here = tf.gather(noise, rows)
        end, logits, state, done, *kept = loop(
            logits, state, tf.constant(t), max_length, tf.constant(done), here, *fixed
        )
        last, done = int(end), done.numpy()
        for array, values in zip((completions, logprobs), kept):
            array[rows, t : last + 1] = values.numpy()[t : last + 1].T
        if last == max_length - 1 or done.all():
            break
        t, size = last, len(rows)
        while size >= 2 * _SMALLEST and (~done).sum() <= size // 2:
            size //= 2
        going = np.argsort(done, kind="stable")[:size]  # some have ended
        state = policy.keep(state, tf.constant(going, tf.int32))
        logits = tf.gather(logits, going)
        rows, done = rows[going], done[going]
    return finished(completions, logprobs, eos_id, pad_id)


def _loop(
    policy,
    logits,
    state,
    t,
    max_length,
    done,
    noise,
    eos_id,
    temperature,
    top_k,
    top_p,
    seed,
):
    """The compiled loop of `sample`, until the batch should shrink."""
    rows, dtype = logits.shape[0], logits.dtype
    least = 0  # go on while more rows than this do
    if policy._compiled and rows >= 2 * _SMALLEST:
        least = rows // 2
    kept = [
        tf.TensorArray(kind, size=max_length, element_shape=(rows,))
        for kind in (tf.int64, dtype)
    ]

    def draw(t, logits, kept):
        scores = tf.nn.log_softmax(
            sampling_logits(logits / temperature, 1.0, top_k, top_p)
        )
        # Not noise[:, t]: to XLA its t is a constant, each t a new program.
        here = None if noise is None else tf.gather(noise, t, axis=1)
        tokens = _draw(scores, here, seed, t)
        chosen = tf.gather(scores, tokens, batch_dims=1)
        return tokens, [a.write(t, x) for a, x in zip(kept, (tokens, chosen))]

    def running(t, logits, state, done, kept):
        going = tf.reduce_sum(tf.cast(~done, tf.int32))
        return (t < max_length - 1) & (going > least)

    def turn(t, logits, state, done, kept):
        tokens, kept = draw(t, logits, kept)
        if eos_id is not None:
            done = done | (tokens == eos_id)
        logits, state = policy.step(tokens, state)
        return t + 1, logits, state, done, kept

    t, logits, state, done, kept = tf.while_loop(
        running, turn, (t, logits, state, done, kept)
    )
    # The last token needs no step after it.  Where the loop has ended before,
    # this draw is drawn again, or stands behind an EOS.
    _, kept = draw(t, logits, kept)
    return t, logits, state, done, *[array.stack() for array in kept]


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


def _draw(scores, noise, seed, t):
    """Tokens (rows,) for log-probabilities (rows, V)."""
    if noise is not None:
        return tf.argmax(scores + noise, axis=-1)
    if seed is None:
        return tf.argmax(scores, axis=-1)
    # The distribution function inverted: one random number a row, not V.
    total = tf.cumsum(tf.exp(scores), axis=-1)
    share = 1 - tf.random.stateless_uniform(
        (scores.shape[0], 1), tf.stack([seed, t]), dtype=scores.dtype
    )  # in (0, 1]: a token of probability 0 is never reached
    below = total < share * total[:, -1:]
    return tf.reduce_sum(tf.cast(below, tf.int64), axis=-1)
