"""The documents' environments, one text at a time and in batches.

`TextEnvironment` (document 000), `LMEnvironment` (001) and
`TextGenerationEnv` (003) are Gymnasium environments: an action is a token,
`step` pays it.  `env.batched()` is the same task for training: it holds the
prompts and targets as arrays and pays whole batches of completions.

N texts in the task, B batch, P prompt length, T completion length.
"""

from __future__ import annotations

from typing import ClassVar

import gymnasium
import numpy as np
from gymnasium.error import ResetNeeded
from rapidfuzz.distance import Levenshtein

from core import rewards, tasks
from core.sampling import check_prompt_mask
from core.text import CharTokenizer, WordTokenizer


class BatchedEnvironment:
    """Prompts, targets and a token reward: what training needs of a task.

    Args, kept as attributes:
        prompts: (N, P) int64 token ids, P at least 1.
        targets: (N, T) int64 token ids, pad_id after the end of a text; or
            what else the reward reads, such as the prompts once more.
        token_reward: f(completions (B, T), mask (B, T), targets (B, T)) ->
            (B, T) float, as in `core.rewards`.
        vocab_size: V; all ids are in [0, V).
        eos_id: the token that ends a text, or None: then all completions
            have T tokens and count as terminated.
        pad_id: what stands after the end (`core.rewards` expects 0).
        tokenizer: decodes `texts`; without one a text is its token ids.
        prompt_mask: (N, P), 0 on padding at the left; None: no padding.
        max_length: T, the limit of a completion's length; None: the targets'.
        limit_ends: the limit is the task's own end, so that a text that
            reaches it counts as terminated, not as cut off.  Set it where
            the last reward is paid at the limit: a critic or a Q network
            would else expect more rewards after it, without an end.
        prompt_vocab_size: the ids of prompts are in [0, prompt_vocab_size)
            where a prompt is no text but, for example, the number of a
            recording, and targets may be such ids, too; None: vocab_size.
    Raises: ValueError for empty or unequal prompts and targets, ids outside
        the vocabulary, a mask that does not fit.
    """

    def __init__(
        self,
        prompts,
        targets,
        token_reward,
        vocab_size,
        eos_id=None,
        pad_id=0,
        tokenizer=None,
        prompt_mask=None,
        max_length=None,
        limit_ends=False,
        prompt_vocab_size=None,
    ):
        prompt_vocab_size = prompt_vocab_size or vocab_size
        self.prompts = _ids("prompts", prompts, prompt_vocab_size)
        self.targets = _ids("targets", targets, max(vocab_size, prompt_vocab_size))
        if len(self.prompts) != len(self.targets):
            raise ValueError(
                f"targets: expected {len(self.prompts)} rows, one per prompt, "
                f"got {len(self.targets)}"
            )
        for name, token in (("eos_id", eos_id), ("pad_id", pad_id)):
            if token is not None and not 0 <= token < vocab_size:
                raise ValueError(
                    f"{name}: expected a token id in [0, {vocab_size}), got {token}"
                )
        self.token_reward = token_reward
        self.vocab_size = vocab_size
        self.eos_id = eos_id
        self.pad_id = pad_id
        self.tokenizer = tokenizer
        if prompt_mask is not None:
            check_prompt_mask(prompt_mask, self.prompts.shape)
            prompt_mask = np.asarray(prompt_mask, dtype=np.float64)
        self.prompt_mask = prompt_mask
        if max_length is not None and max_length < 1:
            raise ValueError(f"max_length: expected at least 1, got {max_length}")
        self.max_length = max_length or self.targets.shape[1]
        self.limit_ends = limit_ends

    def __len__(self):
        return len(self.prompts)

    def sample(self, batch_size, rng):
        """(B,) int64: rows drawn uniformly by the np.random.Generator."""
        if batch_size < 1:
            raise ValueError(f"batch_size: expected at least 1, got {batch_size}")
        return rng.integers(len(self), size=batch_size)

    def rewards(self, completions, mask, rows):
        """(B, T) float: the token rewards of completions of prompts[rows].

        Raises: ValueError where the token reward is not finite or has
            another shape.
        """
        completions = np.asarray(completions)
        paid = np.asarray(
            self.token_reward(completions, mask, self.targets[rows]), dtype=np.float64
        )
        if paid.shape != completions.shape:
            raise ValueError(
                f"token_reward: expected shape {completions.shape}, got {paid.shape}"
            )
        if not np.isfinite(paid).all():
            raise ValueError("token_reward: expected finite rewards")
        return np.where(mask, paid, 0.0)

    def terminated(self, completions, mask):
        """(B,) bool: False where the limit cut a text off before its EOS."""
        if self.eos_id is None or self.limit_ends:
            return np.ones(len(completions), dtype=bool)
        return ((completions == self.eos_id) & (mask > 0)).any(axis=1)

    def texts(self, completions):
        """B texts up to the first EOS; without a tokenizer, token ids.

        Pads are left out, so two rows of different ids can have one text:
        compare ids where that matters.
        """
        if self.tokenizer is not None:
            return [self.tokenizer.decode(row) for row in completions]
        texts = []
        for row in np.asarray(completions).tolist():
            if self.eos_id in row:
                row = row[: row.index(self.eos_id)]
            kept = [str(token) for token in row if token != self.pad_id]
            texts.append(" ".join(kept))
        return texts

    def targets_text(self, rows):
        """The target texts of `rows`, in the form of `texts`."""
        return self.texts(self.targets[rows])


