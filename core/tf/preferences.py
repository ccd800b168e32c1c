"""Losses for preferences between two completions, and for labels of steps, to minimise.

B pairs, T completion length.  A row is one prompt with the completion that was chosen
and the one that was rejected.  Log-probabilities are in nats, those of a sequence sums
over its mask.  A loss is the mean over B.  Shapes that differ and numbers outside their
range or not finite raise a ValueError.
"""

import tensorflow as tf

from core import checks
from core.tf.logprobs import alike


def bradley_terry_loss(chosen, rejected, margin=0.0):
    """Negative log-likelihood of the preferences, to train a reward model.

    -(1/B) Σ_b log σ(r_chosen - r_rejected - margin)

    Only differences of scores count: a constant may be added per prompt.

    Args:
        chosen, rejected: (B,) float, scores; the gradient flows here.
        margin: a number or (B,) float, by how much the chosen one should
            lead; larger where the preference was stronger.
    Returns: scalar, nats per pair.
    Source: Bradley and Terry 1952; Ouyang et al. 2022, arXiv:2203.02155,
        eq. 1; the margin: Touvron et al. 2023, arXiv:2307.09288, eq. 2.
    """
    chosen, rejected = _one_per_pair(chosen=chosen, rejected=rejected)
    if getattr(margin, "shape", ()) != ():
        _, margin = _one_per_pair(chosen=chosen, margin=margin)
    else:
        checks.finite(margin=margin)
    return -tf.reduce_mean(tf.math.log_sigmoid(chosen - rejected - margin))


def process_reward_loss(scores, labels, mask):
    """Cross-entropy of the labels of single steps, to train a reward model.

    -Σ_t mask [y log σ(s) + (1 - y) log σ(-s)] / Σ_t mask

    σ(s) is the probability that the text is right so far.  Where a step has
    several tokens, the mask is 1 on its last one alone.

    Args:
        scores: (B, T) float, logits; the gradient flows here.
        labels: (B, T) float in [0, 1], constants.
        mask: (B, T), 1 where the label counts; elsewhere nothing is read.
    Returns: scalar, nats per label; 0 where mask is all zero.
    Source: Uesato et al. 2022, arXiv:2211.14275; Lightman et al. 2023,
        arXiv:2305.20050.
    """
    scores, labels, mask = alike(scores=scores, labels=labels, mask=mask)
    if tf.executing_eagerly() and not tf.reduce_all((labels >= 0) & (labels <= 1)):
        raise ValueError(f"labels: expected numbers in [0, 1], got {labels}")
    right, wrong = tf.math.log_sigmoid(scores), tf.math.log_sigmoid(-scores)
    gain = labels * right + (1 - labels) * wrong
    return -tf.reduce_sum(gain * mask) / tf.maximum(tf.reduce_sum(mask), 1)


def implicit_rewards(logprobs, ref_logprobs, beta: float):
    """The rewards for which a policy is the best one under a KL penalty β.

    β (log π - log π_ref)

    Of a whole sequence it is the reward minus β log Z(prompt), which is the
    same for both of a pair.  Of a token it is r + V(next) - V(prefix), with
    V the optimal value under the penalty: the token's reward, shaped.

    Args:
        logprobs, ref_logprobs: float, nats, (B,) of sequences or (B, T) of tokens.
        beta: > 0, reward per nat.
    Returns: float, the same shape.
    Source: Rafailov et al. 2023, arXiv:2305.18290, eq. 5; tokens: Rafailov
        et al. 2024, arXiv:2404.12358.
    """
    logprobs, ref_logprobs = alike(logprobs=logprobs, ref_logprobs=ref_logprobs)
    checks.positive(beta=beta)
    return beta * (logprobs - ref_logprobs)


