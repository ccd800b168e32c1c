"""The policy-gradient trainer without its gradients: which texts a step samples, what
their advantages are, and which rows each update reads.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from core import checks
from core.algorithms import Ratio
from core.batched import BatchedEnvironment
from core.checks import require
from core.returns import discounted_returns, informative_groups
from core.settings import PolicyGradientConfig
from core.trainers import loop
from core.types import Rollout


class PolicyGradientTrainer(loop.SamplingTrainer):
    """REINFORCE and its relatives, as `config.algorithm` says.

    One step samples a batch, computes its advantages once and takes gradient steps on
    it: one, or with a ratio `config.epochs` times `config.minibatches`.  With
    `config.resample`, groups whose returns are equal are drawn again first.  With
    `config.reuse`, further steps on batches from the experience buffer follow.  There
    `importance_weights` weigh the policy gradient, and not the entropy and value terms.

    Args:
        policy: a policy of the same framework's `models`.
        baseline_network: b(X), for the advantage `Learned`.
        reference: the frozen policy π_ref, for a pull; a checkpoint does not hold it.
    Attributes: those of `SamplingTrainer`, and
        history: list of dicts, one a step: "step", "return" (mean sum of rewards
            without KL), "length" (tokens), "entropy" (nats/token), "loss" (policy, KL
            and entropy terms), "grad_norm" (before clipping), with a reference "kl"
            (its estimate, nats/token), "value_loss" where values are learned, with a
            ratio "clipped", the share of tokens whose ratio lies beyond the clip, with
            groups "informative", the share whose returns differ (before others take
            their place), and with reuse "ess", the effective share of a reused batch,
            (Σw)² / (B Σw²).  Of several gradient steps the mean.
    """

    reference_logprobs: Any
    _baseline: Any
    _values: Any
    _estimate: Any

    def __init__(
        self,
        policy: Any,
        env: BatchedEnvironment,
        config: PolicyGradientConfig,
        baseline_network: Any = None,
        reference: Any = None,
    ) -> None:
        advantage, pull = config.algorithm.advantage, config.algorithm.pull
        learned = (advantage.predicts == "baseline") == (baseline_network is not None)
        wanted = "baseline_network: expected with, and only with, the advantage Learned"
        require(learned, f"{wanted}, got {advantage}")
        wanted = f"reference: expected with a pull and only with it, got {pull}"
        require((pull is None) == (reference is None), wanted)
        loop.check_vocabulary(env, policy=policy, reference=reference)
        require(reference is not policy, "reference: expected a copy, got the policy")
        self.policy, self.reference = policy, reference
        models = {"policy": policy}
        if baseline_network is not None:
            models["baseline"] = baseline_network
        epsilon = config.adam_epsilon
        optimizers = {name: self._adam(m, epsilon) for name, m in models.items()}
        super().__init__(env, config, models, optimizers)

    def step(self) -> dict:
        """One step: sample, update, reuse.  Returns its metrics."""
        self.batch = batch = self.draw()
        metrics = {"step": len(self.history) + 1} | loop.sampled(batch)
        if self.config.group_size > 1:
            metrics["informative"] = float(self.informative(batch).mean())
        for _ in range(self.config.resample):
            self.batch = batch = self.refill(batch)
        metrics |= self.update(batch)
        if self.buffer is not None:
            metrics |= self._reuse()
            self.buffer.add(batch)
        self.history.append(metrics)
        return metrics

    def _reuse(self) -> dict:
        """Steps on batches from the buffer; the last one's "ess"."""
        metrics = {}
        for _ in range(self.config.reuse if len(self.buffer) else 0):
            old = self.buffer.sample(self.config.batch_size, self.rng)
            metrics = {"ess": self.update(old, reused=True)["ess"]}
        return metrics

    def draw(self) -> Rollout:
        """A Rollout: completions of prompts drawn at random."""
        config, size = self.config, self.config.group_size
        rows = self.env.sample(config.batch_size // size, self.rng)
        drawn = self.rng, config.temperature, size
        return self._rollout(self.policy, self.env, rows, *drawn, noise=config.noise)

    def informative(self, batch: Rollout):
        """Which rows belong to a group whose returns differ, (B,) bool."""
        scores = discounted_returns(batch.rewards, batch.mask, self.config.gamma)
        return informative_groups(scores[:, 0], self.config.group_size)

    def refill(self, batch: Rollout) -> Rollout:
        """Groups of equal returns make room for new ones that differ."""
        if self.informative(batch).all():
            return batch
        pool = Rollout.concatenate([batch, self.draw()])
        order = np.argsort(~self.informative(pool), kind="stable")
        return pool.take(order[: len(batch)])

    def update(self, batch: Rollout, reused: bool = False) -> dict:
        """The gradient steps on a batch; returns the means of their metrics.

        Args:
            batch: Rollout.
            reused: an older policy sampled the rows: weigh their policy gradient.
        Raises: ValueError for `reused` with a ratio, which is such a weight already;
            FloatingPointError at a loss or gradient that is not finite (weights stay).
        """
        surrogate = self.config.algorithm.surrogate
        fits = not reused or not isinstance(surrogate, Ratio)
        require(fits, f"reused: expected False with a ratio, got {surrogate}")
        self.updating = batch
        minibatches = self._minibatches(self.arrays(batch))
        return loop.means([self._update(arrays, reused) for arrays in minibatches])

    def _update(self, arrays: dict, reused: bool) -> dict:
        """One gradient step; its metrics."""
        gradients, norms, metrics = self._gradients(self._parts(arrays), reused)
        metrics = {name: float(value) for name, value in metrics.items()}
        metrics["grad_norm"] = float(norms["policy"])
        loop.check_finite(len(self.history) + 1, metrics | norms)
        self._descend(self.optimizers, gradients, self.config.rate(len(self.history)))
        self.updates += 1
        return metrics

    def arrays(self, batch: Rollout) -> dict:
        """What the loss of a batch reads, by name: NumPy, rows first.

        prompts (B, P), completions, mask, old (log-probabilities when sampled), adv (B,
        T); with a reference ref (B, T), its log-probabilities; with padded prompts
        prompt_mask (B, P); where values are learned targets and predicted, (B, T) of a
        critic, (B, 1) of a baseline network.
        """
        algorithm = self.config.algorithm
        arrays = {"prompts": batch.prompts, "completions": batch.completions}
        arrays |= {"mask": batch.mask, "old": batch.logprobs}
        if not batch.prompt_mask.all():
            arrays["prompt_mask"] = batch.prompt_mask
        if algorithm.pull is not None:
            arrays["ref"] = self.reference_logprobs(batch)
            if algorithm.pull.where == "reward":
                batch = self._shaped(batch, arrays["ref"])
        predicted: Any = self.predict(batch) if algorithm.advantage.predicts else None
        adv, targets = algorithm.advantage(batch, self.config.gamma, predicted)
        if targets is not None:
            # A critic has a value after the last token, too; b(X) is one a row.
            one = targets.ndim == 1
            arrays["targets"] = targets[:, None] if one else targets
            arrays["predicted"] = predicted[:, None] if one else predicted[:, :-1]
        return arrays | {"adv": adv}

    def predict(self, batch: Rollout) -> Any:
        """What the advantage asks for (`predicts`), NumPy; or None."""
        match self.config.algorithm.advantage.predicts:
            case "baseline":
                wanted = "prompt_mask: expected no padding, which b(X) would read"
                require(batch.prompt_mask.all(), wanted)
                return self._baseline(batch.prompts)
            case "values":
                return self._values(batch)
            case "greedy":
                best = self._rollout(self.policy, self.env, batch.rows)
                gamma = self.config.gamma
                return discounted_returns(best.rewards, best.mask, gamma)[:, 0]

    def _shaped(self, batch: Rollout, ref) -> Rollout:
        """The batch, with the KL to the reference taken off its rewards."""
        kl = self.config.algorithm.pull.coef * self._estimate(batch.logprobs, ref)
        return replace(batch, rewards=batch.rewards - kl * batch.mask)

    def _parts(self, arrays: dict) -> list[dict]:
        """The rows of one gradient step in parts, whose losses add up."""
        return split(arrays, n) if (n := self.config.accumulate) > 1 else [arrays]

    def _minibatches(self, arrays: dict) -> Iterator:
        """The rows of each gradient step, of all arrays."""
        config, rows = self.config, len(arrays["mask"])
        for _ in range(config.epochs):
            order = np.arange(rows)
            if config.minibatches > 1:
                self.rng.shuffle(order)
            for part in np.split(order, config.minibatches):
                yield {name: array[part] for name, array in arrays.items()}


def split(arrays: dict, count: int) -> list[dict]:
    """The arrays of a batch in parts of equally many rows.

    Args:
        arrays: dict as `PolicyGradientTrainer.arrays` returns.
        count: how many, a divisor of the rows.
    Returns: as many dicts; of several each has as "whole" the batch's rows and tokens,
        integers, by which losses are divided.
    Raises: ValueError for another count.
    """
    mask = arrays["mask"]
    checks.divisor(len(mask), "the rows", count=count)
    if count == 1:
        return [arrays]
    whole = {"whole": np.array([len(mask), max(mask.sum(), 1)], dtype=np.int64)}
    rows = np.split(np.arange(len(mask)), count)
    return [{name: a[part] for name, a in arrays.items()} | whole for part in rows]
