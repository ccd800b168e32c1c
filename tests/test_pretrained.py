"""One directory for both frameworks and for `transformers`."""

import json

import numpy as np
import pytest
import torch

import pages.parity  # noqa: F401  first: it sets up both frameworks

# isort: split
import transformers
from safetensors.numpy import load_file, save_file

from core.pt import pretrained as pt_pretrained
from core.settings import BERTConfig, GPTConfig
from core.text import ByteBPETokenizer, PretrainedTokenizer
from core.tf import pretrained as tf_pretrained
from tests.both import BOTH, PT, TF

PRETRAINED = {"pt": pt_pretrained, "tf": tf_pretrained}
GPT2 = GPTConfig(
    11,
    n_positions=8,
    n_embd=8,
    n_layer=2,
    n_head=2,
    n_inner=12,
    pad_token_id=0,
    bos_token_id=1,
    eos_token_id=2,
)
SIZES = {
    "vocab_size": 11,
    "hidden_size": 8,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 12,
    "max_position_embeddings": 8,
    "num_labels": 3,
}
CONFIGS = {"gpt2": GPT2} | {
    head: BERTConfig(head=head, **SIZES) for head in ("masked", "sequence", "token")
}
CLASSES = {
    "gpt2": transformers.AutoModelForCausalLM,
    "masked": transformers.AutoModelForMaskedLM,
    "sequence": transformers.AutoModelForSequenceClassification,
    "token": transformers.AutoModelForTokenClassification,
}
IDS = np.random.default_rng(0).integers(1, 11, (2, 6))


def build(fw, name, seed=1, dtype="float32"):
    """A model with every weight away from where it starts."""
    kind = fw.models.GPT if name == "gpt2" else fw.models.BERT
    model = kind(CONFIGS[name], seed, dtype)
    rng = np.random.default_rng(seed)
    arrays = fw.checkpoints.get_weights(model)
    fw.checkpoints.set_weights(
        model,
        {
            n: (a + 0.3 * rng.normal(size=a.shape)).astype(a.dtype)
            for n, a in sorted(arrays.items())
        },
    )
    return model


def outputs(fw, model):
    found = model(fw.tensor(IDS))
    return fw.numpy(found[0] if isinstance(found, tuple) else found)


def load(fw, folder, *arguments):
    return PRETRAINED[fw.name].load(folder, *arguments)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize(
    "source, target", [(PT, TF), (TF, PT)], ids=["pt to tf", "tf to pt"]
)
def test_one_directory_loads_everywhere(tmp_path, source, target, name, dtype):
    first = build(source, name, dtype=dtype)
    PRETRAINED[source.name].save(tmp_path, first)
    second = PRETRAINED[target.name].load(tmp_path, dtype=dtype)
    assert second.config == CONFIGS[name]
    arrays = target.checkpoints.get_weights(second)
    for key, array in source.checkpoints.get_weights(first).items():
        np.testing.assert_array_equal(arrays[key], array)
    theirs, info = CLASSES[name].from_pretrained(tmp_path, output_loading_info=True)
    assert not any(info.values())
    assert str(theirs.dtype) == f"torch.{dtype}"
    wanted = theirs(torch.tensor(IDS)).logits.detach().numpy()
    assert np.abs(wanted).max() > 0.3
    for fw, model in ((source, first), (target, second)):
        np.testing.assert_allclose(
            outputs(fw, model), wanted, atol=1e-4 if dtype == "float32" else 1e-9
        )
    # What was written says that there is no dropout, as there is none here.
    theirs.train()
    assert torch.equal(*(theirs(torch.tensor(IDS)).logits for _ in range(2)))


@pytest.mark.parametrize("fw", BOTH, ids=lambda fw: fw.name)
def test_the_value_head_is_kept_beside(tmp_path, fw):
    model = build(fw, "gpt2")
    PRETRAINED[fw.name].save(tmp_path, model)
    assert set(load_file(tmp_path / "value_head.safetensors")) == {
        "value_head.weight",
        "value_head.bias",
    }
    arrays = fw.checkpoints.get_weights(load(fw, tmp_path))
    assert np.abs(arrays["value_head.weight"]).max() > 0.1
    (tmp_path / "value_head.safetensors").unlink()
    arrays = fw.checkpoints.get_weights(load(fw, tmp_path))
    assert (arrays["value_head.weight"] == 0).all()
    save_file(
        {"value_head.weight": np.ones((1, 9), np.float32)},
        tmp_path / "value_head.safetensors",
    )
    with pytest.raises(
        ValueError,
        match=r"missing value_head.bias; value_he"
        r"ad.weight: expected shape \(1, 8",
    ):
        load(fw, tmp_path)


