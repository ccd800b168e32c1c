"""Rule rewards, on texts and on token ids.

On texts a reward has TRL's signature, `f(completions, **columns) ->
list[float]`: one number per completion; a column is a list that holds one
entry per completion.  On token ids it is `f(completions, mask, targets) ->
(B, T)`: one number per token, 0 where mask is 0.  Between the two stand
`terminal` (a score becomes a token reward), `potential_shaping` and
`potential_difference`.

B batch, T completion length, L target length.  `mask` (B, T) is 1 up to and
including the first EOS.  Targets are padded with 0, which no target contains;
where texts end with EOS, the target does too.
"""

from __future__ import annotations

import numpy as np
from rapidfuzz.distance import Levenshtein

from core.text import split_words

# --- On texts: one score per completion -----------------------------------


def exact_match(completions, *, target, **columns):
    """1 where the completion equals its target, else 0.

    >>> exact_match(["a b", "a"], target=["a b", "a b"])
    [1.0, 0.0]
    """
    return [float(c == t) for c, t in _pairs(completions, "target", target)]


def edit_similarity(completions, *, target, **columns):
    """1 / (1 + d), d = the Levenshtein distance in characters; in (0, 1].

    Document 003, section 4.3, has 1/d, which is infinite where the text is
    right (d = 0); adding 1 keeps its order and makes the best score 1.

    >>> edit_similarity(["cat", "cut", ""], target=["cat"] * 3)
    [1.0, 0.5, 0.25]
    """
    pairs = _pairs(completions, "target", target)
    return [1.0 / (1 + Levenshtein.distance(c, t)) for c, t in pairs]


def edit_ratio(completions, *, target, **columns):
    """1 - d / (length of the longer text), in [0, 1]; two empty texts: 1.

    >>> edit_ratio(["cat", "cuts", ""], target=["cat"] * 3)
    [1.0, 0.5, 0.0]
    """
    pairs = _pairs(completions, "target", target)
    return [Levenshtein.normalized_similarity(c, t) for c, t in pairs]


def position_match(completions, *, target, **columns):
    """Share of the target's characters that stand at their position.

    Document 001's similarity, on characters.  One character left out moves
    all later ones, which `edit_ratio` forgives and this does not.

    Raises: ValueError for an empty target.

    >>> position_match(["cat", "at", "cats"], target=["cat"] * 3)
    [1.0, 0.0, 1.0]
    """
    scores = []
    for completion, wanted in _pairs(completions, "target", target):
        if not wanted:
            raise ValueError("target: expected texts that are not empty")
        pairs = zip(completion, wanted, strict=False)
        scores.append(sum(a == b for a, b in pairs) / len(wanted))
    return scores


def contains(completions, *, wanted, **columns):
    """1 where the completion contains its wanted text, else 0.

    >>> contains(["the fox runs", "the dog runs"], wanted=["fox", "fox"])
    [1.0, 0.0]
    """
    return [float(w in c) for c, w in _pairs(completions, "wanted", wanted)]


def length_score(completions, *, length, **columns):
    """1 - |n - length| / max(n, length) for a text of n characters.

    1 at the wanted length, 1/2 at half and at twice it, 0 for an empty text.

    Raises: ValueError for a wanted length below 1.

    >>> length_score(["abcd", "ab", ""], length=[4, 4, 4])
    [1.0, 0.5, 0.0]
    """
    pairs = _pairs(completions, "length", length)
    if any(wanted < 1 for _, wanted in pairs):
        raise ValueError("length: expected at least 1")
    return [1.0 - abs(len(c) - wanted) / max(len(c), wanted) for c, wanted in pairs]


