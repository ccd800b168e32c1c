"""The trainers: policy gradient (sample, score, weigh, step) and cross-entropy
on given targets; what no gradient passes through is in `core.trainers`."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import tensorflow as tf

from core import checks
from core.advantages import unwrapped
from core.tf import checkpoints, losses
from core.tf.layers import compiled, exact
from core.tf.logprobs import kl_estimate
from core.tf.objective import policy_loss
from core.tf.rollout import rollout
from core.trainers import policy_gradient, supervised
from core.types import Rollout


def adam(model: Any, epsilon: float = 1e-5) -> Any:
    """Adam with ε added to the root of the corrected second moment.

    Where ε stands differs between the frameworks' own classes, and their
    trainings part after a few steps; this is PyTorch's place in both.
    Source: Kingma, Ba 2015, arXiv:1412.6980, algorithm 1.
    """
    return _Adam(model.trainable_variables, epsilon)


class _Adam:
    """PyTorch's Adam: its moments by variable path, its count of steps."""

    def __init__(self, variables, epsilon):
        self.variables, self.epsilon = variables, epsilon
        self.first = {v.path: tf.Variable(tf.zeros_like(v)) for v in variables}
        self.second = {v.path: tf.Variable(tf.zeros_like(v)) for v in variables}
        self.iterations = tf.Variable(tf.constant(0, tf.int64))
        self.apply = tf.function(partial(_Adam._apply, self))

    def _apply(self, gradients, rate):
        steps = tf.cast(self.iterations.assign_add(1), tf.float64)
        root = tf.sqrt(1 - 0.999**steps)
        rate = tf.cast(rate, tf.float64) / (1 - 0.9**steps)
        for variable, gradient in zip(self.variables, gradients):
            first, second = self.first[variable.path], self.second[variable.path]
            first.assign(0.9 * first + 0.1 * gradient)
            second.assign(0.999 * second + 0.001 * gradient**2)
            scale = tf.sqrt(second) / tf.cast(root, second.dtype) + self.epsilon
            variable.assign_sub(tf.cast(rate, first.dtype) * first / scale)


def tensor_like(array, model: Any):
    """NumPy to a tensor beside a model; real numbers in its precision or float32."""
    tensor = tf.convert_to_tensor(np.asarray(array))
    real = tensor.dtype.is_floating or tensor.dtype.is_bool
    return tf.cast(tensor, model.dtype) if real else tensor


def gradients(loss_of: Callable, optimizers: dict, before: Any = None) -> tuple:
    """The gradient of a loss for each model.

    Args:
        loss_of: called without arguments, gives a scalar loss and a dict of metrics.
        optimizers: dict, name to Adam.
        before: what this returned for other parts of a batch, which is added.
    Returns: name to gradients; "loss" and the metrics.
    """
    with tf.GradientTape() as tape:
        loss, metrics = loss_of()
    trained = {n: [v.value for v in o.variables] for n, o in optimizers.items()}
    zero = tf.UnconnectedGradients.ZERO  # of a head that the loss does not reach
    slopes = tape.gradient(loss, trained, unconnected_gradients=zero)
    # An embedding's is sparse and lists a token once per use: its norm would be wrong.
    found = tf.nest.map_structure(tf.convert_to_tensor, slopes)
    added = found, {"loss": loss} | metrics
    return added if before is None else tf.nest.map_structure(tf.add, before, added)


def clipped(gradients: dict, max_norm: float) -> tuple:
    """Gradients scaled down to a norm.

    Args:
        gradients: dict, the name of a model to its gradients.
        max_norm: > 0, of each model's gradient.
    Returns: name to scaled gradients; name to norm before.
    """
    found, norms = {}, {}
    for name, group in gradients.items():
        norms[name] = tf.linalg.global_norm([exact(g) for g in group])
        scale = tf.minimum(max_norm / (norms[name] + 1e-6), 1)
        found[name] = [g * tf.cast(scale, g.dtype) for g in group]
    return found, norms


def clipped_gradients(loss_of: Callable, optimizers: dict, max_norm: float) -> tuple:
    """The gradient of a loss for each model, scaled down to a norm.

    Args:
        loss_of, optimizers: as for `gradients`.
        max_norm: > 0, of each model's gradient.
    Returns: name to scaled gradients; name to norm before; "loss" and the metrics.
    """
    found, metrics = gradients(loss_of, optimizers)
    return *clipped(found, max_norm), metrics


def descend(optimizers: dict, gradients: dict, rate: float, weight_decay=0.0) -> None:
    """One Adam step of each model.

    Args:
        optimizers, gradients: dicts of the same names.
        rate: learning rate.
        weight_decay: ≥ 0; matrices shrink by rate × this before the step.
    Source: decay outside the gradient: Loshchilov, Hutter 2019, arXiv:1711.05101.
    """
    for name, optimizer in optimizers.items():
        for weight in optimizer.variables:
            if weight_decay and len(weight.shape) > 1:
                weight.assign(weight * (1 - rate * weight_decay))
        optimizer.apply(gradients[name], tf.constant(rate, tf.float64))


