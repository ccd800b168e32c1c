"""LoRA on a policy: a small trained map beside each frozen one; `core.adapters` says
what it computes, and names and files are those of `peft`."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn

from core import adapters, checks, hub
from core.pt import checkpoints
from core.pt.layers import Conv1D


def add_lora(model: Any, rank: int = 8, alpha: float = 16, targets=None, seed=0) -> Any:
    """Freeze a policy, and put an adapter beside its linear maps, in place.

    Trained are A and B, in float32 at least, and the value head.  Make trainers
    afterwards: their checkpoints hold what is trained, so the adapter alone.

    Args:
        model: GPT or another transformer with a value head; not an LSTM.
        rank: ≥ 1, the width between A and B.
        alpha: > 0; the adapter is multiplied by alpha / rank.
        targets: ends of the layers' names, as ("c_attn", "mlp.c_proj"); None: all of
            the blocks.
        seed: of A, the same in both frameworks; B is 0.
    Returns: the model.
    Raises: ValueError for numbers outside these ranges, targets that no layer has, a
        model without blocks, and one that has an adapter already.
    """
    from peft import LoraConfig, inject_adapter_in_model  # here: it takes seconds
    from peft.tuners import lora

    class _Conv1D(lora.Linear):
        def _get_in_out_features(self, module: Any):
            return tuple(module.weight.shape)

    names = _linear(model)
    picked = adapters.chosen(model, names, rank, alpha, targets)
    turned = any(not isinstance(names[name], nn.Linear) for name in picked)
    settings: dict = {"r": rank, "lora_alpha": alpha, "fan_in_fan_out": turned}
    config = LoraConfig(target_modules=picked, **settings)
    config._register_custom_module({Conv1D: _Conv1D})
    with warnings.catch_warnings():  # that embeddings are tied, which are not adapted
        warnings.simplefilter("ignore")
        inject_adapter_in_model(config, model)
    for name, weight in model.named_parameters():
        weight.requires_grad_("lora_" in name or name.startswith("value_head."))
        if weight.requires_grad:
            weight.data = weight.to(torch.promote_types(weight.dtype, torch.float32))
    arrays = checkpoints.get_weights(model)
    shapes = {n: a.shape for n, a in arrays.items() if "lora_" in n}
    checkpoints.set_weights(model, arrays | adapters.first(shapes, seed))
    ends = sorted(
        {n.rpartition(".")[2] for n in picked} if targets is None else targets
    )
    model.lora = settings | {"target_modules": ends}
    return model


def merge(model: Any) -> Any:
    """Add an adapter to the weights beside it and take it away; all is trained again.

    Returns: the model, which computes what it computed.
    Raises: ValueError for a model without an adapter.
    """
    for name, layer in _adapted(model).items():
        layer.merge()
        parent, _, key = name.rpartition(".")
        setattr(model.get_submodule(parent), key, layer.base_layer)
    model.lora = None
    model.requires_grad_(True)
    return model


def without(model: Any) -> adapters.Unadapted:
    """The policy with its adapter off, a trainer's `reference`; ValueError without."""
    _adapted(model)
    return adapters.Unadapted(model, _off)


def save(folder: str | Path, model: Any) -> None:
    """Write the adapter alone, as peft reads it, and the value head beside it.

    Raises: ValueError for a model without an adapter.
    """
    _adapted(model)
    arrays = checkpoints.get_weights(model)
    adapters.write(folder, arrays, model.lora, _prefix(model))


def load(folder: str | Path, model: Any) -> Any:
    """Put the adapter of a directory on a policy; a value head is read if there is one.

    Args:
        folder: with adapter_config.json and adapter_model.safetensors, of `save` in
            either framework or of peft.
        model: the policy that it was trained on, without an adapter.
    Returns: the model.
    Raises: as `add_lora`; FileNotFoundError; ValueError for files that are damaged, do
        not fit, or ask for what is not computed.
    """
    settings, arrays = adapters.read(folder)
    add_lora(model, **settings)
    arrays = {_prefix(model) + name: array for name, array in arrays.items()}
    arrays |= hub.read_value_head(folder)
    own = checkpoints.get_weights(model)
    heads = {n: a for n, a in own.items() if "lora_" not in n}
    checkpoints.set_weights(model, heads | arrays)
    return model


@contextmanager
def _off(model: Any) -> Iterator[None]:
    for layer in _adapted(model).values():
        layer.enable_adapters(False)
    try:
        yield
    finally:
        for layer in _adapted(model).values():
            layer.enable_adapters(True)


def _adapted(model: Any) -> dict[str, Any]:
    """The layers that have an adapter, by name."""
    found = {n: m for n, m in model.named_modules() if hasattr(m, "lora_A")}
    checks.require(found, "model: expected one with an adapter, see add_lora")
    return found


def _linear(model: Any) -> dict[str, nn.Module]:
    """The linear maps of a model by name; of an LSTM none."""
    from transformers.pytorch_utils import Conv1D as Theirs

    kinds = (nn.Linear, Conv1D, Theirs)
    named = dict(model.named_modules())
    lstm = any(isinstance(m, nn.LSTM) for m in named.values())
    return {} if lstm else {n: m for n, m in named.items() if isinstance(m, kinds)}


def _prefix(model: Any) -> str:
    """What stands before the names of a model of transformers that a policy holds."""
    from transformers import PreTrainedModel

    held = [n for n, m in model.named_children() if isinstance(m, PreTrainedModel)]
    return "".join(f"{name}." for name in held)
