"""Models from directories in Hugging Face's layout, and back."""

from pathlib import Path
from typing import Any

from torch import nn

from core import hub
from core.pt.causal_lm import CausalLM
from core.pt.checkpoints import get_weights, set_weights
from core.pt.models import BERT, GPT
from core.settings import GPTConfig


def load(
    name: str | Path, head: str | None = None, num_labels=None, seed=0, dtype="float32"
) -> GPT | BERT | CausalLM:
    """A model with the weights of a directory, or of a name on the hub.

    GPT-2 and BERT are `core`'s own, in both frameworks; in PyTorch any other
    causal language model of `transformers` is a `CausalLM`.  Only
    safetensors are read, and no code is taken from the directory.

    Args:
        name: directory with config.json and model.safetensors, or as "gpt2" on the hub.
        head: of a BERT, one of `core.settings.BERT_HEADS`; None: its own.
        num_labels: classes of the heads "sequence" and "token"; None: its own.
        seed: of a BERT's head that is not the checkpoint's; the value head
            of a policy starts at zero where the directory has none.
        dtype: "float32" or "float64".
    Returns: GPT or BERT; in PyTorch also CausalLM.
    Raises: FileNotFoundError where a file is missing; ValueError where one does not
        fit the other, and in TensorFlow for any other architecture.
    """
    folder = hub.folder(name)
    config = hub.read_config(folder, head, num_labels)
    if isinstance(config, dict):
        return CausalLM(folder, dtype)
    hub.check_tokenizer_file(folder, config.vocab_size)
    rest = seed, dtype
    model = GPT(config, *rest) if isinstance(config, GPTConfig) else BERT(config, *rest)
    weights = get_weights(model)
    shapes = {n: array.shape for n, array in weights.items()}
    set_weights(model, weights | hub.read_weights(folder, config, shapes))
    return model


def save(folder: str | Path, model: nn.Module, tokenizer: Any = None) -> None:
    """Write a model into a directory that `transformers` loads as well.

    Args:
        folder: path; made where it does not exist.
        model: what `load` gives.
        tokenizer: `core.text.ByteBPETokenizer` or `PretrainedTokenizer`, or None.
    Raises: ValueError for another model, and a tokenizer without files or too large.
    """
    if isinstance(model, CausalLM):
        model.save(folder, tokenizer)
    elif isinstance(model, (GPT, BERT)):
        hub.write(folder, model.config, get_weights(model), tokenizer)
    else:
        raise ValueError(
            f"model: expected a GPT or BERT, got {type(model).__name__}; "
            "checkpoints.save_model keeps any model of core"
        )