class TokenEnvironment(gymnasium.Env):
    """What the three environments share; a subclass pays the token.

    A subclass sets `prompts` (N, P), `targets` (N, T), `vocab_size`,
    `eos_id`, `tokenizer` by calling `_use`, and defines `_reward`, the float
    that the last of `self.tokens` earns.
    """

    metadata: ClassVar = {"render_modes": ["ansi"], "render_fps": 1}

    def _use(self, prompts, targets, vocab_size, eos_id, tokenizer, render_mode):
        if render_mode not in (None, "ansi"):
            raise ValueError(
                f"render_mode: expected None or 'ansi', got {render_mode!r}"
            )
        self.prompts = _ids("prompts", prompts, vocab_size)
        self.targets = _ids("targets", targets, vocab_size)
        self.vocab_size, self.eos_id = vocab_size, eos_id
        self.tokenizer, self.render_mode = tokenizer, render_mode
        self.max_length = self.targets.shape[1]
        width = self.prompts.shape[1] + self.max_length
        self.action_space = gymnasium.spaces.Discrete(vocab_size)
        self.observation_space = gymnasium.spaces.MultiDiscrete(
            np.full(width, vocab_size)
        )
        self.ended = True  # until reset

    def reset(self, *, seed=None, options=None):
        """Start a text; options={"row": i} chooses it, else it is drawn."""
        super().reset(seed=seed)
        if set(options or {}) - {"row"}:
            raise ValueError(f'options: expected {{"row": i}}, got {options}')
        count = len(self.prompts)
        row = (options or {}).get("row")
        self.row = int(self.np_random.integers(count)) if row is None else row
        if not 0 <= self.row < count:
            raise ValueError(f"options: expected a row in [0, {count}), got {self.row}")
        target = self.targets[self.row]
        self.target = target[target != 0].tolist()
        self.tokens, self.ended = [], False
        return self._observation(), {"row": self.row}

    def step(self, action):
        """Append the token `action` and pay it."""
        if self.ended:
            raise ResetNeeded("step: the text has ended; call reset first")
        if not self.action_space.contains(action):
            raise ValueError(
                f"action: expected a token id in [0, {self.vocab_size}), got {action!r}"
            )
        self.tokens.append(int(action))
        full = len(self.tokens) == self.max_length
        terminated = full if self.eos_id is None else action == self.eos_id
        self.ended = bool(full or terminated)
        truncated = self.ended and not terminated
        return (
            self._observation(),
            self._reward(),
            bool(terminated),
            bool(truncated),
            {"row": self.row},
        )

    def render(self):
        """The text so far, in render mode "ansi"."""
        if self.render_mode is None:
            return None
        batch = self._batch(token_reward=None)
        return batch.texts([self.tokens])[0]

    def _observation(self):
        observation = np.zeros(self.observation_space.shape, dtype=np.int64)
        ids = self.prompts[self.row].tolist() + self.tokens
        observation[: len(ids)] = ids
        return observation

    def _batch(self, token_reward):
        return BatchedEnvironment(
            self.prompts,
            self.targets,
            token_reward,
            self.vocab_size,
            eos_id=self.eos_id,
            tokenizer=self.tokenizer,
        )


