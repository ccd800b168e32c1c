"""The source documents' programs, repaired: what of them needs no framework.

`core.pt.listings` and `core.tf.listings` have a module for each document, with
its own names in its order; `main` runs its program.  `models`, `trainers` ... are
those modules of a framework; B texts, T tokens.
"""

import re
from argparse import ArgumentParser
from dataclasses import replace
from functools import partial
from importlib import import_module
from inspect import signature
from pathlib import Path

import numpy as np

from core import checks
from core.advantages import BatchMean, Learned
from core.algorithms import Algorithm
from core.batched import BatchedEnvironment
from core.buffer import ExperienceBuffer
from core.envs import TextGenerationEnv
from core.pretraining import answers, next_tokens, padded_rows
from core.rewards import token_edit_regret, token_position_match
from core.settings import PolicyGradientConfig, SupervisedConfig
from core.text import ASCII_WORD, PretrainedTokenizer
from core.types import Rollout

# A token is credited with its own reward, less the mean at the same place.
IMMEDIATE = PolicyGradientConfig(Algorithm(BatchMean()), gamma=0.0, warmup_steps=0)

# --- Document 000: rewards teach a text, token by token -----------------------


def preprocess_data(text: str) -> list[str]:
    """The tokens of a text: characters, and Western words as a whole."""
    tokens = ASCII_WORD.findall(text)
    return tokens


class TextEnvironment:
    """64 times a text; a state (64, 1 + t) is what begins a text and t tokens."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens = preprocess_data(text)
        self.vocabulary = list(dict.fromkeys(self.tokens))
        self.reset()

    def reset(self) -> None:
        """Begin all texts."""
        self.current_state = np.full((64, 1), len(self.vocabulary))
        self.current_action = None

    def step(self, action):
        """Write a token (B,): the new state, and 1 where it is right there (B,)."""
        written = self.current_state.shape[1] - 1
        goes_on = written < len(self.tokens)
        checks.require(goes_on, "step: the text has ended; call reset first")
        right = self.tokens[written]
        self.current_state = np.column_stack([self.current_state, action])
        self.current_action = action
        reward = 1.0 * (action == self.vocabulary.index(right))
        return self.current_state, reward


def train_agent(agent, env: TextEnvironment, episodes: int = 100) -> None:
    """In each episode the agent writes B texts, then learns from their rewards."""
    for _ in range(episodes):
        env.reset()
        actions = []
        rewards = []
        for _ in env.tokens:
            action = agent.act(env.current_state)
            _, reward = env.step(action)
            actions.append(action)
            rewards.append(reward)
        states = env.current_state[:, :-1]  # the last one holds those before it
        agent.learn(states, np.stack(actions, axis=1), np.stack(rewards, axis=1))


def trainer_of(agent, kind):
    """The trainer of an agent, whose `learn` gives it an `episode`."""
    size = len(agent.env.vocabulary) + 1
    # Its own reward is not asked for: an episode brings the environment's.
    task = BatchedEnvironment([[0]], [[0]], token_position_match, size)
    settings = replace(IMMEDIATE, learning_rate=1e-2, entropy_coef=0.1)
    return kind(agent.model, task, settings)


def episode(states, actions, rewards) -> Rollout:
    """Whole texts, (B, T) each, as a trainer reads them."""
    ones, rows = np.ones(actions.shape), np.zeros(len(actions), dtype=int)
    return Rollout(states[:, :1], actions, ones, 0 * ones, rewards, rows == 0, rows)


def written_text(agent, env: TextEnvironment) -> str:
    """What the agent writes with the likeliest tokens, which it takes from here on."""
    agent.rng = None
    env.reset()
    for _ in env.tokens:
        env.step(agent.act(env.current_state))
    return "".join([*env.vocabulary, ""][i] for i in env.current_state[0])


# --- Document 001: the algorithm of section 3 sorts digits --------------------


class LMEnvironment:
    """An input sequence, to be answered by a target sequence, of token ids."""

    def __init__(self, input_seq, target_seq, vocab_size: int) -> None:
        checks.at_least(1, target_seq=len(target_seq))
        self.input_seq = input_seq
        self.target_seq = target_seq
        self.vocab_size = vocab_size
        self.state = (input_seq, [])

    def step(self, action: int) -> tuple[tuple, float, bool]:
        """The state with one token more, what it adds to the reward, the end."""
        checks.token_id(self.vocab_size, action=action)
        input_seq, output_seq = self.state
        before = self.reward_function(output_seq, self.target_seq)
        output_seq = [*output_seq, action]
        self.state = (input_seq, output_seq)
        reward = self.reward_function(output_seq, self.target_seq) - before
        done = len(output_seq) >= len(self.target_seq)
        return self.state, reward, done

    def reward_function(self, output_seq, target_seq) -> float:
        """The share of the target's tokens that the output has at their place."""
        return sum(o == t for o, t in zip(output_seq, target_seq)) / len(target_seq)


