"""Trainers on judgements of texts: reward models from preferences or from
labels of single steps, and policies from preferences alone (DPO).

B pairs or completions, P prompt length, T completion length.
"""

import tensorflow as tf

from core.tf import preferences as losses
from core.tf.layers import under
from core.tf.logprobs import kl_exact
from core.tf.rewards import sequence_scores, token_scores
from core.tf.trainers import SupervisedTrainer
from core.trainers import preferences


class RewardModelTrainer(preferences.RewardModelTrainer, SupervisedTrainer):
    """`core.trainers.preferences.RewardModelTrainer`, with its gradients."""

    def _loss(self, prompts, texts, mask, padding):
        scores = sequence_scores(self.model, prompts, texts, mask, self.level, padding)
        chosen, rejected = tf.unstack(tf.reshape(scores, (-1, 2)), axis=1)
        return losses.bradley_terry_loss(chosen, rejected), _lead(chosen, rejected)


class ProcessRewardTrainer(preferences.ProcessRewardTrainer, SupervisedTrainer):
    """`core.trainers.preferences.ProcessRewardTrainer`, with its gradients."""

    def _loss(self, prompts, completions, mask, prompt_mask, labels):
        scores = token_scores(self.model, prompts, completions, mask, prompt_mask)
        right = tf.cast((scores > 0) == (labels > 0.5), mask.dtype)
        share = tf.reduce_sum(right * mask) / tf.reduce_sum(mask)
        return losses.process_reward_loss(scores, labels, mask), {"accuracy": share}


class DPOTrainer(preferences.DPOTrainer, SupervisedTrainer):
    """`core.trainers.preferences.DPOTrainer`, with its gradients."""

    def _loss(self, *texts):
        chosen, rejected = _pairs(_logprobs(self.model, *texts))
        ref = tf.stop_gradient(_logprobs(self.reference, *texts))
        ref_chosen, ref_rejected = _pairs(ref)
        rows = chosen, rejected, ref_chosen, ref_rejected
        loss = self._objective(losses, rows, lambda: _drifts(self, *texts))
        metrics = _lead(
            losses.implicit_rewards(chosen, ref_chosen, self.beta),
            losses.implicit_rewards(rejected, ref_rejected, self.beta),
        )
        metrics["chosen"] = tf.reduce_mean(chosen - ref_chosen)
        metrics["rejected"] = tf.reduce_mean(rejected - ref_rejected)
        return loss, metrics


def _logprobs(policy, prompts, texts, mask, prompt_mask):
    """log π of whole texts, (2B,) nats."""
    logprobs, *_ = policy.evaluate(prompts, texts, mask, prompt_mask)
    return tf.reduce_sum(logprobs * mask, axis=1)


def _drifts(trainer, prompts, texts, mask, prompt_mask):
    """Σ_t mask KL(π_ref‖π) along texts, chosen (B,) and rejected (B,) nats."""
    logits, _ = trainer.model.score(prompts, texts, prompt_mask)
    ref_logits, _ = trainer.reference.score(prompts, texts, prompt_mask)
    kl = kl_exact(tf.stop_gradient(ref_logits), logits)
    return _pairs(tf.reduce_sum(under(mask, kl), axis=1))


def _pairs(rows):
    """(2B,) to chosen (B,) and rejected (B,)."""
    return tf.unstack(tf.reshape(rows, (-1, 2)), axis=1)


def _lead(chosen, rejected):
    """How often and by how much the chosen one has the higher score."""
    lead = chosen - rejected
    share = tf.reduce_mean(tf.cast(lead > 0, lead.dtype))
    return {"accuracy": share, "margin": tf.reduce_mean(lead)}
