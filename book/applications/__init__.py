"""What one chapter alone needs, and what only the applications share.

One module an application has its data, tokenizer, environment and settings.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from core.settings import SupervisedConfig


@dataclass(frozen=True)
class Start:
    """What a supervised start learns from, and how it is trained.

    environment: function from a split to a BatchedEnvironment.
    model: sizes of the GPT, fields of GPTConfig.
    supervised: settings of its training.
    batch_size: rows of a batch.
    split: the one whose answers it sees.
    """

    environment: Callable
    model: dict
    supervised: SupervisedConfig
    batch_size: int
    split: str = "train"
