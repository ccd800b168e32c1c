"""Weights and files: one layout in both frameworks."""

import numpy as np
import pytest

from core import weights
from tests.both import BOTH, PT, TF

SIZES = {"embedding_dim": 4, "hidden_dim": 5}
KINDS = ["LSTMPolicy", "LSTMAttentionPolicy", "BaselineNetwork"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "source, target", [(PT, TF), (TF, PT)], ids=["pt to tf", "tf to pt"]
)
def test_what_one_saves_the_other_loads(tmp_path, source, target, kind):
    path = tmp_path / "model.safetensors"
    first = getattr(source.models, kind)(7, seed=1, **SIZES)
    second = getattr(target.models, kind)(7, seed=2, **SIZES)
    source.checkpoints.save_model(path, first)
    target.checkpoints.load_model(path, second)
    ids = np.array([[1, 2, 3]])
    outputs = first(source.tensor(ids)), second(target.tensor(ids))
    if kind != "BaselineNetwork":
        outputs = [o[0] for o in outputs]
    np.testing.assert_allclose(
        source.numpy(outputs[0]), target.numpy(outputs[1]), atol=1e-6
    )
    found = target.checkpoints.get_weights(second)
    for name, array in source.checkpoints.get_weights(first).items():
        np.testing.assert_array_equal(found[name], array)


@pytest.mark.parametrize("fw", BOTH, ids=lambda fw: fw.name)
def test_wrong_weights_are_named_and_change_nothing(tmp_path, fw):
    policy = fw.models.LSTMPolicy(7, seed=1, **SIZES)
    before = fw.checkpoints.get_weights(policy)
    wider = fw.models.LSTMPolicy(8, seed=1, **SIZES)
    path = tmp_path / "wider.safetensors"
    fw.checkpoints.save_model(path, wider)
    with pytest.raises(
        ValueError,
        match=r"embedding.weight: expected shape "
        r"\(7, 4\), got \(8, 4\)",
    ):
        fw.checkpoints.load_model(path, policy)
    missing = {k: v for k, v in before.items() if k != "policy_head.bias"}
    with pytest.raises(ValueError, match="missing policy_head.bias"):
        fw.checkpoints.set_weights(policy, missing)
    extra = before | {"more": np.ones(1)}
    with pytest.raises(ValueError, match="extra more"):
        fw.checkpoints.set_weights(policy, extra)
    with pytest.raises(FileNotFoundError):
        fw.checkpoints.load_model(tmp_path / "none", policy)
    for name, array in fw.checkpoints.get_weights(policy).items():
        np.testing.assert_array_equal(array, before[name])


@pytest.mark.parametrize("fw", BOTH, ids=lambda fw: fw.name)
@pytest.mark.parametrize("thing", [None, {}, object()], ids=["None", "dict", "object"])
def test_what_is_no_model_has_no_weights(tmp_path, fw, thing):
    """A file without weights would be found out when they are needed."""
    path = tmp_path / "model.safetensors"
    with pytest.raises(ValueError, match="^model: expected a"):
        fw.checkpoints.save_model(path, thing)
    assert not path.exists()
    with pytest.raises(ValueError, match="^model: expected a"):
        fw.checkpoints.get_moments(
            fw.trainers.adam(fw.models.BaselineNetwork(7, seed=1, **SIZES)), thing
        )


@pytest.mark.parametrize("fw", BOTH, ids=lambda fw: fw.name)
def test_weights_are_copies(fw):
    policy = fw.models.LSTMPolicy(7, seed=1, **SIZES)
    arrays = fw.checkpoints.get_weights(policy)
    arrays["policy_head.bias"] += 1
    again = fw.checkpoints.get_weights(policy)["policy_head.bias"]
    assert (again == 0).all()


@pytest.mark.parametrize("fw", BOTH, ids=lambda fw: fw.name)
def test_moments_are_checked(fw):
    policy = fw.models.LSTMPolicy(7, seed=1, **SIZES)
    optimizer = fw.trainers.adam(policy)
    moments = fw.checkpoints.get_moments(optimizer, policy)
    assert all((array == 0).all() for array in moments.values())
    del moments["first.policy_head.bias"]
    with pytest.raises(ValueError, match="missing first.policy_head.bias"):
        fw.checkpoints.set_moments(optimizer, policy, moments, 3)


def test_files_hold_no_pickle(tmp_path):
    path = tmp_path / "model.safetensors"
    PT.checkpoints.save_model(path, PT.models.LSTMPolicy(7, **SIZES))
    assert set(weights.read(path)[0]) == {
        "embedding.weight",
        "lstm.weight_ih_l0",
        "lstm.weight_hh_l0",
        "lstm.bias_ih_l0",
        "policy_head.weight",
        "policy_head.bias",
        "value_head.weight",
        "value_head.bias",
    }


@pytest.mark.parametrize("fw", BOTH, ids=lambda fw: fw.name)
def test_another_class_of_model_is_refused(tmp_path, fw):
    path = tmp_path / "model.safetensors"
    fw.checkpoints.save_model(path, fw.models.LSTMPolicy(7, **SIZES))
    with pytest.raises(ValueError, match="expected weights of a LSTMAtt"):
        fw.checkpoints.load_model(path, fw.models.LSTMAttentionPolicy(7, **SIZES))
