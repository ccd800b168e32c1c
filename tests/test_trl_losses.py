"""The policy losses against TRL's own, its trainers' `_compute_loss`.

TRL gets the log-probabilities that ours get, in place of a model's, and
everything between them and its loss is its own code.
"""

from collections import defaultdict
from dataclasses import replace
from unittest.mock import MagicMock

import numpy as np
import pytest
import torch
from trl.trainer.grpo_trainer import GRPOTrainer
from trl.trainer.rloo_trainer import RLOOTrainer

from core.algorithms import ALGORITHMS, KL
from tests.both import BOTH

B, T, LIMIT = 6, 5, 7
LOW, HIGH = 0.2, 0.28


def batch(seed=0):
    """logprobs, old and reference ones, advantages, mask; ratios spread."""
    rng = np.random.default_rng(seed)
    logprobs = -rng.exponential(size=(B, T)) - 0.1
    old, ref = (logprobs + 0.6 * rng.normal(size=(B, T)) for _ in range(2))
    mask = (np.arange(T) < np.array([5, 1, 3, 5, 2, 4])[:, None]) * 1.0
    advantages = np.repeat(rng.normal(size=(B, 1)), T, axis=1)
    return logprobs, old, ref, advantages, mask


def theirs(kind, level, beta, arrays, delta=None, corrected=False):
    """TRL's loss and its gradient by the log-probabilities.

    `kind` is its loss_type, or "rloo" for its other trainer; `delta` its
    dual clip, `corrected` its weight on the KL, which ours do not have.
    """
    logprobs, old, ref, advantages, mask = map(torch.tensor, arrays)
    logprobs.requires_grad_()
    trainer = MagicMock(
        aux_loss_enabled=False,
        top_entropy_quantile=1.0,
        use_vllm=False,
        off_policy_mask_threshold=None,
        importance_sampling_level=level,
        beta=beta,
        epsilon_low=LOW,
        epsilon_high=HIGH,
        loss_type=kind,
        max_completion_length=LIMIT,
        current_gradient_accumulation_steps=1,
        _entropy_bonus_enabled=False,
        _metrics=defaultdict(lambda: defaultdict(list)),
    )
    trainer.args.use_bias_correction_kl = corrected
    trainer.args.delta = delta
    trainer.args.steps_per_generation = 1
    trainer.accelerator.num_processes = 1
    trainer.accelerator.gather = lambda x: x
    trainer.model.training = True
    trainer._get_per_token_logps_and_entropies.return_value = (
        logprobs,
        torch.zeros(B, T),
        None,
    )
    if kind == "cispo":  # its bound is one of the ratio itself
        trainer.epsilon_high = 1 + HIGH
    ids = torch.zeros(B, T, dtype=torch.long)
    whole = RLOOTrainer if kind == "rloo" else GRPOTrainer
    loss = whole._compute_loss(
        trainer,
        None,
        {
            "prompt_ids": ids,
            "prompt_mask": ids,
            "completion_ids": ids,
            "completion_mask": mask,
            "advantages": advantages[:, 0],
            "old_per_token_logps": old,
            "ref_per_token_logps": ref,
            "old_logps": (old * mask).sum(dim=1),
            "num_items_in_batch": mask.sum(),
        },
    )
    loss.backward()
    return loss.item(), logprobs.grad.numpy()


KINDS = {  # TRL's loss_type, or its other trainer, and its level
    "GRPO": ("grpo", "token"),
    "Dr. GRPO": ("dr_grpo", "token"),
    "DAPO": ("dapo", "token"),
    "GSPO": ("grpo", "sequence"),
    "RLOO (TRL)": ("rloo", None),
    "CISPO": ("cispo", "token"),
}


@pytest.mark.parametrize("fw", BOTH, ids=lambda fw: fw.name)
@pytest.mark.parametrize("beta", [0.0, 0.3])
@pytest.mark.parametrize("name", KINDS)
def test_the_loss_is_trls(fw, name, beta):
    """With an algorithm's own records, but for the numbers of the clip."""
    if name == "RLOO (TRL)" and beta:
        pytest.skip("its KL stands in the reward")
    algorithm = ALGORITHMS[name]
    low = algorithm.surrogate.low if name == "CISPO" else LOW
    algorithm = replace(
        algorithm,
        surrogate=replace(algorithm.surrogate, low=low, high=HIGH),
        pull=KL("k3", beta, where="loss"),
    )
    arrays = batch()
    logprobs, *rest = arrays
    old, ref, advantages, mask = map(fw.tensor, rest)

    def ours(logprobs):
        return fw.objective.policy_loss(
            algorithm, logprobs, old, advantages, mask, LIMIT, ref
        )[0]

    value, (gradient,) = fw.grad(ours, logprobs)
    wanted, their_gradient = theirs(*KINDS[name], beta, arrays)
    assert value == pytest.approx(wanted, abs=1e-12)
    np.testing.assert_allclose(gradient, their_gradient, atol=1e-12)
    assert np.abs(their_gradient).max() > 0.01


@pytest.mark.parametrize("delta, beta", [(1.3, 0.0), (None, 0.3)])
def test_what_is_in_trl_alone(delta, beta):
    """The dual clip is a cap of the ratio; the corrected KL a product."""
    arrays, fw = batch(), BOTH[0]
    old, ref, advantages, mask = map(fw.tensor, arrays[1:])
    losses = fw.losses

    def ours(logprobs):
        ratio = losses.policy_ratio(logprobs, old, mask, "token")
        gain = losses.clipped_surrogate(
            ratio.clamp(max=delta or 1e9), advantages, LOW, HIGH
        )
        kl = beta * ratio * fw.logprobs.kl_k3(logprobs, ref)
        return -losses.aggregate(gain - kl, mask, "sequence_mean")

    value, (gradient,) = fw.grad(ours, arrays[0])
    wanted, their_gradient = theirs(
        "grpo", "token", beta, arrays, delta, corrected=True
    )
    assert value == pytest.approx(wanted, abs=1e-12)
    np.testing.assert_allclose(gradient, their_gradient, atol=1e-12)
    plain = theirs("grpo", "token", beta, arrays)[0]
    assert abs(plain - wanted) > 0.001  # the setting matters here


def test_the_batch_has_clipped_tokens_of_both_signs():
    """Otherwise the tests above would not see the clip."""
    logprobs, old, _, advantages, mask = batch()
    ratio, inside = np.exp(logprobs - old), mask > 0
    assert ((ratio > 1 + HIGH) & (advantages > 0) & inside).any()
    assert ((ratio < 1 - LOW) & (advantages < 0) & inside).any()
    assert ((ratio > 1 + HIGH) & (advantages < 0) & inside).any()
    assert ((ratio < 1 - LOW) & (advantages > 0) & inside).any()
