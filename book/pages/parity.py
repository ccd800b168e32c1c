"""Holds the two frameworks to each other: the only module that imports both.

Import it first where both are used: it sets the environment that they read
(`core.quiet`) and keeps TensorFlow from taking all of a GPU's memory.
"""

from __future__ import annotations

import core.quiet  # noqa: F401  before the frameworks

# isort: split
from types import ModuleType
from typing import Any

import keras
import numpy as np
import tensorflow as tf
import torch

import core.pt.checkpoints
import core.tf.checkpoints
from core import checks

for _gpu in tf.config.list_physical_devices("GPU"):
    tf.config.experimental.set_memory_growth(_gpu, True)


def checkpoints_of(model: Any) -> ModuleType:
    """The checkpoints module of the framework that a model belongs to.

    Raises: ValueError for what is a model of neither.
    """
    if isinstance(model, torch.nn.Module):
        return core.pt.checkpoints
    found = f"got {type(model).__name__}"
    checks.require(isinstance(model, keras.Layer), f"model: expected a model, {found}")
    return core.tf.checkpoints


def copy_weights(source: Any, target: Any) -> None:
    """Give `target` the weights of `source`, of either framework each.

    Raises: ValueError where names or shapes differ.
    """
    arrays = checkpoints_of(source).get_weights(source)
    checkpoints_of(target).set_weights(target, arrays)


def difference(first: dict[str, np.ndarray], second: dict[str, np.ndarray]) -> float:
    """Largest absolute difference of two dicts of arrays of the same shapes.

    It is computed in float64, and is NaN where a number on either side is, or
    where both are infinite with one sign.  An array without numbers adds 0.

    Raises: ValueError where there is no array, names or shapes differ, or what
        is compared are no real numbers.
    """
    for side, arrays in (("first", first), ("second", second)):
        found = f"got {type(arrays).__name__}"
        checks.require(isinstance(arrays, dict), f"{side}: expected a dict, {found}")
    checks.require(first, "first: expected at least one array")
    checks.require(
        set(first) == set(second),
        f"second: expected the names {sorted(first)}, got {sorted(second)}",
    )
    largest = 0.0
    for name in first:
        one, other = _real("first", name, first), _real("second", name, second)
        checks.shape(one.shape, f"first[{name!r}]", **{f"second[{name!r}]": other})
        with np.errstate(invalid="ignore"):
            apart = np.abs(one - other).max(initial=0.0)
        largest = np.maximum(largest, apart)  # Python's max would lose a NaN
    return float(largest)


def _real(side: str, name: str, arrays: dict) -> np.ndarray:
    """One array as float64: integers would wrap around in a difference."""
    with checks.about(f"{side}[{name!r}]"):
        array = np.asarray(arrays[name])
    found = f"got {array.dtype}"
    real = array.dtype.kind in "biufV"  # V: bfloat16
    checks.require(real, f"{side}[{name!r}]: expected real numbers, {found}")
    return array.astype(np.float64)


def side_by_side(pt_trainer: Any, tf_trainer: Any, steps: int) -> list[dict]:
    """Train both for `steps` and compare them after every step.

    The gradients are read back from Adam's first moments, which both keep:
    m_t = 0.9 m_{t-1} + 0.1 g_t.

    Args:
        pt_trainer, tf_trainer: PolicyGradientTrainers with equal settings.
    Returns: list of dicts: "step"; "same_tokens", whether both sampled the same
        completions; "loss", "gradient", "weights", the largest absolute differences.
    """
    rows, kept = [], (_named(pt_trainer)[1], _named(tf_trainer)[1])
    for _ in range(steps):
        metrics = pt_trainer.step(), tf_trainer.step()
        named = _named(pt_trainer), _named(tf_trainer)
        gradients = [
            {n: (new[n] - 0.9 * old[n]) / 0.1 for n in new}
            for (_, new), old in zip(named, kept)
        ]
        kept = named[0][1], named[1][1]
        texts = pt_trainer.batch.completions, tf_trainer.batch.completions
        rows.append(
            {
                "step": metrics[0]["step"],
                "same_tokens": np.array_equal(*texts),
                "loss": abs(metrics[0]["loss"] - metrics[1]["loss"]),
                "gradient": difference(*gradients),
                "weights": difference(named[0][0], named[1][0]),
            }
        )
    return rows


def _named(trainer: Any) -> tuple[dict, dict]:
    """Weights and first moments of a trainer's policy."""
    module = checkpoints_of(trainer.policy)
    moments = module.get_moments(trainer.optimizers["policy"], trainer.policy)
    first = {n: v for n, v in moments.items() if n.startswith("first.")}
    return module.get_weights(trainer.policy), first
