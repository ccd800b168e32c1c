"""The tools that hold the two frameworks to each other."""

import warnings

import ml_dtypes
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


@pytest.mark.parametrize("side", [0, 1])
@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_nan_is_never_lost(side, place):
    """Python's max(0.0, nan) is 0.0: the NaN must show wherever it stands."""
    dicts = [{n: np.array([0.5, 1.0]) for n in "abc"} for _ in range(2)]
    dicts[side]["abc"[place]][1] = np.nan
    assert np.isnan(parity.difference(*dicts))


@pytest.mark.parametrize(
    "one, other, expected",
    [
        ([np.inf], [1.0], np.inf),
        ([np.inf], [-np.inf], np.inf),
        ([np.inf], [np.inf], np.nan),
        (np.uint8([1]), np.uint8([3]), 2),
        (np.int8([-100]), np.int8([100]), 200),
        ([True], [False], 1),
        (np.float16([60000]), np.float16([-60000]), 120000),
        (ml_dtypes.bfloat16(1.5), ml_dtypes.bfloat16(1.0), 0.5),
        (np.zeros((0, 3)), np.zeros((0, 3)), 0),
        (1.0, 3.0, 2),
    ],
)
def test_difference_of_all_kinds_of_numbers(one, other, expected):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = parity.difference({"a": one}, {"a": other})
    np.testing.assert_equal(found, expected)


@pytest.mark.parametrize(
    "first, second, message",
    [
        ({}, {}, "first: expected at least one array"),
        (None, {}, "first: expected a dict, got NoneType"),
        ({"a": 1}, "a", "second: expected a dict, got str"),
        ({"a": [[1], [1, 2]]}, {"a": 1}, r"first\['a'\]: "),
        ({"a": [1]}, {}, r"second: expected the names \['a'\], got \[\]"),
        ({"a": np.ones((2, 1))}, {"a": np.ones((1, 2))}, r"second\['a'\]: expected"),
        ({"a": np.ones((0, 1))}, {"a": np.ones((1, 0))}, r"second\['a'\]: expected"),
        ({"a": 1.0}, {"a": [1.0]}, r"second\['a'\]: expected"),
        ({"a": "x"}, {"a": 1.0}, r"first\['a'\]: expected real numbers"),
        ({"a": 1.0}, {"a": 1j}, r"second\['a'\]: expected real numbers"),
        ({"a": None}, {"a": None}, r"first\['a'\]: expected real numbers"),
    ],
)
def test_what_cannot_be_compared(first, second, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        parity.difference(first, second)


@pytest.mark.parametrize("model", [None, "a path", {"a": np.ones(1)}])
def test_what_is_no_model(model):
    policy = PT.models.LSTMPolicy(5, seed=1)
    for pair in ((model, policy), (policy, model)):
        with pytest.raises(ValueError, match="^model: expected a model, got"):
            parity.copy_weights(*pair)


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
