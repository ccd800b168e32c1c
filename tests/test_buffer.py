"""The experience buffer: what it keeps, what it draws."""

import numpy as np
import pytest

from core.buffer import ExperienceBuffer
from core.types import Rollout
from tests.test_types import arrays


def numbered(first):
    rows = np.arange(first, first + 2)
    return Rollout(**arrays() | {"rows": rows})


def test_keeps_the_last_and_draws_without_repetition():
    buffer = ExperienceBuffer(2)
    for first in (0, 2, 4):
        buffer.add(numbered(first))
    assert len(buffer) == 4
    drawn = buffer.sample(4, np.random.default_rng(0))
    assert sorted(drawn.rows) == [2, 3, 4, 5]
    seen = {int(buffer.sample(1, np.random.default_rng(s)).rows[0]) for s in range(50)}
    assert seen == {2, 3, 4, 5}


def test_bad_sizes_are_named():
    with pytest.raises(ValueError, match="batches"):
        ExperienceBuffer(0)
    buffer = ExperienceBuffer(1)
    buffer.add(numbered(0))
    for size in (0, 3):
        with pytest.raises(ValueError, match="batch_size"):
            buffer.sample(size, np.random.default_rng(0))


def test_batches_of_another_length_are_named():
    """Now, and not when a batch is drawn from both."""
    buffer = ExperienceBuffer(2)
    buffer.add(numbered(0))
    longer = Rollout(**arrays(t=4))
    with pytest.raises(ValueError, match=r"^rollout: .*\(1, 3\).* \(1, 4\)$"):
        buffer.add(longer)
    assert len(buffer) == 2
