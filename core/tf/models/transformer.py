"""What GPT and the decoder share; the letters are those of `core.tf.models`."""

import itertools
import math
from functools import partial
from typing import Any

import keras
import tensorflow as tf

from core import checks, sampling
from core.policies import TokenPolicy
from core.tf import attention
from core.tf.attention import Cache, pack, unpack
from core.tf.layers import exact, known, under
from core.tf.logprobs import token_scores


class Transformer(TokenPolicy, keras.Model):
    """A causal transformer with a value head; what is in its blocks a subclass says.

    Prompts are read once for all completions of a group, padding is not computed, and
    there is no dropout: the policy that is trained is the one that sampled.

    Args:
        dtype: "float32" or "float64"; "bfloat16", where all is frozen but an adapter;
            "mixed_bfloat16": computed in that, with weights that stay in float32.
            Logits, values and what is made of them have float32 in any case.
    Attributes:
        recompute: whether a block's activations are computed again in the backward
            pass, and not kept for it: less memory, for one more forward pass.
    """

    config: Any
    value_head: Any  # a Linear
    _compiled = True  # by XLA while it samples
    recompute = False

    def __init__(self, dtype: str):
        checks.precision(dtype)
        super().__init__(dtype="float64" if dtype == "float64" else "float32")

    def call(self, ids, attention_mask=None):
        """Logits of the next token and value of the state, at each position.

        Args:
            ids: (B, L) int, token ids.
            attention_mask: (B, L), 0 on padding at either side: outputs mean nothing.
        Returns: logits (B, L, V), values (B, L).
        """
        features = self._features(ids, attention_mask)
        logits, values = self._logits(features), self._values(features)
        return (tf.reshape(logits, (*ids.shape, -1)), tf.reshape(values, ids.shape))

    def values(self, ids, attention_mask=None):
        """Values (B, L) alone, of what a call takes."""
        values = self._values(self._features(ids, attention_mask))
        return tf.reshape(values, ids.shape)

    def score(self, prompts, completions, prompt_mask=None):
        """Logits (B, T, V) and values (B, T) along completions."""
        features, _ = self._states(prompts, completions, None, prompt_mask)
        logits, values = self._logits(features), self._values(features)
        shape = completions.shape
        return tf.reshape(logits, (*shape, -1)), tf.reshape(values, shape)

    def _evaluate(self, prompts, completions, mask, prompt_mask, sampled: tuple):
        """As `evaluate`; behind the last 1 of the mask nothing is computed."""
        completions, left = known(completions, mask)
        features, index = self._states(prompts, completions, left, prompt_mask)
        values, n = self._values(features)[:, 0], math.prod(completions.shape)
        tokens = pack(tf.reshape(completions, (-1,)), index)
        size = n * self.vocab_size
        scores = token_scores(self._logits, features, tokens, size, *sampled)
        return tuple(
            under(mask, tf.reshape(unpack(flat, index, n), completions.shape))
            for flat in (*scores, values)
        )

    def start(self, prompts, max_length: int, prompt_mask=None, group_size: int = 1):
        """Read the prompts (N, P): logits of token 0 (B, V) and the cache."""
        checks.positions(
            self.config.max_position_embeddings, prompts.shape[1] + max_length
        )
        last, prefix, lengths = self._prefix(prompts, prompt_mask)
        heads, width = self.config.num_key_value_heads, self.config.head_dim
        shape = prompts.shape[0], heads, group_size, max_length, width
        empty = tf.zeros(shape, last.dtype)
        own = [(empty, empty) for _ in prefix]
        logits = tf.repeat(self._logits(last), group_size, axis=0)
        positions = tf.repeat(lengths, group_size)
        return logits, Cache(prefix, own, positions, tf.constant(0))

    def step(self, tokens, state: Cache):
        """Read one token (B,): logits of the next (B, V) and the cache."""
        (x, blocks), own = self._embed(tokens, state.positions), []
        for block, *memory in zip(blocks, state.prefix, state.own):
            x = block(x, attend=partial(self._attend_cache, *memory, state.used, own))
        state = Cache(state.prefix, own, state.positions + 1, state.used + 1)
        return self._logits(self._norm(x)), state

    def keep(self, state: Cache, rows) -> Cache:
        """The cache of some rows (int tensor), to go on with them alone."""
        size = state.own[0][0].shape[2]  # G
        prompts, members = rows // size, rows % size
        # From here on each row has its prompt to itself: groups of one.
        prefix = [
            tuple(x if x is None else tf.gather(x, prompts) for x in memory)
            for memory in state.prefix
        ]

        def own_of(x):  # (N, H, G, T, K) to (rows, H, 1, T, K)
            x = tf.gather(tf.gather(x, prompts), members, axis=2, batch_dims=1)
            return x[:, :, None]

        own = [tuple(map(own_of, memory)) for memory in state.own]
        positions = tf.gather(state.positions, rows)
        return Cache(prefix, own, positions, state.used)

    def _embed(self, ids, positions, index=None) -> tuple[Any, Any]:
        """The first x (M, D) of the M tokens `index` of ids, all where it is None, at
        these positions; and the blocks, functions of x and `attend`."""
        raise NotImplementedError

    def _norm(self, x):
        """What the heads read (M, D), of the last block's x."""
        raise NotImplementedError

    def _logits(self, features):
        """(M, D) to (M, V)."""
        raise NotImplementedError

    def _values(self, features):
        return self.value_head(exact(features))

    def _features(self, ids, attention_mask):
        """What the heads read (B L, D) of whole texts, by themselves."""
        checks.positions(self.config.max_position_embeddings, ids.shape[1], "ids")
        positions, seen = tf.range(ids.shape[1]), None
        ids = under(attention_mask, ids)
        if attention_mask is not None:
            mask = tf.cast(attention_mask, tf.int32)
            positions = attention.position_ids(mask)
            seen = (mask > 0)[:, None, None]  # (B, 1, 1, L)
        return self._read(ids, positions, seen)[0]

    def _states(self, prompts, completions, mask, prompt_mask):
        """Features (M, D) in which the M tokens under the mask were chosen,
        and where these stand in B·T; None: everywhere."""
        group_size = sampling.group_size(self, prompts, completions, prompt_mask)
        batch, length = completions.shape
        checks.positions(
            self.config.max_position_embeddings, prompts.shape[1] + length - 1
        )
        last, prefix, lengths = self._prefix(prompts, prompt_mask)
        first = tf.repeat(last, group_size, axis=0)  # (B, D)
        if length == 1:
            return first, None
        places = tf.repeat(lengths, group_size)[:, None] + tf.range(length - 1)
        index = None
        if mask is not None:
            index = tf.where(tf.reshape(mask[:, 1:] > 0, (-1,)))[:, 0]
        rest, _ = self._read(completions[:, :-1], places, None, index, prefix)
        if index is None:
            rest = tf.reshape(rest, (batch, length - 1, -1))
            features = tf.concat([first[:, None], rest], axis=1)
            return tf.reshape(features, (batch * length, -1)), None
        rows = tf.range(batch, dtype=index.dtype)
        index = index + index // (length - 1) + 1  # in B·(T-1), now in B·T
        index = tf.concat([rows * length, index], axis=0)
        return tf.concat([first, rest], axis=0), index

    def _prefix(self, prompts, prompt_mask):
        """The last token's features (N, D), each block's keys, values and
        what of them is seen, and the lengths (N,) without padding."""
        mask = tf.ones_like(prompts) if prompt_mask is None else prompt_mask
        mask, prompts = tf.cast(mask, tf.int32), under(mask, prompts)
        seen = (mask > 0)[:, None, None]  # (N, 1, 1, P)
        features, memory = self._read(prompts, attention.position_ids(mask), seen)
        last = tf.reshape(features, (*prompts.shape, -1))[:, -1]
        lengths = tf.reduce_sum(tf.cast(mask > 0, tf.int32), axis=1)
        return last, [(*kv, seen) for kv in memory], lengths

    def _read(self, ids, positions, seen=None, index=None, prefix: list | None = None):
        """Features (M, D) of the M tokens `index` of ids (B, L), all where it
        is None, behind a prefix; and each block's keys and values."""
        length = ids.shape[1]
        x, blocks = self._embed(ids, positions, index)
        causal = tf.linalg.band_part(tf.ones((length, length)), -1, 0) > 0
        seen = causal if seen is None else causal & seen
        memory = []
        for block, before in zip(blocks, prefix or [None] * len(blocks)):
            x = self._block(block, x, before, seen, index, ids.shape, memory)
        return self._norm(x), memory

    def _block(self, block, x, prefix, seen, index, shape, memory: list):
        """A block of a whole pass, whose activations are kept or not."""

        def whole(x, *before):  # TensorFlow gives these a gradient, no others
            made, known = [], (*before, prefix[-1]) if before else None
            attend = partial(self._attend, known, seen, index, shape, made)
            return block(x, attend=attend), *itertools.chain(*made)

        run = tf.recompute_grad(whole) if self.recompute else whole
        x, *made = run(x, *(prefix[:-1] if prefix else ()))
        memory += [tuple(made)] if made else []
        return x

    def _attend(self, prefix, seen, index, shape, memory: list, qkv):
        """Attention of a whole pass; `memory` gets the block's of a prompt."""
        qkv = unpack(qkv, index, shape[0] * shape[1])
        qkv = tf.reshape(qkv, (*shape, qkv.shape[1]))
        width, shared = self.config.head_dim, self.config.num_key_value_heads
        queries, keys, values = attention.split_heads(qkv, width, shared)
        if prefix is None:  # a prompt, whose memory the completions read
            memory.append((keys, values))
        else:
            keys, values, seen = attention.behind(prefix, keys, values, seen)
        mixed = attention.attention(queries, keys, values, seen)
        return pack(attention.merge_heads(mixed), index)

    def _attend_cache(self, prefix, memory, used, own, qkv):
        mixed, memory = attention.attend_cache(prefix, memory, used, qkv)
        own.append(memory)
        return mixed