def test_a_new_head_is_the_same_in_both_frameworks(tmp_path):
    """Its body is the checkpoint's, its head starts from the seed."""
    pt_pretrained.save(tmp_path, build(PT, "masked"))
    trained = load_file(tmp_path / "model.safetensors")
    one = load(PT, tmp_path, "sequence", 4, 7)
    other = load(TF, tmp_path, "sequence", 4, 7)
    arrays = PT.checkpoints.get_weights(one)
    for name, array in TF.checkpoints.get_weights(other).items():
        np.testing.assert_array_equal(arrays[name], array)
    assert arrays["classifier.weight"].shape == (4, 8)
    assert 0 < np.abs(arrays["classifier.weight"]).max() < 0.1
    assert not any(name.startswith("cls.") for name in arrays)
    body = [n for n in trained if n.startswith("bert.")]
    assert len(body) > 30
    for name in body:
        np.testing.assert_array_equal(arrays[name], trained[name])
    third = PT.checkpoints.get_weights(load(PT, tmp_path, "sequence", 4, 8))
    assert (third["classifier.weight"] != arrays["classifier.weight"]).any()


def test_a_pooler_that_is_there_is_kept(tmp_path):
    """And the classifier is new where the number of labels is."""
    pt_pretrained.save(tmp_path, build(PT, "sequence"))
    trained = load_file(tmp_path / "model.safetensors")
    for count in (None, 5):
        arrays = PT.checkpoints.get_weights(load(PT, tmp_path, "sequence", count))
        np.testing.assert_array_equal(
            arrays["bert.pooler.dense.weight"], trained["bert.pooler.dense.weight"]
        )
        same = np.array_equal(arrays["classifier.weight"], trained["classifier.weight"])
        assert same == (count is None)
    assert load(PT, tmp_path, "token").config.head == "token"


@pytest.mark.parametrize("fw", BOTH, ids=lambda fw: fw.name)
def test_a_directory_like_the_published_gpt2(tmp_path, fw):
    """No prefix, the masks of attention among the weights."""
    model = build(PT, "gpt2")
    pt_pretrained.save(tmp_path, model)
    (tmp_path / "value_head.safetensors").unlink()
    arrays = {
        name.removeprefix("transformer."): array
        for name, array in load_file(tmp_path / "model.safetensors").items()
    }
    for i in range(2):
        arrays[f"h.{i}.attn.bias"] = np.tril(np.ones((1, 1, 8, 8), np.uint8))
        arrays[f"h.{i}.attn.masked_bias"] = np.array(-1e4, np.float32)
    save_file(arrays, tmp_path / "model.safetensors")
    np.testing.assert_allclose(
        outputs(fw, load(fw, tmp_path)), outputs(PT, model), atol=1e-5
    )


@pytest.mark.parametrize("fw", BOTH, ids=lambda fw: fw.name)
def test_a_directory_like_the_published_bert(tmp_path, fw):
    """The names of 2018, a second head, the tied table twice."""
    model = build(PT, "masked")
    pt_pretrained.save(tmp_path, model)
    arrays = {}
    for name, array in load_file(tmp_path / "model.safetensors").items():
        name = name.replace("LayerNorm.weight", "LayerNorm.gamma")
        arrays[name.replace("LayerNorm.bias", "LayerNorm.beta")] = array
    pooler = {
        "bert.pooler.dense.weight": np.full((8, 8), 0.5, np.float32),
        "bert.pooler.dense.bias": np.ones(8, np.float32),
    }
    save_file(
        arrays
        | pooler
        | {
            "bert.embeddings.position_ids": np.arange(8)[None],
            "cls.seq_relationship.weight": np.ones((2, 8), np.float32),
            "cls.seq_relationship.bias": np.ones(2, np.float32),
            "cls.predictions.decoder.weight": arrays[
                "bert.embeddings.word_embeddings.weight"
            ],
            "cls.predictions.decoder.bias": arrays["cls.predictions.bias"],
        },
        tmp_path / "model.safetensors",
    )
    np.testing.assert_allclose(
        outputs(fw, load(fw, tmp_path)), outputs(PT, model), atol=1e-5
    )
    other = fw.checkpoints.get_weights(load(fw, tmp_path, "sequence"))
    for name, array in pooler.items():
        np.testing.assert_array_equal(other[name], array)


@pytest.mark.parametrize("fw", BOTH, ids=lambda fw: fw.name)
def test_a_directory_that_transformers_wrote_without_a_head(tmp_path, fw):
    sizes = {k: v for k, v in SIZES.items() if k != "num_labels"}
    theirs = transformers.BertModel(transformers.BertConfig(**sizes))
    theirs.save_pretrained(tmp_path)
    with pytest.raises(ValueError, match=r"head: expected one of .*BertModel"):
        load(fw, tmp_path)
    arrays = fw.checkpoints.get_weights(load(fw, tmp_path, "sequence"))
    np.testing.assert_array_equal(
        arrays["bert.pooler.dense.weight"], theirs.pooler.dense.weight.detach().numpy()
    )


