"""Import this before the frameworks: the environment that they read.

While it is imported, TensorFlow writes lines about its build to stderr,
whatever its log level.  They differ between machines, and a notebook would
store them; they are dropped here.
"""

import os

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # idle threads sleep
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
