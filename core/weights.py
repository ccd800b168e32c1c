"""Named weights without a framework: how they start, and the files they are kept in.
Both frameworks read the same names and shapes (PyTorch's layout), so a seed gives both
the same model and a file of one opens in the other.

Files and directories are written beside their place and renamed: after a kill at any
time the old one is there or the new one.  Two writers of one path are not kept apart.
"""

import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from core import checks

_NORMAL = "transformer.", "model.", "lm_head.", "bert.", "cls.", "classifier"
LONG, METADATA = 2**20, "core.metadata"  # what is longer is an array of this name


def initial_weights(shapes: dict[str, tuple], seed: int) -> dict[str, np.ndarray]:
    """First values of a model's weights, from NumPy's generator.

    Matrices are uniform in ±1/√fan_in, embeddings standard normal, biases zero, except
    the forget gate's, which is 1 so that an LSTM remembers from the start (Jozefowicz
    et al. 2015).  The value head starts at zero, so that the first values are 0 and not
    noise.

    Transformers start as GPT-2 and BERT did: normal with deviation 0.02, in GPT the
    layers that add to the residual stream 1/√(2 layers) of that; norms start at 1.

    Args:
        shapes: weight name to shape; a matrix is (out, in).
        seed: at least 0.
    Returns: weight name to float64 array.
    """
    checks.whole(0, seed=seed)
    rng = np.random.default_rng(int(seed))
    layers = sum(name.endswith("attn.c_proj.weight") for name in shapes)
    weights = {}
    for name in sorted(shapes):  # one order, whatever the framework's
        shape = tuple(shapes[name])
        if name.startswith("value_head") or "bias" in name:
            weights[name] = np.zeros(shape)
        elif re.search(r"(\.ln_\w|[Nn]orm)\.weight$", name):
            weights[name] = np.ones(shape)
        elif name.startswith(_NORMAL):
            adds = name.endswith("c_proj.weight")
            scale = 0.02 / (2 * layers) ** 0.5 if adds else 0.02
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


def digest(arrays: dict) -> str:
    """16 hexadecimal digits, equal for equal names, types, shapes and numbers."""
    found = hashlib.sha256()
    for name, array in sorted(arrays.items()):
        array = np.asarray(array)
        found.update(f"{name} {array.dtype.str} {array.shape}".encode())
        found.update(array.tobytes())
    return found.hexdigest()[:16]


def write(path: str | Path, arrays: dict[str, np.ndarray], metadata: dict) -> None:
    """Write arrays and a dict to one safetensors file, beside it <path>.tmp.

    The dict is JSON in the header, or if long in an array, as a header has a limit.
    Raises: as `check_file`; ValueError for too many names.
    """
    path = check_file(path)
    aside = path.with_name(path.name + ".tmp")
    kept = {k: np.ascontiguousarray(v) for k, v in arrays.items()}
    told = json.dumps(metadata, default=np.generic.item)
    if len(told) > LONG:
        kept[METADATA], told = np.frombuffer(told.encode(), np.uint8), ""
    with checks.about("arrays", SafetensorError):
        data = save(kept, metadata={"core": told})
    with open(aside, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    os.replace(aside, path)


def check_file(path: str | Path) -> Path:
    """The path; ValueError where no file can be written there."""
    path = Path(path)
    wanted = f"path: the folder {path.parent} does not exist"
    checks.require(path.parent.is_dir(), wanted)
    file = "\0" not in str(path) and not path.is_dir()
    checks.require(file, f"path: expected a file, got {str(path)!r}")
    _check_writable("path", path)
    return path


def _check_writable(name: str, path: Path) -> None:
    for place in filter(Path.exists, (path.parent, path)):
        # An administrator may write anywhere; what is marked read-only is left alone.
        free = os.access(place, os.W_OK) and place.stat().st_mode & 0o222
        checks.require(free, f"{name}: {place} cannot be written")


@contextmanager
def aside(folder: str | Path) -> Iterator[Path]:
    """A new directory that takes the place of `folder` when its files are written.

    What else is in the old one is copied.  An error leaves the old one.  A kill leaves
    the old one up to the first of two renames, the new one from the second on, and
    between them none, until `recover`, which all readers in `core.hub` call, brings the
    old one back: nobody reads parts of both.  The next write removes what is left in
    .<name>.new and .<name>.old.
    Raises: ValueError for a file, a read-only place, a mount point, and the current
        directory or one around it.
    """
    path = recover(folder)
    new, old = (path.with_name(f".{path.name}.{end}") for end in ("new", "old"))
    fits = not (path.is_mount() or path.is_file() or Path.cwd().is_relative_to(path))
    wanted = "folder: expected a directory that can be renamed, and not the current one"
    checks.require(fits, f"{wanted}, got {path}")
    _check_writable("folder", path)
    for left in (new, old):
        shutil.rmtree(left, ignore_errors=True)
    with checks.about("folder", OSError):
        new.mkdir(parents=True)
    try:
        yield new
        for file in new.iterdir():
            file.chmod(0o644)  # safetensors lets only the owner read
            with open(file, "rb+") as kept:  # Windows syncs none that is only read
                os.fsync(kept.fileno())
        if path.exists():
            here, mine = str(path), os.listdir(new)  # which are not copied
            shutil.copytree(
                path, new, True, lambda at, _: mine * (at == here), dirs_exist_ok=True
            )
            os.replace(path, old)
        os.replace(new, path)
    except BaseException:
        recover(path)
        shutil.rmtree(new, ignore_errors=True)
        raise
    shutil.rmtree(old, ignore_errors=True)


def recover(folder: str | Path) -> Path:
    """Its real path; a directory that a killed `aside` had renamed is brought back."""
    with checks.about("folder", ValueError):  # of a name that no system takes
        path = Path(folder).resolve()
    old = path.with_name(f".{path.name}.old")
    if old.is_dir() and not path.exists():
        os.replace(old, path)
    return path


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
    wanted = f"path: {path} was not written by core.weights.write"
    checks.require("core" in header, wanted)
    told = arrays.pop(METADATA, None)
    metadata = json.loads(header["core"] if told is None else told.tobytes())
    for name, array in arrays.items():
        finite = np.isfinite(array).all()
        checks.require(finite, f"path: {name} of {path} is not finite")
    return arrays, metadata


def read_model(path: str | Path, kind: str) -> dict:
    """As `read`, without metadata; ValueError where they name another kind."""
    arrays, kept = read(path)
    found = kept.get("model")
    checks.require(found == kind, f"path: expected weights of a {kind}, got {found}")
    return arrays


def check_names(found: dict[str, Any], expected: dict[str, tuple]) -> None:
    """ValueError that lists missing and extra names of a model, and wrong shapes."""
    known = isinstance(found, dict) and all(hasattr(found[n], "shape") for n in found)
    checks.require(known, "weights: expected a dict of arrays")
    problems = [f"missing {n}" for n in sorted(set(expected) - set(found))]
    problems += [f"extra {n}" for n in sorted(set(found) - set(expected))]
    problems += [
        f"{n}: expected shape {tuple(expected[n])}, got {found[n].shape}"
        for n in sorted(set(found) & set(expected))
        if tuple(expected[n]) != found[n].shape
    ]
    checks.require(not problems, "weights: " + "; ".join(problems))
