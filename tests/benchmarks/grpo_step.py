"""A GRPO step against TRL's: python -m tests.benchmarks.grpo_step SIDE

SIDE is pytorch or tensorflow.  16 prompts of 16 tokens, 8 completions each,
reference model, one update; completions of 8 and 48 tokens, and such as end
at random between 4 and 48, at the same places on both sides.
"""

from __future__ import annotations

import importlib
import sys
import time

import numpy as np
import torch

from core.load_order import torch_first
from tests.benchmarks import models
from tests.benchmarks.grpo_trl import train
from tests.benchmarks.measure import ROUNDS, THREADS, entry, report

BATCH = 128
WARM_UP = 2
TARGETS = {  # least ratio against TRL
    "pytorch": {"48": 2.0, "8": 3.0, "4 to 48": 3.0},
    "tensorflow": {"48": 1.8, "8": 2.7, "4 to 48": 3.0},
}


def main(framework):
    """Every kind of completion, TRL's step and ours in turn."""
    module, get_weights = load(framework)
    entries = []
    for kind, target in TARGETS[framework].items():
        grpo = module.GRPO()
        seconds, tokens = [], []

        def between(step):
            start = time.perf_counter()
            tokens.append(one_step(grpo, kind, step)[1])  # noqa: B023
            seconds.append(time.perf_counter() - start)  # noqa: B023

        theirs = train(
            models.in_transformers(get_weights(grpo.policy)),
            models.prompts(BATCH),
            WARM_UP + ROUNDS,
            longest(kind),
            ends(kind),
            between,
        )
        entries.append(
            entry(
                "speed",
                seconds[WARM_UP:],
                theirs[WARM_UP:],
                target,
                what="GRPO step",
                framework=framework,
                against="TRL",
                batch=BATCH,
                prompt=models.PROMPT,
                completion=kind,
                tokens=int(np.median(tokens[WARM_UP:])),
            )
        )
    report(entries)


def load(framework):
    """The module with our step, and `get_weights`, of a framework."""
    torch.set_num_threads(THREADS)
    name = "pt"
    if framework == "tensorflow":
        torch_first()  # as core.tf does
        import tensorflow as tf

        tf.config.threading.set_intra_op_parallelism_threads(THREADS)
        name = "tf"
    return (
        importlib.import_module(f"tests.benchmarks.grpo_{name}"),
        importlib.import_module(f"core.{name}.checkpoints").get_weights,
    )


def one_step(grpo, kind, step):
    """Our step: the loss and the number of tokens."""
    scores = np.random.default_rng(step).random(BATCH)
    prompts = models.prompts(BATCH)
    if ends(kind) is None:
        return grpo.step(prompts, scores, longest(kind), seed=step)
    noise = models.ending_noise(ends(kind)(step), step)
    return grpo.step(prompts, scores, longest(kind), noise, models.EOS)


def longest(kind):
    """Tokens of the longest completion, of "8", "48" or "4 to 48"."""
    return int(kind.split()[-1])


def ends(kind):
    """Function of the step to the completions' lengths; None: all alike."""
    if kind.isdigit():
        return None
    return lambda step: models.lengths(BATCH, step)


if __name__ == "__main__":
    main(sys.argv[1])
