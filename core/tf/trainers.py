"""The trainers: policy gradient (sample, score, weigh, step) and cross-entropy
on given targets; what no gradient passes through is in `core.trainers`."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from core.advantages import unwrapped
from core.tf import checkpoints
from core.tf.losses import entropy_loss, importance_weights, token_cross_entropy
from core.tf.objective import kl_estimate, policy_loss, value_term
from core.tf.rollout import rollout
from core.trainers import policy_gradient, supervised


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
        self.second = {v.path: tf.Variable(tf.zeros_like(v)) for v in variables}
        self.iterations = tf.Variable(0, dtype=tf.int64)

    @tf.function
    def apply(self, gradients, rate):
        steps = tf.cast(self.iterations.assign_add(1), tf.float64)
        root = tf.sqrt(1 - 0.999**steps)
        rate = tf.cast(rate, tf.float64) / (1 - 0.9**steps)
        for variable, gradient in zip(self.variables, gradients):
            first, second = self.first[variable.path], self.second[variable.path]
            first.assign(0.9 * first + 0.1 * gradient)
            second.assign(0.999 * second + 0.001 * gradient**2)
            scale = tf.sqrt(second) / tf.cast(root, second.dtype) + 1e-5
            variable.assign_sub(tf.cast(rate, first.dtype) * first / scale)


def tensor_like(array, model):
    """NumPy to a tensor beside a model; floats and bools in its precision."""
    tensor = tf.convert_to_tensor(np.asarray(array))
    exact = tensor.dtype.is_floating or tensor.dtype.is_bool
    return tf.cast(tensor, model.dtype) if exact else tensor


def clipped_gradients(loss_of, optimizers, max_grad_norm):
    """The gradient of a loss for each model, scaled down to a norm.

    Args:
        loss_of: function without arguments; returns a scalar loss and a dict
            of metrics.
        optimizers: dict, name to Adam.
        max_grad_norm: > 0, of each model's gradient.
    Returns: dict, name to list of gradients; dict, name to norm before it was
        scaled; the metrics.
    """
    with tf.GradientTape() as tape:
        loss, metrics = loss_of()
    trained = {n: o.variables for n, o in optimizers.items()}
    found, norms = tape.gradient(loss, trained), {}
    for name, group in found.items():
        # A head that the loss does not reach has no gradient: zero.  An
        # embedding's is sparse and lists a token once per use: its norm
        # would be wrong.
        group = [
            tf.zeros_like(v) if g is None else tf.convert_to_tensor(g)
            for g, v in zip(group, trained[name])
        ]
        norms[name] = tf.linalg.global_norm(group)
        scale = tf.minimum(max_grad_norm / (norms[name] + 1e-6), 1)
        found[name] = [gradient * scale for gradient in group]
    return found, norms, metrics


def descend(optimizers, gradients, rate, weight_decay=0.0):
    """One Adam step of each model.

    Args:
        optimizers, gradients: dicts of the same names.
        rate: learning rate.
        weight_decay: ≥ 0; matrices shrink by rate × this before the step.
    Source: weight decay outside the gradient: Loshchilov, Hutter 2019,
        arXiv:1711.05101.
    """
    for name, optimizer in optimizers.items():
        for weight in optimizer.variables:
            if weight_decay and len(weight.shape) > 1:
                weight.assign(weight * (1 - rate * weight_decay))
        optimizer.apply(gradients[name], tf.constant(rate, tf.float64))


class PolicyGradientTrainer(policy_gradient.PolicyGradientTrainer):
    """That of `core.trainers.policy_gradient`, with what a gradient passes
    through."""

    _checkpoints, _rollout = checkpoints, staticmethod(rollout)
    _adam, _descend = staticmethod(adam), staticmethod(descend)

    def reference_logprobs(self, batch):
        """log π_ref of a batch's tokens, (B, T) NumPy; None without it."""
        if self.reference is None:
            return None
        return self._evaluate(
            *map(self._tensor, (batch.prompts, batch.completions, batch.mask)),
            self._padding(batch.prompt_mask),
        ).numpy()

    @tf.function
    def _evaluate(self, *arrays):
        temperature = self.config.temperature
        return self.reference.evaluate(*arrays, temperature)[0]

    def _baseline(self, prompts):
        """b(X) of prompts, (B,) NumPy."""
        return self.models["baseline"](self._tensor(prompts)).numpy()

    def _values(self, batch):
        """V(s_0) .. V(s_T) of a critic, (B, T + 1) NumPy."""
        prompts = self._tensor(batch.prompts)
        ids = [tf.concat([prompts, self._tensor(batch.completions)], 1)]
        padding = self._padding(batch.prompt_mask)
        if padding is not None:
            ones = tf.ones_like(self._tensor(batch.mask))
            ids.append(tf.concat([padding, ones], axis=1))
        return self._read(*ids)[:, prompts.shape[1] - 1 :].numpy()

    @tf.function
    def _read(self, *ids):
        return self.policy(*ids)[1]

    def _estimate(self, logprobs, ref):
        """The pull's KL(π‖π_ref) at each token, (B, T) NumPy."""
        pull = self.config.algorithm.pull
        kl = kl_estimate(pull, *map(self._tensor, (logprobs, ref)))
        return kl.numpy()

    def _tensor(self, array):
        return tensor_like(array, self.policy)

    def _padding(self, prompt_mask):
        """The prompts' mask as a tensor, None where nothing is padded."""
        return None if prompt_mask.all() else self._tensor(prompt_mask)

    def _gradients(self, arrays, reused):
        """Clipped gradients, their norms before, and metrics."""
        alpha = float(self.config.alpha(len(self.history)))
        tensors = {name: self._tensor(a) for name, a in arrays.items()}
        return self._compiled(tensors, self._tensor(alpha), reused)

    @tf.function(autograph=False)  # which cannot read `match`
    def _compiled(self, tensors, alpha, reused):
        return clipped_gradients(
            lambda: self.loss(**tensors, alpha=alpha, reused=reused),
            self.optimizers,
            self.config.max_grad_norm,
        )

    def loss(
        self,
        prompts,
        completions,
        mask,
        old,
        adv,
        alpha,
        reused,
        ref=None,
        targets=None,
        predicted=None,
        prompt_mask=None,
    ):
        """The loss of a batch and its metrics; `arrays` has the shapes."""
        algorithm, metrics = self.config.algorithm, {}
        logprobs, entropies, values = self.policy.evaluate(
            prompts, completions, mask, prompt_mask, self.config.temperature
        )
        if reused:
            ratio = importance_weights(logprobs, old, mask)
            mean = tf.reduce_mean
            metrics["ess"] = mean(ratio) ** 2 / mean(ratio**2)
            adv = adv * ratio
        loss, terms = policy_loss(
            algorithm, logprobs, old, adv, mask, self.env.max_length, ref
        )
        loss = loss + alpha * entropy_loss(entropies, mask)
        metrics |= terms | {"loss": loss}
        metrics["entropy"] = tf.reduce_sum(entropies * mask) / tf.reduce_sum(mask)
        if targets is None:
            return loss, metrics
        if "baseline" in self.models:  # one value a prompt
            values, mask = self.models["baseline"](prompts), mask[:, :1]
            values = values[:, None]
        record = unwrapped(algorithm.advantage)
        error = value_term(record, values, predicted, targets, mask)
        # The learned baseline shares no weight with the policy: in one sum,
        # each still gets only its own gradient.
        loss = loss + record.value_coef * error
        return loss, metrics | {"value_loss": error}


class SupervisedTrainer(supervised.SupervisedTrainer):
    """That of `core.trainers.supervised`, with what a gradient passes
    through."""

    _checkpoints = checkpoints
    _adam, _descend = staticmethod(adam), staticmethod(descend)

    def _tensor(self, array):
        return tensor_like(array, self.model)

    def _loss(self, inputs, targets, mask):
        """The loss of a batch and further metrics."""
        outputs = self.model(*inputs)
        logits = outputs[0] if isinstance(outputs, tuple) else outputs
        return token_cross_entropy(logits, targets, mask), {}

    @tf.function
    def _frozen(self, *batch):
        """The loss and its metrics, without a gradient."""
        return self._loss(*batch)

    @tf.function
    def _gradients(self, *batch):
        """Clipped gradients, their norms before, and metrics."""

        def loss_of():
            loss, metrics = self._loss(*batch)
            return loss, {"loss": loss} | metrics

        return clipped_gradients(loss_of, self.optimizers, self.config.max_grad_norm)
