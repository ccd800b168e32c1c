"""The records that pass between the modules: a batch of sampled completions,
the settings of the trainings, and the sizes of the models.

B batch, P prompt length, T completion length, V vocabulary.  Arrays here are
NumPy: they are constants to the optimizer, and both frameworks read them.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields

import numpy as np

RETURNS = ("to_go", "total")
GROUP_BASELINES = (
    "group_leave_one_out", "group", "group_scaled", "group_risk",
)
BASELINES = (
    "none", "mean", "leave_one_out", "greedy", "learned", "critic",
    *GROUP_BASELINES,
)
RATIOS = ("token", "sequence", "length_normalised")
CLIPS = ("objective", "weight")
KLS = ("none", "k1", "k2", "k3")
AGGREGATIONS = ("sequence_sum", "sequence_mean", "token_mean", "constant")
BERT_HEADS = ("masked", "sequence", "token")
DECAYS = ("none", "cosine")
REWARD_LEVELS = ("sequence", "token")


@dataclass
class Rollout:
    """B completions sampled from one policy, with their token rewards.

    prompts: (B, P) int64, token ids; one length per batch.
    completions: (B, T) int64, `pad_id` after the first EOS.
    mask: (B, T) float, 1 up to and including the first EOS, then 0.
    logprobs: (B, T) float, nats: log-probabilities under the distribution
        that was sampled (temperature included); 0 where mask is 0.
    rewards: (B, T) float; 0 where mask is 0.
    terminated: (B,) bool, False where the length limit cut the text off
        before the end that the task asks for.
    rows: (B,) int64, which prompt of the environment each row answers.
    prompt_mask: (B, P) float, 0 on padding at the left; default all ones.
    """

    prompts: np.ndarray
    completions: np.ndarray
    mask: np.ndarray
    logprobs: np.ndarray
    rewards: np.ndarray
    terminated: np.ndarray
    rows: np.ndarray
    prompt_mask: np.ndarray | None = None

    def __post_init__(self):
        shape = np.shape(self.completions)
        if self.prompt_mask is None:
            self.prompt_mask = np.ones(np.shape(self.prompts))
        if len(shape) != 2:
            raise ValueError(f"completions: expected (B, T), got {shape}")
        for name in ("mask", "logprobs", "rewards"):
            value = np.asarray(getattr(self, name))
            if value.shape != shape:
                raise ValueError(
                    f"{name}: expected the shape of completions {shape}, "
                    f"got {value.shape}"
                )
            if not np.isfinite(value).all():
                raise ValueError(f"{name}: expected finite numbers")
        if np.shape(self.prompt_mask) != np.shape(self.prompts):
            raise ValueError(
                "prompt_mask: expected the shape of prompts "
                f"{np.shape(self.prompts)}, got {np.shape(self.prompt_mask)}"
            )
        for name in ("prompts", "terminated", "rows"):
            if len(getattr(self, name)) != shape[0]:
                raise ValueError(
                    f"{name}: expected {shape[0]} rows, "
                    f"got {len(getattr(self, name))}"
                )
        mask = np.asarray(self.mask)
        if not (np.isin(mask, (0, 1)).all() and (np.diff(mask) <= 0).all()):
            raise ValueError("mask: expected ones and then zeros")
        if not mask.any(axis=1).all():
            raise ValueError("mask: every row needs at least one token")

    def __len__(self):
        return len(self.completions)

    def take(self, index):
        """The rows `index` (any NumPy index over B) as a new Rollout."""
        return Rollout(*(getattr(self, f.name)[index] for f in fields(self)))

    @staticmethod
    def concatenate(rollouts):
        """Rollouts of equal P and T, one after the other."""
        return Rollout(
            *(
                np.concatenate([getattr(r, f.name) for r in rollouts])
                for f in fields(Rollout)
            )
        )


@dataclass
class Preferences:
    """B pairs of completions, each of one prompt, the better one first.

    prompts: (B, P) int64.
    chosen, rejected: (B, T) int64; what follows the first EOS is not read.
    chosen_mask, rejected_mask: (B, T) float, 1 up to and including the first
        EOS, then 0.
    prompt_mask: (B, P) float, 0 on padding at the left; default all ones.
    Raises: ValueError where shapes differ or a text has no token.
    """

    prompts: np.ndarray
    chosen: np.ndarray
    chosen_mask: np.ndarray
    rejected: np.ndarray
    rejected_mask: np.ndarray
    prompt_mask: np.ndarray | None = None

    def __post_init__(self):
        shape, before = np.shape(self.chosen), np.shape(self.prompts)
        if self.prompt_mask is None:
            self.prompt_mask = np.ones(before)
        if len(shape) != 2:
            raise ValueError(f"chosen: expected (B, T), got {shape}")
        if len(before) != 2 or before[0] != shape[0]:
            raise ValueError(
                f"prompts: expected ({shape[0]}, P), got {before}"
            )
        for name, expected in (
            ("chosen_mask", shape), ("rejected", shape),
            ("rejected_mask", shape), ("prompt_mask", before),
        ):
            if np.shape(getattr(self, name)) != expected:
                raise ValueError(
                    f"{name}: expected the shape {expected}, "
                    f"got {np.shape(getattr(self, name))}"
                )
        for name in ("chosen_mask", "rejected_mask"):
            mask = np.asarray(getattr(self, name))
            ones = np.isin(mask, (0, 1)).all() and mask.any(axis=1).all()
            if not (ones and (mask[:, 1:] <= mask[:, :-1]).all()):
                raise ValueError(
                    f"{name}: expected ones, at least one, and then zeros"
                )

    def __len__(self):
        return len(self.chosen)

    def take(self, index):
        """The pairs `index` (any NumPy index over B) as new Preferences."""
        return Preferences(
            *(getattr(self, f.name)[index] for f in fields(self))
        )


@dataclass(frozen=True)
class PolicyGradientConfig:
    """Settings of a policy-gradient training; each field in one line."""

    steps: int = 200  # updates of the policy
    batch_size: int = 128  # completions sampled for each update
    group_size: int = 1  # of them for each prompt, one after the other
    learning_rate: float = 3e-3  # Adam's, after the warm-up
    warmup_steps: int = 20  # the rate grows linearly over these updates
    decay: str = "none"  # of the rate after the warm-up, DECAYS
    max_grad_norm: float = 1.0  # the gradient is scaled down to this norm
    gamma: float = 1.0  # discount per token, in [0, 1]
    lam: float = 1.0  # GAE's lambda, used by baseline="critic" alone
    returns: str = "to_go"  # "to_go": rewards from t on; "total": all
    baseline: str = "none"  # what is subtracted from the return, BASELINES
    sharpness: float = 1.0  # used by baseline="group_risk" alone, > 0
    resample: int = 0  # draws that replace groups of equal returns
    whiten: bool = False  # advantages to mean 0, std 1 over the batch
    whiten_rewards: bool = False  # rewards to std 1, their mean is kept
    ratio: str = "none"  # "none": log-probabilities; else RATIOS, with a clip
    clip: str = "objective"  # PPO's; "weight": CISPO's
    clip_low: float = 0.2  # the ratio is clipped at 1 - clip_low
    clip_high: float = 0.2  # and at 1 + clip_high
    aggregation: str = "sequence_sum"  # of the tokens' terms, AGGREGATIONS
    kl: str = "none"  # estimate of KL(π‖π_ref) at each token, KLS
    kl_in: str = "reward"  # "reward": subtracted there; "loss": its gradient
    kl_coef: float = 0.05  # reward per nat
    epochs: int = 1  # passes over each batch, with a ratio
    minibatches: int = 1  # updates in each pass
    value_coef: float = 0.5  # weight of the value or baseline loss
    value_clip: float | None = None  # how far a value may move in a batch
    entropy_coef: float = 0.0  # alpha, weight of the entropy bonus (nats)
    entropy_final: float | None = None  # alpha at the last step (linear)
    temperature: float = 1.0  # of the sampled distribution, > 0
    buffer_batches: int = 0  # past batches kept in the experience buffer
    reuse: int = 0  # extra updates per step, on batches from the buffer
    seed: int = 0  # of the generator that draws prompts and noise

    def __post_init__(self):
        _plain_numbers(self)
        _unit_interval(self, "gamma", "lam")
        _positive(
            self, "temperature", "learning_rate", "max_grad_norm", "sharpness"
        )
        _at_least_one(
            self, "steps", "batch_size", "group_size", "epochs", "minibatches"
        )
        _not_negative(
            self, "warmup_steps", "buffer_batches", "reuse", "entropy_coef",
            "entropy_final", "value_coef", "seed", "clip_low", "clip_high",
            "kl_coef", "resample", "value_clip",
        )
        for name, allowed in (
            ("returns", RETURNS), ("baseline", BASELINES), ("clip", CLIPS),
            ("kl", KLS), ("kl_in", ("reward", "loss")),
            ("ratio", ("none", *RATIOS)), ("aggregation", AGGREGATIONS),
            ("decay", DECAYS),
        ):
            if getattr(self, name) not in allowed:
                raise ValueError(
                    f"{name}: expected one of {allowed}, "
                    f"got {getattr(self, name)!r}"
                )
        if self.reuse and not self.buffer_batches:
            raise ValueError("reuse: expected buffer_batches of at least 1")
        if self.baseline in ("mean", "leave_one_out") and self.batch_size < 2:
            raise ValueError(
                f"batch_size: expected at least 2 for {self.baseline}"
            )
        if self.baseline == "critic" and self.returns != "to_go":
            raise ValueError('returns: expected "to_go" for critic')
        if self.baseline == "greedy" and self.returns != "total":
            raise ValueError('returns: expected "total" for greedy')
        if self.value_clip is not None and self.baseline not in (
            "learned", "critic"
        ):
            raise ValueError(
                'value_clip: expected None without baseline "learned" or '
                f'"critic", got {self.value_clip}'
            )
        if self.resample and self.baseline not in GROUP_BASELINES:
            raise ValueError(
                f"resample: expected 0 without one of {GROUP_BASELINES}, "
                f"got {self.resample}"
            )
        for name in ("group_size", "minibatches"):
            if self.batch_size % getattr(self, name):
                raise ValueError(
                    f"batch_size: expected a multiple of {name} "
                    f"{getattr(self, name)}, got {self.batch_size}"
                )
        if self.epochs * self.minibatches > 1 and self.ratio == "none":
            raise ValueError(
                f"ratio: expected one of {RATIOS} where a batch is used for "
                "more than one update (epochs, minibatches), got 'none'"
            )
        if self.reuse and self.ratio != "none":
            raise ValueError(
                f"reuse: expected 0 with a ratio, got {self.reuse}"
            )
        if self.reuse and self.kl != "none":
            raise ValueError(f"reuse: expected 0 with kl, got {self.reuse}")
        if self.baseline in GROUP_BASELINES:
            if self.group_size < 2:
                raise ValueError(
                    f"group_size: expected at least 2 for {self.baseline}"
                )
            if self.returns != "total":
                raise ValueError(
                    f'returns: expected "total" for {self.baseline}'
                )
            if self.reuse:  # the buffer draws single rows
                raise ValueError(
                    f"reuse: expected 0 for {self.baseline}, got {self.reuse}"
                )

    def alpha(self, step):
        """Entropy weight at `step` (0-based): linear to `entropy_final`."""
        if self.entropy_final is None or self.steps < 2:
            return self.entropy_coef
        done = min(step / (self.steps - 1), 1.0)
        return self.entropy_coef + done * (
            self.entropy_final - self.entropy_coef
        )

    def rate(self, step):
        """Learning rate at `step` (0-based): linear warm-up, then decay.

        "cosine" falls to zero after the last of `steps` updates.
        """
        return _rate(self, step)

    def as_dict(self):
        """The settings as a dict, for a checkpoint."""
        return asdict(self)


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
        _at_least_one(self, "steps", "batch_size", "updates",
                      "buffer_batches", "target_every")
        _unit_interval(self, "gamma", "epsilon", "epsilon_final")
        _positive(self, "learning_rate", "max_grad_norm")
        _not_negative(self, "alpha", "warmup_steps", "seed")
        if self.alpha and self.double:
            raise ValueError(
                f"double: expected False with alpha {self.alpha}, whose "
                "maximum is soft"
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
        _at_least_one(self, "vocab_size", "n_positions", "n_embd", "n_layer",
                      "n_head", "n_inner")
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
            self, "vocab_size", "hidden_size", "num_hidden_layers",
            "num_attention_heads", "intermediate_size",
            "max_position_embeddings", "type_vocab_size", "num_labels",
        )
        _divides(self, "num_attention_heads", "hidden_size")
        if self.head not in BERT_HEADS:
            raise ValueError(
                f"head: expected one of {BERT_HEADS}, got {self.head!r}"
            )


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
            raise ValueError(
                f"decay: expected one of {DECAYS}, got {self.decay!r}"
            )

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
            raise ValueError(
                f"{field.name}: expected a finite number, got {value}"
            )


def _unit_interval(config, *names):
    for name in names:
        value = getattr(config, name)
        if not 0 <= value <= 1:
            raise ValueError(
                f"{name}: expected a number in [0, 1], got {value}"
            )


def _positive(config, *names):
    for name in names:
        value = getattr(config, name)
        if not value > 0:
            raise ValueError(
                f"{name}: expected a positive number, got {value}"
            )


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
