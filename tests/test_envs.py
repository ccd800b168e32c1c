"""core.envs: Gymnasium's checker, episodes played by hand, step = batch."""

import math
import warnings

import gymnasium
import numpy as np
import pytest
from gymnasium.error import ResetNeeded
from gymnasium.utils.env_checker import check_env
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

import core.envs  # noqa: F401  (registers core/TextGenerationEnv-v0)
from applications.tasks import DOCUMENT_000_TEXT, continuations, sort_digits
from core.envs import (
    BatchedEnvironment,
    LMEnvironment,
    TextEnvironment,
    TextGenerationEnv,
)
from core.rewards import token_exact_match, token_position_match
from core.text import CharTokenizer

ENVIRONMENTS = {
    "000 position": TextEnvironment(),
    "000 indicator": TextEnvironment(reward="indicator"),
    "001 difference": LMEnvironment([5, 6], [3, 4, 3, 7], 9),
    "001 similarity": LMEnvironment([5], [3, 4, 3, 7], 9, "similarity"),
    "003": TextGenerationEnv(render_mode="ansi"),
    "003 similarity": TextGenerationEnv(reward="similarity"),
    "003 zh": TextGenerationEnv(*continuations("zh")),
}
each_environment = pytest.mark.parametrize(
    "env", ENVIRONMENTS.values(), ids=ENVIRONMENTS
)


def play(env, actions, row=0):
    """Rewards, (terminated, truncated) and last observation of a text."""
    env.reset(options={"row": row})
    rewards, ends = [], (False, False)
    for action in actions:
        assert not any(ends)
        observation, reward, *ends, _ = env.step(action)
        rewards.append(reward)
    return rewards, tuple(ends), observation


@each_environment
def test_gymnasiums_checker_has_nothing_to_say(env):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        check_env(env)
    # An environment made by its class has no spec to try render modes with.
    said = [str(w.message) for w in caught]
    assert [s for s in said if "not having a spec" not in s] == []


def test_gymnasium_makes_the_environment_of_document_003():
    env = gymnasium.make("core/TextGenerationEnv-v0", render_mode="ansi")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(env.unwrapped)
    prompts, targets = continuations()
    assert env.unwrapped.get_text_data() == prompts
    assert env.unwrapped.get_target_texts() == targets
    observation, info = env.reset(options={"row": 6})
    tokenizer = env.unwrapped.tokenizer
    assert info["row"] == 6 and tokenizer.decode(observation) == prompts[6]
    for token in tokenizer.encode("and sells bread."):
        env.step(token)
    assert env.render() == "and sells bread."


def test_text_environment_by_hand():
    env = TextEnvironment()
    tokens = env.tokenizer.encode(DOCUMENT_000_TEXT)
    assert (len(env.tokenizer), env.max_length) == (17, 17)
    rewards, ends, observation = play(env, [*tokens, 2])
    assert_allclose(rewards, [1 / 17] * 17)
    assert ends == (True, False)
    assert observation.tolist() == [1, *tokens, 2]
    rewards, ends, observation = play(env, [tokens[1], tokens[1], 2])
    assert_allclose(rewards, [0, 1 / 17, 0])  # 好 is right at its place only
    assert ends == (True, False)
    assert observation.tolist() == [1, 4, 4, 2] + [0] * 14
    _, ends, _ = play(env, [3] * 17)
    assert ends == (False, True)  # no EOS within the length of the text


def test_document_000_pays_every_token_of_its_vocabulary():
    env = TextEnvironment(reward="indicator")
    for token in range(3, 17):
        assert play(env, [token] * 17)[0] == [1.0] * 17
    assert play(env, [0, 1, 2])[0] == [0, 0, 1]


def test_lm_environment_by_hand():
    # The target is 3 4 3; the text 3 9 3 is right at two of its places.
    for reward, expected in [
        ("difference", [1 / 3, 0, 1 / 3]),
        ("similarity", [1 / 3, 1 / 3, 2 / 3]),
    ]:
        env = LMEnvironment([7, 8], [3, 4, 3], 10, reward)
        rewards, ends, observation = play(env, [3, 9, 3])
        assert_allclose(rewards, expected)
        assert ends == (True, False)
        assert observation.tolist() == [7, 8, 3, 9, 3]


