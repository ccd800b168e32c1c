"""Trainers on judgements of texts: reward models from preferences or from
labels of single steps, and policies from preferences alone (DPO).

B pairs or completions, P prompt length, T completion length.
"""

import torch

from core.pt import preferences as losses
from core.pt.layers import under
from core.pt.logprobs import kl_exact
from core.pt.rewards import sequence_scores, token_scores
from core.pt.trainers import SupervisedTrainer
from core.trainers import preferences


class RewardModelTrainer(preferences.RewardModelTrainer, SupervisedTrainer):
    """`core.trainers.preferences.RewardModelTrainer`, with its gradients."""

    def _loss(self, prompts, texts, mask, padding):
        scores = sequence_scores(self.model, prompts, texts, mask, self.level, padding)
        chosen, rejected = scores.view(-1, 2).unbind(dim=1)
        return losses.bradley_terry_loss(chosen, rejected), _lead(chosen, rejected)


class ProcessRewardTrainer(preferences.ProcessRewardTrainer, SupervisedTrainer):
    """`core.trainers.preferences.ProcessRewardTrainer`, with its gradients."""

    def _loss(self, prompts, completions, mask, prompt_mask, labels):
        scores = token_scores(self.model, prompts, completions, mask, prompt_mask)
        right = ((scores > 0) == (labels > 0.5)).to(mask)
        share = (right * mask).sum() / mask.sum()
        return losses.process_reward_loss(scores, labels, mask), {"accuracy": share}


class DPOTrainer(preferences.DPOTrainer, SupervisedTrainer):
    """`core.trainers.preferences.DPOTrainer`, with its gradients."""

    def _loss(self, *texts):
        chosen, rejected = _pairs(_logprobs(self.model, *texts))
        with torch.no_grad():
            ref_chosen, ref_rejected = _pairs(_logprobs(self.reference, *texts))
        rows = chosen, rejected, ref_chosen, ref_rejected
        loss = self._objective(losses, rows, lambda: _drifts(self, *texts))
        metrics = _lead(
            losses.implicit_rewards(chosen, ref_chosen, self.beta),
            losses.implicit_rewards(rejected, ref_rejected, self.beta),
        )
        metrics["chosen"] = (chosen - ref_chosen).mean()
        metrics["rejected"] = (rejected - ref_rejected).mean()
        return loss, metrics


def _logprobs(policy, prompts, texts, mask, prompt_mask):
    """log π of whole texts, (2B,) nats."""
    logprobs, *_ = policy.evaluate(prompts, texts, mask, prompt_mask)
    return (logprobs * mask).sum(dim=1)


def _drifts(trainer, prompts, texts, mask, prompt_mask):
    """Σ_t mask KL(π_ref‖π) along texts, chosen (B,) and rejected (B,) nats."""
    logits, _ = trainer.model.score(prompts, texts, prompt_mask)
    with torch.no_grad():
        ref_logits, _ = trainer.reference.score(prompts, texts, prompt_mask)
    return _pairs(under(mask, kl_exact(ref_logits, logits)).sum(dim=1))


def _pairs(rows):
    """(2B,) to chosen (B,) and rejected (B,)."""
    return rows.view(-1, 2).unbind(dim=1)


def _lead(chosen, rejected):
    """How often and by how much the chosen one has the higher score."""
    lead = chosen - rejected
    return {"accuracy": (lead > 0).to(lead).mean(), "margin": lead.mean()}
