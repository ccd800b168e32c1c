"""The loop that every trainer runs, whatever it optimises: take steps, show them, save
them, resume.  No framework: models and optimizers are read and written by the functions
of `core.pt.checkpoints` or `core.tf.checkpoints`.
"""

import json
import math
import os
import sys
from collections.abc import Iterable
from dataclasses import is_dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tqdm.auto import tqdm

from core import checks, weights
from core.batched import BatchedEnvironment
from core.buffer import ExperienceBuffer
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
    _write = staticmethod(weights.write)

    def __init__(self, config: Any, models: dict, optimizers: dict) -> None:
        self.config, self.models, self.optimizers = config, models, optimizers
        self.history: list[dict] = []

    def _loop(self, turns: Iterable, total: int, shown: str, progress, path, every):
        """Take `_take(turn)` for each of the turns, at most `total`; see `train`.

        shown: the metric beside the bar.
        """
        checks.whole(1, every=every)
        if path is not None:
            weights.check_file(path)  # now, not after the work
        hidden = not progress or sys.stderr is None  # as of a program without a console
        hidden |= os.environ.get("TQDM_DISABLE", "0") != "0"  # unread in notebooks
        with tqdm(total=total, leave=False, disable=hidden) as bar:
            for turn in turns:
                try:
                    metrics = self._take(turn)
                except FloatingPointError as error:
                    step = len(self.history) + 1
                    keep_failed(path, step, self._failed(turn), error)
                    raise
                bar.update()
                bar.set_postfix_str(f"{shown} {metrics[shown]:.3f}")
                if path is not None and len(self.history) % every == 0:
                    self.save(path)
        if path is not None:
            self.save(path)
        return self.history

    def save(self, path: str | Path) -> None:
        """Write all that a resumed training needs, whole or not at all."""
        arrays, state = self._state()
        state = {**self._identity(), "history": self.history, **state}
        self._write(path, self._arrays() | arrays, state)

    def load(self, path: str | Path) -> None:
        """Resume from `save`: the next step is the one that would follow.

        Raises: FileNotFoundError; ValueError where the file is truncated, or its
            weights, their precision, config or task are not this trainer's; it names
            the first that differs.  The trainer is then as it was.
        """
        arrays, kept = weights.read(path)
        for name, own in self._identity().items():
            found = kept[name] if isinstance(kept.get(name), dict) else {}
            for key in own | found:
                told = f"expected that of the checkpoint, {found.get(key)}"
                same = own.get(key) == found.get(key)
                checks.require(same, f"{name}.{key}: {told}, got {own.get(key)}")
        shapes = {name: array.shape for name, array in self._arrays().items()}
        mine = {n: a for n, a in arrays.items() if not n.startswith("buffer.")}
        weights.check_names(mine, shapes)
        self._resume(arrays, kept)
        files, steps = self._checkpoints, self._updates(kept)
        for name, model in self.models.items():
            files.set_weights(model, under(f"{name}.weights.", arrays))
            if (adam := self.optimizers.get(name)) is not None:
                moments = under(f"{name}.adam.", arrays)
                files.set_moments(adam, model, moments, steps)
        self.history = kept["history"]

    def _identity(self) -> dict:
        """What must be equal in a checkpoint that this training resumes."""
        get = self._checkpoints.get_weights
        found = {name: get(model).values() for name, model in self.models.items()}
        dtypes = {n: sorted({str(a.dtype) for a in found[n]}) for n in found}
        return {"config": self._settings(), "dtype": dtypes}

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
        config: settings with `steps`, `seed`, `buffer_batches`, `as_dict()`.
        models, optimizers: as for `Trainer`, of `env`'s vocabulary.
    Attributes:
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
        batches = config.buffer_batches
        self.buffer: Any = ExperienceBuffer(batches) if batches else None
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
        checks.integer(0, steps=steps)
        left = max(self.config.steps - len(self.history), 0) if steps is None else steps
        return self._loop(range(left), left, "return", progress, path, every)

    def _take(self, turn: Any) -> dict:
        return self.step()

    def _failed(self, turn: Any) -> Any:
        return self.updating

    def _identity(self) -> dict:
        env, reward = self.env, self.env.token_reward
        names = ("vocab_size", "max_length", "eos_id", "pad_id", "limit_ends")
        task: dict = {name: getattr(env, name) for name in names}
        for name in ("prompts", "targets", "prompt_mask"):
            array: Any = getattr(env, name)
            found = f"{np.shape(array)} {weights.digest({name: array})}"
            task[name] = None if array is None else found
        task["stop"], columns = env.stop or None, env.columns
        if columns is not None:  # of any type
            kinds: Any = {"skipkeys": True, "default": lambda x: type(x).__name__}
            columns = weights.digest({"columns": json.dumps(columns, **kinds)})
        task["columns"] = columns
        task["token_reward"] = getattr(reward, "__name__", type(reward).__name__)
        return super()._identity() | {"task": task}

    def _state(self) -> tuple[dict, dict]:
        arrays, batches = {}, self.buffer.rollouts if self.buffer else ()
        if batches:  # one after the other: a file's header has a limit
            arrays = prefixed("buffer.", vars(Rollout.concatenate(batches)))
        state = {"updates": self.updates, "rng": self.rng.bit_generator.state}
        return arrays, state | {"buffer": [len(batch) for batch in batches]}

    def _resume(self, arrays: dict, kept: dict) -> None:
        batches, sizes = [], np.array(kept["buffer"], dtype=int)
        for last, size in zip(sizes.cumsum(), sizes):
            rows = Rollout(**under("buffer.", arrays)).take(slice(last - size, last))
            batches.append(rows)
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
        found = env.vocab_size if model is None else model.vocab_size
        wanted = f"{name}: expected the environment's {env.vocab_size} tokens"
        checks.require(found == env.vocab_size, f"{wanted}, got {found}")


