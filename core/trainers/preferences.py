"""The trainers on judgements of texts without their gradients: reward models from
preferences or from labels of single steps, and policies from preferences alone (DPO).

B pairs or completions, P prompt length, T completion length.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from core import checks
from core.sampling import checked_texts
from core.settings import SupervisedConfig
from core.trainers.supervised import SupervisedTrainer
from core.types import REWARD_LEVELS, Preferences

DPO_LOSSES = ("dpo", "ipo", "tdpo")


class PreferenceTrainer(SupervisedTrainer):
    """What the trainers on pairs share; a subclass says what the loss is."""

    def step(self, pairs: Preferences) -> dict:
        """One step on a batch; returns its metrics.

        Args:
            pairs: `core.types.Preferences`; `train` takes an iterable of them.
        Raises: ValueError for an unknown id or no pair; as `SupervisedTrainer.step`.
        """
        return self._step(*self._batch(pairs))

    def evaluate(self, pairs: Preferences) -> dict:
        """The metrics of pairs that are not trained on; ValueError as `step`."""
        loss, metrics = self._frozen(*self._batch(pairs))
        return {n: float(value) for n, value in ({"loss": loss} | metrics).items()}

    def _take(self, turn: Any) -> dict:
        return self.step(turn)

    def _batch(self, pairs: Preferences) -> list:
        """Tensors: prompts (B, P), texts and mask (2B, T), prompt mask.

        The chosen and the rejected text are a group of two of their prompt.
        """
        found = f"got {type(pairs).__name__}"
        wanted = f"pairs: expected Preferences of at least one pair, {found}"
        checks.require(isinstance(pairs, Preferences) and len(pairs), wanted)
        mask = _interleaved(pairs.chosen_mask, pairs.rejected_mask)
        texts = _interleaved(pairs.chosen, pairs.rejected)
        rest = texts, mask, pairs.prompt_mask
        return checked_texts(self._tensor, self.model, pairs.prompts, *rest)


class RewardModelTrainer(PreferenceTrainer):
    """Bradley-Terry: the chosen text's score should exceed the other's.

    Args:
        model: a policy, whose value head is the reward; its logits are left alone.
        level: one of `core.types.REWARD_LEVELS`, as for `sequence_scores`.
    Attributes:
        history: as `SupervisedTrainer`, "loss" in nats/pair, and "accuracy" (share of
            pairs whose chosen text scores higher), "margin" (mean lead of its score).
    Source: Christiano et al. 2017, arXiv:1706.03741; Ouyang et al. 2022,
        arXiv:2203.02155.
    """

    def __init__(self, model: Any, config: SupervisedConfig, level="sequence") -> None:
        checks.one_of(REWARD_LEVELS, level=level)
        super().__init__(model, config)
        self.level = level

    def _settings(self) -> dict:
        return super()._settings() | {"level": self.level}


class ProcessRewardTrainer(SupervisedTrainer):
    """A reward model that says after each step whether the text is right.

    `train` and `evaluate` take an iterable of tuples as for `step`.

    Args:
        model: a policy, whose value head is the logit of "right"; its own logits are
            left alone.
    Attributes:
        history: as `SupervisedTrainer`, "loss" in nats/label, and "accuracy", the share
            of labels on whose side of 1/2 σ(score) lies.
    Source: Lightman et al. 2023, arXiv:2305.20050.
    """

    def step(self, prompts, completions, mask, labels, prompt_mask=None) -> dict:
        """One step on a batch; returns its metrics.

        Args:
            prompts: (N, P) int.
            completions: (B, T) int; row i answers prompt i // (B / N).
            mask: (B, T), 1 where a label counts: on every token, or a step's last.
            labels: (B, T) in [0, 1]; anything where the mask is 0.
            prompt_mask: (N, P), 0 on padding at the left; None: no padding.
        Raises: ValueError where shapes differ, an id or a label is outside its range,
            or nothing counts; FloatingPointError as `SupervisedTrainer.step`.
        """
        return self._step(*self._batch(prompts, completions, mask, labels, prompt_mask))

    def _batch(self, prompts, completions, mask, labels, prompt_mask=None):
        texts = prompts, completions, mask, prompt_mask
        texts = checked_texts(self._tensor, self.model, *texts)
        checks.shape(np.shape(completions), "completions", labels=labels)
        checks.require(np.any(mask), "mask: expected zeros and ones, at least one 1")
        labels = np.where(np.asarray(mask) > 0, checks.floats("labels", labels), 0.0)
        within = ((labels >= 0) & (labels <= 1)).all()
        checks.require(within, "labels: expected numbers in [0, 1]")
        return *texts, self._tensor(labels)


class DPOTrainer(PreferenceTrainer):
    """Direct preference optimisation: no reward model, no sampling.

    The policy's own `implicit_rewards` against the frozen reference take the place of
    the reward model's scores.

    Args:
        policy: a policy of the same framework's `models`.
        reference: π_ref, another of the same vocabulary, often a copy of the policy
            before training; it is frozen, and a checkpoint does not hold it.
        beta: > 0, reward per nat; with "ipo" per nat.
        loss: "dpo", "ipo" or "tdpo", of `preferences`.
        label_smoothing: of "dpo" alone.
        alpha: of "tdpo" alone; at 0 that is "dpo".
    Attributes:
        history: as `SupervisedTrainer`, and "accuracy" (share of pairs whose chosen
            text has the higher implicit reward), "margin" (mean lead of that reward),
            "chosen", "rejected" (mean log π/π_ref of these texts, nats).
    Raises: ValueError for a setting that the loss does not read.
    Source: Rafailov et al. 2023, arXiv:2305.18290.
    """

    def __init__(
        self,
        policy: Any,
        reference: Any,
        config: SupervisedConfig,
        beta: float,
        loss: str = "dpo",
        label_smoothing: float = 0.0,
        alpha: float = 0.0,
    ) -> None:
        _check_settings(beta, loss, label_smoothing, alpha)
        wanted = "reference: expected a copy, got the policy"
        checks.require(reference is not policy, wanted)
        wanted, found = policy.vocab_size, reference.vocab_size
        wanted = f"reference: expected the policy's {wanted} tokens, got {found}"
        checks.require(found == policy.vocab_size, wanted)
        super().__init__(policy, config)
        self.reference, self.beta, self.loss = reference, beta, loss
        self.label_smoothing, self.alpha = label_smoothing, alpha

    def _settings(self) -> dict:
        numbers = ("beta", "label_smoothing", "alpha")
        numbers = {name: float(getattr(self, name)) for name in numbers}
        return super()._settings() | {"loss": self.loss, **numbers}

    def _objective(self, losses: Any, rows: tuple, drifts: Callable):
        """The loss of log-probabilities (B,), chosen, rejected and ref.

        losses: the half's module of them; drifts: for "tdpo", () to the KL of chosen
        and rejected texts.
        """
        if self.loss == "dpo":
            return losses.dpo_loss(*rows, self.beta, self.label_smoothing)
        if self.loss == "ipo":
            return losses.ipo_loss(*rows, self.beta)
        return losses.tdpo_loss(*rows, *drifts(), self.beta, self.alpha)


def _check_settings(beta: float, loss: str, smoothing: float, alpha: float) -> None:
    """ValueError unless the loss exists and reads what is set."""
    checks.one_of(DPO_LOSSES, loss=loss)
    checks.positive(beta=beta)
    checks.finite(label_smoothing=smoothing, alpha=alpha)
    checks.at_least(0, label_smoothing=smoothing, alpha=alpha)
    holds = smoothing < 0.5 and (not smoothing or loss == "dpo")
    wanted = 'label_smoothing: expected a number in [0, 0.5), 0 without "dpo"'
    checks.require(holds, f"{wanted}, got {smoothing} with {loss!r}")
    wanted = 'alpha: expected at least 0, 0 without "tdpo"'
    checks.require(not alpha or loss == "tdpo", f"{wanted}, got {alpha} with {loss!r}")


def _interleaved(chosen, rejected):
    """Row 2i is chosen, row 2i + 1 rejected: (2B, T) of twice (B, T)."""
    return np.stack([chosen, rejected], axis=1).reshape(-1, chosen.shape[1])
