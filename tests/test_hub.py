"""Directories in Hugging Face's layout, read and written with NumPy."""

import json
import os

import huggingface_hub.errors
import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import save_file

from core import hub
from core.settings import BERTConfig, GPTConfig
from core.text import ByteBPETokenizer, CharTokenizer

GPT2 = {
    "model_type": "gpt2",
    "vocab_size": 5,
    "n_positions": 4,
    "n_embd": 2,
    "n_layer": 1,
    "n_head": 1,
}
BERT = {
    "model_type": "bert",
    "architectures": ["BertForTokenClassification"],
    "vocab_size": 5,
    "hidden_size": 2,
    "num_hidden_layers": 1,
    "num_attention_heads": 1,
    "intermediate_size": 3,
    "max_position_embeddings": 4,
    "type_vocab_size": 2,
}
CONFIG = GPTConfig(5, n_positions=4, n_embd=2, n_layer=1, n_head=1)
# The reader does not care how many weights a model has.
WEIGHTS = {
    "transformer.wte.weight": np.ones((5, 2), np.float32),
    "value_head.bias": np.ones(1, np.float32),
}
SHAPES = {name: array.shape for name, array in WEIGHTS.items()}


def put(folder, options, arrays=None):
    """A directory with this config.json and these weights."""
    (folder / "config.json").write_text(json.dumps(options), "utf-8")
    if arrays is not None:
        save_file(arrays, folder / "model.safetensors")
    return folder


def test_a_directory_is_itself(tmp_path, monkeypatch):
    monkeypatch.setattr(huggingface_hub, "snapshot_download", None)
    assert hub.folder(tmp_path) == hub.folder(str(tmp_path)) == tmp_path


def test_a_name_goes_through_the_hub(tmp_path, monkeypatch):
    asked = {}

    def download(name, allow_patterns):
        asked[name] = allow_patterns
        return str(tmp_path)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    monkeypatch.chdir(tmp_path)
    assert hub.folder("gpt2") == tmp_path
    assert not {"*", "*.bin", "*.py", "*.safetensors"} & set(asked["gpt2"])
    assert {"config.json", "tokenizer.json"} < set(asked["gpt2"])


@pytest.mark.parametrize(
    "error",
    [
        huggingface_hub.errors.LocalEntryNotFoundError("no network\nmore"),
        huggingface_hub.errors.HFValidationError("no network"),
        ConnectionError("no network"),
    ],
)
def test_without_a_network_the_error_says_what_to_put_where(
    tmp_path, monkeypatch, error
):
    def download(name, allow_patterns):
        raise error

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError) as caught:
        hub.folder("gpt2")
    message = str(caught.value)
    assert message.startswith("name: there is no directory 'gpt2'")
    assert "(no network); put config.json, model.safetensors and " in message
    assert message.endswith(str(tmp_path / "gpt2"))


def test_config_of_the_published_gpt2(tmp_path):
    """Its config.json as it stands on the hub, but for the lengths."""
    put(
        tmp_path,
        {
            "activation_function": "gelu_new",
            "architectures": ["GPT2LMHeadModel"],
            "attn_pdrop": 0.1,
            "bos_token_id": 50256,
            "embd_pdrop": 0.1,
            "eos_token_id": 50256,
            "initializer_range": 0.02,
            "layer_norm_epsilon": 1e-05,
            "model_type": "gpt2",
            "n_ctx": 1024,
            "n_embd": 768,
            "n_head": 12,
            "n_layer": 12,
            "n_positions": 1024,
            "resid_pdrop": 0.1,
            "summary_activation": None,
            "summary_first_dropout": 0.1,
            "summary_proj_to_labels": True,
            "summary_type": "cls_index",
            "summary_use_proj": True,
            "task_specific_params": {"text-generation": {"do_sample": True}},
            "vocab_size": 50257,
        },
    )
    assert hub.read_config(tmp_path) == GPTConfig(
        50257, 1024, 768, 12, 12, bos_token_id=50256, eos_token_id=50256
    )


