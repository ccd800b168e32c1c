"""The tools that hold the two frameworks to each other."""

import numpy as np
import pytest

from pages import parity
from tests.both import PT, TF
from tests.test_trainers import SETTINGS, trainer_of


def test_copy_weights_in_all_directions():
    for source, target in [(PT, TF), (TF, PT), (PT, PT), (TF, TF)]:
        first = source.models.LSTMPolicy(5, seed=1)
        second = target.models.LSTMPolicy(5, seed=2)
        parity.copy_weights(first, second)
        assert (
            parity.difference(
                source.checkpoints.get_weights(first),
                target.checkpoints.get_weights(second),
            )
            == 0
        )


def test_difference():
    first = {"a": np.array([1.0, 2.0]), "b": np.zeros(2)}
    second = {"a": np.array([1.0, 2.5]), "b": np.full(2, -0.1)}
    assert parity.difference(first, second) == 0.5
    with pytest.raises(ValueError, match="second: expected the names"):
        parity.difference(first, {"a": np.ones(2)})


def test_side_by_side_in_float64():
    rows = parity.side_by_side(
        trainer_of(PT, **SETTINGS["mean"]), trainer_of(TF, **SETTINGS["mean"]), 6
    )
    assert [row["step"] for row in rows] == [1, 2, 3, 4, 5, 6]
    for row in rows:
        assert row["same_tokens"]
        assert max(row["loss"], row["gradient"], row["weights"]) < 1e-9


def test_side_by_side_sees_a_difference():
    """Another learning rate: gradients part where the weights have."""
    rows = parity.side_by_side(trainer_of(PT), trainer_of(TF, learning_rate=0.1), 6)
    assert rows[0]["gradient"] < 1e-9 < 0.01 < rows[0]["weights"]
    assert rows[-1]["gradient"] > 1e-4