def repetition(completions, *, n=3, **columns):
    """Minus the share of word n-grams that occurred before; in (-1, 0].

    Words are those of `core.text.split_words`.  A text of fewer than n
    words scores 0.

    Raises: ValueError for n below 1.

    >>> repetition(["the cat sat", "the cat sat the cat sat"], n=2)
    [0.0, -0.4]
    """
    if n < 1:
        raise ValueError(f"n: expected at least 1, got {n}")
    scores = []
    for completion in completions:
        words = split_words(completion)
        grams = [tuple(words[i : i + n]) for i in range(len(words) - n + 1)]
        repeated = len(grams) - len(set(grams))
        scores.append(-repeated / len(grams) if repeated else 0.0)
    return scores


def weighted_sum(functions, weights):
    """One reward on texts out of several: sum of weight times score.

    Args:
        functions: rewards `f(completions, **columns) -> list[float]`; each
            gets all columns and takes those that it names.
        weights: one finite number for each.
    Returns: a function of the same signature.
    Raises: ValueError where the numbers of functions and weights differ;
        the returned function, where a reward returns a list of the wrong
        length or a score that is not finite.

    >>> reward = weighted_sum([exact_match, repetition], [1.0, 0.5])
    >>> reward(["a a", "b"], target=["a a", "a a"], n=1)
    [0.75, 0.0]
    """
    functions, weights = list(functions), _finite("weights", weights)
    if weights.shape != (len(functions),) or not functions:
        raise ValueError(
            f"weights: expected one for each of {len(functions)} functions "
            f"(at least 1), got shape {weights.shape}"
        )

    def reward(completions, **columns):
        total = np.zeros(len(completions))
        for function, weight in zip(functions, weights, strict=True):
            name = getattr(function, "__name__", "reward")
            scores = _finite(name, function(completions, **columns))
            if scores.shape != total.shape:
                raise ValueError(
                    f"{name}: expected {len(total)} scores, got shape {scores.shape}"
                )
            total += weight * scores
        return total.tolist()

    return reward


# --- On token ids: one reward per token -----------------------------------


def token_indicator(completions, mask, targets):
    """1 where the token occurs anywhere in the row's target, else 0.

    Document 000's reward: the order does not count, so writing one right
    token again and again earns as much as the whole text.
    """
    completions, mask, targets = _token_arrays(completions, mask, targets)
    found = completions[:, :, None] == targets[:, None, :]  # (B, T, L)
    return (found & (targets != 0)[:, None, :]).any(axis=2) * mask


def token_position_match(completions, mask, targets):
    """1/L where the token is the target's at its position, else 0.

    L is the length of that row's target: the sum over the row is the share
    of the target that is matched, document 001's final similarity.
    """
    completions, mask, targets = _token_arrays(completions, mask, targets)
    length = (targets != 0).sum(axis=1, keepdims=True)
    aligned = np.zeros_like(completions)  # the targets at the width T
    width = min(aligned.shape[1], targets.shape[1])
    aligned[:, :width] = targets[:, :width]
    right = (completions == aligned) & (aligned != 0)
    return right * mask / length


def token_cumulative_match(completions, mask, targets):
    """Share of the target matched so far, paid at every token.

    Document 001's reward as printed.  A token that is right at t is paid
    again at each later step, L - t times in all, so early tokens weigh more.
    """
    matches = token_position_match(completions, mask, targets)
    return np.cumsum(matches, axis=1) * mask


def token_exact_match(completions, mask, targets):
    """1 on the last token where the whole row equals its target, else 0."""
    completions, mask, targets = _token_arrays(completions, mask, targets)
    pairs = _sequences(completions, mask, targets)
    return terminal([made == wanted for made, wanted in pairs], mask)


def edit_potentials(completions, mask, targets):
    """Φ(s_t) = 1 / (1 + d) between the first t tokens and the target.

    d is the Levenshtein distance in tokens.  Φ(s_0) = 1 / (1 + L); states
    after the end keep the value of the last one.

    Returns: (B, T + 1) float in (0, 1].
    """
    completions, mask, targets = _token_arrays(completions, mask, targets)
    potentials = np.empty((len(mask), mask.shape[1] + 1))
    pairs = _sequences(completions, mask, targets)
    for row, (made, wanted) in zip(potentials, pairs, strict=True):
        for t in range(len(made) + 1):
            row[t] = 1 / (1 + Levenshtein.distance(made[:t], wanted))
        row[len(made) + 1 :] = row[len(made)]
    return potentials


