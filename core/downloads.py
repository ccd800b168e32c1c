"""The directory of a published model, on this machine or downloaded by its name, and
`transformers`' tokenizer of one.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np

from core import checks
from core.weights import recover

# What is downloaded: no code, no pickle, no second copy of the weights.
FILES = ["config.json", "generation_config.json", "model*.safetensors"]
FILES += ["model.safetensors.index.json", "tokenizer.json", "tokenizer_config.json"]
FILES += ["special_tokens_map.json", "added_tokens.json"]
FILES += ["vocab.json", "merges.txt", "vocab.txt", "chat_template.jinja"]


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


def tokenizer(folder: Path) -> tuple[Any, dict]:
    """transformers' tokenizer, and what the small files of a folder say.

    Nothing is downloaded, and no code in the folder is run.
    Returns: the tokenizer; a dict of the entries of tokenizer_config.json, config.json
        and generation_config.json, with all their EOS ids under "ends".
    Raises: FileNotFoundError, ValueError for files without a tokenizer.
    """
    has = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    gpt2 = {"vocab.json", "merges.txt"} <= has
    if not (gpt2 or has & {"tokenizer.json", "vocab.txt"}):
        files = "tokenizer.json, or vocab.json and merges.txt, or vocab.txt"
        wanted = f"folder: expected a directory with {files}, got {folder}"
        raise FileNotFoundError(wanted)
    told, more = _told(folder), {}
    if not (told.keys() | has) & {"tokenizer_class", "model_type", "tokenizer.json"}:
        more["tokenizer_type"] = "gpt2" if gpt2 else "bert"
    with checks.about(f"folder: no tokenizer in the files of {folder}"):
        import transformers  # here: it takes two seconds

        reader = transformers.AutoTokenizer
        if told.get("tokenizer_class") == "PreTrainedTokenizerFast":
            # Beside a Qwen2, AutoTokenizer would take Qwen2's rules and add its tokens.
            reader = transformers.PreTrainedTokenizerFast
        theirs = reader.from_pretrained(
            str(folder), local_files_only=True, trust_remote_code=False, **more
        )
        words = theirs.backend_tokenizer.get_vocab(with_added_tokens=False)
        checks.require(words, f"{type(theirs).__name__} found no vocabulary")
    return theirs, told


def _told(folder: Path) -> dict:
    """The entries of a folder's small files; a later one wins."""
    told, ends = {}, []
    for name in ("generation_config", "tokenizer_config", "config"):
        path, what = folder / f"{name}.json", "is not JSON, or no object"
        with checks.about(f"folder: {path} {what}", ValueError, AttributeError):
            text = path.read_text("utf-8") if path.exists() else "{}"
            entries = json.loads(text).items()
        entries = {key: value for key, value in entries if value is not None}
        told |= entries
        ends += np.ravel(entries.get("eos_token_id", [])).tolist()
    return told | {"ends": ends}
