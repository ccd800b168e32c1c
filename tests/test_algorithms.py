"""Advantages by hand, and unbiased or not by enumeration."""

import json
from dataclasses import FrozenInstanceError, replace

import numpy as np
import pytest

from core import exact
from core.advantages import (
    BatchMean,
    Critic,
    Greedy,
    Group,
    Learned,
    LeaveOneOut,
    MinimumRisk,
    Return,
    Whitened,
    WhitenedRewards,
    unwrapped,
)
from core.algorithms import (
    ALGORITHMS,
    KL,
    TRAINING,
    Algorithm,
    Clipped,
    ClippedWeight,
    ConstantLength,
    Plain,
    SequenceMean,
    SequenceSum,
    TokenMean,
)
from core.settings import PolicyGradientConfig
from core.types import Rollout


def batch_of(rewards, mask, terminated=None):
    rewards, mask = np.array(rewards, float), np.array(mask, float)
    b, t = mask.shape
    return Rollout(
        np.ones((b, 1), int),
        np.ones((b, t), int),
        mask,
        -mask,
        rewards * mask,
        np.ones(b, bool) if terminated is None else np.array(terminated),
        np.arange(b),
    )


BATCH = batch_of([[1, 2, 4], [8, 0, 9]], [[1, 1, 1], [1, 0, 0]])


@pytest.mark.parametrize(
    "advantage, gamma, predicted, expected",
    [
        (Return(), 1, None, [[7, 6, 4], [8, 0, 0]]),
        (Return(), 0.0, None, [[1, 2, 4], [8, 0, 0]]),
        (Return(), 0.5, None, [[3, 4, 4], [8, 0, 0]]),
        (Return(total=True), 1, None, [[7, 7, 7], [8, 0, 0]]),
        (BatchMean(), 1, None, [[-0.5, 0, 0], [0.5, 0, 0]]),
        (BatchMean(total=True), 1, None, [[-0.5, 0, 0], [0.5, 0, 0]]),
        # no other row stands at positions 1 and 2: nothing is subtracted
        (BatchMean(leave_one_out=True), 1, None, [[-1, 6, 4], [1, 0, 0]]),
        (LeaveOneOut(2), 1, None, [[-1, -1, -1], [1, 0, 0]]),
        (Group(2), 1, None, [[-0.5, -0.5, -0.5], [0.5, 0, 0]]),
        (Group(2, scale=True), 1, None, np.array([[-1, -1, -1], [1, 0, 0]]) / 2**0.5),
        (Learned(), 1, [1, 2], [[6, 5, 3], [6, 0, 0]]),
        (Learned(total=True), 1, [1, 2], [[6, 6, 6], [6, 0, 0]]),
        (Critic(), 1, [[1, 2, 3, 9], [4, 5, 6, 9]], [[6, 4, 1], [4, 0, 0]]),
        (Critic(lam=0.0), 1, [[1, 2, 3, 9], [4, 5, 6, 9]], [[2, 3, 1], [4, 0, 0]]),
    ],
)
def test_by_hand(advantage, gamma, predicted, expected):
    if predicted is not None:
        predicted = np.array(predicted, float)
    adv, targets = advantage(BATCH, gamma, predicted)
    np.testing.assert_allclose(adv, expected)
    if advantage.predicts == "baseline":
        np.testing.assert_allclose(targets, [7, 8])
    elif advantage.predicts == "values":
        mask = BATCH.mask > 0
        np.testing.assert_allclose(targets[mask], (adv + predicted[:, :-1])[mask])
    else:
        assert targets is None


@pytest.mark.parametrize("name", ALGORITHMS)
def test_a_reader_may_change_a_record(name):
    algorithm = replace(ALGORITHMS[name], pull=None)
    config = PolicyGradientConfig(algorithm, batch_size=64, **TRAINING.get(name, {}))
    assert config.group_size in (1, 8) and config.algorithm.pull is None
    with pytest.raises(TypeError, match="hihg"):
        Clipped(hihg=0.3)


