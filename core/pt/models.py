"""Policies: the recurrent networks of documents 000 and 003, each with a
value head, and the network that learns a baseline b(X).

B batch, L sequence length, P prompt, T completion, V vocabulary, D embedding
width, H hidden width.
"""

from __future__ import annotations

import torch
from torch import nn

from core.weights import initial_weights


class Policy(nn.Module):
    """What the policies share: token ids in, logits and values out."""

    def __init__(self, vocab_size, embedding_dim, hidden_dim, seed, dtype):
        """Embedding, LSTM and two linear heads, filled from `seed`."""
        _check(vocab_size, embedding_dim, hidden_dim, dtype)
        super().__init__()
        self.vocab_size = vocab_size
        self.embedding = nn.Embedding(vocab_size, embedding_dim)
        self.lstm = _lstm(embedding_dim, hidden_dim)
        self.policy_head = nn.Linear(hidden_dim, vocab_size)
        self.value_head = nn.Linear(hidden_dim, 1)
        _fill(self, seed, dtype)

    def forward(self, ids):
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
        ids = torch.cat([prompts, completions[:, :-1]], dim=1)  # (B, P+T-1)
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
        hidden, state = self.lstm(self.embedding(prompts))
        return self.policy_head(hidden[:, -1]), state

    def step(self, tokens, state):
        """Read one token (B,): logits of the next (B, V) and the new state."""
        hidden, state = self.lstm(self.embedding(tokens[:, None]), state)
        return self.policy_head(hidden[:, -1]), state


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
        seen = torch.ones(length, length, device=ids.device).tril() > 0
        return hidden + _attend(hidden, hidden, seen)

    def start(self, prompts, max_length):
        """Read the prompts (B, P): logits of token 0 (B, V) and the state."""
        batch, length = prompts.shape
        hidden, state = self.lstm(self.embedding(prompts))
        # The memory has its final size from the start: no growing copies.
        memory = hidden.new_zeros(batch, length + max_length, hidden.shape[2])
        memory[:, :length] = hidden
        return self._read(hidden[:, -1:], memory, length), (
            state, memory, length
        )

    def step(self, tokens, state):
        """Read one token (B,): logits of the next (B, V) and the new state."""
        state, memory, length = state
        hidden, state = self.lstm(self.embedding(tokens[:, None]), state)
        memory[:, length] = hidden[:, 0]
        return self._read(hidden, memory, length + 1), (
            state, memory, length + 1
        )

    def _read(self, hidden, memory, length):
        seen = torch.arange(memory.shape[1], device=memory.device) < length
        mixed = hidden + _attend(hidden, memory, seen[None])  # (B, 1, H)
        return self.policy_head(mixed[:, 0])


class BaselineNetwork(nn.Module):
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
        super().__init__()
        self.vocab_size = vocab_size
        self.embedding = nn.Embedding(vocab_size, embedding_dim)
        self.lstm = _lstm(embedding_dim, hidden_dim)
        self.value_head = nn.Linear(hidden_dim, 1)
        _fill(self, seed, dtype)

    def forward(self, prompts):
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


def _lstm(embedding_dim, hidden_dim):
    lstm = nn.LSTM(embedding_dim, hidden_dim, batch_first=True)
    # Keras has one bias.  Two that are trained would move twice as far.
    lstm.bias_hh_l0.requires_grad_(False)
    return lstm


def _attend(queries, memory, seen):
    """Scaled dot-product attention (B, Q, H) over (B, L, H) where seen."""
    scores = queries @ memory.transpose(1, 2) * memory.shape[2] ** -0.5
    weights = scores.masked_fill(~seen, -1e9).softmax(dim=-1)  # (B, Q, L)
    return weights @ memory


def _fill(model, seed, dtype):
    """Give every weight its first value; the frozen bias stays zero."""
    model.to(getattr(torch, dtype))
    named = dict(model.named_parameters())
    shapes = {n: p.shape for n, p in named.items() if p.requires_grad}
    weights = initial_weights(shapes, seed)
    with torch.no_grad():
        for name, parameter in named.items():
            if name in weights:
                parameter.copy_(torch.from_numpy(weights[name]))
            else:
                parameter.zero_()
