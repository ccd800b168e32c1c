"""Tokenizers, from text to token ids and back, for Chinese and English.

Three ways to cut a text into tokens: characters, words, and byte pairs that
are merged by frequency.  All three share one interface (`Tokenizer`) and the
same three special tokens: 0 pads, 1 begins, 2 ends a text.  A fourth class,
`PretrainedTokenizer`, reads the files of a published model.
"""

from __future__ import annotations

import json
import logging
import re
from pathlib import Path

import numpy as np

SPECIALS = ("<pad>", "<bos>", "<eos>")
MASK = "<mask>"
SPECIAL_NAMES = ("pad", "bos", "eos", "mask", "cls", "sep")

CHINESE = "\u3400-\u4dbf\u4e00-\u9fff"
LETTER = rf"[^\W_{CHINESE}]"
PIECE = re.compile(rf"[{CHINESE}]+|{LETTER}+(?:['’.-]{LETTER}+)*|\S")
ASCII_WORD = re.compile(r"[A-Za-z0-9]+|.", re.DOTALL)


def split_words(text):
    """Cut `text` into words and punctuation marks; spaces are dropped.

    Runs of Chinese characters are segmented by jieba with its dictionary
    alone (HMM=False), so that one text is always cut in one way.

    >>> split_words("It's 3.5 km, isn't it?")
    ["It's", '3.5', 'km', ',', "isn't", 'it', '?']
    >>> split_words("欢迎来到Python的世界。")
    ['欢迎', '来到', 'Python', '的', '世界', '。']
    """
    words = []
    for piece in PIECE.findall(text):
        if re.match(f"[{CHINESE}]", piece):
            words += _segment_chinese(piece)
        else:
            words.append(piece)
    return words


def _segment_chinese(text):
    import jieba  # here: it takes a second and only Chinese texts need it

    jieba.setLogLevel(logging.WARNING)
    return jieba.lcut(text, HMM=False)


def join_words(words):
    """The inverse of `split_words` for text with normal spacing.

    A space stands before a Western word or opening bracket that follows a
    Western word, a closing bracket or one of . , ; : ! ? and nowhere else.
    Text spaced in another way (quotation marks, a space between Chinese and
    Western words, two spaces) comes back with this spacing.

    >>> join_words(["It's", "late", ",", "he", "said", "(", "twice", ")", "."])
    "It's late, he said (twice)."
    >>> join_words(["欢迎", "来到", "Python", "的", "世界", "。"])
    '欢迎来到Python的世界。'
    """
    text = ""
    for word in words:
        after = re.search(rf"(?:{LETTER}|[.,;:!?)\]])$", text)
        if after and re.match(rf"{LETTER}|[(\[]", word):
            text += " "
        text += word
    return text


