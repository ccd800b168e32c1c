"""Policies: the recurrent networks of documents 000 and 003 and GPT, each
with a value head; the network that learns a baseline b(X); and BERT.

N prompts, B completions, B / N of each prompt one after the other; L sequence
length, P prompt, T completion, V vocabulary, D embedding width, H hidden
width (recurrent) or heads (attention), K = D / H width of a head.
"""

from __future__ import annotations

import math
from functools import partial

import keras
import tensorflow as tf

from core.tf.attention import (
    Cache,
    attend_cache,
    attention,
    behind,
    merge_heads,
    pack,
    split_heads,
    unpack,
)
from core.tf.checkpoints import get_weights, set_weights
from core.tf.layers import Block, Embedding, LayerNorm, Linear
from core.tf.logprobs import entropy, sampling_logits, token_logprobs, token_scores
from core.weights import initial_weights


class Policy(keras.Model):
    """What the recurrent policies share: token ids in, logits and values out.

    Every policy has `score` and `evaluate` for completions that are there,
    and `start`, `step`, `keep` to sample new ones.
    """

    _compiled = False  # by XLA while it samples

    def __init__(self, vocab_size, embedding_dim, hidden_dim, seed, dtype):
        """Embedding, LSTM and two linear heads, filled from `seed`."""
        _check(vocab_size, embedding_dim, hidden_dim, dtype)
        super().__init__(dtype=dtype)
        self.vocab_size = vocab_size
        self.embedding = keras.layers.Embedding(vocab_size, embedding_dim, dtype=dtype)
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
        ids = tf.concat([prompts, completions[:, :-1]], axis=1)  # (B, P+T-1)
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
        hidden, *state = self.lstm(self.embedding(prompts))
        return self.policy_head(hidden[:, -1]), state

    def step(self, tokens, state):
        """Read one token (B,): logits of the next (B, V) and the new state."""
        hidden, state = self.lstm.cell(self.embedding(tokens), state)
        return self.policy_head(hidden), state

    def keep(self, state, rows):
        """The state of some rows (int tensor), to go on with them alone."""
        return [tf.gather(part, rows) for part in state]


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
        seen = tf.linalg.band_part(tf.ones((length, length)), -1, 0) > 0
        return hidden + _attend(hidden, hidden, seen)

    def start(self, prompts, max_length, prompt_mask=None, group_size=1):
        """Read the prompts (N, P): logits of token 0 (B, V) and the state."""
        prompts = _repeated(prompts, prompt_mask, group_size)
        length = prompts.shape[1]
        hidden, *state = self.lstm(self.embedding(prompts))
        # The memory has its final size from the start: no growing copies.
        memory = tf.pad(hidden, ((0, 0), (0, max_length), (0, 0)))
        length = tf.constant(length)
        return self._read(hidden[:, -1:], memory, length), (state, memory, length)

    def step(self, tokens, state):
        """Read one token (B,): logits of the next (B, V) and the new state."""
        state, memory, length = state
        hidden, state = self.lstm.cell(self.embedding(tokens), state)
        here = tf.range(memory.shape[1])[None, :, None] == length
        memory = tf.where(here, hidden[:, None], memory)
        return self._read(hidden[:, None], memory, length + 1), (
            state,
            memory,
            length + 1,
        )

    def keep(self, state, rows):
        """The state of some rows (int tensor), to go on with them alone."""
        state, memory, length = state
        state = [tf.gather(part, rows) for part in state]
        return state, tf.gather(memory, rows), length

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

    def __init__(
        self, vocab_size, embedding_dim=32, hidden_dim=64, seed=0, dtype="float32"
    ):
        _check(vocab_size, embedding_dim, hidden_dim, dtype)
        super().__init__(dtype=dtype)
        self.vocab_size = vocab_size
        self.embedding = keras.layers.Embedding(vocab_size, embedding_dim, dtype=dtype)
        self.lstm = _lstm(hidden_dim, dtype)
        self.value_head = keras.layers.Dense(1, dtype=dtype)
        _fill(self, seed)

    def call(self, prompts):
        """Prompts (B, P) int to expected returns (B,)."""
        hidden = self.lstm(self.embedding(prompts))[0]
        return self.value_head(hidden[:, -1])[:, 0]


