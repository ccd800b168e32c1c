"""Policies: the recurrent networks of documents 000 and 003 and GPT, each
with a value head; the network that learns a baseline b(X); and BERT.

N prompts, B completions, B / N of each prompt one after the other; L sequence
length, P prompt, T completion, V vocabulary, D embedding width, H hidden
width (recurrent) or heads (attention), K = D / H width of a head.
"""

from __future__ import annotations

from functools import partial

import torch
from torch import nn
from torch.nn import functional

from core.pt.attention import (
    Cache,
    attend_cache,
    attention,
    behind,
    merge_heads,
    pack,
    split_heads,
    unpack,
)
from core.pt.layers import Block
from core.pt.logprobs import entropy, sampling_logits, token_logprobs, token_scores
from core.weights import initial_weights


class Policy(nn.Module):
    """What the recurrent policies share: token ids in, logits and values out.

    Every policy has `score` and `evaluate` for completions that are there,
    and `start`, `step`, `keep` to sample new ones.
    """

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

    def score(self, prompts, completions, prompt_mask=None):
        """Logits and values of the states in which completions were chosen.

        Args:
            prompts: (N, P) int.
            completions: (B, T) int; row i answers prompt i // (B / N).
            prompt_mask: None: a recurrent network reads padding.
        Returns: logits (B, T, V), values (B, T); position t sees the prompt
            and the tokens before t.
        Raises: ValueError for an empty prompt, or a padded one.
        """
        group_size = _group_size(prompts, completions)
        prompts = _repeated(prompts, prompt_mask, group_size)
        ids = torch.cat([prompts, completions[:, :-1]], dim=1)  # (B, P+T-1)
        logits, values = self(ids)
        first = prompts.shape[1] - 1  # the last prompt token chooses token 0
        return logits[:, first:], values[:, first:]

    def evaluate(
        self,
        prompts,
        completions,
        mask=None,
        prompt_mask=None,
        temperature=1.0,
        top_k=None,
        top_p=1.0,
    ):
        """Log-probabilities, entropies and values along completions.

        Args:
            prompts, completions, prompt_mask: as for `score`.
            mask: (B, T), unused: a recurrent network reads every token.
            temperature, top_k, top_p: the sampler's.
        Returns: logprobs, entropies (nats) and values, each (B, T).
        """
        logits, values = self.score(prompts, completions, prompt_mask)
        logits = sampling_logits(logits, temperature, top_k, top_p)
        return token_logprobs(logits, completions), entropy(logits), values


class LSTMPolicy(Policy):
    """Embedding, LSTM, linear head: the agent of document 000.

    Args:
        vocab_size: V, number of tokens.
        embedding_dim: D.
        hidden_dim: H.
        seed: of the initial weights, the same in both frameworks.
        dtype: "float32" or "float64".
    """

    def __init__(
        self, vocab_size, embedding_dim=32, hidden_dim=64, seed=0, dtype="float32"
    ):
        super().__init__(vocab_size, embedding_dim, hidden_dim, seed, dtype)

    def features(self, ids):
        """(B, L) token ids to (B, L, H) features, causal."""
        return self.lstm(self.embedding(ids))[0]

    def start(self, prompts, max_length, prompt_mask=None, group_size=1):
        """Read the prompts (N, P): logits of token 0 (B, V) and the state."""
        prompts = _repeated(prompts, prompt_mask, group_size)
        hidden, state = self.lstm(self.embedding(prompts))
        return self.policy_head(hidden[:, -1]), state

    def step(self, tokens, state):
        """Read one token (B,): logits of the next (B, V) and the new state."""
        hidden, state = self.lstm(self.embedding(tokens[:, None]), state)
        return self.policy_head(hidden[:, -1]), state

    def keep(self, state, rows):
        """The state of some rows (int tensor), to go on with them alone."""
        return tuple(part[:, rows] for part in state)


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

    def __init__(
        self, vocab_size, embedding_dim=32, hidden_dim=64, seed=0, dtype="float32"
    ):
        super().__init__(vocab_size, embedding_dim, hidden_dim, seed, dtype)

    def features(self, ids):
        """(B, L) token ids to (B, L, H) features, causal."""
        hidden = self.lstm(self.embedding(ids))[0]
        length = ids.shape[1]
        seen = torch.ones(length, length, device=ids.device).tril() > 0
        return hidden + _attend(hidden, hidden, seen)

    def start(self, prompts, max_length, prompt_mask=None, group_size=1):
        """Read the prompts (N, P): logits of token 0 (B, V) and the state."""
        prompts = _repeated(prompts, prompt_mask, group_size)
        batch, length = prompts.shape
        hidden, state = self.lstm(self.embedding(prompts))
        # The memory has its final size from the start: no growing copies.
        memory = hidden.new_zeros(batch, length + max_length, hidden.shape[2])
        memory[:, :length] = hidden
        return self._read(hidden[:, -1:], memory, length), (state, memory, length)

    def step(self, tokens, state):
        """Read one token (B,): logits of the next (B, V) and the new state."""
        state, memory, length = state
        hidden, state = self.lstm(self.embedding(tokens[:, None]), state)
        memory[:, length] = hidden[:, 0]
        return self._read(hidden, memory, length + 1), (state, memory, length + 1)

    def keep(self, state, rows):
        """The state of some rows (int tensor), to go on with them alone."""
        state, memory, length = state
        return tuple(part[:, rows] for part in state), memory[rows], length

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

    def __init__(
        self, vocab_size, embedding_dim=32, hidden_dim=64, seed=0, dtype="float32"
    ):
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


