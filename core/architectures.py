"""What the architectures of Hugging Face's model directories say of themselves that
`core` computes: the sizes and options in config.json, and the names of the weights.
"""

import re
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import numpy as np

from core import checks
from core.settings import DECODERS, BERTConfig, DecoderConfig, GPTConfig, RopeScaling

Config = GPTConfig | BERTConfig | DecoderConfig
CONFIGS: dict[str, Any] = {"gpt2": GPTConfig, "bert": BERTConfig}
CONFIGS |= dict.fromkeys(DECODERS, DecoderConfig)
HEADS = {
    "BertForMaskedLM": "masked",
    "BertForSequenceClassification": "sequence",
    "BertForTokenClassification": "token",
    "BertForPreTraining": "masked",
}
CAUSAL = {
    "gpt2": "GPT2LMHeadModel",
    "llama": "LlamaForCausalLM",
    "qwen2": "Qwen2ForCausalLM",
    "qwen3": "Qwen3ForCausalLM",
}
# All that `core` computes; the value that transformers assumes comes first.
COMPUTED = {
    "gpt2": {
        "activation_function": ("gelu_new", "gelu_pytorch_tanh"),
        "scale_attn_weights": (True,),
        "scale_attn_by_inverse_layer_idx": (False,),
        "add_cross_attention": (False,),
        "tie_word_embeddings": (True,),
    },
    "bert": {
        "hidden_act": ("gelu",),
        "position_embedding_type": ("absolute",),
        "is_decoder": (False,),
        "add_cross_attention": (False,),
        "tie_word_embeddings": (True,),
    },
    "llama": {
        "hidden_act": ("silu",),
        "attention_bias": (False,),
        "mlp_bias": (False,),
    },
    "qwen2": {"hidden_act": ("silu",), "use_sliding_window": (False,)},
    "qwen3": {
        "hidden_act": ("silu",),
        "attention_bias": (False,),
        "use_sliding_window": (False,),
    },
}
NO_DROPOUT = dict.fromkeys(DECODERS, ("attention_dropout",)) | {
    "gpt2": ("resid_pdrop", "embd_pdrop", "attn_pdrop"),
    "bert": ("hidden_dropout_prob", "attention_probs_dropout_prob"),
}
# The rest of the names in a published checkpoint, by what becomes of them.
_BARE = ((r"^(embed_tokens|layers|norm)\.", r"model.\1."),)
RENAMED: dict[str, tuple] = dict.fromkeys(DECODERS, _BARE) | {
    "gpt2": ((r"^(wte|wpe|h|ln_f)\.", r"transformer.\1."),),
    "bert": (
        (r"^(embeddings|encoder|pooler)\.", r"bert.\1."),
        (r"LayerNorm\.gamma$", "LayerNorm.weight"),
        (r"LayerNorm\.beta$", "LayerNorm.bias"),
    ),
}
DROPPED = dict.fromkeys(
    DECODERS, r"\.rotary_emb\.inv_freq$"
) | {  # buffers, and the head for pairs of sentences
    "gpt2": r"\.attn\.(bias|masked_bias)$",
    "bert": r"^(bert\.embeddings\.position_ids$|cls\.seq_relationship\.)",
}
TIED = {  # one array under two names
    "gpt2": {"lm_head.weight": "transformer.wte.weight"},
    "bert": {
        "cls.predictions.decoder.weight": "bert.embeddings.word_embeddings.weight",
        "cls.predictions.decoder.bias": "cls.predictions.bias",
    },
}
TIED |= dict.fromkeys(DECODERS, {"lm_head.weight": "model.embed_tokens.weight"})


class NotComputed(ValueError):
    """A directory is of an architecture, or has an option, that core lacks."""