def test_config_of_the_published_bert(tmp_path):
    put(
        tmp_path,
        {
            "architectures": ["BertForMaskedLM"],
            "gradient_checkpointing": False,
            "attention_probs_dropout_prob": 0.1,
            "hidden_act": "gelu",
            "hidden_dropout_prob": 0.1,
            "hidden_size": 768,
            "initializer_range": 0.02,
            "intermediate_size": 3072,
            "layer_norm_eps": 1e-12,
            "max_position_embeddings": 512,
            "model_type": "bert",
            "num_attention_heads": 12,
            "num_hidden_layers": 12,
            "pad_token_id": 0,
            "type_vocab_size": 2,
            "position_embedding_type": "absolute",
            "use_cache": True,
            "transformers_version": "4.6.0.dev0",
            "vocab_size": 30522,
        },
    )
    assert hub.read_config(tmp_path) == BERTConfig(
        30522, 768, 12, 12, 3072, 512, 2, 1e-12, 0, "masked", 2
    )
    other = hub.read_config(tmp_path, head="token", num_labels=7)
    assert (other.head, other.num_labels) == ("token", 7)
    with pytest.raises(ValueError, match="num_labels: a head"):
        hub.read_config(tmp_path, num_labels=7)
    with pytest.raises(ValueError, match="head: expected one of"):
        hub.read_config(tmp_path, head="tokens")
    with pytest.raises(ValueError, match="num_labels: expected at least 1"):
        hub.read_config(tmp_path, head="token", num_labels=0)


def test_labels_are_counted(tmp_path):
    assert hub.read_config(put(tmp_path, BERT)).num_labels == 2
    put(tmp_path, BERT | {"id2label": {"0": "a", "1": "b", "2": "c"}})
    assert hub.read_config(tmp_path).num_labels == 3
    put(tmp_path, BERT | {"num_labels": 4})
    assert hub.read_config(tmp_path).num_labels == 4


@pytest.mark.parametrize(
    "options, message",
    [
        (GPT2 | {"activation_function": "relu"}, "activation_function: .*relu"),
        (GPT2 | {"scale_attn_weights": False}, "scale_attn_weights: "),
        (GPT2 | {"scale_attn_by_inverse_layer_idx": True}, "inverse_layer_idx: "),
        (GPT2 | {"add_cross_attention": True}, "add_cross_attention: "),
        (GPT2 | {"tie_word_embeddings": False}, "tie_word_embeddings: "),
        (BERT | {"hidden_act": "gelu_new"}, "hidden_act: expected 'gelu' in .*js"),
        (BERT | {"position_embedding_type": "relative_key"}, "position_embedd"),
        (BERT | {"is_decoder": True}, "is_decoder: "),
        (
            BERT | {"architectures": ["BertForQuestionAnswering"]},
            "head: expected one of .* got 'BertForQuestionAnswering'",
        ),
        (GPT2 | {"n_embd": "2"}, "(?s)config.json: .*n_embd.* expected int"),
        (GPT2 | {"n_embd": 2.0}, "(?s)n_embd.* expected int, got float"),
        (GPT2 | {"n_layer": None}, "(?s)n_layer.* expected int, got NoneType"),
        (GPT2 | {"eos_token_id": 2.5}, "(?s)eos_token_id.*got float"),
        (GPT2 | {"layer_norm_epsilon": "1"}, "(?s)layer_norm_eps.*got str"),
        (BERT | {"id2label": ["a"]}, "config.json"),
        (BERT | {"id2label": {}}, "num_labels: expected at least 1"),
        (GPT2 | {"n_head": 3}, "config.json: n_head: expected a divisor"),
        (BERT | {"vocab_size": 0}, "config.json: vocab_size: "),
        ([], "config.json: expected an object"),
    ],
)
def test_what_core_does_not_compute_is_refused(tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        hub.read_config(put(tmp_path, options))


@pytest.mark.parametrize(
    "kind, name",
    [("gpt2", name) for name in GPT2 if name != "model_type"]
    + [("bert", name) for name in BERT if name not in ("model_type", "architectures")],
)
def test_a_size_left_out_is_not_the_published_models(tmp_path, kind, name):
    options = {k: v for k, v in (GPT2 if kind == "gpt2" else BERT).items() if k != name}
    with pytest.raises(ValueError, match=f"(?s){name}.* expected int, got No"):
        hub.read_config(put(tmp_path, options))


def test_other_names_of_a_size_are_read(tmp_path):
    """transformers reads a GPT-2's hidden_size as its n_embd."""
    options = {
        name: GPT2[name] for name in ("model_type", "vocab_size", "n_layer", "n_head")
    }
    assert (
        hub.read_config(
            put(tmp_path, options | {"hidden_size": 2, "max_position_embeddings": 4})
        )
        == CONFIG
    )


@pytest.mark.parametrize(
    "told, wanted",
    [
        ({}, (None, None, None)),  # not the 50256 of the published GPT-2
        ({"bos_token_id": 50256, "eos_token_id": 50256}, (None, None, None)),
        ({"eos_token_id": [2, 3], "bos_token_id": 1}, (None, 1, 2)),
        ({"eos_token_id": []}, (None, None, None)),
        ({"pad_token_id": -1, "eos_token_id": 4}, (None, None, 4)),
        ({"pad_token_id": 0, "eos_token_id": 5}, (0, None, None)),
    ],
)
def test_ids_that_the_model_does_not_have_are_none(tmp_path, told, wanted):
    found = hub.read_config(put(tmp_path, GPT2 | told))
    assert (found.pad_token_id, found.bos_token_id, found.eos_token_id) == (wanted)


def test_other_models_are_refused(tmp_path):
    options = {"model_type": "phi3", "vocab_size": 5}
    with pytest.raises(ValueError, match="name: expected one of gpt2, .*, got 'phi3'"):
        hub.read_config(put(tmp_path, options))
    with pytest.raises(ValueError, match="head, num_labels: only a BERT"):
        hub.read_config(put(tmp_path, GPT2), head="token")


def test_missing_and_broken_files_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="config.json does not exist"):
        hub.read_config(tmp_path)
    (tmp_path / "config.json").write_text("{", "utf-8")
    with pytest.raises(ValueError, match="config.json: not JSON"):
        hub.read_config(tmp_path)
    (tmp_path / "pytorch_model.bin").write_bytes(b"pickled")
    with pytest.raises(
        FileNotFoundError, match="safetensors does not exist.*are not read"
    ):
        hub.read_weights(tmp_path, CONFIG, SHAPES)
    put(tmp_path, GPT2, WEIGHTS)
    path = tmp_path / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ValueError, match="model.safetensors is truncated"):
        hub.read_weights(tmp_path, CONFIG, SHAPES)


