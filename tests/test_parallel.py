"""One update on two processes or devices is that of one, in float64."""

import json
import os
import socket
import subprocess
import sys
from contextlib import contextmanager

import numpy as np
import pytest

from tests.conftest import ROOT
from tests.parallel import cases

LIMIT = 600  # seconds for all cases, on a busy machine
HERE = ROOT / "tests" / "parallel"


def port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


@contextmanager
def programs(*commands):
    """Programs that run at once, and end with the test; their outputs in a list."""
    paths = os.pathsep.join([str(ROOT), str(ROOT / "book")])
    own = {"PYTHONPATH": paths, "OMP_NUM_THREADS": "1", "TF_CPP_MIN_LOG_LEVEL": "3"}
    running = [
        subprocess.Popen(
            [sys.executable, *map(str, command)],
            env=os.environ | own | more,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        for command, more in commands
    ]
    try:
        yield [(p.communicate(timeout=LIMIT)[0], p.returncode) for p in running]
    finally:
        for program in running:
            if program.poll() is None:
                os.killpg(program.pid, 9)
                program.wait()


def torchrun(folder, *what, processes=2):
    """Output and exit code of the program on so many processes."""
    start = ["-m", "torch.distributed.run", "--nproc-per-node", processes]
    start += ["--master-port", port(), HERE / "pt.py", folder, *what]
    with programs((start, {})) as done:
        return done[0]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("parallel")


@pytest.fixture(scope="module")
def two_processes(folder):
    output, code = torchrun(folder, "refused", "equal")
    assert code == 0, output[-4000:]
    return folder


@pytest.fixture(scope="module")
def two_devices(folder):
    with programs(([HERE / "tf.py", folder, "devices"], {})) as [(output, code)]:
        assert code == 0, output[-4000:]
    return folder


def assert_equal(found, wanted):
    for ours, theirs in zip(found[0], wanted[0], strict=True):
        assert ours == pytest.approx(theirs, rel=1e-9, abs=1e-11)
    assert set(found[1]) == set(wanted[1])
    for name, array in found[1].items():
        np.testing.assert_allclose(array, wanted[1][name], atol=1e-10, err_msg=name)


@pytest.mark.parametrize("name", cases.CASES)
def test_two_processes_take_the_steps_of_one(two_processes, name):
    found, wanted = (cases.kept(two_processes, f"{name}.{n}") for n in ("two", "one"))
    assert_equal(found, wanted)
    assert found[0][0]["grad_norm"] > 0


@pytest.mark.parametrize("name", cases.CASES)
def test_two_devices_of_tensorflow_take_them_too(two_processes, two_devices, name):
    found = cases.kept(two_devices, f"{name}.devices")
    assert_equal(found, cases.kept(two_processes, f"{name}.one"))


@pytest.mark.parametrize("rank", [0, 1])
@pytest.mark.parametrize(
    "name, wanted",
    [
        ("batch_size", "processes: expected a divisor of a step's prompts 15, got 2"),
        ("groups", "processes: expected a divisor of a step's prompts 1, got 2"),
        ("config", "config.seed: expected that of process 0 on all 2, got another"),
        ("rate", "config.learning_rate: expected that of process 0 on all 2"),
    ],
)
def test_what_two_processes_refuse(two_processes, rank, name, wanted):
    assert (two_processes / f"{name}.{rank}.txt").read_text("utf-8").startswith(wanted)


def test_a_killed_process_leaves_a_checkpoint(folder, tmp_path):
    """The other ends with an error; one or two processes go on from the last step.

    torchrun, which would end the other process, is not there.
    """
    own = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port()), "WORLD_SIZE": "2"}
    command = [HERE / "pt.py", tmp_path, "killed"]
    ranks = [own | {"RANK": str(rank), "LOCAL_RANK": str(rank)} for rank in range(2)]
    with programs(*[(command, more) for more in ranks]) as done:
        (output, code), (_, killed) = done
    assert code == 1 and killed == -9
    assert "another process ended, or gave no answer in 20 s?" in output
    output, code = torchrun(tmp_path, "resumed")
    assert code == 0, output[-4000:]
    from tests.both import PT

    policy, *rest = cases.arguments(PT.models, "sum")
    one = PT.trainers.PolicyGradientTrainer(policy, *rest)
    one.load(tmp_path / "checkpoint")
    assert len(one.history) == 2
    one.train(2, progress=False)
    wanted = one.history, PT.checkpoints.get_weights(one.policy)
    assert_equal(cases.kept(tmp_path, "resumed.two"), wanted)


def test_two_workers_of_tensorflow(two_processes, folder):
    workers = [f"127.0.0.1:{port()}" for _ in range(2)]
    config = {"cluster": {"worker": workers}}
    started = []
    for index in range(2):
        task = config | {"task": {"type": "worker", "index": index}}
        command = [HERE / "tf.py", folder, "workers"]
        started.append((command, {"TF_CONFIG": json.dumps(task)}))
    with programs(*started) as done:
        for output, code in done:
            assert code == 0, output[-4000:]
    found = cases.kept(folder, "group.workers")
    assert_equal(found, cases.kept(two_processes, "group.one"))


def test_a_process_alone_is_told():
    """Started without torchrun, as `accelerate launch --cpu` starts one."""
    from core.pt import parallel

    with pytest.raises(ValueError, match="environment: expected what python -m torch"):
        with parallel.started():
            pass
