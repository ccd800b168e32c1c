"""Spoken commands: the sound, the data, the rewards, the two networks."""

import shutil

import numpy as np
import pytest

from applications import metrics, speech
from applications import speech_pt as pt_speech
from applications import speech_tf as tf_speech
from core import rewards
from core.envs import BatchedEnvironment
from tests.both import BOTH

MODELS = {"pt": pt_speech, "tf": tf_speech}
FRAMEWORKS = pytest.mark.parametrize("fw", BOTH, ids=lambda fw: fw.name)
NETWORKS = speech.FOLDER.parents[1] / "models" / "speech"


def tone(hertz, seconds=0.5):
    return np.sin(2 * np.pi * hertz * np.arange(seconds * speech.RATE) / speech.RATE)


@pytest.fixture(scope="module")
def frames():
    return speech.frames()


# --- Sound -----------------------------------------------------------------


def middles():
    """Of the bands in Hz, from the formula of the mel scale."""
    ends = 2595 * np.log10(1 + np.array([80, 7600]) / 700)
    return 700 * (10 ** (np.linspace(*ends, 22)[1:-1] / 2595) - 1)


def test_a_tone_is_loudest_in_its_band():
    for band in (3, 9, 16):
        mel = speech.log_mel(tone(middles()[band]), 16_000)
        assert mel.shape == (1 + (8000 - 800) // 400, 20)
        assert (mel.argmax(axis=1) == band).all()
        assert mel.max() == 0 and mel.min() >= -45


def test_loudness_does_not_matter_and_decibels_are_right():
    loud, soft = tone(middles()[10]), tone(middles()[16])
    mel = speech.log_mel(loud, 16_000)
    again = speech.log_mel(7 * loud, 16_000)
    np.testing.assert_allclose(again, mel, atol=1e-6)
    mel = speech.log_mel(loud + 0.1 * soft, 16_000)
    np.testing.assert_allclose(mel[:, 16], -20, atol=1)


@pytest.mark.parametrize(
    "samples, rate, name",
    [
        (np.ones(1600), 22_050, "rate"),
        (np.ones(799), 16_000, "samples"),
        (np.ones((2, 1600)), 16_000, "samples"),
        ([], 16_000, "samples"),
        (np.full(1600, np.nan), 16_000, "samples"),
        (np.zeros(1600), 16_000, "samples"),
    ],
)
def test_sound_that_is_none(samples, rate, name):
    with pytest.raises(ValueError, match=f"^{name}: expected"):
        speech.log_mel(samples, rate)


# --- Data ------------------------------------------------------------------


def test_the_splits_share_no_voice_and_no_sentence():
    train, test = (speech.recordings(split)[1] for split in speech.SPLITS)
    assert (len(train), len(test)) == (3000, 400)
    for key in ("voice", "text"):
        assert not {r[key] for r in train} & {r[key] for r in test}
    words = [{w for r in rows for w in r["text"].split()} for rows in (train, test)]
    assert words[0] == set(speech.tokenizer().tokens[3:]) >= words[1]
    for rows in (train, test):
        for level in speech.LEVELS:
            same = [r for r in rows if r["snr"] == level]
            assert len(same) == len(rows) // 4
            assert {r["noise"] for r in same} == {"white", "babble"}


def test_the_files_are_small(frames):
    size = sum(p.stat().st_size for p in speech.FOLDER.iterdir())
    assert size < 4e6
    assert frames.shape == (3400, 80, 20) and frames.dtype == np.float32
    np.testing.assert_allclose(frames.mean(axis=1), 0, atol=1e-5)


def test_the_parts():
    size = {
        p: len(speech.environment("train", part=p))
        for p in ("all", "quiet", "noisy", "tagged", "untagged")
    }
    assert size == {
        "all": 3000,
        "quiet": 1500,
        "noisy": 1500,
        "tagged": 750,
        "untagged": 750,
    }
    numbers = [
        set(speech.environment("train", part=p).prompts[:, 0])
        for p in ("quiet", "tagged", "untagged")
    ]
    assert set.union(*numbers) == set(range(3000))
    env = speech.environment("test")
    assert env.prompts[:, 0].tolist() == list(range(3000, 3400))
    assert env.targets_text([0]) == [speech.recordings("test")[1][0]["text"]]


def test_data_that_does_not_fit(tmp_path):
    with pytest.raises(ValueError, match="^split: expected one of"):
        speech.recordings("dev")
    with pytest.raises(ValueError, match="^part: expected one of"):
        speech.environment("train", part="loud")
    for name in ("mel.npz", "test.tsv"):
        shutil.copy(speech.FOLDER / name, tmp_path / name)
    lines = (tmp_path / "test.tsv").read_text("utf-8").splitlines(keepends=True)
    (tmp_path / "test.tsv").write_text("".join(lines[:-1]), "utf-8")
    with pytest.raises(ValueError, match=r"^folder: expected uint8 \(399,"):
        speech.recordings("test", tmp_path)
    (tmp_path / "test.tsv").write_text(
        "".join(lines).replace("\t30\n", "\t31\n"), "utf-8"
    )
    with pytest.raises(ValueError, match="^folder: expected snr in"):
        speech.recordings("test", tmp_path)


def test_prompts_that_are_no_tokens():
    """The environment bounds them by their own size, and so does sampling."""

    def unpaid(completions, mask, targets):
        return np.zeros(mask.shape)

    env = BatchedEnvironment([[7]], [[7]], unpaid, 4, prompt_vocab_size=8)
    assert env.prompts.tolist() == env.targets.tolist() == [[7]]
    for size in (None, 7):
        with pytest.raises(ValueError, match="^prompts: expected token ids"):
            BatchedEnvironment([[7]], [[1]], unpaid, 4, prompt_vocab_size=size)


# --- Rewards ---------------------------------------------------------------


def rows(*texts):
    tok = speech.tokenizer()
    ids = tok.encode_batch(texts, 6, add_eos=True)
    ends = (ids == tok.eos_id).argmax(axis=1)[:, None]
    return ids, (np.arange(6) <= ends) * 1.0


def test_errors_sum_to_the_word_error_rate():
    said = ["call two five", "dial two", "two call two two five", ""]
    ids, mask = rows(*said)
    targets = rewards.unpadded(rows(*["call two five"] * 4)[0], eos_id=2)
    paid = speech.token_word_errors(ids, mask, targets)
    wer = metrics.word_error_rate(said, target=["call two five"] * 4)
    np.testing.assert_allclose(-paid.sum(axis=1), wer)
    # By hand: a wrong first word, then "five" is missing when it ends.
    np.testing.assert_allclose(paid[1], np.array([-1, 0, -1, 0, 0, 0]) / 3)


def test_a_word_is_paid_where_it_is_named_first():
    odds = np.zeros((2, 31))
    tok = speech.tokenizer()
    two, call = tok.encode("two call")
    odds[1, [two, call]] = 2.0, -1.5
    odds[:, :3] = 9.0  # special tokens are never paid
    ids, mask = rows("call two two", "two")
    paid = speech.token_heard(ids, mask, np.array([[1], [0]]), odds)
    assert paid.tolist() == [[-1.5, 2, 0, 0, 0, 0], [0] * 6]
    swapped, _ = rows("two call two", "two")
    again = speech.token_heard(swapped, mask, np.array([[1], [0]]), odds)
    assert again.sum() == paid.sum()  # the order is not heard


def test_tags_are_the_set_of_words():
    env = speech.environment("train")
    (prompts,), said, mask = next(speech.tags(env, 5, np.random.default_rng(0)))
    again = env.targets_text(prompts[:, 0])  # the numbers are the rows
    for row, text in zip(said, again):
        heard = {env.tokenizer.tokens[i] for i in np.flatnonzero(row)}
        assert heard - {"<pad>", "<eos>"} == set(text.split())
    assert mask[:, 3:].all() and not mask[:, :3].any()


# --- Networks --------------------------------------------------------------


def small(fw, frames, **settings):
    return MODELS[fw.name].SpeechPolicy(
        31, frames[:50], 8, 8, dtype="float64", **settings
    )


def test_the_same_first_weights_and_log_probabilities(frames):
    found = []
    for fw in BOTH:
        policy = small(fw, frames, seed=1)
        prompts, texts = (
            fw.tensor(np.array([[3], [49]])),
            fw.tensor(np.arange(20).reshape(4, 5)),
        )
        weights = fw.checkpoints.get_weights(policy)
        found.append(
            [weights, *map(fw.numpy, policy.evaluate(prompts, texts, temperature=0.7))]
        )
    (left, *ours), (right, *theirs) = found
    assert left.keys() == right.keys()
    for name in left:
        np.testing.assert_array_equal(left[name], right[name])
    for a, b in zip(ours, theirs):
        np.testing.assert_allclose(a, b, atol=1e-12)


@FRAMEWORKS
def test_sampling_is_what_evaluate_says(fw, frames):
    """Step by step, with rows that leave the batch, as in one pass."""
    policy = small(fw, frames)
    batch = fw.rollout.sample(
        policy,
        np.arange(40)[:, None],
        6,
        eos_id=2,
        group_size=2,
        noise=np.random.default_rng(0).gumbel(size=(80, 6, 31)),
    )
    completions, logprobs, mask = batch
    found = fw.numpy(
        policy.evaluate(fw.tensor(np.arange(40)[:, None]), fw.tensor(completions))[0]
    )
    assert 1 < mask.sum(axis=1).min() or mask.sum() < mask.size
    np.testing.assert_allclose(found * mask, logprobs, atol=1e-12)
    with pytest.raises(ValueError, match=r"^prompts: .* in \[0, 50\)"):
        fw.rollout.sample(policy, [[50]], 6)


@FRAMEWORKS
def test_rows_that_are_kept_go_on_as_before(fw, frames):
    """A non-compiled TensorFlow policy never drops rows when it samples."""
    policy = small(fw, frames)
    tokens, rows = np.array([5, 6, 7, 8]), np.array([3, 1])

    def begun():
        _, state = policy.start(fw.tensor(np.array([[4], [9]])), 6, None, 2)
        return policy.step(fw.tensor(tokens), state)[1]

    kept = policy.keep(begun(), fw.tensor(rows))
    logits, _ = policy.step(fw.tensor(tokens), begun())
    fewer, _ = policy.step(fw.tensor(tokens[rows]), kept)
    np.testing.assert_allclose(fw.numpy(fewer), fw.numpy(logits)[rows], atol=1e-12)


@FRAMEWORKS
def test_forward_is_causal_and_hears(fw, frames):
    policy = small(fw, frames)
    ids = np.array([[4, 5, 6, 7], [4, 5, 9, 7], [8, 5, 6, 7]])
    logits, values = map(fw.numpy, policy(fw.tensor(ids)))
    assert logits.shape == (3, 4, 31) and values.shape == (3, 4)
    np.testing.assert_array_equal(logits[0, :2], logits[1, :2])
    assert not np.allclose(logits[0, 2], logits[1, 2])
    assert not np.allclose(logits[0, 0], logits[2, 0])


@FRAMEWORKS
def test_frames_that_are_none(fw, frames):
    network = MODELS[fw.name]
    for model in (network.SpeechPolicy, network.WordSpotter):
        for bad in (frames[0], frames[:2, :13], frames[:2] * np.nan):
            with pytest.raises(ValueError, match="^frames: expected"):
                model(31, bad)


def test_both_load_the_networks_of_the_book(frames):
    numbers = np.arange(3000, 3012)[:, None]
    texts = np.repeat(speech.environment("test").targets[:12], 1, axis=0)
    found = []
    for fw in BOTH:
        models = MODELS[fw.name]
        policy = models.SpeechPolicy(31, frames, **speech.MODEL)
        spotter = models.WordSpotter(31, frames, **speech.SPOTTER)
        fw.checkpoints.load_model(NETWORKS / "start.safetensors", policy)
        fw.checkpoints.load_model(NETWORKS / "spotter.safetensors", spotter)
        found.append(
            (
                fw.numpy(policy.evaluate(fw.tensor(numbers), fw.tensor(texts))[0]),
                fw.numpy(spotter(fw.tensor(numbers))),
            )
        )
    for a, b in zip(*found):
        np.testing.assert_allclose(a, b, atol=1e-4)
