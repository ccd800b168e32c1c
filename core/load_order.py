"""Load PyTorch's CUDA build before TensorFlow, where both are installed.

TensorFlow's libraries show their symbols to all libraries that are loaded after them.
PyTorch's CUDA build for Linux then takes two things from them and not from its own:

- LLVM, in the Triton that comes with it (3.7 and later, beside TensorFlow 2.20 and
  later): the process dies with SIGSEGV when PyTorch loads Triton, at the first
  optimizer.  Source: tensorflow issue 124205.
- The CUDA runtime: TensorFlow's stand-in for it answers "Error loading CUDA libraries",
  PyTorch warns at the first backward pass and sees no GPU.

Loaded first, both keep their own.
"""

import sys
from contextlib import suppress
from importlib.util import find_spec


def torch_first(needed=False):
    """Load Triton and PyTorch now, unless TensorFlow is loaded already.

    Nothing is loaded where Triton is not installed: PyTorch's build for the processor
    alone shares nothing with TensorFlow.

    Args:
        needed: whether PyTorch will be used in any case.
    Raises: ImportError with `needed`, where Triton is installed and TensorFlow was
        loaded before it: PyTorch would end the process.
    """
    if "triton" in sys.modules or find_spec("triton") is None:
        return
    if "tensorflow" not in sys.modules:
        with suppress(ImportError, OSError):  # one that fails will say so when used
            import torch  # noqa: F401
            import triton  # noqa: F401
    elif needed:
        raise ImportError(
            "core.pt: TensorFlow was imported before PyTorch's Triton, which "
            "would end the process. Restart the kernel, and import "
            "core.quiet or core.pt before tensorflow."
        )
