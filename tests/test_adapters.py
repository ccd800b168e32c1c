"""LoRA in both frameworks, against each other, by hand and against peft."""

import json
from copy import deepcopy
from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from safetensors import safe_open
from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM

from applications import causal_lm
from core import adapters, hub
from core.advantages import Group
from core.algorithms import ALGORITHMS
from core.pt import adapters as pt_adapters
from core.pt import models as pt_models
from core.pt import pretrained as pt_pretrained
from core.settings import GPTConfig, PolicyGradientConfig
from tests.both import BOTH, PT, TF
from tests.fuzz.calls import PROMPTS, env

CONFIG = GPTConfig(6, n_positions=8, n_embd=4, n_layer=2, n_head=2)
TARGETS = ("c_attn", "mlp.c_proj")
IDS = np.array([[1, 2, 3], [4, 0, 5]])
GRPO = replace(ALGORITHMS["GRPO"], advantage=Group(2, scale=True))
SETTINGS = PolicyGradientConfig(
    GRPO, steps=3, batch_size=8, warmup_steps=0, learning_rate=0.05
)


def policy(half, seed=1):
    return half.models.GPT(CONFIG, seed, "float64")


def adapted(half, seed=3, **changed):
    """A policy whose adapter does something."""
    model = half.adapters.add_lora(policy(half), 2, 4.0, TARGETS, **changed)
    return moved(half, model, seed)


def moved(half, model, seed=3):
    rng, arrays = np.random.default_rng(seed), half.checkpoints.get_weights(model)
    moved = {n: rng.normal(size=a.shape) for n, a in sorted(arrays.items())}
    half.checkpoints.set_weights(model, moved)
    return model


def logits(half, model):
    return half.numpy(model(half.tensor(IDS))[0])


def trained(half, model, reference, steps=3):
    trainer = half.trainers.PolicyGradientTrainer(
        model, env(), SETTINGS, reference=reference
    )
    trainer.train(steps, progress=False)
    return trainer


@pytest.mark.parametrize("half", BOTH, ids=lambda half: half.name)
def test_an_adapter_changes_nothing_at_first(half):
    model = policy(half)
    before = logits(half, model)
    half.adapters.add_lora(model, 2, 4.0, TARGETS)
    assert_array_equal(logits(half, model), before)
    names = [
        f"transformer.h.{layer}.{target}.lora_{part}.default.weight"
        for layer in range(2)
        for target in ("attn.c_attn", "mlp.c_proj")
        for part in "AB"
    ]
    arrays = half.checkpoints.get_weights(model)
    assert set(arrays) == {*names, "value_head.weight", "value_head.bias"}
    assert arrays[names[0]].shape == (2, 4) and arrays[names[1]].shape == (12, 2)
    assert arrays[names[2]].shape == (2, 16) and arrays[names[3]].shape == (4, 2)
    assert not arrays[names[1]].any() and np.abs(arrays[names[2]]).max() <= 1 / 4
    assert np.abs(arrays[names[0]]).max() > 1 / 4  # of 4 inputs: at most 1/2


def test_both_start_alike():
    first, second = (
        half.checkpoints.get_weights(half.adapters.add_lora(policy(half), seed=5))
        for half in BOTH
    )
    assert len(first) == 2 * 4 * 2 + 2  # every linear map of two blocks
    for name, array in first.items():
        assert_array_equal(array, second[name])


@pytest.mark.parametrize("half", BOTH, ids=lambda half: half.name)
def test_it_is_the_sum_of_two_matrices(half):
    model = adapted(half)
    arrays = half.checkpoints.get_weights(model)
    plain = policy(half)
    weights = half.checkpoints.get_weights(plain)
    for name in [n for n in arrays if "lora_A" in n]:
        a, b = arrays[name], arrays[name.replace("lora_A", "lora_B")]
        # alpha / rank = 4 / 2; GPT-2 keeps (in, out)
        weights[name.replace("lora_A.default.", "")] += 2 * (b @ a).T
    weights |= {n: a for n, a in arrays.items() if "value_head" in n}
    half.checkpoints.set_weights(plain, weights)
    assert_allclose(logits(half, model), logits(half, plain), atol=1e-12)
    half.adapters.merge(model)
    merged = half.checkpoints.get_weights(model)
    assert set(merged) == set(weights)
    for name, array in merged.items():
        assert_allclose(array, weights[name], atol=1e-14)
    assert_allclose(logits(half, model), logits(half, plain), atol=1e-12)
    half.adapters.add_lora(model, 1)  # once more, on what was merged
    assert_allclose(logits(half, model), logits(half, plain), atol=1e-12)


