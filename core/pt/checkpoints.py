"""Weights and optimizer state as named NumPy arrays, and their files.

Names and shapes are the same in both frameworks, so what one saves the other
loads.
"""

from __future__ import annotations

import torch

from core import weights


def get_weights(model):
    """The trained weights of a model.

    Returns: dict, name to NumPy array; a matrix is (out, in).
    """
    return {n: p.detach().cpu().numpy().copy() for n, p in _named(model)}


def set_weights(model, arrays):
    """Set a model's weights in place.

    Args:
        model: a model of `core.pt.models` or `core.tf.models`.
        arrays: dict as `get_weights` returns, of either framework.
    Raises: ValueError where a name is missing or extra or a shape differs.
    """
    named = dict(_named(model))
    weights.check_names(arrays, {n: tuple(p.shape) for n, p in named.items()})
    with torch.no_grad():
        for name, parameter in named.items():
            parameter.copy_(torch.from_numpy(arrays[name]))


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
    for name, parameter in _named(model):
        state = optimizer.state.get(parameter, {})
        for key, kept in (("first", "exp_avg"), ("second", "exp_avg_sq")):
            value = state.get(kept, torch.zeros_like(parameter))
            moments[f"{key}.{name}"] = value.detach().cpu().numpy().copy()
    return moments


def set_moments(optimizer, model, moments, steps):
    """Set Adam's moments and its count of steps, as `get_moments` gave them.

    Raises: ValueError where a name is missing or extra or a shape differs.
    """
    named = dict(_named(model))
    weights.check_names(
        moments,
        {
            f"{key}.{name}": tuple(p.shape)
            for name, p in named.items()
            for key in ("first", "second")
        },
    )
    for name, parameter in named.items():
        optimizer.state[parameter] = {
            "step": torch.tensor(float(steps)),
            "exp_avg": torch.from_numpy(moments[f"first.{name}"].copy()).to(parameter),
            "exp_avg_sq": torch.from_numpy(moments[f"second.{name}"].copy()).to(
                parameter
            ),
        }


def _named(model):
    """Name and parameter of everything that is trained."""
    return [(n, p) for n, p in model.named_parameters() if p.requires_grad]