def sort_digits(models, rollout, trainers) -> None:
    """Section 3; prints which share of 500 unseen inputs the policy sorts."""
    numbers = np.random.default_rng(42).permutation(10_000)[:2000, None]
    inputs = 3 + numbers // [1000, 100, 10, 1] % 10  # digit d is token 3 + d
    seen, unseen = (
        BatchedEnvironment(x, np.sort(x, axis=1), token_position_match, vocab_size=13)
        for x in (inputs[:1500], inputs[1500:])
    )
    # 3.1: a policy that was shown right answers for a short time, and a baseline.
    policy = models.LSTMPolicy(13, hidden_dim=64, seed=42)
    teacher = trainers.SupervisedTrainer(policy, SupervisedConfig(60, 1e-2))
    shown = answers(seen, 64, np.random.default_rng(42))
    teacher.train(((ids[:1], right, seen) for ids, right, seen in shown), False)
    # 4.1 to 4.3: R(Y|X) less a learned b(X), and an entropy bonus.
    learned = Algorithm(Learned(total=True))
    settings = replace(IMMEDIATE, algorithm=learned, gamma=1.0, entropy_coef=0.01)
    settings = replace(settings, batch_size=256)
    baseline = models.BaselineNetwork(13, seed=42)
    trainer = trainers.PolicyGradientTrainer(policy, seen, settings, baseline)
    buffer = ExperienceBuffer(batches=2)
    for iteration in range(201):  # 3.4
        if iteration % 50 == 0:
            outputs = rollout.rollout(policy, unseen, np.arange(500)).completions
            right = (outputs == unseen.targets).all(axis=1).mean()
            print(f"Iteration {iteration}: sorted {right:.2f}")
        buffer.add(trainer.draw())  # 3.2: X, Y, R(Y|X)
        # 3.3; weighted, as an older policy drew half of what the buffer holds.
        trainer.update(buffer.sample(256, trainer.rng), reused=True)


# --- Document 002: a classifier, trained and evaluated ------------------------


