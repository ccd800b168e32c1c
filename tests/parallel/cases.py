"""The cases that one process and several must take alike, in either framework."""

import json
import os
import signal

import numpy as np

from core import rewards
from core.advantages import (
    BatchMean,
    Critic,
    Greedy,
    Group,
    Learned,
    LeaveOneOut,
    Return,
    Whitened,
)
from core.algorithms import (
    KL,
    Algorithm,
    Clipped,
    ConstantLength,
    SequenceMean,
    TokenMean,
)
from core.batched import BatchedEnvironment
from core.settings import GPTConfig, PolicyGradientConfig

CLIPPED = Clipped(low=0.01, high=0.01)
CASES = {
    "sum": (Algorithm(Return()), {"entropy_coef": 0.1}),
    "batch mean": (Algorithm(BatchMean(), aggregate=TokenMean()), {}),
    "group": (
        Algorithm(Group(4, scale=True), CLIPPED, SequenceMean(), KL("k3", 0.1, "loss")),
        {"minibatches": 2, "epochs": 2},
    ),
    "leave one out": (
        Algorithm(LeaveOneOut(2), Clipped("sequence"), ConstantLength()),
        {"accumulate": 2, "resample": 1},
    ),
    "critic": (
        Algorithm(Critic(0.9), CLIPPED, TokenMean(), KL("k1", 0.1)),
        {"epochs": 2, "gamma": 0.9},
    ),
    "learned": (Algorithm(Learned(), aggregate=SequenceMean()), {}),
    "greedy": (Algorithm(Greedy(), aggregate=ConstantLength(3)), {}),
    "whitened": (Algorithm(Whitened(Critic(1.0)), aggregate=TokenMean()), {}),
    "shards": (Algorithm(Critic(1.0), aggregate=TokenMean()), {"accumulate": 2}),
}
SIZES = {"embedding_dim": 4, "hidden_dim": 6}


def env(padded, first=3):
    prompts = np.array([[first, 4], [4, 5], [5, 3], [0, 4]])
    targets = np.array([[3, 4, 2], [4, 5, 3], [5, 2, 0], [4, 2, 0]])
    task = BatchedEnvironment(
        prompts, targets, rewards.token_position_match, 6, eos_id=2
    )
    if padded:  # no recurrent policy reads padding
        task.prompt_mask = np.array([[1, 1], [1, 1], [1, 1], [0, 1]])
    return task


def arguments(models, name, seed_of_policy=2, first=3, **changed):
    """Policy, environment, settings, b(X) and reference of a case."""
    algorithm, settings = CASES[name]
    every = {"steps": 4, "batch_size": 16, "warmup_steps": 0}
    every["max_grad_norm"] = 0.02  # below all norms, so that it matters
    settings = every | settings | changed
    config = PolicyGradientConfig(algorithm, **settings)
    shards = name == "shards"
    sizes = GPTConfig(6, n_positions=8, n_embd=8, n_layer=1, n_head=2)

    def policy(seed):
        if shards:
            return models.GPT(sizes, seed=seed, dtype="float64")
        return models.LSTMPolicy(6, seed=seed, dtype="float64", **SIZES)

    network = reference = None
    if algorithm.advantage.predicts == "baseline":
        network = models.BaselineNetwork(6, seed=3, dtype="float64", **SIZES)
    if algorithm.pull is not None:
        reference = policy(4)
    return policy(seed_of_policy), env(shards, first), config, network, reference


def result(trainer, checkpoints, path=None):
    """History and weights of all models after two steps; between them it resumes."""
    trainer.train(1, progress=False)
    if path is not None:
        trainer.save(path)
        trainer.load(path)
    trainer.train(1, progress=False)
    return state(trainer, checkpoints)


def resumed(trainer, checkpoints, path):
    """History and weights after the fourth step, which a killed process left out."""
    trainer.load(path)
    assert len(trainer.history) == 3
    trainer.train(1, progress=False)
    return state(trainer, checkpoints)