class Tokenizer:
    """What the tokenizers share.

    A subclass defines `split(text)`, the list of pieces that are looked up
    in the vocabulary.

    tokens: list of str, `tokens[i]` is the text of token id i; the first
        three are the special tokens.
    pad_id, bos_id, eos_id: 0, 1, 2.
    mask_id, cls_id, sep_id: None; int in the tokenizers that have them.
    Raises: ValueError for an empty or repeated vocabulary.
    """

    pad_id, bos_id, eos_id = 0, 1, 2
    mask_id = cls_id = sep_id = None

    def __init__(self, tokens):
        tokens = list(tokens)
        if not tokens or not all(tokens):
            raise ValueError(
                "tokens: expected at least one token and no empty one, "
                f"got {tokens[:5]}"
            )
        if len(set(tokens)) < len(tokens) or set(tokens) & set(SPECIALS):
            raise ValueError("tokens: expected distinct, ordinary tokens")
        self.tokens = [*SPECIALS, *tokens]
        self.ids = {token: 3 + i for i, token in enumerate(tokens)}

    def __len__(self):
        return len(self.tokens)

    def join(self, tokens):
        """The text of a list of ordinary tokens."""
        return "".join(tokens)

    def encode(self, text):
        """Token ids of `text`, without special tokens.

        Raises: ValueError naming the first piece outside the vocabulary.
        """
        pieces = self.split(text)
        for piece in pieces:
            if piece not in self.ids:
                raise ValueError(
                    f"text: {piece!r} is not in the vocabulary of {len(self)} tokens"
                )
        return [self.ids[piece] for piece in pieces]

    def ordinary(self, ids):
        """`ids` up to the first EOS as list of int, without special tokens.

        An EOS that pads or begins texts as well, as GPT-2's, ends none at
        the start.  An id from len(self) on is no text: a model may have more
        rows than its tokenizer has tokens.

        Raises: ValueError for an id below 0.
        """
        special = (self.pad_id, self.bos_id, self.mask_id, self.cls_id, self.sep_id)
        kept, begun = [], self.eos_id not in special
        for token in map(int, ids):
            if token < 0:
                raise ValueError(f"ids: expected token ids of at least 0, got {token}")
            if token == self.eos_id and begun:
                break
            begun = begun or token != self.eos_id
            if token not in special and token < len(self):
                kept.append(token)
        return kept

    def decode(self, ids):
        """Text of `ids`: stops at the first EOS, skips special tokens."""
        return self.join([self.tokens[i] for i in self.ordinary(ids)])

    def encode_batch(self, texts, length, add_eos=False, side="right"):
        """(B, length) int64, each text padded with `pad_id` on `side`.

        Raises: ValueError where a text (with its EOS) is longer than
            length, for another side than "left" or "right", and for
            add_eos without an EOS token.
        """
        if side not in ("left", "right"):
            raise ValueError(f"side: expected 'left' or 'right', got {side!r}")
        if add_eos and self.eos_id is None:
            raise ValueError("add_eos: this tokenizer has no EOS token")
        batch = np.full((len(texts), length), self.pad_id, dtype=np.int64)
        for row, text in zip(batch, texts, strict=True):
            ids = self.encode(text) + [self.eos_id] * add_eos
            if len(ids) > length:
                raise ValueError(
                    f"length: expected at least {len(ids)} for {text!r}, got {length}"
                )
            start = length - len(ids) if side == "left" else 0
            row[start : start + len(ids)] = ids
        return batch

    def encode_prompts(self, texts):
        """Prompts of different lengths, padded on the left to the longest.

        The last token of every prompt then stands in the last column, and
        the completion follows it.

        Returns: ids (N, P) int64; mask (N, P) float64, 1 on the tokens of
            the texts and 0 on the padding (pad may be EOS, so that the ids
            alone do not tell).
        Raises: ValueError without texts, and for an empty one.

        >>> ids, mask = CharTokenizer(["abc"]).encode_prompts(["abc", "b"])
        >>> ids.tolist(), mask.tolist()
        ([[3, 4, 5], [0, 0, 4]], [[1.0, 1.0, 1.0], [0.0, 0.0, 1.0]])
        """
        texts = _checked_texts(texts)
        lengths = [len(self.encode(text)) for text in texts]
        if not all(lengths):
            raise ValueError(
                "texts: expected at least one token in each, "
                f"got {texts[lengths.index(0)]!r}"
            )
        longest = max(lengths)
        ids = self.encode_batch(texts, longest, side="left")
        position = np.arange(longest)
        mask = position >= longest - np.array(lengths)[:, None]
        return ids, mask.astype(np.float64)


class CharTokenizer(Tokenizer):
    """One token per character, in the order of first appearance.

    texts: list of str that make the vocabulary.
    keep_words: a run of ASCII letters and digits is one token, as "Python"
        is in a Chinese sentence.
    Raises: ValueError for texts without a character.

    >>> tok = CharTokenizer(["来到Python的"], keep_words=True)
    >>> tok.tokens[3:], tok.encode("到Python")
    (['来', '到', 'Python', '的'], [4, 5])
    >>> CharTokenizer.from_tokens(["你好", "世界"]).encode("你好世界")
    [3, 4]
    """

    def __init__(self, texts, keep_words=False):
        pieces = []
        for text in _checked_texts(texts):
            pieces += ASCII_WORD.findall(text) if keep_words else text
        self._use(dict.fromkeys(pieces))

    @classmethod
    def from_tokens(cls, tokens):
        """A tokenizer with exactly these tokens, of any length."""
        tokenizer = cls.__new__(cls)
        tokenizer._use(tokens)
        return tokenizer

    def _use(self, tokens):
        Tokenizer.__init__(self, tokens)
        # The longest token that fits is taken; one character if none does.
        longest_first = sorted(self.ids, key=len, reverse=True)
        self.pattern = re.compile(
            "|".join([*map(re.escape, longest_first), "."]), re.DOTALL
        )

    def split(self, text):
        return self.pattern.findall(text)