@pytest.mark.parametrize(
    "change, message",
    [
        ({"transformer.wte.weight": np.ones((2, 5))}, r"expected shape \(5, 2\)"),
        ({"other": np.ones(1)}, "extra other"),
        ({"transformer.wte.weight": None}, "missing transformer.wte.weight"),
        ({"transformer.wte.weight": np.full((5, 2), np.nan)}, "wte.* not finite"),
        ({"lm_head.weight": np.zeros((5, 2))}, "lm_head.weight: .*same numbers"),
    ],
)
def test_weights_that_do_not_fit_are_named(tmp_path, change, message):
    arrays = {k: v for k, v in (WEIGHTS | change).items() if v is not None}
    with pytest.raises(ValueError, match=message) as caught:
        hub.read_weights(put(tmp_path, GPT2, arrays), CONFIG, SHAPES)
    assert str(tmp_path) in str(caught.value)


def test_half_precision_and_the_tied_name_are_read(tmp_path):
    for kind in (np.float16, ml_dtypes.bfloat16):
        table = np.array([[1, -1.5]] * 5).astype(kind)
        put(
            tmp_path,
            GPT2,
            {
                "wte.weight": table,
                "lm_head.weight": table,
                "h.0.attn.bias": np.ones((1, 1, 4, 4), np.uint8),
                "h.0.attn.masked_bias": np.array(-1e4, np.float32),
            },
        )
        found = hub.read_weights(tmp_path, CONFIG, SHAPES)
        assert list(found) == ["transformer.wte.weight"]
        array = found["transformer.wte.weight"]
        assert array.dtype == np.float32
        np.testing.assert_array_equal(array, [[1, -1.5]] * 5)


def test_weights_in_several_files(tmp_path):
    put(tmp_path, GPT2)
    save_file(
        {"wte.weight": WEIGHTS["transformer.wte.weight"]},
        tmp_path / "model-1.safetensors",
    )
    save_file({"value_head.bias": np.ones(1)}, tmp_path / "b.safetensors")
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(
        json.dumps(
            {
                "weight_map": {
                    "wte.weight": "model-1.safetensors",
                    "value_head.bias": "b.safetensors",
                }
            }
        ),
        "utf-8",
    )
    shapes = SHAPES
    # A value head stands in its own file; elsewhere it is one name too many.
    with pytest.raises(ValueError, match="extra value_head.bias"):
        hub.read_weights(tmp_path, CONFIG, shapes)
    (tmp_path / "b.safetensors").rename(tmp_path / "value_head.safetensors")
    with pytest.raises(FileNotFoundError, match="b.safetensors does not exis"):
        hub.read_weights(tmp_path, CONFIG, shapes)
    index.write_text(
        json.dumps({"weight_map": {"wte.weight": "model-1.safetensors"}}), "utf-8"
    )
    assert set(hub.read_weights(tmp_path, CONFIG, shapes)) == set(shapes)
    index.write_text(json.dumps({"weight_map": {"a": "../model.safetensors"}}), "utf-8")
    with pytest.raises(ValueError, match="expected plain names"):
        hub.read_weights(tmp_path, CONFIG, shapes)


