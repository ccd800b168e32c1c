"""What GPT and the decoder share; the letters are those of `core.pt.models`."""

from collections.abc import Callable
from functools import partial, wraps
from typing import Any

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from core import checks, sampling
from core.policies import TokenPolicy
from core.pt import attention
from core.pt.attention import Cache, pack, unpack
from core.pt.layers import exact, known, under
from core.pt.logprobs import token_scores


def _computed(method: Callable) -> Callable:
    """A method of a model; where that is `mixed`, its products are in bfloat16."""

    @wraps(method)
    def call(self, *arguments, **named):
        device = self.embedding.weight.device.type
        with torch.autocast(device, torch.bfloat16, enabled=self.mixed):
            return method(self, *arguments, **named)

    return call


class Transformer(TokenPolicy, nn.Module):
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
    value_head: Any  # an nn.Linear
    recompute = False

    def __init__(self, dtype: str):
        checks.precision(dtype)
        super().__init__()
        self.mixed = dtype == "mixed_bfloat16"

    @_computed
    def forward(self, ids, attention_mask=None):
        """Logits of the next token and value of the state, at each position.

        Args:
            ids: (B, L) int, token ids.
            attention_mask: (B, L), 0 on padding at either side: outputs mean nothing.
        Returns: logits (B, L, V), values (B, L).
        """
        features = self._features(ids, attention_mask)
        logits, values = self._logits(features), self._values(features)
        return logits.view(*ids.shape, -1), values.view(ids.shape)

    @_computed
    def values(self, ids, attention_mask=None):
        """Values (B, L) alone, of what a call takes."""
        return self._values(self._features(ids, attention_mask)).view(ids.shape)

    @_computed
    def score(self, prompts, completions, prompt_mask=None):
        """Logits (B, T, V) and values (B, T) along completions."""
        features, _ = self._states(prompts, completions, None, prompt_mask)
        logits, values = self._logits(features), self._values(features)
        shape = completions.shape
        return logits.view(*shape, -1), values.view(shape)

    @_computed
    def _evaluate(self, prompts, completions, mask, prompt_mask, sampled: tuple):
        """As `evaluate`; behind the last 1 of the mask nothing is computed."""
        completions, left = known(completions, mask)
        features, index = self._states(prompts, completions, left, prompt_mask)
        values, n = self._values(features)[:, 0], completions.numel()
        tokens = pack(completions.reshape(-1), index)
        size = n * self.vocab_size
        scores = token_scores(self._logits, features, tokens, size, *sampled)
        return tuple(
            under(mask, unpack(flat, index, n).view(completions.shape))
            for flat in (*scores, values)
        )

    @_computed
    def start(self, prompts, max_length: int, prompt_mask=None, group_size: int = 1):
        """Read the prompts (N, P): logits of token 0 (B, V) and the cache."""
        checks.positions(
            self.config.max_position_embeddings, prompts.shape[1] + max_length
        )
        last, prefix, lengths = self._prefix(prompts, prompt_mask)
        # Read at every step: copied once into an order that is read fast.
        prefix = [(k.contiguous(), v.contiguous(), s) for k, v, s in prefix]
        heads, width = self.config.num_key_value_heads, self.config.head_dim
        shape = len(prompts), heads, group_size, max_length, width
        own = [(last.new_empty(shape), last.new_empty(shape)) for _ in prefix]
        logits = self._logits(last).repeat_interleave(group_size, dim=0)
        positions = lengths.repeat_interleave(group_size)
        return logits, Cache(prefix, own, positions, 0)

    @_computed
    def step(self, tokens, state: Cache):
        """Read one token (B,): logits of the next (B, V) and the cache."""
        x, blocks = self._embed(tokens, state.positions)  # (B, D)
        for block, *memory in zip(blocks, state.prefix, state.own):
            x = block(x, attend=partial(attention.attend_cache, *memory, state.used))
        state.positions = state.positions + 1
        state.used += 1
        return self._logits(self._norm(x)), state

    def keep(self, state: Cache, rows) -> Cache:
        """The cache of some rows (int tensor), to go on with them alone."""
        size = state.own[0][0].shape[2]  # G
        prompts, members = rows // size, rows % size
        # From here on each row has its prompt to itself: groups of one.
        prefix = [
            tuple(x if x is None else x[prompts] for x in memory)
            for memory in state.prefix
        ]
        own = [tuple(x[prompts, :, members][:, :, None] for x in m) for m in state.own]
        return Cache(prefix, own, state.positions[rows], state.used)

    def _embed(self, ids, positions, index=None) -> tuple[Any, Any]:
        """The first x (M, D) of the M tokens `index` of ids, all where it is None, at
        these positions; and the blocks, as functions of x and `attend`."""
        raise NotImplementedError

    def _norm(self, x):
        """What the heads read (M, D), of the last block's x."""
        raise NotImplementedError

    def _logits(self, features):
        """(M, D) to (M, V)."""
        raise NotImplementedError

    def _values(self, features):
        return exact(self.value_head(features.to(self.value_head.weight.dtype)))

    def _features(self, ids, attention_mask):
        """What the heads read (B L, D) of whole texts, by themselves."""
        checks.positions(self.config.max_position_embeddings, ids.shape[1], "ids")
        positions, seen = torch.arange(ids.shape[1], device=ids.device), None
        ids = under(attention_mask, ids)
        if attention_mask is not None:
            positions = attention.position_ids(attention_mask)
            seen = (attention_mask > 0)[:, None, None]  # (B, 1, 1, L)
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
        first = last.repeat_interleave(group_size, dim=0)  # (B, D)
        if length == 1:
            return first, None
        steps = torch.arange(length - 1, device=lengths.device)
        places = lengths.repeat_interleave(group_size)[:, None] + steps
        index = None
        if mask is not None and not bool((mask > 0).all()):
            index = (mask[:, 1:] > 0).flatten().nonzero()[:, 0]
        rest, _ = self._read(completions[:, :-1], places, None, index, prefix)
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
        ids, positions = under(prompt_mask, prompts), attention.position_ids(mask)
        features, memory = self._read(ids, positions, seen)
        last = features.view(*prompts.shape, -1)[:, -1]
        if prompt_mask is None:
            seen = None  # all, which is faster
        return last, [(*kv, seen) for kv in memory], (mask > 0).sum(dim=1)

    def _read(self, ids, positions, seen=None, index=None, prefix: list | None = None):
        """Features (M, D) of the M tokens `index` of ids (B, L), all where it
        is None, behind a prefix; and each block's keys and values."""
        length = ids.shape[1]
        x, blocks = self._embed(ids, positions, index)
        causal = torch.ones(length, length, device=ids.device).tril() > 0
        seen = causal if seen is None else causal & seen
        memory = []
        for block, before in zip(blocks, prefix or [None] * len(blocks)):
            attend = partial(self._attend, before, seen, index, ids.shape, memory)
            if self.recompute and torch.is_grad_enabled():
                x = checkpoint(block, x, attend, use_reentrant=False)
            else:
                x = block(x, attend=attend)
        return self._norm(x), memory

    def _attend(self, prefix, seen, index, shape, memory: list, qkv):
        """Attention of a whole pass; `memory` gets the block's of a prompt."""
        qkv = unpack(qkv, index, shape[0] * shape[1]).view(*shape, -1)
        width, shared = self.config.head_dim, self.config.num_key_value_heads
        queries, keys, values = attention.split_heads(qkv, width, shared)
        if prefix is None:  # a prompt, whose memory the completions read
            memory.append((keys, values))
        else:
            keys, values, seen = attention.behind(prefix, keys, values, seen)
        mixed = attention.attention(queries, keys, values, seen)
        return pack(attention.merge_heads(mixed), index)
