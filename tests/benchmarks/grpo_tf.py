"""One GRPO step in TensorFlow, put together from core's functions.

N prompts, G completions of each, B = N G rows, T completion length.
"""

from __future__ import annotations

import tensorflow as tf

from core.returns import group_advantages
from core.tf.logprobs import kl_k3
from core.tf.losses import aggregate, clipped_surrogate, policy_ratio
from core.tf.models import GPT
from core.tf.rollout import sample
from core.tf.trainers import adam
from tests.benchmarks.models import CONFIG, GROUP


class GRPO:
    """A GPT in training, its frozen reference, and Adam.

    Source: Shao et al. 2024, arXiv:2402.03300, eq. 3 and 4.
    """

    def __init__(self, beta=0.04, clip=0.2, rate=1e-6, dtype="float32"):
        self.policy = GPT(CONFIG, dtype=dtype)
        self.reference = GPT(CONFIG, dtype=dtype)
        self.beta, self.clip = beta, clip
        self.optimizer = adam(self.policy)
        self.rate = tf.constant(rate, tf.float64)

    def step(self, prompts, scores, max_length, noise=None, eos_id=None, seed=None):
        """Sample G completions of each prompt (N, P), and one update.

        Args:
            scores: (B,), the rewards of the completions.
            max_length, noise, eos_id, seed: as for `rollout.sample`.
        Returns: the loss and the number of sampled tokens.
        """
        completions, old, mask = sample(
            self.policy, prompts, max_length, noise, eos_id, group_size=GROUP, seed=seed
        )
        advantages = group_advantages(scores, GROUP, scale=True)[:, None]
        advantages = advantages.repeat(max_length, 1).astype(old.dtype)
        loss = self.update(
            *map(tf.constant, (prompts, completions, mask, old, advantages)),
            full=eos_id is None,
        )
        return float(loss), int(mask.sum())

    @tf.function  # without XLA, for which each number of tokens is a program
    def update(self, prompts, completions, mask, old, advantages, full):
        """One clipped Adam step."""
        with tf.GradientTape() as tape:
            loss = self.loss(prompts, completions, mask, old, advantages, full)
        variables = self.optimizer.variables
        gradients = [
            tf.zeros_like(v) if g is None else tf.convert_to_tensor(g)
            for g, v in zip(tape.gradient(loss, variables), variables)
        ]
        gradients, _ = tf.clip_by_global_norm(gradients, 1.0)
        self.optimizer.apply(gradients, self.rate)
        return loss

    def loss(self, prompts, completions, mask, old, advantages, full):
        """Mean over sequences of the mean over tokens; all (B, T)."""
        inputs = prompts, completions, None if full else mask
        reference = tf.stop_gradient(self.reference.evaluate(*inputs)[0])
        logprobs = self.policy.evaluate(*inputs)[0]
        gain = clipped_surrogate(
            policy_ratio(logprobs, old, mask, "token"), advantages, self.clip, self.clip
        ) - self.beta * kl_k3(logprobs, reference)
        return -aggregate(gain, mask, "sequence_mean")
