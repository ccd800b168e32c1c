"""First values, and files that are written whole or not at all."""

import hashlib
import os
import random
import signal
import time
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from core import weights

FORKS = "ignore:This process .* is multi-threaded:DeprecationWarning"
pytestmark = pytest.mark.filterwarnings(FORKS)


def test_initial_weights():
    shapes = {
        "embedding.weight": (50, 40),
        "lstm.bias_ih_l0": (8,),
        "lstm.weight_hh_l0": (8, 100),
        "value_head.weight": (1, 2),
    }
    first = weights.initial_weights(shapes, 3)
    assert list(first["lstm.bias_ih_l0"]) == [0, 0, 1, 1, 0, 0, 0, 0]
    assert (first["value_head.weight"] == 0).all()
    assert 0.09 < np.abs(first["lstm.weight_hh_l0"]).max() <= 0.1
    assert first["embedding.weight"].std() == pytest.approx(1, abs=0.1)
    # the order in which a framework lists its weights does not matter
    other = weights.initial_weights(dict(reversed(shapes.items())), 3)
    for name in shapes:
        np.testing.assert_array_equal(first[name], other[name])
    third = weights.initial_weights(shapes, 4)
    assert (third["embedding.weight"] != first["embedding.weight"]).all()


def test_layers_that_add_to_the_residual_stream_start_smaller():
    """Two layers, so four additions: 0.02 / √4."""
    shapes = {
        f"transformer.h.{i}.{part}.weight": (200, 200)
        for i in range(2)
        for part in ("attn.c_attn", "attn.c_proj", "mlp.c_proj")
    }
    for name, first in weights.initial_weights(shapes, 0).items():
        wanted = 0.01 if "c_proj" in name else 0.02
        assert first.std() == pytest.approx(wanted, rel=0.02)


def test_write_and_read(tmp_path):
    path = tmp_path / "a.safetensors"
    big = 2**100  # a generator's state has such numbers
    weights.write(path, {"x": np.arange(6.0).reshape(2, 3).T}, {"n": big})
    arrays, metadata = weights.read(path)
    np.testing.assert_array_equal(arrays["x"], np.arange(6.0).reshape(2, 3).T)
    assert metadata == {"n": big}
    assert [p.name for p in tmp_path.iterdir()] == ["a.safetensors"]


def test_a_crash_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "a.safetensors"
    weights.write(path, {"x": np.ones(2)}, {})

    def crash(*_):
        raise OSError("disk full")

    for name in ("fsync", "replace"):
        monkeypatch.setattr(weights.os, name, crash)
        with pytest.raises(OSError, match="disk full"):
            weights.write(path, {"x": np.zeros(2)}, {})
        np.testing.assert_array_equal(weights.read(path)[0]["x"], [1, 1])


def test_bad_files_are_named(tmp_path):
    path = tmp_path / "a.safetensors"
    with pytest.raises(FileNotFoundError, match="no checkpoint"):
        weights.read(path)
    with pytest.raises(ValueError, match="folder"):
        weights.write(tmp_path / "none" / "a", {}, {})
    weights.write(path, {"x": np.ones(100)}, {})
    whole = path.read_bytes()
    for cut in (0, 4, 30, len(whole) - 1):
        path.write_bytes(whole[:cut])
        with pytest.raises(ValueError, match="truncated"):
            weights.read(path)
    from safetensors.numpy import save_file

    save_file({"x": np.ones(1)}, path)
    with pytest.raises(ValueError, match="not written by"):
        weights.read(path)


def test_check_names():
    good = {"a": (2,), "b": (3,)}
    weights.check_names({"a": np.ones(2), "b": np.ones(3)}, good)
    with pytest.raises(
        ValueError,
        match=r"missing a.*extra c.*b: expected "
        r"shape \(3,\), got \(2,\)",
    ):
        weights.check_names({"b": np.ones(2), "c": np.ones(1)}, good)


@pytest.mark.parametrize("entries", [0, 2_000_000])
def test_a_dict_of_any_length_is_kept(tmp_path, entries):
    """A header of safetensors ends at 100 MB; a long history is an array."""
    path = tmp_path / "a.safetensors"
    told = {"history": [1.5] * entries, "n": np.int64(3)}
    weights.write(path, {"x": np.ones(2)}, told)
    arrays, found = weights.read(path)
    assert found == told and set(arrays) == {"x"}
    header = int.from_bytes(path.read_bytes()[:8], "little")
    assert header < 1000
    assert (weights.METADATA in load_file(path)) == (entries > 0)


