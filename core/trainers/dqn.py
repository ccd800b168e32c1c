"""Q-learning with a network without its gradients."""

from itertools import repeat
from typing import Any

import numpy as np

from core.batched import BatchedEnvironment
from core.checks import require
from core.returns import state_values, td_targets
from core.settings import DQNConfig
from core.trainers import loop
from core.types import Rollout


class DQNTrainer(loop.SamplingTrainer):
    """Deep Q-learning on texts, hard or soft, as `config` says.

    The logits of `policy` in a state are Q(s, ·).  One step samples texts into the
    experience buffer and takes `config.updates` gradient steps on texts of it, towards

        r_t + γ V(s_{t+1}),  V from `returns.state_values` of the target.

    With alpha = 0 the texts are ε-greedy and V is a maximum.  With alpha > 0 they are
    drawn from π = softmax(Q / alpha) and V is the soft maximum: the values of the best
    policy for the return plus alpha times its entropy.

    Args:
        policy: a policy of the same framework's `models`.
        target: another of the same sizes; its weights are replaced by those of
            `policy`, now and after every `config.target_every` updates.
    Attributes: those of `SamplingTrainer`, and
        history: list of dicts, one a step: "step", "return" (mean sum of rewards of the
            sampled texts, exploration included), "length" (tokens), "loss", "q" (mean
            of the largest value), "grad_norm" (before clipping).
    Source: Mnih et al. 2015, doi:10.1038/nature14236; van Hasselt, Guez, Silver 2016,
        arXiv:1509.06461; Haarnoja et al. 2017, arXiv:1702.08165.
    """

    _values: Any

    def __init__(
        self, policy: Any, target: Any, env: BatchedEnvironment, config: DQNConfig
    ) -> None:
        loop.check_vocabulary(env, policy=policy, target=target)
        require(target is not policy, "target: expected another model than policy")
        self.policy, self.target = policy, target
        models = {"policy": policy, "target": target}
        super().__init__(env, config, models, {"policy": self._adam(policy)})
        self._copy()

    def step(self) -> dict:
        """One step: sample, keep, update.  Returns its metrics."""
        config = self.config
        rows = self.env.sample(config.batch_size, self.rng)
        heat, epsilon = config.alpha or 1.0, config.exploration(len(self.history))
        drawn = self.policy, self.env, rows, self.rng, heat
        noise = config.noise
        self.batch = batch = self._rollout(*drawn, epsilon=epsilon, noise=noise)
        self.buffer.add(batch)
        size, updates = config.batch_size, range(config.updates)
        updates = [self.update(self.buffer.sample(size, self.rng)) for _ in updates]
        metrics = {"step": len(self.history) + 1} | loop.sampled(batch)
        metrics |= loop.means(updates)
        self.history.append(metrics)
        return metrics

    def update(self, batch: Rollout) -> dict:
        """One gradient step on the texts of a Rollout; its metrics."""
        self.updating = batch
        step = len(self.history)
        rows = self._inputs(batch), batch.completions, self.targets(batch), batch.mask
        gradients, norms, metrics = self._gradients(*rows)
        metrics = {name: float(value) for name, value in metrics.items()}
        metrics["grad_norm"] = float(norms["policy"])
        loop.check_finite(step + 1, metrics)
        self._descend(self.optimizers, gradients, self.config.rate(step))
        self.updates += 1
        if self.updates % self.config.target_every == 0:
            self._copy()
        return metrics

    def targets(self, batch: Rollout):
        """r_t + γ V(s_{t+1}) of a batch's tokens, (B, T)."""
        inputs, config = self._inputs(batch), self.config
        chooser = self._values(self.policy, inputs)[:, 1:] if config.double else None
        after = self._values(self.target, inputs)[:, 1:]
        each = zip(after, repeat(None) if chooser is None else chooser)
        # One text after the other: float64 of all would be the most of a step.
        values = np.stack([state_values(q, config.alpha, other) for q, other in each])
        rows = batch.rewards, values, batch.mask
        return td_targets(*rows, config.gamma, batch.terminated)

    def _inputs(self, batch: Rollout):
        """Prompts and completions, (B, P + T)."""
        whole = batch.prompt_mask.all()
        require(whole, "prompts: expected prompts without padding")
        return np.concatenate([batch.prompts, batch.completions], axis=1)

    def _copy(self) -> None:
        """The policy's weights into the target network."""
        arrays = self._checkpoints.get_weights(self.policy)
        self._checkpoints.set_weights(self.target, arrays)