def token_edit_similarity(completions, mask, targets):
    """What each token adds to 1 / (1 + edit distance to the target).

    The sum over a row is its final similarity minus that of the empty text,
    1 / (1 + L).  A token that leads away from the target is paid less than 0.
    """
    potentials = edit_potentials(completions, mask, targets)
    return potential_difference(potentials, mask)


def token_edit_progress(completions, mask, targets):
    """What each token costs in edit distance, judged against its own place.

    The difference of Φ(s_t) = -d(first t tokens, first t target tokens) / L;
    after the last token, d is that of the whole target.  A right token costs
    0, a wrong one about 1/L wherever it stands, and stopping early costs all
    that is missing.  The sum over a row is -d / L.

    `token_edit_similarity` tells far less: any token of the target brings a
    prefix nearer to it, in whatever order, and 1 / (1 + d) is flat while d
    is large.
    """
    completions, mask, targets = _token_arrays(completions, mask, targets)
    paid = np.zeros(mask.shape)
    pairs = _sequences(completions, mask, targets)
    for row, (made, wanted) in zip(paid, pairs, strict=True):
        before = 0
        for t in range(1, len(made) + 1):
            aim = wanted[:t] if t < len(made) else wanted
            after = Levenshtein.distance(made[:t], aim)
            row[t - 1] = (before - after) / len(wanted)
            before = after
    return paid


def token_edit_regret(completions, mask, targets):
    """What each token loses of the best edit distance still within reach.

    The difference of Φ(s_t) = -min_j d(first t tokens, first j target tokens)
    / L, the best that any continuation can still make of the text; after the
    last token, d is that of the whole target.  A token that a best
    continuation begins with costs 0, another one 1/L, an early EOS all that
    is missing: it is Q* - V* of the reward -d / L.  The sum over a row is
    -d / L.

    Continuations may be of any length: a text that the limit cuts off pays
    for what is missing with its last token.

    Source: the values are those of Sabour, Chan & Norouzi 2019 (optimal
        completion distillation), arXiv:1810.01398.
    """
    completions, mask, targets = _token_arrays(completions, mask, targets)
    rows, lengths = np.arange(len(mask)), (targets != 0).sum(axis=1)
    columns = np.arange(targets.shape[1] + 1)
    # distance[b, j]: first t tokens of b to the first j of its target.
    distance = np.broadcast_to(columns, (len(mask), len(columns)))
    paid, before, last = np.zeros(mask.shape), 0, _is_last(mask)
    for t in range(mask.shape[1]):
        wrong = completions[:, t : t + 1] != targets
        replaced = np.minimum(distance[:, :-1] + wrong, distance[:, 1:] + 1)
        replaced = np.insert(replaced, 0, t + 1, axis=1)
        # Skipping target tokens costs 1 each: d[j] = min over i of d[i]+j-i.
        distance = columns + np.minimum.accumulate(replaced - columns, axis=1)
        within = np.where(columns <= lengths[:, None], distance, np.inf)
        after = np.where(last[:, t], distance[rows, lengths], within.min(axis=1))
        paid[:, t] = (before - after) / lengths
        before = after
    return np.where(mask, paid, 0.0)


def token_length(completions, mask, targets):
    """-1 / L for a token beyond the target's length L, else 0.

    The token-level form of a wanted length: a text pays for each token that
    it is too long, when it writes it.
    """
    completions, mask, targets = _token_arrays(completions, mask, targets)
    length = (targets != 0).sum(axis=1, keepdims=True)
    beyond = np.arange(mask.shape[1]) >= length
    return np.where(beyond, -1.0 / length, 0.0) * mask


