"""The experience buffer of document 001 §3.2: samples (X, Y, R) kept for further
updates, with the log-probabilities they were drawn with.
"""

from collections import deque

import numpy as np

from core import checks
from core.types import Rollout


class ExperienceBuffer:
    """The last `batches` rollouts; the oldest leaves first.

    A sample stays what it was: prompts X, completions Y, rewards R, and the `logprobs`
    of the policy that drew it, without which a later policy could not weight it (see
    `importance_weights` in `core.pt.losses`).
    """

    def __init__(self, batches: int):
        checks.whole(1, batches=batches)
        self.rollouts: deque[Rollout] = deque(maxlen=int(batches))

    def __len__(self) -> int:
        return sum(len(rollout) for rollout in self.rollouts)

    def add(self, rollout: Rollout) -> None:
        """Keep a rollout; ValueError unless all have the same P and T."""
        both = self.rollouts[0] if self.rollouts else rollout, rollout
        kept, new = ((r.prompts.shape[1], r.completions.shape[1]) for r in both)
        wanted = f"rollout: expected (P, T) = {kept} as those that are kept, got {new}"
        checks.require(new == kept, wanted)
        self.rollouts.append(rollout)

    def sample(self, batch_size: int, rng: np.random.Generator) -> Rollout:
        """`batch_size` different rows, at most `len(self)`, uniform over all kept."""
        checks.whole(1, batch_size=batch_size)
        wanted = f"batch_size: expected 1 to {len(self)}, got {batch_size}"
        checks.require(batch_size <= len(self), wanted)
        index = rng.choice(len(self), size=batch_size, replace=False)
        return Rollout.concatenate(self.rollouts).take(index)
