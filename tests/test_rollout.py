"""Sampling: exact frequencies, ends of texts, the same tokens twice."""

import numpy as np
import pytest

from core import envs, exact, rewards, sampling
from core.batched import BatchedEnvironment
from core.settings import GPTConfig
from core.text import CharTokenizer
from tests.both import BOTH, TF, log_of_tensorflow, traces

SIZES = {"embedding_dim": 4, "hidden_dim": 8}


def policy_of(fw, name="LSTMPolicy", vocab=6, seed=2, dtype="float64"):
    if name != "GPT":
        return getattr(fw.models, name)(vocab, seed=seed, dtype=dtype, **SIZES)
    config = GPTConfig(vocab, n_positions=16, n_embd=8, n_layer=2, n_head=2)
    policy = fw.models.GPT(config, seed=seed, dtype=dtype)
    # Larger weights: at the first ones all tokens are about as likely.
    fw.checkpoints.set_weights(
        policy,
        {
            n: 20 * w if w.ndim == 2 else w
            for n, w in fw.checkpoints.get_weights(policy).items()
        },
    )
    return policy


def small_env(eos_id=None):
    rng = np.random.default_rng(7)
    prompts = rng.integers(1, 6, (8, 2))
    targets = rng.integers(3, 6, (8, 4))
    return envs.BatchedEnvironment(
        prompts, targets, rewards.token_position_match, 6, eos_id=eos_id
    )


POLICIES = ["LSTMPolicy", "LSTMAttentionPolicy", "GPT"]


