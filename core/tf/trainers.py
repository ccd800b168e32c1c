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
from core.buffer import ExperienceBuffer
from core.tf.checkpoints import (
    get_moments,
    get_weights,
    set_moments,
    set_weights,
)
from core.tf.logprobs import kl_k1, kl_k2, kl_k3
from core.tf.losses import (
    aggregate,
    clipped_surrogate,
    clipped_weight_surrogate,
    entropy_loss,
    importance_weights,
    policy_ratio,
    token_cross_entropy,
    value_loss,
)
from core.tf.rollout import rollout
from core.types import Rollout

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


class PolicyGradientTrainer:
    """REINFORCE and its relatives, as `config` says.

    One step samples a batch, computes its advantages once and takes gradient
    steps on it: one, or with a ratio `config.epochs` times
    `config.minibatches`.  `config` chooses the baseline, the ratio and its
    clip, and how the tokens' terms are aggregated.

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
            the share of tokens whose ratio lies beyond the clip, and with
            reuse "ess", the effective share of a reused batch,
            (Σw)² / (B Σw²).  Of several gradient steps the mean.
        updates: how many gradient steps were taken.
        batch: the last Rollout that was sampled, None before the first.
    """

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
        for name, model in (("policy", policy), ("reference", reference)):
            if model is not None and model.vocab_size != env.vocab_size:
                raise ValueError(
                    f"{name}: expected the environment's {env.vocab_size} "
                    f"tokens, got {model.vocab_size}"
                )
        self.reference = reference
        self.policy, self.env, self.config = policy, env, config
        self.models = {"policy": policy}
        if baseline_network is not None:
            self.models["baseline"] = baseline_network
        self.optimizers = {n: adam(m) for n, m in self.models.items()}
        self.rng = np.random.default_rng(config.seed)
        self.buffer = None
        if config.buffer_batches:
            self.buffer = ExperienceBuffer(config.buffer_batches)
        self.history, self.updates, self.batch = [], 0, None

    def train(self, steps=None, progress=True, path=None, every=50):
        """Take steps until `config.steps`, or `steps` more.

        Args:
            steps: how many; None is all that are left.
            progress: show a bar.
            path: where to save every `every` steps and at the end.
        Returns: the history.
        """
        if every < 1:
            raise ValueError(f"every: expected at least 1, got {every}")
        if path is not None:
            weights.check_folder(path)  # now, not after the work
        if steps is None:
            steps = max(self.config.steps - len(self.history), 0)
        with tqdm(total=steps, disable=not progress) as bar:
            for _ in range(steps):
                metrics = self.step()
                bar.update()
                bar.set_postfix_str(f"return {metrics['return']:.3f}")
                if path and len(self.history) % every == 0:
                    self.save(path)
        if path:
            self.save(path)
        return self.history

    def step(self):
        """One step: sample, update, reuse.  Returns its metrics."""
        config = self.config
        prompts = config.batch_size // config.group_size
        rows = self.env.sample(prompts, self.rng)
        self.batch = batch = rollout(
            self.policy, self.env, rows, self.rng, config.temperature,
            config.group_size,
        )
        metrics = {
            "step": len(self.history) + 1,
            "return": float(batch.rewards.sum(axis=1).mean()),
            "length": float(batch.mask.sum(axis=1).mean()),
        }
        metrics |= self.update(batch)
        if self.buffer is not None:
            for _ in range(config.reuse if len(self.buffer) else 0):
                old = self.buffer.sample(config.batch_size, self.rng)
                metrics["ess"] = self.update(old, reused=True)["ess"]
            self.buffer.add(batch)
        self.history.append(metrics)
        return metrics

    def update(self, batch, reused=False):
        """The gradient steps on a batch; returns the means of their metrics.

        Args:
            batch: Rollout.
            reused: an older policy sampled the rows: weigh their policy
                gradient.
        """
        ref = self._reference_logprobs(batch)
        adv, targets = advantages(
            self._shaped(batch, ref), self.config, self._predict(batch)
        )
        arrays = (
            batch.prompts, batch.completions, batch.mask, batch.logprobs, ref,
            adv, adv if targets is None else targets, batch.prompt_mask,
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
        self._descend(gradients, norms)
        self.updates += 1
        metrics["grad_norm"] = norms["policy"]
        return {name: float(value) for name, value in metrics.items()}

    def save(self, path):
        """Write all that a resumed training needs, whole or not at all."""
        arrays = self._arrays()
        kept = self.buffer.rollouts if self.buffer else ()
        for i, batch in enumerate(kept):
            arrays |= _prefixed(f"buffer.{i}.", vars(batch))
        weights.write(path, arrays, {
            "config": self.config.as_dict(),
            "task": self._task(),
            "history": self.history,
            "updates": self.updates,
            "rng": self.rng.bit_generator.state,
            "buffer": len(kept),
        })

    def load(self, path):
        """Resume from `save`: the next step is the one that would follow.

        Raises: FileNotFoundError; ValueError where the file is truncated, or
            its weights, config or task are not this trainer's.  The trainer
            is then as it was.
        """
        arrays, kept = weights.read(path)
        own = {"config": self.config.as_dict(), "task": self._task()}
        for name, value in own.items():
            if kept.get(name) != value:
                raise ValueError(
                    f"{name}: expected that of the checkpoint, "
                    f"{kept.get(name)}, got {value}"
                )
        batches = [
            Rollout(**_under(f"buffer.{i}.", arrays))
            for i in range(kept["buffer"])
        ]
        weights.check_names(
            {n: a for n, a in arrays.items() if not n.startswith("buffer.")},
            {n: a.shape for n, a in self._arrays().items()},
        )
        for name, model in self.models.items():
            moments = _under(f"{name}.adam.", arrays)
            set_weights(model, _under(f"{name}.weights.", arrays))
            set_moments(
                self.optimizers[name], model, moments, kept["updates"]
            )
        self.updates, self.history = kept["updates"], kept["history"]
        self.rng.bit_generator.state = kept["rng"]
        if self.buffer is not None:
            self.buffer.rollouts.clear()
            self.buffer.rollouts.extend(batches)

    def _arrays(self):
        """Weights and moments of all models by name."""
        arrays = {}
        for name, model in self.models.items():
            moments = get_moments(self.optimizers[name], model)
            arrays |= _prefixed(f"{name}.weights.", get_weights(model))
            arrays |= _prefixed(f"{name}.adam.", moments)
        return arrays

    def _task(self):
        """What a checkpoint of another task would differ in: N, P, T, V."""
        env = self.env
        return [*env.prompts.shape, env.max_length, env.vocab_size]

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
                prompt_mask, alpha, reused):
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
            metrics["value_loss"] = value_loss(values, targets, mask)
            # The learned baseline shares no weight with the policy: in one
            # sum, each still gets only its own gradient.
            loss = loss + config.value_coef * metrics["value_loss"]
        return loss, metrics

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

    def _descend(self, gradients, norms):
        """One Adam step of each model."""
        step = len(self.history)
        norms = {name: float(norm) for name, norm in norms.items()}
        if not np.isfinite(list(norms.values())).all():
            raise FloatingPointError(
                f"step {step + 1}: expected finite gradients, got {norms}"
            )
        rate = tf.constant(self.config.rate(step), tf.float64)
        for name, optimizer in self.optimizers.items():
            optimizer.apply(gradients[name], rate)


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
            batches: iterable of (inputs, targets, mask), as for `step`; it
                may end before, or never.
            progress: show a bar.
            path: where to save every `every` steps and at the end.
        Returns: the history.
        """
        if every < 1:
            raise ValueError(f"every: expected at least 1, got {every}")
        if path is not None:
            weights.check_folder(path)  # now, not after the work
        left = max(self.config.steps - len(self.history), 0)
        with tqdm(total=left, disable=not progress) as bar:
            for batch in islice(batches, left):
                metrics = self.step(*batch)
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
        batch = self._batch(inputs, targets, mask)
        gradients, norm, loss = self._gradients(*batch)
        norm = self._descend(gradients, float(norm))
        metrics = {
            "step": len(self.history) + 1,
            "loss": float(loss),
            "grad_norm": norm,
            "rate": self.config.rate(len(self.history)),
        }
        self.history.append(metrics)
        return metrics

    def evaluate(self, batches):
        """Mean loss over all targets of the batches, nats per target.

        Raises: ValueError without batches, and as `step`.
        """
        total = count = 0
        for batch in batches:
            weight = float(np.sum(batch[2]))
            loss = self._frozen_loss(*self._batch(*batch))
            total, count = total + weight * float(loss), count + weight
        if not count:
            raise ValueError("batches: expected at least one")
        return total / count

    def save(self, path):
        """Write all that a resumed training needs, whole or not at all."""
        moments = get_moments(self.optimizer, self.model)
        weights.write(path, (
            _prefixed("weights.", get_weights(self.model))
            | _prefixed("adam.", moments)
        ), {"config": self.config.as_dict(), "history": self.history})

    def load(self, path):
        """Resume from `save`: the next step is the one that would follow.

        Raises: FileNotFoundError; ValueError where the file is truncated, or
            its weights or config are not this trainer's.
        """
        arrays, kept = weights.read(path)
        if kept.get("config") != self.config.as_dict():
            raise ValueError(
                f"config: expected that of the checkpoint, "
                f"{kept.get('config')}, got {self.config.as_dict()}"
            )
        set_weights(self.model, _under("weights.", arrays))
        set_moments(
            self.optimizer, self.model, _under("adam.", arrays),
            len(kept["history"]),
        )
        self.history = kept["history"]

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
        return token_cross_entropy(logits, targets, mask)

    @tf.function
    def _frozen_loss(self, *batch):
        return self._loss(*batch)

    @tf.function
    def _gradients(self, *batch):
        """Clipped gradients, their norm before, and the loss."""
        with tf.GradientTape() as tape:
            loss = self._loss(*batch)
        trained = self.optimizer.variables
        # Without a gradient: a head that the loss does not reach.  Sparse:
        # an embedding's, which lists a token once per use.
        gradients = [
            tf.zeros_like(v) if g is None else tf.convert_to_tensor(g)
            for g, v in zip(tape.gradient(loss, trained), trained)
        ]
        norm = tf.linalg.global_norm(gradients)
        scale = tf.minimum(self.config.max_grad_norm / (norm + 1e-6), 1)
        return [g * scale for g in gradients], norm, loss

    def _descend(self, gradients, norm):
        """One Adam step; the gradient's norm, which must be finite."""
        step = len(self.history)
        if not np.isfinite(norm):
            raise FloatingPointError(
                f"step {step + 1}: expected a finite gradient, got norm {norm}"
            )
        rate = self.config.rate(step)
        for weight in self.optimizer.variables:
            if self.config.weight_decay and len(weight.shape) > 1:
                weight.assign(weight * (1 - rate * self.config.weight_decay))
        self.optimizer.apply(gradients, tf.constant(rate, tf.float64))
        return norm


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


def _prefixed(prefix, arrays):
    return {prefix + name: array for name, array in arrays.items()}


def _under(prefix, arrays):
    return {
        name.removeprefix(prefix): array
        for name, array in arrays.items() if name.startswith(prefix)
    }
