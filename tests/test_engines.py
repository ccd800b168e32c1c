"""Handing over: TRL trains the book's model by core's rewards, verl's files agree."""

import dataclasses
import importlib.util
import inspect
import json
import os
import subprocess
import sys

import pytest
import yaml

from core import rewards
from core.algorithms import ALGORITHMS
from core.settings import PolicyGradientConfig
from real import trl_grpo, verl_reward
from real.numbers import number, right_number

STEPS, GROUP, BATCH = 3, 4, 8


@pytest.fixture(scope="session")
def run(root, tmp_path_factory):
    """Runs trl_grpo with a launcher's arguments; gives its end and its folder."""

    def start(*launcher, processes):
        out = tmp_path_factory.mktemp("trl")
        inputs = ("-m", "real.trl_grpo", "--steps", STEPS, "--out", out)
        sizes = ("--group", GROUP, "--batch", BATCH, "--processes", processes)
        paths = os.pathsep.join(map(str, (root, root / "book")))
        done = subprocess.run(
            [sys.executable, *map(str, (*launcher, *inputs, *sizes))],
            cwd=root / "book",
            env=os.environ | {"PYTHONPATH": paths, "HF_HUB_OFFLINE": "1"},
            capture_output=True,
            text=True,
            timeout=300,
        )
        return done, out

    return start


def told(out, count):
    """What each process has written, in their order."""
    paths = [out / f"process_{i}.json" for i in range(count)]
    assert sorted(out.glob("process_*.json")) == paths
    return [json.loads(path.read_text("utf-8")) for path in paths]


def check_process(found, index, count):
    """A process took its steps with its own rows, and its weights moved."""
    assert (found["process"], found["processes"]) == (index, count)
    assert found["steps"] == STEPS == len(found["calls"])
    assert found["before"] != found["after"]
    wanted = {row["prompt"]: row["wanted"] for row in trl_grpo.ROWS}
    for call in found["calls"]:
        assert len(call["completions"]) == BATCH
        assert call["wanted"] == [wanted[prompt] for prompt in call["prompts"]]
        scores = rewards.contains(call["completions"], wanted=call["wanted"])
        assert call["scores"] == scores


def test_trl_trains_the_books_model_with_cores_rewards(root, tmp_path, monkeypatch):
    monkeypatch.chdir(root / "book")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    sizes = f"--steps {STEPS} --group {GROUP} --batch {BATCH} --out {tmp_path}"
    trl_grpo.main(sizes.split())
    [found] = told(tmp_path, 1)
    check_process(found, 0, 1)
    paid = [step["rewards/contains/mean"] for step in found["log"][:STEPS]]
    means = [sum(call["scores"]) / BATCH for call in found["calls"]]
    assert paid == pytest.approx(means)
    assert max(means) > 0  # else no gradient came from this reward


def test_trl_on_two_processes_leaves_both_with_the_same_weights(run):
    torchrun = ("-m", "torch.distributed.run", "--nproc_per_node", 2)
    done, out = run(*torchrun, processes=2)
    assert done.returncode == 0, done.stderr[-2000:]
    both = told(out, 2)
    for index, found in enumerate(both):
        check_process(found, index, 2)
    first, second = both
    assert first["before"] == second["before"]
    assert first["after"] == second["after"]
    # Not because they did the same: each had its own rows.
    for one, other in zip(first["calls"], second["calls"]):
        assert set(one["prompts"]) & set(other["prompts"]) == set()
        assert one["completions"] != other["completions"]


def test_accelerate_on_cpus_starts_one_process_and_is_refused(run):
    launch = ("-m", "accelerate.commands.launch", "--cpu", "--num_processes", 2)
    done, out = run(*launch, processes=2)
    assert done.returncode != 0
    assert "processes: expected 2, got 1; start them with torchrun" in done.stderr
    assert not list(out.iterdir())


