"""LoRA without a framework: which layers get an adapter, how it starts, its files, and
the policy without it.

Beside a frozen linear map W stands B A, with A (rank, in) and B (out, rank):
x W + (alpha / rank) x A' B', W as (in, out), the dash a transpose.  A is drawn and B is
0, so that the first policy is the one without.  Source: Hu et al. 2021, "LoRA: Low-Rank
Adaptation of Large Language Models", arXiv:2106.09685.  Names, files and first values
are those of the library `peft`.
"""

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file, save_file

from core import checks, hub
from core.policies import TokenPolicy

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
HEADS = ("value_head", "policy_head", "lm_head")  # no part of the body
# What else a file may ask for, and the only value that is computed.
COMPUTED = {"peft_type": "LORA", "use_dora": False, "use_rslora": False}
COMPUTED |= {"bias": "none", "lora_bias": False, "rank_pattern": {}}
COMPUTED |= {"alpha_pattern": {}, "modules_to_save": None}


def chosen(
    model: Any, names: Iterable[str], rank: int, alpha: float, targets: Any
) -> list[str]:
    """The linear maps that get an adapter, of the names of all of a model.

    Args:
        rank: ≥ 1, the width between A and B.
        alpha: > 0; the adapter is multiplied by alpha / rank.
        targets: ends of names, as ("c_attn", "mlp.c_proj"); None: all in the blocks.
    Raises: ValueError for a model that has an adapter, or none of these layers.
    """
    checks.whole(1, rank=rank)
    checks.positive(alpha=alpha)
    names = [n for n in names if n.rpartition(".")[2] not in HEADS]
    again = getattr(model, "lora", None)
    checks.require(not again, "model: it has an adapter already; merge that first")
    wanted = "model: expected a transformer policy, with linear maps in its blocks"
    checks.require(names and isinstance(model, TokenPolicy), wanted)
    if targets is None:
        return names
    targets = checks.texts("targets", targets)
    checks.require(targets, "targets: expected names of layers, got none")
    known = sorted({name.rpartition(".")[2] for name in names})
    for end in targets:
        found = any(_ends(name, end) for name in names)
        wanted = f"targets: expected ends of names such as {known}"
        checks.require(found, f"{wanted}, got {end!r}")
    return [name for name in names if any(_ends(name, end) for end in targets)]


def first(shapes: dict[str, tuple], seed: int) -> dict[str, np.ndarray]:
    """First values by name: A uniform in ±1/√in, as in peft, B zero; float64."""
    checks.whole(0, seed=seed)
    rng, arrays = np.random.default_rng(int(seed)), {}
    for name, (out, into) in sorted(shapes.items()):
        arrays[name] = np.zeros((out, into))
        if "lora_A" in name:
            arrays[name] = rng.uniform(-(into**-0.5), into**-0.5, (out, into))
    return arrays


def write(folder: str | Path, arrays: dict, settings: dict, prefix: str = "") -> None:
    """Write an adapter as peft reads it, whole or not at all, and a value head.

    Args:
        arrays: what is trained, by name.
        settings: "r", "lora_alpha", "target_modules", "fan_in_fan_out".
        prefix: of the names, where a policy holds the model that peft will read.
    """
    body = {n: np.ascontiguousarray(a) for n, a in arrays.items() if "lora_" in n}
    heads = {n: a for n, a in arrays.items() if n not in body}
    checks.require(body, "model: expected one with an adapter")
    body = {
        f"base_model.model.{name.removeprefix(prefix).replace('.default', '')}": array
        for name, array in body.items()
    }
    told = COMPUTED | {"task_type": "CAUSAL_LM", "inference_mode": True} | settings
    with hub.aside(folder) as new:
        (new / CONFIG).write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
        save_file(body, new / WEIGHTS, {"format": "pt"})
        hub.write_value_head(new, heads)


def read(folder: str | Path) -> tuple[dict, dict]:
    """Settings and arrays of `write`, or of peft: rank, alpha, targets; by name.

    Raises: FileNotFoundError; ValueError where a file is damaged or asks for what is
        not computed.
    """
    path = Path(folder)
    told = hub.read_json(path / CONFIG)
    for name, value in COMPUTED.items():
        found = told.get(name, value) or value
        wanted = f"{name}: expected {value!r} in {path / CONFIG}"
        checks.require(found == value, f"{wanted}, got {found!r}")
    if not (path / WEIGHTS).is_file():
        raise FileNotFoundError(f"{path / WEIGHTS} does not exist")
    with checks.about(f"{path / WEIGHTS}: no safetensors file"):
        arrays = load_file(path / WEIGHTS)
    arrays = {
        name.removeprefix("base_model.model.").replace(".weight", ".default.weight"): a
        for name, a in arrays.items()
    }
    keys = {"rank": "r", "alpha": "lora_alpha", "targets": "target_modules"}
    lacking = [key for key in keys.values() if key not in told]
    checks.require(not lacking, f"{path / CONFIG}: expected {lacking}")
    return {name: told[key] for name, key in keys.items()}, arrays


class Unadapted(TokenPolicy):
    """A policy with its adapter off: the same weights, and no copy of them.

    What a training starts from, which is the reference policy of a pull.

    Args:
        model: a policy with an adapter.
        off: maps it to a context in which the adapter is off.
    """

    def __init__(self, model: Any, off: Callable) -> None:
        self.model, self._off, self.vocab_size = model, off, model.vocab_size
        self._compiled = getattr(model, "_compiled", False)

    @property
    def embedding(self) -> Any:
        """The policy's token embedding."""
        return self.model.embedding

    @property
    def dtype(self) -> Any:
        """The precision of TensorFlow's policy."""
        return self.model.dtype

    def __call__(self, *arguments):
        """Logits (B, L, V) and values (B, L), as of the policy."""
        return self._without(self.model, *arguments)

    def score(self, prompts, completions, prompt_mask=None):
        """As `TokenPolicy.score`."""
        return self._without(self.model.score, prompts, completions, prompt_mask)

    def _evaluate(self, *arguments):
        return self._without(self.model._evaluate, *arguments)

    def start(self, prompts, max_length: int, prompt_mask=None, group_size: int = 1):
        """As `TokenPolicy.start`."""
        arguments = prompts, max_length, prompt_mask, group_size
        return self._without(self.model.start, *arguments)

    def step(self, tokens, state: Any):
        """As `TokenPolicy.step`."""
        return self._without(self.model.step, tokens, state)

    def keep(self, state: Any, rows) -> Any:
        """As `TokenPolicy.keep`."""
        return self.model.keep(state, rows)

    def _without(self, function: Callable, *arguments):
        with self._off(self.model):
            return function(*arguments)


def _ends(name: str, end: str) -> bool:
    return name == end or name.endswith(f".{end}")
