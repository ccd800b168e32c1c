"""A table booked over several turns, with users made by rule.

A user wants a day, a time and a number of people, and says some of it.  The
agent's turn asks for slots by name ("time ?"), says values to have them
confirmed ("friday people ?") or books ("book friday 7pm four").  One word is
a token; the conversation so far is the prompt of the next turn.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import product

import numpy as np

from core.envs import BatchedEnvironment
from core.rewards import token_exact_match
from core.settings import SupervisedConfig
from core.text import WordTokenizer, split_words
from core.types import Rollout

DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
TIMES = ("noon", "1pm", "6pm", "7pm", "8pm", "9pm")
PEOPLE = ("two", "three", "four", "five", "six")
SLOTS = {"day": DAYS, "time": TIMES, "people": PEOPLE}
HOURS = dict(zip(TIMES, "twelve one six seven eight nine".split()))
BESIDES_ME = dict(zip(PEOPLE, "one two three four five".split()))
SLOT_OF = {word: slot for slot, values in SLOTS.items() for word in (slot, *values)}

MAX_TURNS = 3  # of the agent; without a booking by then there is none
TURN_LENGTH = 5  # tokens of an agent's turn, EOS included
PROMPT_LENGTH = 32  # last tokens of the conversation that the agent reads
TURN_COST = 0.03  # reward
MISHEARD = 0.15  # chance that the agent hears another value than was said
OTHER_WORDS = 0.4  # chance of a value in other words
UNSAID = 0.3  # chance of a slot to be left out of the opening
CHANGES = 0.3  # share of users who change their mind

# The supervised start that travels with the book (starters.py).
MODEL = {"n_embd": 64, "n_layer": 2, "n_head": 4}
SUPERVISED = SupervisedConfig(steps=900, learning_rate=2e-3)
BATCH_SIZE = 64
SPLITS = ("train", "test")
TEST_SHARE = 0.2  # of all combinations of day, time and people
# How often the scripted agent, whose dialogues teach the start, takes a turn
# in each manner.
MANNERS = {"hasty": 0.25, "plain": 0.4, "careful": 0.35}
SLIP = 0.1  # chance that it does not notice a value that was said again


def tokenizer():
    """One token for each word of users and agent."""
    words = [
        "user agent book ? yes no wait pardon today tomorrow on at for",
        "me and",
        *SLOT_OF,
        *HOURS.values(),
        *BESIDES_ME.values(),
    ]
    return WordTokenizer([" ".join(words)])


def goals(split, seed=0):
    """Combinations of day, time and people: none is in both splits.

    Args: split: "train" or "test".
    Returns: list of (day, time, people).
    """
    if split not in SPLITS:
        raise ValueError(f"split: expected one of {SPLITS}, got {split!r}")
    every = list(product(*SLOTS.values()))
    order = np.random.default_rng(seed).permutation(len(every))
    held_out = set(order[: int(TEST_SHARE * len(every))].tolist())
    return [
        goal for i, goal in enumerate(every) if (i in held_out) == (split == "test")
    ]


def users(split, count, rng, changes=CHANGES, misheard=MISHEARD):
    """`count` users with goals drawn from a split.

    Args:
        rng: np.random.Generator.
        changes: share of users who change one slot of their goal.
        misheard: chance that a value is heard as another one.
    Returns: list of `User`.
    """
    if count < 1:
        raise ValueError(f"count: expected at least 1, got {count}")
    for name, value in (("changes", changes), ("misheard", misheard)):
        if not 0 <= value <= 1:
            raise ValueError(f"{name}: expected a number in [0, 1], got {value}")
    pool, made = goals(split), []
    for seed in rng.integers(2**32, size=count):
        draw = np.random.default_rng(seed)
        goal = pool[draw.integers(len(pool))]
        near = [g for g in pool if sum(a != b for a, b in zip(g, goal)) == 1]
        later = None
        if near and draw.random() < changes:
            later = near[draw.integers(len(near))]
        made.append(User(goal, later, misheard, draw))
    return made


def parse(turn):
    """What an agent's turn does.

    Args: turn: its text.
    Returns: ("book" or "ask", {slot: value, or the slot's name}), or None
        where the turn is neither.

    >>> parse("friday people ?")
    ('ask', {'day': 'friday', 'people': 'people'})
    """
    words = split_words(turn)
    act = "book" if words[:1] == ["book"] else "ask"
    said = words[1:] if act == "book" else words[:-1]
    slots = [SLOT_OF.get(word) for word in said]
    if slots != [slot for slot in SLOTS if slot in slots] or not slots:
        return None  # a word that is no slot, or not once and in order
    complete = len(slots) == len(SLOTS) and not set(said) & set(SLOTS)
    if (act == "book" and not complete) or (act == "ask" and words[-1] != "?"):
        return None
    return act, dict(zip(slots, said))


class User:
    """Someone who wants a table; all chance is drawn from `rng`.

    Args:
        goal: (day, time, people).
        later: the goal after a change of mind, told in the first or second
            answer; None: no change.
        misheard: chance that the agent hears another value.
        rng: np.random.Generator, the user's own.
    Attributes:
        today: a day; a conversation begins with it.
        heard: {slot: value}, what was last understood of each slot.
        content: the last answer was "yes".
        changed: the mind was changed.
    """

    def __init__(self, goal, later, misheard, rng):
        if goal not in product(*SLOTS.values()):
            raise ValueError(f"goal: expected (day, time, people) of SLOTS, got {goal}")
        self.goal, self.later = goal, later
        self.misheard, self.rng = misheard, rng
        self.today = DAYS[rng.integers(len(DAYS))]
        self.change_in = int(rng.integers(1, 3))  # answers
        self.heard, self.content, self.changed = {}, False, False

    def opening(self):
        """The conversation's first words: today, and some of the slots."""
        said = [slot for slot in SLOTS if self.rng.random() >= UNSAID]
        if not said:
            said = [list(SLOTS)[self.rng.integers(len(SLOTS))]]
        return f"{self.today} user {self._mentions(said)}"

    def answer(self, turn):
        """What the user says to an agent's turn."""
        understood = parse(turn)
        asked = {} if understood is None else understood[1]
        moved = self._change() - set(asked)
        wanted = dict(zip(SLOTS, self.goal))
        wrong = any(word not in (slot, wanted[slot]) for slot, word in asked.items())
        to_say = [slot for slot, word in asked.items() if word != wanted[slot]]
        parts = ["pardon"] if understood is None else ["no"] * wrong
        parts += [self._mentions(to_say)] if to_say else []
        if moved:
            parts += ["wait", self._mentions(moved)]
        self.content = not parts
        return " ".join(parts or ["yes"])

    def _change(self):
        """The slots in which the goal changes before this answer."""
        self.change_in -= 1
        if self.change_in or self.later is None:
            return set()
        self.changed = True
        before, self.goal = self.goal, self.later
        return {slot for slot, a, b in zip(SLOTS, before, self.goal) if a != b}

    def _mentions(self, slots):
        """The values of slots in any order, as the agent hears them."""
        slots = sorted(slots, key=list(SLOTS).index)
        wanted = dict(zip(SLOTS, self.goal))
        said = []
        for slot in self.rng.permutation(slots).tolist():
            value = wanted[slot]
            if self.rng.random() < self.misheard:
                others = [v for v in SLOTS[slot] if v != value]
                value = others[self.rng.integers(len(others))]
            self.heard[slot] = value
            said.append(self._words(slot, value))
        return " ".join(said)

    def _words(self, slot, value):
        """One of the ways to say a value."""
        other = self.rng.random() < OTHER_WORDS
        if slot == "day":
            ahead = (DAYS.index(value) - DAYS.index(self.today)) % len(DAYS)
            near = ahead < 2 and other
            return ("today", "tomorrow")[ahead] if near else f"on {value}"
        if slot == "time":
            return f"at {HOURS[value] if other else value}"
        return f"me and {BESIDES_ME[value]}" if other else f"for {value}"


# --- The scripted agent, and what the start learns from it ------------------


def scripted_turn(user, known, last, manner, rng):
    """What a rule says next, from what it `known`s of the slots.

    "hasty" books at once and guesses what it does not know, "plain" asks for
    what is missing, "careful" also says what it knows, until the user is
    content.  The last turn books in any manner.
    """
    missing = [slot for slot in SLOTS if slot not in known]
    sure = not missing and (manner != "careful" or user.content)
    if last or sure or manner == "hasty":
        guess = {s: v[rng.integers(len(v))] for s, v in SLOTS.items()}
        return " ".join(["book", *(known.get(s, guess[s]) for s in SLOTS)])
    said = SLOTS if manner == "careful" else missing
    return " ".join([*(known.get(slot, slot) for slot in said), "?"])


def scripted(user, rng, manners=None, slip=SLIP):
    """Pairs (conversation so far, the script's turn), up to its booking.

    Args:
        user: `User`, who is used up.
        manners: {manner: share}, drawn anew each turn; None: MANNERS.
        slip: chance that the script keeps the older value of a slot.
    """
    manners, known, pairs = manners or MANNERS, {}, []
    history = user.opening()
    for turn in range(1, MAX_TURNS + 1):
        for slot, value in user.heard.items():
            if slot not in known or rng.random() >= slip:
                known[slot] = value
        manner = rng.choice(list(manners), p=list(manners.values()))
        said = scripted_turn(user, known, turn == MAX_TURNS, manner, rng)
        pairs.append((f"{history} agent", said))
        if said.startswith("book"):
            break
        history = f"{history} agent {said} user {user.answer(said)}"
    return pairs


def environment(split, token_reward=token_exact_match, dialogues=3000, reached=False):
    """The script's turns of a split: prompts are conversations so far.

    reached: leave out the dialogues that miss their goal.
    """
    rng, pairs = np.random.default_rng(SPLITS.index(split)), []
    for user in users(split, dialogues, rng):
        played = scripted(user, rng)
        if not reached or played[-1][1] == " ".join(["book", *user.goal]):
            pairs += played
    histories, turns = zip(*pairs)
    tok = tokenizer()
    targets = tok.encode_batch(turns, TURN_LENGTH, add_eos=True)
    return _environment(histories, targets, token_reward)


# --- Conversations with a policy, and the credit of its tokens --------------


@dataclass
class Talks:
    """N conversations of a policy, one row for each turn of the agent.

    batch: Rollout of K · N rows, turn by turn: row k N + i is turn k of
        conversation i.  A row behind the end of its conversation has one
        token in its mask, and no reward.
    going: (K, N) bool, the conversation had not ended before this turn.
    right: (K · N, T) float, 1 on a token that books a right slot.
    booked: (K · N,) bool, the turn is a booking.
    reached: (N,) bool, booked as wanted.
    texts: N lists of what was said, user and agent in turn.
    """

    batch: Rollout
    going: np.ndarray
    right: np.ndarray
    booked: np.ndarray
    reached: np.ndarray
    texts: list


def converse(rollout, policy, people, rng=None):
    """A policy talks to all users at once, turn by turn.

    All K turns have N rows and prompts of one length, whatever is said, so
    that a compiled framework compiles once.

    Args:
        rollout: the function of `core.pt.rollout` or `core.tf.rollout`.
        policy: its policy.
        people: list of `User`, who are used up.
        rng: NumPy generator of the policy's noise; None is greedy.
    Returns: Talks.
    """
    if not people:
        raise ValueError("people: expected at least one user")
    texts = [[user.opening()] for user in people]
    going, turns = np.ones(len(people), dtype=bool), []
    for _ in range(MAX_TURNS):
        env = next_turns(texts)
        batch = rollout(policy, env, np.arange(len(people)), rng)
        last = batch.mask.sum(axis=1).astype(int) - 1
        batch.mask[~going, 1:] = batch.logprobs[~going, 1:] = 0
        right, before = np.zeros(batch.rewards.shape), going.copy()
        said = env.texts(batch.completions)
        for i in np.flatnonzero(before):
            batch.rewards[i, last[i]] -= TURN_COST
            texts[i].append(said[i])
            understood = parse(said[i])
            if understood and understood[0] == "book":
                right[i] = _right(batch.completions[i], people[i].goal)
                batch.rewards[i, last[i]] += float(right[i].sum() == 3)
                going[i] = False
            else:
                texts[i].append(people[i].answer(said[i]))
        turns.append((batch, before, right, before & ~going))
    batches, alive, right, booked = zip(*turns)
    right = np.concatenate(right)
    reached = right.sum(axis=1).reshape(MAX_TURNS, -1).sum(axis=0) == 3
    return Talks(
        Rollout.concatenate(batches),
        np.array(alive),
        right,
        np.concatenate(booked),
        reached,
        texts,
    )


LEVELS = ("conversation", "turn", "token")
_SLOT_PLACES = np.isin(np.arange(TURN_LENGTH), (1, 2, 3))  # behind "book"


def advantages(talks, level):
    """What each token of a conversation is credited with.

    - "conversation": the reward of all its turns, less the mean of all
      conversations;
    - "turn": the reward from this turn on, less the mean of those
      conversations that have got to this turn;
    - "token": the same, but a token that books a slot answers for that slot
      alone: 1 where it is right, less the share of bookings that have this
      slot right.

    Returns: (K · N, T) float, 0 behind a turn's or a conversation's end.
    Raises: ValueError for another level.
    """
    if level not in LEVELS:
        raise ValueError(f"level: expected one of {LEVELS}, got {level!r}")
    going, right = talks.going, talks.right
    paid = talks.batch.rewards.sum(axis=1).reshape(going.shape)  # (K, N)
    score = np.cumsum(paid[::-1], axis=0)[::-1]  # from each turn on
    if level == "conversation":
        score = score[:1] - score[0].mean()
    else:
        total = (score * going).sum(axis=1, keepdims=True)
        score = score - total / np.maximum(going.sum(axis=1), 1)[:, None]
    adv = (score * going).reshape(-1, 1) * talks.batch.mask
    if level == "token":
        share = right.sum(axis=0) / max(talks.booked.sum(), 1)
        slots = talks.booked[:, None] & _SLOT_PLACES
        adv = np.where(slots, right - share, adv)
    return adv


def credited(talks, level):
    """The Rollout whose returns-to-go within each row are `advantages`.

    `PolicyGradientTrainer.update` takes it, with the advantage `Return`.
    """
    adv = advantages(talks, level)
    return replace(talks.batch, rewards=-np.diff(adv, append=0.0))


def next_turns(texts):
    """The environment whose prompts are conversations so far; it pays 0.

    Args: texts: lists of what was said, user and agent in turn.
    """
    if not texts or not all(texts):
        raise ValueError(f"texts: expected conversations, got {texts!r:.60}")
    histories = []
    for talk in texts:
        said = [
            f"{('user', 'agent')[k % 2]} {text}" if k else text
            for k, text in enumerate(talk)
        ]
        histories.append(" ".join([*said, "agent"]))
    empty = np.zeros((len(texts), TURN_LENGTH), dtype=np.int64)
    return _environment(histories, empty, _unpaid)


def _right(completion, goal):
    """(T,) float, 1 on the tokens of a booking that name a wanted value."""
    wanted = np.zeros(TURN_LENGTH)
    wanted[1:4] = tokenizer().encode(" ".join(goal))
    return 1.0 * ((completion == wanted) & _SLOT_PLACES)


def _unpaid(completions, mask, targets):
    return np.zeros(completions.shape)


def _environment(histories, targets, token_reward):
    """Prompts of one length, padded on the left."""
    tok = tokenizer()
    ids = np.full((len(targets), PROMPT_LENGTH), tok.pad_id)
    mask = np.zeros(ids.shape)
    for row, seen, history in zip(ids, mask, histories):
        read = tok.encode(history)[-PROMPT_LENGTH:]
        row[-len(read) :], seen[-len(read) :] = read, 1
    return BatchedEnvironment(
        ids,
        targets,
        token_reward,
        len(tok),
        eos_id=tok.eos_id,
        tokenizer=tok,
        prompt_mask=mask,
    )