@pytest.mark.parametrize("name", POLICIES)
@pytest.mark.parametrize("eos_id", [None, 2, 0])  # 0: eos is also the pad
@pytest.mark.parametrize(
    "options",
    [
        {"temperature": 0.7},
        {"group_size": 4},
        {"top_k": 3},
        {"top_p": 0.8},
        {"temperature": 1.5, "top_k": 4, "top_p": 0.6, "group_size": 2},
    ],
    ids=str,
)
def test_sampler_and_scorer_agree(name, eos_id, options):
    """One-token steps and the full pass give the same log-probabilities."""
    noise = np.random.default_rng(3).gumbel(size=(16, 5, 6))
    prompts = np.random.default_rng(4).integers(
        0, 6, (16 // options.get("group_size", 1), 3)
    )
    scored = {k: v for k, v in options.items() if k != "group_size"}
    found = {}
    for fw in BOTH:
        policy = policy_of(fw, name)
        completions, logprobs, mask = fw.rollout.sample(
            policy, prompts, 5, noise, eos_id=eos_id, **options
        )
        tensors = [fw.tensor(a) for a in (prompts, completions, mask)]
        again, entropies, values = map(fw.numpy, policy.evaluate(*tensors, **scored))
        np.testing.assert_allclose(logprobs, again * mask, atol=1e-12)
        found[fw.name] = completions, mask, entropies * mask, values * mask
    for first, second in zip(found["pt"], found["tf"]):
        np.testing.assert_allclose(first, second, atol=1e-12)


@pytest.mark.parametrize("fw", BOTH, ids=lambda fw: fw.name)
@pytest.mark.parametrize("name", POLICIES)
def test_rows_that_end_leave_the_others_as_they_were(fw, name):
    """The batch shrinks on the way; each row is what it is alone."""
    rng = np.random.default_rng(12)
    prompts, noise = rng.integers(0, 6, (24, 3)), rng.gumbel(size=(96, 9, 6))
    for row, length in enumerate(rng.integers(1, 12, size=96)):
        noise[row, :, 2] = -1e3
        if length < 9:
            noise[row, length, 2] = 1e3
    policy = policy_of(fw, name)
    together = fw.rollout.sample(policy, prompts, 9, noise, eos_id=2, group_size=4)
    assert len(set(together[2].sum(axis=1))) > 5
    for part in (slice(0, 8), slice(40, 48)):
        alone = fw.rollout.sample(
            policy,
            prompts[part.start // 4 : part.stop // 4],
            9,
            noise[part],
            eos_id=2,
            group_size=4,
        )
        for first, second in zip(together, alone):
            np.testing.assert_allclose(first[part], second, atol=1e-12)


@pytest.mark.parametrize("fw", BOTH, ids=lambda fw: fw.name)
@pytest.mark.parametrize("eos_id", [None, 2])
def test_padding_on_the_left_changes_nothing(fw, eos_id):
    rng = np.random.default_rng(13)
    prompts, noise = rng.integers(0, 6, (6, 5)), rng.gumbel(size=(12, 6, 6))
    lengths = np.array([5, 2, 3, 1, 5, 4])
    mask = (np.arange(5) >= 5 - lengths[:, None]).astype(float)
    policy = policy_of(fw, "GPT")
    options = {"eos_id": eos_id, "group_size": 2}
    padded = fw.rollout.sample(policy, prompts, 6, noise, prompt_mask=mask, **options)
    scored = policy.evaluate(
        *[fw.tensor(a) for a in (prompts, padded[0], padded[2], mask)]
    )[0]
    np.testing.assert_allclose(fw.numpy(scored), padded[1], atol=1e-12)
    for i, length in enumerate(lengths):
        alone = fw.rollout.sample(
            policy,
            prompts[i : i + 1, 5 - length :],
            6,
            noise[2 * i : 2 * i + 2],
            **options,
        )
        for first, second in zip(padded, alone):
            np.testing.assert_allclose(first[2 * i : 2 * i + 2], second, atol=1e-12)


@pytest.mark.parametrize("fw", BOTH, ids=lambda fw: fw.name)
def test_a_recurrent_policy_refuses_padding(fw):
    with pytest.raises(ValueError, match="^prompt_mask"):
        fw.rollout.sample(
            policy_of(fw), np.ones((1, 2), int), 3, prompt_mask=np.array([[0, 1]])
        )


@pytest.mark.parametrize("fw", BOTH, ids=lambda fw: fw.name)
def test_mask_includes_the_first_eos_and_nothing_after(fw):
    noise = np.random.default_rng(5).gumbel(size=(64, 6, 6))
    completions, logprobs, mask = fw.rollout.sample(
        policy_of(fw), np.ones((64, 1), int), 6, noise, eos_id=2, pad_id=0
    )
    ended = 0
    for row, kept, logprob in zip(completions, mask, logprobs):
        first = np.flatnonzero(row == 2)
        length = first[0] + 1 if len(first) else 6
        ended += len(first) > 0
        np.testing.assert_array_equal(kept, np.arange(6) < length)
        assert (row[length:] == 0).all() and (logprob[length:] == 0).all()
        assert (logprob[:length] < 0).all()
    assert 10 < ended < 64  # both kinds were there


@pytest.mark.parametrize("fw", BOTH, ids=lambda fw: fw.name)
def test_stops_when_all_have_ended(fw):
    policy = policy_of(fw)
    noise = np.zeros((3, 6, 6))
    noise[:, 1, 2] = 1e3  # every row takes EOS at position 1
    completions, _, mask = fw.rollout.sample(
        policy, np.ones((3, 1), int), 6, noise, eos_id=2, pad_id=1
    )
    np.testing.assert_array_equal(mask.sum(axis=1), 2)
    assert (completions[:, 2:] == 1).all()


@pytest.mark.parametrize("fw", BOTH, ids=lambda fw: fw.name)
def test_gumbel_max_draws_from_the_policy(fw):
    """Frequencies of all 27 texts against their exact probabilities."""
    policy = policy_of(fw, vocab=3, dtype="float32")
    mdp = exact.TokenMDP.enumerate(3, 3, lambda text: 0.0)
    logits = exact.policy_logits(
        mdp, lambda prefixes: last_logits(fw, policy, prefixes)
    )
    probs, n = exact.probabilities(mdp, logits), 20_000
    noise = np.random.default_rng(6).gumbel(size=(n, 3, 3))
    completions, _, _ = fw.rollout.sample(policy, np.ones((n, 1), int), 3, noise)
    index = completions @ [9, 3, 1]
    counts = np.bincount(index, minlength=27)[mdp.completions @ [9, 3, 1]]
    error = (counts - n * probs) / np.sqrt(n * probs * (1 - probs))
    assert np.abs(error).max() < 4


@pytest.mark.parametrize("fw", BOTH, ids=lambda fw: fw.name)
@pytest.mark.parametrize("options", [{}, {"top_k": 2}], ids=str)
def test_a_seed_draws_from_the_policy(fw, options):
    """The framework's own noise: frequencies against probabilities."""
    policy, n = policy_of(fw, "GPT", vocab=4), 20_000
    prompts = np.ones((1, 1), int)
    arguments = {"group_size": n, "temperature": 1.3, **options}
    first = fw.rollout.sample(policy, prompts, 1, seed=5, **arguments)
    again = fw.rollout.sample(policy, prompts, 1, seed=5, **arguments)
    other = fw.rollout.sample(policy, prompts, 1, seed=6, **arguments)
    np.testing.assert_array_equal(first[0], again[0])
    assert (first[0] != other[0]).any()
    logits = last_logits(fw, policy, np.zeros((1, 0), int))[0] / 1.3
    if options:
        logits[logits.argsort()[:2]] = -np.inf
    expected = exact.log_softmax(logits)
    probs = np.exp(expected)
    counts = np.bincount(first[0][:, 0], minlength=4)
    possible = probs > 0
    assert (counts[~possible] == 0).all()
    error = counts - n * probs
    error = error / np.sqrt(n * probs * (1 - probs) + 1e-9)
    assert np.abs(error[possible]).max() < 4
    np.testing.assert_allclose(first[1][:, 0], expected[first[0][:, 0]], atol=1e-9)


@pytest.mark.parametrize("fw", BOTH, ids=lambda fw: fw.name)
def test_a_rollout_draws_on_the_device(fw, monkeypatch):
    """Frequencies of all texts, cut by two ends and a stop, against the exact ones."""
    monkeypatch.setattr(sampling, "gumbel_noise", None)  # no (B, T, V) of the host
    policy, n = policy_of(fw, "GPT", vocab=6), 20_000
    tokenizer = CharTokenizer(["abc"])  # a 3, b 4, c 5
    env = BatchedEnvironment(
        [[1]],
        None,
        lambda completions, mask, targets: 0 * mask,
        6,
        eos_id=[2, 5],
        tokenizer=tokenizer,
        max_length=3,
        stop=["ab", "bb"],
    )
    rng = np.random.default_rng(8)
    batch = fw.rollout.rollout(policy, env, [0], rng, 1.3, n, noise="device")
    other = fw.rollout.rollout(policy, env, [0], rng, 1.3, n, noise="device")
    assert (batch.completions != other.completions).any()
    lengths = batch.mask.sum(axis=1).astype(int)
    texts, counts = np.unique(
        np.where(batch.mask > 0, batch.completions, -1), axis=0, return_counts=True
    )
    rows = np.repeat([[1]], len(texts), axis=0)
    known = np.where(texts >= 0, texts, 0)
    scored = policy.evaluate(
        *[fw.tensor(x) for x in (rows, known, (texts >= 0) + 0.0)], temperature=1.3
    )[0]
    probs = np.exp(fw.numpy(scored).sum(axis=1))
    assert probs.sum() > 0.99  # with the texts that were not drawn, 1
    error = (counts - n * probs) / np.sqrt(n * probs * (1 - probs))
    assert np.abs(error[n * probs > 5]).max() < 4
    written = {tuple(row[row >= 0]) for row in texts}
    stops = {(3, 4), (4, 4), (1, 3, 4), (5,), (2,), (0, 5)}
    assert written >= {(3, 4), (5,), (2,)} and len(written) > 40
    assert not [w for w in written if any(w[:k] in stops for k in range(1, len(w)))]
    short = {tuple(row[:length]) for row, length in zip(batch.completions, lengths)}
    assert {w for w in short if len(w) < 3} <= stops | {
        (a, e) for a in range(6) for e in (2, 5)
    }
    assert (
        batch.terminated
        == [
            bool(2 in w or 5 in w or "ab" in t or "bb" in t)
            for w, t in zip(
                map(tuple, batch.completions), env.texts(batch.completions, batch.mask)
            )
        ]
    ).all()


@pytest.mark.parametrize("fw", BOTH, ids=lambda fw: fw.name)
def test_several_ids_end_a_text(fw):
    noise = np.random.default_rng(5).gumbel(size=(64, 6, 6))
    given = policy_of(fw), np.ones((64, 1), int), 6, noise
    whole = fw.rollout.sample(*given)
    completions, logprobs, mask = fw.rollout.sample(*given, eos_id=(2, 4), pad_id=1)
    for row, full, seen in zip(completions, whole[0], mask.sum(axis=1).astype(int)):
        assert row[:seen].tolist() == full[:seen].tolist()
        assert not {2, 4} & {*row[: seen - 1]} and (row[seen:] == 1).all()
        assert seen == 6 or row[seen - 1] in (2, 4)
    np.testing.assert_allclose(logprobs, whole[1] * mask, atol=1e-12)


@pytest.mark.parametrize("fw", BOTH, ids=lambda fw: fw.name)
def test_noise_is_of_the_host_or_of_the_device(fw):
    given = policy_of(fw), small_env(), [0], np.random.default_rng(0)
    with pytest.raises(ValueError, match="^noise: expected one of"):
        fw.rollout.rollout(*given, noise="gpu")


def last_logits(fw, policy, prefixes):
    ids = np.concatenate([np.ones((len(prefixes), 1), int), prefixes], 1)
    return fw.numpy(policy(fw.tensor(ids))[0])[:, -1]


@pytest.mark.parametrize("fw", BOTH, ids=lambda fw: fw.name)
def test_greedy_takes_the_most_likely_token(fw):
    policy = policy_of(fw)
    prompts = np.ones((1, 1), int)
    completions, _, _ = fw.rollout.sample(policy, prompts, 4)
    logits, _ = policy.score(fw.tensor(prompts), fw.tensor(completions))
    np.testing.assert_array_equal(fw.numpy(logits).argmax(axis=-1), completions)


@pytest.mark.parametrize("eos_id", [None, 2])
def test_rollout_is_the_same_in_both(eos_id):
    env = small_env(eos_id)
    found = []
    for fw in BOTH:
        rng = np.random.default_rng(8)
        rows = env.sample(32, rng)
        found.append(fw.rollout.rollout(policy_of(fw), env, rows, rng))
    first, second = found
    for name in ("prompts", "completions", "mask", "rewards", "terminated"):
        np.testing.assert_array_equal(
            getattr(first, name), getattr(second, name), err_msg=name
        )
    np.testing.assert_allclose(first.logprobs, second.logprobs, atol=1e-12)
    has_eos = ((first.completions == 2) & (first.mask > 0)).any(axis=1)
    expected = np.ones(32, bool) if eos_id is None else has_eos
    np.testing.assert_array_equal(first.terminated, expected)


@pytest.mark.parametrize("fw", BOTH, ids=lambda fw: fw.name)
@pytest.mark.parametrize(
    "change, name",
    [
        ({"prompts": np.zeros((2, 0), int)}, "prompts"),
        ({"prompts": np.array([1, 2])}, "prompts"),
        ({"prompts": np.array([[6]])}, "prompts"),
        ({"prompts": np.array([[-1]])}, "prompts"),
        ({"temperature": 0.0}, "temperature"),
        ({"temperature": -1.0}, "temperature"),
        ({"noise": np.zeros((1, 3, 6))}, "noise"),
        ({"max_length": 0}, "max_length"),
        ({"prompts": np.zeros((0, 1), int)}, "prompts"),
        ({"prompts": np.array([[1.5]])}, "prompts"),
        ({"noise": np.full((1, 4, 6), np.nan)}, "noise"),
        ({"top_k": 0}, "top_k"),
        ({"top_p": 0.0}, "top_p"),
        ({"top_p": 1.1}, "top_p"),
        ({"group_size": 0}, "group_size"),
        ({"noise": np.zeros((1, 4, 6)), "seed": 1}, "seed"),
        ({"prompt_mask": np.ones((1, 2))}, "prompt_mask"),
        (
            {"prompts": np.array([[1, 1]]), "prompt_mask": np.array([[1, 0]])},
            "prompt_mask",
        ),
        (
            {"prompts": np.array([[1, 1]]), "prompt_mask": np.array([[0, 0]])},
            "prompt_mask",
        ),
    ],
)
def test_bad_input_is_named(fw, change, name):
    arguments = {"prompts": np.array([[1]]), "max_length": 4} | change
    with pytest.raises(ValueError, match=f"^{name}"):
        fw.rollout.sample(policy_of(fw), **arguments)


@pytest.mark.parametrize("fw", BOTH, ids=lambda fw: fw.name)
def test_texts_beyond_the_positions_are_named(fw):
    policy, prompts = policy_of(fw, "GPT"), np.ones((1, 13), int)
    fw.rollout.sample(policy, prompts, 3)
    with pytest.raises(ValueError, match="^prompts: .* 16 positions, got 17"):
        fw.rollout.sample(policy, prompts, 4)


@pytest.mark.parametrize("fw", BOTH, ids=lambda fw: fw.name)
def test_rollout_of_groups_and_padded_prompts(fw):
    env = small_env(eos_id=2)
    env.prompt_mask = np.ones((8, 2))
    env.prompt_mask[3, 0] = 0
    batch = fw.rollout.rollout(
        policy_of(fw, "GPT"),
        env,
        np.array([3, 5]),
        np.random.default_rng(1),
        group_size=3,
    )
    np.testing.assert_array_equal(batch.rows, [3, 3, 3, 5, 5, 5])
    np.testing.assert_array_equal(batch.prompts, env.prompts[batch.rows])
    np.testing.assert_array_equal(batch.prompt_mask, env.prompt_mask[batch.rows])
    np.testing.assert_array_equal(
        batch.rewards, env.rewards(batch.completions, batch.mask, batch.rows)
    )


@pytest.mark.parametrize("noise", sampling.NOISES)
@pytest.mark.parametrize("fw", BOTH, ids=lambda fw: fw.name)
def test_epsilon_greedy(fw, noise, monkeypatch):
    """A share of uniform tokens, the others the best ones of their state."""
    if noise == "device":
        monkeypatch.setattr(sampling, "gumbel_noise", None)
    env = small_env()
    policy = policy_of(fw)
    rows = np.zeros(4000, int)
    best = fw.rollout.rollout(policy, env, rows[:1]).completions[0]
    rng = np.random.default_rng(0)
    # At this temperature draws from the policy itself would be far from even.
    given = policy, env, rows, rng, 0.02
    batch = fw.rollout.rollout(*given, epsilon=0.3, noise=noise)
    first = batch.completions[:, 0]
    shares = np.bincount(first, minlength=6) / len(first)
    expected = np.full(6, 0.3 / 6)
    expected[best[0]] += 0.7
    np.testing.assert_allclose(shares, expected, atol=0.02)
    scored = policy.evaluate(
        *map(fw.tensor, (batch.prompts, batch.completions)), temperature=0.02
    )
    kept = batch.mask > 0  # what the policy says of a token, however it was chosen
    found = fw.numpy(scored[0])[kept]
    np.testing.assert_allclose(batch.logprobs[kept], found, atol=1e-8)
    never = fw.rollout.rollout(policy, env, rows[:9], rng, epsilon=0.0, noise=noise)
    assert (never.completions == best).all()
    with pytest.raises(ValueError, match="^epsilon: expected"):
        fw.rollout.rollout(policy, env, rows, rng, epsilon=1.5, noise=noise)
    with pytest.raises(ValueError, match="^rng: expected"):
        fw.rollout.rollout(policy, env, rows, epsilon=0.5, noise=noise)


@pytest.mark.parametrize("fw", BOTH, ids=lambda fw: fw.name)
def test_another_share_compiles_nothing(fw):
    policy, found = policy_of(fw, "GPT"), []
    for epsilon in (0.9, 0.5, 0.1):
        fw.rollout.sample(policy, [[1]], 3, seed=1, epsilon=epsilon)
        found.append(traces(policy))
    assert found[0] == found[1] == found[2]
    for noise in (None, np.zeros((1, 3, 6))):
        with pytest.raises(ValueError, match="^epsilon: expected None without a seed"):
            fw.rollout.sample(policy, [[1]], 3, noise, epsilon=0.5)


# --- Kinds of numbers --------------------------------------------------------

each = pytest.mark.parametrize("fw", BOTH, ids=lambda fw: fw.name)


@each
@pytest.mark.parametrize("name", ["LSTMPolicy", "GPT"])
def test_masks_and_noise_of_any_kind_of_numbers(fw, name):
    """Bools, integers, floats and lists of them, of which whole numbers are equal."""
    policy, prompts = policy_of(fw, name), np.array([[1, 2, 3], [3, 4, 5]])
    noise = np.random.default_rng(0).integers(0, 2, (2, 4, 6))
    mask = np.ones((2, 3))
    if name == "GPT":
        mask[0, 0] = 0
    wanted = fw.rollout.sample(policy, prompts, 4, noise * 1.0, prompt_mask=mask)
    for kind in (bool, int, np.float32, np.float64, list):
        arrays = [a.tolist() if kind is list else a.astype(kind) for a in (noise, mask)]
        found = fw.rollout.sample(
            policy, prompts.tolist(), 4, arrays[0], prompt_mask=arrays[1]
        )
        assert found[0].dtype == np.int64
        for ours, theirs in zip(found, wanted):
            np.testing.assert_array_equal(ours, theirs)


WRONG = {
    "prompts": [[[1.0]], [["a"]], [[True]], [[6]], [[-1]], [1], [[]], [[1, 2], [3]]],
    "max_length": [0, -1, 2.5, np.nan, np.inf, "a", True, [4]],
    "eos_id": [-1, 6, 99, 2.5, np.nan, "a", True, [2, 6], ["a"], 2.0],
    "pad_id": [-1, 6, 99, 2.5, np.nan, "a", True, [2], None],
    "temperature": [0, -1, np.nan, np.inf, "a", None, [1.0]],
    "top_k": [0, -1, 2.5, np.nan, np.inf, "a", True, [3]],
    "top_p": [0, -0.1, 1.1, np.nan, np.inf, "a", None, [0.5]],
    "group_size": [0, -1, 1.5, np.nan, np.inf, "a", True, [2]],
    "seed": [-1, 1.5, np.nan, np.inf, "a", True, [1]],
    "noise": [
        np.zeros((1, 4, 5)),
        np.full((1, 4, 6), np.nan),
        np.full((1, 4, 6), np.inf),
        "a",
        1.0,
    ],
    "prompt_mask": [[[2]], [[0]], [[np.nan]], [["a"]], [1], 1, "a"],
}


@each
@pytest.mark.parametrize(
    "name, value", [(n, v) for n, values in WRONG.items() for v in values], ids=str
)
def test_each_argument_is_checked(fw, name, value):
    arguments = {"prompts": [[1]], "max_length": 4} | {name: value}
    with pytest.raises((ValueError, TypeError), match=f"^{name}: expected"):
        fw.rollout.sample(policy_of(fw), **arguments)


@each
@pytest.mark.parametrize(
    "name, change",
    [
        *(("rows", {"rows": rows}) for rows in ([-1], [8], [0.5], ["a"], [], [[0]], 0)),
        *(("group_size", {"group_size": size}) for size in (0, 1.5, "a", True)),
        *(("rng", {"rng": rng}) for rng in (0, "a", np.random.RandomState(0))),
        ("rng", {"epsilon": 0.5}),
        ("rng", {"epsilon": 0.0}),
        *(
            ("epsilon", {"epsilon": e, "rng": np.random.default_rng(0)})
            for e in (-0.1, 1.1, np.nan, "a")
        ),
        *(("temperature", {"temperature": t}) for t in (0, np.nan, "a")),
    ],  # no ids: a generator's would be its address
)
def test_each_argument_of_a_rollout_is_checked(fw, name, change):
    arguments = {"rows": [0]} | change
    with pytest.raises((ValueError, TypeError), match=f"^{name}: expected"):
        fw.rollout.rollout(policy_of(fw), small_env(), **arguments)


# --- Seeds -------------------------------------------------------------------

DRAWN = {  # what version 0.1.0 drew
    "pt": {
        0: [29, 292, 540, 79, 354, 208],
        1: [938, 775, 765, 822, 443, 890],
        2**31: [698, 528, 779, 884, 260, 410],
        2**32 - 1: [49, 439, 55, 552, 259, 451],
    },
    "tf": {
        0: [311, 342, 934, 788, 13, 563],
        1: [972, 213, 247, 161, 678, 965],
        2**31: [195, 616, 951, 531, 564, 418],
        2**32 - 1: [357, 283, 691, 413, 807, 447],
    },
}


def uniform(fw):
    """A policy of 1000 tokens that are equally likely: what it draws is the seed's."""
    policy = policy_of(fw, vocab=1000)
    arrays = fw.checkpoints.get_weights(policy)
    fw.checkpoints.set_weights(policy, {n: 0 * a for n, a in arrays.items()})
    return policy


def draws(fw, policy, seed):
    return fw.rollout.sample(policy, [[1]], 6, seed=seed)[0][0].tolist()


@each
@pytest.mark.parametrize(
    "seed, other",
    [
        (0, 2**32),
        (1, 2**32 + 1),
        (2**32 - 1, 2**33 - 1),
        (2**40, 2**41),
        (2**63 - 1, 2**64 - 1),
        (2**63, 2**64),
    ],
)
def test_seeds_that_agree_in_32_bits_draw_differently(fw, seed, other):
    policy = uniform(fw)
    assert draws(fw, policy, seed) != draws(fw, policy, other)
    assert draws(fw, policy, np.uint64(seed) if seed < 2**64 else seed) == draws(
        fw, policy, seed
    )


@each
@pytest.mark.parametrize("seed", [0, 1, 2**31, 2**32 - 1])
def test_a_small_seed_draws_what_it_always_drew(fw, seed):
    assert draws(fw, uniform(fw), seed) == DRAWN[fw.name][seed]


# --- Tokens that are excluded ------------------------------------------------

ALLOWED = [1, 4]  # of 6: the first, the last and some between are excluded


def excluding(fw, name, monkeypatch):
    """A policy whose logits are -inf outside ALLOWED."""
    policy = policy_of(fw, name, dtype="float32")
    least = np.full(6, -np.inf)
    least[ALLOWED] = 0
    if name == "GPT":  # its head has no bias: as top-k and top-p exclude
        cut = fw.rollout.sampling_logits
        monkeypatch.setattr(
            fw.rollout,
            "sampling_logits",
            lambda logits, *more: (
                cut(logits, *more) + fw.tensor(least.astype("float32"))
            ),
        )
    else:
        arrays = fw.checkpoints.get_weights(policy)
        arrays["policy_head.bias"] = least
        fw.checkpoints.set_weights(policy, arrays)
    return policy


def share_of(fw, share, monkeypatch):
    """The random number of each draw is 1 - share."""
    import tensorflow as tf
    import torch

    def drawn(*shape, dtype, **_):
        return torch.full(shape, 1 - share, dtype=dtype)

    def stateless(shape, seed, dtype):
        return tf.fill(shape, tf.constant(1 - share, dtype))

    monkeypatch.setattr(torch, "rand", drawn)
    monkeypatch.setattr(tf.random, "stateless_uniform", stateless)


@each
@pytest.mark.parametrize("name", ["LSTMPolicy", "GPT"])
def test_an_excluded_token_is_never_drawn(fw, name, monkeypatch):
    policy = excluding(fw, name, monkeypatch)
    rng, n = np.random.default_rng(1), 500
    noise, low = rng.gumbel(size=(2, n, 3, 6))
    low[..., ALLOWED] -= 1e30
    explore = sampling.gumbel_noise(rng, (n, 3, 6), epsilon=0.9)
    for given, seed, epsilon, found in (
        (noise, None, None, ALLOWED),
        (low, None, None, None),
        (explore, None, None, ALLOWED),
        (None, 7, None, ALLOWED),
        (None, 7, 0.9, ALLOWED),
        (None, None, None, None),
    ):
        tokens, logprobs, _ = fw.rollout.sample(
            policy, [[1]], 3, given, group_size=n, seed=seed, epsilon=epsilon
        )
        assert set(tokens.ravel()) <= set(found or ALLOWED)
        assert found is None or set(tokens.ravel()) == set(found)
        assert np.isfinite(logprobs).all()


@each
@pytest.mark.parametrize("name", ["LSTMPolicy", "GPT"])
@pytest.mark.parametrize("share", [2**-24, 1.0])
def test_the_ends_of_the_distribution_are_not_excluded_tokens(
    fw, name, share, monkeypatch
):
    policy = excluding(fw, name, monkeypatch)
    share_of(fw, share, monkeypatch)
    tokens, _, _ = fw.rollout.sample(policy, [[1]], 3, seed=1, group_size=4)
    assert (tokens == (ALLOWED[-1] if share == 1 else ALLOWED[0])).all()


@each
def test_a_sum_that_grows_by_rounding_draws_no_excluded_token(fw, monkeypatch):
    """As a parallel sum can: more behind an excluded token than before it."""
    probs = np.array([0.0, 0.5, 0.0, 0.5, 0.0])
    grown = np.array([0.1, 0.5, 0.6, 1.0, 1.1])[None]
    import tensorflow as tf
    import torch

    monkeypatch.setattr(torch.Tensor, "cumsum", lambda x, dim: torch.tensor(grown))
    monkeypatch.setattr(tf, "cumsum", lambda x, axis: tf.constant(grown))
    with np.errstate(divide="ignore"):
        scores = fw.tensor(np.log(probs)[None])
    for share in (0.01, 0.55, 1.0):
        share_of(fw, share, monkeypatch)
        more = (None, torch.Generator())
        if fw is TF:
            more = (None, tf.constant(0), tf.constant(0))
        assert fw.numpy(fw.rollout._draw(scores, *more)) == (1 if share < 0.5 else 3)


@each
@pytest.mark.parametrize("name", POLICIES)
def test_a_policy_without_numbers_is_named(fw, name):
    """A row of such logits is no distribution, however a token is chosen."""
    policy = policy_of(fw, name)
    arrays = fw.checkpoints.get_weights(policy)
    weight = "transformer.ln_f.bias" if name == "GPT" else "policy_head.bias"
    for value in (np.nan, np.inf, -np.inf):
        arrays[weight][:] = value
        fw.checkpoints.set_weights(policy, arrays)
        for noise, seed in ((None, None), (np.zeros((1, 3, 6)), None), (None, 1)):
            with pytest.raises(ValueError, match="^policy: expected finite logits"):
                fw.rollout.sample(policy, [[1]], 3, noise, seed=seed)


def test_what_is_behind_an_end_may_be_no_number():
    """The log-probabilities that are kept are checked, and no others."""
    completions, logprobs = np.array([[2, 5, 1]]), np.array([[-1.0, np.nan, -1.0]])
    found = sampling.finished(completions, logprobs, 2, 0)
    np.testing.assert_array_equal(found[1], [[-1, 0, 0]])
    with pytest.raises(ValueError, match="^policy: expected finite logits"):
        sampling.finished(completions, logprobs, None, 0)


# --- What TensorFlow compiles ------------------------------------------------


@pytest.mark.parametrize("name", ["LSTMPolicy", "GPT"])
def test_tensorflow_compiles_once_a_prompt_length_and_does_not_warn(name):
    policy = policy_of(TF, name)
    with log_of_tensorflow() as text:
        for _ in range(2):
            for length in range(1, 7):
                TF.rollout.sample(policy, np.ones((1, length), int), 2, seed=length)
    # The start and the loop; of an LSTM's prompts the loop reads nothing.
    count = 6 + (1 if name == "LSTMPolicy" else 6)
    assert traces(policy) == [1] * count
    assert text.getvalue() == ""


def test_tensorflow_compiles_many_policies_and_does_not_warn():
    with log_of_tensorflow() as text:
        for seed in range(6):
            policy = policy_of(TF, seed=seed)
            TF.rollout.sample(policy, [[1, 2]], 2)
            assert traces(policy) == [1, 1]
    assert text.getvalue() == ""


@each
def test_numbers_of_numpy_are_numbers(fw):
    policy, found = policy_of(fw), []
    made = fw.models.LSTMPolicy(np.int64(6), np.int32(4), np.array(8), seed=np.int64(2))
    fw.checkpoints.set_weights(made, fw.checkpoints.get_weights(policy_of(fw)))
    for whole, real in ((int, float), (np.int64, np.float32), (np.int32, np.float64)):
        found.append(
            fw.rollout.sample(
                policy,
                [[1]],
                whole(3),
                eos_id=whole(2),
                pad_id=whole(1),
                temperature=real(0.5),
                top_k=whole(4),
                top_p=real(0.75),
                group_size=whole(9),
                seed=whole(1),
            )
        )
    for other in found[1:]:
        for ours, theirs in zip(other, found[0]):
            np.testing.assert_array_equal(ours, theirs)
