"""The GPT of the benchmarks, its prompts, and the same weights elsewhere.

V = 64 tokens, 4 layers, width 128.  Prompts come in groups of 8 completions,
as in GRPO; the libraries get each prompt 8 times, as TRL gives them.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from core.settings import GPTConfig

CONFIG = GPTConfig(vocab_size=64)
GROUP = 8
PROMPT = 16  # tokens
PAD, EOS = 0, 1
LAST = 48  # tokens of the longest completion


def prompts(batch, seed=0):
    """(batch / 8, 16) token ids, neither padding nor EOS."""
    rng = np.random.default_rng(seed)
    return rng.integers(2, CONFIG.vocab_size, (batch // GROUP, PROMPT))


def lengths(batch, seed):
    """(batch,) lengths from 4 to 48, where completions end at random."""
    return np.random.default_rng(seed).integers(4, LAST + 1, batch)


def ending_noise(ends, seed):
    """Gumbel noise (B, T, V) under which row b ends after ends[b] tokens."""
    rng = np.random.default_rng(seed)
    noise = rng.gumbel(size=(len(ends), LAST, CONFIG.vocab_size))
    last = np.arange(LAST) == ends[:, None] - 1
    noise[..., EOS] = np.where(last, 1e4, -1e4)
    return noise


def in_transformers(weights):
    """`GPT2LMHeadModel` with the weights of our GPT, without dropout."""
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel

    model = GPT2LMHeadModel(GPT2Config(**_config())).eval()
    named = {n: torch.from_numpy(w) for n, w in _lm(weights).items()}
    model.load_state_dict(named, strict=False)
    return model


def in_keras_hub(weights):
    """KerasHub's `GPT2CausalLM` with the weights of our GPT, under XLA."""
    import keras_hub

    with tempfile.TemporaryDirectory() as folder:
        text = json.dumps(
            {**_config(), "model_type": "gpt2", "architectures": ["GPT2LMHeadModel"]}
        )
        (Path(folder) / "config.json").write_text(text, "utf-8")
        save_file(
            _lm(weights), Path(folder) / "model.safetensors", metadata={"format": "pt"}
        )
        model = keras_hub.models.GPT2CausalLM.from_preset(folder, preprocessor=None)
    sampler = keras_hub.samplers.RandomSampler(seed=0)
    model.compile(sampler=sampler, jit_compile=True)
    return model


def _config():
    config = {
        name: getattr(CONFIG, name)
        for name in ("vocab_size", "n_positions", "n_embd", "n_layer", "n_head")
    }
    return {
        **config,
        "pad_token_id": PAD,
        "bos_token_id": EOS,
        "eos_token_id": None,
        "resid_pdrop": 0.0,
        "embd_pdrop": 0.0,
        "attn_pdrop": 0.0,
    }


def _lm(weights):
    return {n: w for n, w in weights.items() if not n.startswith("value")}
