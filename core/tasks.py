"""The data that the chapters train on: texts to be continued (English, Chinese),
written here, and sequences of digits to be sorted, made from a seed.
"""

import numpy as np

from core import checks

DOCUMENT_000_TEXT = "你好世界，欢迎来到Python编程的世界。"

DIGIT_VOCAB_SIZE = 13  # 0 pad, 1 BOS, 2 EOS, digit d is token 3 + d
FIRST_DIGIT = 3

# The first English pair is printed in document 003, section 5.4.
CONTINUATIONS = {  # a beginning, the end of it, the next beginning, ...
    "en": [
        "The quick brown fox jumps over the lazy dog",
        "and quickly catches the hound that chases it.",
        "Two small boats leave the harbour before dawn",
        "because calm water lets them fish until noon.",
        "A young teacher opens the window of her classroom",
        "so that fresh air reaches every sleepy pupil inside.",
        "The old clock in the station stopped last night",
        "but nobody noticed until three trains had left early.",
        "My neighbour plants tomatoes behind the garden wall",
        "where warm bricks keep their roots safe from frost.",
        "Heavy rain fell on the mountain for two days",
        "then a brown river carried stones into our valley.",
        "The baker wakes up when the street is dark",
        "and sells hot bread to workers at six.",
        "Our robot learns to write one word at a time",
        "while each reward tells it which token was good.",
    ],
    "zh": [
        "敏捷的棕色狐狸跳过了那只懒狗",
        "并且很快抓住了追赶它的猎犬。",
        "两条小船在天亮之前离开港口",
        "因为平静的海面让渔民更容易捕鱼。",
        "年轻的老师推开教室的窗户",
        "让新鲜空气唤醒每个打瞌睡的学生。",
        "车站里的旧钟昨晚停了",
        "但是直到三趟火车开走都没有人发现。",
        "邻居在院墙后面种了西红柿",
        "那里温暖的砖头可以保护根不受霜冻。",
        "大雨在山上连续下了两天",
        "于是浑浊的河水把石头冲进山谷。",
        "面包师在街道还黑的时候起床",
        "六点钟就把热面包卖给工人。",
        "我们的机器人一次只写一个词",
        "每个奖励都告诉它刚才选得好不好。",
    ],
}


def continuations(language: str = "en") -> tuple[list[str], list[str]]:
    """Eight beginnings of sentences and the one wanted end of each, in "en" or "zh".

    Returns: prompts, targets: two lists of 8 str; 8 to 12 word tokens in a target.

    >>> prompts, targets = continuations("en")
    >>> prompts[6], targets[6]
    ('The baker wakes up when the street is dark', \
'and sells hot bread to workers at six.')
    """
    checks.one_of(tuple(CONTINUATIONS), language=language)
    return CONTINUATIONS[language][::2], CONTINUATIONS[language][1::2]


def sort_digits(n: int, length: int, rng: np.random.Generator):
    """n ≥ 1 random sequences of length ≥ 1 of digits, to be put in ascending order.

    Returns: prompts, targets: each (n, length) int64; digit d is token 3 + d.

    >>> prompts, targets = sort_digits(1, 4, np.random.default_rng(0))
    >>> prompts.tolist(), targets.tolist()
    ([[11, 9, 8, 5]], [[5, 8, 9, 11]])
    """
    checks.whole(1, n=n, length=length)
    prompts = rng.integers(FIRST_DIGIT, DIGIT_VOCAB_SIZE, size=(n, length))
    return prompts, np.sort(prompts, axis=1)
