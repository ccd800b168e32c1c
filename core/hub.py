"""Model directories in Hugging Face's layout: config.json, model.safetensors and the
tokenizer's files, read and written without a framework.

An option that would change what a model computes is refused, not ignored, and so is any
weight that is missing, left over or of another shape.
"""

import json
from pathlib import Path
from typing import Any

import ml_dtypes  # noqa: F401  with it NumPy reads bfloat16
import numpy as np
import tokenizers
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from core import checks
from core.architectures import (
    CONFIGS,
    Config,
    NotComputed,
    options,
    our_names,
    sizes,
    untie,
)
from core.downloads import FILES as FILES
from core.downloads import folder
from core.settings import BERTConfig
from core.text import FileTokenizer
from core.weights import aside, check_names, recover


def load(
    half: tuple, name: str | Path, head=None, num_labels=None, seed=0, dtype="float32"
) -> Any:
    """A model with the weights of a directory, or of a name on the hub.

    Only safetensors are read, and no code is taken from the directory.  PyTorch's model
    is on the CPU: `model.to(device)` moves it, before a trainer is made, and all that
    samples, scores or trains it follows.  TensorFlow's is on the first GPU, if any.

    Args:
        half: models by their configs, get_weights, set_weights of `core.pt` or
            `core.tf`, whose `pretrained.load` is this with them.
        name: directory with config.json and model.safetensors, or as "gpt2" on the hub.
        head: of a BERT, one of `core.settings.BERT_HEADS`; None: its own.
        num_labels: classes of the heads "sequence" and "token"; None: its own.
        seed: of a BERT's head that is not the checkpoint's; a missing value head is 0.
        dtype: "float32" or "float64".
    Returns: GPT, BERT or Decoder (of a Llama, Qwen2 or Qwen3).
    Raises: FileNotFoundError where a file is missing; ValueError where one does not
        fit the other, and for any other architecture or option.
    """
    directory = folder(name)
    config = read_config(directory, head, num_labels)
    check_tokenizer_file(directory, config.vocab_size)
    models, get_weights, set_weights = half
    model = models[type(config)](config, seed, dtype)
    weights = get_weights(model)
    shapes = {n: array.shape for n, array in weights.items()}
    set_weights(model, weights | read_weights(directory, config, shapes))
    return model


def save(half: tuple, folder: str | Path, model: Any, tokenizer: Any = None) -> None:
    """Write a model into a directory that `transformers` loads as well.

    Args:
        half: as for `load`.
        folder: path; made where it does not exist.
        model: what `load` gives.
        tokenizer: `core.text.ByteBPETokenizer` or `PretrainedTokenizer`, or None.
    Raises: ValueError for another model, and a tokenizer without files or too large.
    """
    wanted = f"model: expected a GPT, BERT or Decoder, got {type(model).__name__}"
    known = isinstance(model, tuple(half[0].values()))
    checks.require(known, f"{wanted}; checkpoints.save_model keeps any model of core")
    whole = not getattr(model, "lora", None)
    checks.require(whole, "model: merge its adapter first, or save it by `adapters`")
    write(folder, model.config, half[1](model), tokenizer)


def read_config(
    directory: str | Path, head: str | None = None, num_labels: int | None = None
) -> Config:
    """The sizes of a model, from its config.json.

    Args:
        head: of a BERT, where it is not to be the checkpoint's own.
        num_labels: of a head "sequence" or "token", likewise.
    Raises: FileNotFoundError; ValueError where the file cannot be read; NotComputed, a
        ValueError, where it is of another architecture or `core` lacks an option.
    """
    recover(directory)
    path = Path(directory) / "config.json"
    told: Any = read_json(path)
    kind, asked = told.get("model_type"), {"head": head, "num_labels": num_labels}
    if kind not in CONFIGS:
        wanted = f"name: expected one of {', '.join(CONFIGS)}, got {kind!r} in {path}"
        raise NotComputed(f"{wanted}, which core does not compute")
    asked = {name: value for name, value in asked.items() if value is not None}
    wanted = f"head, num_labels: only a BERT has them, {path} is of {kind!r}"
    checks.require(kind == "bert" or not asked, wanted)
    found = sizes(told, path) | asked
    fits = num_labels is None or found["head"] != "masked"
    checks.require(fits, 'num_labels: a head "masked" has none')
    with checks.about(path):
        return CONFIGS[kind](**found)


def read_weights(directory: str | Path, config: Config, shapes: dict) -> dict:
    """The weights of a model, under the names that `core` has for them.

    Args:
        config: what `read_config` gave for it.
        shapes: name to shape, of the model that will take them.
    Returns: name to array, half precision as float32.  A value head without a
        file, and the head of a BERT that is not the checkpoint's, are left out.
    Raises: FileNotFoundError; ValueError for a damaged file, another name or shape.
    """
    directory, found = Path(directory), {}
    for path in weight_files(directory):
        found |= our_names(_read_arrays(path), config.model_type)
    untie(found, config, directory)
    if not isinstance(config, BERTConfig):
        head = read_value_head(directory)
        found |= head
        left_out = () if head else ("value_head.",)
        shapes = {n: s for n, s in shapes.items() if not n.startswith(left_out)}
    else:
        path = directory / "config.json"
        own = sizes(read_json(path), path)
        found, shapes = _fit_head(found, shapes, config, own)
    with checks.about(directory):
        check_names(found, shapes)
    return found


