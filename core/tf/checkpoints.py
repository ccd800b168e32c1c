"""Weights and optimizer state as named NumPy arrays, and their files.

Names and shapes are the same in both frameworks, so what one saves the other
loads.
"""

from __future__ import annotations

from core import weights

# PyTorch's name of each Keras variable; a matrix is transposed on the way.
_NAMES = {
    "embeddings": "weight",
    "lstm_cell.kernel": "weight_ih_l0",
    "lstm_cell.recurrent_kernel": "weight_hh_l0",
    "lstm_cell.bias": "bias_ih_l0",
    "kernel": "weight",
    "bias": "bias",
}


def get_weights(model):
    """The trained weights of a model.

    Returns: dict, name to NumPy array; a matrix is (out, in).
    """
    return {n: _turned(n, v.numpy()).copy() for n, v in _named(model)}


def set_weights(model, arrays):
    """Set a model's weights in place.

    Args:
        model: a model of `core.pt.models` or `core.tf.models`.
        arrays: dict as `get_weights` returns, of either framework.
    Raises: ValueError where a name is missing or extra or a shape differs.
    """
    weights.check_names(arrays, {
        n: _turned(n, v.numpy()).shape for n, v in _named(model)
    })
    for name, variable in _named(model):
        variable.assign(_turned(name, arrays[name]))


def save_model(path, model):
    """Write a model's weights to a safetensors file, whole or not at all."""
    weights.write(path, get_weights(model), {"model": type(model).__name__})


def load_model(path, model):
    """Read weights from a safetensors file of either framework.

    Raises: FileNotFoundError; ValueError where the file is truncated, or
        is of another class of model, or its names or shapes differ.
    """
    arrays, kept = weights.read(path)
    if kept.get("model") != type(model).__name__:
        raise ValueError(
            f"path: expected weights of a {type(model).__name__}, "
            f"got those of a {kept.get('model')}"
        )
    set_weights(model, arrays)


def get_moments(optimizer, model):
    """Adam's two moments of each weight.

    Returns: dict, "first.<name>" and "second.<name>" to NumPy array; zeros
        before the first step.
    """
    moments = {}
    for name, variable in _named(model):
        for key, slots in (("first", optimizer.first),
                           ("second", optimizer.second)):
            value = slots[variable.path].numpy()
            moments[f"{key}.{name}"] = _turned(name, value).copy()
    return moments


def set_moments(optimizer, model, moments, steps):
    """Set Adam's moments and its count of steps, as `get_moments` gave them.

    Raises: ValueError where a name is missing or extra or a shape differs.
    """
    weights.check_names(moments, {
        f"{key}.{name}": _turned(name, variable.numpy()).shape
        for name, variable in _named(model) for key in ("first", "second")
    })
    optimizer.iterations.assign(steps)
    for name, variable in _named(model):
        for key, slots in (("first", optimizer.first),
                           ("second", optimizer.second)):
            slots[variable.path].assign(
                _turned(name, moments[f"{key}.{name}"])
            )


def _named(model):
    """PyTorch's name and the variable of everything that is trained."""
    named = []
    for layer in ("embedding", "lstm", "policy_head", "value_head"):
        for variable in getattr(getattr(model, layer, None), "weights", ()):
            key = variable.path.split("/")[-1]
            if layer == "lstm":
                key = f"lstm_cell.{key}"
            named.append((f"{layer}.{_NAMES[key]}", variable))
    return named


def _turned(name, array):
    """Keras keeps matrices as (in, out), embeddings as PyTorch does."""
    turned = array.ndim == 2 and not name.startswith("embedding")
    return array.T if turned else array
