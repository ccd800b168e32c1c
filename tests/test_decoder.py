"""Decoder computes what Llama, Qwen2 and Qwen3 of `transformers` compute.

Logits and gradients, padded on either side; sampled with a cache; trained; read from
directories that `transformers` wrote, and written for it.

In float64 `transformers` still rounds norms and angles to float32.  `exactly` takes
both out, in its own code, so that 1e-9 can be asked for.
"""

import json
from contextlib import contextmanager
from dataclasses import replace
from importlib import import_module

import numpy as np
import pytest
import tensorflow as tf
import torch

import pages.parity  # noqa: F401  first: it sets up both frameworks

# isort: split
import transformers
from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

from core import advantages, algorithms, architectures, envs, hub, rewards
from core.settings import DECODERS, DecoderConfig, PolicyGradientConfig, RopeScaling
from core.text import ByteBPETokenizer
from tests.both import BOTH, PT
from tests.test_transformers import (
    EXACT,
    PRETRAINED,
    V,
    assert_same_gradients,
    completions,
    gradients,
    padded,
    their_logprobs,
)

SIZES = {
    "vocab_size": V,
    "hidden_size": 8,
    "intermediate_size": 12,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 16,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
# At K = 8 and these numbers the pairs are kept, mixed, slowed and slowed.
SLOW = {
    "rope_type": "llama3",
    "rope_theta": 100.0,
    "factor": 4.0,
    "low_freq_factor": 0.2,
    "high_freq_factor": 1.0,
    "original_max_position_embeddings": 8,
}
KINDS = {
    "llama": SIZES,
    "llama, scaled": SIZES | {"head_dim": 8, "rope_parameters": SLOW},
    "llama, tied": SIZES
    | {"tie_word_embeddings": True, "num_key_value_heads": 1, "num_hidden_layers": 3},
    "qwen2": SIZES | {"tie_word_embeddings": True, "rope_theta": 1e6},
    "qwen3": SIZES | {"head_dim": 6, "num_key_value_heads": 4},
}
NAMES = {"llama": "Llama", "qwen2": "Qwen2", "qwen3": "Qwen3"}
each = pytest.mark.parametrize("fw", BOTH, ids=lambda fw: fw.name)


def class_of(kind):
    return getattr(transformers, f"{NAMES[kind[:5]]}ForCausalLM")


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Directories that `transformers` wrote, with weights far from zero."""
    transformers.utils.logging.disable_progress_bar()
    found = {}
    for kind, sizes in KINDS.items():
        cls = class_of(kind)
        torch.manual_seed(0)
        model = cls(cls.config_class(**sizes))
        with torch.no_grad():
            for p in model.parameters():
                p.add_(0.3 * torch.randn_like(p))
        found[kind] = tmp_path_factory.mktemp(kind[:5])
        model.save_pretrained(found[kind])
    return found


def both(folders, kind, fw, dtype="float64"):
    """Our model and theirs, from one directory."""
    ours = PRETRAINED[fw.name].load(folders[kind], dtype=dtype)
    cls = class_of(kind)
    theirs = cls.from_pretrained(folders[kind], dtype=getattr(torch, dtype))
    return ours, theirs.eval()


@contextmanager
def exactly(kind, dtype):
    """`transformers` without its rounding to float32, where float64 is asked for."""
    name = NAMES[kind[:5]]
    module = import_module(
        f"transformers.models.{name.lower()}.modeling_{name.lower()}"
    )
    norm, rotary = (getattr(module, name + n) for n in ("RMSNorm", "RotaryEmbedding"))

    def normalise(self, x):
        return (
            self.weight * x * (x.pow(2).mean(-1, True) + self.variance_epsilon) ** -0.5
        )

    def angles(self, x, position_ids):
        turned = position_ids[..., None] * their_frequencies(self.config)
        both = torch.cat([turned, turned], dim=-1)
        return both.cos(), both.sin()

    with pytest.MonkeyPatch.context() as patch:
        if dtype == "float64":
            patch.setattr(norm, "forward", normalise)
            patch.setattr(rotary, "forward", angles)
        yield


def their_frequencies(config):
    """Those of `transformers`, in float64."""
    if config.rope_parameters["rope_type"] == "default":
        width = getattr(config, "head_dim", None) or config.hidden_size // 4
        pairs = torch.arange(0, width, 2, dtype=torch.float64) / width
        return config.rope_parameters["rope_theta"] ** -pairs
    compute = ROPE_INIT_FUNCTIONS[config.rope_parameters["rope_type"]]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch, "float", torch.float64)
        return compute(config)[0]


def their_logits(theirs, ids, mask, positions):
    """Logits of `transformers` as an array."""
    ids, mask, positions = map(torch.tensor, (ids, mask, positions))
    out = theirs(ids, attention_mask=mask, position_ids=positions)
    return out.logits.detach().numpy()


@pytest.mark.parametrize("side", ["none", "left", "right"])
@pytest.mark.parametrize("dtype, atol", EXACT)
@pytest.mark.parametrize("kind", KINDS)
@each
def test_logits(folders, fw, kind, dtype, atol, side):
    ours, theirs = both(folders, kind, fw, dtype)
    ids, mask, positions = padded(side)
    logits, values = ours(fw.tensor(ids), fw.tensor(mask))
    with exactly(kind, dtype):
        wanted = their_logits(theirs, ids, mask, positions)
    assert np.abs(wanted).max() > 1
    np.testing.assert_allclose(fw.numpy(logits)[mask > 0], wanted[mask > 0], atol=atol)
    assert not fw.numpy(values).any()  # no file of a value head: 0
    without = ours(fw.tensor(ids))[0] if side == "none" else logits
    np.testing.assert_allclose(fw.numpy(without), fw.numpy(logits), atol=atol)


@pytest.mark.parametrize("dtype, atol", EXACT)
@pytest.mark.parametrize("kind", KINDS)
@each
def test_policy_gradient(folders, fw, kind, dtype, atol):
    """-Σ mask A log π, behind padding, with each prompt read once."""
    ours, theirs = both(folders, kind, fw, dtype)
    prompts, prompt_mask, answers, mask, scale = completions()
    weights = (mask * scale).astype(dtype)

    def loss():
        texts = map(fw.tensor, (prompts, answers, mask, prompt_mask))
        total = ours.evaluate(*texts)[0] * fw.tensor(weights)
        return -(total.sum() if fw is PT else tf.reduce_sum(total))

    def their_loss():
        logprobs = their_logprobs(theirs, prompts, prompt_mask, answers)
        return -(logprobs * torch.tensor(weights)).sum()

    found = gradients(fw, ours, loss)
    with exactly(kind, dtype):
        wanted = their_loss().detach().numpy()
        theirs_found = gradients(PT, theirs, their_loss)
    np.testing.assert_allclose(fw.numpy(loss()), wanted, atol=10 * atol)
    assert_same_gradients(found, theirs_found, atol)


@pytest.mark.parametrize("kind", KINDS)
@each
def test_it_samples_with_the_probabilities_of_transformers(folders, fw, kind):
    """Prompts read once, the cache, rows that leave the batch: all of it."""
    ours, theirs = both(folders, kind, fw)
    prompts, prompt_mask, *_ = completions()
    noise = np.random.default_rng(2).gumbel(size=(6, 6, V))
    noise[1, 2, 2] = 1e3  # one ends early
    answers, logprobs, mask = fw.rollout.sample(
        ours, prompts, 6, noise, eos_id=2, group_size=2, prompt_mask=prompt_mask
    )
    assert 0 < mask.sum() < mask.size
    with exactly(kind, "float64"):
        wanted = their_logprobs(theirs, prompts, prompt_mask, answers)
    np.testing.assert_allclose(logprobs, wanted.detach().numpy() * mask, atol=1e-9)
    again = ours.evaluate(*map(fw.tensor, (prompts, answers, mask, prompt_mask)))[0]
    np.testing.assert_allclose(logprobs, fw.numpy(again), atol=1e-12)


@each
def test_the_cache_holds_the_shared_heads_alone(folders, fw):
    ours = PRETRAINED[fw.name].load(folders["llama, tied"])
    _, cache = ours.start(fw.tensor(np.ones((3, 5), np.int64)), 7, group_size=2)
    shapes = {tuple(x.shape) for memory in cache.own for x in memory}
    assert shapes == {(3, 1, 2, 7, 2)}  # N, J = 1 of 4 heads, G, T, K
    assert {tuple(x.shape) for k, v, _ in cache.prefix for x in (k, v)} == {
        (3, 1, 5, 2)
    }


@pytest.mark.parametrize("kind", KINDS)
def test_both_frameworks_compute_the_same(folders, kind):
    prompts, prompt_mask, answers, mask, _ = completions()
    found = []
    for fw in BOTH:
        ours = PRETRAINED[fw.name].load(folders[kind], dtype="float64")
        texts = map(fw.tensor, (prompts, answers, mask, prompt_mask))
        found.append([fw.numpy(x) for x in ours.evaluate(*texts)])
    for first, second in zip(*found):
        np.testing.assert_allclose(first, second, atol=1e-12)


@pytest.mark.parametrize("kind", DECODERS)
def test_a_step_of_grpo_is_the_same_in_both(kind):
    config = DecoderConfig(6, 8, 2, 4, 2, 4, 12, 16, model_type=kind)
    env = envs.BatchedEnvironment(
        [[3, 4], [4, 5]], [[3, 4, 2], [5, 4, 2]], rewards.token_position_match, 6, 2
    )
    grpo = replace(algorithms.ALGORITHMS["GRPO"], advantage=advantages.Group(8))
    settings = PolicyGradientConfig(grpo, steps=2, batch_size=16, warmup_steps=0)
    found = []
    for fw in BOTH:
        policy, reference = (fw.models.Decoder(config, 1, "float64") for _ in range(2))
        before = fw.checkpoints.get_weights(policy)
        trainer = fw.trainers.PolicyGradientTrainer(
            policy, env, settings, reference=reference
        )
        trainer.train(progress=False)
        after = fw.checkpoints.get_weights(policy)
        found.append(after)
        moved = {n for n in after if np.abs(after[n] - before[n]).max() > 1e-6}
        assert {n for n in before if "value" not in n} <= moved
    for name, array in found[0].items():
        np.testing.assert_allclose(array, found[1][name], atol=1e-9, err_msg=name)


@pytest.mark.parametrize("kind", KINDS)
@each
def test_what_is_written_opens_in_transformers(folders, fw, kind, tmp_path):
    ours = PRETRAINED[fw.name].load(folders[kind])
    head = {"value_head.weight": np.ones((1, 8)), "value_head.bias": np.ones(1)}
    weights = fw.checkpoints.get_weights(ours) | head
    fw.checkpoints.set_weights(ours, weights)
    PRETRAINED[fw.name].save(tmp_path, ours)
    again = PRETRAINED[fw.name].load(tmp_path)
    assert again.config == ours.config
    for name, array in fw.checkpoints.get_weights(again).items():
        np.testing.assert_array_equal(array, weights[name], err_msg=name)
    theirs, info = class_of(kind).from_pretrained(tmp_path, output_loading_info=True)
    assert not any(info.values())
    first = class_of(kind).from_pretrained(folders[kind])
    texts = padded("none")
    np.testing.assert_array_equal(
        their_logits(theirs.eval(), *texts), their_logits(first.eval(), *texts)
    )


# --- config.json ---------------------------------------------------------------


def put(folder, kind, **options):
    told = {"model_type": kind} | SIZES | options
    told = {n: v for n, v in told.items() if v is not ...}
    (folder / "config.json").write_text(json.dumps(told), "utf-8")
    return folder


def test_config_of_published_models(tmp_path):
    """As they stand on the hub, in the form of transformers 4."""
    put(
        tmp_path,
        "qwen2",
        architectures=["Qwen2ForCausalLM"],
        attention_dropout=0.0,
        bos_token_id=151643,
        eos_token_id=151645,
        hidden_act="silu",
        hidden_size=896,
        initializer_range=0.02,
        intermediate_size=4864,
        max_position_embeddings=32768,
        max_window_layers=21,
        num_attention_heads=14,
        num_hidden_layers=24,
        num_key_value_heads=2,
        rms_norm_eps=1e-06,
        rope_theta=1000000.0,
        sliding_window=32768,
        tie_word_embeddings=True,
        torch_dtype="bfloat16",
        use_cache=True,
        use_sliding_window=False,
        vocab_size=151936,
    )
    sizes = 151936, 896, 24, 14, 2, 64, 4864, 32768, 1e-6, 1e6, True
    assert hub.read_config(tmp_path) == DecoderConfig(
        *sizes, "qwen2", bos_token_id=151643, eos_token_id=151645
    )
    put(
        tmp_path,
        "qwen3",
        attention_bias=False,
        head_dim=128,
        max_window_layers=28,
        rope_scaling=None,
        rope_theta=1000000,
        sliding_window=None,
        tie_word_embeddings=True,
        use_sliding_window=False,
    )
    found = hub.read_config(tmp_path)
    assert (found.head_dim, found.rope_theta, found.model_type) == (128, 1e6, "qwen3")
    put(tmp_path, "llama", num_key_value_heads=..., pretraining_tp=1)
    found = hub.read_config(tmp_path)
    assert (found.num_key_value_heads, found.head_dim) == (4, 2)
    assert (found.rope_theta, found.tie_word_embeddings) == (10000.0, False)
    put(tmp_path, "llama", rope_parameters={"rope_type": "default", "rope_theta": 5e5})
    assert hub.read_config(tmp_path).rope_theta == 5e5


LLAMA3 = {  # Llama 3.2's, of 1B
    "factor": 32.0,
    "high_freq_factor": 4.0,
    "low_freq_factor": 1.0,
    "original_max_position_embeddings": 8192,
    "rope_type": "llama3",
}


def test_the_rotation_of_llama_3(tmp_path):
    """As it stands on the hub."""
    sizes = {"hidden_size": 2048, "num_attention_heads": 32, "num_key_value_heads": 8}
    sizes |= {"head_dim": 64, "max_position_embeddings": 131072, "rope_theta": 5e5}
    put(tmp_path, "llama", rope_scaling=LLAMA3, **sizes)
    config = hub.read_config(tmp_path)
    assert config.rope_scaling == RopeScaling(32.0, 1.0, 4.0, 8192)
    found, plain = (
        c.frequencies() for c in (config, replace(config, rope_scaling=None))
    )
    theirs = transformers.AutoConfig.from_pretrained(tmp_path)
    np.testing.assert_allclose(found, their_frequencies(theirs), rtol=1e-12)
    turns = 8192 * plain / (2 * np.pi)
    np.testing.assert_array_equal(found[turns > 4], plain[turns > 4])
    np.testing.assert_allclose(found[turns < 1], plain[turns < 1] / 32)
    between = (turns > 1) & (turns < 4)
    assert [(turns > 4).sum(), between.sum(), (turns < 1).sum()] == [15, 3, 14]
    hub.write(tmp_path, config, {"a": np.zeros(1)})
    assert hub.read_config(tmp_path) == config
    again = transformers.AutoConfig.from_pretrained(tmp_path)
    assert again.rope_parameters == theirs.rope_parameters


SCALED = {"rope_type": "yarn", "factor": 4.0, "rope_theta": 1e4}


@pytest.mark.parametrize(
    "kind, options, name",
    [
        ("llama", {"rope_scaling": {"type": "dynamic", "factor": 2.0}}, "rope_scaling"),
        ("llama", {"rope_scaling": LLAMA3 | {"more": 1}}, "rope_scaling"),
        (
            "llama",
            {"rope_scaling": LLAMA3, "partial_rotary_factor": 0.5},
            "rope_scaling",
        ),
        ("qwen2", {"rope_scaling": {"type": "linear", "factor": 2.0}}, "rope_scaling"),
        ("qwen3", {"rope_parameters": SCALED, "head_dim": 4}, "rope_parameters"),
        ("llama", {"partial_rotary_factor": 0.5}, "rope_parameters"),
        ("llama", {"attention_bias": True}, "attention_bias"),
        ("llama", {"mlp_bias": True}, "mlp_bias"),
        ("llama", {"hidden_act": "gelu"}, "hidden_act"),
        ("qwen3", {"attention_bias": True, "head_dim": 4}, "attention_bias"),
        ("qwen2", {"use_sliding_window": True}, "use_sliding_window"),
        ("qwen2", {"layer_types": ["sliding_attention"] * 2}, "layer_types"),
        ("qwen2_moe", {}, "'qwen2_moe'"),
        ("qwen3_moe", {}, "'qwen3_moe'"),
        ("mistral", {}, "name: expected one of gpt2, .*'mistral'"),
    ],
)
@each
def test_what_would_change_the_numbers_is_refused(tmp_path, fw, kind, options, name):
    folder = put(tmp_path, kind, **options)
    with pytest.raises(architectures.NotComputed, match=f"{name}.*core does not"):
        PRETRAINED[fw.name].load(folder)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"hidden_size": ...}, "hidden_size.*expected int, got None"),
        ({"intermediate_size": ...}, "intermediate_size.*expected int, got None"),
        ({"max_position_embeddings": ...}, "max_position_em.*expected int, got None"),
        ({"num_key_value_heads": 3}, "num_key_value_heads: expected a divisor"),
        ({"head_dim": 3}, "head_dim: expected an even"),
        ({"num_attention_heads": 3}, "not a multiple"),
        ({"rms_norm_eps": 0.0}, "rms_norm_eps: expected a positive"),
        ({"rope_scaling": LLAMA3 | {"factor": 0.5}}, "factor: expected .* 1"),
        ({"rope_scaling": LLAMA3 | {"factor": "8"}}, "factor: expected a finite"),
        ({"rope_scaling": LLAMA3 | {"low_freq_factor": 0.0}}, "low_freq_factor: exp"),
        (
            {"rope_scaling": LLAMA3 | {"high_freq_factor": 1.0}},
            "high_freq_factor: expected the sec",
        ),
        (
            {"rope_scaling": LLAMA3 | {"original_max_position_embeddings": 8.5}},
            "original_max_position_embeddings: expected an integer",
        ),
        (
            {"rope_scaling": {"rope_type": "llama3", "factor": 8.0}},
            "Missing required keys",
        ),
    ],
)
def test_sizes_that_do_not_fit_are_named(tmp_path, options, message):
    with pytest.raises(ValueError, match=f"(?s)config.json: .*{message}"):
        hub.read_config(put(tmp_path, "llama", **options))


@each
def test_a_decoder_has_no_head_to_choose(folders, fw):
    with pytest.raises(ValueError, match="head, num_labels: only a BERT"):
        PRETRAINED[fw.name].load(folders["llama"], head="token")
    with pytest.raises(ValueError, match="head, num_labels: only a BERT"):
        PRETRAINED[fw.name].load(folders["llama"], num_labels=2)


@each
def test_a_table_may_be_larger_than_the_tokenizer(fw, tmp_path):
    tokenizer = ByteBPETokenizer(["low lower lowest"], 262)
    config = DecoderConfig(len(tokenizer) + 28, 8, 1, 2, 1, 4, 8)
    PRETRAINED[fw.name].save(tmp_path, fw.models.Decoder(config), tokenizer)
    assert PRETRAINED[fw.name].load(tmp_path).config == config
    small = fw.models.Decoder(replace(config, vocab_size=len(tokenizer) - 1))
    with pytest.raises(ValueError, match="tokenizer: expected at most"):
        PRETRAINED[fw.name].save(tmp_path, small, tokenizer)


@each
def test_a_head_that_differs_from_a_tied_table_is_refused(folders, fw, tmp_path):
    source = folders["llama"]  # untied
    told = json.loads((source / "config.json").read_text("utf-8"))
    told["tie_word_embeddings"] = True
    (tmp_path / "config.json").write_text(json.dumps(told), "utf-8")
    whole = (source / "model.safetensors").read_bytes()
    (tmp_path / "model.safetensors").write_bytes(whole)
    with pytest.raises(ValueError, match="lm_head.weight: expected the same numbers"):
        PRETRAINED[fw.name].load(tmp_path)


@pytest.mark.parametrize(
    "options, name",
    [
        ({"vocab_size": 0}, "vocab_size"),
        ({"head_dim": 3}, "head_dim"),
        ({"num_key_value_heads": 3}, "num_key_value_heads"),
        ({"hidden_size": 9, "model_type": "llama"}, "num_attention_heads"),
        ({"model_type": "mistral"}, "model_type"),
        ({"rope_theta": 0.0}, "rope_theta"),
        ({"rms_norm_eps": -1.0}, "rms_norm_eps"),
        ({"eos_token_id": 7}, "eos_token_id"),
        ({"intermediate_size": 2.0}, "intermediate_size"),
        ({"tie_word_embeddings": 1}, "tie_word_embeddings"),
        ({"rope_scaling": LLAMA3}, "rope_scaling"),
    ],
)
def test_a_config_checks_its_numbers(options, name):
    with pytest.raises(ValueError, match=f"^{name}: expected"):
        DecoderConfig(**{"vocab_size": 7} | options)


@each
def test_more_tokens_than_positions_are_refused(fw):
    policy = fw.models.Decoder(DecoderConfig(7, 8, 1, 2, 1, 4, 8, 16))
    with pytest.raises(ValueError, match="ids: .* 16 positions, got 17"):
        policy(fw.tensor(np.zeros((1, 17), np.int64)))
    with pytest.raises(ValueError, match="prompts: .* 16 positions, got 17"):
        fw.rollout.sample(policy, np.zeros((1, 4), np.int64), 13)


def test_a_scaling_has_one_kind():
    with pytest.raises(ValueError, match="^rope_type: expected one of"):
        RopeScaling(8.0, 1.0, 4.0, 8192, "yarn")


def test_positions_turn_by_hand():
    """K = 4, theta = 100: the pairs turn by 1 and by 0.1 a token."""
    config = DecoderConfig(7, head_dim=4, rope_theta=100.0)
    np.testing.assert_allclose(config.frequencies(), [1, 0.1])
    for fw in BOTH:
        rotate = import_module(f"core.{fw.name}.layers").rotate
        angles = 2 * config.frequencies()
        x, cos, sin = np.array([1.0, 0, 0, 2.0]), np.cos(angles), np.sin(angles)
        found = rotate(*[fw.tensor(a[None, None]) for a in (x, cos, sin)])
        wanted = [np.cos(2), -2 * np.sin(0.2), np.sin(2), 2 * np.cos(0.2)]
        np.testing.assert_allclose(fw.numpy(found)[0, 0], wanted, atol=1e-15)
