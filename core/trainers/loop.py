"""The loop that every trainer runs, whatever it optimises: take steps, show
them, save them, resume.  No framework: models and optimizers are read and
written by the functions of `core.pt.checkpoints` or `core.tf.checkpoints`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import is_dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tqdm.auto import tqdm

from core import checks, weights
from core.buffer import ExperienceBuffer
from core.envs import BatchedEnvironment
from core.types import Rollout


class Trainer:
    """Can be stopped and resumed; a subclass says what a step is.

    A framework's half sets `_checkpoints`, its module of checkpoints, and what needs
    gradients: `_adam`, `_descend`, `_gradients`.

    Args:
        config: settings with `steps` and `as_dict()`.
        models: dict of what is trained or copied along.
        optimizers: dict of some of the same names.
    Attributes:
        history: list of dicts, one a step.
    """

    _checkpoints: Any
    _adam: Any
    _descend: Any
    _gradients: Any

    def __init__(self, config: Any, models: dict, optimizers: dict) -> None:
        self.config, self.models = config, models
        self.optimizers = optimizers
        self.history: list[dict] = []

    def _loop(
        self,
        turns: Iterable,
        total: int,
        shown: str,
        progress: bool,
        path: str | Path | None,
        every: int,
    ) -> list[dict]:
        """Take `_take(turn)` for each turn; see `train` of the subclasses.

        Args:
            turns: iterable, what each step is taken on.
            total: how many there are at most.
            shown: the metric beside the bar.
        Returns: the history.
        """
        checks.at_least(1, every=every)
        if path is not None:
            weights.check_folder(path)  # now, not after the work
        with tqdm(total=total, disable=not progress) as bar:
            for turn in turns:
                try:
                    metrics = self._take(turn)
                except FloatingPointError as error:
                    step = len(self.history) + 1
                    keep_failed(path, step, self._failed(turn), error)
                    raise
                bar.update()
                bar.set_postfix_str(f"{shown} {metrics[shown]:.3f}")
                if path and len(self.history) % every == 0:
                    self.save(path)
        if path:
            self.save(path)
        return self.history

    def save(self, path: str | Path) -> None:
        """Write all that a resumed training needs, whole or not at all."""
        arrays, state = self._state()
        weights.write(
            path,
            self._arrays() | arrays,
            {**self._identity(), "history": self.history, **state},
        )

    def load(self, path: str | Path) -> None:
        """Resume from `save`: the next step is the one that would follow.

        Raises: FileNotFoundError; ValueError where the file is truncated, or
            its weights, config or task are not this trainer's.  The trainer
            is then as it was.
        """
        arrays, kept = weights.read(path)
        for name, value in self._identity().items():
            checks.require(
                kept.get(name) == value,
                f"{name}: expected that of the checkpoint, {kept.get(name)}, "
                f"got {value}",
            )
        own = {name: array.shape for name, array in self._arrays().items()}
        extra = {name for name in arrays if name.startswith("buffer.")}
        weights.check_names({n: a for n, a in arrays.items() if n not in extra}, own)
        self._resume(arrays, kept)
        files, steps = self._checkpoints, self._updates(kept)
        for name, model in self.models.items():
            files.set_weights(model, under(f"{name}.weights.", arrays))
            if name in self.optimizers:
                files.set_moments(
                    self.optimizers[name], model, under(f"{name}.adam.", arrays), steps
                )
        self.history = kept["history"]

    def _identity(self) -> dict:
        """What must be equal in a checkpoint that this training resumes."""
        return {"config": self._settings()}

    def _take(self, turn: Any) -> dict:
        """One step; its metrics."""
        raise NotImplementedError

    def _settings(self) -> dict:
        """The settings of the training as a dict."""
        return self.config.as_dict()

    def _state(self) -> tuple[dict, dict]:
        """Further arrays and entries of a checkpoint."""
        return {}, {}

    def _resume(self, arrays: dict, kept: dict) -> None:
        """Take back what `_state` wrote."""

    def _updates(self, kept: dict) -> int:
        """How many gradient steps a checkpoint's optimizers have taken."""
        return len(kept["history"])

    def _failed(self, turn: Any) -> Any:
        """The batch of the step that failed."""
        return turn

    def _arrays(self) -> dict:
        """Weights and moments of all models by name."""
        arrays, files = {}, self._checkpoints
        for name, model in self.models.items():
            arrays |= prefixed(f"{name}.weights.", files.get_weights(model))
            if name in self.optimizers:
                moments = files.get_moments(self.optimizers[name], model)
                arrays |= prefixed(f"{name}.adam.", moments)
        return arrays


