"""One training on several processes or devices, by the framework's own engines.

In PyTorch torchrun starts the processes, DDP adds the gradients of whole copies, and
FSDP2 those of a policy in shards.  In TensorFlow it is `tf.distribute`, over the
devices of one process or, with the variable TF_CONFIG, over those of several.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.fsdp import FSDPModule, register_fsdp_forward_method
from torch.nn.parallel import DistributedDataParallel

from core import checks
from core.batched import BatchedEnvironment
from core.pt import rollout, trainers
from core.settings import PolicyGradientConfig
from core.trainers.parallel import Shared

BACKENDS = ("gloo", "nccl")
_GIVEN = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")


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
    missing = [name for name in _GIVEN if name not in os.environ]
    wanted = "environment: expected what python -m torch.distributed.run sets"
    checks.require(not missing, f"{wanted}, got no {', '.join(missing)}")
    gpu = torch.cuda.is_available()
    backend = backend or BACKENDS[gpu]
    checks.one_of(BACKENDS, backend=backend)
    wanted = "backend: expected 'gloo' without a GPU, got 'nccl'"
    checks.require(backend == "gloo" or gpu, wanted)
    checks.positive(seconds=seconds)
    if gpu:
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    dist.init_process_group(backend, timeout=timedelta(seconds=seconds))
    try:
        yield dist.get_rank(), dist.get_world_size()
    except RuntimeError as error:
        error.add_note(f"another process ended, or gave no answer in {seconds:g} s?")
        raise
    finally:
        dist.destroy_process_group()


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
        self.rank, self.size = dist.get_rank(), dist.get_world_size()
        self.replicas = 1
        super().__init__(policy, env, config, baseline_network, reference)
        self._check_shared()
        loss: Any = self.loss
        if not isinstance(policy, FSDPModule):
            # Without a critic no term reads the policy's values: DDP has to look.
            unread = config.algorithm.advantage.predicts != "values"
            copies = _Loss(self.models, loss)
            loss = DistributedDataParallel(copies, find_unused_parameters=unread)
        else:
            _prepare(policy)
            wanted = "baseline_network: expected None beside a policy in shards"
            checks.require(baseline_network is None, wanted)
        self._engine, self.loss = loss, self._share

    def _share(self, batch: dict, alpha, reused: bool) -> tuple:
        """The loss of this process's rows times `size`, as engines take means."""
        loss, metrics = self._engine(batch, alpha, reused)
        return loss * self.size, metrics

    def _gradients(self, parts: list[dict], reused: bool) -> tuple:
        found, norms, metrics = super()._gradients(parts, reused)
        for value in metrics.values():
            dist.all_reduce(value)
        return found, norms, metrics

    def _sample(self, policy: Any, *arguments: Any, **more: Any):
        with _gathered_weights(policy):
            return rollout.sample(policy, *arguments, **more)

    def _gathered(self, array):
        found: list[Any] = [None] * self.size
        dist.all_gather_object(found, array)
        return np.concatenate(found)


class _Loss(nn.Module):
    """A loss as the forward of a module of all models, which DDP wraps."""

    def __init__(self, models: dict, loss) -> None:
        super().__init__()
        self.models, self.loss = nn.ModuleDict(models), loss

    def forward(self, *arguments):
        loss, metrics = self.loss(*arguments)
        return loss, {name: value.detach() for name, value in metrics.items()}


def _prepare(policy: Any) -> None:
    """FSDP2 gathers shards in `forward` alone, and wants the whole model's first."""
    for name in ("evaluate", "values", "start", "step"):
        register_fsdp_forward_method(policy, name)
    ids = torch.zeros(1, 1, dtype=torch.int64, device=policy.embedding.weight.device)
    with torch.no_grad():
        policy.evaluate(ids, ids)


@contextmanager
def _gathered_weights(policy: Any) -> Iterator[None]:
    """All shards here while texts are sampled: processes take unlike many steps."""
    parts = [part for part in policy.modules() if isinstance(part, FSDPModule)]
    for part in parts:
        part.set_reshard_after_forward(False, recurse=False)
        part.unshard()
    yield
    for part in parts:
        part.reshard()
        part.set_reshard_after_forward(True, recurse=False)