class GPT(keras.Model):
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

    _compiled = True  # by XLA while it samples

    def __init__(self, config, seed=0, dtype="float32"):
        _check_dtype(dtype)
        super().__init__(dtype=dtype)
        self.config, self.vocab_size = config, config.vocab_size
        self.transformer = {
            "wte": Embedding(config.vocab_size, config.n_embd, dtype),
            "wpe": Embedding(config.n_positions, config.n_embd, dtype),
            "h": [Block(config, dtype) for _ in range(config.n_layer)],
            "ln_f": LayerNorm(config.n_embd, config.layer_norm_epsilon, dtype),
        }
        self.value_head = Linear(config.n_embd, 1, dtype)
        _fill(self, seed)

    @property
    def embedding(self):
        """The token embedding, which is the policy head as well."""
        return self.transformer["wte"]

    def call(self, ids, attention_mask=None):
        """Logits of the next token and value of the state, at each position.

        Args:
            ids: (B, L) int, token ids.
            attention_mask: (B, L), 0 on padding at either side; there the
                outputs mean nothing.
        Returns: logits (B, L, V), values (B, L).
        """
        _check_positions(self.config, ids.shape[1])
        positions = tf.range(ids.shape[1])
        seen = True
        if attention_mask is not None:
            positions = _positions(attention_mask)
            seen = (attention_mask > 0)[:, None, None]  # (B, 1, 1, L)
        features, _ = self._read(ids, positions, seen)
        logits, values = self._logits(features), self.value_head(features)
        return (tf.reshape(logits, (*ids.shape, -1)), tf.reshape(values, ids.shape))

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
        return tf.reshape(logits, (*shape, -1)), tf.reshape(values, shape)

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
        n = math.prod(completions.shape)
        scores = token_scores(
            self._logits,
            features,
            pack(tf.reshape(completions, (-1,)), index),
            n * self.vocab_size,
            temperature,
            top_k,
            top_p,
        )
        return tuple(
            tf.reshape(unpack(flat, index, n), completions.shape)
            for flat in (*scores, values)
        )

    def start(self, prompts, max_length, prompt_mask=None, group_size=1):
        """Read the prompts (N, P): logits of token 0 (B, V) and the cache."""
        _check_positions(self.config, prompts.shape[1] + max_length)
        last, prefix, lengths = self._prefix(prompts, prompt_mask)
        shape = (
            prompts.shape[0],
            self.config.n_head,
            group_size,
            max_length,
            self.config.n_embd // self.config.n_head,
        )
        empty = tf.zeros(shape, last.dtype)
        own = [(empty, empty) for _ in prefix]
        logits = tf.repeat(self._logits(last), group_size, axis=0)
        positions = tf.repeat(lengths, group_size)
        return logits, Cache(prefix, own, positions, tf.constant(0))

    def step(self, tokens, state):
        """Read one token (B,): logits of the next (B, V) and the cache."""
        here, own = self.transformer, []
        x = here["wte"](tokens) + here["wpe"](state.positions)  # (B, D)
        for block, *memory in zip(here["h"], state.prefix, state.own):
            x = block(x, attend=partial(self._attend_cache, *memory, state.used, own))
        state = Cache(state.prefix, own, state.positions + 1, state.used + 1)
        return self._logits(here["ln_f"](x)), state

    def keep(self, state, rows):
        """The cache of some rows (int tensor), to go on with them alone."""
        size = state.own[0][0].shape[2]  # G
        prompts, members = rows // size, rows % size
        # From here on each row has its prompt to itself: groups of one.
        prefix = [
            tuple(x if x is None else tf.gather(x, prompts) for x in memory)
            for memory in state.prefix
        ]
        own = [
            tuple(
                tf.gather(tf.gather(x, prompts), members, axis=2, batch_dims=1)[
                    :, :, None
                ]
                for x in memory
            )
            for memory in state.own
        ]
        positions = tf.gather(state.positions, rows)
        return Cache(prefix, own, positions, state.used)

    def _logits(self, features):
        return tf.matmul(features, self.embedding.weight, transpose_b=True)

    def _states(self, prompts, completions, mask, prompt_mask):
        """Features (M, D) in which the M tokens under the mask were chosen,
        and where these stand in B·T; None: everywhere."""
        group_size = _group_size(prompts, completions)
        batch, length = completions.shape
        _check_positions(self.config, prompts.shape[1] + length - 1)
        last, prefix, lengths = self._prefix(prompts, prompt_mask)
        first = tf.repeat(last, group_size, axis=0)  # (B, D)
        if length == 1:
            return first, None
        lengths = tf.repeat(lengths, group_size)
        steps = tf.range(length - 1)
        index = None
        if mask is not None:
            index = tf.where(tf.reshape(mask[:, 1:] > 0, (-1,)))[:, 0]
        rest, _ = self._read(
            completions[:, :-1], lengths[:, None] + steps, index=index, prefix=prefix
        )
        if index is None:
            rest = tf.reshape(rest, (batch, length - 1, -1))
            features = tf.concat([first[:, None], rest], axis=1)
            return tf.reshape(features, (batch * length, -1)), None
        rows = tf.range(batch, dtype=index.dtype)
        index = index + index // (length - 1) + 1  # in B·(T-1), now in B·T
        return (
            tf.concat([first, rest], axis=0),
            tf.concat([rows * length, index], axis=0),
        )

    def _prefix(self, prompts, prompt_mask):
        """The last token's features (N, D), each block's keys, values and
        what of them is seen, and the lengths (N,) without padding."""
        mask = tf.ones_like(prompts) if prompt_mask is None else prompt_mask
        seen = (mask > 0)[:, None, None]  # (N, 1, 1, P)
        features, memory = self._read(prompts, _positions(mask), seen)
        last = tf.reshape(features, (*prompts.shape, -1))[:, -1]
        lengths = tf.reduce_sum(tf.cast(mask > 0, tf.int32), axis=1)
        return last, [(*kv, seen) for kv in memory], lengths

    def _read(self, ids, positions, seen=True, index=None, prefix=None):
        """Features (M, D) of the M tokens `index` of ids (B, L), all where it
        is None, behind a prefix; and each block's keys and values."""
        here, (batch, length) = self.transformer, ids.shape
        x = here["wte"](ids) + here["wpe"](positions)
        x = pack(tf.reshape(x, (batch * length, -1)), index)  # (M, D)
        causal = tf.linalg.band_part(tf.ones((length, length)), -1, 0) > 0
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
        qkv = tf.reshape(qkv, (*shape, 3, self.config.n_embd))
        queries, keys, values = split_heads(qkv, self.config.n_head)
        if prefix is None:  # a prompt, whose memory the completions read
            memory.append((keys, values))
        else:
            keys, values, seen = behind(prefix, keys, values, seen)
        mixed = attention(queries, keys, values, seen)
        return pack(merge_heads(mixed), index)

    def _attend_cache(self, prefix, memory, used, own, qkv):
        mixed, memory = attend_cache(prefix, memory, used, qkv)
        own.append(memory)
        return mixed


