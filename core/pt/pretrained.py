"""Models from directories in Hugging Face's layout, and back."""

from functools import partial
from pathlib import Path
from typing import Any

from torch import nn

from core import hub
from core.pt.checkpoints import get_weights, set_weights
from core.pt.models import BERT, GPT

load = partial(hub.load, (GPT, BERT, get_weights, set_weights))
load.__doc__ = hub.load.__doc__


def save(folder: str | Path, model: nn.Module, tokenizer: Any = None) -> None:
    """Write a model into a directory that `transformers` loads as well.

    Args:
        folder: path; made where it does not exist.
        model: what `load` gives.
        tokenizer: `core.text.ByteBPETokenizer` or `PretrainedTokenizer`, or None.
    Raises: ValueError for another model, and a tokenizer without files or too large.
    """
    if not isinstance(model, (GPT, BERT)):
        raise ValueError(
            f"model: expected a GPT or BERT, got {type(model).__name__}; "
            "checkpoints.save_model keeps any model of core"
        )
    hub.write(folder, model.config, get_weights(model), tokenizer)
