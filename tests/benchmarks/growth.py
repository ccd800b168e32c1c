"""Sampling over length and batch: python -m tests.benchmarks.growth SIDE

SIDE is pytorch or tensorflow.
"""

from __future__ import annotations

import sys

from tests.benchmarks import models
from tests.benchmarks.measure import alternate, entry, report
from tests.benchmarks.sampling import ours, sides

LENGTHS = (8, 16, 32, 64, 112)  # at B = 64
BATCHES = (8, 16, 32, 64, 128, 256)  # 48 tokens


def main(framework):
    """Ours in each framework; transformers beside the first."""
    policy, sample, weights = ours(framework)
    theirs = {}
    if framework == "pytorch":
        theirs["transformers"] = models.in_transformers(weights)
    entries = []
    sizes = [(64, length) for length in LENGTHS]
    sizes += [(batch, models.LAST) for batch in BATCHES]
    for batch, length in sizes:
        seconds = alternate(sides(policy, sample, theirs, batch, length), rounds=3)
        entries.append(
            entry(
                "speed" if theirs else "value",
                seconds["ours"],
                seconds.get("transformers"),
                what="growth",
                framework=framework,
                against="transformers",
                batch=batch,
                prompt=models.PROMPT,
                completion=length,
                tokens=batch * length,
            )
        )
    report(entries)


if __name__ == "__main__":
    main(sys.argv[1])
