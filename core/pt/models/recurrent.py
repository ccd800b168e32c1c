"""The recurrent policies of documents 000 and 003, and the network of a baseline b(X);
letters of shapes as in `core.pt.models`."""

from collections.abc import Callable

import torch
from torch import nn

from core import checks, sampling
from core.policies import TokenPolicy
from core.pt.checkpoints import initialise
from core.pt.layers import known, lstm_layer, under
from core.pt.logprobs import token_scores


class _Recurrent(nn.Module):
    """Embedding, LSTM and a value head; and a policy's head, where it is one."""

    def __init__(
        self, vocab_size: int, embedding_dim=32, hidden_dim=64, seed=0, dtype="float32"
    ):
        checks.network(dtype, vocab_size, embedding_dim, hidden_dim)
        super().__init__()
        self.vocab_size = vocab_size
        self.embedding = nn.Embedding(int(vocab_size), int(embedding_dim))
        self.lstm = lstm_layer(embedding_dim, hidden_dim)
        if isinstance(self, TokenPolicy):
            self.policy_head = nn.Linear(int(hidden_dim), int(vocab_size))
        self.value_head = nn.Linear(int(hidden_dim), 1)
        self.to(getattr(torch, dtype))
        initialise(self, seed)


class Policy(TokenPolicy, _Recurrent):
    """Embedding, LSTM and two linear heads; the subclasses' `features` differ.

    Args:
        vocab_size: V, number of tokens.
        embedding_dim: D.
        hidden_dim: H.
        seed: of the initial weights, the same in both frameworks.
        dtype: "float32" or "float64".
    """

    features: Callable  # (B, L) token ids to (B, L, H)

    def forward(self, ids):
        """Logits of the next token and value of the state, at each position.

        Args:
            ids: (B, L) int, token ids.
        Returns: logits (B, L, V), values (B, L).
        """
        features = self.features(ids)
        return self.policy_head(features), self.value_head(features)[..., 0]

    def values(self, ids, attention_mask=None):
        """Values (B, L) alone, of what a call takes; ValueError for a mask."""
        _check_unpadded("attention_mask", attention_mask)
        return self.value_head(self.features(ids))[..., 0]

    def score(self, prompts, completions, prompt_mask=None):
        """Logits (B, T, V) and values (B, T); ValueError for padded prompts."""
        group_size = sampling.group_size(self, prompts, completions, prompt_mask)
        prompts = _repeated(prompts, prompt_mask, group_size)
        ids = torch.cat([prompts, completions[:, :-1]], dim=1)  # (B, P+T-1)
        logits, values = self(ids)
        first = prompts.shape[1] - 1  # the last prompt token chooses token 0
        return logits[:, first:], values[:, first:]

    def _evaluate(self, prompts, completions, mask, prompt_mask, sampled: tuple):
        ids, _ = known(completions, mask)
        logits, values = self.score(prompts, ids, prompt_mask)
        scores = token_scores(lambda logits: logits, logits, ids, 1, *sampled)
        return tuple(under(mask, x) for x in (*scores, values))


class LSTMPolicy(Policy):
    """Embedding, LSTM, linear head: the agent of document 000.

    Args: as for `Policy`.
    """

    def features(self, ids):
        """(B, L) token ids to (B, L, H) features, causal."""
        return self.lstm(self.embedding(ids))[0]

    def start(self, prompts, max_length: int, prompt_mask=None, group_size: int = 1):
        """Read the prompts (N, P): logits of token 0 (B, V) and the state."""
        prompts = _repeated(prompts, prompt_mask, group_size)
        hidden, state = self.lstm(self.embedding(prompts))
        return self.policy_head(hidden[:, -1]), state

    def step(self, tokens, state: tuple):
        """Read one token (B,): logits of the next (B, V) and the new state."""
        hidden, state = self.lstm(self.embedding(tokens[:, None]), state)
        return self.policy_head(hidden[:, -1]), state

    def keep(self, state: tuple, rows) -> tuple:
        """The state of some rows (int tensor), to go on with them alone."""
        return tuple(part[:, rows] for part in state)


class LSTMAttentionPolicy(Policy):
    """Embedding, LSTM, causal self-attention, linear head: document 003.

    Each position attends to the hidden states up to its own, by their scaled
    dot product, and the head reads the sum of its own state and the mixture.
    The document's listing lets a position see the later ones, and its head
    reads the mixture alone, which hardly tells one position from the next.

    Args: as for `Policy`.
    """

    def features(self, ids):
        """(B, L) token ids to (B, L, H) features, causal."""
        hidden = self.lstm(self.embedding(ids))[0]
        length = ids.shape[1]
        seen = torch.ones(length, length, device=ids.device).tril() > 0
        return hidden + attend(hidden, hidden, seen)

    def start(self, prompts, max_length: int, prompt_mask=None, group_size: int = 1):
        """Read the prompts (N, P): logits of token 0 (B, V) and the state."""
        prompts = _repeated(prompts, prompt_mask, group_size)
        batch, length = prompts.shape
        hidden, state = self.lstm(self.embedding(prompts))
        # The memory has its final size from the start: no growing copies.
        memory = hidden.new_zeros(batch, length + max_length, hidden.shape[2])
        memory[:, :length] = hidden
        return self._read(hidden[:, -1:], memory, length), (state, memory, length)

    def step(self, tokens, state: tuple):
        """Read one token (B,): logits of the next (B, V) and the new state."""
        lstm, memory, length = state
        hidden, lstm = self.lstm(self.embedding(tokens[:, None]), lstm)
        memory[:, length] = hidden[:, 0]
        return self._read(hidden, memory, length + 1), (lstm, memory, length + 1)

    def keep(self, state: tuple, rows) -> tuple:
        """The state of some rows (int tensor), to go on with them alone."""
        lstm, memory, length = state
        return tuple(part[:, rows] for part in lstm), memory[rows], length

    def _read(self, hidden, memory, length: int):
        seen = torch.arange(memory.shape[1], device=memory.device) < length
        mixed = hidden + attend(hidden, memory, seen[None])  # (B, 1, H)
        return self.policy_head(mixed[:, 0])


class BaselineNetwork(_Recurrent):
    """b(X): the return to expect for a prompt, learned beside the policy.

    Args: as for `Policy`.
    Source: document 001 §4.2; Williams 1992.
    """

    def forward(self, prompts):
        """Prompts (B, P) int to expected returns (B,)."""
        hidden = self.lstm(self.embedding(prompts))[0]
        return self.value_head(hidden[:, -1])[:, 0]


def attend(queries, memory, seen):
    """Scaled dot-product attention to a memory that is keys and values.

    Args:
        queries: (B, Q, H) float.
        memory: (B, L, H) float.
        seen: bool, broadcasts to (B, Q, L).
    Returns: (B, Q, H) float.
    """
    scores = queries @ memory.transpose(1, 2) * memory.shape[2] ** -0.5
    weights = scores.masked_fill(~seen, -torch.inf).softmax(dim=-1)  # (B, Q, L)
    return weights @ memory


def _repeated(prompts, prompt_mask, group_size: int):
    """Each prompt `group_size` times; ValueError where one is padded."""
    _check_unpadded("prompt_mask", prompt_mask)
    return prompts.repeat_interleave(group_size, dim=0)


def _check_unpadded(name: str, mask) -> None:
    wanted = f"{name}: expected None, as a recurrent policy reads padding"
    checks.require(mask is None, wanted)
