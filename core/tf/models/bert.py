"""BERT with one of three heads; letters of shapes as in `core.tf.models`."""

from collections.abc import Callable
from functools import partial
from typing import Any

import keras
import tensorflow as tf

from core import checks
from core.settings import BERTConfig
from core.tf import attention
from core.tf.checkpoints import initialise
from core.tf.layers import Embedding, LayerNorm, Linear, under

_PROJECTIONS = "query", "key", "value"


class BERT(keras.Model):
    """BERT, weights under Hugging Face's names, with one of three heads.

    Padding is not seen.  Without dropout what is trained is what is evaluated.

    Args:
        config: `core.settings.BERTConfig`; its head is "masked" (the token at each
            position), "sequence" (a class of the whole) or "token" (a class of each).
        seed: of the initial weights, the same in both frameworks.
        dtype: "float32" or "float64".
    Source: Devlin et al. 2019, arXiv:1810.04805.
    """

    def __init__(self, config: BERTConfig, seed: int = 0, dtype: str = "float32"):
        checks.network(dtype)
        super().__init__(dtype=dtype)
        self.config, self.vocab_size = config, config.vocab_size
        width, positions = config.hidden_size, config.max_position_embeddings
        blocks = [
            _encoder_block(config, dtype) for _ in range(config.num_hidden_layers)
        ]
        self.bert = {
            "embeddings": {
                "word_embeddings": Embedding(config.vocab_size, width, dtype),
                "position_embeddings": Embedding(positions, width, dtype),
                "token_type_embeddings": Embedding(
                    config.type_vocab_size, width, dtype
                ),
                "LayerNorm": LayerNorm(width, config.layer_norm_eps, dtype),
            },
            "encoder": {"layer": blocks},
        }
        if config.head == "masked":
            bias = self.add_weight(shape=(config.vocab_size,), name="bias")
            head = {"transform": _dense_norm(width, config, dtype), "bias": bias}
            self.cls = {"predictions": head}
        else:
            self.classifier = Linear(width, config.num_labels, dtype)
        if config.head == "sequence":
            self.bert["pooler"] = {"dense": Linear(width, width, dtype)}
        initialise(self, seed)

    def call(self, ids, attention_mask=None, token_type_ids=None):
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
        ids, seen = under(attention_mask, ids), None
        if attention_mask is not None:
            seen = tf.cast(attention_mask, tf.int32) > 0
        features = self._read(ids, seen, token_type_ids)  # (B L, D)
        if self.config.head == "sequence":
            features = tf.reshape(features, (*ids.shape, -1))
            return self._classify(features, seen)
        head = self._predict if self.config.head == "masked" else self.classifier
        return tf.reshape(head(features), (*ids.shape, -1))

    def _read(self, ids, seen, types):
        """Features (B L, D) of ids (B, L)."""
        here = self.bert["embeddings"]
        if seen is None:
            positions = tf.range(ids.shape[1])
        else:
            positions = attention.position_ids(tf.cast(seen, tf.int32))
            seen = seen[:, None, None]
        types = tf.zeros_like(ids) if types is None else types
        x = here["word_embeddings"](ids) + here["position_embeddings"](positions)
        x = x + here["token_type_embeddings"](types)  # (B, L, D)
        x = tf.reshape(here["LayerNorm"](x), (-1, self.config.hidden_size))
        attend = partial(self._attend, seen, ids.shape)
        for block in self.bert["encoder"]["layer"]:
            x = _encode(block, x, attend)
        return x

    def _attend(self, seen, shape, qkv):
        """Queries, keys, values (B L, 3D) to what they mix (B L, D)."""
        width, count = self.config.hidden_size, self.config.num_attention_heads
        qkv = tf.reshape(qkv, (*shape, 3 * width))
        heads = attention.split_heads(qkv, width // count, count)
        return attention.merge_heads(attention.attention(*heads, seen=seen))

    def _classify(self, features, seen):
        """Logits (B, C) from the first token of features (B, L, D)."""
        first = features[:, 0]
        if seen is not None:
            places = tf.argmax(tf.cast(seen, tf.int32), axis=1)
            first = tf.gather(features, places, axis=1, batch_dims=1)
        pooled = tf.tanh(self.bert["pooler"]["dense"](first))
        return self.classifier(pooled)

    def _predict(self, features):
        """Logits (B L, V) by the transposed token embedding."""
        head, here = self.cls["predictions"], self.bert["embeddings"]
        x = _gelu(head["transform"]["dense"](features))
        x = head["transform"]["LayerNorm"](x)
        words = here["word_embeddings"].weight
        return tf.matmul(x, words, transpose_b=True) + head["bias"]


def _encoder_block(config: BERTConfig, dtype: str) -> dict:
    """The layers of one block of BERT, nested as their names are."""
    width, inner = config.hidden_size, config.intermediate_size
    return {
        "attention": {
            "self": {name: Linear(width, width, dtype) for name in _PROJECTIONS},
            "output": _dense_norm(width, config, dtype),
        },
        "intermediate": {"dense": Linear(width, inner, dtype)},
        "output": _dense_norm(inner, config, dtype),
    }


def _dense_norm(inputs: int, config: BERTConfig, dtype: str) -> dict:
    norm = LayerNorm(config.hidden_size, config.layer_norm_eps, dtype)
    return {"dense": Linear(inputs, config.hidden_size, dtype), "LayerNorm": norm}


def _encode(block: Any, x, attend: Callable):
    """One block of BERT: attention, then an MLP; each sum is normalised.

    x (M, D); `attend` maps queries, keys, values (M, 3D) to (M, D).
    """
    here = block["attention"]
    qkv = tf.concat([here["self"][name](x) for name in _PROJECTIONS], axis=-1)
    x = _add_norm(here["output"], attend(qkv), x)
    hidden = _gelu(block["intermediate"]["dense"](x))
    return _add_norm(block["output"], hidden, x)


def _add_norm(layers: Any, hidden, x):
    return layers["LayerNorm"](x + layers["dense"](hidden))


def _gelu(x):
    # Written out: `tf.nn.gelu` rounds its constant to float32.
    return 0.5 * x * (1 + tf.math.erf(x * 2**-0.5))
