"""The settings of the trainings, and the sizes of the models."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from core import checks
from core.advantages import BatchMean, unwrapped
from core.algorithms import Algorithm, Ratio
from core.sampling import NOISES

BERT_HEADS = ("masked", "sequence", "token")
DECAYS = ("none", "cosine")
DECODERS = ("llama", "qwen2", "qwen3")


class Training(checks.Record):
    """What the settings of all trainings share."""

    steps: int
    learning_rate: float
    warmup_steps: int
    max_grad_norm: float
    decay: str = "none"  # where it is not a setting
    adam_epsilon: float = 1e-5  # likewise

    def _check(self) -> None:
        checks.positive(**_of(self, "learning_rate", "max_grad_norm", "adam_epsilon"))
        checks.at_least(1, steps=self.steps)
        checks.at_least(0, warmup_steps=self.warmup_steps)
        checks.one_of(DECAYS, decay=self.decay)

    def rate(self, step: int) -> float:
        """Learning rate at `step` (0-based): linear warm-up, then decay.

        "none" keeps it; "cosine" falls to zero after the last of `steps`.
        """
        share = min(1, (step + 1) / (self.warmup_steps + 1))
        if self.decay == "cosine" and step >= self.warmup_steps:
            left = max(self.steps - self.warmup_steps, 1)
            done = min((step - self.warmup_steps) / left, 1)
            share = 0.5 * (1 + np.cos(np.pi * done))
        return float(self.learning_rate * share)

    def as_dict(self) -> dict:
        """The settings as a dict, for a checkpoint."""
        return {n: v for n, v in super().as_dict().items() if n != "kind"}

    def _linear(self, first: float, last: float, step: int) -> float:
        """Straight from `first` at step 0 to `last` at the last of `steps`."""
        done = min(step / max(self.steps - 1, 1), 1.0)
        return first + done * (last - first)


@dataclass(frozen=True)
class PolicyGradientConfig(Training):
    """Settings of a policy-gradient training; each field in one line."""

    algorithm: Algorithm = Algorithm()  # its four records; REINFORCE
    steps: int = 200  # updates of the policy
    batch_size: int = 128  # completions sampled for each update
    per_prompt: int = 1  # of them for each prompt, where nothing is grouped
    learning_rate: float = 3e-3  # Adam's, after the warm-up
    warmup_steps: int = 20  # the rate grows linearly over these updates
    decay: str = "none"  # of the rate after the warm-up, DECAYS
    max_grad_norm: float = 1.0  # the gradient is scaled down to this norm
    adam_epsilon: float = 1e-5  # Adam's ε, above which gradients move weights fully
    gamma: float = 1.0  # discount per token, in [0, 1]
    epochs: int = 1  # passes over each batch, with a ratio
    minibatches: int = 1  # updates in each pass
    accumulate: int = 1  # parts of an update, one after the other: less memory
    entropy_coef: float = 0.0  # alpha, weight of the entropy bonus (nats)
    entropy_final: float | None = None  # alpha at the last step (linear)
    temperature: float = 1.0  # of the sampled distribution, > 0
    noise: str = "host"  # where tokens are drawn, NOISES: NumPy or the model's device
    resample: int = 0  # draws that replace groups of equal returns
    buffer_batches: int = 0  # past batches kept in the experience buffer
    reuse: int = 0  # extra updates per step, on batches from the buffer
    seed: int = 0  # of the generator that draws prompts and noise

    def _check(self) -> None:
        super()._check()
        checks.unit_interval(gamma=self.gamma)
        checks.positive(temperature=self.temperature)
        checks.one_of(NOISES, noise=self.noise)
        checks.at_least(1, **_of(self, "batch_size", "per_prompt"))
        checks.at_least(1, **_of(self, "epochs", "minibatches", "accumulate"))
        checks.at_least(0, **_of(self, "entropy_coef", "entropy_final", "resample"))
        checks.at_least(0, **_of(self, "buffer_batches", "reuse", "seed"))
        wanted = f"algorithm: expected an Algorithm, got {self.algorithm!r}"
        checks.require(isinstance(self.algorithm, Algorithm), wanted)
        self._check_groups()
        self._check_passes()

    @property
    def group_size(self) -> int:
        """Completions of each prompt, one after the other."""
        return max(self.algorithm.advantage.size, self.per_prompt)

    def _check_groups(self) -> None:
        """The batch has whole groups, and those that the algorithm asks for."""
        size, each = self.algorithm.advantage.size, self.per_prompt
        wanted = f"per_prompt: expected 1 beside groups of {size}, got {each}"
        checks.require(size == 1 or each == 1, wanted)
        wanted = f"resample: expected 0 without groups, got {self.resample}"
        checks.require(size > 1 or not self.resample, wanted)
        if isinstance(unwrapped(self.algorithm.advantage), BatchMean):
            checks.at_least(2, batch_size=self.batch_size)
        parts = {"minibatches × accumulate": self.minibatches * self.accumulate}
        for name, part in (_of(self, "group_size") | parts).items():
            wanted = f"batch_size: expected a multiple of {name} {part}"
            fits = self.batch_size % part == 0
            checks.require(fits, f"{wanted}, got {self.batch_size}")

    def _check_passes(self) -> None:
        """Only a ratio makes up for rows that an older policy drew."""
        plain = not isinstance(self.algorithm.surrogate, Ratio)
        wanted = "surrogate: expected a clipped one for epochs × minibatches > 1"
        once = self.epochs * self.minibatches == 1
        checks.require(once or not plain, f"{wanted}, got Plain")
        for what, holds in (
            ("without buffer_batches", self.buffer_batches),
            ("with a ratio", plain),
            ("with a pull", self.algorithm.pull is None),
            ("with groups", self.algorithm.advantage.size == 1),  # rows are drawn
            ("with accumulate", self.accumulate == 1),  # "ess" is no sum
        ):
            wanted = f"reuse: expected 0 {what}, got {self.reuse}"
            checks.require(holds or not self.reuse, wanted)

    def alpha(self, step: int) -> float:
        """Entropy weight at `step` (0-based): linear to `entropy_final`."""
        if self.entropy_final is None or self.steps < 2:
            return self.entropy_coef
        return self._linear(self.entropy_coef, self.entropy_final, step)


@dataclass(frozen=True)
class DQNConfig(Training):
    """Settings of a Q-learning with a network; each field in one line."""

    steps: int = 200  # batches of texts that are sampled
    batch_size: int = 64  # texts in each of them, and in each update
    updates: int = 4  # gradient steps after each batch
    buffer_batches: int = 20  # past batches that an update draws from
    target_every: int = 20  # gradient steps between copies to the target
    double: bool = True  # the network chooses, the target network values
    alpha: float = 0.0  # entropy bonus, reward/nat; 0: the hard maximum
    epsilon: float = 1.0  # share of random tokens, used with alpha = 0
    epsilon_final: float = 0.1  # the same at the last step (linear)
    noise: str = "host"  # where tokens are drawn, NOISES: NumPy or the model's device
    learning_rate: float = 3e-3  # Adam's, after the warm-up
    warmup_steps: int = 20  # the rate grows linearly over these steps
    max_grad_norm: float = 10.0  # the gradient is scaled down to this norm
    gamma: float = 1.0  # discount per token, in [0, 1]
    seed: int = 0  # of the generator that draws prompts and noise

    def _check(self) -> None:
        super()._check()
        checks.at_least(1, **_of(self, "batch_size", "updates"))
        checks.at_least(1, **_of(self, "buffer_batches", "target_every"))
        checks.unit_interval(**_of(self, "gamma", "epsilon", "epsilon_final"))
        checks.at_least(0, alpha=self.alpha, seed=self.seed)
        checks.one_of(NOISES, noise=self.noise)
        wanted = f"double: expected False with alpha {self.alpha}, a soft maximum"
        checks.require(not (self.alpha and self.double), wanted)

    def exploration(self, step: int) -> float | None:
        """Share of random tokens at `step` (0-based); None with alpha."""
        if self.alpha:
            return None
        return self._linear(self.epsilon, self.epsilon_final, step)


@dataclass(frozen=True)
class SupervisedConfig(Training):
    """Settings of a training on given targets; each field in one line."""

    steps: int = 1000  # updates in all, over which the rate decays
    learning_rate: float = 1e-3  # Adam's, after the warm-up
    warmup_steps: int = 20  # the rate grows linearly over these updates
    decay: str = "cosine"  # of the rate after the warm-up, DECAYS
    weight_decay: float = 0.0  # matrices shrink by rate × this, per update
    max_grad_norm: float = 1.0  # the gradient is scaled down to this norm
    adam_epsilon: float = 1e-5  # Adam's ε, above which gradients move weights fully

    def _check(self) -> None:
        super()._check()
        checks.at_least(0, weight_decay=self.weight_decay)


@dataclass(frozen=True)
class GPTConfig(checks.Record):
    """Sizes of a GPT, under the names of Hugging Face's `config.json`."""

    model_type = "gpt2"
    vocab_size: int  # V, number of tokens
    n_positions: int = 128  # longest sequence, prompt and completion together
    n_embd: int = 128  # D, width
    n_layer: int = 4  # blocks
    n_head: int = 4  # attention heads; divides n_embd
    n_inner: int | None = None  # width inside the MLP; None is 4 D
    layer_norm_epsilon: float = 1e-5
    pad_token_id: int | None = None
    bos_token_id: int | None = None
    eos_token_id: int | None = None

    # Under the names that a `DecoderConfig` has for them:
    max_position_embeddings = property(lambda self: self.n_positions)
    num_key_value_heads = property(lambda self: self.n_head)
    head_dim = property(lambda self: self.n_embd // self.n_head)

    def _check(self) -> None:
        sizes = ("vocab_size", "n_positions", "n_embd", "n_layer", "n_head", "n_inner")
        checks.at_least(1, **_of(self, *sizes))
        checks.divisor(self.n_embd, "n_embd", n_head=self.n_head)
        checks.positive(layer_norm_epsilon=self.layer_norm_epsilon)
        special = _of(self, "pad_token_id", "bos_token_id", "eos_token_id")
        checks.token_id(self.vocab_size, **special)


@dataclass(frozen=True)
class RopeScaling(checks.Record):
    """How Llama 3.1 reads longer texts: pairs that turn slowly turn slower yet.

    Under the names of Hugging Face's `config.json`.
    Source: "NTK-by-parts" of Peng et al. 2023, arXiv:2309.00071, without YaRN's
        temperature; the numbers of `transformers`, rope_type "llama3".
    """

    factor: float  # ≥ 1, how much slower
    low_freq_factor: float  # pairs of fewer turns in the length before: fully
    high_freq_factor: float  # pairs of more turns: not at all; between: linear
    original_max_position_embeddings: int  # the length before
    rope_type: str = "llama3"

    def _check(self) -> None:
        low, high = self.low_freq_factor, self.high_freq_factor
        checks.one_of(("llama3",), rope_type=self.rope_type)
        checks.at_least(1, **_of(self, "factor", "original_max_position_embeddings"))
        checks.positive(low_freq_factor=low)
        wanted = "low_freq_factor, high_freq_factor: expected the second to be larger"
        checks.require(high > low, f"{wanted}, got {low}, {high}")


@dataclass(frozen=True)
class DecoderConfig(checks.Record):
    """Sizes of a decoder, under the names of Hugging Face's `config.json`.

    Of the three, Qwen2 adds a bias to queries, keys and values, and Qwen3 normalises
    queries and keys; Llama does neither.
    """

    vocab_size: int  # V, number of tokens
    hidden_size: int = 128  # D, width
    num_hidden_layers: int = 4  # blocks
    num_attention_heads: int = 4  # H, of queries
    num_key_value_heads: int = 2  # J, of keys and values; divides H
    head_dim: int = 32  # K, width of a head, even; H K need not be D, but in a Llama
    intermediate_size: int = 384  # width inside the MLP
    max_position_embeddings: int = 128  # longest sequence
    rms_norm_eps: float = 1e-6
    rope_theta: float = 10000.0  # the larger, the slower the positions turn
    tie_word_embeddings: bool = True  # one table reads tokens and predicts them
    model_type: str = "qwen3"  # DECODERS
    pad_token_id: int | None = None
    bos_token_id: int | None = None
    eos_token_id: int | None = None
    rope_scaling: RopeScaling | None = None  # a Llama 3.1's

    def _check(self) -> None:
        special = _of(self, "pad_token_id", "bos_token_id", "eos_token_id")
        sizes = {n: v for n, v in vars(self).items() if n not in special}
        scaling = f"rope_scaling: expected a RopeScaling, got {self.rope_scaling!r}"
        checks.require(isinstance(self.rope_scaling, RopeScaling | None), scaling)
        checks.one_of(DECODERS, model_type=sizes.pop("model_type"))
        checks.positive(rope_theta=self.rope_theta, rms_norm_eps=self.rms_norm_eps)
        checks.at_least(1, **{n: v for n, v in sizes.items() if type(v) is int})
        heads, shared = self.num_attention_heads, _of(self, "num_key_value_heads")
        checks.divisor(heads, "num_attention_heads", **shared)
        if self.model_type == "llama":  # as transformers demands
            checks.divisor(self.hidden_size, "hidden_size", num_attention_heads=heads)
        even = f"head_dim: expected an even number, got {self.head_dim}"
        checks.require(self.head_dim % 2 == 0, even)
        checks.token_id(self.vocab_size, **special)

    def frequencies(self) -> np.ndarray:
        """Radians by which each pair of a head's numbers turns a token, (K / 2,)."""
        plain = self.rope_theta ** -(np.arange(0, self.head_dim, 2) / self.head_dim)
        if (scaling := self.rope_scaling) is None:
            return plain
        turns = scaling.original_max_position_embeddings * plain / (2 * np.pi)
        low, high = scaling.low_freq_factor, scaling.high_freq_factor
        kept = np.clip((turns - low) / (high - low), 0, 1)
        return plain * (kept + (1 - kept) / scaling.factor)


@dataclass(frozen=True)
class BERTConfig(checks.Record):
    """Sizes of a BERT, under the names of Hugging Face's `config.json`."""

    model_type = "bert"
    vocab_size: int  # V, number of tokens
    hidden_size: int = 128  # D, width
    num_hidden_layers: int = 4  # blocks
    num_attention_heads: int = 4  # divides hidden_size
    intermediate_size: int = 512  # width inside the MLP
    max_position_embeddings: int = 128  # longest sequence
    type_vocab_size: int = 2  # kinds of segment
    layer_norm_eps: float = 1e-12
    pad_token_id: int | None = 0
    head: str = "masked"  # what is predicted, BERT_HEADS
    num_labels: int = 2  # C, classes of the heads "sequence" and "token"

    def _check(self) -> None:
        sizes = {n: v for n, v in vars(self).items() if n != "pad_token_id"}
        checks.at_least(1, **{n: v for n, v in sizes.items() if isinstance(v, int)})
        heads = _of(self, "num_attention_heads")
        checks.divisor(self.hidden_size, "hidden_size", **heads)
        checks.positive(layer_norm_eps=self.layer_norm_eps)
        checks.token_id(self.vocab_size, pad_token_id=self.pad_token_id)
        checks.one_of(BERT_HEADS, head=self.head)


def _of(record: checks.Record, *names: str) -> dict[str, Any]:
    """Some attributes by name, as the functions of `checks` take them."""
    return {name: getattr(record, name) for name in names}