def reviews() -> tuple[list[str], np.ndarray]:
    """512 reviews, for (1) or against (0); no word alone gives the label away."""
    adverbs = ["", " very", " really", " quite", " not", " not very", " not really"]
    adjectives = "good excellent interesting comfortable bad poor boring strange"
    texts, labels = [], []
    for i in np.random.default_rng(42).permutation(512):
        topic = "film book hotel phone story music room food".split()[i // 64]
        adverb = [*adverbs, " not at all"][i // 8 % 8]
        texts.append(f"The {topic} was{adverb} {adjectives.split()[i % 8]}.")
        labels.append(int((i // 8 % 8 < 4) == (i % 8 < 4)))
    return texts, np.array(labels)


def fine_tuned(directory: str, pretrained, trainers) -> tuple:
    """Section 3, steps 1 to 3: tokenizer and model, with a trained head."""
    tokenizer, rng = PretrainedTokenizer(directory), np.random.default_rng(42)
    model = pretrained.load(directory, head="sequence", num_labels=2, seed=42)
    trainer = trainers.SupervisedTrainer(model, SupervisedConfig(120, 1e-3))
    texts, labels = reviews()
    ids, mask = padded_rows(tokenizer, texts[:400])
    for _ in range(trainer.config.steps):
        rows = rng.choice(400, size=64, replace=False)
        trainer.step((ids[rows], mask[rows]), labels[rows], np.ones(64))
    return tokenizer, model


def evaluate(classify_text) -> None:
    """Step 4: print accuracy and F1 on the held-out reviews, then two labels."""
    texts, labels = (values[400:] for values in reviews())
    found = np.array([classify_text(text) for text in texts])
    f1 = 2 * np.sum(found * labels) / np.sum(found + labels)
    print(f"Accuracy: {np.mean(found == labels):.2f}, F1: {f1:.2f}")
    for text in ("The film was not boring.", "This is a sample sentence."):
        print(f"{text} Label: {classify_text(text)}")


# --- Document 003: a reward for each word -------------------------------------


def reward_function(text, target_text):
    """What each token id (T,) takes from the best edit distance still in reach."""
    return token_edit_regret([text], np.ones((1, len(text))), [target_text])[0]


def train_model(policy_network, text_data, target_texts, epochs, learning_rate) -> None:
    """Teach the texts' continuations; prints every twentieth loss."""

    def token_reward(completions, mask, targets):
        paid = np.zeros(mask.shape)
        for i, seen in enumerate(mask > 0):
            target_text = targets[i][targets[i] >= 0]
            paid[i, seen] = reward_function(completions[i, seen], target_text)
        return paid

    task = TextGenerationEnv(text_data, target_texts).batched()
    task.token_reward = token_reward
    settings = replace(IMMEDIATE, batch_size=128, steps=epochs, entropy_coef=0.02)
    settings = replace(settings, learning_rate=learning_rate, entropy_final=0.0)
    trainer = policy_network.trainer(policy_network, task, settings)
    for epoch in range(epochs):
        loss = trainer.step()["loss"]
        if epoch % 20 == 0:
            print(f"Epoch {epoch}: Loss = {loss:.3f}")


def generate_text(policy_network, initial_text: str, max_length: int) -> str:
    """A text of the environment and its likeliest continuation."""
    env = TextGenerationEnv()
    checks.one_of(tuple(env.text_data), initial_text=initial_text)
    ids = env.prompts[[env.text_data.index(initial_text)]]
    written = policy_network.sample(policy_network, ids, max_length, eos_id=env.eos_id)
    return f"{initial_text} {env.tokenizer.decode(written[0][0])}"


def continue_text(network) -> None:
    """The program with a half's `PolicyNetwork`."""
    env = TextGenerationEnv()
    policy_network = network(env.vocab_size, embedding_dim=32)
    train_model(policy_network, env.get_text_data(), env.get_target_texts(), 140, 0.01)
    initial_text = "The quick brown fox jumps over the lazy dog"
    print(generate_text(policy_network, initial_text, max_length=50))


# --- Document 004: a reward for each token leads out of a loop ----------------

OUTPUT_TEXT = "The cat sat on the mat."


class InstantReward:
    """Coherence and grammar of each token, both in [0, 1], as it is written.

    `loglikelihood(prompts, completions, mask)` gives nats (B, T) of a frozen model;
    `grammar` is a file of sentences in lower case, in lark's notation.
    """

    def __init__(self, loglikelihood, tokenizer, grammar: str) -> None:
        try:
            import lark  # here: no other part of core needs it
        except ImportError as error:
            raise ImportError("document 004 needs lark: pip install lark") from error
        self.loglikelihood, self.tokenizer, self.lark = loglikelihood, tokenizer, lark
        self.parser = lark.Lark(Path(grammar).read_text("utf-8"), parser="lalr")

    def scores(self, completions, mask, prompts):
        """Coherence and grammar, each (B, T)."""
        nats = self.loglikelihood(prompts, completions, mask)
        grammar = np.zeros(mask.shape)
        for i, seen in enumerate(mask > 0):
            ids = [*prompts[i], *completions[i, seen]]
            grammar[i, seen] = self.verdicts(ids)[len(prompts[i]) :]
        return np.clip(1 + nats / 10, 0, 1), grammar  # ten nats: no coherence

    def of_text(self, text: str):
        """Coherence and grammar of a whole text, each (1, T)."""
        ids = np.array([self.tokenizer.encode(text)])
        return self.scores(ids, np.ones(ids.shape), [[self.tokenizer.bos_id]])

    def verdicts(self, ids) -> list[bool]:
        """Whether the word in which a token ends fits those before, in its sentence."""
        text, found = self.tokenizer.decode(ids), []
        for t in range(len(ids)):
            end = len(self.tokenizer.decode(ids[: t + 1]))
            end += len(re.split(r"\W", text[end:])[0])  # of the word
            found.append(self.fits(re.split(r"(?<=[.!]) ", text[:end])[-1]))
        return found

    def fits(self, text: str) -> bool:
        """Whether a sentence may begin so."""
        try:
            self.parser.parse(text[:1].lower() + text[1:])
        except self.lark.UnexpectedInput as error:  # "" stands for the end
            return text[:1].isupper() and getattr(error, "token", None) == ""
        return text[:1].isupper()


def begin(directory: str, grammar: str, pretrained, rewards, trainers) -> tuple:
    """A GPT that writes the loop of section 5.4, its tokenizer and its reward."""
    tokenizer = PretrainedTokenizer(directory)
    model, judge = pretrained.load(directory), pretrained.load(directory)
    ids, _ = padded_rows(tokenizer, [" ".join([OUTPUT_TEXT] * 5)])
    teacher = trainers.SupervisedTrainer(model, SupervisedConfig(10, 1e-3, 0))
    teacher.train([next_tokens(ids)] * 10, progress=False)
    likelihood = partial(rewards.token_loglikelihood, judge)
    return model, tokenizer, InstantReward(likelihood, tokenizer, grammar)


def guide(model, instant: InstantReward, reward_function, rollout, trainers) -> None:
    """Print what the listings print, and the same after the update of 5.4."""
    print(f"Reward: {reward_function(OUTPUT_TEXT):.2f}")
    # The bonus weighs as much as log p in the reward.
    settings = replace(IMMEDIATE, batch_size=64, learning_rate=1e-3, entropy_coef=0.05)
    of = instant.tokenizer
    prompt = [[of.bos_id, *of.encode("The cat sat on")]]
    ends = {"eos_id": of.eos_id, "pad_id": of.pad_id, "max_length": 36}
    ends["target_mask"] = [[1] * len(prompt[0])]  # GPT-2's BOS is an EOS
    halves = lambda *arrays: 0.5 * sum(instant.scores(*arrays))  # noqa: E731
    task = BatchedEnvironment(prompt, prompt, halves, len(of), tokenizer=of, **ends)
    trainer = trainers.PolicyGradientTrainer(model, task, settings)
    for updates in (0, 12):
        trainer.train(updates, progress=False)
        output_ids = rollout.rollout(model, task, [0]).completions
        output_text = of.decode([*prompt[0], *output_ids[0]])
        print(f"Generated text: {output_text}")
        print(f"Reward: {reward_function(output_text):.2f}")


# --- python -m core.pt.listings -----------------------------------------------


def run(package: str, arguments: list[str] | None = None) -> None:
    """`python -m core.pt.listings 000`: the `main` of a document's module.

    Raises: SystemExit for another document, or without a path that it takes.
    """
    parser = ArgumentParser(prog=f"python -m {package}")
    parser.add_argument("document", choices=["000", "001", "002", "003", "004"])
    parser.add_argument("paths", nargs="*", help="what the document's `main` takes")
    given = parser.parse_args(arguments)
    main = import_module(f"{package}.document_{given.document}").main
    names = list(signature(main).parameters)
    if len(names) != len(given.paths) or not all(Path(p).exists() for p in given.paths):
        parser.error(f"paths: expected {names}, which are there, got {given.paths}")
    main(*given.paths)