class GPT(nn.Module):
    """GPT-2, weights under Hugging Face's names, and a value head.

    Prompts are read once for all completions of a group, padding is not
    computed, and there is no dropout: the policy that is trained is the one
    that sampled.

    Args:
        config: `core.settings.GPTConfig`.
        seed: of the initial weights, the same in both frameworks.
        dtype: "float32" or "float64".
    Source: Radford et al. 2019, "Language Models are Unsupervised Multitask
        Learners".
    """

    def __init__(self, config, seed=0, dtype="float32"):
        _check_dtype(dtype)
        super().__init__()
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
        _fill(self, seed, dtype)

    @property
    def embedding(self):
        """The token embedding, which is the policy head as well."""
        return self.transformer["wte"]

    def forward(self, ids, attention_mask=None):
        """Logits of the next token and value of the state, at each position.

        Args:
            ids: (B, L) int, token ids.
            attention_mask: (B, L), 0 on padding at either side; there the
                outputs mean nothing.
        Returns: logits (B, L, V), values (B, L).
        """
        _check_positions(self.config, ids.shape[1])
        positions = torch.arange(ids.shape[1], device=ids.device)
        seen = True
        if attention_mask is not None:
            positions = _positions(attention_mask)
            seen = (attention_mask > 0)[:, None, None]  # (B, 1, 1, L)
        features, _ = self._read(ids, positions, seen)
        logits, values = self._logits(features), self.value_head(features)
        return logits.view(*ids.shape, -1), values.view(ids.shape)

    def score(self, prompts, completions, prompt_mask=None):
        """Logits and values of the states in which completions were chosen.

        Args:
            prompts: (N, P) int.
            completions: (B, T) int; row i answers prompt i // (B / N).
            prompt_mask: (N, P), 0 on padding at the left; None: no padding.
        Returns: logits (B, T, V), values (B, T); position t sees the prompt
            and the tokens before t.
        Raises: ValueError for an empty prompt.
        """
        features, _ = self._states(prompts, completions, None, prompt_mask)
        logits, values = self._logits(features), self.value_head(features)
        shape = completions.shape
        return logits.view(*shape, -1), values.view(shape)

    def evaluate(
        self,
        prompts,
        completions,
        mask=None,
        prompt_mask=None,
        temperature=1.0,
        top_k=None,
        top_p=1.0,
    ):
        """Log-probabilities, entropies and values along completions.

        Args:
            prompts, completions, prompt_mask: as for `score`.
            mask: (B, T), 1 up to and including the first EOS; what is behind
                is not computed.  None: all ones.
            temperature, top_k, top_p: the sampler's.
        Returns: logprobs, entropies (nats) and values, each (B, T), 0 where
            the mask is 0.
        """
        features, index = self._states(prompts, completions, mask, prompt_mask)
        values = self.value_head(features)[:, 0]
        scores = token_scores(
            self._logits,
            features,
            pack(completions.reshape(-1), index),
            completions.numel() * self.vocab_size,
            temperature,
            top_k,
            top_p,
        )
        return tuple(
            unpack(flat, index, completions.numel()).view(completions.shape)
            for flat in (*scores, values)
        )

    def start(self, prompts, max_length, prompt_mask=None, group_size=1):
        """Read the prompts (N, P): logits of token 0 (B, V) and the cache."""
        _check_positions(self.config, prompts.shape[1] + max_length)
        last, prefix, lengths = self._prefix(prompts, prompt_mask)
        # Read at every step: copied once into an order that is read fast.
        prefix = [(k.contiguous(), v.contiguous(), s) for k, v, s in prefix]
        shape = (
            len(prompts),
            self.config.n_head,
            group_size,
            max_length,
            self.config.n_embd // self.config.n_head,
        )
        own = [(last.new_empty(shape), last.new_empty(shape)) for _ in prefix]
        logits = self._logits(last).repeat_interleave(group_size, dim=0)
        positions = lengths.repeat_interleave(group_size)
        return logits, Cache(prefix, own, positions, 0)

    def step(self, tokens, state):
        """Read one token (B,): logits of the next (B, V) and the cache."""
        here = self.transformer
        x = here["wte"](tokens) + here["wpe"](state.positions)  # (B, D)
        for block, *memory in zip(here["h"], state.prefix, state.own):
            x = block(x, attend=partial(attend_cache, *memory, state.used))
        state.positions = state.positions + 1
        state.used += 1
        return self._logits(here["ln_f"](x)), state

    def keep(self, state, rows):
        """The cache of some rows (int tensor), to go on with them alone."""
        size = state.own[0][0].shape[2]  # G
        prompts, members = rows // size, rows % size
        # From here on each row has its prompt to itself: groups of one.
        prefix = [
            tuple(x if x is None else x[prompts] for x in memory)
            for memory in state.prefix
        ]
        own = [
            tuple(x[prompts, :, members][:, :, None] for x in memory)
            for memory in state.own
        ]
        return Cache(prefix, own, state.positions[rows], state.used)

    def _logits(self, features):
        return features @ self.embedding.weight.T

    def _states(self, prompts, completions, mask, prompt_mask):
        """Features (M, D) in which the M tokens under the mask were chosen,
        and where these stand in B·T; None: everywhere."""
        group_size = _group_size(prompts, completions)
        batch, length = completions.shape
        _check_positions(self.config, prompts.shape[1] + length - 1)
        last, prefix, lengths = self._prefix(prompts, prompt_mask)
        first = last.repeat_interleave(group_size, dim=0)  # (B, D)
        if length == 1:
            return first, None
        lengths = lengths.repeat_interleave(group_size)
        steps = torch.arange(length - 1, device=lengths.device)
        index = None
        if mask is not None and not bool((mask > 0).all()):
            index = (mask[:, 1:] > 0).flatten().nonzero()[:, 0]
        rest, _ = self._read(
            completions[:, :-1], lengths[:, None] + steps, index=index, prefix=prefix
        )
        if index is None:
            rest = rest.view(batch, length - 1, -1)
            return torch.cat([first[:, None], rest], dim=1).flatten(0, 1), None
        rows = torch.arange(batch, device=index.device)
        index = index + index // (length - 1) + 1  # in B·(T-1), now in B·T
        return torch.cat([first, rest]), torch.cat([rows * length, index])

    def _prefix(self, prompts, prompt_mask):
        """The last token's features (N, D), each block's keys, values and
        what of them is seen, and the lengths (N,) without padding."""
        mask = torch.ones_like(prompts) if prompt_mask is None else prompt_mask
        seen = (mask > 0)[:, None, None]  # (N, 1, 1, P)
        features, memory = self._read(prompts, _positions(mask), seen)
        last = features.view(*prompts.shape, -1)[:, -1]
        if prompt_mask is None:
            seen = None  # all, which is faster
        return last, [(*kv, seen) for kv in memory], (mask > 0).sum(dim=1)

    def _read(self, ids, positions, seen=True, index=None, prefix=None):
        """Features (M, D) of the M tokens `index` of ids (B, L), all where it
        is None, behind a prefix; and each block's keys and values."""
        here, (batch, length) = self.transformer, ids.shape
        x = (here["wte"](ids) + here["wpe"](positions)).flatten(0, 1)
        x = pack(x, index)  # (M, D)
        causal = torch.ones(length, length, device=ids.device).tril() > 0
        memory = []
        for i, block in enumerate(here["h"]):
            before = None if prefix is None else prefix[i]
            x = block(
                x,
                attend=partial(
                    self._attend, before, causal & seen, index, (batch, length), memory
                ),
            )
        return here["ln_f"](x), memory

    def _attend(self, prefix, seen, index, shape, memory, qkv):
        """Attention of a whole pass; `memory` gets the block's of a prompt."""
        qkv = unpack(qkv, index, shape[0] * shape[1])
        queries, keys, values = split_heads(qkv.view(*shape, 3, -1), self.config.n_head)
        if prefix is None:  # a prompt, whose memory the completions read
            memory.append((keys, values))
        else:
            keys, values, seen = behind(prefix, keys, values, seen)
        mixed = attention(queries, keys, values, seen)
        return pack(merge_heads(mixed), index)


