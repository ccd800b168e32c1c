"""Model directories in Hugging Face's layout: config.json, model.safetensors and the
tokenizer's files, read and written without a framework.

An option that would change what a model computes is refused, not ignored, and so is any
weight that is missing, left over or of another shape.
"""

import json
import re
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import ml_dtypes  # noqa: F401  with it NumPy reads bfloat16
import numpy as np
import tokenizers
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from core import checks
from core.settings import BERTConfig, GPTConfig
from core.text import FileTokenizer
from core.weights import aside, check_names, recover

# What is downloaded: no code, no pickle, no second copy of the weights.
FILES = ["config.json", "generation_config.json", "model*.safetensors"]
FILES += ["model.safetensors.index.json", "tokenizer.json", "tokenizer_config.json"]
FILES += ["special_tokens_map.json", "added_tokens.json"]
FILES += ["vocab.json", "merges.txt", "vocab.txt"]
Config = GPTConfig | BERTConfig
CONFIGS = {config.model_type: config for config in (GPTConfig, BERTConfig)}
HEADS = {
    "BertForMaskedLM": "masked",
    "BertForSequenceClassification": "sequence",
    "BertForTokenClassification": "token",
    "BertForPreTraining": "masked",
}
# All that `core` computes; the value that transformers assumes comes first.
COMPUTED = {
    "gpt2": {
        "activation_function": ("gelu_new", "gelu_pytorch_tanh"),
        "scale_attn_weights": (True,),
        "scale_attn_by_inverse_layer_idx": (False,),
        "add_cross_attention": (False,),
        "tie_word_embeddings": (True,),
    },
    "bert": {
        "hidden_act": ("gelu",),
        "position_embedding_type": ("absolute",),
        "is_decoder": (False,),
        "add_cross_attention": (False,),
        "tie_word_embeddings": (True,),
    },
}
NO_DROPOUT = {
    "gpt2": ("resid_pdrop", "embd_pdrop", "attn_pdrop"),
    "bert": ("hidden_dropout_prob", "attention_probs_dropout_prob"),
}
# The rest of the names in a published checkpoint, by what becomes of them.
RENAMED = {
    "gpt2": ((r"^(wte|wpe|h|ln_f)\.", r"transformer.\1."),),
    "bert": (
        (r"^(embeddings|encoder|pooler)\.", r"bert.\1."),
        (r"LayerNorm\.gamma$", "LayerNorm.weight"),
        (r"LayerNorm\.beta$", "LayerNorm.bias"),
    ),
}
DROPPED = {  # buffers, and the head for pairs of sentences
    "gpt2": r"\.attn\.(bias|masked_bias)$",
    "bert": r"^(bert\.embeddings\.position_ids$|cls\.seq_relationship\.)",
}
TIED = {  # one array under two names
    "lm_head.weight": "transformer.wte.weight",
    "cls.predictions.decoder.weight": "bert.embeddings.word_embeddings.weight",
    "cls.predictions.decoder.bias": "cls.predictions.bias",
}


def folder(name: str | Path) -> Path:
    """The directory of a model, downloaded where `name` is one on the hub.

    Args:
        name: a directory, or a name on huggingface.co such as "gpt2".
    Raises: FileNotFoundError where there is neither; it says which files to put where.
    """
    checks.require(str(name), "name: expected a directory or a name, got ''")
    recover(name)
    if Path(name).is_dir():
        return Path(name)
    import huggingface_hub  # here: it reads its environment when imported

    try:
        return Path(huggingface_hub.snapshot_download(str(name), allow_patterns=FILES))
    except Exception as error:  # the hub and its HTTP client: no narrower
        reason = str(error).strip().split("\n")[0]
        missing = f"there is no directory {str(name)!r}, and it could not be downloaded"
        files = "config.json, model.safetensors and tokenizer.json of the model"
        hint = f"{missing} ({reason}); put {files} into {Path(name).absolute()}"
        raise FileNotFoundError(f"name: {hint}") from error


def load(
    half: tuple, name: str | Path, head=None, num_labels=None, seed=0, dtype="float32"
) -> Any:
    """A model with the weights of a directory, or of a name on the hub.

    Only safetensors are read, and no code is taken from the directory.

    Args:
        half: GPT, BERT, get_weights, set_weights of `core.pt` or `core.tf`, whose
            `pretrained.load` is this with them.
        name: directory with config.json and model.safetensors, or as "gpt2" on the hub.
        head: of a BERT, one of `core.settings.BERT_HEADS`; None: its own.
        num_labels: classes of the heads "sequence" and "token"; None: its own.
        seed: of a BERT's head that is not the checkpoint's; a missing value head is 0.
        dtype: "float32" or "float64".
    Returns: GPT or BERT.
    Raises: FileNotFoundError where a file is missing; ValueError where one does not
        fit the other, and for any other architecture.
    """
    directory = folder(name)
    config = read_config(directory, head, num_labels)
    check_tokenizer_file(directory, config.vocab_size)
    gpt, bert, get_weights, set_weights = half
    kind = gpt if isinstance(config, GPTConfig) else bert
    model = kind(config, seed, dtype)
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
    wanted = f"model: expected a GPT or BERT, got {type(model).__name__}"
    known = isinstance(model, half[:2])
    checks.require(known, f"{wanted}; checkpoints.save_model keeps any model of core")
    whole = not getattr(model, "lora", None)
    checks.require(whole, "model: merge its adapter first, or save it by `adapters`")
    write(folder, model.config, half[2](model), tokenizer)


