"""First values, and a file that is written whole or not at all."""

import numpy as np
import pytest

from core import weights


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
