"""bfloat16 where the processor has it: python -m tests.benchmarks.autocast

The cost of a loss and its gradient with and without autocast, and how far
log-probabilities are then from TensorFlow's, which stay in float32.
"""

from __future__ import annotations

import core.quiet  # noqa: F401  before the frameworks

# isort: split
import numpy as np
import tensorflow as tf
import torch

from core.pt.checkpoints import get_weights
from core.pt.models import GPT
from core.tf.models import GPT as GPTInTensorFlow
from tests.benchmarks import models
from tests.benchmarks.measure import THREADS, alternate, entry, report

BATCH = 128


def main():
    """Nothing to report where the processor has no such units."""
    torch.set_num_threads(THREADS)
    if not available():
        report([])
        return
    policy = GPT(models.CONFIG)
    spread(policy)
    inputs = texts()
    seconds = alternate(
        {
            kind: lambda i, on=kind == "bfloat16": gradient(policy, inputs, on)
            for kind in ("float32", "bfloat16")
        }
    )
    report(
        [
            entry(
                "speed",
                seconds["bfloat16"],
                seconds["float32"],
                what="bfloat16",
                framework="pytorch",
                against="float32",
                batch=BATCH,
                prompt=models.PROMPT,
                completion=models.LAST,
                differences=differences(policy, inputs),
            )
        ]
    )


def available():
    """Whether the processor multiplies in bfloat16."""
    return torch.cpu._is_avx512_bf16_supported()


def spread(policy):
    """Weights away from zero, so that the distributions are not flat."""
    torch.manual_seed(0)
    with torch.no_grad():
        for weight in policy.parameters():
            weight.add_(0.05 * torch.randn_like(weight))


def texts():
    """Prompts (N, P) and completions (B, T)."""
    rng = np.random.default_rng(1)
    shape = BATCH, models.LAST
    return models.prompts(BATCH), rng.integers(2, 64, shape)


def gradient(policy, inputs, on):
    """Mean log-probability of the completions, and its gradient."""
    with torch.autocast("cpu", torch.bfloat16, enabled=on):
        logprobs = policy.evaluate(*map(torch.from_numpy, inputs))[0]
    policy.zero_grad()
    logprobs.float().mean().backward()
    return logprobs.detach().float().numpy()


def differences(policy, inputs):
    """Largest difference of a log-probability to TensorFlow, nats."""
    from core.tf.checkpoints import set_weights

    other = GPTInTensorFlow(models.CONFIG)
    set_weights(other, get_weights(policy))
    wanted = other.evaluate(*map(tf.constant, inputs))[0].numpy()
    return {
        kind: float(abs(gradient(policy, inputs, on) - wanted).max())
        for kind, on in (("float32", False), ("bfloat16", True))
    }


if __name__ == "__main__":
    main()
