"""bfloat16, with and without float32 weights, and activations computed again."""

from dataclasses import replace

import ml_dtypes
import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose

from core.advantages import Group
from core.algorithms import ALGORITHMS
from core.settings import DecoderConfig, GPTConfig, PolicyGradientConfig
from tests.both import BOTH, PT, TF
from tests.fuzz.calls import BEFORE, COMPLETIONS, MASK, PROMPTS, env

CONFIG = GPTConfig(6, n_positions=8, n_embd=16, n_layer=2, n_head=2)
DECODER = DecoderConfig(6, 16, 2, 2, 1, 8, 32)
SIZES = {"GPT": CONFIG, "Decoder": DECODER}
KINDS = pytest.mark.parametrize("kind", SIZES)
HALVES = pytest.mark.parametrize("half", BOTH, ids=lambda half: half.name)
GRPO = replace(ALGORITHMS["GRPO"], advantage=Group(2, scale=True), pull=None)
SETTINGS = PolicyGradientConfig(
    GRPO, steps=3, batch_size=8, warmup_steps=0, learning_rate=1e-3
)


def policy(half, dtype, seed=1, kind="GPT"):
    return getattr(half.models, kind)(SIZES[kind], seed, dtype)


def scores(half, model):
    texts = map(half.tensor, (PROMPTS, COMPLETIONS, MASK, BEFORE))
    return [half.numpy(x) for x in model.evaluate(*texts)]


@HALVES
@KINDS
@pytest.mark.parametrize("dtype", ["bfloat16", "mixed_bfloat16"])
def test_what_is_scored_is_in_float32(half, dtype, kind):
    exact = scores(half, policy(half, "float32", kind=kind))
    rounded = policy(half, dtype, kind=kind)
    found = scores(half, rounded)
    for theirs, ours in zip(exact, found):
        assert ours.dtype == np.float32
        assert_allclose(ours, theirs, atol=0.03)
    assert np.abs(found[0] - exact[0]).max() > 1e-6  # it is rounded
    kinds = {a.dtype for a in half.checkpoints.get_weights(rounded).values()}
    mixed = dtype == "mixed_bfloat16"
    head = {np.dtype(np.float32)} if half is TF else set()
    expected = (
        {np.dtype(np.float32)} if mixed else {np.dtype(ml_dtypes.bfloat16)} | head
    )
    assert kinds == expected


@HALVES
@pytest.mark.parametrize("dtype", ["bfloat16", "mixed_bfloat16"])
def test_it_trains_and_resumes(half, dtype, tmp_path):
    def begun():
        model = policy(half, dtype)
        return half.trainers.PolicyGradientTrainer(model, env(), SETTINGS)

    whole, part = begun(), begun()
    whole.train(progress=False)
    part.train(2, progress=False, path=tmp_path / "run")
    resumed = begun()
    resumed.load(tmp_path / "run")
    resumed.train(progress=False)
    assert resumed.history == whole.history
    other = half.trainers.PolicyGradientTrainer(
        policy(half, "float64"), env(), SETTINGS
    )
    with pytest.raises(ValueError, match="dtype"):
        other.load(tmp_path / "run")


@HALVES
def test_small_steps_are_lost_in_bfloat16_alone(half):
    """A step of 1e-3 is below half a unit in the last place of 0.5, which is 2^-9."""
    changed = {}
    for dtype in ("float32", "mixed_bfloat16", "bfloat16"):
        model = policy(half, dtype)
        arrays = half.checkpoints.get_weights(model)
        name = "transformer.ln_f.weight"  # ones: the next below is 1 - 2^-8
        trainer = half.trainers.PolicyGradientTrainer(model, env(), SETTINGS)
        trainer.train(progress=False)
        after = half.checkpoints.get_weights(model)[name]
        changed[dtype] = np.abs(after.astype(float) - arrays[name].astype(float)).max()
    assert changed["bfloat16"] == 0
    assert 2e-3 < changed["mixed_bfloat16"] < 4e-3
    assert 2e-3 < changed["float32"] < 4e-3


@HALVES
def test_an_adapter_is_in_float32_over_a_frozen_bfloat16(half):
    model = half.adapters.add_lora(policy(half, "bfloat16"), 2, 4.0)
    arrays = half.checkpoints.get_weights(model)
    assert {a.dtype for a in arrays.values()} == {np.dtype(np.float32)}
    reference = half.adapters.without(model)
    settings = replace(SETTINGS, algorithm=replace(GRPO, pull=ALGORITHMS["GRPO"].pull))
    trainer = half.trainers.PolicyGradientTrainer(
        model, env(), settings, reference=reference
    )
    trainer.train(progress=False)
    after = half.checkpoints.get_weights(model)
    moved = [np.abs(after[n] - arrays[n]).max() for n in arrays if "lora_B" in n]
    assert min(moved) > 1e-3 and trainer.history[0]["kl"] == 0


@pytest.mark.parametrize("kind", ["LSTMPolicy", "LSTMAttentionPolicy"])
@HALVES
def test_other_policies_have_no_half_precision(half, kind):
    with pytest.raises(ValueError, match="dtype: expected"):
        getattr(half.models, kind)(6, dtype="bfloat16")
    with pytest.raises(ValueError, match="dtype: expected"):
        policy(half, "float16")


def gradients(half, model, seen):
    """Of a loss of everything that `evaluate` returns."""
    texts = list(map(half.tensor, (PROMPTS, COMPLETIONS, MASK)))
    texts += [half.tensor(BEFORE)] if seen else []
    optimizers = {"policy": half.trainers.adam(model)}

    def loss():
        first, second, third = model.evaluate(*texts)
        whole = first + 0.5 * second + third**2 + third
        return (whole.sum() if half is PT else half.losses.tf.reduce_sum(whole)), {}

    found, *_ = half.trainers.clipped_gradients(loss, optimizers, 1e9)
    return [half.numpy(g) for g in found["policy"] if g is not None]


@HALVES
@pytest.mark.parametrize("lora, kind", [(0, "GPT"), (1, "GPT"), (1, "Decoder")])
def test_activations_computed_again_change_no_gradient(half, lora, kind):
    for seen in (False, True):
        found = []
        for recompute in (False, True):
            model = policy(half, "float64", kind=kind)
            if lora:
                half.adapters.add_lora(model)
            model.recompute = recompute
            found.append(gradients(half, model, seen))
        assert len(found[0]) == len(found[1]) > 0
        for plain, again in zip(*found):
            assert_allclose(again, plain, atol=1e-12)


def kept(recompute, blocks=6):
    """Numbers that PyTorch keeps for the backward pass."""
    config = replace(CONFIG, n_layer=blocks, n_positions=128)
    model, total = PT.models.GPT(config, 0), {}
    model.recompute = recompute
    mine = {p.untyped_storage().data_ptr() for p in model.parameters()}

    def pack(tensor):
        place = tensor.untyped_storage().data_ptr()
        if place not in mine:
            total[place] = tensor.untyped_storage().nbytes()
        return tensor

    ids = torch.from_numpy(np.random.default_rng(0).integers(0, 6, (4, 128)))
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda x: x):
        model.evaluate(ids[:, :8], ids[:, 8:])
    return sum(total.values())


def test_fewer_activations_are_kept():
    """For each block more: all of its activations, or its input alone."""
    plain, again = (kept(r, 12) - kept(r, 6) for r in (False, True))
    assert again < 0.35 * plain
