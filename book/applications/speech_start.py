"""Train the networks of the chapter on speech again: `make models`.

The start reads and writes with the texts of the quiet recordings alone.  The
spotter of words hears the quiet ones and half of the noisy ones, and of their
texts it is told which words occur, not in which order.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from applications import metrics, speech
from applications.speech_pt import SpeechPolicy, WordSpotter
from core import pretraining
from core.pt import checkpoints
from core.pt.rollout import rollout
from core.pt.trainers import SupervisedTrainer

FOLDER = Path(__file__).resolve().parents[1] / "models" / "speech"
CARD = """---
license: mit
---
# The networks of the chapter on speech

Made by `make models` (`book/applications/speech_start.py`) from the
recordings in `book/data/speech`; `book/applications/speech.py` has the
tokenizer.

- **Architecture**: `start.safetensors`, a `SpeechPolicy`: windows of 8
  frames, an LSTM from each end, a decoder with attention,
  {width} wide; {start:,} parameters.  `spotter.safetensors`, a
  `WordSpotter`: windows of 14 frames and one hidden layer; {spotter:,}
  parameters.
- **Data**: the start was trained on the {quiet:,} quiet training recordings
  (signal-to-noise ratio of at least 20 dB) with their texts; the spotter on
  the same and on {tagged:,} of the {noisy:,} noisy ones, with the set of
  their words.
- **Training**: cross-entropy; the start {steps} steps of Adam on
  {batch} recordings, the spotter {spotter_steps} steps on twice as many.
- **Evaluation**: word error rate of the start on the {held_out} held-out
  recordings {wer:.1%}: {levels}.
- **Limits**: {words} words of synthetic speech; noise that the start
  has never heard in training is what the chapter is about.
- **Licence**: MIT, as the book.
"""


def main():
    """Train both, measure the start and write the folder."""
    frames, size = speech.frames(), len(speech.tokenizer())
    parts = {
        part: speech.environment("train", part=part)
        for part in ("quiet", "noisy", "tagged")
    }
    rng = np.random.default_rng(0)
    policy = SpeechPolicy(size, frames, **speech.MODEL)
    SupervisedTrainer(policy, speech.SUPERVISED).train(
        pretraining.answers(parts["quiet"], speech.BATCH_SIZE, rng)
    )
    spotter = WordSpotter(size, frames, **speech.SPOTTER)
    SupervisedTrainer(spotter, speech.SPOTTER_SUPERVISED).train(
        both(
            *(
                speech.tags(parts[part], speech.BATCH_SIZE, rng)
                for part in ("quiet", "tagged")
            )
        )
    )
    FOLDER.mkdir(exist_ok=True)
    checkpoints.save_model(FOLDER / "start.safetensors", policy)
    checkpoints.save_model(FOLDER / "spotter.safetensors", spotter)
    result = evaluation(policy)
    print("speech", json.dumps(result))
    (FOLDER / "evaluation.json").write_text(json.dumps(result, indent=2) + "\n")
    counts = {part: len(env) for part, env in parts.items()}
    (FOLDER / "README.md").write_text(
        CARD.format(
            **counts,
            start=parameters(policy),
            spotter=parameters(spotter),
            width=speech.MODEL["hidden_dim"],
            steps=speech.SUPERVISED.steps,
            spotter_steps=speech.SPOTTER_SUPERVISED.steps,
            words=size - 3,
            batch=speech.BATCH_SIZE,
            wer=result["wer"],
            held_out=result["held_out"],
            levels=", ".join(
                f"{wer:.0%} at {level} dB"
                for level, wer in result["wer by level"].items()
            ),
        ),
        encoding="utf-8",
    )


def both(left, right):
    """The rows of two iterables of batches together."""
    for (x, y, m), (x2, y2, m2) in zip(left, right):
        inputs = tuple(map(np.concatenate, zip(x, x2)))
        yield inputs, np.concatenate([y, y2]), np.concatenate([m, m2])


def evaluation(policy):
    """What evaluation.json keeps: held-out word error rates."""
    env, about = speech.environment("test"), speech.recordings("test")[1]
    batch = rollout(policy, env, np.arange(len(env)))
    texts, wanted = env.texts(batch.completions), env.targets_text(batch.rows)

    def error(level=None):
        kept = [i for i, row in enumerate(about) if level in (None, row["snr"])]
        return metrics.corpus_word_error_rate(
            [texts[i] for i in kept], [wanted[i] for i in kept]
        )

    return {
        "held_out": len(env),
        "wer": round(error(), 4),
        "wer by level": {str(s): round(error(s), 4) for s in speech.LEVELS},
    }


def parameters(model):
    """How many numbers are trained."""
    return sum(p.size for p in checkpoints.get_weights(model).values())


if __name__ == "__main__":
    main()
