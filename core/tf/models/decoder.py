"""Llama, Qwen2, Qwen3 with a value head; the letters are those of `core.tf.models`."""

from functools import partial

import tensorflow as tf

from core.settings import DecoderConfig
from core.tf.attention import pack
from core.tf.checkpoints import initialise
from core.tf.layers import DecoderBlock, Embedding, Linear, RMSNorm, exact
from core.tf.models.transformer import Transformer


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

    def __init__(self, config: DecoderConfig, seed: int = 0, dtype: str = "float32"):
        super().__init__(dtype)
        self.config, self.vocab_size = config, config.vocab_size
        size = config.vocab_size, config.hidden_size
        blocks = [DecoderBlock(config, dtype) for _ in range(config.num_hidden_layers)]
        self.model = {
            "embed_tokens": Embedding(*size, dtype),
            "layers": blocks,
            "norm": RMSNorm(config.hidden_size, config.rms_norm_eps, dtype),
        }
        if not config.tie_word_embeddings:
            self.lm_head = Linear(size[1], size[0], dtype, bias=False)
        self.value_head = Linear(config.hidden_size, 1, self.dtype)
        initialise(self, seed)

    @property
    def embedding(self) -> Embedding:
        """The token embedding, and where words are tied the policy head as well."""
        return self.model["embed_tokens"]

    def _embed(self, ids, positions, index=None):
        x = self.embedding(ids)
        places = tf.reshape(tf.broadcast_to(positions, ids.shape), (-1,))
        turn = self._turn(pack(places, index), x.dtype)
        x = pack(tf.reshape(x, (-1, x.shape[-1])), index)
        return x, [partial(block, turn=turn) for block in self.model["layers"]]

    def _turn(self, places, dtype):
        """Cosine and sine (M, 1, K / 2) of the angles at these positions (M,)."""
        wide = tf.float64 if dtype == tf.float64 else tf.float32  # half is not enough
        frequencies = tf.constant(self.config.frequencies(), wide)
        angles = tf.cast(places, wide)[:, None, None] * frequencies
        return tf.cast(tf.cos(angles), dtype), tf.cast(tf.sin(angles), dtype)

    def _norm(self, x):
        return self.model["norm"](x)

    def _logits(self, features):
        head = self.embedding if self.config.tie_word_embeddings else self.lm_head
        table = tf.cast(head.weight, features.dtype)
        return exact(tf.matmul(features, table, transpose_b=True))
