"""Make the supervised starts of the applications again: `make models`.

Each is a small GPT that reads a prompt of an application and predicts its
answer, trained on the application's own training split.  It stops while
there is something left to learn for the chapter's reinforcement learning.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

from applications import (
    Start,
    arithmetic,
    dialogue,
    long_text,
    personal,
    question_answering,
    summarisation,
    translation,
)
from core import pretraining, rewards
from core.pt import pretrained
from core.pt.models import GPT
from core.pt.rollout import rollout
from core.pt.trainers import SupervisedTrainer
from core.settings import GPTConfig

FOLDER = Path(__file__).resolve().parents[1] / "models"
SEED = 0


def start_of(task):
    """The Start of a module with MODEL, SUPERVISED, BATCH_SIZE, and WORKED
    where it sees the answers of another split than "train"."""
    return Start(
        task.environment,
        task.MODEL,
        task.SUPERVISED,
        task.BATCH_SIZE,
        getattr(task, "WORKED", "train"),
    )


STARTS = {
    "arithmetic": start_of(arithmetic),
    "dialogue": start_of(dialogue),
    "long_text": long_text.CHUNKS,
    "long_text_whole": long_text.WHOLE,
    "personal": start_of(personal),
    "question_answering": start_of(question_answering),
    "summarisation": start_of(summarisation),
    "translation": start_of(translation),
}
CARD = """---
license: mit
---
# The start of the chapter on {name}

Made by `make models` (`book/applications/starters.py`) from
`book/{module}`, whose `tokenizer()` it needs.

- **Architecture**: GPT-2; layers: {n_layer}, width: {n_embd}, heads: {n_head},
  positions: {n_positions}, tokens: {vocab_size}; {parameters:,} parameters.
- **Data**: the {prompts:,} prompts of `environment("{split}")`, answers
  included.
- **Training**: the answers' tokens, cross-entropy; {batch} rows a batch,
  {steps:,} steps of Adam, learning rate {rate} with warm-up, decay: {decay}.
- **Evaluation**: of {held_out:,} held-out prompts, {exact:.1%} are answered
  exactly (most probable tokens).
- **Limits**: it knows this one task.
- **Licence**: MIT, as the book.
"""


def main():
    """Train what is asked for and write it where the book's models are."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("names", nargs="*", help=f"of {list(STARTS)}")
    parser.add_argument("--folder", type=Path, default=FOLDER)
    options = parser.parse_args()
    for name in options.names or STARTS:
        make(name, options.folder / name)


def make(name, folder):
    """Train one start, measure it and write its folder."""
    start = STARTS[name]
    env, held_out = start.environment(start.split), start.environment("test")
    length = env.prompts.shape[1] + env.max_length
    config = GPTConfig(
        env.vocab_size,
        pad_token_id=env.pad_id,
        eos_token_id=env.eos_id,
        **{"n_positions": length} | start.model,
    )
    trainer = SupervisedTrainer(GPT(config, SEED), start.supervised)
    rng = np.random.default_rng(SEED)
    trainer.train(pretraining.answers(env, start.batch_size, rng))
    result = evaluation(trainer.model, held_out)
    print(name, json.dumps(result))
    pretrained.save(folder, trainer.model)
    (folder / "evaluation.json").write_text(json.dumps(result, indent=2) + "\n")
    card = CARD.format(
        name=name,
        module=start.environment.__module__.replace(".", "/") + ".py",
        **vars(config),
        **result,
        prompts=len(env),
        parameters=sum(p.numel() for p in trainer.model.parameters()),
        batch=start.batch_size,
        steps=start.supervised.steps,
        rate=start.supervised.learning_rate,
        decay=start.supervised.decay,
        split=start.split,
    )
    (folder / "README.md").write_text(card, encoding="utf-8")


def evaluation(model, env):
    """What evaluation.json keeps: the share of exact answers."""
    batch = rollout(model, env, np.arange(len(env)))
    wanted = env.wanted(batch.rows)
    exact = rewards.token_exact_match(batch.completions, batch.mask, wanted)
    return {"held_out": len(env), "exact": float(exact.sum(axis=1).mean())}


if __name__ == "__main__":
    main()