def sizes(told: dict, path: Path) -> dict:
    """The fields of a config of `core` that a config.json describes.

    Args:
        told: the object in the file, of a kind in CONFIGS.
        path: of the file, for a message.
    Raises: ValueError where a size is left out or of another type; NotComputed.
    """
    theirs, kind = _their_config(told, path), told["model_type"]
    names = [field.name for field in fields(CONFIGS[kind])]
    found: dict[str, Any] = {name: getattr(theirs, name, None) for name in names}
    for name in {"pad_token_id", "bos_token_id", "eos_token_id"} & set(names):
        # The first of several; none that the model does not have.
        ids = np.ravel(found[name]).tolist() or [None]
        found[name] = ids[0] if ids[0] in range(theirs.vocab_size) else None
    if kind in DECODERS:
        turns = dict(theirs.rope_parameters)
        found["rope_theta"], found["rope_scaling"] = turns.pop("rope_theta"), None
        if turns["rope_type"] != "default":
            with checks.about(path):
                found["rope_scaling"] = RopeScaling(**turns)
        if not found["head_dim"]:  # a Qwen2 has no such entry
            found["head_dim"] = theirs.hidden_size // theirs.num_attention_heads
    if "head" in found:  # one that is not known is refused by its name
        architecture = (theirs.architectures or ["none"])[0]
        found["head"] = HEADS.get(architecture, architecture)
    return found


def _their_config(told: dict, path: Path) -> Any:
    """transformers' config of a model that `core` computes, else ValueError.

    It knows other names (hidden_size for n_embd), types and defaults; but a size that
    is left out is not that of the published model.
    """
    from transformers import AutoConfig  # here: it takes two seconds

    kind: str = told["model_type"]
    sizes = [f for f in fields(CONFIGS[kind]) if f.type == "int" or f.default is None]
    entries: dict = {f.name: None for f in sizes if f.name != "num_labels"}
    names = AutoConfig.for_model(kind).attribute_map
    entries |= {names.get(name, name): value for name, value in told.items()}
    with checks.about(path):  # what it raises depends on the entry
        theirs = AutoConfig.for_model(**entries)
    for name, values in COMPUTED[kind].items():
        value = getattr(theirs, name, values[0])
        wanted = f"{name}: expected {' or '.join(map(repr, values))} in {path}"
        found = f"got {value!r}, which core does not compute"
        if value not in values:
            raise NotComputed(f"{wanted}, {found}")
    _check_positions(theirs, path)
    return theirs


def _check_positions(theirs: Any, path: Path) -> None:
    """NotComputed for other rotations, and where some of a text is not seen."""
    scaling = getattr(theirs, "rope_parameters", None) or {"rope_type": "default"}
    plain = {name: scaling[name] for name in scaling if name != "rope_theta"}
    llama3 = {field.name for field in fields(RopeScaling)}
    if plain != {"rope_type": "default"} and plain.keys() != llama3:
        wanted = f"rope_scaling, rope_parameters: expected none or llama3 in {path}"
        raise NotComputed(f"{wanted}, got {plain}, which core does not compute")
    seen = set(getattr(theirs, "layer_types", None) or ()) - {"full_attention"}
    if seen:
        wanted = f"layer_types: expected 'full_attention' in {path}"
        raise NotComputed(f"{wanted}, got {seen}, which core does not compute")


def our_names(arrays: dict, kind: str) -> dict:
    """A published checkpoint's arrays under the names that `core` has for them.

    Args:
        arrays: name to array.
        kind: model_type.
    """
    found = {}
    for name, array in arrays.items():
        for pattern, new in RENAMED[kind]:
            name = re.sub(pattern, new, name)
        if not re.search(DROPPED[kind], name):
            found[name] = array
    return found


def untie(found: dict, config: Config, directory: Path) -> None:
    """Keep one of two names of an array, in place; both must be equal.

    Raises: ValueError where they are not.
    """
    tied = getattr(config, "tie_word_embeddings", True)
    names = TIED[config.model_type] if tied else {}
    for name in names.keys() & found:
        kept, array = names[name], found.pop(name)
        same = np.array_equal(found.setdefault(kept, array), array)
        wanted = f"{name}: expected the same numbers as {kept} in {directory}"
        checks.require(same, f"{wanted}, as core computes with one array for both")


def options(config: Config) -> dict:
    """config.json of a model, with what `transformers` has to know."""
    found, kind = asdict(config), config.model_type
    names = [CAUSAL.get(kind)]
    if kind == "bert":
        head = found.pop("head")
        names = [name for name in HEADS if HEADS[name] == head][:1]
        labels = [f"LABEL_{i}" for i in range(found.pop("num_labels"))]
        found["id2label"] = dict(enumerate(labels))
        found["label2id"] = {label: i for i, label in enumerate(labels)}
    computed = {n: values[0] for n, values in COMPUTED[kind].items()}
    computed |= dict.fromkeys(NO_DROPOUT[kind], 0.0)
    return {"model_type": kind, "architectures": names} | computed | found
