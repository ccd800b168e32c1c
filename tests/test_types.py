"""Rollout and config: shapes and settings that are wrong are named."""

import numpy as np
import pytest

from core.types import BERTConfig, GPTConfig, PolicyGradientConfig, Rollout


def arrays(b=2, t=3):
    return {
        "prompts": np.ones((b, 1), int),
        "completions": np.arange(b * t).reshape(b, t),
        "mask": np.ones((b, t)),
        "logprobs": -np.ones((b, t)),
        "rewards": np.zeros((b, t)),
        "terminated": np.ones(b, bool),
        "rows": np.arange(b),
    }


def test_take_and_concatenate():
    batch = Rollout(**arrays())
    twice = Rollout.concatenate([batch, batch])
    assert len(twice) == 4
    np.testing.assert_array_equal(
        twice.take([3, 0]).completions, batch.completions[[1, 0]]
    )


def test_prompts_without_a_mask_are_not_padded():
    batch = Rollout(**arrays())
    np.testing.assert_array_equal(batch.prompt_mask, np.ones((2, 1)))
    batch = Rollout(**arrays(), prompt_mask=np.zeros((2, 1)))
    np.testing.assert_array_equal(batch.take([1]).prompt_mask, [[0]])


@pytest.mark.parametrize("config, name, value", [
    (GPTConfig, "vocab_size", 0), (GPTConfig, "n_layer", 0),
    (GPTConfig, "n_head", 3), (GPTConfig, "n_inner", 0),
    (BERTConfig, "num_attention_heads", 5), (BERTConfig, "num_labels", 0),
    (BERTConfig, "head", "sentence"), (BERTConfig, "type_vocab_size", 0),
])
def test_bad_sizes_are_named(config, name, value):
    with pytest.raises(ValueError, match=f"^{name}: expected"):
        config(**{"vocab_size": 8} | {name: value})


@pytest.mark.parametrize("name, value", [
    ("completions", np.zeros(3)),
    ("mask", np.ones((2, 2))),
    ("mask", np.array([[1, 0, 0], [0, 0, 0]])),
    ("mask", np.array([[1, 0, 1], [1, 1, 1]])),
    ("mask", np.array([[1, 0.5, 0], [1, 1, 1]])),
    ("rewards", np.array([[0, 0, np.nan], [0, 0, 0]])),
    ("rewards", np.array([[0, 0, np.inf], [0, 0, 0]])),
    ("rewards", np.zeros((2, 4))),
    ("logprobs", np.full((2, 3), -np.inf)),
    ("prompts", np.ones((3, 1), int)),
    ("terminated", np.ones(1, bool)),
    ("rows", np.arange(3)),
    ("prompt_mask", np.ones((2, 2))),
])
def test_bad_rollouts_are_named(name, value):
    with pytest.raises(ValueError, match=name):
        Rollout(**arrays() | {name: value})


@pytest.mark.parametrize("name, value", [
    ("gamma", -0.1), ("gamma", 1.1), ("lam", 2), ("lam", float("nan")),
    ("group_size", 0), ("epochs", 0), ("minibatches", 0), ("clip", "kl"),
    ("kl", "k4"), ("kl_in", "return"), ("kl_coef", -1),
    ("ratio", "word"), ("aggregation", "mean"), ("clip_low", -0.1),
    ("clip_high", -0.1), ("temperature", 0), ("temperature", -1),
    ("learning_rate", 0),
    ("max_grad_norm", 0), ("steps", 0), ("batch_size", 0),
    ("warmup_steps", -1), ("decay", "linear"),
    ("entropy_coef", -1), ("entropy_final", -1),
    ("value_coef", -1), ("buffer_batches", -1), ("reuse", -1),
    ("returns", "all"), ("baseline", "average"), ("seed", -1),
    ("entropy_coef", float("nan")), ("learning_rate", float("inf")),
    ("sharpness", 0.0), ("resample", -1), ("value_clip", -0.1),
])
def test_bad_settings_are_named(name, value):
    with pytest.raises(ValueError, match=name):
        PolicyGradientConfig(**{name: value})


def test_settings_that_do_not_fit_together():
    with pytest.raises(ValueError, match="buffer_batches"):
        PolicyGradientConfig(reuse=1)
    with pytest.raises(ValueError, match="batch_size"):
        PolicyGradientConfig(batch_size=1, baseline="leave_one_out")
    with pytest.raises(ValueError, match="batch_size"):
        PolicyGradientConfig(batch_size=1, baseline="mean")
    with pytest.raises(ValueError, match="returns"):
        PolicyGradientConfig(baseline="critic", returns="total")
    group = {"baseline": "group", "group_size": 4, "returns": "total"}
    PolicyGradientConfig(**group)
    for name, changed in (
        ("batch_size", {"batch_size": 6}), ("group_size", {"group_size": 1}),
        ("returns", {"returns": "to_go"}),
        ("reuse", {"reuse": 1, "buffer_batches": 1}),
    ):
        with pytest.raises(ValueError, match=f"^{name}: expected"):
            PolicyGradientConfig(**group | changed)
    for name, changed in (
        ("ratio", {"epochs": 2}), ("ratio", {"minibatches": 2}),
        ("batch_size", {"ratio": "token", "minibatches": 3}),
        ("reuse", {"ratio": "token", "reuse": 1, "buffer_batches": 1}),
        ("reuse", {"kl": "k1", "reuse": 1, "buffer_batches": 1}),
        ("resample", {"resample": 1}), ("value_clip", {"value_clip": 0.2}),
        ("returns", {"baseline": "greedy"}),
    ):
        with pytest.raises(ValueError, match=f"^{name}: expected"):
            PolicyGradientConfig(**changed)
    with pytest.raises(TypeError, match="batchsize"):
        PolicyGradientConfig(batchsize=3)


def test_schedules():
    config = PolicyGradientConfig(
        steps=5, warmup_steps=3, learning_rate=0.4, entropy_coef=1.0,
        entropy_final=0.0,
    )
    rates = [config.rate(step) for step in range(5)]
    assert rates == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.4])
    alphas = [config.alpha(step) for step in range(6)]
    assert alphas == pytest.approx([1, 0.75, 0.5, 0.25, 0, 0])
    assert PolicyGradientConfig(entropy_coef=0.3).alpha(7) == 0.3


def test_numpy_numbers_become_python_s():
    config = PolicyGradientConfig(
        seed=np.int64(3), learning_rate=np.float32(0.5)
    )
    assert type(config.seed) is int and type(config.learning_rate) is float
