"""Document 004's instant reward, and the update that its section 5.4 promises."""

from typing import Any

import numpy as np

from core.documents import begin, guide
from core.tf import pretrained, rewards, rollout, trainers

model: Any = None  # `main` sets all three
tokenizer: Any = None
instant: Any = None


def reward_function(text: str) -> np.floating:
    """Half the mean coherence, half the mean grammar of the text's tokens."""
    coherence_score, grammar_score = map(np.mean, instant.of_text(text))
    return coherence_score * 0.5 + grammar_score * 0.5


def main(directory: str, grammar: str) -> None:
    """A GPT of a directory that loops, judged with a grammar's file, and updated."""
    global model, tokenizer, instant
    model, tokenizer, instant = begin(directory, grammar, pretrained, rewards, trainers)
    guide(model, instant, reward_function, rollout, trainers)
