"""Text generation as a tree: every prefix and every completion of a small problem.

N completions, T maximal length, S states (prefixes, not finished), V vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import product

import numpy as np

from core import checks


@dataclass(frozen=True, eq=False)
class TokenMDP:
    """Text generation as a tree: a state is a prefix, an action is a token.

    Build one with `TokenMDP.enumerate`.
    """

    vocab_size: int  #: V, tokens are 0 .. V - 1
    max_length: int  #: T, a completion ends here at the latest
    eos_id: int | None  #: the token that ends a completion early; None: fixed length
    gamma: float  #: discount per token, in [0, 1]
    states: list[tuple[int, ...]]  #: S prefixes by depth; states[0] == () is the start
    next_state: np.ndarray  #: (S, V) int64, state after a token, -1 where the text ends
    step_rewards: np.ndarray  #: (S, V) float, reward of each token in each state
    completions: np.ndarray  #: (N, T) int64, all finished texts; 0 after their end
    mask: np.ndarray  #: (N, T) float, 1 up to and including the last token
    visits: np.ndarray  #: (N, T) int64, the state before token t; -1 after the end

    @classmethod
    def enumerate(
        cls,
        vocab_size: int,
        max_length: int,
        reward: Callable[[tuple[int, ...]], float],
        eos_id: int | None = None,
        gamma: float = 1.0,
        max_states: int = 5000,
    ) -> TokenMDP:
        """All prefixes and completions of a problem; ValueError for one out of bounds.

        Args:
            vocab_size: V, at least 2.
            max_length: T, at least 1.
            reward: function of the prefix *after* a token (a tuple, the EOS included)
                -> the reward of that token, finite.
            eos_id: token that ends a text, or None.
            gamma: in [0, 1].
            max_states: refuse a problem with more prefixes, or tokens, than this.
        """
        checks.whole(2, vocab_size=vocab_size)
        checks.whole(1, max_length=max_length, max_states=max_states)
        checks.token_id(vocab_size, eos_id=eos_id)
        checks.unit_interval(gamma=gamma)
        # At least one prefix a length: so many are counted, then refused, at most.
        count, times = vocab_size - (eos_id is not None), range(max_length)
        size = sum(count**t for t in times[: max_states + 1])
        small = max(vocab_size, size) <= max_states
        checks.require(small, f"max_states: expected at most {max_states} states")
        going_on = [a for a in range(vocab_size) if a != eos_id]
        states = [s for t in times for s in product(going_on, repeat=t)]  # by depth
        # No finished text is a key.
        index = {state: i for i, state in enumerate(states)}
        after = [[s + (a,) for a in range(vocab_size)] for s in states]
        next_state = np.array([[index.get(s, -1) for s in row] for row in after])
        table = [[reward(s) for s in row] for row in after]
        rewards = checks.finite_array("reward", table, next_state.shape)
        texts = [s for row in after for s in row if s not in index]
        completions = np.array([s + (0,) * (max_length - len(s)) for s in texts])
        visits = np.array([[index.get(s[:t], -1) for t in times] for s in texts])
        mask = (visits >= 0).astype(float)
        problem = vocab_size, max_length, eos_id, float(gamma)
        return cls(*problem, states, next_state, rewards, completions, mask, visits)

    @property
    def rewards(self):
        """(N, T) reward of each token of each completion, 0 after its end."""
        return self.step_rewards[self.visits, self.completions] * self.mask

    @property
    def depth(self):
        """(S,) number of tokens in each state, which is its time t."""
        return np.array([len(s) for s in self.states])


def with_rewards(mdp: TokenMDP, step_rewards, gamma: float | None = None) -> TokenMDP:
    """The same texts with other rewards (S, V), and another gamma if given.

    Shaped rewards, a KL penalty in the reward, or any other sum over tokens can be
    evaluated with the functions of `core.exact` in this way.
    """
    gamma = mdp.gamma if gamma is None else gamma
    checks.unit_interval(gamma=gamma)
    table = checks.finite_array("step_rewards", step_rewards, mdp.next_state.shape)
    return replace(mdp, step_rewards=table, gamma=float(gamma))
