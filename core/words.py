"""Texts cut into words and joined again, for Chinese and English."""

import logging
import re
from collections.abc import Iterable
from unicodedata import category

from core import checks

CHINESE = "\u3400-\u4dbf\u4e00-\u9fff"
# Accents and vowel signs are no letters for `re`; two joiners stand within words.
MARKS = "".join(c for c in map(chr, range(0x1F000)) if category(c)[0] == "M")
LETTER = rf"[^\W_{CHINESE}][{MARKS}\u200c\u200d]*"
WORD = rf"(?:{LETTER})+"
PIECE = re.compile(rf"[{CHINESE}]+|{WORD}(?:['’.-]{WORD})*|\S[{MARKS}]*")
BEFORE_SPACE = re.compile(rf"(?:{LETTER}|[.,;:!?)\]।])$")
BEHIND_SPACE = re.compile(rf"{LETTER}|[(\[]")


def split_words(text: str) -> list[str]:
    """Cut `text` into words and punctuation marks; spaces are dropped.

    Chinese characters are segmented by jieba with its dictionary alone (HMM=False), so
    that a text is always cut in one way.  A combining mark belongs to what it follows.

    >>> split_words("It's 3.5 km, isn't it?")
    ["It's", '3.5', 'km', ',', "isn't", 'it', '?']
    >>> split_words("欢迎来到Python的世界。")
    ['欢迎', '来到', 'Python', '的', '世界', '。']
    """
    checks.text(text=text)
    words = []
    for piece in PIECE.findall(text):
        if re.match(f"[{CHINESE}]", piece):
            import jieba  # here: only Chinese texts need it

            jieba.setLogLevel(logging.WARNING)
            words += jieba.lcut(piece, HMM=False)
        else:
            words.append(piece)
    return words


def join_words(words: Iterable[str]) -> str:
    """The inverse of `split_words` for text with normal spacing.

    A space stands before a Western word or opening bracket behind a Western word, a
    closing bracket or one of . , ; : ! ? । and nowhere else.  Any other spacing is lost
    (quotation marks, a space between Chinese and Western words, two spaces).

    >>> join_words(["It's", "late", ",", "he", "said", "(", "twice", ")", "."])
    "It's late, he said (twice)."
    >>> join_words(["欢迎", "来到", "Python", "的", "世界", "。"])
    '欢迎来到Python的世界。'
    """
    text = ""
    for word in checks.texts("words", words):
        if BEFORE_SPACE.search(text) and BEHIND_SPACE.match(word):
            text += " "
        text += word
    return text