class PolicyGradientTrainer(policy_gradient.PolicyGradientTrainer):
    """`core.trainers.policy_gradient.PolicyGradientTrainer`, with its gradients."""

    _checkpoints, _rollout = checkpoints, staticmethod(rollout)
    _adam, _descend = staticmethod(adam), staticmethod(descend)

    def reference_logprobs(self, batch: Rollout):
        """log π_ref of a batch's tokens, (B, T) NumPy."""
        checks.require(self.reference is not None, "reference: expected one, got None")
        texts = map(self._tensor, (batch.prompts, batch.completions, batch.mask))
        padding = None if batch.prompt_mask.all() else self._tensor(batch.prompt_mask)
        return self._evaluate(*texts, padding).numpy()

    @compiled
    def _evaluate(self, *arrays):
        return self.reference.evaluate(*arrays, self.config.temperature)[0]

    def _baseline(self, prompts):
        """b(X) of prompts, (B,) NumPy."""
        return self.models["baseline"](self._tensor(prompts)).numpy()

    def _values(self, batch: Rollout):
        """V(s_0) .. V(s_T) of a critic, (B, T + 1) NumPy."""
        texts, mask = [np.hstack([batch.prompts, batch.completions])], batch.prompt_mask
        if not mask.all():
            texts.append(np.hstack([mask, np.ones_like(batch.mask)]))
        values = self._read(*map(self._tensor, texts))
        return values[:, batch.prompts.shape[1] - 1 :].numpy()

    @compiled
    def _read(self, *ids):
        return self.policy.values(*ids)

    def _estimate(self, logprobs, ref):
        """The pull's KL(π‖π_ref) at each token, (B, T) NumPy."""
        estimator = self.config.algorithm.pull.estimator
        kl = kl_estimate(estimator, *map(self._tensor, (logprobs, ref)))
        return kl.numpy()

    def _tensor(self, array):
        return tensor_like(array, self.policy)

    def _gradients(self, parts: list[dict], reused: bool) -> tuple:
        """Clipped gradients of the parts' sum, their norms before, and metrics."""
        alpha = self._tensor(float(self.config.alpha(len(self.history))))
        found: Any = None
        for arrays in parts:
            batch = {name: self._tensor(a) for name, a in arrays.items()}
            found = self._added(batch, alpha, reused, found)
        return *self._clipped(found[0]), found[1]

    @compiled
    def _added(self, batch: dict, alpha, reused: bool, before) -> tuple:
        loss_of = partial(self.loss, batch, alpha, reused)
        return gradients(loss_of, self.optimizers, before)

    @compiled
    def _clipped(self, found: dict) -> tuple:
        return clipped(found, self.config.max_grad_norm)

    def loss(self, batch: dict, alpha, reused: bool) -> tuple:
        """The loss of a batch and its metrics.

        Args:
            batch: tensors under the names of `arrays`, which has the shapes.
            alpha: weight of the entropy bonus.
            reused: an older policy sampled the rows.
        Returns: scalar; dict of metrics.
        """
        algorithm, metrics = self.config.algorithm, {}
        prompts, texts, mask = batch["prompts"], batch["completions"], batch["mask"]
        logprobs, entropies, values = self.policy.evaluate(
            prompts, texts, mask, batch.get("prompt_mask"), self.config.temperature
        )
        old, adv = batch["old"], batch["adv"]
        if reused:
            ratio = losses.importance_weights(logprobs, old, mask)
            metrics["ess"] = tf.reduce_mean(ratio) ** 2 / tf.reduce_mean(ratio**2)
            adv = adv * ratio
        limit, ref, whole = self.env.max_length, batch.get("ref"), batch.get("whole")
        loss, more = policy_loss(algorithm, logprobs, old, adv, mask, limit, ref, whole)
        loss = loss + alpha * losses.entropy_loss(entropies, mask, whole)
        entropy = tf.reduce_sum(entropies * mask) / losses.counts(mask, whole)[1]
        metrics |= more | {"loss": loss, "entropy": entropy}
        if "targets" not in batch:
            return loss, metrics
        # One value a token, of the policy's own critic, or b(X), one a prompt.
        if "baseline" in self.models:
            values, mask = self.models["baseline"](prompts)[:, None], mask[:, :1]
            whole = None if whole is None else tf.gather(whole, [0, 0])
        record, before = unwrapped(algorithm.advantage), batch["predicted"]
        targets, clip = batch["targets"], record.value_clip
        error = losses.clipped_value_loss(values, before, targets, mask, clip, whole)
        # The learned baseline shares no weight with the policy: in one sum,
        # each still gets only its own gradient.
        return loss + record.value_coef * error, metrics | {"value_loss": error}


class SupervisedTrainer(supervised.SupervisedTrainer):
    """`core.trainers.supervised.SupervisedTrainer`, with its gradients."""

    _checkpoints = checkpoints
    _adam, _descend = staticmethod(adam), staticmethod(descend)

    def _tensor(self, array):
        return tensor_like(array, self.model)

    def _loss(self, inputs, targets, mask):
        """The loss of a batch and further metrics."""
        outputs = self.model(*inputs)
        logits = outputs[0] if isinstance(outputs, tuple) else outputs
        return losses.token_cross_entropy(logits, targets, mask), {}

    @compiled
    def _frozen(self, *batch):
        """The loss and its metrics, without a gradient."""
        return self._loss(*batch)

    @compiled
    def _gradients(self, *batch) -> tuple:
        """Clipped gradients, their norms before, and metrics."""
        norm = self.config.max_grad_norm
        return clipped_gradients(lambda: self._loss(*batch), self.optimizers, norm)
