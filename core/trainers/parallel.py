"""What the processes have in common that train one policy together.

Each has the same trainer and generator, samples its share of the prompts, and has all
texts gathered: rewards, groups, whitening and baselines are those of the whole batch.
Each then computes the gradient of its rows by the counts of the whole.  The gradients
are added, so that all clip and step alike.  A reward has to give all processes the same
number for a text: nothing compares them.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from typing import Any

import numpy as np

from core import checks, sampling, weights
from core.trainers.policy_gradient import PolicyGradientTrainer, split
from core.types import Rollout


class Shared(PolicyGradientTrainer):
    """Before a framework's trainer among a class's bases: makes it one of several.

    A framework's half sets `rank` and `size`, this process's number and how many there
    are, `replicas`, the devices of each, `_sample`, and `_gathered`: rows (n, ...) of
    each process to those of all, in order.
    """

    rank: int
    size: int
    replicas: int
    _sample: Callable
    _gathered: Callable

    def _check_shared(self) -> None:
        """ValueError on every process unless all do the same, on equal shares."""
        self._check_equal()
        config, devices = self.config, self.size * self.replicas
        prompts = config.batch_size // config.group_size
        checks.divisor(prompts, "a step's prompts", processes=self.size)
        parts = {"devices × accumulate": devices * config.accumulate}
        checks.divisor(config.batch_size // config.minibatches, "an update's", **parts)
        wanted = f"reuse: expected 0 on several devices, got {config.reuse}"
        checks.require(devices == 1 or not config.reuse, wanted)

    def _check_equal(self) -> None:
        found = {}
        for part, values in self._identity().items():
            whole = part == "dtype"  # its names are those of the models
            named = {f"{part}.{n}": v for n, v in values.items()}
            found |= {part: values} if whole else named
        kept = self._state()[1]
        found |= {"step": len(self.history), "generator": kept["rng"]}
        found["weights"] = weights.digest(self._arrays())
        numbers = np.array([[*map(_number, found.values())]])
        for name, column in zip(found, self._gathered(numbers).T):
            others = np.flatnonzero(column != column[0])
            wanted = f"{name}: expected that of process 0 on all {self.size}"
            checks.require(not len(others), f"{wanted}, got another on {others}")

    @contextmanager
    def _together(self, what: str) -> Iterator[None]:
        """An error on one process becomes an error on all."""
        error = None
        try:
            yield
        except Exception as found:
            error = found
        failed = self._gathered(np.array([error is not None], dtype=np.int64))
        if error is not None:
            raise error
        if failed.any():
            where = np.flatnonzero(failed)
            raise RuntimeError(f"{what} failed on process {where}; see its error")

    def _mine(self, rows: int) -> slice:
        """This process's share of so many rows."""
        each = rows // self.size
        return slice(self.rank * each, (self.rank + 1) * each)

    def _rollout(self, *arguments: Any, **more: Any) -> Rollout:
        return sampling.rollout(self._shared_sample, *arguments, **more)

    def _shared_sample(
        self, policy, prompts, length, noise, *rest, prompt_mask=None, seed=None, **more
    ) -> list:
        """As the framework's `sample`: this process's share, and the others'.

        Of the noise that one process would draw, each takes that of its rows; a seed
        gives each a stream of its own.
        """
        mine = self._mine(len(prompts))
        if noise is not None:
            noise = noise[self._mine(len(noise))]
        if prompt_mask is not None:
            more["prompt_mask"] = prompt_mask[mine]
        if seed is not None:
            stream = np.random.SeedSequence([seed, self.rank])
            more["seed"] = int(stream.generate_state(1)[0])
        with self._together("sampling"):
            drawn = self._sample(policy, prompts[mine], length, noise, *rest, **more)
        return [self._gathered(array) for array in drawn]

    def reference_logprobs(self, batch: Rollout):
        """log π_ref of a batch's tokens, (B, T) NumPy."""
        return self._of_all(super().reference_logprobs, batch)

    def _values(self, batch: Rollout):
        return self._of_all(super()._values, batch)

    def _of_all(self, function: Callable, batch: Rollout):
        return self._gathered(function(batch.take(self._mine(len(batch)))))

    def _parts(self, arrays: dict) -> list[dict]:
        mine = self.config.accumulate * self.replicas
        return split(arrays, mine * self.size)[self.rank * mine :][:mine]

    def _failed(self, turn: Any) -> Any:
        return super()._failed(turn) if self.rank == 0 else None  # one file

    def _write(self, *arguments: Any) -> None:
        with self._together("save"):
            if self.rank == 0:
                weights.write(*arguments)

    def load(self, path: Any) -> None:
        """Resume from a file that all processes can read; as `Trainer.load`."""
        with self._together("load"):
            super().load(path)
        self._check_equal()


def _number(value: Any) -> int:
    """56 bits of a digest, the same on every machine."""
    told = json.dumps(value, sort_keys=True, default=str).encode()
    return int.from_bytes(sha256(told).digest()[:7])
