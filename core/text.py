"""Tokenizers: text to token ids and back, for Chinese and English.

Three ways to cut a text into tokens: characters, words, and byte pairs that
are merged by frequency.  All three share one interface (`Tokenizer`) and the
same three special tokens: 0 pads, 1 begins, 2 ends a text.
"""

from __future__ import annotations

import logging
import re

import numpy as np

SPECIALS = ("<pad>", "<bos>", "<eos>")

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
    Raises: ValueError for an empty or repeated vocabulary.
    """

    pad_id, bos_id, eos_id = 0, 1, 2

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
                    f"text: {piece!r} is not in the vocabulary of "
                    f"{len(self)} tokens"
                )
        return [self.ids[piece] for piece in pieces]

    def ordinary(self, ids):
        """`ids` up to the first EOS as list of int, without pad and BOS.

        Raises: ValueError for an id outside [0, len(self)).
        """
        kept = []
        for token in map(int, ids):
            if not 0 <= token < len(self):
                raise ValueError(
                    f"ids: expected token ids in [0, {len(self)}), got {token}"
                )
            if token == self.eos_id:
                break
            if token not in (self.pad_id, self.bos_id):
                kept.append(token)
        return kept

    def decode(self, ids):
        """Text of `ids`: stops at the first EOS, skips pad and BOS."""
        return self.join([self.tokens[i] for i in self.ordinary(ids)])

    def encode_batch(self, texts, length, add_eos=False):
        """(B, length) int64, each text padded on the right with `pad_id`.

        Raises: ValueError where a text (with its EOS) is longer than length.
        """
        batch = np.full((len(texts), length), self.pad_id, dtype=np.int64)
        for row, text in zip(batch, texts, strict=True):
            ids = self.encode(text) + [self.eos_id] * add_eos
            if len(ids) > length:
                raise ValueError(
                    f"length: expected at least {len(ids)} for {text!r}, "
                    f"got {length}"
                )
            row[: len(ids)] = ids
        return batch


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
    Source: Sennrich et al. 2016, arXiv:1508.07909; on bytes: GPT-2 (Radford
        et al. 2019).
    """

    def __init__(self, texts, vocab_size):
        from tokenizers import Tokenizer as BPE
        from tokenizers import decoders, models, pre_tokenizers, trainers

        if vocab_size < 259:
            raise ValueError(
                f"vocab_size: expected at least 259, got {vocab_size}"
            )
        alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
        self.bpe = BPE(models.BPE())
        self.bpe.pre_tokenizer = pre_tokenizers.ByteLevel(
            add_prefix_space=False
        )
        self.bpe.decoder = decoders.ByteLevel()
        trainer = trainers.BpeTrainer(
            vocab_size=vocab_size, min_frequency=2, show_progress=False,
            special_tokens=list(SPECIALS), initial_alphabet=alphabet,
        )
        self.bpe.train_from_iterator(_checked_texts(texts), trainer)
        # A text that contains "<eos>" is text, not an end.
        self.bpe.encode_special_tokens = True
        size = self.bpe.get_vocab_size()
        super().__init__([self.bpe.id_to_token(i) for i in range(3, size)])

    def split(self, text):
        return self.bpe.encode(text).tokens

    def join(self, tokens):
        return self.bpe.decode([self.ids[token] for token in tokens])


def _checked_texts(texts):
    if isinstance(texts, str) or not any(texts):
        raise ValueError(
            f"texts: expected a list of texts, not all empty, got {texts!r}"
        )
    return list(texts)
