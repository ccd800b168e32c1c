"""Rollout and config: shapes and settings that are wrong are named."""

from dataclasses import fields

import numpy as np
import pytest

from core.advantages import BatchMean, Group
from core.algorithms import KL, Algorithm, Clipped
from core.settings import (
    BERTConfig,
    DQNConfig,
    GPTConfig,
    PolicyGradientConfig,
    SupervisedConfig,
)
from core.types import Preferences, Rollout


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


@pytest.mark.parametrize(
    "config, name, value",
    [
        (GPTConfig, "vocab_size", 0),
        (GPTConfig, "n_layer", 0),
        (GPTConfig, "n_head", 3),
        (GPTConfig, "n_inner", 0),
        (BERTConfig, "num_attention_heads", 5),
        (BERTConfig, "num_labels", 0),
        (BERTConfig, "head", "sentence"),
        (BERTConfig, "type_vocab_size", 0),
    ],
)
def test_bad_sizes_are_named(config, name, value):
    with pytest.raises(ValueError, match=f"^{name}: expected"):
        config(**{"vocab_size": 8} | {name: value})


@pytest.mark.parametrize(
    "name, value",
    [
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
        ("prompt_mask", np.full((2, 1), 0.5)),
        ("completions", np.full((2, 3), 1.5)),
        ("completions", np.full((2, 3), np.nan)),
        ("completions", np.full((2, 3), "1")),
        ("prompts", np.ones((2, 1))),
        ("terminated", np.array(["False", "True"])),
        ("terminated", np.ones((2, 1), bool)),
        ("terminated", np.array([0.5, 1])),
    ],
)
def test_bad_rollouts_are_named(name, value):
    with pytest.raises(ValueError, match=f"^{name}: expected"):
        Rollout(**arrays() | {name: value})


@pytest.mark.parametrize("name", ["prompts", "chosen", "rejected"])
@pytest.mark.parametrize("value", [1.5, np.nan, "1", True])
def test_preferences_are_of_token_ids(name, value):
    ids, mask = np.ones((2, 3), int), np.ones((2, 3))
    given = dict(
        prompts=ids, chosen=ids, chosen_mask=mask, rejected=ids, rejected_mask=mask
    )
    Preferences(**given)
    with pytest.raises(ValueError, match=f"^{name}: expected integers"):
        Preferences(**given | {name: np.full((2, 3), value)})


@pytest.mark.parametrize(
    "name, value",
    [
        ("gamma", -0.1),
        ("gamma", 1.1),
        ("epochs", 0),
        ("minibatches", 0),
        ("temperature", 0),
        ("temperature", -1),
        ("learning_rate", 0),
        ("max_grad_norm", 0),
        ("steps", 0),
        ("batch_size", 0),
        ("warmup_steps", -1),
        ("decay", "linear"),
        ("entropy_coef", -1),
        ("entropy_final", -1),
        ("buffer_batches", -1),
        ("reuse", -1),
        ("seed", -1),
        ("entropy_coef", float("nan")),
        ("learning_rate", float("inf")),
        ("resample", -1),
        ("algorithm", "GRPO"),
        ("algorithm", {}),
    ],
)
def test_bad_settings_are_named(name, value):
    with pytest.raises(ValueError, match=name):
        PolicyGradientConfig(**{name: value})


RATIO = Algorithm(surrogate=Clipped())
GROUP = Algorithm(Group(4))


@pytest.mark.parametrize(
    "name, settings",
    [
        ("reuse", {"reuse": 1}),
        ("batch_size", {"algorithm": Algorithm(BatchMean()), "batch_size": 1}),
        ("batch_size", {"algorithm": GROUP, "batch_size": 6}),
        ("batch_size", {"algorithm": RATIO, "minibatches": 3}),
        ("reuse", {"algorithm": GROUP, "reuse": 1, "buffer_batches": 1}),
        ("reuse", {"algorithm": RATIO, "reuse": 1, "buffer_batches": 1}),
        (
            "reuse",
            {"algorithm": Algorithm(pull=KL("k1")), "reuse": 1, "buffer_batches": 1},
        ),
        ("surrogate", {"epochs": 2}),
        ("surrogate", {"minibatches": 2}),
        ("resample", {"resample": 1}),
        ("per_prompt", {"algorithm": GROUP, "per_prompt": 4}),
        ("batch_size", {"per_prompt": 5}),
    ],
)
def test_settings_that_do_not_fit_together(name, settings):
    with pytest.raises(ValueError, match=f"^{name}: expected"):
        PolicyGradientConfig(**settings)


@pytest.mark.parametrize(
    "settings, size", [({}, 1), ({"per_prompt": 4}, 4), ({"algorithm": GROUP}, 4)]
)
def test_completions_of_a_prompt(settings, size):
    assert PolicyGradientConfig(**settings).group_size == size


def test_a_misspelt_setting_is_an_error():
    with pytest.raises(TypeError, match="batchsize"):
        PolicyGradientConfig(batchsize=3)


def test_schedules():
    config = PolicyGradientConfig(
        steps=5, warmup_steps=3, learning_rate=0.4, entropy_coef=1.0, entropy_final=0.0
    )
    rates = [config.rate(step) for step in range(5)]
    assert rates == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.4])
    alphas = [config.alpha(step) for step in range(6)]
    assert alphas == pytest.approx([1, 0.75, 0.5, 0.25, 0, 0])
    assert PolicyGradientConfig(entropy_coef=0.3).alpha(7) == 0.3


def test_numpy_numbers_become_python_s():
    config = PolicyGradientConfig(seed=np.int64(3), learning_rate=np.float32(0.5))
    assert type(config.seed) is int and type(config.learning_rate) is float
    assert type(GPTConfig(np.int64(8)).vocab_size) is int


@pytest.mark.parametrize("kind", [PolicyGradientConfig, DQNConfig, SupervisedConfig])
def test_a_checkpoint_keeps_the_fields_alone(kind):
    """Those written before `Record` have no "kind" of the settings either."""
    assert list(kind().as_dict()) == [field.name for field in fields(kind)]


@pytest.mark.parametrize("step, share", [(0, 1.0), (2, 0.55), (4, 0.1), (9, 0.1)])
def test_exploration_falls_to_its_final_share(step, share):
    config = DQNConfig(steps=5, epsilon=1.0, epsilon_final=0.1)
    assert config.exploration(step) == pytest.approx(share)
