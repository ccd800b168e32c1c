"""Where the time goes: python -m tests.benchmarks.profiles

The operations of one run under PyTorch's profiler, ours and transformers',
and the parts of a GRPO step in TensorFlow, whose sampling is one program.
"""

from __future__ import annotations

import core.quiet  # noqa: F401  before the frameworks

# isort: split
import numpy as np
import tensorflow as tf
import torch
from torch.profiler import ProfilerActivity, profile

from core.pt.checkpoints import get_weights
from core.pt.models import GPT
from core.pt.rollout import sample
from core.returns import group_advantages
from core.tf.rollout import sample as sample_in_tensorflow
from tests.benchmarks import grpo_pt, grpo_tf, models
from tests.benchmarks.measure import THREADS, alternate, entry, report
from tests.benchmarks.sampling import sides

BATCH = 128
ROWS = 8  # operations listed


def main():
    """Sampling at each batch size, and the GRPO step."""
    torch.set_num_threads(THREADS)
    tf.config.threading.set_intra_op_parallelism_threads(THREADS)
    policy, profiles = GPT(models.CONFIG), []
    theirs = {"transformers": models.in_transformers(get_weights(policy))}
    for batch in (8, 64, 256):
        runs = sides(policy, sample, theirs, batch, models.LAST)
        profiles += [
            {
                "what": "profile",
                "of": "sampling",
                "side": name,
                "batch": batch,
                **operations(run),
            }
            for name, run in runs.items()
        ]
    scores, prompts = np.random.rand(BATCH), models.prompts(BATCH)
    for length in (8, models.LAST):
        grpo = grpo_pt.GRPO()
        profiles.append(
            {
                "what": "profile",
                "of": "GRPO step",
                "side": "ours",
                "completion": length,
                "batch": BATCH,
                **operations(
                    lambda i, n=length, g=grpo: g.step(prompts, scores, n, seed=i)
                ),
            }
        )
    report(profiles + parts(scores, prompts))


def operations(run):
    """The operations that take most of a run: name, ms, calls."""
    run(0)  # allocation
    with profile(activities=[ProfilerActivity.CPU]) as kept:
        run(1)
    rows = sorted(kept.key_averages(), key=lambda r: -r.self_cpu_time_total)
    return {
        "ms": round(sum(r.self_cpu_time_total for r in rows) / 1000, 3),
        "rows": [
            [r.key, round(r.self_cpu_time_total / 1000, 3), r.count]
            for r in rows[:ROWS]
        ],
    }


def parts(scores, prompts):
    """Seconds of sampling and of the update in TensorFlow."""
    entries = []
    for length in (8, models.LAST):
        grpo = grpo_tf.GRPO()
        sampled = sample_in_tensorflow(
            grpo.policy, prompts, length, group_size=models.GROUP, seed=0
        )
        advantages = group_advantages(scores, models.GROUP, scale=True)
        rows = advantages[:, None].repeat(length, 1).astype(np.float32)
        tokens, logprobs, mask = sampled
        inputs = [tf.constant(a) for a in (prompts, tokens, mask, logprobs, rows)]
        seconds = alternate(
            {
                "sampling": lambda i, n=length, g=grpo: sample_in_tensorflow(
                    g.policy, prompts, n, group_size=models.GROUP, seed=i
                ),
                "update": lambda i, g=grpo, x=inputs: g.update(*x, full=True),
            }
        )
        entries += [
            entry(
                "value",
                kept,
                what="parts",
                framework="tensorflow",
                part=name,
                batch=BATCH,
                completion=str(length),
            )
            for name, kept in seconds.items()
        ]
    return entries


if __name__ == "__main__":
    main()
