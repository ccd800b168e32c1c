"""The layers of GPT-2 and of decoders, under their names, and the LSTM; what stands
under a mask.

M tokens, B rows, L length, D width; H heads of queries, J of keys, K their width.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from core.pt.logprobs import alike
from core.settings import DecoderConfig, GPTConfig


class Block(nn.Module):
    """One layer of GPT-2: attention, then an MLP, each added to its input."""

    def __init__(self, config: GPTConfig):
        super().__init__()
        width, inner = config.n_embd, config.n_inner or 4 * config.n_embd
        self.ln_1 = nn.LayerNorm(width, config.layer_norm_epsilon)
        self.attn = nn.ModuleDict(
            {"c_attn": Conv1D(width, 3 * width), "c_proj": Conv1D(width, width)}
        )
        self.ln_2 = nn.LayerNorm(width, config.layer_norm_epsilon)
        self.mlp = nn.ModuleDict(
            {"c_fc": Conv1D(width, inner), "c_proj": Conv1D(inner, width)}
        )

    def forward(self, x, attend: Callable):
        """x (M, D); `attend` maps queries, keys, values (M, 3D) to (M, D)."""
        x = x + self.attn["c_proj"](attend(self.attn["c_attn"](self.ln_1(x))))
        hidden = functional.gelu(self.mlp["c_fc"](self.ln_2(x)), approximate="tanh")
        return x + self.mlp["c_proj"](hidden)


class DecoderBlock(nn.Module):
    """One layer: attention, then a gated MLP (SwiGLU), each added to its input."""

    def __init__(self, config: DecoderConfig):
        super().__init__()
        self.width = config.head_dim
        width, inner = config.hidden_size, config.intermediate_size
        linear, norm = partial(nn.Linear, bias=False), nn.RMSNorm
        sizes = {"q": config.num_attention_heads, "k": config.num_key_value_heads}
        sizes = {n: size * self.width for n, size in sizes.items()}
        parts: dict[str, nn.Module] = {
            f"{n}_proj": nn.Linear(width, sizes[m], config.model_type == "qwen2")
            for n, m in zip("qkv", "qkk")
        }
        parts["o_proj"] = linear(sizes["q"], width)
        if config.model_type == "qwen3":
            parts |= {f"{n}_norm": norm(self.width, config.rms_norm_eps) for n in "qk"}
        self.input_layernorm = norm(width, config.rms_norm_eps)
        self.self_attn = nn.ModuleDict(parts)
        self.post_attention_layernorm = norm(width, config.rms_norm_eps)
        mlp = {f"{n}_proj": linear(width, inner) for n in ("gate", "up")}
        self.mlp = nn.ModuleDict(mlp | {"down_proj": linear(inner, width)})

    def forward(self, x, attend, turn):
        """x (M, D); `attend` maps (M, (H + 2 J) K) to (M, H K); `turn`: cos, sin."""
        heads = self._heads(self.input_layernorm(x), turn)
        x = x + self.self_attn["o_proj"](attend(heads))
        here, y = self.mlp, self.post_attention_layernorm(x)
        gated = functional.silu(here["gate_proj"](y)) * here["up_proj"](y)
        return x + here["down_proj"](gated)

    def _heads(self, x, turn):
        """Queries, keys and values (M, (H + 2 J) K); the first two turned."""
        here = self.self_attn
        parts = {n: here[f"{n}_proj"](x).unflatten(1, (-1, self.width)) for n in "qkv"}
        for n in "qk":
            if f"{n}_norm" in here:
                norm = here[f"{n}_norm"]
                parts[n] = norm(parts[n].to(norm.weight.dtype))
            parts[n] = rotate(parts[n], *turn)
        return torch.cat(list(parts.values()), dim=1).flatten(1)


def rotate(x, cos, sin):
    """Turn each head's numbers i and i + K / 2, a pair, by its angle.

    Args:
        x: (M, H, K) float.
        cos, sin: (M, 1, K / 2), of the angles.
    Returns: (M, H, K) float.
    Source: Su et al. 2021, arXiv:2104.09864; the pairs are those of Llama and Qwen.
    """
    first, second = x.chunk(2, dim=-1)
    turned = first * cos - second * sin, second * cos + first * sin
    return torch.cat(turned, dim=-1)


class Conv1D(nn.Module):
    """GPT-2's name for a linear map whose weight is (in, out)."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(inputs, outputs))
        self.bias = nn.Parameter(torch.empty(outputs))

    def forward(self, x):
        """(M, in) to (M, out)."""
        return torch.addmm(self.bias, x, self.weight)


def exact(x):
    """In float32 at least: logits, values and what is made of them."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def lstm_layer(inputs: int, width: int) -> nn.LSTM:
    """An LSTM that reads (B, L, in), with one bias that is trained."""
    layer = nn.LSTM(int(inputs), int(width), batch_first=True)
    # Keras has one bias.  Two that are trained would move twice as far.
    second = layer.get_parameter("bias_hh_l0").requires_grad_(False)
    nn.init.zeros_(second)
    return layer


def under(mask, x):
    """x (B, L) where the mask is 1, 0 elsewhere, also for NaN; without a mask, x."""
    return x if mask is None else torch.where(mask > 0, x, 0)


def known(ids, mask) -> tuple[Any, Any]:
    """Ids (B, L), 0 behind a row's last 1; and how many of its 1 are left, or None."""
    if mask is None:
        return ids, None
    _, mask = alike(completions=ids, mask=mask)
    left = (mask > 0).flip(1).cumsum(dim=1).flip(1)
    return under(left, ids), left
