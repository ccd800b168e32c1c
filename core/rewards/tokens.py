"""Rewards on token ids, one number a token, and functions that make them from scores.

`f(completions, mask, targets) -> (B, T)`, 0 where mask is 0.  `terminal` makes one of a
score, `potential_shaping` and `potential_difference` make one of potentials.

B batch, T completion length, L target length.  `mask` (B, T) is 1 up to and including
the first EOS.  Targets (B, L) are token ids and, behind a text's end, -1, an id that no
vocabulary has: 0 is a letter for GPT-2.  `BatchedEnvironment` gives them so; `unpadded`
makes them of padded texts.  Where texts end with EOS, the target does too.
"""

from collections.abc import Callable, Sequence

import numpy as np
from rapidfuzz.distance import Levenshtein

from core import checks
from core.rewards.texts import _summed
from core.text import Tokenizer

__all__ = ["edit_potentials", "potential_difference", "potential_shaping", "terminal"]
__all__ += ["potentials_from_text", "token_cumulative_match", "token_edit_progress"]
__all__ += ["token_edit_regret", "token_edit_similarity", "token_exact_match"]
__all__ += ["token_from_text", "token_indicator", "token_length", "token_overlong"]
__all__ += ["token_position_match", "token_weighted_sum", "unpadded"]

# --- Of token ids and targets ------------------------------------------------


def unpadded(texts, eos_id: int | Sequence[int] | None = None, pad_id: int = 0):
    """Padded texts (N, L) as targets: -1 where they have no token.

    A text ends with its first EOS, or the first of several; without one, before the
    pads at the end of its row.
    Raises: ValueError where behind an EOS stands more than EOS and pads.

    >>> unpadded([[3, 2, 0, 0], [0, 4, 5, 0]], eos_id=2).tolist()
    [[3, 2, -1, -1], [0, 4, 5, -1]]
    """
    texts = checks.ids("texts", texts, 2**63)
    ends = np.isin(texts, checks.ends(2**63, eos_id))
    checks.whole(0, pad_id=pad_id)
    pads = texts == pad_id
    behind = ends.cumsum(axis=1) > ends
    wanted = f"texts: expected {pad_id} behind the first {eos_id}, the pad and EOS ids"
    checks.require(not (behind & ~ends & ~pads).any(), wanted)
    at_end = np.cumprod(pads[:, ::-1], axis=1)[:, ::-1] > 0
    padding = np.where(ends.any(axis=1, keepdims=True), behind, at_end)
    return np.where(padding, -1, texts)


def token_indicator(completions, mask, targets):
    """1 where the token occurs anywhere in the row's target, else 0.

    Document 000's reward: the order does not count, so writing one right token again
    and again earns as much as the whole text.
    """
    completions, mask, targets = _token_arrays(completions, mask, targets)
    found = completions[:, :, None] == targets[:, None, :]  # (B, T, L)
    return found.any(axis=2) * mask


def token_position_match(completions, mask, targets):
    """1/L where the token is the target's at its position, else 0.

    L is the length of that row's target: the sum over the row is the share of the
    target that is matched, document 001's final similarity.
    """
    completions, mask, targets = _token_arrays(completions, mask, targets)
    limit = mask.shape[1]
    aligned = np.pad(targets, ((0, 0), (0, limit)), constant_values=-1)[:, :limit]
    return (completions == aligned) * mask / _lengths(targets)


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

    d is the Levenshtein distance in tokens; states after the end keep the last value.
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
    brings a prefix nearer, in whatever order, and 1 / (1 + d) is flat for a large d.
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
    lengths = _lengths(targets)
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
    length = _lengths(targets)
    return np.where(np.arange(mask.shape[1]) < length, 0.0, -1.0 / length) * mask


def token_overlong(completions, mask, targets, margin: int):
    """What a text loses for being nearly too long, on its last token.

    0 up to T - margin tokens, from there linearly down to -1 at T, the limit on which
    the mask ends.  Completions and targets are not read.

    Args:
        margin: in [1, T], tokens before the limit.
    Source: Yu et al. 2025 (DAPO), arXiv:2503.14476, eq. 13.

    >>> mask = np.arange(10) < np.array([[3], [8], [9], [10]])
    >>> token_overlong(None, mask, None, margin=4).sum(axis=1).tolist()
    [0.0, -0.5, -0.75, -1.0]
    """
    mask = checks.mask("mask", mask)
    limit = mask.shape[1]
    checks.finite(margin=margin)
    whole = 1 <= margin <= limit and margin == int(margin)
    checks.require(whole, f"margin: expected 1 to {limit}, got {margin}")
    left = limit - margin - mask.sum(axis=1)
    return terminal(np.clip(left / margin, -1.0, 0.0), mask)


