"""Networks that listen: a policy that writes down what it hears, and a
spotter of single words.  A prompt is the number of a recording, whose frames
the network keeps in a table.

N prompts, B completions, B / N of each prompt one after the other; F frames
of a recording, M bands; L length, T completion, V vocabulary, D embedding
width, H hidden width.
"""

from __future__ import annotations

import core.pt  # noqa: F401  decides what is loaded first

# isort: split
import torch
from torch import nn
from torch.nn import functional

from core import checks
from core.policies import TokenPolicy
from core.pt.checkpoints import initialise
from core.pt.layers import lstm_layer
from core.pt.models.recurrent import Policy, attend

SPAN, STRIDE = 8, 2  # frames that the policy sees at once, and its step
WORD = 14  # frames that the spotter sees at once


class SpeechPolicy(TokenPolicy, nn.Module):
    """An encoder of frames and an attending decoder of tokens.

    A layer looks at 8 frames at a time and moves on by two; two LSTMs read
    what it makes of them, one from each end.  The decoder, an LSTM, reads the
    last token and what it attended to last, attends to the encoder's states
    by their scaled dot product with its own, and the head reads both.

    Args:
        vocab_size: V, number of tokens; token 1 begins a text.
        frames: (N, F, M) float, all recordings; not trained.
        embedding_dim: D.
        hidden_dim: H, even: half of it for each direction of the encoder.
        seed: of the initial weights, the same in both frameworks.
        dtype: "float32" or "float64".
    Source: Chan, Jaitly, Le, Vinyals 2015 (Listen, Attend and Spell),
        arXiv:1508.01211, with one layer and one token per word.
    """

    _evaluate = Policy._evaluate  # reads any `score`

    def __init__(
        self,
        vocab_size,
        frames,
        embedding_dim=32,
        hidden_dim=64,
        seed=0,
        dtype="float32",
    ):
        checks.network(dtype, vocab_size, embedding_dim, hidden_dim)
        super().__init__()
        self.vocab_size, self.prompt_vocab_size = vocab_size, len(frames)
        self.register_buffer("frames", _table(frames), persistent=False)
        self.embedding = nn.Embedding(vocab_size, embedding_dim)
        self.inner = nn.Linear(SPAN * self.frames.shape[2], hidden_dim)
        self.ahead = lstm_layer(hidden_dim, hidden_dim // 2)
        self.back = lstm_layer(hidden_dim, hidden_dim // 2)
        self.lstm = lstm_layer(embedding_dim + hidden_dim, hidden_dim)
        self.policy_head = nn.Linear(2 * hidden_dim, vocab_size)
        self.value_head = nn.Linear(2 * hidden_dim, 1)
        self.to(getattr(torch, dtype))
        initialise(self, seed)

    def forward(self, ids, attention_mask=None):
        """Logits of the next token and value of the state, at each position.

        Args:
            ids: (B, L) int: the number of a recording, then token ids.
            attention_mask: unused: what follows a text is not read before.
        Returns: logits (B, L, V), values (B, L).
        """
        return self._write(self.listen(ids[:, :1]), ids[:, 1:])

    def listen(self, prompts):
        """The encoder's states of recordings (N, 1): (N, (F - 6) // 2, H)."""
        windows = _windows(self.frames[prompts[:, 0]], SPAN, STRIDE)
        heard = functional.relu(self.inner(windows))
        ahead, _ = self.ahead(heard)
        back, _ = self.back(heard.flip(1))
        return torch.cat([ahead, back.flip(1)], dim=2)

    def score(self, prompts, completions, prompt_mask=None):
        """Logits and values of the states in which completions were chosen.

        Args:
            prompts: (N, 1) int, numbers of recordings.
            completions: (B, T) int; row i answers prompt i // (B / N).
            prompt_mask: unused: recordings have one length.
        Returns: logits (B, T, V), values (B, T); position t sees the
            recording and the tokens before t.
        Raises: ValueError for an empty prompt.
        """
        group_size = checks.group_size(prompts, completions)
        memory = self.listen(prompts).repeat_interleave(group_size, dim=0)
        return self._write(memory, completions[:, :-1])

    def start(self, prompts, max_length, prompt_mask=None, group_size=1):
        """Hear the prompts (N, 1): logits of token 0 (B, V) and the state."""
        memory = self.listen(prompts).repeat_interleave(group_size, dim=0)
        state, bos = self._begin(memory)
        return self.step(bos, state)

    def step(self, tokens, state):
        """Read one token (B,): logits of the next (B, V) and the new state."""
        features, state = self._turn(tokens, state)
        return self.policy_head(features), state

    def keep(self, state, rows):
        """The state of some rows (int tensor), to go on with them alone."""
        lstm, mixed, memory = state
        lstm = tuple(part[:, rows] for part in lstm)
        return lstm, mixed[rows], memory[rows]

    def _begin(self, memory):
        """The state before the first token, and BOS (B,)."""
        batch, _, width = memory.shape
        zeros = memory.new_zeros(batch, width)
        bos = torch.ones(batch, dtype=torch.int64, device=memory.device)
        return ((zeros[None], zeros[None]), zeros, memory), bos

    def _turn(self, tokens, state):
        """Read a token, attend: features (B, 2H) and the new state."""
        lstm, mixed, memory = state
        read = torch.cat([self.embedding(tokens), mixed], dim=1)
        hidden, lstm = self.lstm(read[:, None], lstm)
        mixed = attend(hidden, memory, hidden.new_ones(1, 1) > 0)[:, 0]
        features = torch.cat([hidden[:, 0], mixed], dim=1)
        return features, (lstm, mixed, memory)

    def _write(self, memory, tokens):
        """Logits (B, L + 1, V) and values behind BOS and tokens (B, L)."""
        state, bos = self._begin(memory)
        features, state = self._turn(bos, state)
        rows = [features]
        for column in tokens.unbind(1):
            features, state = self._turn(column, state)
            rows.append(features)
        features = torch.stack(rows, dim=1)
        return self.policy_head(features), self.value_head(features)[..., 0]


class WordSpotter(nn.Module):
    """Which words are heard, in whatever order: a judge of sound alone.

    A network with one hidden layer looks at 14 frames at a time; the odds of
    a word are those of the place where it is heard best.

    Args:
        vocab_size: V, number of tokens.
        frames: (N, F, M) float, all recordings; not trained.
        hidden_dim: H.
        seed: of the initial weights, the same in both frameworks.
        dtype: "float32" or "float64".
    """

    def __init__(self, vocab_size, frames, hidden_dim=64, seed=0, dtype="float32"):
        checks.network(dtype, vocab_size, hidden_dim=hidden_dim)
        super().__init__()
        self.vocab_size, self.prompt_vocab_size = vocab_size, len(frames)
        self.register_buffer("frames", _table(frames), persistent=False)
        self.inner = nn.Linear(WORD * self.frames.shape[2], hidden_dim)
        self.outer = nn.Linear(hidden_dim, vocab_size)
        self.to(getattr(torch, dtype))
        initialise(self, seed)

    def forward(self, prompts):
        """Recordings (N, 1) to (N, V, 2): logits of "not heard", "heard".

        The first is 0, so that the second is the log-odds, in nats.
        """
        windows = _windows(self.frames[prompts[:, 0]], WORD, 1)
        hidden = functional.relu(self.inner(windows))
        odds = self.outer(hidden).amax(dim=1)
        return torch.stack([torch.zeros_like(odds), odds], dim=2)


def _table(frames):
    """Frames as a tensor; ValueError where they are none."""
    frames = torch.as_tensor(frames)
    if frames.ndim != 3 or frames.shape[1] < WORD:
        raise ValueError(
            f"frames: expected (N, F, M) with F at least {WORD}, "
            f"got {tuple(frames.shape)}"
        )
    if not torch.isfinite(frames).all():
        raise ValueError("frames: expected finite numbers")
    return frames


def _windows(frames, span, stride):
    """(N, F, M) to windows of `span` frames, (N, 1 + (F - span) // stride,
    span · M), the frames of each one after the other."""
    return frames.unfold(1, span, stride).transpose(2, 3).flatten(2)
