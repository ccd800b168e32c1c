"""Spoken commands, such as "call three five nine": log-mel in, text out.

A prompt is the number of a recording, and a policy of `speech_pt` or
`speech_tf` looks its frames up.  The recordings were made by
book/data/speech/make.py and are read from that folder.
"""

from __future__ import annotations

import csv
from functools import partial
from itertools import product
from pathlib import Path

import numpy as np
from scipy import fft, signal

from core import rewards
from core.envs import BatchedEnvironment
from core.settings import SupervisedConfig
from core.text import SPECIALS, WordTokenizer

FOLDER = Path(__file__).resolve().parents[1] / "data" / "speech"
SPLITS = ("train", "test")
RATE = 16_000  # samples per second
WINDOW, HOP = 800, 400  # samples: 50 ms, every 25 ms
SAMPLES = 32_400  # of a recording, which make 80 frames
BANDS, LOWEST, HIGHEST = 20, 80.0, 7600.0  # mel bands, their range in Hz
RANGE = 45.0  # dB below the loudest that are kept
STEP = 3.0  # dB, in which recordings are kept
LEVELS = (30, 20, 10, 5)  # signal-to-noise ratios of the recordings, dB
QUIET = 20  # dB: the quiet recordings are those from here up

DIGITS = "zero one two three four five six seven eight nine".split()
COMMANDS = [  # each list is a choice
    [["call", "dial"], DIGITS, DIGITS],
    [["call", "dial"], DIGITS, DIGITS, DIGITS],
    [["set"], ["timer", "alarm"], DIGITS],
    [["set"], ["timer", "alarm"], DIGITS, DIGITS],
    [["turn"], ["left", "right"], DIGITS],
    [["turn"], ["light", "radio", "heater"], ["on", "off"]],
    [["volume"], ["up", "down"], DIGITS],
    [["play", "stop"], ["radio", "timer", "alarm"]],
]
LONGEST = max(map(len, COMMANDS))  # words

# The networks that travel with the book (speech_start.py).
MODEL = {"embedding_dim": 32, "hidden_dim": 64}
SUPERVISED = SupervisedConfig(steps=1500, learning_rate=3e-3)
SPOTTER = {"hidden_dim": 64}
SPOTTER_SUPERVISED = SupervisedConfig(steps=800, learning_rate=3e-3)
BATCH_SIZE = 32


def tokenizer():
    """One token for each word of a command."""
    words = {word: 0 for command in COMMANDS for slot in command for word in slot}
    return WordTokenizer([" ".join(words)])


def sentences():
    """All texts of each command: a list of lists of str."""
    return [[" ".join(words) for words in product(*command)] for command in COMMANDS]


def log_mel(samples, rate):
    """How loud each mel band is in each frame, dB below the loudest.

    A frame is a window of 50 ms, every 25 ms; a band is a triangle over
    frequencies, and bands are equally wide on the mel scale, which follows
    the ear: nearly linear below 1 kHz, logarithmic above.

    Args:
        samples: (n,) float, n at least 800, the sound pressure in any unit.
        rate: samples per second, 16000.
    Returns: (F, 20) float in [-45, 0], F = 1 + (n - 800) // 400.
    Raises: ValueError for another rate, fewer samples than a window, numbers
        that are not finite, and silence.
    Source: Davis, Mermelstein 1980, IEEE TASSP 28(4), without their cosine
        transform.
    """
    if rate != RATE:
        raise ValueError(f"rate: expected {RATE} samples/s, got {rate}")
    samples = np.asarray(samples, dtype=np.float64)
    if samples.ndim != 1 or len(samples) < WINDOW:
        raise ValueError(
            f"samples: expected (n,) with n at least {WINDOW}, one window, "
            f"got {samples.shape}"
        )
    if not np.isfinite(samples).all():
        raise ValueError("samples: expected finite numbers")
    if not samples.any():
        raise ValueError("samples: expected a sound, got zeros")
    windows = np.lib.stride_tricks.sliding_window_view(samples, WINDOW)[::HOP]
    shaped = windows * signal.get_window("hann", WINDOW)
    power = np.abs(fft.rfft(shaped)) ** 2 @ mel_bands().T  # (F, BANDS)
    power = power / power.max()
    return 10 * np.log10(np.maximum(power, 10 ** (-RANGE / 10)))


def mel_bands():
    """Weights of the frequencies in each band, (20, 401)."""
    ends = 2595 * np.log10(1 + np.array([LOWEST, HIGHEST]) / 700)
    corners = 700 * (10 ** (np.linspace(*ends, BANDS + 2) / 2595) - 1)
    low, middle, high = corners[:-2, None], corners[1:-1, None], corners[2:, None]
    hertz = fft.rfftfreq(WINDOW, 1 / RATE)
    rise, fall = (hertz - low) / (middle - low), (high - hertz) / (high - middle)
    return np.maximum(np.minimum(rise, fall), 0)


def recordings(split, folder=FOLDER):
    """The recordings of a split and what is known of each.

    Args:
        split: "train" or "test": other voices, other sentences.
        folder: of the files "<split>.tsv" and "mel.npz".
    Returns: (N, 80, 20) float, `log_mel` of each in steps of 3 dB; and
        `descriptions`.
    Raises: ValueError for another split, and where a file does not fit.
    """
    about = descriptions(split, folder)
    with np.load(Path(folder) / "mel.npz") as arrays:
        levels = arrays[split]
    if levels.dtype != np.uint8 or levels.shape[::2] != (len(about), BANDS):
        raise ValueError(
            f"folder: expected uint8 ({len(about)}, F, {BANDS}), a recording "
            f"a line of {split}.tsv, got {levels.dtype} {levels.shape}"
        )
    return levels * STEP - RANGE, about