class SamplingTrainer(Trainer):
    """A trainer on texts that it samples itself.

    A framework's half sets `_rollout`, its function of that name.

    Args:
        env: `core.envs.BatchedEnvironment`.
        config: settings with `steps`, `seed`, `buffer_batches`, `as_dict()`.
        models, optimizers: as for `Trainer`, of `env`'s vocabulary.
    Attributes:
        history: list of dicts, one a step.
        updates: how many gradient steps were taken.
        batch: the last Rollout that was sampled, None before the first.
        updating: that of the last update, which may come from the buffer.
    """

    _rollout: Any

    def __init__(
        self, env: BatchedEnvironment, config: Any, models: dict, optimizers: dict
    ) -> None:
        super().__init__(config, models, optimizers)
        self.env, self.rng = env, np.random.default_rng(config.seed)
        self.buffer: Any = None
        if config.buffer_batches:
            self.buffer = ExperienceBuffer(config.buffer_batches)
        self.updates, self.batch, self.updating = 0, None, None

    def step(self) -> dict:
        """One step; its metrics."""
        raise NotImplementedError

    def train(
        self,
        steps: int | None = None,
        progress: bool = True,
        path: str | Path | None = None,
        every: int = 50,
    ) -> list[dict]:
        """Take steps until `config.steps`, or `steps` more.

        Args:
            steps: how many; None is all that are left.
            progress: show a bar.
            path: where to save every `every` steps and at the end.
        Returns: the history.
        Raises: FloatingPointError at a loss or gradient that is not finite. The weights
            are those before it, the batch is in `updating` and, with a path, in the
            file "<path>.failed"; the last checkpoint stays.
        """
        left = max(self.config.steps - len(self.history), 0)
        count = left if steps is None else steps
        return self._loop(range(count), count, "return", progress, path, every)

    def _take(self, turn: Any) -> dict:
        return self.step()

    def _failed(self, turn: Any) -> Any:
        return self.updating

    def _identity(self) -> dict:
        env = self.env  # N, P, T, V
        task = [*env.prompts.shape, env.max_length, env.vocab_size]
        return super()._identity() | {"task": task}

    def _state(self) -> tuple[dict, dict]:
        arrays, batches = {}, self.buffer.rollouts if self.buffer else ()
        for i, batch in enumerate(batches):
            arrays |= prefixed(f"buffer.{i}.", dict(vars(batch)))
        return arrays, {
            "updates": self.updates,
            "rng": self.rng.bit_generator.state,
            "buffer": len(batches),
        }

    def _resume(self, arrays: dict, kept: dict) -> None:
        batches = [
            Rollout(**under(f"buffer.{i}.", arrays)) for i in range(kept["buffer"])
        ]
        self.updates = kept["updates"]
        self.rng.bit_generator.state = kept["rng"]
        if self.buffer is not None:
            self.buffer.rollouts.clear()
            self.buffer.rollouts.extend(batches)

    def _updates(self, kept: dict) -> int:
        return kept["updates"]


def check_vocabulary(env: BatchedEnvironment, **models: Any) -> None:
    """ValueError unless each model has the environment's tokens."""
    for name, model in models.items():
        checks.require(
            model is None or model.vocab_size == env.vocab_size,
            f"{name}: expected the environment's {env.vocab_size} tokens, "
            f"got {getattr(model, 'vocab_size', None)}",
        )


def check_finite(step: int, metrics: dict) -> None:
    """FloatingPointError unless loss and gradients are finite numbers."""
    if not all(map(math.isfinite, metrics.values())):
        raise FloatingPointError(
            f"step {step}: expected a finite loss and gradient, got {metrics}"
        )


def sampled(batch: Rollout) -> dict:
    """Mean return and length of a Rollout, for a step's metrics."""
    return {
        "return": float(batch.rewards.sum(axis=1).mean()),
        "length": float(batch.mask.sum(axis=1).mean()),
    }


def means(updates: list[dict]) -> dict:
    """The mean of each metric over dicts of the same names."""
    return {
        name: np.mean([update[name] for update in updates]).item()
        for name in updates[0]
    }


def keep_failed(
    path: str | Path | None, step: int, batch: Any, error: Exception
) -> None:
    """Write the batch of a step that failed to "<path>.failed", and say so.

    It is a safetensors file; `safetensors.numpy.load_file` reads what is not
    finite in it, too.

    Args:
        path: of the training's checkpoints; None writes nothing.
        step: its number, from 1.
        batch: a record of `core.types`, or arrays in nested tuples.
        error: the exception, which gets a note with the file's name.
    """
    if path is not None and batch is not None:
        failed = Path(f"{path}.failed")
        arrays = vars(batch) if is_dataclass(batch) else flattened(batch)
        weights.write(failed, arrays, {"step": step, "error": str(error)})
        error.add_note(f"the batch is kept in {failed}")


def flattened(batch: Any, name: str = "batch") -> dict:
    """The arrays of nested tuples by name: batch.0, batch.1.0, ..."""
    if not isinstance(batch, (tuple, list)):
        return {} if batch is None else {name: np.asarray(batch)}
    parts = [flattened(b, f"{name}.{i}") for i, b in enumerate(batch)]
    return {key: array for part in parts for key, array in part.items()}


def prefixed(prefix: str, arrays: dict) -> dict:
    """The same dict with the prefix before each name."""
    return {prefix + name: array for name, array in arrays.items()}


def under(prefix: str, arrays: dict) -> dict:
    """What `prefixed` put under a prefix, without it."""
    return {
        name.removeprefix(prefix): array
        for name, array in arrays.items()
        if name.startswith(prefix)
    }
