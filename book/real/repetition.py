"""Does GPT-2 repeat itself, and does a reward stop it?  Document 004's experiment.

    cd book
    python -m real.repetition --model gpt2 --device cuda

The reward is paid at once: each token gets what it adds to the score of the text so
far, minus the share of repeated word pairs, plus a half for a full stop at the end.  A
text of one full stop would have all of it, so the record also holds the length, and how
probable the texts are under the model as it was published.
"""

import core.quiet  # noqa: F401  before the frameworks

import numpy as np  # isort: skip

from core import rewards
from core.advantages import BatchMean
from core.algorithms import KL, Algorithm
from core.batched import BatchedEnvironment
from core.settings import PolicyGradientConfig
from core.text import PretrainedTokenizer
from real import record

TRAIN = ["The cat", "One day, the small dog", "Then she saw", "In the morning we"]
TRAIN += ["The old house", "My brother", "It was a cold night", "The teacher said"]
TEST = ["The bird", "Last summer they", "A man at the station", "The river"]


def finishes(completions, **columns):
    """1 where a text ends with a full stop, else 0."""
    return [float(text.rstrip().endswith((".", "。"))) for text in completions]


def pairs(completions, **columns):
    """Minus the share of word pairs that occurred before."""
    return rewards.repetition(completions, n=2)


def task(prompts, tokenizer, vocab_size, length):
    """The prompts, paid at once."""
    score = rewards.weighted_sum([pairs, finishes], [1.0, 0.5])
    potentials = rewards.potentials_from_text(score, tokenizer)

    def at_once(completions, mask, targets):
        found = potentials(completions, mask, targets)
        return rewards.potential_difference(found, mask)

    ids, seen = tokenizer.encode_prompts(prompts)
    return BatchedEnvironment(
        ids,
        None,
        at_once,
        vocab_size,
        tokenizer.eos_ids,
        tokenizer.pad_id,
        tokenizer,
        prompt_mask=seen,
        max_length=length,
    )


def evaluate(args, policy, env, trainer):
    """Means over sampled texts of prompts that were not trained on, and some texts."""
    rng, rollout = np.random.default_rng(1000 + args.seed), record.half(args, "rollout")
    rows = np.arange(len(env))
    texts = rollout.rollout(
        policy, env, rows, rng, group_size=args.samples, noise="device"
    )
    found = env.texts(texts.completions, texts.mask)
    lengths = texts.mask.sum(axis=1)
    start = trainer.reference_logprobs(texts) * texts.mask
    return {
        "texts": len(found),
        "repetition": float(np.mean(pairs(found))),
        "finished": float(np.mean(finishes(found))),
        "length": float(lengths.mean()),
        "start_nats_per_token": float(-start.sum() / lengths.sum()),
        "samples": found[: 4 * args.samples : args.samples],
    }


def main(arguments=None):
    """Train and compare; the path of the record."""
    parser = record.parser(
        __doc__.split("\n")[0], "gpt2", steps=100, batch=64, rate=1e-5, length=40
    )
    parser.add_argument("--beta", type=float, default=0.02, help="KL, reward/nat")
    parser.add_argument(
        "--samples", type=int, default=32, help="texts of a test prompt"
    )
    args = parser.parse_args(arguments)
    record.check_device(args)
    run = record.Run("repetition", args)
    tokenizer = PretrainedTokenizer(args.model)
    load = record.half(args, "pretrained").load
    policy, start = (
        record.placed(args, load(args.model, dtype=args.dtype)) for _ in range(2)
    )
    train, test = (
        task(prompts, tokenizer, policy.vocab_size, args.length)
        for prompts in (TRAIN, TEST)
    )
    config = PolicyGradientConfig(
        Algorithm(BatchMean(), pull=KL("k1", args.beta, "reward")),
        steps=args.steps,
        batch_size=args.batch,
        learning_rate=args.rate,
        warmup_steps=min(10, args.steps // 10),
        noise="device",
        seed=args.seed,
    )
    trainer = record.half(args, "trainers").PolicyGradientTrainer(
        policy, train, config, reference=start
    )
    before = run.once("before", lambda: evaluate(args, policy, test, trainer))
    run.train(trainer)
    after = evaluate(args, policy, test, trainer)
    for name, found in (("before", before), ("after", after)):
        print(name, {key: found[key] for key in found if key != "samples"})
    record.half(args, "pretrained").save(
        args.out / "repetition_model", policy, tokenizer
    )
    return run.finish(trainer.history, {"before": before, "after": after})


if __name__ == "__main__":
    record.call(main)
