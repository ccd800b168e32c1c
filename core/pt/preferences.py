"""Losses for preferences between two completions, and for labels of steps, to
be minimised.

B pairs, T completion length.  A row is one prompt with the completion that
was chosen and the one that was rejected.  Log-probabilities are in nats, and
those of a sequence are the sums over its mask.  A loss is the mean over B.
"""

from __future__ import annotations

from torch.nn.functional import logsigmoid

from core import checks


def bradley_terry_loss(chosen, rejected, margin=0.0):
    """Negative log-likelihood of the preferences, to train a reward model.

    -(1/B) Σ_b log σ(r_chosen - r_rejected - margin)

    Only differences of scores count: a constant may be added per prompt.

    Args:
        chosen, rejected: (B,) float, scores; the gradient flows here.
        margin: a number or (B,) float, by how much the chosen one should
            lead; larger where the preference was stronger.
    Returns: scalar, nats per pair.
    Raises: ValueError where shapes differ or are not (B,).
    Source: Bradley and Terry 1952; Ouyang et al. 2022, arXiv:2203.02155,
        eq. 1; the margin: Touvron et al. 2023, arXiv:2307.09288, eq. 2.
    """
    _one_per_pair(chosen=chosen, rejected=rejected)
    if getattr(margin, "shape", ()) != ():
        _one_per_pair(chosen=chosen, margin=margin)
    return -logsigmoid(chosen - rejected - margin).mean()


def process_reward_loss(scores, labels, mask):
    """Cross-entropy of the labels of single steps, to train a reward model.

    -Σ_t mask [y log σ(s) + (1 - y) log σ(-s)] / Σ_t mask

    σ(s) is the probability that the text is right so far.  Where a step has
    several tokens, the mask is 1 on its last one alone.

    Args:
        scores: (B, T) float, logits; the gradient flows here.
        labels: (B, T) float in [0, 1], constants.
        mask: (B, T), 1 where the label counts, at least once.
    Returns: scalar, nats per label.
    Raises: ValueError where shapes differ.
    Source: Uesato et al. 2022, arXiv:2211.14275; Lightman et al. 2023,
        arXiv:2305.20050.
    """
    checks.same_shape(scores=scores, labels=labels, mask=mask)
    right, wrong = logsigmoid(scores), logsigmoid(-scores)
    gain = labels * right + (1 - labels) * wrong
    return -(gain * mask).sum() / mask.sum()


def implicit_rewards(logprobs, ref_logprobs, beta: float):
    """The rewards for which a policy is the best one under a KL penalty β.

    β (log π - log π_ref)

    Of a whole sequence it is the reward minus β log Z(prompt), which is the
    same for both of a pair.  Of a token it is r + V(next) - V(prefix), with
    V the optimal value under the penalty: the token's reward, shaped.

    Args:
        logprobs, ref_logprobs: float, nats, of one shape: (B,) for
            sequences, (B, T) for tokens.
        beta: > 0, reward per nat.
    Returns: float, the same shape.
    Raises: ValueError where shapes differ or beta is not positive.
    Source: Rafailov et al. 2023, arXiv:2305.18290, eq. 5; tokens: Rafailov
        et al. 2024, arXiv:2404.12358.
    """
    checks.same_shape(logprobs=logprobs, ref_logprobs=ref_logprobs)
    checks.positive(beta=beta)
    return beta * (logprobs - ref_logprobs)


def dpo_loss(
    chosen,
    rejected,
    ref_chosen,
    ref_rejected,
    beta: float,
    label_smoothing: float = 0.0,
):
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
    Raises: ValueError where shapes differ or are not (B,), or a number is
        outside its range.
    Source: Rafailov et al. 2023, arXiv:2305.18290, eq. 7; ε > 0:
        Mitchell 2023, A note on DPO with noisy preferences and relationship
        to IPO (conservative DPO).
    """
    checks.positive(beta=beta)
    checks.require(
        0 <= label_smoothing < 0.5,
        f"label_smoothing: expected a number in [0, 0.5), got {label_smoothing}",
    )
    z = beta * _log_ratio_gap(chosen, rejected, ref_chosen, ref_rejected)
    right, wrong = logsigmoid(z), logsigmoid(-z)
    return -((1 - label_smoothing) * right + label_smoothing * wrong).mean()


def ipo_loss(chosen, rejected, ref_chosen, ref_rejected, beta: float):
    """Identity preference optimisation: a gap with a target, not a maximum.

    (1/B) Σ_b (h - 1 / (2β))²,
    h = log(π/π_ref)(chosen) - log(π/π_ref)(rejected)

    The paper writes τ for β.  Log-probabilities are sums over the tokens,
    as in the paper.  TRL divides each by the length of its completion
    first; for the same number pass means over the mask.

    Args:
        chosen, rejected: (B,) float, nats; the gradient flows here.
        ref_chosen, ref_rejected: (B,) float, nats, constants.
        beta: > 0, per nat.
    Returns: scalar, nats².
    Raises: ValueError where shapes differ or are not (B,), or beta is not positive.
    Source: Azar et al. 2023, arXiv:2310.12036, eq. 17.
    """
    checks.positive(beta=beta)
    gap = _log_ratio_gap(chosen, rejected, ref_chosen, ref_rejected)
    return ((gap - 1 / (2 * beta)) ** 2).mean()


def tdpo_loss(
    chosen,
    rejected,
    ref_chosen,
    ref_rejected,
    kl_chosen,
    kl_rejected,
    beta: float,
    alpha: float,
):
    """Token-level DPO (TDPO2): DPO that also weighs how far each text drifts.

    -(1/B) Σ_b log σ(β [h - α (KL_rejected - sg(KL_chosen))]),
    h = log(π/π_ref)(chosen) - log(π/π_ref)(rejected),
    KL = Σ_t mask KL(π_ref(·|s_t)‖π(·|s_t)) along a text, sg no gradient

    The KL starts from the reference, opposite to a KL penalty:
    `kl_exact(ref_logits, logits)`, summed over the mask.  α = 0 is DPO.

    Args:
        chosen, rejected: (B,) float, nats; the gradient flows here.
        ref_chosen, ref_rejected: (B,) float, nats, constants.
        kl_chosen: (B,) float, nats; no gradient flows through it.
        kl_rejected: (B,) float, nats; the gradient flows here.
        beta: > 0, reward per nat.
        alpha: ≥ 0, dimensionless.
    Returns: scalar, nats per pair.
    Raises: ValueError where shapes differ or are not (B,), or a number is
        outside its range.
    Source: Zeng et al. 2024, arXiv:2404.11999.
    """
    checks.positive(beta=beta)
    checks.at_least(0, alpha=alpha)
    gap = _log_ratio_gap(chosen, rejected, ref_chosen, ref_rejected)
    _one_per_pair(chosen=chosen, kl_chosen=kl_chosen, kl_rejected=kl_rejected)
    drift = kl_rejected - kl_chosen.detach()
    return -logsigmoid(beta * (gap - alpha * drift)).mean()


def _log_ratio_gap(chosen, rejected, ref_chosen, ref_rejected):
    _one_per_pair(
        chosen=chosen,
        rejected=rejected,
        ref_chosen=ref_chosen,
        ref_rejected=ref_rejected,
    )
    return (chosen - ref_chosen) - (rejected - ref_rejected)


def _one_per_pair(**tensors):
    # Token log-probabilities that nobody summed would train without an error.
    checks.same_shape(**tensors)
    shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    one = all(len(shape) == 1 for shape in shapes.values())
    checks.require(one, f"expected the shape (B,), got {shapes}")
