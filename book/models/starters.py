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
from core.types import GPTConfig

FOLDER = Path(__file__).resolve().parent
SEED = 0
# A module has `environment(split)`, MODEL (sizes), SUPERVISED, BATCH_SIZE,
# and WORKED where the start sees the answers of another split than "train".
APPLICATIONS = {
    "arithmetic": arithmetic,
    "dialogue": dialogue,
    "long_text": long_text,
    "long_text_whole": long_text.whole,
    "personal": personal,
    "question_answering": question_answering,
    "summarisation": summarisation,
    "translation": translation,
}
CARD = """---
license: mit
---
# The start of the chapter on {name}

Made by `make models` (`book/models/starters.py`) from
`{module}`, whose `tokenizer()` it needs.

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
    """Train what is asked for and write it beside this file."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("names", nargs="*", help=f"of {list(APPLICATIONS)}")
    parser.add_argument("--folder", type=Path, default=FOLDER)
    options = parser.parse_args()
    for name in options.names or APPLICATIONS:
        make(name, options.folder / name)


def make(name, folder):
    """Train one start, measure it and write its folder."""
    task = APPLICATIONS[name]
    split = getattr(task, "WORKED", "train")
    env, held_out = task.environment(split), task.environment("test")
    length = env.prompts.shape[1] + env.max_length
    config = GPTConfig(
        env.vocab_size, pad_token_id=env.pad_id, eos_token_id=env.eos_id,
        **{"n_positions": length} | task.MODEL,
    )
    trainer = SupervisedTrainer(GPT(config, SEED), task.SUPERVISED)
    rng = np.random.default_rng(SEED)
    trainer.train(pretraining.answers(env, task.BATCH_SIZE, rng))
    result = evaluation(trainer.model, held_out)
    print(name, json.dumps(result))
    pretrained.save(folder, trainer.model)
    (folder / "evaluation.json").write_text(
        json.dumps(result, indent=2) + "\n"
    )
    card = CARD.format(
        name=name, module=task.__name__.replace(".", "/") + ".py",
        **vars(config), **result, prompts=len(env),
        parameters=sum(p.numel() for p in trainer.model.parameters()),
        batch=task.BATCH_SIZE, steps=task.SUPERVISED.steps,
        rate=task.SUPERVISED.learning_rate, decay=task.SUPERVISED.decay,
        split=split,
    )
    (folder / "README.md").write_text(card, encoding="utf-8")


def evaluation(model, env):
    """What evaluation.json keeps: the share of exact answers."""
    batch = rollout(model, env, np.arange(len(env)))
    exact = rewards.token_exact_match(
        batch.completions, batch.mask, env.targets
    )
    return {"held_out": len(env), "exact": float(exact.sum(axis=1).mean())}


if __name__ == "__main__":
    main()
