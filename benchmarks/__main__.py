"""`python -m benchmarks` runs them all."""

from benchmarks import startup

startup.run()
