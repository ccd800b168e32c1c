"""A run's report against hand-worked numbers; each sign once there and once not."""

import numpy as np
import pytest

from core.report import LIMITS, explained, of_batch, report
from core.types import Rollout

STEP = {"return": 0.5, "length": 4.0, "entropy": 1.0, "loss": 0.1, "grad_norm": 1.0}


def history(steps=20, **changes):
    """A run whose return rises from 0 to 1; a change is a number or a curve."""
    curves = {name: np.full(steps, value) for name, value in STEP.items()}
    curves |= {"return": np.linspace(0, 1, steps), "step": np.arange(1, steps + 1)}
    curves |= {name: np.broadcast_to(c, steps) for name, c in changes.items()}
    return [{n: float(c[i]) for n, c in curves.items()} for i in range(steps)]


def batch(**changes):
    """Four texts, two of each prompt; the second ends early, the last is cut off."""
    arrays = {
        "prompts": np.array([[7], [7], [8], [8]]),
        "completions": np.array([[1, 2, 0], [1, 0, 0], [1, 2, 0], [2, 2, 2]]),
        "mask": np.array([[1, 1, 1], [1, 1, 0], [1, 1, 1], [1, 1, 1.0]]),
        "logprobs": np.log([[0.5] * 3, [0.5, 0.5, 1], [0.5] * 3, [0.5] * 3]),
        "rewards": np.array([[0, 0, 1], [0, 0, 0], [0, 0, 1], [0, 0, 1.0]]),
        "terminated": np.array([True, True, True, False]),
        "rows": np.array([0, 0, 1, 1]),
    }
    return Rollout(**arrays | changes)


def signs(*args, **kwargs):
    return {sign.name for sign in report(*args, **kwargs).signs}


def test_a_good_run_has_no_sign():
    found = report(history(), batch(), group_size=2)
    assert found.signs == ()
    assert list(found.curves) == [n for n in history()[0] if n != "step"]
    np.testing.assert_allclose(found.ends["return"], (0.5 / 19, 18.5 / 19))


def test_the_batch_by_hand():
    found = of_batch(batch(), 2)
    assert found == pytest.approx(
        {
            "spread": np.sqrt(3) / 4,  # of 1, 0, 1, 1
            "spread in groups": 0.25,  # of 1, 0 and of 1, 1
            "different texts": 1.0,  # the first and the third have other prompts
            "longest": 3.0,
            "cut off": 0.25,
        }
    )
    assert "spread in groups" not in of_batch(batch())
    again = batch(prompts=np.full((4, 1), 7))
    assert of_batch(again)["different texts"] == 0.75


def test_what_stands_behind_the_mask_makes_no_text():
    other = np.array([[1, 2, 0], [1, 0, 5], [1, 2, 0], [2, 2, 2]])
    first, rows = batch(), np.array([1, 1])
    changed = batch(completions=other)
    pair = Rollout.concatenate([first.take(rows[:1]), changed.take(rows[:1])])
    assert of_batch(pair)["different texts"] == 0.5


def test_the_effective_share_by_hand():
    """Weights 2, 1, 1, 0: (4)² / (4 · 6); any multiple has the same."""
    weights = np.array([2, 1, 1, 1e-300])
    logs = np.log(weights)[:, None] / batch().mask.sum(axis=1, keepdims=True)
    for shift in (0, 3, -400):
        scored = batch().logprobs + (logs + shift / 3) * batch().mask
        if shift:  # the same for every text, whatever its length
            lengths = batch().mask.sum(axis=1, keepdims=True)
            scored = batch().logprobs + (logs + shift / lengths) * batch().mask
        share = of_batch(batch(), logprobs=scored)["effective share"]
        assert share == pytest.approx(16 / 24)


def test_what_a_critic_explains_by_hand():
    goals = np.array([[1, 1, 1], [0, 0, 0], [1, 1, 1], [1, 1, 1.0]])
    assert explained(batch(), goals) == 1
    assert explained(batch(), np.full((4, 3), 0.7)) == pytest.approx(0, abs=1e-12)
    assert explained(batch(), -goals) == pytest.approx(-3)
    late = np.array([[0.25, 0.5, 1], [0, 0, 9], [0.25, 0.5, 1], [0.25, 0.5, 1]])
    assert explained(batch(), late, gamma=0.5) == 1  # 9 stands behind the mask