def test_what_is_written_is_read(tmp_path):
    folder = tmp_path / "a" / "b"
    hub.write(folder, CONFIG, WEIGHTS)
    assert hub.read_config(folder) == CONFIG
    found = hub.read_weights(folder, CONFIG, SHAPES)
    for name, array in WEIGHTS.items():
        np.testing.assert_array_equal(found[name], array)
    assert sorted(p.name for p in folder.iterdir()) == [
        "config.json",
        "model.safetensors",
        "value_head.safetensors",
    ]
    config = BERTConfig(5, head="sequence", num_labels=3)
    hub.write(folder, config, WEIGHTS)
    assert hub.read_config(folder) == config


@pytest.mark.parametrize("broken", ["fsync", "save_file"])
def test_a_crash_leaves_the_old_directory(tmp_path, monkeypatch, broken):
    folder = tmp_path / "m"
    hub.write(folder, CONFIG, WEIGHTS)
    before = {p.name: p.read_bytes() for p in folder.iterdir()}

    def crash(*_):
        raise OSError("disk full")

    with monkeypatch.context() as patch:
        patch.setattr(os if broken == "fsync" else hub, broken, crash)
        with pytest.raises(OSError, match="disk full"):
            hub.write(folder, GPTConfig(7), {"x": np.zeros(1)})
    assert before == {p.name: p.read_bytes() for p in folder.iterdir()}
    assert [p.name for p in tmp_path.iterdir()] == ["m"]


READERS = {
    "folder": hub.folder,
    "read_config": hub.read_config,
    "read_weights": lambda folder: hub.read_weights(folder, CONFIG, SHAPES),
    "weight_files": hub.weight_files,
}


@pytest.mark.parametrize("name", READERS)
def test_who_reads_brings_back_what_a_kill_left_aside(tmp_path, name):
    folder = tmp_path / "m"
    hub.write(folder, CONFIG, WEIGHTS)
    os.replace(folder, tmp_path / ".m.old")  # and killed
    READERS[name](folder)
    assert [p.name for p in tmp_path.iterdir()] == ["m"]


def test_an_older_value_head_does_not_stay(tmp_path):
    hub.write(tmp_path, CONFIG, WEIGHTS)
    body = {"transformer.wte.weight": WEIGHTS["transformer.wte.weight"]}
    hub.write(tmp_path, CONFIG, body)
    assert hub.read_value_head(tmp_path) == {}
    (tmp_path / "mine.txt").write_text("stays", "utf-8")
    hub.write(tmp_path, CONFIG, WEIGHTS)
    assert set(hub.read_value_head(tmp_path)) == {"value_head.bias"}
    assert (tmp_path / "mine.txt").exists()


def test_a_tokenizer_must_fit(tmp_path):
    tokenizer = ByteBPETokenizer(["abc"], 259)
    arrays = {"transformer.wte.weight": np.ones((259, 2), np.float32)}
    with pytest.raises(ValueError, match="tokenizer: .* 5 tokens, got 259"):
        hub.write(tmp_path, CONFIG, WEIGHTS, tokenizer)
    with pytest.raises(ValueError, match="CharTokenizer, which has no files"):
        hub.write(tmp_path, CONFIG, WEIGHTS, CharTokenizer(["abc"]))
    assert not list(tmp_path.iterdir())
    hub.check_tokenizer_file(tmp_path, 1)  # there is none
    hub.write(tmp_path, GPTConfig(259, 4, 2, 1, 1), arrays, tokenizer)
    hub.check_tokenizer_file(tmp_path, 259)
    with pytest.raises(ValueError, match="tokenizer.json: .*258, got 258"):
        hub.check_tokenizer_file(tmp_path, 258)
    (tmp_path / "tokenizer.json").write_text("{}", "utf-8")
    with pytest.raises(ValueError, match="tokenizer.json: cannot be read"):
        hub.check_tokenizer_file(tmp_path, 259)
