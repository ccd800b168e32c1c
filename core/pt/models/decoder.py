"""Llama, Qwen2, Qwen3 with a value head; the letters are those of `core.pt.models`."""

from functools import partial
from typing import Any

import torch
from torch import nn

from core.pt.attention import pack
from core.pt.checkpoints import initialise
from core.pt.layers import DecoderBlock, exact
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
        dtype: as `Transformer` says.
    Source: Touvron et al. 2023, arXiv:2302.13971; Qwen3: Yang et al. 2025,
        arXiv:2505.09388.
    """

    model: Any  # an nn.ModuleDict

    def __init__(self, config: DecoderConfig, seed: int = 0, dtype: str = "float32"):
        super().__init__(dtype)
        self.config, self.vocab_size = config, config.vocab_size
        size = config.vocab_size, config.hidden_size
        self.model = nn.ModuleDict(
            {
                "embed_tokens": nn.Embedding(*size),
                "layers": nn.ModuleList(
                    DecoderBlock(config) for _ in range(config.num_hidden_layers)
                ),
                "norm": nn.RMSNorm(config.hidden_size, config.rms_norm_eps),
            }
        )
        if not config.tie_word_embeddings:
            self.lm_head = nn.Linear(*reversed(size), bias=False)
        self.value_head = nn.Linear(config.hidden_size, 1)
        self.to(getattr(torch, "float32" if self.mixed else dtype))
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
        wide = exact(x).dtype  # half precision has too few digits
        frequencies = torch.as_tensor(self.config.frequencies(), dtype=wide)
        angles = places[:, None, None] * frequencies.to(x.device)
        return angles.cos().to(x.dtype), angles.sin().to(x.dtype)

    def _norm(self, x):
        return self.model["norm"](x)

    def _logits(self, features):
        tied = self.config.tie_word_embeddings
        head = self.embedding if tied else self.lm_head
        return exact(features @ head.weight.T)
