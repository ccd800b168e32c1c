"""Document 002's classifier, trained and evaluated as its section 3 asks."""

from typing import Any

import tensorflow as tf

from core.documents import evaluate, fine_tuned
from core.pretraining import padded_rows
from core.tf import pretrained, trainers

tokenizer: Any = None  # `main` sets both
model: Any = None


def classify_text(text: str) -> int:
    """1 where a review is for, 0 where it is against."""
    inputs = padded_rows(tokenizer, [text])
    logits = model(*map(tf.constant, inputs))
    return int(tf.argmax(logits, axis=1)[0])


def main(directory: str) -> None:
    """Train the BERT of a directory, evaluate it, and label two texts."""
    global tokenizer, model
    tokenizer, model = fine_tuned(directory, pretrained, trainers)
    evaluate(classify_text)