def test_three_steps_of_grpo_are_equal():
    found = []
    for half in BOTH:
        model = half.adapters.add_lora(policy(half), 2, 4.0, TARGETS)
        trainer = trained(half, model, half.adapters.without(model))
        assert trainer.history[0]["kl"] == 0 < trainer.history[2]["kl"]
        found.append((half.checkpoints.get_weights(model), trainer.history))
    for name, array in found[0][0].items():
        assert_allclose(array, found[1][0][name], atol=1e-10)
        assert not name.endswith("lora_B.default.weight") or np.abs(array).max() > 0.01
    for ours, theirs in zip(found[0][1], found[1][1]):
        assert_allclose(list(ours.values()), list(theirs.values()), atol=1e-10)


@pytest.mark.parametrize("half", BOTH, ids=lambda half: half.name)
def test_without_is_the_first_policy(half):
    model, before = policy(half), policy(half)
    half.adapters.add_lora(model, 2, 4.0, TARGETS)
    trainer = trained(half, model, half.adapters.without(model))
    other = half.adapters.add_lora(policy(half), 2, 4.0, TARGETS)
    assert trainer.history == trained(half, other, before).history
    off = half.adapters.without(model)
    assert_array_equal(logits(half, off), logits(half, before))
    assert np.abs(logits(half, model) - logits(half, off)).max() > 1e-3
    noise = np.random.default_rng(0).gumbel(size=(4, 3, 6))
    ours, theirs = (
        half.rollout.sample(p, PROMPTS, 3, noise=noise, group_size=2)
        for p in (off, before)
    )
    assert_array_equal(ours[0], theirs[0])
    assert_allclose(ours[1], theirs[1], atol=1e-12)
    texts = half.tensor(PROMPTS), half.tensor(ours[0])
    assert_allclose(
        half.numpy(off.score(*texts)[0]), half.numpy(before.score(*texts)[0])
    )


def test_what_was_compiled_is_compiled_again():
    model, noise = policy(TF), np.random.default_rng(0).gumbel(size=(2, 3, 6))

    def logprobs():
        return TF.rollout.sample(model, PROMPTS, 3, noise=noise)[1]

    first = logprobs()
    TF.adapters.add_lora(model, 2, 4.0, TARGETS)
    assert_allclose(logprobs(), first, atol=1e-12)
    moved(TF, model)
    changed = logprobs()
    assert np.abs(changed - first).max() > 1e-3
    TF.adapters.merge(model)
    assert_allclose(logprobs(), changed, atol=1e-12)


@pytest.mark.parametrize("half", BOTH, ids=lambda half: half.name)
def test_a_checkpoint_holds_the_adapter_alone(half, tmp_path):
    def begun():
        model = half.adapters.add_lora(policy(half), 2, 4.0, TARGETS)
        return half.trainers.PolicyGradientTrainer(
            model, env(), SETTINGS, reference=half.adapters.without(model)
        )

    whole, part = begun(), begun()
    whole.train(progress=False)
    part.train(2, progress=False, path=tmp_path / "run")
    with safe_open(tmp_path / "run", framework="np") as file:
        assert all("lora_" in name or "value_head" in name for name in file.keys())
    resumed = begun()
    resumed.load(tmp_path / "run")
    resumed.train(progress=False)
    assert resumed.history == whole.history


@pytest.mark.parametrize("half", BOTH, ids=lambda half: half.name)
def test_each_reads_what_the_other_wrote(half, tmp_path):
    [other] = [h for h in BOTH if h is not half]
    model = adapted(half)
    half.adapters.save(tmp_path / "a", model)
    read = other.adapters.load(tmp_path / "a", policy(other))
    assert_allclose(logits(other, read), logits(half, model), atol=1e-12)
    other.adapters.save(tmp_path / "b", read)
    for name in (adapters.CONFIG, adapters.WEIGHTS, "value_head.safetensors"):
        first, second = ((tmp_path / at / name).read_bytes() for at in "ab")
        assert first == second


@pytest.mark.parametrize("half", BOTH, ids=lambda half: half.name)
def test_peft_reads_it_and_is_read(half, tmp_path):
    from peft import LoraConfig, PeftModel, get_peft_model

    pt_pretrained.save(tmp_path / "gpt", policy(PT))
    model = adapted(half)
    half.adapters.save(tmp_path / "ours", model)

    def theirs():
        return AutoModelForCausalLM.from_pretrained(tmp_path / "gpt").double()

    found = PeftModel.from_pretrained(theirs(), tmp_path / "ours").double().eval()
    with torch.no_grad():
        assert_allclose(found(torch.tensor(IDS)).logits, logits(half, model), atol=1e-6)
    asked = LoraConfig(r=3, lora_alpha=6, target_modules=["c_fc"], fan_in_fan_out=True)
    made = get_peft_model(theirs(), replace(asked, task_type="CAUSAL_LM")).eval()
    with torch.no_grad():
        for name, weight in made.named_parameters():
            if "lora_B" in name:
                weight.normal_()
    made.save_pretrained(tmp_path / "theirs")
    read = half.adapters.load(tmp_path / "theirs", policy(half))
    with torch.no_grad():
        expected = made(torch.tensor(IDS)).logits
    assert_allclose(logits(half, read), expected, atol=1e-6)


