"""Rewards on token ids, one number a token, and functions that make them from scores.

`f(completions, mask, targets) -> (B, T)`, 0 where mask is 0.  `terminal` makes a token
reward of a score; `potential_shaping` and `potential_difference` make one of
potentials.

B batch, T completion length, L target length.  `mask` (B, T) is 1 up to and including
the first EOS.  Targets (B, L) are padded with 0, which no target contains; where texts
end with EOS, the target does too.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from rapidfuzz.distance import Levenshtein

from core import checks
from core.text import Tokenizer

__all__ = [
    "edit_potentials",
    "potential_difference",
    "potential_shaping",
    "potentials_from_text",
    "terminal",
    "token_cumulative_match",
    "token_edit_progress",
    "token_edit_regret",
    "token_edit_similarity",
    "token_exact_match",
    "token_from_text",
    "token_indicator",
    "token_length",
    "token_overlong",
    "token_position_match",
    "token_repetition",
    "token_weighted_sum",
]

# --- Of token ids and targets ------------------------------------------------


def token_indicator(completions, mask, targets):
    """1 where the token occurs anywhere in the row's target, else 0.

    Document 000's reward: the order does not count, so writing one right token again
    and again earns as much as the whole text.
    """
    completions, mask, targets = _token_arrays(completions, mask, targets)
    found = completions[:, :, None] == targets[:, None, :]  # (B, T, L)
    return (found & (targets != 0)[:, None, :]).any(axis=2) * mask


def token_position_match(completions, mask, targets):
    """1/L where the token is the target's at its position, else 0.

    L is the length of that row's target: the sum over the row is the share of the
    target that is matched, document 001's final similarity.
    """
    completions, mask, targets = _token_arrays(completions, mask, targets)
    limit = mask.shape[1]
    aligned = np.pad(targets, ((0, 0), (0, limit)))[:, :limit]  # (B, T)
    right = (completions == aligned) & (aligned != 0)
    return right * mask / (targets != 0).sum(axis=1, keepdims=True)


def token_cumulative_match(completions, mask, targets):
    """Share of the target matched so far, paid at every token.

    Document 001's reward as printed.  A token that is right at t is paid again at each
    later step, L - t times in all, so early tokens weigh more.
    """
    return token_position_match(completions, mask, targets).cumsum(axis=1) * mask


def token_exact_match(completions, mask, targets):
    """1 on the last token where the whole row equals its target, else 0."""
    mask, pairs = _sequences(completions, mask, targets)
    return terminal([made == wanted for made, wanted in pairs], mask)


def edit_potentials(completions, mask, targets):
    """Φ(s_t) = 1 / (1 + d) between the first t tokens and the target, (B, T + 1).

    d is the Levenshtein distance in tokens.  Φ(s_0) = 1 / (1 + L); states after the
    end keep the value of the last one.
    """
    mask, pairs = _sequences(completions, mask, targets)
    potentials = np.empty((len(mask), mask.shape[1] + 1))
    for row, (made, wanted) in zip(potentials, pairs, strict=True):
        for t in range(len(made) + 1):
            row[t:] = 1 / (1 + Levenshtein.distance(made[:t], wanted))
    return potentials


def token_edit_similarity(completions, mask, targets):
    """What each token adds to 1 / (1 + edit distance to the target).

    The sum over a row is its final similarity minus that of the empty text, which is
    1 / (1 + L).  A token that leads away from the target is paid less than 0.
    """
    return potential_difference(edit_potentials(completions, mask, targets), mask)


def token_edit_progress(completions, mask, targets):
    """What each token costs in edit distance, judged against its own place.

    The difference of Φ(s_t) = -d(first t tokens, first t target tokens) / L; after the
    last token, d is that of the whole target.  A right token costs 0, a wrong one about
    1/L wherever it stands, and stopping early costs all that is missing.  The sum over
    a row is -d / L.  `token_edit_similarity` tells far less: any token of the target
    brings a prefix nearer to it, in whatever order, and 1 / (1 + d) is flat while d is
    large.
    """
    mask, pairs = _sequences(completions, mask, targets)
    distances = np.zeros((len(mask), mask.shape[1] + 1))
    for row, (made, wanted) in zip(distances, pairs, strict=True):
        for t in range(1, len(made) + 1):
            aim = wanted[:t] if t < len(made) else wanted
            row[t] = Levenshtein.distance(made[:t], aim)
    lengths = np.array([[len(wanted)] for _, wanted in pairs])
    return potential_difference(-distances, mask) / lengths


def token_edit_regret(completions, mask, targets):
    """What each token loses of the best edit distance still within reach.

    The difference of Φ(s_t) = -min_j d(first t tokens, first j target tokens) / L, the
    best that a continuation of any length can still make of the text; after the last
    token, d is that of the whole target.  A token that a best continuation begins with
    costs 0, another one 1/L, an early EOS all that is missing: it is Q* - V* of the
    reward -d / L.  The sum over a row is -d / L.  A text that the limit cuts off pays
    for what is missing with its last token.
    Source: the values are those of Sabour, Chan & Norouzi 2019 (optimal completion
        distillation), arXiv:1810.01398.
    """
    completions, mask, targets = _token_arrays(completions, mask, targets)
    lengths = (targets != 0).sum(axis=1, keepdims=True)
    columns = np.arange(targets.shape[1] + 1)
    # distance[b, j]: first t tokens of b to the first j of its target.
    distance = np.broadcast_to(columns, (len(mask), len(columns)))
    least, last = np.zeros((len(mask), mask.shape[1] + 1)), _is_last(mask)
    for t in range(mask.shape[1]):
        wrong = completions[:, t : t + 1] != targets
        replaced = np.minimum(distance[:, :-1] + wrong, distance[:, 1:] + 1)
        replaced = np.insert(replaced, 0, t + 1, axis=1)
        # Skipping target tokens costs 1 each: d[j] = min over i of d[i]+j-i.
        distance = columns + np.minimum.accumulate(replaced - columns, axis=1)
        within = np.where(columns <= lengths, distance, np.inf).min(axis=1)
        whole = np.take_along_axis(distance, lengths, axis=1)[:, 0]
        least[:, t + 1] = np.where(last[:, t], whole, within)
    return potential_difference(-least, mask) / lengths


def token_length(completions, mask, targets):
    """-1 / L for a token beyond the target's length L, else 0.

    The token-level form of a wanted length: each token too many pays as it is written.
    """
    completions, mask, targets = _token_arrays(completions, mask, targets)
    length = (targets != 0).sum(axis=1, keepdims=True)
    return np.where(np.arange(mask.shape[1]) < length, 0.0, -1.0 / length) * mask


def token_overlong(completions, mask, targets, margin: int):
    """What a text loses for being nearly too long, on its last token.

    0 up to T - margin tokens, from there linearly down to -1 at T, the limit on which
    the mask ends.  Completions and targets are not read.

    Args:
        margin: in [1, T], tokens before the limit.
    Raises: ValueError for a margin outside its range.
    Source: Yu et al. 2025 (DAPO), arXiv:2503.14476, eq. 13.

    >>> mask = np.arange(10) < np.array([[3], [8], [9], [10]])
    >>> token_overlong(None, mask, None, margin=4).sum(axis=1).tolist()
    [0.0, -0.5, -0.75, -1.0]
    """
    mask = checks.mask("mask", mask)
    limit = mask.shape[1]
    checks.require(1 <= margin <= limit, f"margin: expected 1 to {limit}, got {margin}")
    left = limit - margin - mask.sum(axis=1)
    return terminal(np.clip(left / margin, -1.0, 0.0), mask)


def token_repetition(completions, mask, targets, n: int = 3):
    """-1 for a token that completes an n-gram that the row has had before.

    The token-level form of `repetition`, not divided by the number of n-grams, which
    is not known before the end.
    Raises: ValueError for n below 1.
    """
    checks.at_least(1, n=n)
    mask, pairs = _sequences(completions, mask, targets)
    paid = np.zeros(mask.shape)
    for row, (made, _) in enumerate(pairs):
        seen = set()
        for t in range(n, len(made) + 1):
            gram = tuple(made[t - n : t])
            paid[row, t - 1] = -float(gram in seen)
            seen.add(gram)
    return paid


def token_weighted_sum(functions: list[Callable], weights: list[float]) -> Callable:
    """As `weighted_sum`, of token rewards f(completions, mask, targets) -> (B, T).

    Raises: ValueError where the numbers of functions and weights differ.
    """
    terms = checks.weighted(functions, weights)

    def reward(completions, mask, targets):
        return sum(w * f(completions, mask, targets) for f, w in terms)

    return reward


def token_from_text(function: Callable, tokenizer: Tokenizer) -> Callable:
    """A reward on texts as a token reward: its score on the last token.

    Args:
        function: f(completions, *, target, **columns) -> list[float].
        tokenizer: decodes completions and targets.
    Returns: f(completions, mask, targets) -> (B, T).
    """

    def reward(completions, mask, targets):
        texts = [tokenizer.decode(row) for row in completions]
        wanted = [tokenizer.decode(row) for row in targets]
        return terminal(function(texts, target=wanted), mask)

    return reward


def potentials_from_text(function: Callable, tokenizer: Tokenizer) -> Callable:
    """A reward on texts as potentials: the score of every beginning.

    `potential_difference` of them pays each token what it added to the score.

    Args: as `token_from_text`; the text without a token has potential 0.
    Returns: f(completions, mask, targets) -> (B, T + 1).  It scores B · T texts.
    """

    def potentials(completions, mask, targets):
        lengths = np.arange(1, completions.shape[1] + 1)
        texts = [tokenizer.decode(row[:n]) for row in completions for n in lengths]
        wanted = [tokenizer.decode(row) for row in targets for _ in lengths]
        scores = np.reshape(function(texts, target=wanted), completions.shape)
        return np.pad(scores, ((0, 0), (1, 0)))

    return potentials


# --- Of scores and potentials ------------------------------------------------


def terminal(scores, mask):
    """A score per row, (B,), as token rewards: all of it on the last token.

    >>> terminal([2.0, 3.0], [[1, 1, 0], [1, 1, 1]]).tolist()
    [[0.0, 2.0, 0.0], [0.0, 0.0, 3.0]]
    """
    mask = checks.mask("mask", mask)
    scores = checks.finite_array("scores", scores, mask.shape[:1])
    return np.where(_is_last(mask), scores[:, None], 0.0)


def potential_shaping(potentials, mask, gamma: float):
    """γ Φ(s_{t+1}) - Φ(s_t), with Φ = 0 for the state after the last token.

    Added to any reward, it leaves the order of all policies as it was: the discounted
    sum over a row is -Φ(s_0), which no token can change.

    Args:
        potentials: (B, T + 1) float, finite, Φ of s_0 (no token yet) to s_T.
        gamma: discount per token, in [0, 1].
    Returns: (B, T) float, 0 where mask is 0.
    Source: Ng, Harada & Russell 1999, ICML, theorem 1.
    """
    checks.unit_interval(gamma=gamma)
    mask = checks.mask("mask", mask)
    states = len(mask), mask.shape[1] + 1
    potentials = checks.finite_array("potentials", potentials, states)
    after = np.where(_is_last(mask), 0.0, potentials[:, 1:])
    return np.where(mask, gamma * after - potentials[:, :-1], 0.0)


def potential_difference(potentials, mask):
    """Φ(s_{t+1}) - Φ(s_t), with the real Φ of the finished text.

    The immediate form of a terminal score: the sum over a row is Φ(s_T) - Φ(s_0), so
    (γ = 1) a policy is judged by Φ(s_T) alone.
    Args and returns: as `potential_shaping`.
    """
    mask = checks.mask("mask", mask)
    states = len(mask), mask.shape[1] + 1
    potentials = checks.finite_array("potentials", potentials, states)
    return np.where(mask, np.diff(potentials, axis=1), 0.0)


# --- What several read ----------------------------------------------------


def _token_arrays(completions, mask, targets):
    completions, targets = np.asarray(completions), np.asarray(targets)
    mask = checks.mask("mask", mask)
    checks.shape(completions.shape, "completions", mask=mask)
    checks.require(
        targets.ndim == 2 and len(targets) == len(mask),
        f"targets: expected ({len(mask)}, L), got {targets.shape}",
    )
    checks.require((targets != 0).any(axis=1).all(), "targets: every row needs a token")
    return completions, mask, targets


def _sequences(completions, mask, targets):
    """The mask, and for each row its tokens and the target's as lists."""
    completions, mask, targets = _token_arrays(completions, mask, targets)
    rows = zip(completions, targets, mask.sum(axis=1).astype(int), strict=True)
    return mask, [
        (made[:length].tolist(), wanted[wanted != 0].tolist())
        for made, wanted, length in rows
    ]


def _is_last(mask):
    return np.arange(mask.shape[1]) == mask.sum(axis=1, keepdims=True) - 1
