"""Any causal language model of `transformers` as a policy, in PyTorch; `transformers`
has no such models in TensorFlow.

`load` and `save` are those of `core.pt.pretrained`, and take as well what these do not
compute: other architectures, and options as scaled rotations, but for Llama 3.1's.

N prompts, B completions, B / N of each prompt one after the other; L sequence
length, P prompt, T completion, V vocabulary, D width.
"""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from torch import nn

from core import checks, hub, sampling
from core.architectures import NotComputed
from core.policies import TokenPolicy
from core.pt import pretrained
from core.pt.attention import pack, position_ids, unpack
from core.pt.layers import known, under
from core.pt.logprobs import token_scores
from core.weights import check_names


@dataclass
class Read:
    """What a `CausalLM` has read.

    cache: `transformers`' own, of whatever kind the architecture has.
    mask: (B, L) int, 0 on padding; None: no padding.
    positions: (B,) int, of the next token.
    """

    cache: Any
    mask: torch.Tensor | None
    positions: torch.Tensor


class CausalLM(TokenPolicy, nn.Module):
    """A model of `transformers` as a policy, as `core.pt.models.GPT` is one.

    Gemma, GPT-NeoX, Mixtral and the like: prompts are read once for all
    completions of a group, by `transformers`' own cache, and there is no
    dropout.  A value head, which starts at zero, reads the last layer.

    Args:
        folder: directory with config.json and model.safetensors; nothing
            is downloaded, and no code in it is run.
        dtype: "float32" or "float64".
    Raises: ValueError where `transformers` has no such causal language
        model, or weights are missing, left over or of another shape.
    """

    def __init__(self, folder: str | Path, dtype: str = "float32"):
        checks.network(dtype)
        super().__init__()
        self.model = _from_folder(folder, getattr(torch, dtype))
        self.eval()
        with torch.no_grad():
            ids = torch.arange(8)[None] % len(self.embedding.weight)
            out = self.model(ids, use_cache=True)
            checks.require(
                getattr(out, "past_key_values", None) is not None,
                f"name: {type(self.model).__name__} of {folder} keeps no "
                "keys and values, without which it cannot be sampled here",
            )
            # Some architectures scale or cap what their head computes.
            features = self.model.base_model(ids).last_hidden_state
            self.plain_head = torch.equal(self._head()(features), out.logits)
        self.vocab_size = out.logits.shape[-1]
        self.value_head = nn.Linear(features.shape[-1], 1).to(features)
        self._set_value_head(folder)

    @property
    def embedding(self) -> nn.Embedding:
        """The token embedding."""
        return self.model.get_input_embeddings()

    def train(self, mode: bool = True) -> Self:
        """As always, but for dropout, of which there is none."""
        super().train(mode)
        self.model.eval()
        return self

    def forward(self, ids, attention_mask=None):
        """Logits of the next token and value of the state, at each position.

        Args:
            ids: (B, L) int, token ids.
            attention_mask: (B, L), 0 on padding at either side; there the
                outputs mean nothing.
        Returns: logits (B, L, V), values (B, L).
        """
        mask, positions = _mask(attention_mask, ids)
        source, features, _ = self._read(under(mask, ids), mask, positions)
        return self._logits(source), self.value_head(features)[..., 0]

    def values(self, ids, attention_mask=None):
        """Values (B, L) alone, of what a call takes."""
        mask, positions = _mask(attention_mask, ids)
        _, features, _ = self._read(under(mask, ids), mask, positions)
        return self.value_head(features)[..., 0]

    def score(self, prompts, completions, prompt_mask=None):
        """Logits (B, T, V) and values (B, T) along completions."""
        source, features = self._states(prompts, completions, prompt_mask)
        return self._logits(source), self.value_head(features)[..., 0]

    def _evaluate(self, prompts, completions, mask, prompt_mask, sampled: tuple):
        """As `evaluate`; where the mask is 0 there are no logits, and all is 0."""
        completions, _ = known(completions, mask)
        source, features = self._states(prompts, completions, prompt_mask)
        index = None if mask is None else (mask > 0).flatten().nonzero()[:, 0]
        values = pack(self.value_head(features).flatten(), index)
        source, n = pack(source.flatten(0, 1), index), completions.numel()
        tokens = pack(completions.reshape(-1), index)
        size = n * self.vocab_size
        scores = token_scores(self._logits, source, tokens, size, *sampled)
        return tuple(
            unpack(flat, index, n).view(completions.shape) for flat in (*scores, values)
        )

    def start(self, prompts, max_length: int, prompt_mask=None, group_size: int = 1):
        """Read the prompts (N, P): logits of token 0 (B, V) and the state."""
        source, _, state = self._start(prompts, max_length, prompt_mask, group_size)
        return self._logits(source[:, 0]), state

    def step(self, tokens, state: Read):
        """Read one token (B,): logits of the next (B, V) and the state."""
        source, _, state = self._go_on(tokens[:, None], state)
        return self._logits(source[:, 0]), state

    def keep(self, state: Read, rows) -> Read:
        """The state of some rows (int tensor), to go on with them alone."""
        state.cache.batch_select_indices(rows)
        mask = None if state.mask is None else state.mask[rows]
        return Read(state.cache, mask, state.positions[rows])

    def save(self, folder: str | Path, tokenizer: Any = None) -> None:
        """Write a directory as `core.pt.pretrained.save` does."""
        hub.check_tokenizer(tokenizer, self.vocab_size)
        with hub.aside(folder) as new:
            # One file, so that an older one does not hide the new.
            self.model.save_pretrained(new, max_shard_size="1TB")
            head = self._named_head().items()
            hub.write_value_head(new, {n: p.detach().cpu().numpy() for n, p in head})
            if tokenizer is not None:
                tokenizer.save(new)

    def _head(self) -> nn.Module:
        return self.model.get_output_embeddings() or nn.Identity()

    def _logits(self, source):
        """Logits (..., V) of what `_read` returns first."""
        return self._head()(source) if self.plain_head else source

    def _states(self, prompts, completions, prompt_mask):
        """What gives the logits (B, T, ...) in which completions were
        chosen, and the features (B, T, D)."""
        size = sampling.group_size(self, prompts, completions, prompt_mask)
        length = completions.shape[1]
        source, features, state = self._start(prompts, length - 1, prompt_mask, size)
        if length == 1:
            return source, features
        rest, more, _ = self._go_on(completions[:, :-1], state)
        return torch.cat([source, rest], 1), torch.cat([features, more], 1)

    def _start(self, prompts, new_tokens: int, prompt_mask, group_size: int):
        """Read each prompt (N, P) once, for all of its group."""
        config = self.model.config.get_text_config()
        limit = getattr(config, "max_position_embeddings", None)
        checks.positions(limit, prompts.shape[1] + new_tokens)
        mask, positions = _mask(prompt_mask, prompts)
        ids = under(mask, prompts)
        source, features, cache = self._read(ids, mask, positions, last=1)
        checks.require(
            mask is None or features.isfinite().all(),
            f"prompt_mask: {type(self.model).__name__} of `transformers` "
            f"computes no numbers behind padding in {features.dtype}; "
            'take dtype="float32", or prompts of one length',
        )
        repeat = partial(torch.repeat_interleave, repeats=group_size, dim=0)
        cache.batch_repeat_interleave(group_size)
        mask = None if mask is None else repeat(mask)
        state = Read(cache, mask, repeat(positions[:, -1]) + 1)
        return repeat(source), repeat(features), state

    def _go_on(self, tokens, state: Read):
        """Read tokens (B, n) behind what has been read."""
        mask, count = state.mask, tokens.shape[1]
        if mask is not None:
            mask = torch.cat([mask, torch.ones_like(tokens)], dim=1)
        places = state.positions[:, None] + torch.arange(count, device=tokens.device)
        source, features, cache = self._read(tokens, mask, places, state.cache)
        return source, features, Read(cache, mask, state.positions + count)

    def _read(self, ids, mask, positions, cache: Any = None, last: int = 0):
        """What `_logits` makes logits of, the features and the cache, for
        the `last` tokens of ids (B, L); 0: for all."""
        inputs = {"input_ids": ids, "attention_mask": mask, "position_ids": positions}
        inputs |= {"past_key_values": cache, "use_cache": True}
        if self.plain_head:
            out = self.model.base_model(**inputs)
            source = features = out.last_hidden_state[:, -last:]
        else:
            out = self.model(**inputs, logits_to_keep=last, output_hidden_states=True)
            source = out.logits[:, -last:]
            features = out.hidden_states[-1][:, -last:]
        return source, features, out.past_key_values

    def _named_head(self) -> dict[str, nn.Parameter]:
        """The value head's parameters, under their names in a policy."""
        return {f"value_head.{n}": p for n, p in self.value_head.named_parameters()}

    def _set_value_head(self, folder: str | Path) -> None:
        found, head = hub.read_value_head(folder), self._named_head()
        if found:
            check_names(found, {n: tuple(p.shape) for n, p in head.items()})
        with torch.no_grad():
            for name, p in head.items():
                p.copy_(torch.from_numpy(found.get(name, np.zeros(p.shape))))


