"""The additions: who sees which, what a sum earns, the start."""

from math import comb

import numpy as np
import pytest

from applications import arithmetic, metrics
from core import rewards
from core.pt import pretrained as pt_pretrained
from tests.conftest import ROOT

START = ROOT / "book" / "models" / "arithmetic"
SMALL = ("worked", "train", "dev", "test")


def encoded(*texts):
    """Answers as token ids with EOS and mask, (B, 5) each."""
    tok = arithmetic.tokenizer()
    ids = tok.encode_batch(texts, arithmetic.DIGITS + 2, add_eos=True)
    return ids, (ids != tok.pad_id).astype(float)


def test_every_small_pair_is_in_one_split():
    parts = [arithmetic.problems(s) for s in SMALL]
    codes = np.concatenate([pairs @ (100, 1) for pairs in parts])
    assert sorted(codes) == list(range(100**2))
    assert all(850 < len(part) < 1150 for part in parts[2:])


@pytest.mark.parametrize("split", SMALL)
def test_a_pair_and_its_mirror_image_are_together(split):
    pairs = {tuple(p) for p in arithmetic.problems(split).tolist()}
    assert {(b, a) for a, b in pairs} == pairs


def test_the_longer_pairs():
    one, long = map(arithmetic.problems, arithmetic.LONGER)
    for pairs in (one, long):
        assert len(np.unique(pairs, axis=0)) == arithmetic.LONG
        assert pairs[:, 0].min() >= 100 and pairs.max() < 1000
    assert one[:, 1].max() == 9 and one[:, 1].min() == 0
    assert long[:, 1].min() >= 100


@pytest.mark.parametrize("split", arithmetic.SPLITS)
def test_the_same_seed_gives_the_same_pairs(split):
    first, again = (arithmetic.problems(split) for _ in range(2))
    assert (first == again).all()
    other = arithmetic.problems(split, seed=1)
    assert first.shape != other.shape or (first != other).any()


def test_an_unknown_split():
    with pytest.raises(ValueError, match="split: expected one of"):
        arithmetic.problems("validation")
    with pytest.raises(ValueError, match="split: expected one of"):
        arithmetic.environment("validation")


def test_carries_by_hand():
    pairs = [[5, 4], [5, 5], [99, 1], [999, 1], [50, 60], [999, 999]]
    assert arithmetic.carries(pairs).tolist() == [0, 1, 2, 3, 1, 3]


@pytest.mark.parametrize("split", arithmetic.SPLITS)
def test_prompts_and_answers_are_written_as_promised(split):
    env, tok = arithmetic.environment(split), arithmetic.tokenizer()
    pairs = arithmetic.problems(split)
    for row in (0, len(env) // 2, len(env) - 1):
        a, b = pairs[row].tolist()
        assert tok.decode(env.prompts[row]) == f"{a:03}+{b:03}="
        assert int(tok.decode(env.targets[row])[::-1]) == a + b
        assert tok.eos_id in env.targets[row]


def test_what_an_answer_earns():
    wanted = rewards.unpadded(encoded(*["221"] * 5)[0], eos_id=2)  # 122
    made, mask = encoded("221", "122", "22", "2210", "")
    exact = rewards.token_exact_match(made, mask, wanted)
    assert exact.sum(axis=1).tolist() == [1, 0, 0, 0, 0]
    digits = rewards.token_position_match(made, mask, wanted)
    assert digits.sum(axis=1).tolist() == [1, 0.5, 0.5, 0.75, 0]


def test_a_sum_without_its_eos_is_not_exact():
    wanted = rewards.unpadded(encoded("221")[0], eos_id=2)
    made = np.array([[*wanted[0, :3], 3, 3]])  # 221, then zeros
    assert not rewards.token_exact_match(made, np.ones((1, 5)), wanted).any()


@pytest.mark.parametrize("k", [1, 2, 4])
def test_pass_at_k_is_unbiased(k):
    p, n = 0.3, 5
    mean = sum(
        comb(n, c) * p**c * (1 - p) ** (n - c) * metrics.pass_at_k(n, c, k)
        for c in range(n + 1)
    )
    assert mean == pytest.approx(1 - (1 - p) ** k)


def test_the_start_has_room_for_the_longer_sums():
    env = arithmetic.environment("long")
    config = pt_pretrained.load(START).config
    assert config.n_positions == env.prompts.shape[1] + env.max_length
