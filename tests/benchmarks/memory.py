"""One fresh process: python -m tests.benchmarks.memory SIDE

SIDE is pytorch, tensorflow, trl or trl-default (activation checkpointing on).
Three GRPO steps at 16 + 48 tokens; reports the first step's seconds and
the peak of resident memory, after the imports and at the end.
"""

from __future__ import annotations

import json
import resource
import sys
import time

from core.load_order import torch_first
from tests.benchmarks import models
from tests.benchmarks.measure import THREADS

BATCH, STEPS = 128, 3


def main(side):
    """Run the steps and print what they took, as JSON."""
    run = trl if side.startswith("trl") else own
    print(json.dumps(run(side)), flush=True)


def own(side):
    """Our step; nothing of the libraries is imported."""
    import numpy as np

    if side == "tensorflow":
        torch_first()  # as core.tf does
        import tensorflow as tf

        from tests.benchmarks.grpo_tf import GRPO

        tf.config.threading.set_intra_op_parallelism_threads(THREADS)
    else:
        import torch

        from tests.benchmarks.grpo_pt import GRPO

        torch.set_num_threads(THREADS)
    imported, seconds = peak(), []
    grpo, prompts = GRPO(), models.prompts(BATCH)
    for step in range(STEPS):
        start = time.perf_counter()
        grpo.step(prompts, np.random.rand(BATCH), models.LAST, seed=step)
        seconds.append(time.perf_counter() - start)
    return {"imported": imported, "peak": peak(), "first": seconds[0]}


def trl(side):
    """TRL's step, with the same model."""
    import torch
    from transformers import GPT2LMHeadModel  # noqa: F401  loads lazily

    from core.pt.checkpoints import get_weights
    from core.pt.models import GPT
    from tests.benchmarks.grpo_trl import train

    torch.set_num_threads(THREADS)
    imported = peak()
    model = models.in_transformers(get_weights(GPT(models.CONFIG)))
    seconds = train(
        model,
        models.prompts(BATCH),
        STEPS,
        models.LAST,
        checkpointing=side == "trl-default",
    )
    return {"imported": imported, "peak": peak(), "first": seconds[0]}


def peak():
    """Largest resident memory of this process until now, MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main(sys.argv[1])
