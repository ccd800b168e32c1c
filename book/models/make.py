"""Make the book's models again: `make models`.

A GPT learns to predict the next token and a BERT to predict masked tokens of
the stories and reviews that `applications.grammar` writes, in English and
Chinese.  Each folder gets the model, the tokenizer, `evaluation.json` and a
card.  A training that was stopped goes on where its last checkpoint was
written.
"""

from __future__ import annotations

import argparse
import json
import textwrap
from itertools import islice
from pathlib import Path

import numpy as np

from applications import grammar, pretraining
from core.pt import pretrained
from core.pt.models import BERT, GPT
from core.pt.rollout import sample
from core.pt.trainers import SupervisedTrainer
from core.settings import BERTConfig, GPTConfig, SupervisedConfig
from core.text import ByteBPETokenizer

FOLDER = Path(__file__).resolve().parent
CHECKPOINTS = FOLDER.parents[1] / "_build" / "models"
TEXTS, SEED = 80_000, 0  # of the training corpus
HELD_OUT, HELD_OUT_SEED = 600, 1
VOCAB_SIZE = 1024  # the mask token included, which has the last id
SPECIAL = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
SETTINGS = {
    "gpt": SupervisedConfig(steps=2000, learning_rate=3e-3, warmup_steps=50),
    "bert": SupervisedConfig(steps=5000, learning_rate=2e-3, warmup_steps=50),
}
ROWS = {"gpt": 8, "bert": 32}  # in a batch
CARD = """---
license: mit
language: [en, zh]
---
# {title}

Made by `make models` (`book/models/make.py`) for the chapters of this book.

- **Architecture**: {architecture}, 4 layers, 128 wide, 4 heads, 128
  positions, 1,024 tokens (byte-level BPE; pad 0, BOS 1, EOS 2, mask 1023);
  {parameters:,} parameters in float32.
- **Data**: {texts:,} texts of `applications.grammar.corpus` (seed {seed}):
  stories and reviews, two to one, English and Chinese in turn. Every text
  stands between BOS and EOS. No text was written or collected by people.
- **Training**: {objective}; {rows} rows a batch, {steps:,} steps of Adam,
  learning rate {rate} with warm-up and cosine decay.
- **Evaluation**: {loss:.4f} nats per target on {held_out} texts of the same
  grammar (seed {held_out_seed}); {overlap:.0%} of them, all of them reviews,
  are in the training data as well.{more}
- **Limits**: it knows the words and sentences of one small grammar, and
  nothing of the world; {limit}
- **Licence**: MIT, as the book.
"""


def main():
    """Train what is asked for and write it beside this file."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument(
        "models", nargs="*", default=["gpt", "bert"], help="gpt, bert; default both"
    )
    parser.add_argument("--steps", type=int, help="for a quick trial")
    parser.add_argument("--folder", type=Path, default=FOLDER)
    options = parser.parse_args()
    texts = shuffled_corpus()
    tokenizer = ByteBPETokenizer(texts, VOCAB_SIZE - 1, add_mask=True)
    for name in options.models:
        settings = SETTINGS[name].as_dict()
        settings["steps"] = options.steps or settings["steps"]
        make(
            name, texts, tokenizer, SupervisedConfig(**settings), options.folder / name
        )


def shuffled_corpus():
    """The training texts: neither kinds nor languages take turns."""
    texts = grammar.corpus(TEXTS, SEED, "both", "both")
    np.random.default_rng(SEED).shuffle(texts)
    return texts


def make(name, texts, tokenizer, config, folder):
    """Train one model, measure it and write its folder."""
    trainer = SupervisedTrainer(new_model(name), config)
    CHECKPOINTS.mkdir(parents=True, exist_ok=True)
    path = CHECKPOINTS / f"{name}-{config.steps}.safetensors"
    if path.exists():
        trainer.load(path)
    done = len(trainer.history)
    batches = islice(training_batches(name, texts, tokenizer), done, None)
    trainer.train(batches, path=path)
    result = evaluation(name, trainer, tokenizer, texts)
    print(name, json.dumps(result))
    pretrained.save(folder, trainer.model, tokenizer)
    (folder / "evaluation.json").write_text(json.dumps(result, indent=2) + "\n")
    card = model_card(name, trainer, result)
    (folder / "README.md").write_text(card, encoding="utf-8")
    path.unlink()


def new_model(name):
    """An untrained GPT or BERT of the book's size."""
    if name == "gpt":
        return GPT(GPTConfig(VOCAB_SIZE, **SPECIAL), SEED)
    return BERT(BERTConfig(VOCAB_SIZE), SEED)


