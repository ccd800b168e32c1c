"""The trainer on given targets without its gradients."""

from __future__ import annotations

from itertools import islice

import numpy as np

from core.trainers.loop import Trainer, check_finite


class SupervisedTrainer(Trainer):
    """Cross-entropy on given targets: next tokens, masked tokens, labels.

    Args:
        model: of the same framework's `models`; its logits are trained, the
            values of a policy are left alone.
        config: `core.settings.SupervisedConfig`.
    Attributes:
        history: list of dicts, one a step: "step", "loss" (nats/target),
            "grad_norm" (before clipping), "rate".
    """

    def __init__(self, model, config):
        self.model, self.optimizer = model, self._adam(model)
        super().__init__(config, {"model": model}, {"model": self.optimizer})

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
        left = max(self.config.steps - len(self.history), 0)
        return self._loop(islice(batches, left), left, "loss", progress, path, every)

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
        step, rate = len(self.history), self.config.rate(len(self.history))
        gradients, norms, metrics = self._gradients(*batch)
        metrics = {name: float(value) for name, value in metrics.items()}
        metrics["grad_norm"] = float(norms["model"])
        check_finite(step + 1, metrics)
        self._descend(self.optimizers, gradients, rate, self.config.weight_decay)
        metrics = {"step": step + 1} | metrics | {"rate": rate}
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

    def _take(self, turn):
        """The step on what `train` finds in its batches."""
        return self.step(*turn)

    def _batch(self, inputs, targets, mask):
        """The batch as tensors; ValueError where it is not one."""
        targets, mask = checked(self.model, inputs, targets, mask)
        inputs = [x if x is None else self._tensor(x) for x in inputs]
        return inputs, self._tensor(targets), self._tensor(mask)


def checked(model, inputs, targets, mask):
    """Targets, 0 where the mask is, and the mask; ValueError where they do
    not fit each other or the model."""
    if not isinstance(inputs, (tuple, list)):
        raise ValueError(
            f"inputs: expected a tuple of arrays, got {type(inputs).__name__}"
        )
    targets, mask = np.asarray(targets), np.asarray(mask, dtype=np.float64)
    if targets.shape != mask.shape:
        raise ValueError(
            f"mask: expected the shape of targets {targets.shape}, got {mask.shape}"
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
