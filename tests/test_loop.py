"""What a checkpoint must have in common with the training that it resumes."""

import os
import subprocess
import sys

import numpy as np
import pytest

from core import envs, rewards, weights
from core.settings import GPTConfig, PolicyGradientConfig
from tests.both import BOTH, PT

SIZES = GPTConfig(6, n_positions=8, n_embd=4, n_layer=1, n_head=1)
TASK = {
    "prompts": [[3, 4], [4, 5]],
    "targets": [[3, 4, 2], [5, 4, 2]],
    "token_reward": rewards.token_position_match,
    "vocab_size": 6,
    "eos_id": 2,
}
OTHERS = {
    "prompts": [[3, 4], [4, 4]],
    "targets": [[3, 4, 2], [5, 5, 2]],
    "token_reward": rewards.token_indicator,
    "prompt_mask": [[0, 1], [1, 1]],
    "eos_id": 1,
    "pad_id": 1,
    "max_length": 4,
    "limit_ends": True,
}


def trainer_of(fw, dtype="float32", task=TASK, **settings):
    settings = {"steps": 6, "batch_size": 4} | settings
    return fw.trainers.PolicyGradientTrainer(
        fw.models.GPT(SIZES, seed=1, dtype=dtype),
        envs.BatchedEnvironment(**task),
        PolicyGradientConfig(**settings),
    )


@pytest.mark.parametrize("name", OTHERS)
@pytest.mark.parametrize("fw", BOTH, ids=lambda fw: fw.name)
def test_another_task_is_refused_by_the_name_of_what_differs(tmp_path, fw, name):
    path = tmp_path / "x"
    trainer_of(fw).save(path)
    trainer_of(fw).load(path)
    other = trainer_of(fw, task=TASK | {name: OTHERS[name]})
    before = fw.checkpoints.get_weights(other.policy)
    with pytest.raises(ValueError, match=f"^task.{name}: expected that of the chec"):
        other.load(path)
    after = fw.checkpoints.get_weights(other.policy)
    assert all(np.array_equal(after[n], before[n]) for n in before)


@pytest.mark.parametrize("fw", BOTH, ids=lambda fw: fw.name)
def test_another_precision_or_setting_is_refused(tmp_path, fw):
    path = tmp_path / "x"
    trainer_of(fw).save(path)
    with pytest.raises(ValueError, match="^dtype.policy: .*'float32'.* got .*64"):
        trainer_of(fw, dtype="float64").load(path)
    with pytest.raises(ValueError, match="^config.gamma: .* 1.0, got 0.5"):
        trainer_of(fw, gamma=0.5).load(path)


@pytest.mark.parametrize("steps", [-1, 1.5, "2", True, float("nan")])
def test_a_number_of_steps_is_checked(steps):
    with pytest.raises(ValueError, match="^steps: expected "):
        trainer_of(PT).train(steps, progress=False)


def test_no_console_is_no_error(monkeypatch):
    monkeypatch.setattr("sys.stderr", None)  # as of a program with a window
    assert len(trainer_of(PT).train(1, progress=True)) == 1


def test_numbers_of_numpy_in_a_task_are_saved(tmp_path):
    task = TASK | {"eos_id": np.int64(2), "vocab_size": np.int32(6)}
    trainer_of(PT, task=task).save(tmp_path / "x")
    trainer_of(PT).load(tmp_path / "x")


def test_the_header_does_not_grow_with_the_buffer(tmp_path):
    """Else a file could not be written behind many batches."""
    sizes, whole = [], trainer_of(PT, reuse=1, buffer_batches=3)
    for step in range(4):
        whole.train(1, progress=False, path=tmp_path / f"{step}")
        data = (tmp_path / f"{step}").read_bytes()
        sizes.append(len(weights.read(tmp_path / f"{step}")[0]))
        assert int.from_bytes(data[:8], "little") < 2 * len(data)
    assert len(set(sizes)) == 1
    resumed = trainer_of(PT, reuse=1, buffer_batches=3)
    resumed.load(tmp_path / "3")
    for ours, theirs in zip(resumed.buffer.rollouts, whole.buffer.rollouts):
        for name, array in vars(ours).items():
            np.testing.assert_array_equal(array, vars(theirs)[name])
    assert whole.train(progress=False) == resumed.train(progress=False)


BAR = """
from core.trainers.loop import Trainer

class Counts(Trainer):
    def _take(self, turn):
        return {"return": turn}

Counts(None, {}, {})._loop(range(3), 3, "return", PROGRESS, None, 50)
"""


@pytest.mark.parametrize(
    ("progress", "disable", "shown"),
    [(True, "", True), (True, "1", False), (False, "", False), (False, "0", False)],
)
def test_the_bar_can_be_left_out_from_outside(progress, disable, shown):
    """The notebooks ask for bars, and a test run stores none."""
    told = {"TQDM_DISABLE": disable} if disable else {}
    ran = subprocess.run(
        [sys.executable, "-c", BAR.replace("PROGRESS", str(progress))],
        env={**os.environ, **told},
        capture_output=True,
        text=True,
        check=True,
    )
    assert ("return 2.000" in ran.stderr) == shown
