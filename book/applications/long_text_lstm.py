"""Train the LSTM of the chapter on long text again: `make models`.

It reads whole stories of one to four chunks and writes their last note.  The
two GPTs of the chapter are made by `starters.py`.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from applications import long_text
from core.pt import checkpoints
from core.pt.models import LSTMPolicy
from core.pt.rollout import rollout
from core.pt.trainers import SupervisedTrainer

FOLDER = Path(__file__).resolve().parents[1] / "models" / "long_text_lstm"
LENGTHS = 1, 4, 16  # chunks of the held-out stories
CARD = """---
license: mit
---
# The LSTM of the chapter on long text

Made by `make models` (`book/applications/long_text_lstm.py`) from
`book/applications/long_text.py`, whose `tokenizer()` it needs.

- **Architecture**: `LSTMPolicy`, {hidden_dim} wide, embedding {embedding_dim}
  wide; {parameters:,} parameters.
- **Data**: whole stories of one to {longest} chunks, answers included, 1,500
  of each length.
- **Training**: the answers' tokens, cross-entropy; {batch} rows of one length
  a batch, {steps:,} steps of Adam, learning rate {rate} with warm-up, decay:
  {decay}.
- **Evaluation**: exact answers of {held_out:,} held-out stories of each
  length (most probable tokens), by number of chunks: {exact}.
- **Limits**: it knows this one task.
- **Licence**: MIT, as the book.
"""


def main():
    """Train it, measure it and write its folder."""
    policy = LSTMPolicy(len(long_text.tokenizer()), **long_text.LSTM)
    batches = long_text.of_one_length(np.random.default_rng(0))
    settings = long_text.LSTM_SUPERVISED
    SupervisedTrainer(policy, settings).train(batches)
    FOLDER.mkdir(exist_ok=True)
    checkpoints.save_model(FOLDER / "model.safetensors", policy)
    result = evaluation(policy)
    print("long_text_lstm", json.dumps(result))
    (FOLDER / "evaluation.json").write_text(json.dumps(result, indent=2) + "\n")
    weights = checkpoints.get_weights(policy).values()
    (FOLDER / "README.md").write_text(
        CARD.format(
            **long_text.LSTM,
            parameters=sum(w.size for w in weights),
            longest=long_text.LONGEST,
            batch=long_text.BATCH_SIZE,
            steps=settings.steps,
            rate=settings.learning_rate,
            decay=settings.decay,
            held_out=result["held_out"],
            exact=", ".join(
                f"{n}: {share:.1%}" for n, share in result["exact"].items()
            ),
        ),
        encoding="utf-8",
    )


def evaluation(policy):
    """What evaluation.json keeps: the share of exact answers by length."""
    exact = {}
    for n in LENGTHS:
        env = long_text.whole_environment("test", [n], each=500)
        batch = rollout(policy, env, np.arange(len(env)))
        exact[str(n)] = float(batch.rewards.sum(axis=1).mean())
    return {"held_out": len(env), "exact": exact}


if __name__ == "__main__":
    main()
