"""Document 002's classifier, trained and evaluated as its section 3 asks."""

from typing import Any

import torch

from core.documents import evaluate, fine_tuned
from core.pretraining import padded_rows
from core.pt import pretrained, trainers

tokenizer: Any = None  # `main` sets both
model: Any = None


@torch.no_grad()
def classify_text(text: str) -> int | float:
    """1 where a review is for, 0 where it is against."""
    inputs = padded_rows(tokenizer, [text])
    logits = model(*map(torch.tensor, inputs))
    return torch.argmax(logits, dim=1).item()


def main(directory: str) -> None:
    """Train the BERT of a directory, evaluate it, and label two texts."""
    global tokenizer, model
    tokenizer, model = fine_tuned(directory, pretrained, trainers)
    evaluate(classify_text)