@pytest.mark.parametrize(
    "name, make",
    [
        ("size", lambda: Group(1)),
        ("size", lambda: LeaveOneOut(0)),
        ("size", lambda: MinimumRisk(1)),
        ("sharpness", lambda: MinimumRisk(2, sharpness=0.0)),
        ("lam", lambda: Critic(lam=1.1)),
        ("lam", lambda: Critic(lam=np.nan)),
        ("value_coef", lambda: Critic(value_coef=-1)),
        ("value_clip", lambda: Critic(value_clip=-0.1)),
        ("value_coef", lambda: Learned(value_coef=-1)),
        ("value_clip", lambda: Learned(value_clip=-0.1)),
        ("of", lambda: Whitened(3)),
        ("of", lambda: WhitenedRewards(Plain())),
        ("level", lambda: Clipped("word")),
        ("low", lambda: Clipped(low=-0.1)),
        ("high", lambda: ClippedWeight(high=-0.1)),
        ("high", lambda: Clipped(high=float("inf"))),
        ("length", lambda: ConstantLength(0)),
        ("estimator", lambda: KL("k4")),
        ("coef", lambda: KL("k1", -1)),
        ("where", lambda: KL("k1", where="return")),
        ("advantage", lambda: Algorithm(Plain())),
        ("surrogate", lambda: Algorithm(surrogate=TokenMean())),
        ("aggregate", lambda: Algorithm(aggregate="token_mean")),
        ("pull", lambda: Algorithm(pull=0.1)),
    ],
)
def test_records_name_what_is_wrong(name, make):
    with pytest.raises(ValueError, match=f"^{name}: expected"):
        make()


@pytest.mark.parametrize("name", ALGORITHMS)
def test_an_algorithm_is_data(name):
    """Written as JSON it tells algorithms apart; NumPy's numbers do too."""
    told = json.dumps(ALGORITHMS[name].as_dict())
    others = [
        json.dumps(other.as_dict()) for key, other in ALGORITHMS.items() if key != name
    ]
    assert told not in others
    one = Clipped(low=np.float32(0.5), high=np.int64(1))
    assert json.loads(json.dumps(one.as_dict())) == {
        "kind": "Clipped",
        "level": "token",
        "low": 0.5,
        "high": 1,
    }


def test_truncated_text_is_bootstrapped_and_terminated_is_not():
    predicted = np.array([[1.0, 3.0, 8.0], [1.0, 3.0, 8.0]])
    batch = batch_of([[0, 1], [0, 1]], np.ones((2, 2)), [True, False])
    adv, _ = Critic()(batch, 0.5, predicted)
    # last token: 1 - 3, and 1 + 0.5 · 8 - 3 where the limit cut it off
    np.testing.assert_allclose(adv[:, 1], [-2, 2])


def test_whitened():
    adv, _ = Whitened(Return())(BATCH, 1.0)
    kept = adv[BATCH.mask > 0]
    assert kept.mean() == pytest.approx(0, abs=1e-12)
    assert kept.std() == pytest.approx(1)
    assert (adv[BATCH.mask == 0] == 0).all()


def test_whitened_rewards():
    """Over the four tokens 1, 2, 4, 8: the deviation goes, the mean stays."""
    paid = np.array([1.0, 2, 4, 8])
    white = (paid - paid.mean()) / paid.std() + paid.mean()
    adv, _ = WhitenedRewards(Return())(BATCH, 1.0)
    np.testing.assert_allclose(adv[0], np.cumsum(white[2::-1])[::-1])
    np.testing.assert_allclose(adv[1], [white[3], 0, 0])


def test_the_greedy_return_is_subtracted():
    adv, targets = Greedy()(BATCH, 1.0, np.array([3.0, 10.0]))
    np.testing.assert_array_equal(adv, [[4, 4, 4], [-2, 0, 0]])
    assert targets is None


def test_risk_in_the_group():
    """The rows' log-probabilities are -3 and -1 here."""
    adv, _ = MinimumRisk(2, sharpness=0.5)(BATCH, 1.0)
    share = 1 / (1 + np.exp(1.0))  # of the first row
    found = 2 * 0.5 * share * (7 - (7 * share + 8 * (1 - share)))
    np.testing.assert_allclose(adv[0], found)


def sampled_gradient(mdp, logits, advantage):
    """Exact mean of the gradient over all batches of two completions."""

    def estimate(rows):
        batch = batch_of(mdp.rewards[rows], mdp.mask[rows])
        weights = np.zeros(mdp.mask.shape)
        adv, _ = advantage(batch, 1.0)
        total = 0
        for row, a in zip(rows, adv):
            weights[:] = 0
            weights[row] = a
            total = total + exact.gradient_samples(mdp, logits, weights)[row]
        return total / len(rows)

    probs = exact.probabilities(mdp, logits)
    return exact.batch_moments(probs, estimate, 2)[0]


