"""Weights and optimizer state as named NumPy arrays, and their files.

Names and shapes are the same in both frameworks, so what one saves the other loads.
"""

from pathlib import Path

import ml_dtypes
import numpy as np
import torch
from torch import nn
from torch.distributed.tensor import DTensor, distribute_tensor

from core import checks, weights


def get_weights(model: nn.Module) -> dict:
    """The trained weights of a model.

    Returns: dict, name to NumPy array; a matrix is (out, in).
    """
    return {n: _array(p) for n, p in _named(model)}


def set_weights(model: nn.Module, arrays: dict) -> None:
    """Set a model's weights in place.

    Args:
        model: a model of the same framework.
        arrays: dict as `get_weights` returns, of either framework.
    Raises: ValueError where a name is missing or extra or a shape differs.
    """
    weights.check_names(arrays, _shapes(model))
    with torch.no_grad():
        for name, parameter in _named(model):
            parameter.copy_(_tensor(arrays[name], parameter))


def initialise(model: nn.Module, seed: int) -> None:
    """Give every weight its first value, as `core.weights.initial_weights`."""
    set_weights(model, weights.initial_weights(_shapes(model), seed))


def save_model(path: str | Path, model: nn.Module) -> None:
    """Write a model's weights to a safetensors file, whole or not at all."""
    weights.write(path, get_weights(model), {"model": type(model).__name__})


def load_model(path: str | Path, model: nn.Module) -> None:
    """Read weights from a safetensors file of either framework.

    Raises: FileNotFoundError; ValueError where the file is truncated, or
        is of another class of model, or its names or shapes differ.
    """
    set_weights(model, weights.read_model(path, type(model).__name__))


def get_moments(optimizer: torch.optim.Adam, model: nn.Module) -> dict:
    """Adam's two moments of each weight.

    Returns: dict, "first.<name>", "second.<name>" to NumPy array; zeros at the start.
    """
    moments = {}
    for name, parameter in _named(model):
        state = optimizer.state.get(parameter, {})
        for key, kept in (("first", "exp_avg"), ("second", "exp_avg_sq")):
            value = state.get(kept, torch.zeros_like(parameter))
            moments[f"{key}.{name}"] = _array(value)
    return moments


def set_moments(optimizer, model: nn.Module, moments: dict, steps: int) -> None:
    """Set Adam's moments and its count of steps, as `get_moments` gave them.

    Raises: ValueError where a name is missing or extra or a shape differs.
    """
    checks.whole(0, steps=steps)
    weights.check_names(moments, _shapes(model, "first.") | _shapes(model, "second."))
    for name, parameter in _named(model):
        optimizer.state[parameter] = state = {"step": torch.tensor(float(steps))}
        for key, kept in (("first", "exp_avg"), ("second", "exp_avg_sq")):
            state[kept] = _tensor(moments[f"{key}.{name}"], parameter)


def _array(tensor):
    """A copy in NumPy; of a tensor in shards, of the whole."""
    whole = tensor.full_tensor() if isinstance(tensor, DTensor) else tensor
    whole = whole.detach().cpu()
    if whole.dtype is torch.bfloat16:  # the one that PyTorch's `numpy` lacks
        return whole.view(torch.int16).numpy().copy().view(ml_dtypes.bfloat16)
    return whole.numpy().copy()


def _tensor(array, parameter):
    """A copy beside a parameter, in shards as it is."""
    if array.dtype == ml_dtypes.bfloat16:
        array = array.astype(np.float32)
    tensor = torch.from_numpy(array.copy()).to(parameter.device, parameter.dtype)
    if not isinstance(parameter, DTensor):
        return tensor
    return distribute_tensor(tensor, parameter.device_mesh, parameter.placements)


def _named(model: nn.Module) -> list[tuple[str, nn.Parameter]]:
    """Name and parameter of everything that is trained."""
    checks.require(isinstance(model, nn.Module), "model: expected a torch.nn.Module")
    return [(n, p) for n, p in model.named_parameters() if p.requires_grad]


def _shapes(model: nn.Module, prefix: str = "") -> dict[str, tuple]:
    return {prefix + n: tuple(p.shape) for n, p in _named(model)}
