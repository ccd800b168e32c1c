"""Sampling completions, a whole batch at each step.

N prompts, B completions, P prompt, T completion length, V vocabulary.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch

from core import checks, sampling
from core.pt.logprobs import sampling_logits
from core.sampling import check_distribution, checked_noise, checked_prompts

_KEPT_SHARE = 0.75  # the batch shrinks when so few of its rows go on


@torch.inference_mode()
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
    shape = len(prompts) * group_size, max_length
    noise, seed = checked_noise(noise, (*shape, policy.vocab_size), seed, epsilon)
    weight = policy.embedding.weight
    tensor = partial(torch.as_tensor, device=weight.device)
    dtype = torch.promote_types(weight.dtype, torch.float32)  # not in half precision
    noise, mask = (x if x is None else tensor(x, dtype=dtype) for x in (noise, mask))
    generator = None
    if seed is not None:
        generator = torch.Generator(weight.device).manual_seed(seed)

    def draw(logits, rows, t):
        logits = sampling_logits(logits.to(dtype), temperature, top_k, top_p)
        scores = torch.log_softmax(logits, dim=-1)
        here = None if noise is None else noise[rows, t]
        tokens = _draw(scores, here, generator, epsilon)
        return tokens, scores.gather(-1, tokens[:, None])[:, 0]

    begun = policy.start(tensor(prompts), max_length, mask, group_size)
    texts = [x.cpu().numpy() for x in _complete(policy, begun, draw, shape, ends)]
    return sampling.finished(*texts, ends, pad_id)


rollout = partial(sampling.rollout, sample)
rollout.__doc__ = sampling.rollout.__doc__


def _complete(policy, begun: tuple, draw: Callable, shape: tuple, ends) -> tuple:
    """Tokens and their log-probabilities, (B, T); 0 in rows that have left."""
    logits, state = begun
    rows = torch.arange(shape[0], device=logits.device)  # those in the batch
    dtype = torch.promote_types(logits.dtype, torch.float32)
    completions, logprobs = rows.new_zeros(shape), rows.new_zeros(shape, dtype=dtype)
    done, over = torch.zeros_like(rows, dtype=torch.bool), rows.new_tensor(ends)
    for t in range(shape[1]):
        tokens, scores = draw(logits, rows, t)
        completions[rows, t], logprobs[rows, t] = tokens, scores
        if t == shape[1] - 1:
            break
        if ends:
            done = done | torch.isin(tokens, over)
            going = (~done).nonzero()[:, 0]
            if not len(going):
                break
            if len(going) <= _KEPT_SHARE * len(rows):
                state = policy.keep(state, going)
                rows, tokens, done = rows[going], tokens[going], done[going]
        logits, state = policy.step(tokens, state)
    return completions, logprobs


def _draw(scores, noise, generator: torch.Generator | None, epsilon=None):
    """Tokens (rows,) for log-probabilities (rows, V)."""
    if noise is not None:
        return (scores + noise).argmax(dim=-1)
    if generator is None:
        return scores.argmax(dim=-1)
    # The distribution function inverted: one random number a row, not V.
    share = 1 - torch.rand(
        len(scores), 1, generator=generator, device=scores.device, dtype=scores.dtype
    )  # in (0, 1]: a token of probability 0 is never reached
    probs = scores.exp()
    if epsilon is not None:
        kept = scores.isfinite().to(scores)
        uniform = kept / kept.sum(dim=-1, keepdim=True)
        best = torch.nn.functional.one_hot(scores.argmax(dim=-1), scores.shape[1])
        probs = epsilon * uniform + (1 - epsilon) * best
    # A parallel sum may grow, by rounding, also where a probability is 0.
    total = torch.where(probs > 0, probs.cumsum(dim=-1), 0)
    reached = total >= share * total.amax(dim=-1, keepdim=True)
    return reached.int().argmax(dim=-1)  # the first
