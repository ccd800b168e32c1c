"""Log-probabilities of tokens, entropy, KL divergence to a reference policy, and its
estimates k1, k2, k3 (Schulman 2020, "Approximating KL Divergence").  All in nats.

B batch, T completion length, V vocabulary.
"""

import math
from collections.abc import Callable
from functools import partial

import torch
from torch.utils.checkpoint import checkpoint

from core import checks
from core.algorithms import ESTIMATORS
from core.sampling import check_distribution

LOGITS_AT_ONCE = 2**24  # of large vocabularies, scored in chunks
# Nats: a ratio is at most exp(20) = 4.9e8, without a gradient beyond.  float32 has none
# above 89 nats, and 0 · inf is NaN.  verl bounds log-ratios by 20, too.
LARGEST_LOG_RATIO = 20.0


def alike(**tensors) -> list:
    """Tensors of one shape in the first one's precision, at least float32.

    If the last one is called mask, all are 0 where it is 0, so that what stands there,
    NaN too, reaches no value and no gradient.  ValueError for other shapes and, but
    in a compiled graph, for a mask of other numbers than 0 and 1.
    """
    checks.real(**tensors)
    checks.same_shape(**tensors)
    found = [torch.as_tensor(x) for x in tensors.values()]
    dtype = torch.promote_types(found[0].dtype, torch.float32)
    found = [x.to(dtype) for x in found]
    if "mask" not in tensors:
        return found
    mask = found[-1]
    if not torch.compiler.is_compiling() and not ((mask == 0) | (mask == 1)).all():
        raise ValueError(f"mask: expected 0 or 1, got {mask}")
    return [torch.where(mask > 0, x, 0) for x in found]


def sampling_logits(logits, temperature=1.0, top_k: int | None = None, top_p=1.0):
    """Logits of the distribution that is sampled.

    Divided by the temperature; then all but the `top_k` most probable tokens are
    excluded; then all but the smallest set of most probable tokens that holds at least
    `top_p` of what is left, up to 1 part in 100,000, as sums of probabilities are
    rounded.  Tokens of equal probability stay or go together.

    Args:
        logits: (..., V) float.
        temperature: > 0.
        top_k: ≥ 1, or None for all tokens.
        top_p: in (0, 1].
    Returns: (..., V) float, the largest 0; -inf for an excluded token, whose
        probability and share of the entropy are exactly 0.
    Raises: ValueError for arguments outside these ranges.
    Source: top-k: Fan, Lewis, Dauphin 2018, arXiv:1805.04833; top-p:
        Holtzman et al. 2020, arXiv:1904.09751.
    """
    checks.real(logits=logits)
    check_distribution(temperature, top_k, top_p)
    whole, tiny = logits, torch.finfo(logits.dtype).tiny
    # At most 0 before it is divided: the largest stays 0 at any temperature.
    logits = logits - logits.detach().amax(dim=-1, keepdim=True)
    logits = logits / max(temperature, tiny)
    if top_k is not None and top_k < logits.shape[-1]:
        least = whole.topk(top_k, dim=-1).values[..., -1:]
        logits = logits.masked_fill(whole < least, -torch.inf)
    if top_p < 1:
        ordered = logits.detach().sort(dim=-1, descending=True).values
        probs = ordered.softmax(dim=-1)
        before = probs.cumsum(dim=-1) - probs  # of the more probable tokens
        enough = max(top_p * (1 - 1e-5), tiny)
        kept = ordered.masked_fill(before >= enough, torch.inf)
        least = kept.amin(dim=-1, keepdim=True)
        logits = logits.masked_fill(logits < least, -torch.inf)
    return logits


def token_logprobs(logits, tokens, temperature: float = 1.0):
    """log π(token) under the distribution softmax(logits / temperature).

    What is scored must be what was sampled: give the sampler's temperature.

    Args:
        logits: (B, T, V) float.
        tokens: (B, T) int.
        temperature: > 0.
    Returns: (B, T) float, nats.
    """
    checks.chosen("logits", logits, tokens=tokens)
    if temperature != 1:
        logits = sampling_logits(logits, temperature)
    logprobs = torch.log_softmax(logits, dim=-1)
    return logprobs.gather(-1, tokens[..., None])[..., 0]


