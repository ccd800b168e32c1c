"""Tokenizers, from text to token ids and back, for Chinese and English.

Three ways to cut a text into tokens: characters, words, and byte pairs that are merged
by frequency.  All share one interface (`Tokenizer`) and three special tokens: 0 pads,
1 begins, 2 ends a text.  `PretrainedTokenizer` reads the files of a published model.
"""

import json
import re
from collections.abc import Callable, Iterable
from functools import cached_property
from itertools import chain, dropwhile, takewhile
from operator import index
from pathlib import Path
from typing import Any, Self

import numpy as np
import tokenizers
from tokenizers import decoders, models, pre_tokenizers, trainers

from core import checks, downloads
from core.words import join_words, split_words

SPECIALS = ("<pad>", "<bos>", "<eos>")
MASK = "<mask>"
SPECIAL_NAMES = ("pad", "bos", "eos", "mask", "cls", "sep")

ASCII_WORD = re.compile(r"[A-Za-z0-9]+|.", re.DOTALL)


class Tokenizer:
    """What the tokenizers share.

    tokens: `tokens[i]` is the text of token id i; the first three are special.
    Raises: ValueError for no token, and for one that is empty or repeated.
    """

    pad_id: int = 0
    bos_id: int | None = 1  # None, as those below, where there is no such token
    eos_id: int | None = 2
    mask_id: int | None = None
    cls_id: int | None = None
    sep_id: int | None = None
    more_ends: tuple[int, ...] = ()  # EOS ids beside eos_id
    split: Callable[[str], list[str]]  # into the pieces that are looked up

    def __init__(self, tokens: Iterable[str]) -> None:
        tokens = checks.texts("tokens", tokens)
        distinct = 0 < len(tokens) == len(set(tokens) - {*SPECIALS, ""})
        wanted = "tokens: expected at least one, all distinct, none special or empty"
        checks.require(distinct, f"{wanted}, got {tokens[:5]}")
        self.tokens = [*SPECIALS, *tokens]
        self.ids = {token: 3 + i for i, token in enumerate(tokens)}

    def __len__(self) -> int:
        return len(self.tokens)

    @property
    def eos_ids(self) -> tuple[int, ...]:
        """All ids that end a text, `eos_id` first."""
        return () if self.eos_id is None else (self.eos_id, *self.more_ends)

    def join(self, tokens: list[str]) -> str:
        """The text of a list of ordinary tokens."""
        return "".join(tokens)

    def encode(self, text: str) -> list[int]:
        """Token ids of `text`, no special ones; ValueError for an unknown piece."""
        checks.text(text=text)
        try:
            return [self.ids[piece] for piece in self.split(text)]
        except KeyError as error:
            known = f"the vocabulary of {len(self)} tokens"
            raise ValueError(f"text: {error} is not in {known}") from None

    def enclosed(self, text: str) -> list[int]:
        """Token ids of `text` between BOS and EOS, or as BERT's between CLS and SEP.

        Raises: ValueError without these.
        """
        for first, last in ((self.bos_id, self.eos_id), (self.cls_id, self.sep_id)):
            if first is not None and last is not None:
                return [first, *self.encode(text), last]
        raise ValueError("tokenizer: expected one with BOS and EOS, or CLS and SEP")

    def ordinary(self, ids) -> list[int]:
        """`ids` up to the first EOS, without special tokens.

        An EOS that pads or begins texts as well, as GPT-2's, ends none at the start.
        An id from len(self) on is no text: a model may have more rows than its
        tokenizer has tokens.  An id below 0, or none at all, is a ValueError.
        """
        special = (self.pad_id, self.bos_id, self.mask_id, self.cls_id, self.sep_id)
        with checks.about("ids: expected a row of integers", TypeError):
            ids = [index(i) for i in ids]
        ends = set(self.eos_ids)
        ids = dropwhile(ends.intersection(special).__contains__, ids)
        ids = list(takewhile(lambda token: token not in ends, ids))
        checks.at_least(0, ids=min(ids, default=0))
        return [i for i in ids if i not in special and i < len(self)]

    def decode(self, ids) -> str:
        """Text of `ids`: stops at the first EOS, skips special tokens."""
        return self.join([self.tokens[i] for i in self.ordinary(ids)])

    def encode_batch(
        self, texts: list[str], length: int, add_eos: bool = False, side: str = "right"
    ):
        """(B, length) int64, each text padded with `pad_id` on `side`.

        Raises: ValueError where a text (with its EOS) is longer than length, for
            another side than "left" or "right", and for add_eos without an EOS token.
        """
        checks.one_of(("left", "right"), side=side)
        end = [self.eos_id] if add_eos and self.eos_id is not None else []
        checks.require(end or not add_eos, "add_eos: this tokenizer has no EOS token")
        checks.whole(0, length=length)
        texts = checks.texts("texts", texts)
        batch = np.full((len(texts), length), self.pad_id, dtype=np.int64)
        for row, text in zip(batch, texts, strict=True):
            ids = self.encode(text) + end
            wanted = f"length: expected at least {len(ids)} for {text!r}, got {length}"
            checks.require(len(ids) <= length, wanted)
            start = length - len(ids) if side == "left" else 0
            row[start : start + len(ids)] = ids
        return batch

    def padded(self, rows, side: str = "right"):
        """Rows of token ids, none empty, padded on `side` to the longest.

        Returns: ids (N, L) int64; mask (N, L) float64, 1 on the tokens of the rows and
            0 on the padding (pad may be EOS, so that the ids alone do not tell).
        Raises: ValueError for no row, an empty one, or another side.
        """
        checks.one_of(("left", "right"), side=side)
        with checks.about("rows: expected rows of integers", TypeError):
            rows = [[index(i) for i in row] for row in rows]
        checks.require(rows and all(rows), "rows: expected at least one, none empty")
        checks.at_least(0, rows=min(map(min, rows)))
        lengths = np.array([[len(row)] for row in rows])
        places = np.arange(lengths.max())
        mask = places < lengths
        mask = mask[:, ::-1] if side == "left" else mask
        ids = np.full(mask.shape, self.pad_id, dtype=np.int64)
        ids[mask] = np.concatenate(rows)
        return ids, mask.astype(np.float64)

    def encode_prompts(self, texts: list):
        """Prompts of different lengths, none empty, padded on the left to the longest.

        The last token of each stands in the last column; the completion follows it.

        Args:
            texts: N texts, or N lists of token ids.
        Returns: ids (N, P) and mask (N, P) as from `padded`.

        >>> ids, mask = CharTokenizer(["abc"]).encode_prompts(["abc", "b"])
        >>> ids.tolist(), mask.tolist()
        ([[3, 4, 5], [0, 0, 4]], [[1.0, 1.0, 1.0], [0.0, 0.0, 1.0]])
        """
        if isinstance(texts, list) and texts and isinstance(texts[0], list):
            with checks.about("texts: expected a list of texts, or of ids", ValueError):
                return self.padded(texts, "left")
        texts = _checked_texts(texts)
        rows = [self.encode(text) for text in texts]
        empty = [text for text, row in zip(texts, rows) if not row]
        checks.require(not empty, f"texts: expected a token in each, got {empty}")
        return self.padded(rows, "left")


