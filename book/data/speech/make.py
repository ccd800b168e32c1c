"""Speak the commands once and write mel.npz, train.tsv, test.tsv.

Needs the program espeak-ng (Debian's package of that name; version 1.51 made
the files of the book).  Nothing else in the book needs it.  To be run in the
folder of the book: python -m data.speech.make.
"""

from __future__ import annotations

import csv
import io
import subprocess
import wave
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from pathlib import Path

import numpy as np
from scipy.signal import resample_poly

from applications import speech

FOLDER = Path(__file__).resolve().parent
SIZES = {"train": 3000, "test": 400}
ACCENTS = ("en-gb", "en-us", "en-gb-scotland", "en-gb-x-rp", "en-029")
VARIANTS = ("m1", "m2", "m3", "m4", "m7", "f1", "f2", "f4")
# A voice is an accent and a variant.  A fifth of them is held out, in which
# each accent and each variant occurs.
VOICES = {split: [] for split in speech.SPLITS}
for (i, accent), (j, variant) in product(enumerate(ACCENTS), enumerate(VARIANTS)):
    split = "test" if (i + j) % 5 == 0 else "train"
    VOICES[split].append(f"{accent}+{variant}")
TALKERS = 4  # at the same time in babble


def main():
    """Write the files beside this one."""
    texts = split_sentences(np.random.default_rng(0))
    arrays = {}
    for seed, split in enumerate(speech.SPLITS):
        rng = np.random.default_rng(seed)
        rows = plan(texts[split], VOICES[split], SIZES[split], rng)
        with ThreadPoolExecutor() as pool:
            voiced = list(pool.map(speak, rows))
        levels = [
            mixed(sound, row, voiced, rng)
            for sound, row in zip(voiced, rows, strict=True)
        ]
        arrays[split] = np.stack(levels)
        with open(FOLDER / f"{split}.tsv", "w", encoding="utf-8") as file:
            table = csv.DictWriter(file, rows[0], delimiter="\t", lineterminator="\n")
            table.writeheader()
            table.writerows(rows)
    np.savez_compressed(FOLDER / "mel.npz", **arrays)


def split_sentences(rng):
    """A fifth of the sentences of each command are held out."""
    texts = {split: [] for split in speech.SPLITS}
    for command in speech.sentences():
        order = rng.permutation(command).tolist()
        held_out = max(len(order) // 5, 1)
        texts["test"].append(order[:held_out])
        texts["train"].append(order[held_out:])
    return texts


def plan(texts, voices, size, rng):
    """What is to be said, by whom and in which noise: `size` dicts."""
    return [
        {
            "text": str(rng.choice(texts[rng.integers(len(texts))])),
            "voice": str(rng.choice(voices)),
            "speed": int(rng.integers(150, 201)),  # words per minute
            "pitch": int(rng.integers(30, 71)),  # of 0 to 99
            "noise": ("white", "babble")[i // len(speech.LEVELS) % 2],
            "snr": speech.LEVELS[i % len(speech.LEVELS)],
        }
        for i in range(size)
    ]


def speak(row):
    """The sound of a text at 16 kHz, at most a recording long."""
    command = [
        "espeak-ng",
        "-v",
        row["voice"],
        "-s",
        str(row["speed"]),
        "-p",
        str(row["pitch"]),
        "--stdout",
        row["text"],
    ]
    done = subprocess.run(command, capture_output=True, check=True)
    with wave.open(io.BytesIO(done.stdout)) as file:
        rate, data = file.getframerate(), file.readframes(10**7)
    sound = np.frombuffer(data, dtype="<i2") / 2**15
    sound = resample_poly(sound, speech.RATE, rate)
    heard = np.flatnonzero(np.abs(sound) > 0.01)
    sound = sound[heard[0] : heard[-1] + 1]
    if len(sound) > speech.SAMPLES:
        row["speed"] += 20  # the same, said faster
        return speak(row)
    return sound


def mixed(sound, row, voiced, rng):
    """The sound somewhere in its recording, in noise: its log-mel, uint8."""
    if row["noise"] == "white":
        noise = rng.standard_normal(speech.SAMPLES)
    else:
        talkers = rng.choice(len(voiced), TALKERS, replace=False)
        noise = sum(  # looped, from anywhere on
            np.roll(np.resize(voiced[i], speech.SAMPLES), rng.integers(speech.SAMPLES))
            for i in talkers
        )
    ratio = np.mean(sound**2) / np.mean(noise**2) / 10 ** (row["snr"] / 10)
    whole = noise * ratio**0.5
    start = rng.integers(speech.SAMPLES - len(sound) + 1)
    whole[start : start + len(sound)] += sound
    decibels = speech.log_mel(whole, speech.RATE)
    return np.round((decibels + speech.RANGE) / speech.STEP).astype(np.uint8)


if __name__ == "__main__":
    main()