def entropy(logits):
    """Entropy of each next-token distribution, -Σ π log π, with 0 log 0 = 0.

    Args:
        logits: (B, T, V) float.
    Returns: (B, T) float, nats, between 0 and log V.
    """
    checks.real(logits=logits)
    logprobs = torch.log_softmax(logits, dim=-1)
    finite = logprobs.masked_fill(logprobs == -torch.inf, 0)
    return -(logprobs.exp() * finite).sum(dim=-1)


def token_scores(
    logits_of: Callable, features, tokens, size, temperature=1.0, top_k=None, top_p=1.0
):
    """Log-probabilities of tokens and entropies, a chunk of logits at a time.

    All logits (M, V) of a large vocabulary would take more memory than the
    model.  The backward pass computes those of a chunk again.

    Args:
        logits_of: features (n, D) to logits (n, V).
        features: (M, D) float.
        tokens: (M,) int.
        size: M · V or an upper limit; at most LOGITS_AT_ONCE make a chunk.
        temperature, top_k, top_p: the sampler's, as in `sampling_logits`.
    Returns: logprobs (M,), entropies (M,), nats.
    """
    chunks = max(1, math.ceil(size / LOGITS_AT_ONCE))

    def score(features, tokens):
        logits = sampling_logits(logits_of(features), temperature, top_k, top_p)
        return token_logprobs(logits, tokens), entropy(logits)

    if chunks > 1 and torch.is_grad_enabled():
        score = partial(checkpoint, score, use_reentrant=False)
    parts = zip(features.tensor_split(chunks), tokens.tensor_split(chunks))
    scores = zip(*[score(*part) for part in parts])
    return tuple(torch.cat(column) for column in scores)


def kl_exact(logits, ref_logits):
    """KL(π‖π_ref) of each next-token distribution, summed over V.

    As Σ [π_ref - π - π log(π_ref / π)], the same sum, of which no term is below 0.

    Args:
        logits, ref_logits: (B, T, V) float.
    Returns: (B, T) float, nats, ≥ 0; inf where π_ref excludes what π does not.
    """
    logits, ref_logits = alike(logits=logits, ref_logits=ref_logits)
    logprobs = torch.log_softmax(logits, dim=-1)
    ref_logprobs = torch.log_softmax(ref_logits, dim=-1)
    pi, pi_ref = logprobs.exp(), ref_logprobs.exp()
    d = torch.where(pi > 0, ref_logprobs - logprobs, 1)  # π = 0 leaves π_ref
    terms = torch.where(d < 1, pi * _excess(d.clamp(max=1)), pi_ref - pi - pi * d)
    return terms.sum(dim=-1)


def _excess(d):
    """exp(d) - 1 - d ≥ 0, of which near 0 only the series has digits."""
    x = d.clamp(-0.01, 0.01)
    series = x**2 * (1 / 2 + x * (1 / 6 + x * (1 / 24 + x * (1 / 120 + x / 720))))
    return torch.where(d == x, series, torch.expm1(d) - d)


def kl_k1(logprobs, ref_logprobs):
    """Unbiased one-sample estimate of KL(π‖π_ref); its sign can be negative.

    Args:
        logprobs, ref_logprobs: (B, T) float, of tokens drawn from π.
    Returns: (B, T) float, nats.
    """
    logprobs, ref_logprobs = alike(logprobs=logprobs, ref_logprobs=ref_logprobs)
    return logprobs - ref_logprobs


def kl_k2(logprobs, ref_logprobs):
    """Half the squared log-ratio: low variance, biased, never negative.

    Args and Returns: as for `kl_k1`.
    """
    return 0.5 * kl_k1(logprobs, ref_logprobs) ** 2


def kl_k3(logprobs, ref_logprobs):
    """k1 plus a control variate of mean zero: unbiased, never negative.

    ρ - 1 - log ρ,  ρ = π_ref / π, bounded by LARGEST_LOG_RATIO

    Args and Returns: as for `kl_k1`.
    """
    log_ratio = -kl_k1(logprobs, ref_logprobs)
    return _excess(log_ratio.clamp(max=LARGEST_LOG_RATIO))


def kl_estimate(estimator: str, logprobs, ref_logprobs):
    """KL(π‖π_ref) at each token by `kl_k1`, `kl_k2` or `kl_k3`.

    Args:
        estimator: one of `core.algorithms.ESTIMATORS`.
        logprobs, ref_logprobs: as for `kl_k1`.
    Returns: (B, T) float, nats.
    """
    checks.one_of(ESTIMATORS, estimator=estimator)
    return {"k1": kl_k1, "k2": kl_k2, "k3": kl_k3}[estimator](logprobs, ref_logprobs)
