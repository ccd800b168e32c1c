"""Questions about five facts that stand in the prompt, or "unknown".

"Ben lives in Port Vila. Hugo lives in New York. Mia lives in another town. the
cook is Ben. the pilot is Hugo. in which city is the pilot" needs two facts
(two hops), "in which city is Ben" one.  Where a fact names nothing ("another
town", "nobody"), the right answer is "unknown".
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, partial

import numpy as np

from applications import metrics
from core import checks, rewards
from core.envs import BatchedEnvironment
from core.settings import SupervisedConfig
from core.text import WordTokenizer

# The supervised start that travels with the book (starters.py).
MODEL = {"n_embd": 64, "n_layer": 2, "n_head": 4}
SUPERVISED = SupervisedConfig(steps=2200, learning_rate=2e-3, decay="none")
BATCH_SIZE = 32
WORKED = "worked"  # the split that it is trained on
SIZES = {"worked": 6000, "train": 3000, "test": 900, "pairs": 400}
KINDS = ("one hop", "two hops", "no answer")
SHARES = {"worked": (0.4, 0.45, 0.15)}  # of the kinds; else a third each
GUESSED = 0.7  # of the questions without answer, in the split "worked"
UNKNOWN, NOWHERE, NOBODY = "unknown", "another town", "nobody"
# A prompt names one person of each group and one job of each, in this order.
PEOPLE = (
    ("Ann", "Ben", "Cleo", "Dan", "Eva"),
    ("Finn", "Gina", "Hugo", "Ida", "Jack"),
    ("Kate", "Leo", "Mia", "Nick", "Olga"),
)
JOBS = (("baker", "cook", "driver"), ("nurse", "pilot", "teacher"))
CITIES = (
    "New York",
    "New Delhi",
    "San Juan",
    "San Jose",
    "Cape Town",
    "Cape Coast",
    "Port Louis",
    "Port Vila",
)
NAMES, WORK = sum(PEOPLE, ()), sum(JOBS, ())
ORDER = {word: i for i, word in enumerate((*WORK, *NAMES, *CITIES))}
HOME = (
    "where is the home of {}",
    "in which city is {}",
    "tell me the city of {}",
    "tell me the home of {}",
)  # held out: last
HOLDER = ("who is {}", "tell me who is {}")


@dataclass(frozen=True)
class Question:
    """Five facts and a question about them.

    facts: pairs (person, city), three, then (job, person), two.
    asked: places in `facts` of those that the answer needs, in order.
    template: the question, {} for its subject.
    Raises: ValueError without a fact that answers it, or without subject.
    """

    facts: tuple[tuple[str, str], ...]
    asked: tuple[int, ...]
    template: str

    def __post_init__(self):
        if not self.asked or max(self.asked) >= len(self.facts):
            raise ValueError(
                f"asked: expected places of the {len(self.facts)} facts that "
                f"answer the question, got {self.asked}"
            )
        if not self.answer or "{}" not in self.template:
            raise ValueError(
                "template, facts: expected {} in the question and an answer, "
                f"got {self.template!r} and {self.answer!r}"
            )

    @property
    def prompt(self):
        """All that the model reads; its last word is the subject."""
        told = [
            f"the {a} is {b}." if a in WORK else f"{a} lives in {b}."
            for a, b in self.facts
        ]
        subject = self.facts[self.asked[0]][0]
        job = subject in WORK
        text = self.template.format(f"the {subject}" if job else subject)
        return " ".join([*told, text])

    @property
    def answer(self):
        """The last fact's object, UNKNOWN where a fact names nothing."""
        found = [self.facts[i][1] for i in self.asked]
        return UNKNOWN if {NOWHERE, NOBODY} & set(found) else found[-1]

    @property
    def kind(self):
        """One of KINDS."""
        if self.answer == UNKNOWN:
            return "no answer"
        return "one hop" if len(self.asked) == 1 else "two hops"


def new_pair(subject, value):
    """Whether only the split "pairs" states this fact: one in five."""
    known = subject in ORDER and value in ORDER
    return known and (ORDER[subject] + ORDER[value]) % 5 == 0


def new_people(question):
    """Whether only "test" and "pairs" have its people together: one in five.

    Two of the three are together in every split.
    """
    people = [subject for subject, _ in question.facts if subject in NAMES]
    return sum(ORDER[name] for name in people) % 5 == 0


@cache
def questions(split, seed=0):
    """The questions of a split, a tuple.

    "worked" is for the supervised start, "train" for reinforcement learning.
    "test" has other people together, and half of its questions for a home in
    words that neither uses.  "pairs" is as "test", and the facts that its
    answers need are such as no other split states.

    Raises: ValueError for another split.
    """
    if split not in SIZES:
        raise ValueError(f"split: expected one of {(*SIZES,)}, got {split!r}")
    rng = np.random.default_rng([seed, list(SIZES).index(split)])
    found = []
    for kind in rng.choice(KINDS, SIZES[split], p=SHARES.get(split)):
        question = _draw(rng, split, kind)
        while question.kind != kind or not _fits(question, split):
            question = _draw(rng, split, kind)
        found.append(question)
    return tuple(found)