def test_document_001_pays_a_mistake_more_the_later_it_is_made():
    env = LMEnvironment([7], [3, 4, 5], 10, "similarity")
    totals = [sum(play(env, text)[0]) for text in ([9, 4, 5], [3, 9, 5], [3, 4, 9])]
    assert_allclose(totals, [3 / 3, 4 / 3, 5 / 3])


def test_text_generation_env_by_hand():
    env = TextGenerationEnv(["up", "go down"], ["a b", "c"])
    # up go down a b c are tokens 3 to 8; targets 6 7 EOS and 8 EOS.
    assert env.reset(options={"row": 0})[0].tolist() == [0, 3, 0, 0, 0]
    assert env.reset(options={"row": 1})[0].tolist() == [4, 5, 0, 0, 0]
    for reward, texts in {
        # Against the whole target: distances 3 2 1 0 and 2 1 1 2.
        "similarity": (
            [1 / 3 - 1 / 4, 1 / 2 - 1 / 3, 1 - 1 / 2],
            [1 / 2 - 1 / 3, 0, 1 / 3 - 1 / 2],
        ),
        # With the best ending: 0 0 0 0 and 0 0 1 2 (c c EOS would have 1).
        "regret": ([0, 0, 0], [0, -1 / 2, -1 / 2]),
    }.items():
        env = TextGenerationEnv(["up", "go down"], ["a b", "c"], None, reward)
        rewards, ends, _ = play(env, [6, 7, 2])
        assert_allclose(rewards, texts[0])
        assert ends == (True, False)
        rewards, ends, _ = play(env, [8, 8, 8], row=1)
        assert_allclose(rewards, texts[1], atol=1e-15)
        assert ends == (False, True)


def test_rewards_of_a_text_that_leaves_its_first_word_out():
    for reward, expected in {
        "similarity": [1 / 3 - 1 / 4, 1 / 2 - 1 / 3],  # distances 3 2 1
        "regret": [-1 / 3, 0],  # b EOS is still within reach, distance 1
    }.items():
        env = TextGenerationEnv(["up"], ["a b"], reward=reward)
        rewards, ends, _ = play(env, [5, 2])
        assert_allclose(rewards, expected)
        assert ends == (True, False)


def test_rows_are_drawn_from_the_seed():
    env = TextGenerationEnv()
    env.reset(seed=3)
    rows = [env.reset()[1]["row"] for _ in range(100)]
    assert set(rows) == set(range(8))
    env.reset(seed=3)
    assert [env.reset()[1]["row"] for _ in range(100)] == rows


@pytest.mark.parametrize("name", ENVIRONMENTS)
@settings(deadline=None)
@given(data=st.data())
def test_step_pays_what_the_batch_pays(name, data):
    env = ENVIRONMENTS[name]
    batch = env.batched()
    row = data.draw(st.integers(0, len(batch) - 1))
    # The right token in about two of three places, else any.
    right = st.sampled_from(sorted(set(batch.targets[row].tolist())))
    token = st.one_of(right, right, st.integers(0, batch.vocab_size - 1))
    tokens = np.array(
        [
            data.draw(st.one_of(st.just(wanted), token))
            for wanted in batch.targets[row].tolist()
        ]
    )
    ends = np.flatnonzero(tokens == env.eos_id)
    length = ends[0] + 1 if len(ends) else len(tokens)
    mask = (np.arange(len(tokens)) < length).astype(float)[None]
    completion = np.where(mask > 0, tokens, batch.pad_id)
    stepped, (terminated, truncated), _ = play(env, tokens[:length], row)
    paid = batch.rewards(completion, mask, np.array([row]))
    assert_allclose(paid[0, :length], stepped, atol=1e-12)
    assert not paid[0, length:].any()
    assert terminated != truncated
    assert terminated == (env.eos_id is None or len(ends) > 0)