def load(
    name: str | Path, head: str | None = None, num_labels=None, seed=0, dtype="float32"
) -> Any:
    """As `core.pt.pretrained.load`; what that does not compute becomes a `CausalLM`.

    Raises: as that, and as `CausalLM`.
    """
    folder = hub.folder(name)
    try:
        return pretrained.load(folder, head, num_labels, seed, dtype)
    except NotComputed:
        kind = hub.read_json(folder / "config.json").get("model_type")
        if kind in ("gpt2", "bert"):  # a BERT would be read from both sides
            raise
    wanted = f"head, num_labels: only a BERT has them, {folder} has none"
    checks.require(head is None and num_labels is None, wanted)
    return CausalLM(folder, dtype)


def save(folder: str | Path, model: Any, tokenizer: Any = None) -> None:
    """As `core.pt.pretrained.save`, and a `CausalLM`."""
    if isinstance(model, CausalLM):
        model.save(folder, tokenizer)
    else:
        pretrained.save(folder, model, tokenizer)


def _from_folder(folder: str | Path, dtype: torch.dtype) -> Any:
    """The model of a directory; ValueError unless all of it is there."""
    from transformers import AutoModelForCausalLM  # here: it takes seconds

    hub.weight_files(folder)
    try:
        model, info = AutoModelForCausalLM.from_pretrained(  # type: ignore[misc]
            str(folder),
            dtype=dtype,
            use_safetensors=True,
            trust_remote_code=False,
            local_files_only=True,
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # refused below, with their names
        )
    except Exception as error:  # what it raises depends on the architecture
        raise ValueError(
            f"name: transformers has no causal language model for {folder}, "
            f"or its files do not fit ({error})"
        ) from error
    kinds = {
        "missing": info["missing_keys"],
        "extra": info["unexpected_keys"],
        "of another shape": info["mismatched_keys"],
    }
    wrong = "; ".join(f"{kind} {names}" for kind, names in kinds.items() if names)
    checks.require(not wrong, f"weights: {wrong} (in {folder})")
    return model


def _mask(mask, ids):
    """(B, L) int for `transformers`, None where nothing is padding; and the
    place of each of the ids among those under it."""
    if mask is None or bool((mask > 0).all()):
        return None, position_ids(torch.ones_like(ids))
    return (mask > 0).long(), position_ids(mask)
