"""Stories continued from a beginning, each token judged as it is written.

Document 004's reward, half grammar and half coherence: a parser says whether
the words so far begin a grammatical sentence, a frozen language model how
likely each token is after the text so far.

B texts, P prompt, T completion length, L tokens of both, BOS included.
"""

from __future__ import annotations

import re

import numpy as np

from applications import grammar, metrics, pretraining
from core.envs import BatchedEnvironment
from core.settings import SupervisedConfig

SPLITS = ("train", "test")
MAX_LENGTH = 28  # tokens after the prompt: about three sentences
WORST = 10.0  # nats; a token this unlikely has no coherence
SENTENCE = re.compile(r"(?<=[.!]) |(?<=[。！])(?=.)")  # between two sentences

# A start that loops is the book's GPT after these steps on `looping_texts`,
# BATCH_SIZE rows of ROW_LENGTH tokens each.
SUPERVISED = SupervisedConfig(steps=100, learning_rate=3e-3, warmup_steps=5)
BATCH_SIZE, ROW_LENGTH = 16, 34
STORIES = {"n": 14000, "seed": 105}  # what those texts are made of

# Heroes that are one token each for the book's GPT, so that all prompts have
# one length and batches no padding; reinforcement learning sees none of
# HELD_OUT.
HEROES = {
    "en": ("cat", "dog", "rabbit", "monkey", "duck", "boy", "farmer", "teacher"),
    "zh": ("猫", "狗", "兔子", "猴子", "鸭子", "男孩", "农夫", "老师"),
}
HELD_OUT = ("cat", "teacher", "猫", "老师")
# (one of these, then one of those); Chinese names the time first.
PLACES = {
    "en": (
        (("sat", "lay", "stood", "stayed"), ("on", "by", "in")),
        (("played", "walked", "rested"), ("in", "by", "under")),
    ),
    "zh": (
        (
            ("今天早上", "午饭后", "星期天"),
            ("坐", "躺", "站", "待", "在花园里", "在公园里", "在树下"),
        ),
    ),
}


# --- Prompts and environment ----------------------------------------------


def prompts(split, language="en"):
    """The beginnings of a split; its heroes are in no other.

    Returns: list of str, such as "The dog sat on" and "午饭后狗坐".
    Raises: ValueError for another split or language.
    """
    if split not in SPLITS:
        raise ValueError(f"split: expected one of {SPLITS}, got {split!r}")
    if language not in grammar.LANGUAGES:
        raise ValueError(
            f"language: expected one of {grammar.LANGUAGES}, got {language!r}"
        )
    pairs = [
        (first, then)
        for group in PLACES[language]
        for first in group[0]
        for then in group[1]
    ]
    heroes = [
        hero for hero in HEROES[language] if (hero in HELD_OUT) == (split == "test")
    ]
    if language == "en":
        return [
            f"The {hero} {verb} {where}" for hero in heroes for verb, where in pairs
        ]
    return [when + hero + did for hero in heroes for when, did in pairs]


def environment(split, token_reward, tokenizer, language="en", max_length=MAX_LENGTH):
    """The prompts of a split, to be continued."""
    texts = prompts(split, language)
    return continuations(texts, token_reward, tokenizer, max_length)


def continuations(texts, token_reward, tokenizer, max_length=MAX_LENGTH):
    """Continue `texts`, prompts of one length in tokens.

    The targets that the reward reads are the prompts once more.
    Raises: ValueError for prompts of several lengths.
    """
    # GPT-2 has one token for BOS and EOS: a text there begins without it.
    begin = [] if tokenizer.bos_id in (None, tokenizer.eos_id) else [tokenizer.bos_id]
    ids = [begin + tokenizer.encode(text) for text in texts]
    if len({len(row) for row in ids}) != 1:
        raise ValueError(
            "texts: expected prompts of one length in tokens, "
            f"got {sorted({len(row) for row in ids})}"
        )
    return BatchedEnvironment(
        ids,
        ids,
        token_reward,
        len(tokenizer),
        eos_id=tokenizer.eos_id,
        pad_id=tokenizer.pad_id,
        tokenizer=tokenizer,
        max_length=max_length,
    )


# --- Texts that teach a model to loop -------------------------------------


def looping_texts(language="en", share=0.7, times=5):
    """Stories, of which `share` say one sentence again and again.

    The sentences said again are those that begin as the prompts of both
    splits do, the whole stories are others.
    Raises: ValueError for a share outside [0.2, 1), or times below 1.
    """
    if not 0.2 <= share < 1:
        raise ValueError(f"share: expected a number in [0.2, 1), got {share}")
    if times < 1:
        raise ValueError(f"times: expected at least 1, got {times}")
    begins = (*prompts("train", language), *prompts("test", language))
    told = grammar.corpus(**STORIES, language=language)
    space = " " if language == "en" else ""
    texts = [
        space.join([SENTENCE.split(text)[0]] * times)
        for text in told
        if text.startswith(begins)
    ]
    whole = [text for text in told if not text.startswith(begins)]
    texts += whole[: round(len(texts) * (1 / share - 1))]
    np.random.default_rng(0).shuffle(texts)
    return texts


def supervised_batches(texts, tokenizer):
    """The batches of SUPERVISED.steps updates, for a `SupervisedTrainer`."""
    rows = pretraining.packed_rows(tokenizer, texts, ROW_LENGTH)
    size = BATCH_SIZE * SUPERVISED.steps
    if len(rows) < size:
        raise ValueError(
            f"texts: expected to fill {size} rows of {ROW_LENGTH} tokens, "
            f"got {len(rows)}"
        )
    return [
        pretraining.next_tokens(batch)
        for batch in np.split(rows[:size], SUPERVISED.steps)
    ]


