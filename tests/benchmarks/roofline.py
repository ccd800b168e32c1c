"""What the processor could do: python -m tests.benchmarks.roofline

The measured rate of a matrix product, and the operations of a token: their
quotient is the number of tokens per second that no sampler can exceed whose
products have that shape.
"""

from __future__ import annotations

import time

import torch

from tests.benchmarks.measure import ROUNDS, THREADS, entry, report
from tests.benchmarks.models import CONFIG, GROUP, LAST, PROMPT

SHAPES = [(b, 128, 512) for b in (8, 64, 256)] + [(1024, 1024, 1024)]


def main():
    """The rate of each shape (rows, inner, columns), in s per GFLOP."""
    torch.set_num_threads(THREADS)
    report(
        [
            entry(
                "value",
                seconds_per_gflop(*shape),
                unit="s/GFLOP",
                what="matrix product",
                shape=list(shape),
                operations=operations(),
            )
            for shape in SHAPES
        ]
    )


def seconds_per_gflop(rows, inner, columns):
    """Of a float32 product, each round at least 0.1 s long."""
    a, b = torch.randn(rows, inner), torch.randn(inner, columns)
    gflop = 2 * rows * inner * columns / 1e9
    out, seconds = torch.empty(rows, columns), []
    repeats = max(1, round(10 / gflop))
    for _ in range(ROUNDS + 1):
        start = time.perf_counter()
        for _ in range(repeats):
            torch.mm(a, b, out=out)
        seconds.append((time.perf_counter() - start) / (repeats * gflop))
    return seconds[1:]


def operations():
    """Floating-point operations per sampled token, a product counting two.

    The prompt's are shared by its group and spread over the completion.
    """
    width, layers = CONFIG.n_embd, CONFIG.n_layer
    # queries, keys, values; projection; into the MLP and out of it
    token = 2 * layers * (3 + 1 + 4 + 4) * width**2
    head = 2 * CONFIG.vocab_size * width
    steps = LAST - 1  # the first token comes from the prompt's last state
    attended = sum(4 * layers * width * (PROMPT + t + 1) for t in range(steps))
    prompt = PROMPT * token + sum(4 * layers * width * (p + 1) for p in range(PROMPT))
    total = steps * (token + head) + attended + (prompt + head) / GROUP
    return total / LAST


if __name__ == "__main__":
    main()
