"""Policies: the recurrent networks of documents 000 and 003, each with a
value head, and the network that learns a baseline b(X).

B batch, L sequence length, P prompt, T completion, V vocabulary, D embedding
width, H hidden width.
"""

from __future__ import annotations

import keras
import tensorflow as tf

from core.tf.checkpoints import get_weights, set_weights
from core.weights import initial_weights


class Policy(keras.Model):
    """What the policies share: token ids in, logits and values out."""

    def __init__(self, vocab_size, embedding_dim, hidden_dim, seed, dtype):
        """Embedding, LSTM and two linear heads, filled from `seed`."""
        _check(vocab_size, embedding_dim, hidden_dim, dtype)
        super().__init__(dtype=dtype)
        self.vocab_size = vocab_size
        self.embedding = keras.layers.Embedding(
            vocab_size, embedding_dim, dtype=dtype
        )
        self.lstm = _lstm(hidden_dim, dtype)
        self.policy_head = keras.layers.Dense(vocab_size, dtype=dtype)
        self.value_head = keras.layers.Dense(1, dtype=dtype)
        _fill(self, seed)

    def call(self, ids):
        """Logits of the next token and value of the state, at each position.

        Args:
            ids: (B, L) int, token ids.
        Returns: logits (B, L, V), values (B, L).
        """
        features = self.features(ids)
        return self.policy_head(features), self.value_head(features)[..., 0]

    def score(self, prompts, completions):
        """Logits and values of the states in which completions were chosen.

        Args:
            prompts: (B, P) int.
            completions: (B, T) int.
        Returns: logits (B, T, V), values (B, T); position t sees the prompt
            and the tokens before t.
        Raises: ValueError for an empty prompt.
        """
        if prompts.shape[1] < 1:
            raise ValueError("prompts: expected (B, P) with P ≥ 1")
        ids = tf.concat([prompts, completions[:, :-1]], axis=1)  # (B, P+T-1)
        logits, values = self(ids)
        first = prompts.shape[1] - 1  # the last prompt token chooses token 0
        return logits[:, first:], values[:, first:]


class LSTMPolicy(Policy):
    """Embedding, LSTM, linear head: the agent of document 000.

    Args:
        vocab_size: V, number of tokens.
        embedding_dim: D.
        hidden_dim: H.
        seed: of the initial weights, the same in both frameworks.
        dtype: "float32" or "float64".
    """

    def __init__(self, vocab_size, embedding_dim=32, hidden_dim=64, seed=0,
                 dtype="float32"):
        super().__init__(vocab_size, embedding_dim, hidden_dim, seed, dtype)

    def features(self, ids):
        """(B, L) token ids to (B, L, H) features, causal."""
        return self.lstm(self.embedding(ids))[0]

    def start(self, prompts, max_length):
        """Read the prompts (B, P): logits of token 0 (B, V) and the state."""
        hidden, *state = self.lstm(self.embedding(prompts))
        return self.policy_head(hidden[:, -1]), state

    def step(self, tokens, state):
        """Read one token (B,): logits of the next (B, V) and the new state."""
        hidden, state = self.lstm.cell(self.embedding(tokens), state)
        return self.policy_head(hidden), state