@each_environment
def test_batched_form(env):
    batch = env.batched()
    assert batch.vocab_size == env.action_space.n
    assert batch.max_length == batch.targets.shape[1]
    rows = batch.sample(300, np.random.default_rng(0))
    assert rows.shape == (300,) and set(rows) == set(range(len(batch)))
    targets = batch.targets[rows]
    assert batch.texts(targets) == batch.targets_text(rows)
    # The best text, but for the documents' two rewards, is the target.
    mask = batch.target_mask[rows]
    total = batch.rewards(targets, mask, rows).sum(axis=1)
    length = mask.sum(axis=1)
    expected = {
        "position": 1.0,
        "indicator": length,
        "difference": 1.0,
        "similarity": (length + 1) / 2,
        "regret": 0.0,
    }[env.reward]
    if isinstance(env, TextGenerationEnv) and env.reward == "similarity":
        expected = 1 - 1 / (1 + length)
    assert_allclose(total, np.broadcast_to(expected, 300))


def test_batched_texts():
    batch = TextGenerationEnv().batched()
    _, targets = continuations()
    assert batch.targets_text([0, 6]) == [targets[0], targets[6]]
    digits = BatchedEnvironment(
        *sort_digits(4, 3, np.random.default_rng(0)), token_position_match, 13
    )
    assert digits.texts([[3, 4, 5], [6, 0, 0]]) == ["3 4 5", "6"]
    ending = BatchedEnvironment([[1]], [[3, 2]], token_position_match, 5, 2)
    assert ending.texts([[4, 2, 3], [2, 3, 3]]) == ["4", ""]


@each_environment
def test_steps_out_of_place(env):
    env.reset()
    for action in (-1, env.action_space.n, 1.5):
        with pytest.raises(ValueError, match="action: expected a token id"):
            env.step(action)
    for _ in range(env.max_length):
        env.step(1)
    with pytest.raises(ResetNeeded, match="the text has ended"):
        env.step(1)
    with pytest.raises(ValueError, match="options: expected a row in"):
        env.reset(options={"row": 99})
    with pytest.raises(ResetNeeded):
        TextEnvironment().step(3)
    env = TextEnvironment()
    play(env, [3, 2])  # EOS ends the text before its limit
    with pytest.raises(ResetNeeded, match="the text has ended"):
        env.step(3)


@pytest.mark.parametrize(
    "name, make",
    {
        "text: expected a text, not empty, got ''": lambda: TextEnvironment(""),
        "text: '世' is not in": lambda: TextEnvironment("世", CharTokenizer(["好"])),
        "reward: expected one of .'position": lambda: TextEnvironment(
            reward="difference"
        ),
        "reward: expected one of .'diff": lambda: LMEnvironment(
            [1], [3], 5, "position"
        ),
        "reward: expected one of .'regret'": lambda: TextGenerationEnv(
            reward="position"
        ),
        "input_seq: expected .N": lambda: LMEnvironment([], [3], 5),
        "input_seq: .* in .0, 5.": lambda: LMEnvironment([5], [3], 5),
        "target_seq: .* in .0, 5.": lambda: LMEnvironment([1], [-1], 5),
        "target_seq: expected integers": lambda: LMEnvironment([1], [1.5], 5),
        "vocab_size: expected at least 1": lambda: LMEnvironment([1], [3], 0),
        "prompts: texts: expected a token in each": lambda: TextGenerationEnv(
            ["a", ""], ["b", "c"]
        ),
        "targets: expected texts, none empty": lambda: TextGenerationEnv(
            ["a", "b"], ["b", ""]
        ),
        "targets: expected .N, length": lambda: TextGenerationEnv(["a"], []),
        "prompts: expected a list of texts, got 'a b'": lambda: TextGenerationEnv(
            "a b", ["c"]
        ),
        "targets: expected a list of texts, got None": lambda: TextGenerationEnv(["a"]),
        "targets: expected a list of texts, got 4 in": lambda: TextGenerationEnv(
            ["a"], [4]
        ),
        "text: expected a text, not empty, got 5": lambda: TextEnvironment(5),
        "targets: expected 2 rows": lambda: TextGenerationEnv(["a", "b"], ["c"]),
    }.items(),
)
def test_bad_tasks_are_named(name, make):
    with pytest.raises(ValueError, match=f"^{name}"):
        make()


