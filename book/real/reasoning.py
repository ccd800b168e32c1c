"""GRPO on questions whose answer is a number, with an adapter on a small Qwen.

    cd book
    python -m real.reasoning --model Qwen/Qwen2.5-0.5B-Instruct --device cuda

The rows are those of GSM8K as published ("question", and "answer" with "#### 42"), from
the hub or a folder with train.jsonl and test.jsonl.  --rank 0 trains all weights.
"""

from dataclasses import replace

import core.quiet  # noqa: F401  before the frameworks

import numpy as np  # isort: skip

from core.advantages import Group
from core.algorithms import ALGORITHMS
from core.batched import BatchedEnvironment
from core.settings import PolicyGradientConfig
from core.text import PretrainedTokenizer
from real import record, rows
from real.numbers import right_number

ASK = "{}\nThink step by step. End with a line '#### ' and the number."
PLAIN = "Question: {}\nAnswer:"  # for a base model, which has no chat template


def arguments(given=None):
    """The command's arguments."""
    parser = record.parser(
        __doc__.split("\n")[0],
        "Qwen/Qwen2.5-0.5B-Instruct",
        steps=100,
        batch=64,
        rate=1e-5,
        length=256,
    )
    add = parser.add_argument
    add("--data", default="openai/gsm8k", help="folder, or name on huggingface.co")
    add("--plain", action="store_true", help="no chat template, as for a base model")
    add("--group", type=int, default=8, help="completions of a question")
    add("--accumulate", type=int, default=8, help="parts of an update: less memory")
    add("--beta", type=float, default=0.04, help="of the KL, 0: no reference")
    add("--rank", type=int, default=16, help="of the adapter; 0: all weights")
    add("--held", type=int, default=200, help="test questions")
    return parser.parse_args(given)


def settings(args):
    """GRPO as the book has it, with the command's numbers."""
    grpo = ALGORITHMS["GRPO"]
    pull = replace(grpo.pull, coef=args.beta) if args.beta else None
    return PolicyGradientConfig(
        replace(grpo, advantage=Group(args.group, scale=True), pull=pull),
        steps=args.steps,
        batch_size=args.batch,
        accumulate=args.accumulate,
        learning_rate=args.rate,
        warmup_steps=min(10, args.steps // 10),
        noise="device",
        seed=args.seed,
    )


def prompts(questions, tokenizer, plain):
    """Each question as the model's own chat template asks it, as token ids."""
    if plain:
        return [PLAIN.format(question) for question in questions]
    options = {}
    if "enable_thinking" in str(tokenizer.template):  # Qwen3: a short answer
        options["enable_thinking"] = False
    asked = (
        tokenizer.chat([{"role": "user", "content": ASK.format(question)}], **options)
        for question in questions
    )
    return [tokenizer.encode(text, special=True) for text in asked]


def task(found, tokenizer, vocab_size, args):
    """Rows as an environment, paid for the right number."""
    return BatchedEnvironment.from_texts(
        prompts([row["question"] for row in found], tokenizer, args.plain),
        right_number,
        tokenizer,
        args.length,
        vocab_size,
        columns={"answer": [row["answer"] for row in found]},
        stop=["\nQuestion:"] if args.plain else (),
    )


def policies(args):
    """The policy, with an adapter if there is a rank, and the reference or None."""
    load = record.half(args, "pretrained").load
    policy = record.placed(args, load(args.model, dtype=args.dtype))
    if args.rank:
        adapters = record.half(args, "adapters")
        adapters.add_lora(policy, args.rank, 2 * args.rank, seed=args.seed)
        return policy, adapters.without(policy) if args.beta else None
    if not args.beta:
        return policy, None
    return policy, record.placed(args, load(args.model, dtype=args.dtype))


def evaluate(args, policy, env):
    """Greedy answers to the test questions: the share that is right, and some texts."""
    rollout, right, texts, lengths = record.half(args, "rollout").rollout, [], [], []
    for start in range(0, len(env), args.batch):
        part = np.arange(start, min(start + args.batch, len(env)))
        found = rollout(policy, env, part)
        right += found.rewards.sum(axis=1).tolist()
        lengths += found.mask.sum(axis=1).tolist()
        texts += env.texts(found.completions, found.mask)
    return {
        "questions": len(env),
        "right": float(np.mean(right)),
        "length": float(np.mean(lengths)),
        "samples": texts[:4],
    }


def main(given=None):
    """Train and test; the path of the record."""
    args = arguments(given)
    record.check_device(args)
    run = record.Run("reasoning", args)
    tokenizer, data = (
        PretrainedTokenizer(args.model),
        rows.read(args.data, ("question", "answer")),
    )
    policy, reference = policies(args)
    size = policy.vocab_size
    train = task(data["train"], tokenizer, size, args)
    test = task(data["test"][: args.held], tokenizer, size, args)
    trainer = record.half(args, "trainers").PolicyGradientTrainer(
        policy, train, settings(args), reference=reference
    )
    before = run.once("before", lambda: evaluate(args, policy, test))
    run.train(trainer)
    after = evaluate(args, policy, test)
    print(f"right: {before['right']:.3f} before, {after['right']:.3f} after")
    folder = args.out / "reasoning_model"
    if args.rank:
        record.half(args, "adapters").save(folder, policy)
    else:
        record.half(args, "pretrained").save(folder, policy, tokenizer)
    return run.finish(trainer.history, {"before": before, "after": after})


if __name__ == "__main__":
    record.call(main)
