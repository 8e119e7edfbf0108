"""The command line's fixtures: the guides' commands are run as its own tests run them."""

from tests.cli.conftest import api, run

__all__ = ["api", "run"]
