"""Started from tests/test_parallel.py: every case on two processes of PyTorch.

`python tests/parallel/pt.py FOLDER PORT PORT` imports PyTorch once and is forked; the
processes find each other as those of torchrun do, by the environment.
"""

import sys
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard

import core.quiet  # noqa: F401
from core.pt import checkpoints, models, parallel, rollout
from core.pt.trainers import PolicyGradientTrainer
from tests.parallel import cases, forks


def trainer(name, kind, shard=False, **changed):
    policy, *rest = cases.arguments(models, name, **changed)
    if shard:
        mesh = init_device_mesh("cpu", (2,))
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
    """What every process must refuse, and what fails on one alone."""
    kind = parallel.PolicyGradientTrainer
    changes = cases.refused(rank).items()
    makers = {name: partial(trainer, "sum", kind, **c) for name, c in changes}
    cases.told(folder, rank, makers)
    made = trainer("sum", kind)
    made.train(2, progress=False)
    cases.told(folder, rank, cases.failures(made, folder, rank))


def resumed(folder, rank):
    """The checkpoint of a killed process on two and on one; one process's on two."""
    path, alone = folder / "checkpoint", folder / f"alone.{rank}"
    trainer("group", PolicyGradientTrainer).train(3, progress=False, path=alone)
    two = trainer("group", parallel.PolicyGradientTrainer)
    found = cases.resumed(two, checkpoints, path)
    joined = cases.resumed(two, checkpoints, alone)
    if rank == 0:
        cases.keep(folder, "resumed.two", found)
        cases.keep(folder, "joined.two", joined)
        one = trainer("group", PolicyGradientTrainer)
        cases.keep(folder, "resumed.one", cases.resumed(one, checkpoints, path))
        whole = trainer("group", PolicyGradientTrainer)
        whole.train(progress=False)
        cases.keep(folder, "whole.one", cases.state(whole, checkpoints))


def unlike(folder, rank):
    """A policy in shards: here texts of three tokens, on the second process of one."""
    made = trainer("shards", parallel.PolicyGradientTrainer, shard=True)
    noise = np.zeros((2, 3, 6))
    noise[:, :, 2] = 50 if rank else -50  # of EOS
    given = np.array([[3, 4], [4, 5]]), 3, noise, 2
    whole = cases.arguments(models, "shards")[0]
    pairs = zip(made._sample(made.policy, *given), rollout.sample(whole, *given))
    for found, wanted in pairs:
        np.testing.assert_allclose(found, wanted, atol=1e-12)
    np.save(folder / f"unlike.{rank}.npy", found)  # the mask


def killed(folder):
    with parallel.started(seconds=20) as (rank, _):
        one = trainer("group", parallel.PolicyGradientTrainer)
        one.train(2, progress=False)
        cases.dying(one, folder, rank)


def alive(folder):
    with parallel.started(seconds=20) as (rank, _):
        for part in (resumed, refused, unlike, equal):
            part(folder, rank)
        policy = cases.arguments(models, "sum")[0]
        cases.streams(parallel.PolicyGradientTrainer, policy, folder, rank)


def alone():
    """As `accelerate launch --cpu` starts it: without others, and without torchrun."""
    with parallel.started():
        pass


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    cases.told(folder, 0, {"alone": alone})
    torch.set_num_threads(1)
    for function, port in zip((killed, alive), sys.argv[2:], strict=True):
        own = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "WORLD_SIZE": "2"}
        ranks = [own | {"RANK": str(rank), "LOCAL_RANK": str(rank)} for rank in (0, 1)]
        forks.together(folder, function.__name__, partial(function, folder), ranks)