class LSTMAttentionPolicy(Policy):
    """Embedding, LSTM, causal self-attention, linear head: document 003.

    Each position attends to the hidden states up to its own, by their scaled
    dot product, and the head reads the sum of its own state and the mixture.
    The document's listing lets a position see the later ones, and its head
    reads the mixture alone, which hardly tells one position from the next.

    Args:
        vocab_size: V, number of tokens.
        embedding_dim: D.
        hidden_dim: H.
        seed: of the initial weights, the same in both frameworks.
        dtype: "float32" or "float64".
    """

    def __init__(self, vocab_size, embedding_dim=32, hidden_dim=64, seed=0,
                 dtype="float32"):
        super().__init__(vocab_size, embedding_dim, hidden_dim, seed, dtype)

    def features(self, ids):
        """(B, L) token ids to (B, L, H) features, causal."""
        hidden = self.lstm(self.embedding(ids))[0]
        length = ids.shape[1]
        seen = tf.linalg.band_part(tf.ones((length, length)), -1, 0) > 0
        return hidden + _attend(hidden, hidden, seen)

    def start(self, prompts, max_length):
        """Read the prompts (B, P): logits of token 0 (B, V) and the state."""
        length = prompts.shape[1]
        hidden, *state = self.lstm(self.embedding(prompts))
        # The memory has its final size from the start: no growing copies.
        memory = tf.pad(hidden, ((0, 0), (0, max_length), (0, 0)))
        length = tf.constant(length)
        return self._read(hidden[:, -1:], memory, length), (
            state, memory, length
        )

    def step(self, tokens, state):
        """Read one token (B,): logits of the next (B, V) and the new state."""
        state, memory, length = state
        hidden, state = self.lstm.cell(self.embedding(tokens), state)
        here = tf.range(memory.shape[1])[None, :, None] == length
        memory = tf.where(here, hidden[:, None], memory)
        return self._read(hidden[:, None], memory, length + 1), (
            state, memory, length + 1
        )

    def _read(self, hidden, memory, length):
        seen = tf.range(memory.shape[1]) < length
        mixed = hidden + _attend(hidden, memory, seen[None])  # (B, 1, H)
        return self.policy_head(mixed[:, 0])


class BaselineNetwork(keras.Model):
    """b(X): the return to expect for a prompt, learned beside the policy.

    Args:
        vocab_size: V, number of tokens.
        embedding_dim: D.
        hidden_dim: H.
        seed: of the initial weights, the same in both frameworks.
        dtype: "float32" or "float64".
    Source: document 001 §4.2; Williams 1992.
    """

    def __init__(self, vocab_size, embedding_dim=32, hidden_dim=64, seed=0,
                 dtype="float32"):
        _check(vocab_size, embedding_dim, hidden_dim, dtype)
        super().__init__(dtype=dtype)
        self.vocab_size = vocab_size
        self.embedding = keras.layers.Embedding(
            vocab_size, embedding_dim, dtype=dtype
        )
        self.lstm = _lstm(hidden_dim, dtype)
        self.value_head = keras.layers.Dense(1, dtype=dtype)
        _fill(self, seed)

    def call(self, prompts):
        """Prompts (B, P) int to expected returns (B,)."""
        hidden = self.lstm(self.embedding(prompts))[0]
        return self.value_head(hidden[:, -1])[:, 0]


def _check(vocab_size, embedding_dim, hidden_dim, dtype):
    if min(vocab_size, embedding_dim, hidden_dim) < 1:
        raise ValueError(
            "vocab_size, embedding_dim, hidden_dim: expected at least 1"
        )
    if dtype not in ("float32", "float64"):
        raise ValueError(
            f'dtype: expected "float32" or "float64", got {dtype!r}'
        )


def _lstm(hidden_dim, dtype):
    return keras.layers.LSTM(
        hidden_dim, return_sequences=True, return_state=True, dtype=dtype
    )


def _attend(queries, memory, seen):
    """Scaled dot-product attention (B, Q, H) over (B, L, H) where seen."""
    scores = tf.einsum("bqh,blh->bql", queries, memory)
    # `where`, not an added mask: oneDNN's fused product is 200 times slower.
    scores = tf.where(seen, scores * memory.shape[2] ** -0.5, -1e9)
    return tf.einsum("bql,blh->bqh", tf.nn.softmax(scores), memory)


def _fill(model, seed):
    """Build the layers and give every weight its first value."""
    model(tf.zeros((1, 2), tf.int64))
    shapes = {n: w.shape for n, w in get_weights(model).items()}
    set_weights(model, initial_weights(shapes, seed))
