"""`python -m benchmarks` measures the start-up and tells what else there is."""

import importlib

from benchmarks import startup

CAMPAIGNS = (
    "faults",
    "limiter",
    "outage",
    "fuzz",
    "bounds",
    "walks",
    "memory",
    "model",
    "accounts",
    "exports",
    "kills",
)

if __name__ == "__main__":
    startup.run()
    print("\nCampaigns, which take longer:")
    for name in CAMPAIGNS:
        said = importlib.import_module(f"benchmarks.{name}").__doc__ or ""
        first = " ".join(said.partition("\n\n")[0].split())
        print(f"  python -m benchmarks.{name:<8} {first}")
