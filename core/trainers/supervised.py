"""The trainer on given targets without its gradients."""

from collections.abc import Iterable, Iterator
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np

from core import checks
from core.policies import TokenPolicy
from core.settings import SupervisedConfig
from core.trainers.loop import Trainer, check_finite, flattened
from core.weights import digest


class SupervisedTrainer(Trainer):
    """Cross-entropy on given targets: next tokens, masked tokens, labels.

    Args:
        model: of the same framework's `models`; its logits are trained alone.
    Attributes:
        history: list of dicts, one a step: "step", "loss" (nats/target), "grad_norm"
            (before clipping), "rate".
    """

    _tensor: Any
    _frozen: Any

    def __init__(self, model: Any, config: SupervisedConfig) -> None:
        wanted = f"config: expected a SupervisedConfig, got {type(config).__name__}"
        checks.require(isinstance(config, SupervisedConfig), wanted)
        self.model, self.optimizer = model, self._adam(model, config.adam_epsilon)
        super().__init__(config, {"model": model}, {"model": self.optimizer})
        # Batches that calls of `train` took, by the digest of their first: up to now,
        # and before `load`; the first of the call that runs.
        self._taken: dict[str, int] = {}
        self._before: dict[str, int] = {}
        self._first: str | None = None

    def train(
        self,
        batches: Iterable,
        progress: bool = True,
        path: str | Path | None = None,
        every: int = 200,
    ) -> list[dict]:
        """Take a step on each batch, until `config.steps` are taken.

        A call takes its batches from the first on.  One exception: the first call after
        `load` whose batches begin as those of a call before `save` goes on behind what
        that call, the last such one, had taken; it draws and drops these.  So a stopped
        program, run again with `load`, takes the steps of one that was not stopped.

        Args:
            batches: iterable of what `step` takes; it may end before, or never.
            progress: show a bar.
            path: where to save every `every` steps and at the end.
        Returns: the history.
        Raises: as `step`; with a path, the batch of a step that is not finite is then
            in the file "<path>.failed".
        """
        left = max(self.config.steps - len(self.history), 0)
        turns = islice(self._untaken(batches), left)
        try:
            return self._loop(turns, left, "loss", progress, path, every)
        finally:
            self._first = None

    def _untaken(self, batches: Iterable) -> Iterator:
        """The batches without those that the same call took before `load`."""
        with checks.about("batches", TypeError):
            batches = iter(batches)
        for batch in islice(batches, 1):
            with checks.about("batches"):
                self._first = digest(flattened(batch))
            taken = self._taken[self._first] = self._before.pop(self._first, 0)
            yield from islice(chain([batch], batches), taken, None)

    def step(self, inputs: tuple, targets, mask) -> dict:
        """One step on a batch; returns its metrics.

        Args:
            inputs: tuple of what the model reads: ids (B, L), or ids and a mask.
            targets: (B, L) int, token ids or classes; (B,) for one class a row.
                Anything where the mask is 0.
            mask: of the same shape, 1 where the target counts.
        Raises: ValueError where shapes differ, a target is no class of the model, or
            nothing counts; FloatingPointError at a gradient not finite (weights stay).
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
        if self._first is not None:
            self._taken[self._first] += 1
        return metrics

    def evaluate(self, batches: Iterable) -> float:
        """Mean loss over all targets of the batches, nats per target.

        Raises: ValueError without batches, and as `step`.
        """
        total = count = 0
        for batch in batches:
            loss, _ = self._frozen(*self._batch(*batch))  # which checks them
            weight = float(np.sum(batch[2]))
            total, count = total + weight * float(loss), count + weight
        checks.require(count, "batches: expected at least one")
        return total / count

    def _state(self) -> tuple[dict, dict]:
        return {}, {"taken": self._taken}

    def _resume(self, arrays: dict, kept: dict) -> None:
        self._taken = kept["taken"]
        self._before = dict(self._taken)

    def _take(self, turn: Any) -> dict:
        """The step on one entry of `train`'s batches."""
        return self.step(*turn)

    def _batch(self, inputs: tuple, targets, mask) -> tuple:
        """The batch as tensors; ValueError where it is not one."""
        targets, mask = checked(self.model, inputs, targets, mask)
        tensors = [x if x is None else self._tensor(x) for x in inputs]
        return tensors, self._tensor(targets), self._tensor(mask)


def checked(model: Any, inputs: tuple | list, targets, mask) -> tuple:
    """Targets, 0 where the mask is, and the mask; ValueError where they do not fit."""
    found = f"inputs: expected a tuple of arrays, got {type(inputs).__name__}"
    checks.require(isinstance(inputs, (tuple, list)) and len(inputs), found)
    limit = max(model.vocab_size, getattr(model, "prompt_vocab_size", 0))
    rows = checks.ids("inputs", inputs[0], limit).shape
    for x in inputs[1:]:
        checks.shape(rows, "inputs[0]", inputs=rows if x is None else x)
    with checks.about("targets"):
        targets = np.asarray(targets)
    mask = checks.floats("mask", mask)
    config: Any = getattr(model, "config", None)
    head = getattr(config, "head", None)
    wanted = rows[:1] if head == "sequence" else rows
    if not head and not isinstance(model, TokenPolicy):  # who knows what it predicts
        wanted = rows[:1] + targets.shape[1:]
    checks.shape(wanted, "inputs", targets=targets)
    checks.shape(targets.shape, "targets", mask=mask)
    counts = np.isin(mask, (0, 1)).all() and mask.any()
    checks.require(counts, "mask: expected zeros and ones, at least one 1")
    found = f"targets: expected integers, got {targets.dtype}"
    checks.require(targets.dtype.kind in "biu", found)
    targets = np.where(mask > 0, targets, 0).astype(np.int64)
    size = model.vocab_size if head in (None, "masked") else config.num_labels
    least, most = targets.min(), targets.max()
    wanted = f"targets: expected ids in [0, {size}) where the mask is 1"
    checks.require(0 <= least and most < size, f"{wanted}, got {least} to {most}")
    return targets, mask
