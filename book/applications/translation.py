"""Chinese to English: sentences and translations from one small grammar.

A template says how a sentence is built, such as ("past", "question",
"people", "place", "relative"); words are drawn into it on both sides at once.
What the two languages do not share has to be learned: time and place before
the verb, 了 and 会 for the tense, 吗 for do-support, 把, relative clauses
before their noun; measure words; articles, number and agreement.

Chinese is written word by word, with spaces between, so that no segmenter
decides what a token is.  English is in lower case, except "I".
"""

from __future__ import annotations

from functools import cache
from itertools import product
from typing import NamedTuple

import numpy as np
from rapidfuzz.distance import Levenshtein

from applications import metrics
from core import checks, rewards
from core.envs import BatchedEnvironment
from core.settings import SupervisedConfig
from core.text import WordTokenizer, split_words

# The supervised start that travels with the book (starters.py).
MODEL = {"n_embd": 64, "n_layer": 2, "n_head": 4}
SUPERVISED = SupervisedConfig(steps=800, learning_rate=3e-3)
BATCH_SIZE = 64
LONGEST = 14  # tokens a side
SIZES = {"train": 400, "scored": 2000, "sample": 300, "test": 300}

# --- Words ----------------------------------------------------------------

PRONOUNS = {  # subject, object, possessive
    "我": ("I", "me", "my"),
    "你": ("you", "you", "your"),
    "他": ("he", "him", "his"),
    "她": ("she", "her", "her"),
    "我们": ("we", "us", "our"),
    "他们": ("they", "them", "their"),
}
PEOPLE = {  # one, several
    "老师": ("teacher", "teachers"),
    "学生": ("student", "students"),
    "医生": ("doctor", "doctors"),
    "朋友": ("friend", "friends"),
    "孩子": ("child", "children"),
}
THINGS = {  # measure word, one, several
    "书": ("本", "book", "books"),
    "词典": ("本", "dictionary", "dictionaries"),
    "信": ("封", "letter", "letters"),
    "地图": ("张", "map", "maps"),
    "苹果": ("个", "apple", "apples"),
    "鸡蛋": ("个", "egg", "eggs"),
    "杯子": ("个", "cup", "cups"),
    "椅子": ("把", "chair", "chairs"),
    "雨伞": ("把", "umbrella", "umbrellas"),
    "衬衫": ("件", "shirt", "shirts"),
    "自行车": ("辆", "bicycle", "bicycles"),
    "电影": ("部", "film", "films"),
}
# Chinese, base, third person, past, -ing, and what it is done to.
VERBS = [
    ("买", "buy", "buys", "bought", "buying", "书 信 地图 苹果 杯子 椅子 衬衫"),
    (
        "找",
        "look for",
        "looks for",
        "looked for",
        "looking for",
        "书 词典 信 地图 雨伞 杯子 自行车",
    ),
    ("看", "read", "reads", "read", "reading", "书 词典 信 地图"),
    ("看", "watch", "watches", "watched", "watching", "电影"),
    ("画", "draw", "draws", "drew", "drawing", "苹果 鸡蛋 椅子 雨伞 自行车"),
    ("写", "write", "writes", "wrote", "writing", "书 词典 信"),
    ("吃", "eat", "eats", "ate", "eating", "苹果 鸡蛋"),
    ("洗", "wash", "washes", "washed", "washing", "苹果 杯子 衬衫 椅子"),
    ("修", "repair", "repairs", "repaired", "repairing", "椅子 雨伞 自行车"),
]
PUT = ("放 在", "put", "puts", "put", "putting")
GIVE = ("给", "give", "gives", "gave", "giving")
ADJECTIVES = {"新": "new", "旧": "old", "红色": "red", "小": "small"}
NUMBERS = {"一": "a", "两": "two", "三": "three"}
THESE = {"这": "this", "那": "that", "这些": "these", "那些": "those"}
TIMES = {
    "present": {"每天": "every day"},
    "progressive": {"现在": "now"},
    "past": {"昨天": "yesterday", "上周": "last week"},
    "future": {"明天": "tomorrow", "下周": "next week"},
}
PLACES = {
    "学校": "at school",
    "图书馆": "in the library",
    "公园": "in the park",
    "家 里": "at home",
    "火车 上": "on the train",
}
SPOTS = {"桌子 上": "on the table", "箱子 里": "in the box"}
# Words that are forms of one word, for `wrong_forms`.
FORMS = [
    *PRONOUNS.values(),
    *PEOPLE.values(),
    *(t[1:] for t in THINGS.values()),
    *([form.split()[0] for form in v[1:5]] for v in (*VERBS, PUT, GIVE)),
    ("do", "does", "did"),
    ("am", "is", "are"),
    ("a", "an"),
    ("this", "these"),
    ("that", "those"),
]
LEMMA = {form: forms[0] for forms in FORMS for form in forms}