class BERT(nn.Module):
    """BERT, weights under Hugging Face's names, with one of three heads.

    Padding is not seen, and there is no dropout: what is trained is what
    is evaluated.

    Args:
        config: `core.settings.BERTConfig`; its head is "masked" (the token at
            each position), "sequence" (a class of the whole) or "token" (a
            class of each token).
        seed: of the initial weights, the same in both frameworks.
        dtype: "float32" or "float64".
    Source: Devlin et al. 2019, arXiv:1810.04805.
    """

    def __init__(self, config, seed=0, dtype="float32"):
        _check_dtype(dtype)
        super().__init__()
        self.config, self.vocab_size = config, config.vocab_size
        width, positions = config.hidden_size, config.max_position_embeddings
        self.bert = nn.ModuleDict(
            {
                "embeddings": nn.ModuleDict(
                    {
                        "word_embeddings": nn.Embedding(config.vocab_size, width),
                        "position_embeddings": nn.Embedding(positions, width),
                        "token_type_embeddings": nn.Embedding(
                            config.type_vocab_size, width
                        ),
                        "LayerNorm": nn.LayerNorm(width, config.layer_norm_eps),
                    }
                ),
                "encoder": nn.ModuleDict(
                    {
                        "layer": nn.ModuleList(
                            _encoder_block(config)
                            for _ in range(config.num_hidden_layers)
                        )
                    }
                ),
            }
        )
        if config.head == "masked":
            head = nn.ModuleDict({"transform": _dense_norm(width, config)})
            head.bias = nn.Parameter(torch.empty(config.vocab_size))
            self.cls = nn.ModuleDict({"predictions": head})
        else:
            self.classifier = nn.Linear(width, config.num_labels)
        if config.head == "sequence":
            self.bert["pooler"] = nn.ModuleDict({"dense": nn.Linear(width, width)})
        _fill(self, seed, dtype)

    def forward(self, ids, attention_mask=None, token_type_ids=None):
        """Logits of the head.

        Positions are counted from the first token under the mask, and the
        head "sequence" reads that token, also behind padding at the left.

        Args:
            ids: (B, L) int, token ids.
            attention_mask: (B, L), 0 on padding at either side; there the
                outputs mean nothing.
            token_type_ids: (B, L) int, the segment of each token; None: 0.
        Returns: (B, L, V) for "masked", (B, C) for "sequence", (B, L, C) for
            "token".
        Raises: ValueError where L exceeds the positions.
        """
        _check_length(self.config, ids.shape[1])
        seen = index = None
        if attention_mask is not None and bool((attention_mask == 0).any()):
            seen = attention_mask > 0
            index = seen.flatten().nonzero()[:, 0]
        features = self._read(ids, seen, index, token_type_ids)  # (M, D)
        if self.config.head == "sequence":
            features = unpack(features, index, ids.numel())
            return self._classify(features.view(*ids.shape, -1), seen)
        if self.config.head == "masked":
            logits = self._predict(features)
        else:
            logits = self.classifier(features)
        return unpack(logits, index, ids.numel()).view(*ids.shape, -1)

    def _read(self, ids, seen, index, types):
        """Features (M, D) of the M tokens `index` of ids (B, L)."""
        here, positions = self.bert["embeddings"], None
        if seen is None:
            positions = torch.arange(ids.shape[1], device=ids.device)
        else:
            positions, seen = _positions(seen), seen[:, None, None]
        types = torch.zeros_like(ids) if types is None else types
        x = (
            here["word_embeddings"](ids)
            + here["position_embeddings"](positions)
            + here["token_type_embeddings"](types)
        )  # (B, L, D)
        x = pack(here["LayerNorm"](x).flatten(0, 1), index)
        attend = partial(self._attend, seen, index, ids.shape)
        for block in self.bert["encoder"]["layer"]:
            x = _encode(block, x, attend)
        return x

    def _attend(self, seen, index, shape, qkv):
        """Queries, keys, values (M, 3D) to what they mix (M, D)."""
        qkv = unpack(qkv, index, shape[0] * shape[1])
        queries, keys, values = split_heads(
            qkv.view(*shape, 3, -1), self.config.num_attention_heads
        )
        mixed = attention(queries, keys, values, seen)
        return pack(merge_heads(mixed), index)

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


