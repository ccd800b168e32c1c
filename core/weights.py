"""Named weights without a framework: how they start, and the file they are
kept in.  Both frameworks read the same names and shapes (PyTorch's layout),
so a seed gives both the same model and a file of one opens in the other.
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save


def initial_weights(shapes, seed):
    """First values of a model's weights, from NumPy's generator.

    Matrices are uniform in ±1/√fan_in, embeddings standard normal, biases
    zero, except the forget gate's, which is 1 so that an LSTM remembers from
    the start (Jozefowicz et al. 2015).  The value head starts at zero, so
    that the first values are 0 and not noise.

    Transformers start as GPT-2 and BERT did: normal with deviation 0.02, in
    GPT the layers that add to the residual stream 1/√(2 layers) of that.

    Args:
        shapes: dict, weight name to shape; a matrix is (out, in).
        seed: int ≥ 0.
    Returns: dict, weight name to float64 array.
    """
    rng = np.random.default_rng(seed)
    layers = sum(name.endswith("attn.c_proj.weight") for name in shapes)
    weights = {}
    for name in sorted(shapes):  # one order, whatever the framework's
        shape = tuple(shapes[name])
        if name.startswith("value_head") or "bias" in name:
            weights[name] = np.zeros(shape)
        elif re.search(r"\.(ln_\w|LayerNorm)\.weight$", name):
            weights[name] = np.ones(shape)
        elif name.startswith(("transformer.", "bert.", "cls.", "classifier")):
            scale = 0.02
            if name.endswith("c_proj.weight"):
                scale /= (2 * layers) ** 0.5
            weights[name] = scale * rng.standard_normal(shape)
        elif name.startswith("embedding"):
            weights[name] = rng.standard_normal(shape)
        else:
            bound = shape[-1] ** -0.5
            weights[name] = rng.uniform(-bound, bound, shape)
        if name == "lstm.bias_ih_l0":
            hidden = shape[0] // 4
            weights[name][hidden : 2 * hidden] = 1.0
    return weights


def write(path, arrays, metadata):
    """Write arrays and a JSON-serialisable dict to one safetensors file.

    The file is written aside and renamed: a crash leaves the old file whole.

    Args:
        path: where; its folder must exist.
        arrays: dict, name to NumPy array.
        metadata: dict, kept as JSON in the header.
    """
    path = check_folder(path)
    aside = path.with_name(path.name + ".tmp")
    contiguous = {k: np.ascontiguousarray(v) for k, v in arrays.items()}
    data = save(contiguous, metadata={"core": json.dumps(metadata)})
    with open(aside, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    os.replace(aside, path)


def check_folder(path):
    """The path; ValueError where its folder does not exist."""
    path = Path(path)
    if not path.parent.is_dir():
        raise ValueError(f"path: the folder {path.parent} does not exist")
    return path


def read(path):
    """Read what `write` wrote.

    Returns: (dict of NumPy arrays, metadata dict).
    Raises: FileNotFoundError; ValueError where the file is truncated, not
        written by `write`, or holds numbers that are not finite.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"path: no checkpoint at {path}")
    try:
        with safe_open(path, framework="np") as file:
            header = file.metadata() or {}
            arrays = {name: file.get_tensor(name) for name in file.keys()}
    except SafetensorError as error:
        raise ValueError(
            f"path: {path} is truncated or no safetensors file ({error})"
        ) from error
    if "core" not in header:
        raise ValueError(f"path: {path} was not written by core.weights.write")
    for name, array in arrays.items():
        if not np.isfinite(array).all():
            raise ValueError(f"path: {name} of {path} is not finite")
    return arrays, json.loads(header["core"])


def check_names(found, expected):
    """Compare names and shapes of weights with what a model has.

    Args:
        found: dict, name to array.
        expected: dict, name to shape.
    Raises: ValueError that lists missing and extra names and wrong shapes.
    """
    problems = [f"missing {n}" for n in sorted(set(expected) - set(found))]
    problems += [f"extra {n}" for n in sorted(set(found) - set(expected))]
    problems += [
        f"{n}: expected shape {tuple(expected[n])}, got {found[n].shape}"
        for n in sorted(set(found) & set(expected))
        if tuple(expected[n]) != found[n].shape
    ]
    if problems:
        raise ValueError("weights: " + "; ".join(problems))
