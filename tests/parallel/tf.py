"""Started from tests/test_parallel.py: two logical CPUs, or one of two workers.

`python tests/parallel/tf.py FOLDER WHAT`, with TF_CONFIG for workers.
"""

import sys
from pathlib import Path

import tensorflow as tf

import core.quiet  # noqa: F401
from core.tf import checkpoints, models, parallel
from core.tf.trainers import PolicyGradientTrainer
from tests.parallel import cases


def trainer(name, kind, **changed):
    policy, *rest = cases.arguments(models, name, **changed)
    return kind(policy, *rest)


def main(folder, what):
    names = list(cases.CASES) if what == "devices" else ["group"]
    cpus = 2 if what == "devices" else 1
    place = tf.config.LogicalDeviceConfiguration()
    (cpu,) = tf.config.list_physical_devices("CPU")
    tf.config.set_logical_device_configuration(cpu, [place] * cpus)
    with parallel.started(seconds=60) as (rank, size):
        for name in names:
            together = trainer(name, parallel.PolicyGradientTrainer)
            found = cases.result(together, checkpoints)
            if rank == 0:
                cases.keep(folder, f"{name}.{what}", found)
            if size > 1:
                together.save(folder / "workers")
    if rank == 0:
        for name in names:
            alone = trainer(name, PolicyGradientTrainer)
            cases.keep(folder, f"{name}.alone", cases.result(alone, checkpoints))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
