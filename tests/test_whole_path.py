"""A published model by its name: prompts, sampling, a reward with data, updates, and a
directory that loads again; each kind of model in a tiny form, without a network.
"""

import numpy as np
import pytest

import pages.parity  # noqa: F401  first: it sets up both frameworks

# isort: split
import transformers

from applications import causal_lm, sentiment
from core import pretraining
from core.algorithms import ALGORITHMS
from core.batched import BatchedEnvironment
from core.pt import pretrained as pt_pretrained
from core.settings import PolicyGradientConfig, SupervisedConfig
from core.text import PretrainedTokenizer
from core.tf import pretrained as tf_pretrained
from tests.both import PT, TF

GPT2, BERT = "openai-community/gpt2", "google-bert/bert-base-uncased"
QWEN, CHATS = "Qwen/Qwen2.5-0.5B", ["Qwen/Qwen2.5-0.5B-Instruct", "Qwen/Qwen3-0.6B"]
LLAMA = "meta-llama/Llama-3.2-1B"
WAYS = [(PT, pt_pretrained, GPT2), (TF, tf_pretrained, GPT2)]
MODERN = (QWEN, *CHATS, LLAMA)
WAYS += [(PT, pt_pretrained, name) for name in MODERN]
WAYS += [(TF, tf_pretrained, name) for name in MODERN]
WAYS += [(PT, causal_lm, QWEN)]  # as a model of `transformers`
QUESTIONS = ["Where?", "What is 2 + 3?", "小明住在哪里？"]
each_way = pytest.mark.parametrize(
    ("fw", "files", "name"), WAYS, ids=[f"{f.__name__} {n}" for _, f, n in WAYS]
)


def task(name, reward, vocab_size, **options):
    tokenizer = PretrainedTokenizer(name)
    prompts = QUESTIONS
    if tokenizer.template:
        chats = [[{"role": "user", "content": text}] for text in QUESTIONS]
        prompts = [tokenizer.encode(tokenizer.chat(c), special=True) for c in chats]
    return BatchedEnvironment.from_texts(
        prompts, reward, tokenizer, 6, vocab_size, **options
    )


@each_way
def test_from_a_name_to_a_directory(hub, tmp_path, monkeypatch, fw, files, name):
    policy, reference, seen = files.load(name), files.load(name), []

    def reward(completions, *, tests, answers, **columns):
        seen.append((tests, answers, columns))
        assert all(isinstance(text, str) for text in completions)
        return [
            sum(t in text for t in wanted) for text, wanted in zip(completions, tests)
        ]

    columns = {"tests": [["a"], ["e", "o"], []], "answers": [{"n": i} for i in "abc"]}
    env = task(name, reward, policy.vocab_size, columns=columns, stop=["\n"])
    assert len({*env.prompt_mask.sum(axis=1)}) > 1  # prompts of several lengths
    settings = {"steps": 2, "batch_size": 16, "learning_rate": 1e-3, "noise": "device"}
    config = PolicyGradientConfig(ALGORITHMS["GRPO"], **settings, warmup_steps=0)
    trainer = fw.trainers.PolicyGradientTrainer(
        policy, env, config, reference=reference
    )
    history = trainer.train(progress=False, path=tmp_path / "trainer")
    assert np.isfinite([list(step.values()) for step in history]).all()
    assert len(seen) == 2 and {*seen[0][2]} == set()
    size = config.group_size
    assert seen[0][0][0] == seen[0][0][size - 1]  # a group's rows have one entry
    files.save(tmp_path / "new", policy, env.tokenizer)
    again, tokenizer = (
        files.load(tmp_path / "new"),
        PretrainedTokenizer(tmp_path / "new"),
    )
    ids = fw.tensor(env.prompts[:1])
    found = [fw.numpy(model(ids)[0]) for model in (policy, again, reference)]
    np.testing.assert_allclose(found[0], found[1], atol=1e-6)
    assert np.abs(found[0] - found[2]).max() > 1e-4
    ours = env.tokenizer
    for told in ("eos_ids", "pad_id", "bos_id", "template", "tokens"):
        assert getattr(tokenizer, told) == getattr(ours, told), told
    resumed = fw.trainers.PolicyGradientTrainer(again, env, config, reference=reference)
    resumed.load(tmp_path / "trainer")
    assert resumed.history == history