class WordTokenizer(Tokenizer):
    """One token per word or punctuation mark (`split_words`).

    decode(encode(text)) == text for text with normal spacing, see
    `join_words`.

    texts: list of str that make the vocabulary, in order of appearance.
    Raises: ValueError for texts without a word.

    >>> tok = WordTokenizer(["The fox jumps, and the dog sleeps."])
    >>> tok.decode(tok.encode("The dog jumps."))
    'The dog jumps.'
    """

    def __init__(self, texts):
        words = []
        for text in _checked_texts(texts):
            words += split_words(text)
        super().__init__(dict.fromkeys(words))

    def split(self, text):
        return split_words(text)

    def join(self, tokens):
        return join_words(tokens)


class ByteBPETokenizer(Tokenizer):
    """Byte-pair encoding over bytes: any text can be written with it.

    The vocabulary starts with the 256 bytes; the most frequent pair of
    neighbours in `texts` is merged into a new token, again and again, up to
    `vocab_size` tokens or until no pair occurs twice.  `tokens` shows bytes
    as GPT-2 does (a space is "Ġ").

    texts: list of str to count in.
    vocab_size: at least 259 (3 special tokens and 256 bytes).
    add_mask: one more token, "<mask>", with the last id; all others stay.
    Source: Sennrich et al. 2016, arXiv:1508.07909; on bytes: GPT-2 (Radford
        et al. 2019).
    """

    def __init__(self, texts, vocab_size, add_mask=False):
        from tokenizers import Tokenizer as BPE
        from tokenizers import decoders, models, pre_tokenizers, trainers

        if vocab_size < 259:
            raise ValueError(f"vocab_size: expected at least 259, got {vocab_size}")
        alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
        self.bpe = BPE(models.BPE())
        self.bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        self.bpe.decoder = decoders.ByteLevel()
        trainer = trainers.BpeTrainer(
            vocab_size=vocab_size,
            min_frequency=2,
            show_progress=False,
            special_tokens=list(SPECIALS),
            initial_alphabet=alphabet,
        )
        self.bpe.train_from_iterator(_checked_texts(texts), trainer)
        # A text that contains "<eos>" is text, not an end.
        self.bpe.encode_special_tokens = True
        if add_mask:
            self.mask_id = self.bpe.get_vocab_size()
            self.bpe.add_special_tokens([MASK])
        size = self.bpe.get_vocab_size()
        super().__init__([self.bpe.id_to_token(i) for i in range(3, size)])

    def split(self, text):
        return self.bpe.encode(text).tokens

    def join(self, tokens):
        return self.bpe.decode([self.ids[token] for token in tokens])

    def save(self, folder):
        """Write tokenizer.json and tokenizer_config.json into `folder`.

        transformers' `AutoTokenizer` reads them, and so does
        `PretrainedTokenizer`.
        """
        _save(self, self.bpe, folder)


class PretrainedTokenizer(Tokenizer):
    """The tokenizer of a published model, as `transformers` reads it.

    `AutoTokenizer` reads tokenizer.json, else vocab.json and merges.txt
    (GPT-2), else vocab.txt (BERT), from the folder alone; no code in it is
    run.  Where it knows no such token, config.json or
    generation_config.json may give its id, the first of several.

    folder: path of a directory.
    pad_id, bos_id, eos_id, mask_id, cls_id, sep_id: int, None where the
        model has no such token; pad_id is then eos_id, as GPT-2 has no pad.
    Raises: FileNotFoundError where the folder or its files are missing;
        ValueError where they cannot be read, where they name neither pad nor
        EOS, and for the id of a token that the model does not have.
    """

    def __init__(self, folder):
        theirs, told = _from_folder(Path(folder))
        self.backend = theirs.backend_tokenizer
        # Some files ask for a fixed length; the name of a special token,
        # in a text, is text.
        self.backend.no_truncation()
        self.backend.no_padding()
        self.backend.encode_special_tokens = True
        self.ids = self.backend.get_vocab(with_added_tokens=True)
        by_id = {i: token for token, i in self.ids.items()}
        # An id without a token stays free.
        self.tokens = [by_id.get(i, "") for i in range(max(by_id) + 1)]
        # A token that only the tokenizer's files have got a new id.
        size = min(len(self), told.get("vocab_size", len(self)))
        for name in SPECIAL_NAMES:
            key = f"{name}_token_id"
            found = getattr(theirs, key)
            number = told.get(key) if found is None else found
            setattr(self, f"{name}_id", _token_id(number, key, size))
        if self.pad_id is None:
            self.pad_id = self.eos_id
        if self.pad_id is None:
            raise ValueError(
                "folder: expected a pad_token or an eos_token in "
                f"{Path(folder) / 'tokenizer_config.json'}"
            )

    def encode(self, text):
        """Token ids of `text`, without special tokens.

        Raises: ValueError where the vocabulary has no word for unknown ones
            and needs it.
        """
        try:
            return self.backend.encode(text, add_special_tokens=False).ids
        except Exception as error:  # `tokenizers` raises nothing narrower
            raise ValueError(f"text: {text!r}: {error}") from error

    def split(self, text):
        # Not the backend's own tokens: some keep what they do not know.
        return [self.tokens[i] for i in self.encode(text)]

    def join(self, tokens):
        return self.backend.decode([self.ids[token] for token in tokens])

    def decode(self, ids):
        """Text of `ids`: stops at the first EOS, skips special tokens."""
        return self.backend.decode(self.ordinary(ids))

    def save(self, folder):
        """Write tokenizer.json and tokenizer_config.json into `folder`."""
        _save(self, self.backend, folder)


