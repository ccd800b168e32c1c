"""What the answers of the chapter on text as a decision process are compared with."""

import numpy as np

from core import exact
from pages.grader import Exercise


def _tree(vocab_size, max_length, seed, eos_id=0):
    """Arrays of a tree with random rewards, and a random policy."""
    rng = np.random.default_rng(seed)
    mdp = exact.TokenMDP.enumerate(vocab_size, max_length, lambda _: 0.0, eos_id)
    pi = exact.policy(mdp, rng.normal(size=mdp.next_state.shape))
    return mdp.next_state, rng.normal(size=mdp.next_state.shape).round(2), pi


def _state_values(next_state, step_rewards, pi, gamma):
    later = np.zeros(len(next_state))
    for _ in range(len(next_state)):  # more often than any tree is deep
        future = np.where(next_state >= 0, later[next_state], 0.0)
        later = (pi * (step_rewards + gamma * future)).sum(axis=1)
    return later


def _last_state_behind_the_end(next_state, step_rewards, pi, gamma):
    values = np.zeros(len(next_state))
    for s in reversed(range(len(next_state))):
        values[s] = pi[s] @ (step_rewards[s] + gamma * values[next_state[s]])
    return values


def _best_value(next_state, step_rewards, pi, gamma):
    values = np.zeros(len(next_state) + 1)
    for s in reversed(range(len(next_state))):
        values[s] = (step_rewards[s] + gamma * values[next_state[s]]).max()
    return values[:-1]


def _without_gamma(next_state, step_rewards, pi, gamma):
    return _state_values(next_state, step_rewards, pi, 1.0)


STATE_VALUES = Exercise(
    "state_values",
    expected=_state_values,
    cases=[
        (*_tree(3, 3, 0), 1.0),
        (*_tree(3, 3, 1), 0.5),
        (*_tree(2, 1, 2), 0.9),
        (*_tree(2, 3, 3, None), 0.9),
    ],
    hint="A finished text has the number -1 and the value 0, and is no state.",
    wrong=[_last_state_behind_the_end, _best_value, _without_gamma],
)


def _count_texts(vocab_size, max_length):
    return sum(
        (vocab_size - 1) ** t for t in range(max_length + 1)
    )  # those that end by EOS after t tokens, and those that are cut off


def _fixed_length(vocab_size, max_length):
    return vocab_size**max_length


def _without_the_cut(vocab_size, max_length):
    return sum((vocab_size - 1) ** t for t in range(max_length))


COUNT_TEXTS = Exercise(
    "count_texts",
    expected=_count_texts,
    cases=[(3, 3), (2, 4), (8, 4), (5, 1)],
    hint="Each unfinished text ends once by EOS; those of full length end without it.",
    wrong=[_fixed_length, _without_the_cut],
)
