"""A task for training: prompts, a reward, and where a completion ends.

N texts in the task, B batch, P prompt length, T completion length.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import takewhile
from typing import Any, Self

import numpy as np

from core import checks, rewards
from core.sampling import check_prompt_mask
from core.text import Tokenizer


class BatchedEnvironment:
    """Prompts and a token reward: what training needs of a task.

    Args, kept as attributes:
        prompts: (N, P) int64 token ids, P at least 1.
        targets: (N, T) int64 token ids, pad_id after the end of a text; or other ids
            that the reward needs, for example the prompts; None: it needs none.
        token_reward: f(completions, mask, targets, **columns) -> float, each (B, T), as
            those of `core.rewards`; the targets are then -1 where target_mask is 0.
        vocab_size: V; all ids are in [0, V).  It is the policy's, which may have more
            rows than its tokenizer has tokens: what is sampled of these is no text.
        eos_id: ends a text, as does each of several; None: all completions have T
            tokens and are terminated.
        pad_id: what stands after the end; any id, also that of EOS or of a letter.
        tokenizer: decodes `texts`; without one a text is its token ids.
        prompt_mask: (N, P), 0 on padding at the left; None: no padding.
        max_length: T, the limit of a completion's length; None: the targets'.
        limit_ends: a text at the limit counts as terminated, not as cut off.  Set it
            where no reward can follow, which a critic or Q network would else expect.
        prompt_vocab_size: where a prompt is no text but, say, a recording's number:
            the limit of these, in prompts and in targets; None: vocab_size.
        target_mask: (N, T), 1 on tokens.  None: prompt_mask where the targets are the
            prompts, else what `core.rewards.unpadded` finds, in texts alone.
        columns: data for the reward by name, N entries of any type each, as lists of
            answers or unit tests; it gets those of its rows.  None: it gets none.
        stop: texts that end a completion as EOS does, with the token that completes
            one (`stopped`).  What was sampled behind it is dropped.
    Raises: ValueError for empty or unequal arrays, other ids, masks that do not fit,
        columns of another length, stop texts without a tokenizer.
    """

    def __init__(
        self,
        prompts,
        targets,
        token_reward: Callable,
        vocab_size: int,
        eos_id: int | Sequence[int] | None = None,
        pad_id: int = 0,
        tokenizer: Tokenizer | None = None,
        prompt_mask=None,
        max_length: int | None = None,
        limit_ends: bool = False,
        prompt_vocab_size: int | None = None,
        target_mask=None,
        columns: dict[str, list] | None = None,
        stop: Sequence[str] = (),
    ) -> None:
        checks.finite(vocab_size=vocab_size, pad_id=pad_id)  # not None
        checks.integer(1, prompt_vocab_size=prompt_vocab_size, max_length=max_length)
        read = prompt_vocab_size or vocab_size
        self.prompts = checks.ids("prompts", prompts, read)
        checks.token_id(vocab_size, pad_id=pad_id)
        self.ends = checks.ends(vocab_size, eos_id)
        first = next(iter(self.ends), None)
        self.eos_id = list(self.ends) if len(self.ends) > 1 else first
        if prompt_mask is not None:
            prompt_mask = check_prompt_mask(prompt_mask, self.prompts.shape)
        self.vocab_size, self.pad_id, self.prompt_mask = vocab_size, pad_id, prompt_mask
        self._take_targets(targets, target_mask, max(vocab_size, read))
        self.token_reward, self.tokenizer = token_reward, tokenizer
        wanted = "max_length: expected one without targets, got None"
        checks.require(max_length or targets is not None, wanted)
        self.max_length = max_length or self.targets.shape[1]
        self.limit_ends, self.stop = limit_ends, checks.texts("stop", stop)
        wanted = "stop: expected texts that are not empty, and a tokenizer beside them"
        checks.require(all(self.stop) and (tokenizer or not self.stop), wanted)
        self.columns = None if columns is None else self._columns(columns)

    @classmethod
    def from_texts(
        cls,
        prompts: list,
        reward: Callable,
        tokenizer: Tokenizer,
        max_length: int,
        vocab_size: int | None = None,
        targets: list[str] | None = None,
        columns: dict[str, list] | None = None,
        stop: Sequence[str] = (),
    ) -> Self:
        """The task of texts and of a reward on texts, as TRL takes both.

        Args:
            prompts: N texts or lists of token ids, each with a token.
            reward: f(completions, **columns) -> list[float], on the last token; where
                there are targets it gets them as `target`.
            tokenizer: all its EOS ids end a completion.
            max_length, columns, stop: as above.
            vocab_size: V, the policy's; None: the tokenizer's.
            targets: N texts that may be imitated (`core.pretraining.answers`).
        Raises: ValueError as above.
        """
        with checks.about("prompts", ValueError):
            ids, mask = tokenizer.encode_prompts(prompts)
        made = seen = None
        if targets is not None:
            texts, end = checks.texts("targets", targets), list(tokenizer.eos_ids[:1])
            rows = [tokenizer.encode(text) + end for text in texts]
            with checks.about("targets", ValueError):
                made, seen = tokenizer.padded(rows)
        return cls(
            ids,
            made,
            rewards.token_from_text(reward, tokenizer),
            vocab_size or len(tokenizer),
            tokenizer.eos_ids,
            tokenizer.pad_id,
            tokenizer,
            mask,
            max_length,
            target_mask=seen,
            columns=columns,
            stop=stop,
        )

    def __len__(self) -> int:
        return len(self.prompts)

    def sample(self, batch_size: int, rng: np.random.Generator):
        """(B,) int64: rows, drawn uniformly."""
        checks.whole(1, batch_size=batch_size)
        return rng.integers(len(self), size=batch_size)

    def wanted(self, rows):
        """(B, T) int64: targets[rows] as token rewards read them, -1 for no token.

        None where the task has no targets.
        """
        [rows] = checks.ids("rows", [rows], len(self))
        if self.targets is not None:
            return np.where(self.target_mask[rows], self.targets[rows], -1)

    def rewards(self, completions, mask, rows):
        """(B, T) float: the token rewards of completions of prompts[rows].

        Raises: ValueError for other shapes or rows, and rewards that are not finite.
        """
        completions, seen = checks.written(completions, mask)
        checks.shape(seen.shape[:1], rows=rows)
        wanted, columns = self.wanted(rows), self.columns or {}
        columns = {name: [column[i] for i in rows] for name, column in columns.items()}
        paid = self.token_reward(completions, mask, wanted, **columns)
        paid = checks.finite_array("token_reward", paid, seen.shape)
        return np.where(seen, paid, 0.0)

    def terminated(self, completions, mask):
        """(B,) bool: False where the limit cut a text off before its end."""
        completions, seen = checks.written(completions, mask)
        over = (np.isin(completions, self.ends) & (seen > 0)).any(axis=1)
        if self.stop:
            rows = zip(completions, seen.sum(axis=1).astype(int))
            over |= [self._stops(row[:n]) for row, n in rows]
        return over | (not self.ends and not self.stop or self.limit_ends)

    def stopped(self, completions, logprobs, mask) -> tuple:
        """What was sampled, cut off behind the token that completes a stop text.

        Whether a text stops here depends on its tokens up to here alone, as with EOS:
        the log-probabilities of those that stay are right.  The tokens behind cost
        their sampling.  Each row is decoded log2(T) times: a text of more tokens must
        begin with that of fewer, as with `core.text` but for a "�" at the end.

        Args:
            completions, logprobs, mask: (B, T), as `rollout.sample` returns them.
        Returns: the three, with pad_id, 0 and 0 behind the end.
        """
        completions, seen = checks.written(completions, mask)
        checks.finite_array("logprobs", logprobs, seen.shape)
        lengths = seen.sum(axis=1).astype(int)
        for i, row in enumerate(completions if self.stop else ()):
            beginnings = [range(1, lengths[i]), True]
            whole = bisect_left(*beginnings, key=lambda n: self._stops(row[:n]))
            lengths[i] = whole + 1
        kept = np.arange(seen.shape[1]) < lengths[:, None]
        completions = np.where(kept, completions, self.pad_id)
        return completions, np.where(kept, logprobs, 0), np.where(kept, mask, 0)

    def texts(self, completions, mask=None) -> list[str]:
        """B texts up to the first EOS; without a tokenizer, token ids.

        Without a mask (B, T) pads are left out, and different rows can have one text.
        """
        read, ends, pad = self.tokenizer, set(self.ends), self.pad_id
        if read is not None:
            ends -= {*read.eos_ids}  # `decode` knows these, and that one may pad
        checks.integers(completions=completions)
        rows = np.asarray(completions)
        wanted = f"completions: expected (B, T), got {rows.shape}"
        checks.require(rows.ndim == 2, wanted)
        if mask is not None:
            mask, pad = checks.flags("mask", mask, rows.shape), None
            rows = [row[seen] for row, seen in zip(rows, mask)]
        kept = [list(takewhile(lambda i: i not in ends, row.tolist())) for row in rows]
        if read is not None:
            return [read.decode(row) for row in kept]
        return [" ".join(str(i) for i in row if i != pad) for row in kept]

    def targets_text(self, rows) -> list[str]:
        """The target texts of `rows`, in the form of `texts`; ValueError without."""
        [rows] = checks.ids("rows", [rows], len(self))
        checks.require(self.targets is not None, "targets: this task has none")
        return self.texts(self.targets[rows], self.target_mask[rows])

    def _stops(self, row) -> bool:
        text = self.tokenizer.decode(row) if self.tokenizer else ""
        return any(end in text for end in self.stop)

    def _take_targets(self, targets, mask, size: int) -> None:
        """Check and keep the targets, if any, of ids below `size`."""
        self.targets: Any = None
        self.target_mask: Any = None
        if targets is not None:
            self.targets = checks.ids("targets", targets, size)
            count, found = len(self), len(self.targets)
            wanted = f"targets: expected {count} rows, got {found}"
            checks.require(count == found, wanted)
            self.target_mask = self._mask_of_targets(mask)

    def _mask_of_targets(self, given):
        """(N, T) bool, 1 on the targets' tokens."""
        targets, mask = self.targets, self.prompt_mask
        if given is None and mask is not None and np.array_equal(self.prompts, targets):
            given = mask
        if given is None:
            with checks.about("target_mask: expected one for such targets", ValueError):
                given = rewards.unpadded(targets, self.eos_id, self.pad_id) >= 0
        return checks.flags("target_mask", given, targets.shape)

    def _columns(self, columns: dict[str, list]) -> dict[str, list]:
        """The columns as lists; ValueError unless each has N entries."""
        wanted = "columns: expected a dict of lists"
        checks.require(isinstance(columns, Mapping), f"{wanted}, got {columns!r:.60}")
        found = {}
        for name, column in columns.items():
            bare = isinstance(column, str | Mapping) or not isinstance(column, Iterable)
            checks.require(not bare, f"{wanted}, got {name!r}: {column!r:.60}")
            found[name] = list(column)
            wanted_here = f"columns: expected {len(self)} entries of {name!r}"
            count = len(found[name])
            checks.require(count == len(self), f"{wanted_here}, got {count}")
        return found