def dpo_loss(chosen, rejected, ref_chosen, ref_rejected, beta, label_smoothing=0.0):
    """Direct preference optimisation: a reward model that is the policy.

    -(1/B) Σ_b [(1 - ε) log σ(β h) + ε log σ(-β h)],
    h = log(π/π_ref)(chosen) - log(π/π_ref)(rejected),  ε = label_smoothing

    With ε = 0 this is `bradley_terry_loss` of the `implicit_rewards`.

    Args:
        chosen, rejected: (B,) float, nats; the gradient flows here.
        ref_chosen, ref_rejected: (B,) float, nats, constants.
        beta: > 0, reward per nat.
        label_smoothing: in [0, 0.5), the share of labels taken as wrong.
    Returns: scalar, nats per pair.
    Source: Rafailov et al. 2023, arXiv:2305.18290, eq. 7; ε > 0 (conservative DPO):
        Mitchell 2023, A note on DPO with noisy preferences and relationship to IPO.
    """
    checks.positive(beta=beta)
    checks.unit_interval(label_smoothing=label_smoothing)
    checks.require(label_smoothing < 0.5, "label_smoothing: expected less than 0.5")
    z = beta * _log_ratio_gap(chosen, rejected, ref_chosen, ref_rejected)
    right, wrong = tf.math.log_sigmoid(z), tf.math.log_sigmoid(-z)
    return -tf.reduce_mean((1 - label_smoothing) * right + label_smoothing * wrong)


def ipo_loss(chosen, rejected, ref_chosen, ref_rejected, beta: float):
    """Identity preference optimisation: a gap with a target, not a maximum.

    (1/B) Σ_b (h - 1 / (2β))²,
    h = log(π/π_ref)(chosen) - log(π/π_ref)(rejected)

    The paper writes τ for β.  Log-probabilities are sums over the tokens, as there; TRL
    divides each by its completion's length: for its number pass means over the mask.

    Args:
        chosen, rejected, ref_chosen, ref_rejected: as for `dpo_loss`.
        beta: > 0, per nat.
    Returns: scalar, nats².
    Source: Azar et al. 2023, arXiv:2310.12036, eq. 17.
    """
    checks.positive(beta=beta)
    gap = _log_ratio_gap(chosen, rejected, ref_chosen, ref_rejected)
    return tf.reduce_mean((gap - 1 / (2 * beta)) ** 2)


def tdpo_loss(
    chosen, rejected, ref_chosen, ref_rejected, kl_chosen, kl_rejected, beta, alpha
):
    """Token-level DPO (TDPO2): DPO that also weighs how far each text drifts.

    -(1/B) Σ_b log σ(β [h - α (KL_rejected - sg(KL_chosen))]),
    h = log(π/π_ref)(chosen) - log(π/π_ref)(rejected),
    KL = Σ_t mask KL(π_ref(·|s_t)‖π(·|s_t)) along a text, sg no gradient

    The KL starts from the reference, opposite to a KL penalty:
    `kl_exact(ref_logits, logits)`, summed over the mask.  α = 0 is DPO.

    Args:
        chosen, rejected, ref_chosen, ref_rejected: as for `dpo_loss`.
        kl_chosen: (B,) float, nats; no gradient flows through it.
        kl_rejected: (B,) float, nats; the gradient flows here.
        beta: > 0, reward per nat.
        alpha: ≥ 0, dimensionless.
    Returns: scalar, nats per pair.
    Source: Zeng et al. 2024, arXiv:2404.11999.
    """
    checks.positive(beta=beta)
    checks.finite(alpha=alpha)
    checks.at_least(0, alpha=alpha)
    gap = _log_ratio_gap(chosen, rejected, ref_chosen, ref_rejected)
    _, kl_chosen, kl_rejected = _one_per_pair(
        chosen=chosen, kl_chosen=kl_chosen, kl_rejected=kl_rejected
    )
    drift = kl_rejected - tf.stop_gradient(kl_chosen)
    return -tf.reduce_mean(tf.math.log_sigmoid(beta * (gap - alpha * drift)))


def _log_ratio_gap(*rows):
    names = "chosen", "rejected", "ref_chosen", "ref_rejected"
    chosen, rejected, ref_chosen, ref_rejected = _one_per_pair(**dict(zip(names, rows)))
    return (chosen - ref_chosen) - (rejected - ref_rejected)


def _one_per_pair(**tensors):
    # Token log-probabilities that nobody summed would train without an error.
    found = alike(**tensors)
    checks.shape(tuple(found[0].shape[:1]), **dict(zip(tensors, found)))
    return found
