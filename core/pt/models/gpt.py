"""GPT-2 with a value head; the letters of shapes are those of `core.pt.models`."""

from typing import Any

import torch
from torch import nn

from core.pt.attention import pack
from core.pt.checkpoints import initialise
from core.pt.layers import Block, exact
from core.pt.models.transformer import Transformer
from core.settings import GPTConfig


class GPT(Transformer):
    """GPT-2, weights under Hugging Face's names, and a value head.

    Args:
        config: `core.settings.GPTConfig`.
        seed: of the initial weights, the same in both frameworks.
        dtype: as `Transformer` says.
    Source: Radford et al. 2019, "Language Models are Unsupervised Multitask Learners".
    """

    transformer: Any  # an nn.ModuleDict

    def __init__(self, config: GPTConfig, seed: int = 0, dtype: str = "float32"):
        super().__init__(dtype)
        self.config, self.vocab_size = config, config.vocab_size
        self.transformer = nn.ModuleDict(
            {
                "wte": nn.Embedding(config.vocab_size, config.n_embd),
                "wpe": nn.Embedding(config.n_positions, config.n_embd),
                "h": nn.ModuleList(Block(config) for _ in range(config.n_layer)),
                "ln_f": nn.LayerNorm(config.n_embd, config.layer_norm_epsilon),
            }
        )
        self.value_head = nn.Linear(config.n_embd, 1)
        self.to(getattr(torch, "float32" if self.mixed else dtype))
        initialise(self, seed)

    @property
    def embedding(self) -> nn.Embedding:
        """The token embedding, which is the policy head as well."""
        return self.transformer["wte"]

    def _embed(self, ids, positions, index=None):
        x = self.transformer["wte"](ids) + self.transformer["wpe"](positions)
        return pack(x.flatten(0, -2), index), self.transformer["h"]

    def _norm(self, x):
        return self.transformer["ln_f"](x)

    def _logits(self, features):
        return exact(features @ self.embedding.weight.T)