# --- The two halves of the reward -----------------------------------------


def word_verdicts(text, parser):
    """1 for each word that fits the words of its sentence before it."""
    verdicts = []
    for sentence in SENTENCE.split(text):
        fitting, words = parser.accepted(sentence)
        verdicts += [1.0] * fitting + [0.0] * (words - fitting)
    return verdicts


def token_grammar(ids, mask, tokenizer, parser):
    """Verdict on the word in which each token ends; (B, L) float."""
    paid = np.zeros(ids.shape)
    special = tokenizer.pad_id, tokenizer.bos_id, tokenizer.mask_id
    for i, length in enumerate(np.sum(mask, axis=1).astype(int)):
        first = int(ids[i, 0] == tokenizer.bos_id)
        row = ids[i, first:length]
        text = tokenizer.decode(row)
        verdicts = character_verdicts(text, parser)
        ends = [len(tokenizer.decode(row[: t + 1])) for t in range(len(row))]
        paid[i, first:length] = verdicts[np.array(ends, dtype=int) - 1]
        paid[i][np.isin(ids[i], special)] = 0.0  # they write nothing
        if len(row) and row[-1] == tokenizer.eos_id:
            paid[i, length - 1] = parser.parses(SENTENCE.split(text)[-1])
    return paid


def character_verdicts(text, parser):
    """The verdict on the word of each character, and 0 after the last."""
    verdicts, end = np.zeros(len(text) + 1), 0
    words = [w for s in SENTENCE.split(text) for w in parser.words(s)]
    for word, verdict in zip(words, word_verdicts(text, parser), strict=True):
        start, end = end, text.index(word, end) + len(word)
        verdicts[start:end] = verdict
    return verdicts


def token_coherence(loglikelihood):
    """The score of each token from its log-likelihood in nats."""
    return np.clip(1 + loglikelihood / WORST, 0, 1)


def instant_scores(loglikelihood, tokenizer, parser):
    """Both scores of each token of a completion.

    Args:
        loglikelihood: f(prompts, completions, mask) -> (B, T) nats, of a
            frozen model: `token_loglikelihood` of `core.pt.rewards` or
            `core.tf.rewards` with its first argument bound.
    Returns: f(completions, mask, prompts) -> coherence, grammar: (B, T).
    """

    def scores(completions, mask, prompts):
        likely = loglikelihood(prompts, completions, mask)
        ids = np.hstack([prompts, completions])
        seen = np.hstack([np.ones(prompts.shape), mask])
        verdicts = token_grammar(ids, seen, tokenizer, parser)
        return token_coherence(likely), verdicts[:, prompts.shape[1] :]

    return scores


def instant_reward(scores, weights=(0.5, 0.5)):
    """The token reward of `continuations`: both scores, weighted."""

    def token_reward(completions, mask, prompts):
        coherence, grammatical = scores(completions, mask, prompts)
        return weights[0] * coherence + weights[1] * grammatical

    return token_reward


# --- Whole texts ----------------------------------------------------------


def text_scores(texts, scores, tokenizer):
    """(coherence, grammar) of each text, both with one number a token."""
    lengths = np.array([len(tokenizer.encode(text)) for text in texts])
    ids = tokenizer.encode_batch(texts, lengths.max())
    mask = (np.arange(lengths.max()) < lengths[:, None]).astype(float)
    bos = np.full((len(texts), 1), tokenizer.bos_id)
    halves = zip(*scores(ids, mask, bos), lengths, strict=True)
    return [(c[:n], g[:n]) for c, g, n in halves]


def repeated(text):
    """Share of the whole sentences that the text has said before."""
    whole = [s for s in SENTENCE.split(text) if s[-1:] in grammar.ENDS]
    return 1 - len(set(whole)) / len(whole) if whole else 0.0


def new_sentences(text, parser):
    """Share of the whole sentences that are grammatical and said for the first time.

    0 for a text without a whole sentence, so that neither a loop nor text
    that is no language gains by it.
    """
    whole = [s for s in SENTENCE.split(text) if s[-1:] in grammar.ENDS]
    new = {s for s in whole if parser.parses(s)}
    return len(new) / len(whole) if whole else 0.0


def measures(batch, scores, tokenizer):
    """Means over the texts of a `Rollout`, by name.

    "reward", "coherence", "grammar": per token of the completion;
    "repeated", "distinct-1", "distinct-2": in each text, prompt included;
    "distinct-2 of all": of all texts together.
    """
    halves = scores(batch.completions, batch.mask, batch.prompts)
    coherence, grammatical = (
        ((half * batch.mask).sum(axis=1) / batch.mask.sum(axis=1)).mean()
        for half in halves
    )
    texts = whole_texts(batch, tokenizer)
    return {
        "reward": 0.5 * coherence + 0.5 * grammatical,
        "coherence": coherence,
        "grammar": grammatical,
        "repeated": np.mean([repeated(text) for text in texts]),
        "distinct-1": np.mean([metrics.distinct_n([t], 1) for t in texts]),
        "distinct-2": np.mean([metrics.distinct_n([t], 2) for t in texts]),
        "distinct-2 of all": metrics.distinct_n(texts, 2),
    }


def whole_texts(batch, tokenizer):
    """Prompt and completion of each row of a `Rollout` as one text."""
    ids = np.hstack([batch.prompts, batch.completions])
    return [tokenizer.decode(row) for row in ids]
