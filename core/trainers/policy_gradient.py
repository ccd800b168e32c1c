"""The policy-gradient trainer without its gradients: which texts a step
samples, what their advantages are, and which rows each update reads.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from core.algorithms import Plain
from core.returns import discounted_returns, informative_groups
from core.trainers.loop import (
    SamplingTrainer,
    check_finite,
    check_vocabulary,
    means,
    sampled,
)
from core.types import Rollout


class PolicyGradientTrainer(SamplingTrainer):
    """REINFORCE and its relatives, as `config.algorithm` says.

    One step samples a batch, computes its advantages once and takes gradient
    steps on it: one, or with a ratio `config.epochs` times
    `config.minibatches`.  With `config.resample`, groups whose returns are
    equal are drawn again first.

    With `config.reuse`, further steps on batches from the experience buffer
    follow.  There `importance_weights` weigh the policy gradient; the entropy
    and value terms are taken at the old samples as they are.

    Args:
        policy: a policy of the same framework's `models`.
        env: `core.envs.BatchedEnvironment`.
        config: `core.settings.PolicyGradientConfig`.
        baseline_network: b(X), for the advantage `Learned`.
        reference: the frozen policy π_ref, for a pull; a checkpoint does not
            hold it.
    Attributes:
        history: list of dicts, one a step: "step", "return" (mean sum of
            rewards without KL), "length" (tokens), "entropy" (nats/token),
            "loss" (policy, KL and entropy terms), "grad_norm" (before
            clipping), with a reference "kl" (its estimate, nats/token),
            "value_loss" where values are learned, with a ratio "clipped",
            the share of tokens whose ratio lies beyond the clip, with
            groups "informative", the share whose returns differ (before
            others take their place), and with reuse "ess", the effective
            share of a reused batch, (Σw)² / (B Σw²).  Of several gradient
            steps the mean.
        updates: how many gradient steps were taken.
        batch: the last Rollout of new texts, None before the first.
        updating: that of the last update, which may come from the buffer.
    """

    def __init__(self, policy, env, config, baseline_network=None, reference=None):
        algorithm = config.algorithm
        if (algorithm.advantage.predicts == "baseline") != (
            baseline_network is not None
        ):
            raise ValueError(
                "baseline_network: expected with the advantage Learned and "
                f"only with it, got {algorithm.advantage}"
            )
        if (algorithm.pull is None) != (reference is None):
            raise ValueError(
                "reference: expected with a pull and only with it, "
                f"got {algorithm.pull}"
            )
        check_vocabulary(env, policy=policy, reference=reference)
        if reference is policy:
            raise ValueError("reference: expected a copy, got the policy")
        self.policy, self.reference = policy, reference
        models = {"policy": policy}
        if baseline_network is not None:
            models["baseline"] = baseline_network
        optimizers = {name: self._adam(m) for name, m in models.items()}
        super().__init__(env, config, models, optimizers)

    def step(self):
        """One step: sample, update, reuse.  Returns its metrics."""
        config = self.config
        self.batch = batch = self.draw()
        metrics = {"step": len(self.history) + 1} | sampled(batch)
        if config.group_size > 1:
            metrics["informative"] = float(self.informative(batch).mean())
        for _ in range(config.resample):
            self.batch = batch = self.refill(batch)
        metrics |= self.update(batch)
        if self.buffer is not None:
            for _ in range(config.reuse if len(self.buffer) else 0):
                old = self.buffer.sample(config.batch_size, self.rng)
                metrics["ess"] = self.update(old, reused=True)["ess"]
            self.buffer.add(batch)
        self.history.append(metrics)
        return metrics

    def draw(self):
        """A Rollout: completions of prompts drawn at random."""
        config = self.config
        rows = self.env.sample(config.batch_size // config.group_size, self.rng)
        return self._rollout(
            self.policy, self.env, rows, self.rng, config.temperature, config.group_size
        )

    def informative(self, batch):
        """Which rows belong to a group whose returns differ, (B,) bool."""
        config = self.config
        scores = discounted_returns(batch.rewards, batch.mask, config.gamma)
        return informative_groups(scores[:, 0], config.group_size)

    def refill(self, batch):
        """Groups of equal returns make room for new ones that differ."""
        if self.informative(batch).all():
            return batch
        pool = Rollout.concatenate([batch, self.draw()])
        order = np.argsort(~self.informative(pool), kind="stable")
        return pool.take(order[: len(batch)])

    def update(self, batch, reused=False):
        """The gradient steps on a batch; returns the means of their metrics.

        Args:
            batch: Rollout.
            reused: an older policy sampled the rows: weigh their policy
                gradient.
        Raises: ValueError for `reused` with a ratio, which is such a weight
            already; FloatingPointError at a loss or gradient that is not
            finite (the weights are then as they were).
        """
        surrogate = self.config.algorithm.surrogate
        if reused and not isinstance(surrogate, Plain):
            raise ValueError(f"reused: expected False with a ratio, got {surrogate}")
        self.updating = batch
        arrays = self.arrays(batch)
        return means(
            [
                self._update({n: a[rows] for n, a in arrays.items()}, reused)
                for rows in self._minibatches(len(batch))
            ]
        )

    def _update(self, arrays, reused):
        """One gradient step; its metrics."""
        step = len(self.history)
        gradients, norms, metrics = self._gradients(arrays, reused)
        metrics = {name: float(value) for name, value in metrics.items()}
        metrics["grad_norm"] = float(norms["policy"])
        check_finite(step + 1, metrics | norms)
        self._descend(self.optimizers, gradients, self.config.rate(step))
        self.updates += 1
        return metrics

    def arrays(self, batch):
        """What the loss of a batch reads, by name: NumPy, rows first.

        prompts (B, P), completions, mask, old (log-probabilities when
        sampled), adv (B, T); with a reference ref (B, T), its
        log-probabilities; with padded prompts prompt_mask (B, P); where
        values are learned targets and predicted, (B, T) of a critic, (B, 1)
        of a baseline network.
        """
        ref, predicted = self.reference_logprobs(batch), self.predict(batch)
        advantage = self.config.algorithm.advantage
        adv, targets = advantage(self._shaped(batch, ref), self.config.gamma, predicted)
        arrays = {
            "prompts": batch.prompts,
            "completions": batch.completions,
            "mask": batch.mask,
            "old": batch.logprobs,
            "adv": adv,
        }
        if ref is not None:
            arrays["ref"] = ref
        if not batch.prompt_mask.all():
            arrays["prompt_mask"] = batch.prompt_mask
        if advantage.predicts == "values":
            arrays |= {"targets": targets, "predicted": predicted[:, :-1]}
        elif advantage.predicts == "baseline":
            arrays |= {"targets": targets[:, None], "predicted": predicted[:, None]}
        return arrays

    def predict(self, batch):
        """What the advantage asks for (`predicts`), NumPy; or None."""
        match self.config.algorithm.advantage.predicts:
            case "baseline":
                return self._baseline(batch.prompts)
            case "values":
                return self._values(batch)
            case "greedy":
                best = self._rollout(self.policy, self.env, batch.rows)
                return discounted_returns(best.rewards, best.mask, self.config.gamma)[
                    :, 0
                ]

    def _shaped(self, batch, ref):
        """The batch, with rewards less the KL where that stands there."""
        pull = self.config.algorithm.pull
        if pull is None or pull.where == "loss":
            return batch
        kl = pull.coef * self._estimate(batch.logprobs, ref)
        return replace(batch, rewards=batch.rewards - kl * batch.mask)

    def _minibatches(self, size):
        """The rows of each gradient step."""
        config = self.config
        for _ in range(config.epochs):
            rows = np.arange(size)
            if config.minibatches > 1:
                self.rng.shuffle(rows)
            yield from np.split(rows, config.minibatches)
