"""A grammar that writes stories and reviews in English and in Chinese at
once, and a parser that judges any text by the same grammar.

The grammar is synchronous: an alternative is a pair of right-hand sides,
English and Chinese, with the same nonterminals in orders that may differ.
One random derivation gives a text and its translation.  Each side alone is
an ordinary context-free grammar; the parser (LALR(1), by lark) reads it.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from lark import Lark, Token
from lark.exceptions import UnexpectedToken
from lark.lexer import Lexer

LANGUAGES = ("en", "zh")
KINDS = ("stories", "reviews", "both")
TOPICS = ("film", "book", "hotel", "restaurant", "phone")

# --- The grammar as data --------------------------------------------------
#
# NAME: [alternative, ...]; an alternative is (English, Chinese), or one
# string for both.  Capitals are nonterminals, the rest are words; each
# nonterminal stands at most once on each side.  A mark in a name makes one
# rule per value, with the same value on both sides of the rule:
#   @  the protagonist: HE, SHE, IT, THEY (people), PETS (several animals)
#   %  the same, people only (more alternatives for the rule with @)
#   &  the topic of a review
#   +  good, and - the opposite; then + bad, and - the opposite
# A sentence is a rule whose alternatives end with a full stop or "!".

PEOPLE = ("_HE", "_SHE", "_THEY")
MARKS = (
    [{"@": value} for value in (*PEOPLE, "_IT", "_PETS")],
    [{"%": value} for value in PEOPLE],
    [{"&": f"_{topic.upper()}"} for topic in TOPICS],
    [{"+": "_GOOD", "-": "_BAD"}, {"+": "_BAD", "-": "_GOOD"}],
)

# Whole texts: sentences one after the other.
TEXTS = {
    "STORY": ["TALE_HE", "TALE_SHE", "TALE_IT", "TALE_THEY", "TALE_PETS"],
    "TALE@": [
        "SHORT@ LOSS@",
        "SHORT@ GAIN@",
        "LONG@ LOSS@",
        "LONG@ GAIN@",
        "LONG@ GLADEND@",
        "SHORT@ LOSS@ SADEND@",
        "SHORT@ GAIN@ GLADEND@",
        "SHORT@ MEETRUNNER@ PLAYED@ FRIEND@",
        "OPENOUT@ THEREOUT RAINED HOME@",
        "OPENOUT@ RAINED HOME@ LAST@",
    ],
    "SHORT@": ["OPENIN@", "OPENOUT@"],
    "LONG@": ["OPENIN@ THEREIN", "OPENOUT@ THEREOUT"],
    "LOSS@": [
        "MEETFLYER@ FLEW",
        "MEETFLYER@ FLYERSAW@",
        "MEETRUNNER@ RAN",
        "MEETRUNNER@ FEARED@",
    ],
    "GAIN@": [
        "MEETRUNNER@ PLAYED@",
        "FINDFOOD@ TASTE",
        "FINDFOOD@ ATE@",
        "FINDTOY@ USED@",
        "FINDTOY@ LOOKS",
    ],
    "GAIN%": ["FINDREAD% READS%"],
    "GLADEND@": ["WHATADAY", "GLAD@", "STAYED@", "LIKES@", "LAST@"],
    "SADEND@": ["SAD@", "SANG@", "LAST@"],
    "SAID&+": ["SAYS&+ TRUE", "SAYS&- FALSE"],
}

SENTENCES = {
    "OPENIN@": [
        ("NP@ POSTURE INDOORS .", "NP@ POSTURE 在 INDOORS 。"),
        ("NP@ POSTURE INDOORS WHEN .", "WHEN NP@ POSTURE 在 INDOORS 。"),
        ("ONEDAY , NP@ POSTURE INDOORS .", "ONEDAY ， NP@ POSTURE 在 INDOORS 。"),
    ],
    "OPENOUT@": [
        ("NP@ DID OUTDOORS .", "NP@ 在 OUTDOORS DID 。"),
        ("NP@ DID OUTDOORS WHEN .", "WHEN NP@ 在 OUTDOORS DID 。"),
        ("ONEDAY , NP@ DID OUTDOORS .", "ONEDAY ， NP@ 在 OUTDOORS DID 。"),
    ],
    "THEREIN": [
        ("it was COSY there .", "那里 很 COSY 。"),
        ("it was very COSY there .", "那里 非常 COSY 。"),
        ("the house was COSY .", "屋子 里 很 COSY 。"),
    ],
    "THEREOUT": [
        ("it was FRESH there .", "那里 很 FRESH 。"),
        ("it was very FRESH there .", "那里 非常 FRESH 。"),
        ("the sky was blue .", "天空 很 蓝 。"),
        ("the wind was soft .", "风 很 轻 。"),
    ],
    "MEETFLYER@": [
        ("THEN PRON@ MET AANIMAL FLYER .", "THEN PRON@ MET 了 一 只 AANIMAL FLYER 。")
    ],
    "FLEW": [
        ("the FLYER flew away .", "FLYER 飞 走 了 。"),
        ("the FLYER flew over the roof .", "FLYER 飞 过 了 屋顶 。"),
    ],
    "FLYERSAW@": [
        ("the FLYER did not see OBJ@ .", "FLYER 没有 看见 OBJ@ 。"),
        ("the FLYER did not like OBJ@ .", "FLYER 不 喜欢 OBJ@ 。"),
    ],
    "MEETRUNNER@": [
        ("THEN PRON@ MET AANIMAL RUNNER .", "THEN PRON@ MET 了 一 只 AANIMAL RUNNER 。")
    ],
    "RAN": [
        ("the RUNNER ran away .", "RUNNER 跑 走 了 。"),
        ("the RUNNER hid in a hole .", "RUNNER 躲 进 了 洞 里 。"),
    ],
    "FEARED@": [("the RUNNER was afraid of OBJ@ .", "RUNNER 很 怕 OBJ@ 。")],
    "PLAYED@": [
        ("the RUNNER played with OBJ@ .", "RUNNER 和 OBJ@ 一起 玩 。"),
        ("the RUNNER sat down beside OBJ@ .", "RUNNER 在 OBJ@ 旁边 坐下 了 。"),
    ],
    "FINDFOOD@": [
        ("THEN PRON@ found AFOOD FOOD .", "THEN PRON@ 找到 了 一 个 AFOOD FOOD 。")
    ],
    "TASTE": [
        ("the FOOD was delicious .", "FOOD 很 好吃 。"),
        ("the FOOD was very fresh .", "FOOD 非常 新鲜 。"),
    ],
    "ATE@": [
        ("PRON@ ate the FOOD .", "PRON@ 把 FOOD 吃 了 。"),
        ("PRON@ ate the FOOD at once .", "PRON@ 马上 把 FOOD 吃 了 。"),
        ("PRON@ shared the FOOD with a friend .", "PRON@ 和 朋友 分享 了 FOOD 。"),
    ],
    "FINDTOY@": [
        ("THEN PRON@ found ATHING TOY .", "THEN PRON@ 找到 了 一 个 ATHING TOY 。")
    ],
    "USED@": [
        ("PRON@ played with the TOY .", "PRON@ 玩 了 一会儿 TOY 。"),
        ("PRON@ put the TOY into a bag .", "PRON@ 把 TOY 放 进 了 包 里 。"),
        ("PRON@ gave the TOY to a friend .", "PRON@ 把 TOY 送 给 了 朋友 。"),
    ],
    "LOOKS": [("the TOY looked very nice .", "TOY 看起来 非常 好 。")],
    "FINDREAD%": [
        ("THEN PRON% found ATHING READ .", "THEN PRON% 找到 了 一 本 ATHING READ 。")
    ],
    "READS%": [
        ("PRON% read the READ twice .", "PRON% 把 READ 读 了 两 遍 。"),
        ("PRON% read the READ aloud .", "PRON% 大声 地 读 了 READ 。"),
        ("PRON% put the READ into a bag .", "PRON% 把 READ 放 进 了 包 里 。"),
    ],
    "RAINED": [
        ("THEN it began to rain .", "THEN 下 起 了 雨 。"),
        ("THEN a storm came .", "THEN 来 了 一 场 暴风雨 。"),
    ],
    "HOME@": [
        (
            "PRON@ ran home because PRONWAS@ COLD .",
            "因为 PRONWAS@ COLD ， 所以 PRON@ 跑 回 了 家 。",
        )
    ],
    "WHATADAY": [("what ADAY day !", "真 是 ADAY 一 天 ！")],
    "GLAD@": [
        ("PRONWAS@ HAPPY .", "PRONWAS@ 很 HAPPY 。"),
        ("PRONWAS@ so HAPPY .", "PRONWAS@ HAPPY 极 了 。"),
        ("now PRONIS@ HAPPY .", "现在 PRONIS@ 很 HAPPY 。"),
    ],
    "STAYED@": [
        (
            "PRON@ stayed there because PRONWAS@ HAPPY .",
            "因为 PRONWAS@ 很 HAPPY ， 所以 PRON@ 留 在 了 那里 。",
        )
    ],
    "LIKES@": [
        ("PRONLIKES@ this place .", "PRONLIKES@ 喜欢 这 个 地方 。"),
        ("now PRONHAS@ a good place .", "现在 PRONHAS@ 有 了 好 地方 。"),
    ],
    "FRIEND@": [("now PRONHAS@ a new friend .", "现在 PRONHAS@ 有 了 新 朋友 。")],
    "LAST@": [
        ("at last PRON@ fell asleep .", "最后 PRON@ 睡着 了 。"),
        ("at last PRON@ had dinner .", "最后 PRON@ 吃 了 晚饭 。"),
    ],
    "SAD@": [
        ("PRONWAS@ UNHAPPY .", "PRONWAS@ 很 UNHAPPY 。"),
        ("PRONWAS@ a little UNHAPPY .", "PRONWAS@ 有点 UNHAPPY 。"),
    ],
    "SANG@": [
        (
            "PRON@ sang a song because PRONWAS@ UNHAPPY .",
            "因为 PRONWAS@ 很 UNHAPPY ， 所以 PRON@ 唱 了 一 首 歌 。",
        )
    ],
}

PHRASES = {
    "NP%": [("the HERO%", "HERO%"), ("the APERSON HERO%", "APERSON HERO%")],
    "NP_IT": [("the HERO_IT", "HERO_IT"), ("the APET HERO_IT", "APET HERO_IT")],
    # Chinese nouns have no plural: several animals are counted.
    "NP_PETS": [
        ("COUNT HERO_PETS", "COUNT 只 HERO_PETS"),
        ("COUNT APET HERO_PETS", "COUNT 只 APET HERO_PETS"),
    ],
    "HERO_HE": [
        ("boy", "男孩"),
        ("king", "国王"),
        ("farmer", "农夫"),
        ("grandfather", "爷爷"),
    ],
    "HERO_SHE": [
        ("girl", "女孩"),
        ("queen", "王后"),
        ("teacher", "老师"),
        ("grandmother", "奶奶"),
    ],
    "HERO_IT": [
        ("cat", "猫"),
        ("dog", "狗"),
        ("robot", "机器人"),
        ("rabbit", "兔子"),
        ("monkey", "猴子"),
        ("duck", "鸭子"),
    ],
    "HERO_THEY": [
        ("children", "孩子们"),
        ("boys", "男孩们"),
        ("students", "学生们"),
        ("teachers", "老师们"),
        ("farmers", "农夫们"),
    ],
    "HERO_PETS": [
        ("cats", "猫"),
        ("dogs", "狗"),
        ("rabbits", "兔子"),
        ("monkeys", "猴子"),
        ("ducks", "鸭子"),
    ],
    "COUNT": [("two", "两"), ("three", "三"), ("four", "四")],
    "APERSON": [("kind", "善良 的"), ("clever", "聪明 的"), ("friendly", "友好 的")],
    "APET": [
        ("small", "小"),
        ("big", "大"),
        ("white", "白色 的"),
        ("clever", "聪明 的"),
        ("funny", "有趣 的"),
    ],
    "AANIMAL": [
        ("a small", "小"),
        ("a big", "大"),
        ("a yellow", "黄色 的"),
        ("a pretty", "漂亮 的"),
        ("an odd", "奇怪 的"),
    ],
    "ATHING": [
        ("a new", "新"),
        ("an old", "旧"),
        ("a red", "红色 的"),
        ("a pretty", "漂亮 的"),
        ("a small", "小"),
    ],
    "AFOOD": [
        ("a big", "大"),
        ("a small", "小"),
        ("a sweet", "甜"),
        ("a fresh", "新鲜 的"),
    ],
    "ADAY": [
        ("a lucky", "幸运 的"),
        ("an exciting", "精彩 的"),
        ("a happy", "开心 的"),
    ],
    "FLYER": [("bird", "鸟"), ("butterfly", "蝴蝶"), ("bee", "蜜蜂")],
    "RUNNER": [("mouse", "老鼠"), ("squirrel", "松鼠"), ("frog", "青蛙")],
    "FOOD": [("apple", "苹果"), ("pear", "梨"), ("cake", "蛋糕")],
    "TOY": [("ball", "球"), ("box", "盒子"), ("doll", "娃娃")],
    "READ": [("book", "书"), ("magazine", "杂志")],
    "POSTURE": [("sat", "坐"), ("lay", "躺"), ("stood", "站"), ("stayed", "待")],
    "INDOORS": [
        ("on the mat", "垫子 上"),
        ("on the sofa", "沙发 上"),
        ("by the fire", "火炉 旁"),
        ("by the window", "窗户 旁"),
        ("in the kitchen", "厨房 里"),
    ],
    "DID": [
        ("played", "玩"),
        ("walked", "散步"),
        ("rested", "休息"),
        ("waited for a friend", "等 朋友"),
    ],
    "OUTDOORS": [
        ("in the garden", "花园 里"),
        ("in the park", "公园 里"),
        ("by the river", "河 边"),
        ("under the tree", "树 下"),
    ],
    "WHEN": [
        ("this morning", "今天 早上"),
        ("yesterday", "昨天"),
        ("after lunch", "午饭 后"),
        ("on Sunday", "星期天"),
    ],
    "ONEDAY": [
        ("one day", "有 一 天"),
        ("one morning", "一 天 早上"),
        ("one evening", "一 天 晚上"),
    ],
    "THEN": [
        ("then", "然后"),
        ("soon", "不久"),
        ("suddenly", "突然"),
        ("after a while", "过 了 一会儿"),
    ],
    "MET": [("saw", "看见"), ("met", "遇见"), ("noticed", "发现")],
    "COSY": [("warm", "暖和"), ("quiet", "安静"), ("comfortable", "舒服")],
    "FRESH": [("cool", "凉快"), ("beautiful", "美"), ("peaceful", "宁静")],
    "COLD": [("cold", "很 冷"), ("wet", "淋湿 了"), ("afraid", "害怕")],
    "HAPPY": [("happy", "高兴"), ("glad", "开心"), ("proud", "自豪")],
    "UNHAPPY": [("sad", "难过"), ("lonely", "孤单"), ("tired", "累")],
}

# English verbs agree, Chinese ones do not.
PRONOUNS = {
    "_HE": ("he", "him", "他"),
    "_SHE": ("she", "her", "她"),
    "_IT": ("it", "it", "它"),
    "_THEY": ("they", "them", "他们"),
    "_PETS": ("they", "them", "它们"),
}
VERBS = {
    "WAS": ("was", "were"),
    "IS": ("is", "are"),
    "HAS": ("has", "have"),
    "LIKES": ("likes", "like"),
}
AGREEMENT = {
    f"PRON{verb}{who}": [(f"{he} {forms[he == 'they']}", zh)]
    for verb, forms in VERBS.items()
    for who, (he, _, zh) in PRONOUNS.items()
}
AGREEMENT |= {f"PRON{who}": [(he, zh)] for who, (he, _, zh) in PRONOUNS.items()}
AGREEMENT |= {f"OBJ{who}": [(him, zh)] for who, (_, him, zh) in PRONOUNS.items()}

# A review is for (+) or against (-).  No word tells which: every adjective
# may be negated, every clause outweighed.  ONE and TWO are two aspects, so
# that neither the place nor the aspect of the clause that counts is fixed.
TEMPLATES = ("simple", "but", "although", "last", "despite", "think", "said")
GOOD = [("good", "好"), ("excellent", "出色")]
BAD = [("bad", "糟糕"), ("poor", "差")]
REVIEWS = {
    "SIMPLE&+": [("WHOLE&+ .", "WHOLE&+ 。")],
    "BUT&+": [
        ("ONE&- , but TWO&+ .", "ONE&- ， 但是 TWO&+ 。"),
        ("TWO&- , but ONE&+ .", "TWO&- ， 但是 ONE&+ 。"),
    ],
    "ALTHOUGH&+": [
        ("although ONE&- , TWO&+ .", "虽然 ONE&- ， 但是 TWO&+ 。"),
        ("although TWO&- , ONE&+ .", "虽然 TWO&- ， 但是 ONE&+ 。"),
    ],
    "LAST&+": [
        ("ONE&+ , although TWO&- .", "ONE&+ ， 尽管 TWO&- 。"),
        ("TWO&+ , although ONE&- .", "TWO&+ ， 尽管 ONE&- 。"),
    ],
    "DESPITE&+": [
        ("ONE&+ , even though TWO&- .", "虽然 TWO&- ， 但是 ONE&+ 。"),
        ("TWO&+ , even though ONE&- .", "虽然 ONE&- ， 但是 TWO&+ 。"),
    ],
    "THINK&+": [
        ("we think that PLAIN&+ .", "我们 觉得 PLAIN&+ 。"),
        ("we do not think that PLAIN&- .", "我们 不 觉得 PLAIN&- 。"),
    ],
    "SAYS&+": [("people said that PLAIN&+ .", "大家 都 说 PLAIN&+ 。")],
    "TRUE": [("they were right .", "他们 说 对 了 。")],
    "FALSE": [("they were wrong .", "他们 说 错 了 。")],
    "WHOLE&+": ["PLAIN&+", ("the TOPIC& NOT ADJ&-", "TOPIC& NOT ADJ&-")],
    "PLAIN&+": [("the TOPIC& BE ADJ&+", "TOPIC& BE ADJ&+")],
    "ONE&+": [
        ("the PART& BE ADJ&+", "PART& BE ADJ&+"),
        ("the PART& NOT ADJ&-", "PART& NOT ADJ&-"),
    ],
    "TWO&+": [
        ("the SIDE& BE ADJ&+", "SIDE& BE ADJ&+"),
        ("the SIDE& NOT ADJ&-", "SIDE& NOT ADJ&-"),
    ],
    "BE": [
        ("was", "很"),
        ("was very", "非常"),
        ("was really", "真的 很"),
        ("was quite", "相当"),
    ],
    "NOT": [
        ("was not", "不"),
        ("was not very", "不 太"),
        ("was not at all", "一点 也 不"),
        ("was not really", "并 不"),
    ],
    "TOPIC_FILM": [("film", "这 部 电影")],
    "TOPIC_BOOK": [("book", "这 本 书")],
    "TOPIC_HOTEL": [("hotel", "这 家 酒店")],
    "TOPIC_RESTAURANT": [("restaurant", "这 家 餐厅")],
    "TOPIC_PHONE": [("phone", "这 部 手机")],
    "PART_FILM": [("story", "故事"), ("music", "音乐")],
    "SIDE_FILM": [("acting", "表演"), ("ending", "结局")],
    "PART_BOOK": [("plot", "情节"), ("title", "书名")],
    "SIDE_BOOK": [("style", "文笔"), ("hero", "主角")],
    "PART_HOTEL": [("room", "房间"), ("bed", "床")],
    "SIDE_HOTEL": [("bathroom", "浴室"), ("lobby", "大堂")],
    "PART_RESTAURANT": [("service", "服务"), ("menu", "菜单")],
    "SIDE_RESTAURANT": [("food", "饭菜"), ("tea", "茶")],
    "PART_PHONE": [("screen", "屏幕"), ("camera", "相机")],
    "SIDE_PHONE": [("battery", "电池"), ("sound", "声音")],
    "ADJ_FILM_GOOD": [*GOOD, ("interesting", "有趣"), ("exciting", "精彩")],
    "ADJ_FILM_BAD": [*BAD, ("boring", "无聊"), ("strange", "奇怪")],
    "ADJ_BOOK_GOOD": [*GOOD, ("interesting", "有趣"), ("exciting", "精彩")],
    "ADJ_BOOK_BAD": [*BAD, ("boring", "无聊"), ("strange", "奇怪")],
    "ADJ_HOTEL_GOOD": [*GOOD, ("clean", "干净"), ("comfortable", "舒服")],
    "ADJ_HOTEL_BAD": [*BAD, ("dirty", "脏"), ("small", "小")],
    "ADJ_RESTAURANT_GOOD": [*GOOD, ("popular", "受欢迎")],
    "ADJ_RESTAURANT_BAD": [*BAD, ("expensive", "贵")],
    "ADJ_PHONE_GOOD": [*GOOD, ("useful", "实用")],
    "ADJ_PHONE_BAD": [*BAD, ("ordinary", "普通")],
}

# Chosen once per text: the bird that flies away is the bird that was seen.
KEPT = ("HERO", "FLYER", "RUNNER", "FOOD", "TOY", "READ")


def _expand(rules):
    """One rule per value of each mark, both sides split into symbols."""
    rules = {
        name: [(alt, alt) if isinstance(alt, str) else alt for alt in alts]
        for name, alts in rules.items()
    }
    for values in MARKS:
        expanded = {}
        for name, alts in rules.items():
            marked = any(mark in name for mark in values[0])
            for value in values if marked else [{}]:
                table = str.maketrans(value)
                # A rule that exists (GAIN_HE) gets more alternatives.
                expanded.setdefault(name.translate(table), []).extend(
                    tuple(side.translate(table) for side in alt) for alt in alts
                )
        rules = expanded
    return {
        name: [tuple(tuple(side.split()) for side in alt) for alt in alts]
        for name, alts in rules.items()
    }


RULES = _expand(TEXTS | SENTENCES | PHRASES | AGREEMENT | REVIEWS)

# --- Writing --------------------------------------------------------------


class Story(NamedTuple):
    """A story and its translation."""

    en: str
    zh: str


class Review(NamedTuple):
    """A review and its translation.

    label: 1 for, 0 against.
    topic: one of TOPICS.
    template: one of TEMPLATES, how the opinion is built.
    """

    en: str
    zh: str
    label: int
    topic: str
    template: str


def _derive(name, rng, kept):
    """English and Chinese words, each as one str, of a random derivation."""
    if name in kept:
        return kept[name]
    alternatives = RULES[name]
    en, zh = alternatives[int(rng.random() * len(alternatives))]
    parts = {part: _derive(part, rng, kept) for part in en if part in RULES}
    pair = (
        " ".join([parts[s][0] if s in parts else s for s in en]),
        "".join([parts[s][1] if s in parts else s for s in zh]),
    )
    if name.split("_")[0] in KEPT:
        kept[name] = pair
    return pair


def _spaced(words):
    """English words as text: capitals, no space before punctuation."""
    text = re.sub(r" (?=[.,!])", "", words)
    return re.sub(r"(?:^|(?<=[.!] )).", lambda m: m[0].upper(), text)


def story(rng):
    """A story of three or four sentences about one protagonist.

    rng: np.random.Generator that draws it.
    Returns: Story(en, zh).

    >>> en, zh = story(np.random.default_rng(11))
    >>> en
    'The grandfather played in the garden. The wind was soft. \
He likes this place.'
    >>> zh
    '爷爷在花园里玩。风很轻。他喜欢这个地方。'
    """
    en, zh = _derive("STORY", rng, {})
    return Story(_spaced(en), zh)


def review(rng):
    """A review of one or two sentences, for or against.

    Label, topic and template are uniform and independent of each other.

    rng: np.random.Generator that draws it.
    Returns: Review(en, zh, label, topic, template).

    >>> review(np.random.default_rng(7))
    Review(en='We think that the phone was useful.', \
zh='我们觉得这部手机很实用。', label=1, topic='phone', template='think')
    """
    label = int(rng.random() * 2)
    topic = TOPICS[int(rng.random() * len(TOPICS))]
    template = TEMPLATES[int(rng.random() * len(TEMPLATES))]
    opinion = ("BAD", "GOOD")[label]
    name = f"{template}_{topic}_{opinion}".upper()
    en, zh = _derive(name, rng, {})
    return Review(_spaced(en), zh, label, topic, template)


def corpus(n, seed, kind="stories", language="en"):
    """n texts, the same for the same seed.

    Args:
        n: at least 1.
        seed: int or sequence of int.
        kind: "stories", "reviews", or "both": two stories, one review, and
            so on.
        language: "en", "zh", or "both": English and Chinese in turn, each
            text in one of them.
    Returns: list of n str; some may be equal, reviews more often.
    Raises: ValueError for n < 1 or another kind or language.

    >>> corpus(2, seed=0, kind="reviews", language="zh")
    ['这本书一点也不无聊。', '我们觉得这部手机真的很好。']
    """
    if n < 1:
        raise ValueError(f"n: expected at least 1, got {n}")
    _check("kind", kind, KINDS)
    _check("language", language, (*LANGUAGES, "both"))
    rng = np.random.default_rng(seed)
    texts = []
    for i in range(n):
        told = kind == "stories" or (kind == "both" and i % 3 < 2)
        pair = story(rng) if told else review(rng)
        side = LANGUAGES[i % 2] if language == "both" else language
        texts.append(getattr(pair, side))
    return texts


def _check(name, value, allowed):
    if value not in allowed:
        expected = " or ".join(map(repr, allowed))
        raise ValueError(f"{name}: expected {expected}, got {value!r}")


# --- Reading --------------------------------------------------------------

ENDS = (".", "!", "。", "！")


def _one_language(side):
    """The rules of one language: name to its alternatives (tuples of str).

    Rules that say the same become one: "they" is one English word, but two
    Chinese ones, for people and for animals.
    """
    rules = {
        name: tuple(sorted({alt[side] for alt in alts})) for name, alts in RULES.items()
    }
    while True:
        first = {}
        same = {n: first.setdefault(alts, n) for n, alts in rules.items()}
        if len(first) == len(rules):
            return rules
        rules = {
            name: tuple(
                sorted(
                    {tuple(same.get(symbol, symbol) for symbol in alt) for alt in alts}
                )
            )
            for alts, name in first.items()
        }


class _NoLexer(Lexer):
    """The parser is fed word by word; lark's own lexer stays out."""

    def __init__(self, lexer_conf):
        pass

    def lex(self, lexer_state, parser_state):
        return iter(())


