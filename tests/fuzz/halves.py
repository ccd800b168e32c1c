"""The same of what each framework has; `core.*` stands for `core.pt` and `core.tf`."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np

from core import algorithms, settings
from tests.fuzz.arguments import (
    FREE,
    Argument,
    array,
    choice,
    count,
    flag,
    floats,
    ids,
    made,
    mask,
    number,
    of_numpy,
    only,
    optional,
    path,
    positive,
    rng,
    share,
    texts,
    thing,
)
from tests.fuzz.calls import (
    BEFORE,
    BYTES,
    COMPLETIONS,
    FOLDER,
    MASK,
    PROMPTS,
    REPEATED,
    env,
    line,
    pairs,
    wide,
)

DECODER = settings.DecoderConfig(6, 4, 1, 2, 1, 2, 6, 8)

# --- Models and trainers, each made once ---------------------------------------


@cache
def gpt(half, seed=0):
    config = settings.GPTConfig(6, n_positions=8, n_embd=4, n_layer=1, n_head=2)
    return half.models.GPT(config, seed=seed, dtype="float64")


@cache
def decoder(half):
    return half.models.Decoder(DECODER, dtype="float64")


@cache
def lstm(half, seed=0):
    return half.models.LSTMPolicy(6, 4, 4, seed=seed, dtype="float64")


@cache
def trainer(half, kind, seed):
    """A trainer on given targets or pairs, of a model of its own."""
    module = half.trainers if kind == "SupervisedTrainer" else half.preference_trainers
    return getattr(module, kind)(lstm(half, seed), settings.SupervisedConfig(steps=4))


@cache
def sampler(half):
    config = settings.PolicyGradientConfig(steps=4, batch_size=4)
    return half.trainers.PolicyGradientTrainer(lstm(half, 1), env(), config)


def supervised(half, seed=2):
    return trainer(half, "SupervisedTrainer", seed)


def optimizer(half):
    return supervised(half, 8).optimizer


def trained(half):
    return lstm(half, 8)


@cache
def saved(half):
    name = str(Path(FOLDER.name, f"{half.name}.model"))
    half.checkpoints.save_model(name, gpt(half))
    return name


@cache
def folder(half):
    name = str(Path(FOLDER.name, f"{half.name}.folder"))
    config = settings.GPTConfig(len(BYTES), n_embd=4, n_layer=1, n_head=2)
    half.pretrained.save(name, half.models.GPT(config), BYTES)
    return name


def loaded(half):
    return half.pretrained.load(folder(half))


def weights(half):
    return half.checkpoints.get_weights(gpt(half))


def moments(half):
    return half.checkpoints.get_moments(optimizer(half), trained(half))


def data(function):
    """Arrays by name, which the function makes."""
    return replace(made(function, other={"a": np.ones(2)}), thing=False)


def strict(kind):
    """In NumPy, and only what must be refused: a step changes what it is made on."""
    return replace(of_numpy(kind), same={}, either={})


# --- Kinds ---------------------------------------------------------------------

LP, X, M, PAIR = floats(4, 3, top=-1), floats(4, 3), mask(MASK), floats(4, top=-1)
COEF, RATE, LOGITS = number(0.25, 0), positive(0.5), floats(4, 3, 6)
TEXT = line(ids(COMPLETIONS, 0, 6))
IDS, SEES, HEADS = ids(COMPLETIONS, 0, 6), np.tri(3) > 0, floats(2, 2, 3, 4)
LABELS = array(MASK / 2, bad={"above": MASK * 2, "below": -MASK / 2})
SEEN = optional(mask(BEFORE)).plus(hole=[[1, 0], [1, 1]], zeros=[[0, 0], [1, 1]])
RATIO = array(np.exp(LP.value)).but("column", "shape")
PULLED = algorithms.Algorithm(
    surrogate=algorithms.Clipped(),
    aggregate=algorithms.ConstantLength(),
    pull=algorithms.KL("k3", 0.5, "loss"),
)
TRAINED, LOSS = made(trained), choice("dpo", "ipo", "tdpo")
WHERE = path(lambda half: str(Path(FOLDER.name, f"{half.name}.safetensors")))
ON_TEXTS = {"_": lambda f, **a: f(**a)(COMPLETIONS, MASK, REPEATED)}

COMMON = {
    "adv": X,
    "advantages": X,
    "batches": only([]).but("list", "dict"),
    "beta": RATE,
    "completions": IDS,
    "config": thing(settings.SupervisedConfig(steps=4)),
    "dtype": choice("float64", "float32"),
    "env": thing(env()),
    "eos_id": optional(count(2, 0, 5).but("list", "array")),
    "epsilon": optional(share(0.5)),
    "every": count(50, 1),
    "group_size": count(2, 1),
    "label_smoothing": number(0.25, 0, 0.5, open_high=True),
    "level": choice("token", *algorithms.LEVELS),
    "logits": LOGITS,
    "logprobs": LP,
    "mask": M,
    "model": made(lstm),
    "old": X,
    "old_logprobs": X,
    "pad_id": count(0, 0, 5),
    "path": optional(WHERE),
    "policy": made(lstm),
    "progress": flag(False),
    "prompts": line(ids(PROMPTS, 0, 6)),
    "ref_logprobs": X,
    "returns": X,
    "rng": optional(rng()),
    "seed": count(0, 0),
    "steps": optional(count(0, 0)),
    "temperature": RATE,
    "tokens": IDS,
    "top_k": optional(count(3, 1)),
    "top_p": number(0.75, 0, 1, open_low=True),
    "values": X,
}
SELF = {
    "Decoder": Argument(decoder, made=True),
    "GPT": Argument(gpt, made=True),
    "Transformer": Argument(gpt, made=True),
    "Policy": Argument(lstm, made=True),
    "PolicyGradientTrainer": Argument(sampler, made=True),
    "SupervisedTrainer": Argument(supervised, made=True),
    "RewardModelTrainer": Argument(
        lambda half: trainer(half, "RewardModelTrainer", 3), made=True
    ),
    "ProcessRewardTrainer": Argument(
        lambda half: trainer(half, "ProcessRewardTrainer", 4), made=True
    ),
}

# --- The modules ----------------------------------------------------------------

CALLS = {
    "losses": {
        "entropies": X,
        "q": wide(LOGITS),
        "targets": X,
        "ratio": RATIO,
        "clip_low": COEF,
        "clip_high": COEF,
        "per_token": X,
        "old_values": X,
        "clip": optional(COEF),
        "sequence_logprobs": PAIR,
        "scores": floats(4),
        "sharpness": RATE,
        "whole": optional(array(np.array([9.0, 30]), bad={"none": np.zeros(2)})),
        "counts": {"mask": M.but("bool")},  # what `alike` has made
        "minimum_risk_loss": {"group_size": count(2, 2, 4)},
        "aggregate": {"how": choice("sequence_mean")},
        "aggregate (length)": {"how": Argument("constant"), "length": RATE},
        "token_cross_entropy": {"logits": wide(LOGITS), "targets": IDS},
    },
    "logprobs": {
        "ref_logits": LOGITS,
        "estimator": choice("k1", *algorithms.ESTIMATORS),
        "alike": {"logprobs": LP, "mask": M},
        "sampling_logits": {"logits": LOGITS.but(*FREE, "inf")},
        "token_logprobs": {"logits": wide(LOGITS), "temperature": RATE.but("bool")},
        "entropy": {"logits": LOGITS.but(*FREE)},
        "token_scores": {
            "logits_of": thing(lambda features: features),
            "features": wide(floats(4, 6)),
            "tokens": ids([3, 4, 0, 5], 0, 6),
            "size": count(24, 1),
        },
    },
    "preferences": {
        "chosen": PAIR,
        "rejected": floats(4),
        "ref_chosen": PAIR,
        "ref_rejected": PAIR,
        "kl_chosen": floats(4),
        "kl_rejected": floats(4),
        "margin": floats(4).but("number", "shape"),
        "scores": X,
        "labels": LABELS,
        "alpha": COEF,
    },
    "attention": {
        "queries": HEADS,
        "keys": HEADS,
        "values": wide(HEADS),
        "seen": optional(array(SEES, bad={"float": SEES * 1.0, "int": SEES * 1})),
    },
    "objective": {
        "algorithm": thing(PULLED),
        "record": thing(algorithms.Clipped()),
        "limit": count(3, 1),
        "ref": X,
    },
    "rewards": {
        "model": made(gpt),
        "mask": optional(M),
        "prompt_mask": SEEN,
        "level": choice("token", "sequence"),
        "learned_reward": {"model": made(lstm)} | ON_TEXTS,
        "token_loglikelihood": {
            "prompts": of_numpy(line(ids(PROMPTS, 0, 6))),
            "completions": of_numpy(IDS),
            "mask": of_numpy(M),
            "prompt_mask": of_numpy(SEEN),
        },
    },
    "rollout": {
        "prompts": of_numpy(line(ids(PROMPTS, 0, 6))),
        "max_length": count(3, 1),
        "rows": of_numpy(line(ids([0, 1], 0, 2))),
        "sample": {
            "policy": made(gpt),
            "prompt_mask": of_numpy(SEEN),
            "noise": optional(of_numpy(floats(4, 3, 6))),
            **dict.fromkeys(("seed", "epsilon"), ...),
        },
        "sample (seed)": {
            "group_size": ...,
            "seed": count(0, 0),
            "epsilon": optional(number(0.5, 0, 1)),
        },
        "rollout": {},
    },
    "checkpoints": {
        "model": made(gpt),
        "arrays": data(weights),
        "optimizer": made(optimizer),
        "moments": data(moments),
        "steps": count(0, 0),
        "initialise": {"model": made(lambda half: gpt(half, 5))},
        "save_model": {"path": WHERE},
        "load_model": {"path": path(saved)},
        "get_moments": {"model": TRAINED},
        "set_moments": {"model": TRAINED},
    },
    "adapters": {
        "model": made(lambda half: gpt.__wrapped__(half)),
        "rank": count(2, 1),
        "alpha": RATE,
        "targets": optional(texts("c_attn", "mlp.c_proj")).but("fewer"),
        "add_lora": {"_": lambda f, **a: f(**a).lora["r"]},
    },
    "pretrained": {
        "name": path(folder),
        "head": ...,
        "save": {
            "folder": path(folder).but("no folder"),
            "model": made(loaded),
            "tokenizer": optional(thing(BYTES)),
        },
        "load": {},
    },
    "models.recurrent": {
        **dict.fromkeys(("vocab_size", "embedding_dim"), count(6, 1)),
        "hidden_dim": count(6, 1),
        "LSTMPolicy.evaluate": {"self": SELF["Policy"], "mask": optional(M)},
        "Policy.score": {"completions": TEXT},
    },
    "models.transformer": {
        "prompt_mask": SEEN,
        "Transformer.evaluate": {"self": SELF["GPT"], "mask": optional(M)},
        "Transformer.score": {"completions": TEXT},
    },
    "models.gpt": {"config": thing(settings.GPTConfig(6, 8, 4, 1, 2))},
    "models.decoder": {
        "config": thing(DECODER),
        "prompt_mask": SEEN,
        "Decoder.evaluate": {"self": SELF["Decoder"], "mask": optional(M)},
        "Decoder.score": {"completions": TEXT},
    },
    "models.bert": {"config": thing(settings.BERTConfig(6, 4, 1, 2, 8))},
    "trainers": {
        "PolicyGradientTrainer": {
            "config": thing(settings.PolicyGradientConfig(steps=4, batch_size=4))
        },
        "PolicyGradientTrainer.train": {},
        "SupervisedTrainer.train": {},
        "SupervisedTrainer.step": {
            "inputs": only((COMPLETIONS,), ids=COMPLETIONS),
            "targets": strict(IDS).but("bool"),  # two classes
            "mask": strict(M),
        },
        "SupervisedTrainer.evaluate": {
            "self": Argument(lambda half: supervised(half, 9), made=True),
            "inputs": only((COMPLETIONS,), ids=COMPLETIONS),
            "targets": of_numpy(IDS).but("bool"),
            "mask": of_numpy(M),
            "batches": ...,
            "_": lambda f, self, **a: f(self, batches=[tuple(a.values())]),
        },
    },
    "dqn": {
        "target": made(lambda half: lstm(half, 6)),
        "config": thing(settings.DQNConfig(steps=4)),
    },
    "preference_trainers": {
        "level": choice("token", "sequence"),
        "reference": made(lambda half: lstm(half, 7)),
        "loss": LOSS,
        "RewardModelTrainer.evaluate": {"pairs": thing(pairs())},
        "ProcessRewardTrainer.step": {
            "prompts": strict(line(ids(REPEATED, 0, 6))),
            "completions": strict(IDS),
            "mask": strict(M),
            "labels": strict(LABELS),
        },
    },
}

PARTS = {
    "core.*.adapters": "merge without save load",
    "core.*.attention": "Cache behind attend_cache split_heads merge_heads "
    "position_ids pack unpack",
    "core.*.trainers": "adam tensor_like gradients clipped clipped_gradients descend "
    "PolicyGradientTrainer.reference_logprobs PolicyGradientTrainer.loss",
    "core.*.models.recurrent": "Policy attend LSTMPolicy.features LSTMPolicy.start "
    "LSTMPolicy.step LSTMPolicy.keep LSTMAttentionPolicy.features "
    "LSTMAttentionPolicy.start LSTMAttentionPolicy.step LSTMAttentionPolicy.keep "
    "Policy.forward Policy.call Policy.values BaselineNetwork.forward "
    "BaselineNetwork.call",
    "core.*.models.transformer": "Transformer Transformer.forward Transformer.call "
    "Transformer.values Transformer.start Transformer.step Transformer.keep",
    "core.*.models.bert": "BERT.forward BERT.call",
}
