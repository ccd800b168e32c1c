"""The layers of GPT-2, under its names, and the LSTM; what stands under a mask.

M tokens, B rows, L length, D width.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from core.pt.logprobs import alike
from core.settings import GPTConfig


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


class Conv1D(nn.Module):
    """GPT-2's name for a linear map whose weight is (in, out)."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(inputs, outputs))
        self.bias = nn.Parameter(torch.empty(outputs))

    def forward(self, x):
        """(M, in) to (M, out)."""
        return torch.addmm(self.bias, x, self.weight)


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