@pytest.mark.parametrize("fw", BOTH, ids=lambda fw: fw.name)
def test_the_tokenizer_stands_beside(tmp_path, fw):
    tokenizer = ByteBPETokenizer(["low lower lowest"], 262)
    config = GPTConfig(262, n_positions=8, n_embd=4, n_layer=1, n_head=1)
    model = fw.models.GPT(config)
    PRETRAINED[fw.name].save(tmp_path, model, tokenizer)
    assert load(fw, tmp_path).vocab_size == 262
    ids = tokenizer.encode("lower")
    again = PretrainedTokenizer(tmp_path)
    assert again.encode("lower") == ids
    PRETRAINED[fw.name].save(tmp_path / "again", model, again)
    for folder in (tmp_path, tmp_path / "again"):
        theirs = transformers.AutoTokenizer.from_pretrained(folder)
        assert theirs.encode("lower", add_special_tokens=False) == ids
    # A tokenizer of another model: in the directory, and to be saved.
    ByteBPETokenizer(["low lower lowest"], 263).save(tmp_path)
    with pytest.raises(ValueError, match="tokenizer.json: .*262, got 262"):
        load(fw, tmp_path)
    with pytest.raises(ValueError, match="tokenizer: .* 11 tokens, got 262"):
        PRETRAINED[fw.name].save(tmp_path, build(fw, "gpt2"), tokenizer)


@pytest.mark.parametrize("fw", BOTH, ids=lambda fw: fw.name)
def test_bad_directories_are_named(tmp_path, fw, monkeypatch):
    with pytest.raises(FileNotFoundError, match="config.json does not exist"):
        load(fw, tmp_path)
    PRETRAINED[fw.name].save(tmp_path, build(fw, "gpt2"))
    config = json.loads((tmp_path / "config.json").read_text("utf-8"))
    path = tmp_path / "config.json"
    for change, message in (
        ({"n_layer": 3}, "missing transformer.h.2.attn.c_attn.bias"),
        ({"n_layer": 1}, "extra transformer.h.1.attn.c_attn.bias"),
        ({"n_positions": 9}, r"wpe.weight: expected shape \(9, 8\), got"),
        ({"activation_function": "relu"}, "activation_function: expected"),
    ):
        path.write_text(json.dumps(config | change), "utf-8")
        with pytest.raises(ValueError, match=message):
            load(fw, tmp_path)
    path.write_text(json.dumps(config), "utf-8")
    with pytest.raises(ValueError, match="head, num_labels: only a BERT"):
        load(fw, tmp_path, "token")
    with pytest.raises(ValueError, match="dtype: expected"):
        PRETRAINED[fw.name].load(tmp_path, dtype="float16")
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(FileNotFoundError, match="safetensors does not exist"):
        load(fw, tmp_path)
    monkeypatch.setattr("huggingface_hub.snapshot_download", lambda *_, **__: 1 / 0)
    with pytest.raises(FileNotFoundError, match="name: there is no directory"):
        load(fw, str(tmp_path / "none"))


@pytest.mark.parametrize("fw", BOTH, ids=lambda fw: fw.name)
def test_other_models_have_no_directory(tmp_path, fw):
    model = fw.models.LSTMPolicy(11, 4, 4)
    with pytest.raises(ValueError, match="model: .*got LSTMPolicy; checkpoi"):
        PRETRAINED[fw.name].save(tmp_path, model)


@pytest.mark.parametrize("fw", BOTH, ids=lambda fw: fw.name)
def test_other_architectures_are_refused(tmp_path, fw):
    (tmp_path / "config.json").write_text('{"model_type": "phi3"}', "utf-8")
    with pytest.raises(ValueError, match="name: expected one of gpt2, .*, got 'phi3'"):
        load(fw, tmp_path)


@pytest.mark.parametrize("fw", BOTH, ids=lambda fw: fw.name)
def test_a_prompt_longer_than_the_positions_is_refused(tmp_path, fw):
    PRETRAINED[fw.name].save(tmp_path, build(fw, "gpt2"))
    model = load(fw, tmp_path)
    with pytest.raises(ValueError, match="prompts: .* 8 positions, got 9"):
        fw.rollout.sample(model, np.ones((1, 4), int), 5)
    with pytest.raises(ValueError, match="8 positions, got 9"):
        model(fw.tensor(np.ones((1, 9), int)))