def descriptions(split, folder=FOLDER):
    """What is known of the recordings: N dicts with "text", "voice", "noise"
    (str) and "snr" (int, dB).  Arguments and errors as of `recordings`."""
    if split not in SPLITS:
        raise ValueError(f"split: expected one of {SPLITS}, got {split!r}")
    with open(Path(folder) / f"{split}.tsv", encoding="utf-8") as file:
        about = list(csv.DictReader(file, delimiter="\t"))
    for row in about:
        row["snr"] = int(row["snr"])
        if row["snr"] not in LEVELS:
            raise ValueError(f"folder: expected snr in {LEVELS}, got {row['snr']}")
    return about


def frames():
    """What a policy reads: the recordings of both splits, one after the
    other, (N, 80, 20) float32.

    From each band its mean over the recording is subtracted, which removes a
    steady noise and the colour of a microphone; the unit is 22.5 dB.
    """
    decibels = np.concatenate([recordings(split)[0] for split in SPLITS])
    decibels -= decibels.mean(axis=1, keepdims=True)
    return (2 * decibels / RANGE).astype(np.float32)


def token_word_errors(completions, mask, targets):
    """Minus the word error rate, each error paid by the token that makes it.

    `rewards.token_edit_regret` per word of the target instead of per token:
    the sum over a row is minus `metrics.word_error_rate`, and 1 / words less
    where the limit cuts a text off before its EOS.
    """
    length = (np.asarray(targets) >= 0).sum(axis=1, keepdims=True)
    paid = rewards.token_edit_regret(completions, mask, targets)
    return paid * length / (length - 1)


def token_heard(completions, mask, recordings, odds):
    """The log-odds of each word to be heard in the recording.

    Only where a text names a word first.  The sum over a row is then, but
    for a constant of the recording, the log-probability of the text's set of
    words where each word is heard independently of the others.

    Args:
        completions, mask: (B, T).
        recordings: (B, 1) int, their numbers.
        odds: (N, V) float, nats, as from a `WordSpotter`.
    Returns: (B, T) float.
    """
    completions = np.asarray(completions)
    heard = np.take_along_axis(odds[recordings[:, 0]], completions, axis=1)
    same = completions[:, :, None] == completions[:, None, :]
    named = np.tril(same, -1).any(axis=2)
    words = completions >= len(SPECIALS)
    return np.where(words & ~named, heard, 0.0) * mask


def environment(split, token_reward=token_word_errors, part="all"):
    """Recordings to write down; minus the word error rate is the return.

    Args:
        split: "train" or "test".
        token_reward: f(completions, mask, targets) -> (B, T).
        part: "quiet": an SNR of at least 20 dB; "noisy": the others;
            "tagged", "untagged": halves of the noisy ones; "all".
    """
    numbers, texts = _chosen(split, part)
    tok = tokenizer()
    targets = tok.encode_batch(texts, LONGEST + 1, add_eos=True)
    return _environment(numbers, targets, token_reward, tok)


def untranscribed(split, odds, part="untagged"):
    """The same recordings without their texts: `token_heard` is the reward.

    Args:
        odds: (N, V) float, nats, of both splits' recordings.
        split, part: as for `environment`.
    """
    numbers, _ = _chosen(split, part)
    reward = partial(token_heard, odds=odds)
    whole = np.ones(numbers.shape)  # 0 is a number here, no pad
    return _environment(numbers, numbers, reward, tokenizer(), whole)


def tags(env, batch_size, rng):
    """Batches without end to train a `WordSpotter` on.

    Args:
        env: `environment(...)`.
        batch_size: recordings in a batch, drawn with replacement.
        rng: np.random.Generator.
    Yields: (inputs, targets, mask): the recordings' numbers (B, 1), and 1
        for the words of their texts, (B, V); special tokens do not count.
    """
    words = np.arange(env.vocab_size)
    while True:
        rows = env.sample(batch_size, rng)
        said = (env.targets[rows][:, :, None] == words).any(axis=1)
        mask = np.broadcast_to(words >= len(SPECIALS), said.shape)
        yield (env.prompts[rows],), said.astype(int), mask


def _chosen(split, part):
    """Numbers (N, 1) and texts of a part of a split."""
    about = descriptions(split)
    quiet = np.array([row["snr"] >= QUIET for row in about])
    first_half = np.cumsum(~quiet) <= (~quiet).sum() // 2
    parts = {
        "all": quiet | ~quiet,
        "quiet": quiet,
        "noisy": ~quiet,
        "tagged": ~quiet & first_half,
        "untagged": ~quiet & ~first_half,
    }
    if part not in parts:
        raise ValueError(f"part: expected one of {tuple(parts)}, got {part!r}")
    kept = np.flatnonzero(parts[part])
    before = len(descriptions("train")) if split == "test" else 0
    return before + kept[:, None], [about[i]["text"] for i in kept]


def _environment(numbers, targets, token_reward, tok, target_mask=None):
    return BatchedEnvironment(
        numbers,
        targets,
        token_reward,
        len(tok),
        eos_id=tok.eos_id,
        tokenizer=tok,
        max_length=LONGEST + 2,
        prompt_vocab_size=sum(len(descriptions(s)) for s in SPLITS),
        target_mask=target_mask,
    )
