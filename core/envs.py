"""The documents' environments, one text at a time.

`TextEnvironment` (document 000), `LMEnvironment` (001) and `TextGenerationEnv` (003)
are Gymnasium environments: an action is a token, and `step` returns its reward.
`env.batched()` is the same task for training, a `BatchedEnvironment`.

N texts in the task, B batch, P prompt length, T completion length.
"""

from collections.abc import Callable, Sequence
from copy import copy

import gymnasium
import numpy as np
from gymnasium.error import ResetNeeded
from gymnasium.spaces import Discrete, MultiDiscrete

from core import checks, rewards, tasks
from core.batched import BatchedEnvironment
from core.text import CharTokenizer, Tokenizer, WordTokenizer


class TokenEnvironment(gymnasium.Env):
    """What the three environments share.

    A further one sets `token_rewards` and calls this `__init__`.  The pad is that of
    the tokenizer, else 0; padding in prompts is read as tokens.

    Attributes: task, the same as a `BatchedEnvironment`, and its prompts, targets,
    max_length, vocab_size, eos_id, tokenizer; row, target, tokens of the current text.
    """

    metadata = {"render_modes": ["ansi"], "render_fps": 1}
    token_rewards: dict[str, Callable]  # by `reward`

    def __init__(self, task: tuple, reward: str, render_mode: str | None) -> None:
        """task: prompts (N, P), targets (N, T), vocab_size, tokenizer or None."""
        checks.one_of(tuple(self.token_rewards), reward=reward)
        if render_mode not in (None, "ansi"):  # what wraps it may ask for pictures
            unknown = f"render_mode: nothing is rendered as {render_mode!r}"
            gymnasium.logger.warn(unknown)
        self.reward, self.render_mode = reward, render_mode
        prompts, targets, self.vocab_size, of = task
        self.tokenizer, mask = of, None if of else np.ones(np.shape(targets))
        ends = (of.eos_id, of.pad_id, of) if of else ()
        rewarded = (prompts, targets, self.token_rewards[reward], self.vocab_size)
        self.task = BatchedEnvironment(*rewarded, *ends, target_mask=mask)
        self.prompts, self.targets = self.task.prompts, self.task.targets
        self.eos_id, self.max_length = self.task.eos_id, self.task.max_length
        width = self.prompts.shape[1] + self.max_length
        self.action_space = Discrete(self.vocab_size)
        self.observation_space = MultiDiscrete(np.full(width, self.vocab_size))
        self.ended = True  # until reset

    def batched(self) -> BatchedEnvironment:
        """The same task as a `BatchedEnvironment`."""
        task = copy(self.task)
        task.prompts, task.targets = self.prompts.copy(), self.targets.copy()
        return task

    def reset(self, *, seed: int | None = None, options: dict | None = None) -> tuple:
        """Start a text; options={"row": i} chooses it, else it is drawn."""
        super().reset(seed=seed)
        options, count = options or {}, len(self.prompts)
        checks.require(set(options) <= {"row"}, 'options: expected {"row": i}')
        row = options.get("row")
        self.row = int(self.np_random.integers(count)) if row is None else row
        wanted = f"options: expected a row in [0, {count}), got {self.row}"
        checks.require(self.row in range(count), wanted)
        self.target = self.targets[self.row][self.task.target_mask[self.row]].tolist()
        self.tokens, self.ended = [], False
        return self._observation(), {"row": self.row}

    def step(self, action: int) -> tuple:
        """Append the token `action`: its reward, and whether the text has ended."""
        if self.ended:
            raise ResetNeeded("step: the text has ended; call reset first")
        wanted = f"action: expected a token id in [0, {self.vocab_size})"
        checks.require(self.action_space.contains(action), f"{wanted}, got {action!r}")
        self.tokens.append(int(action))
        full = len(self.tokens) == self.max_length
        terminated = full if self.eos_id is None else int(action) == self.eos_id
        truncated = full and not terminated
        self.ended, info = terminated or truncated, {"row": self.row}
        return self._observation(), self._reward(), terminated, truncated, info

    def render(self) -> str | None:
        """The text so far, in render mode "ansi"."""
        tokens = np.array([self.tokens], dtype=int)
        [text] = self.task.texts(tokens, np.ones(tokens.shape))
        return text if self.render_mode == "ansi" else None

    def _reward(self) -> float:
        """What the last token earns; the last of a batch's row would end the text."""
        made = self.tokens if self.ended else [*self.tokens, 0]
        wanted = self.task.wanted([self.row])
        paid = self.task.token_reward([made], [[1] * len(made)], wanted)
        return float(paid[0, len(self.tokens) - 1])

    def _observation(self):
        rest = [self.task.pad_id] * (self.max_length - len(self.tokens))
        return np.array([*self.prompts[self.row], *self.tokens, *rest])