def read_config(
    directory: str | Path, head: str | None = None, num_labels: int | None = None
) -> Config:
    """The sizes of a model, from its config.json.

    Args:
        head: of a BERT, where it is not to be the checkpoint's own.
        num_labels: of a head "sequence" or "token", likewise.
    Raises: FileNotFoundError; ValueError where the file cannot be read, is of another
        architecture or asks for what `core` does not compute.
    """
    recover(directory)
    path = Path(directory) / "config.json"
    told: Any = read_json(path)
    kind, asked = told.get("model_type"), {"head": head, "num_labels": num_labels}
    known = f"name: expected a GPT-2 or BERT, got {kind!r} in {path}"
    checks.require(kind in CONFIGS, known)
    asked = {name: value for name, value in asked.items() if value is not None}
    wanted = f"head, num_labels: only a BERT has them, {path} is of {kind!r}"
    checks.require(kind == "bert" or not asked, wanted)
    found = _fields(told, path) | asked
    fits = num_labels is None or found["head"] != "masked"
    checks.require(fits, 'num_labels: a head "masked" has none')
    with checks.about(path):
        return CONFIGS[kind](**found)


def read_weights(directory: str | Path, config: Config, shapes: dict) -> dict:
    """The weights of a GPT or BERT, under the names that `core` has for them.

    Args:
        config: what `read_config` gave for it.
        shapes: name to shape, of the model that will take them.
    Returns: name to array, half precision as float32.  A value head without a
        file, and the head of a BERT that is not the checkpoint's, are left out.
    Raises: FileNotFoundError; ValueError for a damaged file, another name or shape.
    """
    directory, found = Path(directory), {}
    for path in weight_files(directory):
        found |= _our_names(_read_arrays(path), config.model_type)
    _untie(found, directory)
    if isinstance(config, GPTConfig):
        head = read_value_head(directory)
        found |= head
        left_out = () if head else ("value_head.",)
        shapes = {n: s for n, s in shapes.items() if not n.startswith(left_out)}
    else:
        path = directory / "config.json"
        own = _fields(read_json(path), path)
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
    options = _options(config) | {"dtype": str(next(iter(body.values())).dtype)}
    with aside(directory) as new:
        text = json.dumps(options, indent=2)
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


def _fields(told: dict, path: Path) -> dict:
    """The fields of a GPTConfig or BERTConfig that a config.json describes."""
    theirs = _their_config(told, path)
    names = [field.name for field in fields(CONFIGS[theirs.model_type])]
    found: dict[str, Any] = {name: getattr(theirs, name, None) for name in names}
    for name in {"pad_token_id", "bos_token_id", "eos_token_id"} & set(names):
        # The first of several; none that the model does not have.
        ids = np.ravel(found[name]).tolist() or [None]
        found[name] = ids[0] if ids[0] in range(theirs.vocab_size) else None
    if "head" in found:  # one that is not known is refused by its name
        architecture = (theirs.architectures or ["none"])[0]
        found["head"] = HEADS.get(architecture, architecture)
    return found


def _their_config(told: dict, path: Path) -> Any:
    """transformers' config of a model that `core` computes, else ValueError.

    It knows other names (hidden_size for n_embd), types and defaults; but a size that
    is left out is not that of the published GPT-2 or BERT.
    """
    from transformers import AutoConfig  # here: it takes two seconds

    kind: str = told["model_type"]
    sizes = [f for f in fields(CONFIGS[kind]) if f.type == "int" or f.default is None]
    entries: dict = {f.name: None for f in sizes if f.name != "num_labels"}
    names = AutoConfig.for_model(kind).attribute_map
    entries |= {names.get(name, name): value for name, value in told.items()}
    with checks.about(path):  # what it raises depends on the entry
        theirs = AutoConfig.for_model(**entries)
    for name, values in COMPUTED[kind].items():
        value = getattr(theirs, name, values[0])
        wanted = f"{name}: expected {' or '.join(map(repr, values))} in {path}"
        found = f"got {value!r}, which core does not compute"
        checks.require(value in values, f"{wanted}, {found}")
    return theirs


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


def _our_names(arrays: dict, kind: str) -> dict:
    """A published checkpoint under the names that `core` has."""
    found = {}
    for name, array in arrays.items():
        for pattern, new in RENAMED[kind]:
            name = re.sub(pattern, new, name)
        if not re.search(DROPPED[kind], name):
            found[name] = array
    return found


def _untie(found: dict, directory: Path) -> None:
    """Keep one of two names of an array, in place; both must be equal."""
    for name in TIED.keys() & found:
        kept, array = TIED[name], found.pop(name)
        same = np.array_equal(found.setdefault(kept, array), array)
        wanted = f"{name}: expected the same numbers as {kept} in {directory}"
        checks.require(same, f"{wanted}, as core computes with one array for both")


def _options(config: Config) -> dict:
    """config.json of a model, with what `transformers` has to know."""
    options, kind = asdict(config), config.model_type
    names = ["GPT2LMHeadModel"]
    if kind == "bert":
        head = options.pop("head")
        names = [name for name in HEADS if HEADS[name] == head][:1]
        labels = [f"LABEL_{i}" for i in range(options.pop("num_labels"))]
        options["id2label"] = dict(enumerate(labels))
        options["label2id"] = {label: i for i, label in enumerate(labels)}
    computed = {n: values[0] for n, values in COMPUTED[kind].items()}
    computed |= dict.fromkeys(NO_DROPOUT[kind], 0.0)
    return {"model_type": kind, "architectures": names} | computed | options