@pytest.mark.parametrize(
    "advantage, unbiased",
    [(Return(), True), (BatchMean(leave_one_out=True), True), (BatchMean(), False)],
)
def test_bias_by_enumeration(advantage, unbiased):
    mdp = exact.TokenMDP.enumerate(
        3, 2, lambda text: float(text[-1]) - 0.4 * len(text), eos_id=0
    )
    logits = np.random.default_rng(0).normal(size=mdp.next_state.shape)
    error = np.abs(
        sampled_gradient(mdp, logits, advantage) - exact.objective_gradient(mdp, logits)
    ).max()
    assert (error < 1e-12) if unbiased else (error > 1e-2)


def test_the_group_mean_shrinks_the_gradient_and_scaling_turns_it():
    """Exactly: RLOO gives ∇J, Dr. GRPO (1 - 1/G) ∇J, GRPO neither."""
    mdp = exact.TokenMDP.enumerate(
        3, 2, lambda text: float(text[-1]) - 0.4 * len(text), eos_id=0
    )
    logits = np.random.default_rng(0).normal(size=mdp.next_state.shape)
    truth = exact.objective_gradient(mdp, logits)
    found = [
        sampled_gradient(mdp, logits, advantage)
        for advantage in (LeaveOneOut(2), Group(2), Group(2, scale=True))
    ]
    np.testing.assert_allclose(found[0], truth, atol=1e-12)
    np.testing.assert_allclose(found[1], truth / 2, atol=1e-12)
    scaled = found[2]
    cosine = (scaled * truth).sum() / (np.linalg.norm(scaled) * np.linalg.norm(truth))
    assert 0 < cosine < 0.999


@pytest.mark.parametrize(
    "advantage", [LeaveOneOut(2), Group(2), Group(2, scale=True), MinimumRisk(2)]
)
def test_a_group_of_equal_returns_has_no_advantage(advantage):
    batch = batch_of([[0.1, 0.2], [0.3, 0.0]], np.ones((2, 2)))
    adv, targets = advantage(batch, 1.0)
    np.testing.assert_allclose(adv, 0, atol=1e-15)
    assert targets is None


def test_a_group_is_one_prompt_not_the_batch():
    """Two prompts, one of which pays 10 more: that is no advantage."""
    batch = batch_of([[1], [3], [11], [13]], np.ones((4, 1)))
    adv, _ = Group(2)(batch, 1.0)
    np.testing.assert_allclose(adv[:, 0], [-1, 1, -1, 1])


@pytest.mark.parametrize("leave_one_out", [False, True])
def test_whitening_does_not_blow_up_rounding(leave_one_out):
    """Equal rewards: no advantage, also after a baseline is subtracted."""
    advantage = Whitened(BatchMean(leave_one_out=leave_one_out))
    batch = batch_of(np.full((128, 19), 1 / 19), np.ones((128, 19)))
    np.testing.assert_allclose(advantage(batch, 1.0)[0], 0, atol=1e-9)


# Typed in a second time, from the papers that `core.algorithms` names: the
# kind of advantage, its numbers; kind, level and bounds of the surrogate; the
# aggregate; the pull.
PAPERS = {
    "REINFORCE": (Return, {"total": False}, None, SequenceSum, None),
    "A2C": (Critic, {"lam": 0.95, "value_clip": None}, None, TokenMean, None),
    "PPO": (
        Critic,
        {"lam": 0.95, "value_clip": 0.2},
        (Clipped, "token", 0.2, 0.2),
        TokenMean,
        ("k1", 0.05, "reward"),
    ),
    "RLOO": (LeaveOneOut, {"size": 8}, None, SequenceSum, ("k1", 0.05, "reward")),
    "RLOO (TRL)": (
        LeaveOneOut,
        {"size": 8},
        (Clipped, "sequence", 0.2, 0.2),
        SequenceMean,
        ("k1", 0.05, "reward"),
    ),
    "ReMax": (Greedy, {}, None, SequenceSum, None),
    "Minimum risk": (
        MinimumRisk,
        {"size": 8, "sharpness": 0.005},
        None,
        SequenceSum,
        None,
    ),
    "GRPO": (
        Group,
        {"size": 8, "scale": True},
        (Clipped, "token", 0.2, 0.2),
        SequenceMean,
        ("k3", 0.04, "loss"),
    ),
    "Dr. GRPO": (
        Group,
        {"size": 8, "scale": False},
        (Clipped, "token", 0.2, 0.2),
        ConstantLength,
        None,
    ),
    "DAPO": (
        Group,
        {"size": 8, "scale": True},
        (Clipped, "token", 0.2, 0.28),
        TokenMean,
        None,
    ),
    "GSPO": (
        Group,
        {"size": 8, "scale": True},
        (Clipped, "length_normalised", 0.0003, 0.0004),
        SequenceMean,
        None,
    ),
    "CISPO": (
        Group,
        {"size": 8, "scale": True},
        (ClippedWeight, "token", 1.0, 4.0),
        TokenMean,
        None,
    ),
}


