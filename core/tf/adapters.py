"""LoRA on a policy: a small trained map beside each frozen one; `core.adapters` says
what it computes, and names and files are those of `peft`."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from core import adapters, checks, hub
from core.tf import checkpoints
from core.tf.layers import Conv1D, Linear


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
    layers = dict(_linear(model))
    picked = adapters.chosen(model, layers, rank, alpha, targets)
    for weight in model.variables:
        weight.trainable = False
    for weight in model.value_head.variables:
        weight.trainable = True
    for name in picked:
        _adapt(layers[name], rank, alpha / rank)
    arrays = checkpoints.get_weights(model)
    shapes = {n: a.shape for n, a in arrays.items() if "lora_" in n}
    checkpoints.set_weights(model, arrays | adapters.first(shapes, seed))
    turned = any(isinstance(layers[name], Conv1D) for name in picked)
    settings: dict = {"r": rank, "lora_alpha": alpha, "fan_in_fan_out": turned}
    ends = sorted(
        {n.rpartition(".")[2] for n in picked} if targets is None else targets
    )
    model.lora = settings | {"target_modules": ends}
    return _forget_graphs(model)


def merge(model: Any) -> Any:
    """Add an adapter to the weights beside it and take it away; all is trained again.

    Returns: the model, which computes what it computed.
    Raises: ValueError for a model without an adapter.
    """
    for layer in _adapted(model):
        more = tf.matmul(
            layer.lora_B["default"]["weight"], layer.lora_A["default"]["weight"]
        )
        more = layer.scale * (tf.transpose(more) if isinstance(layer, Conv1D) else more)
        layer.weight.assign_add(tf.cast(more, layer.weight.dtype))
        for name in ("lora_A", "lora_B"):
            layer._untrack_variable(getattr(layer, name)["default"]["weight"])
            delattr(layer, name)
        layer.__class__ = layer.plain
    model.lora = None
    for weight in model.variables:
        weight.trainable = True
    return _forget_graphs(model)


def without(model: Any) -> adapters.Unadapted:
    """The policy with its adapter off, a trainer's `reference`; ValueError without."""
    _adapted(model)
    return adapters.Unadapted(model, _off)


def save(folder: str | Path, model: Any) -> None:
    """Write the adapter alone, as peft reads it, and the value head beside it.

    Raises: ValueError for a model without an adapter.
    """
    _adapted(model)
    adapters.write(folder, checkpoints.get_weights(model), model.lora)


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
    arrays |= hub.read_value_head(folder)
    own = checkpoints.get_weights(model)
    heads = {n: a for n, a in own.items() if "lora_" not in n}
    checkpoints.set_weights(model, heads | arrays)
    return model


class _Adapter:
    """What a linear layer computes beside its own map."""

    lora_A: Any
    lora_B: Any
    scale: float
    off = False

    def call(self, x):
        out = super().call(x)  # type: ignore[misc]
        if self.off:
            return out
        a, b = self.lora_A["default"]["weight"], self.lora_B["default"]["weight"]
        low = tf.matmul(tf.cast(x, a.dtype), a, transpose_b=True)  # (M, rank)
        more = self.scale * tf.matmul(low, b, transpose_b=True)
        return tf.cast(tf.cast(out, a.dtype) + more, out.dtype)


def _adapt(layer: Any, rank: int, scale: float) -> None:
    """Give a linear layer A (rank, in) and B (out, rank), as Keras gives its own."""
    turned, dtype = isinstance(layer, Conv1D), layer.weight.dtype
    out, into = layer.weight.shape[::-1] if turned else layer.weight.shape
    dtype = "float32" if dtype == "bfloat16" else dtype
    layer._tracker.unlock()  # a layer takes no weights after its first call
    for name, shape in (("lora_A", (rank, into)), ("lora_B", (out, rank))):
        weight = layer.add_weight(shape=shape, name=name, dtype=dtype, autocast=False)
        setattr(layer, name, {"default": {"weight": weight}})
    layer._tracker.lock()
    layer.scale, layer.plain = scale, type(layer)
    layer.__class__ = type("LoRA", (_Adapter, layer.plain), {})


@contextmanager
def _off(model: Any) -> Iterator[None]:
    for layer in _adapted(model):
        layer.off = True
    try:
        yield
    finally:
        for layer in _adapted(model):
            layer.off = False


def _adapted(model: Any) -> list[Any]:
    """The layers that have an adapter."""
    found = [layer for _, layer in _linear(model) if hasattr(layer, "lora_A")]
    checks.require(found, "model: expected one with an adapter, see add_lora")
    return found


def _linear(part: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Names and layers of the linear maps in a model, or in a part of it."""
    if isinstance(part, (Conv1D, Linear)):
        yield name, part
    elif isinstance(part, (list, dict, keras.layers.Layer)):
        parts = enumerate(part) if isinstance(part, list) else _items(part)
        for key, inner in parts:
            yield from _linear(inner, f"{name}.{key}" if name else str(key))


def _items(part: Any) -> list:
    if isinstance(part, dict):
        return list(part.items())
    return [(key, value) for key, value in vars(part).items() if key[0] != "_"]


def _forget_graphs(model: Any) -> Any:
    """What was compiled has the old layers."""
    vars(model).pop("_made", None)
    return model