class TextEnvironment(TokenEnvironment):
    """Document 000: write one given text, token by token.

    ## Action Space
    Discrete(V): the next token of the tokenizer.

    ## Observation Space
    MultiDiscrete of 1 + T token ids: BOS and the tokens so far, then pads.
    T is the number of the text's tokens and its EOS.

    ## Starting State
    BOS alone.  (The document starts from None, to which no token can be
    added.)

    ## Reward
    "position": 1/T for a token that is right at its position, so that a
    perfect text, EOS included, sums to 1.
    "indicator": the document's, 1 for a token that is anywhere in the text.
    Its vocabulary is made from the text, so every token of it is paid; here
    all but pad and BOS are.

    ## Episode End
    Terminated at EOS; truncated after T tokens without one.

    Args:
        text: str, not empty.
        tokenizer: default: characters, ASCII words kept whole.
        reward: "position" or "indicator".
        render_mode: None or "ansi".
    """

    def __init__(
        self,
        text=tasks.DOCUMENT_000_TEXT,
        tokenizer=None,
        reward="position",
        render_mode=None,
    ):
        if not text:
            raise ValueError("text: expected at least one token, got ''")
        _choice("reward", reward, ("position", "indicator"))
        if tokenizer is None:
            tokenizer = CharTokenizer([text], keep_words=True)
        self.text, self.reward = text, reward
        target = tokenizer.encode(text) + [tokenizer.eos_id]
        self._use(
            [[tokenizer.bos_id]],
            [target],
            len(tokenizer),
            tokenizer.eos_id,
            tokenizer,
            render_mode,
        )

    def _reward(self):
        token, t = self.tokens[-1], len(self.tokens) - 1
        if self.reward == "indicator":
            return float(token in self.target)
        return float(token == self.target[t]) / len(self.target)

    def batched(self):
        """The same task as a `BatchedEnvironment`."""
        if self.reward == "indicator":
            return self._batch(rewards.token_indicator)
        return self._batch(rewards.token_position_match)


class LMEnvironment(TokenEnvironment):
    """Document 001: given an input sequence, write a target sequence.

    ## Action Space
    Discrete(V): the next token id.

    ## Observation Space
    MultiDiscrete of P + T token ids: input, tokens so far, then pads (0).

    ## Starting State
    The input sequence.

    ## Reward
    The similarity of a text is the share of the target's tokens that it has
    at their position.
    "similarity": the document's, the similarity so far at every step.  A
    right token is paid again at each later step: the first one T times, the
    last one once.
    "difference": what the step adds to the similarity; the sum is the final
    similarity.

    ## Episode End
    Terminated after T tokens, the length of the target.  No EOS.

    Args:
        input_seq: P token ids, at least one.
        target_seq: T token ids, at least one, none of them 0 (the pad).
        vocab_size: V.
        reward: "difference" or "similarity".
        render_mode: None or "ansi".
    """

    def __init__(
        self, input_seq, target_seq, vocab_size, reward="difference", render_mode=None
    ):
        _choice("reward", reward, ("difference", "similarity"))
        self.reward = reward
        prompts = _ids("input_seq", [list(input_seq)], vocab_size)
        targets = _ids("target_seq", [list(target_seq)], vocab_size)
        if not targets.all():
            raise ValueError("target_seq: expected no 0, the pad id")
        self._use(prompts, targets, vocab_size, None, None, render_mode)

    def _similarity(self, tokens):
        right = sum(o == t for o, t in zip(tokens, self.target, strict=False))
        return right / len(self.target)

    def _reward(self):
        now = self._similarity(self.tokens)
        if self.reward == "similarity":
            return now
        return now - self._similarity(self.tokens[:-1])

    def batched(self):
        """The same task as a `BatchedEnvironment`."""
        if self.reward == "similarity":
            return self._batch(rewards.token_cumulative_match)
        return self._batch(rewards.token_position_match)


