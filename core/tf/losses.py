"""Losses as short pure functions, to be minimised, and what they are made of.

B batch, T completion length.  Unless a function says otherwise, a batch's loss is the
mean over its sequences of the sum over their tokens, so that its gradient is minus an
unbiased estimate of ∇J, the gradient of the expected return.  A surrogate has one term
a token, to be maximised: minus `aggregate` of it is a loss.  ValueError for shapes that
differ, an argument out of range, a mask of others than 0 and 1; at 0 nothing counts.
A batch's loss is also the sum of those of its parts, each called with the `counts` of
the `whole`, None where the rows are the whole batch.
"""

import tensorflow as tf

from core import checks
from core.algorithms import LEVELS
from core.tf.logprobs import LARGEST_LOG_RATIO, alike, token_logprobs

AGGREGATIONS = ("sequence_sum", "sequence_mean", "token_mean", "constant")


def policy_gradient_loss(logprobs, advantages, mask):
    """Minus the score-function objective: its gradient estimates -∇J.

    -(1/B) Σ_b Σ_t mask A log π(y_t | X, y_<t)

    Args:
        logprobs: (B, T) float, nats; the gradient flows here.
        advantages: (B, T) float, constants: return, or return minus baseline.
        mask: (B, T) float, 1 up to and including the first EOS.
    Returns: scalar.
    Source: Williams 1992; document 001 §4.1.
    """
    logprobs, advantages, mask = alike(
        logprobs=logprobs, advantages=advantages, mask=mask
    )
    return -tf.reduce_sum(logprobs * advantages) / mask.shape[0]


def importance_weights(logprobs, old_logprobs, mask):
    """π(Y|X) / μ(Y|X) of each sequence, for samples of an older policy μ.

    A return depends on all tokens of its sequence, so the weight that keeps
    the estimate unbiased is the product of the token ratios over all of them.

    Args:
        logprobs, old_logprobs, mask: as for `policy_ratio`.
    Returns: (B, 1) float, a constant without a gradient, bounded as `policy_ratio`.
    Source: Precup, Sutton, Singh 2000.
    """
    return tf.stop_gradient(policy_ratio(logprobs, old_logprobs, mask, "sequence"))


def counts(mask, whole=None):
    """Rows and tokens by which a loss is divided.

    Of the parts of a batch, in turn or on several machines, losses and gradients add up
    only where each is divided by the numbers of all of them: a mean of means is another
    number where the parts' texts differ in length.

    Args:
        mask: (B, T) float.
        whole: (2,), rows and tokens of the batch that these are of; None: these alone.
    Returns: the batch's rows; its tokens, at least 1.
    """
    if whole is None:
        return mask.shape[0], tf.maximum(tf.reduce_sum(mask), 1)
    checks.shape((2,), whole=whole)
    if hasattr(whole, "numpy") or not tf.is_tensor(whole):  # in no compiled graph
        for count in whole:
            checks.positive(whole=count)
    return tf.unstack(tf.cast(whole, mask.dtype))


def entropy_loss(entropies, mask, whole=None):
    """Minus the policy's entropy, summed over each sequence's tokens.

    Args:
        entropies: (B, T) float, nats; the gradient flows here.
        mask: (B, T) float.
        whole: as for `counts`.
    Returns: scalar, -nats per sequence.
    Source: Williams and Peng 1991; document 001 §4.3.
    """
    entropies, mask = alike(entropies=entropies, mask=mask)
    return -tf.reduce_sum(entropies) / counts(mask, whole)[0]


def value_loss(values, returns, mask, whole=None):
    """Half the squared error of predicted returns, mean over tokens.

    Args:
        values: (B, T) float; the gradient flows here.
        returns, mask: (B, T) float, constants.
        whole: as for `counts`.
    Returns: scalar; 0 where mask is all zero.
    """
    values, returns, mask = alike(values=values, returns=returns, mask=mask)
    return 0.5 * tf.reduce_sum((values - returns) ** 2) / counts(mask, whole)[1]


def q_loss(q, tokens, targets, mask):
    """Half the squared error of the chosen tokens' values, token mean.

    Args:
        q: (B, T, V) float, Q(s_t, ·); the gradient flows here.
        tokens: (B, T) int, y_t; anything where the mask is 0.
        targets: (B, T) float, constants, what Q(s_t, y_t) should be.
        mask: (B, T) float.
    Returns: scalar; 0 where mask is all zero.
    Source: Mnih et al. 2015, doi:10.1038/nature14236, without its clip of the error.
    """
    checks.chosen("q", q, tokens=tokens)
    checks.real(targets=targets, mask=mask)
    checks.same_shape(tokens=tokens, targets=targets, mask=mask)
    tokens = tf.where(tf.cast(mask, tf.bool), tokens, 0)
    chosen = tf.gather(q, tokens, axis=-1, batch_dims=2)
    return value_loss(chosen, targets, mask)


