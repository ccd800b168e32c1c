"""GPT-2 with a value head; the letters of shapes are those of `core.tf.models`."""

import tensorflow as tf

from core.settings import GPTConfig
from core.tf.attention import pack
from core.tf.checkpoints import initialise
from core.tf.layers import Block, Embedding, LayerNorm, Linear, exact
from core.tf.models.transformer import Transformer


class GPT(Transformer):
    """GPT-2, weights under Hugging Face's names, and a value head.

    Args:
        config: `core.settings.GPTConfig`.
        seed: of the initial weights, the same in both frameworks.
        dtype: as `Transformer` says.
    Source: Radford et al. 2019, "Language Models are Unsupervised Multitask Learners".
    """

    def __init__(self, config: GPTConfig, seed: int = 0, dtype: str = "float32"):
        super().__init__(dtype)
        self.config, self.vocab_size = config, config.vocab_size
        self.transformer = {
            "wte": Embedding(config.vocab_size, config.n_embd, dtype),
            "wpe": Embedding(config.n_positions, config.n_embd, dtype),
            "h": [Block(config, dtype) for _ in range(config.n_layer)],
            "ln_f": LayerNorm(config.n_embd, config.layer_norm_epsilon, dtype),
        }
        self.value_head = Linear(config.n_embd, 1, self.dtype)
        initialise(self, seed)

    @property
    def embedding(self) -> Embedding:
        """The token embedding, which is the policy head as well."""
        return self.transformer["wte"]

    def _embed(self, ids, positions, index=None):
        x = self.transformer["wte"](ids) + self.transformer["wpe"](positions)
        return pack(tf.reshape(x, (-1, x.shape[-1])), index), self.transformer["h"]

    def _norm(self, x):
        return self.transformer["ln_f"](x)

    def _logits(self, features):
        table = tf.cast(self.embedding.weight, features.dtype)
        return exact(tf.matmul(features, table, transpose_b=True))