def token_overlong(completions, mask, targets, margin):
    """What a text loses for being nearly too long, on its last token.

    0 up to T - margin tokens, from there linearly down to -1 at T, the limit
    on which the mask ends.

    Args:
        completions, targets: not read.
        mask: (B, T).
        margin: in [1, T], tokens before the limit.
    Returns: (B, T) float.
    Raises: ValueError for a margin outside its range.
    Source: Yu et al. 2025 (DAPO), arXiv:2503.14476, eq. 13.

    >>> mask = np.arange(10) < np.array([[3], [8], [9], [10]])
    >>> paid = token_overlong(None, 1.0 * mask, None, margin=4)
    >>> paid.sum(axis=1).tolist()
    [0.0, -0.5, -0.75, -1.0]
    """
    mask = _checked_mask(mask)
    limit = mask.shape[1]
    if not 1 <= margin <= limit:
        raise ValueError(f"margin: expected 1 to {limit}, got {margin}")
    left = limit - margin - mask.sum(axis=1)
    return terminal(np.clip(left / margin, -1.0, 0.0), mask)


def token_repetition(completions, mask, targets, n=3):
    """-1 for a token that completes an n-gram that the row has had before.

    The token-level form of `repetition`, not divided by the number of
    n-grams, which is not known before the end.

    Raises: ValueError for n below 1.
    """
    if n < 1:
        raise ValueError(f"n: expected at least 1, got {n}")
    completions, mask, targets = _token_arrays(completions, mask, targets)
    paid = np.zeros(mask.shape)
    for row, (made, _) in zip(paid, _sequences(completions, mask, targets)):
        seen = set()
        for t in range(n, len(made) + 1):
            gram = tuple(made[t - n : t])
            row[t - 1] = -float(gram in seen)
            seen.add(gram)
    return paid


def token_weighted_sum(functions, weights):
    """One token reward out of several: sum of weight times reward.

    Args:
        functions: f(completions, mask, targets) -> (B, T).
        weights: one finite number for each.
    Returns: a function of the same signature.
    Raises: ValueError where the numbers of functions and weights differ.
    """
    functions, weights = list(functions), _finite("weights", weights)
    if weights.shape != (len(functions),) or not functions:
        raise ValueError(
            f"weights: expected one for each of {len(functions)} functions "
            f"(at least 1), got shape {weights.shape}"
        )

    def reward(completions, mask, targets):
        return sum(
            weight * function(completions, mask, targets)
            for function, weight in zip(functions, weights)
        )

    return reward


def token_from_text(function, tokenizer):
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


def potentials_from_text(function, tokenizer):
    """A reward on texts as potentials: the score of every beginning.

    `potential_difference` of them pays each token what it added to the score.

    Args: as `token_from_text`; the text without a token has potential 0.
    Returns: f(completions, mask, targets) -> (B, T + 1).  It scores B · T
        texts.
    """

    def potentials(completions, mask, targets):
        lengths = np.arange(1, completions.shape[1] + 1)
        texts = [tokenizer.decode(row[:n]) for row in completions for n in lengths]
        wanted = [tokenizer.decode(row) for row in targets for _ in lengths]
        scores = np.reshape(function(texts, target=wanted), completions.shape)
        return np.pad(scores, ((0, 0), (1, 0)))

    return potentials


# --- Between the two ------------------------------------------------------


def terminal(scores, mask):
    """A score per row as token rewards: all of it on the last token.

    Args:
        scores: (B,), finite.
        mask: (B, T), each row with at least one token.
    Returns: (B, T) float.

    >>> terminal([2.0, 3.0], [[1, 1, 0], [1, 1, 1]]).tolist()
    [[0.0, 2.0, 0.0], [0.0, 0.0, 3.0]]
    """
    scores, mask = _finite("scores", scores), _checked_mask(mask)
    if scores.shape != mask.shape[:1]:
        raise ValueError(f"scores: expected shape {mask.shape[:1]}, got {scores.shape}")
    return np.where(_is_last(mask), scores[:, None], 0.0)


