"""The scripts for real checkpoints, on tiny directories like the published ones."""

import json

import numpy as np
import pytest
import torch

from real import reasoning, record, repetition, reviews, rows

QUESTIONS = [
    {
        "question": f"What is {a} + {b}?",
        "answer": f"{a} + {b} is {a + b}.\n#### {a + b}",
    }
    for a in range(4)
    for b in range(3)
]
SIZES = "--steps 2 --batch 8 --length 12 --every 1".split()
REASON = [*SIZES, "--group", "4", "--accumulate", "2", "--held", "4", "--rank", "2"]


@pytest.fixture
def questions(tmp_path):
    """A folder with rows as GSM8K publishes them."""
    folder = tmp_path / "rows"
    folder.mkdir()
    for split, found in (("train", QUESTIONS), ("test", QUESTIONS[::2])):
        lines = "\n".join(json.dumps(row) for row in found)
        (folder / f"{split}.jsonl").write_text(lines, "utf-8")
    return folder


def told(path):
    return json.loads(path.read_text("utf-8"))


def check_record(path, name, steps=2):
    """A dated record with versions, hardware, settings and a curve."""
    found = told(path)
    assert path.name.startswith(f"{name}_2") and found["script"] == name
    assert record.latest(name, path.parent) == found
    assert found["versions"].keys() >= {"python", "torch", "transformers", "numpy"}
    assert found["hardware"]["device"] == "cpu" and found["hardware"]["cores"]
    assert found["arguments"]["steps"] == str(steps)
    assert [step["step"] for step in found["history"]] == list(range(1, steps + 1))
    assert found["timed"]["steps"] == steps and found["timed"]["seconds"] > 0
    assert not list(path.parent.glob("*.new"))
    return found


@pytest.mark.parametrize("name", ["Qwen/Qwen2.5-0.5B-Instruct", "Qwen/Qwen3-0.6B"])
def test_reasoning(hub, questions, tmp_path, name):
    given = ["--model", name, "--data", str(questions), "--out", str(tmp_path / "out")]
    path = reasoning.main([*REASON, *given])
    found = check_record(path, "reasoning")
    assert found["results"]["before"]["questions"] == 4
    assert 0 <= found["results"]["after"]["right"] <= 1
    assert all(np.isfinite(step["kl"]) for step in found["history"])
    folder = path.parent / "reasoning_model"
    assert (folder / "adapter_model.safetensors").is_file()


def test_reasoning_in_tensorflow(hub, questions, tmp_path):
    given = ["--model", "Qwen/Qwen2.5-0.5B-Instruct", "--data", str(questions)]
    # XLA compiles each part of an update and each length anew: few of them.
    given += "--framework tf --steps 1 --accumulate 1 --length 4".split()
    path = reasoning.main([*REASON, *given, "--out", str(tmp_path / "out")])
    check_record(path, "reasoning", steps=1)


def test_reasoning_of_all_weights_and_a_base_model(hub, questions, tmp_path):
    given = ["--model", "openai-community/gpt2", "--data", str(questions)]
    options = ["--plain", "--rank", "0", "--out", str(tmp_path / "out")]
    path = reasoning.main([*REASON, *given, *options])
    check_record(path, "reasoning")
    assert (path.parent / "reasoning_model" / "model.safetensors").is_file()


def test_the_prompt_is_the_models_own(hub):
    tokenizer = reasoning.PretrainedTokenizer("Qwen/Qwen3-0.6B")
    [ids] = reasoning.prompts(["What is 1 + 1?"], tokenizer, plain=False)
    text = tokenizer.backend.decode(ids, skip_special_tokens=False)
    assert text.startswith("<|im_start|>user\nWhat is 1 + 1?\nThink step by step.")
    assert text.endswith("<|im_start|>assistant\n<think>\n\n</think>\n\n")


def test_the_settings_are_those_of_the_books_grpo():
    args = reasoning.arguments([])
    config, grpo = reasoning.settings(args), reasoning.ALGORITHMS["GRPO"]
    assert config.algorithm == grpo
    assert (config.learning_rate, config.noise) == (1e-5, "device")
    args.beta = 0.0
    assert reasoning.settings(args).algorithm.pull is None


def test_a_stopped_run_goes_on(hub, questions, tmp_path, monkeypatch):
    """The same steps as one that was not stopped, and the answers from before it."""
    given = ["--model", "Qwen/Qwen2.5-0.5B-Instruct", "--data", str(questions)]
    given = [*REASON, *given, "--steps", "3", "--out"]
    whole = told(reasoning.main([*given, str(tmp_path / "whole")]))
    out = tmp_path / "stopped"
    trainer = record.half(reasoning.arguments([]), "trainers").PolicyGradientTrainer
    step = trainer.step

    def dies(self):
        if len(self.history) == 2:
            raise KeyboardInterrupt
        return step(self)

    with monkeypatch.context() as patch:
        patch.setattr(trainer, "step", dies)
        with pytest.raises(KeyboardInterrupt):
            reasoning.main([*given, str(out)])
    assert not list(out.glob("reasoning_2*.json"))
    again = told(reasoning.main([*given, str(out)]))
    assert again["timed"]["steps"] == 1
    assert again["history"] == whole["history"]
    assert again["results"] == whole["results"]
    with pytest.raises(ValueError, match="rate: expected 1e-05 as the run in .*--out"):
        reasoning.main([*given, str(out), "--rate", "1e-4"])