@pytest.mark.parametrize("name", ALGORITHMS)
def test_the_table_has_the_papers_numbers(name):
    kind, numbers, surrogate, aggregate, pull = PAPERS[name]
    found = ALGORITHMS[name]
    advantage = unwrapped(found.advantage)
    assert type(advantage) is kind
    assert {key: getattr(advantage, key) for key in numbers} == numbers
    assert isinstance(found.advantage, Whitened) == (name == "PPO")
    if surrogate is None:
        assert found.surrogate == Plain()
    else:
        kind, *bounds = surrogate
        assert type(found.surrogate) is kind
        assert list(vars(found.surrogate).values()) == bounds
    assert type(found.aggregate) is aggregate
    assert pull == (found.pull and tuple(vars(found.pull).values()))


def test_what_the_papers_ask_of_a_training():
    assert TRAINING == {"PPO": {"epochs": 4}, "DAPO": {"resample": 4}}


@pytest.mark.parametrize(
    "record, fields",
    [
        (Return(), {"total": False}),
        (BatchMean(), {"total": False, "leave_one_out": False}),
        (Greedy(), {}),
        (Learned(), {"total": False, "value_coef": 0.5, "value_clip": None}),
        (Critic(), {"lam": 1.0, "value_coef": 0.5, "value_clip": None}),
        (Group(), {"size": 8, "scale": False}),
        (LeaveOneOut(), {"size": 8}),
        (MinimumRisk(), {"size": 8, "sharpness": 0.005}),
        (Whitened(Return()), {"of": Return()}),
        (WhitenedRewards(Return()), {"of": Return()}),
        (Plain(), {}),
        (Clipped(), {"level": "token", "low": 0.2, "high": 0.2}),
        (ClippedWeight(), {"level": "token", "low": 0.2, "high": 0.2}),
        (SequenceSum(), {}),
        (SequenceMean(), {}),
        (TokenMean(), {}),
        (ConstantLength(), {"length": None}),
        (KL("k2"), {"estimator": "k2", "coef": 0.05, "where": "reward"}),
        (
            Algorithm(),
            {
                "advantage": Return(),
                "surrogate": Plain(),
                "aggregate": SequenceSum(),
                "pull": None,
            },
        ),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_a_record_is_without_a_word_and_that_it_stays_so(record, fields):
    assert vars(record) == fields
    assert record == replace(record) and hash(record) == hash(replace(record))
    for name in [*fields, "other"]:
        with pytest.raises(FrozenInstanceError):
            setattr(record, name, 1)


@pytest.mark.parametrize("wrapper", [Whitened, WhitenedRewards])
def test_a_wrapper_asks_for_what_the_wrapped_one_does(wrapper):
    for of, predicts, size in (
        (Return(), None, 1),
        (Greedy(), "greedy", 1),
        (Critic(), "values", 1),
        (Learned(), "baseline", 1),
        (Group(4), None, 4),
    ):
        for advantage in (of, wrapper(of), wrapper(wrapper(of))):
            assert (advantage.predicts, advantage.size) == (predicts, size)
            assert unwrapped(advantage) == of


@pytest.mark.parametrize("paid", [[0.1, 0.0, 0.0], [-0.1, 0.1, 0.0]])
def test_rounding_beside_returns_of_zero_is_not_blown_up(paid):
    """All rows are paid alike, and some returns are exactly 0."""
    batch = batch_of([paid] * 125, np.ones((125, 3)))
    noise, _ = BatchMean()(batch, 1.0)
    assert 0 < np.abs(noise).max() < 1e-15
    found, _ = Whitened(BatchMean())(batch, 1.0)
    assert not found.any()


def test_the_length_by_which_sums_are_divided():
    for aggregate in (SequenceSum(), SequenceMean(), TokenMean()):
        assert aggregate.tokens(9) is None
    assert ConstantLength().tokens(9) == 9
    assert ConstantLength(1).tokens(9) == 1
