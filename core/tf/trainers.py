"""The policy-gradient trainer: sample, score, weigh, step."""

from __future__ import annotations

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
from core.tf.logprobs import entropy, token_logprobs
from core.tf.losses import (
    entropy_loss,
    importance_weights,
    policy_gradient_loss,
    value_loss,
)
from core.tf.rollout import rollout
from core.types import Rollout


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

    One step samples a batch, computes its advantages and takes one gradient
    step; with `config.reuse`, further steps on batches from the experience
    buffer follow.  There `importance_weights` weigh the policy gradient; the
    entropy and value terms are taken at the old samples as they are.

    Args:
        policy: a policy of `core.pt.models` or `core.tf.models`.
        env: `core.envs.BatchedEnvironment`.
        config: `core.types.PolicyGradientConfig`.
        baseline_network: b(X), with `config.baseline == "learned"`.
    Attributes:
        history: list of dicts, one a step: "step", "return" (mean sum of
            rewards), "length" (tokens), "entropy" (nats/token), "loss"
            (policy and entropy terms), "grad_norm" (before clipping),
            "value_loss" where values are learned, and with reuse "ess", the
            effective share of a reused batch, (Σw)² / (B Σw²).
        updates: how many gradient steps were taken.
        batch: the last Rollout that was sampled, None before the first.
    """

    def __init__(self, policy, env, config, baseline_network=None):
        if (config.baseline == "learned") != (baseline_network is not None):
            raise ValueError(
                'baseline_network: expected with baseline="learned" and '
                f'only with it, got baseline="{config.baseline}"'
            )
        if policy.vocab_size != env.vocab_size:
            raise ValueError(
                f"policy: expected the environment's {env.vocab_size} "
                f"tokens, got {policy.vocab_size}"
            )
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
        rows = self.env.sample(config.batch_size, self.rng)
        self.batch = batch = rollout(
            self.policy, self.env, rows, self.rng, config.temperature
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
        """One gradient step on a batch; returns the metrics of the step.

        Args:
            batch: Rollout.
            reused: an older policy sampled the rows: weigh their policy
                gradient.
        """
        adv, targets = advantages(batch, self.config, self._predict(batch))
        tensors = [self._tensor(a) for a in (
            batch.prompts, batch.completions, batch.mask, batch.logprobs, adv,
            adv if targets is None else targets,
        )]
        alpha = float(self.config.alpha(len(self.history)))
        gradients, norms, metrics = self._gradients(
            *tensors, self._tensor(alpha), reused
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

    def _predict(self, batch):
        """What the value network says of a batch, as NumPy; or None."""
        prompts = self._tensor(batch.prompts)
        if self.config.baseline == "learned":
            return self.models["baseline"](prompts).numpy()
        if self.config.baseline == "critic":
            ids = tf.concat([prompts, self._tensor(batch.completions)], 1)
            return self._values(ids)[:, prompts.shape[1] - 1:].numpy()
        return None

    def _losses(self, prompts, completions, mask, old, adv, targets, alpha,
                reused):
        """The loss of a batch and its metrics."""
        config, metrics = self.config, {}
        logits, values = self.policy.score(prompts, completions)
        logprobs = token_logprobs(logits, completions, config.temperature)
        entropies = entropy(logits / config.temperature)
        if reused:
            ratio = importance_weights(logprobs, old, mask)
            mean = tf.reduce_mean
            metrics["ess"] = mean(ratio) ** 2 / mean(ratio**2)
            adv = adv * ratio
        loss = policy_gradient_loss(logprobs, adv, mask)
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

    @tf.function
    def _values(self, ids):
        return self.policy(ids)[1]

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


def _prefixed(prefix, arrays):
    return {prefix + name: array for name, array in arrays.items()}


def _under(prefix, arrays):
    return {
        name.removeprefix(prefix): array
        for name, array in arrays.items() if name.startswith(prefix)
    }
