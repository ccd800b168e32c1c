"""Sampling against `generate`: python -m tests.benchmarks.sampling SIDE

SIDE is pytorch or tensorflow.  48 tokens after 16, no end before, from the
full distribution; each side draws its own noise.
"""

from __future__ import annotations

import os
import sys

import numpy as np
import torch

from core.load_order import torch_first
from tests.benchmarks import models
from tests.benchmarks.measure import THREADS, alternate, entry, report

BATCHES = (8, 64, 256)
TARGETS = {  # least ratio against transformers and KerasHub
    "pytorch": {"transformers": 2.5},
    "tensorflow": {"transformers": 2.0, "KerasHub": 3.5},
}


def main(framework):
    """Every batch size, all sides in turn."""
    policy, sample, weights = ours(framework)
    theirs = {"transformers": models.in_transformers(weights)}
    if framework == "tensorflow":
        theirs["KerasHub"] = models.in_keras_hub(weights)
    check_logits(policy, theirs)
    waiting = os.environ.get("OMP_WAIT_POLICY", "default")
    entries = []
    for batch in BATCHES:
        seconds = alternate(sides(policy, sample, theirs, batch, models.LAST))
        entries += [
            entry(
                "speed",
                seconds["ours"],
                seconds[name],
                TARGETS[framework][name] if waiting == "default" else None,
                what="sampling",
                framework=framework,
                against=name,
                batch=batch,
                prompt=models.PROMPT,
                completion=models.LAST,
                tokens=batch * models.LAST,
                waiting=waiting,
            )
            for name in theirs
        ]
    report(entries)


def ours(framework):
    """Our GPT, its sampler and its weights by name."""
    if framework == "tensorflow":
        torch_first()  # as core.tf does
        import tensorflow as tf

        from core.tf.checkpoints import get_weights
        from core.tf.models import GPT
        from core.tf.rollout import sample

        tf.config.threading.set_intra_op_parallelism_threads(THREADS)
    else:
        from core.pt.checkpoints import get_weights
        from core.pt.models import GPT
        from core.pt.rollout import sample
    torch.set_num_threads(THREADS)
    policy = GPT(models.CONFIG)
    return policy, sample, get_weights(policy)


def sides(policy, sample, theirs, batch, length):
    """Functions of the round, by name, that sample (batch, length) tokens."""
    prompts = models.prompts(batch)
    repeated = prompts.repeat(models.GROUP, axis=0)
    found = {
        "ours": lambda i: sample(
            policy, prompts, length, group_size=models.GROUP, seed=i
        )
    }
    if "transformers" in theirs:
        found["transformers"] = lambda i: generate(
            theirs["transformers"], torch.from_numpy(repeated), length
        )
    if "KerasHub" in theirs:
        ids = np.pad(repeated, ((0, 0), (0, length)))
        inputs = {
            "token_ids": ids,
            "padding_mask": np.pad(np.ones_like(repeated), ((0, 0), (0, length))),
        }
        found["KerasHub"] = lambda i: theirs["KerasHub"].generate(
            inputs, stop_token_ids=None
        )
    return found


@torch.inference_mode()
def generate(model, prompts, length):
    """`length` tokens after the prompts (B, P) by transformers."""
    ids = model.generate(
        prompts,
        attention_mask=torch.ones_like(prompts),
        do_sample=True,
        max_new_tokens=length,
        top_k=0,
    )
    if ids.shape[1] != prompts.shape[1] + length:
        raise RuntimeError(f"expected {length} new tokens, got {ids.shape}")


def check_logits(policy, theirs):
    """Raise AssertionError unless all compute the same logits."""
    ids = models.prompts(8 * models.GROUP)
    logits, _ = policy(ids if "KerasHub" in theirs else torch.from_numpy(ids))
    logits = np.asarray(logits.detach() if hasattr(logits, "detach") else logits)
    for name, model in theirs.items():
        if name == "transformers":
            other = model(torch.from_numpy(ids)).logits.detach().numpy()
        else:
            other = np.asarray(
                model({"token_ids": ids, "padding_mask": np.ones_like(ids)})
            )
        np.testing.assert_allclose(logits, other, atol=1e-4, err_msg=name)


if __name__ == "__main__":
    main(sys.argv[1])