def training_batches(name, texts, tokenizer):
    """Batches without end; the order is drawn anew in each pass."""
    rng = np.random.default_rng(SEED)
    if name == "gpt":
        ids = pretraining.packed_rows(tokenizer, texts, 129)
    else:
        ids, mask = pretraining.padded_rows(tokenizer, texts)
    while True:
        order = rng.permutation(len(ids))
        for rows in np.split(order, range(ROWS[name], len(order), ROWS[name])):
            if name == "gpt":
                yield pretraining.next_tokens(ids[rows])
                continue
            length = int(mask[rows].sum(axis=1).max())
            yield pretraining.masked_tokens(
                ids[rows, :length], mask[rows, :length], tokenizer, rng
            )


def held_out_batch(name, tokenizer):
    """The texts that measure a model, one in a row."""
    texts = grammar.corpus(HELD_OUT, HELD_OUT_SEED, "both", "both")
    ids, mask = pretraining.padded_rows(tokenizer, texts)
    if name == "gpt":
        return pretraining.next_tokens(ids, mask)
    rng = np.random.default_rng(HELD_OUT_SEED)
    return pretraining.masked_tokens(ids, mask, tokenizer, rng)


def evaluation(name, trainer, tokenizer, training_texts):
    """What evaluation.json keeps; a GPT's sampled texts are parsed too."""
    known = set(training_texts)
    texts = grammar.corpus(HELD_OUT, HELD_OUT_SEED, "both", "both")
    batch = held_out_batch(name, tokenizer)
    result = {
        "loss": trainer.evaluate([batch]),
        "targets": int(batch[2].sum()),
        "overlap": sum(text in known for text in texts) / len(texts),
        "longest": 2 + max(len(tokenizer.encode(text)) for text in known),
    }
    if name == "gpt":
        prompts = np.full((HELD_OUT, 1), tokenizer.bos_id)
        ids = sample(trainer.model, prompts, 100, eos_id=tokenizer.eos_id, seed=SEED)[0]
        made = [tokenizer.decode(row) for row in ids]
        parsers = {True: grammar.Parser("en"), False: grammar.Parser("zh")}
        judges = [parsers[text.isascii()] for text in made]
        result |= {
            "parses": float(
                np.mean([judge.parses(t) for judge, t in zip(judges, made)])
            ),
            "score": float(np.mean([judge.score(t) for judge, t in zip(judges, made)])),
            "new": sum(text not in known for text in made) / len(made),
        }
    return result


def model_card(name, trainer, result):
    """The README.md of a model."""
    told = {
        "gpt": {
            "title": "The book's GPT",
            "architecture": "GPT-2",
            "objective": "the next token, texts packed into rows of 128",
            "more": " Of the texts that it writes, {parses:.0%} parse and "
            "{new:.0%} are not in the training data.",
            "limit": "a text that begins otherwise than one of the grammar's "
            "is continued badly.",
        },
        "bert": {
            "title": "The book's BERT",
            "architecture": "BERT",
            "objective": "masked tokens (15 %, of them 80 % masked, 10 % "
            "random, 10 % kept), one text a row",
            "more": "",
            "limit": "its texts were at most {longest} tokens long, and the "
            "positions behind were never trained.",
        },
    }[name]
    told = {key: value.format(**result) for key, value in told.items()}
    size = sum(p.numel() for p in trainer.model.parameters())
    head, *points = CARD.format(
        **told,
        parameters=size,
        texts=TEXTS,
        seed=SEED,
        rows=ROWS[name],
        steps=trainer.config.steps,
        rate=trainer.config.learning_rate,
        loss=result["loss"],
        overlap=result["overlap"],
        held_out=HELD_OUT,
        held_out_seed=HELD_OUT_SEED,
    ).split("\n- ")
    points = [
        textwrap.fill(" ".join(["-", *point.split()]), 79, subsequent_indent="  ")
        for point in points
    ]
    return "\n".join([head, *points]) + "\n"


if __name__ == "__main__":
    main()