def _save(tokenizer, backend, folder):
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    backend.save(str(folder / "tokenizer.json"))
    config = {"tokenizer_class": "PreTrainedTokenizerFast"}
    for name in SPECIAL_NAMES:
        token_id = getattr(tokenizer, f"{name}_id")
        if token_id is not None:
            config[f"{name}_token"] = tokenizer.tokens[token_id]
    (folder / "tokenizer_config.json").write_text(
        json.dumps(config, indent=2), encoding="utf-8"
    )


def _from_folder(folder):
    """transformers' tokenizer, and what the small files of a folder say."""
    if not folder.is_dir():
        raise FileNotFoundError(f"folder: expected a directory, got {folder}")
    has = {path.name for path in folder.iterdir()}
    gpt2 = {"vocab.json", "merges.txt"} <= has
    if not (gpt2 or has & {"tokenizer.json", "vocab.txt"}):
        raise FileNotFoundError(
            "folder: expected tokenizer.json, or vocab.json and merges.txt, "
            f"or vocab.txt in {folder}"
        )
    told, more = _told(folder), {}
    if not (told.keys() | has) & {"tokenizer_class", "model_type", "tokenizer.json"}:
        more["tokenizer_type"] = "gpt2" if gpt2 else "bert"
    try:
        import transformers  # here: it takes two seconds

        reader = transformers.AutoTokenizer
        if told.get("tokenizer_class") == "PreTrainedTokenizerFast":
            # All is in tokenizer.json; beside a Qwen2, AutoTokenizer would
            # take Qwen2's rules and add its tokens.
            reader = transformers.PreTrainedTokenizerFast
        theirs = reader.from_pretrained(
            str(folder), local_files_only=True, trust_remote_code=False, **more
        )
        if not theirs.backend_tokenizer.get_vocab(with_added_tokens=False):
            raise ValueError(f"{type(theirs).__name__} found no vocabulary")
    except Exception as error:  # what it raises depends on the files
        raise ValueError(
            f"folder: no tokenizer in the files of {folder}: {error}"
        ) from error
    return theirs, told


def _told(folder):
    """The entries of a folder's small files; a later one wins."""
    told = {}
    for name in ("generation_config", "tokenizer_config", "config"):
        path = folder / f"{name}.json"
        try:
            text = path.read_text("utf-8") if path.exists() else "{}"
            entries = json.loads(text).items()
        except (ValueError, AttributeError) as error:
            raise ValueError(
                f"folder: {path} is not JSON, or no object: {error}"
            ) from error
        told |= {key: value for key, value in entries if value is not None}
    return told


def _token_id(number, name, size):
    """The id of a token below `size`; None for null and -1."""
    if isinstance(number, list):  # several ways to end: the first
        number = number[0] if number else None
    if number is None or number == -1:  # so the first LLaMA files say "none"
        return None
    if type(number) is not int or not 0 <= number < size:
        raise ValueError(f"{name}: expected an id in [0, {size}), got {number!r}")
    return number


def _checked_texts(texts):
    if isinstance(texts, str) or not any(texts):
        raise ValueError(
            f"texts: expected a list of texts, not all empty, got {texts!r}"
        )
    return list(texts)