def potential_shaping(potentials, mask, gamma):
    """γ Φ(s_{t+1}) - Φ(s_t), with Φ = 0 for the state after the last token.

    Added to any reward, it leaves the order of all policies as it was: the
    discounted sum over a row is -Φ(s_0), which no token can change.

    Args:
        potentials: (B, T + 1) float, Φ of s_0 (no token yet) to s_T.
        mask: (B, T).
        gamma: discount per token, in [0, 1].
    Returns: (B, T) float, 0 where mask is 0.
    Source: Ng, Harada & Russell 1999, ICML, theorem 1.
    """
    if not 0 <= gamma <= 1:
        raise ValueError(f"gamma: expected a number in [0, 1], got {gamma}")
    potentials, mask = _checked_potentials(potentials, mask)
    after = np.where(_is_last(mask), 0.0, potentials[:, 1:])
    return np.where(mask, gamma * after - potentials[:, :-1], 0.0)


def potential_difference(potentials, mask):
    """Φ(s_{t+1}) - Φ(s_t), with the real Φ of the finished text.

    The immediate form of a terminal score: the sum over a row is
    Φ(s_T) - Φ(s_0), so (γ = 1) a policy is judged by Φ(s_T) alone.

    Args and returns: as `potential_shaping`.
    """
    potentials, mask = _checked_potentials(potentials, mask)
    return np.where(mask, np.diff(potentials, axis=1), 0.0)


# --- Checks ---------------------------------------------------------------


def _pairs(completions, name, column):
    if isinstance(column, str) or len(column) != len(completions):
        raise ValueError(
            f"{name}: expected a list of {len(completions)} entries, one per "
            f"completion, got {column!r:.60}"
        )
    return list(zip(completions, column, strict=True))


def _finite(name, values):
    values = np.asarray(values, dtype=np.float64)
    if not np.isfinite(values).all():
        raise ValueError(f"{name}: expected finite numbers, got {values}")
    return values


def _checked_mask(mask):
    mask = np.asarray(mask, dtype=np.float64)
    if mask.ndim != 2 or not (mask[:, :1] == 1).all() or not mask.size:
        raise ValueError(
            "mask: expected (B, T) with at least one token in every row, "
            f"got shape {mask.shape}"
        )
    if not np.isin(mask, (0, 1)).all() or (np.diff(mask) > 0).any():
        raise ValueError("mask: expected ones and then zeros in every row")
    return mask


def _token_arrays(completions, mask, targets):
    completions, targets = np.asarray(completions), np.asarray(targets)
    mask = _checked_mask(mask)
    if completions.shape != mask.shape:
        raise ValueError(
            f"mask: expected the shape of completions {completions.shape}, "
            f"got {mask.shape}"
        )
    if targets.ndim != 2 or len(targets) != len(mask):
        raise ValueError(f"targets: expected ({len(mask)}, L), got {targets.shape}")
    if not (targets != 0).any(axis=1).all():
        raise ValueError("targets: every row needs at least one token")
    return completions, mask, targets


def _checked_potentials(potentials, mask):
    potentials, mask = _finite("potentials", potentials), _checked_mask(mask)
    if potentials.shape != (mask.shape[0], mask.shape[1] + 1):
        raise ValueError(
            f"potentials: expected ({mask.shape[0]}, {mask.shape[1] + 1}), "
            f"got {potentials.shape}"
        )
    return potentials, mask


def _is_last(mask):
    return np.arange(mask.shape[1]) == mask.sum(axis=1, keepdims=True) - 1


def _sequences(completions, mask, targets):
    """For each row the generated tokens and the target's, as lists."""
    lengths = mask.sum(axis=1).astype(int)
    rows = zip(completions, targets, lengths, strict=True)
    return [
        (made[:length].tolist(), wanted[wanted != 0].tolist())
        for made, wanted, length in rows
    ]