def test_repetition(hub, tmp_path):
    given = ["--model", "openai-community/gpt2", "--samples", "3"]
    path = repetition.main([*SIZES, *given, "--out", str(tmp_path / "out")])
    found = check_record(path, "repetition")["results"]
    assert found["before"]["texts"] == 12 and len(found["after"]["samples"]) == 4
    assert -1 < found["before"]["repetition"] <= 0
    assert found["before"]["start_nats_per_token"] > 0
    assert (path.parent / "repetition_model" / "config.json").is_file()


def test_the_reward_of_repetition_is_paid_at_once():
    tokenizer = repetition.PretrainedTokenizer("book/models/gpt")
    env = repetition.task(["The cat"], tokenizer, len(tokenizer), 8)
    ids = tokenizer.encode(" sat. The cat sat.")[:8]
    mask = np.ones((1, len(ids)))
    paid = env.rewards(np.array([ids]), mask, np.array([0]))
    text = tokenizer.decode(ids)
    whole = repetition.pairs([text])[0] + 0.5 * repetition.finishes([text])[0]
    assert paid.sum() == pytest.approx(whole)
    assert (paid != 0).sum() > 1


@pytest.mark.parametrize("framework", ["pt", "tf"])
def test_reviews(hub, tmp_path, framework):
    given = ["--model", "google-bert/bert-base-uncased", "--framework", framework]
    path = reviews.main([*SIZES, *given, "--out", str(tmp_path / "out")])
    found = check_record(path, "reviews")["results"]
    assert found["test_rows"] > 50 and 0 <= found["accuracy"] <= 1
    assert 0.4 < found["most_frequent_label"] < 0.7


def test_reviews_learn_what_can_be_learned(hub, tmp_path):
    folder = tmp_path / "rows"
    folder.mkdir()
    lines = [
        json.dumps({"text": text, "label": label})
        for text, label in (("the robot sat", 0), ("a duck swam", 1))
    ]
    for split in rows.SPLITS:
        (folder / f"{split}.jsonl").write_text("\n".join(lines * 4), "utf-8")
    given = ["--model", "google-bert/bert-base-uncased", "--data", str(folder)]
    given += ["--steps", "40", "--rate", "1e-2", "--batch", "8"]
    path = reviews.main([*given, "--out", str(tmp_path / "out")])
    assert told(path)["results"]["accuracy"] == 1.0


# --- Clear errors ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--device", "cuda:99"], "device: expected one that is there, got cuda:99"),
        (["--device", "tpu"], "device: expected cpu, cuda or mps, got tpu"),
        (["--data", "no-such-folder"], "data: there is no folder no-such-folder"),
        (["--model", "openai-community/gpt2"], "no chat template"),
        (["--model", "no-such-model"], "there is no directory 'no-such-model'"),
        (["--batch", "6"], "batch_size: expected a multiple"),
    ],
)
def test_reasoning_says_what_is_wrong(
    hub, questions, tmp_path, monkeypatch, options, message
):
    def refused(*_, **__):
        raise OSError("no network")

    monkeypatch.setattr("huggingface_hub.hf_hub_download", refused)
    given = ["--model", "Qwen/Qwen2.5-0.5B-Instruct", "--data", str(questions)]
    out = ["--out", str(tmp_path / "out")]
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        reasoning.main([*REASON, *given, *out, *options])
    assert not list(tmp_path.glob("out/reasoning_2*.json"))


def test_a_dtype_that_a_device_lacks(monkeypatch):
    args = reasoning.arguments(["--device", "mps", "--dtype", "float64"])
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    with pytest.raises(ValueError, match="dtype: mps does not compute in float64"):
        record.check_device(args)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "data: expected JSON in line 1 of .*train.jsonl, got '{'"),
        ('{"question": "?"}', "expected an object with question, answer in row 1 of"),
        ("[]", "expected an object with question, answer in row 1 of"),
        ("", "data: expected rows in .*train.jsonl, got none"),
    ],
)
def test_rows_that_are_none(questions, text, message):
    (questions / "train.jsonl").write_text(text, "utf-8")
    with pytest.raises(ValueError, match=message):
        rows.read(questions, ("question", "answer"))
    (questions / "train.jsonl").unlink()
    with pytest.raises(FileNotFoundError, match="train.jsonl does not exist"):
        rows.read(questions, ("question", "answer"))


def test_rows_of_the_hub(tmp_path, monkeypatch):
    pandas = pytest.importorskip("pandas")
    asked = []

    def download(name, file, repo_type):
        asked.append((name, file, repo_type))
        path = tmp_path / file.replace("/", "_")
        pandas.DataFrame(QUESTIONS).to_parquet(path)
        return str(path)

    monkeypatch.setattr("huggingface_hub.hf_hub_download", download)
    found = rows.read("openai/gsm8k", ("question", "answer"))
    assert found == {"train": QUESTIONS, "test": QUESTIONS}
    assert asked[0] == ("openai/gsm8k", "main/train-00000-of-00001.parquet", "dataset")


def test_a_known_error_is_one_line(capsys):
    def fails():
        raise ValueError("rate: expected a number")

    with pytest.raises(SystemExit) as stopped:
        record.call(fails)
    assert str(stopped.value).endswith("rate: expected a number")


def test_the_newest_record(tmp_path):
    assert record.latest("reviews", tmp_path) is None
    for date in ("2026-01-02T00-00-00", "2025-12-31T23-00-00"):
        record.write(tmp_path / f"reviews_{date}.json", {"date": date})
    record.write(tmp_path / "reviews.run.json", {})
    assert record.latest("reviews", tmp_path)["date"] == "2026-01-02T00-00-00"