class BERT(keras.Model):
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
        super().__init__(dtype=dtype)
        self.config, self.vocab_size = config, config.vocab_size
        width, positions = config.hidden_size, config.max_position_embeddings
        self.bert = {
            "embeddings": {
                "word_embeddings": Embedding(config.vocab_size, width, dtype),
                "position_embeddings": Embedding(positions, width, dtype),
                "token_type_embeddings": Embedding(
                    config.type_vocab_size, width, dtype
                ),
                "LayerNorm": LayerNorm(width, config.layer_norm_eps, dtype),
            },
            "encoder": {
                "layer": [
                    _encoder_block(config, dtype)
                    for _ in range(config.num_hidden_layers)
                ]
            },
        }
        if config.head == "masked":
            bias = self.add_weight(shape=(config.vocab_size,), name="bias")
            self.cls = {
                "predictions": {
                    "transform": _dense_norm(width, config, dtype),
                    "bias": bias,
                }
            }
        else:
            self.classifier = Linear(width, config.num_labels, dtype)
        if config.head == "sequence":
            self.bert["pooler"] = {"dense": Linear(width, width, dtype)}
        _fill(self, seed)

    def call(self, ids, attention_mask=None, token_type_ids=None):
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
        seen = None if attention_mask is None else attention_mask > 0
        features = self._read(ids, seen, token_type_ids)  # (B L, D)
        if self.config.head == "sequence":
            features = tf.reshape(features, (*ids.shape, -1))
            return self._classify(features, seen)
        if self.config.head == "masked":
            logits = self._predict(features)
        else:
            logits = self.classifier(features)
        return tf.reshape(logits, (*ids.shape, -1))

    def _read(self, ids, seen, types):
        """Features (B L, D) of ids (B, L)."""
        here = self.bert["embeddings"]
        if seen is None:
            positions = tf.range(ids.shape[1])
        else:
            positions = _positions(tf.cast(seen, tf.int32))
            seen = seen[:, None, None]
        types = tf.zeros_like(ids) if types is None else types
        x = (
            here["word_embeddings"](ids)
            + here["position_embeddings"](positions)
            + here["token_type_embeddings"](types)
        )  # (B, L, D)
        x = tf.reshape(here["LayerNorm"](x), (-1, self.config.hidden_size))
        attend = partial(self._attend, seen, ids.shape)
        for block in self.bert["encoder"]["layer"]:
            x = _encode(block, x, attend)
        return x

    def _attend(self, seen, shape, qkv):
        """Queries, keys, values (B L, 3D) to what they mix (B L, D)."""
        qkv = tf.reshape(qkv, (*shape, 3, self.config.hidden_size))
        queries, keys, values = split_heads(qkv, self.config.num_attention_heads)
        return merge_heads(attention(queries, keys, values, seen))

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


