"""The cases that one process and several must take alike, in either framework."""

import json

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
        {"accumulate": 2},
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


def env(padded):
    prompts = np.array([[3, 4], [4, 5], [5, 3], [0, 4]])
    targets = np.array([[3, 4, 2, 0], [4, 5, 3, 2], [5, 2, 0, 0], [4, 4, 2, 0]])
    task = BatchedEnvironment(
        prompts, targets, rewards.token_position_match, 6, eos_id=2
    )
    if padded:  # no recurrent policy reads padding
        task.prompt_mask = np.array([[1, 1], [1, 1], [1, 1], [0, 1]])
    return task


def arguments(models, name, **changed):
    """Policy, environment, settings, b(X) and reference of a case."""
    algorithm, settings = CASES[name]
    settings = {"steps": 4, "batch_size": 16, "warmup_steps": 0} | settings | changed
    config = PolicyGradientConfig(algorithm, **settings)
    shards = name == "shards"
    sizes = GPTConfig(6, n_positions=8, n_embd=8, n_layer=2, n_head=2)

    def policy(seed):
        if shards:
            return models.GPT(sizes, seed=seed, dtype="float64")
        return models.LSTMPolicy(6, seed=seed, dtype="float64", **SIZES)

    network = reference = None
    if algorithm.advantage.predicts == "baseline":
        network = models.BaselineNetwork(6, seed=3, dtype="float64", **SIZES)
    if algorithm.pull is not None:
        reference = policy(4)
    return policy(2), env(shards), config, network, reference


def result(trainer, checkpoints, path=None):
    """History and weights of all models after two steps; between them it resumes."""
    trainer.train(1, progress=False)
    if path is not None:
        trainer.save(path)
        trainer.load(path)
    history = trainer.train(1, progress=False)
    weights = {}
    for name, model in trainer.models.items():
        arrays = checkpoints.get_weights(model)
        weights |= {f"{name}.{key}": array for key, array in arrays.items()}
    return history, weights


def refused(rank):
    """Settings that no two processes may have, and what they are told."""
    return {
        "batch_size": {"batch_size": 15},
        "groups": {"batch_size": 4, "per_prompt": 4},
        "config": {"seed": rank},
        "rate": {"learning_rate": 1e-3 * (1 + rank)},
    }


def keep(folder, name, found):
    history, weights = found
    np.savez(folder / f"{name}.npz", history=json.dumps(history), **weights)


def kept(folder, name):
    with np.load(folder / f"{name}.npz") as file:
        arrays = dict(file)
    return json.loads(str(arrays.pop("history"))), arrays


def tell(folder, name, text):
    (folder / f"{name}.txt").write_text(text, "utf-8")
