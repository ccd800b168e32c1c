"""Started from tests/test_parallel.py: two logical CPUs, or one of two workers.

`python tests/parallel/tf.py FOLDER WHAT`, with TF_CONFIG for workers.
"""

import sys
from pathlib import Path

import tensorflow as tf

import core.quiet  # noqa: F401
from core.tf import checkpoints, models, parallel
from tests.parallel import cases


def main(folder, what):
    names = list(cases.CASES) if what == "devices" else ["group"]
    cpus = 2 if what == "devices" else 1
    place = tf.config.LogicalDeviceConfiguration()
    (cpu,) = tf.config.list_physical_devices("CPU")
    tf.config.set_logical_device_configuration(cpu, [place] * cpus)
    with parallel.started(seconds=60) as (rank, size):
        for name in names:
            policy, *rest = cases.arguments(models, name)
            together = parallel.PolicyGradientTrainer(policy, *rest)
            found = cases.result(together, checkpoints)
            if rank == 0:
                cases.keep(folder, f"{name}.{what}", found)
            if size > 1:
                together.save(folder / "workers")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