def write(
    directory: str | Path,
    config: Config,
    arrays: dict,
    tokenizer: FileTokenizer | None = None,
) -> None:
    """Write a model as `transformers` reads it, whole or not at all, as `aside` says.

    Args:
        directory: made where it does not exist; files of other names in it stay.
        arrays: name to array; a value head gets its own file: `transformers` has none.
    Raises: ValueError for a tokenizer that has no files or does not fit.
    """
    check_tokenizer(tokenizer, config.vocab_size)
    body = {n: np.ascontiguousarray(a) for n, a in arrays.items()}
    heads = {n: body.pop(n) for n in arrays if n.startswith("value_head.")}
    entries = options(config) | {"dtype": str(next(iter(body.values())).dtype)}
    with aside(directory) as new:
        text = json.dumps(entries, indent=2)
        (new / "config.json").write_text(text + "\n", encoding="utf-8")
        save_file(body, new / "model.safetensors", {"format": "pt"})
        if heads or (Path(directory) / "value_head.safetensors").exists():
            write_value_head(new, heads)  # an older one must not stay
        if tokenizer is not None:
            tokenizer.save(new)


def weight_files(directory: str | Path) -> list[Path]:
    """The safetensors files of a directory, one or those of an index.

    Raises: FileNotFoundError where one is missing; ValueError for an index that points
        out of the directory.
    """
    recover(directory)
    directory = Path(directory)
    whole = directory / "model.safetensors"
    index = directory / "model.safetensors.index.json"
    if whole.is_file():
        return [whole]
    if not index.is_file():
        hint = "put the weights there (pickled ones, pytorch_model.bin, are not read)"
        raise FileNotFoundError(f"{whole} does not exist; {hint}")
    names = sorted(set(read_json(index).get("weight_map", {}).values()))
    for name in names:
        plain = Path(name).name == name
        checks.require(plain, f"{index}: expected plain names, got {name!r}")
        if not (path := directory / name).is_file():
            raise FileNotFoundError(f"{path} does not exist, but {index.name} names it")
    return [directory / name for name in names]


def write_value_head(directory: str | Path, arrays: dict) -> None:
    """Write value_head.safetensors into a directory."""
    save_file(arrays, Path(directory) / "value_head.safetensors")


def read_value_head(directory: str | Path) -> dict:
    """Arrays of value_head.safetensors by name, none without the file."""
    path = Path(directory) / "value_head.safetensors"
    return _read_arrays(path) if path.exists() else {}


def check_tokenizer(tokenizer: FileTokenizer | None, vocab_size: int) -> None:
    """ValueError unless a tokenizer can be saved beside a model."""
    if tokenizer is None:
        return
    wanted = "tokenizer: expected a ByteBPETokenizer or PretrainedTokenizer"
    found = f"got {type(tokenizer).__name__}, which has no files"
    checks.require(hasattr(tokenizer, "save"), f"{wanted}, {found}")
    wanted = f"tokenizer: expected at most the model's {vocab_size} tokens"
    checks.require(len(tokenizer) <= vocab_size, f"{wanted}, got {len(tokenizer)}")


def check_tokenizer_file(directory: str | Path, vocab_size: int) -> None:
    """ValueError where tokenizer.json has ids that a model lacks."""
    path = Path(directory) / "tokenizer.json"
    if not path.exists():
        return
    with checks.about(f"{path}: cannot be read"):
        ids = tokenizers.Tokenizer.from_file(str(path)).get_vocab().values()
    wanted = f"token ids below the model's vocab_size {vocab_size}"
    largest = max(ids, default=0)
    checks.require(largest < vocab_size, f"{path}: expected {wanted}, got {largest}")


def read_json(path: Path) -> dict:
    """The object of a JSON file; FileNotFoundError, ValueError for another file."""
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist; put that of the model there")
    with checks.about(f"{path}: not JSON", ValueError):
        found = json.loads(path.read_text("utf-8"))
    wanted = f"{path}: expected an object, got {found!r:.40}"
    checks.require(isinstance(found, dict), wanted)
    return found


def _fit_head(found: dict, shapes: dict, config: BERTConfig, own: dict) -> tuple:
    """Arrays and shapes without what only one of the two heads has."""
    if any(getattr(config, n) != own[n] for n in ("head", "num_labels")):
        found = {n: a for n, a in found.items() if n.startswith("bert.")}
        # A pooler that is there is kept; nothing else of a head is.
        kept = ("bert.embeddings.", "bert.encoder.", *found)
        shapes = {n: s for n, s in shapes.items() if n.startswith(kept)}
    if config.head != "sequence":  # which alone reads the pooler
        found = {n: a for n, a in found.items() if not n.startswith("bert.pooler.")}
    return found, shapes


def _read_arrays(path: Path) -> dict:
    """Name to array of one file; what is not double precision as float32."""
    with checks.about(f"{path} is truncated or no safetensors file", SafetensorError):
        arrays = load_file(path)
    for name, array in arrays.items():
        if array.dtype not in (np.float32, np.float64):
            array = arrays[name] = array.astype(np.float32)
        checks.require(np.isfinite(array).all(), f"{path}: {name} is not finite")
    return arrays