class TextGenerationEnv(TokenEnvironment):
    """Document 003: continue a prompt; each of N prompts has one target.

    The document makes "TextGenerationEnv" with `gym.make`, but no package
    has it.  This one is registered as "core/TextGenerationEnv-v0".

    ## Action Space
    Discrete(V): the next word of the tokenizer.

    ## Observation Space
    MultiDiscrete of P + T token ids: prompt, tokens so far, then pads.
    Prompts are padded on the left to one length P; a recurrent policy reads
    these pads as ordinary tokens.  T is the longest target with its EOS.

    ## Starting State
    One of the N prompts, drawn uniformly (or options={"row": i}).

    ## Reward
    d is the edit distance in tokens to the target, EOS included, L the
    target's length.  (Section 4.3 has 1/d, infinite at d = 0; the listing has
    no edit distance at all.)
    "regret": what the token takes from the best -d / L that is still within
    reach: 0 for a best token, else negative.  The sum is -d / L of the text.
    "similarity": what the token adds to 1 / (1 + d); the sum is the final
    similarity minus that of the empty text.

    ## Episode End
    Terminated at EOS; truncated after T tokens without one.

    Args:
        prompts, targets: N str each, none of them empty; default:
            `tasks.continuations("en")`.
        tokenizer: default: words of all prompts and targets.
        reward: "regret" or "similarity".
        render_mode: None or "ansi".
    """

    def __init__(
        self,
        prompts=None,
        targets=None,
        tokenizer=None,
        reward="regret",
        render_mode=None,
    ):
        _choice("reward", reward, ("regret", "similarity"))
        self.reward = reward
        if prompts is None and targets is None:
            prompts, targets = tasks.continuations("en")
        prompts = _texts("prompts", prompts)
        targets = _texts("targets", targets)
        if len(prompts) != len(targets):
            raise ValueError(
                f"targets: expected {len(prompts)} texts, one per prompt, "
                f"got {len(targets)}"
            )
        if tokenizer is None:
            tokenizer = WordTokenizer(prompts + targets)
        self.text_data, self.target_texts = prompts, targets
        left, right = _padded(tokenizer, prompts, targets)
        self._use(left, right, len(tokenizer), tokenizer.eos_id, tokenizer, render_mode)

    def get_text_data(self):
        """The N prompts as texts (the document's name)."""
        return list(self.text_data)

    def get_target_texts(self):
        """The N targets as texts (the document's name)."""
        return list(self.target_texts)

    def _reward(self):
        here, target = self.tokens, self.target
        if self.reward == "regret":
            after = self._within_reach(here)
            if self.ended:
                after = Levenshtein.distance(here, target)
            return (self._within_reach(here[:-1]) - after) / len(target)
        after = Levenshtein.distance(here, target)
        before = Levenshtein.distance(here[:-1], target)
        return 1 / (1 + after) - 1 / (1 + before)

    def _within_reach(self, tokens):
        """The least edit distance that a text beginning so can end with."""
        return min(
            Levenshtein.distance(tokens, self.target[:j])
            for j in range(len(self.target) + 1)
        )

    def batched(self):
        """The same task as a `BatchedEnvironment`."""
        if self.reward == "similarity":
            return self._batch(rewards.token_edit_similarity)
        return self._batch(rewards.token_edit_regret)


gymnasium.register(
    id="core/TextGenerationEnv-v0", entry_point="core.envs:TextGenerationEnv"
)


def _ids(name, values, vocab_size):
    """`values` as (N, length) int64 with all ids in the vocabulary."""
    if vocab_size < 1:
        raise ValueError(f"vocab_size: expected at least 1, got {vocab_size}")
    try:
        array = np.array(values)
    except ValueError:
        raise ValueError(f"{name}: expected rows of one length") from None
    if array.ndim != 2 or 0 in array.shape:
        raise ValueError(
            f"{name}: expected (N, length), both at least 1, got {array.shape}"
        )
    if array.dtype.kind not in "iu":
        raise ValueError(f"{name}: expected integers, got {array.dtype}")
    if array.min() < 0 or array.max() >= vocab_size:
        raise ValueError(
            f"{name}: expected token ids in [0, {vocab_size}), got "
            f"{array.min()} to {array.max()}"
        )
    return array.astype(np.int64)


def _texts(name, texts):
    if texts is None or isinstance(texts, str) or not all(texts) or not texts:
        raise ValueError(
            f"{name}: expected a list of texts, none empty, got {texts!r:.60}"
        )
    return list(texts)


def _padded(tokenizer, prompts, targets):
    """Prompts padded on the left, targets with EOS padded on the right."""
    ids = [tokenizer.encode(prompt) for prompt in prompts]
    longest = max(map(len, ids))
    left = [[tokenizer.pad_id] * (longest - len(row)) + row for row in ids]
    width = 1 + max(len(tokenizer.encode(target)) for target in targets)
    return left, tokenizer.encode_batch(targets, width, add_eos=True)


def _choice(name, value, allowed):
    if value not in allowed:
        raise ValueError(f"{name}: expected one of {allowed}, got {value!r}")
