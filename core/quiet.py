"""Import this before the frameworks: their environment, and the order of loading.

While it is imported, TensorFlow writes lines about its build to stderr, which differ
between machines and which a notebook would store.  They are dropped here, and so are
its warnings of functions that are compiled again.  All else holds without TensorFlow.
"""

import os
from contextlib import contextmanager, suppress

from core.load_order import torch_first

# PyTorch's idle threads look out for work for microseconds and then sleep.  Without the
# first they take a core from whoever else computes; without the second each small
# product waits for a thread to wake up.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
os.environ.setdefault("GOMP_SPINCOUNT", "2000")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")  # share a GPU


@contextmanager
def _no_stderr():
    """Drop what C++ writes to stderr.  A process without one (a daemon, pythonw)
    gets the null device: the next opened file would have its number and its lines."""
    try:
        kept = os.dup(2)
    except OSError:
        kept = None
    nowhere = os.open(os.devnull, os.O_WRONLY)
    if nowhere != 2:
        os.dup2(nowhere, 2)
        os.close(nowhere)
    try:
        yield
    finally:
        if kept is not None:
            os.dup2(kept, 2)
            os.close(kept)


torch_first()
with _no_stderr(), suppress(ImportError, AttributeError):
    import tensorflow

    # Each trainer of a chapter compiles its own functions, as it should.
    tensorflow.get_logger().setLevel("ERROR")
