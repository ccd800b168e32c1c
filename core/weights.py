"""Named weights without a framework: how they start, and the file they are
kept in.  Both frameworks read the same names and shapes (PyTorch's layout),
so a seed gives both the same model and a file of one opens in the other.
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from core import checks


def initial_weights(shapes: dict[str, tuple], seed: int) -> dict[str, np.ndarray]:
    """First values of a model's weights, from NumPy's generator.

    Matrices are uniform in ±1/√fan_in, embeddings standard normal, biases zero, except
    the forget gate's, which is 1 so that an LSTM remembers from the start (Jozefowicz
    et al. 2015).  The value head starts at zero, so that the first values are 0 and not
    noise.

    Transformers start as GPT-2 and BERT did: normal with deviation 0.02, in GPT the
    layers that add to the residual stream 1/√(2 layers) of that.

    Args:
        shapes: weight name to shape; a matrix is (out, in).
        seed: at least 0.
    Returns: weight name to float64 array.
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


def write(path: str | Path, arrays: dict[str, np.ndarray], metadata: dict) -> None:
    """Write arrays and a dict, as JSON in the header, to one safetensors file.

    The file is written aside and renamed: a crash leaves the old file whole.
    Raises: as `check_folder`.
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


def check_folder(path: str | Path) -> Path:
    """The path; ValueError where its folder does not exist."""
    folder = Path(path).parent
    checks.require(folder.is_dir(), f"path: the folder {folder} does not exist")
    return Path(path)


def read(path: str | Path) -> tuple[dict[str, np.ndarray], dict]:
    """The arrays and the metadata that `write` wrote.

    Raises: FileNotFoundError; ValueError where the file is truncated, not written by
        `write`, or holds numbers that are not finite.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"path: no checkpoint at {path}")
    damaged = f"path: {path} is truncated or no safetensors file"
    with checks.about(damaged, SafetensorError):
        with safe_open(path, framework="np") as file:
            header = file.metadata() or {}
            arrays = {name: file.get_tensor(name) for name in file.keys()}
    checks.require(
        "core" in header, f"path: {path} was not written by core.weights.write"
    )
    for name, array in arrays.items():
        finite = np.isfinite(array).all()
        checks.require(finite, f"path: {name} of {path} is not finite")
    return arrays, json.loads(header["core"])


def read_model(path: str | Path, kind: str) -> dict:
    """As `read`, without metadata; ValueError where they name another kind."""
    arrays, kept = read(path)
    found = f"got those of a {kept.get('model')}"
    checks.require(
        kept.get("model") == kind, f"path: expected weights of a {kind}, {found}"
    )
    return arrays


def check_names(found: dict[str, Any], expected: dict[str, tuple]) -> None:
    """ValueError unless the arrays found have the names and shapes of a model.

    It lists missing and extra names and wrong shapes.
    """
    problems = [f"missing {n}" for n in sorted(set(expected) - set(found))]
    problems += [f"extra {n}" for n in sorted(set(found) - set(expected))]
    problems += [
        f"{n}: expected shape {tuple(expected[n])}, got {found[n].shape}"
        for n in sorted(set(found) & set(expected))
        if tuple(expected[n]) != found[n].shape
    ]
    checks.require(not problems, "weights: " + "; ".join(problems))
