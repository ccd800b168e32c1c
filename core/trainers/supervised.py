"""The trainer on given targets without its gradients."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from core import checks
from core.settings import SupervisedConfig
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

    _tensor: Any
    _frozen: Any

    def __init__(self, model: Any, config: SupervisedConfig) -> None:
        self.model, self.optimizer = model, self._adam(model)
        super().__init__(config, {"model": model}, {"model": self.optimizer})

    def train(
        self,
        batches: Iterable,
        progress: bool = True,
        path: str | Path | None = None,
        every: int = 200,
    ) -> list[dict]:
        """Take a step on each batch, until `config.steps` are taken.

        Args:
            batches: iterable of what `step` takes; it may end before, or never.
            progress: show a bar.
            path: where to save every `every` steps and at the end.
        Returns: the history.
        Raises: as `step`; with a path, the batch of a step that is not
            finite is then in the file "<path>.failed".
        """
        left = max(self.config.steps - len(self.history), 0)
        return self._loop(islice(batches, left), left, "loss", progress, path, every)

    def step(self, inputs: tuple, targets, mask) -> dict:
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

    def _step(self, *batch) -> dict:
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

    def evaluate(self, batches: Iterable) -> float:
        """Mean loss over all targets of the batches, nats per target.

        Raises: ValueError without batches, and as `step`.
        """
        total = count = 0
        for batch in batches:
            weight = float(np.sum(batch[2]))
            loss, _ = self._frozen(*self._batch(*batch))
            total, count = total + weight * float(loss), count + weight
        checks.require(count, "batches: expected at least one")
        return total / count

    def _take(self, turn: Any) -> dict:
        """The step on one entry of `train`'s batches."""
        return self.step(*turn)

    def _batch(self, inputs: tuple, targets, mask) -> tuple:
        """The batch as tensors; ValueError where it is not one."""
        targets, mask = checked(self.model, inputs, targets, mask)
        tensors = [x if x is None else self._tensor(x) for x in inputs]
        return tensors, self._tensor(targets), self._tensor(mask)


def checked(model: Any, inputs: tuple | list, targets, mask) -> tuple:
    """Targets, 0 where the mask is, and the mask; ValueError where they do
    not fit each other or the model."""
    checks.require(
        isinstance(inputs, (tuple, list)),
        f"inputs: expected a tuple of arrays, got {type(inputs).__name__}",
    )
    targets, mask = np.asarray(targets), np.asarray(mask, dtype=np.float64)
    checks.shape(targets.shape, "targets", mask=mask)
    checks.require(mask.sum() > 0, "mask: expected at least one target that counts")
    targets = np.where(mask > 0, targets, 0).astype(np.int64)
    size, config = model.vocab_size, getattr(model, "config", None)
    if getattr(config, "head", "masked") != "masked":
        size = model.config.num_labels
    checks.require(
        0 <= targets.min() and targets.max() < size,
        f"targets: expected ids in [0, {size}) where the mask is 1, "
        f"got {targets.min()} to {targets.max()}",
    )
    return targets, mask
