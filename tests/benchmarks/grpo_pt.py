"""One GRPO step in PyTorch, put together from core's functions.

N prompts, G completions of each, B = N G rows, T completion length.
"""

from __future__ import annotations

import torch

from core.pt.logprobs import kl_k3
from core.pt.losses import aggregate, clipped_surrogate, policy_ratio
from core.pt.models import GPT
from core.pt.rollout import sample
from core.pt.trainers import adam
from core.returns import group_advantages
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
        self.optimizer.param_groups[0]["lr"] = rate

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
        loss = self.loss(
            *map(torch.from_numpy, (prompts, completions, mask, old, advantages)),
            full=eos_id is None,
        )
        self.optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.policy.parameters(), 1.0)
        self.optimizer.step()
        return loss.item(), int(mask.sum())

    def loss(self, prompts, completions, mask, old, advantages, full):
        """Mean over sequences of the mean over tokens; all (B, T)."""
        inputs = prompts, completions, None if full else mask
        with torch.no_grad():
            reference = self.reference.evaluate(*inputs)[0]
        logprobs = self.policy.evaluate(*inputs)[0]
        gain = clipped_surrogate(
            policy_ratio(logprobs, old, mask, "token"), advantages, self.clip, self.clip
        ) - self.beta * kl_k3(logprobs, reference)
        return -aggregate(gain, mask, "sequence_mean")
