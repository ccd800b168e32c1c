"""Whether the tests see small mistakes: `make mutants`."""

import core.quiet  # noqa: F401  before the frameworks