def test_bad_batches_are_named():
    def make(
        prompts=((3, 4),),
        targets=((3, 4),),
        reward=token_position_match,
        vocab_size=5,
        **options,
    ):
        return BatchedEnvironment(prompts, targets, reward, vocab_size, **options)

    for message, options in [
        ("prompts: expected .N", {"prompts": [[]]}),
        ("prompts: expected rows of one length", {"prompts": [[3], [3, 4]]}),
        ("prompts: expected token ids in", {"prompts": [[3, 5]]}),
        ("targets: expected 1 rows", {"targets": [[3], [4]]}),
        ("targets: expected token ids in", {"targets": [[-3]]}),
        ("eos_id: expected a token id", {"eos_id": 5}),
        ("pad_id: expected a token id", {"pad_id": -1}),
        ("vocab_size: expected at least 1", {"vocab_size": 0}),
        ("prompt_mask: expected", {"prompt_mask": [[1, 0]]}),
        ("prompt_mask: expected", {"prompt_mask": [[1]]}),
        ("max_length: expected at least 1", {"max_length": 0}),
        ("max_length: expected an integer", {"max_length": 2.5}),
        ("max_length: expected an integer", {"max_length": math.nan}),
        ("vocab_size: expected an integer", {"vocab_size": 5.5}),
        ("prompt_vocab_size: expected an integer", {"prompt_vocab_size": 6.5}),
        ("eos_id: expected a token id", {"eos_id": 2.5}),
        ("pad_id: expected a finite number", {"pad_id": True}),
        ("target_mask: expected the shape", {"target_mask": [[1]]}),
        ("target_mask: expected zeros and ones", {"target_mask": [[1, 0.5]]}),
        ("target_mask: expected real numbers", {"target_mask": [["1", "0"]]}),
        ("target_mask: .* texts: expected 0 behind", {"eos_id": 3}),
    ]:
        with pytest.raises(ValueError, match=f"^{message}"):
            make(**options)
    for size in (0, 1.5, math.nan, None):
        with pytest.raises(ValueError, match="^batch_size: expected"):
            make().sample(size, np.random.default_rng(0))
    for name, arrays in {
        "rows: expected the shape": ([[3, 4]], [[1, 1]], [0, 0]),
        "rows: expected integers": ([[3, 4]], [[1, 1]], [0.0]),
        "rows: expected token ids in .0, 1.": ([[3, 4]], [[1, 1]], [1]),
        "completions: expected the shape": ([[3]], [[1, 1]], [0]),
        "mask: expected ones": ([[3, 4]], [[0, 1]], [0]),
    }.items():
        with pytest.raises(ValueError, match=f"^{name}"):
            make().rewards(*arrays)
    for reward, message in [
        (lambda c, m, t: np.full(np.shape(c), math.nan), "finite numbers"),
        (lambda c, m, t: np.ones(len(c)), "shape"),
    ]:
        with pytest.raises(ValueError, match=f"^token_reward: .*{message}"):
            make(reward=reward).rewards([[3, 4]], [[1, 1]], [0])


def test_the_length_need_not_be_the_targets():
    def reward(completions, mask, prompts):
        return (completions == prompts[:, :1]).astype(float)

    prompts = [[3, 4], [0, 4]]
    env = BatchedEnvironment(
        prompts, prompts, reward, 5, prompt_mask=[[1, 1], [0, 1]], max_length=3
    )
    assert env.max_length == 3
    np.testing.assert_array_equal(env.prompt_mask, [[1.0, 1.0], [0.0, 1.0]])
    paid = env.rewards([[3, 4, 3]], np.ones((1, 3)), [0])
    np.testing.assert_array_equal(paid, [[1, 0, 1]])


def test_misspelt_options_are_named():
    with pytest.raises(ValueError, match="options: expected"):
        TextGenerationEnv().reset(options={"rwo": 1})