CONSTRUCTIONS = {
    "tense": ("present", "past", "future", "progressive"),
    "mood": ("statement", "negation", "question"),
    "subject": ("pronoun", "person", "people", "owned person"),
    "frame": ("plain", "place", "ba", "give"),
    "object": ("number", "this", "owned", "adjective", "relative", "bare"),
}
# Pairs that no training sentence combines; every test sentence has one.
HELD_OUT = (
    ("question", "relative"),
    ("negation", "ba"),
    ("future", "place"),
    ("progressive", "owned person"),
    ("people", "adjective"),
    ("give", "this"),
)


# --- Data, tokenizer, environment -----------------------------------------


class Pair(NamedTuple):
    """A sentence, its translation, and how they are built."""

    zh: str
    en: str
    template: tuple[str, ...]


def pairs(split, seed=0):
    """The sentences of a split, no English one twice in all of them.

    "train" has the references that the start learns from; "scored" is like
    it, but a training may use its references in a score only.  "sample" is
    held out by sample, its templates are those of training; in "test" every
    template combines a pair of HELD_OUT.

    Args:
        split: of SIZES.
    Returns: tuple of Pair.
    """
    if split not in SIZES:
        raise ValueError(f"split: expected one of {tuple(SIZES)}, got {split!r}")
    if split == "test":
        return _drawn(True, SIZES["test"], seed)
    known = [name for name in SIZES if name != "test"]
    data = _drawn(False, sum(SIZES[name] for name in known), seed)
    first = sum(SIZES[name] for name in known[: known.index(split)])
    return data[first : first + SIZES[split]]


@cache
def _drawn(new, size, seed):
    """Pairs whose templates do or do not combine a pair of HELD_OUT."""
    rng, found = np.random.default_rng(seed), {}
    usable = [t for t in templates() if bool(held_out(t)) == new]
    while len(found) < size:
        template = usable[rng.integers(len(usable))]
        zh, en = make(template, rng)
        longest = max(len(zh.split()), len(split_words(en)))
        if longest <= LONGEST:
            found.setdefault(en, Pair(zh, en, template))
    return tuple(found.values())


@cache
def tokenizer():
    """One token for each word of either language."""
    zh = [
        *PRONOUNS,
        *PEOPLE,
        *THINGS,
        *(t[0] for t in THINGS.values()),
        *(v[0] for v in (*VERBS, PUT, GIVE)),
        *ADJECTIVES,
        *NUMBERS,
        *THESE,
        *(time for times in TIMES.values() for time in times),
        *PLACES,
        *SPOTS,
        "们 的 了 会 不 没有 正在 在 把 吗 。 ？",
    ]
    en = [
        *LEMMA,
        *ADJECTIVES.values(),
        *NUMBERS.values(),
        *(time for times in TIMES.values() for time in times.values()),
        *PLACES.values(),
        *SPOTS.values(),
        "the that will not for . ?",
    ]
    return WordTokenizer([*zh, *en])