def _encoder_block(config):
    """The layers of one block of BERT, nested as their names are."""
    width, inner = config.hidden_size, config.intermediate_size
    return nn.ModuleDict(
        {
            "attention": nn.ModuleDict(
                {
                    "self": nn.ModuleDict(
                        {
                            name: nn.Linear(width, width)
                            for name in ("query", "key", "value")
                        }
                    ),
                    "output": _dense_norm(width, config),
                }
            ),
            "intermediate": nn.ModuleDict({"dense": nn.Linear(width, inner)}),
            "output": _dense_norm(inner, config),
        }
    )


def _dense_norm(inputs, config):
    width = config.hidden_size
    return nn.ModuleDict(
        {
            "dense": nn.Linear(inputs, width),
            "LayerNorm": nn.LayerNorm(width, config.layer_norm_eps),
        }
    )


def _encode(block, x, attend):
    """One block of BERT: attention, then an MLP; each sum is normalised.

    x (M, D); `attend` maps queries, keys, values (M, 3D) to (M, D).
    """
    here = block["attention"]
    qkv = torch.cat(
        [here["self"][name](x) for name in ("query", "key", "value")], dim=-1
    )
    x = _add_norm(here["output"], attend(qkv), x)
    hidden = functional.gelu(block["intermediate"]["dense"](x))
    return _add_norm(block["output"], hidden, x)


