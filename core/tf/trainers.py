"""The trainers: policy gradient (sample, score, weigh, step) and cross-entropy
on given targets."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice

import numpy as np
import tensorflow as tf
from tqdm.auto import tqdm

from core import weights
from core.algorithms import advantages
from core.returns import discounted_returns, informative_groups
from core.tf import checkpoints
from core.tf.logprobs import kl_k1, kl_k2, kl_k3
from core.tf.losses import (
    aggregate,
    clipped_surrogate,
    clipped_value_loss,
    clipped_weight_surrogate,
    entropy_loss,
    importance_weights,
    policy_ratio,
    token_cross_entropy,
    value_loss,
)
from core.tf.rollout import rollout
from core.training import (
    Trainer,
    check_finite,
    check_vocabulary,
    keep_failed,
    prefixed,
    under,
)
from core.types import GROUP_BASELINES, Rollout

_KL = {"k1": kl_k1, "k2": kl_k2, "k3": kl_k3}


def adam(model):
    """Adam with ε = 1e-5 added to the root of the corrected second moment.

    Where ε stands differs between the frameworks' own classes, and their
    trainings part after a few steps; this is PyTorch's place in both.

    Source: Kingma, Ba 2015, arXiv:1412.6980, algorithm 1.
    """
    return _Adam(model.trainable_variables)


class _Adam:
    """PyTorch's Adam: its moments by variable path, its count of steps."""

    def __init__(self, variables):
        self.variables = variables
        self.first = {v.path: tf.Variable(tf.zeros_like(v)) for v in variables}
        self.second = {
            v.path: tf.Variable(tf.zeros_like(v)) for v in variables
        }
        self.iterations = tf.Variable(0, dtype=tf.int64)

    @tf.function
    def apply(self, gradients, rate):
        steps = tf.cast(self.iterations.assign_add(1), tf.float64)
        root = tf.sqrt(1 - 0.999**steps)
        rate = tf.cast(rate, tf.float64) / (1 - 0.9**steps)
        for variable, gradient in zip(self.variables, gradients):
            first, second = self.first[variable.path], self.second[
                variable.path
            ]
            first.assign(0.9 * first + 0.1 * gradient)
            second.assign(0.999 * second + 0.001 * gradient**2)
            scale = tf.sqrt(second) / tf.cast(root, second.dtype) + 1e-5
            variable.assign_sub(
                tf.cast(rate, first.dtype) * first / scale
            )


