"""The settings of the trainings, and the sizes of the models."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields

import numpy as np

from core import checks
from core.advantages import BatchMean, unwrapped
from core.algorithms import Algorithm, Plain

BERT_HEADS = ("masked", "sequence", "token")
DECAYS = ("none", "cosine")


@dataclass(frozen=True)
class PolicyGradientConfig:
    """Settings of a policy-gradient training; each field in one line."""

    algorithm: Algorithm = Algorithm()  # its four records; REINFORCE
    steps: int = 200  # updates of the policy
    batch_size: int = 128  # completions sampled for each update
    per_prompt: int = 1  # of them for each prompt, where nothing is grouped
    learning_rate: float = 3e-3  # Adam's, after the warm-up
    warmup_steps: int = 20  # the rate grows linearly over these updates
    decay: str = "none"  # of the rate after the warm-up, DECAYS
    max_grad_norm: float = 1.0  # the gradient is scaled down to this norm
    gamma: float = 1.0  # discount per token, in [0, 1]
    epochs: int = 1  # passes over each batch, with a ratio
    minibatches: int = 1  # updates in each pass
    entropy_coef: float = 0.0  # alpha, weight of the entropy bonus (nats)
    entropy_final: float | None = None  # alpha at the last step (linear)
    temperature: float = 1.0  # of the sampled distribution, > 0
    resample: int = 0  # draws that replace groups of equal returns
    buffer_batches: int = 0  # past batches kept in the experience buffer
    reuse: int = 0  # extra updates per step, on batches from the buffer
    seed: int = 0  # of the generator that draws prompts and noise

    def __post_init__(self):
        _plain_numbers(self)
        _unit_interval(self, "gamma")
        _positive(self, "temperature", "learning_rate", "max_grad_norm")
        _at_least_one(
            self, "steps", "batch_size", "per_prompt", "epochs", "minibatches"
        )
        _not_negative(
            self,
            "warmup_steps",
            "buffer_batches",
            "reuse",
            "entropy_coef",
            "entropy_final",
            "seed",
            "resample",
        )
        if not isinstance(self.algorithm, Algorithm):
            raise ValueError(
                f"algorithm: expected an Algorithm, got {type(self.algorithm).__name__}"
            )
        checks.one_of(DECAYS, decay=self.decay)
        self._check_batch()
        self._check_passes()

    @property
    def group_size(self):
        """Completions of each prompt, one after the other."""
        return max(self.algorithm.advantage.size, self.per_prompt)

    def _check_batch(self):
        """Rows and groups must fit the algorithm."""
        advantage = unwrapped(self.algorithm.advantage)
        if advantage.size > 1 and self.per_prompt > 1:
            raise ValueError(
                "per_prompt: expected 1, as the advantage has groups of "
                f"{advantage.size}, got {self.per_prompt}"
            )
        if isinstance(advantage, BatchMean):
            checks.at_least(2, batch_size=self.batch_size)
        for name in ("group_size", "minibatches"):
            if self.batch_size % getattr(self, name):
                raise ValueError(
                    f"batch_size: expected a multiple of {name} "
                    f"{getattr(self, name)}, got {self.batch_size}"
                )
        if self.resample and advantage.size == 1:
            raise ValueError(
                f"resample: expected 0 without groups, got {self.resample}"
            )

    def _check_passes(self):
        """Only a ratio makes up for rows that an older policy drew."""
        algorithm = self.algorithm
        plain = isinstance(algorithm.surrogate, Plain)
        if self.epochs * self.minibatches > 1 and plain:
            raise ValueError(
                "surrogate: expected a clipped one where a batch is used for "
                "more than one update (epochs, minibatches), got Plain"
            )
        if not self.reuse:
            return
        if not self.buffer_batches:
            raise ValueError("reuse: expected buffer_batches of at least 1")
        for what, found in (
            ("with a ratio", not plain),
            ("with a pull", algorithm.pull is not None),
            ("with groups", algorithm.advantage.size > 1),  # rows are drawn
        ):
            if found:
                raise ValueError(f"reuse: expected 0 {what}, got {self.reuse}")

    def alpha(self, step):
        """Entropy weight at `step` (0-based): linear to `entropy_final`."""
        if self.entropy_final is None or self.steps < 2:
            return self.entropy_coef
        done = min(step / (self.steps - 1), 1.0)
        return self.entropy_coef + done * (self.entropy_final - self.entropy_coef)

    def rate(self, step):
        """Learning rate at `step` (0-based): linear warm-up, then decay.

        "cosine" falls to zero after the last of `steps` updates.
        """
        return _rate(self, step)

    def as_dict(self):
        """The settings as a dict, for a checkpoint."""
        return asdict(self) | {"algorithm": self.algorithm.as_dict()}


@dataclass(frozen=True)
class DQNConfig:
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
    learning_rate: float = 3e-3  # Adam's, after the warm-up
    warmup_steps: int = 20  # the rate grows linearly over these steps
    max_grad_norm: float = 10.0  # the gradient is scaled down to this norm
    gamma: float = 1.0  # discount per token, in [0, 1]
    seed: int = 0  # of the generator that draws prompts and noise

    def __post_init__(self):
        _plain_numbers(self)
        _at_least_one(
            self, "steps", "batch_size", "updates", "buffer_batches", "target_every"
        )
        _unit_interval(self, "gamma", "epsilon", "epsilon_final")
        _positive(self, "learning_rate", "max_grad_norm")
        _not_negative(self, "alpha", "warmup_steps", "seed")
        if self.alpha and self.double:
            raise ValueError(
                f"double: expected False with alpha {self.alpha}, whose maximum is soft"
            )

    def exploration(self, step):
        """Share of random tokens at `step` (0-based); None with alpha."""
        if self.alpha:
            return None
        done = min(step / max(self.steps - 1, 1), 1.0)
        return self.epsilon + done * (self.epsilon_final - self.epsilon)

    def rate(self, step):
        """Learning rate at `step` (0-based): linear warm-up, constant."""
        share = min(1, (step + 1) / (self.warmup_steps + 1))
        return self.learning_rate * share

    def as_dict(self):
        """The settings as a dict, for a checkpoint."""
        return asdict(self)


@dataclass(frozen=True)
class GPTConfig:
    """Sizes of a GPT, under the names of Hugging Face's `config.json`."""

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

    def __post_init__(self):
        _at_least_one(
            self, "vocab_size", "n_positions", "n_embd", "n_layer", "n_head", "n_inner"
        )
        _divides(self, "n_head", "n_embd")


