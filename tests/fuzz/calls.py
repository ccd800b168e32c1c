"""What the arguments of each module are, by the names of parameters.

A module's table has the kind of each parameter of its public functions, methods and
classes; those that have the same one everywhere stand in COMMON.  An entry that is a
dict says what differs in one function: "name" or, for a further call, "name (note)".
There `...` leaves a parameter out, and "_" says how the function is called.  A method
is called on what SELF has for its class.
"""

from __future__ import annotations

import tempfile
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np

from core import advantages, algorithms, buffer, envs, mdp, rewards, settings, weights
from core import text as core_text
from core.types import Preferences, Rollout
from tests.fuzz.arguments import (
    FREE,
    Argument,
    array,
    choice,
    count,
    ended,
    flag,
    floats,
    ids,
    mask,
    number,
    only,
    optional,
    path,
    positive,
    put,
    rng,
    share,
    text,
    texts,
    thing,
)

# --- Values: V = 6 tokens, eos 2; N = 2 prompts of P = 2; B = 4, T = 3 ---------

MASK = np.array([[1, 1, 1], [1, 1, 0], [1, 0, 0], [1, 1, 1]])
COMPLETIONS = np.array([[3, 4, 2], [5, 2, 0], [2, 0, 0], [3, 4, 5]])
TARGETS = np.array([[3, 4, 2], [5, 4, 2], [3, 2, 0], [4, 2, 0]])
PROMPTS, BEFORE = np.array([[3, 4], [5, 3]]), np.array([[0, 1], [1, 1]])
REPEATED, WORDS = np.repeat(PROMPTS, 2, axis=0), ["a b", "b c c", "c"]
TOKENIZER = core_text.CharTokenizer(["abc"])
BYTES = core_text.ByteBPETokenizer(["abc"], 259, add_mask=True)
PROBLEM = mdp.TokenMDP.enumerate(3, 2, lambda text: text[-1] / 4, 2, 0.5)
FOLDER = tempfile.TemporaryDirectory(prefix="fuzz")


def rows(kind):
    """As many rows as it has are right."""
    return kind.but("fewer rows", "more rows", "one row", "shape")


def wide(kind):
    """Its last axis is of any length."""
    return kind.but("shorter", "column", "shape")


def line(kind):
    """A line of any length."""
    return rows(wide(kind))


def rollout():
    zeros, over = np.zeros(MASK.shape), np.array([True, True, True, False])
    texts = REPEATED, COMPLETIONS, MASK, zeros, MASK / 2
    return Rollout(*texts, over, np.repeat([0, 1], 2))


def env():
    arrays, match = (PROMPTS, TARGETS[:2]), rewards.token_position_match
    return envs.BatchedEnvironment(*arrays, match, 6, 2, tokenizer=TOKENIZER)


def pairs():
    other = np.array([[4, 2, 0], [5, 5, 2], [3, 2, 0], [2, 0, 0]])
    shorter = np.arange(3) < np.array([[2], [3], [2], [1]])
    return Preferences(REPEATED, COMPLETIONS, MASK, other, shorter)


def game(half=None):
    game = envs.TextEnvironment("abc", TOKENIZER, render_mode="ansi")
    game.reset(seed=0)
    return game


def kept(half=None):
    kept = buffer.ExperienceBuffer(2)
    kept.add(rollout())
    return kept


def file(half=None):
    return str(Path(FOLDER.name, "file.safetensors"))


def directory(half=None):
    return str(Path(FOLDER.name, "directory"))


def into(function, folder):
    """A directory with one file."""
    with function(folder) as new:
        Path(new, "a").write_text("a", "utf-8")


@cache
def written(half=None):
    weights.write(name := file() + ".model", ARRAYS, {"model": "Policy"})
    return name


@cache
def saved(half=None):
    BYTES.save(name := Path(FOLDER.name, "tokenizer"))
    return str(name)


def chatting(half=None):
    tokenizer = core_text.PretrainedTokenizer(saved())
    tokenizer.template = "{% for m in messages %}{{ m.content }}{% endfor %}"
    return tokenizer


# --- Kinds -------------------------------------------------------------------

