"""Sampling completions, a whole batch at each step.

B batch, P prompt length, T completion length, V vocabulary.
"""

from __future__ import annotations

from functools import partial

import numpy as np
import tensorflow as tf

from core.types import Rollout


def sample(policy, prompts, max_length, noise=None, eos_id=None, pad_id=0,
           temperature=1.0):
    """Sample completions by the Gumbel-max trick, or take the best tokens.

    argmax(log π + noise) is a draw from π where the noise is Gumbel(0, 1), so
    the same noise gives the same tokens in both frameworks.

    Args:
        policy: a policy of `core.pt.models` or `core.tf.models`.
        prompts: (B, P) int, P ≥ 1, token ids in [0, V).
        max_length: T ≥ 1.
        noise: (B, T, V) float, standard Gumbel; None is greedy.
        eos_id: the token that ends a completion; None: all have length T.
        pad_id: fills a row after its EOS.
        temperature: > 0, of the distribution that is sampled.
    Returns: NumPy completions (B, T) int64, logprobs (B, T) nats under the
        sampled distribution, mask (B, T) up to and including the EOS.
    Source: Maddison, Tarlow, Minka 2014 (arXiv:1411.0030).
    """
    prompts, noise = _checked(policy, prompts, max_length, noise, temperature)
    if not hasattr(policy, "compiled_loop"):  # freed with the policy
        policy.compiled_loop = tf.function(partial(_loop, policy))
    out = policy.compiled_loop(
        tf.constant(prompts), tf.constant(noise, policy.dtype),
        eos_id, pad_id, tf.constant(temperature, policy.dtype),
    )
    completions, logprobs, mask = (tensor.numpy() for tensor in out)
    return completions, logprobs, mask.astype(logprobs.dtype)


def _loop(policy, prompts, noise, eos_id, pad_id, temperature):
    """The compiled loop of `sample`: one token of every row a turn."""
    batch, length = noise.shape[:2]
    logits, state = policy.start(prompts, length)
    kept = [
        tf.TensorArray(dtype, size=length, element_shape=(batch,))
        for dtype in (tf.int64, noise.dtype, tf.bool)
    ]

    def running(t, logits, state, done, kept):
        return (t < length) & ~tf.reduce_all(done)

    def turn(t, logits, state, done, kept):
        logprobs = tf.nn.log_softmax(logits / temperature)  # (B, V)
        tokens = tf.argmax(logprobs + noise[:, t], axis=-1)  # (B,)
        chosen = tf.gather(logprobs, tokens, batch_dims=1)
        tokens = tf.where(done, tf.constant(pad_id, tf.int64), tokens)
        row = tokens, tf.where(done, tf.zeros_like(chosen), chosen), ~done
        kept = [array.write(t, value) for array, value in zip(kept, row)]
        if eos_id is not None:
            done = done | (tokens == eos_id)
        logits, state = policy.step(tokens, state)
        return t + 1, logits, state, done, kept

    start = (0, logits, state, tf.zeros(batch, tf.bool), kept)
    kept = tf.while_loop(running, turn, start)[-1]
    tokens, logprobs, mask = (tf.transpose(a.stack()) for a in kept)
    return tf.where(mask, tokens, pad_id), logprobs, mask


def rollout(policy, env, rows, rng=None, temperature=1.0):
    """Answer prompts of an environment and collect the rewards.

    Args:
        policy: a policy of `core.pt.models` or `core.tf.models`.
        env: `core.envs.BatchedEnvironment`.
        rows: (B,) int, which prompts; `env.sample` draws them.
        rng: NumPy generator of the noise; None is greedy.
        temperature: > 0.
    Returns: Rollout.
    """
    prompts, noise = env.prompts[rows], None
    if rng is not None:
        noise = rng.gumbel(size=(len(rows), env.max_length, env.vocab_size))
    completions, logprobs, mask = sample(
        policy, prompts, env.max_length, noise, env.eos_id, env.pad_id,
        temperature,
    )
    ended = np.ones(len(rows), dtype=bool)
    if env.eos_id is not None:
        ended = ((completions == env.eos_id) & (mask > 0)).any(axis=1)
    rewards = env.rewards(completions, mask, rows)
    return Rollout(prompts, completions, mask, logprobs, rewards, ended, rows)


def _checked(policy, prompts, max_length, noise, temperature):
    """The arguments as arrays, or an error that names the wrong one."""
    prompts, vocab = np.asarray(prompts), policy.vocab_size
    if prompts.ndim != 2 or not prompts.size or prompts.dtype.kind not in "iu":
        raise ValueError(
            f"prompts: expected int (B, P) with B, P ≥ 1, "
            f"got {prompts.dtype} {prompts.shape}"
        )
    if prompts.min() < 0 or prompts.max() >= vocab:
        raise ValueError(f"prompts: expected token ids in [0, {vocab})")
    if not temperature > 0:
        raise ValueError(
            f"temperature: expected a positive number, got {temperature}"
        )
    if max_length < 1:
        raise ValueError(f"max_length: expected at least 1, got {max_length}")
    shape = (len(prompts), max_length, vocab)
    noise = np.zeros(shape) if noise is None else np.asarray(noise)
    if noise.shape != shape or not np.isfinite(noise).all():
        raise ValueError(
            f"noise: expected finite numbers {shape}, got {noise.shape}"
        )
    return prompts, noise
