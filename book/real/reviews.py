"""Fine-tune a BERT on reviews, for or against, as document 002 means to.

    cd book
    python -m real.reviews --model bert-base-uncased --device cuda

The rows are the English reviews of `data/sentiment`, or --data with train.jsonl and
test.jsonl, a "text" and a "label" (0 or 1) in each line.
"""

from pathlib import Path

import core.quiet  # noqa: F401  before the frameworks

import numpy as np  # isort: skip

from applications import sentiment
from core.settings import SupervisedConfig
from core.text import PretrainedTokenizer
from real import record, rows


def read(args):
    """(texts, labels) of the training rows and of the test rows."""
    if args.data is None:
        found = {split: sentiment.load(split) for split in ("train", "test")}
        pairs = {
            split: [
                (r.text, sentiment.LABELS.index(r.label))
                for r in found[split]
                if r.language == "en" and r.label is not None
            ]
            for split in found
        }
    else:
        pairs = {
            split: [(r["text"], int(r["label"])) for r in lines]
            for split, lines in rows.read(args.data, ("text", "label")).items()
        }
    return [tuple(map(list, zip(*pairs[split]))) for split in ("train", "test")]


def encoded(texts, tokenizer, length):
    """Ids and mask (N, L) of texts between CLS and SEP, cut to `length` tokens."""
    found = [tokenizer.enclosed(text) for text in texts]
    return tokenizer.padded([ids[: length - 1] + ids[-1:] for ids in found])


def batches(ids, mask, labels, size, seed):
    """Batches of drawn rows, without an end, as SupervisedTrainer reads them."""
    rng = np.random.default_rng(seed)
    while True:
        drawn = rng.choice(len(ids), min(size, len(ids)), replace=False)
        yield (ids[drawn], mask[drawn]), labels[drawn], np.ones(len(drawn))


def accuracy(args, model, ids, mask, labels):
    """Share of rows whose label has the larger logit."""
    right, tensor = 0, record.half(args, "trainers").tensor_like
    for start in range(0, len(ids), args.batch):
        part = slice(start, start + args.batch)
        logits = model(tensor(ids[part], model), tensor(mask[part], model))
        logits = logits.detach().cpu() if hasattr(logits, "detach") else logits
        right += (np.asarray(logits).argmax(axis=1) == labels[part]).sum()
    return float(right / len(ids))


def main(arguments=None):
    """Train and test; the path of the record."""
    parser = record.parser(
        __doc__.split("\n")[0], "bert-base-uncased", steps=300, batch=32, rate=5e-5,
        length=128,
    )  # fmt: skip
    parser.add_argument("--data", type=Path, help="folder with rows; None: the book's")
    args = parser.parse_args(arguments)
    record.check_device(args)
    run = record.Run("reviews", args)
    tokenizer = PretrainedTokenizer(args.model)
    (texts, labels), (held, held_labels) = read(args)
    ids, mask = encoded(texts, tokenizer, args.length)
    test = *encoded(held, tokenizer, args.length), np.array(held_labels)
    head = {"head": "sequence", "num_labels": 2, "seed": args.seed}
    load = record.half(args, "pretrained").load
    model = record.placed(args, load(args.model, dtype=args.dtype, **head))
    settings = SupervisedConfig(steps=args.steps, learning_rate=args.rate)
    trainer = record.half(args, "trainers").SupervisedTrainer(model, settings)
    before = run.once("before", lambda: accuracy(args, model, *test))
    drawn = batches(ids, mask, np.array(labels), args.batch, args.seed)
    run.train(trainer, drawn)
    most = np.bincount(test[2]).max() / len(test[2])
    results = {
        "test_rows": len(held),
        "most_frequent_label": float(most),
        "accuracy_before": before,
        "accuracy": accuracy(args, model, *test),
    }
    print(results)
    record.half(args, "pretrained").save(args.out / "reviews_model", model, tokenizer)
    return run.finish(trainer.history, results)


if __name__ == "__main__":
    record.call(main)
