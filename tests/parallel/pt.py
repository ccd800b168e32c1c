"""Started by torchrun from tests/test_parallel.py: every case on these processes.

`python -m torch.distributed.run ... tests/parallel/pt.py FOLDER WHAT`
"""

import os
import signal
import sys
from pathlib import Path

import torch
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard

import core.quiet  # noqa: F401
from core.pt import checkpoints, models, parallel
from core.pt.trainers import PolicyGradientTrainer
from tests.parallel import cases


def trainer(name, kind, shard=False, **changed):
    policy, *rest = cases.arguments(models, name, **changed)
    if shard:
        mesh = init_device_mesh("cpu", (int(os.environ["WORLD_SIZE"]),))
        for block in policy.transformer["h"]:
            fully_shard(block, mesh=mesh)
        fully_shard(policy, mesh=mesh)
    return kind(policy, *rest)


def equal(folder, rank):
    """Two updates of each case; the first process also takes them alone."""
    for name in cases.CASES:
        shard = name == "shards"
        together = trainer(name, parallel.PolicyGradientTrainer, shard)
        found = cases.result(together, checkpoints, folder / f"{name}.kept")
        if rank == 0:
            cases.keep(folder, f"{name}.two", found)
            alone = trainer(name, PolicyGradientTrainer)
            cases.keep(folder, f"{name}.one", cases.result(alone, checkpoints))


def refused(folder, rank):
    """What every process must refuse; each writes its errors."""
    for name, changed in cases.refused(rank).items():
        try:
            trainer("sum", parallel.PolicyGradientTrainer, **changed)
            error = "none"
        except ValueError as found:
            error = str(found)
        cases.tell(folder, f"{name}.{rank}", error)


def killed(folder, rank):
    """A checkpoint after each step; process 1 dies in the third."""
    one = trainer("sum", parallel.PolicyGradientTrainer)
    path = folder / "checkpoint"
    if rank == 1:
        step, die = one.step, lambda: os.kill(os.getpid(), signal.SIGKILL)
        one.step = lambda: die() if len(one.history) == 2 else step()
    one.train(4, progress=False, path=path, every=1)


def resumed(folder, rank):
    two = trainer("sum", parallel.PolicyGradientTrainer)
    two.load(folder / "checkpoint")
    two.train(2, progress=False)
    if rank == 0:
        found = two.history, checkpoints.get_weights(two.policy)
        cases.keep(folder, "resumed.two", found)


if __name__ == "__main__":
    torch.set_num_threads(1)
    folder = Path(sys.argv[1])
    with parallel.started(seconds=20) as (rank, size):
        for what in sys.argv[2:]:
            {f.__name__: f for f in (equal, refused, killed, resumed)}[what](
                folder, rank
            )