X, M, GAMMA, SCORES = floats(4, 3), ended(MASK), share(0.5), rows(floats(4))
COEF, RATE, SIZE, STEP = number(0.5, 0), positive(0.5), count(2, 2, 4), count(3, 0)
TABLE, LENGTH, EOS = ids(COMPLETIONS, 0, None), count(3, 1), count(2, 0, 5)
TEXTS, WORD, SOME = texts(*WORDS), text("abc").but("empty"), texts("abc", "b")
SOME, ROW = SOME.but("fewer"), line(ids([3, 4, 2], 0, None))
PICKED, STATES, OVER = rows(ids([0, 1, 1, 0], 0, 2)), floats(4, 4), mask([1, 1, 0, 1])
SAMPLES, FLAG = floats(7, 2), flag(False)
LOGITS = floats(3, 3).but("-inf", "infinite")  # -inf: a token is never written
ON_TOKENS = {"_": lambda f, **a: f(**a)(COMPLETIONS, MASK, TARGETS)}
ON_WORDS = {"_": lambda f, **a: f(**a)(WORDS, target=WORDS)}
PROBS = np.array([1, 1, 1, 1, 1, 1, 2]) / 8
ARRAYS = {"a": np.ones((2, 2)), "b": np.zeros(3)}

COMMON = {
    "batch_size": LENGTH,
    "decay": choice("cosine", "none"),
    "env": thing(env()),
    "eos_id": optional(EOS.but("list", "array")),  # several, of which one is one
    "gamma": GAMMA,
    "group_size": SIZE,
    "mask": M,
    "adam_epsilon": RATE,
    "max_grad_norm": RATE,
    "mdp": thing(PROBLEM),
    "learning_rate": RATE,
    "level": choice("token", *algorithms.LEVELS),
    "pad_id": count(0, 0, 5),
    "rng": rng(),
    "seed": count(0, 0),
    "sharpness": RATE,
    "step": STEP,
    "steps": LENGTH,
    "temperature": RATE,
    "tokenizer": thing(TOKENIZER),
    "warmup_steps": count(0, 0),
}
SELF = {
    "ConstantLength": Argument(algorithms.ConstantLength()),
    "Training": Argument(settings.SupervisedConfig()),
    "PolicyGradientConfig": Argument(settings.PolicyGradientConfig(entropy_final=0.5)),
    "DQNConfig": Argument(settings.DQNConfig()),
    "Rows": Argument(rollout()),
    "ExperienceBuffer": Argument(kept, made=True),
    "BatchedEnvironment": Argument(env()),
    "TokenEnvironment": Argument(game, made=True),
    "Tokenizer": Argument(TOKENIZER),
    "CharTokenizer": Argument(TOKENIZER),
    "WordTokenizer": Argument(core_text.WordTokenizer(["abc b"])),
    "FileTokenizer": Argument(BYTES),
    "PretrainedTokenizer": Argument(chatting, made=True),
}

# --- The modules --------------------------------------------------------------