def test_too_many_names_are_an_error_that_says_so(tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise weights.SafetensorError("header too large")

    monkeypatch.setattr(weights, "save", refuse)
    with pytest.raises(ValueError, match="^arrays: header too large"):
        weights.write(tmp_path / "a", {}, {})
    assert not list(tmp_path.iterdir())


def unwritable(tmp_path):
    """Places where nothing can be written, by what is said of them."""
    file, folder = tmp_path / "file", tmp_path / "folder"
    folder.mkdir()
    for path in (file, folder / "inside"):
        path.touch()
        path.chmod(0o444)
    folder.chmod(0o555)
    return {
        "expected a file, got": tmp_path,
        "does not exist": tmp_path / "none" / "a",
        "file cannot be written": file,
        "folder cannot be written": folder / "new",
    }


def test_places_that_cannot_be_written_are_named(tmp_path):
    for message, path in unwritable(tmp_path).items():
        with pytest.raises(ValueError, match=f"^path: .*{message}"):
            weights.check_file(path)
    with pytest.raises(ValueError, match="^path: expected a file, got"):
        weights.check_file("")
    (tmp_path / "folder").chmod(0o755)


def test_a_digest_tells_arrays_apart():
    array = np.arange(6)
    others = [
        {"a": array},
        {"b": array},
        {"a": array.reshape(2, 3)},
        {"a": array.astype(np.int32)},
        {"a": array + 1},
        {"a": array, "b": array},
    ]
    assert len({weights.digest(arrays) for arrays in others}) == 6
    reverse = {"b": array[::-1][::-1], "a": array.tolist()}
    assert weights.digest(reverse) == weights.digest(others[-1])
    told = b"a <i8 (2,)" + bytes([0] * 8 + [1] + [0] * 7)
    wanted = hashlib.sha256(told).hexdigest()[:16]
    assert weights.digest({"a": np.arange(2)}) == wanted


# --- Directories --------------------------------------------------------------


NAMES = ("config", "body", "head")


def put(directory, version):
    """Three files of one version, through `aside`."""
    with weights.aside(directory) as new:
        for name in NAMES:
            (new / name).write_text(str(version), "utf-8")


def versions(directory):
    weights.recover(directory)
    return {(directory / name).read_text("utf-8") for name in NAMES}


def test_others_stay_and_nothing_else_is_left(tmp_path):
    directory = tmp_path / "m"
    (directory / "sub").mkdir(parents=True)
    for name in ("card", "sub/config", "config"):
        (directory / name).write_text("mine", "utf-8")
    (directory / "link").symlink_to("card")
    put(directory, 2)
    assert versions(directory) == {"2"}
    assert (directory / "sub" / "config").read_text("utf-8") == "mine"
    assert (directory / "link").readlink() == Path("card")
    assert (directory / "link").read_text("utf-8") == "mine"
    assert {p.name for p in directory.iterdir()} == {*NAMES, "card", "sub", "link"}
    assert [p.name for p in tmp_path.iterdir()] == ["m"]


def test_a_link_to_a_directory_stays_one(tmp_path):
    put(tmp_path / "m", 1)
    (tmp_path / "link").symlink_to("m")
    put(tmp_path / "link", 2)
    assert (tmp_path / "link").is_symlink() and versions(tmp_path / "m") == {"2"}


@pytest.mark.parametrize("old", [False, True])
@pytest.mark.parametrize("failing", ["fsync", "first", "second"])
def test_an_error_leaves_the_old_directory(tmp_path, monkeypatch, old, failing):
    directory, replace, calls = tmp_path / "m", os.replace, []
    if old:
        put(directory, 1)

    def crash(*paths):
        calls.append(paths)
        if failing == "fsync" or len(calls) == ("first", "second").index(failing) + 1:
            raise OSError("disk full")
        replace(*paths)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync" if failing == "fsync" else "replace", crash)
        if failing == "second" and not old:
            put(directory, 1)  # which has one rename
        else:
            with pytest.raises(OSError, match="disk full"):
                put(directory, 2)
    assert directory.exists() == (old or failing == "second")
    assert [p.name for p in tmp_path.iterdir()] == ["m"][: directory.exists()]
    assert not directory.exists() or versions(directory) == {"1"}


def killed(work, instant):
    """Fork, do the work and be killed -9 behind a call that changes names.

    Returns: whether there was such a call.
    """
    pid = os.fork()
    if pid == 0:
        done = [0]

        def counting(real):
            def counted(*arguments, **options):
                found = real(*arguments, **options)
                done[0] += 1
                if done[0] == instant:
                    os.kill(os.getpid(), signal.SIGKILL)
                return found

            return counted

        for name in ("replace", "rename", "unlink", "rmdir", "mkdir", "link"):
            setattr(os, name, counting(getattr(os, name)))
        work()
        os._exit(0)
    return os.WIFSIGNALED(os.waitpid(pid, 0)[1])


@pytest.mark.parametrize("old", [False, True])
def test_killed_at_every_instant_there_is_the_old_or_the_new(tmp_path, old):
    """And what a killed write leaves, the next one removes."""
    found, instant = [], 0
    while True:
        instant += 1
        directory = tmp_path / str(instant) / "m"
        directory.parent.mkdir()
        if old:
            put(directory, 1)
            (directory / "card").write_text("mine", "utf-8")
        if not killed(lambda to=directory: put(to, 2), instant):
            break
        left = {p.name for p in directory.parent.iterdir()}
        assert left <= {"m", ".m.new", ".m.old"}
        whole = [p for p in (directory, directory.with_name(".m.old")) if p.exists()]
        found.append(whole and versions(directory).pop())
        assert not whole or len(versions(directory)) == 1
        if old:
            assert (directory / "card").read_text("utf-8") == "mine"
        put(directory, 3)
        assert [p.name for p in directory.parent.iterdir()] == ["m"]
        assert versions(directory) == {"3"}
    before, after = ("1" if old else []), "2"
    switch = found.index(after)
    assert switch > 0 and found[:switch] == [before] * switch
    assert found[switch:] == [after] * (len(found) - switch)
    assert len(found) >= (8 if old else 2)


def test_between_the_renames_there_is_no_directory(tmp_path):
    """Who does not know of `recover` finds none, rather than parts of two."""
    gone = 0
    for instant in range(1, 12):
        directory = tmp_path / str(instant)
        put(directory, 1)
        killed(lambda to=directory: put(to, 2), instant)
        gone += not directory.exists()
        if directory.exists():
            assert len({(directory / name).read_text("utf-8") for name in NAMES}) == 1
    assert gone == 1


def test_killed_at_random_a_directory_is_whole(tmp_path):
    directory, rng = tmp_path / "m", random.Random(0)
    put(directory, 0)
    for _ in range(25):
        pid = os.fork()
        if pid == 0:
            for version in range(10**6):
                put(directory, version)
        time.sleep(rng.uniform(0, 0.02))
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        assert len(versions(directory)) == 1
    put(directory, "last")
    assert [p.name for p in tmp_path.iterdir()] == ["m"]


def test_a_reader_between_the_renames_loses_nothing(tmp_path, monkeypatch):
    """It puts the old one back: the write fails, and says so, or goes on."""
    directory, replace = tmp_path / "m", os.replace
    put(directory, 1)

    def slow(source, target):
        replace(source, target)
        if Path(target).name == ".m.old":
            monkeypatch.setattr(os, "replace", replace)
            assert versions(directory) == {"1"}

    monkeypatch.setattr(os, "replace", slow)
    with pytest.raises(OSError):
        put(directory, 2)
    assert versions(directory) == {"1"}
    put(directory, 3)
    assert versions(directory) == {"3"}
    assert [p.name for p in tmp_path.iterdir()] == ["m"]


def test_directories_that_cannot_be_replaced_are_named(tmp_path, monkeypatch):
    (tmp_path / "here" / "in").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "here" / "in")
    places = unwritable(tmp_path)
    (tmp_path / "other").touch()
    wrong = {
        "cannot be written": [places["folder cannot be written"], tmp_path / "folder"],
        "that can be renamed": [tmp_path / "file", "/proc"],
        "not the current one": ["", ".", "..", tmp_path / "here"],
        "null": ["a\0b"],
        "Not a directory": [tmp_path / "other" / "new"],
    }
    for message, paths in wrong.items():
        for path in paths:
            with pytest.raises(ValueError, match=f"^folder: .*{message}"):
                put(path, 1)
    (tmp_path / "folder").chmod(0o755)
    assert {p.name for p in tmp_path.iterdir()} == {"here", "file", "folder", "other"}


def test_files_are_synced_through_a_descriptor_that_may_write(tmp_path, monkeypatch):
    """Windows refuses one that is open to be read alone."""
    fcntl = pytest.importorskip("fcntl")
    synced = []

    def fsync(descriptor):
        mode = fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_ACCMODE
        assert mode in (os.O_WRONLY, os.O_RDWR)
        synced.append(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    put(tmp_path / "m", 1)
    weights.write(tmp_path / "a", {}, {})
    assert len(synced) == len(NAMES) + 1


@pytest.mark.parametrize("size", [10, 10**6])
def test_killed_at_random_a_file_is_whole(tmp_path, size):
    path, rng = tmp_path / "a", random.Random(1)
    weights.write(path, {"x": np.zeros(size)}, {"n": 0.0})
    for _ in range(15):
        pid = os.fork()
        if pid == 0:
            for n in range(10**6):
                weights.write(path, {"x": np.full(size, float(n))}, {"n": float(n)})
        time.sleep(rng.uniform(0, 0.05))
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        arrays, told = weights.read(path)
        assert (arrays["x"] == told["n"]).all()
    weights.write(path, {}, {})
    assert [p.name for p in tmp_path.iterdir()] == ["a"]
