"""What the package costs, and proofs of what it guarantees that are too long for a test.

    claims/      the table of costs in the guides: `python -m benchmarks`
    campaigns/   long proofs: `python -m benchmarks.campaigns.NAME`
    harness/     what both share with the tests

Claims and campaigns import the harness, and not each other. Nothing here imports the tests; a test
imports the harness, or what it tests. To import any of it puts up the guard of `harness.loopback`.
"""

from benchmarks.harness import loopback

loopback.guard()
