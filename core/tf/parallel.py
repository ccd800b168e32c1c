"""One training on several processes or devices, by the framework's own engines.

In PyTorch torchrun starts the processes, DDP adds the gradients of whole copies, and
FSDP2 those of a policy in shards.  In TensorFlow it is `tf.distribute`, over the
devices of one process or, with the variable TF_CONFIG, over those of several.
"""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np
import tensorflow as tf

from core import checks
from core.batched import BatchedEnvironment
from core.settings import PolicyGradientConfig
from core.tf import rollout, trainers
from core.tf.layers import compiled
from core.trainers.parallel import Shared

BACKENDS = ("ring", "nccl")


@contextmanager
def started(backend: str | None = None, seconds: float = 60.0) -> Iterator[tuple]:
    """This process as one of several; models and trainer are made inside.

    Args:
        backend: what carries the numbers, BACKENDS; None is the second with GPUs, the
            first without.
        seconds: > 0, how long a process waits for another before that is an error.
    Yields: this process's number from 0, and how many there are.
    Raises: ValueError where the environment names no others, or for a backend without
        its device.  When a process ends or hangs, the others raise an error in time.
    """
    gpus = tf.config.list_physical_devices("GPU")
    backend = backend or BACKENDS[bool(gpus)]
    checks.one_of(BACKENDS, backend=backend)
    wanted = "backend: expected 'ring' without a GPU, got 'nccl'"
    checks.require(backend == "ring" or gpus, wanted)
    checks.positive(seconds=seconds)
    workers = json.loads(os.environ.get("TF_CONFIG", "{}"))
    if workers:
        options = tf.distribute.experimental.CommunicationOptions(
            timeout_seconds=seconds, implementation=backend.upper()
        )
        strategy: Any = tf.distribute.MultiWorkerMirroredStrategy(
            communication_options=options
        )
        place = workers["task"]["index"], len(workers["cluster"]["worker"])
    else:
        devices = tf.config.list_logical_devices("GPU" if gpus else "CPU")
        wanted = "environment: expected TF_CONFIG, or several devices"
        checks.require(len(devices) > 1, f"{wanted}, got {len(devices)}")
        strategy = tf.distribute.MirroredStrategy([d.name for d in devices])
        place = 0, 1
    try:
        with strategy.scope():
            yield place
    except (RuntimeError, tf.errors.OpError) as error:
        if workers:
            error.add_note(
                f"another process ended, or gave no answer in {seconds:g} s?"
            )
        raise


class PolicyGradientTrainer(Shared, trainers.PolicyGradientTrainer):
    """`core.trainers.policy_gradient.PolicyGradientTrainer` on several processes.

    Each process makes it inside of `started`, with equal arguments.  One update on all
    of them is that of one process with the whole batch, up to rounding.  Checkpoints
    are those of one process; the first writes them, and any number resumes.
    Raises: ValueError on every process where their arguments or weights differ, or they
        do not divide the prompts of a step and the rows of an update.
    """

    def __init__(
        self,
        policy: Any,
        env: BatchedEnvironment,
        config: PolicyGradientConfig,
        baseline_network: Any = None,
        reference: Any = None,
    ) -> None:
        self._strategy = tf.distribute.get_strategy()
        places = self._strategy.cluster_resolver
        self.rank, self.size = 0, 1
        if places is not None and places.cluster_spec().as_dict():
            self.rank = places.task_id
            self.size = len(places.cluster_spec().as_dict()["worker"])
        self.replicas = self._strategy.num_replicas_in_sync // self.size
        super().__init__(policy, env, config, baseline_network, reference)
        self._check_shared()

    def _gradients(self, parts: list[dict], reused: bool) -> tuple:
        alpha = self._tensor(float(self.config.alpha(len(self.history))))
        found: Any = None
        for first in range(0, len(parts), self.replicas):
            batches = [
                {name: self._tensor(a) for name, a in arrays.items()}
                for arrays in parts[first : first + self.replicas]
            ]
            found = self._everywhere(batches, alpha, reused, found)
        added, metrics = found
        return *self._clipped(added), metrics

    def _everywhere(self, batches: list, alpha, reused: bool, before) -> tuple:
        found = self._summed(batches, alpha, reused)
        return found if before is None else tf.nest.map_structure(tf.add, before, found)

    @compiled
    def _summed(self, batches: list, alpha, reused: bool) -> tuple:
        """Gradients and metrics, summed over the devices of all processes."""

        def here():
            place = tf.distribute.get_replica_context().replica_id_in_sync_group
            batch = batches[int(tf.get_static_value(place)) % len(batches)]
            loss_of = partial(self.loss, batch, alpha, reused)
            return trainers.gradients(loss_of, self.optimizers)

        total = partial(self._strategy.reduce, "SUM", axis=None)
        return tf.nest.map_structure(total, self._strategy.run(here))

    _sample = staticmethod(rollout.sample)

    def _gathered(self, array):
        if self.size == 1:
            return array
        each = self._strategy.run(lambda: tf.constant(array))
        rows = self._strategy.gather(each, axis=0).numpy()
        return np.concatenate(
            np.split(rows, self.size * self.replicas)[:: self.replicas]
        )
