"""Weights and optimizer state as named NumPy arrays, and their files.

Names and shapes are the same in both frameworks, so what one saves the other loads.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from core import checks, weights

# PyTorch's names of the variables of Keras's own layers, in Keras's order.
_NAMES = {
    keras.layers.Embedding: ["weight"],
    keras.layers.Dense: ["weight", "bias"],
    keras.layers.LSTM: ["weight_ih_l0", "weight_hh_l0", "bias_ih_l0"],
}


def get_weights(model: keras.Model) -> dict:
    """The trained weights of a model.

    Returns: dict, name to NumPy array; a matrix is (out, in).
    """
    return {n: _turned(v, v.numpy()).copy() for n, v in _named(model)}


def set_weights(model: keras.Model, arrays: dict) -> None:
    """Set a model's weights in place.

    Args:
        model: a model of the same framework.
        arrays: dict as `get_weights` returns, of either framework.
    Raises: ValueError where a name is missing or extra or a shape differs.
    """
    weights.check_names(arrays, _shapes(model))
    for name, variable in _named(model):
        variable.assign(_turned(variable, arrays[name]))


def initialise(model: keras.Model, seed: int) -> None:
    """Give every weight its first value, as `core.weights.initial_weights`."""
    model(tf.zeros((1, 2), tf.int64))  # which builds Keras's own layers
    set_weights(model, weights.initial_weights(_shapes(model), seed))


def save_model(path: str | Path, model: keras.Model) -> None:
    """Write a model's weights to a safetensors file, whole or not at all."""
    weights.write(path, get_weights(model), {"model": type(model).__name__})


def load_model(path: str | Path, model: keras.Model) -> None:
    """Read weights from a safetensors file of either framework.

    Raises: FileNotFoundError; ValueError where the file is truncated, or
        is of another class of model, or its names or shapes differ.
    """
    set_weights(model, weights.read_model(path, type(model).__name__))


def get_moments(optimizer: Any, model: keras.Model) -> dict:
    """Adam's two moments of each weight.

    Returns: dict, "first.<name>", "second.<name>" to NumPy array; zeros at the start.
    """
    moments = {}
    for name, variable in _named(model):
        for key, slots in (("first", optimizer.first), ("second", optimizer.second)):
            value = slots[variable.path].numpy()
            moments[f"{key}.{name}"] = _turned(variable, value).copy()
    return moments


def set_moments(optimizer: Any, model: keras.Model, moments: dict, steps: int) -> None:
    """Set Adam's moments and its count of steps, as `get_moments` gave them.

    Raises: ValueError where a name is missing or extra or a shape differs.
    """
    checks.whole(0, steps=steps)
    weights.check_names(moments, _shapes(model, "first.") | _shapes(model, "second."))
    optimizer.iterations.assign(steps)
    for name, variable in _named(model):
        for key, slots in (("first", optimizer.first), ("second", optimizer.second)):
            slots[variable.path].assign(_turned(variable, moments[f"{key}.{name}"]))


def _named(module: Any, prefix: str = "") -> Iterator[tuple[str, keras.Variable]]:
    """PyTorch's name and the variable of everything that is trained."""
    holds = prefix or isinstance(module, keras.layers.Layer)
    checks.require(holds, "model: expected a Keras model or layer")
    if isinstance(module, (list, dict)):
        parts = module.items() if isinstance(module, dict) else enumerate(module)
    else:
        parts = [(k, v) for k, v in vars(module).items() if k[0] != "_"]
    for key, part in parts:
        name = f"{prefix}{key}"
        if isinstance(part, keras.Variable):
            if part.trainable:
                yield name, part
        elif type(part) in _NAMES:
            for end, variable in zip(_NAMES[type(part)], part.weights):
                yield f"{name}.{end}", variable
        elif isinstance(part, (list, dict, keras.layers.Layer)):
            yield from _named(part, f"{name}.")


def _shapes(model: keras.Model, prefix: str = "") -> dict[str, tuple]:
    return {prefix + n: _turned(v, v.numpy()).shape for n, v in _named(model)}


def _turned(variable: keras.Variable, array):
    """Keras's own layers keep a matrix as (in, out), PyTorch as (out, in)."""
    return array.T if variable.path.endswith("kernel") else array
