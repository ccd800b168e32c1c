"""Started from tests/test_parallel.py: workers, and logical devices of TensorFlow.

`python tests/parallel/tf.py FOLDER PORT PORT PORT PORT` imports TensorFlow once and is
forked before anything of it has run.
"""

import json
import sys
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import tensorflow as tf

import core.quiet  # noqa: F401
from core.tf import checkpoints, models, parallel
from tests.parallel import cases, forks


@contextmanager
def started(devices=1):
    """Workers take one processor each, however many there are."""
    place = tf.config.LogicalDeviceConfiguration()
    (cpu,) = tf.config.list_physical_devices("CPU")
    tf.config.set_logical_device_configuration(cpu, [place] * devices)
    # Each graph runs twice or so: to rewrite it first would take longer.
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})
    with parallel.started(seconds=20) as (rank, _):
        yield rank


def trainer(name, **changed):
    policy, *rest = cases.arguments(models, name, **changed)
    return parallel.PolicyGradientTrainer(policy, *rest)


def killed(folder):
    """A case on both workers, what they refuse, and the end of one of them."""
    with started() as rank:
        group = trainer("group")
        found = cases.result(group, checkpoints, folder / "group.kept")
        if rank == 0:
            cases.keep(folder, "group.workers", found)
        makers = cases.refused(rank).items()
        makers = {name: partial(trainer, "sum", **c) for name, c in makers}
        cases.told(folder, rank, makers)
        cases.told(folder, rank, cases.failures(group, folder, rank))
        cases.streams(type(group), group.policy, folder, rank)
        group.load(folder / "kept")
        cases.dying(group, folder, rank)


def resumed(folder):
    with started() as rank:
        group = trainer("group")
        found = cases.resumed(group, checkpoints, folder / "checkpoint")
        if rank == 0:
            cases.keep(folder, "resumed.two", found)


def devices(folder):
    """Every case on two devices of one process, and the killed workers' checkpoint."""
    with started(devices=2):
        for name in cases.CASES:
            # "leave one out" accumulates; each part of an update is compiled anew.
            changed = {"accumulate": 1} if name == "shards" else {}
            made = trainer(name, **changed)
            found = cases.result(made, checkpoints)
            cases.keep(folder, f"{name}.devices", found)
            if name == "group":
                found = cases.resumed(made, checkpoints, folder / "checkpoint")
                cases.keep(folder, "resumed.one", found)


def workers(ports):
    """What the environments of two workers say."""
    cluster = {"worker": [f"127.0.0.1:{port}" for port in ports]}
    tasks = [{"type": "worker", "index": index} for index in range(2)]
    told = [{"cluster": cluster, "task": task} for task in tasks]
    return [{"TF_CONFIG": json.dumps(config)} for config in told]


if __name__ == "__main__":
    folder, ports = Path(sys.argv[1]), sys.argv[2:]
    starts = (
        (killed, workers(ports[:2])),
        (resumed, workers(ports[2:])),
        (devices, [{}]),
    )
    for function, places in starts:
        forks.together(folder, function.__name__, partial(function, folder), places)