class PolicyGradientTrainer(Trainer):
    """REINFORCE and its relatives, as `config` says.

    One step samples a batch, computes its advantages once and takes gradient
    steps on it: one, or with a ratio `config.epochs` times
    `config.minibatches`.  `config` chooses the baseline, the ratio and its
    clip, how the tokens' terms are aggregated, and the pull towards a
    reference: k1 belongs in the reward and k2 or k3 in the loss, as k1 in the
    loss has no mean gradient and k2 or k3 in the reward feed on themselves.
    With `config.resample`, groups whose returns are equal are drawn again
    first.

    With `config.reuse`, further steps on batches from the experience buffer
    follow.  There `importance_weights` weigh the policy gradient; the entropy
    and value terms are taken at the old samples as they are.

    Args:
        policy: a policy of `core.pt.models` or `core.tf.models`.
        env: `core.envs.BatchedEnvironment`.
        config: `core.types.PolicyGradientConfig`.
        baseline_network: b(X), with `config.baseline == "learned"`.
        reference: the frozen policy π_ref, with `config.kl`; a checkpoint
            does not hold it.
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

    _checkpoints = checkpoints

    def __init__(self, policy, env, config, baseline_network=None,
                 reference=None):
        if (config.baseline == "learned") != (baseline_network is not None):
            raise ValueError(
                'baseline_network: expected with baseline="learned" and '
                f'only with it, got baseline="{config.baseline}"'
            )
        if (config.kl != "none") != (reference is not None):
            raise ValueError(
                "reference: expected with kl and only with it, "
                f"got kl={config.kl!r}"
            )
        check_vocabulary(env, policy=policy, reference=reference)
        if reference is policy:
            raise ValueError("reference: expected a copy, got the policy")
        self.policy, self.reference = policy, reference
        models = {"policy": policy}
        if baseline_network is not None:
            models["baseline"] = baseline_network
        optimizers = {name: adam(model) for name, model in models.items()}
        super().__init__(env, config, models, optimizers)

    def step(self):
        """One step: sample, update, reuse.  Returns its metrics."""
        config = self.config
        self.batch = batch = self._draw()
        metrics = {
            "step": len(self.history) + 1,
            "return": float(batch.rewards.sum(axis=1).mean()),
            "length": float(batch.mask.sum(axis=1).mean()),
        }
        if config.baseline in GROUP_BASELINES:
            metrics["informative"] = float(self._informative(batch).mean())
        for _ in range(config.resample):
            self.batch = batch = self._refilled(batch)
        metrics |= self.update(batch)
        if self.buffer is not None:
            for _ in range(config.reuse if len(self.buffer) else 0):
                old = self.buffer.sample(config.batch_size, self.rng)
                metrics["ess"] = self.update(old, reused=True)["ess"]
            self.buffer.add(batch)
        self.history.append(metrics)
        return metrics

    def _draw(self):
        """A batch of completions of prompts drawn at random."""
        config = self.config
        rows = self.env.sample(
            config.batch_size // config.group_size, self.rng
        )
        return rollout(
            self.policy, self.env, rows, self.rng, config.temperature,
            config.group_size,
        )

    def _informative(self, batch):
        """Which rows belong to a group whose returns differ, (B,)."""
        config = self.config
        scores = discounted_returns(batch.rewards, batch.mask, config.gamma)
        return informative_groups(scores[:, 0], config.group_size)

    def _refilled(self, batch):
        """Groups of equal returns make room for new ones that differ."""
        if self._informative(batch).all():
            return batch
        pool = Rollout.concatenate([batch, self._draw()])
        order = np.argsort(~self._informative(pool), kind="stable")
        return pool.take(order[:len(batch)])

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
        if reused and self.config.ratio != "none":
            raise ValueError(
                "reused: expected False with the ratio "
                f'"{self.config.ratio}"'
            )
        self.updating = batch
        ref, predicted = self._reference_logprobs(batch), self._predict(batch)
        adv, targets = advantages(
            self._shaped(batch, ref), self.config, predicted
        )
        if targets is None:  # nothing that the loss reads
            targets = predicted = np.zeros(len(batch))
        elif self.config.baseline == "critic":
            predicted = predicted[:, :-1]
        arrays = (
            batch.prompts, batch.completions, batch.mask, batch.logprobs, ref,
            adv, targets, predicted, batch.prompt_mask,
        )
        steps = [
            self._update([array[rows] for array in arrays], reused)
            for rows in self._minibatches(len(batch))
        ]
        return {name: np.mean([step[name] for step in steps]).item()
                for name in steps[0]}

    def _shaped(self, batch, ref):
        """The batch, with rewards less the KL where that stands there."""
        config = self.config
        if config.kl == "none" or config.kl_in == "loss":
            return batch
        kl = _KL[config.kl](*map(self._tensor, (batch.logprobs, ref)))
        paid = batch.rewards - config.kl_coef * kl.numpy() * batch.mask
        return replace(batch, rewards=paid)

    def _minibatches(self, size):
        """The rows of each gradient step."""
        config = self.config
        for _ in range(config.epochs):
            rows = np.arange(size)
            if config.minibatches > 1:
                self.rng.shuffle(rows)
            yield from np.split(rows, config.minibatches)

    def _update(self, arrays, reused):
        """One gradient step; its metrics."""
        *arrays, prompt_mask = arrays
        alpha = float(self.config.alpha(len(self.history)))
        gradients, norms, metrics = self._gradients(
            *map(self._tensor, arrays), self._padding(prompt_mask),
            self._tensor(alpha), reused,
        )
        metrics["grad_norm"] = norms["policy"]
        metrics = {name: float(value) for name, value in metrics.items()}
        check_finite(len(self.history) + 1, metrics | norms)
        rate = tf.constant(self.config.rate(len(self.history)), tf.float64)
        for name, optimizer in self.optimizers.items():
            optimizer.apply(gradients[name], rate)
        self.updates += 1
        return metrics

    def _tensor(self, array):
        """NumPy to a tensor; floats in the policy's precision."""
        tensor = tf.convert_to_tensor(np.asarray(array))
        if tensor.dtype.is_floating:
            tensor = tf.cast(tensor, self.policy.dtype)
        return tensor

    def _reference_logprobs(self, batch):
        """log π_ref of a batch's tokens (B, T); 0 without a reference."""
        if self.reference is None:
            return np.zeros_like(batch.logprobs)
        return self._evaluate(
            *map(self._tensor, (batch.prompts, batch.completions, batch.mask)),
            self._padding(batch.prompt_mask),
        ).numpy()

    def _predict(self, batch):
        """What the value network says of a batch, as NumPy; or None."""
        prompts = self._tensor(batch.prompts)
        if self.config.baseline == "learned":
            return self.models["baseline"](prompts).numpy()
        if self.config.baseline == "greedy":
            best = rollout(self.policy, self.env, batch.rows)
            gamma = self.config.gamma
            return discounted_returns(best.rewards, best.mask, gamma)[:, 0]
        if self.config.baseline == "critic":
            ids = [tf.concat([prompts, self._tensor(batch.completions)], 1)]
            padding = self._padding(batch.prompt_mask)
            if padding is not None:
                ones = tf.ones_like(self._tensor(batch.mask))
                ids.append(tf.concat([padding, ones], axis=1))
            return self._values(*ids)[:, prompts.shape[1] - 1:].numpy()
        return None

    def _padding(self, prompt_mask):
        """The prompts' mask as a tensor, None where nothing is padded."""
        return None if prompt_mask.all() else self._tensor(prompt_mask)

    def _losses(self, prompts, completions, mask, old, ref, adv, targets,
                predicted, prompt_mask, alpha, reused):
        """The loss of a batch and its metrics."""
        config, metrics = self.config, {}
        logprobs, entropies, values = self.policy.evaluate(
            prompts, completions, mask, prompt_mask, config.temperature
        )
        if reused:
            ratio = importance_weights(logprobs, old, mask)
            mean = tf.reduce_mean
            metrics["ess"] = mean(ratio) ** 2 / mean(ratio**2)
            adv = adv * ratio
        if config.ratio == "none":
            gain = logprobs * adv
        else:
            gain, metrics["clipped"] = self._surrogate(
                logprobs, old, adv, mask
            )
        if config.kl != "none":
            kl = _KL[config.kl](logprobs, ref)
            metrics["kl"] = tf.reduce_sum(kl * mask) / tf.reduce_sum(mask)
            if config.kl_in == "loss":
                gain = gain - config.kl_coef * kl
        length = None
        if config.aggregation == "constant":
            length = self.env.max_length
        loss = -aggregate(gain, mask, config.aggregation, length)
        metrics["loss"] = loss = loss + alpha * entropy_loss(entropies, mask)
        metrics["entropy"] = (
            tf.reduce_sum(entropies * mask) / tf.reduce_sum(mask)
        )
        if config.baseline == "learned":
            values, mask = self.models["baseline"](prompts), mask[:, 0]
        if config.baseline in ("learned", "critic"):
            metrics["value_loss"] = self._value_loss(
                values, predicted, targets, mask
            )
            # The learned baseline shares no weight with the policy: in one
            # sum, each still gets only its own gradient.
            loss = loss + config.value_coef * metrics["value_loss"]
        return loss, metrics

    def _value_loss(self, values, predicted, targets, mask):
        clip = self.config.value_clip
        if clip is None:
            return value_loss(values, targets, mask)
        return clipped_value_loss(values, predicted, targets, mask, clip)

    def _surrogate(self, logprobs, old, adv, mask):
        """Tokens' terms (B, T), and the share of ratios beyond the clip."""
        low, high = self.config.clip_low, self.config.clip_high
        ratio = policy_ratio(logprobs, old, mask, self.config.ratio)
        if self.config.clip == "objective":
            gain = clipped_surrogate(ratio, adv, low, high)
        else:
            gain = clipped_weight_surrogate(logprobs, ratio, adv, low, high)
        outside = (ratio < 1 - low) | (ratio > 1 + high)
        outside = tf.cast(outside, mask.dtype) * mask
        return gain, tf.reduce_sum(outside) / tf.reduce_sum(mask)

    @tf.function
    def _evaluate(self, *arrays):
        temperature = self.config.temperature
        return self.reference.evaluate(*arrays, temperature)[0]

    @tf.function
    def _values(self, *ids):
        return self.policy(*ids)[1]

    @tf.function
    def _gradients(self, *arguments):
        """Clipped gradients of each model, their norms before, metrics."""
        with tf.GradientTape() as tape:
            loss, metrics = self._losses(*arguments)
        trained = {n: o.variables for n, o in self.optimizers.items()}
        gradients, norms = tape.gradient(loss, trained), {}
        for name, group in gradients.items():
            # A head that the loss does not reach has no gradient: zero.  An
            # embedding's is sparse and lists a token once per use: its norm
            # would be wrong.
            group = [
                tf.zeros_like(v) if g is None else tf.convert_to_tensor(g)
                for g, v in zip(group, trained[name])
            ]
            norms[name] = tf.linalg.global_norm(group)
            scale = self.config.max_grad_norm / (norms[name] + 1e-6)
            gradients[name] = [g * tf.minimum(scale, 1) for g in group]
        return gradients, norms, metrics


