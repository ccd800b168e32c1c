"""One GRPO training on several processes: the numbers are those of one.

    cd book
    export PYTHONPATH=..
    python -m torch.distributed.run --nproc-per-node 2 -m real.two_processes
    python -m real.two_processes --tensorflow

The third line starts two processes of PyTorch, the last TensorFlow on two devices
of one process (its GPUs, or its processor cut in two).  With the variable TF_CONFIG,
which names the others, TensorFlow's is one process of several.
"""

import argparse
from pathlib import Path

import core.quiet  # noqa: F401
from core.advantages import Group
from core.algorithms import Algorithm, Clipped, TokenMean
from core.batched import BatchedEnvironment
from core.rewards import token_position_match
from core.settings import GPTConfig, PolicyGradientConfig

ALGORITHM = Algorithm(Group(4, scale=True), Clipped(), TokenMean())
CONFIG = PolicyGradientConfig(ALGORITHM, steps=4, batch_size=32, warmup_steps=0)


def task():
    """Copy three digits and stop."""
    rows = [[3 + n // 9, 3 + n // 3 % 3, 3 + n % 3] for n in range(8)]
    targets = [row + [2] for row in rows]
    return BatchedEnvironment(rows, targets, token_position_match, 6, eos_id=2)


def policy(models):
    """A GPT of two layers in float64, of either framework's `models`."""
    sizes = GPTConfig(6, n_positions=8, n_embd=16, n_layer=2, n_head=2)
    return models.GPT(sizes, seed=1, dtype="float64")


def train(parallel, models, out):
    """This process's part of the training; the first one writes the checkpoint."""
    with parallel.started() as (rank, size):
        trainer = parallel.PolicyGradientTrainer(policy(models), task(), CONFIG)
        trainer.train(progress=False, path=out)
        shares = size * trainer.replicas
        said = f"process {rank} of {size}, {CONFIG.batch_size // shares} texts a device"
        print(f"{said}\n", end="")  # in one piece, as others write beside it


def main(arguments=None):
    """Train in one framework, as one of the processes that are started."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--tensorflow", action="store_true")
    parser.add_argument("--out", type=Path, default=Path("two_processes.safetensors"))
    options = parser.parse_args(arguments)
    if options.tensorflow:
        import tensorflow as tf

        if not tf.config.list_physical_devices("GPU"):
            (cpu,) = tf.config.list_physical_devices("CPU")
            half = tf.config.LogicalDeviceConfiguration()
            tf.config.set_logical_device_configuration(cpu, [half, half])
        from core.tf import models, parallel
    else:
        from core.pt import models, parallel
    train(parallel, models, options.out)


if __name__ == "__main__":
    main()