@lru_cache
def _build(language):
    """lark's parser of a language, and the terminal of each of its words."""
    rules = _one_language(LANGUAGES.index(language))
    symbols = {s for alts in rules.values() for alt in alts for s in alt}
    words = sorted(symbols - set(rules))
    terminals = {word: f"W{i}" for i, word in enumerate(words)}
    sentences = [n for n, alts in rules.items() if alts[0][-1] in ENDS]
    lines = ["text: sentence+", "sentence: " + " | ".join(sentences).lower()]
    lines += [f'{terminals[word]}: "{word}"' for word in words]
    for name, alts in rules.items():
        sides = [" ".join(terminals.get(s, s.lower()) for s in alt) for alt in alts]
        lines.append(f"{name.lower()}: {' | '.join(sides)}")
    # strict: a conflict of the grammar is an error, not a silent choice.
    parser = Lark(
        "\n".join(lines), start="text", parser="lalr", lexer=_NoLexer, strict=True
    )
    return parser, terminals


class Parser:
    """Judges texts by the grammar of one language, sentence by sentence.

    Any sequence of grammatical sentences is grammatical, a repeated one as
    well: whether a text makes sense is another question.  English sentences
    begin with a capital, and one space stands between words; space around
    a text does not count.

    language: "en" or "zh".
    Raises: ValueError for another language.

    >>> parser = Parser("en")
    >>> parser.parses("The cat sat on the mat.")
    True
    >>> parser.accepted("The cat sat on the sky and")
    (5, 7)
    >>> sorted(parser.next_words("The cat sat on the"))
    ['mat', 'sofa']
    >>> Parser("zh").words("猫坐在垫子上。")
    ['猫', '坐', '在', '垫子', '上', '。']
    """

    def __init__(self, language):
        _check("language", language, LANGUAGES)
        self.language = language
        self._lark, self._terminals = _build(language)
        self._words = {t: word for word, t in self._terminals.items()}
        longest_first = sorted(self._terminals, key=len, reverse=True)
        self._longest = re.compile(
            "|".join([*map(re.escape, longest_first), "."]), re.DOTALL
        )

    def words(self, text):
        """`text` as list of words and punctuation marks, known or not.

        Chinese: always the longest word that fits, else one character.
        """
        text = text.strip()
        if self.language == "zh":
            return self._longest.findall(text)
        # Two spaces leave an empty word, which no grammar has.
        spaced = re.sub(r"(?=[.,!](?: |$))", " ", text)
        return spaced.split(" ") if text else []

    def parses(self, text):
        """True where `text` is one or more grammatical, whole sentences."""
        words = self.words(text)
        return bool(words) and words[-1] in ENDS and self._fits(words)

    def accepted(self, text):
        """How far `text` is grammatical: (words before the first that no
        grammatical text has in its place, all words).
        """
        words = self.words(text)
        return self._read(words)[1], len(words)

    def next_words(self, text):
        """Set of the words that may follow `text`; empty after an error.

        >>> sorted(Parser("en").next_words("It was very"))[:3]
        ['beautiful', 'comfortable', 'cool']
        """
        words = self.words(text)
        state, n_read = self._read(words)
        if n_read < len(words):
            return set()
        found = {self._words[t] for t in state.accepts() - {"$END"}}
        if self.language == "en" and _starts(words, len(words)):
            found = {word[0].upper() + word[1:] for word in found}
        return found

    def score(self, text):
        """Share of the words that lie in grammatical sentences, in [0, 1].

        A last sentence without its end counts where it can be continued to
        a grammatical one.  An empty text scores 0.

        >>> Parser("en").score("The cat sat on the mat. Mat on it sat.")
        0.5833333333333334
        """
        words = self.words(text)
        good, first = 0, 0
        for i, word in enumerate(words):
            if word in ENDS or i == len(words) - 1:
                sentence = words[first : i + 1]
                good += len(sentence) * self._fits(sentence)
                first = i + 1
        return good / len(words) if words else 0.0

    def _fits(self, words):
        return self._read(words)[1] == len(words)

    def _read(self, words):
        """lark's state after the leading words it accepts, and their number."""
        state = self._lark.parse_interactive("")
        for i, word in enumerate(words):
            if self.language == "en" and _starts(words, i):
                capital = word[:1].isupper()
                word = word[0].lower() + word[1:] if capital else ""
            try:
                state.feed_token(Token(self._terminals[word], word))
            except (KeyError, UnexpectedToken):
                return state, i
        return state, len(words)


def _starts(words, i):
    """True where word i begins a sentence."""
    return i == 0 or words[i - 1] in ENDS