def cross_entropy_loss(logprobs, mask):
    """Mean negative log-likelihood per token, to imitate given texts.

    Args:
        logprobs: (B, T) float, nats; the gradient flows here.
        mask: (B, T) float.
    Returns: scalar, nats per token; 0 where mask is all zero.
    """
    logprobs, mask = alike(logprobs=logprobs, mask=mask)
    return -tf.reduce_sum(logprobs) / tf.maximum(tf.reduce_sum(mask), 1)


def policy_ratio(logprobs, old_logprobs, mask, level: str):
    """π / μ of tokens or of whole sequences; the gradient flows through it.

    Args:
        logprobs: (B, T) float, nats, of the policy now; the gradient flows here.
        old_logprobs: (B, T) float, nats, of the policy that sampled.
        mask: (B, T) float.
        level: one of `core.algorithms.LEVELS`: "token" ρ_t = π(y_t) / μ(y_t),
            "sequence" Π_t ρ_t, "length_normalised" its root (Π_t ρ_t)^(1/|y|).
    Returns: (B, T) for "token", otherwise (B, 1); at most exp(LARGEST_LOG_RATIO).
    Source: Schulman et al. 2017 (PPO), arXiv:1707.06347, section 3; Zheng et
        al. 2025 (GSPO), arXiv:2507.18071.
    """
    now, old, mask = alike(logprobs=logprobs, old_logprobs=old_logprobs, mask=mask)
    checks.one_of(LEVELS, level=level)
    log_ratio = now - old
    if level != "token":
        log_ratio = tf.reduce_sum(log_ratio, axis=1, keepdims=True)
    if level == "length_normalised":
        lengths = tf.reduce_sum(mask, axis=1, keepdims=True)
        log_ratio = log_ratio / tf.maximum(lengths, 1)
    return tf.exp(tf.minimum(log_ratio, LARGEST_LOG_RATIO))


def clipped_surrogate(ratio, advantages, clip_low: float, clip_high: float):
    """Per-token PPO objective, to maximise.

    min(ρ A, clip(ρ, 1 - clip_low, 1 + clip_high) A)

    Args:
        ratio: ρ, (B, T) or (B, 1) float; the gradient flows here.
        advantages: (B, T) float, constants.
        clip_low, clip_high: ≥ 0, dimensionless.
    Returns: (B, T) float.
    Source: Schulman et al. 2017, arXiv:1707.06347, eq. 7; the asymmetric
        bounds: Yu et al. 2025 (DAPO), arXiv:2503.14476.
    """
    checks.ratio(ratio, advantages, clip_low=clip_low, clip_high=clip_high)
    advantages = tf.cast(advantages, ratio.dtype)
    ratio = tf.where(advantages == 0, tf.ones_like(ratio), ratio)  # inf · 0 is NaN
    clipped = tf.clip_by_value(ratio, 1 - clip_low, 1 + clip_high)
    return tf.minimum(ratio * advantages, clipped * advantages)


def clipped_weight_surrogate(logprobs, ratio, advantages, clip_low, clip_high):
    """Per-token CISPO objective, to maximise.

    sg(clip(ρ, 1 - clip_low, 1 + clip_high)) A log π(y_t), sg a constant: the
    weight is bounded, and no token loses its gradient.

    Args:
        logprobs: (B, T) float, nats; the gradient flows here.
        ratio: ρ, (B, T) or (B, 1) float; no gradient flows here.
        advantages, clip_low, clip_high: as for `clipped_surrogate`.
    Returns: (B, T) float.
    Source: MiniMax 2025 (CISPO), arXiv:2506.13585, eq. 4 and 5.
    """
    logprobs, advantages = alike(logprobs=logprobs, advantages=advantages)
    checks.ratio(ratio, advantages, clip_low=clip_low, clip_high=clip_high)
    ratio = tf.cast(ratio, logprobs.dtype)
    weight = tf.clip_by_value(ratio, 1 - clip_low, 1 + clip_high)
    return tf.stop_gradient(weight) * advantages * logprobs