def _encoder_block(config, dtype):
    """The layers of one block of BERT, nested as their names are."""
    width, inner = config.hidden_size, config.intermediate_size
    return {
        "attention": {
            "self": {
                name: Linear(width, width, dtype) for name in ("query", "key", "value")
            },
            "output": _dense_norm(width, config, dtype),
        },
        "intermediate": {"dense": Linear(width, inner, dtype)},
        "output": _dense_norm(inner, config, dtype),
    }


def _dense_norm(inputs, config, dtype):
    width = config.hidden_size
    return {
        "dense": Linear(inputs, width, dtype),
        "LayerNorm": LayerNorm(width, config.layer_norm_eps, dtype),
    }


def _encode(block, x, attend):
    """One block of BERT: attention, then an MLP; each sum is normalised.

    x (M, D); `attend` maps queries, keys, values (M, 3D) to (M, D).
    """
    here = block["attention"]
    qkv = tf.concat(
        [here["self"][name](x) for name in ("query", "key", "value")], axis=-1
    )
    x = _add_norm(here["output"], attend(qkv), x)
    hidden = _gelu(block["intermediate"]["dense"](x))
    return _add_norm(block["output"], hidden, x)


def _add_norm(layers, hidden, x):
    return layers["LayerNorm"](x + layers["dense"](hidden))


def _gelu(x):
    # Written out: `tf.nn.gelu` rounds its constant to float32.
    return 0.5 * x * (1 + tf.math.erf(x * 2**-0.5))


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
    return tf.repeat(prompts, group_size, axis=0)


def _positions(mask):
    """Place of each token (B, L) among those under the mask."""
    return tf.maximum(tf.cumsum(tf.cast(mask > 0, tf.int32), axis=1) - 1, 0)


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
