"""`python -m core.tf.listings 000` runs the program of document 000."""

import core.quiet  # noqa: F401  before TensorFlow, which writes to stderr
from core.documents import run

if __name__ == "__main__":
    run("core.tf.listings")