def test_a_limit_that_ends_a_text():
    """Without its EOS a text is cut off, unless the limit is the task's."""
    completions = np.array([[2, 1, 0], [2, 2, 2], [2, 2, 1]])
    mask = np.array([[1, 1, 0], [1, 1, 1], [1, 1, 1]])
    for ends, ended in (
        ({"eos_id": 1}, [True, False, True]),
        ({"eos_id": 1, "limit_ends": True}, [True] * 3),
        ({}, [True] * 3),
    ):
        env = BatchedEnvironment([[1]], [[2]], token_exact_match, 3, **ends)
        assert env.terminated(completions, mask).tolist() == ended


# --- Where texts end ----------------------------------------------------------

LETTERS = CharTokenizer.from_tokens(list("abcd") + ["!"])  # ids 3 to 7


class PadIsEos(CharTokenizer):
    """As GPT-2's: one token pads, begins and ends."""

    pad_id = bos_id = eos_id = 2


def copied(env):
    """The token rewards of the targets themselves."""
    rows = np.arange(len(env))
    return env.rewards(env.targets, env.target_mask, rows)


@pytest.mark.parametrize(
    "targets, ends, lengths",
    [
        ([[3, 2, 0, 0], [0, 3, 0, 2]], {"eos_id": 2}, [2, 4]),
        ([[3, 2, 2, 2], [0, 3, 0, 2]], {"eos_id": 2, "pad_id": 2}, [2, 4]),
        ([[3, 2, 5, 5], [5, 3, 5, 2]], {"eos_id": 2, "pad_id": 5}, [2, 4]),
        ([[3, 4, 0, 0], [0, 3, 0, 4]], {}, [2, 4]),
        ([[3, 4, 0, 0], [3, 0, 4, 0]], {"pad_id": 1}, [4, 4]),
        (
            [[3, 4, 0, 0], [3, 0, 4, 0]],
            {"target_mask": [[1, 1, 1, 0], [1] * 4]},
            [3, 4],
        ),
    ],
)
def test_a_target_carries_its_length(targets, ends, lengths):
    env = BatchedEnvironment([[1], [3]], targets, token_position_match, 9, **ends)
    assert env.target_mask.sum(axis=1).tolist() == lengths
    wanted = env.wanted([1, 0])
    for row, text, n in zip(wanted[::-1], targets, lengths, strict=True):
        assert row.tolist() == text[:n] + [-1] * (4 - n)
    assert_allclose(copied(env).sum(axis=1), 1)
    env.token_reward = token_exact_match
    assert_allclose(copied(env).sum(axis=1), 1)
    seen = []
    env.token_reward = lambda c, m, t: seen.append(t) or np.zeros(c.shape)
    copied(env)
    assert (seen[0] == env.wanted([0, 1])).all()


def test_prompts_as_targets_have_the_prompts_mask():
    """Here GPT-2's padding at the left, which a rule for ends would misread."""
    ids, mask = [[2, 2, 4], [3, 5, 4]], [[0, 0, 1], [1, 1, 1]]
    ends = {"eos_id": 2, "pad_id": 2}
    env = BatchedEnvironment(ids, ids, None, 9, prompt_mask=mask, **ends)
    assert env.wanted([0, 1]).tolist() == [[-1, -1, 4], [3, 5, 4]]
    with pytest.raises(ValueError, match="^target_mask: expected one for such"):
        BatchedEnvironment(ids, ids, None, 9, **ends)
    whole = np.ones((2, 3))
    env = BatchedEnvironment(ids, ids, None, 9, target_mask=whole, **ends)
    assert env.wanted([0, 1]).tolist() == ids


@pytest.mark.parametrize("tokenizer", [LETTERS, PadIsEos.from_tokens(list("abcd!"))])
def test_texts_end_where_the_environment_says(tokenizer):
    """Here "!" ends a text, and "a" pads."""
    a, b, c, _, end = tokenizer.encode("abcd!")
    targets = [[b, c, end, a], [b, a, a, end]]
    env = BatchedEnvironment(
        [[1], [1]],
        targets,
        token_exact_match,
        len(tokenizer),
        eos_id=end,
        pad_id=a,
        tokenizer=tokenizer,
    )
    assert env.texts(targets) == ["bc", "baa"]
    assert env.targets_text([1, 0]) == ["baa", "bc"]
    assert_allclose(copied(env).sum(axis=1), 1)


