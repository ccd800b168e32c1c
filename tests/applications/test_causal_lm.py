"""Any causal language model of `transformers` as a policy, in PyTorch."""

import numpy as np
import pytest
import torch
import transformers

from applications import causal_lm
from applications.causal_lm import CausalLM
from core import envs, rewards
from core.advantages import BatchMean, Critic
from core.algorithms import Algorithm
from core.pt import logprobs as pt_logprobs
from core.pt import models, pretrained
from core.pt.rollout import sample
from core.pt.trainers import PolicyGradientTrainer
from core.settings import GPTConfig, PolicyGradientConfig

V = 13
SIZES = {
    "vocab_size": V,
    "hidden_size": 8,
    "intermediate_size": 12,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "max_position_embeddings": 16,
    "head_dim": 4,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
# Gemma 2 caps its logits, Cohere scales them, BLOOM has no positions.
KINDS = {
    "llama": {},
    "qwen2": {},
    "gemma2": {"final_logit_softcapping": 2.0},
    "cohere": {},
    "bloom": {},
}
PLAIN = {"llama", "qwen2", "bloom"}
DTYPES = dict.fromkeys(KINDS, "float64") | {
    # Behind padding these two compute in float32 or not at all.
    "gemma2": "float32",
    "bloom": "float32",
}
# Of these architectures some parts are in float32 whatever the dtype.
ATOL = {"float32": 1e-4, "float64": 1e-9}


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    transformers.utils.logging.disable_progress_bar()
    found = {}
    for kind, more in KINDS.items():
        torch.manual_seed(0)
        model = transformers.AutoModelForCausalLM.from_config(
            transformers.AutoConfig.for_model(kind, **SIZES, **more)
        )
        with torch.no_grad():
            for p in model.parameters():
                p.add_(0.3 * torch.randn_like(p))
        found[kind] = tmp_path_factory.mktemp(kind)
        model.save_pretrained(found[kind])
    return found


def policy(folders, kind="qwen2"):
    return CausalLM(folders[kind], dtype=DTYPES[kind])


def theirs(folders, kind):
    return transformers.AutoModelForCausalLM.from_pretrained(
        folders[kind], dtype=getattr(torch, DTYPES[kind])
    ).eval()


def batch(group_size=2):
    """Three prompts with padding at the left, and answers to each."""
    rng = np.random.default_rng(0)
    prompts = rng.integers(1, V, (3, 5))
    mask = np.ones((3, 5))
    mask[0, :2] = mask[2, :1] = 0
    answers = rng.integers(1, V, (3 * group_size, 4))
    return prompts * mask.astype(int), mask, answers


def their_logits(model, prompts, prompt_mask, answers):
    """Row by row, without padding or a cache: (B, T, V)."""
    size = len(answers) // len(prompts)
    rows = []
    for i, answer in enumerate(answers):
        prompt = prompts[i // size][prompt_mask[i // size] > 0]
        ids = torch.tensor(np.concatenate([prompt, answer]))[None]
        rows.append(model(ids, use_cache=False).logits[0, len(prompt) - 1 : -1])
    return torch.stack(rows)


@pytest.mark.parametrize("kind", KINDS)
def test_score_is_what_transformers_computes(folders, kind):
    ours, (prompts, mask, answers) = policy(folders, kind), batch()
    assert isinstance(ours, CausalLM) and ours.vocab_size == V
    assert ours.plain_head == (kind in PLAIN)
    with torch.no_grad():
        logits, values = ours.score(*map(torch.tensor, (prompts, answers, mask)))
    wanted = their_logits(theirs(folders, kind), prompts, mask, answers)
    np.testing.assert_allclose(
        logits.numpy(), wanted.detach().numpy(), atol=ATOL[DTYPES[kind]]
    )
    assert values.shape == (6, 4) and (values == 0).all()


@pytest.mark.parametrize("kind", ["llama", "qwen2"])
@pytest.mark.parametrize("side", ["left", "right"])
def test_forward_reads_padding_on_both_sides(folders, kind, side):
    ours, model = policy(folders, kind), theirs(folders, kind)
    ids = torch.tensor(np.random.default_rng(1).integers(1, V, (2, 6)))
    mask = torch.ones(2, 6)
    seen = slice(2, None) if side == "left" else slice(4)
    mask[1] = 0
    mask[1, seen] = 1
    with torch.no_grad():
        logits = ours(ids * mask.long(), mask)[0]
        np.testing.assert_allclose(
            logits[1, seen], model(ids[1:, seen]).logits[0], atol=1e-9
        )
        np.testing.assert_allclose(logits[0], model(ids[:1]).logits[0], atol=1e-9)
        np.testing.assert_allclose(ours(ids)[0], model(ids).logits, atol=1e-9)


@pytest.mark.parametrize("kind", ["qwen2", "cohere"])
def test_values_need_no_logits(folders, kind, monkeypatch):
    ours = policy(folders, kind)
    torch.nn.init.ones_(ours.value_head.weight)
    ids, mask = (
        torch.tensor([[3, 1, 4], [2, 2, 5]]),
        torch.tensor([[1, 1, 1], [0, 1, 1]]),
    )
    with torch.no_grad():
        wanted = [ours(ids)[1], ours(ids, mask)[1]]
        monkeypatch.setattr(CausalLM, "_logits", None)
        for found, texts in zip(wanted, ((ids,), (ids, mask))):
            assert found.abs().min() > 0
            assert torch.equal(ours.values(*texts), found)


@pytest.mark.parametrize("group_size", [1, 2])
@pytest.mark.parametrize("kind", KINDS)
def test_samples_with_the_probabilities_of_transformers(folders, kind, group_size):
    ours, (prompts, mask, _) = policy(folders, kind), batch()
    noise = np.random.default_rng(2).gumbel(size=(3 * group_size, 6, V))
    noise[0, 2, 2] = 100  # row 0 ends here, and leaves the batch
    answers, logprobs, seen = sample(
        ours, prompts, 6, noise, eos_id=2, group_size=group_size, prompt_mask=mask
    )
    assert seen[0].sum() <= 3
    with torch.no_grad():
        wanted = their_logits(theirs(folders, kind), prompts, mask, answers)
    wanted = (
        wanted.log_softmax(-1)
        .gather(-1, torch.tensor(answers)[..., None])[..., 0]
        .numpy()
        * seen
    )
    atol = ATOL[DTYPES[kind]]
    np.testing.assert_allclose(logprobs, wanted, atol=atol)
    found = ours.evaluate(
        torch.tensor(prompts),
        torch.tensor(answers),
        torch.tensor(seen),
        torch.tensor(mask),
    )
    np.testing.assert_allclose(found[0].detach().numpy(), wanted, atol=atol)
    assert (found[1] > 0).numpy()[seen > 0].all()


@pytest.mark.parametrize("kind", ["qwen2", "cohere"])
@pytest.mark.parametrize("at_once", [1, V * 5, 2**24])
def test_policy_gradient(folders, kind, at_once, monkeypatch):
    """Also where a large vocabulary is scored in chunks."""
    monkeypatch.setattr(pt_logprobs, "LOGITS_AT_ONCE", at_once)
    ours, model = policy(folders, kind), theirs(folders, kind)
    prompts, prompt_mask, answers = batch()
    mask = np.ones(answers.shape)
    mask[1, 2:] = mask[4, 1:] = 0
    weights = torch.tensor(mask) * torch.tensor(
        np.random.default_rng(3).normal(size=mask.shape)
    )
    logprobs, _, values = ours.evaluate(
        *map(torch.tensor, (prompts, answers, mask, prompt_mask)), temperature=0.7
    )
    assert (logprobs[torch.tensor(mask) == 0] == 0).all()
    (-(weights * logprobs).sum() + values.sum()).backward()
    logits = their_logits(model, prompts, prompt_mask, answers) / 0.7
    wanted = logits.log_softmax(-1).gather(-1, torch.tensor(answers)[..., None])[..., 0]
    (-(weights * wanted).sum()).backward()
    found = dict(ours.model.named_parameters())
    for name, p in model.named_parameters():
        assert p.grad.abs().max() > 1e-4 or name.endswith("k_proj.bias")
        torch.testing.assert_close(found[name].grad, p.grad, atol=1e-4, rtol=0)
    # The value head reads what the policy head reads, the mask's alone.
    assert ours.value_head.bias.grad == mask.sum()
    assert ours.value_head.weight.grad.abs().max() > 0.1


@pytest.mark.parametrize("advantage", [BatchMean(), Critic()])
def test_the_trainer_teaches_it(folders, advantage):
    """The same trainer as for `core`'s own policies."""
    rng = np.random.default_rng(4)
    env = envs.BatchedEnvironment(
        rng.integers(3, V, (8, 2)), np.full((8, 3), 5), rewards.token_position_match, V
    )
    ours = CausalLM(folders["llama"])
    trainer = PolicyGradientTrainer(
        ours,
        env,
        PolicyGradientConfig(
            Algorithm(advantage), steps=40, batch_size=32, learning_rate=3e-2
        ),
    )
    history = trainer.train(progress=False)
    returns = [entry["return"] for entry in history]
    assert np.mean(returns[-5:]) > np.mean(returns[:5]) + 0.5
    moved = ours.value_head.bias.detach().abs().item() > 0
    assert moved == (advantage == Critic())


def test_values_are_the_same_whichever_way_the_head_is_read(folders):
    ours, (prompts, mask, answers) = policy(folders), batch()
    torch.nn.init.normal_(ours.value_head.weight)
    found = []
    for ours.plain_head in (True, False):
        with torch.no_grad():
            found.append(ours.score(*map(torch.tensor, (prompts, answers, mask))))
    for one, other in zip(*found):
        torch.testing.assert_close(one, other, atol=1e-12, rtol=0)


def test_what_cannot_be_computed_behind_padding_is_refused(folders):
    ours = CausalLM(folders["bloom"], dtype="float64")
    prompts, mask, _ = batch()
    with pytest.raises(ValueError, match="prompt_mask: Bloom.*float32"):
        sample(ours, prompts, 2, prompt_mask=mask)
    sample(ours, prompts, 2)


def test_there_is_no_dropout(tmp_path):
    config = transformers.AutoConfig.for_model("llama", **SIZES, attention_dropout=0.5)
    transformers.LlamaForCausalLM(config).save_pretrained(tmp_path)
    ours = CausalLM(tmp_path).train()
    ids = torch.ones(1, 5, dtype=torch.int64)
    assert torch.equal(ours(ids)[0], ours(ids)[0])
    assert ours.training and not ours.model.training


def test_what_is_saved_is_what_is_loaded(folders, tmp_path):
    ours = causal_lm.load(folders["gemma2"])
    with torch.no_grad():
        for p in ours.parameters():
            p.add_(1)
    causal_lm.save(tmp_path / "new", ours)
    again = causal_lm.load(tmp_path / "new")
    for (name, p), q in zip(ours.named_parameters(), again.parameters()):
        assert torch.equal(p, q), name
    _, info = transformers.AutoModelForCausalLM.from_pretrained(
        tmp_path / "new", output_loading_info=True
    )
    assert not any(info.values())


def test_a_prompt_longer_than_the_positions_is_refused(folders):
    ours = policy(folders)
    with pytest.raises(ValueError, match="prompts: .* 16 positions, got 17"):
        sample(ours, np.ones((1, 12), int), 5)
    for prompts, answers, message in (
        ((2, 0), (2, 1), "prompts: expected"),
        ((2, 1), (3, 1), "completions: expected a multiple of the 2"),
    ):
        with pytest.raises(ValueError, match=message):
            ours.score(torch.ones(prompts).long(), torch.ones(answers).long())


def test_bad_directories_are_named(folders, tmp_path):
    weights = tmp_path / "model.safetensors"
    config = transformers.AutoConfig.from_pretrained(folders["llama"])
    config.save_pretrained(tmp_path)
    with pytest.raises(FileNotFoundError, match="model.safetensors does not"):
        CausalLM(tmp_path)
    whole = (folders["llama"] / "model.safetensors").read_bytes()
    weights.write_bytes(whole[:-9])
    with pytest.raises(ValueError, match=f"name: .*{tmp_path.name}"):
        CausalLM(tmp_path)
    weights.write_bytes((folders["qwen2"] / weights.name).read_bytes())
    with pytest.raises(ValueError, match="extra .*q_proj.bias"):
        CausalLM(tmp_path)
    weights.write_bytes(whole)
    config.hidden_size = 10
    config.save_pretrained(tmp_path)
    with pytest.raises(ValueError, match="embed_tokens"):
        CausalLM(tmp_path)
    config.hidden_size, config.num_hidden_layers = 8, 3
    config.save_pretrained(tmp_path)
    with pytest.raises(ValueError, match="missing .*layers.2"):
        CausalLM(tmp_path)
    with pytest.raises(ValueError, match="dtype: expected"):
        CausalLM(folders["llama"], "float16")


@pytest.mark.parametrize(
    "text",
    [
        '{"model_type": "nothing-of-the-kind"}',
        '{"model_type": "t5"}',
        '{"architectures": ["X"]}',
        '{"model_type": "x", "auto_map": {"AutoConfig": "code.Config"}}',
    ],
)
def test_unknown_architectures_are_refused(folders, tmp_path, text):
    """And code that lies there is not run."""
    (tmp_path / "config.json").write_text(text, "utf-8")
    (tmp_path / "code.py").write_text("raise SystemExit", "utf-8")
    (tmp_path / "model.safetensors").write_bytes(
        (folders["llama"] / "model.safetensors").read_bytes()
    )
    with pytest.raises(ValueError, match="name: transformers has no causal"):
        causal_lm.load(tmp_path)


def test_a_model_without_keys_and_values_is_refused(tmp_path):
    config = transformers.AutoConfig.for_model(
        "mamba", vocab_size=V, hidden_size=8, num_hidden_layers=1
    )
    transformers.MambaForCausalLM(config).save_pretrained(tmp_path)
    with pytest.raises(ValueError, match="Mamba.* keeps no keys and values"):
        causal_lm.load(tmp_path)


@pytest.mark.parametrize("kind", ["llama", "cohere"])
def test_all_is_zero_where_the_mask_is(folders, kind):
    """Also where it begins with 0, has a hole, or no 1; ids behind it are not read."""
    ours, (prompts, padding, answers) = policy(folders, kind), batch()
    torch.nn.init.normal_(ours.value_head.weight)
    mask = np.array([[0, 1, 1, 0], [0] * 4, [1, 0, 0, 1]] + 3 * [[1] * 4])
    other = np.where(mask[:, ::-1].cumsum(1)[:, ::-1] > 0, answers, -100)
    prompts = np.where(padding > 0, prompts, 10**6)
    texts = *map(torch.tensor, (prompts, answers)), None, torch.tensor(padding)
    whole = ours.evaluate(*texts)
    for dtype in (bool, int, np.float32, np.float64):
        arrays = prompts, other, mask.astype(dtype), padding.astype(dtype)
        found = ours.evaluate(*map(torch.tensor, arrays))
        for masked, unmasked in zip(found, whole):
            wanted = unmasked.detach().numpy() * mask
            np.testing.assert_allclose(masked.detach().numpy(), wanted, atol=1e-9)
            assert (masked.detach().numpy()[mask == 0] == 0).all()
    ours.zero_grad()
    sum(x.sum() for x in found).backward()
    assert all(p.grad.isfinite().all() for p in ours.parameters() if p.grad is not None)


def test_models_of_core_are_cores_own(tmp_path):
    config = GPTConfig(5, 4, 4, 1, 2)
    pretrained.save(tmp_path / "old", models.GPT(config))
    ours = causal_lm.load(tmp_path / "old", dtype="float64")
    assert isinstance(ours, models.GPT) and ours.config == config
    causal_lm.save(tmp_path / "new", ours)
    assert pretrained.load(tmp_path / "new").config == config


@pytest.mark.parametrize("kind", ["llama", "qwen2"])
def test_what_core_computes_is_a_decoder(folders, kind):
    ours = causal_lm.load(folders[kind], dtype="float64")
    assert isinstance(ours, models.Decoder)
    ids = torch.tensor(batch()[2])
    with torch.no_grad():
        wanted = CausalLM(folders[kind], "float64")(ids)[0]
        np.testing.assert_allclose(ours(ids)[0], wanted, atol=1e-5)


def test_scaled_rotations_are_left_to_transformers(tmp_path):
    scaled = {"rope_type": "linear", "factor": 2.0, "rope_theta": 1e4}
    config = transformers.LlamaConfig(**SIZES, rope_parameters=scaled)
    model = transformers.LlamaForCausalLM(config)
    model.save_pretrained(tmp_path)
    ours = causal_lm.load(tmp_path)
    assert isinstance(ours, CausalLM)
    ids = torch.tensor(batch()[2])
    assert torch.equal(ours(ids)[0], model.eval()(ids).logits)


def test_a_bert_is_not_read_from_left_to_right(tmp_path):
    (tmp_path / "config.json").write_text(
        '{"model_type": "bert", "is_decoder": true, "vocab_size": 5, "hidden_size": 2,'
        '"num_hidden_layers": 1, "num_attention_heads": 1, "intermediate_size": 3,'
        '"max_position_embeddings": 4, "type_vocab_size": 2}',
        "utf-8",
    )
    with pytest.raises(ValueError, match="is_decoder: expected False"):
        causal_lm.load(tmp_path)


def test_only_a_bert_has_a_head_and_labels(folders):
    for more in ({"head": "token"}, {"num_labels": 2}):
        with pytest.raises(ValueError, match="head, num_labels: only a BERT"):
            causal_lm.load(folders["llama"], **more)
        with pytest.raises(ValueError, match="head, num_labels: only a BERT"):
            causal_lm.load(folders["cohere"], **more)