@dataclass(frozen=True)
class BERTConfig:
    """Sizes of a BERT, under the names of Hugging Face's `config.json`."""

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

    def __post_init__(self):
        _at_least_one(
            self,
            "vocab_size",
            "hidden_size",
            "num_hidden_layers",
            "num_attention_heads",
            "intermediate_size",
            "max_position_embeddings",
            "type_vocab_size",
            "num_labels",
        )
        _divides(self, "num_attention_heads", "hidden_size")
        if self.head not in BERT_HEADS:
            raise ValueError(f"head: expected one of {BERT_HEADS}, got {self.head!r}")


@dataclass(frozen=True)
class SupervisedConfig:
    """Settings of a training on given targets; each field in one line."""

    steps: int = 1000  # updates in all, over which the rate decays
    learning_rate: float = 1e-3  # Adam's, after the warm-up
    warmup_steps: int = 20  # the rate grows linearly over these updates
    decay: str = "cosine"  # of the rate after the warm-up, DECAYS
    weight_decay: float = 0.0  # matrices shrink by rate × this, per update
    max_grad_norm: float = 1.0  # the gradient is scaled down to this norm

    def __post_init__(self):
        _plain_numbers(self)
        _positive(self, "learning_rate", "max_grad_norm")
        _at_least_one(self, "steps")
        _not_negative(self, "warmup_steps", "weight_decay")
        if self.decay not in DECAYS:
            raise ValueError(f"decay: expected one of {DECAYS}, got {self.decay!r}")

    def rate(self, step):
        """Learning rate at `step` (0-based): linear warm-up, then decay.

        "cosine" falls to zero after the last of `steps` updates.
        """
        return _rate(self, step)

    def as_dict(self):
        """The settings as a dict, for a checkpoint."""
        return asdict(self)


def _rate(config, step):
    share = min(1, (step + 1) / (config.warmup_steps + 1))
    if config.decay == "cosine" and step >= config.warmup_steps:
        left = max(config.steps - config.warmup_steps, 1)
        done = min((step - config.warmup_steps) / left, 1)
        share = 0.5 * (1 + np.cos(np.pi * done))
    return float(config.learning_rate * share)


def _plain_numbers(config):
    """NumPy's numbers to Python's, which JSON keeps; all must be finite."""
    for field in fields(config):
        value = getattr(config, field.name)
        if isinstance(value, np.generic):
            object.__setattr__(config, field.name, value.item())
        if isinstance(value, float) and not np.isfinite(value):
            raise ValueError(f"{field.name}: expected a finite number, got {value}")


def _unit_interval(config, *names):
    for name in names:
        value = getattr(config, name)
        if not 0 <= value <= 1:
            raise ValueError(f"{name}: expected a number in [0, 1], got {value}")


def _positive(config, *names):
    for name in names:
        value = getattr(config, name)
        if not value > 0:
            raise ValueError(f"{name}: expected a positive number, got {value}")


def _not_negative(config, *names):
    for name in names:
        value = getattr(config, name)
        if value is not None and value < 0:
            raise ValueError(f"{name}: expected at least 0, got {value}")


def _at_least_one(config, *names):
    for name in names:
        value = getattr(config, name)
        if value is not None and value < 1:
            raise ValueError(f"{name}: expected at least 1, got {value}")


def _divides(config, heads, width):
    if getattr(config, width) % getattr(config, heads):
        raise ValueError(
            f"{heads}: expected a divisor of {width} "
            f"{getattr(config, width)}, got {getattr(config, heads)}"
        )