class CharTokenizer(Tokenizer):
    """One token per character of some texts, not all empty, in order of appearance.

    keep_words: a run of ASCII letters and digits is one token, as "Python" in Chinese.

    >>> tok = CharTokenizer(["来到Python的"], keep_words=True)
    >>> tok.tokens[3:], tok.encode("到Python")
    (['来', '到', 'Python', '的'], [4, 5])
    >>> CharTokenizer.from_tokens(["你好", "世界"]).encode("你好世界")
    [3, 4]
    """

    def __init__(self, texts: list[str], keep_words: bool = False) -> None:
        pieces = map(ASCII_WORD.findall if keep_words else list, _checked_texts(texts))
        super().__init__(list(dict.fromkeys(chain.from_iterable(pieces))))

    @classmethod
    def from_tokens(cls, tokens: Iterable[str]) -> Self:
        """A tokenizer with exactly these tokens, of any length."""
        tokenizer = cls.__new__(cls)
        Tokenizer.__init__(tokenizer, tokens)
        return tokenizer

    @cached_property
    def pattern(self) -> re.Pattern:
        """The longest token that fits; one character if none does."""
        longest_first = sorted(self.ids, key=len, reverse=True)
        return re.compile("|".join([*map(re.escape, longest_first), "."]), re.DOTALL)

    def split(self, text: str) -> list[str]:
        checks.text(text=text)
        return self.pattern.findall(text)


