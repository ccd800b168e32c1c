"""Sampling completions, a whole batch at each step.

N prompts, B completions, P prompt, T completion length, V vocabulary.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import tensorflow as tf

from core import checks, sampling
from core.sampling import check_distribution, checked_noise, checked_prompts
from core.tf.layers import compiled
from core.tf.logprobs import sampling_logits

_SMALLEST = 32  # a batch shrinks by halves to this; each size is compiled


def sample(
    policy: Any,
    prompts,
    max_length: int,
    noise=None,
    eos_id: int | Sequence[int] | None = None,
    pad_id: int = 0,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float = 1.0,
    group_size: int = 1,
    prompt_mask=None,
    seed: int | None = None,
    epsilon: float | None = None,
):
    """Sample completions by the Gumbel-max trick, or take the best tokens.

    argmax(log π + noise) is a draw from π where the noise is Gumbel(0, 1), so the same
    noise gives the same tokens in both frameworks.  Each prompt is read once for its
    group.  The batch shrinks while completions end; how soon a row leaves it differs
    between the frameworks, and changes a result only where `seed` draws the noise.

    Args:
        policy: a policy of the same framework's `models`.
        prompts: (N, P) int, P ≥ 1, token ids in [0, V).
        max_length: T ≥ 1.
        noise: (B, T, V) float, standard Gumbel, B = N · group_size.
        eos_id: the token that ends a completion, or several; None: all have length T.
        pad_id: fills a row after its EOS; below V, as eos_id.
        temperature: > 0, of the distribution that is sampled.
        top_k, top_p: what of it is kept, as in `logprobs.sampling_logits`.
        group_size: G ≥ 1, completions of each prompt, one after the other.
        prompt_mask: (N, P), 0 on padding at the left; None: no padding.
        seed: int ≥ 0; the framework draws the noise, step by step, not (B, T, V) at
            once.  Without `noise` and `seed` the most probable token is taken.
        epsilon: in [0, 1], with `seed`: the share of tokens that are drawn uniformly
            from what is kept; the others are the most probable ones.
    Returns: NumPy completions (B, T) int64, logprobs (B, T) nats under the
        sampled distribution, mask (B, T) up to and including the EOS.
    Raises: ValueError for arguments outside these ranges, and for logits that are NaN.
    Source: Maddison, Tarlow, Minka 2014 (arXiv:1411.0030).
    """
    prompts, mask = checked_prompts(policy, prompts, prompt_mask)
    checks.whole(1, max_length=max_length, group_size=group_size)
    ends = checks.ends(policy.vocab_size, eos_id)
    checks.finite(pad_id=pad_id)  # not None
    checks.token_id(policy.vocab_size, pad_id=pad_id)
    check_distribution(temperature, top_k, top_p)
    numbers = max_length, group_size, top_k, top_p  # NumPy's are tensors
    max_length, group_size, top_k, top_p = map(checks.plain, numbers)
    shape = len(prompts) * group_size, max_length
    noise, seed = checked_noise(noise, (*shape, policy.vocab_size), seed, epsilon)
    dtype = "float64" if policy.dtype == "float64" else "float32"  # no half precision
    noise = None if noise is None else tf.constant(noise, dtype)
    mask = None if mask is None else tf.constant(mask)
    first = None if seed is None else tf.constant(np.int64(seed).astype(np.int32))
    heat = tf.constant(temperature, dtype)
    share = None if epsilon is None else tf.constant(epsilon, dtype)
    loop = partial(_loop, policy, (ends, heat, top_k, top_p, first, share))
    begun = _start(policy, tf.constant(prompts), max_length, mask, group_size)
    texts, logprobs = _complete(policy, begun, loop, noise, shape)
    return sampling.finished(texts, logprobs, ends, pad_id)


rollout = partial(sampling.rollout, sample)
rollout.__doc__ = sampling.rollout.__doc__


def _complete(policy: Any, begun: tuple, loop: Callable, noise, shape: tuple) -> tuple:
    """Tokens and their log-probabilities, (B, T); 0 in rows that have left."""
    rows, done = np.arange(shape[0]), np.zeros(shape[0], dtype=bool)
    completions = np.zeros(shape, dtype=np.int64)
    logprobs, t = np.zeros(shape), 0
    while True:
        here = noise
        if noise is not None and len(rows) < shape[0]:
            here = tf.gather(noise, rows)
        end, logits, state, done, *kept = loop(
            begun, tf.constant(t), shape[1], tf.constant(done), here
        )
        last, done = int(end), done.numpy()
        for array, values in zip((completions, logprobs), kept):
            array[rows, t : last + 1] = values.numpy()[t : last + 1].T
        if last == shape[1] - 1 or done.all():
            return completions, logprobs.astype(kept[1].dtype.as_numpy_dtype)
        t, size = last, len(rows)
        while size >= 2 * _SMALLEST and (~done).sum() <= size // 2:
            size //= 2
        going = np.argsort(done, kind="stable")[:size]  # some have ended
        state = policy.keep(state, tf.constant(going, tf.int32))
        begun = tf.gather(logits, going), state
        rows, done = rows[going], done[going]


@partial(compiled, xla=True)
def _start(policy: Any, *arguments):
    return policy.start(*arguments)


@partial(compiled, xla=True)
def _loop(policy: Any, settings: tuple, begun: tuple, t, length: int, done, noise):
    """The compiled loop of `sample`, until the batch should shrink."""
    logits, state = begun
    ends, temperature, top_k, top_p, seed, epsilon = settings
    rows, dtype = logits.shape[0], temperature.dtype
    halves = policy._compiled and rows >= 2 * _SMALLEST
    least = rows // 2 if halves else 0  # go on while more rows than this do
    array = partial(tf.TensorArray, size=length, element_shape=(rows,))
    kept = [array(tf.int64), array(dtype)]

    def draw(t, logits, kept):
        logits = tf.cast(logits, dtype)
        scores = tf.nn.log_softmax(sampling_logits(logits, temperature, top_k, top_p))
        # Not noise[:, t]: to XLA its t is a constant, each t a new program.
        here = None if noise is None else tf.gather(noise, t, axis=1)
        tokens = _draw(scores, here, seed, t, epsilon)
        chosen = tf.gather(scores, tokens, batch_dims=1)
        return tokens, [a.write(t, x) for a, x in zip(kept, (tokens, chosen))]

    def running(t, logits, state, done, kept):
        going = tf.reduce_sum(tf.cast(~done, tf.int32))
        return (t < length - 1) & (going > least)

    def turn(t, logits, state, done, kept):
        tokens, kept = draw(t, logits, kept)
        for end in ends:
            done = done | (tokens == end)
        logits, state = policy.step(tokens, state)
        return t + 1, logits, state, done, kept

    start = t, logits, state, done, kept
    t, logits, state, done, kept = tf.while_loop(running, turn, start)
    # The last token needs no step after it.  Where the loop has ended before,
    # this draw is drawn again, or stands behind an EOS.
    _, kept = draw(t, logits, kept)
    return t, logits, state, done, *[a.stack() for a in kept]


def _draw(scores, noise, seed, t, epsilon=None):
    """Tokens (rows,) for log-probabilities (rows, V)."""
    if noise is not None:
        return tf.argmax(scores + noise, axis=-1)
    if seed is None:
        return tf.argmax(scores, axis=-1)
    # The distribution function inverted: one random number a row, not V.
    share = 1 - tf.random.stateless_uniform(
        (scores.shape[0], 1), tf.stack([seed, t]), dtype=scores.dtype
    )  # in (0, 1]: a token of probability 0 is never reached
    probs = tf.exp(scores)
    if epsilon is not None:
        kept = tf.cast(tf.math.is_finite(scores), scores.dtype)
        best = tf.one_hot(tf.argmax(scores, axis=-1), scores.shape[1], dtype=kept.dtype)
        uniform = kept / tf.reduce_sum(kept, axis=-1, keepdims=True)
        probs = epsilon * uniform + (1 - epsilon) * best
    # A parallel sum may grow, by rounding, also where a probability is 0.
    total = tf.where(probs > 0, tf.cumsum(probs, axis=-1), tf.zeros_like(probs))
    reached = total >= share * tf.reduce_max(total, axis=-1, keepdims=True)
    places = tf.range(scores.shape[1], dtype=tf.int64)
    return tf.reduce_min(tf.where(reached, places, places[-1]), axis=-1)  # the first