def test_any_causal_model_of_transformers(tmp_path):
    from peft import PeftModel

    torch.manual_seed(0)
    sizes = {"hidden_size": 8, "intermediate_size": 16, "num_hidden_layers": 2}
    heads = {"num_attention_heads": 2, "num_key_value_heads": 1}
    LlamaForCausalLM(LlamaConfig(vocab_size=6, **sizes, **heads)).save_pretrained(
        tmp_path / "llama"
    )
    model = causal_lm.CausalLM(tmp_path / "llama", "float64")
    before = logits(PT, model)
    pt_adapters.add_lora(model, 2, 4, ("q_proj", "v_proj"), seed=1)
    assert_array_equal(logits(PT, model), before)
    trainer = trained(PT, model, pt_adapters.without(model))
    assert trainer.history[0]["kl"] == 0 < trainer.history[2]["kl"]
    pt_adapters.save(tmp_path / "adapter", model)
    plain = AutoModelForCausalLM.from_pretrained(tmp_path / "llama")
    found = PeftModel.from_pretrained(plain, tmp_path / "adapter").double().eval()
    with torch.no_grad():
        theirs = found(torch.tensor(IDS)).logits
    assert np.abs(logits(PT, model) - before).max() > 1e-3
    assert_allclose(logits(PT, model), theirs, atol=1e-5)
    again = causal_lm.CausalLM(tmp_path / "llama", "float64")
    pt_adapters.load(tmp_path / "adapter", again)
    assert_allclose(logits(PT, again), logits(PT, model), atol=1e-6)


@pytest.mark.parametrize("half", BOTH, ids=lambda half: half.name)
def test_bad_input(half, tmp_path):
    add, model = half.adapters.add_lora, policy(half)
    for wanted, asked in (
        ("rank: expected at least 1", {"rank": 0}),
        ("alpha: expected a positive number", {"alpha": 0}),
        ("targets: .*c_attn.*got 'q_proj'", {"targets": ("c_attn", "q_proj")}),
        ("targets: expected a list", {"targets": "c_attn"}),
        ("targets: expected names", {"targets": ()}),
        ("targets: .*got 'value_head'", {"targets": ("value_head",)}),
    ):
        with pytest.raises(ValueError, match=wanted):
            add(model, **asked)
    for function in (half.adapters.merge, half.adapters.without):
        with pytest.raises(ValueError, match="model: expected one with an adapter"):
            function(model)
    with pytest.raises(ValueError, match="model: expected one with an adapter"):
        half.adapters.save(tmp_path / "a", model)
    for other in (half.models.LSTMPolicy(6), half.models.LSTMAttentionPolicy(6)):
        with pytest.raises(ValueError, match="model: expected a transformer policy"):
            add(other)
    add(model)
    with pytest.raises(ValueError, match="model: it has an adapter already"):
        add(model)


def test_a_model_with_an_adapter_is_no_whole_model(tmp_path):
    with pytest.raises(ValueError, match="model: merge its adapter first"):
        pt_pretrained.save(tmp_path / "a", pt_adapters.add_lora(policy(PT)))


def test_bad_files(tmp_path):
    pt_adapters.save(tmp_path, adapted(PT))
    told = json.loads((tmp_path / adapters.CONFIG).read_text("utf-8"))
    for name, value in (("use_dora", True), ("peft_type", "IA3"), ("bias", "all")):
        (tmp_path / adapters.CONFIG).write_text(
            json.dumps(told | {name: value}), "utf-8"
        )
        with pytest.raises(ValueError, match=f"{name}: expected"):
            pt_adapters.load(tmp_path, policy(PT))
    (tmp_path / adapters.CONFIG).write_text(json.dumps(told | {"r": 3}), "utf-8")
    with pytest.raises(ValueError, match="weights: .*expected shape"):
        pt_adapters.load(tmp_path, policy(PT))
    (tmp_path / adapters.CONFIG).write_text(json.dumps({"peft_type": "LORA"}), "utf-8")
    with pytest.raises(ValueError, match="expected .*'r'"):
        pt_adapters.load(tmp_path, policy(PT))
    (tmp_path / adapters.WEIGHTS).unlink()
    (tmp_path / adapters.CONFIG).write_text(json.dumps(told), "utf-8")
    with pytest.raises(FileNotFoundError, match=adapters.WEIGHTS):
        pt_adapters.load(tmp_path, policy(PT))
    with pytest.raises(FileNotFoundError, match=adapters.CONFIG):
        adapters.read(tmp_path / "nowhere")


def test_a_copy_has_its_own_adapter():
    model = adapted(PT)
    copied = deepcopy(model)
    moved(PT, model, 4)
    assert np.abs(logits(PT, copied) - logits(PT, model)).max() > 1e-3
    assert isinstance(copied, pt_models.GPT) and hub.CONFIGS
