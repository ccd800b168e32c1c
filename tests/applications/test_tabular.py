"""Tabular methods against the enumerated optimum."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from applications import tabular
from core import exact
from core.exact import TokenMDP


def make(seed=0, vocab_size=3, max_length=3, eos_id=None, gamma=1.0):
    rng = np.random.default_rng(seed)
    return TokenMDP.enumerate(
        vocab_size, max_length, lambda prefix: rng.normal(), eos_id, gamma
    )


@given(
    st.integers(0, 10_000),
    st.integers(2, 4),
    st.integers(1, 4),
    st.sampled_from([None, 0, 1]),
    st.sampled_from([0.0, 0.7, 1.0]),
)
@settings(max_examples=40, deadline=None)
def test_value_iteration_is_the_optimum(seed, vocab, length, eos_id, gamma):
    mdp = make(seed, vocab, length, eos_id, gamma)
    q = tabular.value_iteration(mdp)
    assert_allclose(q, exact.optimal(mdp)[1], rtol=0, atol=1e-12)


def test_greedy_takes_the_first_best():
    q = [[0.0, 2.0, 2.0], [1.0, 0.0, -1.0]]
    assert tabular.greedy(q).tolist() == [1, 0]


def test_epsilon_greedy_frequencies():
    rng = np.random.default_rng(0)
    values = np.array([1.0, 0.0, 1.0])
    drawn = [tabular.epsilon_greedy(values, 0.3, rng) for _ in range(9000)]
    share = np.bincount(drawn, minlength=3) / len(drawn)
    assert_allclose(share, [0.45, 0.1, 0.45], atol=0.02)
    drawn = {tabular.epsilon_greedy(values, 0.0, rng) for _ in range(100)}
    assert drawn == {0, 2}


@pytest.mark.parametrize("eos_id", [None, 2])
def test_q_learning_finds_the_optimal_values(eos_id):
    mdp = make(1, eos_id=eos_id, gamma=0.9)
    best = tabular.value_iteration(mdp)
    rng = np.random.default_rng(0)
    q, history = tabular.q_learning(mdp, 1500, 0.5, 1.0, rng)
    assert_allclose(q, best, atol=1e-6)
    assert (tabular.greedy(q) == tabular.greedy(best)).all()
    assert history["q"].shape == (1500,) + q.shape
    assert (history["q"][-1] == q).all()
    distance = abs(history["q"] - best).max(axis=(1, 2))
    assert distance[0] > 0.5


def test_sarsa_with_a_falling_epsilon_finds_the_optimal_text():
    mdp = make(1, gamma=0.9)
    best = tabular.value_iteration(mdp)
    rng = np.random.default_rng(0)
    q, history = tabular.sarsa(
        mdp, 6000, 0.1, lambda episode: max(0.0, 1 - episode / 5000), rng
    )
    state, text_q, text_best = 0, [], []
    while state >= 0:
        text_q.append(tabular.greedy(q)[state])
        text_best.append(tabular.greedy(best)[state])
        state = mdp.next_state[state, text_best[-1]]
    assert text_q == text_best
    assert_allclose(q[0].max(), best[0].max(), atol=1e-4)
    value = exact.optimal(mdp)[0][0]
    assert_allclose(history["returns"][-50:], value)


def test_sarsa_with_a_constant_epsilon_learns_the_exploring_policy():
    mdp = tabular.hello_world(gamma=1.0)
    rng = np.random.default_rng(0)
    q, _ = tabular.sarsa(mdp, 20_000, lambda episode: 10 / (10 + episode), 1.0, rng)
    uniform = exact.q_values(mdp, np.zeros_like(q))
    assert_allclose(q, uniform, atol=0.05)
    assert abs(q - tabular.value_iteration(mdp)).max() > 0.4


def test_one_step_by_hand():
    # One state, two tokens with the rewards 2 and 4: Q moves by α (r - Q).
    mdp = TokenMDP.enumerate(2, 1, lambda text: 2.0 + 2 * text[0])
    for method in (tabular.q_learning, tabular.sarsa):
        rng = np.random.default_rng(3)
        _, history = method(mdp, 1, 0.25, 1.0, rng)
        action = int(history["returns"][0] == 4)
        expected = np.zeros((1, 2))
        expected[0, action] = (0.5, 1.0)[action]
        assert_allclose(history["q"][0], expected)


def test_returns_are_discounted():
    mdp = TokenMDP.enumerate(2, 3, lambda text: 1.0, gamma=0.5)
    rng = np.random.default_rng(0)
    for method in (tabular.q_learning, tabular.sarsa):
        _, history = method(mdp, 2, 0.5, 1.0, rng)
        assert_allclose(history["returns"], 1.75)


@pytest.mark.parametrize("method", [tabular.q_learning, tabular.sarsa])
def test_the_same_seed_gives_the_same_table(method):
    mdp = make(2)
    first, _ = method(mdp, 50, 0.5, 0.2, np.random.default_rng(5))
    second, _ = method(mdp, 50, 0.5, 0.2, np.random.default_rng(5))
    assert (first == second).all()


@pytest.mark.parametrize("method", [tabular.q_learning, tabular.sarsa])
@pytest.mark.parametrize(
    "episodes, alpha, epsilon, name",
    [
        (0, 0.5, 0.1, "episodes"),
        (5, 0.0, 0.1, "alpha"),
        (5, 1.5, 0.1, "alpha"),
        (5, 0.5, -0.1, "epsilon"),
        (5, 0.5, lambda episode: float("nan"), "epsilon"),
        (2.5, 0.5, 0.1, "^episodes"),
        (5, "0.5", 0.1, "^alpha"),
        (5, [0.5], 0.1, "^alpha"),
        (5, 0.5, None, "^epsilon"),
    ],
)
def test_bad_settings(method, episodes, alpha, epsilon, name):
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match=name):
        method(make(), episodes, alpha, epsilon, rng)


# --- document 000, section 4.3 ---


def test_hello_world_is_learned():
    mdp = tabular.hello_world()
    assert mdp.states == [(), (0,), (1,)]
    best = tabular.value_iteration(mdp)
    assert best.tolist() == [[1, 0], [0, 1], [0, 0]]
    for method in (tabular.q_learning, tabular.sarsa):
        rng = np.random.default_rng(0)
        q, _ = method(mdp, 300, 0.5, lambda e: 0.98**e, rng)
        action = tabular.greedy(q)
        text = [action[0], action[mdp.next_state[0, action[0]]]]
        assert "".join(tabular.HELLO_WORLD[a] for a in text) == "你好世界"


def test_the_printed_rule_is_not_a_policy():
    q = tabular.value_iteration(tabular.hello_world())
    # In the empty state 你好 (0) is right.  The best text goes on with 世界
    # (1), and the rule then allows both tokens.
    assert tabular.printed_rule(q, 0, next_action=1).tolist() == [1, 1]
    # Only if 你好 comes next again does it forbid the wrong one.
    assert tabular.printed_rule(q, 0, next_action=0).tolist() == [1, 0]
    assert tabular.greedy(q)[:2].tolist() == [0, 1]


@pytest.mark.parametrize("method", [tabular.q_learning, tabular.sarsa])
def test_two_steps_by_hand(method):
    """Rewards 2 and 4, γ = α = 1/2: the second text meets what the first learned.

    Whatever the tokens are where all pay the same; ε = 0, so the second text takes
    the first one's tokens, which are the only ones above 0.
    """
    mdp = TokenMDP.enumerate(2, 2, lambda text: 2.0 * len(text), gamma=0.5)
    q, history = method(mdp, 2, 0.5, 0.0, np.random.default_rng(1))
    assert history["returns"].tolist() == [2 + 0.5 * 4] * 2
    # ½ · 2; then 1 + ½ (2 + ½ · 2 - 1).  ½ · 4; then 2 + ½ (4 - 2).
    assert sorted(history["q"][0].max(axis=1)) == [0, 1, 2]
    assert q.max(axis=1)[0] == 2 and q[1:].max() == 3
    assert (q != 0).sum() == 2


def test_a_setting_may_reach_its_bounds():
    assert tabular.schedule("alpha", 1.0, 2).tolist() == [1, 1]
    assert tabular.schedule("epsilon", lambda e: e / 2, 3).tolist() == [0, 0.5, 1]
    assert tabular.schedule("alpha", 0.25, 1).tolist() == [0.25]
    for name, interval in (("alpha", r"\(0, 1\]"), ("epsilon", r"\[0, 1\]")):
        for bad in (-0.1, 1.1, np.nan, np.inf):
            found = f" .* in {interval}" if np.isfinite(bad) else ""
            for setting in (bad, lambda episode, bad=bad: (0.5, bad)[episode]):
                with pytest.raises(ValueError, match=f"^{name}: expected{found}"):
                    tabular.schedule(name, setting, 2)