def _fits(question, split):
    """Whether a split may have a question."""
    new = [new_pair(*fact) for fact in question.facts]
    if new_people(question) != (split in ("test", "pairs")):
        return False
    if split != "pairs":
        return not any(new)
    return all(
        new[i] or question.facts[i][1] in (NOWHERE, NOBODY) for i in question.asked
    )


def _draw(rng, split, kind):
    """A question that may be of a kind, in the words of a split."""
    people = [group[rng.integers(len(group))] for group in PEOPLE]
    jobs = [group[rng.integers(len(group))] for group in JOBS]
    cities = [CITIES[i] for i in rng.permutation(len(CITIES))[:3]]
    who = rng.permutation(3)[:2]
    facts = [*zip(people, cities), *zip(jobs, [people[i] for i in who])]
    j = rng.integers(2)
    asked = [(rng.integers(3),), (3 + j,), (3 + j, who[j])][
        2 if kind == "two hops" else rng.integers(2 + (kind == "no answer"))
    ]
    blank = rng.integers(5)  # every prompt has a fact that names nothing
    facts[blank] = facts[blank][0], (NOWHERE if blank < 3 else NOBODY)
    templates = HOLDER if asked == (3 + j,) else HOME[:-1]
    if templates != HOLDER and split in ("test", "pairs") and rng.integers(2):
        templates = HOME[-1:]
    template = templates[rng.integers(len(templates))]
    return Question(tuple(facts), tuple(map(int, asked)), template)


def tokenizer():
    """One token for each word and full stop of the facts and questions."""
    texts = [
        *NAMES,
        *WORK,
        *CITIES,
        UNKNOWN,
        NOWHERE,
        NOBODY,
        "lives in. the is",
        *HOME,
        *HOLDER,
    ]
    return WordTokenizer([text.replace("{}", "") for text in texts])


def written(split, seed=0):
    """The answers that people wrote, a list: in "worked" they often guess.

    There GUESSED of the questions without an answer got the name or the city
    of another fact; in the other splits all answers are right.
    """
    rng, answers = np.random.default_rng(seed), []
    for question in questions(split, seed):
        answer = question.answer
        if (answer, split) == (UNKNOWN, WORKED) and rng.random() < GUESSED:
            kind = NAMES if question.template in HOLDER else CITIES
            told = [b for _, b in question.facts if b in kind]
            answer = told[rng.integers(len(told))]
        answers.append(answer)
    return answers


def environment(split, token_reward=rewards.token_exact_match, seed=0):
    """The questions of a split; the answer written, with EOS, earns 1.

    Another seed draws other questions of the same split.
    """
    tok = tokenizer()
    prompts, mask = tok.encode_prompts([q.prompt for q in questions(split, seed)])
    return BatchedEnvironment(
        prompts,
        tok.encode_batch(written(split, seed), 3, add_eos=True),
        token_reward,
        len(tok),
        eos_id=tok.eos_id,
        tokenizer=tok,
        prompt_mask=mask,
    )


def abstention(completions, *, target, cost=1.0, **columns):
    """1 for a right answer, 0 for "unknown", -cost for a wrong one.

    >>> abstention(["New York", "unknown", "New", ""],
    ...            target=["New York"] * 4, cost=0.5)
    [1.0, 0.0, -0.5, -0.5]
    """
    checks.at_least(0, cost=cost)
    completions = checks.texts("completions", completions, chat=True)
    right = rewards.exact_match(completions, target=target)
    return [
        0.0 if text == UNKNOWN else 1.0 if hit else -float(cost)
        for text, hit in zip(completions, right, strict=True)
    ]


def token_abstention(cost):
    """`abstention` as a token reward, on the last token of an answer."""
    return rewards.token_from_text(partial(abstention, cost=cost), tokenizer())


def scores(asked, answers):
    """Metrics of answers to questions, a dict of floats in [0, 1].

    "exact match", also of each kind; "F1, two hops"; "abstained", the share
    of "unknown"; "accuracy if answered", 1 where nothing is answered.

    Raises: ValueError where a kind is missing or the lengths differ.
    """
    if {question.kind for question in asked} != set(KINDS):
        raise ValueError(f"asked: expected at least one each of {KINDS}")
    target = [question.answer for question in asked]
    right = np.array(rewards.exact_match(answers, target=target))
    f1 = np.array(metrics.token_f1(answers, target=target))
    kinds = np.array([question.kind for question in asked])
    silent = np.array([answer == UNKNOWN for answer in answers])
    found = {"exact match": right.mean()}
    for kind in KINDS:
        found[f"exact match, {kind}"] = right[kinds == kind].mean()
    found["F1, two hops"] = f1[kinds == "two hops"].mean()
    found["abstained"] = silent.mean()
    said = right[~silent]
    found["accuracy if answered"] = said.mean() if len(said) else 1.0
    return {name: float(value) for name, value in found.items()}