class TextEnvironment(TokenEnvironment):
    """Document 000: write one given text, token by token.

    ## Action Space
    Discrete(V): the next token of the tokenizer.

    ## Observation Space
    MultiDiscrete of 1 + T token ids: BOS and the tokens so far, then pads.  T is the
    number of the text's tokens and its EOS.

    ## Starting State
    BOS alone.  (The document starts from None, to which no token can be added.)

    ## Reward
    "position": 1/T for a token that is right at its position, so that a perfect text,
    EOS included, sums to 1.
    "indicator": the document's, 1 for a token that is anywhere in the text.  The
    document's vocabulary is the text's, so there every token earns 1; here, with the
    default tokenizer, every token but pad and BOS does.

    ## Episode End
    Terminated at EOS; truncated after T tokens without one.

    Args:
        text: str, not empty.
        tokenizer: default: characters, ASCII words kept whole.
        reward: "position" or "indicator".
        render_mode: None or "ansi".
    """

    token_rewards = {
        "position": rewards.token_position_match,
        "indicator": rewards.token_indicator,
    }

    def __init__(
        self,
        text: str = tasks.DOCUMENT_000_TEXT,
        tokenizer: Tokenizer | None = None,
        reward: str = "position",
        render_mode: str | None = None,
    ) -> None:
        wanted = f"text: expected a text, not empty, got {text!r:.60}"
        checks.require(isinstance(text, str) and text, wanted)
        self.text = text
        tokenizer = tokenizer or CharTokenizer([text], keep_words=True)
        begin, *target = tokenizer.enclosed(text)
        task = ([[begin]], [target], len(tokenizer), tokenizer)
        super().__init__(task, reward, render_mode)


class LMEnvironment(TokenEnvironment):
    """Document 001: given an input sequence, write a target sequence.

    ## Action Space
    Discrete(V): the next token id.

    ## Observation Space
    MultiDiscrete of P + T token ids: input, tokens so far, then 0.

    ## Starting State
    The input sequence.

    ## Reward
    The similarity of a text: the share of the target's tokens that are at their place.
    "similarity": the document's, the similarity so far at every step.  A right token
    counts again at each later step: the first one T times, the last one once.
    "difference": what the step adds to the similarity; the sum is the final similarity.

    ## Episode End
    Terminated after T tokens, the length of the target.  No EOS.

    Args:
        input_seq: P token ids, at least one.
        target_seq: T token ids, at least one.
        vocab_size: V.
        reward: "difference" or "similarity".
        render_mode: None or "ansi".
    """

    token_rewards = {
        "difference": rewards.token_position_match,
        "similarity": rewards.token_cumulative_match,
    }

    def __init__(
        self,
        input_seq: Sequence[int],
        target_seq: Sequence[int],
        vocab_size: int,
        reward: str = "difference",
        render_mode: str | None = None,
    ) -> None:
        prompts = checks.ids("input_seq", [input_seq], vocab_size)
        targets = checks.ids("target_seq", [target_seq], vocab_size)
        super().__init__((prompts, targets, vocab_size, None), reward, render_mode)

    def _similarity(self, tokens: list[int]) -> float:
        right = sum(o == t for o, t in zip(tokens, self.target, strict=False))
        return right / len(self.target)

    def _reward(self) -> float:
        before = [] if self.reward == "similarity" else self.tokens[:-1]
        return self._similarity(self.tokens) - self._similarity(before)


class TextGenerationEnv(TokenEnvironment):
    """Document 003: continue a prompt; each of N prompts has one target.

    The document makes "TextGenerationEnv" with `gym.make`, but no package has it.  This
    one is registered as "core/TextGenerationEnv-v0".

    ## Action Space
    Discrete(V): the next word of the tokenizer.

    ## Observation Space
    MultiDiscrete of P + T token ids: prompt, tokens so far, then pads.  Prompts are
    padded on the left to one length P; a recurrent policy reads these pads as ordinary
    tokens.  T is the longest target with its EOS.

    ## Starting State
    One of the N prompts, drawn uniformly (or options={"row": i}).

    ## Reward
    d is the edit distance in tokens to the target, EOS included, L the target's length.
    (Section 4.3 has 1/d, infinite at d = 0; the listing has no edit distance at all.)
    "regret": what the token takes from the best -d / L that is still within reach: 0
    for a best token, else negative.  The sum is -d / L of the text.
    "similarity": what the token adds to 1 / (1 + d), which begins with 1 / (1 + L).

    ## Episode End
    Terminated at EOS; truncated after T tokens without one.

    Args:
        prompts, targets: N each, none empty; default: `tasks.continuations()`.
        tokenizer: default: words of all prompts and targets.
        reward: "regret" or "similarity".
        render_mode: None or "ansi".
    """

    token_rewards = {
        "regret": rewards.token_edit_regret,
        "similarity": rewards.token_edit_similarity,
    }

    def __init__(
        self,
        prompts: list[str] | None = None,
        targets: list[str] | None = None,
        tokenizer: Tokenizer | None = None,
        reward: str = "regret",
        render_mode: str | None = None,
    ) -> None:
        if prompts is None and targets is None:
            prompts, targets = tasks.continuations()
        self.text_data = checks.texts("prompts", prompts)
        self.target_texts = checks.texts("targets", targets)
        checks.require(all(self.target_texts), "targets: expected texts, none empty")
        tokenizer = tokenizer or WordTokenizer(self.text_data + self.target_texts)
        with checks.about("prompts"):
            left, _ = tokenizer.encode_prompts(self.text_data)
        longest = max((len(tokenizer.encode(t)) for t in self.target_texts), default=0)
        right = tokenizer.encode_batch(self.target_texts, longest + 1, add_eos=True)
        super().__init__((left, right, len(tokenizer), tokenizer), reward, render_mode)

    def get_text_data(self) -> list[str]:
        """The N prompts as texts (the document's name)."""
        return list(self.text_data)

    def get_target_texts(self) -> list[str]:
        """The N targets as texts (the document's name)."""
        return list(self.target_texts)


gymnasium.register("core/TextGenerationEnv-v0", "core.envs:TextGenerationEnv")
