"""One update on two processes or devices is that of one, in float64."""

import os
import socket
import subprocess
import sys

import numpy as np
import pytest

from tests.conftest import ROOT
from tests.parallel import cases, forks

LIMIT = 600  # seconds for one framework's cases, on a busy machine
BOTH = pytest.mark.parametrize("framework", ["pt", "tf"])


def ports(count):
    """Numbers of free ports, all different."""
    found = [socket.socket() for _ in range(count)]
    for one in found:
        one.bind(("127.0.0.1", 0))
    numbers = [str(one.getsockname()[1]) for one in found]
    for one in found:
        one.close()
    return numbers


def ran(framework, folder, count):
    """The folder, after the framework's program has run; it ends with the test."""
    paths = os.pathsep.join([str(ROOT), str(ROOT / "book")])
    own = {"PYTHONPATH": paths, "OMP_NUM_THREADS": "1", "TF_CPP_MIN_LOG_LEVEL": "3"}
    command = [ROOT / "tests" / "parallel" / f"{framework}.py", folder, *ports(count)]
    program = subprocess.Popen(
        [sys.executable, *map(str, command)],
        env=os.environ | own,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        output = program.communicate(timeout=LIMIT)[0]
        assert program.returncode == 0, output[-4000:]
    finally:
        if program.poll() is None:
            os.killpg(program.pid, 9)
            program.wait()
    return folder


@pytest.fixture(scope="module")
def pt(tmp_path_factory):
    folder = ran("pt", tmp_path_factory.mktemp("pt"), 2)
    for output, code in forks.logs(folder, "alive"):
        assert code == 0, output[-4000:]
    return folder


@pytest.fixture(scope="module")
def tf(tmp_path_factory):
    return ran("tf", tmp_path_factory.mktemp("tf"), 4)


@pytest.fixture
def folder(request, framework):
    """Where the processes of a framework have written."""
    return request.getfixturevalue(framework)


def assert_equal(found, wanted):
    for ours, theirs in zip(found[0], wanted[0], strict=True):
        assert ours == pytest.approx(theirs, rel=1e-9, abs=1e-11)
    assert set(found[1]) == set(wanted[1])
    for name, array in found[1].items():
        np.testing.assert_allclose(array, wanted[1][name], atol=1e-10, err_msg=name)


@pytest.mark.parametrize("name", cases.CASES)
def test_two_processes_take_the_steps_of_one(pt, name):
    found, wanted = (cases.kept(pt, f"{name}.{n}") for n in ("two", "one"))
    assert_equal(found, wanted)
    assert found[0][0]["grad_norm"] > 0.02  # of which it is clipped


@pytest.mark.parametrize("name", cases.CASES)
def test_two_devices_of_tensorflow_take_them_too(pt, tf, name):
    for output, code in forks.logs(tf, "devices"):
        assert code == 0, output[-4000:]
    found = cases.kept(tf, f"{name}.devices")
    assert_equal(found, cases.kept(pt, f"{name}.one"))


def test_two_workers_of_tensorflow_take_them_too(pt, tf):
    found = cases.kept(tf, "group.workers")
    assert_equal(found, cases.kept(pt, "group.one"))


REFUSED = {
    "batch_size": "processes: expected a divisor of a step's prompts 15, got 2",
    "groups": "processes: expected a divisor of a step's prompts 1, got 2",
    "config": "config.seed: expected that of process 0 on all 2, got another on [1]",
    "rate": "config.learning_rate: expected that of process 0 on all 2",
    "task": "task.prompts: expected that of process 0 on all 2, got another on [1]",
    "weights": "weights: expected that of process 0 on all 2, got another on [1]",
    "reuse": "reuse: expected 0 on several devices, got 1",
}


@BOTH
@pytest.mark.parametrize("rank", [0, 1])
@pytest.mark.parametrize("name", REFUSED)
def test_what_two_processes_refuse(folder, rank, name):
    text = (folder / f"{name}.{rank}.txt").read_text("utf-8")
    assert text.startswith("ValueError: ") and REFUSED[name] in text


FAILURES = {
    "sampling": ("RuntimeError: sampling failed on process [1]", "OSError: no memory"),
    "save": (
        "ValueError: path: expected a file",
        "RuntimeError: save failed on process [0]",
    ),
    "load": ("RuntimeError: load failed on process [1]", "FileNotFoundError"),
    "other": ["ValueError: step: expected that of process 0 on all 2, got another"] * 2,
}


@BOTH
@pytest.mark.parametrize("name", FAILURES)
def test_what_fails_on_one_process_fails_on_both(folder, name):
    for rank, wanted in enumerate(FAILURES[name]):
        assert (folder / f"{name}.{rank}.txt").read_text("utf-8").startswith(wanted)


@BOTH
@pytest.mark.parametrize("end", ["", ".failed"])
def test_one_process_writes_the_files(folder, end):
    """Each was given a name of its own for a checkpoint; "failed" is a batch."""
    written = [folder / f"own.{rank}{end}" for rank in (0, 1)]
    assert written[0].is_file() and not written[1].exists()


def test_processes_sample_as_many_tokens_as_their_texts_have(pt):
    """Of a policy in shards, which a step of one alone would wait for."""
    for rank, length in enumerate([3, 1]):
        mask = np.load(pt / f"unlike.{rank}.npy")
        np.testing.assert_array_equal(mask.sum(axis=1), [length] * 2)


@BOTH
def test_each_process_draws_its_own_noise_on_the_device(folder):
    """Of one prompt, 16 texts: eight of each process, each from its own stream."""
    found, other = (dict(np.load(folder / f"streams.{rank}.npz")) for rank in (0, 1))
    for name, texts in found.items():
        np.testing.assert_array_equal(texts, other[name], err_msg=name)
        assert texts.shape == (16, 3) and (texts[:8] != texts[8:]).any(axis=1).sum() > 4
    np.testing.assert_array_equal(found["again"], found["first"])
    np.testing.assert_array_equal(found["resumed"], found["next"])
    for name in ("other", "next"):
        assert (found[name] != found["first"]).any(axis=1).sum() > 8


@BOTH
def test_a_killed_process_leaves_a_checkpoint(pt, folder, framework):
    """The other ends with an error; one or two processes go on from the last step.

    torchrun, which would end the other process, is not there.
    """
    (output, code), (_, killed) = forks.logs(folder, "killed")
    assert code == 1 and killed == -9, output[-4000:]
    assert "another process ended, or gave no answer in 20 s?" in output
    if framework == "tf":
        for output, code in forks.logs(folder, "resumed"):
            assert code == 0, output[-4000:]
    for name in ("resumed.two", "resumed.one"):
        assert_equal(cases.kept(folder, name), cases.kept(pt, "whole.one"))


def test_a_run_on_one_process_goes_on_with_two(pt):
    assert_equal(cases.kept(pt, "joined.two"), cases.kept(pt, "whole.one"))


def test_a_process_alone_is_told(pt):
    text = (pt / "alone.0.txt").read_text("utf-8")
    assert text.startswith("ValueError: environment: expected what python -m torch")
