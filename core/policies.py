"""What a trainer and the sampler ask of a policy, in either framework.

N prompts, B completions, B / N of each in turn; P, T their lengths, V vocabulary.
"""

from typing import Any


class TokenPolicy:
    """Scores given completions, and samples new ones token by token.

    A policy is also a module of its framework: called with ids (B, L), and with a mask
    where it takes padding, it returns logits (B, L, V) and values (B, L).
    PyTorch's sampler reads `embedding.weight`; TensorFlow's reads `dtype`, and
    `_compiled`, whether XLA compiles it.  `prompt_vocab_size`, if there is one, limits
    the ids of prompts.

    `start` and `step` return logits and a state, `keep` returns a state.  Do not use a
    state again after giving it to `step` or `keep`, which may change it in place.
    """

    vocab_size: int

    def values(self: Any, ids, attention_mask=None):
        """Values (B, L) alone, of what a call takes.

        A policy of a large vocabulary makes no logits for them, which here it does.
        """
        texts = (ids,) if attention_mask is None else (ids, attention_mask)
        return self(*texts)[1]

    def score(self, prompts, completions, prompt_mask=None):
        """Logits and values of the states in which completions were chosen.

        Args:
            prompts: (N, P) int.
            completions: (B, T) int; row i answers prompt i // (B / N).
            prompt_mask: (N, P), 0 on padding at the left; None: no padding.
        Returns: logits (B, T, V), values (B, T); position t sees the prompt and the
            tokens before t.
        Raises: ValueError for an empty prompt, or padding that the policy would read.
        """
        raise NotImplementedError

    def evaluate(
        self,
        prompts,
        completions,
        mask=None,
        prompt_mask=None,
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float = 1.0,
    ) -> tuple:
        """Log-probabilities, entropies and values along completions.

        Args:
            prompts, completions, prompt_mask: as for `score`.
            mask: (B, T), 1 on the tokens that are scored, as up to and including the
                first EOS; None: all ones.  Behind the last 1 nothing is read.
            temperature, top_k, top_p: the sampler's.
        Returns: logprobs, entropies (nats), values, each (B, T), 0 where the mask is.
        Raises: ValueError for a mask of another shape, and as `score`.
        """
        sampled = temperature, top_k, top_p
        return self._evaluate(prompts, completions, mask, prompt_mask, sampled)

    def _evaluate(self, prompts, completions, mask, prompt_mask, sampled: tuple):
        raise NotImplementedError

    def start(self, prompts, max_length: int, prompt_mask=None, group_size: int = 1):
        """Read the prompts (N, P): logits of token 0 (B, V) and the state."""
        raise NotImplementedError

    def step(self, tokens, state: Any):
        """Read one token (B,): logits of the next (B, V) and the new state."""
        raise NotImplementedError

    def keep(self, state: Any, rows) -> Any:
        """The state of some rows (int tensor), to go on with them alone."""
        raise NotImplementedError
