"""The experience buffer of document 001 §3.2: samples (X, Y, R) kept for
further updates, with the log-probabilities they were drawn with.
"""

from __future__ import annotations

from collections import deque

from core.types import Rollout


class ExperienceBuffer:
    """The last `batches` rollouts; the oldest leaves first.

    A sample stays what it was: prompts X, completions Y, rewards R, and the
    `logprobs` of the policy that drew it, without which a later policy could
    not weight it (see `importance_weights` in `core.pt.losses`).
    """

    def __init__(self, batches):
        if batches < 1:
            raise ValueError(f"batches: expected at least 1, got {batches}")
        self.rollouts = deque(maxlen=batches)

    def __len__(self):
        return sum(len(rollout) for rollout in self.rollouts)

    def add(self, rollout):
        """Keep a rollout; ValueError unless all have the same P and T."""
        shapes = [
            (r.prompts.shape[1], r.completions.shape[1])
            for r in (*self.rollouts, rollout)
        ]
        if shapes[-1] != shapes[0]:
            raise ValueError(
                f"rollout: expected (P, T) = {shapes[0]} as those that are "
                f"kept, got {shapes[-1]}"
            )
        self.rollouts.append(rollout)

    def sample(self, batch_size, rng):
        """`batch_size` different rows, uniform over all that are kept.

        Args:
            batch_size: at most `len(self)`.
            rng: numpy Generator.
        Returns: Rollout.
        """
        if not 1 <= batch_size <= len(self):
            raise ValueError(f"batch_size: expected 1 to {len(self)}, got {batch_size}")
        index = rng.choice(len(self), size=batch_size, replace=False)
        return Rollout.concatenate(self.rollouts).take(index)
