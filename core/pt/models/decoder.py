"""Llama, Qwen2, Qwen3 with a value head; the letters are those of `core.pt.models`."""

from functools import partial
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from core import checks
from core.pt.attention import pack, rotate
from core.pt.checkpoints import initialise
from core.pt.models.transformer import Transformer
from core.settings import DecoderConfig


class Decoder(Transformer):
    """A decoder as Llama, Qwen2 and Qwen3 are, and a value head.

    Weights are under Hugging Face's names.  Positions turn queries and keys, so that
    their products depend on distances; and J heads of keys and values serve H of
    queries, so that the cache is J / H as large.

    Args:
        config: `core.settings.DecoderConfig`.
        seed: of the initial weights, the same in both frameworks.
        dtype: "float32" or "float64".
    Source: Touvron et al. 2023, arXiv:2302.13971; Qwen3: Yang et al. 2025,
        arXiv:2505.09388.
    """

    model: Any  # an nn.ModuleDict

    def __init__(self, config: DecoderConfig, seed: int = 0, dtype: str = "float32"):
        checks.network(dtype)
        super().__init__()
        self.config, self.vocab_size = config, config.vocab_size
        size = config.vocab_size, config.hidden_size
        self.model = nn.ModuleDict(
            {
                "embed_tokens": nn.Embedding(*size),
                "layers": nn.ModuleList(
                    _Block(config) for _ in range(config.num_hidden_layers)
                ),
                "norm": nn.RMSNorm(config.hidden_size, config.rms_norm_eps),
            }
        )
        if not config.tie_word_embeddings:
            self.lm_head = nn.Linear(*reversed(size), bias=False)
        self.value_head = nn.Linear(config.hidden_size, 1)
        self.to(getattr(torch, dtype))
        initialise(self, seed)

    @property
    def embedding(self) -> nn.Embedding:
        """The token embedding, and where words are tied the policy head as well."""
        return self.model["embed_tokens"]

    def _embed(self, ids, positions, index=None):
        x = pack(self.embedding(ids).flatten(0, -2), index)
        places = pack(positions.expand(ids.shape).flatten(), index)
        turn = self._turn(places, x)
        return x, [partial(block, turn=turn) for block in self.model["layers"]]

    def _turn(self, places, x):
        """Cosine and sine (M, 1, K / 2) of the angles at these positions (M,)."""
        exact = torch.promote_types(x.dtype, torch.float32)  # half precision is none
        frequencies = torch.as_tensor(self.config.frequencies(), dtype=exact)
        angles = places[:, None, None] * frequencies.to(x.device)
        return angles.cos().to(x.dtype), angles.sin().to(x.dtype)

    def _norm(self, x):
        return self.model["norm"](x)

    def _logits(self, features):
        tied = self.config.tie_word_embeddings
        return features @ (self.embedding if tied else self.lm_head).weight.T


class _Block(nn.Module):
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
                parts[n] = here[f"{n}_norm"](parts[n])
            parts[n] = rotate(parts[n], *turn)
        return torch.cat(list(parts.values()), dim=1).flatten(1)
