"""Import this before the frameworks: the environment that they read.

While it is imported, TensorFlow writes lines about its build to stderr,
whatever its log level.  They differ between machines, and a notebook would
store them; they are dropped here.
"""

import os

# PyTorch's idle threads look out for work for microseconds and then sleep.
# Without the first they take a core from whoever else computes; without the
# second each small product waits for a thread to wake up.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
os.environ.setdefault("GOMP_SPINCOUNT", "2000")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")  # share a GPU

_stderr = os.dup(2)
_nowhere = os.open(os.devnull, os.O_WRONLY)
os.dup2(_nowhere, 2)
try:
    import tensorflow  # noqa: F401
finally:
    os.dup2(_stderr, 2)
    os.close(_stderr)
    os.close(_nowhere)
