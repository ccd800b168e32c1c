"""BERT with one of three heads; letters of shapes as in `core.pt.models`."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from core import checks
from core.pt import attention
from core.pt.attention import pack, unpack
from core.pt.checkpoints import initialise
from core.pt.layers import under
from core.settings import BERTConfig

_PROJECTIONS = "query", "key", "value"


class BERT(nn.Module):
    """BERT, weights under Hugging Face's names, with one of three heads.

    Padding is not seen.  Without dropout what is trained is what is evaluated.

    Args:
        config: `core.settings.BERTConfig`; its head is "masked" (the token at each
            position), "sequence" (a class of the whole) or "token" (a class of each).
        seed: of the initial weights, the same in both frameworks.
        dtype: "float32" or "float64".
    Source: Devlin et al. 2019, arXiv:1810.04805.
    """

    bert: Any  # an nn.ModuleDict
    cls: Any

    def __init__(self, config: BERTConfig, seed: int = 0, dtype: str = "float32"):
        checks.network(dtype)
        super().__init__()
        self.config, self.vocab_size = config, config.vocab_size
        width, positions = config.hidden_size, config.max_position_embeddings
        blocks = [_encoder_block(config) for _ in range(config.num_hidden_layers)]
        body = {
            "embeddings": {
                "word_embeddings": nn.Embedding(config.vocab_size, width),
                "position_embeddings": nn.Embedding(positions, width),
                "token_type_embeddings": nn.Embedding(config.type_vocab_size, width),
                "LayerNorm": nn.LayerNorm(width, config.layer_norm_eps),
            },
            "encoder": {"layer": blocks},
        }
        if config.head == "sequence":
            body["pooler"] = {"dense": nn.Linear(width, width)}
        self.bert = _modules(body)
        if config.head == "masked":
            head = _modules({"transform": _dense_norm(width, config)})
            head.bias = nn.Parameter(torch.empty(config.vocab_size))
            self.cls = _modules({"predictions": head})
        else:
            self.classifier = nn.Linear(width, config.num_labels)
        self.to(getattr(torch, dtype))
        initialise(self, seed)

    def forward(self, ids, attention_mask=None, token_type_ids=None):
        """Logits of the head.

        Positions are counted from the first token under the mask, and the
        head "sequence" reads that token, also behind padding at the left.

        Args:
            ids: (B, L) int, token ids.
            attention_mask: (B, L), 0 on padding at either side: outputs mean nothing.
            token_type_ids: (B, L) int, the segment of each token; None: 0.
        Returns: (B, L, V) for "masked", (B, C) for "sequence", (B, L, C) for "token".
        Raises: ValueError where L exceeds the positions.
        """
        checks.positions(self.config.max_position_embeddings, ids.shape[1], "ids")
        ids, seen, index = under(attention_mask, ids), None, None
        if attention_mask is not None and bool((attention_mask == 0).any()):
            seen = attention_mask > 0
            index = seen.flatten().nonzero()[:, 0]
        features = self._read(ids, seen, index, token_type_ids)  # (M, D)
        if self.config.head == "sequence":
            features = unpack(features, index, ids.numel())
            return self._classify(features.view(*ids.shape, -1), seen)
        head = self._predict if self.config.head == "masked" else self.classifier
        return unpack(head(features), index, ids.numel()).view(*ids.shape, -1)

    def _read(self, ids, seen, index, types):
        """Features (M, D) of the M tokens `index` of ids (B, L)."""
        here = self.bert["embeddings"]
        if seen is None:
            positions = torch.arange(ids.shape[1], device=ids.device)
        else:
            positions, seen = attention.position_ids(seen), seen[:, None, None]
        types = torch.zeros_like(ids) if types is None else types
        x = here["word_embeddings"](ids) + here["position_embeddings"](positions)
        x = x + here["token_type_embeddings"](types)  # (B, L, D)
        x = pack(here["LayerNorm"](x).flatten(0, 1), index)
        attend = partial(self._attend, seen, index, ids.shape)
        for block in self.bert["encoder"]["layer"]:
            x = _encode(block, x, attend)
        return x

    def _attend(self, seen, index, shape, qkv):
        """Queries, keys, values (M, 3D) to what they mix (M, D)."""
        qkv = unpack(qkv, index, shape[0] * shape[1]).view(*shape, -1)
        width, count = self.config.hidden_size, self.config.num_attention_heads
        heads = attention.split_heads(qkv, width // count, count)
        mixed = attention.attention(*heads, seen=seen)
        return pack(attention.merge_heads(mixed), index)

    def _classify(self, features, seen):
        """Logits (B, C) from the first token of features (B, L, D)."""
        first = features[:, 0]
        if seen is not None:
            rows = torch.arange(len(seen), device=seen.device)
            first = features[rows, seen.int().argmax(dim=1)]
        pooled = torch.tanh(self.bert["pooler"]["dense"](first))
        return self.classifier(pooled)

    def _predict(self, features):
        """Logits (M, V) by the transposed token embedding."""
        head, here = self.cls["predictions"], self.bert["embeddings"]
        x = functional.gelu(head["transform"]["dense"](features))
        x = head["transform"]["LayerNorm"](x)
        return x @ here["word_embeddings"].weight.T + head.bias


def _modules(layers: Any) -> Any:
    """Layers in nested dicts and lists, as modules under the same names."""
    if isinstance(layers, dict):
        return nn.ModuleDict({name: _modules(part) for name, part in layers.items()})
    if isinstance(layers, list):
        return nn.ModuleList(map(_modules, layers))
    return layers


def _encoder_block(config: BERTConfig) -> dict:
    """The layers of one block of BERT, nested as their names are."""
    width, inner = config.hidden_size, config.intermediate_size
    return {
        "attention": {
            "self": {name: nn.Linear(width, width) for name in _PROJECTIONS},
            "output": _dense_norm(width, config),
        },
        "intermediate": {"dense": nn.Linear(width, inner)},
        "output": _dense_norm(inner, config),
    }


def _dense_norm(inputs: int, config: BERTConfig) -> dict:
    norm = nn.LayerNorm(config.hidden_size, config.layer_norm_eps)
    return {"dense": nn.Linear(inputs, config.hidden_size), "LayerNorm": norm}


def _encode(block: Any, x, attend: Callable):
    """One block of BERT: attention, then an MLP; each sum is normalised.

    x (M, D); `attend` maps queries, keys, values (M, 3D) to (M, D).
    """
    here = block["attention"]
    qkv = torch.cat([here["self"][name](x) for name in _PROJECTIONS], dim=-1)
    x = _add_norm(here["output"], attend(qkv), x)
    hidden = functional.gelu(block["intermediate"]["dense"](x))
    return _add_norm(block["output"], hidden, x)


def _add_norm(layers: Any, hidden, x):
    return layers["LayerNorm"](x + layers["dense"](hidden))