def environment(split, token_reward=None, seed=0):
    """The sentences of a split to translate.

    Args:
        token_reward: f(completions, mask, targets) -> (B, T); None: the
            sentence's BLEU, paid with its last token.
        seed: another one draws other sentences of the same templates.
    """
    tok, data = tokenizer(), pairs(split, seed)
    if token_reward is None:
        token_reward = rewards.token_from_text(metrics.bleu, tok)
    prompts, mask = tok.encode_prompts([pair.zh for pair in data])
    targets = tok.encode_batch([pair.en for pair in data], LONGEST + 1, add_eos=True)
    return BatchedEnvironment(
        prompts,
        targets,
        token_reward,
        len(tok),
        eos_id=tok.eos_id,
        tokenizer=tok,
        prompt_mask=mask,
    )


def wrong_forms(completions, targets):
    """Errors of agreement, tense and number: the right word, wrongly formed.

    Completion and target are aligned by their dictionary forms, so that
    "reads" meets "read" and "an" meets "a"; a missing or another word is no
    error of this kind.

    Args:
        completions, targets: lists of English texts, no target empty.
    Returns: (errors, aligned), two ints: of the words that are aligned, how
        many have another form.

    >>> wrong_forms(["he read two book."], ["he reads two books."])
    (2, 5)
    """
    completions = checks.texts("completions", completions)
    targets = checks.texts("targets", targets, len(completions))
    if not all(text.strip() for text in targets):
        raise ValueError("targets: expected texts that are not empty")
    errors = aligned = 0
    for made, wanted in zip(completions, targets, strict=True):
        made, wanted = split_words(made), split_words(wanted)
        lemmas = [[LEMMA.get(w, w) for w in text] for text in (made, wanted)]
        for step in Levenshtein.opcodes(*lemmas):
            if step.tag == "equal":
                old = made[step.src_start : step.src_end]
                new = wanted[step.dest_start : step.dest_end]
                errors += sum(a != b for a, b in zip(old, new, strict=True))
                aligned += len(old)
    return errors, aligned


# --- Constructions --------------------------------------------------------


def templates():
    """All combinations that make sense: a definite object with 把, no
    "bare" one elsewhere, no negated progressive."""
    definite = ("this", "owned", "relative", "bare")
    return [
        t
        for t in product(*CONSTRUCTIONS.values())
        if (t[4] in definite if t[3] == "ba" else t[4] != "bare")
        and not (t[0] == "progressive" and t[1] == "negation")
    ]


def held_out(template):
    """The pairs of HELD_OUT that a template combines."""
    return [pair for pair in HELD_OUT if set(pair) <= set(template)]


def make(template, rng):
    """A sentence of this template and its translation, words drawn.

    Returns: (zh, en), texts with a space between all words of zh.
    """
    tense, mood, subject, frame, kind = template
    who, name, be = _subject(subject, rng)
    verb, thing = GIVE, _draw(THINGS, rng)
    if frame in ("plain", "place"):
        *verb, fits = VERBS[rng.integers(len(VERBS))]
        thing = _draw(fits.split(), rng)
    zh_object, en_object = _object(kind, thing, rng)
    place = ("", "")
    if frame == "place":
        place = _entry(PLACES, rng)
    elif frame == "ba":
        verb, place = PUT, _entry(SPOTS, rng)
    elif frame == "give":
        person = _draw([p for p in PRONOUNS if p != who], rng)
        zh_object = f"{person} {zh_object}"
        en_object = f"{PRONOUNS[person][1]} {en_object}"
    time = _entry(TIMES[tense], rng) if rng.random() < 0.5 else ("", "")
    zh = _chinese(tense, mood, frame, who, verb[0], zh_object, place[0], time[0], rng)
    en = _english(tense, mood, name, be, verb[1:], en_object)
    en = f"{en} {place[1]} {time[1]}"
    end = ("？", "?") if mood == "question" else ("。", ".")
    return f"{' '.join(zh.split())} {end[0]}", " ".join(en.split()) + end[1]


