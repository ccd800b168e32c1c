"""The benchmarks' page says what results.json does; both frameworks' GRPO
step compute the same loss."""

import json
import statistics

import numpy as np
import pytest

import pages.parity  # noqa: F401  first: it sets up both frameworks

# isort: split
from core.pt import checkpoints as pt_checkpoints
from core.tf import checkpoints as tf_checkpoints
from tests.benchmarks import grpo_pt, grpo_tf, measure, models, page, roofline


@pytest.fixture(scope="module")
def results(root):
    """What `make bench` stored."""
    return json.loads((root / "tests/benchmarks/results.json").read_text("utf-8"))


@pytest.fixture(scope="module")
def entries(results):
    """The measurements among it, without the profiles."""
    return [e for e in results["entries"] if e["what"] != "profile"]


def test_the_page_is_made_from_the_results(results, tmp_path):
    assert page.PAGE.read_text("utf-8") == page.render(results)
    page.draw(results["entries"], tmp_path / "figure.svg")
    drawn = (tmp_path / "figure.svg").read_text("utf-8")
    assert drawn == page.FIGURE.read_text("utf-8")


def test_each_number_follows_from_its_rounds(entries):
    for e in entries:
        ours = statistics.median(e["ours"])
        if e["kind"] == "value":
            wanted = ours
        elif e["kind"] == "speed":
            wanted = statistics.median(e["theirs"]) / ours
        else:
            wanted = ours / statistics.median(e["theirs"])
        assert e["number"] == pytest.approx(wanted, rel=1e-9), e["what"]


def test_each_entry_has_three_rounds_and_an_honest_verdict(entries):
    for e in entries:
        sides = [e["ours"]] + ([e["theirs"]] if e["theirs"] else [])
        assert len({len(side) for side in sides}) == 1
        assert all(len(side) >= 3 and min(side) > 0 for side in sides)
        if e["target"] is not None:
            above = e["number"] >= e["target"]
            assert e["reached"] == (
                above if e["kind"] == "speed" else e["number"] <= e["target"]
            )


def test_every_target_of_the_benchmarks_is_there(entries):
    targets = {}
    for e in entries:
        if e["target"] is not None:
            key = e["what"], e["framework"], e.get("against")
            targets.setdefault(key, []).append(e["target"])
    assert targets == {
        ("sampling", "pytorch", "transformers"): [2.5] * 3,
        ("sampling", "tensorflow", "transformers"): [2.0] * 3,
        ("sampling", "tensorflow", "KerasHub"): [3.5] * 3,
        ("GRPO step", "pytorch", "TRL"): [2.0, 3.0, 3.0],
        ("GRPO step", "tensorflow", "TRL"): [1.8, 2.7, 3.0],
        ("first step", "tensorflow", None): [12],
        ("memory", "pytorch", "trl"): [0.6],
    }


def test_missed_targets_are_named_on_the_page(entries):
    text = page.PAGE.read_text("utf-8")
    for e in entries:
        if e["target"] is not None:
            named = f"- {page.describe(e)}: " in text
            assert named == (not e["reached"])


def test_an_entry_needs_three_rounds_and_a_known_kind():
    with pytest.raises(ValueError, match="ours: .* three rounds"):
        measure.entry("value", [1.0, 2.0])
    with pytest.raises(ValueError, match="kind: expected one of"):
        measure.entry("time", [1.0, 2.0, 3.0])


def test_sides_take_turns_and_the_warm_up_is_dropped():
    calls = []
    seconds = measure.alternate(
        {n: lambda i, n=n: calls.append((n, i)) for n in "ab"}, rounds=3
    )
    assert calls == [(n, i) for i in range(4) for n in "ab"]
    assert {n: len(kept) for n, kept in seconds.items()} == {"a": 3, "b": 3}


def test_operations_of_a_token_counted_by_hand():
    # One layer: 12 weight matrices' worth of D², two operations for each.
    d, vocab, layers = 128, 64, 4
    steps = 47 * (24 * layers * d**2 + 2 * vocab * d)
    attention = sum(4 * layers * d * seen for seen in range(17, 64))
    prompt = 16 * 24 * layers * d**2 + 2 * vocab * d
    prompt += sum(4 * layers * d * seen for seen in range(1, 17))
    wanted = (steps + attention + prompt / 8) / 48
    assert roofline.operations() == pytest.approx(wanted)


@pytest.mark.parametrize("ends", [False, True], ids=["fixed", "early end"])
def test_both_frameworks_take_the_same_grpo_step(ends):
    prompts, batch = models.prompts(16), 16
    steps = [module.GRPO(rate=1e-3, dtype="float64") for module in (grpo_pt, grpo_tf)]
    rng = np.random.default_rng(0)
    weights = pt_checkpoints.get_weights(steps[0].policy)
    weights = {n: w + 0.1 * rng.normal(size=w.shape) for n, w in weights.items()}
    pt_checkpoints.set_weights(steps[0].policy, weights)
    tf_checkpoints.set_weights(steps[1].policy, weights)
    length, eos = 5, None
    noise = rng.gumbel(size=(batch, length, models.CONFIG.vocab_size))
    if ends:
        length, eos = models.LAST, models.EOS
        lengths = models.lengths(batch, seed=0)
        noise = models.ending_noise(lengths, seed=0)
    scores = [rng.random(batch) for _ in range(2)]
    losses = [
        [grpo.step(prompts, s, length, noise, eos) for s in scores] for grpo in steps
    ]
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-8)
    assert all(abs(loss) > 1e-3 for loss, _ in losses[0])  # the KL term
    if ends:
        assert losses[0][0][1] == lengths.sum()