def token_weighted_sum(functions: list[Callable], weights: list[float]) -> Callable:
    """As `weighted_sum`, of token rewards f(completions, mask, targets) -> (B, T).

    Where the environment has columns, each reward gets them all.
    Raises: as `weighted_sum`, where a reward is not (B, T).
    """
    terms = checks.weighted(functions, weights)

    def reward(completions, mask, targets, /, **columns):
        return _summed(terms, np.shape(mask), completions, mask, targets, **columns)

    return reward


def token_from_text(function: Callable, tokenizer: Tokenizer) -> Callable:
    """A reward on texts as a token reward: its score on the last token.

    Args:
        function: f(completions, **columns) -> list[float]; the texts of the targets, if
            there are any, are the column `target`.
        tokenizer: decodes completions and targets.
    Returns: f(completions, mask, targets, **columns) -> (B, T).
    """

    def reward(completions, mask, targets, /, **columns):
        made, wanted = _texts(completions, mask, targets, tokenizer)
        texts = [tokenizer.decode(row) for row in made]
        return terminal(function(texts, **(wanted | columns)), mask)

    return reward


def potentials_from_text(function: Callable, tokenizer: Tokenizer) -> Callable:
    """A reward on texts as potentials: the score of every beginning.

    `potential_difference` of them pays each token what it added to the score.

    Args: as `token_from_text`; the text without a token has potential 0.
    Returns: f(completions, mask, targets, **columns) -> (B, T + 1).  It scores B · T
        texts.
    """

    def potentials(completions, mask, targets, /, **columns):
        made, wanted = _texts(completions, mask, targets, tokenizer)
        lengths = range(1, np.shape(mask)[1] + 1)
        texts = [tokenizer.decode(row[:n]) for row in made for n in lengths]
        each = (wanted | columns).items()
        columns = {name: [x for x in column for _ in lengths] for name, column in each}
        scores = function(texts, **columns)
        scores = checks.finite_array("function", scores, (len(texts),))
        return np.pad(scores.reshape(np.shape(mask)), ((0, 0), (1, 0)))

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
    potentials, mask = _potentials(potentials, mask)
    after = np.where(_is_last(mask), 0.0, potentials[:, 1:])
    return np.where(mask, gamma * after - potentials[:, :-1], 0.0)


def potential_difference(potentials, mask):
    """Φ(s_{t+1}) - Φ(s_t), with the real Φ of the finished text.

    The immediate form of a terminal score: the sum over a row is Φ(s_T) - Φ(s_0), so
    (γ = 1) a policy is judged by Φ(s_T) alone.
    Args and returns: as `potential_shaping`.
    """
    potentials, mask = _potentials(potentials, mask)
    return np.where(mask, np.diff(potentials, axis=1), 0.0)


# --- What several read ----------------------------------------------------


def _token_arrays(completions, mask, targets):
    completions, mask = checks.written(completions, mask)
    checks.integers(targets=targets)
    targets = np.asarray(targets)
    wanted = f"targets: expected ({len(mask)}, L), got {targets.shape}"
    checks.require(targets.ndim == 2 and len(targets) == len(mask), wanted)
    there = (targets >= 0).astype(int)
    right = there[:, :1].all() and (np.diff(there) <= 0).all()
    checks.require(right, "targets: expected ids, at least one, then -1 in every row")
    return completions, mask, targets


def _potentials(potentials, mask) -> tuple:
    mask = checks.mask("mask", mask)
    states = len(mask), mask.shape[1] + 1
    return checks.finite_array("potentials", potentials, states), mask


def _sequences(completions, mask, targets):
    """The mask, and for each row its tokens and the target's as lists."""
    completions, mask, targets = _token_arrays(completions, mask, targets)
    rows = zip(completions, targets, mask.sum(axis=1).astype(int), strict=True)
    return mask, [(made[:n].tolist(), aim[aim >= 0].tolist()) for made, aim, n in rows]


def _texts(completions, mask, targets, tokenizer: Tokenizer) -> tuple[list, dict]:
    """The tokens of each completion as a list, and the targets' texts as a column."""
    ends = checks.mask("mask", mask).sum(axis=1).astype(int)
    made = [list(row[:n]) for row, n in zip(completions, ends, strict=True)]
    if targets is None:
        return made, {}
    rows = np.asarray(targets)
    return made, {"target": [tokenizer.decode(row[row >= 0]) for row in rows]}


def _lengths(targets):
    """(B, 1), how many tokens each has."""
    return (targets >= 0).sum(axis=1, keepdims=True)


def _is_last(mask):
    return np.arange(mask.shape[1]) == mask.sum(axis=1, keepdims=True) - 1