CALLS = {
    "core.returns": {
        "rewards": X,
        "values": X,
        "next_values": X,
        "x": X,
        "lam": GAMMA,
        "bootstrap": floats(4).but("number", "shape"),
        "terminated": OVER,
        "scores": SCORES,
        "sequence_logprobs": floats(4, top=-1),
        "scale": FLAG,
        "shift": FLAG,
        "alpha": COEF,
        "whiten": {"scale": number(0.5, 0)},
        "risk_advantages": {"scores": floats(4)},
        "batch_mean_baseline": {"scores": line(floats(4))},
        "state_values": {"q": floats(4, 3, 6).but(*FREE), "chooser": ...},
        "state_values (chooser)": {
            "q": floats(4, 3, 6),
            "chooser": optional(floats(4, 3, 6)),
            "alpha": ...,
        },
    },
    "core.advantages": {
        "total": FLAG,
        "leave_one_out": FLAG,
        "scale": FLAG,
        "value_coef": COEF,
        "value_clip": optional(COEF),
        "lam": GAMMA,
        "size": count(2, 2),
        "of": only(advantages.Return()),
        **{
            f"Advantage.__call__ ({type(kind).__name__})": {
                "self": Argument(kind),
                "batch": thing(rollout()),
                "predicted": floats(*shape) if shape else ...,
            }
            for kind, *shape in (
                (advantages.Critic(0.5), 4, 4),
                (advantages.Learned(), 4),
                (advantages.Greedy(), 4),
                (advantages.Group(2),),
            )
        },
    },
    "core.algorithms": {
        "low": COEF,
        "high": COEF,
        "length": optional(LENGTH),
        "limit": LENGTH,
        "estimator": choice("k1", *algorithms.ESTIMATORS),
        "coef": COEF,
        "where": choice("loss", "reward"),
        "advantage": only(advantages.Return()),
        "surrogate": only(algorithms.Plain()),
        "aggregate": only(algorithms.TokenMean()),
        "pull": optional(only(algorithms.KL("k3", 0.5, "loss"))),
    },
    "core.settings": {
        "algorithm": only(algorithms.Algorithm(surrogate=algorithms.Clipped())),
        "noise": choice("host", "device"),
        "per_prompt": count(2, 1, 4),
        "epochs": count(2, 1),
        "minibatches": count(2, 1, 4),
        "entropy_coef": COEF,
        "entropy_final": optional(COEF),
        "resample": count(0, 0, 0),
        "reuse": count(0, 0, 0),
        "buffer_batches": count(0, 0),
        "updates": LENGTH,
        "target_every": LENGTH,
        "double": FLAG,
        "alpha": COEF,
        "epsilon": GAMMA,
        "epsilon_final": GAMMA,
        "weight_decay": COEF,
        **dict.fromkeys(("vocab_size", "n_positions", "n_layer"), LENGTH),
        **dict.fromkeys(("num_hidden_layers", "intermediate_size"), LENGTH),
        **dict.fromkeys(("max_position_embeddings", "type_vocab_size"), LENGTH),
        **dict.fromkeys(("n_embd", "hidden_size"), count(4, 1)),
        **dict.fromkeys(("n_head", "num_attention_heads"), count(2, 1, 4)),
        **dict.fromkeys(("layer_norm_epsilon", "layer_norm_eps"), RATE),
        **dict.fromkeys(("pad_token_id", "bos_token_id"), optional(EOS)),
        "eos_token_id": optional(EOS),
        "n_inner": optional(LENGTH),
        "head": choice("masked", "sequence", "token"),
        "num_labels": LENGTH,
        "num_key_value_heads": count(1, 1, 2),
        "head_dim": count(4, 1),
        **dict.fromkeys(("rms_norm_eps", "rope_theta"), RATE),
        "tie_word_embeddings": FLAG,
        "model_type": choice("qwen3", "qwen2", "llama"),
        "factor": number(4.0, 1),
        "low_freq_factor": number(1.0, 0, 4, True, True),
        "high_freq_factor": number(4.0, 1, open_low=True),
        "original_max_position_embeddings": LENGTH,
        "rope_type": choice("llama3"),
        "rope_scaling": optional(only(settings.RopeScaling(8.0, 1.0, 4.0, 8))),
        "DecoderConfig": {"num_attention_heads": count(2, 1)},
        "PolicyGradientConfig": {"batch_size": count(4, 1)},
        "DQNConfig": {"buffer_batches": LENGTH},
    },
    "core.sampling": {"shape": only((4, 3, 6)).but("list"), "epsilon": optional(GAMMA)},
    "core.types": {
        "prompts": wide(ids(REPEATED, 0, None)),
        "completions": TABLE,
        "logprobs": floats(4, 3, top=-1),
        "rewards": X,
        "terminated": OVER,
        "rows": ids([0, 0, 1, 1], 0, None),
        "prompt_mask": optional(mask(np.ones((4, 2)))),
        "chosen": TABLE,
        "chosen_mask": M,
        "rejected": ids(pairs().rejected, 0, None),
        "rejected_mask": ended(pairs().rejected_mask),
        "index": line(ids([0, 3], -4, 4)).but("empty", "tuple"),
        "rollouts": thing([rollout(), rollout()]),
    },
    "core.buffer": {
        "batches": LENGTH,
        "rollout": thing(rollout()),
        # A RandomState draws rows as well.
        "ExperienceBuffer.sample": {"rng": rng().but("state")}
        | {"batch_size": count(2, 1, 4)},
    },
    "core.report": {
        "history": only(
            [{"return": 1.0, "length": 2.0, "grad_norm": 1.0}],
            none=[],
            other=[{"return": 1.0}],
            nan=[{"return": float("nan"), "length": 2.0, "grad_norm": 1.0}],
        ),
        "batch": thing(rollout()),
        "logprobs": optional(floats(4, 3)),
        "values": optional(floats(4, 3)),
        "group_size": count(2, 1, 4),
        "explained": {"values": floats(4, 3)},
    },
    "core.pretraining": {
        "texts": texts("ab", "c", "cab").but("fewer"),
        "length": LENGTH,
        "ids": TABLE,
        "share": number(0.5, 0, 1, open_low=True),
        "next_tokens": {"mask": optional(mask(MASK))},
        "answers": {"_": lambda f, **a: next(f(**a))},
        "masked_tokens": {
            "ids": ids(COMPLETIONS, 0, len(BYTES)),
            "mask": M.but("hole", "zeros"),
            "tokenizer": thing(BYTES),
        },
    },
    "core.mdp": {
        "step_rewards": LOGITS,
        "with_rewards": {"gamma": optional(GAMMA)},
        "TokenMDP.enumerate": {
            "vocab_size": count(3, 2),
            "max_length": count(2, 1),
            "reward": thing(lambda text: text[-1] / 4),
            "eos_id": optional(count(2, 0)),
            "max_states": count(5000, 3),
        },
    },
    "core.exact": {
        "logits": LOGITS,
        "ref_logits": LOGITS,
        "function": thing(lambda x: np.ones((len(x), 3))),
        "choose": thing(lambda q, level: q.max(axis=1)),
        "weights": optional(SAMPLES),
        "probs": array(PROBS, bad={"nan": put(PROBS, np.nan), "-1": put(PROBS, -1)}),
        "samples": wide(SAMPLES).but("extra axis"),
        "log_softmax": {"logits": LOGITS.but(*FREE)},
        "gradient_samples": {"weights": SAMPLES},
        "batch_moments": {
            "probs": line(array(PROBS)),
            "estimator": thing(lambda rows: rows.sum()),
            "batch_size": count(2, 1).plus(above=20),
            "max_batches": count(49, 49),
        },
    },
    "core.text": {
        "text": WORD,
        "texts": SOME,
        "tokens": SOME,
        "words": SOME.but("none"),
        "ids": ROW.but("empty", "huge"),  # of what is no token nothing is read
        "keep_words": FLAG,
        "add_mask": FLAG,
        "add_eos": FLAG,
        "special": FLAG,
        "rows": thing([[3, 4], [5]], empty=[[3], []], text=["ab"], below=[[-1]]),
        "length": LENGTH,
        "side": choice("left", "right"),
        "vocab_size": count(259, 259),
        "folder": path(saved).but("empty"),  # the current one
        "name": path(saved),
        "messages": thing([{"role": "user", "content": "abc"}]),
        "ByteBPETokenizer": {"texts": SOME.but("none")},
        "FileTokenizer.save": {"folder": path(saved).but("no folder", "empty")},
        "FileTokenizer.join": {"tokens": texts("a", "b").but("fewer", "none")},
        "Tokenizer.join": {"tokens": SOME.but("none")},
        "WordTokenizer.join": {"tokens": SOME.but("none")},
        "Tokenizer.encode_batch": {"texts": SOME.but("none")},
    },
    "core.words": {"text": WORD, "words": SOME.but("none")},
    "core.rewards.texts": {
        "completions": TEXTS,
        "target": TEXTS,
        "wanted": TEXTS,
        "length": ids([1, 2, 3], 1, None).but("fraction"),
        "n": LENGTH,
        "repetition": {"completions": TEXTS.but("fewer", "none")},
        "weighted_sum": {
            "functions": only([rewards.exact_match, rewards.edit_ratio]),
            "weights": floats(2),
        }
        | ON_WORDS,
    },
    "core.rewards.tokens": {
        "completions": TABLE,
        "targets": wide(ids(TARGETS, 0, None)),
        "n": count(2, 1),
        "scores": floats(4),
        "potentials": STATES,
        "function": thing(rewards.edit_ratio),
        "token_overlong": {"margin": count(2, 1, 3), "mask": wide(rows(M))}
        | {"completions": Argument(None), "targets": Argument(None)},
        "token_weighted_sum": {
            "functions": only([rewards.token_exact_match, rewards.token_length]),
            "weights": floats(2),
        }
        | ON_TOKENS,
        "token_from_text": ON_TOKENS,
        "potentials_from_text": ON_TOKENS,
        "terminal": {"mask": wide(M)},
        "unpadded": {
            "eos_id": optional(count(2, 0).but("list", "array")),
            "pad_id": count(0, 0),
        }
        | {"texts": rows(wide(ids([[3, 2, 0], [4, 3, 2]], 0, None)))},
    },
    "core.batched": {
        "prompts": wide(ids(PROMPTS, 0, 6)),
        "targets": optional(wide(ids(TARGETS[:2], 0, 6))),
        "token_reward": only(rewards.token_position_match),
        "vocab_size": count(6, 6),
        "tokenizer": optional(only(TOKENIZER)),
        "max_length": optional(LENGTH),
        "limit_ends": FLAG,
        "prompt_vocab_size": optional(count(6, 6)),
        "columns": optional(
            only({"a": [{"n": 1}, None]}, fewer={"a": [1]}, text={"a": "ab"})
        ).but("dict"),
        "stop": texts("ab", "c").but("fewer", "none"),
        "completions": TABLE,
        "rows": PICKED,
        "logprobs": floats(4, 3, top=-1),
        # with a vocabulary of the prompts beside it only EOS must be below
        "BatchedEnvironment": {"vocab_size": count(6, 3), "tokenizer": only(TOKENIZER)},
        "BatchedEnvironment (mask)": {
            "vocab_size": count(6, 3),
            "prompts": ids(PROMPTS, 0, 6),
            "prompt_mask": optional(mask(BEFORE)).plus(hole=[[1, 0], [1, 1]]),
            "stop": ...,
        },
        "BatchedEnvironment (targets)": {
            "vocab_size": count(6, 3),
            "targets": optional(ids(TARGETS[:2], 0, 6)),
            "target_mask": optional(mask([[1, 1, 1], [1, 1, 0]])),
            "stop": ...,
        },
        "BatchedEnvironment.from_texts": {
            "prompts": texts("ab", "c"),
            "targets": optional(texts("a", "bc")),
            "reward": thing(rewards.exact_match),
            "tokenizer": thing(TOKENIZER),
            "max_length": optional(LENGTH),
            "vocab_size": optional(count(6, 6)),
        },
        "BatchedEnvironment.wanted": {"rows": line(ids([0, 1, 1, 0], 0, 2))},
        "BatchedEnvironment.targets_text": {"rows": line(ids([0, 1, 1, 0], 0, 2))},
        "BatchedEnvironment.texts": {"completions": line(TABLE).but("empty")}
        | {"mask": ...},
        "BatchedEnvironment.texts (mask)": {"mask": optional(mask(MASK))},
        "BatchedEnvironment.rewards": {"rows": ids([0, 1, 1, 0], 0, 2)},
    },
    "core.envs": {
        "prompts": wide(ids(PROMPTS, 0, 6)),
        "targets": wide(ids(TARGETS[:2], 0, 6)),
        "vocab_size": count(6, 6),
        "tokenizer": optional(only(TOKENIZER)),
        "text": text("abc"),
        "input_seq": line(ids([3, 4], 0, 6)),
        "target_seq": line(ids([3, 4], 0, 6)),
        "render_mode": optional(choice("ansi")),
        "action": EOS,
        "options": optional(only({"row": 0}, above={"row": 1}, other={"a": 0})).but(
            "dict", "list"
        ),
        "TextEnvironment": {"reward": choice("position", "indicator")},
        "LMEnvironment": {
            "reward": choice("difference", "similarity"),
            "vocab_size": count(6, 5),
        },
        "TextGenerationEnv": {
            "prompts": texts("ab", "c"),
            "targets": texts("b", "ca"),
            "reward": choice("regret", "similarity"),
        },
        "TokenEnvironment.reset": {"seed": replace(optional(count(0, 0)), same={})},
    },
    "core.weights": {
        "shapes": only({"a.weight": (2, 3), "b.bias": (2,)}, below={"a": (-1, 2)}),
        "arrays": only(ARRAYS, texts={"a": "ten"}).but("dict"),
        "metadata": only({"model": "LSTM"}).but("dict"),
        "path": path(file),
        "kind": choice("Policy"),
        "folder": path(directory).but("no folder", "empty"),
        "aside": {"_": into},
        "read": {"path": path(written)},
        "read_model": {"path": path(written)},
    },
}

# Parts of what stands above, called with what it made; and what others derive from.
PARTS = {
    "core.advantages": "Advantage OfGroups Wrapper unwrapped",
    "core.algorithms": "Ratio Aggregate Aggregate.tokens",
    "core.settings": "Training",
    "core.mdp": "TokenMDP",
    "core.report": "Report Sign of_run",
    "core.text": "FileTokenizer",
    "core.types": "Rows",
    "core.envs": "TokenEnvironment",
    "core.adapters": "chosen first write read Unadapted Unadapted.score "
    "Unadapted.start Unadapted.step Unadapted.keep",
    "core.sampling": "rollout finished check_distribution check_prompt_mask "
    "checked_prompts checked_texts checked_noise group_size",
    "core.weights": "check_names check_file digest",
}