class WordTokenizer(Tokenizer):
    """One token per word or punctuation mark (`split_words`), in order of appearance.

    decode(encode(text)) == text for text with normal spacing, see `join_words`.

    >>> tok = WordTokenizer(["The fox jumps, and the dog sleeps."])
    >>> tok.decode(tok.encode("The dog jumps."))
    'The dog jumps.'
    """

    def __init__(self, texts: list[str]) -> None:
        words = map(split_words, _checked_texts(texts))
        super().__init__(list(dict.fromkeys(chain.from_iterable(words))))

    def split(self, text: str) -> list[str]:
        return split_words(text)

    def join(self, tokens: list[str]) -> str:
        return join_words(tokens)


class FileTokenizer(Tokenizer):
    """What the two tokenizers built on the `tokenizers` library share."""

    backend: tokenizers.Tokenizer
    template: str | None = None  # of conversations, a program in Jinja

    def encode(self, text: str, special: bool = False) -> list[int]:
        """As in `Tokenizer`; ValueError where no token stands for a piece.

        special: the name of a special token, in the text, is that token, as in the
            texts of `PretrainedTokenizer.chat`; else it is spelled as any other text.
        """
        checks.text(text=text)
        checks.one_of((True, False), special=checks.plain(special))
        self.backend.encode_special_tokens = not special
        with checks.about(f"text: {text!r}"):  # `tokenizers` raises any kind
            return self.backend.encode(text, add_special_tokens=False).ids

    def split(self, text: str) -> list[str]:
        # Not the backend's own tokens: some keep what they do not know.
        return [self.tokens[i] for i in self.encode(text)]

    def join(self, tokens: list[str]) -> str:
        return self.backend.decode([self.ids[token] for token in tokens])

    def decode(self, ids) -> str:
        return self.backend.decode(self.ordinary(ids))

    def save(self, folder: str | Path) -> None:
        """Write tokenizer.json and tokenizer_config.json, for `AutoTokenizer`, too."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        self.backend.save(str(folder / "tokenizer.json"))
        ids = {name: getattr(self, f"{name}_id") for name in SPECIAL_NAMES}
        config = {"tokenizer_class": "PreTrainedTokenizerFast"} | {
            f"{name}_token": self.tokens[i] for name, i in ids.items() if i is not None
        }
        if self.template is not None:
            config["chat_template"] = self.template
        several = folder / "generation_config.json"
        if self.more_ends and not several.exists():
            several.write_text(json.dumps({"eos_token_id": self.eos_ids}), "utf-8")
        text = json.dumps(config, indent=2)
        (folder / "tokenizer_config.json").write_text(text, encoding="utf-8")


class ByteBPETokenizer(FileTokenizer):
    """Byte-pair encoding over bytes: any text can be written with it.

    The vocabulary starts with the 256 bytes; the most frequent pair of neighbours in
    `texts` is merged into a new token, again and again, up to `vocab_size` tokens or
    until no pair occurs twice.  `tokens` shows bytes as GPT-2 does (a space is "Ġ").

    vocab_size: at least 259 (3 special tokens and 256 bytes).
    add_mask: one more token, "<mask>", with the last id; all others stay.
    Source: Sennrich et al. 2016, arXiv:1508.07909; bytes: GPT-2, Radford et al. 2019.
    """

    def __init__(self, texts: list[str], vocab_size: int, add_mask=False) -> None:
        checks.whole(259, vocab_size=vocab_size)
        self.backend = self.bpe = tokenizers.Tokenizer(models.BPE())
        self.bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        self.bpe.decoder = decoders.ByteLevel()
        trainer = trainers.BpeTrainer(
            vocab_size=vocab_size,
            min_frequency=2,
            show_progress=False,
            special_tokens=list(SPECIALS),
            initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        )
        self.bpe.train_from_iterator(_checked_texts(texts), trainer)
        # A text that contains "<eos>" is text, not an end.
        self.bpe.encode_special_tokens = True
        if add_mask:
            self.mask_id = self.bpe.get_vocab_size()
            self.bpe.add_special_tokens([MASK])
        ids = self.bpe.get_vocab()
        super().__init__(sorted(ids, key=ids.__getitem__)[len(SPECIALS) :])


class PretrainedTokenizer(FileTokenizer):
    """The tokenizer of a published model, as `transformers` reads it.

    `AutoTokenizer` reads tokenizer.json, else vocab.json and merges.txt (GPT-2), else
    vocab.txt (BERT), from the folder alone; no code in it is run.  For a special token
    that these do not name, config.json or generation_config.json may give the id; the
    ids of EOS in any of them are `eos_ids`.  Without a pad, as in GPT-2, pad_id is
    eos_id; other ids are None.

    name: a directory, or a name on huggingface.co, as for `downloads.folder`.
    Raises: FileNotFoundError for a missing folder or file; ValueError for files without
        tokenizer, without pad and EOS, or with the id of a token that the model lacks.
    """

    def __init__(self, name: str | Path) -> None:
        folder = downloads.folder(name)
        self.theirs, told = downloads.tokenizer(folder)
        self.backend = self.theirs.backend_tokenizer
        # Some files ask for a fixed length; a special token's name, in a text, is text.
        self.backend.no_truncation()
        self.backend.no_padding()
        self.backend.encode_special_tokens = True
        self.ids = self.backend.get_vocab(with_added_tokens=True)
        by_id = {i: token for token, i in self.ids.items()}
        self.tokens = [by_id.get(i, "") for i in range(max(by_id) + 1)]  # "" is free
        # A token that only the tokenizer knows has an id beyond the model's.
        size = min(len(self), told.get("vocab_size", len(self)))
        special = {}
        for name in SPECIAL_NAMES:
            key = f"{name}_token_id"
            number = getattr(self.theirs, key)
            number = told.get(key) if number is None else number
            special[f"{name}_id"] = _token_id(number, key, size)
        ends = [i for i in told["ends"] if i in range(size)]
        special["more_ends"] = tuple(
            dict.fromkeys(ends) - {special["eos_id"]: 0}.keys()
        )
        if special["pad_id"] is None:
            special["pad_id"] = special["eos_id"]
        wanted = f"a pad_token or an eos_token in {folder}/tokenizer_config.json"
        checks.require(special["pad_id"] is not None, f"folder: expected {wanted}")
        template = self.theirs.chat_template  # one, or several by name
        several = isinstance(template, dict)
        self.template = template.get("default") if several else template
        vars(self).update(special)

    def chat(self, messages: list[dict], **variables: Any) -> str:
        """A conversation as the model's own template writes it, up to its answer.

        Args:
            messages: {"role": ..., "content": ...} each, the last one the user's.
            variables: of the template, as `enable_thinking` of Qwen3.
        Returns: text with special tokens, for `encode(text, special=True)`; those in
            the contents are tokens as well.
        Raises: ValueError without a template, for messages that it refuses, and for a
            variable that it does not have.
        """
        wanted = "messages: this model has no chat template, as a base model; give it"
        found = "prompts as plain text, or set `template` to that of its instruct model"
        checks.require(self.template is not None, f"{wanted} {found}")
        wanted = 'messages: expected a list of {"role", "content"}, not empty'
        checks.require(isinstance(messages, list) and messages, wanted)
        known = re.findall(r"\w+", str(self.template))
        unknown = [name for name in variables if name not in known]
        checks.require(not unknown, f"{unknown}: the template has no such variable")
        with checks.about("messages: the template refuses them"):
            return self.theirs.apply_chat_template(
                messages,
                chat_template=self.template,
                tokenize=False,
                add_generation_prompt=True,
                **variables,
            )


def _token_id(number: Any, name: str, size: int) -> int | None:
    """The id of a token below `size`; None for null and -1."""
    if isinstance(number, list):  # several ways to end: the first
        number = number[0] if number else None
    if number is None or number == -1:  # so the first LLaMA files say "none"
        return None
    wanted = f"{name}: expected a token id in [0, {size}), got {number!r}"
    checks.require(type(number) is int and 0 <= number < size, wanted)
    return number


def _checked_texts(texts: list[str]) -> list[str]:
    texts = checks.texts("texts", texts)
    checks.require(any(texts), "texts: expected a list of texts, not all empty")
    return texts