@pytest.mark.parametrize("name", [QWEN, CHATS[0]])
def test_rows_beyond_the_tokenizer_are_no_text(hub, name):
    """The distribution that is sampled is the model's, and its texts can be read."""
    policy, tokenizer = pt_pretrained.load(name), PretrainedTokenizer(name)
    assert policy.vocab_size > len(tokenizer)
    read = []
    env = task(
        name, lambda texts: read.extend(texts) or [0.0] * len(texts), policy.vocab_size
    )
    rng = np.random.default_rng(0)
    batch = PT.rollout.rollout(policy, env, [0, 1, 2], rng, 3.0, 40, noise="device")
    beyond = batch.completions >= len(tokenizer)
    assert beyond.any() and len(read) == 120
    plain = [
        tokenizer.decode([i for i in row[seen > 0] if i < len(tokenizer)])
        for row, seen in zip(batch.completions, batch.mask)
    ]
    assert plain == read
    texts = [PT.tensor(x) for x in (batch.prompts, batch.completions, batch.mask)]
    scored = policy.evaluate(*texts, PT.tensor(batch.prompt_mask), 3.0)[0]
    np.testing.assert_allclose(PT.numpy(scored), batch.logprobs, atol=2e-4)
    with pytest.raises(ValueError, match="policy: expected the environment's 29"):
        PT.trainers.PolicyGradientTrainer(
            policy, task(name, len, None), PolicyGradientConfig()
        )


@pytest.mark.parametrize("name", [QWEN, *CHATS])
def test_a_conversation_is_what_transformers_makes_of_it(hub, name):
    tokenizer = PretrainedTokenizer(name)
    theirs = transformers.AutoTokenizer.from_pretrained(str(hub[name]))
    chat = [{"role": "user", "content": "What is 2 + 3?"}]
    chat += [{"role": "assistant", "content": "小"}, {"role": "user", "content": "?"}]
    wanted = theirs.apply_chat_template(chat, add_generation_prompt=True)
    ids = tokenizer.encode(tokenizer.chat(chat), special=True)
    assert ids == list(getattr(wanted, "input_ids", wanted))
    assert "<|im_start|>" in tokenizer.chat(chat)
    # Without `special` the name of a special token is spelled.
    assert tokenizer.eos_id not in tokenizer.encode("<|im_end|>")
    assert tokenizer.encode("<|im_end|>", special=True) == [292]
    assert tokenizer.decode(tokenizer.encode("<|im_end|>")) == "<|im_end|>"


def test_a_template_takes_its_own_variables_alone(hub):
    tokenizer, chat = PretrainedTokenizer(CHATS[1]), [{"role": "user", "content": "a"}]
    silent = tokenizer.chat(chat, enable_thinking=False)
    assert silent.removeprefix(tokenizer.chat(chat)) == "<think>\n\n</think>\n\n"
    with pytest.raises(ValueError, match=r"\['enable_thinkin'\]: the template has no"):
        tokenizer.chat(chat, enable_thinkin=False)
    with pytest.raises(ValueError, match="^messages: the template refuses"):
        tokenizer.chat([{"no": "role"}])
    for name in (GPT2, LLAMA):
        with pytest.raises(ValueError, match="^messages: this model has no chat templ"):
            PretrainedTokenizer(name).chat(chat)


@pytest.mark.parametrize(("fw", "files"), [(PT, pt_pretrained), (TF, tf_pretrained)])
def test_a_model_that_pads_with_eos_learns_to_end(hub, fw, files):
    """Three answers are written whole; a mask of ids would not teach their ends."""
    policy, tokenizer = files.load(GPT2), PretrainedTokenizer(GPT2)
    assert tokenizer.pad_id == tokenizer.eos_id
    answers = ["in the garden", "unknown", "北京"]
    env = task(GPT2, len, None, targets=answers)
    config = SupervisedConfig(steps=60, learning_rate=2e-2, warmup_steps=5)
    trainer = fw.trainers.SupervisedTrainer(policy, config)
    rng = np.random.default_rng(0)
    trainer.train(pretraining.answers(env, 6, rng), progress=False)
    written, _, mask = fw.rollout.sample(
        policy,
        env.prompts,
        env.targets.shape[1] + 4,
        eos_id=env.ends,
        pad_id=env.pad_id,
        prompt_mask=env.prompt_mask,
    )
    assert env.texts(written, mask) == answers
    assert (mask.sum(axis=1) == env.target_mask.sum(axis=1)).all()


def test_bert_reads_texts_between_cls_and_sep(hub):
    tokenizer = PretrainedTokenizer(BERT)
    ids, mask = pretraining.padded_rows(tokenizer, ["Where was the king?", "unknown"])
    theirs = transformers.AutoTokenizer.from_pretrained(str(hub[BERT]))
    wanted = theirs(["Where was the king?", "unknown"], padding=True)
    assert ids.tolist() == wanted["input_ids"]
    assert mask.tolist() == wanted["attention_mask"]
    rng = np.random.default_rng(0)
    given, labels, counted = next(
        sentiment.batches(["unknown", "boat?"], [1, 0], tokenizer, 2, rng)
    )
    assert (given[1] == counted).all() and {*labels[counted > 0]} == {0, 1}
    for fw, files in ((PT, pt_pretrained), (TF, tf_pretrained)):
        model = files.load(BERT, "sequence", 2)
        config = SupervisedConfig(steps=2)
        trainer = fw.trainers.SupervisedTrainer(model, config)
        batch = (ids, mask), np.array([0, 1]), np.ones(2)
        trainer.train([batch] * 2, progress=False)
        assert len(trainer.history) == 2