def test_texts_of_prompts_padded_with_eos():
    tokenizer = PadIsEos.from_tokens(list("abcd"))
    ids, mask = tokenizer.encode_prompts(["abc", "b"])
    env = BatchedEnvironment(
        ids,
        tokenizer.encode_batch(["a", ""], 3, add_eos=True),
        token_exact_match,
        len(tokenizer),
        eos_id=2,
        pad_id=2,
        tokenizer=tokenizer,
        prompt_mask=mask,
    )
    assert env.texts(ids) == env.texts(ids, mask) == ["abc", "b"]
    assert env.targets_text([0, 1]) == ["a", ""]
    assert_allclose(copied(env).sum(axis=1), 1)


def test_texts_of_ids_with_a_mask():
    env = BatchedEnvironment([[1]], [[3, 0]], token_exact_match, 9)
    made, mask = [[0, 3, 0], [4, 0, 0]], [[1, 1, 1], [1, 0, 0]]
    assert env.texts(made, mask) == ["0 3 0", "4"]
    assert env.texts(made) == ["3", "4"]  # a pad cannot be told from a letter


def test_an_environment_of_a_tokenizer_that_pads_with_eos():
    tokenizer = PadIsEos(["ab cd"])
    env = TextGenerationEnv(["ab", "c"], ["abc", "d"], tokenizer, render_mode="ansi")
    assert env.observation_space.contains(env.reset(options={"row": 1})[0])
    assert env.reset(options={"row": 1})[0].tolist() == [2, 6, 2, 2, 2, 2]
    for row, text in enumerate(["abc", "d"]):
        rewards, ends, _ = play(env, [*tokenizer.encode(text), 2], row)
        assert_allclose(rewards, 0)
        assert ends == (True, False) and env.render() == text
        assert len(env.target) == len(text) + 1
    assert_allclose(copied(env.batched()), 0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        check_env(env)


def test_a_sequence_of_ids_may_have_0():
    """Also at its end: without EOS every token of the target counts."""
    env = LMEnvironment([0], [3, 0], 5, render_mode="ansi")
    rewards, ends, _ = play(env, [3, 0])
    assert_allclose(rewards, [0.5, 0.5])
    assert ends == (True, False) and env.render() == "3 0"
    assert_allclose(copied(env.batched()), [[0.5, 0.5]])


@pytest.mark.parametrize("name", ["bos_id", "eos_id"])
def test_a_tokenizer_without_ends_is_named(name):
    tokenizer = CharTokenizer(["ab"])
    setattr(tokenizer, name, None)
    with pytest.raises(ValueError, match="^tokenizer: expected one with BOS and EOS"):
        TextEnvironment("ab", tokenizer)


# --- Who else makes the environment -------------------------------------------


def test_stable_baselines_makes_the_environment():
    from stable_baselines3.common.env_util import make_vec_env

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Gymnasium's: no mode "rgb_array"
        env = make_vec_env("core/TextGenerationEnv-v0", n_envs=2, seed=0)
    width = TextGenerationEnv().observation_space.shape[0]
    assert env.reset().shape == (2, width)
    observations, rewards, _, _ = env.step([3, 4])
    assert observations.shape == (2, width) and (rewards <= 0).all()


@pytest.mark.parametrize("mode", ["rgb_array", "human", "anis", 3])
def test_an_unknown_render_mode_is_warned_of(mode):
    """As `gymnasium.make` does, which makes the environment all the same."""
    with pytest.warns(UserWarning, match="render_mode: nothing is rendered as"):
        env = TextEnvironment(render_mode=mode)
    env.reset()
    assert env.render() is None
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for known in (None, "ansi"):
            TextEnvironment(render_mode=known)