def _add_norm(layers, hidden, x):
    return layers["LayerNorm"](x + layers["dense"](hidden))


def _check_length(config, length):
    if length > config.max_position_embeddings:
        raise ValueError(
            f"ids: expected at most the model's "
            f"{config.max_position_embeddings} positions, got {length} tokens"
        )


def _group_size(prompts, completions):
    """B / N; ValueError where prompts are empty or do not divide."""
    if prompts.shape[1] < 1:
        raise ValueError("prompts: expected (N, P) with P ≥ 1")
    if completions.shape[0] % prompts.shape[0]:
        raise ValueError(
            f"completions: expected a multiple of the {prompts.shape[0]} "
            f"prompts, got {completions.shape[0]} rows"
        )
    return completions.shape[0] // prompts.shape[0]


def _repeated(prompts, prompt_mask, group_size):
    """Each prompt `group_size` times; ValueError where one is padded."""
    if prompt_mask is not None:
        raise ValueError(
            "prompt_mask: expected None, as a recurrent policy reads padding"
        )
    if group_size == 1:
        return prompts
    return prompts.repeat_interleave(group_size, dim=0)


def _positions(mask):
    """Place of each token (B, L) among those under the mask."""
    return ((mask > 0).cumsum(dim=1) - 1).clamp(min=0)


def _check_positions(config, length):
    if length > config.n_positions:
        raise ValueError(
            f"prompts: expected prompt and completion within the model's "
            f"{config.n_positions} positions, got {length} tokens"
        )


def _check_dtype(dtype):
    if dtype not in ("float32", "float64"):
        raise ValueError(f'dtype: expected "float32" or "float64", got {dtype!r}')


def _check(vocab_size, embedding_dim, hidden_dim, dtype):
    if min(vocab_size, embedding_dim, hidden_dim) < 1:
        raise ValueError("vocab_size, embedding_dim, hidden_dim: expected at least 1")
    _check_dtype(dtype)


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
