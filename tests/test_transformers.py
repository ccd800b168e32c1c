"""GPT and BERT compute what `transformers` computes: logits and gradients."""

import numpy as np
import pytest
import tensorflow as tf
import torch

import pages.parity  # noqa: F401  first: it sets up both frameworks

# isort: split
import transformers

from core.pt import pretrained as pt_pretrained
from core.tf import pretrained as tf_pretrained
from tests.both import BOTH, PT

PRETRAINED = {"pt": pt_pretrained, "tf": tf_pretrained}
EXACT = [("float32", 1e-4), ("float64", 1e-9)]
V, L = 13, 7
GPT2 = {
    "vocab_size": V,
    "n_positions": 16,
    "n_embd": 8,
    "n_layer": 2,
    "n_head": 2,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
BERT = {
    "vocab_size": V,
    "hidden_size": 8,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 12,
    "max_position_embeddings": 16,
    "num_labels": 3,
}
CLASSES = {
    "gpt2": transformers.GPT2LMHeadModel,
    "masked": transformers.BertForMaskedLM,
    "sequence": transformers.BertForSequenceClassification,
    "token": transformers.BertForTokenClassification,
}
HEADS = ["masked", "sequence", "token"]


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Directories that `transformers` wrote, with weights far from zero."""
    transformers.utils.logging.disable_progress_bar()
    found = {}
    for name, cls in CLASSES.items():
        config = cls.config_class(**(GPT2 if name == "gpt2" else BERT))
        model = cls(config)
        torch.manual_seed(0)
        with torch.no_grad():
            for p in model.parameters():
                p.add_(0.3 * torch.randn_like(p))
        found[name] = tmp_path_factory.mktemp(name)
        model.save_pretrained(found[name])
    return found


def both(folders, name, fw, dtype):
    """Our model and theirs, from one directory."""
    ours = PRETRAINED[fw.name].load(folders[name], dtype=dtype)
    theirs = CLASSES[name].from_pretrained(folders[name], dtype=getattr(torch, dtype))
    return ours, theirs.eval()


def padded(side, rows=4, length=L, seed=0):
    """Ids (rows, length), a mask with padding on `side`, positions.

    Token 0 stands on padding alone: `transformers` gives its embedding in
    BERT no gradient, wherever it stands.
    """
    rng = np.random.default_rng(seed)
    ids = rng.integers(1, V, (rows, length))
    mask = np.ones((rows, length), np.int64)
    for row, count in enumerate(rng.integers(0, 4, rows)):
        if side == "left":
            mask[row, :count] = 0
        elif side == "right" and count:
            mask[row, -count:] = 0
    assert side == "none" or (mask == 0).any()
    return ids * mask, mask, np.maximum(mask.cumsum(axis=1) - 1, 0)


def gradients(fw, model, function):
    """d function() / d weight, by name; both give a scalar."""
    if fw is PT:
        model.zero_grad()
        function().backward()
        return {
            n: p.grad.numpy() for n, p in model.named_parameters() if p.grad is not None
        }
    named = dict(fw.checkpoints._named(model))
    with tf.GradientTape() as tape:
        loss = function()
    found = tape.gradient(loss, named)
    return {
        n: tf.convert_to_tensor(g).numpy() for n, g in found.items() if g is not None
    }


def assert_same_gradients(ours, theirs, atol):
    """All of theirs are there; where we have more (values), they are 0."""
    assert len(theirs) > 20
    for name, gradient in ours.items():
        wanted = theirs.get(name, np.zeros_like(gradient))
        np.testing.assert_allclose(gradient, wanted, atol=atol, err_msg=name)
    assert set(theirs) <= set(ours)
    assert all(
        np.abs(g).max() > 1e-4 for n, g in theirs.items() if not n.endswith("key.bias")
    )  # which softmax cancels


@pytest.mark.parametrize("side", ["none", "left", "right"])
@pytest.mark.parametrize("dtype, atol", EXACT)
@pytest.mark.parametrize("fw", BOTH, ids=lambda fw: fw.name)
def test_logits_of_gpt2(folders, fw, dtype, atol, side):
    ours, theirs = both(folders, "gpt2", fw, dtype)
    ids, mask, positions = padded(side)
    logits, _ = ours(fw.tensor(ids), fw.tensor(mask))
    wanted = (
        theirs(
            torch.tensor(ids),
            attention_mask=torch.tensor(mask),
            position_ids=torch.tensor(positions),
        )
        .logits.detach()
        .numpy()
    )
    assert np.abs(wanted).max() > 1
    np.testing.assert_allclose(fw.numpy(logits)[mask > 0], wanted[mask > 0], atol=atol)


def completions(seed=1):
    """Three padded prompts with two answers each, mask and advantages."""
    rng = np.random.default_rng(seed)
    prompts, prompt_mask, _ = padded("left", rows=3, length=5)
    answers = rng.integers(0, V, (6, 4))
    mask = np.ones((6, 4))
    mask[1, 2:] = mask[4, 1:] = 0
    return prompts, prompt_mask, answers, mask, rng.normal(size=(6, 4))


def their_logprobs(theirs, prompts, prompt_mask, answers):
    """log π (B, T) by `transformers`, each prompt repeated."""
    ids = np.concatenate([prompts.repeat(2, axis=0), answers], axis=1)
    mask = np.concatenate(
        [prompt_mask.repeat(2, axis=0), np.ones_like(answers)], axis=1
    )
    positions = np.maximum(mask.cumsum(axis=1) - 1, 0)
    logits = theirs(
        torch.tensor(ids),
        attention_mask=torch.tensor(mask),
        position_ids=torch.tensor(positions),
    ).logits[:, prompts.shape[1] - 1 : -1]
    return logits.log_softmax(-1).gather(-1, torch.tensor(answers)[..., None])[..., 0]


@pytest.mark.parametrize("dtype, atol", EXACT)
@pytest.mark.parametrize("fw", BOTH, ids=lambda fw: fw.name)
def test_policy_gradient_of_gpt2(folders, fw, dtype, atol):
    """-Σ mask A log π, behind padding, with each prompt read once."""
    ours, theirs = both(folders, "gpt2", fw, dtype)
    prompts, prompt_mask, answers, mask, advantages = completions()
    weights = (mask * advantages).astype(dtype)

    def loss():
        logprobs, _, _ = ours.evaluate(
            fw.tensor(prompts),
            fw.tensor(answers),
            fw.tensor(mask),
            fw.tensor(prompt_mask),
        )
        total = logprobs * fw.tensor(weights)
        return -(total.sum() if fw is PT else tf.reduce_sum(total))

    def their_loss():
        logprobs = their_logprobs(theirs, prompts, prompt_mask, answers)
        return -(logprobs * torch.tensor(weights)).sum()

    np.testing.assert_allclose(
        fw.numpy(loss()), their_loss().detach().numpy(), atol=10 * atol
    )
    assert_same_gradients(
        gradients(fw, ours, loss), gradients(PT, theirs, their_loss), atol=atol
    )


@pytest.mark.parametrize("fw", BOTH, ids=lambda fw: fw.name)
def test_gpt2_samples_with_the_probabilities_of_transformers(folders, fw):
    """Prompts read once, the cache, rows that leave the batch: all of it."""
    ours, theirs = both(folders, "gpt2", fw, "float64")
    prompts, prompt_mask, *_ = completions()
    noise = np.random.default_rng(2).gumbel(size=(6, 6, V))
    answers, logprobs, mask = fw.rollout.sample(
        ours, prompts, 6, noise, eos_id=2, group_size=2, prompt_mask=prompt_mask
    )
    assert 0 < mask.sum() < mask.size  # some end early
    wanted = their_logprobs(theirs, prompts, prompt_mask, answers)
    np.testing.assert_allclose(logprobs, wanted.detach().numpy() * mask, atol=1e-9)


def test_gpt2_in_tensorflow_computes_what_keras_hub_does(folders, unavailable):
    try:
        import keras_hub
    except ImportError:
        unavailable("keras_hub is not installed")
    ours = tf_pretrained.load(folders["gpt2"])
    theirs = keras_hub.models.GPT2CausalLM.from_preset(
        str(folders["gpt2"]), preprocessor=None
    )
    ids, mask, _ = padded("right")  # it has no positions for the left
    logits, _ = ours(tf.constant(ids), tf.constant(mask))
    wanted = theirs({"token_ids": ids, "padding_mask": mask}).numpy()
    np.testing.assert_allclose(logits.numpy()[mask > 0], wanted[mask > 0], atol=1e-4)


@pytest.mark.parametrize("side", ["none", "left", "right"])
@pytest.mark.parametrize("dtype, atol", EXACT)
@pytest.mark.parametrize("fw", BOTH, ids=lambda fw: fw.name)
@pytest.mark.parametrize("head", HEADS)
def test_logits_of_bert(folders, head, fw, dtype, atol, side):
    ours, theirs = both(folders, head, fw, dtype)
    ids, mask, positions = padded(side)
    types = np.random.default_rng(3).integers(0, 2, ids.shape)
    logits = fw.numpy(ours(fw.tensor(ids), fw.tensor(mask), fw.tensor(types)))
    if head == "sequence" and side == "left":
        # Its pooler would read padding: give it the rows without.
        wanted = np.concatenate(
            [
                theirs(
                    torch.tensor(i[m > 0])[None],
                    token_type_ids=torch.tensor(t[m > 0])[None],
                )
                .logits.detach()
                .numpy()
                for i, m, t in zip(ids, mask, types)
            ]
        )
    else:
        wanted = (
            theirs(
                torch.tensor(ids),
                attention_mask=torch.tensor(mask),
                token_type_ids=torch.tensor(types),
                position_ids=torch.tensor(positions),
            )
            .logits.detach()
            .numpy()
        )
    assert np.abs(wanted).max() > 0.3
    assert logits.shape == wanted.shape
    if head != "sequence":
        logits, wanted = logits[mask > 0], wanted[mask > 0]
    np.testing.assert_allclose(logits, wanted, atol=atol)


@pytest.mark.parametrize("dtype, atol", EXACT)
@pytest.mark.parametrize("fw", BOTH, ids=lambda fw: fw.name)
@pytest.mark.parametrize("head", HEADS)
def test_policy_gradient_of_bert(folders, head, fw, dtype, atol):
    """-Σ mask A log π of actions that the head can take."""
    ours, theirs = both(folders, head, fw, dtype)
    ids, mask, _ = padded("right")
    rng = np.random.default_rng(4)
    shape = ids.shape[:1] if head == "sequence" else ids.shape
    classes = V if head == "masked" else 3
    actions = rng.integers(0, classes, shape)
    weights = rng.normal(size=shape)
    if head != "sequence":
        weights *= mask
    chosen = np.eye(classes)[actions] * weights[..., None]
    chosen = chosen.astype(dtype)

    def loss():
        logits = ours(fw.tensor(ids), fw.tensor(mask))
        if fw is PT:
            return -(logits.log_softmax(-1) * fw.tensor(chosen)).sum()
        return -tf.reduce_sum(tf.nn.log_softmax(logits) * chosen)

    def their_loss():
        logits = theirs(torch.tensor(ids), attention_mask=torch.tensor(mask)).logits
        return -(logits.log_softmax(-1) * torch.tensor(chosen)).sum()

    wanted = gradients(PT, theirs, their_loss)
    found = gradients(fw, ours, loss)
    assert_same_gradients(found, wanted, atol)


@pytest.mark.parametrize("fw", BOTH, ids=lambda fw: fw.name)
def test_bert_refuses_more_tokens_than_positions(folders, fw):
    ours = PRETRAINED[fw.name].load(folders["token"])
    with pytest.raises(ValueError, match="ids: .* 16 positions, got 17"):
        ours(fw.tensor(np.zeros((1, 17), np.int64)))
