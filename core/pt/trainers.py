"""The trainers: policy gradient (sample, score, weigh, step) and cross-entropy
on given targets; what no gradient passes through is in `core.trainers`."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch

from core import checks
from core.advantages import unwrapped
from core.pt import checkpoints, losses
from core.pt.layers import exact
from core.pt.logprobs import kl_estimate
from core.pt.objective import policy_loss
from core.pt.rollout import rollout
from core.trainers import policy_gradient, supervised
from core.types import Rollout


def adam(model: Any, epsilon: float = 1e-5) -> Any:
    """Adam with ε added to the root of the corrected second moment.

    Where ε stands differs between the frameworks' own classes, and their
    trainings part after a few steps; this is PyTorch's place in both.
    Source: Kingma, Ba 2015, arXiv:1412.6980, algorithm 1.
    """
    trained = [p for p in model.parameters() if p.requires_grad]
    return torch.optim.Adam(trained, eps=epsilon)


def tensor_like(array, model: Any):
    """NumPy to a tensor beside a model; real numbers in its precision or float32."""
    weight = next(model.parameters())
    tensor = torch.from_numpy(np.asarray(array)).to(weight.device)
    real = tensor.is_floating_point() or tensor.dtype is torch.bool
    return tensor.to(exact(weight).dtype) if real else tensor


def gradients(loss_of: Callable, optimizers: dict, before: Any = None) -> tuple:
    """The gradient of a loss for each model.

    Args:
        loss_of: called without arguments, gives a scalar loss and a dict of metrics.
        optimizers: dict, name to Adam.
        before: what this returned for other parts of a batch, which is added.
    Returns: name to gradients; "loss" and the metrics.
    """
    if before is None:
        for optimizer in optimizers.values():
            optimizer.zero_grad()
    loss, metrics = loss_of()
    loss.backward()  # which adds to what is there
    groups = {n: o.param_groups[0]["params"] for n, o in optimizers.items()}
    found = {name: [weight.grad for weight in group] for name, group in groups.items()}
    metrics = {n: x.detach() for n, x in ({"loss": loss} | metrics).items()}
    if before is not None:
        metrics = {n: x + before[1][n] for n, x in metrics.items()}
    return found, metrics


def clipped(gradients: dict, max_norm: float) -> tuple:
    """Gradients scaled down to a norm.

    Args:
        gradients: dict, the name of a model to its gradients.
        max_norm: > 0, of each model's gradient.
    Returns: name to scaled gradients; name to norm before.
    """
    norms = {}
    for name, group in gradients.items():
        given = [gradient for gradient in group if gradient is not None]
        norms[name] = torch.nn.utils.get_total_norm(given)
        scale = (max_norm / (norms[name] + 1e-6)).clamp(max=1)
        for gradient in given:
            gradient.mul_(scale.to(gradient))
    return gradients, norms


def clipped_gradients(loss_of: Callable, optimizers: dict, max_norm: float) -> tuple:
    """The gradient of a loss for each model, scaled down to a norm.

    Args:
        loss_of, optimizers: as for `gradients`.
        max_norm: > 0, of each model's gradient.
    Returns: name to scaled gradients; name to norm before; "loss" and the metrics.
    """
    found, metrics = gradients(loss_of, optimizers)
    found, norms = clipped(found, max_norm)  # in place
    return found, norms, metrics


def descend(optimizers: dict, gradients: dict, rate: float, weight_decay=0.0) -> None:
    """One Adam step of each model.

    Args:
        optimizers, gradients: dicts of the same names.
        rate: learning rate.
        weight_decay: ≥ 0; matrices shrink by rate × this before the step.
    Source: decay outside the gradient: Loshchilov, Hutter 2019, arXiv:1711.05101.
    """
    for name, optimizer in optimizers.items():
        group = optimizer.param_groups[0]
        group["lr"] = rate
        for weight, gradient in zip(group["params"], gradients[name]):
            weight.grad = gradient
            if weight_decay and weight.ndim > 1:
                with torch.no_grad():
                    weight.mul_(1 - rate * weight_decay)
        optimizer.step()


class PolicyGradientTrainer(policy_gradient.PolicyGradientTrainer):
    """`core.trainers.policy_gradient.PolicyGradientTrainer`, with its gradients."""

    _checkpoints, _rollout = checkpoints, staticmethod(rollout)
    _adam, _descend = staticmethod(adam), staticmethod(descend)

    @torch.no_grad()
    def reference_logprobs(self, batch: Rollout):
        """log π_ref of a batch's tokens, (B, T) NumPy."""
        checks.require(self.reference is not None, "reference: expected one, got None")
        texts = map(self._tensor, (batch.prompts, batch.completions, batch.mask))
        padding = None if batch.prompt_mask.all() else self._tensor(batch.prompt_mask)
        logprobs = self.reference.evaluate(*texts, padding, self.config.temperature)[0]
        return logprobs.cpu().numpy()

    @torch.no_grad()
    def _baseline(self, prompts):
        """b(X) of prompts, (B,) NumPy."""
        return self.models["baseline"](self._tensor(prompts)).cpu().numpy()

    @torch.no_grad()
    def _values(self, batch: Rollout):
        """V(s_0) .. V(s_T) of a critic, (B, T + 1) NumPy."""
        texts, mask = [np.hstack([batch.prompts, batch.completions])], batch.prompt_mask
        if not mask.all():
            texts.append(np.hstack([mask, np.ones_like(batch.mask)]))
        values = self.policy.values(*map(self._tensor, texts))
        return values[:, batch.prompts.shape[1] - 1 :].cpu().numpy()

    def _estimate(self, logprobs, ref):
        """The pull's KL(π‖π_ref) at each token, (B, T) NumPy."""
        estimator = self.config.algorithm.pull.estimator
        kl = kl_estimate(estimator, *map(self._tensor, (logprobs, ref)))
        return kl.cpu().numpy()

    def _tensor(self, array):
        return tensor_like(array, self.policy)

    def _gradients(self, parts: list[dict], reused: bool) -> tuple:
        """Clipped gradients of the parts' sum, their norms before, and metrics."""
        alpha = self.config.alpha(len(self.history))
        found: Any = None
        for arrays in parts:
            batch = {name: self._tensor(a) for name, a in arrays.items()}
            loss_of = partial(self.loss, batch, alpha, reused)
            found = gradients(loss_of, self.optimizers, found)
        return *clipped(found[0], self.config.max_grad_norm), found[1]

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
            metrics["ess"] = ratio.mean() ** 2 / (ratio**2).mean()
            adv = adv * ratio
        limit, ref, whole = self.env.max_length, batch.get("ref"), batch.get("whole")
        loss, more = policy_loss(algorithm, logprobs, old, adv, mask, limit, ref, whole)
        loss = loss + alpha * losses.entropy_loss(entropies, mask, whole)
        entropy = (entropies * mask).sum() / losses.counts(mask, whole)[1]
        metrics |= more | {"loss": loss, "entropy": entropy}
        if "targets" not in batch:
            return loss, metrics
        # One value a token, of the policy's own critic, or b(X), one a prompt.
        if "baseline" in self.models:
            values, mask = self.models["baseline"](prompts)[:, None], mask[:, :1]
            whole = None if whole is None else whole[[0, 0]]
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

    @torch.no_grad()
    def _frozen(self, *batch):
        """The loss and its metrics, without a gradient."""
        return self._loss(*batch)

    def _gradients(self, *batch) -> tuple:
        """Clipped gradients, their norms before, and metrics."""
        norm = self.config.max_grad_norm
        return clipped_gradients(lambda: self._loss(*batch), self.optimizers, norm)