LIMITED = {"entropy": 0.04, "kl": 1.5, "clipped": 0.4, "informative": 0.1, "ess": 0.05}


@pytest.mark.parametrize("name", LIMITED)
def test_a_limit_from_both_sides(name):
    side, limit, meaning = LIMITS[name]
    inside = limit + (1e-6 if side == "below" else -1e-6)
    assert signs(history(**{name: inside})) == set()
    (sign,) = report(history(**{name: LIMITED[name]})).signs
    assert (sign.name, sign.limit, sign.meaning) == (name, limit, meaning)
    assert sign.value == pytest.approx(LIMITED[name])


def test_an_end_is_the_last_tenth():
    """Two steps of twenty."""
    entropy = np.r_[np.full(18, 1.0), 0.0, 0.0]
    assert signs(history(entropy=entropy)) == {"entropy"}
    assert signs(history(entropy=np.r_[entropy[1:], 1.0])) == set()


def test_the_return():
    assert signs(history(**{"return": 0.5})) == {"return"}
    assert signs(history(**{"return": np.linspace(1, 0, 20)})) == {"return"}
    noisy = np.tile([0.0, 1.0], 20)
    assert signs(history(40, **{"return": noisy + np.linspace(0, 0.5, 40)})) == {
        "return"
    }
    assert signs(history(9, **{"return": 0.5})) == set()  # too short to tell


@pytest.mark.parametrize(("factor", "found"), [(1.4, 0), (1.6, 1), (0.7, 0), (0.6, 1)])
def test_the_length(factor, found):
    length = np.r_[np.full(10, 4.0), np.full(10, 4.0 * factor)]
    assert signs(history(length=length)) == ({"length"} if found else set())


def test_a_spike_of_the_gradient():
    norms = np.full(20, 2.0)
    norms[7] = 19.0
    assert signs(history(grad_norm=norms)) == set()
    norms[7] = 21.0
    assert signs(history(grad_norm=norms)) == {"grad_norm"}
    norms[8:] = 1e-15  # no gradient is not the usual one
    assert signs(history(grad_norm=np.r_[norms[:7], norms[8:], 2.0])) == set()
    assert signs(history(grad_norm=0.0)) == set()


def test_the_critics_error():
    assert signs(history(value_loss=np.linspace(1, 0.5, 20))) == set()
    assert signs(history(value_loss=np.linspace(0.5, 1, 20))) == {"value_loss"}


def test_signs_of_the_batch():
    assert signs(history(), batch(terminated=np.zeros(4, bool))) == {"cut off"}
    scored = batch().logprobs - np.array([[0], [0], [1], [1.0]]) * batch().mask
    assert signs(history(), batch(), logprobs=scored) == {"effective share"}
    assert signs(history(), batch(), logprobs=batch().logprobs) == set()
    goals = np.cumsum(batch().rewards[:, ::-1], axis=1)[:, ::-1]
    assert signs(history(), batch(), values=goals) == set()
    assert signs(history(), batch(), values=-goals) == {"explained"}


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        ({"history": []}, "history"),
        ({"history": [*history(2), {"return": 1.0}]}, "history"),
        ({"history": [{"step": 1, "loss": 1.0, "accuracy": 1.0}]}, "history"),
        ({"history": history(2, entropy=np.nan)}, "history"),
        ({"values": np.full((4, 3), np.nan)}, "values"),
        ({"logprobs": np.full((4, 3), np.nan)}, "logprobs"),
        ({"group_size": 3}, "group_size"),
        ({"group_size": 0}, "group_size"),
        ({"logprobs": np.zeros((4, 2))}, "logprobs"),
        ({"values": np.zeros((3, 3))}, "values"),
        ({"batch": None, "values": np.zeros((4, 3))}, "batch"),
        ({"batch": None, "logprobs": np.zeros((4, 3))}, "batch"),
        ({"values": np.zeros((4, 3)), "gamma": 2}, "gamma"),
    ],
)
def test_bad_arguments_are_named(arguments, name):
    with pytest.raises(ValueError, match=f"^{name}: expected"):
        report(**{"history": history(), "batch": batch()} | arguments)