def _chinese(tense, mood, frame, who, verb, thing, place, time, rng):
    """Time and subject, what comes before the verb, the verb, the rest."""
    before = {"future": "会", "progressive": "正在"}.get(tense, "")
    if mood == "negation":
        before = "没有" if tense == "past" else f"不 {before}"
    done = "了" if tense == "past" and mood != "negation" else ""
    opening = f"{who} {time}" if rng.random() < 0.5 else f"{time} {who}"
    if frame == "ba":
        rest = f"把 {thing} {verb} {done} {place}"
    else:
        at = "" if tense == "progressive" else "在"  # 正在 has it already
        at = f"{at} {place}" if place else ""
        rest = f"{at} {verb} {done} {thing}"
    ask = "吗" if mood == "question" else ""
    return f"{opening} {before} {rest} {ask}"


def _english(tense, mood, name, be, verb, thing):
    """Subject, auxiliary, verb and object; place and time follow."""
    base, third, past, ing = verb
    single = be == "is"
    helper = {
        "present": "does" if single else "do",
        "past": "did",
        "future": "will",
        "progressive": be,
    }[tense]
    main = ing if tense == "progressive" else base
    if mood == "question":
        return f"{helper} {name} {main} {thing}"
    if mood == "negation":
        return f"{name} {helper} not {main} {thing}"
    if tense in ("future", "progressive"):
        return f"{name} {helper} {main} {thing}"
    now = third if single else base
    return f"{name} {now if tense == 'present' else past} {thing}"


def _subject(kind, rng):
    """Chinese, English, and its form of "be"."""
    pronoun, person = _draw(PRONOUNS, rng), _draw(PEOPLE, rng)
    one, several = PEOPLE[person]
    if kind == "pronoun":
        be = {"我": "am", "他": "is", "她": "is"}.get(pronoun, "are")
        return pronoun, PRONOUNS[pronoun][0], be
    if kind == "people":
        return f"{person} 们", f"the {several}", "are"
    if kind == "person":
        return person, f"the {one}", "is"
    return f"{pronoun} 的 {person}", f"{PRONOUNS[pronoun][2]} {one}", "is"


def _object(kind, thing, rng):
    """Chinese and English; 的 and measure word on one side, article and
    number on the other."""
    measure, one, several = THINGS[thing]
    if kind == "bare":
        return thing, f"the {one}"
    if kind == "owned":
        pronoun = _draw(PRONOUNS, rng)
        return f"{pronoun} 的 {thing}", f"{PRONOUNS[pronoun][2]} {one}"
    if kind == "relative":
        pronoun = _draw(PRONOUNS, rng)
        fits = [v for v in VERBS if thing in v[5].split()]
        verb = fits[rng.integers(len(fits))]
        return (
            f"{pronoun} {verb[0]} 的 {thing}",
            f"the {one} that {PRONOUNS[pronoun][0]} {verb[3]}",
        )
    if kind == "this":
        zh, en = _entry(THESE, rng)
        noun = several if zh.endswith("些") else one
        return f"{zh} {'' if zh.endswith('些') else measure} {thing}", (f"{en} {noun}")
    zh, en = _entry(NUMBERS, rng)
    noun = one if zh == "一" else several
    how = _entry(ADJECTIVES, rng) if kind == "adjective" else ("", "")
    noun = f"{how[1]} {noun}".strip()
    if en == "a" and noun[0] in "aeiou":
        en = "an"
    attribute = f"{how[0]} 的" if how[0] else ""
    return f"{zh} {measure} {attribute} {thing}", f"{en} {noun}"


def _draw(options, rng):
    return list(options)[rng.integers(len(options))]


def _entry(table, rng):
    """A key and its value."""
    key = _draw(table, rng)
    return key, table[key]