def aggregate(per_token, mask, how: str, length: float | None = None, whole=None):
    """One number from the terms of all tokens.

    - "sequence_sum": (1/B) Σ_b Σ_t, the only one whose gradient is ∇J;
    - "sequence_mean": (1/B) Σ_b (1/|y_b|) Σ_t, of GRPO and GSPO;
    - "token_mean": Σ_b Σ_t / Σ_b |y_b|, of PPO, DAPO and CISPO;
    - "constant": (1/(B length)) Σ_b Σ_t, of Dr. GRPO.

    Args:
        per_token: (B, T) float; the gradient flows here.
        mask: (B, T) float; a row of zeros counts in B.
        how: one of AGGREGATIONS.
        length: for "constant", tokens, > 0; for the others None.
        whole: as for `counts`.
    Returns: scalar; 0 where mask is all zero.
    Source: Shao et al. 2024 (GRPO), arXiv:2402.03300, eq. 3; Liu et al. 2025 (Dr.
        GRPO), arXiv:2503.20783; Yu et al. 2025 (DAPO), arXiv:2503.14476.
    """
    per_token, mask = alike(per_token=per_token, mask=mask)
    checks.one_of(AGGREGATIONS, how=how)
    if how == "constant":
        checks.positive(length=length or 0)
    else:
        checks.require(length is None, f"length: expected None, got {length}")
    sums, lengths = tf.reduce_sum(per_token, axis=1), tf.reduce_sum(mask, axis=1)
    rows, tokens = counts(mask, whole)
    if how == "token_mean":
        return tf.reduce_sum(sums) / tokens
    if how == "sequence_mean":
        sums = sums / tf.maximum(lengths, 1)
    return tf.reduce_sum(sums) / rows / (length or 1)


def clipped_value_loss(
    values, old_values, returns, mask, clip: float | None, whole=None
):
    """Value loss that gains nothing by moving further than `clip`, if any.

    ½ max((V - G)², (V_old + clip(V - V_old, -clip, clip) - G)²), token mean

    Args:
        values: (B, T) float; the gradient flows here.
        old_values: (B, T) float, constants, of the policy that sampled.
        returns, mask: (B, T) float, constants.
        clip: ≥ 0, in units of the reward; None: no limit, as `value_loss`.
        whole: as for `counts`.
    Returns: scalar; 0 where mask is all zero.
    Source: Dhariwal et al. 2017, OpenAI Baselines, ppo2; Huang et al. 2022,
        "The 37 Implementation Details of Proximal Policy Optimization".
    """
    values, old_values, returns, mask = alike(
        values=values, old_values=old_values, returns=returns, mask=mask
    )
    if clip is None:
        return value_loss(values, returns, mask, whole)
    checks.at_least(0, clip=clip)
    near = old_values + tf.clip_by_value(values - old_values, -clip, clip)
    squares = tf.maximum((values - returns) ** 2, (near - returns) ** 2)
    return 0.5 * aggregate(squares, mask, "token_mean", whole=whole)


def minimum_risk_loss(sequence_logprobs, scores, group_size: int, sharpness: float):
    """Minus the expected score under the policy renormalised over a group.

    -(1/N) Σ_n Σ_i Q(y_i) R(y_i),  Q ∝ π(y_i)^sharpness within group n

    Args:
        sequence_logprobs: (B,) float, nats, log π(Y|X); the gradient flows here.
        scores: (B,) float, constants; `group_size` rows are texts of one prompt.
        group_size: at least 2; divides B.
        sharpness: > 0; the paper's α.
    Returns: scalar, minus a score.
    Source: Shen et al. 2016, arXiv:1512.02433.
    """
    logits, scores = alike(sequence_logprobs=sequence_logprobs, scores=scores)
    checks.shape((scores.shape[0],), scores=scores)
    checks.groups(group_size, scores.shape[0])
    checks.positive(sharpness=sharpness)
    shares = tf.nn.softmax(sharpness * tf.reshape(logits, (-1, group_size)))
    means = tf.reduce_sum(shares * tf.reshape(scores, (-1, group_size)), 1)
    return -tf.reduce_mean(means)


def token_cross_entropy(logits, targets, mask):
    """Mean negative log-likelihood of the targets under the mask.

    -Σ mask log softmax(logits)[target] / Σ mask

    Args:
        logits: (..., C) float; the gradient flows here.
        targets: (...) int in [0, C); anything where the mask is 0.
        mask: (...) float, 1 where the target counts.
    Returns: scalar, nats per target; 0 where mask is all zero.
    """
    checks.chosen("logits", logits, targets=targets)
    checks.real(mask=mask)
    checks.shape(tuple(targets.shape), "the targets", mask=mask)
    seen = tf.cast(mask, tf.bool)
    logits = tf.where(seen[..., None], logits, 0)
    targets = tf.where(seen, targets, 0)
    return cross_entropy_loss(token_logprobs(logits, targets), mask)