def test_trl_needs_as_many_processes_as_asked(tmp_path, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(ValueError, match="processes: expected 1, got 2"):
        trl_grpo.main(["--out", str(tmp_path)])


def test_verl_calls_a_reward_of_core(root):
    # As verl does: by the file's path, then by name, with keywords.
    path = root / "book/real/verl_reward.py"
    spec = importlib.util.spec_from_file_location("custom_module", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    names = ["data_source", "solution_str", "ground_truth", "extra_info"]
    assert list(inspect.signature(module.compute_score).parameters) == names

    def score(source, text, truth):
        found = module.compute_score(
            data_source=source,
            solution_str=text,
            ground_truth=truth,
            extra_info={"num_turns": None, "rollout_reward_scores": {}},
        )
        assert type(found) is float
        return found

    assert score("contains", "the fox runs", "fox") == 1.0
    assert score("contains", "the dog runs", "fox") == 0.0
    assert score("edit_similarity", "cut", "cat") == 0.5
    assert score("exact_match", "cat", "cat") == 1.0
    assert score("openai/gsm8k", "6 * 7 = 42", "42") == 1.0
    assert score("openai/gsm8k", "6 * 7 = 43", "42") == 0.0


def test_verl_reward_names_what_it_has():
    message = "data_source: expected one of openai/gsm8k, contains, .*, got 'other'"
    with pytest.raises(ValueError, match=message):
        verl_reward.compute_score("other", "a", "b")


def as_verl_has_it(algorithm, config):
    """The settings that verl gives other names, as read in its release 0.9.0."""
    actor, rollout = "actor_rollout_ref.actor.", "actor_rollout_ref.rollout."
    aggregates = {"SequenceMean": "seq-mean-token-mean", "TokenMean": "token-mean"}
    kinds = {"k1": "kl", "k2": "mse", "k3": "low_var_kl"}
    advantage, clip, pull = algorithm.advantage, algorithm.surrogate, algorithm.pull
    assert type(advantage).__name__ == "Group" and clip.level == "token"
    return {
        "algorithm.adv_estimator": "grpo",
        "algorithm.norm_adv_by_std_in_grpo": advantage.scale,
        "algorithm.use_kl_in_reward": pull.where == "reward",
        rollout + "n": advantage.size,
        rollout + "temperature": config.temperature,
        rollout + "top_k": -1,
        rollout + "top_p": 1.0,
        actor + "policy_loss.loss_mode": "vanilla",
        actor + "clip_ratio_low": clip.low,
        actor + "clip_ratio_high": clip.high,
        actor + "loss_agg_mode": aggregates[type(algorithm.aggregate).__name__],
        actor + "use_kl_loss": pull.where == "loss",
        actor + "kl_loss_type": kinds[pull.estimator],
        actor + "kl_loss_coef": pull.coef,
        actor + "entropy_coeff": config.entropy_coef,
        actor + "ppo_epochs": config.epochs,
        actor + "ppo_mini_batch_size": config.batch_size
        // config.minibatches
        // advantage.size,
        actor + "grad_clip": config.max_grad_norm,
        actor + "optim.lr": config.learning_rate,
        actor + "optim.lr_warmup_steps": config.warmup_steps,
        actor + "optim.weight_decay": 0.0,
        actor + "optim.override_optimizer_config": {"eps": 1e-5},
        "data.train_batch_size": config.batch_size // advantage.size,
    }


def at(tree, key):
    """The entry of nested dicts under a name with dots."""
    for name in key.split("."):
        tree = tree[name]
    return tree


def test_verl_grpo_has_the_settings_of_the_books_grpo(root):
    text = (root / "book/real/verl_grpo.yaml").read_text("utf-8")
    tree, grpo = yaml.safe_load(text), ALGORITHMS["GRPO"]
    config = PolicyGradientConfig(
        grpo, batch_size=128, learning_rate=1e-6, warmup_steps=0
    )
    for key, value in as_verl_has_it(grpo, config).items():
        assert at(tree, key) == value, key
    # verl's second bound, for negative advantages: none here, so far away there.
    assert at(tree, "actor_rollout_ref.actor.clip_ratio_c") >= 1e6
    reward = at(tree, "reward.custom_reward_function")
    assert (root / "book" / reward["path"]).is_file()
    assert reward["name"] == verl_reward.compute_score.__name__


def test_the_comparison_sees_another_algorithm():
    grpo = ALGORITHMS["GRPO"]
    config = PolicyGradientConfig(grpo, batch_size=128)
    ours = as_verl_has_it(grpo, config)
    pulled = dataclasses.replace(ALGORITHMS["DAPO"], pull=grpo.pull)
    dapo = as_verl_has_it(pulled, config)
    told = {key.rpartition(".")[2] for key in ours if ours[key] != dapo[key]}
    assert told == {"clip_ratio_high", "loss_agg_mode"}


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("#### 42", 42.0),
        ("3 + 4 = 7\n#### -1,234.5", -1234.5),
        ("first 3, then 8", 8.0),
        ("The answer is 18.", 18.0),
        ("#### 5 dollars for 1 day", 1.0),
        ("no number ####", None),
        ("12 #### none", None),
        ("", None),
    ],
)
def test_the_number_of_a_text(text, wanted):
    assert number(text) == wanted


def test_right_number_takes_rows_as_published():
    answer = ["Natalia sold 48/2 = <<48/2=24>>24 clips.\n#### 72"] * 3
    texts = ["48 + 24 = 72", "72 clips, and 1 more", "none"]
    assert right_number(texts, answer=answer, question=["?"] * 3) == [1.0, 0.0, 0.0]
    with pytest.raises(ValueError, match="answer: expected a number in each"):
        right_number(["1"], answer=["unknown"])
    with pytest.raises(ValueError, match="answer: expected a list of 1 texts"):
        right_number(["1"], answer=["1", "2"])
