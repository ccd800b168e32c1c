"""GRPO in TRL with the book's model directory and the rewards of `core`.

    cd book
    python -m real.trl_grpo --steps 3
    torchrun --nproc_per_node 2 -m real.trl_grpo --steps 3 --processes 2

The second line is two processes of one machine: each samples and scores its share of
a batch, and they add their gradients.  `accelerate launch --cpu --num_processes 2`
starts one process and says nothing; `--processes 2` makes that an error.

Needs TRL and accelerate (requirements-dev.txt has the versions that were tried).
"""

import argparse
import hashlib
import json
import os
from pathlib import Path

from core.rewards import contains, repetition

ROWS = [  # further columns reach the rewards by their names
    {"prompt": "The cat", "wanted": "mat"},
    {"prompt": "One day, the small dog", "wanted": "garden"},
    {"prompt": "Then she saw", "wanted": "mouse"},
    {"prompt": "The bird", "wanted": "tree"},
]


def parse(arguments=None):
    """The command's arguments."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--model", default="models/gpt", help="directory or hub name")
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--group", type=int, default=4, help="completions of a prompt")
    parser.add_argument("--batch", type=int, default=8, help="completions of a process")
    parser.add_argument("--length", type=int, default=12, help="tokens, at most")
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--processes", type=int, default=1, help="how many must run")
    parser.add_argument("--cuda", action="store_true", help="on GPUs, with bfloat16")
    parser.add_argument("--out", type=Path, default=Path("trl_grpo"))
    return parser.parse_args(arguments)


def check_processes(wanted, found):
    """ValueError unless as many processes run as were asked for."""
    if wanted != found:
        raise ValueError(
            f"processes: expected {wanted}, got {found}; start them with torchrun "
            f"--nproc_per_node {wanted} (accelerate launch --cpu starts one)"
        )


def digest(model):
    """A hash of all weights, to compare processes and steps."""
    found = hashlib.sha256()
    for name, weight in sorted(model.state_dict().items()):
        found.update(name.encode() + weight.detach().float().cpu().numpy().tobytes())
    return found.hexdigest()


def watched(reward, calls):
    """The same reward; each call's columns and scores are kept in `calls`."""

    def call(completions, **columns):
        scores = reward(completions, **columns)
        given = {"wanted": columns["wanted"], "prompts": columns["prompts"]}
        calls.append(given | {"completions": completions, "scores": scores})
        return scores

    call.__name__ = reward.__name__
    return call


def grpo(args, reward_funcs):
    """TRL's trainer of GRPO, on `args.model` and ROWS."""
    from datasets import Dataset
    from trl import GRPOConfig, GRPOTrainer

    config = GRPOConfig(
        str(args.out),
        use_cpu=not args.cuda,
        bf16=args.cuda,
        max_steps=args.steps,
        per_device_train_batch_size=args.batch,
        num_generations=args.group,
        max_completion_length=args.length,
        learning_rate=args.rate,
        lr_scheduler_type="constant",
        loss_type="grpo",
        beta=0.04,
        logging_steps=1,
        report_to="none",
        save_strategy="no",
        seed=0,
    )
    return GRPOTrainer(
        model=args.model,
        reward_funcs=reward_funcs,
        args=config,
        train_dataset=Dataset.from_list(ROWS),
    )


def main(arguments=None):
    """Train; each process writes what it saw to OUT/process_N.json."""
    args = parse(arguments)
    # Before anything is loaded: torchrun and accelerate both set it.
    check_processes(args.processes, int(os.environ.get("WORLD_SIZE", 1)))
    calls = []
    trainer = grpo(args, [watched(contains, calls), repetition])
    before = digest(trainer.model)
    trainer.train()
    found = trainer.accelerator
    check_processes(args.processes, found.num_processes)
    told = {
        "processes": found.num_processes,
        "process": found.process_index,
        "before": before,
        "after": digest(found.unwrap_model(trainer.model)),
        "steps": trainer.state.global_step,
        "calls": calls,
        "log": trainer.state.log_history,
    }
    args.out.mkdir(parents=True, exist_ok=True)
    path = args.out / f"process_{found.process_index}.json"
    path.write_text(json.dumps(told, indent=1), encoding="utf-8")
    print(f"process {told['process']} of {told['processes']}: {path}")


if __name__ == "__main__":
    main()