def check_finite(step: int, metrics: dict) -> None:
    """FloatingPointError unless loss and gradients are finite numbers."""
    found = {name: float(value) for name, value in metrics.items()}  # of tensors, too
    if not all(map(math.isfinite, found.values())):
        wanted = f"step {step}: expected a finite loss and gradient"
        raise FloatingPointError(f"{wanted}, got {found}")


def sampled(batch: Rollout) -> dict:
    """Mean return and length of a Rollout, for a step's metrics."""
    returns, lengths = batch.rewards.sum(axis=1), batch.mask.sum(axis=1)
    return {"return": float(returns.mean()), "length": float(lengths.mean())}


def means(updates: list[dict]) -> dict:
    """The mean of each metric over dicts of the same names."""
    return {name: np.mean([u[name] for u in updates]).item() for name in updates[0]}


def keep_failed(path: Any, step: int, batch: Any, error: Exception) -> None:
    """Write the batch of a step that failed to "<path>.failed"; the error says so.

    `safetensors.numpy.load_file` reads what is not finite in it, too.  The batch is a
    record of `core.types`, or arrays in nested tuples; a path None writes nothing.
    """
    if path is not None and batch is not None:
        failed = Path(f"{path}.failed")
        weights.write(failed, flattened(batch), {"step": step, "error": str(error)})
        error.add_note(f"the batch is kept in {failed}")


def flattened(batch: Any, name: str = "batch") -> dict:
    """The arrays of a record, or of nested tuples by name: batch.0, batch.1.0, ..."""
    if is_dataclass(batch):
        return dict(vars(batch))
    if not isinstance(batch, (tuple, list)):
        return {} if batch is None else {name: np.asarray(batch)}
    parts = [flattened(b, f"{name}.{i}") for i, b in enumerate(batch)]
    return {key: array for part in parts for key, array in part.items()}


def prefixed(prefix: str, arrays: dict) -> dict:
    """The same dict with the prefix before each name."""
    return {prefix + name: array for name, array in arrays.items()}


def under(prefix: str, arrays: dict) -> dict:
    """What `prefixed` put under a prefix, without it."""
    found = {name: array for name, array in arrays.items() if name.startswith(prefix)}
    return {name.removeprefix(prefix): array for name, array in found.items()}
