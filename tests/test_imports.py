"""Both frameworks live in one process, whichever is imported first."""

import subprocess
import sys

import pytest

COMPUTE = """
import core.parity
import numpy as np
import tensorflow as tf
import torch
from core.pt.logprobs import token_logprobs as pt_logprobs
from core.tf.logprobs import token_logprobs as tf_logprobs

logits = np.random.default_rng(0).normal(size=(2, 3, 4))
tokens = np.array([[0, 1, 2], [3, 0, 1]])
shifted = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
expected = np.take_along_axis(shifted, tokens[..., None], -1)[..., 0]
pt = pt_logprobs(torch.tensor(logits), torch.tensor(tokens)).numpy()
tf_ = tf_logprobs(tf.constant(logits), tf.constant(tokens)).numpy()
np.testing.assert_allclose(pt, expected, rtol=1e-12)
np.testing.assert_allclose(tf_, expected, rtol=1e-12)
print("equal")
"""


@pytest.mark.parametrize("first", [
    "import torch, tensorflow", "import tensorflow, torch",
    "import core.quiet", "import core.parity",
])
def test_import_orders(first):
    done = subprocess.run(
        [sys.executable, "-c", first + COMPUTE],
        capture_output=True, text=True, timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "equal"


def test_quiet_drops_the_start_up_lines():
    done = subprocess.run(
        [sys.executable, "-c", "import core.quiet, tensorflow, torch"],
        capture_output=True, text=True, timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