def state(trainer, checkpoints):
    """The history, and the weights of all models."""
    found = {}
    for name, model in trainer.models.items():
        arrays = checkpoints.get_weights(model)
        found |= {f"{name}.{key}": array for key, array in arrays.items()}
    return list(trainer.history), found


def dying(trainer, folder, rank, dies=1):
    """Two more steps with a checkpoint after each; one process dies in the second."""
    step = trainer.step

    def last():
        if rank == dies and len(trainer.history) == 3:
            os.kill(os.getpid(), signal.SIGKILL)
        return step()

    trainer.step = last
    trainer.train(2, progress=False, path=folder / "checkpoint", every=1)


def refused(rank):
    """Settings that no two processes may have, and what they are told."""
    return {
        "batch_size": {"batch_size": 15},
        "groups": {"batch_size": 4, "per_prompt": 4},
        "config": {"seed": rank},
        "rate": {"learning_rate": 1e-3 * (1 + rank)},
        "weights": {"seed_of_policy": rank},
        "task": {"first": 3 + rank},
        "reuse": {"reuse": 1, "buffer_batches": 1},
    }


def failures(trainer, folder, rank):
    """What fails on one process of two, by name; `trainer` has taken two steps."""

    def broken(*arguments, **more):
        raise OSError("no memory")

    def sampling():
        sample = trainer._sample
        trainer._sample = broken if rank == 1 else sample
        try:
            trainer.draw()
        finally:
            trainer._sample = sample

    def save():
        trainer.save(folder)  # a folder, which no file replaces

    def load():
        trainer.load(folder / ("none" if rank == 1 else "kept"))

    def failed():
        arrays = trainer.arrays
        trainer.arrays = lambda batch: arrays(batch) | {"adv": batch.mask * np.nan}
        try:
            trainer.train(1, progress=False, path=folder / f"own.{rank}")
        finally:
            trainer.arrays = arrays

    def other():
        trainer.load(folder / ("kept" if rank == 0 else "later"))

    trainer.train(0, progress=False, path=folder / f"own.{rank}")
    trainer.save(folder / "kept")
    trainer.history.append({"step": 3})
    trainer.save(folder / "later")
    trainer.history.pop()
    given = sampling, failed, save, load, other
    return {function.__name__: function for function in given}


def told(folder, rank, functions):
    """Calls the functions that must fail, and writes down how."""
    for name, function in functions.items():
        try:
            function()
            tell(folder, f"{name}.{rank}", "none")
        except Exception as error:
            tell(folder, f"{name}.{rank}", f"{type(error).__name__}: {error}")


def streams(kind, policy, folder, rank):
    """Texts of one prompt with noise on the device, as this process has them."""
    rows = np.array([[3, 4]]), np.array([[3, 4, 2]])
    task = BatchedEnvironment(*rows, rewards.token_position_match, 6, eos_id=2)
    given = {"steps": 4, "batch_size": 16, "noise": "device"}

    def drawing(seed):
        config = PolicyGradientConfig(CASES["sum"][0], **given, seed=seed)
        return kind(policy, task, config)

    one, again, other = drawing(0), drawing(0), drawing(1)
    found = {"first": one.draw(), "again": again.draw(), "other": other.draw()}
    one.save(folder / "drawn")
    found["next"] = one.draw()
    other = drawing(0)
    other.load(folder / "drawn")
    found["resumed"] = other.draw()
    texts = {name: batch.completions for name, batch in found.items()}
    np.savez(folder / f"streams.{rank}.npz", **texts)


def keep(folder, name, found):
    history, weights = found
    np.savez(folder / f"{name}.npz", history=json.dumps(history), **weights)


def kept(folder, name):
    with np.load(folder / f"{name}.npz") as file:
        arrays = dict(file)
    return json.loads(str(arrays.pop("history"))), arrays


def tell(folder, name, text):
    (folder / f"{name}.txt").write_text(text, "utf-8")