class SupervisedTrainer:
    """Cross-entropy on given targets: next tokens, masked tokens, labels.

    Args:
        model: of `core.pt.models` or `core.tf.models`; its logits are
            trained, the values of a policy are left alone.
        config: `core.types.SupervisedConfig`.
    Attributes:
        history: list of dicts, one a step: "step", "loss" (nats/target),
            "grad_norm" (before clipping), "rate".
    Source: weight decay outside the gradient: Loshchilov, Hutter 2019,
        arXiv:1711.05101.
    """

    def __init__(self, model, config):
        self.model, self.config = model, config
        self.optimizer, self.history = adam(model), []

    def train(self, batches, progress=True, path=None, every=200):
        """Take a step on each batch, until `config.steps` are taken.

        Args:
            batches: iterable of what `step` takes; it may end before, or
                never.
            progress: show a bar.
            path: where to save every `every` steps and at the end.
        Returns: the history.
        Raises: as `step`; with a path, the batch of a step that is not
            finite is then in the file "<path>.failed".
        """
        if every < 1:
            raise ValueError(f"every: expected at least 1, got {every}")
        if path is not None:
            weights.check_folder(path)  # now, not after the work
        left = max(self.config.steps - len(self.history), 0)
        with tqdm(total=left, disable=not progress) as bar:
            for batch in islice(batches, left):
                try:
                    metrics = self._take(batch)
                except FloatingPointError as error:
                    step = len(self.history) + 1
                    keep_failed(path, step, batch, error)
                    raise
                bar.update()
                bar.set_postfix_str(f"loss {metrics['loss']:.3f}")
                if path and len(self.history) % every == 0:
                    self.save(path)
        if path:
            self.save(path)
        return self.history

    def step(self, inputs, targets, mask):
        """One step on a batch; returns its metrics.

        Args:
            inputs: tuple of what the model reads: ids (B, L), or ids and
                attention_mask.
            targets: (B, L) int, token ids or classes; (B,) for one class a
                row.  Anything where the mask is 0.
            mask: of the same shape, 1 where the target counts.
        Raises: ValueError where shapes differ, a target is no class of the
            model, or nothing counts; FloatingPointError where a gradient is
            not finite (the weights are then as they were).
        """
        return self._step(*self._batch(inputs, targets, mask))

    def _step(self, *batch):
        """One step on the tensors that `_loss` reads; its metrics."""
        gradients, metrics = self._gradients(*batch)
        metrics = {name: float(value) for name, value in metrics.items()}
        check_finite(len(self.history) + 1, metrics)
        self._descend(gradients)
        metrics = {"step": len(self.history) + 1} | metrics
        metrics["rate"] = self.config.rate(len(self.history))
        self.history.append(metrics)
        return metrics

    def evaluate(self, batches):
        """Mean loss over all targets of the batches, nats per target.

        Raises: ValueError without batches, and as `step`.
        """
        total = count = 0
        for batch in batches:
            weight = float(np.sum(batch[2]))
            loss, _ = self._frozen(*self._batch(*batch))
            total, count = total + weight * float(loss), count + weight
        if not count:
            raise ValueError("batches: expected at least one")
        return total / count

    def save(self, path):
        """Write all that a resumed training needs, whole or not at all."""
        moments = checkpoints.get_moments(self.optimizer, self.model)
        weights.write(path, (
            prefixed("weights.", checkpoints.get_weights(self.model))
            | prefixed("adam.", moments)
        ), {"config": self._settings(), "history": self.history})

    def load(self, path):
        """Resume from `save`: the next step is the one that would follow.

        Raises: FileNotFoundError; ValueError where the file is truncated, or
            its weights or config are not this trainer's.
        """
        arrays, kept = weights.read(path)
        if kept.get("config") != self._settings():
            raise ValueError(
                f"config: expected that of the checkpoint, "
                f"{kept.get('config')}, got {self._settings()}"
            )
        checkpoints.set_weights(self.model, under("weights.", arrays))
        checkpoints.set_moments(
            self.optimizer, self.model, under("adam.", arrays),
            len(kept["history"]),
        )
        self.history = kept["history"]

    def _settings(self):
        """What a checkpoint of another training would differ in."""
        return self.config.as_dict()

    def _take(self, batch):
        """The step on what `train` finds in its batches."""
        return self.step(*batch)

    def _batch(self, inputs, targets, mask):
        """The batch as tensors; ValueError where it is not one."""
        targets, mask = _checked(self.model, inputs, targets, mask)
        inputs = [x if x is None else self._tensor(x) for x in inputs]
        return inputs, self._tensor(targets), self._tensor(mask)

    def _tensor(self, array):
        """NumPy to a tensor; floats in the model's precision."""
        tensor = tf.convert_to_tensor(np.asarray(array))
        if tensor.dtype.is_floating or tensor.dtype.is_bool:
            tensor = tf.cast(tensor, self.model.dtype)
        return tensor

    def _loss(self, inputs, targets, mask):
        outputs = self.model(*inputs)
        logits = outputs[0] if isinstance(outputs, tuple) else outputs
        return token_cross_entropy(logits, targets, mask), {}

    @tf.function
    def _frozen(self, *batch):
        """The loss and its metrics, without a gradient."""
        return self._loss(*batch)

    @tf.function
    def _gradients(self, *batch):
        """Clipped gradients, and metrics with the loss and their norm."""
        with tf.GradientTape() as tape:
            loss, metrics = self._loss(*batch)
        trained = self.optimizer.variables
        # Without a gradient: a head that the loss does not reach.  Sparse:
        # an embedding's, which lists a token once per use.
        gradients = [
            tf.zeros_like(v) if g is None else tf.convert_to_tensor(g)
            for g, v in zip(tape.gradient(loss, trained), trained)
        ]
        norm = tf.linalg.global_norm(gradients)
        scale = tf.minimum(self.config.max_grad_norm / (norm + 1e-6), 1)
        metrics |= {"loss": loss, "grad_norm": norm}
        return [g * scale for g in gradients], metrics

    def _descend(self, gradients):
        """One Adam step."""
        rate = self.config.rate(len(self.history))
        for weight in self.optimizer.variables:
            if self.config.weight_decay and len(weight.shape) > 1:
                weight.assign(weight * (1 - rate * self.config.weight_decay))
        self.optimizer.apply(gradients, tf.constant(rate, tf.float64))


def _checked(model, inputs, targets, mask):
    """Targets, 0 where the mask is, and the mask; ValueError where they do
    not fit each other or the model."""
    if not isinstance(inputs, (tuple, list)):
        raise ValueError(
            f"inputs: expected a tuple of arrays, got {type(inputs).__name__}"
        )
    targets, mask = np.asarray(targets), np.asarray(mask, dtype=np.float64)
    if targets.shape != mask.shape:
        raise ValueError(
            f"mask: expected the shape of targets {targets.shape}, "
            f"got {mask.shape}"
        )
    if not mask.sum() > 0:
        raise ValueError("mask: expected at least one target that counts")
    targets = np.where(mask > 0, targets, 0).astype(np.int64)
    config, size = getattr(model, "config", None), model.vocab_size
    if getattr(config, "head", "masked") != "masked":
        size = config.num_labels
    if not (0 <= targets.min() and targets.max() < size):
        raise ValueError(
            f"targets: expected ids in [0, {size}) where the mask is 1, got "
            f"{targets.min()} to {targets.max()}"
        )
    return targets, mask
